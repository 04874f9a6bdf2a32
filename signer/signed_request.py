"""A signed request as it is presented: the parts of its URL, and those of its signature.

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
from .endpoint import Endpoint
from .errors import InvalidLink

REQUIRED = ("x-oss-signature-version", "x-oss-credential", "x-oss-date", "x-oss-expires", "x-oss-signature")

_TIMESTAMP = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z", re.ASCII)
_AUTHORIZATION = re.compile(r"\s*([A-Za-z]+)=([^,\s]*)\s*(?:,|$)")
_HOST = re.compile(
    r"(?:(?P<bucket>[a-z0-9][a-z0-9-]{1,61}[a-z0-9])\.)?"
    r"(?:oss-(?P<region>[a-z0-9-]+?)(?:-internal)?|(?P<dual>[a-z0-9-]+)\.oss)\.aliyuncs\.com"
)


class Fault(NamedTuple):
    """One thing that does not hold.

    `code` is one of unsigned, bad_parameter, expires_out_of_range, unknown_access_key, missing_token, wrong_token,
    token_expired, wrong_scope, skewed, expired, missing_header, signature_mismatch. `parameter` names the query
    parameter or header that it is about, where there is one.
    """

    code: str
    parameter: str | None = None


class Presented(NamedTuple):
    """A URL as OSS reads it: `key` decoded once, `query` as decoded pairs."""

    scheme: str
    host: str
    bucket: str
    key: str
    query: tuple[tuple[str, str], ...]


def read_url(url: str, *, endpoint: Endpoint | None = None, bucket: str | None = None) -> Presented:
    """A URL taken apart as OSS does. Raises `InvalidLink` where it names no object or no known bucket."""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2].lower()
        path = unquote(parts.path, errors="strict")[1:]
        query = tuple(read_query(parts.query))
        name = parts.hostname or ""
    except (ValueError, AttributeError):
        raise InvalidLink("This is no URL: copy the link again, whole.") from None
    if parts.scheme not in ("http", "https") or not name:
        raise InvalidLink("This is no web address: a link begins with https:// or http://.")
    found = _HOST.fullmatch(name)
    if endpoint is not None:
        style = endpoint.addressing
        owner = host.removesuffix("." + endpoint.domain) if style == "virtual" else bucket
    elif found:
        style = "virtual" if found["bucket"] else "path"
        owner = found["bucket"]
    else:
        style = "path" if bucket is None and _is_address(name) else "custom"
        owner = bucket
    if style == "path":
        owner, _, path = path.partition("/")
    if not owner:
        raise InvalidLink(f"The domain {host} does not tell the bucket: name it with bucket=.")
    if not path:
        raise InvalidLink("This URL names no object: there is nothing behind the host.")
    return Presented(parts.scheme, host, owner, path, query)


def read_query(query: str) -> Iterable[tuple[str, str]]:
    """The decoded pairs of a raw query; "+" is a blank, as OSS reads it. Raises `UnicodeDecodeError`."""
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            yield unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")


def read_timestamp(text: str) -> int | None:
    """Unix seconds of `YYYYMMDDThhmmssZ`, None for anything else."""
    found = _TIMESTAMP.fullmatch(text)
    if not found:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups())
    try:
        return timegm(datetime(year, month, day, hour, minute, second).timetuple())
    except ValueError:
        return None


class PresentedSignature(NamedTuple):
    """The parts of a signature as presented; `faults` where one cannot be read."""

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

    def where(self, part: str) -> str:
        """The name under which a part was presented."""
        return f"x-oss-{part}" if self.in_query else "authorization"


def query_signature(query: Mapping[str, str]) -> PresentedSignature:
    """The signature in the query of a presigned URL."""
    faults = [Fault("bad_parameter", name) for name in REQUIRED if not query.get(name)]
    if query.get("x-oss-signature-version", v4.ALGORITHM) != v4.ALGORITHM:
        faults.append(Fault("bad_parameter", "x-oss-signature-version"))
    if query.get("x-oss-additional-headers") == "":
        faults.append(Fault("bad_parameter", "x-oss-additional-headers"))
    expires = query.get("x-oss-expires", "")
    whole = re.fullmatch(r"-?[0-9]{1,18}", expires) is not None
    if expires and not whole:
        faults.append(Fault("bad_parameter", "x-oss-expires"))
    return _signature(
        faults,
        credential=query.get("x-oss-credential", ""),
        issued_at=query.get("x-oss-date", ""),
        expires=int(expires) if whole else 0,
        token=query.get("x-oss-security-token", ""),
        additional=query.get("x-oss-additional-headers", ""),
        signature=query.get("x-oss-signature", ""),
        in_query=True,
    )


def header_signature(headers: Mapping[str, str]) -> PresentedSignature:
    """The signature in the Authorization header; names are lower-case."""
    given = dict(_AUTHORIZATION.findall(headers["authorization"].partition(" ")[2]))
    return _signature(
        [] if given.get("Signature") else [Fault("bad_parameter", "authorization")],
        credential=given.get("Credential", ""),
        issued_at=headers.get("x-oss-date", ""),
        expires=None,
        token=headers.get("x-oss-security-token", ""),
        additional=given.get("AdditionalHeaders", ""),
        signature=given.get("Signature", ""),
        in_query=False,
    )


def _signature(
    faults: list[Fault],
    *,
    credential: str,
    issued_at: str,
    expires: int | None,
    token: str,
    additional: str,
    signature: str,
    in_query: bool,
) -> PresentedSignature:
    access_key_id, _, credential_scope = credential.partition("/")
    date, region, product, ending = [*credential_scope.split("/"), "", "", "", ""][:4]
    issued = read_timestamp(issued_at)
    if issued is None:
        faults.append(Fault("bad_parameter", "x-oss-date"))
    whole = access_key_id and region and product and ending == v4.REQUEST and credential_scope.count("/") == 3
    if not whole or (issued is not None and date != issued_at[:8]):
        faults.append(Fault("bad_parameter", "x-oss-credential" if in_query else "authorization"))
    return PresentedSignature(
        tuple(dict.fromkeys(faults)),
        access_key_id,
        date,
        region,
        product,
        issued_at,
        issued or 0,
        expires,
        token,
        tuple(additional.lower().split(";")) if additional else (),
        signature,
        in_query,
    )


def _is_address(name: str) -> bool:
    return name == "localhost" or ":" in name or re.fullmatch(r"[0-9.]+", name) is not None
