"""Lists of objects and of versions, a page at a time."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from werkzeug.wrappers import Response

from .answers import Node, document, encoded, iso_date
from .errors import invalid_argument
from .incoming import Incoming
from .service import Service
from .storage import Bucket, Record

_MOST = 1000
_DEFAULT = 100
_OWNER: Node = ("Owner", [("ID", "0000000000000000"), ("DisplayName", "0000000000000000")])


@dataclass(frozen=True)
class Asked:
    """What is common to all lists; `encoding` is "" or "url"."""

    prefix: str
    delimiter: str
    encoding: str
    most: int


@dataclass(frozen=True)
class Page:
    """A page: records and common prefixes, in order of key, and the last key or prefix where more follow."""

    records: tuple[Record, ...]
    prefixes: tuple[str, ...]
    next: str | None


def list_objects(service: Service, incoming: Incoming) -> Response:
    """ListObjects: `GET /`, with `marker`."""
    bucket = service.bucket(incoming.bucket)
    parameters = incoming.parameters
    asked = _asked(parameters)
    marker = parameters.get("marker", "")
    page = _page(bucket, asked, marker)
    result = [
        ("Name", bucket.name),
        ("Prefix", encoded(asked.prefix, asked.encoding)),
        ("Marker", encoded(marker, asked.encoding)),
        *_common(asked),
        ("IsTruncated", _truth(page.next is not None)),
    ]
    if page.next is not None:
        result.append(("NextMarker", encoded(page.next, asked.encoding)))
    result += [("Contents", [*_entry(record, asked), _OWNER]) for record in page.records]
    return document("ListBucketResult", [*result, *_prefixes(page, asked)])


def list_objects_v2(service: Service, incoming: Incoming) -> Response:
    """ListObjectsV2: `GET /?list-type=2`, with `continuation-token` and `start-after`."""
    bucket = service.bucket(incoming.bucket)
    parameters = incoming.parameters
    asked = _asked(parameters)
    start_after = parameters.get("start-after", "")
    token = parameters.get("continuation-token", "")
    page = _page(bucket, asked, _key_of(token) if token else start_after)
    result = [
        ("Name", bucket.name),
        ("Prefix", encoded(asked.prefix, asked.encoding)),
        ("StartAfter", encoded(start_after, asked.encoding)),
        *([("ContinuationToken", token)] if token else []),
        *_common(asked),
        ("IsTruncated", _truth(page.next is not None)),
    ]
    if page.next is not None:
        result.append(("NextContinuationToken", _token_of(page.next)))
    result.append(("KeyCount", len(page.records) + len(page.prefixes)))
    owner = [_OWNER] if parameters.get("fetch-owner") == "true" else []
    result += [("Contents", [*_entry(record, asked), *owner]) for record in page.records]
    return document("ListBucketResult", [*result, *_prefixes(page, asked)])


def list_versions(service: Service, incoming: Incoming) -> Response:
    """ListObjectVersions: `GET /?versions`, with `key-marker` and `version-id-marker`."""
    bucket = service.bucket(incoming.bucket)
    parameters = incoming.parameters
    asked = _asked(parameters)
    key_marker, id_marker = parameters.get("key-marker", ""), parameters.get("version-id-marker", "")
    shown: list[Node] = []
    prefixes: list[str] = []
    last: tuple[str, str] | None = None
    truncated = False
    for key, latest, record in _versions_behind(bucket, asked, key_marker, id_marker):
        prefix = _common_prefix(key, asked)
        if prefix is not None and (prefix.encode() <= key_marker.encode() or prefix in prefixes[-1:]):
            continue
        if len(shown) + len(prefixes) == asked.most:
            truncated = True
            break
        if prefix is not None:
            prefixes.append(prefix)
            last = (prefix, "")
        else:
            shown.append(_version(record, asked, is_latest=latest))
            last = (key, record.version_id)
    result = [
        ("Name", bucket.name),
        ("Prefix", encoded(asked.prefix, asked.encoding)),
        ("KeyMarker", encoded(key_marker, asked.encoding)),
        ("VersionIdMarker", id_marker),
        *_common(asked),
        ("IsTruncated", _truth(truncated)),
    ]
    if truncated and last:
        result += [("NextKeyMarker", encoded(last[0], asked.encoding)), ("NextVersionIdMarker", last[1])]
    result += [*shown, *_prefixes(Page((), tuple(prefixes), None), asked)]
    return document("ListVersionsResult", result)


def _asked(parameters: Mapping[str, str]) -> Asked:
    encoding = parameters.get("encoding-type", "")
    if encoding not in ("", "url"):
        raise invalid_argument("encoding-type", encoding, "Invalid Encoding Method specified in Request.")
    text = parameters.get("max-keys", "")
    most = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else _DEFAULT if not text else 0
    if not 1 <= most <= _MOST:
        raise invalid_argument("max-keys", text, f"Argument max-keys must be an integer between 1 and {_MOST}.")
    return Asked(parameters.get("prefix", ""), parameters.get("delimiter", ""), encoding, most)


def _page(bucket: Bucket, asked: Asked, marker: str) -> Page:
    records: list[Record] = []
    prefixes: list[str] = []
    last = ""
    for key in _keys_behind(bucket, asked, marker):
        prefix = _common_prefix(key, asked)
        if prefix is not None and (prefix.encode() <= marker.encode() or prefix in prefixes[-1:]):
            continue
        record = bucket.current(key)
        if record is None:
            continue
        if len(records) + len(prefixes) == asked.most:
            return Page(tuple(records), tuple(prefixes), last)
        if prefix is not None:
            prefixes.append(prefix)
        else:
            records.append(record)
        last = key if prefix is None else prefix
    return Page(tuple(records), tuple(prefixes), None)


def _keys_behind(bucket: Bucket, asked: Asked, marker: str) -> Iterator[str]:
    behind = marker.encode()
    return (key for key in bucket.all_keys() if key.startswith(asked.prefix) and key.encode() > behind)


def _versions_behind(
    bucket: Bucket, asked: Asked, key_marker: str, id_marker: str
) -> Iterator[tuple[str, bool, Record]]:
    """Key, whether it is the latest, and record, of all versions behind the two markers."""
    if key_marker and id_marker:
        records = bucket.versions(key_marker)
        ids = [record.version_id for record in records]
        start = ids.index(id_marker) + 1 if id_marker in ids else 0
        yield from ((key_marker, False, record) for record in records[start:])
    for key in _keys_behind(bucket, asked, key_marker):
        for place, record in enumerate(bucket.versions(key)):
            yield key, place == 0, record


def _common_prefix(key: str, asked: Asked) -> str | None:
    if not asked.delimiter:
        return None
    end = key.find(asked.delimiter, len(asked.prefix))
    return None if end < 0 else key[: end + len(asked.delimiter)]


def _common(asked: Asked) -> list[Node]:
    return [
        ("MaxKeys", asked.most),
        ("Delimiter", encoded(asked.delimiter, asked.encoding)),
        *([("EncodingType", asked.encoding)] if asked.encoding else []),
    ]


def _entry(record: Record, asked: Asked) -> list[Node]:
    return [
        ("Key", encoded(record.key, asked.encoding)),
        ("LastModified", iso_date(record.modified)),
        ("ETag", f'"{record.etag}"'),
        ("Type", record.kind),
        ("Size", record.size),
        ("StorageClass", record.storage_class),
    ]


def _version(record: Record, asked: Asked, *, is_latest: bool) -> Node:
    about: list[Node] = [("VersionId", record.version_id), ("IsLatest", _truth(is_latest))]
    if record.is_marker:
        key: list[Node] = [("Key", encoded(record.key, asked.encoding))]
        return "DeleteMarker", [*key, *about, ("LastModified", iso_date(record.modified)), _OWNER]
    return "Version", [*_entry(record, asked), *about, _OWNER]


def _prefixes(page: Page, asked: Asked) -> list[Node]:
    return [("CommonPrefixes", [("Prefix", encoded(prefix, asked.encoding))]) for prefix in page.prefixes]


def _truth(value: bool) -> str:
    return "true" if value else "false"


def _token_of(key: str) -> str:
    return base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")


def _key_of(token: str) -> str:
    try:
        return base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise invalid_argument("continuation-token", token, "The continuation token provided is incorrect.") from None
