"""Sends notices to one sink while its lease is held."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from random import sample
from secrets import token_hex
from threading import Lock
from typing import NamedTuple, TypeVar

from .. import audit
from ..cloud.lease import Lease
from ..cloud.oss import CANNOT_BE_REACHED, StoreError, map_concurrently
from ..cloud.store import Store
from ..context import Clock
from ..errors import HandlerError, Problem
from .notice import LinkIssuer, NotLinkable, read_notice
from .outbox import MAX_BYTES, UNREADABLE, Entry, Outbox
from .sinks import Kind, Notification, Sink, batches
from .sinks.client import TRY, Network
from .sinks.delivery import DeliveryFailed, OutOfTime, deliver
from .tally import Tally

SLOT = 30  # seconds
NEED = TRY + 2.0  # seconds of a slot that a try needs
STEP = 100  # entries between two looks at the lease
MAX_PROBES = 5  # notices with which a sink is asked whether it accepts any

Item = TypeVar("Item")


class Prepared(NamedTuple):
    """An entry that is due and was not sent, with its link."""

    entry: Entry
    notification: Notification
    digest: bool


Message = Sequence[Prepared]


class Turn(NamedTuple):
    """What a holder of any sink's lease uses in one invocation; `deadline` is of `clock.monotonic`."""

    outbox: Outbox
    issuer: LinkIssuer
    network: Network
    clock: Clock
    deadline: float
    tally: Tally


class Holding:
    """A sink and its lease. `accepted` counts messages; `end` is why the last `send` ended early, if it did."""

    def __init__(self, turn: Turn, lease: Lease, kind: Kind, sink: Sink) -> None:
        self.retry_for = sink.retry_for
        self.accepted = 0
        self.end: HandlerError | None = None
        self._turn = turn
        self._lease = lease
        self._kind = kind
        self._sink = sink
        self._pace = 0.0  # seconds from the answer to a message until the sink takes another one
        self._refused: list[tuple[Entry, HandlerError]] = []
        self._failed: list[tuple[Entry, HandlerError]] = []
        self._lock = Lock()
        self._untried: dict[str, Entry] = {}  # by name
        self._probed: set[str] = set()
        self._has_probed = False

    def send(self, entries: Sequence[Entry]) -> None:
        """Sends what was not sent yet, and waits until the sink takes another message.

        Raises `OutOfTime`, and the `HandlerError` of a sink or a notice that failed, after which the lease is kept.
        """
        self.end = None
        self._failed.clear()
        self._has_probed = False
        try:
            self._send(entries)
        except HandlerError as error:
            self.end = error
        if self.accepted:  # it refuses only these
            for entry, refusal in self._refused:
                self._bury(entry, refusal.code)
            self._refused.clear()
        now = self._turn.outbox.state.clock.earliest()
        for entry, failure in list(self._failed):
            if entry.overdue(now) > self.retry_for:
                self._bury(entry, failure.code)
        self._wait(self._pace)
        failures = [failure for _, failure in (*self._refused, *self._failed)]
        if self.end is not None:
            failures.append(self.end)
        if failures:
            raise failures[0]

    def _send(self, entries: Sequence[Entry]) -> None:
        unique: dict[str, Entry] = {}
        for entry in entries:  # the same notice twice, as from two events: the second is found done in the next turn
            unique.setdefault(entry.id or entry.name, entry)
        self._untried = {entry.name: entry for entry in unique.values()}
        is_webhook = self._sink.kind == "webhook"
        together: list[Prepared] = []
        for step in steps(list(unique.values())):
            if self._turn.clock.monotonic() + TRY > self._turn.deadline or not self._lease.has_time():
                raise OutOfTime("There was no time to send the notices. They will be sent later.")
            prepared = [item for item in map_concurrently(self._prepare, step) if item is not None]
            alone = [[item] for item in prepared if is_webhook and not item.digest]
            map_concurrently(self._send_message, alone)
            together += [item for item in prepared if item.digest or not is_webhook]
            *messages, together = self._messages(together)  # the last one has room for more
            self._send_in_order(messages)
        self._send_in_order([together])

    def _messages(self, items: Sequence[Prepared]) -> list[list[Prepared]]:
        """As few messages as the service takes, in order; one without notices for none."""
        by_id = {item.notification.id: item for item in items}
        messages = batches(self._kind, [item.notification for item in items])
        return [[by_id[each.id] for each in message] for message in messages] or [[]]

    def _prepare(self, entry: Entry) -> Prepared | None:
        """The notice of an entry with its link, None where nothing is to be sent."""
        if self.end is not None:
            return None
        outbox, tally = self._turn.outbox, self._turn.tally
        try:
            if entry.id is not None and outbox.is_done(entry):
                outbox.delete(entry)
                tally.settle(entry, "repeated")
                return None
            body = outbox.read(entry) if entry.size <= MAX_BYTES else b""
            if body is None:  # sent and deleted since it was listed
                tally.settle(entry)
                return None
            entry = entry._replace(body=body)
            notice = read_notice(body)
            if notice is not None and entry.id is not None:
                notification = self._turn.issuer.notification(notice, entry.id)
                self._kind.encoded_size(notification)  # what cannot be shown is found here, and blocks no message
                return Prepared(entry, notification, notice.digest)
            code = UNREADABLE
        except NotLinkable as error:
            code = error.code
        except HandlerError as error:
            self._fail(entry, error)
            return None
        except Exception as error:
            audit.write({"sink": entry.sink, "fault": audit.fault(error)})
            code = "internal_error"
        self._bury(entry, code)
        return None

    def _send_in_order(self, messages: Sequence[Message]) -> None:
        waiting = deque(messages)
        while waiting:
            waiting.extendleft(reversed(self._send_message(waiting.popleft())))
        if self.end is not None:
            raise self.end

    def _send_message(self, message: Message) -> list[Message]:
        """Sends a message, unless the turn has ended. Returns the parts to try of one that was refused."""
        with self._lock:  # and waits while the sink is probed
            message = [item for item in message if item.entry.name not in self._probed]
            if len(message) == 1:  # others may be on their way at the same time
                self._untried.pop(message[0].entry.name, None)
        if self.end is not None or not message:
            return []
        accepted = self.accepted
        try:
            self._deliver(message)
        except DeliveryFailed as error:
            if error.is_refused:
                self._probe(error)
                if len(message) > 1:
                    middle = len(message) // 2
                    return [message[:middle], message[middle:]]
                self._refused.append((message[0].entry, error))
            elif self.accepted > accepted:  # others were accepted meanwhile
                self._failed += [(item.entry, error) for item in message]
            else:
                self.end = error
        except HandlerError as error:
            self.end = error
        return []

    def _probe(self, error: DeliveryFailed) -> None:
        """Asks a sink that refused a message, and accepted none yet, whether it accepts some notice.

        It is asked with a few of all that are due, at random: those that it refuses may all be the first.
        """
        with self._lock:
            if self.accepted or self._has_probed or self.end is not None or not self._untried:
                return
            self._has_probed = True
            for entry in sample(list(self._untried.values()), min(MAX_PROBES, len(self._untried))):
                self._probed.add(entry.name)
                item = self._prepare(entry)
                try:
                    if item is not None:
                        self._deliver([item])
                        return
                except DeliveryFailed as refusal:
                    if not refusal.is_refused:
                        self.end = refusal
                        return
                    self._refused.append((entry, refusal))
                except HandlerError as other:
                    self.end = other
                    return
            self.end = error

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
        for step in steps(message):
            map_concurrently(self._mark, step)
            with suppress(StoreError):
                self._lease.has_time()  # marks may take longer than a try

    def _mark(self, item: Prepared) -> None:
        tally = self._turn.tally
        try:
            self._turn.outbox.mark_done(item.entry)
        except StoreError as error:
            self._fail(item.entry, error)
            tally.add("not_marked")
            tally.add("sent")
        else:
            tally.settle(item.entry, "sent")

    def _may_try(self, pause: float) -> bool:
        """Waits for `pause` seconds and the sink's pace; whether a try then fits into the time and the lease."""
        pause = max(pause, self._pace)
        if self._turn.clock.monotonic() + pause + TRY > self._turn.deadline:
            return False
        self._wait(pause)
        self._pace = self._kind.MIN_INTERVAL
        return self._lease.has_time()

    def _wait(self, pause: float) -> None:
        if pause > 0:
            self._turn.clock.sleep(pause)

    def _bury(self, entry: Entry, code: str) -> None:
        try:
            bury(self._turn, entry, code)
        except HandlerError as error:
            self._fail(entry, error)

    def _fail(self, entry: Entry, error: HandlerError) -> None:
        """Notes a notice that failed; while OSS cannot be reached, no other is tried."""
        self._failed.append((entry, error))
        self._turn.tally.note(error)
        reported = error.reported()
        if isinstance(reported, Problem) and reported.cause == CANNOT_BE_REACHED:
            self.end = error


def sink_lease(state: Store, name: str) -> Lease:
    return Lease(state, f"lease/{name}/", SLOT, NEED, token_hex(12).encode())


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
    now = turn.outbox.state.clock.earliest()
    overdue = [entry for entry in entries if entry.overdue(now) > retry_for and not turn.tally.is_settled(entry)]
    map_concurrently(lambda entry: bury(turn, entry, code), overdue)


def message_id_of(ids: Sequence[str]) -> str:
    """The id of a message: that of its only notice, or a hash of all ids."""
    if len(ids) == 1:
        return f"notice_{ids[0]}"
    return f"digest_{sha256(json.dumps(ids).encode()).hexdigest()[:32]}"


def steps(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    """The items in parts, between which a holder looks at its lease."""
    for start in range(0, len(items), STEP):
        yield items[start : start + STEP]
