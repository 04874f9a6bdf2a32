"""Sends notices to their sinks: writes each to the outbox, and sends what is due under the lease of its sink.

What is written is safe: a sink that fails, hangs or is unknown keeps its notices waiting, and fails no invocation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice

from .. import audit
from ..cloud import oss
from ..cloud.lease import Lease
from ..cloud.store import PAGE, state_for
from ..config import NoticeRule, OssSink
from ..context import Invocation
from ..errors import HandlerError, Problem
from ..keys import Keys, current
from .holding import Holding, Turn, bury_overdue, sink_lease
from .notice import LinkIssuer, Notice, NotLinkable, is_linkable
from .outbox import DEAD, Entry, Outbox, new_entry
from .sinks import KINDS, Notification, read_sink
from .sinks import oss as oss_sink
from .sinks.base import RETRY_FOR
from .sinks.client import Network
from .sinks.delivery import DeliveryFailed, OutOfTime
from .tally import Tally

MAX_SINKS = 64  # that are served at the same time

MatchedNotice = tuple[NoticeRule, Notice]
Unwritten = Mapping[tuple[str, str], tuple[NoticeRule, Notice, int]]  # by sink and id: rule, notice and its place


class NoticeSender:
    """Sends the notices of one invocation; `deadline` is of the instance's `clock.monotonic`."""

    def __init__(self, invocation: Invocation, network: Network, deadline: float) -> None:
        self.tally = Tally()
        self.issuer = LinkIssuer(invocation)
        self._invocation = invocation
        self._network = network
        self._deadline = deadline
        self._write_failed = False

    def send(self, matches: Sequence[MatchedNotice]) -> None:
        """Writes each notice for each of its sinks, then sends those that wait for no digest."""
        oss_sinks = {sink.name: sink for sink in self._invocation.config.sinks}
        objects: dict[str, dict[str, Notice]] = {}
        unwritten: dict[tuple[str, str], tuple[NoticeRule, Notice, int]] = {}
        for place, (rule, notice) in enumerate(matches):
            if not is_linkable(rule.mount, notice.key):
                self.tally.skip("unlinkable")
                continue
            for name in rule.to:
                notice_id = notice.id(rule, name)
                if name in oss_sinks:
                    objects.setdefault(name, {})[notice_id] = notice
                else:
                    unwritten.setdefault((name, notice_id), (rule, notice, place))
        for name, notices in objects.items():
            with self._noted(name, unwritten=True):
                self._write_object(oss_sinks[name], notices)
        immediate: dict[str, list[Entry]] = {}
        if unwritten:
            with self._noted(next(iter(unwritten))[0], unwritten=True):
                outbox = Outbox(state_for(self._invocation))
                entries = self._entries(outbox, unwritten)
                written = oss.map_concurrently(lambda entry: self._put(outbox, entry), entries)
                for (rule, *_), entry, is_written in zip(unwritten.values(), entries, written, strict=True):
                    if is_written and rule.every is None:
                        immediate.setdefault(entry.sink, []).append(entry)
        if immediate:
            with self._noted("outbox"):
                self._serve_all(outbox, immediate)

    def send_due(self) -> dict[str, dict[str, object]] | None:
        """Sends what is due to every sink for which notices wait. Returns what still waits, and what is dead.

        None if that could not be read.
        """
        if not self._invocation.config.keys_sinks:
            return {}  # nothing waits, and the role has no rights to look
        is_read, dead = False, None
        with self._noted("outbox"):
            outbox = Outbox(state_for(self._invocation))
            sinks = outbox.sinks()
            due = oss.map_concurrently(lambda sink: self._due(outbox, sink), sinks)
            is_read = True
            self._serve_all(outbox, dict(zip(sinks, due, strict=True)))
        with self._noted("dead"):
            outbox = Outbox(state_for(self._invocation))
            dead = {sink: len(outbox.entries(sink, DEAD)) for sink in outbox.sinks(DEAD)}
        return self.tally.waiting(dead) if is_read and dead is not None else None

    def _write_object(self, sink: OssSink, notices: Mapping[str, Notice]) -> None:
        """Writes one object with all notices; if it exists, they were written before."""
        notifications: list[Notification] = []
        for notice_id, notice in notices.items():
            try:
                notifications.append(self.issuer.notification(notice, notice_id))
            except NotLinkable:
                self.tally.skip("unlinkable")
        if notifications:
            now = self._invocation.now
            happened_at = min((n.happened_at for n in notices.values() if n.happened_at is not None), default=now)
            location = oss_sink.location_of(sink, notices, happened_at)
            is_written = oss_sink.write(oss.client_for(self._invocation), location, notifications)
            self.tally.add("sent" if is_written else "repeated", len(notifications))

    def _entries(self, outbox: Outbox, unwritten: Unwritten) -> list[Entry]:
        """An entry for each notice: due when it happened, or at the end (in UTC) of its interval of `every`."""
        now = outbox.state.now()  # the clock of an instance may be wrong
        entries = []
        for (name, notice_id), (rule, notice, place) in unwritten.items():
            due = now if notice.happened_at is None else min(notice.happened_at, now)
            if rule.every is not None:
                due = (due // rule.every + 1) * rule.every
            entries.append(new_entry(name, due, place, notice_id, notice.body()))
        return entries

    def _put(self, outbox: Outbox, entry: Entry) -> bool:
        """Writes an entry. After one failed, no other is tried: the event comes again, with the same names."""
        if not self._write_failed:
            with self._noted(entry.sink, unwritten=True):
                outbox.put(entry)
                self.tally.written(entry)
                return True
            self._write_failed = True
        return False

    def _serve_all(self, outbox: Outbox, due: Mapping[str, Sequence[Entry]]) -> None:
        """Serves sinks side by side, so that none waits for one that hangs."""
        due = {name: entries for name, entries in due.items() if entries}
        if not due:
            return
        try:
            keys = current.current_keys(self._invocation)
            outbox.state.probe(self._invocation.now)
        except HandlerError as error:
            for name in due:
                self.tally.fail(name, error)
            return
        turn = Turn(outbox, self.issuer, self._network, self._invocation.instance.clock, self._deadline, self.tally)
        oss.map_concurrently(lambda name: self._serve(turn, keys, name, due[name]), due, MAX_SINKS)

    def _serve(self, turn: Turn, keys: Keys, name: str, entries: Sequence[Entry]) -> None:
        """Sends what is due while nobody else does, and what became due meanwhile."""
        with self._noted(name):
            while entries:
                lease = sink_lease(turn.outbox.state, name)
                if not lease.take():
                    return  # the holder lists again before it releases
                holding = None
                try:
                    holding = _holding(turn, lease, keys, name)
                    holding.send(entries)
                except OutOfTime:
                    lease.release()
                    if holding is None or not holding.accepted:
                        raise
                    return
                except HandlerError as error:
                    self._after_failure(turn, holding, name, entries, error)
                    raise
                lease.release()
                entries = self._due(turn.outbox, name)

    def _after_failure(
        self, turn: Turn, holding: Holding | None, name: str, entries: Sequence[Entry], error: HandlerError
    ) -> None:
        """Looks beyond the entries that failed: they keep the lease, and would block the other entries forever."""
        now, names = turn.outbox.state.clock.earliest(), {entry.name for entry in entries}
        waiting = (entry for entry in turn.outbox.all_entries(name) if entry.due <= now and entry.name not in names)
        others = list(islice(waiting, PAGE))
        if holding is not None and holding.end is None:
            with suppress(HandlerError):
                holding.send(others)
        if holding is None or isinstance(holding.end, DeliveryFailed):
            retry_for = RETRY_FOR if holding is None else holding.retry_for
            bury_overdue(turn, [*entries, *others], retry_for, error.reported().code)

    def _due(self, outbox: Outbox, name: str) -> list[Entry]:
        """The first entries of a sink that are due."""
        entries = outbox.entries(name)
        now = outbox.state.clock.earliest()
        self.tally.listed(name, entries, now)
        return [entry for entry in entries if entry.due <= now]

    @contextmanager
    def _noted(self, sink: str, *, unwritten: bool = False) -> Iterator[None]:
        """Notes a failure of the block for the sink, so that others are served."""
        try:
            yield
        except HandlerError as error:
            self.tally.fail(sink, error, unwritten=unwritten)
        except Exception as error:
            audit.write({"sink": sink, "fault": audit.fault(error)})
            self.tally.fail(sink, HandlerError("", code="internal_error"), unwritten=unwritten)


def _holding(turn: Turn, lease: Lease, keys: Keys, name: str) -> Holding:
    """The sink, held. Raises `unknown_sink` and `InvalidSink`, which are failures of the sink like any other."""
    entry = keys.sinks.get(name)
    if entry is None:
        raise Problem("unknown_sink")
    sink = read_sink(name, entry, KINDS)
    return Holding(turn, lease, KINDS[sink.kind], sink)
