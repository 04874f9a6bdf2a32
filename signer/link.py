"""A link: a presigned URL and what a client needs to use it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from typing import NamedTuple

from . import names, v4
from .credentials import FUNCTION_COMPUTE, MAX_SESSION, OFFICIAL_SDK, Credentials
from .endpoint import Endpoint, check_endpoint
from .errors import (
    CredentialsExpired,
    InvalidCredentials,
    InvalidExpiry,
    InvalidHeader,
    InvalidQuery,
    InvalidTime,
    check_type,
    describe_argument,
    string_pairs,
)

MAX_EXPIRES_IN = 604_800
# The signer adds these parameters itself.
RESERVED_QUERY = frozenset({*v4.REQUIRED, "x-oss-additional-headers", "x-oss-security-token"})
LAST_SECOND = 253_402_300_799  # 9999-12-31T23:59:59Z


class Link(NamedTuple):
    """A presigned URL and how to use it.

    The client must send exactly `headers`, besides `Host`. `expires_at` (UTC) is when OSS stops accepting the link and
    `expires_in` the seconds until then; `clamped` is true if the requested expiry was shortened, because the
    credentials expire before it, or may do so. The URL is a secret, so `repr` redacts it.
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
    expires_in: int | timedelta = 900,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    signed_headers: Iterable[str] = (),
    now: datetime | float | None = None,
) -> Link:
    """A link that lets anyone send `method` to `oss://bucket/key` until it expires.

    `key` is None for a request to the bucket itself, such as a list of its objects. `expires_in` is in seconds, 1 to
    604800, or a timedelta of as many. `headers` are those that the request will carry: Content-Type, Content-MD5 and
    x-oss-* are always signed, others only if `signed_headers` names them; `host` is filled in from the endpoint. `now`
    (a datetime with a time zone, or Unix seconds) is the clock, rounded down to a second. The link does not outlive
    `credentials.expires_at`; with a security token and without that time, it is valid for 43200 seconds at most.

    Raises a subclass of `SignerError` for whatever OSS would refuse and clients would change.
    Source: the OSS page "Include a V4 signature in a URL".
    """
    if key is not None:
        names.check_key(key)
    encoded_key = v4.encode_key(key or "")
    signed: dict[str, str] = {}
    additional = ""
    if headers or signed_headers:
        check_endpoint(endpoint)
        signed, additional = _headers_to_sign(headers, signed_headers, endpoint.host(bucket))
    issued = int(time.time()) if now is None else seconds(now)
    arguments = (method, bucket, credentials, endpoint, issued, expires_in, additional)
    try:
        prepared = _prepare(*arguments)
    except TypeError:
        # What has no hash, such as a list, is of a wrong type: without the cache, its check says so.
        prepared = _prepare.__wrapped__(*arguments)
    context, parameters, canonical_query, address = prepared
    if query:
        requested = tuple(string_pairs("query", query, InvalidQuery))
        canonical_query = _canonical_query(parameters, requested)
    request = v4.canonical_request(
        method,
        v4.canonical_path(bucket, encoded_key),
        canonical_query,
        v4.canonical_headers(signed) if signed else "",
        additional,
    )
    signature = v4.signature(
        context.signing_key, v4.string_to_sign(context.timestamp, context.scope, request)
    )
    return Link(
        url=f"{address}{encoded_key}?{canonical_query}&x-oss-signature={signature}",
        method=method,
        headers={
            name: value
            for name, value in headers.items()
            if name.lower() in signed and name.lower() != "host"
        }
        if headers
        else {},
        expires_at=context.expires_at,
        expires_in=context.expires_in,
        clamped=context.clamped,
    )


class SigningContext(NamedTuple):
    """What the signatures of one second have in common, and the parameters that name it, as links and forms do."""

    timestamp: str
    scope: str
    signing_key: bytes
    parameters: dict[str, str]
    expires_at: datetime
    expires_in: int
    clamped: bool

    def __repr__(self) -> str:
        # Without the day's signing key, which signs anything, and without the security token.
        return (
            f"SigningContext(timestamp={self.timestamp!r}, scope={self.scope!r}, "
            f"expires_at={self.expires_at!r}, expires_in={self.expires_in!r})"
        )


def signing_context(
    credentials: Credentials, endpoint: Endpoint, issued: int, requested: int | timedelta
) -> SigningContext:
    """Raises `InvalidExpiry`, `InvalidEndpoint`, `InvalidCredentials`, and `CredentialsExpired` if no time is left."""
    expires_in = limit = read_expiry(requested, MAX_EXPIRES_IN)
    check_endpoint(endpoint)
    check_credentials(credentials)
    if credentials.expires_at is not None:
        remaining = seconds(credentials.expires_at) - issued
        if remaining < 1:
            raise CredentialsExpired(
                "The credentials have expired. Get new ones and sign again.", credentials.expires_at
            )
        expires_in = min(expires_in, remaining)
    elif credentials.security_token:
        expires_in = min(expires_in, MAX_SESSION)
    timestamp = v4.timestamp(issued)
    date = timestamp[:8]
    scope = v4.scope(date, endpoint.region, endpoint.product)
    parameters = {
        "x-oss-signature-version": v4.ALGORITHM,
        "x-oss-credential": f"{credentials.access_key_id}/{scope}",
        "x-oss-date": timestamp,
    }
    if credentials.security_token:
        parameters["x-oss-security-token"] = credentials.security_token
    return SigningContext(
        timestamp=timestamp,
        scope=scope,
        signing_key=v4.signing_key(
            credentials.access_key_secret, date, endpoint.region, endpoint.product
        ),
        parameters=parameters,
        expires_at=datetime.fromtimestamp(issued + expires_in, timezone.utc),
        expires_in=expires_in,
        clamped=expires_in < limit,
    )


# Typed: a tuple equals the credentials that it has, True equals 1, and some equal strings are written otherwise.
@lru_cache(maxsize=64, typed=True)
def _prepare(
    method: str,
    bucket: str,
    credentials: Credentials,
    endpoint: Endpoint,
    issued: int,
    expires_in: int | timedelta,
    additional: str,
) -> tuple[SigningContext, tuple[tuple[str, str], ...], str, str]:
    """The context, its canonical parameters, the query that they are, and the URL up to the key."""
    names.check_method(method)
    names.check_bucket(bucket)
    context = signing_context(credentials, endpoint, issued, expires_in)
    own = {**context.parameters, "x-oss-expires": str(context.expires_in)}
    if additional:
        own["x-oss-additional-headers"] = additional
    parameters = tuple(v4.canonical_parameter(name, value) for name, value in sorted(own.items()))
    return context, parameters, v4.canonical_query(parameters), endpoint.url(bucket, "")


@lru_cache(maxsize=64)
def _canonical_query(
    parameters: tuple[tuple[str, str], ...], requested: tuple[tuple[str, str], ...]
) -> str:
    return v4.canonical_query([*[_canonical_parameter(*pair) for pair in requested], *parameters])


def _canonical_parameter(name: str, value: str) -> tuple[str, str]:
    names.check_query(name, value)
    if name.lower() in RESERVED_QUERY:
        raise InvalidQuery(
            f"Query parameter {name} is not allowed: the signer adds it.",
            name,
            code="reserved_query",
        )
    return v4.canonical_parameter(name, value)


def _headers_to_sign(
    headers: Mapping[str, str] | None, signed_headers: Iterable[str], host: str
) -> tuple[dict[str, str], str]:
    """The headers to sign, by lower-case name, and the canonical list of the additional ones."""
    available: dict[str, str] = {}
    for name, value in string_pairs("headers", headers, InvalidHeader):
        names.check_header(name, value)
        if name.lower() in available:
            raise InvalidHeader(
                f"Duplicate header {name}: pass it once.", name, code="duplicate_header"
            )
        available[name.lower()] = value
    if available.get("x-oss-content-sha256", v4.UNSIGNED_PAYLOAD) != v4.UNSIGNED_PAYLOAD:
        raise InvalidHeader(
            f"Invalid header x-oss-content-sha256: it must be {v4.UNSIGNED_PAYLOAD}, because OSS does not check the "
            "hash of a body. Use Content-MD5.",
            "x-oss-content-sha256",
        )
    if isinstance(signed_headers, str) or not isinstance(signed_headers, Iterable):
        kind = type(signed_headers).__name__
        raise InvalidHeader(
            f"signed_headers must be a list of header names, not one {kind}.", signed_headers
        )
    listed = [*signed_headers]
    for name in listed:
        names.check_header(name, "")
    additional = {name.lower() for name in listed}
    additional = {name for name in additional if not v4.is_always_signed(name)}
    if available.get("host", host) != host:
        raise InvalidHeader(
            f"Invalid header Host: it must be {host!r} for this endpoint, or left out.", "host"
        )
    if "host" in additional:
        available["host"] = host
    for name in sorted(additional - available.keys()):
        raise InvalidHeader(
            f"Missing header {name}: a signed header requires a value in headers.",
            name,
            code="missing_header",
        )
    signed = {
        name: value
        for name, value in available.items()
        if name in additional or v4.is_always_signed(name)
    }
    return signed, v4.additional_headers(additional)


def seconds(when: datetime | float | None) -> int:
    """Unix seconds of a time, rounded down; now if None. Raises `InvalidTime`."""
    if when is None:
        return int(time.time())
    try:
        if isinstance(when, datetime):
            if when.tzinfo is None:
                raise InvalidTime(
                    f"Invalid time {when.isoformat()}: it requires a time zone, such as UTC."
                )
            timestamp = int(when.timestamp() // 1)
        else:
            timestamp = when if type(when) is int else int(when // 1)
    except (TypeError, ValueError, OverflowError):
        raise InvalidTime(
            "Invalid time: expected a datetime with a time zone, or Unix seconds."
        ) from None
    if not 0 <= timestamp <= LAST_SECOND - MAX_EXPIRES_IN:
        raise InvalidTime(
            f"Invalid time {timestamp}: Unix seconds must be in the years 1970 to 9999."
        )
    return timestamp


def read_expiry(expires_in: int | timedelta, maximum: int) -> int:
    """The seconds. Raises `InvalidExpiry` unless they are a whole number from 1 to `maximum`."""
    number = expires_in
    if isinstance(expires_in, timedelta) and not expires_in.microseconds:
        number = expires_in // timedelta(seconds=1)
    if type(number) is not int or not 1 <= number <= maximum:
        raise InvalidExpiry(
            f"Invalid expires_in {describe_argument(expires_in)}: it must be a whole number of seconds from 1 to "
            f"{maximum}, or a timedelta of as many.",
            expires_in,
        )
    return number


def check_credentials(credentials: Credentials) -> None:
    """Raises `InvalidCredentials` unless they can sign: as `check_access_key`, and a temporary key needs its token."""
    check_access_key(credentials)
    if credentials.access_key_id.startswith("STS.") and not credentials.security_token:
        raise InvalidCredentials(
            "Invalid credentials: an access key that begins with STS. is temporary and requires its security token. "
            f"Pass security_token, or set {OFFICIAL_SDK[2]} or {FUNCTION_COMPUTE[2]}."
        )


def check_access_key(credentials: Credentials) -> None:
    """Raises `InvalidCredentials` unless ID and secret are visible ASCII, and so is the token if there is one."""
    expected = "Credentials(access_key_id, access_key_secret, security_token)"
    check_type("credentials", credentials, Credentials, InvalidCredentials, expected)
    for name, value in zip(credentials._fields[:3], credentials[:3], strict=True):
        if value is None and name == "security_token":
            continue
        empty = not value and name != "security_token"
        if (
            not isinstance(value, str)
            or empty
            or not (value.isascii() and value.isprintable())
            or " " in value
        ):
            raise InvalidCredentials(
                f"Invalid credentials: {name} is empty or contains a space or another character that no access key "
                "has. Copy the complete value again."
            )
