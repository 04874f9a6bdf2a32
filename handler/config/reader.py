"""One table of links.toml, read strictly, and the places and origins that stand in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NoReturn

from signer import SignerError
from signer import names as oss_names
from signer.times import parse_duration

from . import InvalidConfig, Location

LOOPBACK = re.compile(r"(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]+)?")

_ORIGIN = re.compile(r"https?://(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[::1\])(?::[0-9]{1,5})?")
_SIZE = re.compile(r"([0-9]{1,15})\s?(B|KB|MB|GB)?")
_UNITS = {None: 1, "B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}

Table = Mapping[str, Any]


class Entry:
    """One table of links.toml, read key by key; a key that is not known is refused at once."""

    def __init__(self, where: str, table: object, known: Mapping[str, str]) -> None:
        self.where = where
        if not isinstance(table, dict):
            raise InvalidConfig(f"{where} is no table.")
        self.table: Table = table
        if isinstance(table.get("path"), str):
            self.where = f"{where} ({table['path']})"
        for name in table:
            if name not in known:
                raise InvalidConfig(f"{self.where}: the key {name!r} is not known; known are {', '.join(known)}.")

    def refuse(self, name: str, why: str) -> NoReturn:
        raise InvalidConfig(f"{self.where}: {name} {why}.")

    def text(self, name: str) -> str | None:
        value = self.table.get(name)
        if value is not None and not isinstance(value, str):
            self.refuse(name, "is no text: put it in quotes")
        return value

    def required(self, name: str) -> str:
        value = self.text(name)
        if not value:
            self.refuse(name, "is missing")
        return value

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of `choices`; the first if absent."""
        value = self.text(name)
        if value is None:
            return choices[0]
        if value not in choices:
            self.refuse(name, f"= {value!r} is none of {', '.join(choices)}")
        return value

    def texts(self, name: str, default: tuple[str, ...] = (), choices: tuple[str, ...] = ()) -> tuple[str, ...]:
        value = self.table.get(name, list(default))
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            self.refuse(name, "is no list of texts")
        for item in value:
            if choices and item not in choices:
                self.refuse(name, f"holds {item!r}, which is none of {', '.join(choices)}")
        if len(set(value)) != len(value):
            self.refuse(name, "names one thing twice")
        return tuple(value)

    def flag(self, name: str) -> bool:
        value = self.table.get(name, False)
        if not isinstance(value, bool):
            self.refuse(name, "is neither true nor false")
        return value

    def span(self, name: str, default: str, least: int, most: int) -> int:
        """Seconds of a span of time within limits."""
        value = self.table.get(name, default)
        found = parse_duration(value) if isinstance(value, str) else value if type(value) is int else None
        if found is None or not least <= found <= most:
            self.refuse(
                name, f"= {value!r} is no span of time from {least} to {most} seconds: write it as 90, 15m, 2h or 1d"
            )
        return found

    def size(self, name: str, most: int) -> int | None:
        """Bytes, from a number or from a text such as 10MB (1 KB is 1024 bytes)."""
        value = self.table.get(name)
        if value is None:
            return None
        found = None
        if type(value) is int:
            found = value
        elif isinstance(value, str) and (match := _SIZE.fullmatch(value)):
            found = int(match[1]) * _UNITS[match[2]]
        if found is None or not 1 <= found <= most:
            self.refuse(name, f"= {value!r} is no size from 1 to {most} bytes: write it as 5242880 or 5MB")
        return found

    def tables(self, name: str) -> list[object]:
        value = self.table.get(name, [])
        if not isinstance(value, list):
            self.refuse(name, f"is no list of tables: write [[{name}]]")
        return value


def read_origin(entry: Entry, name: str, value: str) -> str:
    """Scheme and host alone, as a browser writes an Origin."""
    loopback = LOOPBACK.fullmatch(value.removeprefix("http://")) is not None
    if not _ORIGIN.fullmatch(value) or (value.startswith("http://") and not loopback):
        entry.refuse(name, f"= {value!r} is no origin: write scheme and host alone, such as https://links.example.com")
    return value


def read_location(entry: Entry, name: str, value: str) -> Location:
    scheme, _, rest = value.partition("://")
    bucket, slash, key = rest.partition("/")
    if scheme != "oss" or not slash:
        entry.refuse(name, f"= {value!r} is no place in OSS: write oss://bucket/prefix/")
    try:
        oss_names.check_bucket(bucket)
        if key:
            oss_names.check_key(key)
    except SignerError as error:
        raise InvalidConfig(f"{entry.where}: {name}: {error}") from None
    return Location(bucket, key)


def read_prefix(entry: Entry, name: str, value: str) -> Location:
    location = read_location(entry, name, value)
    if location.key and not location.key.endswith("/"):
        entry.refuse(name, f"= {value!r} does not end in /")
    return location
