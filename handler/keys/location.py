"""The file or the object in OSS that stores a keys document, and the lock that its writers take."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from signer import SignerError
from signer.times import rfc3339

from ..config import Location
from ..errors import HandlerError
from ..oss import MAX_BODY, OssClient, OssResponse, OssUnavailable
from ..times import parse_rfc3339

MISSING, REFUSED, UNREACHABLE = "missing", "refused", "unreachable"

BREAKABLE_AFTER = 300  # seconds
LOCK_TIMEOUT = 15.0  # seconds
_RETRY_INTERVAL = 0.1  # seconds


class KeysStoreError(HandlerError):
    """A document cannot be read or written; the code is `missing`, `refused` or `unreachable`."""


class KeysLocked(HandlerError):
    """Another writer holds the lock, or has broken ours."""

    code = "keys_locked"


class Snapshot(NamedTuple):
    """A document, None where it is still the known version. `version` is an ETag, or a file's time, size and inode."""

    document: bytes | None
    version: str

    def __repr__(self) -> str:
        return f"Snapshot(version={self.version!r})"


class FileKeysStore(NamedTuple):
    """A file that only its owner can read and write. Every method raises `KeysStoreError`."""

    path: str

    def __str__(self) -> str:
        return f"file:{self.path}"

    def sibling(self, suffix: str) -> FileKeysStore:
        return FileKeysStore(self.path + suffix)

    def read(self, known: str = "") -> Snapshot:
        try:
            with open(self.path, "rb") as file:
                status = os.fstat(file.fileno())
                version = f"{status.st_mtime_ns}-{status.st_size}-{status.st_ino}"
                if version == known:
                    return Snapshot(None, version)
                document = file.read(MAX_BODY + 1)
        except (OSError, ValueError) as error:
            raise self._error(error, "read") from None
        if len(document) > MAX_BODY:
            raise KeysStoreError(f"{self} exceeds {MAX_BODY} bytes, so it cannot be a keys document.", code=REFUSED)
        return Snapshot(document, version)

    def create(self, document: bytes) -> bool:
        """Writes a new file; False where one exists."""
        try:
            _write(self.path, document)
        except FileExistsError:
            return False
        except (OSError, ValueError) as error:
            raise self._error(error, "written") from None
        return True

    def replace(self, document: bytes) -> None:
        """Replaces the file atomically: a reader sees the old document or the new one."""
        target = os.path.realpath(self.path)
        draft = f"{target}.{os.urandom(6).hex()}"
        try:
            _write(draft, document)
            try:
                os.replace(draft, target)
            except OSError:
                os.unlink(draft)
                raise
            _sync_folder(os.path.dirname(target))
        except (OSError, ValueError) as error:
            raise self._error(error, "written") from None

    def remove(self) -> None:
        """Removes the file, if it exists."""
        try:
            with suppress(FileNotFoundError):
                os.unlink(self.path)
        except OSError as error:
            raise self._error(error, "removed") from None

    def _error(self, error: Exception, verb: str) -> KeysStoreError:
        if isinstance(error, FileNotFoundError):
            return KeysStoreError(f"{self} not found. Check the path.", code=MISSING)
        reason = getattr(error, "strerror", None) or "invalid path"
        return KeysStoreError(f"{self} cannot be {verb} ({reason}). Fix its permissions or its path.", code=REFUSED)


class OssKeysStore(NamedTuple):
    """An object in OSS. Every method raises `KeysStoreError`."""

    location: Location
    client: OssClient

    def __str__(self) -> str:
        return str(self.location)

    def sibling(self, suffix: str) -> OssKeysStore:
        return self._replace(location=self.location._replace(key=self.location.key + suffix))

    def read(self, known: str = "") -> Snapshot:
        response = self._request(lambda: self.client.get(self.location, etag=known or None))
        if response.status == 304 and known:
            return Snapshot(None, known)
        if response.status != 200:
            raise self._error(response)
        return Snapshot(response.body, response.headers.get("etag", ""))

    def create(self, document: bytes) -> bool:
        """Writes a new object; False where one with another content exists.

        If the response was lost or does not say who wrote the object, its content decides.
        """
        try:
            response = self.client.put(self.location, document, content_type="application/json", forbid_overwrite=True)
        except OssUnavailable:
            return self.read().document == document
        if response.status == 409 or response.status >= 500:
            try:
                return self.read().document == document
            except KeysStoreError as error:
                if response.status == 409 and error.code == MISSING:
                    return False
                raise
        if not response.ok:
            raise self._error(response)
        if "x-oss-version-id" in response.headers:
            self.remove()
            raise KeysStoreError(
                f"Bucket {self.location.bucket} has versioning, with which a lock does not keep other writers out. "
                "Use a bucket that never had versioning.",
                code=REFUSED,
            )
        return True

    def replace(self, document: bytes) -> None:
        response = self._request(lambda: self.client.put(self.location, document, content_type="application/json"))
        if not response.ok:
            raise self._error(response)

    def remove(self) -> None:
        """Removes the object, if it exists."""
        response = self._request(lambda: self.client.delete(self.location))
        if not response.ok and response.status != 404:
            raise self._error(response)

    def _request(self, send: Callable[[], OssResponse]) -> OssResponse:
        try:
            return send()
        except OssUnavailable as error:
            raise KeysStoreError(f"{self}: {error.sentence}", code=UNREACHABLE) from None

    def _error(self, response: OssResponse) -> KeysStoreError:
        if response.status == 404:
            return KeysStoreError(f"{self} not found ({response.code or 404}).", code=MISSING)
        if response.status >= 500:
            return KeysStoreError(f"{self}: OSS answered {response.status}. Try again.", code=UNREACHABLE)
        return KeysStoreError(
            f"{self}: OSS answered {response.status} {response.code}. Check the region and the permissions of the "
            "credentials: oss:GetObject to read; oss:PutObject and oss:DeleteObject, too, to change.",
            code=REFUSED,
        )


KeysStore = FileKeysStore | OssKeysStore


def object_location(url: str) -> Location:
    """The location of `oss://bucket/key`. Raises `KeysStoreError`."""
    try:
        location = Location.parse(url)
    except SignerError as error:
        raise KeysStoreError(f"{url}: {error}", code=REFUSED) from None
    if not location.key or location.key.endswith("/"):
        raise KeysStoreError(
            f"{url} must be the address of an object, such as oss://bucket/.links/keys.json.", code=REFUSED
        )
    return location


class LockHolder(NamedTuple):
    """Who holds a lock, and since when (Unix seconds)."""

    owner: str
    since: float


@contextmanager
def locked(store: KeysStore, *, break_old: bool = False, timeout: float = LOCK_TIMEOUT) -> Iterator[Callable[[], None]]:
    """Holds the lock of a keys document, and yields a check that must pass right before a write: is it still ours?

    Waits `timeout` seconds for another writer. With `break_old`, a lock older than five minutes is removed first.
    Raises `KeysLocked` and `KeysStoreError`.
    """
    lock = store.sibling(".lock")
    ours = json.dumps({"owner": _this_process(), "at": rfc3339(time.time()), "nonce": os.urandom(12).hex()}).encode()
    if break_old:
        _break(lock)
    _acquire(lock, ours, timeout)

    def check() -> None:
        if _content(lock) != ours:
            raise KeysLocked("Another writer broke the lock, so nothing was written. Run the command again.")

    try:
        yield check
    finally:
        # If our lock was broken, the lock that is there belongs to another writer.
        with suppress(KeysStoreError):
            if _content(lock) == ours:
                lock.remove()


def _acquire(lock: KeysStore, ours: bytes, timeout: float) -> None:
    deadline = time.monotonic() + timeout
    while not lock.create(ours):
        if time.monotonic() >= deadline:
            holder = _holder(_content(lock) or b"")
            writer = f"{holder.owner} since {rfc3339(holder.since)}" if holder is not None else "another writer"
            raise KeysLocked(
                f"The keys document is locked by {writer} ({lock}). Try again. If that writer is gone, use "
                f"--break-lock, which removes a lock older than {BREAKABLE_AFTER // 60} minutes."
            )
        time.sleep(_RETRY_INTERVAL)


def _break(lock: KeysStore) -> None:
    content = _content(lock)
    if content is None:
        return
    holder = _holder(content)
    if holder is not None and time.time() - holder.since < BREAKABLE_AFTER:
        raise KeysLocked(
            f"The lock of {holder.owner} since {rfc3339(holder.since)} is not old enough to be broken. Wait until it "
            f"is {BREAKABLE_AFTER // 60} minutes old."
        )
    if holder is None:
        # A lock without a holder may be one that is being written at this moment.
        time.sleep(_RETRY_INTERVAL)
        if _content(lock) != content:
            raise KeysLocked("Another writer has just acquired the lock. Try again.")
    lock.remove()


def _content(lock: KeysStore) -> bytes | None:
    try:
        return lock.read().document
    except KeysStoreError as error:
        if error.code != MISSING:
            raise
        return None


def _holder(content: bytes) -> LockHolder | None:
    try:
        document = json.loads(content)
        owner, since = document["owner"], parse_rfc3339(document["at"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not isinstance(owner, str) or since is None:
        return None
    printable = "".join(character for character in owner if character.isprintable())
    return LockHolder(printable[:100], since)


def _this_process() -> str:
    import getpass
    import socket

    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}, process {os.getpid()}"


def _write(path: str, document: bytes) -> None:
    """Writes a new file with mode 600, to the disk before this returns."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(document)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        os.unlink(path)
        raise


def _sync_folder(folder: str) -> None:
    """Makes a rename survive a power failure, where the system can."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
