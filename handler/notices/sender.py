"""Sends notices to their sinks: writes each to the outbox, and sends what is due under the lease of its sink.

What is written is safe: a sink that fails, hangs or is unknown keeps its notices waiting, and fails no invocation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial

from signer.common.listing import PAGE

from ..core import outbox
from ..core.cloud import oss
from ..core.cloud.concurrency import map_concurrently
from ..core.config import NoticeRule, OssSink
from ..core.errors import HandlerError, Problem
from ..core.outbox import Delivery, Link, Notice
from . import oss_sink
from .issuer import is_of_mount
from .sending import Sending
from .session import SinkSession
from .session_context import SessionTime, SinkContext
from .sink_queue import Pause, count_dead, sinks
from .sinks import KINDS, read_sink
from .sinks.base import RETRY_FOR

MAX_SINKS = 64  # that are served at the same time


def send(sending: Sending, matches: Sequence[tuple[NoticeRule, Notice]]) -> None:
    """Writes each notice for each of its sinks, then sends those that wait for no digest."""
    names = {name for rule, _ in matches for name in rule.to}
    for sink in sending.invocation.config.sinks:
        notices = {notice.id(sink.name): notice for rule, notice in matches if sink.name in rule.to}
        if notices:
            names.remove(sink.name)
            with _recorded(sending, sink.name, unwritten=True):
                _write_object(sending, sink, notices)
    due: dict[str, list[Delivery]] = {}
    if names:
        with _recorded(sending, min(names), unwritten=True):
            for each in _write(sending, matches, names):
                due.setdefault(each.sink, []).append(each)
    with _recorded(sending, "outbox"):
        _serve_all(sending, due)


def send_due(sending: Sending) -> dict[str, dict[str, object]] | None:
    """Sends what is due to every sink. Returns what still waits and what is dead, None if that could not be read."""
    if not sending.invocation.config.keys_sinks:
        return {}  # nothing waits, and the role has no rights to look
    due = dead = None
    with _recorded(sending, "outbox"):
        names = sinks(sending.state)
        due = dict(zip(names, map_concurrently(partial(_due, sending), names), strict=True))
        _serve_all(sending, due)
    with _recorded(sending, "dead"):
        dead = count_dead(sending.state)
    return sending.tally.waiting(dead) if due is not None and dead is not None else None


def _write_object(sending: Sending, sink: OssSink, notices: Mapping[str, Notice]) -> None:
    """Writes one object with all notices; if it exists, they were written before."""

    def link(notice: Notice) -> Link | None:
        """One object without a link keeps no other out."""
        try:
            return sending.issuer.link(notice)
        except Problem as problem:
            if is_of_mount(problem):
                raise
            sending.tally.fail(sink.name, problem)
            return sending.issuer.unlinked(notice)

    links = map_concurrently(link, notices.values())
    linked = [
        Delivery(sink=sink.name, name="", id=notice_id, notice=notice, link=link)
        for (notice_id, notice), link in zip(notices.items(), links, strict=True)
        if link is not None
    ]
    sending.tally.skip("unlinkable", len(notices) - len(linked))
    if linked:
        location = oss_sink.location_of(sink, notices, sending.invocation.now)
        is_written = oss_sink.write(oss.client_for(sending.invocation), location, linked)
        sending.tally.add("sent" if is_written else "repeated", len(linked))


def _write(
    sending: Sending, matches: Sequence[tuple[NoticeRule, Notice]], names: set[str]
) -> list[Delivery]:
    """Writes an entry for each notice. Returns what is due at once.

    A notice is due when it happened, or at the end (in UTC) of its interval of `every`.
    """
    now = sending.state.now()  # the clock of an instance may be wrong
    deliveries: dict[str, Delivery] = {}
    for position, (rule, notice) in enumerate(matches):
        due = now if notice.happened_at is None else min(notice.happened_at, now)
        if rule.every is not None:
            due = (due // rule.every + 1) * rule.every
        for name in (name for name in rule.to if name in names):
            delivery = outbox.new_delivery(name, due, position, notice, now)
            deliveries.setdefault(delivery.id, delivery)
    failed: list[Delivery] = []

    def put(delivery: Delivery) -> None:
        """After one failed, no other is tried: the event comes again, with the same names."""
        if not failed:
            with _recorded(sending, delivery.sink, unwritten=True):
                if sending.invocation.instance.clock.monotonic() >= sending.deadline:
                    raise HandlerError(
                        "The event has more notices than can be written.", code="event_too_large"
                    )
                outbox.write(sending.state, delivery)
                sending.tally.written.add(delivery.path)
                return
            failed.append(delivery)

    map_concurrently(put, deliveries.values())
    return [
        each
        for each in deliveries.values()
        if not each.notice.digest and each.path in sending.tally.written
    ]


def _serve_all(sending: Sending, due: Mapping[str, Sequence[Delivery]]) -> None:
    """Serves the sinks side by side, so that none waits for one that hangs."""
    map_concurrently(
        lambda name: _serve(sending, name, due[name]),
        [name for name in due if due[name]],
        MAX_SINKS,
    )


def _serve(sending: Sending, name: str, deliveries: Sequence[Delivery]) -> None:
    """Sends what is due while nobody else does, and what became due meanwhile, unless the sink is paused."""
    with _recorded(sending, name):
        queue = sending.queue(name)
        pause = queue.pause()
        if _is_on(pause, sending):
            return
        keys = sending.keys()
        try:
            sink = read_sink(name, keys.sinks.get(name), KINDS)
        except HandlerError as error:
            sending.dead_letter_overdue(deliveries, RETRY_FOR, error.reported().code)
            raise
        if pause is not None:  # a probe is of everything, also where an event comes first
            deliveries = _due(sending, name)
        time = SessionTime(sending.state, name, sending.deadline)
        context = SinkContext(sending=sending, sink=sink, queue=queue, time=time, seen=set())
        session = SinkSession(context, pause)
        while deliveries:
            if not time.begin():
                return  # the holder lists again
            try:
                # Another one may have paused the sink until it released its lease.
                is_changed = not _is_on(queue.pause(), sending) and session.send(deliveries)
            except Exception:
                time.end()
                raise
            time.end()
            due = _due(sending, name) if is_changed else []
            deliveries = [each for each in due if context.seen.isdisjoint((each.name, each.id))]


def _is_on(pause: Pause | None, sending: Sending) -> bool:
    return pause is not None and pause.until > sending.state.clock.earliest()


def _due(sending: Sending, name: str) -> list[Delivery]:
    """The first deliveries to a sink that are due, and as many of those that failed before as come before them."""
    clock = sending.state.clock
    listed = list[Delivery]()
    fresh = 0
    for delivery in sending.queue(name).deliveries():
        listed.append(delivery)
        is_due = delivery.due <= clock.earliest()
        fresh += is_due and not delivery.tries
        if len(listed) >= PAGE and (not is_due or fresh >= PAGE):  # names are in the order of `due`
            break
    now = clock.earliest()
    sending.tally.listed(name, listed, now)
    return [each for each in listed if each.due <= now]


@contextmanager
def _recorded(sending: Sending, sink: str, *, unwritten: bool = False) -> Iterator[None]:
    """Records a failure of the block for the sink, so that others are served."""
    try:
        yield
    except Exception as error:
        sending.tally.fail(sink, error, unwritten=unwritten)
