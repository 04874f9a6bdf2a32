"""Kills instances of the event function, and its OSS, at random moments, and records what the sinks receive.

Nothing is simulated but Function Compute, the sinks and OSS: instances and OSS are processes of their own that SIGKILL
ends, time is the machine's, and the leases are those that are deployed. As in Function Compute, an instance runs one
event at a time, and an event whose instance was killed, or that failed, is run again.

`python -m tests.handler.notices.kills instance|oss …` are these processes; both end with their standard input.
"""

from __future__ import annotations

import base64
import json
import os
import queue
import random
import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from handler import events
from handler.config import load
from handler.errors import HandlerError
from handler.notices.sinks.client import Network
from handler.times import Clock
from signer import Credentials

ROOT = Path(__file__).parents[3]
EVENTS = ROOT / "tests" / "data" / "events"
TIMER_EVENT = (EVENTS / "timer.json").read_bytes()
RECORD = json.loads((EVENTS / "oss-trigger.json").read_text("utf-8"))["events"][0]
REGION, BUCKET, STATE = "cn-hangzhou", "examplebucket", ".links/state/"
KEYS = Credentials("STS.EXAMPLE", "secretEXAMPLE", "CAIS+token/EXAMPLE==")
TIMEOUT = 120  # seconds of an invocation, as in s.yaml
ARRIVING = 0.75  # of the time in which processes are killed
RETRY_AFTER = 1.0  # seconds until a failed event is run again

LINKS = """
region = "cn-hangzhou"
keys = "file:${LINK_KEYS}"
state = "oss://examplebucket/.links/state/"
public_url = "https://links.example.com"

[[mount]]
path = "/outbox/"
target = "oss://examplebucket/outbox/"
max_share = "30d"

[[notice]]
on = "created"
mount = "/outbox/"
to = ["webhook"]

[[notice]]
on = "created"
mount = "/outbox/"
to = ["feishu", "dingtalk"]
give = "share"

[[notice]]
on = "created"
mount = "/outbox/"
to = ["digest"]
every = "1m"
"""
WINDOW = 60  # seconds of `every`


class SinkKind(NamedTuple):
    """`latency`: the most seconds until it answers; `parallel`: messages that one instance sends at the same time."""

    kind: str
    secret: str
    answer: bytes
    latency: float
    parallel: int = 1


WHSEC = "whsec_" + base64.b64encode(b"an example of 32 bytes, no more!").decode()
SINKS = {
    "webhook": SinkKind("webhook", WHSEC, b"ok", 0.5, parallel=8),
    "digest": SinkKind("webhook", WHSEC, b"ok", 3.0),
    "feishu": SinkKind("feishu", "example", b'{"code": 0}', 1.5),
    "dingtalk": SinkKind("dingtalk", "SECexample", b'{"errcode": 0}', 1.5),
}


class Scale(NamedTuple):
    """`seconds` is how long objects arrive and processes are killed; ticks are `tick` seconds apart until then, then
    `last_tick` seconds.
    """

    objects: int
    instance_kills: int
    oss_kills: int
    seconds: float
    instances: int = 8
    tick: float = 10.0
    last_tick: float = 60.0


class Delivery(NamedTuple):
    """A message that a sink received entirely at `at` (Unix seconds), from the instance with this number."""

    sink: str
    instance: int
    at: float
    objects: frozenset[str]


class Kill(NamedTuple):
    """An instance was killed at `at` (Unix seconds), while it ran an event or while it waited for one."""

    at: float
    is_busy: bool


class Outage(NamedTuple):
    """OSS was killed and started again (Unix seconds)."""

    began: float
    ended: float


@dataclass
class Record:
    """What happened. Times are in Unix seconds; `kills` are by the number of the instance, which dies only once."""

    submitted: dict[str, float] = field(default_factory=dict)
    deliveries: list[Delivery] = field(default_factory=list)
    kills: dict[int, Kill] = field(default_factory=dict)
    outages: list[Outage] = field(default_factory=list)
    codes: Counter[str] = field(default_factory=Counter)  # of failed invocations
    tries: int = 0  # of the event that was run most often
    longest: float = 0.0  # seconds of an invocation
    left: list[str] = field(default_factory=list)  # names in the state prefix after the second tick, and at the end
    log: list[dict[str, Any]] = field(default_factory=list)  # audit lines

    @property
    def last_kill(self) -> float:
        return max([*(kill.at for kill in self.kills.values()), *(outage.ended for outage in self.outages)])


class Inbox:
    """All sinks, in this process; the path of a message names its sink and the instance that sent it."""

    def __init__(self, record: Record, chance: random.Random) -> None:
        inbox = self
        self._record = record
        self._chance = chance

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                with suppress(OSError):
                    inbox._receive(self)

            def log_message(self, *arguments: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _receive(self, request: BaseHTTPRequestHandler) -> None:
        length = int(request.headers["Content-Length"])
        body = request.rfile.read(length)
        if len(body) < length:  # its sender was killed
            return
        _, sink, instance = request.path.partition("?")[0].split("/")
        objects = frozenset(found.decode() for found in re.findall(rb"object-[0-9]{5}", body))
        self._record.deliveries.append(Delivery(sink, int(instance), time.time(), objects))
        kind = SINKS[sink]
        time.sleep(self._chance.uniform(0, kind.latency))
        request.send_response(200)
        request.send_header("Content-Length", str(len(kind.answer)))
        request.end_headers()
        request.wfile.write(kind.answer)


class Child:
    """A process of this module: one line in, one line out. What it logs goes to a file."""

    def __init__(self, log: Path, *arguments: str) -> None:
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.handler.notices.kills", *arguments],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )

    def write(self, line: bytes) -> None:
        """Writes to a process that may have been killed."""
        assert self._process.stdin
        with suppress(OSError):
            self._process.stdin.write(line + b"\n")
            self._process.stdin.flush()

    def read(self) -> bytes:
        """The next line, empty once the process has ended."""
        assert self._process.stdout
        line = self._process.stdout.readline()
        return line if line.endswith(b"\n") else b""

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                with suppress(OSError):
                    pipe.close()


class Oss:
    """The local OSS as a process, always on the same port and with the same folder."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        self.root = folder / "oss"
        self._log = folder / "oss.log"
        self._port = _free_port(chance)
        self.url = f"http://127.0.0.1:{self._port}"
        self._child: Child | None = None
        self.start()

    def start(self) -> None:
        self._child = Child(self._log, "oss", str(self.root), str(self._port))
        assert self._child.read() == b"ready\n", self._log.read_text("utf-8")

    def kill(self) -> None:
        if self._child is not None:
            self._child.close()


class Instance:
    """One instance of the function at a time: a new process with a new number follows one that was killed."""

    def __init__(self, start: Callable[[], tuple[int, Child]]) -> None:
        self._start = start
        self._child: Child | None = None
        self._number = 0
        self._lock = threading.Lock()
        self.is_busy = False

    def start(self) -> None:
        """Starts a process where none runs, and waits until it is ready for events."""
        with self._lock:
            if self._child is None:
                self._number, self._child = self._start()
                self._child.read()

    def invoke(self, request: bytes) -> dict[str, Any] | None:
        """The response to an event, None if the instance was killed."""
        self.start()
        with self._lock:
            child = self._child
            self.is_busy = child is not None
        if child is None:  # killed since
            return None
        child.write(request)
        line = child.read()
        with self._lock:
            self.is_busy = False
            if line:
                response: dict[str, Any] = json.loads(line)
                return response
            child.close()
            self._child = None
            return None

    def kill(self, kills: dict[int, Kill]) -> bool:
        """Kills the process, and notes when. False if none runs."""
        with self._lock:
            if self._child is None or self._number in kills:
                return False
            kills[self._number] = Kill(time.time(), self.is_busy)
            self._child.kill()
            if not self.is_busy:
                self._child.close()
                self._child = None
            return True

    def close(self) -> None:
        with self._lock:
            if self._child is not None:
                self._child.close()


class Job(NamedTuple):
    event: bytes
    request_id: str
    tries: int = 1


class Function:
    """Runs events asynchronously, and again until each has succeeded."""

    def __init__(self, folder: Path, record: Record, oss: Oss, inbox: Inbox, count: int) -> None:
        self._folder, self._record, self._oss, self._inbox = folder, record, oss, inbox
        self._links = folder / "links.toml"
        self._links.write_text(LINKS)
        self.log = folder / "instances.log"
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._pending = 0
        self._numbers = iter(range(1, 1_000_000))
        self._changed = threading.Condition()
        self._is_closed = threading.Event()
        self.instances = [Instance(self._start) for _ in range(count)]
        self._threads = [threading.Thread(target=self._run, args=(each,), daemon=True) for each in self.instances]
        for thread in self._threads:
            thread.start()

    @property
    def pending(self) -> int:
        return self._pending

    def submit(self, event: bytes) -> None:
        with self._changed:
            self._pending += 1
        self._queue.put(Job(event, f"req-{random.randbytes(6).hex()}"))

    def wait(self, timeout: float) -> bool:
        """Waits until every event has succeeded."""
        with self._changed:
            return self._changed.wait_for(lambda: self._pending == 0, timeout)

    def close(self) -> None:
        self._is_closed.set()
        for _ in self._threads:
            self._queue.put(None)
        for instance in self.instances:
            instance.close()
        for thread in self._threads:
            thread.join(timeout=10)
        for instance in self.instances:  # one that was being started
            instance.close()

    def _start(self) -> tuple[int, Child]:
        """An instance with its own keys document, so that its messages carry its number."""
        number = next(self._numbers)
        sinks: dict[str, dict[str, Any]] = {}
        for name, kind in SINKS.items():
            url = f"{self._inbox.url}/{name}/{number}"
            sinks[name] = {"kind": kind.kind, "url": url, "secret": kind.secret, "allow_loopback": True}
        share = [{"id": "k1", "secret": base64.urlsafe_b64encode(b"s" * 32).rstrip(b"=").decode()}]
        keys = self._folder / f"keys-{number}.json"
        keys.write_text(json.dumps({"version": 1, "share": share, "api": [], "jwt": [], "sinks": sinks}))
        return number, Child(self.log, "instance", str(self._links), str(keys), self._oss.url)

    def _run(self, instance: Instance) -> None:
        instance.start()
        while (job := self._queue.get()) is not None and not self._is_closed.is_set():
            began = time.monotonic()
            request = {"event": job.event.decode(), "request_id": job.request_id}
            response = instance.invoke(json.dumps(request).encode())
            if self._is_closed.is_set():
                return
            self._record.longest = max(self._record.longest, time.monotonic() - began)
            self._record.tries = max(self._record.tries, job.tries)
            if response is not None and "code" not in response:
                with self._changed:
                    self._pending -= 1
                    self._changed.notify_all()
                continue
            if response is not None:
                self._record.codes[response["code"]] += 1
            timer = threading.Timer(RETRY_AFTER, self._queue.put, (job._replace(tries=job.tries + 1),))
            timer.daemon = True
            timer.start()
            instance.start()


class Experiment:
    """Objects arrive and processes are killed at moments that `chance` chooses; then two ticks do the rest.

    Some events come twice while that goes on, and after the end, when they must not send anything.
    """

    def __init__(self, scale: Scale, chance: random.Random, folder: Path, report: Callable[[str], None]) -> None:
        self.record = Record()
        self._scale, self._chance, self._report = scale, chance, report
        self._events: list[bytes] = []
        self._ended = threading.Event()
        self._inbox = Inbox(self.record, random.Random(chance.random()))
        try:
            self._oss = Oss(folder, chance)
        except BaseException:
            self._inbox.close()
            raise
        self._function = Function(folder, self.record, self._oss, self._inbox, scale.instances)

    def close(self) -> None:
        self._ended.set()
        self._function.close()
        self._oss.kill()
        self._inbox.close()

    def run(self) -> Record:
        scale, began = self._scale, time.time()
        acts = [
            self._acts(began, self._arrivals()),
            self._acts(began, [(at, self._kill_instance) for at in self._moments(scale.instance_kills)]),
            self._acts(began, [(at, self._kill_oss) for at in self._moments(scale.oss_kills)]),
        ]
        with ThreadPoolExecutor(len(acts) + 1) as pool:
            try:
                running = [pool.submit(act) for act in acts]
                ticks = pool.submit(self._tick)
                self._follow(began, running)
                self._ended.set()
                ticks.result()
            finally:
                self._ended.set()
        for number in (1, 2):
            self._sleep_until(self.record.last_kill + number * scale.last_tick)
            self._function.submit(TIMER_EVENT)
        assert self._function.wait(2 * TIMEOUT), "events are still running"
        self.record.left = self._names()
        self._report(f"{round(time.time() - began)} s: the second tick has ended")
        self._repeat_events(10)
        assert self._function.wait(2 * TIMEOUT), "events are still running"
        self._function.submit(TIMER_EVENT)
        assert self._function.wait(2 * TIMEOUT), "events are still running"
        self.record.left += self._names()
        self.record.log = [json.loads(line) for line in self._function.log.read_bytes().splitlines()]
        return self.record

    def _follow(self, began: float, running: list[Future[None]]) -> None:
        """Reports every 30 s until all have ended, and raises what one of them raised."""
        next_report = began
        while not all(future.done() for future in running):
            if time.time() >= next_report:
                next_report += 30
                record, seconds = self.record, round(time.time() - began)
                self._report(
                    f"{seconds} s: {len(record.submitted)} objects, {len(record.deliveries)} messages, killed: "
                    f"{len(record.kills)} instances, {len(record.outages)} OSS; {self._function.pending} events"
                )
            time.sleep(0.2)
            for future in running:
                if future.done():
                    future.result()

    def _acts(self, began: float, acts: list[tuple[float, Callable[[], None]]]) -> Callable[[], None]:
        def run() -> None:
            for after, act in acts:
                if self._ended.wait(max(0.0, began + after - time.time())):
                    return
                act()

        return run

    def _moments(self, count: int) -> list[float]:
        """Seconds after the beginning."""
        return sorted(self._chance.uniform(0, self._scale.seconds) for _ in range(count))

    def _arrivals(self) -> list[tuple[float, Callable[[], None]]]:
        """Events of one object, as OSS's trigger sends them, and of many, as a queue does."""
        names = [f"object-{number:05}" for number in range(self._scale.objects)]
        groups = []
        while names:
            size = self._chance.choice((1, 1, 1, 1, 5, 20, 50))
            groups.append(names[:size])
            names = names[size:]
        moments = [at * ARRIVING for at in self._moments(len(groups))]
        return [(at, lambda group=group: self._arrive(group)) for at, group in zip(moments, groups, strict=True)]  # type: ignore[misc]

    def _arrive(self, names: list[str]) -> None:
        now = time.time()
        self.record.submitted |= dict.fromkeys(names, now)
        at = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(now))
        records = []
        for name in names:
            document = json.loads(json.dumps(RECORD))
            document["eventTime"] = at
            document["oss"]["object"] |= {"key": f"outbox/{name}.txt", "eTag": name.upper(), "size": 1234}
            records.append(document)
        self._events.append(json.dumps({"events": records}).encode())
        self._function.submit(self._events[-1])

    def _tick(self) -> None:
        while not self._ended.wait(self._scale.tick):
            self._function.submit(TIMER_EVENT)
            self._repeat_events(1)

    def _repeat_events(self, count: int) -> None:
        """Earlier events come again, as triggers deliver events at least once."""
        for _ in range(count if self._events else 0):
            self._function.submit(self._chance.choice(self._events))

    def _kill_instance(self) -> None:
        """Kills every second time one that runs an event, if necessary after random pauses; otherwise any instance."""
        only_busy = self._chance.random() < 0.5
        while not self._ended.is_set():
            instances = [each for each in self._function.instances if each.is_busy or not only_busy]
            if instances and self._chance.choice(instances).kill(self.record.kills):
                return
            time.sleep(self._chance.uniform(0, 0.1))

    def _kill_oss(self) -> None:
        began = time.time()
        self._oss.kill()
        time.sleep(self._chance.uniform(0, 2))
        self._oss.start()
        self.record.outages.append(Outage(began, time.time()))

    def _names(self) -> list[str]:
        from local.oss.storage import Buckets

        bucket = Buckets(self._oss.root).get(BUCKET)
        assert bucket is not None
        return [key[len(STATE) :] for key in bucket.all_keys() if key.startswith(STATE)]

    def _sleep_until(self, moment: float) -> None:
        time.sleep(max(0.0, moment - time.time()))


@contextmanager
def experiment(scale: Scale, seed: int, folder: Path, report: Callable[[str], None] = print) -> Iterator[Experiment]:
    """Ends every process at the end of the block."""
    started = Experiment(scale, random.Random(seed), folder, report)
    try:
        yield started
    finally:
        started.close()


def _free_port(chance: random.Random) -> int:
    """One below those that the system gives to clients, so that nobody takes it while OSS is down."""
    while True:
        port = chance.randrange(20_000, 32_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _lines() -> Iterator[bytes]:
    """The lines of the standard input; the process ends with it, whatever it does at that time."""
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read() -> None:
        for line in sys.stdin.buffer:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield lines.get()


def _instance(links_toml: str, keys: str, oss_url: str) -> None:
    """Answers events, one at a time."""
    answers, sys.stdout = sys.stdout, sys.stderr  # audit lines go to the log
    config = load.load(links_toml, {"LINK_KEYS": keys, "LINK_OSS_ENDPOINT": oss_url})
    credentials = SimpleNamespace(
        access_key_id=KEYS.access_key_id,
        access_key_secret=KEYS.access_key_secret,
        security_token=KEYS.security_token,
    )
    print("ready", file=answers, flush=True)
    for line in _lines():
        request = json.loads(line)
        context = SimpleNamespace(
            request_id=request["request_id"], credentials=credentials, function=SimpleNamespace(timeout=TIMEOUT)
        )
        try:
            response = events.answer(request["event"], context, lambda: config, network=Network(), clock=Clock())
        except HandlerError as error:
            response = {"code": error.code}
        print(json.dumps(response), file=answers, flush=True)


def _serve_oss(root: str, port: str) -> None:
    from local.oss import create_app
    from local.server import listen, serve

    listener = listen(int(port))
    serve(create_app(Path(root), region=REGION, credentials=[KEYS], buckets=[BUCKET]), listener)
    print("ready", flush=True)
    for _ in _lines():
        pass


if __name__ == "__main__":
    _role, *_arguments = sys.argv[1:]
    _instance(*_arguments) if _role == "instance" else _serve_oss(*_arguments)
