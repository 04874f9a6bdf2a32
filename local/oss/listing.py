"""Lists of objects, a page at a time."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from werkzeug.wrappers import Response

from .errors import invalid_argument
from .incoming import OssRequest
from .responses import OWNER, Node, encode_key, encoding_type, iso_date, respond_xml
from .service import Service
from .storage import Bucket, ObjectRecord


@dataclass(frozen=True)
class ListParams:
    """The parameters that all lists have; `encoding` is "" or "url"."""

    prefix: str
    delimiter: str
    encoding: str
    max_keys: int

    def encode(self, key: str) -> str:
        return encode_key(key, self.encoding)

    def common_prefix(self, key: str) -> str | None:
        """The prefix that stands for this key in the list, None if the key stands for itself."""
        if not self.delimiter:
            return None
        end = key.find(self.delimiter, len(self.prefix))
        return None if end < 0 else key[: end + len(self.delimiter)]


@dataclass(frozen=True)
class ListPage:
    """Records and common prefixes in order of key; `next` is the last key or prefix if more follow."""

    records: tuple[ObjectRecord, ...]
    prefixes: tuple[str, ...]
    next: str | None


def list_objects(service: Service, request: OssRequest) -> Response:
    """ListObjects: `GET /`, with `marker`."""
    bucket, params = service.bucket(request.bucket), _list_params(request)
    marker = request.params.get("marker", "")
    page = _page(bucket, params, marker)
    following: list[Node] = [] if page.next is None else [("NextMarker", params.encode(page.next))]
    return _respond(bucket, params, page, [("Marker", params.encode(marker))], following, [OWNER])


def list_objects_v2(service: Service, request: OssRequest) -> Response:
    """ListObjectsV2: `GET /?list-type=2`, with `continuation-token` and `start-after`."""
    bucket, params = service.bucket(request.bucket), _list_params(request)
    start_after = request.params.get("start-after", "")
    token = request.params.get("continuation-token", "")
    page = _page(bucket, params, _token_key(token) if token else start_after)
    start: list[Node] = [("StartAfter", params.encode(start_after))]
    start += [("ContinuationToken", token)] if token else []
    following: list[Node] = [("KeyCount", len(page.records) + len(page.prefixes))]
    if page.next is not None:
        following.insert(
            0, ("NextContinuationToken", base64.urlsafe_b64encode(page.next.encode()).decode().rstrip("="))
        )
    owner = [OWNER] if request.params.get("fetch-owner") == "true" else []
    return _respond(bucket, params, page, start, following, owner)


def _respond(
    bucket: Bucket, params: ListParams, page: ListPage, start: list[Node], following: list[Node], owner: list[Node]
) -> Response:
    """A list: `start` says where the page begins, `following` what comes after it, `owner` is that of each object."""
    result: list[Node] = [
        ("Name", bucket.name),
        ("Prefix", params.encode(params.prefix)),
        *start,
        ("MaxKeys", params.max_keys),
        ("Delimiter", params.encode(params.delimiter)),
        *encoding_type(params.encoding),
        ("IsTruncated", page.next is not None),
        *following,
    ]
    result += [("Contents", [*_entry(record, params), *owner]) for record in page.records]
    result += [("CommonPrefixes", [("Prefix", params.encode(prefix))]) for prefix in page.prefixes]
    return respond_xml("ListBucketResult", result)


def _list_params(request: OssRequest) -> ListParams:
    params = request.params
    encoding = params.get("encoding-type", "")
    if encoding not in ("", "url"):
        raise invalid_argument("encoding-type", encoding, "Invalid Encoding Method specified in Request.")
    max_keys = request.integer("max-keys", 1, 1000, 100)
    return ListParams(params.get("prefix", ""), params.get("delimiter", ""), encoding, max_keys)


def _page(bucket: Bucket, params: ListParams, marker: str) -> ListPage:
    records: list[ObjectRecord] = []
    prefixes: list[str] = []
    last = ""
    for key in bucket.all_keys():
        if not key.startswith(params.prefix) or key.encode() <= marker.encode():
            continue
        prefix = params.common_prefix(key)
        if prefix is not None and (prefix.encode() <= marker.encode() or prefix in prefixes[-1:]):
            continue
        record = bucket.current(key)
        if record is None:
            continue
        if len(records) + len(prefixes) == params.max_keys:
            return ListPage(tuple(records), tuple(prefixes), last)
        if prefix is not None:
            prefixes.append(prefix)
        else:
            records.append(record)
        last = key if prefix is None else prefix
    return ListPage(tuple(records), tuple(prefixes), None)


def _entry(record: ObjectRecord, params: ListParams) -> list[Node]:
    return [
        ("Key", params.encode(record.key)),
        ("LastModified", iso_date(record.modified)),
        ("ETag", f'"{record.etag}"'),
        ("Type", record.kind),
        ("Size", record.size),
        ("StorageClass", record.storage_class),
    ]


def _token_key(token: str) -> str:
    """The key that a continuation token stands for."""
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise invalid_argument("continuation-token", token, "The continuation token provided is incorrect.") from None
