"""A strict reader of TOML tables and JSON objects, and the addresses and paths that stand in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple, NoReturn, TypeVar

from signer import SignerError
from signer.endpoint import is_loopback, parse_origin
from signer.times import parse_duration

from ..errors import HandlerError, Problem
from ..paths import TAGS, UNSEEN, path_fault
from .mounts import Location

IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
IDENTIFIER_FORM = "1 to 64 letters, digits, ., _ and -, beginning with a letter or digit"

_VARIABLE = re.compile(r"\$\{([^}]*)\}?")

# What to do about a key that stands for no other.
_INSTEAD = {
    "active_content": "remove it: browsers download what they could run, wherever uploads reach a domain of yours. "
    "Publish pages through a mount that no uploads reach"
}

Table = Mapping[str, Any]
Result = TypeVar("Result")
REQUIRED = object()  # instead of a default


class InvalidConfig(HandlerError):
    """links.toml is invalid; the sentence names the table and the key, and says what was expected."""

    code = "invalid_config"

    def reported(self) -> Problem:
        return Problem("bad_configuration")


class TableReader:
    """A table of links.toml, or with `json` an object of the keys document. Every method raises `error`.

    The constructor refuses unknown names; those of `outer` are known at the top level only. Messages begin with
    `where`. With `json` they show neither values nor unknown names, either of which may be a secret.
    """

    def __init__(
        self,
        where: str,
        table: object,
        known: Collection[str],
        *,
        error: type[HandlerError] = InvalidConfig,
        json: bool = False,
        outer: Collection[str] = (),
    ) -> None:
        self.where = where
        self.error = error
        self.json = json
        if not isinstance(table, dict):
            raise error(f"{where} must be {'an object' if json else 'a table'}.")
        self.table: Table = table
        self.known = known
        if isinstance(table.get("path"), str) and not json:
            self.where = f"{where} ({table['path']})"
        for name in table:
            if name not in known:
                unknown = "member" if json else f"key {name!r}"
                raise error(f"{self.where}: unknown {unknown} ({_advice(name, known, outer)}).")

    def refuse(self, name: str, why: str) -> NoReturn:
        raise self.error(f"{self.where}: {name} {why}.")

    def refuse_value(self, name: str, expected: str) -> NoReturn:
        """Refuses the value of a key and shows it, unless it may be a secret."""
        self.refuse(name, expected if self.json else f"{expected} (got {self.table.get(name)!r})")

    def required(self, name: str) -> Any:
        if name not in self.table:
            self.refuse(name, "is required")
        return self.table[name]

    def values(self, keys: Mapping[str, Key]) -> dict[str, Any]:
        """The values of all keys of the table, or their defaults; what each needs and forbids is checked.

        Needs that are not keys of the table are keys of the top level, which are checked later.
        """
        values = {
            name: key.read(self, name)
            if name in self.table or key.default is REQUIRED
            else key.default
            for name, key in keys.items()
        }
        for name in self.table:
            for other, why in keys[name].forbids:
                if other in self.table:
                    self.refuse(name, why)
            for need in keys[name].needs if values[name] else ():
                item, _, other = need.rpartition(" in ")
                if other in keys and not (item in values[other] if item else values[other]):
                    self.refuse(name, f"requires {need}")
        return values

    def string(self, name: str) -> str | None:
        value = self.table.get(name)
        if value is not None and not isinstance(value, str):
            self.refuse_value(name, "must be a string")
        return value

    def parsed(self, name: str, parse: Callable[[str], Result], value: str) -> Result:
        """What the signer makes of a value, which its own sentence refuses."""
        try:
            return parse(value)
        except SignerError as error:
            raise self.error(f"{self.where}: {name}: {error}") from None

    def required_string(self, name: str) -> str:
        """A string that is not empty."""
        value = self.string(name)
        if not value:
            self.refuse(name, "is required")
        return value

    def choice(self, name: str, choices: tuple[str, ...], *, required: bool = False) -> str:
        """One of `choices`; the first if it is absent and not required."""
        value = self.required(name) if required else self.table.get(name, choices[0])
        if not isinstance(value, str) or value not in choices:
            listed = f"one of {', '.join(choices)}" if len(choices) > 2 else " or ".join(choices)
            self.refuse_value(name, f"must be {listed}")
        return value

    def items(self, name: str) -> list[Any]:
        value = self.table.get(name, [])
        if not isinstance(value, list):
            self.refuse_value(name, "must be a list")
        return value

    def strings(
        self,
        name: str,
        choices: tuple[str, ...] = (),
        *,
        required: bool = False,
    ) -> tuple[str, ...]:
        """Different strings, each one of `choices` if there are any; with `required` at least one."""
        values = self.items(name)
        if not all(
            isinstance(value, str) and (not choices or value in choices) for value in values
        ):
            self.refuse_value(name, f"must be a list of {', '.join(choices) or 'strings'}")
        if required and not values:
            self.refuse(
                name,
                f"must be a list of at least one {'of ' + ', '.join(choices) if choices else 'string'}",
            )
        if len(set(values)) != len(values):
            self.refuse_value(name, "must not contain the same value twice")
        return tuple(values)

    def boolean(self, name: str) -> bool:
        value = self.table.get(name, False)
        if not isinstance(value, bool):
            self.refuse_value(name, "must be true or false")
        return value

    def integer(self, name: str, default: int, minimum: int, maximum: int) -> int:
        value = self.table.get(name, default)
        if type(value) is not int or not minimum <= value <= maximum:
            self.refuse_value(name, f"must be an integer from {minimum} to {maximum}")
        return value

    def duration(self, name: str, minimum: int, maximum: int) -> int:
        """Seconds, from a number or a string such as 15m."""
        value = self.table.get(name)
        seconds = value
        if isinstance(value, str):
            seconds = parse_duration(value)
        if type(seconds) is not int or not minimum <= seconds <= maximum:
            expected = (
                f"must be a duration from {minimum} to {maximum} seconds, such as 90, 15m, 2h or 1d"
            )
            self.refuse_value(name, expected)
        return seconds

    def size(self, name: str, minimum: int = 1, maximum: int | None = None) -> int | None:
        """Bytes, from a number or a string that `parse_size` reads; up to the largest upload, of 10,000 parts."""
        value = self.table.get(name)
        if value is None:
            return None
        from signer.sizes import MAX_PUT, parse_size  # few configurations need it

        maximum = 10_000 * MAX_PUT if maximum is None else maximum
        size = value
        if isinstance(value, str):
            size = parse_size(value)
        if type(size) is not int or not minimum <= size <= maximum:
            self.refuse_value(
                name, f"must be a size from {minimum} to {maximum} bytes, such as 5242880 or 5MB"
            )
        return size

    def tables(self, name: str, known: Collection[str]) -> list[TableReader]:
        """Readers of a list of tables or objects, named by their numbers."""
        value = self.table.get(name, [])
        if not isinstance(value, list):
            self.refuse(
                name, f"must be a list of {'objects' if self.json else f'tables: write [[{name}]]'}"
            )
        outer = () if self.json else self.known
        return [
            TableReader(
                f"{name} {number}", item, known, error=self.error, json=self.json, outer=outer
            )
            for number, item in enumerate(value, 1)
        ]


class Key(NamedTuple):
    """A key of a table of links.toml: what it means, how its value is read, and what it is without one.

    `needs` must be set where it is: a key of the table or of the top level, or a value of one, as `GET in methods`.
    `forbids` has other keys of the table, each with why both cannot stand in one. `schema` (of OpenAPI) is what
    `GET /-/me` says of it to callers, who see no other keys.
    """

    read: Callable[[TableReader, str], Any]
    says: str
    default: Any = None
    needs: tuple[str, ...] = ()
    forbids: tuple[tuple[str, str], ...] = ()
    schema: Mapping[str, object] | None = None


# How the values of keys are read, beside the methods of TableReader.


def choice(*choices: str) -> Callable[[TableReader, str], str]:
    return lambda reader, name: reader.choice(name, choices, required=True)


def strings(*choices: str) -> Callable[[TableReader, str], tuple[str, ...]]:
    return lambda reader, name: reader.strings(name, choices)


def string_set(*choices: str) -> Callable[[TableReader, str], frozenset[str]]:
    return lambda reader, name: frozenset(reader.strings(name, choices))


def duration(minimum: int, maximum: int) -> Callable[[TableReader, str], int]:
    return lambda reader, name: reader.duration(name, minimum, maximum)


def origin(reader: TableReader, name: str) -> str:
    return read_origin(reader, name, reader.string(name) or "")


def origins(reader: TableReader, name: str) -> frozenset[str]:
    return frozenset(read_origin(reader, name, each) for each in reader.strings(name))


def _advice(name: str, known: Collection[str], outer: Collection[str]) -> str:
    """What to write instead of an unknown name."""
    if name in outer:
        return "it belongs at the top of the file, above the first [[mount]]"
    if name in _INSTEAD:
        return _INSTEAD[name]
    from difflib import get_close_matches  # only a mistake needs it

    similar = get_close_matches(name.lower(), known, 1)
    return f"did you mean {similar[0]!r}?" if similar else f"known: {', '.join(known)}"


def read_origin(reader: TableReader, name: str, value: str) -> str:
    """A scheme and a host as a browser writes an Origin: https, or http for a loopback host."""
    try:
        scheme, host = parse_origin(value)
    except SignerError:
        scheme = host = ""
    secure = scheme == "https" or (scheme == "http" and is_loopback(host))
    if not secure or value != value.lower() or value.endswith("/"):
        expected = "an https origin without a path, such as https://links.example.com"
        reader.refuse(name, f"must be {expected} (got {value!r})")
    return value


def read_prefix(reader: TableReader, name: str, value: str, example: str = "") -> Location:
    """A location whose key ends in "/", or without an `example` of a key may be empty."""
    location = reader.parsed(name, Location.parse, value)
    if location.key and not location.key.endswith("/"):
        reader.refuse(name, f"must end in / (got {value!r})")
    check_literal(reader, name, value)
    if example and not location.key:
        reader.refuse_value(name, f"must have a prefix, such as oss://bucket/{example}")
    return location


def check_literal(reader: TableReader, name: str, value: str) -> None:
    """Refuses the path or prefix of a mount that only seems to be another one: it would protect nothing."""
    if ("%" in value or not value.isascii()) and re.search(
        f"%[0-9A-Fa-f]{{2}}|[{UNSEEN}{TAGS}]", value
    ):
        expected = "must be written as it is: not percent-encoded, and without control or invisible characters"
        reader.refuse_value(name, expected)


def covered_path_fault(path: str) -> str | None:
    """What is wrong with a path that a mount, a key or a token covers (a prefix ends in "/"), None for a valid one."""
    if path.startswith("/-/"):
        return "it must not begin with /-/, where the service's own routes are"
    return path_fault(path)


def replace_variables(value: Any, environ: Mapping[str, str], where: str) -> Any:
    """The value with `${NAME}` replaced in every string; an empty variable counts as missing."""
    if isinstance(value, str):

        def value_of(match: re.Match[str]) -> str:
            name = match[1]
            is_name = name.isidentifier() and name.isascii()
            if not is_name or not match[0].endswith("}"):
                raise InvalidConfig(f"{where}: invalid variable {match[0]!r} (expected ${{NAME}}).")
            if not environ.get(name):
                raise InvalidConfig(f"{where}: the variable {name} is not set or empty.")
            return environ[name]

        return _VARIABLE.sub(value_of, value)
    if isinstance(value, list):
        return [
            replace_variables(item, environ, f"{where} {number}")
            for number, item in enumerate(value, 1)
        ]
    if isinstance(value, dict):
        return {
            name: replace_variables(item, environ, f"{where}, {name}" if where else name)
            for name, item in value.items()
        }
    return value
