"""An object that is being written: invisible until it is committed, and removed if it never is."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from fastcrc import crc64

from .record import ObjectRecord, OpenedObject, trailer
from .replacing import replace


class Draft:
    """A file in the drafts folder; `size`, `md5` and `crc64` are those of the bytes written so far.

    It is a context manager: the file is removed at the end of the block unless it was committed.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / secrets.token_hex(16)
        self._file = self._path.open("xb")
        self._md5 = hashlib.md5(usedforsecurity=False)
        self.size = 0
        self.crc64 = 0

    def __enter__(self) -> Draft:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)

    @property
    def md5(self) -> bytes:
        """16 bytes."""
        return self._md5.digest()

    def write(self, blocks: Iterable[bytes]) -> None:
        for block in blocks:
            self._file.write(block)
            self._md5.update(block)
            self.crc64 = crc64.xz(block, self.crc64)  # CRC-64/XZ is x-oss-hash-crc64ecma
            self.size += len(block)

    def extend(self, opened: OpenedObject) -> None:
        """Begins with an object's bytes, which are not hashed again: `md5` is that of what is written after them."""
        for block in opened.blocks():
            self._file.write(block)
        self.crc64 = opened.record.crc64
        self.size = opened.record.size

    def commit(self, record: ObjectRecord, path: Path, *, exclusive: bool = False) -> None:
        """Moves the file to `path` in one step. With `exclusive`, raises `FileExistsError` if a file is there."""
        self._file.write(trailer(record))
        self._file.close()
        path.parent.mkdir(parents=True, exist_ok=True)
        if exclusive:
            os.link(self._path, path)  # the file system's own test-and-set, also between processes
        else:
            replace(self._path, path)
