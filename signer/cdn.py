"""Links that a CDN checks: the URL signing of Alibaba Cloud CDN (types A, B, C and F) and DCDN (A, B and C).

Such a link signs a path and a time, neither a method nor a query. Sources: the CDN pages "Type A signing", "Type B
signing", "Type C signing" and "Type F signing". Every function is pure.
"""

from __future__ import annotations

import re
import time as clock
from datetime import datetime, timezone
from hashlib import md5
from hmac import compare_digest
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

from .errors import InvalidCdnKey, InvalidExpiry, InvalidLink
from .link import Link, seconds
from .names import check_key

KINDS = ("A", "B", "C", "F")
FORMATS = ("hex", "decimal")
MAX_EXPIRES_IN = 31_536_000
VALID_FOR = 1800  # seconds, unless the domain has another
MINUTE = 60  # what type B counts in
_BEIJING = 8 * 3600  # seconds from UTC to the time that type B writes

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_KEY = re.compile(r"[A-Za-z0-9]{6,128}")
_RAND = re.compile(r"[A-Za-z0-9]{1,64}")
# A path as clients send it: percent-encoded.
_URL = re.compile(
    r"(?P<origin>https?://[A-Za-z0-9.:\[\]-]+)(?P<path>/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)"
    r"(?:\?(?P<query>[\x21\x24-\x7e]*))?"
)


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


def check_cdn_key(cdn: CdnKey) -> None:
    """Raises `InvalidCdnKey`, which names the field."""
    names = (cdn.parameter, cdn.sign, cdn.time)
    for field, is_valid, expected in (
        ("kind", cdn.kind in KINDS, f"must be {', '.join(KINDS)}"),
        ("key", isinstance(cdn.key, str) and _KEY.fullmatch(cdn.key), "must have 6 to 128 letters and digits"),
        (
            "valid_for",
            type(cdn.valid_for) is int and 1 <= cdn.valid_for <= MAX_EXPIRES_IN,
            f"must be an integer from 1 to {MAX_EXPIRES_IN}, in seconds",
        ),
        *(
            (field, isinstance(name, str) and _NAME.fullmatch(name), "must be a name of letters, digits, _ and -")
            for field, name in zip(("parameter", "sign", "time"), names, strict=True)
        ),
        ("time", cdn.time != cdn.sign, "must not be the same as sign"),
        ("format", cdn.format in FORMATS, f"must be {' or '.join(FORMATS)}"),
    ):
        if not is_valid:
            raise InvalidCdnKey(f"Invalid key of a CDN: {field} {expected}.", field)


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
    cdn = CdnKey(kind, key, valid_for, parameter, sign, time, format)
    check_cdn_key(cdn)
    if not _RAND.fullmatch(rand):
        raise InvalidCdnKey("Invalid rand: it must have 1 to 64 letters and digits.", "rand")
    if type(expires_in) is not int or not 1 <= expires_in <= MAX_EXPIRES_IN:
        raise InvalidExpiry(
            f"Invalid expires_in {expires_in!r}: it must be an integer from 1 to {MAX_EXPIRES_IN}, in seconds.",
            expires_in,
        )
    origin, path, query = _read_url(url, cdn)
    issued = seconds(now)
    signed_at = issued + expires_in - valid_for
    if kind == "B":
        signed_at -= signed_at % MINUTE
        if signed_at + valid_for - issued < MINUTE:
            signed_at += MINUTE
    if signed_at < 0:
        raise InvalidCdnKey("Invalid key of a CDN: valid_for is longer than the time since 1970.", "valid_for")
    written = format_time(cdn, signed_at)
    expires_at = signed_at + valid_for
    return Link(
        f"{origin}{_signed_target(cdn, path, query, written, rand)}",
        "GET",
        {},
        datetime.fromtimestamp(expires_at, timezone.utc),
        expires_at - issued,
        expires_at < issued + expires_in,
    )


def format_time(cdn: CdnKey, timestamp: int) -> str:
    """Unix seconds as a link has them; type B writes whole minutes in UTC+8."""
    if cdn.kind == "B":
        return clock.strftime("%Y%m%d%H%M", clock.gmtime(timestamp + _BEIJING))
    return str(timestamp) if cdn.kind == "A" or (cdn.kind == "F" and cdn.format == "decimal") else f"{timestamp:x}"


def digest(cdn: CdnKey, path: str, written: str, rand: str = "0", uid: str = "0") -> str:
    """The MD5 of a link, in hexadecimal; `path` is percent-encoded, and `written` the time as the link has it."""
    signed = {
        "A": f"{path}-{written}-{rand}-{uid}-{cdn.key}",
        "B": f"{cdn.key}{written}{path}",
    }.get(cdn.kind, f"{cdn.key}{path}{written}")
    return md5(signed.encode(), usedforsecurity=False).hexdigest()


def _signed_target(cdn: CdnKey, path: str, query: str, written: str, rand: str) -> str:
    """The path and query of a link; `query` is "" or ends in "&"."""
    signature = digest(cdn, path, written, rand)
    if cdn.kind == "A":
        return f"{path}?{query}{cdn.parameter}={written}-{rand}-0-{signature}"
    if cdn.kind == "F":
        return f"{path}?{cdn.sign}={signature}&{cdn.time}={written}"
    start = f"/{written}/{signature}" if cdn.kind == "B" else f"/{signature}/{written}"
    return f"{start}{path}?{query}".rstrip("?&")


def _read_url(url: str, cdn: CdnKey) -> tuple[str, str, str]:
    """The origin, the path, and the query, which is "" or ends in "&"."""
    match = _URL.fullmatch(url) if isinstance(url, str) else None
    if match is None:
        raise InvalidLink(
            "Invalid address: expected an origin and a percent-encoded path, such as https://static.example.com/a.jpg."
        )
    try:
        check_key(unquote_to_bytes(match["path"][1:]).decode())
    except UnicodeDecodeError:
        raise InvalidLink("Invalid address: its path must be percent-encoded UTF-8.") from None
    query = match["query"]
    names = [pair.partition("=")[0] for pair in query.split("&")] if query else []
    if cdn.kind == "F" and names:
        raise InvalidLink("Invalid address: a link of type F must not have a query.")
    if cdn.kind == "A" and cdn.parameter in names:
        raise InvalidLink(f"Invalid address: it has the parameter {cdn.parameter}, which the link will have.")
    return match["origin"], match["path"], f"{query}&" if query else ""


class SignedAddress(NamedTuple):
    """What a CDN finds in an address: its origin's `path` and `query`, the time as it is written, and the signature.

    `rand` and `uid` are of type A.
    """

    path: str
    query: str
    written: str
    signature: str
    rand: str = "0"
    uid: str = "0"

    def __repr__(self) -> str:
        return f"SignedAddress(path={self.path!r}, written={self.written!r})"


# The time and the signature within a path, or in the value of type A's parameter.
_PARTS = {
    "A": r"(?P<written>[0-9]{1,11})-(?P<rand>[^-]*)-(?P<uid>[^-]*)-(?P<signature>[0-9a-fA-F]{32})",
    "B": r"/(?P<written>[0-9]{12})/(?P<signature>[0-9a-fA-F]{32})(?P<path>/.*)",
    "C": r"/(?P<signature>[0-9a-fA-F]{32})/(?P<written>[0-9a-fA-F]{1,9})(?P<path>/.*)",
}


def read_address(cdn: CdnKey, target: str) -> SignedAddress | None:
    """The parts of a signed path and query; None for an address without them, or with a parameter of them twice."""
    path, _, query = target.partition("?")
    pairs = [pair.partition("=")[::2] for pair in query.split("&") if pair]
    own = {"A": (cdn.parameter,), "F": (cdn.sign, cdn.time)}.get(cdn.kind, ())
    rest = "&".join(f"{name}={value}" if value else name for name, value in pairs if name not in own)
    values = dict(pairs)
    if len([name for name, _ in pairs if name in own]) != len(own) or not values.keys() >= set(own):
        return None
    if cdn.kind == "F":
        return SignedAddress(path, rest, values[cdn.time], values[cdn.sign])
    match = re.fullmatch(_PARTS[cdn.kind], values[cdn.parameter] if cdn.kind == "A" else path)
    return SignedAddress(**{"path": path, **match.groupdict(), "query": rest}) if match else None


def read_time(cdn: CdnKey, written: str) -> int | None:
    """Unix seconds of the time in a link, None where it has another form."""
    try:
        if cdn.kind == "B":
            return int(datetime.strptime(f"{written}+0800", "%Y%m%d%H%M%z").timestamp())
        return int(written, 10 if cdn.kind == "A" or (cdn.kind == "F" and cdn.format == "decimal") else 16)
    except ValueError:
        return None


def fault_of(cdn: CdnKey, target: str, now: float) -> str | None:
    """Why a CDN refuses a path and query at `now` (Unix seconds): unsigned, expired or signature_mismatch; or None."""
    address = read_address(cdn, target)
    signed_at = read_time(cdn, address.written) if address is not None else None
    if address is None or signed_at is None:
        return "unsigned"
    if now >= signed_at + cdn.valid_for:
        return "expired"
    expected = digest(cdn, address.path, address.written, address.rand, address.uid)
    return None if compare_digest(expected, address.signature.lower()) else "signature_mismatch"
