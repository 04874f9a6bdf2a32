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
_DRAFTS_KEPT = 86_400  # seconds


class BucketExists(Exception):
    """A bucket of this name is there."""


class BucketNotEmpty(Exception):
    """A bucket that still holds objects or uploads."""


class Buckets:
    """Folders of `root`, one for each bucket; a second process may use the same root."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)
        for bucket in self.all():
            _sweep(bucket.path / "drafts")

    def all(self) -> list[Bucket]:
        """The buckets, by name."""
        return [Bucket(path.parent) for path in sorted(self._root.glob("[a-z0-9]*/bucket.json"))]

    def get(self, name: str) -> Bucket | None:
        """The bucket of this name, None where there is none."""
        if not _NAME.fullmatch(name) or not (self._root / name / "bucket.json").is_file():
            return None
        return Bucket(self._root / name)

    def create(self, name: str, created: float) -> Bucket:
        """Raises `BucketExists`, and `ValueError` for what is no bucket name."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no bucket name.")
        making = self._root / f".{secrets.token_hex(8)}"
        for folder in ("objects", "versions", "uploads", "drafts"):
            (making / folder).mkdir(parents=True)
        settings = {"created": created, "versioning": "", "cors": None}
        (making / "bucket.json").write_text(json.dumps(settings))
        try:
            os.rename(making, self._root / name)
        except OSError:
            shutil.rmtree(making)
            raise BucketExists(name) from None
        return Bucket(self._root / name)

    def delete(self, bucket: Bucket) -> None:
        """Raises `BucketNotEmpty`."""
        with bucket.locked():
            holds_uploads = any((bucket.path / "uploads").iterdir())
        if holds_uploads or not bucket.is_empty():
            raise BucketNotEmpty(bucket.name)
        leaving = self._root / f".{secrets.token_hex(8)}"
        os.rename(bucket.path, leaving)
        shutil.rmtree(leaving)


def _sweep(drafts: Path) -> None:
    """Removes drafts that a killed process left; a live one is younger."""
    for path in drafts.iterdir():
        try:
            if time.time() - path.stat().st_mtime < _DRAFTS_KEPT:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        except FileNotFoundError:
            continue
