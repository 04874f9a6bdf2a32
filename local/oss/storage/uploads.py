"""Multipart uploads: a folder for each, holding `upload.json` and a file for each part. They outlive a restart."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from .bucket import Bucket
from .draft import Draft
from .record import Record, open_file, read_record

_ID = re.compile(r"[0-9A-F]{32}")


class UploadGone(Exception):
    """An upload that was finished or aborted meanwhile."""


@dataclass(frozen=True)
class Upload:
    """A multipart upload that was begun; times in Unix seconds, `headers` as in `Record`."""

    id: str
    key: str
    initiated: float
    headers: Mapping[str, str]
    storage_class: str


@dataclass(frozen=True)
class Part:
    """A part that was uploaded."""

    number: int
    record: Record


class Uploads:
    """The unfinished uploads of a bucket."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._folder = bucket.path / "uploads"

    def begin(self, key: str, initiated: float, headers: Mapping[str, str], storage_class: str) -> Upload:
        """A new upload."""
        upload = Upload(secrets.token_hex(16).upper(), key, initiated, headers, storage_class)
        making = self._bucket.path / "drafts" / upload.id
        making.mkdir()
        (making / "upload.json").write_text(json.dumps(asdict(upload)))
        making.rename(self._folder / upload.id)
        return upload

    def get(self, key: str, upload_id: str) -> Upload | None:
        """The upload of this id, None where there is none for this key."""
        if not _ID.fullmatch(upload_id):
            return None
        try:
            upload = Upload(**json.loads((self._folder / upload_id / "upload.json").read_bytes()))
        except FileNotFoundError:
            return None
        return upload if upload.key == key else None

    def all(self) -> list[Upload]:
        """The uploads, by key (UTF-8 bytes) and id."""
        found = []
        for path in self._folder.glob("*/upload.json"):
            with suppress(FileNotFoundError):
                found.append(Upload(**json.loads(path.read_bytes())))
        return sorted(found, key=lambda upload: (upload.key.encode(), upload.id))

    def add(self, upload: Upload, number: int, draft: Draft, modified: float) -> Part:
        """Keeps a part, in place of an earlier one of its number. Raises `UploadGone`."""
        record = Record(upload.key, draft.size, draft.md5.hex().upper(), draft.crc64, modified)
        with self._bucket.locked():
            self._check(upload)
            draft.commit(record, self._folder / upload.id / f"{number:05}")
        return Part(number, record)

    def parts(self, upload: Upload) -> list[Part]:
        """The parts so far, by number."""
        paths = sorted((self._folder / upload.id).glob("[0-9]*"))
        found = []
        for path in paths:
            with suppress(FileNotFoundError):
                found.append(Part(int(path.name), read_record(path)))
        return found

    def finish(
        self, upload: Upload, parts: Sequence[Part], modified: float, *, forbid_overwrite: bool = False
    ) -> Record:
        """Joins the parts into an object and ends the upload. Raises `UploadGone`, `AlreadyExists`."""
        with self._bucket.draft() as draft:
            etags = hashlib.md5(usedforsecurity=False)
            for part in parts:
                try:
                    opened = open_file(self._folder / upload.id / f"{part.number:05}")
                except FileNotFoundError:
                    raise UploadGone(upload.id) from None
                draft.append(opened.blocks(), opened.record.size, opened.record.crc64)
                etags.update(bytes.fromhex(opened.record.etag))
            record = Record(
                upload.key,
                draft.size,
                f"{etags.hexdigest().upper()}-{len(parts)}",
                draft.crc64,
                modified,
                upload.headers,
                upload.storage_class,
                "Multipart",
            )
            with self._bucket.locked():
                self._check(upload)
                record = self._bucket.publish_locked(draft, record, forbid_overwrite=forbid_overwrite)
                self._remove(upload)
        return record

    def abort(self, upload: Upload) -> None:
        """Forgets the upload and its parts."""
        with self._bucket.locked():
            self._remove(upload)

    def _check(self, upload: Upload) -> None:
        if not self._place(upload).exists():
            raise UploadGone(upload.id)

    def _remove(self, upload: Upload) -> None:
        self._place(upload).unlink(missing_ok=True)
        shutil.rmtree(self._folder / upload.id, ignore_errors=True)

    def _place(self, upload: Upload) -> Path:
        return self._folder / upload.id / "upload.json"
