"""The queue of one sink in the state prefix: what waits, what is dead, and how long the sink is left alone.

`done/{id}` was sent, whatever else exists. `dead/{sink}/{same name}` is not sent until somebody makes it due again. No
name has two lives, so a request that arrives late never deletes what came after it. Who sends is decided by a lease;
`pause/{sink}` says how long a sink that failed is left alone.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from secrets import token_hex
from typing import NamedTuple

from signer.common.listing import PAGE

from ..core.cloud.lease import Lease
from ..core.cloud.oss import StoreError
from ..core.cloud.store import Store, StoredObject
from ..core.config.reader import IDENTIFIER
from ..core.outbox import MAX_BYTES, WAITING, Delivery, is_key, read_delivery, read_notice
from .timing import MARK_PAUSES, NEED, SLOT, STEPS

DEAD = "dead"
DONE = "done"
PAUSES = "pause"
UNREADABLE = "unreadable"  # why an entry is dead that is not ours, or was damaged


class Pause(NamedTuple):
    """A sink that failed so many times in a row, and gets no message before `until` (Unix seconds)."""

    until: int
    failures: int


class SinkQueue(NamedTuple):
    """What waits for one sink. Methods raise `StoreError`."""

    state: Store
    sink: str

    def deliveries(self, folder: str = WAITING) -> Iterator[Delivery]:
        """All of them in the order of their names, not read yet, with one request for each `PAGE` that are used."""
        for found in self.state.list_folder(f"{folder}/{self.sink}/"):
            if found.name and is_key(f"{folder}/{self.sink}/{found.name}"):
                yield read_delivery(
                    self.sink, found.name, self.state.clock.earliest() - found.age, found.size
                )

    def first(self, folder: str = WAITING) -> list[Delivery]:
        """Those of the first page."""
        return list(islice(self.deliveries(folder), PAGE))

    def read(self, delivery: Delivery) -> Delivery | None:
        """The delivery with its notice, if that can be read; None if it is gone."""
        if delivery.notice.on or delivery.size > MAX_BYTES:
            return delivery
        stored = self.state.read(f"{WAITING}/{delivery.path}")
        return None if stored is None else delivery._replace(notice=read_notice(stored.body))

    def delete(self, delivery: Delivery, folder: str = WAITING) -> None:
        self.state.delete(f"{folder}/{delivery.path}")

    def is_done(self, delivery: Delivery) -> bool:
        return bool(delivery.id) and self.state.read(f"{DONE}/{delivery.id}") is not None

    def mark_done(self, delivery: Delivery) -> None:
        """Marks the notice as sent, then deletes the entry. Where only that fails, the next session deletes it."""
        for pause in (*MARK_PAUSES, None):
            try:
                self.state.replace(f"{DONE}/{delivery.id}", delivery.name.encode())
                break
            except StoreError:
                if pause is None:
                    raise
                self.state.clock.own.sleep(pause)
        with suppress(StoreError):
            self.delete(delivery)

    def check_marks(self) -> None:
        """Raises `StoreError` where marks cannot be written."""
        self.state.replace(f"{DONE}/probe", b"")

    def postpone(self, delivery: Delivery, failed: str) -> None:
        """Makes a delivery wait by itself, unread, longer after each failure."""
        tries = delivery.tries + 1
        in_a_row = delivery.in_a_row + 1 if delivery.failed == failed else 1
        due = int(self.state.clock.earliest()) + STEPS[min(tries, len(STEPS)) - 1]
        entry = f"{due:010}-{delivery.position}-{delivery.id}"
        name = f"{entry}-{int(delivery.since):010}-{tries}{failed}{in_a_row}"
        self._move(f"{WAITING}/{delivery.path}", f"{WAITING}/{self.sink}/{name}")

    def dead_letter(self, delivery: Delivery, reason: str) -> bool:
        """Moves an entry to the dead: with the reason, or as it is where it is unreadable. False if it is gone."""
        if reason == UNREADABLE:
            return self._move(f"{WAITING}/{delivery.path}", f"{DEAD}/{delivery.path}")
        stored = self.state.read(f"{WAITING}/{delivery.path}")
        if stored is not None:
            body = json.dumps({**_object(stored), "reason": reason}).encode()
            self.state.replace(f"{DEAD}/{delivery.path}", body)
            self.delete(delivery)
        return stored is not None

    def requeue(self, delivery: Delivery) -> None:
        """Makes a dead entry due, as if it had just been written."""
        due = max(int(self.state.clock.earliest()), delivery.due + 1)
        name = f"{due:010}-{delivery.position}-{delivery.id}" if delivery.id else delivery.name
        if (
            self.state.copy(f"{DEAD}/{delivery.path}", f"{WAITING}/{self.sink}/{name}")
            and delivery.id
        ):
            # Under the same name, another one may have moved it there again meanwhile.
            self.delete(delivery, DEAD)

    def reason(self, delivery: Delivery) -> str:
        stored = self.state.read(f"{DEAD}/{delivery.path}") if delivery.size <= MAX_BYTES else None
        reason = _object(stored).get("reason")
        return reason if isinstance(reason, str) else UNREADABLE

    def pause(self) -> Pause | None:
        """What the last failure of the sink left, None after a success, and where it cannot be read."""
        document = _object(self.state.read(f"{PAUSES}/{self.sink}"))
        values = [
            value
            for name in Pause._fields
            if type(value := document.get(name)) is int and value > 0
        ]
        return Pause(*values) if len(values) == len(Pause._fields) else None

    def put_pause(self, pause: Pause) -> None:
        self.state.replace(f"{PAUSES}/{self.sink}", json.dumps(pause._asdict()).encode())

    def lift_pause(self) -> None:
        self.state.delete(f"{PAUSES}/{self.sink}")

    def _move(self, source: str, target: str) -> bool:
        is_copied = self.state.copy(source, target)
        if is_copied:
            self.state.delete(source)
        return is_copied


def sink_lease(state: Store, sink: str) -> Lease:
    """The right to send to a sink."""
    return Lease(state, f"lease/{sink}/", SLOT, NEED, token_hex(12).encode())


def sinks(state: Store, folder: str = WAITING) -> list[str]:
    """The sinks for which notices wait, or are dead, in order. Raises `StoreError`."""
    return [name for name in state.list_folders(f"{folder}/") if IDENTIFIER.fullmatch(name)]


def count_dead(state: Store) -> dict[str, int | str]:
    """How many notices are dead, by sink, of the first `PAGE` of all, with one request: "600+" where it ends."""
    names = [found.name for found in islice(state.list_folder(f"{DEAD}/", deep=True), PAGE)]
    parts = [name.split("/") for name in names if is_key(f"{DEAD}/{name}")]
    found = [
        part[0] for part in parts if len(part) == 2 and part[1] and IDENTIFIER.fullmatch(part[0])
    ]
    is_cut = len(names) == PAGE
    return {
        sink: f"{count}+" if is_cut and sink == found[-1] else count
        for sink, count in Counter(found).items()
    }


def _object(stored: StoredObject | None) -> dict[str, object]:
    """The JSON object that is stored, an empty one for anything else."""
    with suppress(ValueError, RecursionError):
        document = json.loads(stored.body if stored is not None else b"")
        if isinstance(document, dict):
            return document
    return {}
