"""The record of a stored object, and the file that holds the object and its record.

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
class ObjectRecord:
    """What is known about an object, a part, or a delete marker.

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

    @property
    def is_archived(self) -> bool:
        """Whether it must be restored before it can be read, which the local OSS does not do."""
        return self.storage_class.endswith("Archive")


@dataclass(frozen=True)
class OpenedObject:
    """An object whose file is open; the caller of `open` must close it, or read `blocks` to the end."""

    record: ObjectRecord
    file: BufferedReader

    def blocks(self, start: int = 0, length: int | None = None) -> Iterator[bytes]:
        """The bytes from `start`, in blocks; closes the file at the end."""
        remaining = self.record.size - start if length is None else length
        with self.file:
            self.file.seek(start)
            while remaining > 0:
                block = self.file.read(min(_BLOCK, remaining))
                if not block:
                    return
                remaining -= len(block)
                yield block

    def close(self) -> None:
        self.file.close()


def trailer(record: ObjectRecord) -> bytes:
    """What follows the object's bytes in its file."""
    document = json.dumps(asdict(record)).encode()
    return document + len(document).to_bytes(8, "big") + _MARK


def open_file(path: Path) -> OpenedObject:
    """Raises `FileNotFoundError`, and `ValueError` for a file that is not a complete object file."""
    file = path.open("rb")
    try:
        end = file.seek(0, 2)
        file.seek(max(0, end - 16))
        tail = file.read(16)
        length = int.from_bytes(tail[:8], "big")
        if tail[8:] != _MARK or length > end - 16:
            raise ValueError(f"Invalid object file {path}: remove it, or use an empty root.")
        file.seek(end - 16 - length)
        record = ObjectRecord(**json.loads(file.read(length)))
    except BaseException:
        file.close()
        raise
    return OpenedObject(record, file)


def read_record(path: Path) -> ObjectRecord:
    """Raises as `open_file` does."""
    opened = open_file(path)
    opened.close()
    return opened.record
