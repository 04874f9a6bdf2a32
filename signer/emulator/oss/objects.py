"""Requests for one object: read, write, copy, delete."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from urllib.parse import quote, unquote, urlencode
from xml.etree.ElementTree import Element

from werkzeug.wrappers import Response

from ...endpoint import parse_oss_host
from .errors import (
    Node,
    OssError,
    file_already_exists,
    invalid_argument,
    malformed_xml,
    method_not_allowed,
    no_such_key,
)
from .incoming import OssRequest, check_key, parse_xml
from .metadata import (
    ACL,
    CLIENT_ENCRYPTION,
    PER_OBJECT,
    STORED,
    TAGGING,
    has_control,
    metadata_of,
    read_tags,
    refuse_conditions,
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
    iso_date,
    object_headers,
    respond,
    respond_tags,
    respond_xml,
    upload_headers,
    version_header,
)
from .service import Service
from .storage import VERSION_ID, AlreadyExists, Bucket, Draft, ObjectRecord, OpenedObject

COPY_HEADERS = frozenset(
    {
        "x-oss-copy-source",
        *(
            f"x-oss-copy-source-if-{name}"
            for name in ("match", "none-match", "modified-since", "unmodified-since")
        ),
    }
)
_DIRECTIVES = ("x-oss-metadata-directive", "x-oss-tagging-directive")
_MAX_DELETIONS = 1000
# OSS takes control characters in the keys of a document, which XML forbids: they are read as private characters.
_CONTROL = re.compile(rb"[\x01-\x08\x0b\x0c\x0e-\x1f]|&#0?([12]?[0-9]|3[01]);")
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
        record = opened.record
        headers = {**object_headers(record), **version_header(record.version_id, bucket.versioning)}
        if is_unmodified(record, request.headers):
            names = ("ETag", "Last-Modified", "Cache-Control", "Expires")
            opened.close()
            return respond(304, headers={name: headers[name] for name in names if name in headers})
        if request.method == "GET":
            _check_readable(record)
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


def _check_readable(record: ObjectRecord) -> None:
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
    if (
        not is_package or "authorization" in request.headers
    ):  # a request signed in its header is answered
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


# --- writing ------------------------------------------------------------------------------------------------------


def put(service: Service, request: OssRequest) -> Response:
    bucket = service.bucket(request.bucket)
    refuse_conditions(request.headers)
    check_traffic_limit(request)
    metadata, storage_class = metadata_of(request.headers)
    check_length(request)
    with bucket.draft() as draft:
        draft.write(request.body.blocks())
        check_digest(request.headers.get("content-md5"), draft.md5)
        record = publish(service, bucket, draft, request, metadata, storage_class)
    service.created(bucket, record, "PutObject")
    headers = {**upload_headers(record, versioning=bucket.versioning), **content_md5_header(record)}
    return respond(200, headers=headers)


def copy(service: Service, request: OssRequest) -> Response:
    bucket = service.bucket(request.bucket)
    replaces, replaces_tags = map(partial(_replaces, request), _DIRECTIVES)
    metadata, storage_class = metadata_of(request.headers, COPY_HEADERS.union(_DIRECTIVES))
    source_bucket, opened = open_source(service, request)
    source = opened.record
    if replaces:  # what stays is in no page, but in the live tests of alibabacloud-oss-v2
        staying = ("content-type", CLIENT_ENCRYPTION)
        metadata = {
            name: value for name, value in source.headers.items() if name.startswith(staying)
        } | metadata
    else:
        own = {name: value for name, value in metadata.items() if name in PER_OBJECT}
        metadata = {
            name: value for name, value in source.headers.items() if name not in PER_OBJECT
        } | own
    if not replaces_tags:
        metadata[TAGGING] = source.headers.get(TAGGING, "")
    with bucket.draft() as draft:
        draft.write(opened.blocks())
        record = publish(service, bucket, draft, request, metadata, storage_class)
    service.created(bucket, record, "CopyObject")
    headers = upload_headers(record, versioning=bucket.versioning)
    if source_bucket.versioning:
        headers["x-oss-copy-source-version-id"] = source.version_id
    result: list[Node] = [("ETag", f'"{record.etag}"'), ("LastModified", iso_date(record.modified))]
    return respond_xml("CopyObjectResult", result, headers=headers)


def _replaces(request: OssRequest, name: str) -> bool:
    directive = request.headers.get(name, "COPY").upper()
    if directive not in ("COPY", "REPLACE"):
        raise invalid_argument(name, directive, f"{name} must be COPY or REPLACE.")
    return directive == "REPLACE"


def copy_source(request: OssRequest) -> OssRequest:
    """The request that reads what x-oss-copy-source names. Raises `OssError` InvalidArgument."""
    source = request.headers["x-oss-copy-source"]
    path, _, query = source.partition("?")
    name, _, key = (
        unquote(path.encode("latin-1").decode("utf-8", "replace")).removeprefix("/").partition("/")
    )
    parameter, _, version_id = query.partition("=")
    if not name or not key or (query and (parameter != "versionId" or not version_id)):
        message = "x-oss-copy-source must have the form /bucket/key or /bucket/key?versionId=ID."
        ec = ""
        if query:
            ec = "0016-00000305" if parameter == "versionId" else "0016-00000304"
        raise invalid_argument("x-oss-copy-source", source, message, ec=ec)
    return replace(
        request, bucket=name, key=key, query=(("versionId", version_id),) if query else ()
    )


def open_source(service: Service, request: OssRequest) -> tuple[Bucket, OpenedObject]:
    """The readable object that x-oss-copy-source names, if it meets the conditions. Raises `OssError`."""
    source = copy_source(request)
    bucket = service.bucket(source.bucket)
    try:
        opened = open_object(bucket, source)
    except OssError as error:
        if error.code != "MethodNotAllowed":
            raise
        message = "The version that x-oss-copy-source names must not be a delete marker."
        value = request.headers["x-oss-copy-source"]
        raise invalid_argument("x-oss-copy-source", value, message, ec="0016-00000307") from None
    try:
        _check_readable(opened.record)
        if is_unmodified(opened.record, request.headers, prefix="x-oss-copy-source-"):
            raise OssError(304, "NotModified", "The source was not modified.")
    except BaseException:
        opened.close()
        raise
    return bucket, opened


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
    if request.method == "GET":
        opened.close()
        return respond_tags(tags_of(opened.record.headers), headers)
    bucket.change_headers(opened, {**opened.record.headers, TAGGING: changed})
    return respond(200 if request.method == "PUT" else 204, headers=headers)


def publish(
    service: Service,
    bucket: Bucket,
    draft: Draft,
    request: OssRequest,
    metadata: Mapping[str, str],
    storage_class: str,
) -> ObjectRecord:
    """Makes a draft the object that a request names. Raises `OssError` FileAlreadyExists."""
    etag = draft.md5.hex().upper()
    storage_class = storage_class or bucket.storage_class
    record = ObjectRecord(
        key=request.key,
        size=draft.size,
        etag=etag,
        crc64=draft.crc64,
        modified=service.now(),
        headers=metadata,
        storage_class=storage_class,
    )
    try:
        return bucket.publish(draft, record, forbid_overwrite=forbids_overwrite(request.headers))
    except AlreadyExists:
        raise file_already_exists(request.key) from None


def forbids_overwrite(headers: Mapping[str, str]) -> bool:
    return headers.get("x-oss-forbid-overwrite", "").lower() == "true"


def check_length(request: OssRequest) -> None:
    """Raises `OssError` for a body with neither a length nor chunks."""
    if request.body.length is None and not request.body.is_chunked:
        raise OssError(
            411, "MissingContentLength", "You must provide the Content-Length HTTP header."
        )


def check_digest(content_md5: str | None, md5: bytes) -> None:
    """Raises `OssError` InvalidDigest unless Content-MD5 is that of the body."""
    if content_md5 is None:
        return
    try:
        matches = base64.b64decode(content_md5, validate=True) == md5
    except (binascii.Error, ValueError):
        matches = False
    if not matches:
        message = "The Content-MD5 you specified was invalid."
        raise OssError(400, "InvalidDigest", message, headers=None, **{"Content-MD5": content_md5})


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
    return parse_xml(
        _CONTROL.sub(lambda match: chr(_HIDDEN + int(match[1] or match[0][0])).encode(), body)
    )
