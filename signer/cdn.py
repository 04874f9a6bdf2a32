"""Links that a CDN checks: the URL signing of Alibaba Cloud CDN (types A, B, C and F) and DCDN (A, B and C).

Such a link signs a path and a time, neither a method nor a query. Sources: the CDN pages "Type A signing", "Type B
signing", "Type C signing" and "Type F signing". Every function is pure.
"""

from __future__ import annotations

import re
import time as clock
from datetime import datetime, timezone
from functools import lru_cache
from hashlib import md5
from hmac import compare_digest
from string import punctuation
from typing import NamedTuple
from urllib.parse import quote, unquote

from .errors import InvalidCdnKey, InvalidExpiry, InvalidLink, InvalidTime
from .link import LAST_SECOND, Link, seconds
from .names import check_key

KINDS, FORMATS = ("A", "B", "C", "F"), ("hex", "decimal")
MAX_EXPIRES_IN = 31_536_000
VALID_FOR = 1800  # seconds, unless the domain has another
MINUTE = 60  # what type B counts in
_RECENT = 2**31  # any of the times that are written in 10 decimal or 8 hexadecimal digits

_PARAMETER = (r"[A-Za-z][A-Za-z0-9_-]{0,63}", "a name of letters, digits, _ and -")
_FORMS = {
    "kind": ("[ABCF]", "A, B, C or F"),
    "key": ("[A-Za-z0-9]{6,128}", "6 to 128 letters and digits"),
    **dict.fromkeys(("parameter", "sign", "time"), _PARAMETER),
    "format": ("hex|decimal", "hex or decimal"),
    "rand": ("[A-Za-z0-9]{1,64}", "1 to 64 letters and digits"),
}
# An origin, a percent-encoded path and a query.
_UNENCODED = r"[A-Za-z0-9._~!$&'()*+,;=:@/-]*"
_PATH = rf"/(?=[^?]){_UNENCODED}(?:%[0-9A-Fa-f]{{2}}{_UNENCODED})*"
_URL = re.compile(rf"(https?://[A-Za-z0-9.:\[\]-]+)({_PATH})(?:\?([\x21\x24-\x7e]*))?")


class CdnKey(NamedTuple):
    """How a domain of the CDN checks links: the type of its signing, its key, and its other settings.

    It accepts a link for `valid_for` seconds after the time in it. Type A has one `parameter`, type F the parameters
    `sign` and `time`, and writes the time in the `format` hex or decimal.
    """

    kind: str
    key: str
    valid_for: int = VALID_FOR
    parameter: str = "auth_key"
    sign: str = "sign"
    time: str = "time"
    format: str = "hex"

    def __repr__(self) -> str:
        return f"CdnKey(kind={self.kind!r}, key='***', valid_for={self.valid_for!r})"


def check_cdn_key(cdn: CdnKey, rand: str = "0") -> None:
    """Raises `InvalidCdnKey`, which names the field."""
    for field, value in (*cdn._asdict().items(), ("rand", rand)):
        if field == "valid_for":
            is_valid, expected = _is_duration(value), f"a number of seconds from 1 to {MAX_EXPIRES_IN}"
        else:
            pattern, expected = _FORMS[field]
            is_valid = isinstance(value, str) and re.fullmatch(pattern, value) is not None
        if not is_valid:
            raise InvalidCdnKey(f"Invalid key of a CDN: {field} must be {expected}.", field)
    if cdn.sign == cdn.time:
        raise InvalidCdnKey("Invalid key of a CDN: time must not be the parameter of sign.", "time")


def _is_duration(value: object) -> bool:
    return type(value) is int and 1 <= value <= MAX_EXPIRES_IN


def presign_cdn(
    url: str,
    *,
    kind: str,
    key: str,
    valid_for: int,
    expires_in: int = 600,
    now: datetime | float | None = None,
    rand: str = "0",
    parameter: str = "auth_key",
    sign: str = "sign",
    time: str = "time",
    format: str = "hex",
) -> Link:
    """A link to `url`, an address at a domain of the CDN with a percent-encoded path, for GET and HEAD alike.

    `expires_in` is in seconds, 1 to 31536000; `now` is as for `presign`, and the other arguments are as in `CdnKey`.
    The CDN accepts the link until `expires_at`: its own `valid_for` counts, so the time in the link is that much
    earlier. Type B counts minutes: its links end up to 59 seconds earlier, and later where less than a minute would be
    left. `rand` is a part of type A alone; with the default, all links to one object with one end are the same.

    Type F allows no query. Raises `InvalidCdnKey`, `InvalidExpiry`, `InvalidTime`, `InvalidLink` and `InvalidKey`.
    """
    issued = seconds(now)
    cdn = CdnKey(kind, key, valid_for, parameter, sign, time, format)
    written, expires_at, left = _prepare(cdn, rand, valid_for, issued, expires_in)
    origin, path, query = _read_url(url, cdn)
    signature = digest(cdn, path, written, rand)
    if kind == "A":
        query = f"{query}{'&' if query else ''}{parameter}={written}-{rand}-0-{signature}"
    elif kind == "F":
        query = f"{sign}={signature}&{time}={written}"
    else:
        path = f"/{written}/{signature}{path}" if kind == "B" else f"/{signature}/{written}{path}"
    address = f"{origin}{path}?{query}" if query else f"{origin}{path}"
    return Link(address, "GET", {}, expires_at, left, left < expires_in)


@lru_cache(maxsize=64, typed=True)
def _prepare(cdn: CdnKey, rand: str, valid_for: int, issued: int, expires_in: int) -> tuple[str, datetime, int]:
    """The time as the link has it, when the link ends, and the seconds until then. All links of a second share them."""
    check_cdn_key(cdn, rand)
    if not _is_duration(expires_in):
        raise InvalidExpiry(f"Invalid expires_in: it must be from 1 to {MAX_EXPIRES_IN} seconds.", expires_in)
    signed_at = issued + expires_in - valid_for
    if cdn.kind == "B":
        begun = signed_at % MINUTE
        signed_at -= begun
        if begun and signed_at + valid_for - issued < MINUTE:
            signed_at += MINUTE
    if signed_at < 0 or signed_at + valid_for > LAST_SECOND:
        raise InvalidTime("Invalid time: the link would have one before 1970, or end after 9999.")
    expires_at = signed_at + valid_for
    return format_time(cdn, signed_at), datetime.fromtimestamp(expires_at, timezone.utc), expires_at - issued


def format_time(cdn: CdnKey, timestamp: int) -> str:
    """Unix seconds as a link has them; type B writes whole minutes in UTC+8."""
    if cdn.kind == "B":
        return clock.strftime("%Y%m%d%H%M", clock.gmtime(timestamp + 8 * 3600))
    return str(timestamp) if cdn.kind == "A" or (cdn.kind, cdn.format) == ("F", "decimal") else f"{timestamp:x}"


def digest(cdn: CdnKey, path: str, written: str, rand: str = "0", uid: str = "0") -> str:
    """The MD5 of a link, in hexadecimal; `path` is percent-encoded, and `written` the time as the link has it."""
    if cdn.kind == "A":
        signed = f"{path}-{written}-{rand}-{uid}-{cdn.key}"
    else:
        signed = f"{cdn.key}{written}{path}" if cdn.kind == "B" else f"{cdn.key}{path}{written}"
    return md5(signed.encode(), usedforsecurity=False).hexdigest()


def _read_url(url: str, cdn: CdnKey) -> tuple[str, str, str]:
    """The origin, the percent-encoded path and the query, "" without one."""
    match = _URL.fullmatch(url) if isinstance(url, str) else None
    if match is None:
        example = "https://static.example.com/a.jpg"
        raise InvalidLink(f"Invalid address: expected an origin and a percent-encoded path, such as {example}.")
    origin, path, query = match.groups("")
    check_key(unquote(path[1:], errors="surrogateescape"))
    if query and (cdn.kind == "F" or cdn.parameter in (pair.partition("=")[0] for pair in query.split("&"))):
        raise InvalidLink("Invalid address: type F allows no query, and no other type the parameter that it adds.")
    return origin, path, query


class SignedAddress(NamedTuple):
    """What a CDN reads in an address: the `path` and `query` for its origin, the time as written, and the MD5.

    Type A also signs `rand` and `uid`.
    """

    path: str
    query: str
    written: str
    md5: str
    rand: str = "0"
    uid: str = "0"

    def __repr__(self) -> str:
        return f"SignedAddress(path={self.path!r}, written={self.written!r})"


_PARTS = {
    "A": r"(?P<written>[0-9]+)-(?P<rand>[^-]*)-(?P<uid>[^-]*)-(?P<md5>[0-9a-f]{32})",
    "B": r"/(?P<written>[0-9]{12})/(?P<md5>[0-9a-f]{32})(?P<path>/.*)",
    "C": r"/(?P<md5>[0-9a-f]{32})/(?P<written>[0-9a-fA-F]+)(?P<path>/.*)",
    "F": r"(?P<md5>[0-9a-f]{32})&(?P<written>[0-9a-fA-F]+)",
}


def read_address(cdn: CdnKey, target: str) -> SignedAddress | None:
    """The parts of a signed path and query; None for an address without them, or with a parameter of them twice."""
    path, _, query = target.partition("?")
    pairs = [pair.partition("=") for pair in query.split("&") if pair]
    own = {"A": [cdn.parameter], "F": [cdn.sign, cdn.time]}.get(cdn.kind, [])
    values = [value for wanted in own for name, _, value in pairs if name == wanted]
    match = re.fullmatch(_PARTS[cdn.kind], "&".join(values) if own else path)
    rest = "&".join("".join(pair) for pair in pairs if pair[0] not in own)
    return SignedAddress(**{"path": path, **match.groupdict(), "query": rest}) if match else None


def fault_of(cdn: CdnKey, target: str, now: float) -> str | None:
    """Why a CDN refuses a path and query at `now` (Unix seconds): unsigned, expired or signature_mismatch; or None."""
    address = read_address(cdn, target)
    if address is None:
        return "unsigned"
    if now >= read_time(cdn, address.written) + cdn.valid_for:
        return "expired"
    expected = digest(cdn, address.path, address.written, address.rand, address.uid)
    # Of C and F, the signature of /a4 and a time is also that of /a and a time that begins with 4, and never comes.
    has_length = len(address.written) == len(format_time(cdn, _RECENT))
    return None if compare_digest(expected, address.md5) and has_length else "signature_mismatch"


def verify_cdn(url: str, cdn: CdnKey, *, now: datetime | float | None = None) -> str | None:
    """The fault of a URL, as `fault_of`, None for a valid one. Raises `InvalidCdnKey`."""
    check_cdn_key(cdn)
    target = "/" + url.partition("#")[0].partition("://")[2].partition("/")[2]
    return fault_of(cdn, quote(target, safe=punctuation), seconds(now))


def read_time(cdn: CdnKey, written: str) -> int:
    """Unix seconds of the time in a link, 0 where it has another form."""
    try:
        if cdn.kind == "B":
            return int(datetime.strptime(f"{written}+0800", "%Y%m%d%H%M%z").timestamp())
        return int(written, 10 if cdn.kind == "A" or (cdn.kind, cdn.format) == ("F", "decimal") else 16)
    except ValueError:
        return 0
