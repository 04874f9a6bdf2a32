"""An HTTP/1.1 answer out of the bytes that came so far (RFC 9112): whole, not yet whole, or none.

Read here and not by a client library, which would take a head that broke off for one, and log addresses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

MAX_HEAD = 32 * 1024  # bytes

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n")


class NoHttp(ValueError):
    """What came is no answer."""


class Response(NamedTuple):
    """An answer: header names in lower case; `body` holds what came of it, `is_whole` says that this is all."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    is_whole: bool


def read_answer(data: bytes, *, is_end: bool) -> Response | None:
    """The answer in `data`, None while its head is not complete. `is_end` says that no more bytes will come.

    Raises `NoHttp`.
    """
    head, separator, rest = data.partition(b"\r\n\r\n")
    if not separator:
        if len(data) > MAX_HEAD or not b"HTTP/1.".startswith(data[:7]):
            raise NoHttp
        return None
    first, *lines = head.split(b"\r\n")
    found = _STATUS.fullmatch(first)
    if not found:
        raise NoHttp
    status = int(found[1])
    if status < 200:
        return read_answer(rest, is_end=is_end)
    headers: dict[str, str] = {}
    for line in lines:
        header = _HEADER.fullmatch(line)
        if not header:
            raise NoHttp
        headers[header[1].decode("ascii").lower()] = header[2].decode("latin-1")
    body, is_whole = _body(status, headers, rest, is_end)
    return Response(status, headers, body, is_whole)


def _body(status: int, headers: Mapping[str, str], rest: bytes, is_end: bool) -> tuple[bytes, bool]:
    if status in (204, 304):
        return b"", True
    if headers.get("transfer-encoding", "").lower().endswith("chunked"):
        return _chunks(rest)
    length = headers.get("content-length")
    if length is None:
        return rest, is_end
    if not length.isascii() or not length.isdigit():
        raise NoHttp
    size = int(length)
    return rest[:size], len(rest) >= size


def _chunks(rest: bytes) -> tuple[bytes, bool]:
    """What came of a chunked body; what follows the last chunk says nothing here."""
    parts: list[bytes] = []
    at = 0
    while (found := _CHUNK.match(rest, at)) is not None:
        size = int(found[1], 16)
        if size == 0:
            return b"".join(parts), True
        part = rest[found.end() : found.end() + size]
        parts.append(part)
        at = found.end() + size + 2
        if at > len(rest):
            break
        if rest[at - 2 : at] != b"\r\n":
            raise NoHttp
    return b"".join(parts), False
