"""Records and claims in OSS itself, under the configured state prefix.

A claim is a PUT with `x-oss-forbid-overwrite`: of any number at once exactly one succeeds, on a bucket that never had
versioning. OSS page "PutObject": with versioning enabled or suspended the header is ignored.
"""

from __future__ import annotations

from typing import NamedTuple

from .config import Location
from .context import Invocation
from .errors import Problem
from .oss import OssClient, OssResponse, OssUnavailable, client_for

ATTEMPTS = 3
PROBE_LIFETIME = 300.0  # seconds; versioning can be switched on while an instance lives

# When each state prefix was last seen to honour claims.
_probed: dict[Location, float] = {}


class StoredObject(NamedTuple):
    """The bytes of an object, and its age in seconds by OSS's own clock."""

    body: bytes
    age: float


class State(NamedTuple):
    """The state prefix, as one invocation reaches it. Every method raises the 503 `state_unavailable`."""

    client: OssClient
    prefix: Location

    def read(self, name: str) -> StoredObject | None:
        """An object, None where it does not exist."""
        try:
            response = self.client.get(self._at(name))
        except OssUnavailable:
            raise Problem("state_unavailable") from None
        if response.ok:
            return StoredObject(response.body, _age(response))
        if response.status == 404 and response.code == "NoSuchKey":
            return None
        raise Problem("state_unavailable")

    def write(self, name: str, body: bytes, *, retry: bool = True) -> None:
        """Writes an object, over an existing one; with `retry` once more after a connection fault."""
        try:
            if self.client.put(self._at(name), body, content_type="application/json", retry=retry).ok:
                return
        except OssUnavailable:
            pass
        raise Problem("state_unavailable")

    def claim(self, name: str, body: bytes) -> StoredObject:
        """The object of whoever holds the claim: `body` itself where it is ours, now or since an earlier try."""
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
                raise Problem("state_unavailable")
            # The answer does not say whose object it is: only the object does.
            claimed = self.read(name)
            if claimed is not None:
                return claimed
        raise Problem("state_unavailable")

    def probe(self, now: float) -> None:
        """Raises the 503 `state_bucket_versioned` of a bucket that has or had versioning, where no claim holds."""
        if now - _probed.get(self.prefix, -PROBE_LIFETIME) < PROBE_LIFETIME:
            return
        for _ in range(2):
            try:
                response = self.client.put(self._at("probe"), b"", content_type="text/plain", forbid_overwrite=True)
            except OssUnavailable:
                raise Problem("state_unavailable") from None
            if response.code == "FileAlreadyExists":
                _probed[self.prefix] = now
                return
            if not response.ok:
                raise Problem("state_unavailable")
        raise Problem("state_bucket_versioned")

    def _at(self, name: str) -> Location:
        return Location(self.prefix.bucket, self.prefix.key + name)


def state_for(invocation: Invocation) -> State:
    """The state of an invocation. Raises the 409 `state_required` where the configuration names no prefix."""
    prefix = invocation.config.state
    if prefix is None:
        raise Problem("state_required")
    return State(client_for(invocation), prefix)


def _age(response: OssResponse) -> float:
    """Seconds between the object's last change and the answer, both by OSS's clock."""
    from email.utils import parsedate_to_datetime

    try:
        written, answered = (parsedate_to_datetime(response.headers[name]) for name in ("last-modified", "date"))
    except (KeyError, ValueError, TypeError):
        return 0.0
    return (answered - written).total_seconds()
