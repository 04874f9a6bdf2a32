"""Requests of a multipart upload."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote
from xml.etree import ElementTree

from werkzeug.wrappers import Response

from .answers import Node, answer, document, encoded, iso_date, stored_headers
from .errors import OssError, file_already_exists, invalid_argument, malformed_xml, no_such_upload
from .incoming import Incoming
from .objects import check_digest, check_length, check_traffic_limit, forbids_overwrite, kept_headers, open_source
from .service import Service
from .storage import AlreadyExists, Bucket, Part, Upload, UploadGone, Uploads

SMALLEST_PART = 100 << 10  # bytes, of all but the last
MOST_PARTS = 10_000
_BODY = 4 << 20  # bytes, of a list of parts


def begin(service: Service, incoming: Incoming) -> Response:
    """InitiateMultipartUpload: `POST ?uploads`."""
    bucket = service.bucket(incoming.bucket)
    kept, storage_class = kept_headers(incoming.headers)
    incoming.body.whole(_BODY)
    if forbids_overwrite(incoming.headers) and not bucket.versioning and bucket.current(incoming.key):
        raise file_already_exists(incoming.key)
    upload = Uploads(bucket).begin(incoming.key, service.now(), kept, storage_class)
    encoding = incoming.parameters.get("encoding-type", "")
    result: list[Node] = [
        *_encoding(encoding),
        ("Bucket", bucket.name),
        ("Key", encoded(incoming.key, encoding)),
        ("UploadId", upload.id),
    ]
    return document("InitiateMultipartUploadResult", result)


def add_part(service: Service, incoming: Incoming) -> Response:
    """UploadPart: `PUT ?partNumber=…&uploadId=…`."""
    bucket, upload, number = _addressed_part(service, incoming)
    check_traffic_limit(incoming)
    check_length(incoming)
    with bucket.draft() as draft:
        draft.write(incoming.body.blocks())
        check_digest(incoming.headers.get("content-md5"), draft)
        try:
            part = Uploads(bucket).add(upload, number, draft, service.now())
        except UploadGone:
            raise no_such_upload(upload.id) from None
    return answer(200, headers=stored_headers(part.record, versioning=""))


def copy_part(service: Service, incoming: Incoming) -> Response:
    """UploadPartCopy: the same with x-oss-copy-source, and maybe x-oss-copy-source-range."""
    bucket, upload, number = _addressed_part(service, incoming)
    _, opened = open_source(service, incoming)
    start, length = _source_range(incoming, opened.record.size)
    with bucket.draft() as draft:
        draft.write(opened.blocks(start, length))
        try:
            part = Uploads(bucket).add(upload, number, draft, service.now())
        except UploadGone:
            raise no_such_upload(upload.id) from None
    result: list[Node] = [
        ("LastModified", iso_date(part.record.modified)),
        ("ETag", f'"{part.record.etag}"'),
    ]
    return document("CopyPartResult", result, headers=stored_headers(part.record, versioning=""))


def list_parts(service: Service, incoming: Incoming) -> Response:
    """ListParts: `GET ?uploadId=…`."""
    bucket, upload = _addressed(service, incoming)
    asked = incoming.parameters
    encoding = asked.get("encoding-type", "")
    marker = _number(asked, "part-number-marker", 0, 0, MOST_PARTS)
    most = _number(asked, "max-parts", 1000, 1, 1000)
    parts = [part for part in Uploads(bucket).parts(upload) if part.number > marker]
    page = parts[:most]
    result: list[Node] = [
        *_encoding(encoding),
        ("Bucket", bucket.name),
        ("Key", encoded(upload.key, encoding)),
        ("UploadId", upload.id),
        ("StorageClass", upload.storage_class),
        ("PartNumberMarker", marker),
        ("NextPartNumberMarker", page[-1].number if page else marker),
        ("MaxParts", most),
        ("IsTruncated", "true" if len(parts) > most else "false"),
    ]
    result += [
        (
            "Part",
            [
                ("PartNumber", part.number),
                ("LastModified", iso_date(part.record.modified)),
                ("ETag", f'"{part.record.etag}"'),
                ("HashCrc64ecma", part.record.crc64),
                ("Size", part.record.size),
            ],
        )
        for part in page
    ]
    return document("ListPartsResult", result)


def complete(service: Service, incoming: Incoming) -> Response:
    """CompleteMultipartUpload: `POST ?uploadId=…`."""
    bucket, upload = _addressed(service, incoming)
    uploads = Uploads(bucket)
    body = incoming.body.whole(_BODY)
    parts = uploads.parts(upload)
    if uploads.get(upload.key, upload.id) is None:  # ended while its parts were read
        raise no_such_upload(upload.id)
    if incoming.headers.get("x-oss-complete-all", "").lower() != "yes":
        parts = _chosen(parts, _named_parts(body))
    elif body:
        raise invalid_argument("x-oss-complete-all", "yes", "With x-oss-complete-all there is no list of parts.")
    if not parts:
        raise malformed_xml()
    for part in parts[:-1]:
        if part.record.size < SMALLEST_PART:
            raise OssError(
                400,
                "EntityTooSmall",
                "Your proposed upload smaller than the minimum allowed size.",
                details=(
                    ("ProposedSize", str(part.record.size)),
                    ("MinSizeAllowed", str(SMALLEST_PART)),
                    ("PartNumber", str(part.number)),
                    ("ETag", part.record.etag),
                ),
            )
    try:
        record = uploads.finish(upload, parts, service.now(), forbid_overwrite=forbids_overwrite(incoming.headers))
    except UploadGone:
        raise no_such_upload(upload.id) from None
    except AlreadyExists:
        raise file_already_exists(upload.key) from None
    service.created(bucket, record, "CompleteMultipartUpload")
    encoding = incoming.parameters.get("encoding-type", "")
    result: list[Node] = [
        *_encoding(encoding),
        ("Location", f"http://{incoming.host}/{bucket.name}/{quote(upload.key)}"),
        ("Bucket", bucket.name),
        ("Key", encoded(upload.key, encoding)),
        ("ETag", f'"{record.etag}"'),
    ]
    headers = stored_headers(record, versioning=bucket.versioning)
    return document("CompleteMultipartUploadResult", result, headers=headers)


def abort(service: Service, incoming: Incoming) -> Response:
    """AbortMultipartUpload: `DELETE ?uploadId=…`."""
    bucket, upload = _addressed(service, incoming)
    Uploads(bucket).abort(upload)
    return answer(204)


def _addressed(service: Service, incoming: Incoming) -> tuple[Bucket, Upload]:
    bucket = service.bucket(incoming.bucket)
    upload_id = incoming.parameters.get("uploadId", "")
    upload = Uploads(bucket).get(incoming.key, upload_id)
    if upload is None:
        raise no_such_upload(upload_id)
    return bucket, upload


def _addressed_part(service: Service, incoming: Incoming) -> tuple[Bucket, Upload, int]:
    number = _number(incoming.parameters, "partNumber", 0, 1, MOST_PARTS)
    bucket, upload = _addressed(service, incoming)
    return bucket, upload, number


def _number(asked: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    text = asked.get(name, "")
    number = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else default if not text else least - 1
    if not least <= number <= most:
        raise invalid_argument(name, text, f"{name} must be an integer between {least} and {most}.")
    return number


def _source_range(incoming: Incoming, size: int) -> tuple[int, int]:
    text = incoming.headers.get("x-oss-copy-source-range", f"bytes=0-{size - 1}")
    found = re.fullmatch(r"bytes=([0-9]+)-([0-9]+)", text)
    if size == 0 and "x-oss-copy-source-range" not in incoming.headers:
        return 0, 0
    if not found or not int(found[1]) <= int(found[2]) < size:
        raise invalid_argument("x-oss-copy-source-range", text, "The range is written as bytes=0-9, within the source.")
    return int(found[1]), int(found[2]) - int(found[1]) + 1


def _named_parts(body: bytes) -> list[tuple[int, str]]:
    try:
        root = ElementTree.fromstring(body)
        return [
            (int(part.findtext("PartNumber", "")), part.findtext("ETag", "").strip().strip('"').upper())
            for part in root.iter("Part")
        ]
    except (ElementTree.ParseError, ValueError):
        raise malformed_xml() from None


def _chosen(parts: Sequence[Part], named: Sequence[tuple[int, str]]) -> list[Part]:
    by_number = {part.number: part for part in parts}
    numbers = [number for number, _ in named]
    if numbers != sorted(set(numbers)):
        message = "The list of parts was not in ascending order. Parts list must be ordered by number."
        raise OssError(400, "InvalidPartOrder", message)
    for number, etag in named:
        if number not in by_number or by_number[number].record.etag != etag:
            raise OssError(
                400,
                "InvalidPart",
                "One or more of the specified parts could not be found or the specified entity tag might not have "
                "matched the part's entity tag.",
                details=(("PartNumber", str(number)), ("ETag", etag)),
            )
    return [by_number[number] for number in numbers]


def _encoding(encoding: str) -> list[Node]:
    return [("EncodingType", encoding)] if encoding else []
