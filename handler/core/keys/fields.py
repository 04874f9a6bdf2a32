"""What only the keys document holds: secrets, paths, times and public keys. No message shows a value."""

from __future__ import annotations

import re
from base64 import b64decode

from signer.times import parse_rfc3339

from ..config import MAX_SHARE, MIN_SHARE
from ..config.reader import TableReader, covered_path_fault
from ..errors import HandlerError

MIN_SECRET = 32
MAX_SECRET = 1024  # bytes

_SECRET = re.compile(r"[A-Za-z0-9_-]+={0,2}")
_STRING = re.compile(r"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{1,256}")


class InvalidKeys(HandlerError):
    """The keys document is invalid; the sentence names the entry and the member, and shows no value."""

    code = "invalid_keys"


def read_object(where: str, value: object, known: tuple[str, ...]) -> TableReader:
    return TableReader(where, value, known, error=InvalidKeys, json=True)


def read_string(reader: TableReader, name: str) -> str:
    return read_match(
        reader, name, _STRING, "a string of 1 to 256 characters without control characters"
    )


def read_match(reader: TableReader, name: str, pattern: re.Pattern[str], expected: str) -> str:
    value = reader.required(name)
    if not isinstance(value, str) or not pattern.fullmatch(value):
        reader.refuse(name, f"must be {expected}")
    return value


def read_secret(reader: TableReader, name: str) -> bytes:
    value = reader.required(name)
    if not isinstance(value, str) or not _SECRET.fullmatch(value):
        reader.refuse(name, "must be a base64url string (A-Z, a-z, 0-9, - and _)")
    secret = base64url(value)
    if secret is None:
        reader.refuse(name, "is incomplete: it is not valid base64url")
    if not MIN_SECRET <= len(secret) <= MAX_SECRET:
        reader.refuse(
            name, f"has {len(secret)} bytes: it must have {MIN_SECRET} to {MAX_SECRET} random bytes"
        )
    return secret


def read_paths(reader: TableReader) -> tuple[str, ...]:
    paths = reader.strings("paths", required=True)
    for number, path in enumerate(paths, 1):
        if fault := covered_path_fault(path):
            reader.refuse(f"paths, entry {number},", f"is invalid: {fault}")
    return paths


def read_time(reader: TableReader, name: str) -> float | None:
    """Unix seconds of an RFC 3339 time; None for null."""
    value = reader.required(name)
    timestamp = parse_rfc3339(value) if isinstance(value, str) else None
    if timestamp is None and value is not None:
        reader.refuse(
            name,
            "must be a time such as 2027-01-31T00:00:00Z, or null for a key that never expires",
        )
    return timestamp


def read_max_share(reader: TableReader) -> int | None:
    """The maximum lifetime of shares in seconds, None without one."""
    return (
        reader.duration("max_share", MIN_SHARE, MAX_SHARE) if "max_share" in reader.table else None
    )


def read_number_size(reader: TableReader, name: str, minimum: int, maximum: int) -> int:
    """The bytes of a number of a JWK, encoded as base64url in `minimum` to `maximum` bytes, without leading zeros."""
    value = reader.required(name)
    number = base64url(value) if isinstance(value, str) else None
    if number is None or not minimum <= len(number) <= maximum:
        size = f"{minimum} to {maximum}" if minimum < maximum else f"{minimum}"
        reader.refuse(name, f"must be a base64url number of {size} bytes")
    return len(number.lstrip(b"\0"))


def base64url(string: str) -> bytes | None:
    """The bytes of a base64url string, with or without padding; None for anything else."""
    bare = string.rstrip("=")
    padded = bare + "=" * (-len(bare) % 4)
    if string not in (bare, padded):
        return None
    try:
        return b64decode(padded, altchars=b"-_", validate=True)
    except ValueError:
        return None
