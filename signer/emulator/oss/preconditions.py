"""Conditional and partial reads. Sources: RFC 9110 §13 and the OSS page "GetObject"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from .errors import OssError
from .storage import ObjectRecord

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class ByteRange(NamedTuple):
    """`length` bytes of an object from `start`."""

    start: int
    length: int

    def content_range(self, size: int) -> str:
        """The Content-Range header, for an object of `size` bytes."""
        return f"bytes {self.start}-{self.start + self.length - 1}/{size}"


def is_unmodified(record: ObjectRecord, headers: Mapping[str, str], *, prefix: str = "") -> bool:
    """Whether the caller has this object already (304). Raises `OssError` PreconditionFailed.

    `prefix` is that of the same conditions on the source of a copy. If-Match takes precedence over
    If-Unmodified-Since, and If-None-Match over If-Modified-Since.
    """
    match = headers.get(prefix + "if-match")
    none_match = headers.get(prefix + "if-none-match")
    unmodified_since = _parse_date(headers.get(prefix + "if-unmodified-since"))
    modified_since = _parse_date(headers.get(prefix + "if-modified-since"))
    if match is not None and not _has_etag(match, record):
        raise _failed("If-Match")
    if match is None and unmodified_since is not None and int(record.modified) > unmodified_since:
        raise _failed("If-Unmodified-Since")
    if none_match is not None:
        return _has_etag(none_match, record)
    return modified_since is not None and int(record.modified) <= modified_since


def requested_range(record: ObjectRecord, headers: Mapping[str, str]) -> ByteRange | None:
    """None for the complete object. Raises `OssError` InvalidRange.

    As in OSS, a range that is malformed, or that begins or ends after the object, is ignored, unless
    `x-oss-range-behavior: standard` requests what RFC 9110 says. Of several ranges at once OSS says less.
    """
    value = headers.get("range")
    if value is None or not _is_current(headers.get("if-range"), record):
        return None
    if "," in value:
        raise _unsatisfiable(record)
    match = _RANGE.fullmatch(value.strip())
    if not match or not (match[1] or match[2]):
        return None
    size = record.size
    start = int(match[1]) if match[1] else max(0, size - int(match[2]))
    end = int(match[2]) if match[1] and match[2] else size - 1
    if match[1] and end < start < size:
        return None
    if headers.get("x-oss-range-behavior") != "standard":
        is_inside = start < size and end < size and (match[1] or int(match[2]) <= size)
        return ByteRange(start, end - start + 1) if is_inside else None
    if start >= size:
        raise _unsatisfiable(record)
    return ByteRange(start, min(end, size - 1) - start + 1)


def _is_current(condition: str | None, record: ObjectRecord) -> bool:
    if condition is None:
        return True
    if condition.startswith('"'):
        return condition.strip('"') == record.etag
    return _parse_date(condition) == int(record.modified)


def _has_etag(condition: str, record: ObjectRecord) -> bool:
    etags = [etag.strip().removeprefix("W/").strip('"').upper() for etag in condition.split(",")]
    return "*" in etags or record.etag.upper() in etags


def _parse_date(date: str | None) -> int | None:
    """Unix seconds of an HTTP date, None if it is missing or invalid."""
    try:
        return int(parsedate_to_datetime(date).timestamp()) if date else None
    except ValueError:
        return None


def _failed(condition: str) -> OssError:
    message = "At least one of the pre-conditions you specified did not hold."
    return OssError(412, "PreconditionFailed", message, Condition=condition)


def _unsatisfiable(record: ObjectRecord) -> OssError:
    message = "The requested range cannot be satisfied."
    headers = {"Content-Range": f"bytes */{record.size}"}
    return OssError(
        416, "InvalidRange", message, headers=headers, ActualObjectSize=str(record.size)
    )
