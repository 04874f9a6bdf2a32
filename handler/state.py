"""Records and claims in OSS itself, under the policy's state prefix.

A claim is a PUT with `x-oss-forbid-overwrite`: of any number at once exactly one succeeds, on a bucket that never had
versioning. OSS page "PutObject": with versioning enabled or suspended the header is ignored.
"""

from __future__ import annotations

from typing import NamedTuple

from .config import Location
from .credentials import of_invocation
from .errors import Problem
from .oss import OssUnavailable, Reply, Store, store
from .request import Invocation

ATTEMPTS = 3
PROBE_LIFE = 300.0  # seconds; versioning can be switched on while an instance lives

# When each state prefix was last seen to honour claims.
_probed: dict[Location, float] = {}


class Found(NamedTuple):
    """A stored object: its bytes, and how old it is by OSS's own clock, in seconds."""

    body: bytes
    age: float


class State(NamedTuple):
    """The state prefix, as one invocation reaches it. Every method raises a 503 `Problem` where OSS gives no answer."""

    store: Store
    place: Location

    def read(self, name: str) -> Found | None:
        """An object, None where there is none."""
        try:
            reply = self.store.get(self._at(name))
        except OssUnavailable:
            raise unavailable() from None
        if reply.ok:
            return Found(reply.body, _age(reply))
        if reply.status == 404 and reply.code == "NoSuchKey":
            return None
        raise unavailable()

    def write(self, name: str, body: bytes, *, retry: bool = True) -> None:
        """Writes an object over what is there, tried once more on a connection fault if it may be."""
        try:
            if self.store.put(self._at(name), body, content_type="application/json", retry=retry).ok:
                return
        except OssUnavailable:
            pass
        raise unavailable()

    def claim(self, name: str, body: bytes) -> Found:
        """What whoever has the claim wrote: `body` itself where it is ours, now or since an earlier try."""
        for _ in range(ATTEMPTS):
            try:
                reply = self.store.put(self._at(name), body, content_type="text/plain", forbid_overwrite=True)
            except OssUnavailable:
                reply = None
            if reply is not None and reply.ok:
                if "x-oss-version-id" in reply.headers:
                    raise versioned()
                return Found(body, 0.0)
            if reply is not None and reply.status not in (409, 408, 429) and reply.status < 500:
                raise unavailable()
            # The answer says nothing about whose object it is: only the object does.
            found = self.read(name)
            if found is not None:
                return found
        raise unavailable()

    def probe(self, now: float) -> None:
        """Raises the 503 `Problem` of a state bucket that has or had versioning, where a claim is none."""
        if now - _probed.get(self.place, -PROBE_LIFE) < PROBE_LIFE:
            return
        for _ in range(2):
            try:
                reply = self.store.put(self._at("probe"), b"", content_type="text/plain", forbid_overwrite=True)
            except OssUnavailable:
                raise unavailable() from None
            if reply.code == "FileAlreadyExists":
                _probed[self.place] = now
                return
            if not reply.ok:
                raise unavailable()
        raise versioned()

    def _at(self, name: str) -> Location:
        return Location(self.place.bucket, self.place.key + name)


def of(invocation: Invocation) -> State:
    """The state of an invocation. Raises a 409 `Problem` where the policy names no state prefix."""
    place = invocation.policy.state
    if place is None:
        raise Problem(409, "state_required", "This needs a state prefix: its operators can set state in links.toml.")
    return State(store(invocation.policy, of_invocation(invocation.context).credentials), place)


def unavailable() -> Problem:
    """A state that cannot be read or written grants nothing."""
    return Problem(503, "state_unavailable", "The state of this cannot be read now: try again.", {"Retry-After": "5"})


def versioned() -> Problem:
    """Claims do not work on this bucket."""
    return Problem(
        503,
        "state_bucket_versioned",
        "The state bucket has or had versioning, where nothing can be claimed: its operators must name another bucket.",
    )


def _age(reply: Reply) -> float:
    """Seconds between the object's last change and the answer, both by OSS's clock."""
    from email.utils import parsedate_to_datetime

    try:
        written, answered = (parsedate_to_datetime(reply.headers[name]) for name in ("last-modified", "date"))
    except (KeyError, ValueError, TypeError):
        return 0.0
    return (answered - written).total_seconds()
