"""Records and claims in OSS, under the configured state prefix, and the clock of OSS.

A claim is a PUT with `x-oss-forbid-overwrite`: of any number at the same time, exactly one succeeds. This holds only
in a bucket that never had versioning; otherwise OSS ignores the header (OSS page "PutObject").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from signer.listing import PAGE as PAGE
from signer.listing import listing_query, read_page

from ..config import Location
from ..context import Clock, Invocation
from ..errors import Problem
from . import oss
from .oss import EXPIRES_IN, UNREACHABLE, OssClient, OssResponse, OssUnavailable, client_for, refusal

ATTEMPTS = 3
PROBE_LIFETIME = 300.0  # seconds; versioning can be enabled at any time
PROBES = 3  # the first one may create the object, and one may be lost


class StateMemory:
    """What an instance remembers of the state prefix and of OSS's clock.

    `probed_at` (Unix seconds) is when the prefix was last seen to refuse overwriting. `ahead` is how far the clock of
    OSS was last seen ahead of ours, in seconds, and ours ahead of `monotonic` then.
    """

    def __init__(self) -> None:
        self.probed_at = -PROBE_LIFETIME
        self.ahead: tuple[float, float] | None = None


class StoredObject(NamedTuple):
    """The bytes of an object, and its age in seconds by the clock of OSS."""

    body: bytes
    age: float


class ListedObject(NamedTuple):
    """An object of a list: `name` follows the prefix, `etag` has lower-case letters, `age` is as in `StoredObject`.

    `size` is in bytes.
    """

    name: str
    etag: str
    age: float
    size: int


class OssTime:
    """The clock of OSS in Unix seconds, by the `Date` of its last answer, which has no fractions.

    The answer was given between `sent` and its receipt, so the time is known within a second and that long.
    """

    def __init__(self, clock: Clock, memory: StateMemory) -> None:
        self._clock, self._memory = clock, memory
        self._bounds: tuple[float, float] | None = None  # minus `clock.monotonic`

    def observe(self, response: OssResponse, sent: float) -> None:
        date = response.time("date")
        if date is not None:
            self._bounds = (date - self._clock.monotonic(), date + 1 - sent)
            now = self._clock.now()
            self._memory.ahead = (date - now, now - self._clock.monotonic())

    def earliest(self) -> float:
        """The time now at least. Raises the 503 `state_unavailable` if no answer had a date."""
        return self._known()[0] + self._clock.monotonic()

    def latest(self) -> float:
        """The time now at most, as `earliest`."""
        return self._known()[1] + self._clock.monotonic()

    def _known(self) -> tuple[float, float]:
        if self._bounds is None:
            raise Problem("state_unavailable", cause="no Date in the answers of OSS")
        return self._bounds


class State(NamedTuple):
    """The state prefix, for one invocation. Methods raise the 503 `state_unavailable` or `state_bucket_versioned`."""

    client: OssClient
    prefix: Location
    clock: Clock
    time: OssTime
    memory: StateMemory

    def read(self, name: str) -> StoredObject | None:
        """An object, None where it does not exist."""
        response = self._ask(lambda: self.client.get(self._at(name)))
        # A response that was cut in its headers looks like an empty object, but does not say so.
        if response.ok and not response.body and "content-length" not in response.headers:
            raise Problem("state_unavailable", cause="GetObject: the response is incomplete")
        if response.ok:
            return StoredObject(response.body, _age(response))
        if response.status == 404 and response.code == "NoSuchKey":
            return None
        raise self._refused("GetObject", response)

    def list_objects(self, prefix: Location, *, after: str = "") -> Iterator[ListedObject]:
        """The objects directly below a prefix of any bucket in order of names, of which the first follow `after`.

        One request for each `PAGE` objects that are used.
        """
        return (entry for page in self._pages(prefix, after) for entry in page.objects)

    def list_folder(self, name: str) -> Iterator[ListedObject]:
        """The objects of a folder of the state prefix, as `list_objects`."""
        return self.list_objects(self._at(name))

    def list_folders(self, name: str) -> Iterator[str]:
        """The names of the folders directly below a folder of the state prefix, in order; empty ones do not exist."""
        return (folder for page in self._pages(self._at(name), "") for folder in page.folders)

    def write(self, name: str, body: bytes, *, retry: bool = True) -> None:
        """Writes or overwrites an object; with `retry`, again once after a connection error."""
        put = self.client.put
        response = self._ask(lambda: put(self._at(name), body, content_type="application/json", retry=retry))
        if not response.ok:
            raise self._refused("PutObject", response)

    def delete(self, name: str, *, retry: bool = True) -> None:
        """Deletes an object, if it exists; with `retry`, again once after a connection error."""
        response = self._ask(lambda: self.client.delete(self._at(name), retry=retry))
        if not response.ok:
            raise self._refused("DeleteObject", response)

    def copy(self, source: str, target: str) -> bool:
        """Copies an object of any size; False if it does not exist. Source: the OSS page "CopyObject"."""
        from urllib.parse import quote

        path = quote(f"/{self.prefix.bucket}/{self._at(source).key}")
        response = self._ask(
            lambda: self.client.request("PUT", self._at(target), headers={"x-oss-copy-source": path}, body=b"")
        )
        if response.code == "NoSuchKey":
            return False
        if not response.ok:
            raise self._refused("CopyObject", response)
        return True

    def claim(self, name: str, body: bytes) -> StoredObject:
        """Creates an object if it does not exist, and returns the one that exists: with `body` if the claim is ours."""
        last = Problem("state_unavailable")
        for _ in range(ATTEMPTS):
            try:
                response = self._claim(name, body)
            except Problem as problem:
                last = problem
            else:
                if response.ok:
                    if "x-oss-version-id" in response.headers:
                        raise Problem("state_bucket_versioned")
                    return StoredObject(body, 0.0)
                last = self._refused("PutObject", response)
                if response.status not in (409, 408, 429) and response.status < 500:
                    raise last
            # Read it to learn who won.
            claimed = self.read(name)
            if claimed is not None:
                return claimed
        raise last

    def probe(self, now: float) -> None:
        """Checks that claims work: the first PUT may create the object, a later one must be refused."""
        # A negative difference means that our clock was set back.
        if 0 <= now - self.memory.probed_at < PROBE_LIFETIME:
            return
        created, last = 0, Problem("state_unavailable")
        started = self.clock.monotonic()
        for _ in range(PROBES):
            try:
                response = self._claim("probe", b"")
            except Problem as problem:
                # To wait three times for an OSS that does not answer would take longer than the function may run.
                if self.clock.monotonic() - started >= oss.TIMEOUT[1]:
                    raise
                last = problem
                continue
            if response.code == "FileAlreadyExists":
                self.memory.probed_at = now
                return
            if not response.ok:
                last = self._refused("PutObject", response)
                if response.status < 500:
                    break
                continue
            created += 1
            if created == 2:
                raise Problem("state_bucket_versioned")
        raise last

    def now(self) -> float:
        """The time by the clock of OSS, as this process last saw it.

        For one request the first time, and after our clock was corrected.
        """
        seen, now = self.memory.ahead, self.clock.now()
        if seen is None or abs(now - self.clock.monotonic() - seen[1]) > EXPIRES_IN:
            self._ask(lambda: self.client.head(self._at("probe")))
            return self.time.earliest()
        return now + seen[0]

    def _claim(self, name: str, body: bytes) -> OssResponse:
        put = self.client.put
        return self._ask(lambda: put(self._at(name), body, content_type="text/plain", forbid_overwrite=True))

    def _pages(self, prefix: Location, after: str) -> Iterator[_Page]:
        """Source: the OSS page "ListObjectsV2"."""
        query = listing_query(prefix.key, delimiter="/")
        if after:
            query["start-after"] = prefix.key + after
        bucket = Location(prefix.bucket, "")
        while True:
            response = self._ask(lambda: self.client.request("GET", bucket, query=query))
            if not response.ok:
                raise self._refused("ListObjects", response)
            page = _read_page(response, len(prefix.key))
            yield page
            if not page.token:
                return
            if page.token == query.get("continuation-token"):
                raise Problem("state_unavailable", cause="ListObjects: the answer does not end")
            query["continuation-token"] = page.token

    def _ask(self, request: Callable[[], OssResponse]) -> OssResponse:
        sent = self.clock.monotonic()
        try:
            response = request()
        except OssUnavailable:
            raise Problem("state_unavailable", cause=UNREACHABLE) from None
        self.time.observe(response, sent)
        return response

    def _refused(self, operation: str, response: OssResponse) -> Problem:
        """The 503 of an operation that OSS refused; the audit line says which and why, such as a missing permission."""
        return Problem("state_unavailable", cause=refusal(operation, response, self.clock.now()))

    def _at(self, name: str) -> Location:
        return Location(self.prefix.bucket, self.prefix.key + name)


def state_for(invocation: Invocation) -> State:
    """The state prefix for an invocation. Raises the 409 `state_required` where none is configured."""
    prefix, instance = invocation.config.state, invocation.instance
    if prefix is None:
        raise Problem("state_required")
    return state_at(client_for(invocation), prefix, instance.clock, instance.memory(StateMemory))


def state_at(client: OssClient, prefix: Location, clock: Clock, memory: StateMemory | None = None) -> State:
    memory = memory or StateMemory()
    return State(client, prefix, clock, OssTime(clock, memory), memory)


class _Page(NamedTuple):
    """One response of a list; `token` is for the next one, "" after the last."""

    objects: list[ListedObject]
    folders: list[str]
    token: str


def _read_page(response: OssResponse, prefix_length: int) -> _Page:
    try:
        page = read_page(response.body)
    except ValueError:
        raise Problem("state_unavailable", cause="ListObjects: the answer is not XML") from None
    responded = response.time("date")
    objects = []
    for entry in page.objects:
        age = 0.0 if responded is None or entry.modified is None else responded - entry.modified
        objects.append(ListedObject(entry.key[prefix_length:], entry.etag, age, entry.size))
    return _Page(objects, [prefix[prefix_length:].rstrip("/") for prefix in page.prefixes], page.token)


def _age(response: OssResponse) -> float:
    """Seconds between the object's last change and the response, both by the clock of OSS."""
    modified, now = response.time("last-modified"), response.time("date")
    return 0.0 if modified is None or now is None else now - modified
