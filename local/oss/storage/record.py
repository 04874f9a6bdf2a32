"""What is known of a stored object, and the file that holds both.

File: the object's bytes, the record as JSON, the JSON's length (8 bytes, big-endian), a mark of 8 bytes. One
rename commits data and record together, and a reader that has the file open is not disturbed by the next one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from io import BufferedReader
from pathlib import Path

_MARK = b"OSSFILE1"
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Record:
    """An object, a part, or a delete marker.

    `etag` is without quotes; `headers` holds what the uploader set, lower-case names, values as on the wire (Latin-1);
    `sequence` orders a key's versions; `modified` is in Unix seconds.
    """

    key: str
    size: int
    etag: str
    crc64: int
    modified: float
    headers: Mapping[str, str] = field(default_factory=dict)
    storage_class: str = "Standard"
    kind: str = "Normal"
    version_id: str = "null"
    sequence: int = 0
    is_marker: bool = False
    is_restored: bool = False

    @property
    def is_frozen(self) -> bool:
        """Whether it must be restored before it can be read."""
        return self.storage_class.endswith("Archive") and not self.is_restored


@dataclass(frozen=True)
class Opened:
    """An open object; whoever asked for it closes it."""

    record: Record
    file: BufferedReader

    def blocks(self, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes from `start`, in blocks; closes the file at the end."""
        left = self.record.size - start if length is None else length
        with self.file:
            self.file.seek(start)
            while left > 0:
                block = self.file.read(min(_BLOCK, left))
                if not block:
                    return
                left -= len(block)
                yield block

    def close(self) -> None:
        """Gives the file back unread."""
        self.file.close()


def trailer(record: Record) -> bytes:
    """What follows the object's bytes in its file."""
    text = json.dumps(asdict(record)).encode()
    return text + len(text).to_bytes(8, "big") + _MARK


def open_file(path: Path) -> Opened:
    """Raises `FileNotFoundError`, and `ValueError` for a file that this program did not write whole."""
    file = path.open("rb")
    try:
        end = file.seek(0, 2)
        file.seek(max(0, end - 16))
        ending = file.read(16)
        length = int.from_bytes(ending[:8], "big")
        if ending[8:] != _MARK or length > end - 16:
            raise ValueError(f"{path} is no object file: remove it, or name an empty root.")
        file.seek(end - 16 - length)
        record = Record(**json.loads(file.read(length)))
    except BaseException:
        file.close()
        raise
    return Opened(record, file)


def read_record(path: Path) -> Record:
    """The record alone; raises as `open_file` does."""
    opened = open_file(path)
    opened.close()
    return opened.record
