"""Requests for one object: read, write, copy, delete, restore."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import unquote

from werkzeug.wrappers import Response

from .errors import OssError, file_already_exists, invalid_argument, invalid_digest, method_not_allowed, no_such_key
from .incoming import OssRequest
from .preconditions import is_unmodified, requested_range
from .responses import (
    Node,
    http_date,
    iso_date,
    object_headers,
    respond,
    respond_xml,
    upload_headers,
    version_header,
)
from .service import Service
from .storage import VERSION_ID, AlreadyExists, Bucket, Draft, ObjectRecord, OpenedObject

_STORAGE_CLASSES = ("Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive")
_METADATA = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
    "x-oss-server-side-encryption",
)
OVERRIDES = {
    "response-content-type": "Content-Type",
    "response-content-language": "Content-Language",
    "response-expires": "Expires",
    "response-cache-control": "Cache-Control",
    "response-content-disposition": "Content-Disposition",
    "response-content-encoding": "Content-Encoding",
}
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HEADER_NAME = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")


# --- reading ------------------------------------------------------------------------------------------------------


def get(service: Service, request: OssRequest) -> Response:
    """GetObject and HeadObject."""
    bucket = service.bucket(request.bucket)
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
        byte_range = requested_range(record, request.headers) if request.method == "GET" else None
    except BaseException:
        opened.close()
        raise
    headers.update(overrides)
    if request.method == "HEAD":
        opened.close()
        return respond(200, headers={**headers, "Content-Length": str(record.size)})
    if byte_range is None:
        response = respond(200, opened.blocks(), {**headers, "Content-Length": str(record.size)})
    else:
        headers |= {"Content-Length": str(byte_range.length), "Content-Range": byte_range.content_range(record.size)}
        response = respond(206, opened.blocks(*byte_range), headers)
    response.call_on_close(opened.close)
    return response


def object_meta(service: Service, request: OssRequest) -> Response:
    """GetObjectMeta: `HEAD ?objectMeta`."""
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


def open_object(bucket: Bucket, request: OssRequest) -> OpenedObject:
    """The object, or the version, that a request names. Raises `OssError`, also for a delete marker."""
    version_id = _requested_version(request)
    opened = bucket.open(request.key, version_id)
    if opened is None:
        raise no_such_key(request.key) if version_id is None else _no_such_version(request.key, version_id)
    if opened.record.is_marker:
        opened.close()
        headers = {"x-oss-delete-marker": "true", **version_header(opened.record.version_id, "Enabled")}
        raise no_such_key(request.key, headers) if version_id is None else method_not_allowed(request.method, headers)
    return opened


def check_version_id(name: str, version_id: str) -> None:
    """Raises `OssError` InvalidArgument."""
    if not VERSION_ID.fullmatch(version_id):
        raise invalid_argument(name, version_id, "Invalid version id specified.")


def _requested_version(request: OssRequest) -> str | None:
    version_id = request.params.get("versionId")
    if version_id is not None:
        check_version_id("versionId", version_id)
    return version_id


def _check_readable(record: ObjectRecord) -> None:
    """Raises `OssError` InvalidObjectState for an archived object that was not restored."""
    if record.is_archived:
        raise OssError(
            403,
            "InvalidObjectState",
            "The operation is not valid for the object's state.",
            details=(("ObjectName", record.key),),
        )


def _overrides(request: OssRequest) -> dict[str, str]:
    """The response headers that the query sets."""
    headers = {}
    for name, value in request.query:
        if name in OVERRIDES:
            if _CONTROL.search(value):
                raise invalid_argument(name, value, f"{name} must not contain control characters.")
            headers[OVERRIDES[name]] = value.encode().decode("latin-1")
    return headers


def check_traffic_limit(request: OssRequest) -> None:
    """Raises `OssError` for an x-oss-traffic-limit out of range; the local OSS does not limit the traffic."""
    limit = request.params.get("x-oss-traffic-limit", request.headers.get("x-oss-traffic-limit"))
    if limit is not None and not (limit.isascii() and limit.isdigit() and 819_200 <= int(limit) <= 838_860_800):
        message = "x-oss-traffic-limit must be an integer between 819200 and 838860800 (bit/s)."
        raise invalid_argument("x-oss-traffic-limit", limit, message, ec="0004-00000502")


# --- writing ------------------------------------------------------------------------------------------------------


def put(service: Service, request: OssRequest) -> Response:
    """PutObject."""
    bucket = service.bucket(request.bucket)
    check_traffic_limit(request)
    metadata, storage_class = metadata_of(request.headers)
    check_length(request)
    with bucket.draft() as draft:
        draft.write(request.body.blocks())
        check_digest(request.headers.get("content-md5"), draft)
        record = publish(service, bucket, draft, request, metadata, storage_class)
    service.created(bucket, record, "PutObject")
    content_md5 = base64.b64encode(bytes.fromhex(record.etag)).decode()
    headers = {**upload_headers(record, versioning=bucket.versioning), "Content-MD5": content_md5}
    return respond(200, headers=headers)


def copy(service: Service, request: OssRequest) -> Response:
    """CopyObject."""
    bucket = service.bucket(request.bucket)
    directive = request.headers.get("x-oss-metadata-directive", "COPY").upper()
    if directive not in ("COPY", "REPLACE"):
        message = "x-oss-metadata-directive must be COPY or REPLACE."
        raise invalid_argument("x-oss-metadata-directive", directive, message)
    source_bucket, opened = open_source(service, request)
    source = opened.record
    metadata, storage_class = metadata_of(request.headers)
    if directive == "COPY":
        metadata = dict(source.headers)
    with bucket.draft() as draft:
        draft.write(opened.blocks())
        record = publish(service, bucket, draft, request, metadata, storage_class)
    service.created(bucket, record, "CopyObject")
    headers = upload_headers(record, versioning=bucket.versioning)
    if source_bucket.versioning:
        headers["x-oss-copy-source-version-id"] = source.version_id
    result: list[Node] = [("ETag", f'"{record.etag}"'), ("LastModified", iso_date(record.modified))]
    return respond_xml("CopyObjectResult", result, headers=headers)


def open_source(service: Service, request: OssRequest) -> tuple[Bucket, OpenedObject]:
    """The readable object that x-oss-copy-source names, if it meets the conditions. Raises `OssError`."""
    source = request.headers["x-oss-copy-source"]
    path, _, query = source.partition("?")
    name, _, key = unquote(path.encode("latin-1").decode("utf-8", "replace")).removeprefix("/").partition("/")
    version = (("versionId", query.removeprefix("versionId=")),) if query else ()
    if not name or not key:
        raise invalid_argument("x-oss-copy-source", source, "x-oss-copy-source must have the form /bucket/key.")
    bucket = service.bucket(name)
    opened = open_object(bucket, replace(request, bucket=name, key=key, query=version))
    try:
        _check_readable(opened.record)
        if is_unmodified(opened.record, request.headers, prefix="x-oss-copy-source-"):
            raise OssError(304, "NotModified", "The source was not modified.")
    except BaseException:
        opened.close()
        raise
    return bucket, opened


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
    record = ObjectRecord(request.key, draft.size, etag, draft.crc64, service.now(), metadata, storage_class)
    try:
        return bucket.publish(draft, record, forbid_overwrite=forbids_overwrite(request.headers))
    except AlreadyExists:
        raise file_already_exists(request.key) from None


def metadata_of(headers: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """The headers of an upload that are stored with the object, and its storage class. Raises `OssError`."""
    metadata = {name: value for name, value in headers.items() if name in _METADATA or name.startswith("x-oss-meta-")}
    for name, value in metadata.items():
        if _CONTROL.search(value) or not _HEADER_NAME.fullmatch(name):  # possible in a form, not in a header
            message = "A header must not contain control characters, and its name must be ASCII."
            raise invalid_argument(name, value, message)
    storage_class = headers.get("x-oss-storage-class", "Standard")
    if storage_class not in _STORAGE_CLASSES:
        message = f"x-oss-storage-class must be one of {', '.join(_STORAGE_CLASSES)}."
        raise invalid_argument("x-oss-storage-class", storage_class, message)
    return metadata, storage_class


def forbids_overwrite(headers: Mapping[str, str]) -> bool:
    return headers.get("x-oss-forbid-overwrite", "").lower() == "true"


def check_length(request: OssRequest) -> None:
    """Raises `OssError` for a body with neither a length nor chunks."""
    if request.body.length is None and not request.body.is_chunked:
        raise OssError(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")


def check_digest(content_md5: str | None, draft: Draft) -> None:
    """Raises `OssError` InvalidDigest unless Content-MD5 is the draft's."""
    if content_md5 is None:
        return
    try:
        matches = base64.b64decode(content_md5, validate=True) == draft.md5
    except (binascii.Error, ValueError):
        matches = False
    if not matches:
        raise invalid_digest((("Content-MD5", content_md5),))


# --- deleting and restoring ---------------------------------------------------------------------------------------


def delete(service: Service, request: OssRequest) -> Response:
    """DeleteObject, of the current version or of the requested one."""
    bucket = service.bucket(request.bucket)
    version_id = _requested_version(request)
    if version_id is None:
        deletion = bucket.delete(request.key, service.now())
    else:
        deletion = bucket.delete_version(request.key, version_id)
    headers = version_header(deletion.version_id, bucket.versioning)
    return respond(204, headers={**headers, **({"x-oss-delete-marker": "true"} if deletion.is_marker else {})})


def restore(service: Service, request: OssRequest) -> Response:
    """RestoreObject: 202 the first time, 200 for an object that is restored already. It takes no time here."""
    bucket = service.bucket(request.bucket)
    opened = open_object(bucket, request)
    record = opened.record
    if not record.storage_class.endswith("Archive"):
        opened.close()
        raise OssError(
            400,
            "OperationNotSupported",
            "The operation is not supported for this resource: the object is not archived.",
            details=(("Resource", record.key),),
        )
    headers = version_header(record.version_id, bucket.versioning)
    if record.is_restored:
        opened.close()
        return respond(200, headers=headers)
    bucket.restore(opened)
    return respond(202, headers=headers)


def _no_such_version(key: str, version_id: str) -> OssError:
    return OssError(
        404,
        "NoSuchVersion",
        "The specified version does not exist.",
        details=(("Key", key), ("VersionId", version_id)),
    )
