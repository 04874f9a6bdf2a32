"""Notices that wait for a timer: a stream for each rule and sink, in the state prefix.

`digests/{stream}/entries/{n}` are what events left, numbered without a gap; `digests/{stream}/sent/{k}` are the claims
of the digests, each of which says at which entry it ends, so that an entry is in one digest alone. `tail` and `last`
are where to begin to look, and are never trusted further. Nothing is listed, and nothing is deleted here.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, NamedTuple

from ..errors import HandlerError, Problem
from ..state import State
from ..times import Clock
from . import leases
from .leases import Done, Lease

MOST_PROBES = 2000
MOST_ENTRIES = 200  # events in one digest
SLACK = 10.0  # seconds that a timer may come early


class StreamLost(HandlerError):
    """The end of a stream cannot be found."""

    code = "digest_unreadable"


class Position(NamedTuple):
    """The digest `number`, which ends with entry `end`; `sent` notices of it were told by attempts before."""

    number: int
    end: int
    sent: int = 0

    def body(self) -> bytes:
        return json.dumps({"end": self.end, "sent": self.sent}).encode()


class Digest(NamedTuple):
    """A digest that is ours to send, and the notices in it, as they were left."""

    lease: Lease
    position: Position
    entries: list[dict[str, Any]]


def append(state: State, stream: str, entries: list[dict[str, Any]], nonce: str) -> None:
    """Leaves the notices of one event. Raises a 503 `Problem`, `StreamLost`."""
    body = json.dumps({"by": nonce, "entries": entries}).encode()
    number = _number(state, f"digests/{stream}/tail", "entry") + 1
    for _ in range(MOST_PROBES):
        if state.claim(f"digests/{stream}/entries/{number}", body).body == body:
            with suppress(Problem):
                state.write(f"digests/{stream}/tail", json.dumps({"entry": number}).encode())
            return
        number += 1
    raise StreamLost("The end of a digest's stream is not where it was: it is looked for again later.")


def take(state: State, stream: str, every: int, nonce: str, clock: Clock) -> Digest | None:
    """The digest that is due and not in other hands, None where there is none. Raises a 503 `Problem`."""
    found = state.read(f"digests/{stream}/last")
    last = _position(found.body) if found is not None else Position(0, 0)
    if found is not None and found.age < every - SLACK:
        return None
    while True:
        entries, end = _entries(state, stream, last.end, last.end + MOST_ENTRIES)
        if not entries:
            return None
        name = f"digests/{stream}/sent/{last.number + 1}"
        try:
            claimed = leases.take(state, name, nonce, clock, clock.monotonic(), Position(0, end).body())
        except leases.Busy:
            return None
        told = json.loads(claimed.payload)
        position = Position(last.number + 1, told["end"], told["sent"])
        if isinstance(claimed, Done):
            last = position
            continue
        if position.end != end:
            entries, _ = _entries(state, stream, last.end, position.end)
        return Digest(claimed, position, entries)


def finish(state: State, stream: str, digest: Digest) -> bool:
    """Marks a digest as sent. False where that fails."""
    marked = leases.finish(state, digest.lease)
    if marked:
        position = digest.position
        body = json.dumps({"number": position.number, "end": position.end}).encode()
        with suppress(Problem):
            state.write(f"digests/{stream}/last", body)
    return marked


def release(state: State, digest: Digest, sent: int) -> None:
    """Leaves a digest to a later attempt; `sent` of its notices, from the first, were told."""
    leases.release(state, digest.lease, digest.position._replace(sent=sent).body())


def _entries(state: State, stream: str, after: int, most: int) -> tuple[list[dict[str, Any]], int]:
    """The notices after an entry, up to the last entry that is there, and the number of that one."""
    found: list[dict[str, Any]] = []
    number = after
    while number < most:
        entry = state.read(f"digests/{stream}/entries/{number + 1}")
        if entry is None:
            break
        found += json.loads(entry.body)["entries"]
        number += 1
    return found, number


def _number(state: State, name: str, member: str) -> int:
    found = state.read(name)
    try:
        number = json.loads(found.body)[member] if found is not None else 0
    except (ValueError, KeyError, TypeError):
        return 0
    return number if type(number) is int and number > 0 else 0


def _position(body: bytes) -> Position:
    try:
        document = json.loads(body)
        return Position(int(document["number"]), int(document["end"]))
    except (ValueError, KeyError, TypeError):
        return Position(0, 0)
