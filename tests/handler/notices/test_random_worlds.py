"""Random worlds in which notices must arrive: faults at any request, kills, stalls, deployments and operators.

The worlds run the real function and commands in virtual time. After a while all faults end; soon after, nothing waits.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from functools import partial
from io import StringIO
from itertools import chain, product
from types import SimpleNamespace
from typing import NamedTuple
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit

import pytest

from handler import events
from handler.commands import notices
from handler.core.config import Location
from handler.core.context import Instance
from handler.core.outbox import MAX_WRITERS, Notice
from handler.core.request import Request
from handler.notices.sinks import Post
from handler.notices.sinks.client import Network, NoResponse, WebhookResponse
from handler.notices.timing import TRY
from handler.web import app
from signer.times import rfc3339
from tests.git import ROOT
from tests.handler.client import KEYS, context, make_config
from tests.handler.keys_fixtures import api, base64url
from tests.handler.notice_fixtures import HEAD, TIMER_EVENT, WHSEC, notice, record
from tests.handler.simulation import DELIVERED, files_in
from tests.system import MAKER, STATE, share_id
from tests.virtual_time import FAULTS, START, Process, World, each_world

MINUTE, HOUR = 60, 3600  # seconds
TIMEOUT = 120  # seconds of the function
LONGEST = 45 * MINUTE  # until everything was sent that waited when the last fault ended
SKEWS = (0.0, 0.0, 0.7, -50.0, 200.0, 850.0)  # seconds
# Seconds: OSS accepts nothing that is signed so early, until somebody deploys again.
REFUSED_SKEW = -850.0
SINKS = {"hook": "webhook", "chat": "wecom", "digest": "webhook"}
KEYS_KEY = ".links/keys.json"
DONE, LEASE, WAITING, DEAD = (f"{STATE}{folder}/" for folder in ("done", "lease", "outbox", "dead"))
SHARES = f"{STATE}shares/"
INDEX = f"{STATE}index/"
MANIFEST = ".links/notices/"
ID = re.compile(r"[0-9a-f]{32}")
USE = re.compile(rb'"mark": "[^"/]+/([0-9a-f]{32})"')
URL = re.compile(r"https://links\.example\.com/-/s/f[0-9]{6}\.txt\?share=[A-Za-z0-9_-]{22}")
# What a sink does with a message: after the last ones it has it. Some notices may be dead after an hour of the others.
AMBIGUOUS = ("accepted 500", "accepted too_slow", "accepted no_answer")
TURNS = ("400", "500")
# Messages with a file that is refused for two reasons by turns, in an hour: after minutes, then each 15. Pauses are
# random: of 15,000 worlds eight had more than 20, and none more than 30. Where the reasons begin the pauses again,
# there is one a minute.
MAX_TURNS = 30
PRESSED = "/outbox/shared.bin"  # a share with a button
NEVER = ".apk"  # files of which no share can be made
OUTAGES = ("503", "no_connection", "too_slow")
SINK_FAULTS = (*OUTAGES, "400", "429", "accepted late", *AMBIGUOUS)
REASONS = ("status_503", "status_429", "status_500", "no_connection", "too_slow", "no_answer")
OSS_REASONS = ("unreachable", "refused", "wrong_clock", "oss_unavailable", "state_unavailable")


class Delivery(NamedTuple):
    """A message that a sink accepted, from a process; `fault` is what it saw instead of success, `urls` are shares."""

    at: float
    process: Process
    fault: str
    urls: list[str]

    def is_explained(self) -> bool:
        """Whether it may come again: the sender did not learn that it arrived, or could not mark it in time."""
        return self.fault in AMBIGUOUS or any(
            kind in ("killed", "stalled") or (at >= self.at and key.startswith((DONE, LEASE)))
            for at, kind, key in self.process.faults
        )


class Sink:
    """What answers the messages to a sink. It refuses files whose number ends with one of the digits `refused`."""

    def __init__(self, world: World, name: str) -> None:
        dice = world.dice
        self._world, self.name = world, name
        self._rate = dice.choice((0.0, 0.1, 0.5))  # of messages with one of the faults
        self._faults = dice.sample(SINK_FAULTS, dice.randint(1, 3))
        self._refused = dice.choice(("", "", "37", "024"))
        self._by_turns = dice.choice(("", "", "", "1"))
        self.turns: Counter[str] = Counter()  # by file
        self.uses: set[bytes] = set()  # those of which a webhook was notified
        self._outage = (
            world.now + dice.uniform(0, 20) * MINUTE,
            dice.choice((0.0, 2.0, 10.0, 70.0)) * MINUTE,
        )
        self._outage_fault = dice.choice(OUTAGES)
        self.accepted: defaultdict[str, list[Delivery]] = defaultdict(list)  # by file
        world.sinks[f"{name}.invalid"] = self.receive

    def heal(self) -> None:
        self._rate = 0.0
        self._refused = ""
        self._outage = (0.0, 0.0)

    def refuses_by_turns(self, file: str) -> bool:
        """Whether it never takes the file, also after all faults."""
        return file[6] in self._by_turns

    def receive(self, post: Post) -> WebhookResponse:
        world = self._world
        dice = self._world.dice
        process = self._world.thread().process
        files = files_in(post.body)
        fault = dice.choice(self._faults) if dice.random() < self._rate else ""
        if 0 <= world.now - self._outage[0] < self._outage[1]:
            fault = self._outage_fault
        elif any(file[6] in self._refused for file in files):
            fault = "400"
        elif any(map(self.refuses_by_turns, files)):
            for file in files:
                self.turns[file] += len(files) == 1
            fault = TURNS[self.turns[files[0]] % 2]
        process.stall()
        seconds = dice.uniform(0, TRY - 1 if fault == "accepted late" else 0.3)
        if not fault or fault.startswith("accepted"):
            delivery = Delivery(world.now, process, fault, URL.findall(post.body.decode()))
            world.at(world.now + seconds, lambda: self._accept(files, delivery))
            self.uses.update(USE.findall(post.body))
        code = fault.removeprefix("accepted ")
        world.wait(TRY if code == "too_slow" else seconds + 1e-6)
        process.stall()
        if code.startswith(("no_", "too_")):
            raise NoResponse(code)
        return WebhookResponse(int(code) if code.isdigit() else 200, {}, DELIVERED, True)

    def _accept(self, files: Iterable[str], delivery: Delivery) -> None:
        for file in files:
            self.accepted[file].append(delivery)


class Service:
    """The function in several instances, its triggers, its operator, and everything that may fail."""

    def __init__(self, world: World) -> None:
        dice = world.dice
        self.world = world
        world.latency = dice.choice((*(0.02, 0.2) * 5, 1.6))  # of each of three ways
        world.fault_rate = dice.choice((0.0, 0.05, 0.1, 0.3))
        world.faults = dice.sample(FAULTS, dice.randint(1, 3))
        world.stall_rate = dice.choice((0.0, 0.0, 0.001, 0.004))
        world.server_skew = dice.choice((0.0, 0.5))
        world.watch = self._watch
        self.kill_rate = dice.choice((0.0, 0.1, 0.4))  # of invocations and commands
        self.limit = dice.choice((2, 3, 10))  # of instances
        self.sinks = [
            Sink(world, name)
            for name in sorted(dice.sample(sorted(SINKS), dice.choice((1, 1, 2, 3))))
        ]
        self.has_manifest = dice.random() < 0.3  # a sink in OSS
        at_once = [sink.name for sink in self.sinks if sink.name != "digest"] + [
            "manifest"
        ] * self.has_manifest
        toml = HEAD if dice.random() < 0.7 else HEAD.replace("max_share", "check = true\nmax_share")
        gives = {"give": dice.choice(("link", "share"))}
        toml += notice(at_once, **gives) if at_once else ""
        toml += (
            notice(["digest"], every="1m", **gives)
            if "digest" in {sink.name for sink in self.sinks}
            else ""
        )
        # Somebody presses the button of a share, 20 times a second.
        self.presses = dice.choice((*(0,) * 12, 60, 200)) if at_once else 0
        chats = [name for name in at_once if name != "manifest"]
        self.presses *= bool(chats)
        toml += notice(chats, on="used") if self.presses else ""
        self.config = make_config(toml)
        self.gives_shares = gives["give"] == "share"
        self.web = Process(world, skew=dice.choice(SKEWS))
        self.web_instance = Instance(self.config, self.web.clock)
        self.seconds = dice.choice((*(1, 2, 5) * 5, 1, 2, 15, 15, 70)) * MINUTE  # with faults
        self.sizes = dice.choice(((1, 1, 2),) * 19 + ((1, 3, 10, 20),))  # of uploads
        self.uploaded: list[str] = []
        self.older: list[str] = []  # files of which another version wrote the entries
        self.has_ended = False  # the faults
        self.unacknowledged = 0
        self.ids: dict[tuple[str, str], str] = {}  # by sink and file
        self.dropped: set[str] = set()  # ids
        self.revoked: dict[str, str] = {}  # files, by the ids of their shares
        self.lost: Counter[str] = Counter()  # marks by id, and leases by sink
        self._idle: list[tuple[float, Instance]] = []  # with the skews of their clocks
        self._running: set[Process] = set()

    def run(self) -> None:
        world, dice = self.world, self.world.dice
        self.write_keys(self.sinks)
        self.write_older()
        if self.presses:
            world.start(self.web, self.share)
        if dice.random() < 0.2:  # somebody takes a sink out by mistake
            world.at(START + dice.uniform(0, self.seconds), lambda: self.write_keys(self.sinks[1:]))
        deploy = self._idle.clear
        planned = (
            (self.upload, (1, 1, 2, 3)),
            (deploy, (0, 1, 2)),
            (self.operate, (0, 1, 2, 5)),
            (self.lose, (0, 0, 0, 2)),
            (self.revoke, (0, 1, 10)),
        )
        for event, numbers in planned:
            for _ in range(dice.choice(numbers)):
                world.at(START + dice.uniform(0, self.seconds), event)
        world.at(START + self.seconds, self.end_faults)
        world.at(START + dice.uniform(0, MINUTE), self.tick)
        world.run()

    def end_faults(self) -> None:
        self.world.fault_rate = self.world.stall_rate = self.kill_rate = 0.0
        self._idle = [each for each in self._idle if each[0] != REFUSED_SKEW]
        self.has_ended = True
        self.write_keys(self.sinks)
        for sink in self.sinks:
            sink.heal()

    def write_keys(self, sinks: Iterable[Sink]) -> None:
        entries = {
            sink.name: {"kind": SINKS[sink.name], "url": f"https://{sink.name}.invalid/hook"}
            for sink in sinks
        }
        for entry in entries.values():
            entry |= {"retry_for": "1h"} | ({"secret": WHSEC} if entry["kind"] == "webhook" else {})
        document = {
            "version": 1,
            "share": [{"id": "k1", "secret": base64url(b"s" * 32)}],
            "api": [api("maker", MAKER, paths=["/outbox/"], methods=["GET", "SHARE"])],
            "jwt": [],
        }
        self.world.oss.fill({KEYS_KEY: json.dumps({**document, "sinks": entries}).encode()})

    def write_older(self) -> None:
        """Another version left entries with endings that this one does not know."""
        numbers = range(900_000, 900_000 + self.world.dice.choice((0, 0, 3)))
        for sink, number in product(self.sinks, numbers):
            name = f"f{number}.txt"
            entry = Notice(
                on="created",
                mount="/outbox/",
                bucket="examplebucket",
                key=f"outbox/{name}",
                mark="ETAG",
                give="link",
            )
            self.world.oss.fill({entry.key: b"content"})
            self.ids[sink.name, name] = entry.id(sink.name)
            due = f"{int(START)}-000000-{entry.id(sink.name)}"
            ending = self.world.dice.choice(("3", "3s", "3x9-later"))
            key = f"{WAITING}{sink.name}/{due}-{int(START)}-{ending}"
            self.world.oss.fill({key: entry.body()})
            self.older.append(name)

    def share(self) -> None:
        """Makes a share, and presses its button."""
        body = json.dumps({"path": PRESSED, "allow_missing": True, "page": True}).encode()
        headers = {"content-type": "application/json", "authorization": f"Bearer {MAKER}"}
        request = Request("POST", "/-/shares", {}, headers, body, "")
        answer = app.answer(request, lambda: self.web_instance, context(KEYS), request_id="share")
        if answer.status != 201:
            self.world.start(self.web, self.share, after=5.0)
            return
        address = urlsplit(json.loads(answer.body)["url"])
        use = Request("POST", address.path, dict(parse_qsl(address.query)), {}, b"", "")
        for number in range(self.presses):
            self.world.start(self.web, partial(self.press, use), after=number / 20)

    def press(self, use: Request) -> None:
        app.answer(use, lambda: self.web_instance, context(KEYS), request_id="press")

    def lose(self) -> None:
        """Marks and leases are gone."""
        for key in (*self.world.oss.keys(DONE), *self.world.oss.keys(LEASE)):
            if self.world.dice.random() < 0.3:
                self.world.oss.answer("DELETE", Location("examplebucket", key), {}, {})
                self.lost[key.split("/")[3]] += 1

    def revoke(self) -> None:
        """Somebody takes a share back, if there is one."""
        oss = self.world.oss
        for key in self.world.dice.sample(oss.keys(SHARES), min(1, len(oss.keys(SHARES)))):
            record = json.loads(oss.read(key))
            oss.fill({key: json.dumps({**record, "revoked_at": int(self.world.now)}).encode()})
            self.revoked[key[len(SHARES) : -5]] = record["path"].removeprefix("/outbox/")

    def upload(self) -> None:
        """Some new objects, of which the event may come twice."""
        world = self.world
        dice = self.world.dice
        number = len(self.uploaded)
        names = [f"f{number + place:06}.txt" for place in range(dice.choice(self.sizes))]
        if self.gives_shares and not dice.randrange(4):
            names += [f"f{number:06}{NEVER}" for number in range(10)]
        self.uploaded += [name for name in names if not name.endswith(NEVER)]
        world.oss.fill({f"outbox/{name}": b"content" for name in names})
        records = [record(f"outbox/{name}", eventTime=rfc3339(world.now)) for name in names]
        for _ in range(dice.choice((1, 1, 1, 2))):
            self.unacknowledged += 1
            world.at(
                world.now + dice.choice((0, 0, 100)),
                lambda: self.invoke(json.dumps({"events": records}).encode()),
            )

    def tick(self) -> None:
        """A few are missed, during faults half of them; of those that find nothing, most are left out."""
        rate = 0.95 if self.world.now > START + self.seconds else 0.5
        if self.world.dice.random() < (rate if self.world.oss.keys(WAITING) else 0.05):
            self.invoke(TIMER_EVENT)
        if self.world.now < START + self.seconds + LONGEST:
            self.world.at(self.world.now + MINUTE, self.tick)

    def invoke(self, event: bytes) -> None:
        """An invocation, later if too many run."""
        world, dice = self.world, self.world.dice
        if len(self._running) >= self.limit:
            world.at(world.now + dice.uniform(0.5, 30), lambda: self.invoke(event))
            return
        skews = SKEWS if self.has_ended else (*SKEWS, REFUSED_SKEW)
        skew, instance = self._idle.pop() if self._idle else (dice.choice(skews), None)
        process = self._process("event", skew)
        if instance is None:
            instance = Instance(self.config, process.clock)
        instance.clock = process.clock
        self._running.add(process)
        world.start(process, lambda: self._run(process, skew, instance, event))
        world.at(world.now + TIMEOUT, lambda: self._time_out(process, event))

    def _run(self, process: Process, skew: float, instance: Instance, event: bytes) -> None:
        call, is_done = context(KEYS), False
        call.function = SimpleNamespace(timeout=TIMEOUT)
        try:
            events.answer(event, call, lambda: instance, network=Network())
            is_done = True
            if process in self._running and not (self.has_ended and skew == REFUSED_SKEW):
                self._idle.append((skew, instance))
        except events.InvocationFailed:
            pass
        finally:
            self._end(process, event, is_done)

    def _time_out(self, process: Process, event: bytes) -> None:
        if process in self._running and self.world.dice.random() < 0.7:
            process.kill()  # otherwise it goes on, although it counts as failed
        self._end(process, event, False)

    def _end(self, process: Process, event: bytes, is_done: bool) -> None:
        """An event comes again until its invocation succeeds."""
        if process in self._running:
            self._running.remove(process)
            if event != TIMER_EVENT and not is_done:
                self.world.at(
                    self.world.now + self.world.dice.choice((1, 60, 300)),
                    lambda: self.invoke(event),
                )
            self.unacknowledged -= is_done and event != TIMER_EVENT

    def operate(self) -> None:
        """Runs a command, once something is dead."""
        world, dice = self.world, self.world.dice
        if not world.oss.keys(DEAD) and world.now < START + self.seconds:
            world.at(world.now + dice.uniform(0, MINUTE), self.operate)
            return
        sink = ("--sink", dice.choice(self.sinks).name)
        drops = ("drop", "--yes"), ("drop", "--yes", "--waiting", *sink)
        command = dice.choice((("retry",), ("retry",), ("retry", *sink), *drops))
        process = self._process(command[0], dice.choice(SKEWS))
        process.interrupted_in = dice.randint(2, 40) if dice.random() < 0.1 else 0
        world.start(
            process, lambda: notices.main([*command, "--endpoint", "internal"], clock=process.clock)
        )

    def _process(self, job: str, skew: float) -> Process:
        process, dice = Process(self.world, skew=skew), self.world.dice
        process.job, waits = job, 80 if job == "event" else 25
        process.dies_in = dice.randint(2, waits) if dice.random() < self.kill_rate else 0
        return process

    def _watch(self, job: str, method: str, location: Location, body: bytes) -> None:
        key, found = location.key, ID.search(location.key)
        if found and method == "PUT" and key.startswith(WAITING) and body:
            self.ids[key.split("/")[3], json.loads(body)["key"].removeprefix("outbox/")] = found[0]
        if found and method == "DELETE" and job == "drop":
            self.dropped.add(found[0])

    def violations(self, log: str) -> Iterator[str]:
        oss = self.world.oss
        may_wait = {
            (sink.name, file)
            for sink, file in product(self.sinks, (*self.uploaded, *self.older))
            if sink.refuses_by_turns(file)
        }
        for key in oss.keys(WAITING):
            file = json.loads(oss.read(key))["key"].removeprefix("outbox/")
            if not file.endswith(NEVER) and (key.split("/")[3], file) not in may_wait:
                yield f"waits: {key}"
        if self.unacknowledged:
            yield f"{self.unacknowledged} events failed to the end"
        allowed = ("status_400", *((*REASONS, *OSS_REASONS) if self.seconds > HOUR else ()))
        dead = {
            found[0]: json.loads(oss.read(key))["reason"]
            for key in oss.keys(DEAD)
            if (found := ID.search(key))
        }
        yield from (
            f"{reason} made {notice_id} dead"
            for notice_id, reason in dead.items()
            if reason not in (*allowed, "app_package_domain")
            and notice_id not in {self.ids.get(each) for each in may_wait}
        )
        yield from self.violations_of_uses(log, len(dead) + len(self.dropped))
        shares = {key[len(SHARES) : -5]: json.loads(oss.read(key)) for key in oss.keys(SHARES)}
        listed = {key[-12:] for key in oss.keys(INDEX)}
        yield from (
            f"{share} opens again" for share in self.revoked if shares[share]["revoked_at"] is None
        )
        # All within half the lifetime of a share.
        paths = Counter(record["path"] for record in shares.values())
        del paths[PRESSED]
        yield from (f"{path} has {count} shares" for path, count in paths.items() if count > 1)
        sent = {
            url
            for sink in self.sinks
            for each in chain(*sink.accepted.values())
            for url in each.urls
        }
        yield from (
            f"{url} is in no list" for url in sent if share_id(url) not in shares.keys() & listed
        )
        objects = [oss.read(key) for key in oss.keys(MANIFEST)]
        written = Counter(
            json.loads(line)["key"][7:] for body in objects for line in body.splitlines()
        )
        for file in self.uploaded if self.has_manifest else ():
            if written[file] != 1 and file not in self.revoked.values():
                yield f"{file} is {written[file]} times in OSS"
        for sink in self.sinks:
            for file, turns in sink.turns.items():
                if turns > MAX_TURNS * (1 + self.seconds / HOUR):
                    yield f"{file} was refused {turns} times by {sink.name}"
            for file in (*self.uploaded, *set(self.older)):
                deliveries, notice_id = sink.accepted[file], self.ids.get((sink.name, file))
                is_gone = (
                    notice_id in dead or notice_id in self.dropped or file in self.revoked.values()
                )
                if not deliveries and not is_gone and (sink.name, file) not in may_wait:
                    yield f"{file} is lost for {sink.name}"
                lost = self.lost[notice_id or ""] + self.lost[sink.name]
                if sum(not delivery.is_explained() for delivery in deliveries) > 1 + lost:
                    yield f"{file} came {len(deliveries)} times to {sink.name}"

    def violations_of_uses(self, log: str, gone: int) -> Iterator[str]:
        """Who got a link was noticed, unless the log says that it was not written."""
        lines = [json.loads(line) for line in log.splitlines() if '"request_id":"press"' in line]
        uses = sum(line["status"] == 303 and not line["code"] for line in lines)
        for sink in self.sinks:
            if sink.name == "hook" and len(sink.uses) + gone < uses:
                yield f"{uses} uses, of which {sink.name} was notified of {len(sink.uses)}"
        if self.web.most_left_alone > MAX_WRITERS:
            yield f"{self.web.most_left_alone} writers of uses waited at once"


def live(world: World) -> Iterable[str]:
    service = Service(world)
    with (
        patch.object(notices, "config", lambda: service.config),
        redirect_stdout(StringIO()) as log,
    ):
        service.run()
    return service.violations(log.getvalue())


def check(seeds: Iterable[int], live: Callable[[World], Iterable[str]] = live) -> None:
    keys = {"OSS_ACCESS_KEY_ID": "LTAI5tEXAMPLE", "OSS_ACCESS_KEY_SECRET": "EXAMPLE"}
    with patch.dict("os.environ", keys), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        each_world(seeds, live)


def last_throw(seed: int) -> float:
    """Of the dice of a world, once it has ended: it tells worlds apart in which anything came in another order."""
    throws: list[float] = []

    def live_and_throw(world: World) -> Iterable[str]:
        yield from live(world)
        throws.append(world.dice.random())

    check([seed], live_and_throw)
    return throws[0]


def test_a_world_is_the_same_in_every_process() -> None:
    """Otherwise one that failed would hold when somebody looks at it."""
    program = f"from {__name__} import last_throw; print(last_throw(20_163))"
    throws = {
        subprocess.check_output(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            timeout=60,
        )
        for seed in ("1", "2", "3")
    }
    assert len(throws) == 1


def test_every_notice_arrives_and_repeats_have_a_reason() -> None:
    check(range(20_000, 20_100))


@pytest.mark.ci
@pytest.mark.parametrize("first", range(20_100, 20_500, 100))
def test_in_more_worlds_every_notice_arrives(first: int) -> None:
    check(range(first, first + 100))


@pytest.mark.long
@pytest.mark.parametrize("first", range(30_000, 45_000, 200))
def test_in_many_more_worlds_every_notice_arrives(first: int) -> None:
    check(range(first, first + 200))
