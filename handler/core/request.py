"""HTTP requests, independent of the platform, and the strict reader of their JSON bodies."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from . import audit
from .errors import Problem, bad_body

MAX_BYTES = 1024 * 1024  # of a body
MAX_INTEGER = 2**63 - 1  # what other programs, and OSS, can have
MAX_DIGITS = len(str(-MAX_INTEGER))
MAX_BRACKETS = 20_000  # lists and objects of a JSON body, each of which takes far more memory than its two bytes

# Regular expressions that few requests need: each is compiled at its first use, so that it delays no start.
# Strings within quotes, also one that does not end.
_QUOTED = r'"(?:[^"\\]|\\.?)*(?:"|$)'
_NUMBER = r"[0-9]{1,10}\.?[0-9]{0,10}|\.[0-9]{1,10}"

_TYPE_NAMES: Mapping[type, str] = {
    str: "a string",
    int: "an integer",
    bool: "true or false",
    dict: "an object",
    list: "a list",
}


class Request(NamedTuple):
    """An HTTP request: `raw_path` percent-encoded as it arrived, lower-case `headers`, and a `domain` or ""."""

    method: str
    raw_path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    domain: str

    def __repr__(self) -> str:
        # Credentials are in headers, shares in the query, nonces in the body, and ids of uploads in the path.
        return (
            f"Request(method={self.method!r}, raw_path={audit.path(self.raw_path)!r}, query={sorted(self.query)!r}, "
            f"headers={sorted(self.headers)!r}, body=<{len(self.body)} bytes>, domain={self.domain!r})"
        )

    def wants_json(self) -> bool:
        """Whether the Accept header names JSON, and with a higher weight than pages and than anything (`*/*`)."""
        accept = self.headers.get("accept", "")
        # Most requests, and reading the weights takes longer.
        if "application/json" not in accept.lower():
            return False
        weights = read_weights(accept)
        return weights.get("application/json", 0.0) > max(
            weights.get("*/*", 0.0), _quality(weights, "text/html")
        )

    def wants_page(self) -> bool:
        """Whether the Accept header names HTML, and with at least the weight of JSON: the problem is then a page."""
        accept = self.headers.get("accept", "")
        if "text/html" not in accept.lower():  # most programs, and reading the weights takes longer
            return False
        weights = read_weights(accept)
        html = weights.get("text/html", 0.0)
        as_json = max(
            _quality(weights, "application/json"), _quality(weights, "application/problem+json")
        )
        return html > 0 and html >= as_json

    def is_browser(self) -> bool:
        """Whether the Accept header is that of a browser that opens a page: Java's default names text/html, too."""
        return (
            "application/xhtml+xml" in self.headers.get("accept", "").lower() and self.wants_page()
        )

    def json(
        self, members: Mapping[str, type], *, required: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """The members of the JSON object in the body, as `read_members` returns them.

        Raises what `read_members` and `document` raise.
        """
        return read_members(self.document(), members, required=required)

    def document(self, media_types: tuple[str, ...] = ("application/json",)) -> Any:
        """The parsed JSON of the body. Raises the 415 `not_json` for another type, and the 400 `bad_body`."""
        media_type = (
            self.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
        )
        if media_type not in media_types:
            raise Problem("not_json")
        if self.body.count(b"[") + self.body.count(b"{") > MAX_BRACKETS:
            raise bad_body(f"it has more than {MAX_BRACKETS} of [ and {{")
        try:
            return read_json(self.body)
        except (ValueError, RecursionError):
            raise Problem("bad_body", "The request body is not valid JSON.") from None


def read_json(body: bytes | str) -> Any:
    """The parsed JSON of a body. Raises the 400 `bad_body` for an integer of more than 64 bits, and `ValueError`."""
    return json.loads(body, parse_int=_read_integer)


def _read_integer(digits: str) -> int:
    # Python refuses to write the longest ones, so that a request would have no line in the log.
    if len(digits) > MAX_DIGITS or not -MAX_INTEGER <= int(digits) <= MAX_INTEGER:
        raise bad_body(f"an integer in it exceeds {MAX_INTEGER}")
    return int(digits)


def read_members(
    document: object, members: Mapping[str, type], *, required: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The members of a parsed JSON object by name and type; null and absent are both None.

    Raises the 400 `bad_body`, which names a member that is unknown, missing or of the wrong type.
    """
    if not isinstance(document, dict):
        raise bad_body("it must be a JSON object")
    values: dict[str, Any] = dict.fromkeys(members)
    for name, value in document.items():
        expected = members.get(name)
        if expected is None:
            raise bad_body(f"unknown member {name[:100]!r} (known: {', '.join(members)})")
        # Not isinstance: in Python, a bool is an int.
        if value is not None and type(value) is not expected:
            raise bad_body(f'"{name}" must be {_TYPE_NAMES[expected]}')
        values[name] = value
    for name in required:
        if values[name] is None:
            raise bad_body(f'"{name}" is required')
    return values


def parse_query(raw_query: str) -> dict[str, str]:
    """The decoded parameters; values of the same name are joined with commas, as in the event of an HTTP trigger."""
    parameters: dict[str, str] = {}
    for pair in filter(None, raw_query.split("&")):
        name, _, value = (_decode(part) for part in pair.partition("="))
        parameters[name] = f"{parameters[name]},{value}" if name in parameters else value
    return parameters


def _decode(part: str) -> str:
    if "%" not in part and "+" not in part and part.isascii():
        return part
    from urllib.parse import unquote_to_bytes

    return unquote_to_bytes(part.replace("+", " ").encode("latin-1", "replace")).decode(
        "utf-8", "replace"
    )


def read_weights(header: str) -> dict[str, float]:
    """The ranges of an Accept or Accept-Language header in lower case, each with its weight from 0 to 1.

    An invalid weight is 0; parameters other than q are ignored (RFC 9110 §12.4.2, §12.5.1).
    """
    if '"' in header:
        header = re.sub(_QUOTED, "", header)
    weights: dict[str, float] = {}
    for part in header.lower().split(","):
        name, *parameters = (piece.strip() for piece in part.split(";"))
        weight = next(
            (_weight(parameter[2:]) for parameter in parameters if parameter.startswith("q=")), 1.0
        )
        # Java writes * for */*.
        name = "*/*" if name == "*" else name
        weights[name] = max(weight, weights.get(name, 0.0))
    return weights


def _weight(value: str) -> float:
    return min(float(value), 1.0) if re.fullmatch(_NUMBER, value) else 0.0


def _quality(weights: Mapping[str, float], media_type: str) -> float:
    """The weight of a media type: that of the most specific range that matches it, 0 if none does."""
    for media_range in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        if media_range in weights:
            return weights[media_range]
    return 0.0
