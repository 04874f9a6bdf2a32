"""Appending to an object: it stays one version, and its bytes so far are copied without being hashed again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from .bucket import Bucket
from .draft import Draft
from .record import ObjectRecord


class NotAppendable(Exception):
    """The object was not written by appending."""


class PositionNotLength(Exception):
    """`length` is that of the object in bytes, 0 without one."""

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length


class Appending:
    """One append at `position`, whose new bytes the caller writes to the draft after those of the object so far.

    `current` is the object at the start, None without one. Both making one and `commit` raise `NotAppendable` and
    `PositionNotLength`: of several writers at one position, one commits.
    """

    def __init__(self, bucket: Bucket, draft: Draft, key: str, position: int) -> None:
        self._bucket = bucket
        self._draft = draft
        self._key = key
        self._position = position
        opened = bucket.open(key)
        self.current = opened.record if opened is not None else None
        if opened is None:
            self._check(None)
            return
        with opened.file:
            self._check(opened.record)
            draft.extend(opened)

    def commit(
        self, modified: float, headers: Mapping[str, str], storage_class: str
    ) -> ObjectRecord:
        """The object as it is now, `modified` in Unix seconds. One that existed keeps its headers and storage class."""
        content = f"{self._draft.crc64} {self._draft.size}".encode()
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest().upper()
        written = ObjectRecord(
            key=self._key,
            size=self._draft.size,
            etag=f"{digest[:24]}00000000",  # it ends so in OSS, and is not the MD5 of the bytes
            crc64=self._draft.crc64,
            modified=modified,
            headers=headers,
            storage_class=storage_class,
            kind="Appendable",
        )
        with self._bucket.locked():
            current = self._bucket.current_locked(self._key)
            self._check(current)
            if current is None:
                return self._bucket.publish_locked(self._draft, written)
            was_replaced = self.current is None or self.current.sequence != current.sequence
            if self._position and was_replaced:
                raise PositionNotLength(0)  # in between there was no object
            written = replace(
                current,
                size=written.size,
                etag=written.etag,
                crc64=written.crc64,
                modified=modified,
            )
            self._bucket.replace_locked(self._draft, written)
            return written

    def _check(self, current: ObjectRecord | None) -> None:
        if current is not None and current.kind != "Appendable":
            raise NotAppendable(self._key)
        length = current.size if current is not None else 0
        if self._position != length:
            raise PositionNotLength(length)
