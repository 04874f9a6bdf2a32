"""Object keys as paths below a folder, and back: no key escapes it, and no two keys meet.

A key's bytes are percent-encoded but for a-z, 0-9, "-", "_" and "." (capitals too, since some file systems do not
tell them from small letters), cut into pieces of at most 200 characters. Every piece but the last is a folder
ending in "+", the last ends in "=", so that no piece is ".", ".." or empty, and no file has a folder's name.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

_PIECE = 200
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_.")
_ENCODED = [chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in range(256)]


def path_of(folder: Path, key: str) -> Path:
    """The path of a key, 1 to 1023 bytes of UTF-8, below `folder`."""
    encoded = "".join([_ENCODED[byte] for byte in key.encode()])
    pieces = [encoded[at : at + _PIECE] for at in range(0, len(encoded), _PIECE)]
    return folder.joinpath(*[piece + "+" for piece in pieces[:-1]], pieces[-1] + "=")


def keys_below(folder: Path) -> Iterator[tuple[bytes, Path]]:
    """The keys, as UTF-8, that have a path below `folder`, and the paths, in no order."""
    yield from _walk(str(folder), "")


def _walk(folder: str, before: str) -> Iterator[tuple[bytes, Path]]:
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        encoded = before + entry.name[:-1]
        if entry.name.endswith("="):
            yield unquote_to_bytes(encoded), Path(entry.path)
        elif entry.name.endswith("+"):
            yield from _walk(entry.path, encoded)
