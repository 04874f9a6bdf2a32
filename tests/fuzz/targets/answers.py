"""What other services answer: sinks, OSS and STS. The first line of an input says who answers, and to what."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from io import StringIO
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

from handler import events
from handler.core.cloud import sessions as sessions
from handler.core.cloud.http_client import Connections
from handler.core.cloud.oss import OssClient, OssUnavailable, StoreError
from handler.core.cloud.store import ListedObject, store_at
from handler.core.config import Config, Location
from handler.core.context import Clock, Instance
from handler.events import InvocationFailed
from handler.notices.sinks import KINDS
from handler.notices.sinks.base import DeliveryFailed
from handler.notices.sinks.client import Network
from handler.notices.sinks.delivery import deliver
from signer import Endpoint
from tests.fuzz.laws import (
    SECRETS,
    Run,
    check_no_fault,
    check_no_secret,
    check_refused,
    check_response,
)
from tests.fuzz.raw_server import RawServer, raw_server
from tests.fuzz.targets.requests import SHARES, secret_of
from tests.handler.client import EVENTS, KEYS, NOW, context, event, invoke
from tests.handler.keys_fixtures import SHARER, api, config_with, document
from tests.handler.notice_fixtures import HEAD, notice
from tests.handler.notices.test_delivery import sink_at
from tests.handler.notices.test_messages import delivery
from tests.system import HTML

TRY = 3.0  # seconds of one try
MOUNT = """
[[mount]]
path = "/reports/"
target = "oss://examplebucket/reports/"
methods = ["GET", "PUT"]
max_size = "10MB"
max_share = "30d"
check = true
"""
ENDLESS = 200_000  # bytes, more than is read of a sink's answer and of any head

_CODE = re.compile(r"-?[0-9]{1,9}|[a-z0-9_]{1,40}|[A-Za-z0-9]{1,100}")


@contextmanager
def sink_answers() -> Iterator[Run]:
    """Every answer is a delivery or a failure with a short code, within the time of one try."""
    network = Network(connect_timeout=TRY, try_timeout=TRY)
    with raw_server() as server:

        def run(data: bytes) -> None:
            first, _, server.answer = data.partition(b"\n")
            name, _, mode = first.decode("latin-1").partition(" ")
            kind = name if name in KINDS else "webhook"
            server.endless, server.limit = ENDLESS if mode == "endless" else 0, 1
            sink = sink_at(server.url, kind)
            started = time.monotonic()
            failure = None
            try:
                deliver(KINDS[kind], sink, (delivery(),), network, NOW)
            except DeliveryFailed as error:
                failure = error
            assert time.monotonic() - started < TRY + 1
            if failure is None:
                assert re.match(
                    rb"HTTP/1\.[01] 2[0-9][0-9]", server.answer[server.answer.find(b" 2") - 8 :]
                )
                return
            assert _CODE.fullmatch(failure.code), failure.code
            assert failure.code != "no_connection"
            assert 0 <= failure.retry_after <= 1e12
            assert failure.is_down or not failure.retry_after

        yield run


class _Service:
    """The service with an OSS and an STS that give one answer, in a process that remembers nothing.

    Each public method asks OSS or STS for something.
    """

    def __init__(self, server: RawServer, folder: Path) -> None:
        everywhere = ["/reports/", "/exampledir/", "/outbox/"]
        methods = ["GET", "PUT", "POST", "SHARE"]
        keys = document(api=[api("sharer", SHARER, paths=everywhere, methods=methods)])
        environ = {"LINK_OSS_ENDPOINT": server.url, "LINK_STS_ENDPOINT": server.url}
        toml = HEAD + MOUNT + notice(["manifest"]) + notice(["ops"], "timer")
        role = '[assume_role]\nrole = "acs:ram::1000000000000001:role/links"\n'
        self._config, self._with_sessions = (
            config_with(keys, folder, text, environ) for text in (toml, toml + role)
        )
        self._client = OssClient(
            KEYS, Endpoint.path_style(server.url, "cn-hangzhou"), Connections()
        )

    def _ask(
        self, path: str, method: str = "GET", config: Config | None = None, body: str = ""
    ) -> None:
        is_share = path == "/-/s/"
        headers = {
            "Content-Type": "application/json",
            **(HTML if is_share else {"Authorization": f"Bearer {SHARER}"}),
        }
        query = {"share": secret_of("page")} if is_share else {}
        request = event(path, method, query, headers, body=body, isBase64Encoded=False)
        check_response(invoke(json.dumps(request), config=config or self._config))

    def _trigger(self, data: bytes) -> None:
        """The event function fails with a documented code, or says which sink failed."""
        out, clock = StringIO(), Clock(sleep=lambda seconds: None)
        with redirect_stdout(out), suppress(InvocationFailed):  # its code is in the audit line
            events.answer(data, context(), lambda: Instance(self._config, clock), network=Network())
        check_no_secret(out.getvalue(), SECRETS)
        for line in out.getvalue().splitlines():
            check_no_fault(json.loads(line))
        assert "internal_error" not in out.getvalue()

    def get(self) -> None:
        for method, body in (("GET", None), ("PUT", b"a")):
            try:
                response = self._client.request(method, Location("examplebucket", "a"), body=body)
            except OssUnavailable as error:
                check_no_secret(error.sentence, SECRETS)
                continue
            assert type(response.status) is int
            assert response.code == "" or response.code.isalnum()
            for name in ("date", "last-modified"):
                timestamp = response.time(name)
                assert timestamp is None or -1e12 < timestamp < 1e12

    def head(self) -> None:
        self._ask("/reports/q3.pdf")

    def list(self) -> None:
        at = store_at(self._client, Location("examplebucket", ".links/state/"), Clock())
        try:
            for entry in islice(at.list_folder("outbox/"), 5000):
                assert isinstance(entry, ListedObject)
            for name in islice(at.list_folders("outbox/"), 5000):
                assert isinstance(name, str)
        except StoreError as error:
            check_refused(error.reported(), "state_unavailable")

    def keys(self) -> None:
        self._ask(
            "/exampledir/a.txt",
            config=self._config._replace(
                keys_document=Location("examplebucket", ".links/keys.json")
            ),
        )
        try:
            store_at(self._client, Location("examplebucket", ".links/keys.json"), Clock()).read("")
        except StoreError as error:
            check_no_secret(error.sentence, SECRETS)

    def share(self) -> None:
        self._ask("/-/s/", "POST", body='{"nonce": "0123456789abcdef"}')
        self._ask("/-/s/")

    def shares(self) -> None:
        self._ask("/-/shares")
        for method in ("POST", "DELETE"):
            self._ask(f"/-/shares/{SHARES['page'].id}", method, body='{"expires": "20d"}')

    def create(self) -> None:
        self._ask("/-/shares", "POST", body=json.dumps({"path": "/reports/q3.pdf"}))

    def upload(self) -> None:
        self._ask(
            "/-/uploads", "POST", body=json.dumps({"path": "/reports/q3.pdf", "size": 5_000_000})
        )

    def session(self) -> None:
        self._ask("/exampledir/a.txt", config=self._with_sessions)

    def write(self) -> None:
        self._trigger(
            (EVENTS / "oss-trigger.json").read_bytes().replace(b"exampledir/", b"outbox/")
        )

    def tick(self) -> None:
        self._trigger((EVENTS / "timer.json").read_bytes())


@contextmanager
def oss_answers() -> Iterator[Run]:
    """Whatever OSS and STS answer, the service's own answer is a documented one."""
    with raw_server() as server, TemporaryDirectory() as folder:
        service = _Service(server, Path(folder))

        def run(data: bytes) -> None:
            first, _, server.answer = data.partition(b"\n")
            name, _, mode = first.decode("latin-1").partition(" ")
            server.endless, server.limit = ENDLESS if mode == "endless" else 0, 4
            ask_for: Callable[[], None] = getattr(service, name if name in ACTIONS else "get")
            ask_for()

        yield run


ACTIONS = [name for name in vars(_Service) if not name.startswith("_")]
