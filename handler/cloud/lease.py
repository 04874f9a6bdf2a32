"""The right to send to one sink: `lease/{sink}/{slot}` for each slot of 30 seconds of OSS's clock.

Whoever creates the object of the present slot holds it until the slot ends; only the holder creates that of the next
slot ahead of time. A killed holder therefore blocks a sink for 47 seconds at most.
"""

from __future__ import annotations

from contextlib import suppress
from secrets import token_hex
from threading import Lock

from ..errors import Problem
from .store import State

SLOT = 30  # seconds


class Lease:
    """The lease of one sink. Each has a nonce, so that one whose deletion was lost is not mistaken for the next.

    `need` is the time, in seconds, of one try with what is kept between its end and that of the slot.
    """

    def __init__(self, state: State, sink: str, need: float) -> None:
        self._state = state
        self._sink = sink
        self._need = need
        self._body = token_hex(12).encode()
        self._slots: list[int] = []
        self._lock = Lock()

    def take(self) -> bool:
        """Takes the present slot; False if another holds it. Raises a 503 `Problem`."""
        if not self._claim(int(self._state.time.earliest() // SLOT)):
            return False
        # The time is known within a second or so: the slot may have ended.
        return self._left() > 0 or self._claim(self._slots[-1] + 1)

    def covers_try(self) -> bool:
        """Whether a try that begins now ends before the lease, which takes the next slot where necessary.

        False also if the lease has ended, as after a pause of the entire instance: another one may have sent since.
        """
        with self._lock:
            while True:
                left = self._left()
                if left >= self._need:
                    return True
                if left <= 0 or not self._claim(self._slots[-1] + 1):
                    return False

    def release(self) -> None:
        """Lets others take the lease, the latest slot first.

        Without retries: a deletion that arrives twice could delete the lease of the next holder.
        """
        for slot in sorted(set(self._slots), reverse=True):
            with suppress(Problem):
                self._state.delete(self._name(slot), retry=False)

    def _left(self) -> float:
        return (self._slots[-1] + 1) * SLOT - self._state.time.latest()

    def _claim(self, slot: int) -> bool:
        is_ours = self._state.claim(self._name(slot), self._body).body == self._body
        if is_ours:
            self._slots.append(slot)
        return is_ours

    def _name(self, slot: int) -> str:
        return f"lease/{self._sink}/{slot}"
