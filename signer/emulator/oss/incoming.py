"""A request as OSS reads it: the raw path decoded once, the raw query, headers, and the body as a stream."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NamedTuple
from urllib.parse import unquote
from xml.etree import ElementTree

from werkzeug.datastructures import EnvironHeaders

from ...endpoint import parse_oss_host
from ...names import MAX_KEY_BYTES
from ...signed_request import parse_query
from ...sizes import MAX_PUT
from .errors import OssError, incomplete_body, invalid_argument, malformed_xml, too_large

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_BLOCK = 1 << 20
_LOCAL_HOST = re.compile(r"(?P<bucket>[a-z0-9-]+)\.localhost")


class Resource(NamedTuple):
    """An object, a bucket ("" as key) or the service ("" for both)."""

    bucket: str
    key: str


@dataclass(frozen=True)
class OssRequest:
    """`headers` have lower-case names and values as on the wire (Latin-1); `query` holds decoded pairs.

    `resources` are what the address may mean, the likelier first; `bucket` and `key` are set once it is known.
    """

    method: str
    resources: tuple[Resource, ...]
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: RequestBody
    remote_addr: str
    bucket: str = ""
    key: str = ""

    @property
    def params(self) -> dict[str, str]:
        """The query by name; the last value of a repeated name."""
        return dict(self.query)

    @property
    def host(self) -> str:
        return self.headers.get("host", "")

    def integer(self, name: str, minimum: int, maximum: int, default: int | None = None) -> int:
        """A parameter of the query, required if there is no default. Raises `OssError` InvalidArgument."""
        value = self.params.get(name, "")
        if not value and default is not None:
            return default
        if not re.fullmatch(r"[0-9]{1,9}", value) or not minimum <= int(value) <= maximum:
            message = f"Argument {name} must be an integer between {minimum} and {maximum}."
            raise invalid_argument(name, value, message)
        return int(value)


class RequestBody:
    """The request's body, a stream. `length` is None if it comes in chunks or is missing."""

    def __init__(self, stream: BinaryIO, length: int | None, *, chunked: bool) -> None:
        self._stream = stream
        self.length = length
        self.is_chunked = chunked
        self._content: bytes | None = None

    def blocks(self, max_bytes: int = MAX_PUT) -> Iterator[bytes]:
        """The bytes as they arrive. Raises `OssError` if there are more than `max_bytes`, or they end early."""
        if (self.length or 0) > max_bytes:
            raise too_large()
        count = 0
        while self.is_chunked or count < (self.length or 0):
            try:
                block = self._stream.read(
                    _BLOCK if self.is_chunked else min(_BLOCK, (self.length or 0) - count)
                )
            except OSError:
                raise incomplete_body() from None
            if not block and self.is_chunked:
                return
            if not block:
                raise incomplete_body()
            count += len(block)
            if count > max_bytes:
                raise too_large()
            yield block

    def read(self, max_bytes: int) -> bytes:
        """The complete body; it may be read so again."""
        if self._content is None:
            self._content = b"".join(self.blocks(max_bytes))
        return self._content


def read_request(environ: WSGIEnvironment, address: str = "") -> OssRequest:
    """`address` is that of `Settings`. Raises `OssError` for an invalid address or length, and for a bucket in the path
    under a host of OSS.
    """
    raw_path, _, raw_query = environ["RAW_URI"].partition("?")
    try:
        path = unquote(raw_path, errors="strict")
        query = tuple(parse_query(raw_query))
    except UnicodeDecodeError:
        message = "The characters encoding must be utf-8."
        raise OssError(400, "InvalidArgument", message) from None
    headers = {name.lower(): value for name, value in EnvironHeaders(environ)}
    chunked = (
        bool(environ.get("wsgi.input_terminated"))
        and headers.get("transfer-encoding", "").lower() == "chunked"
    )
    signed = dict(query).get("x-oss-additional-headers", "") + headers.get("authorization", "")
    has_both = {"transfer-encoding", "content-length"} <= headers.keys()
    if has_both and (not chunked or "content-length" in signed.lower()):
        # RFC 9112 section 6.1: the chunks count, so a signed length would limit nothing.
        message = (
            "A request must not have both Transfer-Encoding and a Content-Length that is signed."
        )
        raise OssError(400, "InvalidArgument", message, ArgumentName="Content-Length")
    return OssRequest(
        method=environ["REQUEST_METHOD"],
        resources=_resources(headers.get("host", "").lower(), path, address.lower()),
        query=query,
        headers=headers,
        body=RequestBody(
            environ["wsgi.input"], None if chunked else _length(headers), chunked=chunked
        ),
        remote_addr=environ.get("REMOTE_ADDR", ""),
    )


def check_key(key: str) -> None:
    """Raises `OssError` InvalidObjectName. Keys that HTTP clients rewrite ("..", "//") are allowed, as in OSS.

    Source: the OSS page "Object naming conventions".
    """
    if not key or key[0] in "/\\" or "\x00" in key or len(key.encode()) > MAX_KEY_BYTES:
        message = "The specified object is not valid."
        raise OssError(400, "InvalidObjectName", message, ObjectName=key.replace("\x00", ""))


def check_length(request: OssRequest) -> None:
    """Raises `OssError` for a body with neither a length nor chunks."""
    if request.body.length is None and not request.body.is_chunked:
        raise OssError(
            411, "MissingContentLength", "You must provide the Content-Length HTTP header."
        )


def check_digest(content_md5: str | None, md5: bytes) -> None:
    """Raises `OssError` InvalidDigest unless Content-MD5 is that of the body."""
    if content_md5 is None:
        return
    try:
        matches = base64.b64decode(content_md5, validate=True) == md5
    except (binascii.Error, ValueError):
        matches = False
    if not matches:
        message = "The Content-MD5 you specified was invalid."
        raise OssError(400, "InvalidDigest", message, headers=None, **{"Content-MD5": content_md5})


def parse_xml(body: bytes) -> ElementTree.Element:
    """The document in a body. Raises `OssError` MalformedXML."""
    try:
        return ElementTree.fromstring(body)  # noqa: S314 - expat itself limits entities
    except ElementTree.ParseError:
        raise malformed_xml() from None


def _length(headers: Mapping[str, str]) -> int | None:
    length = headers.get("content-length")
    if length is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", length):
        raise OssError(
            400, "InvalidArgument", "Invalid Content-Length: expected a number of bytes."
        )
    return int(length)


def _resources(host: str, path: str, address: str) -> tuple[Resource, ...]:
    """A Host of the form {bucket}.{endpoint} names the bucket; some clients then repeat it in the path. Under any
    other Host, such as an IP address, the bucket is the first segment of the path.
    """
    path = path.removeprefix("/")
    first, _, rest = path.partition("/")
    hostname = host.partition(":")[0]
    match = parse_oss_host(hostname)
    local = _LOCAL_HOST.fullmatch(hostname)
    bucket = None
    if address and host.endswith(f".{address}"):
        bucket = host.removesuffix(f".{address}")
    elif local:
        bucket = local["bucket"]
    elif match:
        bucket = match.bucket
    if bucket is None:
        if first and match:
            message = "Please use virtual hosted style to access."
            raise OssError(403, "SecondLevelDomainForbidden", message, ec="0003-00001401")
        return (Resource(first, rest),)
    virtual = Resource(bucket, path)
    return (virtual, Resource(first, rest)) if first == bucket else (virtual,)
