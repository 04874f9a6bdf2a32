"""A domain of the local CDN, as a WSGI application.

Sources: the CDN pages on type A of URL signing, on origin fetch from private OSS buckets, and on the reasons of 403.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from werkzeug.exceptions import MethodNotAllowed, ServiceUnavailable
from werkzeug.wrappers import Request, Response

from handler.core import keys
from handler.core.config import Config, Location, Mount
from handler.core.errors import HandlerError
from signer import CdnKey, Credentials, v4
from signer.cdn import fault_of, read_address
from signer.emulator.oss.storage import Buckets

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

LIFETIME = 300  # seconds for which a copy is used
MAX_COPIES = 64
MAX_COPY = 1 << 20  # bytes
TIMEOUT = 60  # seconds
_PASSED_ON = (
    "Range",
    "If-Range",
    "If-Match",
    "If-None-Match",
    "If-Modified-Since",
    "If-Unmodified-Since",
    "Origin",
)
_OF_CONNECTION = ("connection", "server", "transfer-encoding")
# What X-Tengine-Error says.
_REASONS = {"expired": "expired timestamp", "signature_mismatch": "invalid md5hash"}


class Domain(NamedTuple):
    """How links are checked, and the mounts that they are for, at least one."""

    key: CdnKey
    mounts: Sequence[Mount]


def read_domain(name: str, configs: Iterable[Config], root: Path) -> Domain:
    """What the keys document says of a CDN now; one in OSS is below `root`. Raises the 503 `ServiceUnavailable`."""
    try:
        candidates = (
            (each, [mount for mount in each.mounts if mount.cdn == name]) for each in configs
        )
        config, mounts = next((each, mounts) for each, mounts in candidates if mounts)
        document = config.keys_document
        if isinstance(document, Location):
            bucket = Buckets(root).get(document.bucket)
            opened = bucket.open(document.key) if bucket else None
            content = b"".join(opened.blocks()) if opened else b""
        else:
            content = document.read_bytes() if document else b""
        return Domain(keys.parse(content).cdn[name], mounts)
    except (StopIteration, HandlerError, KeyError, OSError):
        what = f"The keys document has no valid key for the CDN {name}."
        raise ServiceUnavailable(f"{what} Run python -m handler.commands keys add-cdn.") from None


class Origin(NamedTuple):
    """The local OSS at an address, the credentials of the CDN's own role, and a clock (Unix seconds)."""

    url: str
    region: str
    credentials: Credentials
    now: Callable[[], float] = time.time

    def sign(self, method: str, bucket: str, target: str) -> dict[str, str]:
        """The headers of a request for a path and query, with its signature in Authorization."""
        path, _, query = target.partition("?")
        issued_at = v4.timestamp(int(self.now()))
        scope = v4.scope(issued_at[:8], self.region)
        key_id, secret, token, _ = self.credentials
        headers = {"x-oss-content-sha256": v4.UNSIGNED_PAYLOAD, "x-oss-date": issued_at}
        headers["x-oss-security-token"] = token or ""
        parameters = [
            v4.canonical_parameter(*pair) for pair in parse_qsl(query, keep_blank_values=True)
        ]
        resource = v4.canonical_path(bucket, v4.encode_key(unquote(path[1:])))
        signed = (resource, v4.canonical_query(parameters), v4.canonical_headers(headers), "")
        string = v4.string_to_sign(issued_at, scope, v4.canonical_request(method, *signed))
        signature = v4.signature(v4.signing_key(secret, issued_at[:8], self.region), string)
        return {
            **headers,
            "Authorization": f"{v4.ALGORITHM} Credential={key_id}/{scope},Signature={signature}",
        }


def create_app(
    domain: Callable[[], Domain], origin: Origin, now: Callable[[], float] = time.time
) -> WSGIApplication:
    """`domain` is called for each request; `now` is the clock of links and copies, in Unix seconds."""
    copies: dict[str, tuple[float, list[tuple[str, str]], bytes]] = {}

    @Request.application
    def cdn(request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(["GET", "HEAD"])
        target = request.environ["RAW_URI"]
        (key, mounts) = domain()
        fault = fault_of(key, target, now())
        address = read_address(key, target)
        if fault or address is None:
            reason = _REASONS.get(fault or "", f"no url arg {key.parameter}")
            return Response(
                status=403, headers={"X-Tengine-Error": f"denied by req auth: {reason}"}
            )
        # A private origin opens every object of its bucket, not only those of mounts.
        covers = [
            mount for mount in mounts if unquote(address.path[1:]).startswith(mount.target.key)
        ]
        mount = (*covers, *mounts)[0]
        name = address.path + (
            "" if mount.cdn_ignores_query or not address.query else f"?{address.query}"
        )
        fetched_at, headers, body = copies.get(name, (float("-inf"), [], b""))
        if not 0 <= now() - fetched_at < LIFETIME:
            return fetch(request, mount.target.bucket, name)
        response = Response(body, headers=[*headers, ("X-Cache", "HIT")])
        return response.make_conditional(request, accept_ranges=True, complete_length=len(body))

    def fetch(request: Request, bucket: str, name: str) -> Response:
        """What the origin answers, as it arrives; a small object is kept."""
        sent = {
            header: request.headers[header] for header in _PASSED_ON if header in request.headers
        }
        sent |= {"Connection": "close", **origin.sign(request.method, bucket, name)}
        connection = HTTPConnection(urlsplit(origin.url).netloc, timeout=TIMEOUT)
        connection.request(request.method, f"/{bucket}{name}", headers=sent)
        answer = connection.getresponse()
        headers = [pair for pair in answer.getheaders() if pair[0].lower() not in _OF_CONNECTION]
        length = int(answer.headers.get("Content-Length", MAX_COPY + 1))
        is_kept = (request.method, answer.status) == ("GET", 200)

        def blocks() -> Iterator[bytes]:
            while block := answer.read(MAX_COPY):
                if is_kept and len(block) == length:  # the complete object
                    copies.pop(next(iter(copies)) if len(copies) >= MAX_COPIES else name, None)
                    copies[name] = now(), headers, block
                yield block

        response = Response(blocks(), answer.status, [*headers, ("X-Cache", "MISS")])
        response.call_on_close(answer.close)
        if request.method == "HEAD":  # its body is never asked for
            response.close()
        return response

    return cdn
