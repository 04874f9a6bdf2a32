"""Requests of a multipart upload."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from werkzeug.wrappers import Response

from .errors import (
    Node,
    OssError,
    file_already_exists,
    invalid_argument,
    malformed_xml,
    no_such_upload,
    not_implemented,
)
from .incoming import OssRequest, check_digest, check_length, parse_xml
from .listing import list_params, page_of
from .metadata import CLIENT_ENCRYPTION, encryption_headers, metadata_of, refuse_unkept
from .objects import check_traffic_limit
from .preconditions import requested_range
from .responses import (
    content_md5_header,
    encode_key,
    encoding_type,
    iso_date,
    respond,
    respond_xml,
    upload_headers,
)
from .service import Service
from .storage import AlreadyExists, Bucket, MultipartUpload, ObjectRecord, UploadGone, Uploads
from .writing.copy import COPY_HEADERS, open_source
from .writing.put import forbids_overwrite

_MIN_PART = 100 << 10  # bytes, of all parts but the last
_MAX_PARTS = 10_000
_COMPLETE_HEADERS = frozenset({"x-oss-complete-all", "x-oss-forbid-overwrite"})
_COPY_RANGE = "x-oss-copy-source-range"
_MAX_XML = 4 << 20  # bytes, of a list of parts
_EC_OF_PART = "0042-00000104"
_EC_OF_COPY = "0042-00000311"


def initiate(service: Service, request: OssRequest) -> Response:
    bucket = service.bucket(request.bucket)
    metadata, storage_class = metadata_of(request.headers)
    request.body.read(_MAX_XML)
    if forbids_overwrite(request.headers) and not bucket.versioning and bucket.current(request.key):
        raise file_already_exists(request.key)
    upload = Uploads(bucket).initiate(
        request.key, service.now(), metadata, storage_class or bucket.storage_class
    )
    headers = encryption_headers(upload.headers)
    return respond_xml(
        "InitiateMultipartUploadResult", _describe(request, bucket, upload), headers=headers
    )


def upload_part(service: Service, request: OssRequest) -> Response:
    check_traffic_limit(request)
    refuse_unkept(request.headers)
    check_length(request)
    record, headers = _add_part(service, request, request.body.blocks())
    return respond(200, headers={**headers, **content_md5_header(record)})


def upload_part_copy(service: Service, request: OssRequest) -> Response:
    """UploadPartCopy: `PUT ?partNumber&uploadId`, of all of x-oss-copy-source, or of its x-oss-copy-source-range."""
    check_traffic_limit(request)
    refuse_unkept(request.headers, COPY_HEADERS | {_COPY_RANGE})
    bucket, opened = open_source(service, request)
    source = opened.record
    try:
        if source.kind == "Symlink":
            raise not_implemented("a symbolic link as source, as no page says what OSS answers")
        byte_range = requested_range(source, {"range": request.headers.get(_COPY_RANGE, "")})
        record, headers = _add_part(service, request, opened.blocks(*(byte_range or ())))
    finally:
        opened.close()
    if byte_range:
        headers["Content-Range"] = byte_range.content_range(source.size)
    if bucket.versioning:
        headers["x-oss-copy-source-version-id"] = source.version_id
    result: list[Node] = [("ETag", f'"{record.etag}"'), ("LastModified", iso_date(record.modified))]
    return respond_xml("CopyPartResult", result, headers=headers)


def _add_part(
    service: Service, request: OssRequest, blocks: Iterator[bytes]
) -> tuple[ObjectRecord, dict[str, str]]:
    """The part that a request names, and the headers of the response."""
    number = request.integer("partNumber", 1, _MAX_PARTS)
    is_copy = "x-oss-copy-source" in request.headers
    ec = _EC_OF_COPY if is_copy else _EC_OF_PART
    bucket, upload = _requested_upload(service, request, ec=ec)
    with bucket.draft() as draft:
        draft.write(blocks)
        if not is_copy:  # else it is that of the empty body
            check_digest(request.headers.get("content-md5"), draft.md5)
        try:
            record = Uploads(bucket).add_part(upload, number, draft, service.now())
        except UploadGone:
            raise no_such_upload(upload.id, ec=ec) from None
    return record, {**upload_headers(record, versioning=""), **encryption_headers(upload.headers)}


def list_parts(service: Service, request: OssRequest) -> Response:
    bucket, upload = _requested_upload(service, request)
    marker = request.integer("part-number-marker", 0, _MAX_PARTS, 0)
    max_parts = request.integer("max-parts", 1, 1000, 1000)
    parts = [part for part in _parts(bucket, upload).items() if part[0] > marker]
    page = parts[:max_parts]
    result: list[Node] = [
        *_describe(request, bucket, upload),
        ("StorageClass", upload.storage_class),
        ("PartNumberMarker", marker),
        ("NextPartNumberMarker", page[-1][0] if page else marker),
        ("MaxParts", max_parts),
        ("IsTruncated", len(parts) > max_parts),
    ]
    # In no page, but in the live tests of alibabacloud-oss-v2.
    for name, value in upload.headers.items():
        if name.startswith(CLIENT_ENCRYPTION):
            element = name.removeprefix(CLIENT_ENCRYPTION).title().replace("-", "")
            result.append((f"ClientEncryption{element}", value))
    for number, record in page:
        content: list[Node] = [
            ("PartNumber", number),
            ("LastModified", iso_date(record.modified)),
            ("ETag", f'"{record.etag}"'),
            ("HashCrc64ecma", record.crc64),
            ("Size", record.size),
        ]
        result.append(("Part", content))
    return respond_xml("ListPartsResult", result)


def list_uploads(service: Service, request: OssRequest) -> Response:
    bucket = service.bucket(request.bucket)
    params = list_params(request, "max-uploads", 1000)
    uploads = {f"{upload.key}\0{upload.id}": upload for upload in Uploads(bucket).all()}
    marker = request.params.get("key-marker", "")
    id_marker = request.params.get("upload-id-marker", "") if marker else ""

    def entry(position: str) -> Node:
        upload = uploads[position]
        content: list[Node] = [("Key", params.encode(upload.key)), ("UploadId", upload.id)]
        return "Upload", [
            *content,
            ("StorageClass", upload.storage_class),
            ("Initiated", iso_date(upload.initiated)),
        ]

    # Without an ID all uploads of the key are before the page: "~" is after every ID.
    page = page_of(
        sorted(uploads, key=str.encode), entry, params, marker and f"{marker}\0{id_marker or '~'}"
    )
    next_key, _, next_id = page.last.partition("\0")
    result: list[Node] = [
        *encoding_type(params.encoding),
        ("Bucket", bucket.name),
        ("KeyMarker", params.encode(marker)),
        ("UploadIdMarker", id_marker),
        ("NextKeyMarker", params.encode(next_key)),
        ("NextUploadIdMarker", next_id),
        ("Delimiter", params.encode(params.delimiter)),
        ("Prefix", params.encode(params.prefix)),
        ("MaxUploads", params.max_keys),
        ("IsTruncated", page.next is not None),
        *page.nodes,
    ]
    return respond_xml("ListMultipartUploadsResult", result)


def complete(service: Service, request: OssRequest) -> Response:
    bucket, upload = _requested_upload(service, request)
    refuse_unkept(request.headers, _COMPLETE_HEADERS)
    uploads = Uploads(bucket)
    body = request.body.read(_MAX_XML)
    parts = _parts(bucket, upload)
    if request.headers.get("x-oss-complete-all", "").lower() != "yes":
        parts = _select_parts(parts, _parse_parts(body))
    elif body:
        raise invalid_argument(
            "x-oss-complete-all", "yes", "The body must be empty with x-oss-complete-all."
        )
    for number, part in [*parts.items()][:-1]:
        if part.size < _MIN_PART:
            message = "Your proposed upload smaller than the minimum allowed size."
            sizes = {"ProposedSize": str(part.size), "MinSizeAllowed": str(_MIN_PART)}
            details = {**sizes, "PartNumber": str(number), "ETag": part.etag}
            raise OssError(400, "EntityTooSmall", message, headers=None, **details)
    try:
        record = uploads.complete(
            upload, [*parts], service.now(), forbid_overwrite=forbids_overwrite(request.headers)
        )
    except UploadGone:
        raise no_such_upload(upload.id) from None
    except AlreadyExists:
        raise file_already_exists(upload.key) from None
    service.created(bucket, record, "CompleteMultipartUpload")
    encoding = request.params.get("encoding-type", "")
    result: list[Node] = [
        *encoding_type(encoding),
        ("Location", f"http://{request.host}/{bucket.name}/{quote(upload.key)}"),
        ("Bucket", bucket.name),
        ("Key", encode_key(upload.key, encoding)),
        ("ETag", f'"{record.etag}"'),
    ]
    headers = upload_headers(record, versioning=bucket.versioning)
    return respond_xml("CompleteMultipartUploadResult", result, headers=headers)


def abort(service: Service, request: OssRequest) -> Response:
    bucket, upload = _requested_upload(service, request)
    Uploads(bucket).abort(upload)
    return respond(204)


def _requested_upload(
    service: Service, request: OssRequest, *, ec: str = "0042-00000002"
) -> tuple[Bucket, MultipartUpload]:
    bucket = service.bucket(request.bucket)
    upload_id = request.params.get("uploadId", "")
    upload = Uploads(bucket).get(request.key, upload_id)
    if upload is None:
        raise no_such_upload(upload_id, ec=ec)
    return bucket, upload


def _parts(bucket: Bucket, upload: MultipartUpload) -> Mapping[int, ObjectRecord]:
    try:
        return Uploads(bucket).parts(upload)
    except UploadGone:  # since it was read
        raise no_such_upload(upload.id) from None


def _describe(request: OssRequest, bucket: Bucket, upload: MultipartUpload) -> list[Node]:
    encoding = request.params.get("encoding-type", "")
    return [
        *encoding_type(encoding),
        ("Bucket", bucket.name),
        ("Key", encode_key(upload.key, encoding)),
        ("UploadId", upload.id),
    ]


def _parse_parts(body: bytes) -> list[tuple[int, str]]:
    """The numbers and ETags (without quotes) of a CompleteMultipartUpload document."""
    try:
        return [
            (
                int(part.findtext("PartNumber", "")),
                part.findtext("ETag", "").strip().strip('"').upper(),
            )
            for part in parse_xml(body).iter("Part")
        ]
    except ValueError:
        raise malformed_xml() from None


def _select_parts(
    parts: Mapping[int, ObjectRecord], requested: Sequence[tuple[int, str]]
) -> dict[int, ObjectRecord]:
    numbers = [number for number, _ in requested]
    if numbers != sorted(set(numbers)):
        message = (
            "The list of parts was not in ascending order. Parts list must be ordered by number."
        )
        raise OssError(400, "InvalidPartOrder", message)
    for number, etag in requested:
        if number not in parts or parts[number].etag != etag:
            mismatch = "the specified entity tag might not have matched the part's entity tag."
            message = f"One or more of the specified parts could not be found or {mismatch}"
            raise OssError(400, "InvalidPart", message, PartNumber=str(number), ETag=etag)
    return {number: parts[number] for number in numbers}
