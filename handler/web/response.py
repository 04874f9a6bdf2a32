"""HTTP responses, independent of the platform: their headers, JSON, or a link as a redirect."""

from __future__ import annotations

import json
from typing import NamedTuple

from ..core import audit
from ..core.config import Config
from ..core.context import Invocation
from ..core.errors import Problem
from ..core.links import IssuedLink
from ..core.paths import check_path
from ..core.request import Request

HEADERS = {
    "Cache-Control": "no-store",
    "Vary": "Accept, Authorization",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
CORS_ALLOWED_HEADERS = "Authorization, Content-Type"
CORS_EXPOSED_HEADERS = "Retry-After, X-Fc-Request-Id"
CORS_MAX_AGE = "600"  # seconds
TRANSPORT_SECURITY = "max-age=31536000"  # one year, for this domain alone

# Function Compute answers 502 above 8 KB of response headers, and adds some of its own.
MAX_HEADERS = 8192 - 1024  # bytes


class Response(NamedTuple):
    status: int
    headers: dict[str, str]
    body: str = ""

    def __repr__(self) -> str:
        # Location and body may contain a link.
        return f"Response(status={self.status}, headers={sorted(self.headers)!r}, body=<{len(self.body)} characters>)"


def body_path(invocation: Invocation, path: str) -> str:
    """The path that a JSON body names, which the audit line then has, too. Raises the 400 `bad_path`."""
    invocation.audit_fields["body_path"] = audit.path(path)
    return check_path(path)


def json_response(document: object, status: int = 200) -> Response:
    """With a line feed at its end, after which a shell begins its prompt."""
    return Response(status, {"Content-Type": "application/json"}, json.dumps(document) + "\n")


def redirect(issued: IssuedLink, status: int = 302) -> Response:
    """A redirect to the link. Raises the 400 `link_too_long` where it does not fit into a header."""
    if len(issued.link.url) > MAX_HEADERS:
        raise Problem("link_too_long")
    return Response(status, {"Location": issued.link.url})


def wants_json(request: Request, has_key: bool = False) -> bool:
    """Whether to answer with the link as JSON. Raises the 400 `bad_format`.

    A request with a key gets JSON by default, because some clients send Authorization on to the target of a redirect,
    and OSS refuses a link together with it.
    """
    requested = request.query.get("format")
    if requested is None:
        return has_key or request.wants_json()
    if requested not in ("json", "redirect"):
        raise Problem("bad_format")
    return requested == "json"


def origin_of(request: Request, invocation: Invocation, *, needs_page: bool) -> str:
    """The origin of this service: `public_url`, else the domain that the platform names, never one of a header."""
    public_url = invocation.config.public_url
    if public_url is not None:
        return public_url
    if needs_page or not request.domain:
        raise Problem("public_url_required")
    return f"https://{request.domain}"


def with_config_headers(request: Request, config: Config, response: Response) -> Response:
    """Adds HSTS and CORS where `public_url` and `cors_allow_origin` ask for them."""
    if _came_over_tls(request, config.public_url):
        response = response._replace(
            headers={**response.headers, "Strict-Transport-Security": TRANSPORT_SECURITY}
        )
    return _with_cors(request, config, response) if "origin" in request.headers else response


def _came_over_tls(request: Request, public_url: str | None) -> bool:
    """Whether a request came to the domain of an https `public_url`.

    A custom runtime learns the domain from the Host header alone: a forged one affects only the client that sends it.
    """
    if public_url is None or not public_url.startswith("https://"):
        return False
    domain = (request.domain or request.headers.get("host", "")).lower().removesuffix(":443")
    return domain == public_url.removeprefix("https://") and not came_over_http(request)


def came_over_http(request: Request) -> bool:
    """Whether the platform says that a request came over http.

    No document says whether Function Compute sends X-Forwarded-Proto, so only a value other than https counts.
    """
    protocol = request.headers.get("x-forwarded-proto", "https").partition(",")[0].strip()
    return protocol.lower() != "https"


def _with_cors(request: Request, config: Config, response: Response) -> Response:
    """Adds the CORS headers for an allowed origin; a redirect stays as it is.

    Function Compute adds Access-Control-Allow-Origin itself, and browsers refuse two of them: the function adds it
    only where links.toml says cors_allow_origin = "function".
    """
    origin = request.headers["origin"]
    if origin not in config.cors or 300 <= response.status < 400:
        return response
    headers = {
        **response.headers,
        "Vary": response.headers.get("Vary", HEADERS["Vary"]) + ", Origin",
    }
    if config.cors_by_function:
        headers["Access-Control-Allow-Origin"] = origin
    if request.method == "OPTIONS" and "access-control-request-method" in request.headers:
        headers["Access-Control-Allow-Methods"] = response.headers.get("Allow", "")
        headers["Access-Control-Allow-Headers"] = CORS_ALLOWED_HEADERS
        headers["Access-Control-Max-Age"] = CORS_MAX_AGE
    else:
        headers["Access-Control-Expose-Headers"] = CORS_EXPOSED_HEADERS
    return response._replace(headers=headers)
