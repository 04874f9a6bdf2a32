"""What triggers send to the event function: any bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from handler import events
from handler.core.context import Clock, Instance
from handler.events import InvocationFailed
from handler.notices.sinks import delivery
from handler.notices.sinks.client import Network, WebhookResponse
from signer.times import parse_rfc3339
from tests.fuzz.laws import SECRETS, Run, check_no_fault, check_no_secret
from tests.handler.client import EVENTS, NOW, context
from tests.handler.keys_fixtures import config_with, document
from tests.handler.notice_fixtures import HEAD, WHSEC, notice
from tests.memory_oss import memory_oss

MANIFEST = ".links/notices/"
# The codes of a failed invocation in docs/events.md that an event alone can cause.
CODES = frozenset({"bad_event"})
LINKS = (
    HEAD
    + notice(["manifest"])
    + notice(["ops"], give="share", expires="7d")
    + notice(["ops", "manifest"], "message")
    + notice(["ops"], "message", "/exampledir/", every="1h")
    + notice(["ops"], "timer", "/exampledir/")
)


@contextmanager
def trigger_events() -> Iterator[Run]:
    """Every event has a summary or a documented failure, its audit lines, and notices that programs can read."""
    sink = {
        "kind": "webhook",
        "url": "https://hooks.example.com/EXAMPLE-SECRET-PATH",
        "secret": WHSEC,
    }
    secrets = (*SECRETS, WHSEC, sink["url"])
    clock = Clock(lambda: NOW, lambda: 0.0, lambda seconds: None)
    sent: list[str] = []
    invocation = context()
    invocation.function = SimpleNamespace(timeout=120)

    def send(post: object, network: object, *, allow_loopback: bool) -> WebhookResponse:
        sent.append(getattr(post, "body", b"").decode())
        return WebhookResponse(200, {}, b"", True)

    with (
        TemporaryDirectory() as folder,
        memory_oss({}, lambda: NOW) as oss,
        patch.object(delivery, "send", send),
    ):
        config = config_with(document(sinks={"ops": sink}), Path(folder), LINKS)

        def run(data: bytes) -> None:
            oss.forget()
            sent.clear()
            summary: dict[str, object] = {}
            code, out = "", StringIO()
            with redirect_stdout(out):
                try:
                    summary = events.answer(
                        data, invocation, lambda: Instance(config, clock), network=Network()
                    )
                except InvocationFailed as failure:
                    code = failure.code
                    check_no_secret(failure.sentence, secrets)
            printed = out.getvalue()
            check_no_secret(printed + json.dumps(summary), secrets)
            *links, line = map(json.loads, printed.splitlines())
            assert len(links) == line.get("links", 0), printed
            check_no_fault(line)
            assert line["code"] == (code or None)
            assert "failed" not in line, line["failed"]
            assert code in ("", *CODES), code
            for name in ("items", "links", "notices", "skipped", "repeated", "queued"):
                assert code or type(summary[name]) is int, name
            bodies = [oss.objects[at].body for at in oss.objects if at.key.startswith(MANIFEST)]
            for notices in (json.loads(line) for body in bodies for line in body.splitlines()):
                check_notices(notices)
            for body in sent:
                check_notices(json.loads(body)["data"])

        yield run


def check_notices(data: dict[str, Any]) -> None:
    """One notice or several, each with a link and with times that programs can read."""
    for each in data.get("notices", [data]):
        assert each["url"].startswith("https://"), each["path"]
        assert parse_rfc3339(each["expires_at"]) is not None, each["expires_at"]
        assert each["happened_at"] is None or parse_rfc3339(each["happened_at"]) is not None, each[
            "happened_at"
        ]


def trigger_event_seeds() -> list[bytes]:
    files = [path.read_bytes() for path in sorted(EVENTS.iterdir())]
    return [*files, *(data.replace(b"exampledir/", b"outbox/") for data in files)]
