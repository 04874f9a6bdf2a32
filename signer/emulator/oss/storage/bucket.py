"""The objects and versions of one bucket.

Folder: everything is in `.oss/`, and other names in the folder are free. There `objects/` holds for each key the
version called "null" (the only one if versioning was never enabled), `versions/` a folder for each key with the other
versions, `uploads/` unfinished multipart uploads, `drafts/` what is being written, `bucket.json` the settings. A key's
current version is the one with the greatest `sequence`.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from .draft import Draft
from .key_paths import key_path, keys_below
from .locking import lock
from .record import ObjectRecord, OpenedObject, open_file, read_record
from .replacing import remove
from .replacing import replace as replace_file

OWN = ".oss"
VERSION_ID = re.compile(r"null|[0-9a-f]{32}")


class AlreadyExists(Exception):
    """The key has an object, which must not be overwritten."""


class Deletion(NamedTuple):
    """What a deletion did: `version_id` of the version removed or the marker created, None for neither."""

    version_id: str | None = None
    is_marker: bool = False


class Bucket:
    """An existing bucket. Every change is a single rename, so a reader sees the old or the new, never a mixture."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = path.name
        self.own = path / OWN
        self._objects = self.own / "objects"
        self._versions = self.own / "versions"

    # --- settings -------------------------------------------------------------------------------------------

    def settings(self) -> dict[str, Any]:
        """`created` (Unix seconds), `versioning` ("", "Enabled" or "Suspended"), `cors` (rules or None).

        `lifecycle` is the XML of the rules, None or missing without any; `tags` may be missing, too.
        """
        settings: dict[str, Any] = json.loads((self.own / "bucket.json").read_bytes())
        return settings

    def change(self, **settings: object) -> None:
        """Replaces the named settings."""
        with self.locked():
            draft = self.own / "drafts" / secrets.token_hex(16)
            draft.write_text(json.dumps({**self.settings(), **settings}))
            replace_file(draft, self.own / "bucket.json")

    @property
    def versioning(self) -> str:
        """Enabled, Suspended, or "" if it was never set."""
        return str(self.settings()["versioning"])

    @property
    def storage_class(self) -> str:
        """That of objects whose upload names none."""
        return str(self.settings()["storage_class"])

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Excludes all other threads and processes that change this bucket, for a rename or a copy of one object."""
        with (self.own / "lock").open("wb") as file:
            lock(file)
            yield

    # --- writing --------------------------------------------------------------------------------------------

    def draft(self) -> Draft:
        return Draft(self.own / "drafts")

    def publish(
        self, draft: Draft, record: ObjectRecord, *, forbid_overwrite: bool = False
    ) -> ObjectRecord:
        """Makes the draft the key's current version. Raises `AlreadyExists`.

        `forbid_overwrite` applies only if versioning was never enabled, as in OSS.
        """
        with self.locked():
            return self.publish_locked(draft, record, forbid_overwrite=forbid_overwrite)

    def publish_locked(
        self, draft: Draft, record: ObjectRecord, *, forbid_overwrite: bool = False
    ) -> ObjectRecord:
        """`publish`, for a caller that holds the lock already."""
        versioning = self.versioning
        following = (other.sequence + 1 for other in self._records(record.key)[:1])
        record = replace(record, sequence=max([time.time_ns(), *following]))
        if versioning == "Enabled":
            record = replace(record, version_id=f"{record.sequence:016x}{secrets.token_hex(8)}")
            draft.commit(record, self._path(record.key, record.version_id))
            return record
        try:
            draft.commit(
                record,
                self._path(record.key, "null"),
                exclusive=forbid_overwrite and not versioning,
            )
        except FileExistsError:
            raise AlreadyExists(record.key) from None
        return record

    def replace_locked(self, draft: Draft, record: ObjectRecord) -> None:
        """Makes the draft the bytes of a version that exists, for a caller that holds the lock already."""
        draft.commit(record, self._path(record.key, record.version_id))

    def change_headers(self, record: ObjectRecord, headers: Mapping[str, str]) -> None:
        """Changes these headers of a version, and keeps its others; one that was replaced meanwhile stays."""
        path = self._path(record.key, record.version_id)
        with self.locked(), suppress(FileNotFoundError):
            opened = open_file(path)
            with opened.file, self.draft() as draft:
                current = opened.record
                if current.sequence == record.sequence:
                    draft.extend(opened)
                    draft.commit(replace(current, headers={**current.headers, **headers}), path)

    def delete(self, key: str, modified: float) -> Deletion:
        """Removes an object, or adds a delete marker if the bucket has versions."""
        with self.locked():
            if not self.versioning:
                remove(self._path(key, "null"), missing_ok=True)
                return Deletion()
            with self.draft() as draft:
                marker = ObjectRecord(
                    key=key, size=0, etag="", crc64=0, modified=modified, is_marker=True
                )
                return Deletion(self.publish_locked(draft, marker).version_id, is_marker=True)

    def delete_version(self, key: str, version_id: str) -> Deletion:
        """Removes one version for good; a version that does not exist is not an error."""
        with self.locked():
            path = self._path(key, version_id)
            try:
                was_marker = read_record(path).is_marker
            except FileNotFoundError:
                return Deletion(version_id)
            remove(path)
            return Deletion(version_id, was_marker)

    # --- reading --------------------------------------------------------------------------------------------

    def open(self, key: str, version_id: str | None = None) -> OpenedObject | None:
        """The current version, or the one with this id; it may be a delete marker. None if it does not exist."""
        if version_id is not None:
            return _open(self._path(key, version_id))
        if not key_path(self._versions, key).is_dir():
            return _open(self._path(key, "null"))
        with self.locked():
            records = self._records(key)
            return _open(self._path(key, records[0].version_id)) if records else None

    def current(self, key: str) -> ObjectRecord | None:
        """The record of the current version, None if it does not exist or is a delete marker."""
        opened = self.open(key)
        if opened is None:
            return None
        opened.close()
        return None if opened.record.is_marker else opened.record

    def current_locked(self, key: str) -> ObjectRecord | None:
        """`current`, for a caller that holds the lock already."""
        records = self._records(key)
        return records[0] if records and not records[0].is_marker else None

    def all_keys(self) -> list[str]:
        """Every key that has a version, in the order of their UTF-8 bytes; some may have only delete markers."""
        return [
            key.decode()
            for key in sorted({*keys_below(self._objects), *keys_below(self._versions)})
        ]

    def versions(self, key: str) -> list[ObjectRecord]:
        """The records of a key's versions, newest first."""
        with self.locked():
            return self._records(key)

    def is_empty(self) -> bool:
        """Whether no key has a version."""
        return not any(self.versions(key) for key in self.all_keys())

    def _records(self, key: str) -> list[ObjectRecord]:
        paths = [key_path(self._objects, key)]
        folder = key_path(self._versions, key)
        if folder.is_dir():
            paths.extend(folder.iterdir())
        records = [read_record(path) for path in paths if path.exists()]
        return sorted(records, key=lambda record: record.sequence, reverse=True)

    def _path(self, key: str, version_id: str) -> Path:
        if not VERSION_ID.fullmatch(version_id):
            raise ValueError('Invalid version ID: expected "null" or 32 hexadecimal digits.')
        if version_id == "null":
            return key_path(self._objects, key)
        return key_path(self._versions, key) / version_id


def _open(path: Path) -> OpenedObject | None:
    try:
        return open_file(path)
    except FileNotFoundError:
        return None
