"""Object keys as paths below a folder, and back: no key escapes the folder, and no two keys share a path.

A key's bytes are percent-encoded except a-z, 0-9, "-", "_" and "." (capitals are encoded too, because some file
systems ignore case), and cut into pieces of at most 200 characters. Every piece but the last is a folder that ends
in "+", the last is a file or folder that ends in "=", so that no piece is ".", ".." or empty, and no file has the
name of a folder.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote_to_bytes

_PIECE = 200
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_.")
_ENCODED = [chr(byte) if byte in _PLAIN else f"%{byte:02x}" for byte in range(256)]


def key_path(folder: Path, key: str) -> Path:
    """The path of a key (1 to 1023 bytes of UTF-8) below `folder`."""
    encoded = "".join([_ENCODED[byte] for byte in key.encode()])
    pieces = [encoded[start : start + _PIECE] for start in range(0, len(encoded), _PIECE)]
    return folder.joinpath(*[piece + "+" for piece in pieces[:-1]], pieces[-1] + "=")


def keys_below(folder: Path, prefix: str = "") -> Iterator[bytes]:
    """The keys, as UTF-8, that have a path below `folder`, in no order; `prefix` is the encoded start of all."""
    try:
        entries = list(os.scandir(folder))
    except FileNotFoundError:
        return
    for entry in entries:
        encoded = prefix + entry.name[:-1]
        if entry.name.endswith("="):
            yield unquote_to_bytes(encoded)
        elif entry.name.endswith("+"):
            yield from keys_below(Path(entry.path), encoded)
