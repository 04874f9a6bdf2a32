"""Responses that OSS compresses. Source: the OSS page "How do I compress objects … in the GZIP format?"."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping

from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header

_MIN_SIZE = 1024  # bytes
_TYPES = frozenset(
    {
        "text/cache-manifest", "text/xml", "text/css", "text/html", "text/plain", "application/javascript",
        "application/x-javascript", "application/rss+xml", "application/json", "text/json",
    }
)  # fmt: skip
_GZIP = 16 + zlib.MAX_WBITS  # of zlib: with the header and trailer of gzip


def is_compressed(request_headers: Mapping[str, str], headers: Mapping[str, str], size: int) -> bool:
    """Whether OSS compresses a complete object of `size` bytes with these headers for this client."""
    media_type = headers["Content-Type"].partition(";")[0].strip().lower()
    if size < _MIN_SIZE or media_type not in _TYPES or "Content-Encoding" in headers:
        return False
    return parse_accept_header(request_headers.get("accept-encoding", ""), Accept).quality("gzip") > 0


def compressed_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of the compressed response: without ETag, Content-Length and Accept-Ranges."""
    kept = {name: value for name, value in headers.items() if name not in ("ETag", "Content-Length", "Accept-Ranges")}
    return {**kept, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}


def compress(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The blocks as one gzip stream."""
    compressor = zlib.compressobj(wbits=_GZIP)
    for block in blocks:
        if compressed := compressor.compress(block):
            yield compressed
    yield compressor.flush()
