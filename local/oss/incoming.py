"""A request as OSS reads it: the raw path decoded once, the raw query, headers, and the body as a stream."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import quote, unquote

from signer.signed_request import parse_query

from .errors import OssError, incomplete_body

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_BLOCK = 1 << 20
_LARGEST = 5 << 30  # bytes, of one PUT, part or form
_VIRTUAL_HOST = re.compile(
    r"(?P<bucket>[a-z0-9][a-z0-9-]{1,61}[a-z0-9])\."
    r"(?:oss-[a-z0-9-]+\.aliyuncs\.com|[a-z0-9-]+\.oss\.aliyuncs\.com|localhost)(?::\d+)?"
)


@dataclass(frozen=True)
class Reading:
    """Which object, bucket ("" as key) or service ("" for both) an address may mean."""

    bucket: str
    key: str


@dataclass(frozen=True)
class Incoming:
    """`headers` have lower-case names and values as on the wire (Latin-1); `query` holds decoded pairs."""

    method: str
    readings: tuple[Reading, ...]
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: Body
    peer: str
    request_id: str
    bucket: str = ""
    key: str = ""

    @property
    def parameters(self) -> dict[str, str]:
        """The query by name; of a repeated name the last."""
        return dict(self.query)

    @property
    def host(self) -> str:
        """The Host header."""
        return self.headers.get("host", "")


class Body:
    """The request's body, read once. `length` is None where it comes in chunks or not at all."""

    def __init__(self, stream: BinaryIO, length: int | None, *, chunked: bool) -> None:
        self._stream = stream
        self.length = length
        self.is_chunked = chunked
        self._left = length or 0

    def blocks(self, most: int = _LARGEST) -> Iterator[bytes]:
        """The bytes as they come, in blocks. Raises `OssError` where there are too many, or they end early."""
        if (self.length or 0) > most:
            raise OssError(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size.")
        count = 0
        while self.is_chunked or self._left:
            block = self._read()
            if not block and self.is_chunked:
                return
            if not block:
                raise incomplete_body()
            self._left -= 0 if self.is_chunked else len(block)
            count += len(block)
            if count > most:
                raise OssError(400, "EntityTooLarge", "Your proposed upload exceeds the maximum allowed size.")
            yield block

    def whole(self, most: int) -> bytes:
        """All of a body of at most `most` bytes."""
        return b"".join(self.blocks(most))

    def _read(self) -> bytes:
        try:
            return self._stream.read(_BLOCK if self.is_chunked else min(_BLOCK, self._left))
        except OSError:
            raise incomplete_body() from None


def read(environ: WSGIEnvironment, request_id: str) -> Incoming:
    """Raises `OssError` for an address or a length that cannot be read."""
    raw_path, _, raw_query = _raw_target(environ).partition("?")
    try:
        path = unquote(raw_path, errors="strict")
        query = tuple(parse_query(raw_query))
    except UnicodeDecodeError:
        message = "The path or the query is not UTF-8 behind its percent-encoding."
        raise OssError(400, "InvalidObjectName", message) from None
    headers = {name[5:].replace("_", "-").lower(): value for name, value in environ.items() if name.startswith("HTTP_")}
    for name in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        if environ.get(name):
            headers[name.replace("_", "-").lower()] = environ[name]
    chunked = bool(environ.get("wsgi.input_terminated")) and "transfer-encoding" in headers
    return Incoming(
        method=environ["REQUEST_METHOD"],
        readings=_readings(headers.get("host", ""), path),
        query=query,
        headers=headers,
        body=Body(environ["wsgi.input"], None if chunked else _length(headers), chunked=chunked),
        peer=environ.get("REMOTE_ADDR", ""),
        request_id=request_id,
    )


def _raw_target(environ: WSGIEnvironment) -> str:
    """The request target as it came: servers name it differently, and PATH_INFO is decoded already."""
    raw: str = environ.get("RAW_URI") or environ.get("REQUEST_URI") or ""
    if not raw:
        raw = quote(environ.get("PATH_INFO", "/").encode("latin-1"), safe="/")
        if environ.get("QUERY_STRING"):
            raw += "?" + environ["QUERY_STRING"]
    absolute = re.match(r"https?://[^/?]*", raw)
    return raw[absolute.end() :] if absolute else raw


def _length(headers: Mapping[str, str]) -> int | None:
    text = headers.get("content-length")
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise OssError(400, "InvalidArgument", "Content-Length is not a whole number.")
    return int(text)


def _readings(host: str, path: str) -> tuple[Reading, ...]:
    """What an address can mean, the likelier first.

    A Host of the form {bucket}.{endpoint} tells the bucket; some clients then repeat it in the path. Under any
    other Host, such as an IP address, the bucket stands first in the path.
    """
    rest = path[1:] if path.startswith("/") else path
    first, _, behind = rest.partition("/")
    found = _VIRTUAL_HOST.fullmatch(host.lower())
    if not found:
        return (Reading(first, behind),)
    virtual = Reading(found["bucket"], rest)
    return (virtual, Reading(first, behind)) if first == found["bucket"] else (virtual,)
