"""Records and claims in OSS, under the configured state prefix.

A claim is a PUT with `x-oss-forbid-overwrite`: of any number at the same time, exactly one succeeds. This holds only
in a bucket that never had versioning; otherwise OSS ignores the header (OSS page "PutObject").
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from signer.times import parse_rfc3339

from .config import Location
from .context import Invocation
from .errors import Problem
from .oss import OssClient, OssResponse, OssUnavailable, client_for

ATTEMPTS = 3
PAGE = 1000  # objects in one response of a list, the maximum of OSS
PROBE_LIFETIME = 300.0  # seconds; versioning can be enabled at any time

# When each state prefix was last seen to refuse overwriting, in Unix seconds.
_probed: dict[Location, float] = {}


class StoredObject(NamedTuple):
    """The bytes of an object, and its age in seconds by the clock of OSS."""

    body: bytes
    age: float


class ListedObject(NamedTuple):
    """An object of a list: `name` follows the prefix, `etag` has lower-case letters, `age` is as in `StoredObject`."""

    name: str
    etag: str
    age: float


class State(NamedTuple):
    """The state prefix, for one invocation. Methods raise the 503 `state_unavailable` or `state_bucket_versioned`."""

    client: OssClient
    prefix: Location

    def read(self, name: str) -> StoredObject | None:
        """An object, None where it does not exist."""
        try:
            response = self.client.get(self._at(name))
        except OssUnavailable:
            raise _unreachable() from None
        if response.ok:
            return StoredObject(response.body, _age(response))
        if response.status == 404 and response.code == "NoSuchKey":
            return None
        raise _refused("GetObject", response)

    def list_objects(self, prefix: Location, *, after: str = "") -> Iterator[ListedObject]:
        """The objects directly below a prefix of any bucket in order of names, of which the first follow `after`.

        One request for each `PAGE` objects that are used. Source: the OSS page "ListObjectsV2".
        """
        query = {
            "list-type": "2",
            "prefix": prefix.key,
            "delimiter": "/",
            "encoding-type": "url",
            "max-keys": str(PAGE),
        }
        if after:
            query["start-after"] = prefix.key + after
        while True:
            try:
                response = self.client.request("GET", Location(prefix.bucket, ""), query=query)
            except OssUnavailable:
                raise _unreachable() from None
            if not response.ok:
                raise _refused("ListObjects", response)
            objects, token = _read_list(response, len(prefix.key))
            yield from objects
            if not token:
                return
            query["continuation-token"] = token

    def list_folder(self, name: str) -> Iterator[ListedObject]:
        """The objects of a folder of the state prefix, as `list_objects`."""
        return self.list_objects(self._at(name))

    def write(self, name: str, body: bytes, *, retry: bool = True) -> None:
        """Writes or overwrites an object; with `retry`, again once after a connection error."""
        try:
            response = self.client.put(self._at(name), body, content_type="application/json", retry=retry)
        except OssUnavailable:
            raise _unreachable() from None
        if not response.ok:
            raise _refused("PutObject", response)

    def claim(self, name: str, body: bytes) -> StoredObject:
        """Creates an object if it does not exist, and returns the one that exists: with `body` if the claim is ours."""
        for _ in range(ATTEMPTS):
            try:
                response = self.client.put(self._at(name), body, content_type="text/plain", forbid_overwrite=True)
            except OssUnavailable:
                response = None
            if response is not None and response.ok:
                if "x-oss-version-id" in response.headers:
                    raise Problem("state_bucket_versioned")
                return StoredObject(body, 0.0)
            if response is not None and response.status not in (409, 408, 429) and response.status < 500:
                raise _refused("PutObject", response)
            # Only the object itself says whose it is.
            claimed = self.read(name)
            if claimed is not None:
                return claimed
        raise Problem("state_unavailable")

    def probe(self, now: float) -> None:
        """Checks that claims work: the first PUT may create the object, the second must be refused."""
        if now - _probed.get(self.prefix, -PROBE_LIFETIME) < PROBE_LIFETIME:
            return
        for _ in range(2):
            try:
                response = self.client.put(self._at("probe"), b"", content_type="text/plain", forbid_overwrite=True)
            except OssUnavailable:
                raise _unreachable() from None
            if response.code == "FileAlreadyExists":
                _probed[self.prefix] = now
                return
            if not response.ok:
                raise _refused("PutObject", response)
        raise Problem("state_bucket_versioned")

    def _at(self, name: str) -> Location:
        return Location(self.prefix.bucket, self.prefix.key + name)


def state_for(invocation: Invocation) -> State:
    """The state prefix for an invocation. Raises the 409 `state_required` where none is configured."""
    prefix = invocation.config.state
    if prefix is None:
        raise Problem("state_required")
    return State(client_for(invocation), prefix)


def _refused(operation: str, response: OssResponse) -> Problem:
    """The 503 of an operation that OSS refused; the audit line says which and why, such as a missing permission."""
    return Problem("state_unavailable", cause=f"{operation}: {response.status} {response.code}".rstrip())


def _unreachable() -> Problem:
    return Problem("state_unavailable", cause="OSS cannot be reached")


def _read_list(response: OssResponse, prefix_length: int) -> tuple[list[ListedObject], str]:
    """The objects in a response, and the token for the next response, "" after the last."""
    from urllib.parse import unquote
    from xml.etree import ElementTree

    responded = response.time("date")
    objects = []
    try:
        page = ElementTree.fromstring(response.body)
        for entry in page.iter("Contents"):
            modified = parse_rfc3339(entry.findtext("LastModified", ""))
            age = 0.0 if responded is None or modified is None else responded - modified
            etag = entry.findtext("ETag", "").strip('"').lower()
            objects.append(ListedObject(unquote(entry.findtext("Key", ""))[prefix_length:], etag, age))
    except (ElementTree.ParseError, ValueError):
        raise Problem("state_unavailable") from None
    is_truncated = page.findtext("IsTruncated") == "true"
    return objects, page.findtext("NextContinuationToken", "") if is_truncated else ""


def _age(response: OssResponse) -> float:
    """Seconds between the object's last change and the response, both by the clock of OSS."""
    modified, now = response.time("last-modified"), response.time("date")
    return 0.0 if modified is None or now is None else now - modified
