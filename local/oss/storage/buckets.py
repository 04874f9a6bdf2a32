"""The buckets under a root."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import time
from pathlib import Path

from .bucket import Bucket

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_MAX_DRAFT_AGE = 86_400  # seconds


class BucketExists(Exception):
    pass


class BucketNotEmpty(Exception):
    """The bucket still holds objects or uploads."""


class Buckets:
    """Folders of `root`, one for each bucket; a second process may use the same root."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)
        for bucket in self.all():
            _remove_old_drafts(bucket.path / "drafts")

    def all(self) -> list[Bucket]:
        """The buckets, sorted by name."""
        return [Bucket(path.parent) for path in sorted(self._root.glob("[a-z0-9]*/bucket.json"))]

    def get(self, name: str) -> Bucket | None:
        if not _NAME.fullmatch(name) or not (self._root / name / "bucket.json").is_file():
            return None
        return Bucket(self._root / name)

    def create(self, name: str, created: float) -> Bucket:
        """Raises `BucketExists`, and `ValueError` for an invalid name.

        A folder of that name without a bucket becomes one; its files stay, and do not count as objects.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(f"Invalid bucket name {name!r}: expected 3 to 63 characters of a-z, 0-9 and -.")
        draft = self._root / f".{secrets.token_hex(8)}"
        for folder in ("objects", "versions", "uploads", "drafts"):
            (draft / folder).mkdir(parents=True)
        settings = {"created": created, "versioning": "", "cors": None}
        (draft / "bucket.json").write_text(json.dumps(settings))
        target = self._root / name
        try:
            os.rename(draft, target)
        except OSError:
            try:
                if not target.is_dir() or (target / "bucket.json").exists():
                    raise BucketExists(name) from None
                # The settings come last: they make the folder a bucket.
                for folder in ("objects", "versions", "uploads", "drafts", "bucket.json"):
                    os.rename(draft / folder, target / folder)
            finally:
                shutil.rmtree(draft)
        return Bucket(target)

    def delete(self, bucket: Bucket) -> None:
        """Raises `BucketNotEmpty`."""
        with bucket.locked():
            has_uploads = any((bucket.path / "uploads").iterdir())
        if has_uploads or not bucket.is_empty():
            raise BucketNotEmpty(bucket.name)
        trash = self._root / f".{secrets.token_hex(8)}"
        os.rename(bucket.path, trash)
        shutil.rmtree(trash)


def _remove_old_drafts(folder: Path) -> None:
    """Removes what a killed process left; a draft that is being written is younger."""
    for path in folder.iterdir():
        try:
            if time.time() - path.stat().st_mtime < _MAX_DRAFT_AGE:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        except FileNotFoundError:
            continue
