"""How the value of a key is read where it takes more than a method of `TableReader`."""

from __future__ import annotations

from signer.link import MAX_EXPIRES_IN

from .mounts import MAX_CDN_EXPIRES, MAX_DELETE_AFTER, TRAFFIC_LIMIT, Location
from .reader import TableReader, check_literal, covered_path_fault, read_prefix

METHODS = ("GET", "PUT", "POST")
DAY = 86_400  # seconds


def state(reader: TableReader, name: str) -> Location:
    return read_prefix(reader, name, reader.string(name) or "", ".links/state/")


def is_enabled(reader: TableReader, name: str) -> bool:
    return TableReader(name, reader.table[name], ("enabled",)).boolean("enabled")


def path(reader: TableReader, name: str) -> str:
    path = reader.required_string(name)
    if not (path.startswith("/") and path.endswith("/")):
        reader.refuse_value(
            name, "must begin and end with /: otherwise /pub would also cover /public-secret"
        )
    if fault := covered_path_fault(path):
        reader.refuse(name, f"is invalid: {fault}")
    check_literal(reader, name, path)
    return path


def target(reader: TableReader, name: str) -> Location:
    return read_prefix(reader, name, reader.required_string(name))


def methods(reader: TableReader, name: str) -> tuple[str, ...]:
    if "HEAD" in reader.items(name):
        reader.refuse(name, "contains HEAD, which comes with GET: remove it")
    return reader.strings(name, METHODS, required=True)


def lifetime(reader: TableReader, name: str) -> int:
    return reader.duration(name, 1, MAX_CDN_EXPIRES if "cdn" in reader.table else MAX_EXPIRES_IN)


def when_to_check(reader: TableReader, name: str) -> bool | str:
    check: bool | str = reader.table[name]
    if not isinstance(check, bool) and check != "pages":
        reader.refuse_value(name, 'must be true, false or "pages"')
    return check


def traffic_limit(reader: TableReader, name: str) -> int:
    """Bits per second; the value is in bytes."""
    minimum, maximum = TRAFFIC_LIMIT
    return 8 * (reader.size(name, minimum // 8, maximum // 8) or 0)


def whole_days(reader: TableReader, name: str) -> int:
    seconds = reader.duration(name, DAY, MAX_DELETE_AFTER)
    if seconds % DAY:
        reader.refuse_value(name, "must be whole days, such as 61d")
    return seconds


def earlier_targets(reader: TableReader, name: str) -> tuple[Location, ...]:
    return tuple(read_prefix(reader, name, each) for each in reader.strings(name))
