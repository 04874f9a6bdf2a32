"""Notices that wait for a timer: a stream for each rule and sink, in the state prefix.

`digests/{stream}/entries/{n}` are the notices of one event, numbered without a gap. `digests/{stream}/sent/{k}` are the
leases of the digests; each names its last entry, so that every entry is in exactly one digest. `tail` and `last` only
say where to start looking: the entries and leases decide. Nothing is listed or deleted here.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, NamedTuple

from ..errors import HandlerError, Problem
from ..state import State
from ..times import Clock
from . import leases
from .leases import Completed, Lease, LeaseHeld

MAX_PROBES = 2000
MAX_ENTRIES = 200  # events in one digest
TOLERANCE = 10.0  # seconds that a timer may be early


class StreamLost(HandlerError):
    """The end of a stream cannot be found."""

    code = "digest_unreadable"


class Position(NamedTuple):
    """The digest `number`, which ends with entry `end`; earlier attempts delivered its first `sent` notices."""

    number: int
    end: int
    sent: int = 0

    def payload(self) -> bytes:
        return json.dumps({"end": self.end, "sent": self.sent}).encode()


class Digest(NamedTuple):
    """A digest that is ours to send, with its notices as they were queued."""

    lease: Lease
    position: Position
    entries: list[dict[str, Any]]


def append(state: State, stream: str, entries: list[dict[str, Any]], nonce: str) -> None:
    """Queues the notices of one event. Raises a 503 `Problem` and `StreamLost`."""
    body = json.dumps({"by": nonce, "entries": entries}).encode()
    hint = state.read(f"digests/{stream}/tail")
    number = _hinted(hint.body, "entry")[0] if hint is not None else 0
    for _ in range(MAX_PROBES):
        number += 1
        if state.claim(f"digests/{stream}/entries/{number}", body).body == body:
            with suppress(Problem):
                state.write(f"digests/{stream}/tail", json.dumps({"entry": number}).encode())
            return
    raise StreamLost("The end of the digest's stream was not found. It will be retried.")


def acquire(state: State, stream: str, every: int, nonce: str, clock: Clock) -> Digest | None:
    """The digest that is due, unless another instance is sending it. Raises a 503 `Problem`."""
    hint = state.read(f"digests/{stream}/last")
    if hint is not None and hint.age < every - TOLERANCE:
        return None
    number, start = _hinted(hint.body, "number", "end") if hint is not None else (0, 0)
    while True:
        number += 1
        entries, end = _entries(state, stream, start, start + MAX_ENTRIES)
        if not entries:
            return None
        name = f"digests/{stream}/sent/{number}"
        try:
            lease = leases.acquire(state, name, nonce, clock, clock.monotonic(), Position(number, end).payload())
        except LeaseHeld:
            return None
        payload = json.loads(lease.payload)
        position = Position(number, payload["end"], payload["sent"])
        if isinstance(lease, Completed):
            start = position.end
            continue
        if position.end != end:
            entries, _ = _entries(state, stream, start, position.end)
        return Digest(lease, position, entries)


def complete(state: State, stream: str, digest: Digest) -> bool:
    """Marks a digest as sent. False if that fails."""
    is_marked = leases.complete(state, digest.lease)
    if is_marked:
        body = json.dumps({"number": digest.position.number, "end": digest.position.end}).encode()
        with suppress(Problem):
            state.write(f"digests/{stream}/last", body)
    return is_marked


def abandon(state: State, digest: Digest, sent: int) -> None:
    """Leaves a digest to a later attempt; its first `sent` notices were delivered."""
    leases.abandon(state, digest.lease, digest.position._replace(sent=sent).payload())


def _entries(state: State, stream: str, start: int, limit: int) -> tuple[list[dict[str, Any]], int]:
    """The notices after entry `start`, up to the last entry that exists or `limit`, and the number of that entry."""
    entries: list[dict[str, Any]] = []
    number = start
    while number < limit:
        entry = state.read(f"digests/{stream}/entries/{number + 1}")
        if entry is None:
            break
        entries += json.loads(entry.body)["entries"]
        number += 1
    return entries, number


def _hinted(body: bytes, *members: str) -> tuple[int, ...]:
    """The numbers in a hint, all 0 if it cannot be read."""
    try:
        document = json.loads(body)
        numbers = tuple(document[member] for member in members)
    except (ValueError, KeyError, TypeError):
        numbers = ()
    is_valid = numbers and all(type(number) is int and number > 0 for number in numbers)
    return numbers if is_valid else (0,) * len(members)
