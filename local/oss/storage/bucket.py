"""One bucket's objects and their versions.

Folder: `objects/` holds for each key the version called "null" (the only one where versioning was never enabled),
`versions/` a folder for each key with the others, `uploads/` unfinished multipart uploads, `drafts/` what is being
written, `bucket.json` the settings. A key's current version is the one with the greatest `sequence`.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .draft import Draft
from .names import keys_below, path_of
from .record import Opened, Record, open_file, read_record

_VERSION_ID = re.compile(r"[0-9a-f]{32}")


class AlreadyExists(Exception):
    """A key that must not be overwritten is taken."""


@dataclass(frozen=True)
class Deletion:
    """What a deletion did: `version_id` of the version removed or the marker made, None for neither."""

    version_id: str | None = None
    is_marker: bool = False


class Bucket:
    """An existing bucket. All changes are single renames, so a reader sees the old or the new, never a mixture."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self._objects = path / "objects"
        self._versions = path / "versions"

    # --- settings -------------------------------------------------------------------------------------------

    def settings(self) -> dict[str, Any]:
        """`created` (Unix seconds), `versioning` ("", "Enabled" or "Suspended"), `cors` (None for the default)."""
        found: dict[str, Any] = json.loads((self.path / "bucket.json").read_bytes())
        return found

    def change(self, **settings: object) -> None:
        """Replaces some settings."""
        with self.locked():
            draft = self.path / "drafts" / secrets.token_hex(16)
            draft.write_text(json.dumps({**self.settings(), **settings}))
            os.replace(draft, self.path / "bucket.json")

    @property
    def versioning(self) -> str:
        """Enabled, Suspended, or "" where it never was either."""
        status: str = self.settings()["versioning"]
        return status

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Alone among all threads and processes that change this bucket, for as long as a rename takes."""
        with (self.path / "lock").open("wb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    # --- writing --------------------------------------------------------------------------------------------

    def draft(self) -> Draft:
        """A new object to be written."""
        return Draft(self.path / "drafts")

    def publish(self, draft: Draft, record: Record, *, forbid_overwrite: bool = False) -> Record:
        """Makes the draft the key's current version. Raises `AlreadyExists`.

        `forbid_overwrite` counts only where versioning was never enabled, as in OSS.
        """
        with self.locked():
            return self.publish_locked(draft, record, forbid_overwrite=forbid_overwrite)

    def publish_locked(self, draft: Draft, record: Record, *, forbid_overwrite: bool = False) -> Record:
        """`publish`, for a caller that holds the lock already."""
        versioning = self.versioning
        record = replace(record, sequence=self._next_sequence(record.key))
        if versioning == "Enabled":
            record = replace(record, version_id=f"{record.sequence:016x}{secrets.token_hex(8)}")
            draft.commit(record, self._place(record.key, record.version_id))
            return record
        try:
            draft.commit(record, self._place(record.key, "null"), exclusive=forbid_overwrite and not versioning)
        except FileExistsError:
            raise AlreadyExists(record.key) from None
        return record

    def delete(self, key: str, modified: float) -> Deletion:
        """Removes an object, or hides it behind a delete marker where there are versions."""
        with self.locked():
            if not self.versioning:
                self._place(key, "null").unlink(missing_ok=True)
                return Deletion()
            with self.draft() as draft:
                marker = Record(key, 0, "", 0, modified, is_marker=True)
                return Deletion(self.publish_locked(draft, marker).version_id, is_marker=True)

    def delete_version(self, key: str, version_id: str) -> Deletion:
        """Removes one version for good; one that is not there is no error."""
        with self.locked():
            place = self._place(key, version_id)
            try:
                was_marker = read_record(place).is_marker
            except FileNotFoundError:
                return Deletion(version_id)
            place.unlink()
            return Deletion(version_id, was_marker)

    def restore(self, opened: Opened) -> None:
        """Marks a frozen version as restored: the file is written anew, under its own name."""
        with self.draft() as draft, self.locked():
            record = opened.record
            draft.append(opened.blocks(), record.size, record.crc64)
            draft.commit(replace(record, is_restored=True), self._place(record.key, record.version_id))

    # --- reading --------------------------------------------------------------------------------------------

    def open(self, key: str, version_id: str | None = None) -> Opened | None:
        """The current version, or the one named; it may be a delete marker. None where there is none."""
        if version_id is not None:
            return self._open(self._place(key, version_id))
        if not path_of(self._versions, key).is_dir():
            return self._open(self._place(key, "null"))
        with self.locked():
            records = self._records(key)
            return self._open(self._place(key, records[0].version_id)) if records else None

    def current(self, key: str) -> Record | None:
        """The record of the current version, None where there is none or it is a delete marker."""
        opened = self.open(key)
        if opened is None:
            return None
        opened.close()
        return None if opened.record.is_marker else opened.record

    def all_keys(self) -> list[str]:
        """Every key that has a version, in the order of their UTF-8 bytes; some may have only delete markers."""
        found = {key for key, _ in keys_below(self._objects)}
        found.update(key for key, _ in keys_below(self._versions))
        return [key.decode() for key in sorted(found)]

    def versions(self, key: str) -> list[Record]:
        """The records of a key's versions, newest first."""
        with self.locked():
            return self._records(key)

    def is_empty(self) -> bool:
        """Whether no version of any key is left."""
        return not any(self.versions(key) for key in self.all_keys())

    def _records(self, key: str) -> list[Record]:
        places = [path_of(self._objects, key)]
        folder = path_of(self._versions, key)
        if folder.is_dir():
            places.extend(folder.iterdir())
        records = [read_record(place) for place in places if place.exists()]
        return sorted(records, key=lambda record: record.sequence, reverse=True)

    def _next_sequence(self, key: str) -> int:
        newest = [record.sequence for record in self._records(key)[:1]]
        return max([time.time_ns(), *[sequence + 1 for sequence in newest]])

    def _place(self, key: str, version_id: str) -> Path:
        if version_id == "null":
            return path_of(self._objects, key)
        if not _VERSION_ID.fullmatch(version_id):
            raise ValueError("A version id is null or 32 hexadecimal digits.")
        return path_of(self._versions, key) / version_id

    def _open(self, place: Path) -> Opened | None:
        try:
            return open_file(place)
        except FileNotFoundError:
            return None
