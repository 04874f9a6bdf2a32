"""Conditional and partial reads. Sources: RFC 9110 §13 and the OSS page "GetObject"."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime

from .errors import OssError
from .storage import Record

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass(frozen=True)
class Span:
    """Bytes of an object: from `start`, `length` of them."""

    start: int
    length: int

    def content_range(self, size: int) -> str:
        """The header that says which bytes of how many these are."""
        return f"bytes {self.start}-{self.start + self.length - 1}/{size}"


def is_unmodified(record: Record, headers: Mapping[str, str], *, prefix: str = "") -> bool:
    """Whether the caller has this object already (304). Raises `OssError` PreconditionFailed.

    `prefix` is that of the same conditions on the source of a copy. An If-Match that holds makes
    If-Unmodified-Since moot, and so does If-None-Match with If-Modified-Since.
    """
    match = headers.get(prefix + "if-match")
    none_match = headers.get(prefix + "if-none-match")
    unmodified_since = _seconds(headers.get(prefix + "if-unmodified-since"))
    modified_since = _seconds(headers.get(prefix + "if-modified-since"))
    if match is not None and not _names(match, record):
        raise _failed("If-Match")
    if match is None and unmodified_since is not None and int(record.modified) > unmodified_since:
        raise _failed("If-Unmodified-Since")
    if none_match is not None:
        return _names(none_match, record)
    return modified_since is not None and int(record.modified) <= modified_since


def wanted_span(record: Record, headers: Mapping[str, str]) -> Span | None:
    """The bytes asked for, None for all of them. Raises `OssError` InvalidRange.

    As in OSS, a range that is malformed, or that ends behind the object, is ignored, unless
    `x-oss-range-behavior: standard` asks for RFC 9110's reading.
    """
    text = headers.get("range")
    if text is None or not _is_current(headers.get("if-range"), record):
        return None
    if "," in text:
        raise _unsatisfiable(record)
    found = _RANGE.fullmatch(text.strip())
    if not found or not (found[1] or found[2]):
        return None
    standard = headers.get("x-oss-range-behavior") == "standard"
    size = record.size
    if found[1]:
        start = int(found[1])
        end = int(found[2]) if found[2] else size - 1
        if start >= size:
            raise _unsatisfiable(record)
        if end < start:
            return None
    else:
        suffix = int(found[2])
        if suffix == 0 or size == 0:
            raise _unsatisfiable(record)
        if suffix > size and not standard:
            return None
        start, end = max(0, size - suffix), size - 1
    if end >= size and not standard:
        return None
    return Span(start, min(end, size - 1) - start + 1)


def _is_current(condition: str | None, record: Record) -> bool:
    if condition is None:
        return True
    if condition.startswith('"'):
        return condition.strip('"') == record.etag
    return _seconds(condition) == int(record.modified)


def _names(condition: str, record: Record) -> bool:
    etags = [etag.strip().removeprefix("W/").strip('"').upper() for etag in condition.split(",")]
    return "*" in etags or record.etag.upper() in etags


def _seconds(date: str | None) -> int | None:
    try:
        return int(parsedate_to_datetime(date).timestamp()) if date else None
    except ValueError:
        return None


def _failed(condition: str) -> OssError:
    return OssError(
        412,
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold.",
        details=(("Condition", condition),),
    )


def _unsatisfiable(record: Record) -> OssError:
    return OssError(
        416,
        "InvalidRange",
        "The requested range cannot be satisfied.",
        details=(("ActualObjectSize", str(record.size)),),
        headers={"Content-Range": f"bytes */{record.size}"},
    )
