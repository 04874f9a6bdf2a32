"""Lists of objects, a page at a time."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable
from typing import NamedTuple

from werkzeug.wrappers import Response

from ...names import MAX_KEY_BYTES
from .errors import Node, invalid_argument
from .incoming import OssRequest
from .responses import OWNER, encode_key, encoding_type, iso_date, respond_xml
from .service import Service
from .storage import Bucket, ObjectRecord


class ListParams(NamedTuple):
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


class ListPage(NamedTuple):
    """Entries in order, then common prefixes; `last` is the last position or prefix, `next` the same if more follow."""

    nodes: list[Node]
    next: str | None
    last: str


def list_objects(service: Service, request: OssRequest) -> Response:
    """ListObjects: `GET /`, with `marker`."""
    bucket = service.bucket(request.bucket)
    params = list_params(request)
    marker = request.params.get("marker", "")
    page = _page(bucket, params, marker, [OWNER])
    following: list[Node] = [] if page.next is None else [("NextMarker", params.encode(page.next))]
    start: list[Node] = [("Marker", params.encode(marker))]
    return respond_xml("ListBucketResult", _result(bucket, params, page, start, following))


def list_objects_v2(service: Service, request: OssRequest) -> Response:
    """ListObjectsV2: `GET /?list-type=2`, with `continuation-token` and `start-after`."""
    bucket = service.bucket(request.bucket)
    params = list_params(request)
    start_after = request.params.get("start-after", "")
    token = request.params.get("continuation-token", "")
    owner = [OWNER] if request.params.get("fetch-owner") == "true" else []
    page = _page(bucket, params, _token_key(token) if token else start_after, owner)
    start: list[Node] = [("StartAfter", params.encode(start_after))]
    start += [("ContinuationToken", token)] if token else []
    following: list[Node] = [("KeyCount", len(page.nodes))]
    if page.next is not None:
        next_token = base64.urlsafe_b64encode(page.next.encode()).decode().rstrip("=")
        following.insert(0, ("NextContinuationToken", next_token))
    return respond_xml("ListBucketResult", _result(bucket, params, page, start, following))


def list_versions(service: Service, request: OssRequest) -> Response:
    """ListObjectVersions: `GET /?versions`; of each key the newest version comes first."""
    bucket = service.bucket(request.bucket)
    params = list_params(request)
    marker = request.params.get("key-marker", "")
    id_marker = request.params.get("version-id-marker", "") if marker else ""
    keys = [key for key in bucket.all_keys() if key.startswith(params.prefix)]
    versions = {
        f"{key}\0{n:06}": record for key in keys for n, record in enumerate(bucket.versions(key))
    }

    def entry(position: str) -> Node:
        record = versions[position]
        content: list[Node] = [("Key", params.encode(record.key)), ("VersionId", record.version_id)]
        content += [("IsLatest", position.endswith("\x00000000")), OWNER]
        if record.is_marker:
            return "DeleteMarker", [*content, ("LastModified", iso_date(record.modified))]
        return "Version", [*content, *_properties(record)]

    begin = marker and f"{marker}\0~"  # after every version of the key
    if id_marker:  # if that version was deleted since, its key is listed again
        found = (p for p, r in versions.items() if (r.key, r.version_id) == (marker, id_marker))
        begin = next(found, f"{marker}\0")
    page = page_of(sorted(versions, key=str.encode), entry, params, begin)
    start: list[Node] = [("KeyMarker", params.encode(marker)), ("VersionIdMarker", id_marker)]
    following: list[Node] = []
    if page.next is not None:
        last = versions.get(page.next)  # None for a common prefix
        following.append(("NextKeyMarker", params.encode(last.key if last else page.next)))
        following.append(("NextVersionIdMarker", last.version_id if last else ""))
    return respond_xml("ListVersionsResult", _result(bucket, params, page, start, following))


def _result(
    bucket: Bucket, params: ListParams, page: ListPage, start: list[Node], following: list[Node]
) -> list[Node]:
    """A list: `start` says where the page begins, `following` what comes after it."""
    return [
        ("Name", bucket.name),
        ("Prefix", params.encode(params.prefix)),
        *start,
        ("MaxKeys", params.max_keys),
        ("Delimiter", params.encode(params.delimiter)),
        *encoding_type(params.encoding),
        ("IsTruncated", page.next is not None),
        *following,
        *page.nodes,
    ]


def list_params(request: OssRequest, size: str = "max-keys", default: int = 100) -> ListParams:
    """`size` names the parameter with the size of a page. Raises `OssError`."""
    params = request.params
    encoding = params.get("encoding-type", "")
    if encoding not in ("", "url"):
        raise invalid_argument(
            "encoding-type", encoding, "Invalid Encoding Method specified in Request."
        )
    for name in ("prefix", "delimiter", "marker", "key-marker", "version-id-marker", "start-after"):
        if len(params.get(name, "").encode()) > MAX_KEY_BYTES:
            raise invalid_argument(
                name, params[name], f"{name} must have at most {MAX_KEY_BYTES} bytes."
            )
    max_keys = request.integer(size, 1, 1000, default)
    return ListParams(params.get("prefix", ""), params.get("delimiter", ""), encoding, max_keys)


def _page(bucket: Bucket, params: ListParams, marker: str, owner: list[Node]) -> ListPage:
    def entry(key: str) -> Node | None:
        record = bucket.current(key)
        if record is None:
            return None
        return "Contents", [("Key", params.encode(record.key)), *_properties(record), *owner]

    return page_of(bucket.all_keys(), entry, params, marker)


def _properties(record: ObjectRecord) -> list[Node]:
    return [
        ("LastModified", iso_date(record.modified)),
        ("ETag", f'"{record.etag}"'),
        ("Type", record.kind),
        ("Size", record.size),
        ("StorageClass", record.storage_class),
    ]


def page_of(
    positions: Iterable[str], entry: Callable[[str], Node | None], params: ListParams, marker: str
) -> ListPage:
    """The first page after the marker. A position is a key, and may have more after a NUL; the positions are sorted.

    `entry` returns None for what is not listed.
    """
    entries: list[Node] = []
    prefixes: list[str] = []
    last = ""
    following = None
    for position in positions:
        key = position.partition("\0")[0]
        prefix = params.common_prefix(key)
        if not key.startswith(params.prefix) or position.encode() <= marker.encode():
            continue
        if prefix is not None and (prefix.encode() <= marker.encode() or prefix in prefixes[-1:]):
            continue
        node = entry(position)
        if node is None:
            continue
        if len(entries) + len(prefixes) == params.max_keys:
            following = last
            break
        if prefix is not None:
            prefixes.append(prefix)
        else:
            entries.append(node)
        last = position if prefix is None else prefix
    nodes: list[Node] = [
        ("CommonPrefixes", [("Prefix", params.encode(prefix))]) for prefix in prefixes
    ]
    return ListPage([*entries, *nodes], following, last)


def _token_key(token: str) -> str:
    """The key that a continuation token stands for."""
    try:
        return base64.b64decode(
            token + "=" * (-len(token) % 4), altchars=b"-_", validate=True
        ).decode()
    except (binascii.Error, ValueError):
        raise invalid_argument(
            "continuation-token", token, "The continuation token provided is incorrect."
        ) from None
