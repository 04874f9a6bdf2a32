"""Inputs that nobody thought of: those of the corpus with changed bytes, words, lines or values of their JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

ROOT = Path(__file__).parents[2]
MAX_SIZE = 16 * 1024  # bytes of an input

# What parsers of numbers, encodings, times and structures tend to stumble over.
SPECIAL: tuple[bytes, ...] = (
    b"",
    b"0",
    b"-1",
    b"1",
    b"00",
    b"1.5",
    b"1e999",
    b"NaN",
    b"-0",
    b"+1",
    b"0x10",
    b"1_0",
    b"9" * 10,
    b"9" * 19,
    b"9" * 400,
    b"9" * 5000,
    b"4294967296",
    b"253402300800",
    b"true",
    b"null",
    b"{}",
    b"[]",
    b'""',
    b"\\ud800",
    b"\\u0000",
    b"\x00",
    b"\xff",
    b"\r\n",
    b"\n",
    b"\n ",
    b"\t",
    b" ",
    b"\x0b",
    b"\x1c",
    b"\x85",
    b"\x7f",
    b"\xb2",
    "²".encode(),
    "٣".encode(),
    "\u017f".encode(),
    "İ".encode(),
    b"\xe2\x80\xa8",
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"%",
    b"%00",
    b"%2F",
    b"%2e",
    b"%25",
    b"%FF",
    b"%C3%A9",
    b"+",
    b"&",
    b"=",
    b";",
    b",",
    b":",
    b"/",
    b"//",
    b"\\",
    b"?",
    b"#",
    b"@",
    b"[",
    b"]",
    b"<",
    b">",
    b"..",
    b"/../",
    b'"',
    b"'",
    b"[" * 3000,
    b'{"a":' * 1500,
    b"(",
    b")",
    b"0000-00-00T00:00:00Z",
    b"9999-12-31T23:59:59-23:59",
    b"0001-01-01T00:00:00+23:59",
    b"2027-02-30T00:00:00Z",
    b"Thu, 01 Jan 1970 00:00:00 GMT",
    b"Mon, 31 Dec 9999 23:59:59 -2359",
    b"Sat, 01 Jan 0001 00:00:00 +2359",
    # Values of TOML.
    b"5",
    b"nan",
    b'"a"',
    b"[[]]",
    b"[5]",
    b'["a", "a"]',
    b"{a = 1}",
    b"2027-01-31",
    b"2027-01-31T00:00:00Z",
)
# The code compares its input with the strings in it.
WORDS = sorted(
    {
        word.encode()
        for package in ("handler", "signer")
        for path in (ROOT / package).rglob("*.py")
        for word in re.findall(r'"([^"\\\n{}]{1,40})"', path.read_text("utf-8"))
    }
)
_WORDS = re.compile(rb"[A-Za-z0-9_.~-]+|%[0-9A-Fa-f]{2}|[\x80-\xff]+|\s+|.", re.DOTALL)
_NEW_WORDS = st.lists(st.one_of(st.sampled_from(SPECIAL), st.sampled_from(WORDS)), max_size=2)
_LENGTHS, _REPEATS = st.sampled_from((1, 0, 4, 16, 64, 4096)), st.sampled_from((1, 0, 2, 50))
_ANY_BYTE = st.integers(0, 255).map(lambda number: bytes([number]))
_NUMBERS = st.sampled_from(
    (0, -1, 1, 1.5, 2**31, 2**53, 2**63 - 1, 2**64, 10**30, 1e300, float("nan"))
)
_OTHERS: st.SearchStrategy[Any] = st.sampled_from(
    (None, True, False, "", [], {}, "\ud800", "\x00", "a" * 2000, "[" * 3000)
)
_JSON = st.one_of(_NUMBERS, _OTHERS, st.sampled_from(WORDS).map(bytes.decode))


@st.composite
def mutated(draw: st.DrawFn, inputs: Sequence[bytes]) -> bytes:
    """One of the inputs after one to three changes; parts of the others may be in it."""
    data = draw(st.sampled_from(inputs))
    # Broken JSON is refused early.
    for change in draw(_SOME_JSON_CHANGES if data.startswith((b"{", b"[")) else _SOME_CHANGES):
        data = change(draw, data, draw(st.sampled_from(inputs)))[:MAX_SIZE]
    return data


def _change_slice(draw: st.DrawFn, data: bytes, other: bytes) -> bytes:
    """Removes, repeats or moves a slice, takes one of the other input, or changes a byte."""
    start, donor = draw(st.integers(0, len(data))), draw(st.sampled_from((data, other)) | _ANY_BYTE)
    first = draw(st.integers(0, len(donor)))
    part = donor[first : first + draw(_LENGTHS)] * draw(_REPEATS)
    return data[:start] + part + data[start + draw(_LENGTHS) :]


def _change_word(draw: st.DrawFn, data: bytes, other: bytes) -> bytes:
    """Replaces, inserts, removes or repeats a word."""
    words = _WORDS.findall(data) or [b""]
    place = draw(st.integers(0, len(words) - 1))
    new = draw(st.one_of(_NEW_WORDS, st.just([words[place]] * 2)))
    return b"".join([*words[:place], *new, *words[place + draw(st.integers(0, 2)) :]])


def _change_line(draw: st.DrawFn, data: bytes, other: bytes) -> bytes:
    """Replaces, inserts, removes or repeats a line, or the value of a line, as in TOML and in headers."""
    lines = data.split(b"\n")
    donors = st.sampled_from([*lines, *other.split(b"\n")])
    place = draw(st.integers(0, len(lines) - 1))
    sign = re.search(rb"\s*[=:]\s*", lines[place])
    if sign and draw(st.booleans()):
        value = draw(
            st.one_of(
                st.sampled_from(SPECIAL),
                donors.map(lambda line: re.split(rb"[=:]\s*", line, maxsplit=1)[-1]),
            )
        )
        lines[place] = (
            lines[place][: sign.end()] + value.rstrip(b"\r") + b"\r" * lines[place].endswith(b"\r")
        )
    else:
        lines[place : place + draw(st.integers(0, 1))] = draw(st.lists(donors, max_size=2))
    return b"\n".join(lines)


def _change_json(draw: st.DrawFn, data: bytes, other: bytes) -> bytes:
    """Changes one value of a JSON document, or of one that a value of it is."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return _change_word(draw, data, other)
    if not (places := list(_places(document))):
        return json.dumps(draw(_JSON)).encode()
    container, name = draw(st.sampled_from(places))
    value, kind = container[name], draw(st.integers(0, 7))
    if kind == 0:
        del container[name]
    elif kind == 1 and isinstance(container, dict):
        container[draw(st.sampled_from(WORDS)).decode()] = value
    elif kind == 2:
        container[name] = draw(
            st.sampled_from(([value], [value] * 3, {"a": value}, str(value), json.dumps(value)))
        )
    elif kind <= 6 and isinstance(value, str):
        change = _change_json if kind % 2 else _change_word
        container[name] = change(draw, value.encode("utf-8", "surrogatepass"), other).decode(
            "utf-8", "replace"
        )
    elif kind <= 6 and type(value) is int:
        container[name] = draw(st.sampled_from((-value, value + 1, value * 1000, value // 2)))
    else:
        container[name] = draw(_JSON)
    return json.dumps(document, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")


def _places(document: Any) -> list[tuple[Any, Any]]:
    """Each container of a document with each of its keys or indexes."""
    places, waiting = [], [document]
    while waiting:
        container = waiting.pop()
        if isinstance(container, (dict, list)):
            here = [
                (container, name)
                for name in (container if isinstance(container, dict) else range(len(container)))
            ]
            places += here
            waiting += [container[name] for container, name in here]
    return places


_Change = Callable[[st.DrawFn, bytes, bytes], bytes]
_CHANGES: list[_Change] = [
    _change_word,
    _change_json,
    _change_json,
    _change_line,
    _change_slice,
    _change_slice,
]
_SOME_CHANGES = st.lists(st.sampled_from(_CHANGES), min_size=1, max_size=3)
_SOME_JSON_CHANGES = st.lists(
    st.sampled_from([_change_json] * 12 + _CHANGES), min_size=1, max_size=3
)
