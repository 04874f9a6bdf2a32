"""A link: a presigned URL with all that is needed to use it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from functools import lru_cache
from typing import NamedTuple

from . import names, v4
from .credentials import Credentials
from .endpoint import Endpoint
from .errors import CredentialsExpired, InvalidCredentials, InvalidExpiry, InvalidHeader, InvalidQuery, InvalidTime

MAX_EXPIRES_IN = 604_800
# What the signer itself puts into the query; a caller who gave one of them would sign something else.
RESERVED_QUERY = frozenset(
    f"x-oss-{name}"
    for name in (
        "additional-headers",
        "credential",
        "date",
        "expires",
        "security-token",
        "signature",
        "signature-version",
    )
)
_LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z


class Link(NamedTuple):
    """A presigned URL and how to use it.

    `headers` are exactly what the caller must send besides `Host`. `expires_at` (UTC) is when OSS stops
    answering and `expires_in` the seconds until then; `clamped` says that the credentials end before the expiry
    that was asked for. The URL is a secret, so it never shows in `repr`.
    """

    url: str
    method: str
    headers: dict[str, str]
    expires_at: datetime
    expires_in: int
    clamped: bool

    def __repr__(self) -> str:
        from .redaction import redact

        return (
            f"Link(url={redact(self.url)!r}, method={self.method!r}, headers={sorted(self.headers)!r}, "
            f"expires_at={self.expires_at!r}, expires_in={self.expires_in!r}, clamped={self.clamped!r})"
        )


def presign(
    method: str,
    bucket: str,
    key: str | None,
    *,
    credentials: Credentials,
    endpoint: Endpoint,
    expires_in: int = 900,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    signed_headers: Iterable[str] = (),
    now: datetime | float | None = None,
) -> Link:
    """A link that lets anyone do `method` on `oss://bucket/key` until it expires.

    `key` is None for a request to the bucket itself, such as a list of its objects. `expires_in` is in seconds, 1 to
    604800. `headers` are those that the request will carry: Content-Type,
    Content-MD5 and x-oss-* are always signed, others only where `signed_headers` names them; `host` is filled
    in from the endpoint. `now` (a datetime with a zone, or Unix seconds) is the clock, cut to whole seconds.
    The expiry is clamped to `credentials.expires_at` where that is known, and to nothing else.

    Raises a child of `SignerError` for whatever OSS would refuse and whatever would break on its way there.
    Source: the OSS page "Include a V4 signature in a URL".
    """
    if key is None:
        encoded_key = ""
    elif names.is_plain_key(key):
        encoded_key = key
    else:
        names.check_key(key)
        encoded_key = v4.encode_key(key)
    check_expiry(expires_in)
    signed, additional = (
        sign_headers(headers, signed_headers, endpoint.host(bucket)) if headers or signed_headers else ({}, "")
    )
    issued = int(time.time()) if now is None else seconds(now)
    frame = _frame(method, bucket, credentials, endpoint, issued, expires_in, additional)
    canonical_query = _query(frame.parameters, tuple(query.items())) if query else frame.query
    request = v4.canonical_request(
        method,
        v4.canonical_path(bucket, encoded_key),
        canonical_query,
        v4.canonical_headers(signed) if signed else "",
        additional,
        signed.get("x-oss-content-sha256", v4.UNSIGNED_PAYLOAD),
    )
    signature = v4.signature(frame.signing_key, v4.string_to_sign(frame.timestamp, frame.scope, request))
    return Link(
        f"{frame.address}{encoded_key}?{canonical_query}&x-oss-signature={signature}",
        method,
        {name: value for name, value in headers.items() if name.lower() in signed and name.lower() != "host"}
        if headers
        else {},
        frame.expires_at,
        frame.expires_in,
        frame.expires_in < expires_in,
    )


@lru_cache(maxsize=64)
def _query(parameters: tuple[tuple[str, str], ...], own: tuple[tuple[str, str], ...]) -> str:
    """The canonical query of a frame's parameters and the caller's own."""
    return v4.canonical_query([*[own_parameter(*pair) for pair in own], *parameters])


def own_parameter(name: str, value: str) -> tuple[str, str]:
    """A query parameter of the caller's own, checked, in its canonical form. Raises `InvalidQuery`."""
    names.check_query(name, value)
    if name.lower() in RESERVED_QUERY:
        raise InvalidQuery(
            f"The query parameter {name} is the signature's own: leave it out.", code="reserved_query", name=name
        )
    return v4.canonical_parameter(name, value)


def sign_headers(
    headers: Mapping[str, str] | None, signed_headers: Iterable[str], host: str
) -> tuple[dict[str, str], str]:
    """The headers to sign, by lower-case name, and the canonical list of the additional ones.

    Raises `InvalidHeader` for a header given twice, and for a name that is to be signed and was not given.
    """
    given: dict[str, str] = {}
    for name, value in (headers or {}).items():
        names.check_header(name, value)
        if name.lower() in given:
            raise InvalidHeader(f"The header {name} is given twice: give it once.", code="duplicate_header", name=name)
        given[name.lower()] = value
    if isinstance(signed_headers, str):
        raise InvalidHeader("signed_headers is a list of header names, not one text.", name=signed_headers)
    additional = {name.lower() for name in signed_headers}
    additional = {name for name in additional if not v4.is_always_signed(name)}
    if given.get("host", host) != host:
        raise InvalidHeader(f"The header Host is {host!r} for this endpoint: leave it out.", name="host")
    if "host" in additional:
        given["host"] = host
    for name in sorted(additional - given.keys()):
        raise InvalidHeader(
            f"The header {name} is to be signed: give its value in headers.", code="missing_header", name=name
        )
    signed = {name: value for name, value in given.items() if name in additional or v4.is_always_signed(name)}
    return signed, v4.additional_headers(additional)


def seconds(moment: datetime | float | None) -> int:
    """Whole Unix seconds of a moment, now if None. Raises `InvalidTime`."""
    if moment is None:
        return int(time.time())
    try:
        if isinstance(moment, datetime):
            if moment.tzinfo is None:
                raise InvalidTime(f"The time {moment.isoformat()} has no zone: give it one, such as UTC.")
            whole = int(moment.timestamp() // 1)
        else:
            whole = int(moment // 1)
    except (TypeError, ValueError, OverflowError):
        raise InvalidTime("A time is a datetime with a zone, or Unix seconds.") from None
    if not 0 <= whole <= _LAST_SECOND - MAX_EXPIRES_IN:
        raise InvalidTime(f"{whole} is no time from 1970 to 9999 in Unix seconds.")
    return whole


class _Frame(NamedTuple):
    """What all links of one method, bucket, second, expiry and set of credentials have in common, checked.

    `address` is the URL up to the key.
    """

    timestamp: str
    scope: str
    signing_key: bytes
    parameters: tuple[tuple[str, str], ...]
    query: str
    address: str
    expires_at: datetime
    expires_in: int


@lru_cache(maxsize=64)
def _frame(
    method: str,
    bucket: str,
    credentials: Credentials,
    endpoint: Endpoint,
    issued: int,
    expires_in: int,
    additional: str,
) -> _Frame:
    names.check_method(method)
    names.check_bucket(bucket)
    check_credentials(credentials)
    expires_in = clamp(expires_in, credentials, issued)
    issued_at = v4.timestamp(issued)
    date = issued_at[:8]
    scope = v4.scope(date, endpoint.region, endpoint.product)
    own = {
        "x-oss-credential": f"{credentials.access_key_id}/{scope}",
        "x-oss-date": issued_at,
        "x-oss-expires": str(expires_in),
        "x-oss-signature-version": v4.ALGORITHM,
    }
    if additional:
        own["x-oss-additional-headers"] = additional
    if credentials.security_token:
        own["x-oss-security-token"] = credentials.security_token
    parameters = tuple(v4.canonical_parameter(name, value) for name, value in sorted(own.items()))
    return _Frame(
        issued_at,
        scope,
        v4.signing_key(credentials.access_key_secret, date, endpoint.region, endpoint.product),
        parameters,
        v4.canonical_query(parameters),
        endpoint.url(bucket, ""),
        datetime.fromtimestamp(issued + expires_in, timezone.utc),
        expires_in,
    )


def check_expiry(expires_in: int) -> None:
    """Raises `InvalidExpiry` unless `expires_in` is a whole number of seconds from 1 to 604800."""
    if type(expires_in) is not int or not 1 <= expires_in <= MAX_EXPIRES_IN:
        raise InvalidExpiry(
            f"A link lives for 1 to {MAX_EXPIRES_IN} whole seconds, not {expires_in!r}.", expires_in=expires_in
        )


def clamp(expires_in: int, credentials: Credentials, issued: int) -> int:
    """The seconds from `issued` that are left of an expiry until the credentials end, where they say when.

    Raises `CredentialsExpired` where that is less than one.
    """
    if credentials.expires_at is None:
        return expires_in
    left = seconds(credentials.expires_at) - issued
    if left < 1:
        raise CredentialsExpired(
            "The credentials have ended: get new ones and sign again.", expires_at=credentials.expires_at
        )
    return min(expires_in, left)


def check_credentials(credentials: Credentials) -> None:
    """Raises `InvalidCredentials` unless id and secret are visible ASCII, and the token too where there is one."""
    for name, value in zip(credentials._fields[:3], credentials[:3], strict=True):
        if value is None and name == "security_token":
            continue
        empty = not value and name != "security_token"
        if not isinstance(value, str) or empty or not (value.isascii() and value.isprintable()) or " " in value:
            raise InvalidCredentials(
                f"The credentials' {name} is empty or holds a blank or a character that no access key has: "
                "copy it again, whole."
            )
