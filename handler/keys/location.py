"""Where a keys document lies: `file:path` or `oss://bucket/key`, read and written whole."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from signer import SignerError
from signer import names as oss_names

from ..config import Location
from ..errors import HandlerError
from ..oss import MAX_BODY, OssClient, OssResponse, OssUnavailable

MISSING, REFUSED, UNREACHABLE = "missing", "refused", "unreachable"


class KeysStoreError(HandlerError):
    """A place cannot be read or written; the code is `missing`, `refused` or `unreachable`."""


class Snapshot(NamedTuple):
    """What was read: None where it is still the version that is known. `version` is an ETag, or a file's state."""

    document: bytes | None
    version: str


class FileKeysStore(NamedTuple):
    """A file, readable and writable for its owner alone."""

    path: str

    def __str__(self) -> str:
        return f"file:{self.path}"

    def sibling(self, suffix: str) -> FileKeysStore:
        """The place of this name with a suffix."""
        return FileKeysStore(self.path + suffix)

    def read(self, known: str = "") -> Snapshot:
        """The document. Raises `KeysStoreError`."""
        try:
            with open(self.path, "rb") as file:
                state = os.fstat(file.fileno())
                version = f"{state.st_mtime_ns}-{state.st_size}-{state.st_ino}"
                if version == known:
                    return Snapshot(None, version)
                document = file.read(MAX_BODY + 1)
        except (OSError, ValueError) as error:
            raise self._failed(error, "read") from None
        if len(document) > MAX_BODY:
            raise KeysStoreError(f"{self} is larger than {MAX_BODY} bytes: it is no keys document.", code=REFUSED)
        return Snapshot(document, version)

    def create(self, document: bytes) -> bool:
        """Writes a new file; False where there is one. Raises `KeysStoreError`."""
        try:
            _write(self.path, document)
        except FileExistsError:
            return False
        except (OSError, ValueError) as error:
            raise self._failed(error, "written") from None
        return True

    def replace(self, document: bytes) -> None:
        """Writes the file whole and at once: who reads meanwhile finds the old one or the new one."""
        target = os.path.realpath(self.path)
        draft = f"{target}.{os.urandom(6).hex()}"
        try:
            _write(draft, document)
            try:
                os.replace(draft, target)
            except OSError:
                os.unlink(draft)
                raise
            _keep_name(os.path.dirname(target))
        except (OSError, ValueError) as error:
            raise self._failed(error, "written") from None

    def remove(self) -> None:
        """Removes the file, if it is there. Raises `KeysStoreError`."""
        try:
            with suppress(FileNotFoundError):
                os.unlink(self.path)
        except OSError as error:
            raise self._failed(error, "removed") from None

    def _failed(self, error: Exception, verb: str) -> KeysStoreError:
        if isinstance(error, FileNotFoundError):
            return KeysStoreError(f"There is no {self}, or not its folder: check the path.", code=MISSING)
        why = getattr(error, "strerror", None) or "a bad path"
        return KeysStoreError(f"{self} cannot be {verb} ({why}): mend its permissions, or name another.", code=REFUSED)


class OssKeysStore(NamedTuple):
    """An object in OSS, asked with a store's credentials."""

    location: Location
    store: OssClient

    def __str__(self) -> str:
        return str(self.location)

    def sibling(self, suffix: str) -> OssKeysStore:
        """The place of this name with a suffix."""
        return self._replace(location=self.location._replace(key=self.location.key + suffix))

    def read(self, known: str = "") -> Snapshot:
        """The document. Raises `KeysStoreError`."""
        reply = self._asked(lambda: self.store.get(self.location, etag=known or None))
        if reply.status == 304 and known:
            return Snapshot(None, known)
        if reply.status != 200:
            raise self._failed(reply)
        return Snapshot(reply.body, reply.headers.get("etag", ""))

    def create(self, document: bytes) -> bool:
        """Writes a new object; False where there is one that holds anything else. Raises `KeysStoreError`.

        After an answer that was lost only a look at the object tells whose it is.
        """
        try:
            reply = self.store.put(self.location, document, content_type="application/json", forbid_overwrite=True)
        except OssUnavailable:
            return self.read().document == document
        if reply.status == 409 or reply.status >= 500:
            try:
                return self.read().document == document
            except KeysStoreError as error:
                if reply.status == 409 and error.code == MISSING:
                    return False
                raise
        if not reply.ok:
            raise self._failed(reply)
        if "x-oss-version-id" in reply.headers:
            self.remove()
            raise KeysStoreError(
                f"The bucket {self.location.bucket} keeps versions, and there a lock holds nobody off: keep the keys "
                "in a bucket that never had versioning.",
                code=REFUSED,
            )
        return True

    def replace(self, document: bytes) -> None:
        """Writes the object whole. Raises `KeysStoreError`."""
        reply = self._asked(lambda: self.store.put(self.location, document, content_type="application/json"))
        if not reply.ok:
            raise self._failed(reply)

    def remove(self) -> None:
        """Removes the object, if it is there. Raises `KeysStoreError`."""
        reply = self._asked(lambda: self.store.delete(self.location))
        if not reply.ok and reply.status != 404:
            raise self._failed(reply)

    def _asked(self, ask: Callable[[], OssResponse]) -> OssResponse:
        try:
            return ask()
        except OssUnavailable as error:
            raise KeysStoreError(f"{self}: {error.sentence}", code=UNREACHABLE) from None

    def _failed(self, reply: OssResponse) -> KeysStoreError:
        if reply.status == 404:
            return KeysStoreError(f"There is no {self} ({reply.code or 404}).", code=MISSING)
        if reply.status >= 500:
            return KeysStoreError(f"{self}: OSS failed with {reply.status}: try again.", code=UNREACHABLE)
        return KeysStoreError(
            f"{self}: OSS refused with {reply.status} {reply.code}: check the credentials' permissions (oss:GetObject "
            "to read; oss:PutObject and oss:DeleteObject, too, to change) and the region.",
            code=REFUSED,
        )


KeysStore = FileKeysStore | OssKeysStore


def location(text: str) -> Location:
    """The location that `oss://bucket/key` names. Raises `KeysStoreError`."""
    bucket, _, key = text.removeprefix("oss://").partition("/")
    try:
        oss_names.check_bucket(bucket)
        oss_names.check_key(key)
    except SignerError as error:
        raise KeysStoreError(f"{text}: {error}", code=REFUSED) from None
    if key.endswith("/"):
        raise KeysStoreError(f"{text} names no object: write oss://bucket/.links/keys.json.", code=REFUSED)
    return Location(bucket, key)


def _write(path: str, document: bytes) -> None:
    """A new file with mode 600, on the disk before this returns."""
    number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(number, "wb") as file:
            file.write(document)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        os.unlink(path)
        raise


def _keep_name(folder: str) -> None:
    """Has a rename outlive a power failure, where the system can."""
    with suppress(OSError):
        number = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
