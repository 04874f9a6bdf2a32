"""Both functions of a deployment with everything that depends on a clock, and the clocks of OSS and of STS."""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit

import handler
from handler import events, startup, state
from handler.config import Config, Location
from handler.errors import ERRORS
from handler.keys import cache
from handler.notices import earlier_digests
from handler.notices.sinks.client import Network
from handler.sessions import cache as sessions
from handler.times import Clock
from tests.handler.client import context, event, make_config
from tests.handler.keys_fixtures import BUCKET, PLACE, LocalOss, api, document, issuer, local_oss
from tests.handler.notice_fixtures import TIMER_EVENT, WHSEC, Receiver, created_at, receiver
from tests.worlds import HTML
from tests.worlds import LINKS as WORLD

CALLER = "fcp_caller_EXAMPLE_0000000000000000000000000000"
CONTENT = b"%PDF-1.7 an example"
BROWSER = HTML["Accept"]

# Links of an instance's own age, not of a cache; /inbox/ for callers with a key.
LINKS = f"""
{WORLD.replace('cache = "5m"', "")}
[[mount]]
path = "/inbox/"
target = "oss://examplebucket/inbox/"
methods = ["PUT", "POST"]
max_size = "1GB"
max_share = "90d"

[[sink]]
name = "manifest"
target = "oss://examplebucket/.links/notices/"

[[notice]]
on = "created"
mount = "/reports/"
to = ["manifest", "ops"]

[[notice]]
on = "created"
mount = "/checked/"
to = ["ops"]
every = "1h"

[[notice]]
on = "message"
mount = "/open/"
to = ["ops"]
every = "1h"
"""


class Answer(NamedTuple):
    """The answer of the HTTP function: `code` is that of an error, otherwise ""; `line` is the audit line."""

    status: int
    headers: Mapping[str, str]
    body: str
    code: str
    line: dict[str, Any]

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Invoked(NamedTuple):
    """What became of an event: the summary, or the code of its failure; `line` is the audit line."""

    summary: dict[str, Any]
    code: str
    line: dict[str, Any]


class Deployment:
    """`oss.clock.offset` is how far OSS is ahead of the functions, in seconds."""

    def __init__(self, config: Config, oss: LocalOss, hook: Receiver) -> None:
        self.config, self.oss, self.hook = config, oss, hook
        self.passed = 0.0
        self.clock = Clock(now=lambda: time.time(), sleep=lambda seconds: None)

    def pass_time(self, seconds: float) -> None:
        """Moves all clocks."""
        self.passed += seconds

    def set_clock(self, *, behind: float = 0.0) -> None:
        """Sets the clock of the functions, seconds behind that of OSS, which stays as it is."""
        self.passed += self.oss.clock.offset - behind
        self.oss.clock.offset = behind

    def request(
        self,
        path: str,
        method: str = "GET",
        members: object = None,
        *,
        query: Mapping[str, str] | None = None,
        accept: str = "*/*",
        key: str | None = None,
    ) -> Answer:
        """The answer to a request; `members` are the JSON of its body. Every error is one that is documented."""
        headers = {"Accept": accept, "Content-Type": "application/json"}
        if key is not None:
            headers["Authorization"] = f"Bearer {key}"
        body = "" if members is None else json.dumps(members)
        raw = json.dumps(event(path, method, query, headers, body=body, isBase64Encoded=False))
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            result: Any = handler.on_http(raw, context())
        line = json.loads(out.getvalue().splitlines()[-1])
        assert "fault" not in line, line
        status, code = result["statusCode"], line["code"] or ""
        if status >= 400:
            assert ERRORS[code].status == status
            assert code in result["body"]
        return Answer(status, result["headers"], result["body"], code, line)

    def open(self, url: str, method: str = "GET", members: object = None, accept: str = "*/*") -> Answer:
        """The answer at the address of a share."""
        parts = urlsplit(url)
        return self.request(parts.path, method, members, query=dict(parse_qsl(parts.query)), accept=accept)

    def share(self, **members: object) -> str:
        """The address of a new share."""
        answer = self.request("/-/shares", "POST", {"path": "/reports/q3.pdf", **members}, key=CALLER)
        assert answer.status == 201, answer
        url: str = answer.json["url"]
        return url

    def uses_left(self, url: str) -> int:
        left: int = self.open(url, accept="application/json").json["uses_left"]
        return left

    def invoke(self, raw: bytes) -> Invoked:
        """What the event function does with an event. A failure is one of the package, never another exception."""
        invocation = context()
        invocation.function = SimpleNamespace(timeout=120)
        out, summary, code = io.StringIO(), dict[str, Any](), ""
        with contextlib.redirect_stdout(out):
            try:
                summary = events.answer(
                    raw,
                    invocation,
                    lambda: self.config,
                    network=Network(),
                    clock=self.clock,
                )
            except events.InvocationFailed as failure:
                code = failure.code
        line = json.loads(out.getvalue().splitlines()[-1])
        assert "fault" not in out.getvalue(), out.getvalue()
        return Invoked(summary, code, line)

    def created_now(self, *keys: str) -> bytes:
        """The event of objects that were created now, by the clock of OSS."""
        return created_at(self.oss.clock.now(), *keys)

    def tick(self) -> Invoked:
        """The timer fires."""
        return self.invoke(TIMER_EVENT)

    def delivered(self) -> list[str]:
        """The keys of the notices that the webhook received, in order."""
        messages = [request.json["data"] for request in self.hook.received]
        return [entry["key"] for data in messages for entry in data.get("notices", [data])]

    def manifest(self) -> list[str]:
        """The keys of the notices that the sink in OSS holds."""
        keys = self.oss.keys_below(".links/notices/")
        lines = [line for key in keys for line in self.oss.store.get(Location(BUCKET, key)).body.splitlines()]
        return sorted(json.loads(line)["key"] for line in lines)


@contextmanager
def deployment(folder: Path, links: str = LINKS) -> Iterator[Deployment]:
    """A deployment whose instances have just started; all its clocks are right."""
    with ExitStack() as ends:
        oss = ends.enter_context(local_oss(folder / "oss"))
        hook = ends.enter_context(receiver())
        sink = {"kind": "webhook", "url": f"{hook.url}/hook", "allow_loopback": True, "secret": WHSEC}
        callers = [api("caller", CALLER, paths=["/reports/", "/inbox/"], methods=["GET", "PUT", "POST", "SHARE"])]
        oss.put(document(api=callers, jwt=[issuer(methods=["GET", "SHARE"])], sinks={"ops": sink}), PLACE)
        for key in ("open/a.txt", "checked/a.txt", "reports/q3.pdf"):
            assert oss.store.put(Location(BUCKET, key), CONTENT, content_type="application/pdf").ok
        config = make_config(links, {"LINK_OSS_ENDPOINT": oss.url})
        for kept in (state._ahead, state._probed, earlier_digests._moved, cache._cache):
            ends.enter_context(patch.dict(kept, clear=True))
        ends.enter_context(patch.object(sessions, "_sessions", sessions.Sessions(sessions.open_session)))
        ends.enter_context(patch.object(startup, "config", lambda: config))
        running = Deployment(config, oss, hook)
        real = time.time
        ends.enter_context(patch.object(time, "time", lambda: real() + running.passed))
        yield running
