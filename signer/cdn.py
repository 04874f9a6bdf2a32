"""Links that a CDN checks: type A of the URL signing of Alibaba Cloud CDN and DCDN.

Such a link signs a path and a time, neither a method nor a query. Source: the CDN page "Type A signing". Every function
is pure.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from hashlib import md5
from hmac import compare_digest
from string import punctuation
from typing import NamedTuple
from urllib.parse import quote, unquote

from .errors import InvalidCdnKey, InvalidLink, InvalidTime, check_type
from .link import Link, read_expiry, seconds
from .names import check_key

MAX_EXPIRES_IN = 31_536_000
VALID_FOR = 1800  # seconds, unless the domain has another
# Unix seconds of ten digits, as a link must have them: from 2001 to 2286.
TIMES = range(10**9, 10**10)

_FORMS = {
    "key": ("[A-Za-z0-9]{6,128}", "6 to 128 letters and digits"),
    "parameter": ("[A-Za-z][A-Za-z0-9_-]{0,63}", "a name of letters, digits, _ and -"),
    "rand": ("[A-Za-z0-9]{1,64}", "1 to 64 letters and digits"),
}
# An origin, a percent-encoded path and a query.
_UNENCODED = r"[A-Za-z0-9._~!$&'()*+,;=:@/-]*"
_PATH = rf"/(?=[^?]){_UNENCODED}(?:%[0-9A-Fa-f]{{2}}{_UNENCODED})*"
_URL = re.compile(rf"(https?://[A-Za-z0-9.:\[\]-]+)({_PATH})(?:\?([\x21\x24-\x7e]*))?")
_SIGNED = re.compile("([0-9]{1,20})-([^-&]*)-([^-&]*)-([0-9a-f]{32})")


def encode_path(key: str) -> str:
    """Percent-encodes an object key. What a path may hold stays: some clients decode it before they send the path."""
    return quote(key, safe="/!$&'()*,;=:@")


class CdnKey(NamedTuple):
    """How a domain of the CDN checks links: its key, and the `parameter` that has time and signature.

    It accepts a link for `valid_for` seconds after the time in it.
    """

    key: str
    valid_for: int = VALID_FOR
    parameter: str = "auth_key"

    def __repr__(self) -> str:
        return f"CdnKey(key='***', valid_for={self.valid_for!r})"


def check_cdn_key(key: CdnKey, rand: str = "0") -> None:
    """Raises `InvalidCdnKey`, which names the field."""
    _check_type(key)
    for field, value in (*key._asdict().items(), ("rand", rand)):
        if field == "valid_for":
            is_valid = _is_duration(value)
            expected = f"a number of seconds from 1 to {MAX_EXPIRES_IN}"
        else:
            pattern, expected = _FORMS[field]
            is_valid = isinstance(value, str) and re.fullmatch(pattern, value) is not None
        if not is_valid:
            raise InvalidCdnKey(f"Invalid key of a CDN: {field} must be {expected}.", field)


def _check_type(key: CdnKey) -> None:
    if not isinstance(key, CdnKey):
        # The value is not repeated: it may be the key.
        raise InvalidCdnKey(
            f"Invalid key of a CDN: expected CdnKey(key), not {type(key).__name__}.", "key"
        )


def _is_duration(value: object) -> bool:
    return type(value) is int and 1 <= value <= MAX_EXPIRES_IN


def presign_cdn(
    url: str,
    key: CdnKey,
    *,
    expires_in: int | timedelta,
    now: datetime | float | None = None,
    rand: str = "0",
) -> Link:
    """A link to `url`, an address at a domain of the CDN with a percent-encoded path, for GET and HEAD alike.

    `expires_in` is in seconds, 1 to 31536000, or a timedelta of as many; `now` is as for `presign`. The CDN accepts the
    link until `expires_at`: its own `valid_for` counts, so the time in the link is that much earlier. With the default
    of `rand`, all links to one object with one end are the same.

    Raises `InvalidCdnKey`, `InvalidExpiry`, `InvalidTime`, `InvalidLink` and `InvalidKey`.
    """
    _check_type(key)
    requested = read_expiry(expires_in, MAX_EXPIRES_IN)
    arguments = (key, rand, key.valid_for, seconds(now), requested)
    try:
        written, expires_at = _prepare(*arguments)
    except TypeError:
        # As of a link to OSS: what has no hash is of a wrong type.
        written, expires_at = _prepare.__wrapped__(*arguments)
    origin, path, query = _read_url(url, key)
    added = f"{key.parameter}={written}-{rand}-0-{digest(key, path, written, rand)}"
    return Link(
        url=f"{origin}{path}?{query}{'&' if query else ''}{added}",
        method="GET",
        headers={},
        expires_at=expires_at,
        expires_in=requested,
        clamped=False,
    )


@lru_cache(maxsize=64, typed=True)
def _prepare(
    key: CdnKey, rand: str, valid_for: int, issued: int, expires_in: int
) -> tuple[str, datetime]:
    """The time as the link has it, and when the link ends. All links of a second share them.

    `valid_for` is that of the key: within a key, the cache would take True for 1.
    """
    check_cdn_key(key, rand)
    expires_at = issued + expires_in
    if expires_at - valid_for not in TIMES:
        raise InvalidTime(
            "Invalid time: the one in the link must have ten digits, so be from 2001 to 2286."
        )
    return str(expires_at - valid_for), datetime.fromtimestamp(expires_at, timezone.utc)


def digest(key: CdnKey, path: str, written: str, rand: str = "0", uid: str = "0") -> str:
    """The MD5 of a link, in hexadecimal; `path` is percent-encoded, and `written` the time as the link has it."""
    return md5(
        f"{path}-{written}-{rand}-{uid}-{key.key}".encode(), usedforsecurity=False
    ).hexdigest()


def _read_url(url: str, key: CdnKey) -> tuple[str, str, str]:
    """The origin, the percent-encoded path and the query, "" without one."""
    match = _URL.fullmatch(url) if isinstance(url, str) else None
    if match is None:
        example = "https://static.example.com/a.jpg"
        raise InvalidLink(
            f"Invalid address: expected an origin and a percent-encoded path, such as {example}."
        )
    origin, path, query = match.groups("")
    check_key(unquote(path[1:], errors="surrogateescape"))
    if query and key.parameter in (pair.partition("=")[0] for pair in query.split("&")):
        raise InvalidLink("Invalid address: its query has the parameter that the signature adds.")
    return origin, path, query


class SignedAddress(NamedTuple):
    """What a CDN reads in an address: the `path` and `query` for its origin, and the parts of the signature.

    `written` is the time as it stands there.
    """

    path: str
    query: str
    written: str
    rand: str
    uid: str
    md5: str

    def __repr__(self) -> str:
        return f"SignedAddress(path={self.path!r}, written={self.written!r})"


def read_address(key: CdnKey, target: str) -> SignedAddress | None:
    """The parts of a signed path and query; None for an address without them, or with their parameter twice."""
    path, _, query = target.partition("?")
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    match = _SIGNED.fullmatch("&".join(value for name, _, value in pairs if name == key.parameter))
    rest = "&".join("".join(pair) for pair in pairs if pair[0] != key.parameter)
    return SignedAddress(path, rest, *match.groups()) if match else None


def fault_of(key: CdnKey, target: str, now: float) -> str | None:
    """Why a CDN refuses a path and query at `now` (Unix seconds): unsigned, expired or signature_mismatch; or None."""
    address = read_address(key, target)
    if address is None:
        return "unsigned"
    if now >= int(address.written) + key.valid_for:
        return "expired"
    expected = digest(key, address.path, address.written, address.rand, address.uid)
    is_right = compare_digest(expected, address.md5) and len(address.written) == 10
    return None if is_right else "signature_mismatch"


def verify_cdn(url: str, key: CdnKey, *, now: datetime | float | None = None) -> str | None:
    """The fault of a URL, as `fault_of`, None for a valid one. Raises `InvalidCdnKey` and `InvalidLink`."""
    check_cdn_key(key)
    check_type("link", url, str, InvalidLink)
    target = "/" + url.partition("#")[0].partition("://")[2].partition("/")[2]
    return fault_of(key, quote(target, safe=punctuation), seconds(now))
