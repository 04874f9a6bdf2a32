"""What people paste when a link fails, from the tables in cases/, with the links that stand in them signed here.

A paste has `{{name}}` where a link or a part of one stands, and `{{name|filter:argument}}` where something happened to
it. So no file has a whole link, and every secret and signature is a fake of this module.
"""

from __future__ import annotations

import base64
import html
import quopri
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from textwrap import wrap
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import signer
from tests.signer.sdks import v1_url_of_oss2
from tests.signer.signing import LinkRequest, sign

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).with_name("cases")
NOW = 1_772_613_946  # 2026-03-04T08:45:46Z
KEYS = signer.Credentials("LTAI5tEXAMPLEEXAMPLEEXAM", "fakesecretEXAMPLEfakesecretEXA")
TEMPORARY = signer.Credentials(
    "STS.NTuExAmPleExAmPLeExAmPle",
    "faketemporarysecretEXAMPLEfake",
    "CAIS" + "aB3+/dE5fG7hJ9kL" * 6 + "Qw==",
)
FINE = "fine"  # nothing wrong was found
REFUSED = "refused"  # there was nothing to explain: status 2


class Case(NamedTuple):
    """A table of a file in cases/.

    `first` are the codes of which one must come first, FINE where nothing must be found, REFUSED where nothing can be
    read; `also` those that are true besides, and `unwanted` those that must not come at all. Where `certain_not`, none
    may be certain. `says` must stand in the words about it, in any case of letters. `read` are the kinds of what was
    read, and `method` the one that is shown. One of `vague` in the first place is not wrong, and says too little.
    `known` says that the case is known not to be right: "vague" or "wrong".
    """

    name: str
    part: str
    paste: str
    source: str
    first: tuple[str, ...]
    also: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()
    vague: tuple[str, ...] = ()
    secret: bool = False
    certain_not: bool = False
    says: str = ""
    read: tuple[str, ...] = ()
    method: str = ""
    known: str = ""

    @property
    def credentials(self) -> signer.Credentials:
        """Those that signed its link."""
        return TEMPORARY if "{{sts" in self.paste else KEYS

    @property
    def text(self) -> str:
        """The paste with its links."""
        return _PLACE.sub(_fill, self.paste)


def read_cases() -> list[Case]:
    """All cases: those of cases/ are the part "open", those of cases/sealed/ the part "sealed"."""
    cases = []
    for part, folder in (("open", FOLDER), ("sealed", FOLDER / "sealed")):
        for path in sorted(folder.glob("*.toml")):
            tables = tomllib.loads(path.read_text("utf-8"))
            cases += [_read_case(name, part, table) for name, table in tables.items()]
    return cases


def _read_case(name: str, part: str, table: dict[str, Any]) -> Case:
    return Case(
        name=name,
        part=part,
        paste=table["paste"],
        source=table["source"],
        first=tuple(table["first"]),
        also=tuple(table.get("also", ())),
        unwanted=tuple(table.get("not", ())),
        vague=tuple(table.get("vague", ())),
        secret=table.get("secret", False),
        certain_not=table.get("certain_not", False),
        says=table.get("says", ""),
        read=tuple(table.get("read", ())),
        method=table.get("method", ""),
        known=table.get("known", ""),
    )


SECRETS = (KEYS.access_key_secret, TEMPORARY.access_key_secret, TEMPORARY.security_token or "")

_PLACE = re.compile(r"\{\{(\w+)((?:\|[^|}]+)*)\}\}")
_KEY = "reports/a b.txt"
_PLUS_KEY = "reports/app+1.zip"
_ISSUED = NOW - 60


def _presign(method: str = "GET", **options: Any) -> str:
    arguments = {"key": _KEY, "credentials": KEYS, "now": _ISSUED, "expires_in": 600, **options}
    return sign(method, **arguments).url


def _presign_v1(now: int) -> str:
    request = LinkRequest(method="GET", key=_KEY, credentials=KEYS, now=now)
    return v1_url_of_oss2(request)


_LINKS: dict[str, Callable[[], str]] = {
    "link": _presign,
    "old": lambda: _presign(now=NOW - 90_000),
    "sts": lambda: _presign(credentials=TEMPORARY),
    "sts_plus": lambda: _presign(credentials=TEMPORARY, key=_PLUS_KEY),
    "plus": lambda: _presign(key=_PLUS_KEY),
    "put": lambda: _presign("PUT"),
    "put_png": lambda: _presign("PUT", headers={"Content-Type": "image/png"}),
    "internal": lambda: _presign(endpoint=signer.Endpoint.internal("cn-hangzhou")),
    "custom": lambda: _presign(
        endpoint=signer.Endpoint.custom_domain("https://static.example.com", "cn-hangzhou")
    ),
    "v1": lambda: _presign_v1(_ISSUED),
    "v1_old": lambda: _presign_v1(NOW - 90_000),
}


@cache
def _value(name: str) -> str:
    if name in _LINKS:
        return _LINKS[name]()
    link = _presign()
    verified = signer.verify("GET", link, credentials=KEYS, now=NOW)
    return {
        "key_id": KEYS.access_key_id,
        "date": "20260304T084446Z",
        "signature": verified.provided_signature,
        "string_to_sign": html.escape(verified.string_to_sign),
        "canonical": html.escape(verified.canonical_request),
        "canonical_put": html.escape(verified.canonical_request.replace("GET", "PUT", 1)),
        # What other services sign with; nothing was signed.
        "hex": "0123456789abcdef" * 4,
        "hex40": "0123456789abcdef" * 2 + "01234567",
        "sig28": "AbCdEfGhIjKlMnOpQrStUvWxYz0%3D",
        "jwt": ".".join(("eyJ" + "a" * 20, "eyJ" + "b" * 40, "c" * 43)),
    }[name]


def _fill(place: re.Match[str]) -> str:
    string = _value(place[1])
    for step in place[2].split("|")[1:]:
        name, _, argument = step.partition(":")
        string = _FILTERS[name](string, argument)
    return string


def _substitute(string: str, argument: str) -> str:
    """The argument is "old:new"."""
    old, _, new = argument.partition(":")
    return string.replace(old, new)


def _proofpoint_v2(url: str, _: str) -> str:
    encoded = quote(url, safe="/").replace("-", "%2D").replace("_", "%5F")
    return encoded.replace("/", "_").replace("%", "-")


def _proofpoint_v3(url: str, _: str) -> str:
    lost = base64.urlsafe_b64encode(b"%" * url.count("%")).decode().rstrip("=")
    return f"{url.replace('%', '*')}__;{lost}"


def _wrap(string: str, width: str) -> str:
    return "\n".join(wrap(string, int(width), break_on_hyphens=False))


def _without(url: str, name: str) -> str:
    return re.sub(f"&?{name}=[^&]*", "", url)


_FULL_WIDTH = {ord(letter): ord(letter) + 0xFEE0 for letter in "?&="}

_FILTERS: dict[str, Callable[[str, str], str]] = {
    "quote": lambda string, safe: quote(string, safe=safe),
    "decode": lambda string, _: unquote(string),
    "html": lambda string, _: html.escape(string),
    "base64": lambda string, _: base64.b64encode(string.encode()).decode(),
    "caret": lambda string, _: re.sub("[&%]", r"^\g<0>", string),
    "proofpoint2": _proofpoint_v2,
    "proofpoint3": _proofpoint_v3,
    "prefix": lambda string, start: start + string,
    "cut": lambda string, length: string[: int(length)],
    "tail": lambda string, length: string[-int(length) :],
    "until": lambda string, end: string[: string.index(end) + len(end)].rstrip("&"),
    "bare": lambda string, _: string.removeprefix("https://"),
    "query": lambda string, _: string.partition("?")[2],
    "fullwidth": lambda string, _: string.translate(_FULL_WIDTH),
    "upper": lambda string, _: string.upper(),
    "sub": _substitute,
    "lose": lambda string, number: string.replace("%2B", "", int(number)),
    "drop": _without,
    "wrap": _wrap,
    "qp": lambda string, _: quopri.encodestring(string.encode()).decode(),
}


def places(text: str, number: int) -> Iterator[int]:
    """Where a text is cut: `number` places, one in each part of the same length."""
    for index in range(number):
        yield max(1, len(text) * (2 * index + 1) // (2 * number))
