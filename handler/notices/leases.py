"""Who tells a notice: attempt n is claimed in the state prefix before sending, and marked done after.

`{name}/{n}` holds `sending {nonce}`, `failed` or `done`, and on the lines after it what the attempts hand on to one
another. A claim that is neither done nor failed is a lease: after a minute its holder is taken for dead.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from ..errors import HandlerError, Problem
from ..state import State
from ..times import Clock

LEASE = 60.0  # seconds
SEND = 50.0  # seconds from a claim in which its holder sends: less than the lease
PAUSE = 0.5  # seconds between two looks at a lease of somebody else
MOST_ATTEMPTS = 200
MARKS = 3  # tries to mark what was sent

_SENDING, _FAILED, _DONE = b"sending ", b"failed", b"done"


class Busy(HandlerError):
    """Somebody else holds the lease, and did not come to an end in time."""

    code = "notice_in_flight"


class Lease(NamedTuple):
    """An attempt of ours; `payload` is what the attempts before it handed on, else our own."""

    name: str
    attempt: int
    payload: bytes


class Done(NamedTuple):
    """It was told before."""

    payload: bytes


def take(state: State, name: str, nonce: str, clock: Clock, deadline: float, payload: bytes = b"") -> Lease | Done:
    """The next attempt at `name`, where there is none that is done.

    A lease of somebody else is waited for until `deadline` (of `clock.monotonic`). Raises `Busy`, and the 503
    `Problem` of a state that cannot be asked.
    """
    attempt = 1
    while attempt <= MOST_ATTEMPTS:
        body = _SENDING + nonce.encode() + b"\n" + payload
        found = state.claim(f"{name}/{attempt}", body)
        if found.body == body:
            return Lease(name, attempt, payload)
        head, _, handed_on = found.body.partition(b"\n")
        if head == _DONE:
            return Done(handed_on)
        if head == _FAILED or found.age > LEASE:
            attempt, payload = attempt + 1, handed_on
            continue
        if clock.monotonic() + PAUSE > deadline:
            break
        clock.sleep(PAUSE)
    raise Busy("Another instance is telling this, or was cut off while it did: it is tried again later.")


def finish(state: State, lease: Lease) -> bool:
    """Marks it done. False where that fails: then it is told once more when the lease has ended."""
    for _ in range(MARKS):
        try:
            state.write(f"{lease.name}/{lease.attempt}", _DONE + b"\n" + lease.payload)
        except Problem:
            continue
        return True
    return False


def release(state: State, lease: Lease, payload: bytes | None = None) -> None:
    """Marks it failed, so that the next attempt need not wait. Where that fails, it waits for the lease's end."""
    handed_on = lease.payload if payload is None else payload
    with suppress(Problem):
        state.write(f"{lease.name}/{lease.attempt}", _FAILED + b"\n" + handed_on)
