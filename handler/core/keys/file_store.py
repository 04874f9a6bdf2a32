"""A keys document in a file, which is read and replaced as one in OSS is."""

from __future__ import annotations

import os
from typing import NamedTuple

from signer.common.files import replace_file

from ..cloud.oss import MAX_BODY, MISSING, REFUSED, StoreError
from ..cloud.store import StoredObject


class FileStore(NamedTuple):
    """A file that only its owner can read and write. Methods raise `StoreError`."""

    path: str

    def __str__(self) -> str:
        return f"file:{self.path}"

    def read(self, name: str, known: str = "") -> StoredObject | None:
        """The file, None where it does not exist; its time, size and inode stand for an ETag. `name` is empty."""
        try:
            with open(self.path, "rb") as file:
                status = os.fstat(file.fileno())
                version = f"{status.st_mtime_ns}-{status.st_size}-{status.st_ino}"
                body = b"" if version == known else file.read(MAX_BODY + 1)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise _error("read", error) from None
        if len(body) > MAX_BODY:
            raise StoreError("read", 0, REFUSED, f"it exceeds {MAX_BODY} bytes")
        return StoredObject(body, 0.0, version)

    def replace(self, document: bytes) -> None:
        """Replaces the file atomically: a reader sees the old document or the new one."""
        try:
            replace_file(os.path.realpath(self.path), document, 0o600)
        except (OSError, ValueError) as error:
            raise _error("write", error) from None


def _error(operation: str, error: Exception) -> StoreError:
    code = MISSING if isinstance(error, FileNotFoundError) else REFUSED
    return StoreError(operation, 0, code, getattr(error, "strerror", None) or "invalid path")
