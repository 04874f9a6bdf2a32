"""Requests for one object: read, write, copy, delete, restore."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import replace
from urllib.parse import unquote

from werkzeug.wrappers import Response

from .answers import answer, document, http_date, iso_date, object_headers, stored_headers, version_header
from .errors import OssError, file_already_exists, invalid_argument, method_not_allowed, no_such_key
from .incoming import Incoming
from .preconditions import is_unmodified, wanted_span
from .service import Service
from .storage import AlreadyExists, Bucket, Draft, Opened, Record

STORAGE_CLASSES = ("Standard", "IA", "Archive", "ColdArchive", "DeepColdArchive")
KEPT_HEADERS = (
    "content-type",
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
    "x-oss-server-side-encryption",
)
_OVERRIDES = {
    "response-content-type": "Content-Type",
    "response-content-language": "Content-Language",
    "response-expires": "Expires",
    "response-cache-control": "Cache-Control",
    "response-content-disposition": "Content-Disposition",
    "response-content-encoding": "Content-Encoding",
}
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_TOKEN = re.compile(r"[a-z0-9!#$%&'*+.^_`|~-]+")
_VERSION_ID = re.compile(r"null|[0-9a-f]{32}")


# --- reading ------------------------------------------------------------------------------------------------------


def get(service: Service, incoming: Incoming) -> Response:
    """GetObject and HeadObject."""
    bucket = service.bucket(incoming.bucket)
    check_traffic_limit(incoming)
    overrides = _overrides(incoming)
    opened = open_object(bucket, incoming)
    try:
        record = opened.record
        headers = {**object_headers(record), **version_header(record.version_id, bucket.versioning)}
        if is_unmodified(record, incoming.headers):
            kept = ("ETag", "Last-Modified", "Cache-Control", "Expires")
            opened.close()
            return answer(304, headers={name: headers[name] for name in kept if name in headers})
        if incoming.method == "GET":
            check_readable(record)
        span = wanted_span(record, incoming.headers) if incoming.method == "GET" else None
    except BaseException:
        opened.close()
        raise
    headers.update(overrides)
    if incoming.method == "HEAD":
        opened.close()
        return answer(200, headers={**headers, "Content-Length": str(record.size)})
    if span is None:
        response = answer(200, opened.blocks(), {**headers, "Content-Length": str(record.size)})
    else:
        headers |= {"Content-Length": str(span.length), "Content-Range": span.content_range(record.size)}
        response = answer(206, opened.blocks(span.start, span.length), headers)
    response.call_on_close(opened.close)
    return response


def object_meta(service: Service, incoming: Incoming) -> Response:
    """GetObjectMeta: `HEAD ?objectMeta`."""
    bucket = service.bucket(incoming.bucket)
    opened = open_object(bucket, incoming)
    opened.close()
    record = opened.record
    headers = {
        "ETag": f'"{record.etag}"',
        "Content-Length": str(record.size),
        "Last-Modified": http_date(record.modified),
        "x-oss-hash-crc64ecma": str(record.crc64),
    }
    return answer(200, headers={**headers, **version_header(record.version_id, bucket.versioning)})


def open_object(bucket: Bucket, incoming: Incoming) -> Opened:
    """The object, or the version, that a request names. Raises `OssError`; a delete marker is no object."""
    version_id = wanted_version(incoming)
    opened = bucket.open(incoming.key, version_id)
    if opened is None:
        raise no_such_key(incoming.key) if version_id is None else _no_such_version(incoming.key, version_id)
    if opened.record.is_marker:
        opened.close()
        headers = {"x-oss-delete-marker": "true", **version_header(opened.record.version_id, "Enabled")}
        raise (
            no_such_key(incoming.key, headers) if version_id is None else method_not_allowed(incoming.method, headers)
        )
    return opened


def wanted_version(incoming: Incoming) -> str | None:
    """The `versionId` of the query. Raises `OssError` where it is none."""
    version_id = incoming.parameters.get("versionId")
    if version_id is not None and not _VERSION_ID.fullmatch(version_id):
        raise invalid_argument("versionId", version_id, "Invalid version id specified.")
    return version_id


def check_readable(record: Record) -> None:
    """Raises `OssError` InvalidObjectState for an archived object that was not restored."""
    if record.is_frozen:
        raise OssError(
            403,
            "InvalidObjectState",
            "The operation is not valid for the object's state.",
            details=(("ObjectName", record.key),),
        )


def _overrides(incoming: Incoming) -> dict[str, str]:
    found = {}
    for name, value in incoming.query:
        if name in _OVERRIDES:
            if _CONTROL.search(value):
                raise invalid_argument(name, value, "A header cannot hold control characters.")
            found[_OVERRIDES[name]] = value.encode().decode("latin-1")
    return found


def check_traffic_limit(incoming: Incoming) -> None:
    """Raises `OssError` for an x-oss-traffic-limit out of range; a laptop's traffic is not slowed down."""
    limit = incoming.parameters.get("x-oss-traffic-limit", incoming.headers.get("x-oss-traffic-limit"))
    if limit is not None and not (limit.isascii() and limit.isdigit() and 819_200 <= int(limit) <= 838_860_800):
        raise invalid_argument("x-oss-traffic-limit", limit, "The traffic limit is 819200 to 838860800 bit/s.")


# --- writing ------------------------------------------------------------------------------------------------------


def put(service: Service, incoming: Incoming) -> Response:
    """PutObject."""
    bucket = service.bucket(incoming.bucket)
    check_traffic_limit(incoming)
    kept, storage_class = kept_headers(incoming.headers)
    check_length(incoming)
    with bucket.draft() as draft:
        draft.write(incoming.body.blocks())
        check_digest(incoming.headers.get("content-md5"), draft)
        record = publish(service, bucket, draft, incoming, kept, storage_class)
    service.created(bucket, record, "PutObject")
    md5 = base64.b64encode(bytes.fromhex(record.etag)).decode()
    return answer(200, headers={**stored_headers(record, versioning=bucket.versioning), "Content-MD5": md5})


def copy(service: Service, incoming: Incoming) -> Response:
    """CopyObject."""
    bucket = service.bucket(incoming.bucket)
    directive = incoming.headers.get("x-oss-metadata-directive", "COPY").upper()
    if directive not in ("COPY", "REPLACE"):
        raise invalid_argument("x-oss-metadata-directive", directive, "The directive is COPY or REPLACE.")
    source_bucket, opened = open_source(service, incoming)
    source = opened.record
    kept, storage_class = kept_headers(incoming.headers)
    if directive == "COPY":
        kept = dict(source.headers)
    with bucket.draft() as draft:
        draft.write(opened.blocks())
        record = publish(service, bucket, draft, incoming, kept, storage_class)
    service.created(bucket, record, "CopyObject")
    headers = stored_headers(record, versioning=bucket.versioning)
    if source_bucket.versioning:
        headers["x-oss-copy-source-version-id"] = source.version_id
    result: list[tuple[str, str]] = [("ETag", f'"{record.etag}"'), ("LastModified", iso_date(record.modified))]
    return document("CopyObjectResult", [*result], headers=headers)


def open_source(service: Service, incoming: Incoming) -> tuple[Bucket, Opened]:
    """The readable object that x-oss-copy-source names, its conditions held. Raises `OssError`."""
    source = incoming.headers["x-oss-copy-source"]
    path, _, query = source.partition("?")
    name, _, key = unquote(path.encode("latin-1").decode("utf-8", "replace")).removeprefix("/").partition("/")
    version = (("versionId", query.removeprefix("versionId=")),) if query else ()
    if not name or not key:
        raise invalid_argument("x-oss-copy-source", source, "A source is written as /bucket/key.")
    bucket = service.bucket(name)
    opened = open_object(bucket, replace(incoming, bucket=name, key=key, query=version))
    try:
        check_readable(opened.record)
        if is_unmodified(opened.record, incoming.headers, prefix="x-oss-copy-source-"):
            raise OssError(304, "NotModified", "The source was not modified.")
    except BaseException:
        opened.close()
        raise
    return bucket, opened


def publish(
    service: Service, bucket: Bucket, draft: Draft, incoming: Incoming, kept: Mapping[str, str], storage_class: str
) -> Record:
    """Makes a draft the object that a request names. Raises `OssError` FileAlreadyExists."""
    record = Record(incoming.key, draft.size, draft.md5.hex().upper(), draft.crc64, service.now(), kept, storage_class)
    try:
        return bucket.publish(draft, record, forbid_overwrite=forbids_overwrite(incoming.headers))
    except AlreadyExists:
        raise file_already_exists(incoming.key) from None


def kept_headers(headers: Mapping[str, str]) -> tuple[dict[str, str], str]:
    """What is kept of an upload's headers, and the storage class. Raises `OssError`."""
    kept = {name: value for name, value in headers.items() if name in KEPT_HEADERS or name.startswith("x-oss-meta-")}
    for name, value in kept.items():
        if _CONTROL.search(value) or not _TOKEN.fullmatch(name):  # a form can hold what no header can
            raise invalid_argument(
                name, value, "A header cannot hold control characters, nor its name other than ASCII."
            )
    storage_class = headers.get("x-oss-storage-class", "Standard")
    if storage_class not in STORAGE_CLASSES:
        raise invalid_argument("x-oss-storage-class", storage_class, f"It is one of {', '.join(STORAGE_CLASSES)}.")
    return kept, storage_class


def forbids_overwrite(headers: Mapping[str, str]) -> bool:
    """Whether an existing object must stay."""
    return headers.get("x-oss-forbid-overwrite", "").lower() == "true"


def check_length(incoming: Incoming) -> None:
    """Raises `OssError` for a body that says neither its length nor that it comes in chunks."""
    if incoming.body.length is None and not incoming.body.is_chunked:
        raise OssError(411, "MissingContentLength", "You must provide the Content-Length HTTP header.")


def check_digest(content_md5: str | None, draft: Draft) -> None:
    """Raises `OssError` InvalidDigest where Content-MD5 is not the body's."""
    if content_md5 is None:
        return
    try:
        holds = base64.b64decode(content_md5, validate=True) == draft.md5
    except (binascii.Error, ValueError):
        holds = False
    if not holds:
        raise OssError(
            400,
            "InvalidDigest",
            "The Content-MD5 you specified was invalid.",
            details=(("Content-MD5", content_md5),),
        )


# --- deleting and restoring ---------------------------------------------------------------------------------------


def delete(service: Service, incoming: Incoming) -> Response:
    """DeleteObject, of the current version or of the one named."""
    bucket = service.bucket(incoming.bucket)
    version_id = wanted_version(incoming)
    if version_id is None:
        deletion = bucket.delete(incoming.key, service.now())
    else:
        deletion = bucket.delete_version(incoming.key, version_id)
    headers = version_header(deletion.version_id, bucket.versioning)
    return answer(204, headers={**headers, **({"x-oss-delete-marker": "true"} if deletion.is_marker else {})})


def restore(service: Service, incoming: Incoming) -> Response:
    """RestoreObject: 202 the first time, 200 for what is restored already. A laptop needs no waiting."""
    bucket = service.bucket(incoming.bucket)
    opened = open_object(bucket, incoming)
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
        return answer(200, headers=headers)
    bucket.restore(opened)
    return answer(202, headers=headers)


def _no_such_version(key: str, version_id: str) -> OssError:
    return OssError(
        404,
        "NoSuchVersion",
        "The specified version does not exist.",
        details=(("Key", key), ("VersionId", version_id)),
    )
