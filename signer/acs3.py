"""Signature version 3 of Alibaba Cloud's RPC APIs (STS, RAM), step by step in the order and words of the specification.

Source: the page "Request syntax and signature method V3" of the Alibaba Cloud SDK documentation. Every function is
pure; those of steps 1 to 3 serve whoever signs a request and whoever verifies one.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .credentials import Credentials
from .errors import InvalidQuery
from .link import check_credentials, seconds
from .names import check_header
from .times import rfc3339
from .v4 import additional_headers, canonical_headers, encode

ALGORITHM = "ACS3-HMAC-SHA256"

_AUTHORIZATION = re.compile(
    rf"{ALGORITHM} +Credential=(?P<access_key_id>[^,\s]+), *SignedHeaders=(?P<headers>[^,\s]+), *"
    r"Signature=(?P<signature>[^,\s]+)"
)


# --- 1. the canonical request ---------------------------------------------------------------------------------


def canonical_request(
    method: str, path: str, query: str, headers: str, signed: str, payload: str
) -> str:
    """Joins the canonical parts below; `headers` ends with a line feed, and the path of an RPC API is "/"."""
    #       POST       /       A=b&C=d  name:value\n  names    hash
    return f"{method}\n{path}\n{query}\n{headers}\n{signed}\n{payload}"


def canonical_query(parameters: Iterable[tuple[str, str]]) -> str:
    """The parameters, sorted by name and then percent-encoded; an empty value keeps its `=`."""
    return "&".join([f"{encode(name)}={encode(value)}" for name, value in sorted(parameters)])


def is_signed(name: str) -> bool:
    """Whether a header with this lower-case name must be signed in every request that has it."""
    return name in ("host", "content-type") or name.startswith("x-acs-")


def payload_hash(body: bytes) -> str:
    """The hexadecimal SHA-256 of a request's body, the value of x-acs-content-sha256."""
    return hashlib.sha256(body).hexdigest()


# --- 2. the string to sign ------------------------------------------------------------------------------------


def string_to_sign(request: str) -> str:
    """Two lines: algorithm and the hash of the canonical request."""
    return f"{ALGORITHM}\n{hashlib.sha256(request.encode()).hexdigest()}"


# --- 3. the signature -----------------------------------------------------------------------------------------


def signature(secret: str, string: str) -> str:
    """The hexadecimal HMAC-SHA256 of the string to sign, with the access key secret itself as the key."""
    return hmac.new(secret.encode(), string.encode(), hashlib.sha256).hexdigest()


# --- 4. the Authorization header ------------------------------------------------------------------------------


class Authorization(NamedTuple):
    """The parts of the Authorization header; `signed_headers` are lower-case names, as they were sent."""

    access_key_id: str
    signed_headers: tuple[str, ...]
    signature: str

    def __str__(self) -> str:
        names = ";".join(self.signed_headers)
        return f"{ALGORITHM} Credential={self.access_key_id},SignedHeaders={names},Signature={self.signature}"

    def __repr__(self) -> str:
        return f"Authorization(signed_headers={self.signed_headers!r})"

    @classmethod
    def parse(cls, header: str) -> Authorization | None:
        """Reads the header; None if it has another form or algorithm."""
        match = _AUTHORIZATION.fullmatch(header.strip())
        if not match:
            return None
        return cls(
            match["access_key_id"], tuple(match["headers"].lower().split(";")), match["signature"]
        )


class SignedCall(NamedTuple):
    """A request without a body that calls an RPC API. It must be sent with every header and to the URL as they are."""

    method: str
    url: str
    headers: Mapping[str, str]

    def __repr__(self) -> str:
        from .redaction import redact

        return f"SignedCall(method={self.method!r}, url={redact(self.url)!r}, headers={sorted(self.headers)!r})"


def sign_call(
    host: str,
    action: str,
    version: str,
    params: Mapping[str, str],
    *,
    credentials: Credentials,
    now: float,
    nonce: str,
    scheme: str = "https",
) -> SignedCall:
    """Signs a call of `action`, whose `params` go into the query of a POST.

    `host` may have a port. `now` is in Unix seconds; `nonce` must be new in every call, a retry included. The response
    is requested as JSON. Raises `InvalidCredentials`, `InvalidQuery`, `InvalidHeader` and `InvalidTime`.
    """
    check_credentials(credentials)
    headers = {
        "host": host,
        "x-acs-action": action,
        "x-acs-content-sha256": payload_hash(b""),
        "x-acs-date": rfc3339(seconds(now)),
        "x-acs-signature-nonce": nonce,
        "x-acs-version": version,
    }
    if credentials.security_token:
        headers["x-acs-security-token"] = credentials.security_token
    for name, value in headers.items():
        check_header(name, value)
    try:
        query = canonical_query(params.items())
    except UnicodeEncodeError:
        raise InvalidQuery(
            "Invalid parameter: it contains half a surrogate pair, which UTF-8 cannot encode."
        ) from None
    names = additional_headers(headers)
    request = canonical_request(
        "POST", "/", query, canonical_headers(headers), names, payload_hash(b"")
    )
    authorization = Authorization(
        credentials.access_key_id,
        tuple(sorted(headers)),
        signature(credentials.access_key_secret, string_to_sign(request)),
    )
    url = f"{scheme}://{host}/?{query}" if query else f"{scheme}://{host}/"
    return SignedCall(
        "POST", url, {**headers, "accept": "application/json", "Authorization": str(authorization)}
    )
