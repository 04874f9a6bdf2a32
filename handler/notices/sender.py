"""Sends notices to their sinks: writes each to the outbox, and sends what is due under the lease of its sink.

What is written is safe: a sink that fails, hangs or is unknown keeps its notices waiting, and fails no invocation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from ..core.cloud import oss
from ..core.cloud.concurrency import map_concurrently
from ..core.cloud.store import PAGE
from ..core.config import NoticeRule, OssSink
from ..core.errors import HandlerError
from ..core.keys import Keys, current
from . import oss_sink
from .holding import Holding, Turn, bury_overdue, sink_lease
from .notice import Notice, is_linkable
from .outbox import Entry, new_entry
from .sinks import KINDS, read_sink
from .sinks.base import RETRY_FOR

MAX_SINKS = 64  # that are served at the same time


def send(turn: Turn, matches: Sequence[tuple[NoticeRule, Notice]]) -> None:
    """Writes each notice for each of its sinks, then sends those that wait for no digest."""
    linkable = [(rule, notice) for rule, notice in matches if is_linkable(rule.mount, notice.key)]
    if len(linkable) < len(matches):
        turn.tally.skip("unlinkable", len(matches) - len(linkable))
    names = {name for rule, _ in linkable for name in rule.to}
    for sink in turn.invocation.config.sinks:
        notices = {notice.id(sink.name): notice for rule, notice in linkable if sink.name in rule.to}
        if notices:
            names.remove(sink.name)
            with _noted(turn, sink.name, unwritten=True):
                _write_object(turn, sink, notices)
    immediate: list[Entry] = []
    if names:
        with _noted(turn, min(names), unwritten=True):
            immediate = _write(turn, linkable, names)
    if immediate:
        with _noted(turn, "outbox"):
            _serve_all(turn, {name: [each for each in immediate if each.sink == name] for name in turn.pauses})


def send_due(turn: Turn) -> dict[str, dict[str, object]] | None:
    """Sends what is due to every sink. Returns what still waits and what is dead, None if that could not be read."""
    if not turn.invocation.config.keys_sinks:
        return {}  # nothing waits, and the role has no rights to look
    due = dead = None
    with _noted(turn, "outbox"):
        sinks = turn.outbox.sinks()
        due = dict(zip(sinks, map_concurrently(partial(_due, turn), sinks), strict=True))
        map_concurrently(partial(_read_pause, turn), [sink for sink in sinks if due[sink]])
        _serve_all(turn, due)
    with _noted(turn, "dead"):
        dead = turn.outbox.dead()
    return turn.tally.waiting(dead) if due is not None and dead is not None else None


def _write_object(turn: Turn, sink: OssSink, notices: Mapping[str, Notice]) -> None:
    """Writes one object with all notices; if it exists, they were written before."""
    linked = map_concurrently(lambda item: turn.issuer.notification(item[1], item[0]), notices.items())
    notifications = [item for item in linked if item is not None]
    if len(notifications) < len(notices):
        turn.tally.skip("unlinkable", len(notices) - len(notifications))
    if notifications:
        location = oss_sink.location_of(sink, notices, turn.invocation.now)
        is_written = oss_sink.write(oss.client_for(turn.invocation), location, notifications)
        turn.tally.add("sent" if is_written else "repeated", len(notifications))


def _write(turn: Turn, matches: Sequence[tuple[NoticeRule, Notice]], names: set[str]) -> list[Entry]:
    """Writes an entry for each notice, and looks which sinks are paused. Returns what is due at once.

    A notice is due when it happened, or at the end (in UTC) of its interval of `every`.
    """
    now = turn.outbox.state.now()  # the clock of an instance may be wrong
    entries: dict[str | None, Entry] = {}
    for place, (rule, notice) in enumerate(matches):
        due = now if notice.happened_at is None else min(notice.happened_at, now)
        if rule.every is not None:
            due = (due // rule.every + 1) * rule.every
        for name in (name for name in rule.to if name in names):
            entry = new_entry(name, due, place, notice, now)
            entries.setdefault(entry.id, entry)
    failed: list[Entry] = []

    def put(entry: Entry) -> None:
        """After one failed, no other is tried: the event comes again, with the same names."""
        if not failed:
            with _noted(turn, entry.sink, unwritten=True):
                if turn.invocation.instance.clock.monotonic() >= turn.deadline:
                    raise HandlerError("The event has more notices than can be written.", code="event_too_large")
                turn.outbox.put(entry)
                turn.tally.written.add(entry.path)
                return
            failed.append(entry)

    immediate = [entry for entry in entries.values() if entry.notice is not None and not entry.notice.digest]
    calls = [partial(put, entry) for entry in entries.values()]
    calls += [partial(_read_pause, turn, name) for name in dict.fromkeys(entry.sink for entry in immediate)]
    map_concurrently(lambda call: call(), calls)
    return [entry for entry in immediate if entry.path in turn.tally.written]


def _read_pause(turn: Turn, sink: str) -> None:
    """Looks whether a sink is paused: if that is not known, it is not served."""
    with _noted(turn, sink):
        turn.pauses[sink] = turn.outbox.pause(sink)


def _serve_all(turn: Turn, due: Mapping[str, Sequence[Entry]]) -> None:
    """Serves the sinks that are not paused side by side, so that none waits for one that hangs."""
    now = turn.outbox.state.clock.earliest()
    unpaused = {name for name, pause in turn.pauses.items() if pause is None or pause.until <= now}
    names = [name for name in due if due[name] and name in unpaused]
    if not names:
        return
    try:
        keys = current.current_keys(turn.invocation)
        turn.outbox.state.probe(turn.invocation.now)
    except HandlerError as error:
        for name in names:
            turn.tally.fail(name, error)
        return
    map_concurrently(lambda name: _serve(turn, keys, name, due[name]), names, MAX_SINKS)


def _serve(turn: Turn, keys: Keys, name: str, entries: Sequence[Entry]) -> None:
    """Sends what is due while nobody else does, and what became due meanwhile."""
    with _noted(turn, name):
        try:
            sink = read_sink(name, keys.sinks.get(name), KINDS)
        except HandlerError as error:
            bury_overdue(turn, entries, RETRY_FOR, error.reported().code)
            raise
        holding = Holding(turn, sink, turn.pauses[name])
        while entries:
            lease = sink_lease(turn.outbox.state, name)
            if not lease.take():
                return  # the holder lists again
            try:
                is_changed = holding.send(lease, entries)
            except Exception:
                lease.release()
                raise
            lease.release()
            due = _due(turn, name) if is_changed else []
            entries = [entry for entry in due if holding.seen.isdisjoint((entry.name, entry.id))]


def _due(turn: Turn, name: str) -> list[Entry]:
    """The first entries of a sink that are due, and as many of those that failed before as come before them."""
    outbox, listed, fresh = turn.outbox, list[Entry](), 0
    for entry in outbox.all_entries(name):
        listed.append(entry)
        is_due = entry.due <= outbox.state.clock.earliest()
        fresh += is_due and not entry.tries
        if len(listed) >= PAGE and (not is_due or fresh >= PAGE):  # names are in the order of `due`
            break
    now = outbox.state.clock.earliest()
    turn.tally.listed(name, listed, now)
    return [entry for entry in listed if entry.due <= now]


@contextmanager
def _noted(turn: Turn, sink: str, *, unwritten: bool = False) -> Iterator[None]:
    """Notes a failure of the block for the sink, so that others are served."""
    try:
        yield
    except Exception as error:
        turn.tally.fail(sink, error, unwritten=unwritten)
