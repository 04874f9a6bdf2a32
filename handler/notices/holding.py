"""Sends what is due to one sink while its lease is held, and remembers each failure where it happened.

A notice that fails alone waits by itself, and a sink that takes no message is paused. Nothing else is remembered.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from secrets import token_hex
from threading import Lock
from typing import NamedTuple

from ..cloud.lease import Lease
from ..cloud.oss import UNREACHABLE, StoreError, map_concurrently
from ..cloud.store import PAGE, Store
from ..errors import HandlerError
from .issuer import LinkIssuer
from .outbox import UNREADABLE, Entry, Outbox, Pause
from .sinks import KINDS, Notification, Sink, batches
from .sinks.client import TRY, Network
from .sinks.delivery import DeliveryFailed, deliver
from .tally import Tally

SLOT = 30  # seconds
NEED = TRY + 2.0  # seconds of a slot that a try needs
STEP = 100  # entries whose links are made before their messages are sent
MARKS = 20  # that are written in a second, and between two looks at the lease
MAX_FAILURES = 5  # notices that fail alone, without a success, after which the others are left alone
REFUSALS, REFUSED_FOR = 3, 3600  # tries that failed, and seconds, after which a notice that is refused again is dead
FIRST_PAUSE, MAX_PAUSE, MAX_RETRY_AFTER = 30, 480, 3600  # seconds

Message = tuple[Notification, ...]


class OutOfTime(HandlerError):
    """There was no time, of the invocation or of the lease, for another message."""

    code = "out_of_time"


class Turn(NamedTuple):
    """What all sinks use in one invocation; `deadline` is of the clock's `monotonic`."""

    outbox: Outbox
    issuer: LinkIssuer
    network: Network
    deadline: float
    tally: Tally


class Holding:
    """A sink and its lease, for one turn.

    `pause` is what the last failure of the sink left, None after a success. `seen` are the names of the entries, and
    the ids of notices that failed: the next turn of the invocation leaves them alone.
    """

    def __init__(self, turn: Turn, lease: Lease, sink: Sink, pause: Pause | None) -> None:
        self.pause = pause
        self.seen: set[str | None] = set()
        self._turn, self._lease, self._sink, self._kind = turn, lease, sink, KINDS[sink.kind]
        self._outbox, self._clock = turn.outbox, turn.outbox.state.clock
        self._maximum = min(pause.maximum if pause else PAGE, self._kind.MAX_NOTICES)  # of a message
        self._entries: dict[str, Entry] = {}  # whose notices have links, by id
        self._accepted = self._failures = 0  # messages, and notices that failed alone
        self._end: HandlerError | None = None  # why no message is sent any more
        self._refused: list[tuple[Entry, str]] = []  # with codes: dead if the sink takes others
        self._lock = Lock()

    def send(self, entries: Sequence[Entry]) -> bool:
        """Sends what was not sent yet; False if no time was left for all. Raises why the sink takes nothing."""
        unique: dict[str, Entry] = {}
        for entry in entries:  # a notice may wait twice, as after a kill: the second is left until the first is marked
            unique.setdefault(entry.id or entry.name, entry)
        self.seen |= {entry.name for entry in unique.values()}
        try:
            self._send(sorted(unique.values(), key=lambda entry: entry.tries > 0))
        except HandlerError as error:
            self._end = self._end or error
        self._settle(entries)
        if self._end is not None and not (isinstance(self._end, OutOfTime) and self._accepted):
            raise self._end
        return self._end is None

    @property
    def _is_on_trial(self) -> bool:
        """Whether the sink failed, and has taken no message since."""
        return self.pause is not None and not self._accepted

    def _send(self, entries: list[Entry]) -> None:
        if self.pause is not None:
            self._outbox.check_marks()
            fresh = sum(not entry.tries for entry in entries) or len(entries)
            entries.insert(0, entries.pop(random.randrange(fresh)))  # noqa: S311 - the first may all be refused
        queue, together = deque(entries), list[Notification]()
        while queue and self._end is None:
            if not self._has_time(0):
                raise OutOfTime("There was no time to send the notices. They will be sent later.")
            # What failed before must not take the time of others, nor what is due for a sink that may be down.
            is_again = queue[0].tries > 0
            size = 1 if self._is_on_trial else MAX_FAILURES if is_again else STEP
            step = [queue.popleft()]
            while queue and len(step) < size and (queue[0].tries > 0) == is_again:
                step.append(queue.popleft())
            linked = [item for item in map_concurrently(self._prepare, step) if item is not None]
            if is_again and not linked:
                queue.clear()
            if self._sink.kind == "webhook":
                alone = [(item,) for item in linked if not item.notice.digest]
                map_concurrently(self._send_message, alone)
                linked = [item for item in linked if item.notice.digest]
            messages = deque(batches(self._kind, together + linked))
            # The last one has room for more.
            together = list(messages.pop()) if messages and queue and not self._is_on_trial else []
            while messages and self._end is None:
                message = messages.popleft()
                if len(message) > self._maximum:
                    messages.appendleft(message[self._maximum :])
                messages.extendleft(reversed(self._send_message(message[: self._maximum])))
                if self._kind.MIN_INTERVAL:  # also before another one may take the lease
                    self._clock.own.sleep(self._kind.MIN_INTERVAL)

    def _prepare(self, entry: Entry) -> Notification | None:
        """The notice of an entry with its link, None where nothing is to be sent now."""
        try:
            if self._end is not None:
                return None
            found = self._outbox.read(entry)
            if found is None:  # sent and deleted since it was listed
                self._turn.tally.settle(entry)
                return None
            if found.notice is None or found.id is None:
                raise HandlerError("The entry cannot be read.", code=UNREADABLE)
            notification = self._turn.issuer.notification(found.notice, found.id)
            self._kind.encoded_size(notification)  # what cannot be shown is found here, and blocks no message
            if not self._outbox.is_done(entry):
                self._entries[found.id] = found
                return notification
            self._outbox.delete(entry)
            self._turn.tally.settle(entry, "repeated")
        except Exception as error:
            self._fail(entry, error)
        return None

    def _send_message(self, message: Message) -> list[Message]:
        """Sends a message, unless the turn has ended. Returns the halves to try of one that failed."""
        if self._end is not None:
            return []
        middle, failure = len(message) // 2, Exception()
        try:
            self._deliver(message)
            return []
        except DeliveryFailed as error:
            failure = error
            with self._lock:
                self._maximum = middle or self._maximum
                self._failures += not middle
                is_down = self._failures >= MAX_FAILURES and not self._accepted
                if error.is_down or self._is_on_trial or is_down:
                    self._end = error
            if error.is_down:
                return []
        except (OutOfTime, StoreError) as error:
            self._end = error
            return []
        except Exception as error:
            failure = error
        if middle:
            return [message[:middle], message[middle:]]
        self._fail(self._entries[message[0].id], failure)
        return []

    def _deliver(self, message: Message) -> None:
        """Sends one message and marks its notices. Raises `DeliveryFailed`, `OutOfTime` and `StoreError`."""
        if not self._has_time(len(message) / MARKS):
            raise OutOfTime("The message was not sent: a try would not end in time. It will be sent later.")
        now = self._clock.earliest()  # that of an instance may be wrong
        deliver(self._kind, self._sink, message, self._turn.network, now)
        with self._lock:
            if self._accepted:
                self._maximum = min(2 * self._maximum, self._kind.MAX_NOTICES)
            self._accepted += 1
        for start in range(0, len(message), MARKS):
            with suppress(StoreError):
                if not self._lease.has_time():  # another one may send now: this one only marks
                    self._end = OutOfTime("The lease was lost.")
            map_concurrently(self._mark, message[start : start + MARKS])

    def _mark(self, item: Notification) -> None:
        entry, tally = self._entries[item.id], self._turn.tally
        try:
            self._outbox.mark_done(entry)
            tally.settle(entry, "sent")
        except StoreError as error:
            tally.add("not_marked")
            tally.add("sent")
            self._end = error

    def _has_time(self, more: float) -> bool:
        """Whether a try, and so many seconds `more`, fit into the time and the lease."""
        is_in_time = self._clock.own.monotonic() + TRY + more <= self._turn.deadline
        return is_in_time and self._lease.has_time(more)

    def _fail(self, entry: Entry, error: Exception) -> None:
        """Lets a notice that failed alone wait by itself, or deletes it, or moves it to the dead."""
        tally = self._turn.tally
        self.seen.add(entry.id)
        code = error.reported().code if isinstance(error, HandlerError) else "internal_error"
        age = self._clock.earliest() - entry.since
        try:
            if code == "not_found":  # the object was deleted since
                self._outbox.delete(entry)
                tally.settle(entry)
                tally.skip("unlinkable")
            elif code == UNREADABLE:
                bury(self._turn, entry, code)
            else:
                tally.fail(entry.sink, error)
                if isinstance(error, StoreError):  # it stays where it is
                    self._end = error if error.code == UNREACHABLE else self._end
                elif age > self._sink.retry_for:
                    bury(self._turn, entry, code)
                elif getattr(error, "is_refused", False) and entry.tries >= REFUSALS and age >= REFUSED_FOR:
                    self._refused.append((entry, code))
                else:
                    self._outbox.postpone(entry)
        except StoreError as failure:
            self._fail(entry, failure)

    def _settle(self, entries: Sequence[Entry]) -> None:
        """Remembers whether the sink takes messages."""
        for entry, code in self._refused:
            bury(self._turn, entry, code) if self._accepted else self._outbox.postpone(entry)
        name, end = self._sink.name, self._end
        if isinstance(end, DeliveryFailed) or (isinstance(end, StoreError) and self._accepted):  # no marks
            failures = 1 + (self.pause.failures if self.pause is not None and not self._accepted else 0)
            retry_after = end.retry_after if isinstance(end, DeliveryFailed) else 0
            seconds = max(min(FIRST_PAUSE << min(failures, 9) - 1, MAX_PAUSE), min(int(retry_after), MAX_RETRY_AFTER))
            self._outbox.put_pause(name, Pause(int(self._clock.latest()) + seconds, failures, self._maximum))
            bury_overdue(self._turn, entries, self._sink.retry_for, end.reported().code)
        elif self.pause is not None and self._accepted:
            self._outbox.lift_pause(name)
            self.pause = None


def sink_lease(state: Store, name: str) -> Lease:
    return Lease(state, f"lease/{name}/", SLOT, NEED, token_hex(12).encode())


def bury(turn: Turn, entry: Entry, code: str) -> None:
    """Moves an entry to the dead, unless its notice was sent."""
    if entry.id is not None and turn.outbox.is_done(entry):
        turn.outbox.delete(entry)
        turn.tally.settle(entry, "repeated")
    else:
        is_buried = turn.outbox.bury(entry, code)
        turn.tally.settle(entry, dead=code if is_buried else "")


def bury_overdue(turn: Turn, entries: Sequence[Entry], retry_for: float, code: str) -> None:
    """Moves what still waits after `retry_for` seconds to the dead, as long as there is time."""
    clock = turn.outbox.state.clock
    overdue = [
        each for each in entries if clock.earliest() - each.since > retry_for and not turn.tally.is_settled(each)
    ]
    map_concurrently(lambda entry: bury(turn, entry, code) if clock.own.monotonic() < turn.deadline else None, overdue)
