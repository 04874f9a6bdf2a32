"""Sends notices to their sinks: which are sent at once, which wait for a timer, and what became of each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from hashlib import sha256
from threading import Event, Lock

from .. import audit, oss
from ..config import NoticeRule, OssSink
from ..context import Invocation
from ..errors import HandlerError, Problem
from ..keys import cache
from ..oss import map_concurrently
from ..state import State, state_for
from ..times import Clock
from . import digests, leases
from .leases import Completed, Lease, LeaseHeld
from .notice import LinkIssuer, Notice, rule_id
from .sinks import KINDS, Kind, Notification, Sink, batches, read_sink
from .sinks import oss as oss_sink
from .sinks.client import Network
from .sinks.delivery import DeliveryFailed, deliver

MAX_MESSAGES = 10  # of one digest in one invocation; DingTalk and WeCom accept 20 a minute

NoticesById = dict[str, Notice]
LeasesById = dict[str, Lease]


class Tally:
    """Counts what became of the notices: sent, repeated, queued or not_marked; `failed` are sinks and codes."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.counts: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.failed: set[tuple[str, str]] = set()

    def add(self, outcome: str, count: int) -> None:
        with self._lock:
            self.counts[outcome] += count

    def skip(self, reason: str, count: int = 1) -> None:
        with self._lock:
            self.skipped[reason] += count

    def fail(self, sink: str, code: str) -> None:
        with self._lock:
            self.failed.add((sink, code))


class NoticeSender:
    """Sends the notices of one invocation. `nonce` is unique to it; `deadline` is of `clock.monotonic`."""

    def __init__(self, invocation: Invocation, nonce: str, network: Network, clock: Clock, deadline: float) -> None:
        self.tally = Tally()
        self.issuer = LinkIssuer(invocation)
        self._invocation = invocation
        self._nonce = nonce
        self._network = network
        self._clock = clock
        self._deadline = deadline
        self._next_at: dict[str, float] = {}  # when each sink accepts its next message

    def send(self, notices: Iterable[Notice]) -> None:
        """Sends each notice to each of its sinks, or queues it for a timer. A sink that fails affects no other."""
        oss_sinks = {sink.name: sink for sink in self._invocation.config.sinks}
        immediate: dict[str, NoticesById] = {}
        waiting: dict[tuple[str, NoticeRule], NoticesById] = {}
        for notice in notices:
            for name in notice.rule.to:
                if notice.rule.every is None:
                    immediate.setdefault(name, {})[notice.id(name)] = notice
                else:
                    waiting.setdefault((name, notice.rule), {})[notice.id(name)] = notice
        for name, by_id in immediate.items():
            if name in oss_sinks:
                self._guard(name, self._write, oss_sinks[name], by_id)
        for (name, rule), by_id in waiting.items():
            self._guard(name, self._queue, name, rule, by_id)
        for name, by_id in immediate.items():
            if name not in oss_sinks:
                self._guard(name, self._send, name, by_id)

    def send_digests(self) -> None:
        for rule in self._invocation.config.notices:
            if rule.every is not None:
                for name in rule.to:
                    self._guard(name, self._send_digest, name, rule, rule.every)

    def _guard(self, sink: str, action: Callable[..., None], *arguments: object) -> None:
        try:
            action(*arguments)
        except HandlerError as error:  # including the 503 of state or keys that cannot be read
            self.tally.fail(sink, error.code)
        except Exception as error:
            self.tally.fail(sink, "internal_error")
            audit.write({"sink": sink, "fault": audit.fault(error)})

    def _write(self, sink: OssSink, notices: NoticesById) -> None:
        """Writes one object with all notices; if it exists, they were written before."""
        now = self._invocation.now
        happened_at = min((n.happened_at for n in notices.values() if n.happened_at is not None), default=now)
        location = oss_sink.location_of(sink, notices, happened_at)
        client = oss.client_for(self._invocation)
        notifications = self._notifications(notices)
        if notifications:
            is_written = oss_sink.write(client, location, notifications)
            self.tally.add("sent" if is_written else "repeated", len(notifications))

    def _queue(self, name: str, rule: NoticeRule, notices: NoticesById) -> None:
        state = self._state()

        def append(acquired: LeasesById, acquired_at: float) -> None:
            entries = [{"id": notice_id, **notices[notice_id].entry()} for notice_id in acquired]
            digests.append(state, stream_of(name, rule), entries, f"{self._nonce}-{next(iter(acquired))}")
            self._complete(state, acquired)
            self.tally.add("queued", len(acquired))

        self._with_leases(state, notices, append)

    def _send(self, name: str, notices: NoticesById) -> None:
        """Sends the notices that were not sent before, in as few messages as the service accepts."""
        kind, sink = self._sink(name)
        state = self._state()
        stopped = Event()

        def send(batch: tuple[Notification, ...]) -> None:
            if stopped.is_set():
                return
            by_id = {notification.id: notification for notification in batch}

            def send_acquired(acquired: LeasesById, acquired_at: float) -> None:
                notifications = tuple(by_id[notice_id] for notice_id in acquired)
                self._deliver(kind, sink, message_id_of(acquired), notifications, acquired_at)
                self._complete(state, acquired)
                self.tally.add("sent", len(notifications))

            try:
                self._with_leases(state, by_id, send_acquired)
            except HandlerError as error:
                if not (isinstance(error, DeliveryFailed) and error.only_this_message):
                    stopped.set()
                self.tally.fail(name, error.code)

        notifications = self._notifications(notices)
        if sink.kind == "webhook":
            # One message for each notice, under the notice's own id.
            map_concurrently(send, ((notification,) for notification in notifications))
        else:
            for batch in batches(kind, notifications):
                send(batch)

    def _send_digest(self, name: str, rule: NoticeRule, every: int) -> None:
        kind, sink = self._sink(name)
        state, stream = self._state(), stream_of(name, rule)
        acquired_at = self._clock.monotonic()
        digest = digests.acquire(state, stream, every, self._nonce, self._clock)
        if digest is None:
            return
        notices = {}
        for entry in digest.entries:
            notice_id = entry.pop("id")
            notices[notice_id] = Notice(rule, **entry)
        ids, sent = list(notices), digest.position.sent
        try:
            notifications = self._notifications({notice_id: notices[notice_id] for notice_id in ids[sent:]})
            for number, batch in enumerate(batches(kind, notifications)):
                if number == MAX_MESSAGES:
                    digests.abandon(state, digest, sent)
                    return
                digest_id = message_id_of((stream, str(digest.position.number), str(sent)))
                self._deliver(kind, sink, digest_id, batch, acquired_at)
                sent = ids.index(batch[-1].id) + 1
                self.tally.add("sent", len(batch))
        except BaseException:
            digests.abandon(state, digest, sent)
            raise
        if not digests.complete(state, stream, digest):
            self.tally.add("not_marked", len(ids))

    def _deliver(
        self, kind: Kind, sink: Sink, message_id: str, batch: tuple[Notification, ...], acquired_at: float
    ) -> None:
        self._wait_for_turn(kind, sink.name)
        deadline = min(self._deadline, acquired_at + leases.SEND)
        deliver(kind, sink, message_id, batch, network=self._network, clock=self._clock, deadline=deadline)

    def _wait_for_turn(self, kind: Kind, name: str) -> None:
        """Waits until the service accepts another message. Raises `DeliveryFailed` if that is too late."""
        if not kind.MIN_INTERVAL:
            return
        now = self._clock.monotonic()
        pause = self._next_at.get(name, now) - now
        if pause > 0:
            if now + pause >= self._deadline:
                raise DeliveryFailed("out_of_time")
            self._clock.sleep(pause)
        self._next_at[name] = self._clock.monotonic() + kind.MIN_INTERVAL

    def _with_leases(self, state: State, ids: Iterable[str], action: Callable[[LeasesById, float], None]) -> None:
        """Calls `action` with the leases of the notices that were not sent before, and the time they were acquired.

        Leases of other holders are waited for last and one by one: no instance waits while it holds a lease.
        """

        def acquire(notice_id: str) -> Lease | Completed | HandlerError:
            try:
                return leases.acquire(state, f"notices/{notice_id}", self._nonce, self._clock, acquired_at)
            except HandlerError as error:
                return error

        acquired_at = self._clock.monotonic()
        results = dict(zip(ids, map_concurrently(acquire, ids), strict=True))
        held = [notice_id for notice_id, result in results.items() if isinstance(result, LeaseHeld)]
        faults = [result for result in results.values() if isinstance(result, HandlerError)]
        acquired = {notice_id: result for notice_id, result in results.items() if isinstance(result, Lease)}
        self.tally.add("repeated", sum(isinstance(result, Completed) for result in results.values()))
        with _abandoned_on_error(state, acquired):
            for fault in faults:
                if not isinstance(fault, LeaseHeld):
                    raise fault
            if acquired:
                action(acquired, acquired_at)
        for notice_id in held:
            lease = leases.acquire(state, f"notices/{notice_id}", self._nonce, self._clock, self._deadline)
            if isinstance(lease, Completed):
                self.tally.add("repeated", 1)
                continue
            with _abandoned_on_error(state, {notice_id: lease}):
                action({notice_id: lease}, self._clock.monotonic())

    def _complete(self, state: State, acquired: LeasesById) -> None:
        marked = map_concurrently(lambda lease: leases.complete(state, lease), acquired.values())
        if not all(marked):
            self.tally.add("not_marked", marked.count(False))

    def _notifications(self, notices: Mapping[str, Notice]) -> list[Notification]:
        notifications = (self.issuer.notification(notice, notice_id) for notice_id, notice in notices.items())
        return [notification for notification in notifications if notification is not None]

    def _state(self) -> State:
        state = state_for(self._invocation)
        state.probe(self._invocation.now)
        return state

    def _sink(self, name: str) -> tuple[Kind, Sink]:
        entry = cache.current_keys(self._invocation).sinks.get(name)
        if entry is None:
            raise Problem("unknown_sink")
        sink = read_sink(name, entry, KINDS)
        return KINDS[sink.kind], sink


@contextmanager
def _abandoned_on_error(state: State, acquired: LeasesById) -> Iterator[None]:
    """Leaves the leases to a later attempt if the block fails."""
    try:
        yield
    except BaseException:
        map_concurrently(lambda lease: leases.abandon(state, lease), acquired.values())
        raise


def stream_of(sink: str, rule: NoticeRule) -> str:
    return sha256(json.dumps([rule_id(rule), sink]).encode()).hexdigest()[:24]


def message_id_of(ids: Iterable[str]) -> str:
    """The id of a message: that of its only notice, or a hash of all ids."""
    parts = list(ids)
    if len(parts) == 1:
        return f"notice_{parts[0]}"
    return f"digest_{sha256(json.dumps(parts).encode()).hexdigest()[:32]}"
