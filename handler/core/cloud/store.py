"""Small objects of the service itself in OSS: its state, and the keys document with its lock.

A claim is a PUT with `x-oss-forbid-overwrite`: of any number at the same time, exactly one succeeds. This holds only
in a bucket that never had versioning; otherwise OSS ignores the header (OSS page "PutObject").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from signer.common.listing import ListedPage, listing_query, read_page

from ..config import Location
from ..context import Clock, Invocation
from ..errors import Problem
from . import oss
from .oss import REFUSED, UNREACHABLE, VERSIONED, OssClient, OssResponse, StoreError
from .oss_clock import OssClock, OssMemory

ATTEMPTS = 3
PROBE_LIFETIME = 300.0  # seconds; versioning can be enabled at any time
PROBES = 3  # the first one may create the object, and one may be lost
JSON = "application/json"


class StoredObject(NamedTuple):
    """The bytes of an object, its age in seconds by the clock of OSS, and its ETag, or what stands for it."""

    body: bytes
    age: float
    etag: str = ""

    def __repr__(self) -> str:
        # The body may be the keys document.
        return f"StoredObject(<{len(self.body)} bytes>, age={self.age!r}, etag={self.etag!r})"


class ListedObject(NamedTuple):
    """An object of a list: `name` follows the prefix, `etag` has lower-case letters, `age` is as in `StoredObject`.

    `size` is in bytes.
    """

    name: str
    etag: str
    age: float
    size: int


class Store(NamedTuple):
    """The objects whose keys begin with `prefix`, for one invocation. Methods raise `StoreError`."""

    client: OssClient
    prefix: Location
    clock: OssClock

    def __str__(self) -> str:
        return str(self.prefix)

    def read(self, name: str, known: str = "") -> StoredObject | None:
        """An object, None where it does not exist; with the ETag `known`, and without its body, if it still has it."""
        response = self._ask(lambda: self.client.get(self._at(name), etag=known or None))
        if response.status == 304 and known:
            return StoredObject(b"", _age(response), known)
        if response.ok:
            return StoredObject(response.body, _age(response), response.headers.get("etag", ""))
        if response.status == 404 and response.code == "NoSuchKey":
            return None
        raise self._refused("GetObject", response)

    def create(
        self, name: str, body: bytes, *, is_known: bool = False, attempts: int = ATTEMPTS
    ) -> StoredObject:
        """Creates an object if it does not exist, and returns the one that exists: with `body` if it is ours.

        With `is_known`, it was just read with `body`, so it is not read again.
        """
        last = StoreError("PutObject", 0, UNREACHABLE, "")
        for _ in range(attempts):
            try:
                response = self._claim(name, body)
            except StoreError as error:
                last = error
            else:
                if response.ok and "x-oss-version-id" in response.headers:
                    raise StoreError(
                        "PutObject", response.status, VERSIONED, "the bucket has versioning"
                    )
                if response.ok or (is_known and response.code == "FileAlreadyExists"):
                    return StoredObject(body, 0.0)
                last = self._refused("PutObject", response)
                if response.status not in (409, 408, 429) and response.status < 500:
                    raise last
            # Read it to learn who won.
            claimed = self.read(name)
            if claimed is not None:
                return claimed
        raise last

    def replace(
        self, name: str, body: bytes, *, retry: bool = True, issued_at: float | None = None
    ) -> None:
        """Writes or overwrites an object; with `retry`, again once after a connection error.

        OSS accepts the request for `oss.EXPIRES_IN` seconds after `issued_at` (Unix seconds, None: now).
        """
        response = self._ask(
            lambda: self.client.put(
                self._at(name), body, content_type=JSON, retry=retry, issued_at=issued_at
            )
        )
        if not response.ok:
            raise self._refused("PutObject", response)

    def delete(self, name: str, *, retry: bool = True) -> None:
        """Deletes an object, if it exists; without `retry`, by one request on a connection of its own."""
        response = self._ask(lambda: self.client.delete(self._at(name), retry=retry))
        if not response.ok:
            raise self._refused("DeleteObject", response)

    def copy(self, source: str, target: str) -> bool:
        """Copies an object of any size; False if it does not exist. Source: the OSS page "CopyObject"."""
        from urllib.parse import quote

        path = quote(f"/{self.prefix.bucket}/{self._at(source).key}")
        response = self._ask(
            lambda: self.client.request(
                "PUT", self._at(target), headers={"x-oss-copy-source": path}, body=b""
            )
        )
        if response.code == "NoSuchKey":
            return False
        if not response.ok:
            raise self._refused("CopyObject", response)
        return True

    def list_objects(
        self, prefix: Location, *, after: str = "", deep: bool = False, size: int | None = None
    ) -> Iterator[ListedObject]:
        """The objects directly below a prefix of any bucket in order of names, of which the first follow `after`.

        With `deep`, also those in folders there. One request for each `size` (None: `PAGE`) objects that are used.
        """
        for page, responded in self._pages(prefix, after, deep, size):
            for entry in page.objects:
                age = (
                    0.0
                    if responded is None or entry.modified is None
                    else responded - entry.modified
                )
                yield ListedObject(entry.key[len(prefix.key) :], entry.etag, age, entry.size)

    def list_folder(
        self, name: str, *, after: str = "", deep: bool = False, size: int | None = None
    ) -> Iterator[ListedObject]:
        """The objects of a folder, as `list_objects`."""
        return self.list_objects(self._at(name), after=after, deep=deep, size=size)

    def list_folders(self, name: str) -> Iterator[str]:
        """The names of the folders directly below a folder, in order; empty ones do not exist."""
        prefix = self._at(name)
        return (
            folder[len(prefix.key) :].rstrip("/")
            for page, _ in self._pages(prefix)
            for folder in page.prefixes
        )

    def probe(self, now: float) -> None:
        """Checks that claims work: the first PUT may create the object, a later one must be refused."""
        # A negative difference means that our clock was set back.
        if 0 <= now - self.clock.memory.probed_at < PROBE_LIFETIME:
            return
        created = 0
        last = StoreError("PutObject", 0, UNREACHABLE, "")
        started = self.clock.own.monotonic()
        for _ in range(PROBES):
            try:
                response = self._claim("probe", b"")
            except StoreError as error:
                # To wait three times for an OSS that does not answer would take longer than the function may run.
                if self.clock.own.monotonic() - started >= oss.TIMEOUT[1]:
                    raise
                last = error
                continue
            if response.code == "FileAlreadyExists":
                self.clock.memory.probed_at = now
                return
            if not response.ok:
                last = self._refused("PutObject", response)
                if response.status < 500:
                    break
                continue
            created += 1
            if created == 2:
                raise StoreError(
                    "PutObject", response.status, VERSIONED, "the bucket has versioning"
                )
        raise last

    def now(self) -> float:
        """The time by the clock of OSS, as this instance last saw it.

        For one request the first time, and after our clock was corrected.
        """
        now = self.clock.remembered() or self.ask_time()
        return round(now, 3)  # sums of floats may be a little less than a whole second

    def ask_time(self, name: str = "probe") -> float:
        """The time by the clock of OSS, for one request about an object, which need not exist."""
        self._ask(lambda: self.client.head(self._at(name)))
        return self.clock.earliest()

    def _claim(self, name: str, body: bytes) -> OssResponse:
        return self._ask(lambda: self.client.claim(self._at(name), body, content_type="text/plain"))

    def _pages(
        self, prefix: Location, after: str = "", deep: bool = False, size: int | None = None
    ) -> Iterator[tuple[ListedPage, float | None]]:
        """The pages of a list, each with the time of its response. Source: the OSS page "ListObjectsV2"."""
        query = listing_query(prefix.key)
        if not deep:
            query["delimiter"] = "/"
        if size is not None:
            query["max-keys"] = str(size)
        if after:
            query["start-after"] = prefix.key + after
        bucket = Location(prefix.bucket, "")
        while True:
            response = self._ask(lambda: self.client.request("GET", bucket, query=query))
            if not response.ok:
                raise self._refused("ListObjects", response)
            try:
                page = read_page(response.body)
            except ValueError:
                raise StoreError("ListObjects", 0, REFUSED, "the answer is not XML") from None
            yield page, response.time("date")
            if not page.token:
                return
            if page.token == query.get("continuation-token"):
                raise StoreError("ListObjects", 0, REFUSED, "the answer does not end")
            if not page.token.isprintable():  # no request can carry it
                raise StoreError("ListObjects", 0, REFUSED, "the answer has an invalid token")
            query["continuation-token"] = page.token

    def _ask(self, request: Callable[[], OssResponse]) -> OssResponse:
        sent = self.clock.own.monotonic()
        try:
            response = request()
        except oss.OssUnavailable as error:
            raise StoreError("", 0, UNREACHABLE, error.sentence) from None
        self.clock.observe(response, sent)
        return response

    def _refused(self, operation: str, response: OssResponse) -> StoreError:
        return oss.refusal(operation, response, self.clock.own.now())

    def _at(self, name: str) -> Location:
        return Location(self.prefix.bucket, self.prefix.key + name)


def state_for(invocation: Invocation) -> Store:
    """The state prefix for an invocation. Raises the 409 `state_required` where none is configured."""
    prefix = invocation.config.state
    instance = invocation.instance
    if prefix is None:
        raise Problem("state_required")
    return store_at(oss.client_for(invocation), prefix, instance.clock, instance.memory(OssMemory))


def store_at(
    client: OssClient, prefix: Location, clock: Clock, memory: OssMemory | None = None
) -> Store:
    return Store(client, prefix, OssClock(clock, memory or OssMemory()))


def _age(response: OssResponse) -> float:
    """Seconds between the object's last change and the response, both by the clock of OSS."""
    modified = response.time("last-modified")
    now = response.time("date")
    return 0.0 if modified is None or now is None else now - modified
