"""Plain files in the folder of a bucket: each becomes an object, as if it were uploaded, so that triggers see it too.

`samples/examplebucket/outbox/a.txt` becomes `oss://examplebucket/outbox/a.txt`. The file stays, and an object that is
newer than its file stays too. A file that is removed takes its object with it, unless that was written since.
"""

from __future__ import annotations

import mimetypes
import os
import stat
import time
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Protocol

from ..errors import SignerError
from . import client
from .oss.storage import Bucket, Buckets, ObjectRecord


class Served(client.Served, Protocol):
    """A running OSS with its folder."""

    @property
    def root(self) -> Path: ...


class PlainFiles:
    """The plain files of a local OSS; each is looked at once, and again when it changes."""

    def __init__(self, oss: Served) -> None:
        self._oss = oss
        self._buckets = Buckets(oss.root)
        self._seen: dict[Path, int] = {}
        self._objects: dict[Path, ObjectRecord] = {}  # as they were when their files were looked at

    def ignored_folders(self) -> list[Path]:
        """The folders that look like a bucket's and are not."""
        folders = (
            path
            for path in self._oss.root.iterdir()
            if path.is_dir() and not path.name.startswith(".")
        )
        return sorted(folder for folder in folders if self._buckets.get(folder.name) is None)

    def take_in(self, min_age: float = 0) -> Iterator[str]:
        """Uploads new and changed files, deletes the objects of removed ones, and yields a sentence about each.

        Files that changed in the last `min_age` seconds wait for the next call: somebody may still be writing them.
        """
        for bucket in self._buckets.all():
            for path in [
                path
                for path in self._objects
                if bucket.path in path.parents and not os.path.lexists(path)
            ]:
                stored = self._objects.pop(path)
                del self._seen[path]
                if bucket.current(stored.key) == stored:
                    bucket.delete(stored.key, time.time())
                    yield f"{path} was removed, and oss://{bucket.name}/{stored.key} with it."
            for path in _plain_files(bucket.path):
                try:
                    status = path.stat()
                except OSError:
                    continue
                if not stat.S_ISREG(status.st_mode):  # opening a pipe waits for a writer
                    continue
                modified = status.st_mtime_ns
                if self._seen.get(path) == modified or 0 <= time.time() - modified / 1e9 < min_age:
                    continue
                self._seen[path] = modified
                yield from self._take_in(bucket, path, modified / 1e9)

    def _take_in(self, bucket: Bucket, path: Path, modified: float) -> Iterator[str]:
        key = path.relative_to(bucket.path).as_posix()
        headers = {"Content-Type": mimetypes.guess_type(path.name)[0] or "application/octet-stream"}
        try:
            stored = bucket.current(key)
            if stored is not None and stored.modified >= modified:
                self._objects[path] = stored
                return
            with path.open("rb") as file:
                response = client.request(self._oss, "PUT", bucket.name, key, file, headers)
            if response.status != 200:
                raise OSError(None, f"status {response.status}")
            if stored := bucket.current(key):
                self._objects[path] = stored
        except (OSError, ValueError, SignerError, HTTPException) as error:
            reason = (
                str(error) if isinstance(error, SignerError) else getattr(error, "strerror", None)
            )
            yield f"{str(path)!a} was not taken in: {(reason or type(error).__name__).rstrip('.')}."
        else:
            yield f"{path} was taken in as oss://{bucket.name}/{key}."


def _plain_files(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        for entries in (folders, names):
            entries[:] = sorted(entry for entry in entries if not entry.startswith("."))
        yield from (Path(parent, name) for name in names)
