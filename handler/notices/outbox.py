"""Notices that wait: one object for each in the state prefix, below `outbox/` until it was sent.

`outbox/{sink}/{due}-{place}-{id}` waits until `due` (Unix seconds); `place` is that in its event, so that names sort in
the order of events. `done/{id}` was sent, whatever else exists. `dead/{sink}/{same name}` is not sent until somebody
makes it due again. Who sends is decided by a lease.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

from signer import InvalidKey
from signer.names import check_key

from ..cloud.oss import StoreError
from ..cloud.store import PAGE, Store
from ..config.reader import IDENTIFIER

WAITING, DEAD, DONE = "outbox", "dead", "done"
UNREADABLE = "unreadable"  # why an entry is dead that is not ours, or was damaged
MAX_BYTES = 16 * 1024  # of an entry; its key and file name are far smaller
MARK_PAUSES = (0.5, 1.0)  # seconds between the tries to mark what was sent: an outage may be short

_NAME = re.compile(r"(?P<due>[0-9]{10})-[0-9]+-(?P<id>[0-9a-f]{32})")


class Entry(NamedTuple):
    """An object of the outbox of `size` bytes, written `age` seconds before it was listed.

    `body` is None until it is read.
    """

    sink: str
    name: str
    age: float = 0.0
    size: int = 0
    body: bytes | None = None

    @property
    def due(self) -> int:
        """Unix seconds; a name that cannot be read is due at once."""
        match = _NAME.fullmatch(self.name)
        return int(match["due"]) if match else 0

    @property
    def id(self) -> str | None:
        """The id of the notice, None if the name cannot be read."""
        match = _NAME.fullmatch(self.name)
        return match["id"] if match else None

    def overdue(self, now: float) -> float:
        """Seconds since it is due, or since it was written if that was later."""
        return min(now - self.due, self.age)


def new_entry(sink: str, due: float, place: int, notice_id: str, body: bytes) -> Entry:
    return Entry(sink, f"{int(due):010}-{place:06}-{notice_id}", body=body)


class Outbox(NamedTuple):
    """The outbox in a state prefix. Methods raise `StoreError`."""

    state: Store

    def sinks(self, folder: str = WAITING) -> list[str]:
        """The sinks for which notices wait, or are dead, in order."""
        return [name for name in self.state.list_folders(f"{folder}/") if IDENTIFIER.fullmatch(name)]

    def entries(self, sink: str, folder: str = WAITING) -> list[Entry]:
        """The first `PAGE` entries of a sink in the order of their names: with one request, not read yet."""
        return list(islice(self.all_entries(sink, folder), PAGE))

    def all_entries(self, sink: str, folder: str = WAITING) -> Iterator[Entry]:
        """All entries of a sink in the order of their names, with one request for each `PAGE` that are used."""
        for found in self.state.list_folder(f"{folder}/{sink}/"):
            if found.name and is_key(f"{folder}/{sink}/{found.name}"):
                yield Entry(sink, found.name, found.age, found.size)

    def put(self, entry: Entry, folder: str = WAITING) -> None:
        self.state.replace(f"{folder}/{entry.sink}/{entry.name}", entry.body or b"")

    def read(self, entry: Entry, folder: str = WAITING) -> bytes | None:
        """The content of an entry, None if it is gone."""
        if entry.body is not None:
            return entry.body
        stored = self.state.read(f"{folder}/{entry.sink}/{entry.name}")
        return None if stored is None else stored.body

    def delete(self, entry: Entry, folder: str = WAITING) -> None:
        self.state.delete(f"{folder}/{entry.sink}/{entry.name}")

    def is_done(self, entry: Entry) -> bool:
        return self.state.read(f"{DONE}/{entry.id}") is not None

    def mark_done(self, entry: Entry) -> None:
        """Marks the notice as sent, then deletes the entry. Where only that fails, the next holder deletes it."""
        for pause in (*MARK_PAUSES, None):
            try:
                self.state.replace(f"{DONE}/{entry.id}", entry.name.encode())
                break
            except StoreError:
                if pause is None:
                    raise
                self.state.clock.own.sleep(pause)
        with suppress(StoreError):
            self.delete(entry)

    def bury(self, entry: Entry, reason: str) -> None:
        """Moves an entry to the dead: with the reason, or as it is where it is unreadable."""
        if reason == UNREADABLE:
            self._move(entry, WAITING, DEAD)
            return
        body = self.read(entry)
        if body is not None:
            document = {**(_object(body) or {}), "reason": reason}
            self.put(entry._replace(body=json.dumps(document).encode()), DEAD)
            self.delete(entry)

    def revive(self, entry: Entry) -> None:
        """Makes a dead entry due again, under the same name; `retry_for` counts from now.

        Only under the lease of its sink: otherwise a holder may bury it again before the dead copy is deleted.
        """
        self._move(entry, DEAD, WAITING)

    def reason(self, entry: Entry) -> str:
        document = None if entry.size > MAX_BYTES else _object(self.read(entry, DEAD) or b"")
        reason = None if document is None else document.get("reason")
        return reason if isinstance(reason, str) else UNREADABLE

    def _move(self, entry: Entry, source: str, target: str) -> None:
        if self.state.copy(f"{source}/{entry.sink}/{entry.name}", f"{target}/{entry.sink}/{entry.name}"):
            self.delete(entry, source)


def is_key(name: str) -> bool:
    """Whether a request can name the object; what others put there is left alone where none can."""
    try:
        check_key(name)
    except InvalidKey:
        return False
    return True


def _object(body: bytes) -> dict[str, object] | None:
    """The JSON object in a body, None for anything else."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
