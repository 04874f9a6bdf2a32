"""From notices to sinks: who is told at once, what waits for a timer, and what became of each."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from threading import Lock
from typing import TypeVar

from .. import audit, oss, state
from ..config import NoticeRule, OssSink
from ..context import Invocation
from ..errors import HandlerError, Problem
from ..keys import cache
from ..state import State
from ..times import Clock
from . import digests
from . import leases as claims
from .leases import Busy, Done, Lease
from .notice import Giver, Notice, rule_id
from .sinks import KINDS, Kind, Sink, Told, messages, read_sink
from .sinks import oss as objects
from .sinks.client import Network
from .sinks.delivery import Failed, deliver

THREADS = 8  # threads that wait for OSS and for webhooks
MOST_PARTS = 10  # messages of one digest in one invocation; DingTalk and WeCom take 20 a minute

Known = dict[str, Notice]
Leases = dict[str, Lease]
Thing = TypeVar("Thing")
Result = TypeVar("Result")


class Tally:
    """What became of the notices; `failed` names sinks and codes, and nothing that was sent or answered."""

    def __init__(self) -> None:
        self._lock = Lock()
        self.counts: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.failed: set[tuple[str, str]] = set()

    def add(self, what: str, count: int) -> None:
        """Counts told, repeated, queued or not_marked notices."""
        with self._lock:
            self.counts[what] += count

    def skip(self, why: str, count: int = 1) -> None:
        with self._lock:
            self.skipped[why] += count

    def fail(self, sink: str, code: str) -> None:
        with self._lock:
            self.failed.add((sink, code))


class Teller:
    """What one invocation has to tell with. `nonce` is its own, `deadline` is of `clock.monotonic`."""

    def __init__(
        self, invocation: Invocation, giver: Giver, nonce: str, network: Network, clock: Clock, deadline: float
    ) -> None:
        self.tally = Tally()
        self._invocation = invocation
        self._giver = giver
        self._nonce = nonce
        self._network = network
        self._clock = clock
        self._deadline = deadline
        self._paced: dict[str, float] = {}

    def tell(self, notices: Iterable[Notice]) -> None:
        """Tells every sink of every notice, or leaves it for a timer; a failure of one sink is none of another."""
        own = {sink.name: sink for sink in self._invocation.config.sinks}
        now: dict[str, Known] = {}
        waiting: dict[tuple[str, NoticeRule], Known] = {}
        for notice in notices:
            for name in notice.rule.to:
                known = (
                    now.setdefault(name, {})
                    if notice.rule.every is None
                    else waiting.setdefault((name, notice.rule), {})
                )
                known[notice.id(name)] = notice
        for name, known in now.items():
            if name in own:
                self._guarded(name, self._write, own[name], known)
        for (name, rule), known in waiting.items():
            self._guarded(name, self._queue, name, rule, known)
        for name, known in now.items():
            if name not in own:
                self._guarded(name, self._send, name, known)

    def send_digests(self) -> None:
        """Sends what waits and is due."""
        for rule in self._invocation.config.notices:
            if rule.every is not None:
                for name in rule.to:
                    self._guarded(name, self._digest, name, rule)

    def _guarded(self, sink: str, act: Callable[..., None], *arguments: object) -> None:
        try:
            act(*arguments)
        except (Failed, HandlerError) as error:  # among them the 503 of a state or of keys that are not there
            self.tally.fail(sink, error.code)
        except Exception as error:  # a fault of our own with one sink is none of the others
            self.tally.fail(sink, "internal_error")
            audit.write({"sink": sink, "fault": audit.fault(error)})

    def _write(self, sink: OssSink, known: Known) -> None:
        """One object for all; where it is there already, nothing is made."""
        invocation = self._invocation
        moment = min((n.happened_at for n in known.values() if n.happened_at is not None), default=invocation.now)
        place = objects.place_of(sink, known, moment)
        store = oss.client_for(invocation)
        tolds = self._tolds(known)
        if not tolds:
            return
        self.tally.add("told" if objects.write(store, place, tolds) else "repeated", len(tolds))

    def _queue(self, name: str, rule: NoticeRule, known: Known) -> None:
        kept = self._state()

        def leave(leases: Leases, began: float) -> None:
            entries = [{"id": notice_id, **known[notice_id].entry()} for notice_id in leases]
            digests.append(kept, stream_of(name, rule), entries, f"{self._nonce}-{next(iter(leases))}")
            self._mark(kept, leases)
            self.tally.add("queued", len(leases))
            leases.clear()

        self._with_leases(kept, known, leave)

    def _send(self, name: str, known: Known) -> None:
        """Tells in as few messages as the service takes; what was told before is left out of them."""
        kind, sink = self._sink(name)
        kept = self._state()
        gone: list[str] = []

        def one(batch: tuple[Told, ...]) -> None:
            """Claims, sends and marks one message; when the sink is gone, the others wait for it."""
            if gone:
                return
            try:
                by_id = {told.id: told for told in batch}

                def tell(leases: Leases, began: float) -> None:
                    tolds = tuple(by_id[notice_id] for notice_id in leases)
                    self._deliver(kind, sink, id_of(leases), tolds, began)
                    self._mark(kept, leases)
                    self.tally.add("told", len(tolds))
                    leases.clear()

                self._with_leases(kept, by_id, tell)
            except Failed as error:
                if not error.is_of_the_message:
                    gone.append(error.code)
                self.tally.fail(name, error.code)
            except HandlerError as error:
                gone.append(error.code)
                self.tally.fail(name, error.code)

        tolds = self._tolds(known)
        if sink.kind == "webhook":
            # Each by itself, under its own id.
            at_once(one, ((told,) for told in tolds))
        else:
            for batch in messages(kind, tolds):
                one(batch)

    def _pace(self, kind: Kind, name: str) -> None:
        """Waits as long as the service wants to be left alone after a message. Raises `Failed` where time is short."""
        if not kind.PACE:
            return
        now = self._clock.monotonic()
        pause = self._paced.get(name, now) - now
        if pause > 0:
            if now + pause >= self._deadline:
                raise Failed("out_of_time")
            self._clock.sleep(pause)
        self._paced[name] = self._clock.monotonic() + kind.PACE

    def _with_leases(self, kept: State, known: Iterable[str], act: Callable[[Leases, float], None]) -> None:
        """Acts on what is not told, under leases. What `act` leaves in them is given up.

        What is in other hands comes last, one by one and with patience: nobody waits while he holds a lease.
        """

        def one(notice_id: str) -> Lease | Done | HandlerError:
            try:
                return claims.take(kept, f"notices/{notice_id}", self._nonce, self._clock, self._clock.monotonic())
            except HandlerError as error:
                return error

        began = self._clock.monotonic()
        found = dict(zip(known, at_once(one, known), strict=True))
        leases = {notice_id: lease for notice_id, lease in found.items() if isinstance(lease, Lease)}
        faults = [fault for fault in found.values() if isinstance(fault, HandlerError) and not isinstance(fault, Busy)]
        self.tally.add("repeated", sum(isinstance(lease, Done) for lease in found.values()))
        self._act(kept, leases, began, act, faults)
        for notice_id in (notice_id for notice_id, lease in found.items() if isinstance(lease, Busy)):
            lease = claims.take(kept, f"notices/{notice_id}", self._nonce, self._clock, self._deadline)
            if isinstance(lease, Done):
                self.tally.add("repeated", 1)
            else:
                self._act(kept, {notice_id: lease}, self._clock.monotonic(), act, [])

    def _act(
        self,
        kept: State,
        leases: Leases,
        began: float,
        act: Callable[[Leases, float], None],
        faults: list[HandlerError],
    ) -> None:
        try:
            if faults:
                raise faults[0]
            if leases:
                act(leases, began)
        finally:
            at_once(lambda lease: claims.release(kept, lease), leases.values())

    def _digest(self, name: str, rule: NoticeRule) -> None:
        kind, sink = self._sink(name)
        kept, stream = self._state(), stream_of(name, rule)
        began = self._clock.monotonic()
        digest = digests.take(kept, stream, rule.every or 0, self._nonce, self._clock)
        if digest is None:
            return
        known = {
            entry["id"]: Notice(rule, **{field: value for field, value in entry.items() if field != "id"})
            for entry in digest.entries
        }
        ids, sent = list(known), digest.position.sent
        try:
            tolds = self._tolds({notice_id: known[notice_id] for notice_id in ids[sent:]})
            for number, batch in enumerate(messages(kind, tolds)):
                if number == MOST_PARTS:
                    digests.release(kept, digest, sent)
                    return
                message_id = id_of((stream, str(digest.position.number), str(sent)))
                self._deliver(kind, sink, message_id, batch, began)
                sent = ids.index(batch[-1].id) + 1
                self.tally.add("told", len(batch))
        except BaseException:
            digests.release(kept, digest, sent)
            raise
        if not digests.finish(kept, stream, digest):
            self.tally.add("not_marked", len(ids))

    def _deliver(self, kind: Kind, sink: Sink, message_id: str, batch: tuple[Told, ...], began: float) -> None:
        self._pace(kind, sink.name)
        deadline = min(self._deadline, began + claims.SEND)
        deliver(kind, sink, message_id, batch, network=self._network, clock=self._clock, deadline=deadline)

    def _tolds(self, known: Mapping[str, Notice]) -> list[Told]:
        tolds = (self._giver.told(notice, notice_id) for notice_id, notice in known.items())
        return [told for told in tolds if told is not None]

    def _mark(self, kept: State, leases: Leases) -> None:
        marked = at_once(lambda lease: claims.finish(kept, lease), leases.values())
        if not all(marked):
            self.tally.add("not_marked", marked.count(False))

    def _state(self) -> State:
        kept = state.state_for(self._invocation)
        kept.probe(self._invocation.now)
        return kept

    def _sink(self, name: str) -> tuple[Kind, Sink]:
        keys = cache.current_keys(self._invocation)
        entry = keys.sinks.get(name)
        if entry is None:
            raise Problem("unknown_sink", f"There is no sink {name}: name it in the keys document's sinks.")
        sink = read_sink(name, entry, KINDS)
        return KINDS[sink.kind], sink


def at_once(act: Callable[[Thing], Result], things: Iterable[Thing]) -> list[Result]:
    """What `act` makes of each, in order; several wait for their answers together."""
    found = list(things)
    if len(found) < 2:
        return [act(thing) for thing in found]
    with ThreadPoolExecutor(min(THREADS, len(found))) as pool:
        return list(pool.map(act, found))


def stream_of(name: str, rule: NoticeRule) -> str:
    """The digest's stream of a rule and a sink."""
    return sha256(json.dumps([rule_id(rule), name]).encode()).hexdigest()[:24]


def id_of(parts: Iterable[str]) -> str:
    """A message's id: that of its one notice, or one made of all of theirs."""
    found = list(parts)
    if len(found) == 1:
        return f"notice_{found[0]}"
    return f"digest_{sha256(json.dumps(found).encode()).hexdigest()[:32]}"
