"""Events, sinks that listen on the loopback, and the local OSS where notices are claimed and written."""

from __future__ import annotations

import base64
import contextlib
import io
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from handler import events, oss, state
from handler.config import Config, Location
from handler.errors import HandlerError
from handler.notices.sinks.client import Network
from handler.oss import OssClient
from handler.times import Clock
from local.oss import create_app
from local.oss.storage import Buckets
from local.server import listen, serve
from signer import Endpoint
from tests.handler.client import KEYS, context, policy
from tests.handler.keys_fixtures import BUCKET, REGION, base64url

EVENTS = Path(__file__).parents[1] / "data" / "events"
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


def notice(to: Sequence[str], on: str = "created", mount: str = "/outbox/", **more: str) -> str:
    """A `[[notice]]` table."""
    lines = [f'on = "{on}"', f'mount = "{mount}"', f"to = {json.dumps(list(to))}"]
    lines += [f'{name} = "{value}"' for name, value in more.items()]
    return "\n[[notice]]\n" + "\n".join(lines) + "\n"


def record(key: str = "outbox/a.txt", *, etag: str = "ETAG1", **changes: Any) -> dict[str, Any]:
    """A record of the OSS trigger, as documented."""
    found: dict[str, Any] = json.loads((EVENTS / "oss-trigger.json").read_text("utf-8"))["events"][0]
    found["oss"]["object"] |= {"key": key, "eTag": etag, "size": 1234}
    return {**found, **changes}


def created(*keys: str, etag: str = "ETAG1") -> bytes:
    """The event of new objects."""
    return json.dumps({"events": [record(key, etag=etag) for key in keys or ("outbox/a.txt",)]}).encode()


def links(*paths: str) -> bytes:
    """A plain invocation."""
    return json.dumps({"links": [{"path": path} for path in paths]}).encode()


TICK = (EVENTS / "timer.json").read_bytes()


class Got(NamedTuple):
    """A request that a receiver got; header names are lower-case."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answering = Callable[[BaseHTTPRequestHandler], None]


class Receiver:
    """A sink that listens. `answers` are given in their order, then `last` to all others."""

    def __init__(self, last: Answering) -> None:
        self.got: list[Got] = []
        self.answers: list[Answering] = []
        self.last = last
        self.url = ""
        self._lock = threading.Lock()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in request.headers.items()}
        with self._lock:
            self.got.append(Got(request.path, headers, body))
            act = self.answers.pop(0) if self.answers else self.last
        act(request)


def say(status: int = 200, body: bytes = b"ok", **headers: str) -> Answering:
    """Answers so."""

    def act(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body)

    return act


@contextmanager
def receiver(last: Answering | None = None, address: str = "127.0.0.1") -> Iterator[Receiver]:
    """Listens on a free port of the loopback until the block ends."""
    found = Receiver(last or say())

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            with contextlib.suppress(OSError):
                found.answer(self)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer((address, 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    found.url = f"http://{address}:{server.server_port}"
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class Times:
    """A clock of one invocation that is never waited for: a pause only moves it."""

    def __init__(self) -> None:
        self.paused: list[float] = []

    def clock(self) -> Clock:
        return Clock(now=time.time, monotonic=lambda: time.monotonic() + sum(self.paused), sleep=self.paused.append)


class Answered(NamedTuple):
    """What became of an invocation: the summary or the error, and the line of audit."""

    summary: dict[str, Any]
    error: HandlerError | None
    printed: str

    @property
    def line(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.printed.splitlines()[-1])
        return found

    def counts(self) -> tuple[int, int, int, int]:
        """Items, links, notices and skipped."""
        assert self.error is None, self.error
        return tuple(self.summary[name] for name in ("items", "links", "notices", "skipped"))


class World:
    """A function of events under a policy, with sinks, and the OSS that it works with. `ahead` moves OSS's clock."""

    def __init__(self, folder: Path, ends: ExitStack) -> None:
        self.folder = folder
        self.ahead = 0.0
        self.sinks: dict[str, dict[str, Any]] = {}
        self.text = ""
        self.times = Times()
        self.root = folder / "oss"
        app = create_app(
            self.root, region=REGION, credentials=[KEYS], buckets=[BUCKET], now=lambda: time.time() + self.ahead
        )
        server = serve(app, listen(0))
        ends.callback(server.close)
        self.url = server.url
        self.store: OssClient = oss.client_at(Endpoint.path_style(server.url, REGION), KEYS)

    def sink(self, name: str, found: Receiver, kind: str = "webhook") -> None:
        """Puts a sink into the keys document."""
        secrets = {"webhook": WHSEC, "dingtalk": "SECexample", "feishu": "example"}
        self.sinks[name] = {"kind": kind, "url": found.url + "/hook", "allow_loopback": True}
        if kind in secrets:
            self.sinks[name]["secret"] = secrets[kind]

    def policy(self, oss_url: str | None = None) -> Config:
        """The policy as it stands now; its keys document is written anew under a new name."""
        document = {
            "version": 1,
            "share": [{"id": "k1", "secret": base64url(b"s" * 32)}],
            "api": [],
            "jwt": [],
            "sinks": self.sinks,
        }
        path = self.folder / f"keys-{len(list(self.folder.glob('keys-*')))}.json"
        path.write_text(json.dumps(document))
        return policy(HEAD.replace("{keys}", str(path)) + self.text, {"LINK_OSS_ENDPOINT": oss_url or self.url})

    def run(
        self,
        event: bytes,
        *,
        under: Config | None = None,
        request_id: str = "req-EXAMPLE",
        network: Network | None = None,
        clock: Clock | None = None,
        timeout: float = 60,
    ) -> Answered:
        """What becomes of one invocation."""
        found = context(KEYS, request_id)
        found.function = SimpleNamespace(timeout=timeout)
        rules = under or self.policy()
        out = io.StringIO()
        summary: dict[str, Any] = {}
        error: HandlerError | None = None
        with contextlib.redirect_stdout(out):
            try:
                summary = events.answer(
                    event,
                    found,
                    lambda: rules,
                    network=network or Network(),
                    clock=clock or self.times.clock(),
                )
            except HandlerError as failure:
                error = failure
        json.dumps(summary)
        return Answered(summary, error, out.getvalue())

    def put(self, key: str, content: bytes = b"content") -> None:
        assert self.store.put(Location(BUCKET, key), content, content_type="text/plain").ok

    def keys(self, prefix: str = "") -> list[str]:
        """The keys of all stored objects that begin so."""
        bucket = Buckets(self.root).get(BUCKET)
        assert bucket is not None
        return sorted(key for key in bucket.all_keys() if key.startswith(prefix))

    def read(self, key: str) -> bytes:
        reply = self.store.get(Location(BUCKET, key))
        assert reply.ok, reply
        return reply.body

    def written(self) -> list[dict[str, Any]]:
        """All lines of all manifests."""
        return [json.loads(line) for key in self.keys(".links/notices/") for line in self.read(key).splitlines()]

    def keep_versions(self, status: str = "Enabled") -> None:
        bucket = Buckets(self.root).get(BUCKET)
        assert bucket is not None
        bucket.change(versioning=status)


@contextmanager
def events_world(folder: Path) -> Iterator[World]:
    """A world of its own; what instances remember of the state prefix is forgotten."""
    with ExitStack() as ends:
        state._probed.clear()
        yield World(folder, ends)
