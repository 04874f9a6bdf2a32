"""Multipart uploads: a folder for each, with `upload.json` and a file for each part. They outlive a restart."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from .bucket import Bucket
from .draft import Draft
from .record import ObjectRecord, open_file, read_record
from .replacing import remove

_ID = re.compile(r"[0-9A-F]{32}")


class UploadGone(Exception):
    """The upload was completed or aborted in the meantime."""


class MultipartUpload(NamedTuple):
    """An unfinished multipart upload; `initiated` in Unix seconds, `headers` as in `ObjectRecord`."""

    id: str
    key: str
    initiated: float
    headers: Mapping[str, str]
    storage_class: str


class Uploads:
    """The unfinished uploads of a bucket."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._folder = bucket.own / "uploads"

    def initiate(
        self, key: str, initiated: float, headers: Mapping[str, str], storage_class: str
    ) -> MultipartUpload:
        upload = MultipartUpload(
            id=secrets.token_hex(16).upper(),
            key=key,
            initiated=initiated,
            headers=headers,
            storage_class=storage_class,
        )
        draft = self._bucket.own / "drafts" / upload.id
        draft.mkdir()
        (draft / "upload.json").write_text(json.dumps(upload._asdict()))
        draft.rename(self._folder / upload.id)
        return upload

    def get(self, key: str, upload_id: str) -> MultipartUpload | None:
        upload = self._read(upload_id) if _ID.fullmatch(upload_id) else None
        return upload if upload and upload.key == key else None

    def all(self) -> list[MultipartUpload]:
        return [upload for path in self._folder.iterdir() if (upload := self._read(path.name))]

    def add_part(
        self, upload: MultipartUpload, number: int, draft: Draft, modified: float
    ) -> ObjectRecord:
        """Replaces an earlier part of the same number. Raises `UploadGone`."""
        record = ObjectRecord(
            key=upload.key,
            size=draft.size,
            etag=draft.md5.hex().upper(),
            crc64=draft.crc64,
            modified=modified,
        )
        with self._bucket.locked():
            self._check(upload)
            draft.commit(record, self._part_path(upload, number))
        return record

    def parts(self, upload: MultipartUpload) -> dict[int, ObjectRecord]:
        """The parts so far, by number and in order. Raises `UploadGone`."""
        with self._bucket.locked():
            self._check(upload)
            paths = sorted((self._folder / upload.id).glob("[0-9]*"))
            return {int(path.name): read_record(path) for path in paths}

    def complete(
        self,
        upload: MultipartUpload,
        numbers: Sequence[int],
        modified: float,
        *,
        forbid_overwrite: bool,
    ) -> ObjectRecord:
        """Joins the parts into an object and removes the upload. Raises `UploadGone`, `AlreadyExists`."""
        with self._bucket.draft() as draft:
            etags = hashlib.md5(usedforsecurity=False)
            for number in numbers:
                try:
                    opened = open_file(self._part_path(upload, number))
                except FileNotFoundError:
                    raise UploadGone(upload.id) from None
                draft.write(opened.blocks())
                # OSS hashes the upper-case hexadecimal string.
                etags.update(opened.record.etag.encode())
            etag = f"{etags.hexdigest().upper()}-{len(numbers)}"
            record = ObjectRecord(
                key=upload.key,
                size=draft.size,
                etag=etag,
                crc64=draft.crc64,
                modified=modified,
                headers=upload.headers,
                storage_class=upload.storage_class,
                kind="Multipart",
            )
            with self._bucket.locked():
                self._check(upload)
                record = self._bucket.publish_locked(
                    draft, record, forbid_overwrite=forbid_overwrite
                )
                self._remove(upload)
        return record

    def abort(self, upload: MultipartUpload) -> None:
        with self._bucket.locked():
            self._remove(upload)

    def _read(self, upload_id: str) -> MultipartUpload | None:
        try:
            return MultipartUpload(
                **json.loads((self._folder / upload_id / "upload.json").read_bytes())
            )
        except FileNotFoundError:
            return None

    def _check(self, upload: MultipartUpload) -> None:
        if not (self._folder / upload.id / "upload.json").exists():
            raise UploadGone(upload.id)

    def _remove(self, upload: MultipartUpload) -> None:
        remove(self._folder / upload.id / "upload.json", missing_ok=True)
        shutil.rmtree(self._folder / upload.id, ignore_errors=True)

    def _part_path(self, upload: MultipartUpload, number: int) -> Path:
        return self._folder / upload.id / f"{number:05}"
