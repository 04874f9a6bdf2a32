"""Sends notices to one sink while its lease is held."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from secrets import randbelow
from typing import NamedTuple, TypeVar

from .. import audit
from ..errors import HandlerError, Problem
from ..oss import map_concurrently
from ..times import Clock
from .lease import Lease
from .notice import LinkIssuer, NotLinkable, read_notice
from .outbox import UNREADABLE, Entry, Outbox
from .sinks import Kind, Notification, Sink, batches
from .sinks.client import TRY, Network
from .sinks.delivery import DeliveryFailed, OutOfTime, deliver
from .tally import Tally

STEP = 100  # entries between two looks at the lease
MAX_REFUSED = 5  # notices that a sink refuses before it accepts any; then it refuses everything

Item = TypeVar("Item")


class Prepared(NamedTuple):
    """An entry that is due and was not sent, with its link."""

    entry: Entry
    notification: Notification
    digest: bool


Message = tuple[Prepared, ...]


class Turn(NamedTuple):
    """What a holder of any sink's lease uses in one invocation; `deadline` is of `clock.monotonic`."""

    outbox: Outbox
    issuer: LinkIssuer
    network: Network
    clock: Clock
    deadline: float
    tally: Tally


class Holding:
    """A sink and its lease, for one call of `send`."""

    def __init__(self, turn: Turn, lease: Lease, kind: Kind, sink: Sink) -> None:
        self._turn = turn
        self._lease = lease
        self._kind = kind
        self._sink = sink
        self._next_at = 0.0  # when the sink takes its next message
        self.accepted = 0  # messages
        self._refused: list[tuple[Entry, DeliveryFailed]] = []
        self._fault: HandlerError | None = None  # of some notices, while others were accepted
        self._end: HandlerError | None = None  # of the sink, or of the time

    def send(self, entries: Sequence[Entry]) -> None:
        """Sends what was not sent yet, and waits until the sink takes another message.

        Raises `OutOfTime`, and the `HandlerError` of a sink or a notice that failed, after which the lease is kept.
        """
        try:
            self._send(entries)
        except HandlerError as error:
            self._end = error
        for entry, refusal in self._refused:
            if self.accepted:
                self._bury(entry, refusal.code)
            else:
                self._fault = refusal
        failures = [error for error in (self._fault, self._end) if error is not None]
        failures.sort(key=lambda error: not isinstance(error, DeliveryFailed))
        failure = failures[0] if failures else None
        if isinstance(failure, DeliveryFailed):
            bury_overdue(self._turn, entries, self._sink.retry_for, failure.code)
        if failure is None or isinstance(failure, OutOfTime):
            self._wait(self._next_at - self._turn.clock.monotonic())
        if failure is not None:
            raise failure

    def _send(self, entries: Sequence[Entry]) -> None:
        together: list[Prepared] = []
        # The same notice twice, as from two events: the second entry is found done in the next turn.
        unique = {entry.id or entry.name: entry for entry in reversed(entries)}
        for step in _steps(list(reversed(unique.values()))):
            if not self._lease.covers_try():
                raise OutOfTime("There was no time to send the notices. They will be sent later.")
            fault = self._fault
            prepared = [item for item in map_concurrently(self._prepare, step) if item is not None]
            if self._fault is not None and self._fault is not fault and not prepared:
                raise self._fault
            is_webhook = self._sink.kind == "webhook"
            self._send_messages([(item,) for item in prepared if is_webhook and not item.digest], at_once=True)
            together += [item for item in prepared if item.digest or not is_webhook]
        by_id = {item.notification.id: item for item in together}
        messages = batches(self._kind, [item.notification for item in together])
        self._send_messages([tuple(by_id[each.id] for each in message) for message in messages])

    def _prepare(self, entry: Entry) -> Prepared | None:
        """The notice of an entry with its link, None where nothing is to be sent."""
        outbox, tally = self._turn.outbox, self._turn.tally
        try:
            if entry.id is not None and outbox.is_done(entry):
                outbox.delete(entry)
                tally.settle(entry, "repeated")
                return None
            body = outbox.read(entry)
            if body is None:  # sent and deleted since it was listed
                tally.settle(entry)
                return None
            notice = read_notice(body)
            if notice is not None and entry.id is not None:
                return Prepared(entry, self._turn.issuer.notification(notice, entry.id), notice.digest)
            code = UNREADABLE
        except NotLinkable as error:
            code = error.code
        except HandlerError as error:
            self._note(error)
            return None
        except Exception as error:
            audit.write({"sink": entry.sink, "fault": audit.fault(error)})
            code = "internal_error"
        self._bury(entry, code)
        return None

    def _send_messages(self, messages: Sequence[Message], *, at_once: bool = False) -> None:
        """Sends messages in their order, or up to eight at the same time."""
        if at_once:
            map_concurrently(self._send_message, messages)
        waiting = deque(() if at_once else messages)
        while waiting and self._end is None:
            waiting.extendleft(reversed(self._send_message(waiting.popleft())))
        if self._end is not None:
            raise self._end

    def _send_message(self, message: Message) -> list[Message]:
        """Sends a message, unless the turn has ended. Returns the parts to try of one that was refused."""
        if self._end is not None:
            return []
        accepted = self.accepted
        try:
            self._deliver(message)
        except DeliveryFailed as error:
            if error.is_refused and len(message) > 1:
                return self._split(message)
            if error.is_refused:
                self._refused.append((message[0].entry, error))
                if self.accepted or len(self._refused) < MAX_REFUSED:
                    return []
            elif self.accepted > accepted:  # others were accepted meanwhile
                self._note(error)
                return []
            self._end = error
        except HandlerError as error:
            self._end = error
        return []

    def _split(self, message: Message) -> list[Message]:
        """Two halves; while the sink has not accepted anything, first one notice alone, which shows whether it does."""
        alone: list[Message] = []
        if not self.accepted and len(message) > 2:
            chosen = randbelow(len(message))
            alone = [(message[chosen],)]
            message = (*message[:chosen], *message[chosen + 1 :])
        middle = len(message) // 2
        return [*alone, message[:middle], message[middle:]]

    def _deliver(self, message: Message) -> None:
        """Sends one message and marks its notices. Raises `DeliveryFailed` and `OutOfTime`."""
        notifications = tuple(item.notification for item in message)
        message_id = message_id_of([notification.id for notification in notifications])
        network, clock = self._turn.network, self._turn.clock
        try:
            deliver(
                self._kind, self._sink, message_id, notifications, network=network, clock=clock, may_try=self._may_try
            )
        except HandlerError:
            raise
        except Exception as error:
            audit.write({"sink": self._sink.name, "fault": audit.fault(error)})
            raise DeliveryFailed("internal_error", is_refused=True) from None
        self.accepted += 1
        for step in _steps(message):
            map_concurrently(self._mark, step)
            with suppress(Problem):
                self._lease.covers_try()  # marks may take longer than a try

    def _mark(self, item: Prepared) -> None:
        try:
            self._turn.outbox.mark_done(item.entry)
        except Problem as problem:
            self._note(problem)
            self._turn.tally.add("not_marked")
        self._turn.tally.settle(item.entry, "sent")

    def _may_try(self, pause: float) -> bool:
        """Waits for `pause` seconds and the sink's pace; whether a try then fits into the time and the lease."""
        clock = self._turn.clock
        pause = max(pause, self._next_at - clock.monotonic())
        if clock.monotonic() + pause + TRY > self._turn.deadline:
            return False
        self._wait(pause)
        if not self._lease.covers_try():
            return False
        self._next_at = clock.monotonic() + self._kind.MIN_INTERVAL
        return True

    def _wait(self, pause: float) -> None:
        if pause > 0:
            self._turn.clock.sleep(pause)

    def _bury(self, entry: Entry, code: str) -> None:
        try:
            bury(self._turn, entry, code)
        except Problem as problem:
            self._note(problem)

    def _note(self, error: HandlerError) -> None:
        """Notes a fault that ends nothing; the lease is then kept, so that the next try is not at once."""
        self._fault = error
        self._turn.tally.note(error)


def bury(turn: Turn, entry: Entry, code: str) -> None:
    """Moves an entry to the dead; one whose object does not exist any more is only deleted."""
    if code == "not_found":
        turn.outbox.delete(entry)
        turn.tally.settle(entry)
        turn.tally.skip("unlinkable")
    else:
        turn.outbox.bury(entry, code)
        turn.tally.settle(entry, dead=code)


def bury_overdue(turn: Turn, entries: Sequence[Entry], retry_for: float, code: str) -> None:
    """Moves what still waits after `retry_for` seconds of failures to the dead."""
    now = turn.outbox.state.time.earliest()
    overdue = [entry for entry in entries if entry.overdue(now) > retry_for and not turn.tally.is_settled(entry)]
    map_concurrently(lambda entry: bury(turn, entry, code), overdue)


def message_id_of(ids: Sequence[str]) -> str:
    """The id of a message: that of its only notice, or a hash of all ids."""
    if len(ids) == 1:
        return f"notice_{ids[0]}"
    return f"digest_{sha256(json.dumps(ids).encode()).hexdigest()[:32]}"


def _steps(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), STEP):
        yield items[start : start + STEP]
