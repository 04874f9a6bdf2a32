"""An object that is being written: invisible until it is committed, and gone if it never is."""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from . import crc64
from .record import Record, trailer


class Draft:
    """A file in the folder of drafts; `size`, `md5` and `crc64` tell of the bytes written so far.

    It is a context manager: what was not committed by the end of the block is removed.
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
        """The MD5 of the bytes so far, 16 bytes."""
        return self._md5.digest()

    def write(self, blocks: Iterable[bytes]) -> None:
        """Adds bytes, and their checksums."""
        for block in blocks:
            self._file.write(block)
            self._md5.update(block)
            self.crc64 = crc64.update(self.crc64, block)
            self.size += len(block)

    def append(self, blocks: Iterable[bytes], size: int, checksum: int) -> None:
        """Adds `size` bytes whose CRC-64 is known; `md5` tells nothing afterwards."""
        for block in blocks:
            self._file.write(block)
        self.crc64 = crc64.combine(self.crc64, checksum, size)
        self.size += size

    def commit(self, record: Record, path: Path, *, exclusive: bool = False) -> None:
        """Gives the file its place in one step. With `exclusive`, raises `FileExistsError` where one is there."""
        self._file.write(trailer(record))
        self._file.close()
        path.parent.mkdir(parents=True, exist_ok=True)
        if exclusive:
            os.link(self._path, path)  # the file system's own test-and-set, also between processes
        else:
            os.replace(self._path, path)
