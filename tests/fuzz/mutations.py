"""Changes an input at random: its bytes, its words, or the values of its JSON."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Sequence
from typing import Any

MAX_SIZE = 16 * 1024  # bytes of an input

# What parsers of numbers, encodings, times and structures tend to stumble over.
SPECIAL: tuple[bytes, ...] = (
    *(b"", b"0", b"-1", b"1", b"00", b"1.5", b"1e999", b"NaN", b"-0", b"+1", b"0x10", b"1_0", b"9" * 10, b"9" * 19),
    *(b"9" * 400, b"9" * 5000, b"4294967296", b"253402300800", b"true", b"null", b"{}", b"[]", b'""', b"\\ud800"),
    *(b"\\u0000", b"\x00", b"\xff", b"\r\n", b"\n", b"\n ", b"\t", b" ", b"\x0b", b"\x1c", b"\x85", b"\x7f", b"\xb2"),
    *("²".encode(), "٣".encode(), "\u017f".encode(), "İ".encode(), b"\xe2\x80\xa8", b"\xef\xbb\xbf", b"\xed\xa0\x80"),
    *(b"%", b"%00", b"%2F", b"%2e", b"%25", b"%FF", b"%C3%A9", b"+", b"&", b"=", b";", b",", b":", b"/", b"//", b"\\"),
    *(b"?", b"#", b"@", b"[", b"]", b"<", b">", b"..", b"/../", b'"', b"'", b"[" * 3000, b'{"a":' * 1500, b"(", b")"),
    *(b"0000-00-00T00:00:00Z", b"9999-12-31T23:59:59-23:59", b"0001-01-01T00:00:00+23:59", b"2027-02-30T00:00:00Z"),
    *(b"Thu, 01 Jan 1970 00:00:00 GMT", b"Mon, 31 Dec 9999 23:59:59 -2359", b"Sat, 01 Jan 0001 00:00:00 +2359"),
)
# Values of TOML; some are values of headers, too.
LITERALS = (
    *(b"5", b"-1", b"1.5", b"nan", b"true", b'""', b'"a"', b"[]", b"[[]]", b"[5]", b'["a", "a"]', b"{}", b"{a = 1}"),
    *(b"2027-01-31", b"2027-01-31T00:00:00Z", b"12:00:00", b"'a'", b"0x10", b"1_0", b"a", b"%20", b"\xff", b"\xb2"),
)
_SIGN = re.compile(rb"\s*[=:]\s*")
_WORDS = re.compile(rb"[A-Za-z0-9_.~-]+|%[0-9A-Fa-f]{2}|[\x80-\xff]+|\s+|.", re.DOTALL)


class Mutator:
    """`words` are strings that the code under test knows."""

    def __init__(self, dice: random.Random, words: Sequence[bytes]) -> None:
        self._dice = dice
        self._words = list(words) or [b""]
        self._texts = [word.decode("utf-8", "replace") for word in self._words]

    def mutate(self, data: bytes, other: bytes) -> bytes:
        """A changed input; parts of `other` may be in it."""
        for _ in range(self._dice.choice((1, 1, 1, 2, 3, 5))):
            change = self._dice.choice(_CHANGES)
            data = change(self, data, other)[:MAX_SIZE]
        return data

    def _word(self) -> bytes:
        return self._dice.choice(SPECIAL) if self._dice.random() < 0.5 else self._dice.choice(self._words)

    def change_byte(self, data: bytes, other: bytes) -> bytes:
        place = self._dice.randint(0, len(data))
        return data[:place] + bytes([self._dice.randrange(256)]) + data[place + self._dice.randint(0, 1) :]

    def change_slice(self, data: bytes, other: bytes) -> bytes:
        """Removes, repeats or moves a slice, or takes one of the other input."""
        start, end = sorted(self._dice.randint(0, len(data)) for _ in range(2))
        end = min(end, start + self._dice.choice((1, 4, 16, 64, 4096)))
        kind = self._dice.randrange(4)
        if kind == 0:
            return data[:start] + data[end:]
        if kind == 1:
            return data[:end] + data[start:end] * self._dice.choice((1, 1, 2, 50)) + data[end:]
        if kind == 2:
            place = self._dice.randint(0, len(data))
            return data[:place] + data[start:end] + data[place:]
        first, last = sorted(self._dice.randint(0, len(other)) for _ in range(2))
        return data[:start] + other[first:last] + data[end:]

    def change_word(self, data: bytes, other: bytes) -> bytes:
        """Replaces, inserts, removes, repeats or swaps a word."""
        words = _WORDS.findall(data)
        if not words:
            return self._word()
        place, kind = self._dice.randrange(len(words)), self._dice.randrange(6)
        if kind <= 1:
            words[place] = self._word()
        elif kind == 2:
            words.insert(place, self._word())
        elif kind == 3:
            del words[place : place + self._dice.choice((1, 1, 2, 4))]
        elif kind == 4:
            words[place] *= 2
        else:
            other_place = self._dice.randrange(len(words))
            words[place], words[other_place] = words[other_place], words[place]
        return b"".join(words)

    def change_line(self, data: bytes, other: bytes) -> bytes:
        """Removes, repeats or swaps a line, or takes one of the other input."""
        lines, others = data.split(b"\n"), other.split(b"\n")
        place, kind = self._dice.randrange(len(lines)), self._dice.randrange(4)
        if kind == 0:
            del lines[place]
        elif kind == 1:
            lines.insert(place, self._dice.choice(lines))
        elif kind == 2:
            lines.insert(place, self._dice.choice(others))
        else:
            self._dice.shuffle(lines)
        return b"\n".join(lines)

    def change_value(self, data: bytes, other: bytes) -> bytes:
        """Replaces what follows the sign of a line, as in TOML and in headers."""
        lines = data.split(b"\n")
        place = self._dice.randrange(len(lines))
        sign = _SIGN.search(lines[place])
        if sign is None:
            return self.change_word(data, other)
        donor = self._dice.choice([*lines, *other.split(b"\n")])
        values = [self._dice.choice(LITERALS), self._dice.choice(LITERALS), _SIGN.split(donor, 1)[-1], self._word()]
        end = b"\r" if lines[place].endswith(b"\r") else b""
        lines[place] = lines[place][: sign.end()] + self._dice.choice(values).rstrip(b"\r") + end
        return b"\n".join(lines)

    def change_json(self, data: bytes, other: bytes) -> bytes:
        """Changes one value of a JSON document, or of one that a value of it is."""
        try:
            document = json.loads(data)
        except (ValueError, RecursionError):
            return self.change_word(data, other)
        places = list(_places(document))
        if not places:
            return json.dumps(self._value(document, document)).encode()
        container, name = self._dice.choice(places)
        kind = self._dice.randrange(8)
        if kind == 0:
            del container[name]
        elif kind == 1 and isinstance(container, dict):
            container[self._dice.choice(self._texts)] = container[name]
        elif kind == 1:
            container.insert(name, container[name])
        elif kind == 2:
            donor, donated = self._dice.choice(places)
            container[name] = json.loads(json.dumps(donor[donated])) if donated in _keys(donor) else None
        elif kind <= 4 and isinstance(container[name], str):
            inside = container[name].encode("utf-8", "surrogatepass")
            changed = self.change_json(inside, other) if kind == 3 else self.change_word(inside, other)
            container[name] = changed.decode("utf-8", "replace")
        else:
            container[name] = self._value(container[name], document)
        return json.dumps(document, ensure_ascii=self._dice.random() < 0.5).encode("utf-8", "surrogatepass")

    def _value(self, value: Any, document: Any) -> Any:
        values: tuple[Any, ...] = (None, True, False, 0, -1, 1, 1.5, 2**63 - 1, 2**64, 10**30, 1e300, float("nan"), "")
        if type(value) is int and self._dice.random() < 0.8:
            return self._dice.choice((-value, value + 1, value * 1000, value // 2, 2**31, 2**53, 2**63 - 1))
        containers: tuple[Any, ...] = ([], {}, [value], {"a": value}, [value] * 3, str(value), json.dumps(value))
        text = self._dice.choice(self._texts)
        return self._dice.choice((*values, *containers, text, text, "\ud800", "\x00", "a" * 2000, "[" * 3000))


def _places(document: Any) -> list[tuple[Any, Any]]:
    """Each container of a document with each of its keys or indexes."""
    places, waiting = [], [document]
    while waiting:
        container = waiting.pop()
        for name in _keys(container):
            places.append((container, name))
            waiting.append(container[name])
    return places


def _keys(container: Any) -> list[Any]:
    if isinstance(container, dict):
        return list(container)
    return list(range(len(container))) if isinstance(container, list) else []


_Change = Callable[[Mutator, bytes, bytes], bytes]
_CHANGES: tuple[_Change, ...] = (
    Mutator.change_byte,
    Mutator.change_slice,
    Mutator.change_word,
    Mutator.change_word,
    Mutator.change_line,
    Mutator.change_value,
    Mutator.change_json,
    Mutator.change_json,
)
