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
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, NoReturn
from unittest.mock import patch
from uuid import uuid4

from handler import events
from handler.core.cloud import store
from handler.core.cloud.http_client import Connections
from handler.core.cloud.oss import OssClient
from handler.core.cloud.oss_clock import OssMemory
from handler.core.cloud.store import Store
from handler.core.config import Config, Location
from handler.core.context import Clock
from handler.core.errors import HandlerError
from handler.notices.sink_queue import SinkQueue
from handler.notices.sinks.client import Network
from handler.notices.timing import SLOT
from local.oss import create_app
from local.oss.storage import Bucket, Buckets
from local.server import listen, serve
from signer import Endpoint
from signer.times import rfc3339
from tests.handler.client import KEYS, NOW, context, make_config, new_instance
from tests.handler.keys_fixtures import BUCKET, REGION, base64url
from tests.memory_oss import MemoryOss, memory_oss

EVENTS = Path(__file__).parents[1] / "data" / "events"
_OSS_TRIGGER = (EVENTS / "oss-trigger.json").read_text("utf-8")
WHSEC = "whsec_" + base64.b64encode(b"an example of 32 bytes, no more!").decode()

HEAD = """
region = "cn-hangzhou"
keys = "file:{keys}"
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
    return json.dumps({"events": [record(key, etag=etag) for key in keys or ("outbox/a.txt",)]}).encode()


def created_at(timestamp: float, *keys: str) -> bytes:
    """The event of objects that were written at a time, in Unix seconds."""
    return json.dumps({"events": [record(key, eventTime=rfc3339(timestamp)) for key in keys]}).encode()


def links(*paths: str) -> bytes:
    """The event of a direct invocation."""
    return json.dumps({"links": [{"path": path} for path in paths]}).encode()


STATE = ".links/state/"
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

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            with contextlib.suppress(OSError):
                sink.answer(self)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer((address, 0), Handler, bind_and_activate=False)
    server.daemon_threads = True
    server.request_queue_size = 128  # of 5, the connections of all threads would be more, and one would wait a second
    server.server_bind()
    server.server_activate()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.005}, daemon=True)
    thread.start()
    sink.url = f"http://{address}:{server.server_port}"
    try:
        yield sink
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)


class FakeClock:
    """A clock whose pauses (in seconds) only move it: nobody waits. The time of the process moves with it."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self.moved = 0.0
        self._lock = threading.Lock()
        self._clock = Clock(lambda: time.time(), lambda: time.monotonic() + self.moved, self.sleep)

    def clock(self) -> Clock:
        return self._clock

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.pauses.append(seconds)
            self.moved += seconds

    def work(self, seconds: float) -> None:
        """What takes so long."""
        self.moved += seconds

    @contextmanager
    def everywhere(self) -> Iterator[None]:
        """Moves `time.time` as well, so that OSS and its signatures follow."""
        real = time.time
        with patch.object(time, "time", lambda: real() + self.moved):
            yield


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


class EventFunction:
    """The event function with its own OSS: in memory, or where `is_wired` the local one, at `url`.

    `toml` follows HEAD in links.toml, and `sinks` are those of the keys document. `oss_ahead` moves the clock of OSS
    (seconds).
    """

    oss: MemoryOss

    def __init__(
        self, folder: Path, ends: ExitStack, *, is_wired: bool = False, clock: FakeClock | None = None
    ) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.oss_ahead = 0.0
        self.sinks: dict[str, dict[str, Any]] = {}
        self.toml = ""
        self.clock = clock or FakeClock()
        self.own_clock: Clock | None = None
        self.memory = OssMemory()
        ends.enter_context(self.clock.everywhere())
        self._root = folder / "oss"
        self.url = "http://127.0.0.1:9"
        if is_wired:
            app = create_app(self._root, region=REGION, credentials=[KEYS], buckets=[BUCKET], now=self.oss_now)
            server = serve(app, listen(0))
            ends.callback(server.close)
            self.url = server.url
        else:
            self.oss = ends.enter_context(memory_oss({}, self.oss_now, self.clock.work))
        self.client: OssClient = OssClient(KEYS, Endpoint.path_style(self.url, REGION), Connections())

    def oss_now(self) -> float:
        return time.time() + self.oss_ahead

    def add_sink(self, name: str, sink: Receiver, kind: str = "webhook") -> None:
        secrets = {"webhook": WHSEC, "dingtalk": "SECexample", "feishu": "example"}
        self.sinks[name] = {"kind": kind, "url": sink.url + "/hook", "allow_loopback": True}
        if kind in secrets:
            self.sinks[name]["secret"] = secrets[kind]

    def config(self, oss_url: str | None = None) -> Config:
        """The current configuration; each has a keys document of its own, so that none is cached."""
        document = {
            "version": 1,
            "share": [{"id": "k1", "secret": base64url(b"s" * 32)}],
            "api": [],
            "jwt": [],
            "sinks": self.sinks,
        }
        path = self.folder / f"keys-{uuid4()}.json"
        path.write_text(json.dumps(document))
        return make_config(HEAD.replace("{keys}", str(path)) + self.toml, {"LINK_OSS_ENDPOINT": oss_url or self.url})

    def invoke(self, event: bytes, *, config: Config | None = None, **options: Any) -> Outcome:
        """One invocation, with the current configuration unless another is given; `options` are those of `answer`."""
        used = config or self.config()
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
        instance = new_instance(config, NOW, self.memory)
        instance.clock = self.own_clock or self.clock.clock()
        return events.answer(event, invocation_context, lambda: instance, network=network or Network())

    def with_clock(self, clock: Clock) -> EventFunction:
        """Another instance, with a clock of its own."""
        other = copy(self)
        other.own_clock, other.memory = clock, OssMemory()
        return other

    def restart(self) -> None:
        """The next invocation is one of a new instance."""
        self.memory = OssMemory()

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
        return store.store_at(self.client, Location(BUCKET, STATE), self.clock.clock())

    def queue(self, sink: str = "ops") -> SinkQueue:
        return SinkQueue(self.state(), sink)

    def state_names(self, folder: str = "") -> list[str]:
        """The names of the objects in a folder of the state prefix, in order."""
        return [key[len(STATE) :] for key in self.object_keys(STATE + folder)]

    def put(self, key: str, content: bytes = b"content") -> None:
        assert self.client.put(Location(BUCKET, key), content, content_type="text/plain").ok

    def fill(self, objects: Mapping[str, bytes]) -> None:
        """Adds objects by their keys: in memory, also many and such as no request can name."""
        if hasattr(self, "oss"):
            self.oss.fill(objects)
            return
        for key, content in objects.items():
            self.put(key, content)

    def object_keys(self, prefix: str = "") -> list[str]:
        if hasattr(self, "oss"):
            return self.oss.keys(prefix)
        return sorted(key for key in self.bucket().all_keys() if key.startswith(prefix))

    def read(self, key: str) -> bytes:
        response = self.client.get(Location(BUCKET, key))
        assert response.ok, response
        return response.body

    def manifest_lines(self) -> list[dict[str, Any]]:
        """All lines in the objects of the sink in OSS."""
        keys = self.object_keys(".links/notices/")
        return [json.loads(line) for key in keys for line in self.read(key).splitlines()]

    def bucket(self, name: str = BUCKET) -> Bucket:
        """What the local OSS stores, in a bucket that is made where it does not exist."""
        buckets = Buckets(self._root)
        return buckets.get(name) or buckets.create(name, time.time())


@contextmanager
def event_function(folder: Path, *, is_wired: bool = False) -> Iterator[EventFunction]:
    """A function whose instance has just started."""
    with ExitStack() as ends:
        yield EventFunction(folder, ends, is_wired=is_wired)
