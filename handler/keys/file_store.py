"""The file or the object in OSS that stores a keys document or its lock."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import NamedTuple

from signer.files import create_file, replace_file

from ..cloud.oss import EXPIRES_IN, MAX_BODY, OssClient, OssResponse, OssUnavailable
from ..config import Location
from ..errors import HandlerError
from ..times import Clock

MISSING, REFUSED, UNREACHABLE, WRONG_CLOCK = "missing", "refused", "unreachable", "wrong_clock"


class KeysStoreError(HandlerError):
    """A document cannot be read or written; the code is `missing`, `refused`, `unreachable` or `wrong_clock`."""


class Unconfirmed(KeysStoreError):
    """OSS did not confirm a change: it may be carried out until `expires_at` (Unix seconds by the clock of OSS)."""

    code = UNREACHABLE

    def __init__(self, sentence: str, expires_at: float) -> None:
        super().__init__(sentence)
        self.expires_at = expires_at


class Snapshot(NamedTuple):
    """A document, None where it is still the known version. `version` is an ETag, or a file's time, size and inode.

    `changed_at` is when it was written and `read_at` when it was read, in Unix seconds by the clock of the store; None
    where OSS did not say.
    """

    document: bytes | None
    version: str
    changed_at: float | None = None
    read_at: float | None = None

    def __repr__(self) -> str:
        return f"Snapshot(version={self.version!r})"


class FileKeysStore(NamedTuple):
    """A file that only its owner can read and write. Every method raises `KeysStoreError`."""

    path: str
    clock: Clock = Clock()

    def __str__(self) -> str:
        return f"file:{self.path}"

    def sibling(self, suffix: str) -> FileKeysStore:
        """A file beside the real one, so that every symbolic link to a document leads to the same lock."""
        return self._replace(path=os.path.realpath(self.path) + suffix)

    def now(self) -> float:
        """The clock of the store, in Unix seconds."""
        return self.clock.now()

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
        return Snapshot(document, version, status.st_mtime, self.now())

    def create(self, document: bytes) -> bool:
        """Writes a new file; False where one exists."""
        try:
            create_file(self.path, document)
        except FileExistsError:
            return False
        except (OSError, ValueError) as error:
            raise self._error(error, "written") from None
        return True

    def replace(self, document: bytes, issued_at: float) -> None:
        """Replaces the file atomically: a reader sees the old document or the new one."""
        try:
            replace_file(os.path.realpath(self.path), document, 0o600)
        except (OSError, ValueError) as error:
            raise self._error(error, "written") from None

    def remove(self, issued_at: float) -> None:
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
    """An object in OSS. Every method raises `KeysStoreError`.

    `replace` and `remove` send one request, which OSS accepts until `EXPIRES_IN` seconds after `issued_at`, and raise
    `Unconfirmed` if the response was lost.
    """

    location: Location
    client: OssClient
    clock: Clock = Clock()

    def __str__(self) -> str:
        return str(self.location)

    def sibling(self, suffix: str) -> OssKeysStore:
        return self._replace(location=self.location._replace(key=self.location.key + suffix))

    def now(self) -> float:
        """The clock of OSS, in Unix seconds."""
        return self._now(self._request(lambda: self.client.get(self.location)))

    def read(self, known: str = "") -> Snapshot:
        response = self._request(lambda: self.client.get(self.location, etag=known or None))
        if response.status == 304 and known:
            return Snapshot(None, known)
        if response.status != 200:
            raise self._error(response)
        version = response.headers.get("etag", "")
        return Snapshot(response.body, version, response.time("last-modified"), response.time("date"))

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
            self.remove(self._now(response))
            raise KeysStoreError(
                f"Bucket {self.location.bucket} has versioning, with which a lock does not keep other writers out. "
                "Use a bucket that never had versioning.",
                code=REFUSED,
            )
        return True

    def replace(self, document: bytes, issued_at: float) -> None:
        response = self._request_once(
            lambda: self.client.put(
                self.location, document, content_type="application/json", retry=False, issued_at=issued_at
            ),
            issued_at,
        )
        if not response.ok:
            raise self._error(response)

    def remove(self, issued_at: float) -> None:
        """Removes the object, if it exists."""
        response = self._request_once(
            lambda: self.client.delete(self.location, retry=False, issued_at=issued_at), issued_at
        )
        if not response.ok and response.status != 404:
            raise self._error(response)

    def _request_once(self, send: Callable[[], OssResponse], issued_at: float) -> OssResponse:
        # Of a request that is sent again, the first copy can arrive last and undo the change of another writer.
        try:
            response = send()
        except OssUnavailable as error:
            raise Unconfirmed(f"{self}: {error.sentence}", issued_at + EXPIRES_IN) from None
        if response.status >= 500:
            raise Unconfirmed(f"{self}: OSS answered {response.status}.", issued_at + EXPIRES_IN)
        return response

    def _request(self, send: Callable[[], OssResponse]) -> OssResponse:
        try:
            return send()
        except OssUnavailable as error:
            raise KeysStoreError(f"{self}: {error.sentence}", code=UNREACHABLE) from None

    def _now(self, response: OssResponse) -> float:
        now = response.time("date")
        if now is None:
            raise no_time(self)
        return now

    def _error(self, response: OssResponse) -> KeysStoreError:
        if response.status == 404:
            return KeysStoreError(f"{self} not found ({response.code or 404}).", code=MISSING)
        if response.status >= 500:
            return KeysStoreError(f"{self}: OSS answered {response.status}. Try again.", code=UNREACHABLE)
        date = response.time("date")
        ahead = 0 if date is None else round(self.clock.now() - date)
        # OSS calls a request that expired before it was sent AccessDenied, as one without permission.
        if response.code == "RequestTimeTooSkewed" or (response.status == 403 and ahead <= -EXPIRES_IN):
            difference = f"{abs(ahead)} seconds {'ahead of' if ahead > 0 else 'behind'} that of OSS"
            return KeysStoreError(
                f"{self}: OSS answered {response.status} {response.code}, because the clock of this machine is "
                f"{difference}. Set the clock, and try again.",
                code=WRONG_CLOCK,
            )
        return KeysStoreError(
            f"{self}: OSS answered {response.status} {response.code}. Check the region and the permissions of the "
            "credentials: oss:GetObject to read; oss:PutObject and oss:DeleteObject, too, to change.",
            code=REFUSED,
        )


KeysStore = FileKeysStore | OssKeysStore


def no_time(store: KeysStore) -> KeysStoreError:
    return KeysStoreError(
        f"{store}: the response has no time. Use an endpoint that returns the headers Date and Last-Modified of OSS.",
        code=REFUSED,
    )
