"""Requests for one object: read, change its tags and ACL, delete."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import quote, unquote, urlencode
from xml.etree.ElementTree import Element

from werkzeug.wrappers import Response

from ...endpoint import parse_oss_host
from .errors import (
    Node,
    OssError,
    invalid_argument,
    malformed_xml,
    method_not_allowed,
    no_such_key,
)
from .incoming import OssRequest, check_digest, check_key, parse_xml
from .metadata import (
    ACL,
    STORED,
    SYMLINK_TARGET,
    TAGGING,
    check_acl,
    has_control,
    read_tags,
    refuse_encryption,
    tags_of,
)
from .preconditions import is_unmodified, requested_range
from .responses import (
    OWNER,
    compress,
    compressed_headers,
    content_md5_header,
    encode_key,
    encoding_type,
    http_date,
    is_compressed,
    object_headers,
    respond,
    respond_tags,
    respond_xml,
    upload_headers,
    version_header,
)
from .service import Service
from .storage import VERSION_ID, Bucket, ObjectRecord, OpenedObject

_MAX_DELETIONS = 1000
# OSS takes control characters in the keys of a document, which XML forbids: they are read as private characters.
_CONTROL = re.compile(
    rb"[\x01-\x08\x0b\x0c\x0e-\x1f]|&#0*([12]?[0-9]|3[01]);|&#x0*(1?[0-9A-Fa-f]);"
)
_HIDDEN = 0x10F000
_MAX_XML = 2 << 20  # bytes
_APP_TYPES = ("application/vnd.android.package-archive", "application/iphone")
OVERRIDES = {f"response-{name}": name.title() for name in STORED}
# --- reading ------------------------------------------------------------------------------------------------------


def get(service: Service, request: OssRequest) -> Response:
    """GetObject and HeadObject."""
    bucket = service.bucket(request.bucket)
    refuse_encryption(request.headers)
    check_traffic_limit(request)
    overrides = _overrides(request)
    opened = open_object(bucket, request)
    try:
        version = version_header(opened.record.version_id, bucket.versioning)
        of_target = dict[str, str]()
        if opened.record.kind == "Symlink":
            opened, of_target = _follow(bucket, opened)
        record = opened.record
        headers = {**object_headers(record), **of_target, **version}
        if is_unmodified(record, request.headers):
            names = ("ETag", "Last-Modified", "Cache-Control", "Expires")
            opened.close()
            return respond(304, headers={name: headers[name] for name in names if name in headers})
        if request.method == "GET":
            check_readable(record)
            _check_app_package(service, request, record)
        byte_range = requested_range(record, request.headers) if request.method == "GET" else None
    except BaseException:
        opened.close()
        raise
    headers.update(overrides)
    # A client that requests a range counts the bytes of the object, so a part of it is never compressed.
    if byte_range is None and is_compressed(request.headers, headers, record.size):
        response = respond(200, compress(opened.blocks()), compressed_headers(headers))
    elif byte_range is None:
        response = respond(200, opened.blocks(), {**headers, "Content-Length": str(record.size)})
    else:
        headers |= {
            "Content-Length": str(byte_range.length),
            "Content-Range": byte_range.content_range(record.size),
        }
        response = respond(206, opened.blocks(*byte_range), headers)
    response.call_on_close(opened.close)
    return response


def _follow(bucket: Bucket, link: OpenedObject) -> tuple[OpenedObject, dict[str, str]]:
    """A link's target with the metadata of the link, and the headers that are the target's. Raises `OssError`."""
    link.close()
    opened = bucket.open(symlink_target(link.record.headers))
    if opened is None or opened.record.is_marker:
        if opened is not None:
            opened.close()
        message = "The symlink target object does not exist."
        raise OssError(404, "SymlinkTargetNotExist", message, ec="0026-00000012")
    target = opened.record
    if target.kind == "Symlink":
        opened.close()
        message = "The target of a symbolic link must not be a symbolic link."
        raise OssError(400, "InvalidTargetType", message)
    record = replace(
        link.record,
        size=target.size,
        etag=target.etag,
        crc64=target.crc64,
        modified=max(link.record.modified, target.modified),
        storage_class=target.storage_class,
    )
    return OpenedObject(record, opened.file), content_md5_header(target)


def symlink_target(headers: Mapping[str, str]) -> str:
    """The key that a link points to, which x-oss-symlink-target has percent-encoded."""
    return unquote(headers[SYMLINK_TARGET].encode("latin-1").decode("utf-8", "replace"))


def object_meta(service: Service, request: OssRequest) -> Response:
    bucket = service.bucket(request.bucket)
    opened = open_object(bucket, request)
    opened.close()
    record = opened.record
    headers = {
        "Content-Length": str(record.size),
        "Last-Modified": http_date(record.modified),
        **upload_headers(record, versioning=bucket.versioning),
    }
    return respond(200, headers=headers)


def get_acl(service: Service, request: OssRequest) -> Response:
    opened = open_object(service.bucket(request.bucket), request)
    opened.close()
    grant: Node = ("AccessControlList", [("Grant", opened.record.headers.get(ACL) or "default")])
    return respond_xml("AccessControlPolicy", [OWNER, grant])


def put_acl(service: Service, request: OssRequest) -> Response:
    """PutObjectAcl, of an object that is as private as its bucket in any case."""
    bucket = service.bucket(request.bucket)
    acl = request.headers.get(ACL, "")
    check_acl(ACL, acl)
    opened = open_object(bucket, request)
    opened.close()
    bucket.change_headers(opened.record, {ACL: acl})
    return respond(200, headers=version_header(opened.record.version_id, bucket.versioning))


def open_object(bucket: Bucket, request: OssRequest) -> OpenedObject:
    """The object, or the version, that a request names. Raises `OssError`, also for a delete marker."""
    version_id = _requested_version(request)
    opened = bucket.open(request.key, version_id)
    if opened is None and version_id is not None:
        message = "The specified version does not exist."
        raise OssError(404, "NoSuchVersion", message, Key=request.key, VersionId=version_id)
    if opened is None:
        raise no_such_key(request.key)
    if opened.record.is_marker:
        opened.close()
        headers = {
            "x-oss-delete-marker": "true",
            **version_header(opened.record.version_id, "Enabled"),
        }
        raise (
            no_such_key(request.key, headers)
            if version_id is None
            else method_not_allowed(request.method, headers)
        )
    return opened


def _requested_version(request: OssRequest) -> str | None:
    version_id = request.params.get("versionId")
    if version_id is not None and not VERSION_ID.fullmatch(version_id):
        raise invalid_argument("versionId", version_id, "Invalid version id specified.")
    return version_id


def check_readable(record: ObjectRecord) -> None:
    """Raises `OssError` InvalidObjectState for an archived object that was not restored."""
    if record.is_archived:
        message = "The operation is not valid for the object's state."
        raise OssError(403, "InvalidObjectState", message, ObjectName=record.key)


def _check_app_package(service: Service, request: OssRequest, record: ObjectRecord) -> None:
    """Raises `OssError` ApkDownloadForbidden for a link to an app package at one of OSS's own public domains.

    This machine's address stands for one of them, but where the service says that the object has another. Source: the
    OSS page "What do I do if the ApkDownloadForbidden error code is returned?".
    """
    is_package = (
        record.key.lower().endswith((".apk", ".ipa"))
        or record.headers.get("content-type") in _APP_TYPES
    )
    # A request signed in its header is answered.
    if not is_package or "authorization" in request.headers:
        return
    host = parse_oss_host(request.host.partition(":")[0].lower())
    is_public = (
        not service.settings.serves_packages(request.bucket, record.key)
        if host is None
        else host.kind != "internal"
    )
    if is_public:
        message = "The APK file is not allowed to be distributed in a public network using the OSS endpoint, please "
        raise OssError(400, "ApkDownloadForbidden", f"{message}use CNAME instead.")


def _overrides(request: OssRequest) -> dict[str, str]:
    """The response headers that the query sets."""
    headers = {}
    for name, value in request.query:
        if name in OVERRIDES:
            if has_control(value):
                raise invalid_argument(name, value, f"{name} must not contain control characters.")
            headers[OVERRIDES[name]] = value.encode().decode("latin-1")
    return headers


def check_traffic_limit(request: OssRequest) -> None:
    """Raises `OssError` for an x-oss-traffic-limit out of range; the local OSS does not limit the traffic."""
    limit = request.params.get("x-oss-traffic-limit", request.headers.get("x-oss-traffic-limit"))
    if {"x-oss-traffic-limit"} <= request.params.keys() & request.headers.keys():
        message = "x-oss-traffic-limit must not be in the query and in a header."
        raise invalid_argument("x-oss-traffic-limit", limit or "", message, ec="0004-00000501")
    if limit is not None and not (
        limit.isascii() and limit.isdigit() and 819_200 <= int(limit) <= 838_860_800
    ):
        message = "x-oss-traffic-limit must be an integer between 819200 and 838860800 (bit/s)."
        raise invalid_argument("x-oss-traffic-limit", limit, message, ec="0004-00000502")


# --- changing -----------------------------------------------------------------------------------------------------


def tags(service: Service, request: OssRequest) -> Response:
    """GetObjectTagging, PutObjectTagging and DeleteObjectTagging."""
    bucket = service.bucket(request.bucket)
    changed = (
        urlencode(read_tags(request.body.read(_MAX_XML)), quote_via=quote)
        if request.method == "PUT"
        else ""
    )
    opened = open_object(bucket, request)
    headers = version_header(opened.record.version_id, bucket.versioning)
    opened.close()
    if request.method == "GET":
        return respond_tags(tags_of(opened.record.headers), headers)
    bucket.change_headers(opened.record, {TAGGING: changed})
    return respond(200 if request.method == "PUT" else 204, headers=headers)


# --- deleting -----------------------------------------------------------------------------------------------------


def delete(service: Service, request: OssRequest) -> Response:
    """DeleteObject, of the current version or of the requested one."""
    bucket = service.bucket(request.bucket)
    version_id = _requested_version(request)
    if version_id is None:
        deletion = bucket.delete(request.key, service.now())
    else:
        deletion = bucket.delete_version(request.key, version_id)
    headers = version_header(deletion.version_id, bucket.versioning)
    if deletion.is_marker:
        headers = {**headers, "x-oss-delete-marker": "true"}
    return respond(204, headers=headers)


def delete_multiple(service: Service, request: OssRequest) -> Response:
    encoding = request.params.get("encoding-type", "")
    result = encoding_type(encoding)
    for each in deletions(request):
        headers = delete(service, each).headers
        content: list[Node] = [("Key", encode_key(each.key, encoding))]
        content += [("VersionId", value) for _, value in each.query]
        if "x-oss-delete-marker" in headers:
            content += [
                ("DeleteMarker", True),
                ("DeleteMarkerVersionId", headers["x-oss-version-id"]),
            ]
        result.append(("Deleted", content))
    is_quiet = (
        _deletion_document(request.body.read(_MAX_XML)).findtext("{*}Quiet", "").lower() == "true"
    )
    return respond(200) if is_quiet else respond_xml("DeleteResult", result)


def deletions(request: OssRequest) -> list[OssRequest]:
    """The requests for one object each of a DeleteMultipleObjects. Raises `OssError`."""
    body = request.body.read(_MAX_XML)
    requests = list[OssRequest]()
    if "content-md5" not in request.headers:
        raise OssError(400, "MissingArgument", "Content-MD5 is required.", ec="0016-00000606")
    check_digest(request.headers["content-md5"], hashlib.md5(body, usedforsecurity=False).digest())
    objects = _deletion_document(body).findall("{*}Object")
    if not 0 < len(objects) <= _MAX_DELETIONS:
        raise malformed_xml("0016-00000609" if objects else "0016-00000615")
    for each in objects:
        key = each.findtext("{*}Key")
        version_id = each.findtext("{*}VersionId")
        if not key:
            raise malformed_xml("0016-00000613" if key is None else "0016-00000611")
        key = key.translate({_HIDDEN + code: code for code in range(32)})
        check_key(key)
        requests.append(
            replace(request, key=key, query=(("versionId", version_id),) if version_id else ())
        )
        _requested_version(requests[-1])
    return requests


def _deletion_document(body: bytes) -> Element:
    return parse_xml(_CONTROL.sub(_hide, body))


def _hide(match: re.Match[bytes]) -> bytes:
    """The private character that stands for a control character, or for a reference to one."""
    decimal, hexadecimal = match.groups()
    code = match[0][0]
    if decimal:
        code = int(decimal)
    elif hexadecimal:
        code = int(hexadecimal, 16)
    return chr(_HIDDEN + code).encode()
