"""Sends what is due to one sink while its lease is held, and remembers each failure where it happened.

A notice that fails alone waits by itself, and a sink that takes no message is paused. Nothing else is remembered.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from secrets import token_hex
from threading import Lock

from ..core.cloud.concurrency import map_concurrently
from ..core.cloud.lease import Lease
from ..core.cloud.oss import UNREACHABLE, StoreError
from ..core.cloud.store import PAGE, Store, state_for
from ..core.context import Invocation
from ..core.errors import HandlerError
from .issuer import LinkIssuer
from .outbox import UNREADABLE, Entry, Outbox, Pause
from .sinks import KINDS, Notification, Sink, batches
from .sinks.client import TRY, Network
from .sinks.delivery import DeliveryFailed, deliver
from .tally import Tally

SLOT = 30  # seconds
NEED = TRY + 2.0  # seconds of a slot that a try needs
STEP = 500  # entries whose links are made before their messages are sent
MARKS = 20  # that are written in a second, and between two looks at the lease
AGAIN = 3  # of what failed before, until a link was made for one: it must not take the time of others
MAX_FAILURES = 5  # notices that fail alone, without a success, after which the others are left alone
REFUSALS, REFUSED_FOR = 3, 3600  # tries that failed, and seconds, after which a notice that is refused again is dead
PAUSES, MAX_RETRY_AFTER = (0, 30, 60, 120, 240, 480), 3600  # seconds: by failures in a row, and that a sink may ask for


class Turn:
    """What all sinks share in one invocation; `deadline` is of the instance's `clock.monotonic`."""

    def __init__(self, invocation: Invocation, network: Network, deadline: float) -> None:
        self.invocation, self.network, self.deadline = invocation, network, deadline
        self.issuer, self.tally = LinkIssuer(invocation), Tally()
        self.pauses: dict[str, Pause | None] = {}  # of the sinks for which they were read

    @cached_property
    def outbox(self) -> Outbox:
        """Raises `state_required`, `no_credentials` and the like."""
        return Outbox(state_for(self.invocation))


class Holding:
    """A sink in one invocation.

    `pause` is what the last failure of the sink left, None after a success. `seen` are the names of entries, and the
    ids of notices that failed: they are left alone for the rest of the invocation.
    """

    def __init__(self, turn: Turn, sink: Sink, pause: Pause | None) -> None:
        self.seen: set[str | None] = set()
        self._lease: Lease
        self._turn, self._sink, self._kind, self._pause = turn, sink, KINDS[sink.kind], pause
        self._outbox, self._clock = turn.outbox, turn.outbox.state.clock
        self._maximum = min(pause.maximum if pause else PAGE, self._kind.MAX_NOTICES)  # of a message
        self._entries: dict[str, Entry] = {}  # whose notices have links, by id
        self._accepted = self._failures = 0  # messages, and notices that failed alone
        self._is_on_trial = pause is not None  # it failed, and has taken no message since
        self._is_suspect = False  # some of those may have failed because of the sink
        self._end: HandlerError | None = None  # why no message is sent any more
        self._lock = Lock()

    def send(self, lease: Lease, entries: Sequence[Entry]) -> bool:
        """Sends what was not sent yet. Returns whether to look for more. Raises why the sink takes nothing."""
        self._lease, self._end = lease, None
        unique: dict[str, Entry] = {}
        for entry in entries:  # a notice may wait twice, as after a kill: the second is left until the first is marked
            unique.setdefault(entry.id or entry.name, entry)
        try:
            self._send(list(unique.values()))
        except HandlerError as error:
            self._end = self._end or error
        self._settle(entries)
        if self._end is not None and not (self._end.code == "out_of_time" and self._accepted):
            raise self._end
        return self._end is None and any(not each.tries or each.path in self._turn.tally.settled for each in entries)

    def _send(self, entries: list[Entry]) -> None:
        """Sends what is due, and what failed before if a link can be made for some of it."""
        self.seen |= {entry.name for entry in entries}
        if self._pause is not None:
            self._outbox.check_marks()
        again, fresh = ([entry for entry in entries if (entry.tries > 0) is is_again] for is_again in (True, False))
        again.sort(key=lambda entry: -entry.since)  # what cannot be linked for long must not take the time of others
        for entry in random.sample(fresh, len(fresh)) + again[:AGAIN]:  # what it does not take may all come first
            if self._is_on_trial and self._end is None:
                (again if entry.tries else fresh).remove(entry)
                self._send_linked(self._linked([entry]))
        linked = list[Notification]()
        for start in range(0, len(fresh), STEP):
            self._send_linked(linked)
            linked = self._linked(fresh[start : start + STEP])
        first = self._linked(again[:AGAIN])
        self._send_linked(linked + first)
        for start in range(AGAIN, len(again) if first else 0, STEP):
            self._send_linked(self._linked(again[start : start + STEP]))

    def _linked(self, entries: Sequence[Entry]) -> list[Notification]:
        return [item for item in map_concurrently(self._prepare, entries) if item is not None]

    def _send_linked(self, linked: list[Notification]) -> None:
        if self._sink.kind == "webhook":
            map_concurrently(self._send_message, [(item,) for item in linked if not item.notice.digest])
            linked = [item for item in linked if item.notice.digest]
        messages = deque(batches(self._kind, linked))
        while messages and self._end is None:
            message = messages.popleft()
            if len(message) > self._maximum:
                messages.appendleft(message[self._maximum :])
            messages.extendleft(reversed(self._send_message(message[: self._maximum])))

    def _prepare(self, entry: Entry) -> Notification | None:
        """The notice of an entry with its link, None where nothing is to be sent now."""
        if self._end is not None:
            return None
        self._check_time(0)
        try:
            found = self._outbox.read(entry)
            if found is None:  # sent and deleted since it was listed
                self._turn.tally.settle(entry)
                return None
            if found.notice is None or found.id is None:
                bury(self._turn, entry, UNREADABLE)
                return None
            notification = self._turn.issuer.notification(found.notice, found.id)
            if notification is None:  # the object was deleted since
                self._outbox.delete(entry)
                self._turn.tally.settle(entry)
                self._turn.tally.skip("unlinkable")
                return None
            self._kind.encoded_size(notification)  # what cannot be shown is found here, and blocks no message
            if not is_repeated(self._turn, entry):
                self._entries[found.id] = found
                return notification
        except Exception as error:
            self._fail(entry, error)
        return None

    def _send_message(self, message: tuple[Notification, ...]) -> list[tuple[Notification, ...]]:
        """Sends a message, unless the turn has ended. Returns the halves to try of one that failed."""
        failure: Exception | None = self._end
        if failure is not None:
            return []
        try:
            self._check_time(len(message) / MARKS)
            deliver(self._kind, self._sink, message, self._turn.network, self._clock.earliest())
        except DeliveryFailed as error:
            failure = None if error.is_down and not self._accepted else error
            with self._lock:
                self._maximum = len(message) // 2 or self._maximum
                self._failures += len(message) == 1
                self._is_suspect |= len(message) == 1 and not error.is_refused
                is_down = self._failures >= MAX_FAILURES and not self._accepted
                if error.is_down or self._is_on_trial or is_down:
                    self._end = error
        except HandlerError as error:
            self._end = error
        except Exception as error:
            failure = error
        else:
            self._accept(message)
        if self._kind.MIN_INTERVAL:  # also before another one may take the lease
            self._clock.own.sleep(self._kind.MIN_INTERVAL)
        if failure is not None and len(message) == 1:
            self._fail(self._entries[message[0].id], failure)
        middle = len(message) // 2
        return [message[:middle], message[middle:]] if failure is not None and middle else []

    def _accept(self, message: tuple[Notification, ...]) -> None:
        with self._lock:
            if self._accepted and self._pause is None:  # otherwise twice as many were too many
                self._maximum = min(2 * self._maximum, self._kind.MAX_NOTICES)
            self._accepted += 1
            self._is_on_trial = False
        for start in range(0, len(message), MARKS):
            try:
                self._check_time(0)
            except HandlerError as error:  # another one may send now: this one only marks
                self._end = error
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

    def _check_time(self, more: float) -> None:
        """Raises `out_of_time` unless a try, and so many seconds `more`, fit into the time and the lease."""
        if self._clock.own.monotonic() + TRY + more > self._turn.deadline or not self._lease.has_time(more):
            raise HandlerError("There was no time for a message. It will be sent later.", code="out_of_time")

    def _fail(self, entry: Entry, error: Exception) -> None:
        """Lets a notice that failed alone wait by itself, or moves it to the dead."""
        self.seen.add(entry.id)
        code, age = self._turn.tally.fail(entry.sink, error), self._clock.earliest() - entry.since
        is_refused = isinstance(error, DeliveryFailed) and error.is_refused and entry.tries >= REFUSALS
        try:
            if isinstance(error, StoreError):  # it stays where it is
                self._end = error if error.code == UNREACHABLE else self._end
            elif age > self._sink.retry_for or (is_refused and self._accepted and age >= REFUSED_FOR):
                bury(self._turn, entry, code)
            else:
                self._outbox.postpone(entry)
        except StoreError as failure:
            self._fail(entry, failure)

    def _settle(self, entries: Sequence[Entry]) -> None:
        """Remembers whether the sink takes messages."""
        if not self._lease.has_time(1.0 - NEED):  # another one may know better
            return
        name, end = self._sink.name, self._end
        is_down = isinstance(end, DeliveryFailed) or (isinstance(end, StoreError) and self._accepted > 0)  # no marks
        if is_down or (self._is_suspect and not self._accepted):  # a second turn of the latter kind is a pause
            before = self._pause.failures if self._pause is not None and self._is_on_trial else 0
            failures = before + 1 if is_down else 0
            seconds = max(PAUSES[: failures + 1][-1], min(int(getattr(end, "retry_after", 0)), MAX_RETRY_AFTER))
            self._outbox.put_pause(name, Pause(int(self._clock.earliest()) + seconds, failures, self._maximum))
        elif self._pause is not None and self._accepted:
            self._outbox.lift_pause(name)
            self._pause = None
        if isinstance(end, DeliveryFailed):
            bury_overdue(self._turn, entries, self._sink.retry_for, end.code)
            # What it takes may wait behind the page.
            others = entries if end.is_refused and len(entries) >= PAGE else []
            fresh = [each for each in others if not each.tries and each.id not in self.seen]
            move_in_time(self._turn, self._outbox.postpone, fresh)


def sink_lease(state: Store, name: str) -> Lease:
    return Lease(state, f"lease/{name}/", SLOT, NEED, token_hex(12).encode())


def is_repeated(turn: Turn, entry: Entry) -> bool:
    """Whether the notice was sent; then the entry is deleted."""
    is_done = entry.id is not None and turn.outbox.is_done(entry)
    if is_done:
        turn.outbox.delete(entry)
        turn.tally.settle(entry, "repeated")
    return is_done


def bury(turn: Turn, entry: Entry, code: str) -> None:
    """Moves an entry to the dead, unless its notice was sent."""
    if not is_repeated(turn, entry):
        turn.tally.settle(entry, dead=code if turn.outbox.bury(entry, code) else "")


def bury_overdue(turn: Turn, entries: Sequence[Entry], retry_for: float, code: str) -> None:
    """Moves what still waits after `retry_for` seconds to the dead, as long as there is time."""
    clock, settled = turn.outbox.state.clock, turn.tally.settled
    overdue = [each for each in entries if clock.earliest() - each.since > retry_for and each.path not in settled]
    move_in_time(turn, lambda entry: bury(turn, entry, code), overdue)


def move_in_time(turn: Turn, move: Callable[[Entry], None], entries: Iterable[Entry]) -> None:
    clock = turn.outbox.state.clock.own
    map_concurrently(lambda entry: move(entry) if clock.monotonic() < turn.deadline else None, entries)
