"""The buckets under a root."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path

from .bucket import OWN, Bucket
from .replacing import replace

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_DRAFT = re.compile(r"[0-9A-Fa-f]{32}")
_FOLDERS = ("objects", "versions", "uploads", "drafts")
_MAX_DRAFT_AGE = 86_400  # seconds


class BucketExists(Exception):
    pass


class BucketNotEmpty(Exception):
    """The bucket still holds objects or uploads."""


class Buckets:
    """Folders of `root`, one for each bucket; a second process may use the same root."""

    def __init__(self, root: Path) -> None:
        self._root = _without_limit(root)
        root.mkdir(parents=True, exist_ok=True)
        for bucket in self.all():
            _remove_old_drafts(bucket.own / "drafts")

    def all(self) -> list[Bucket]:
        """The buckets, sorted by name."""
        return [
            Bucket(path.parents[1])
            for path in sorted(self._root.glob(f"[a-z0-9]*/{OWN}/bucket.json"))
        ]

    def get(self, name: str) -> Bucket | None:
        if not _NAME.fullmatch(name) or not (self._root / name / OWN / "bucket.json").is_file():
            return None
        return Bucket(self._root / name)

    def create(self, name: str, created: float, storage_class: str = "Standard") -> Bucket:
        """Raises `BucketExists`, and `ValueError` for an invalid name.

        A folder of that name without a bucket becomes one; its files stay, and do not count as objects.
        """
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"Invalid bucket name {name!r}: expected 3 to 63 characters of a-z, 0-9 and -."
            )
        draft = self._root / f".{secrets.token_hex(8)}"
        for folder in _FOLDERS:
            (draft / folder).mkdir(parents=True)
        settings = {
            "created": created,
            "versioning": "",
            "cors": None,
            "storage_class": storage_class,
        }
        (draft / "bucket.json").write_text(json.dumps(settings))
        bucket = Bucket(self._root / name)
        try:
            bucket.path.mkdir(exist_ok=True)
            os.rename(draft, bucket.own)
        except OSError:
            shutil.rmtree(draft)
            if self.get(name):
                raise BucketExists(name) from None
            raise
        return bucket

    def delete(self, bucket: Bucket) -> None:
        """Raises `BucketNotEmpty`. Files that others put into the folder stay."""
        with bucket.locked():
            has_uploads = any((bucket.own / "uploads").iterdir())
        if has_uploads or not bucket.is_empty():
            raise BucketNotEmpty(bucket.name)
        trash = self._root / f".{secrets.token_hex(8)}"
        replace(bucket.own, trash)
        shutil.rmtree(trash)
        with suppress(OSError):
            bucket.path.rmdir()


def _without_limit(path: Path) -> Path:
    """Windows limits a path to 260 characters, unless it begins so; a key may have 1,023 bytes.

    It then takes no ".." and no "." either, and a share of the network begins with UNC.
    """
    if sys.platform != "win32":
        return path
    absolute = os.path.abspath(path)
    if absolute.startswith("\\\\"):
        return Path(rf"\\?\UNC\{absolute[2:]}")
    return Path(rf"\\?\{absolute}")


def _remove_old_drafts(folder: Path) -> None:
    """Removes what a killed process left; a draft that is being written is younger."""
    for path in folder.iterdir():
        try:
            if (
                not _DRAFT.fullmatch(path.name)
                or time.time() - path.stat().st_mtime < _MAX_DRAFT_AGE
            ):
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        except FileNotFoundError:
            continue
