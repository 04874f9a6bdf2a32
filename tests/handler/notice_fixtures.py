"""The event function with its OSS in memory or on the loopback, events for it, and sinks that listen there."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, NoReturn

from handler import events
from handler.core.cloud import store
from handler.core.cloud.oss_clock import OssMemory
from handler.core.cloud.store import Store
from handler.core.config import Config, Location
from handler.core.context import Clock
from handler.core.errors import HandlerError
from handler.notices.sink_queue import SinkQueue
from handler.notices.sinks.client import Network
from handler.notices.timing import SLOT
from signer.times import rfc3339
from tests.handler.client import EVENTS, KEYS, NOW, Answered, context, new_instance
from tests.handler.keys_fixtures import base64url, config_with
from tests.http_server import Handler, http_server
from tests.local_oss import BUCKET, FakeClock, LocalOss, local_oss
from tests.memory_oss import memory_oss
from tests.system import STATE, System

_OSS_TRIGGER = (EVENTS / "oss-trigger.json").read_text("utf-8")
WHSEC = "whsec_" + base64.b64encode(b"an example of 32 bytes, no more!").decode()

HEAD = """
region = "cn-hangzhou"
keys = "oss://examplebucket/.links/keys.json"
state = "oss://examplebucket/.links/state/"
public_url = "https://links.example.com"

[[mount]]
path = "/outbox/"
target = "oss://examplebucket/outbox/"
max_share = "30d"

[[mount]]
path = "/exampledir/"
target = "oss://examplebucket/exampledir/"

[[sink]]
name = "manifest"
target = "oss://examplebucket/.links/notices/"
"""


def notice(to: Sequence[str], on: str = "created", mount: str = "/outbox/", **keys: str) -> str:
    """A `[[notice]]` table."""
    lines = [f'on = "{on}"', f'mount = "{mount}"', f"to = {json.dumps(list(to))}"]
    lines += [f'{name} = "{value}"' for name, value in keys.items()]
    return "\n[[notice]]\n" + "\n".join(lines) + "\n"


def record(key: str = "outbox/a.txt", *, etag: str = "ETAG1", **changes: Any) -> dict[str, Any]:
    """A record of the OSS trigger, as documented."""
    document: dict[str, Any] = json.loads(_OSS_TRIGGER)["events"][0]
    document["oss"]["object"] |= {"key": key, "eTag": etag, "size": 1234}
    return {**document, **changes}


def created(*keys: str, etag: str = "ETAG1") -> bytes:
    """The event of new objects."""
    return json.dumps(
        {"events": [record(key, etag=etag) for key in keys or ("outbox/a.txt",)]}
    ).encode()


def created_at(timestamp: float, *keys: str) -> bytes:
    """The event of objects that were written at a time, in Unix seconds."""
    return json.dumps(
        {"events": [record(key, eventTime=rfc3339(timestamp)) for key in keys]}
    ).encode()


def links(*paths: str) -> bytes:
    """The event of a direct invocation."""
    return json.dumps({"links": [{"path": path} for path in paths]}).encode()


TIMER_EVENT = (EVENTS / "timer.json").read_bytes()


class ReceivedRequest(NamedTuple):
    """A request to a receiver; header names are in lower case, `at` (Unix seconds) is when it arrived."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float = 0.0

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Responder = Callable[[BaseHTTPRequestHandler], None]


class Receiver:
    """A sink that listens. `responses` are used once each, in their order, then always `default`."""

    def __init__(self, default: Responder) -> None:
        self.received: list[ReceivedRequest] = []
        self.responses: list[Responder] = []
        self.default = default
        self.url = ""
        self._lock = threading.Lock()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        request.body = body  # type: ignore[attr-defined]
        headers = {name.lower(): value for name, value in request.headers.items()}
        with self._lock:
            self.received.append(ReceivedRequest(request.path, headers, body, time.time()))
            responder = self.responses.pop(0) if self.responses else self.default
        responder(request)


def respond(status: int = 200, body: bytes = b"ok", **headers: str) -> Responder:
    """A responder with one response; `Retry_After` is the header Retry-After."""

    def responder(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return responder


def received_keys(hook: Receiver) -> Counter[str]:
    """How often a webhook received the notice of each key."""
    messages = [request.json["data"] for request in hook.received]
    return Counter(entry["key"] for data in messages for entry in data.get("notices", [data]))


@contextmanager
def receiver(default: Responder | None = None, address: str = "127.0.0.1") -> Iterator[Receiver]:
    """Listens on a free port until the block ends."""
    sink = Receiver(default or respond())

    class Hook(Handler):
        def do_POST(self) -> None:
            with contextlib.suppress(OSError):
                sink.answer(self)

    with http_server(Hook, address) as sink.url:
        yield sink


class Killed(BaseException):
    """What ends an instance in a test: nothing catches it."""


def kill(*arguments: object, **options: object) -> NoReturn:
    """Stands for a function in which the instance is killed."""
    raise Killed


class Outcome(NamedTuple):
    """The outcome of an invocation: the summary or the error, and what was printed."""

    summary: dict[str, Any]
    error: HandlerError | None
    printed: str

    @property
    def line(self) -> dict[str, Any]:
        """The audit line."""
        line: dict[str, Any] = json.loads(self.printed.splitlines()[-1])
        return line

    def counts(self) -> tuple[int, int, int, int]:
        """Items, links, notices and skipped."""
        assert self.error is None, self.error
        return tuple(self.summary[name] for name in ("items", "links", "notices", "skipped"))


class EventFunction(System):
    """The event function with its own OSS: `memory`, or where `is_wired` the local one, `oss`.

    `toml` follows HEAD in links.toml, and `sinks` are those of the keys document.
    """

    def __init__(
        self,
        folder: Path,
        ends: ExitStack,
        *,
        is_wired: bool = False,
        clock: FakeClock | None = None,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.sinks: dict[str, dict[str, Any]] = {}
        self.toml = ""
        self.own_clock: Clock | None = None
        self.remembered = OssMemory()
        clock = clock or FakeClock()
        ends.enter_context(clock.everywhere())
        super().__init__(
            folder, oss=ends.enter_context(local_oss(folder / "oss")) if is_wired else LocalOss()
        )
        self.clock = clock
        if not is_wired:
            self.memory = ends.enter_context(memory_oss({}, self.oss.clock.now, self.clock.work))

    def add_sink(self, name: str, sink: Receiver, kind: str = "webhook") -> None:
        secrets = {"webhook": WHSEC, "dingtalk": "SECexample", "feishu": "example"}
        self.sinks[name] = {"kind": kind, "url": sink.url + "/hook", "allow_loopback": True}
        if kind in secrets:
            self.sinks[name]["secret"] = secrets[kind]

    @property
    def config(self) -> Config:
        """The current configuration."""
        return self.config_at(self.oss.url)

    def config_at(self, url: str) -> Config:
        """The current configuration with OSS at an address."""
        share = [{"id": "k1", "secret": base64url(b"s" * 32)}]
        document = {"version": 1, "share": share, "api": [], "jwt": [], "sinks": self.sinks}
        return config_with(document, self.folder, HEAD + self.toml, {"LINK_OSS_ENDPOINT": url})

    def send(self, http_event: dict[str, Any], now: float) -> Answered:
        self.instance = new_instance(self.config)
        return super().send(http_event, now)

    def invoke(self, event: bytes, *, config: Config | None = None, **options: Any) -> Outcome:
        """One invocation, with the current configuration unless another is given; `options` are those of `answer`."""
        used = config or self.config
        out = io.StringIO()
        summary: dict[str, Any] = {}
        error: HandlerError | None = None
        with contextlib.redirect_stdout(out):
            try:
                summary = self.answer(event, used, **options)
            except HandlerError as failure:
                error = failure
        json.dumps(summary)
        return Outcome(summary, error, out.getvalue())

    def answer(
        self,
        event: bytes,
        config: Config,
        *,
        request_id: str = "req-EXAMPLE",
        network: Network | None = None,
        timeout: float = 120,
    ) -> dict[str, Any]:
        """One invocation, for threads, of an instance that remembers the state prefix."""
        invocation_context = context(KEYS, request_id)
        invocation_context.function = SimpleNamespace(timeout=timeout)
        instance = new_instance(config, NOW, self.remembered)
        instance.clock = self.own_clock or self.clock.clock()
        return events.answer(
            event, invocation_context, lambda: instance, network=network or Network()
        )

    def with_clock(self, clock: Clock) -> EventFunction:
        """Another instance, with a clock of its own."""
        other = copy(self)
        other.own_clock, other.remembered = clock, OssMemory()
        return other

    def restart(self) -> None:
        """The next invocation is one of a new instance."""
        self.remembered = OssMemory()

    def tick(self, **options: Any) -> Outcome:
        """The timer fires."""
        return self.invoke(TIMER_EVENT, **options)

    def pass_time(self, seconds: float) -> None:
        self.clock.sleep(seconds)

    def go_to(self, phase: float) -> None:
        """Moves the time to so many seconds after the beginning of a slot of leases, the next one where necessary."""
        self.pass_time((phase - time.time()) % SLOT)

    def state(self) -> Store:
        """The state prefix, as another instance uses it."""
        return store.store_at(self.oss.client, Location(BUCKET, STATE), self.clock.clock())

    def queue(self, sink: str = "ops") -> SinkQueue:
        return SinkQueue(self.state(), sink)

    def fill(self, objects: Mapping[str, bytes]) -> None:
        """Adds objects by their keys: in memory, also many and such as no request can name."""
        if hasattr(self, "memory"):
            self.memory.fill(objects)
            return
        for key, content in objects.items():
            self.put(key, content)

    def manifest_lines(self) -> list[dict[str, Any]]:
        """All lines in the objects of the sink in OSS."""
        keys = self.object_keys(".links/notices/")
        return [json.loads(line) for key in keys for line in self.read(key).splitlines()]


@contextmanager
def event_function(folder: Path, *, is_wired: bool = False) -> Iterator[EventFunction]:
    """A function whose instance has just started."""
    with ExitStack() as ends:
        yield EventFunction(folder, ends, is_wired=is_wired)
