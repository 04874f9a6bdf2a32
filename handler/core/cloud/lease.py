"""The right to do something alone for a while: an object for each slot of OSS's clock, such as `lease/ops/56789`.

Whoever creates the object of the present slot holds it until the slot ends; only the holder creates that of the next
slot ahead of time. Nothing is ever broken: a holder that was killed blocks the others for a slot and `need` at most.
"""

from __future__ import annotations

from threading import Lock

from .oss import UNREACHABLE, VERSIONED, StoreError
from .store import Store


class Lease:
    """The lease below a name, in slots of so many seconds.

    `body` has a nonce, so that a lease whose deletion was lost is not mistaken for the next. `need` is the time, in
    seconds, that the holder must have left before it does something, with what is kept between its end and that of the
    slot: clocks are known within a second or so. `holder` is the body of another one's lease. Ours ends at `ends_at`
    (Unix seconds, by the clock of OSS).
    """

    def __init__(self, store: Store, name: str, slot: int, need: float, body: bytes) -> None:
        self.holder = b""
        self.ends_at = 0.0
        self._store = store
        self._name = name
        self._slot = slot
        self._need = need
        self._body = body
        self._slots: set[int] = set()
        self._is_sure = True  # whether these are all that exist
        self._lock = Lock()

    def acquire(self) -> bool:
        """Takes the present slot; False if another holds it. Raises `StoreError`."""
        if not self._claim(int(self._store.clock.earliest() // self._slot)):
            return False
        # The slot may have ended, because the time is known within a second or so.
        return self._left() > 0 or self._claim(int(self.ends_at // self._slot))

    def has_time(self, more: float = 0.0) -> bool:
        """Whether what begins now ends before the lease, which takes the next slot where necessary.

        It needs `need`, and so many seconds `more`. False also if the lease has ended, as after a pause of the entire
        instance: another one may have acted since. Raises `StoreError`.
        """
        with self._lock:
            while self._left() < self._need + more:
                held_until = self.ends_at
                is_next_ours = self._left() > 0 and self._claim(int(held_until // self._slot))
                # If it was taken after this one had ended, another one may have held it, and released it, before.
                if not is_next_ours or self._store.clock.latest() >= held_until:
                    self.ends_at = 0.0
                    return False
            return True

    def release(self) -> bool:
        """Lets others take the lease, the latest slot first; False if some of it may remain.

        Only what is ours for sure is deleted, by one request each: another one could delete the lease of the next
        holder.
        """
        is_released = self._is_sure
        for slot in sorted(self._slots, reverse=True):
            try:
                self._store.delete(f"{self._name}{slot}", retry=False)
            except StoreError:
                is_released = False
        return is_released

    def _left(self) -> float:
        return self.ends_at - self._store.clock.latest()

    def _claim(self, slot: int) -> bool:
        self._is_sure = False
        try:
            stored = self._store.create(f"{self._name}{slot}", self._body)
        except StoreError as error:
            self._is_sure = error.operation == "PutObject" and error.code != UNREACHABLE
            if error.code == VERSIONED:  # it was created nevertheless
                self._slots.add(slot)
            raise
        self._is_sure = True
        if stored.body != self._body:
            self.holder = stored.body
            return False
        self._slots.add(slot)
        self.ends_at = float((slot + 1) * self._slot)
        return True
