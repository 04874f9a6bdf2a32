"""Reads a signed request: the parts of its URL and of its signature.

Sources: the OSS pages "Include a V4 signature in a URL" and "Include a V4 signature in the Authorization header".
"""

from __future__ import annotations

import re
from calendar import timegm
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus, urlsplit

from . import v4
from .endpoint import Endpoint, is_address, parse_oss_host
from .errors import InvalidLink

REQUIRED = v4.REQUIRED

_TIMESTAMP = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z", re.ASCII)
_AUTHORITY = r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*"
_AUTHORIZATION = re.compile(r"\s*([A-Za-z]+)=([^,\s]*)\s*(?:,|$)")


class Fault(NamedTuple):
    """One reason why a signed request is not valid.

    `code` is unsigned, bad_parameter, expires_out_of_range, wrong_scope (the region), wrong_product,
    unknown_access_key, missing_token, wrong_token, token_expired, skewed, expired, missing_header or
    signature_mismatch. `parameter` is the name of the query parameter or header that is wrong, or None.
    """

    code: str
    parameter: str | None = None


class ParsedUrl(NamedTuple):
    """A URL as OSS reads it: `key` decoded once, `query` as decoded pairs."""

    scheme: str
    host: str
    bucket: str
    key: str
    query: tuple[tuple[str, str], ...]

    def __repr__(self) -> str:
        return (
            f"ParsedUrl(scheme={self.scheme!r}, host={self.host!r}, bucket={self.bucket!r}, key={self.key!r}, "
            f"query={[name for name, _ in self.query]!r})"
        )


def parse_url(
    url: str, *, endpoint: Endpoint | None = None, bucket: str | None = None
) -> ParsedUrl:
    """Splits a URL as OSS does. Raises `InvalidLink` if the URL does not name an object or its bucket is not known."""
    try:
        url.encode()  # half a surrogate pair is part of no URL
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2].lower()
        path = unquote(parts.path, errors="strict")[1:]
        query = tuple(parse_query(parts.query))
        hostname = parts.hostname or ""
    except (ValueError, AttributeError):
        raise InvalidLink("Invalid URL. Copy the complete link again.") from None
    if parts.scheme not in ("http", "https") or not hostname:
        raise InvalidLink("Invalid link: it must begin with https:// or http://, and a host.")
    oss_host = parse_oss_host(hostname)
    if endpoint is not None:
        addressing = endpoint.addressing
        owner = host.removesuffix("." + endpoint.domain) if addressing == "virtual" else bucket
    elif oss_host:
        addressing = "virtual" if oss_host.bucket else "path"
        owner = oss_host.bucket
    else:
        addressing = "path" if bucket is None and is_address(hostname) else "custom"
        owner = bucket
    if addressing == "path":
        owner, _, path = path.partition("/")
    if not owner:
        from .redaction import redact  # a link that lost its "?" is all host

        raise InvalidLink(
            f"Unknown bucket: the domain {redact(host)} does not contain it. Pass bucket (--bucket)."
        )
    if not path:
        raise InvalidLink("Invalid link: the URL does not name an object.")
    return ParsedUrl(scheme=parts.scheme, host=host, bucket=owner, key=path, query=query)


def parse_query(query: str) -> Iterable[tuple[str, str]]:
    """The decoded pairs of a raw query; "+" is a space, as OSS reads it. Raises `UnicodeDecodeError`."""
    for pair in query.split("&"):
        if pair:
            name, _, value = pair.partition("=")
            yield unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")


def read_timestamp(string: str) -> int | None:
    """Unix seconds of `YYYYMMDDThhmmssZ`, None for anything else."""
    match = _TIMESTAMP.fullmatch(string)
    try:
        year, month, day, hour, minute, second = map(int, match.groups() if match else ())
        return timegm(datetime(year, month, day, hour, minute, second).timetuple())
    except ValueError:
        return None


def read_http_date(string: str) -> int | None:
    """Unix seconds of a `Date` header, `Sun, 06 Nov 1994 08:49:37 GMT`, None for anything else."""
    from email.utils import formatdate, parsedate_to_datetime

    try:
        timestamp = int(parsedate_to_datetime(string).timestamp())
        return timestamp if formatdate(timestamp, usegmt=True) == string else None
    except (TypeError, ValueError, OverflowError, OSError):
        return None


class ParsedSignature(NamedTuple):
    """The parts of a signature; `faults` are those that cannot be read.

    `issued_at` is the signing time as it was sent, `issued` the same in Unix seconds; `expires` is in seconds.
    """

    faults: tuple[Fault, ...]
    access_key_id: str
    date: str
    region: str
    product: str
    issued_at: str
    issued: int
    expires: int | None
    token: str
    additional: tuple[str, ...]
    signature: str
    in_query: bool

    def __repr__(self) -> str:
        return (
            f"ParsedSignature(faults={self.faults!r}, region={self.region!r}, product={self.product!r}, "
            f"issued_at={self.issued_at!r}, expires={self.expires!r}, in_query={self.in_query!r})"
        )

    def location(self, part: str) -> str:
        """The query parameter or header that holds a part."""
        return f"x-oss-{part}" if self.in_query else "authorization"


def parse_query_signature(query: Mapping[str, str]) -> ParsedSignature:
    """The signature in the query of a presigned URL."""
    faults = [Fault("bad_parameter", name) for name in REQUIRED if not query.get(name)]
    if query.get("x-oss-signature-version", v4.ALGORITHM) != v4.ALGORITHM:
        faults.append(Fault("bad_parameter", "x-oss-signature-version"))
    if query.get("x-oss-additional-headers") == "":
        faults.append(Fault("bad_parameter", "x-oss-additional-headers"))
    expires = query.get("x-oss-expires", "")
    is_integer = re.fullmatch(r"-?[0-9]{1,18}", expires) is not None
    if expires and not is_integer:
        faults.append(Fault("bad_parameter", "x-oss-expires"))
    issued = read_timestamp(query.get("x-oss-date", ""))
    return _parse_signature(faults, query, issued, int(expires) if is_integer else 0, in_query=True)


def parse_header_signature(headers: Mapping[str, str]) -> ParsedSignature:
    """The signature in the Authorization header; names are lower-case. Without x-oss-date, Date is the signing time."""
    issued_at = headers.get("x-oss-date", "")
    date = headers.get("date", "")
    fields = dict(_AUTHORIZATION.findall(headers["authorization"].partition(" ")[2]))
    faults = [] if fields.get("Signature") else [Fault("bad_parameter", "authorization")]
    parameters = {
        "x-oss-credential": fields.get("Credential", ""),
        "x-oss-date": issued_at or date,
        "x-oss-security-token": headers.get("x-oss-security-token", ""),
        "x-oss-additional-headers": fields.get("AdditionalHeaders", ""),
        "x-oss-signature": fields.get("Signature", ""),
    }
    issued = read_timestamp(issued_at) if issued_at else read_http_date(date)
    return _parse_signature(faults, parameters, issued, None, in_query=False)


def _parse_signature(
    faults: list[Fault],
    parameters: Mapping[str, str],
    issued: int | None,
    expires: int | None,
    *,
    in_query: bool,
) -> ParsedSignature:
    """Of a header, the `parameters` are what it has in place of those of a URL."""
    access_key_id, _, scope = parameters.get("x-oss-credential", "").partition("/")
    additional = parameters.get("x-oss-additional-headers", "")
    date, region, product, ending = [*scope.split("/"), "", "", "", ""][:4]
    if issued is None:
        faults.append(Fault("bad_parameter", "x-oss-date"))
    is_scope = (
        access_key_id and region and product and ending == v4.REQUEST and scope.count("/") == 3
    )
    if not is_scope or (issued is not None and date != v4.timestamp(issued)[:8]):
        faults.append(Fault("bad_parameter", "x-oss-credential" if in_query else "authorization"))
    return ParsedSignature(
        faults=tuple(dict.fromkeys(faults)),
        access_key_id=access_key_id,
        date=date,
        region=region,
        product=product,
        issued_at=parameters.get("x-oss-date", ""),
        issued=issued or 0,
        expires=expires,
        token=parameters.get("x-oss-security-token", ""),
        additional=tuple(additional.lower().split(";")) if additional else (),
        signature=parameters.get("x-oss-signature", ""),
        in_query=in_query,
    )


def path_and_query(target: str) -> str:
    """The path and query of a request target, without the scheme and host of an absolute one (RFC 9112 §3.2.2)."""
    match = None if target.startswith("/") else re.match(_AUTHORITY, target)
    if not match:
        return target
    rest = target[match.end() :]
    return rest if rest.startswith("/") else f"/{rest}"
