"""One object of the keys document, read member by member; what is not understood whole is refused."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, NoReturn

from ..errors import HandlerError
from ..paths import path_fault
from ..times import parse_rfc3339

METHODS = ("GET", "HEAD", "PUT", "POST", "SHARE")
LEAST_SECRET = 32  # bytes
MOST_SECRET = 1024
MAX_TEXT = 256  # characters

_SECRET = re.compile(r"[A-Za-z0-9_-]+={0,2}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class InvalidKeys(HandlerError):
    """The keys document cannot be followed; the sentence names the entry, says what to write, and shows no secret."""

    code = "invalid_keys"


class Entry:
    """A JSON object at `where`; a member that is not known is refused at once."""

    def __init__(self, where: str, value: object, known: tuple[str, ...]) -> None:
        self.where = where
        if not isinstance(value, dict):
            raise InvalidKeys(f"{where} is no object: write {{…}}.")
        self.members: Mapping[str, Any] = value
        for name in value:
            if name not in known:
                # A misplaced value may be a secret, so the name is not shown.
                raise InvalidKeys(f"{where} has a member that is not known; known are {', '.join(known)}.")

    def refuse(self, name: str, why: str) -> NoReturn:
        raise InvalidKeys(f"{self.where}: {name} {why}.")

    def required(self, name: str) -> Any:
        if name not in self.members:
            self.refuse(name, "is missing")
        return self.members[name]

    def entries(self, name: str) -> list[object]:
        """A list, empty where it is absent."""
        value = self.members.get(name, [])
        if not isinstance(value, list):
            self.refuse(name, "is no list: write […]")
        return value

    def text(self, name: str) -> str:
        """A short text that is not empty and holds no control character."""
        value = self.required(name)
        if not isinstance(value, str) or not value or len(value) > MAX_TEXT or _CONTROL.search(value):
            self.refuse(name, f"is no text of 1 to {MAX_TEXT} characters without control characters")
        return value

    def matching(self, name: str, pattern: re.Pattern[str], shape: str) -> str:
        value = self.required(name)
        if not isinstance(value, str) or not pattern.fullmatch(value):
            self.refuse(name, f"is not {shape}")
        return value

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.required(name)
        if not isinstance(value, str) or value not in choices:
            self.refuse(name, f"is none of {', '.join(choices)}")
        return value

    def secret(self, name: str) -> bytes:
        value = self.required(name)
        if not isinstance(value, str) or not _SECRET.fullmatch(value):
            self.refuse(name, "is no base64url text: write A-Z, a-z, 0-9, - and _ alone")
        found = base64url(value)
        if found is None:
            self.refuse(name, "is no whole base64url text: a part of it is missing")
        if not LEAST_SECRET <= len(found) <= MOST_SECRET:
            self.refuse(
                name,
                f"holds {len(found)} bytes: {LEAST_SECRET} to {MOST_SECRET} random ones are a secret, fewer are not",
            )
        return found

    def paths(self, name: str = "paths") -> tuple[str, ...]:
        value = self.required(name)
        if not isinstance(value, list) or not value or not all(isinstance(path, str) for path in value):
            self.refuse(name, "is no list of at least one path")
        for number, path in enumerate(value, 1):
            why = bad_path(path)
            if why:
                self.refuse(f"{name}, entry {number},", why)
        return self._distinct(name, value)

    def methods(self, name: str = "methods") -> tuple[str, ...]:
        value = self.required(name)
        if not isinstance(value, list) or not value or not all(item in METHODS for item in value):
            self.refuse(name, f"is no list of at least one of {', '.join(METHODS)}")
        return self._distinct(name, value)

    def moment(self, name: str) -> float | None:
        """Unix seconds of an RFC 3339 time; None for null."""
        value = self.required(name)
        if value is None:
            return None
        found = parse_rfc3339(value) if isinstance(value, str) else None
        if found is None:
            self.refuse(name, "is no time such as 2027-01-31T00:00:00Z: write one, or null for a key that never ends")
        return found

    def whole(self, name: str, default: int, least: int, most: int) -> int:
        value = self.members.get(name, default)
        if type(value) is not int or not least <= value <= most:
            self.refuse(name, f"is no whole number from {least} to {most}")
        return value

    def _distinct(self, name: str, value: list[str]) -> tuple[str, ...]:
        if len(set(value)) != len(value):
            self.refuse(name, "names one thing twice")
        return tuple(value)


def base64url(text: str) -> bytes | None:
    """The bytes of a base64url text, with or without padding; None where it is none."""
    bare = text.rstrip("=")
    padded = bare + "=" * (-len(bare) % 4)
    if text not in (bare, padded):
        return None
    try:
        return b64decode(padded, altchars=b"-_", validate=True)
    except ValueError:
        return None


def bad_path(path: str) -> str | None:
    """What is wrong with a path of a key or a token (decoded; a prefix ends in /), None for a valid one."""
    if path.startswith("/-/"):
        return "it must not begin with /-/, where the service's own routes are"
    return path_fault(path)
