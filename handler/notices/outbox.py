"""Notices that wait: one object for each in the state prefix, below `outbox/` until it was sent.

`outbox/{sink}/{due}-{place}-{id}` waits until `due` (Unix seconds); `place` is that in its event, so that names sort in
the order of events. A notice that failed alone waits by itself: under `{due}-{place}-{id}-{since}-{tries}`, where
`since` is when it was due or written first. `done/{id}` was sent, whatever else exists. `dead/{sink}/{same name}` is
not sent until somebody makes it due again. No name has two lives, so a request that arrives late never deletes what
came after it. Who sends is decided by a lease; `pause/{sink}` says how long a sink that failed is left alone.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import NamedTuple

from ..core.cloud.oss import StoreError
from ..core.cloud.store import PAGE, Store, StoredObject
from ..core.config.reader import IDENTIFIER
from .notice import MAX_BYTES, Notice, is_key, read_notice

WAITING, DEAD, DONE, PAUSES = "outbox", "dead", "done", "pause"
UNREADABLE = "unreadable"  # why an entry is dead that is not ours, or was damaged
MARK_PAUSES = (0.5, 1.0)  # seconds between the tries to mark what was sent: an outage may be short
STEPS = (60, 120, 240, 480, 900)  # seconds that a notice waits by itself after each failure, the last for all others

_NAME = re.compile(r"([0-9]{10})-([0-9]+)-([0-9a-f]{32})(?:-([0-9]{10})-([0-9]{1,9}))?")


class Entry(NamedTuple):
    """An object of the outbox of `size` bytes; times are in Unix seconds.

    It was due or written first at `since`, and has failed alone so many `tries`. One whose name cannot be read has no
    `id`, and is due at once. `notice` is None until it is read, and for what cannot be read.
    """

    sink: str
    name: str
    due: int = 0
    place: str = ""
    id: str | None = None
    since: float = 0.0
    tries: int = 0
    size: int = 0
    notice: Notice | None = None

    @property
    def path(self) -> str:
        """Its place below each folder."""
        return f"{self.sink}/{self.name}"


def read_entry(sink: str, name: str, written: float, size: int = 0) -> Entry:
    """The entry of this name that was written at a time of OSS (Unix seconds)."""
    match = _NAME.fullmatch(name)
    if match is None:
        return Entry(sink, name, since=written, size=size)
    due, place, notice_id, since, tries = match.groups()
    first = float(since or max(int(due), written))
    return Entry(sink, name, int(due), place, notice_id, first, int(tries or 0), size)


def new_entry(sink: str, due: float, place: int, notice: Notice, now: float) -> Entry:
    return read_entry(sink, f"{int(due):010}-{place:06}-{notice.id(sink)}", now)._replace(notice=notice)


class Pause(NamedTuple):
    """A sink that failed so many times in a row, and gets no message before `until` (Unix seconds).

    `maximum` is the number of notices in a message that it may be able to take.
    """

    until: int
    failures: int
    maximum: int


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
                yield read_entry(sink, found.name, self.state.clock.earliest() - found.age, found.size)

    def dead(self) -> dict[str, int | str]:
        """How many notices are dead, by sink, of the first `PAGE` of all, with one request: "600+" where it ends."""
        names = [found.name for found in islice(self.state.list_folder(f"{DEAD}/", deep=True), PAGE)]
        parts = [name.split("/") for name in names if is_key(f"{DEAD}/{name}")]
        sinks = [part[0] for part in parts if len(part) == 2 and part[1] and IDENTIFIER.fullmatch(part[0])]
        is_cut = len(names) == PAGE
        return {sink: f"{count}+" if is_cut and sink == sinks[-1] else count for sink, count in Counter(sinks).items()}

    def put(self, entry: Entry) -> None:
        self.state.replace(f"{WAITING}/{entry.path}", entry.notice.body() if entry.notice else b"")

    def read(self, entry: Entry) -> Entry | None:
        """The entry with its notice, if that can be read; None if it is gone."""
        if entry.notice is not None or entry.size > MAX_BYTES:
            return entry
        stored = self.state.read(f"{WAITING}/{entry.path}")
        return None if stored is None else entry._replace(notice=read_notice(stored.body))

    def delete(self, entry: Entry, folder: str = WAITING) -> None:
        self.state.delete(f"{folder}/{entry.path}")

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

    def check_marks(self) -> None:
        """Raises `StoreError` where marks cannot be written."""
        self.state.replace(f"{DONE}/probe", b"")

    def postpone(self, entry: Entry) -> None:
        """Makes an entry wait by itself, unread, longer after each failure."""
        due = int(self.state.clock.earliest()) + STEPS[min(entry.tries, len(STEPS) - 1)]
        name = f"{due:010}-{entry.place}-{entry.id}-{int(entry.since):010}-{entry.tries + 1}"
        self._move(f"{WAITING}/{entry.path}", f"{WAITING}/{entry.sink}/{name}")

    def bury(self, entry: Entry, reason: str) -> bool:
        """Moves an entry to the dead: with the reason, or as it is where it is unreadable. False if it is gone."""
        if reason == UNREADABLE:
            return self._move(f"{WAITING}/{entry.path}", f"{DEAD}/{entry.path}")
        stored = self.state.read(f"{WAITING}/{entry.path}")
        if stored is not None:
            body = json.dumps({**_object(stored), "reason": reason}).encode()
            self.state.replace(f"{DEAD}/{entry.path}", body)
            self.delete(entry)
        return stored is not None

    def revive(self, entry: Entry) -> None:
        """Makes a dead entry due, as if it had just been written."""
        due = max(int(self.state.clock.earliest()), entry.due + 1)
        name = f"{due:010}-{entry.place}-{entry.id}" if entry.id else entry.name
        if self.state.copy(f"{DEAD}/{entry.path}", f"{WAITING}/{entry.sink}/{name}") and entry.id:
            self.delete(entry, DEAD)  # under the same name, another one may have buried it again meanwhile

    def reason(self, entry: Entry) -> str:
        stored = self.state.read(f"{DEAD}/{entry.path}") if entry.size <= MAX_BYTES else None
        reason = _object(stored).get("reason")
        return reason if isinstance(reason, str) else UNREADABLE

    def pause(self, sink: str) -> Pause | None:
        """What the last failure of a sink left, None after a success, and where it cannot be read."""
        document = _object(self.state.read(f"{PAUSES}/{sink}"))
        values = [value for name in Pause._fields if type(value := document.get(name)) is int and value >= 0]
        return Pause(*values) if len(values) == len(Pause._fields) and values[-1] > 0 else None

    def put_pause(self, sink: str, pause: Pause) -> None:
        self.state.replace(f"{PAUSES}/{sink}", json.dumps(pause._asdict()).encode())

    def lift_pause(self, sink: str) -> None:
        self.state.delete(f"{PAUSES}/{sink}")

    def _move(self, source: str, target: str) -> bool:
        is_copied = self.state.copy(source, target)
        if is_copied:
            self.state.delete(source)
        return is_copied


def _object(stored: StoredObject | None) -> dict[str, object]:
    """The JSON object that is stored, an empty one for anything else."""
    with suppress(ValueError, RecursionError):
        document = json.loads(stored.body if stored is not None else b"")
        if isinstance(document, dict):
            return document
    return {}
