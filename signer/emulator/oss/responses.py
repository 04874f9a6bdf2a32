"""Responses of OSS: XML documents, times, the headers of an object, and compression.

Sources: the OSS pages "GetObject" and "How do I compress objects that I download from OSS in the GZIP format?".
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from email.utils import formatdate
from http.client import responses
from urllib.parse import quote

from werkzeug.datastructures import Accept
from werkzeug.http import parse_accept_header
from werkzeug.wrappers import Response

from ...times import rfc3339
from .errors import XML_DECLARATION, Node, render
from .metadata import ACL, STORED, SYMLINK_TARGET, TAGGING, encryption_headers, tags_of
from .storage import ObjectRecord

OWNER: Node = ("Owner", [("ID", "0000000000000000"), ("DisplayName", "0000000000000000")])

_PHRASES = {416: "Requested Range Not Satisfiable"}  # newer versions of Python have another

_MIN_COMPRESSED = 1024  # bytes
_COMPRESSED_TYPES = frozenset(
    {
        "text/cache-manifest",
        "text/xml",
        "text/css",
        "text/html",
        "text/plain",
        "application/javascript",
        "application/x-javascript",
        "application/rss+xml",
        "application/json",
        "text/json",
    }
)
_GZIP = 16 + zlib.MAX_WBITS  # of zlib: with the header and trailer of gzip


def respond(
    status: int, body: bytes | Iterable[bytes] = b"", headers: Mapping[str, str] | None = None
) -> Response:
    """A response with only these headers; a body of bytes gets its Content-Length."""
    phrase = _PHRASES.get(status) or responses.get(status, "")
    status_line = f"{status} {phrase}"
    response = Response(
        body or (), status_line, dict(headers or {}), direct_passthrough=not isinstance(body, bytes)
    )
    if "Content-Type" not in (headers or {}):
        del response.headers["Content-Type"]
    return response


def respond_xml(
    name: str,
    content: str | list[Node],
    *,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    body = (XML_DECLARATION + render((name, content))).encode()
    return respond(status, body, {**(headers or {}), "Content-Type": "application/xml"})


def respond_tags(
    tags: Iterable[tuple[str, str]], headers: Mapping[str, str] | None = None
) -> Response:
    nodes: list[Node] = [("Tag", [("Key", name), ("Value", value)]) for name, value in tags]
    return respond_xml("Tagging", [("TagSet", nodes)], headers=headers)


def object_headers(record: ObjectRecord) -> dict[str, str]:
    """The headers of GET and HEAD."""
    headers = {
        "Content-Type": "application/octet-stream",
        "Accept-Ranges": "bytes",
        "ETag": f'"{record.etag}"',
        "Last-Modified": http_date(record.modified),
        "x-oss-object-type": record.kind,
        "x-oss-storage-class": record.storage_class,
        "x-oss-hash-crc64ecma": str(record.crc64),
        **content_md5_header(record),
    }
    if record.kind == "Appendable":
        headers["x-oss-next-append-position"] = str(record.size)
    hidden = (ACL, TAGGING, SYMLINK_TARGET)
    kept = {name: value for name, value in record.headers.items() if name not in hidden}
    if tags := tags_of(record.headers):
        headers["x-oss-tagging-count"] = str(len(tags))
    headers.update(
        {name.title() if name in STORED else name: value for name, value in kept.items()}
    )
    return headers


def upload_headers(record: ObjectRecord, *, versioning: str) -> dict[str, str]:
    headers = {"ETag": f'"{record.etag}"', "x-oss-hash-crc64ecma": str(record.crc64)}
    return {
        **headers,
        **encryption_headers(record.headers),
        **version_header(record.version_id, versioning),
    }


def content_md5_header(record: ObjectRecord) -> dict[str, str]:
    """Content-MD5, of the complete object or part; none for an object that was uploaded in parts."""
    if record.kind != "Normal":
        return {}
    return {"Content-MD5": base64.b64encode(bytes.fromhex(record.etag)).decode()}


def version_header(version_id: str | None, versioning: str) -> dict[str, str]:
    """x-oss-version-id, if the bucket has versions."""
    return {"x-oss-version-id": version_id} if versioning and version_id is not None else {}


def is_compressed(
    request_headers: Mapping[str, str], headers: Mapping[str, str], size: int
) -> bool:
    """Whether OSS compresses a complete object of `size` bytes with these headers for this client."""
    media_type = headers["Content-Type"].partition(";")[0].strip().lower()
    if (
        size < _MIN_COMPRESSED
        or media_type not in _COMPRESSED_TYPES
        or "Content-Encoding" in headers
    ):
        return False
    return (
        parse_accept_header(request_headers.get("accept-encoding", ""), Accept).quality("gzip") > 0
    )


def compressed_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of the compressed response: without ETag, Content-Length and Accept-Ranges."""
    of_the_object = ("ETag", "Content-Length", "Accept-Ranges")
    remaining = {name: value for name, value in headers.items() if name not in of_the_object}
    return {**remaining, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}


def compress(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """The blocks as one gzip stream."""
    compressor = zlib.compressobj(wbits=_GZIP)
    for block in blocks:
        if compressed := compressor.compress(block):
            yield compressed
    yield compressor.flush()


def http_date(timestamp: float) -> str:
    """Unix seconds as `Thu, 01 Jan 1970 00:00:00 GMT`."""
    return formatdate(int(timestamp), usegmt=True)


def iso_date(time: datetime | float | None) -> str:
    """A time (as a float in Unix seconds) as `1970-01-01T00:00:00.000Z`, "" for None."""
    if time is None:
        return ""
    return rfc3339(int(time.timestamp() if isinstance(time, datetime) else time)).replace(
        "Z", ".000Z"
    )


def encode_key(key: str, encoding: str) -> str:
    """A key, or a part of one, in the encoding that the client requested ("" or "url")."""
    return quote(key, safe="") if encoding == "url" else key


def encoding_type(encoding: str) -> list[Node]:
    return [("EncodingType", encoding)] if encoding else []
