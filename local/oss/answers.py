"""Answers in OSS's shapes: XML documents, times, and the headers of an object."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from email.utils import formatdate
from urllib.parse import quote
from xml.sax.saxutils import escape

from werkzeug.wrappers import Response

from .storage import Record

_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
_BREAKS = {"\r": "&#13;"}

# An element: its name, and its text or its children.
Node = tuple[str, "str | int | list[Node]"]


def document(
    name: str, content: str | list[Node], *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer that is an XML document."""
    body = (_XML + _render((name, content))).encode()
    return answer(status, body, {**(headers or {}), "Content-Type": "application/xml"})


def answer(status: int, body: bytes | Iterable[bytes] = b"", headers: Mapping[str, str] | None = None) -> Response:
    """An answer with just these headers; a body of bytes gets its Content-Length."""
    response = Response(body or (), status, dict(headers or {}), direct_passthrough=not isinstance(body, bytes))
    if "Content-Type" not in (headers or {}):
        del response.headers["Content-Type"]
    return response


def object_headers(record: Record) -> dict[str, str]:
    """What GET and HEAD tell of an object."""
    headers = {
        "Content-Type": "application/octet-stream",
        "Accept-Ranges": "bytes",
        "ETag": f'"{record.etag}"',
        "Last-Modified": http_date(record.modified),
        "x-oss-object-type": record.kind,
        "x-oss-storage-class": record.storage_class,
        "x-oss-hash-crc64ecma": str(record.crc64),
    }
    headers.update({_TITLES.get(name, name): value for name, value in record.headers.items()})
    if record.is_restored:
        headers["x-oss-restore"] = 'ongoing-request="false"'
    return headers


def stored_headers(record: Record, *, versioning: str) -> dict[str, str]:
    """What an upload is answered with."""
    headers = {"ETag": f'"{record.etag}"', "x-oss-hash-crc64ecma": str(record.crc64)}
    return {**headers, **version_header(record.version_id, versioning)}


def version_header(version_id: str | None, versioning: str) -> dict[str, str]:
    """x-oss-version-id, where the bucket has versions."""
    return {"x-oss-version-id": version_id} if versioning and version_id is not None else {}


def http_date(moment: float) -> str:
    """Unix seconds as `Thu, 01 Jan 1970 00:00:00 GMT`."""
    return formatdate(int(moment), usegmt=True)


def iso_date(moment: float) -> str:
    """Unix seconds as `1970-01-01T00:00:00.000Z`."""
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def encoded(text: str, encoding: str) -> str:
    """A key, or a part of one, in the encoding that a list was asked for ("" or "url")."""
    return quote(text, safe="") if encoding == "url" else text


def _render(node: Node) -> str:
    name, content = node
    if isinstance(content, list):
        return f"<{name}>{''.join(_render(child) for child in content)}</{name}>"
    return f"<{name}>{escape(str(content), _BREAKS)}</{name}>"


_TITLES = {
    "content-type": "Content-Type",
    "cache-control": "Cache-Control",
    "content-disposition": "Content-Disposition",
    "content-encoding": "Content-Encoding",
    "content-language": "Content-Language",
    "expires": "Expires",
}
