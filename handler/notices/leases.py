"""Leases on notices: attempt n is claimed in the state prefix before sending, and marked done afterwards.

`{name}/{n}` holds `sending {nonce}`, `failed` or `done`, and from the second line on the payload, which each attempt
hands to the next. A claim that is neither done nor failed is a lease: after a minute, its holder is considered dead.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

from ..errors import HandlerError, Problem
from ..state import State
from ..times import Clock

LEASE = 60.0  # seconds
SEND = 50.0  # seconds after a claim in which its holder sends: less than the lease
PAUSE = 0.5  # seconds between two looks at a lease of another holder
MAX_ATTEMPTS = 200
MARKS = 3  # tries to mark what was sent

_SENDING, _FAILED, _DONE = b"sending ", b"failed", b"done"


class LeaseHeld(HandlerError):
    """Another instance holds the lease and did not finish in time."""

    code = "notice_in_flight"


class Lease(NamedTuple):
    """An attempt of ours; `payload` is that of the attempts before it, or else our own."""

    name: str
    attempt: int
    payload: bytes


class Completed(NamedTuple):
    """An earlier attempt was marked done."""

    payload: bytes


def acquire(
    state: State, name: str, nonce: str, clock: Clock, deadline: float, payload: bytes = b""
) -> Lease | Completed:
    """The next attempt at `name`, if none is done.

    Waits for a lease of another holder until `deadline` (of `clock.monotonic`). Raises `LeaseHeld` and the 503
    `state_unavailable`.
    """
    attempt = 1
    while attempt <= MAX_ATTEMPTS:
        body = _SENDING + nonce.encode() + b"\n" + payload
        claimed = state.claim(f"{name}/{attempt}", body)
        if claimed.body == body:
            return Lease(name, attempt, payload)
        status, _, earlier_payload = claimed.body.partition(b"\n")
        if status == _DONE:
            return Completed(earlier_payload)
        if status == _FAILED or claimed.age > LEASE:
            attempt, payload = attempt + 1, earlier_payload
            continue
        if clock.monotonic() + PAUSE > deadline:
            break
        clock.sleep(PAUSE)
    raise LeaseHeld("Another instance is delivering this notice, or stopped while delivering it. It will be retried.")


def complete(state: State, lease: Lease) -> bool:
    """Marks the attempt done. False if that fails: the notice is then sent again once the lease has expired."""
    for _ in range(MARKS):
        try:
            state.write(f"{lease.name}/{lease.attempt}", _DONE + b"\n" + lease.payload)
        except Problem:
            continue
        return True
    return False


def abandon(state: State, lease: Lease, payload: bytes | None = None) -> None:
    """Marks the attempt failed, so that the next one need not wait until the lease expires."""
    body = _FAILED + b"\n" + (lease.payload if payload is None else payload)
    with suppress(Problem):
        state.write(f"{lease.name}/{lease.attempt}", body)
