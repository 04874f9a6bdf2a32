"""What other services answer: sinks, OSS and STS. The first line of an input says who answers, and to what."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from io import StringIO
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from unittest.mock import patch

from handler import events, oss, state
from handler.config import Config, Location
from handler.errors import Problem
from handler.events import InvocationFailed
from handler.keys import cache
from handler.keys.location import KeysStoreError, OssKeysStore
from handler.notices.sinks import KINDS
from handler.notices.sinks.client import Network
from handler.notices.sinks.delivery import DeliveryFailed, deliver
from handler.oss import OssUnavailable
from handler.sessions import cache as sessions
from handler.state import ListedObject, state_at
from handler.times import Clock
from signer import Endpoint
from signer.times import rfc3339
from tests.fuzz.fuzzer import Run
from tests.fuzz.laws import SECRETS, check_no_fault, check_no_secret, check_refused, check_response
from tests.fuzz.raw_server import RawServer, raw_server
from tests.fuzz.targets.requests import created
from tests.handler.client import EVENTS, KEYS, NOW, ask, context, event, invoke, make_config
from tests.handler.keys_fixtures import READER, SHARER, api, document
from tests.handler.notice_fixtures import HEAD, notice
from tests.handler.notices.test_delivery import sink_at
from tests.handler.notices.test_messages import notification

OK = b"HTTP/1.1 200 OK\r\n"
DATE = b"Date: Sun, 01 Mar 2026 06:41:11 GMT\r\nLast-Modified: Sun, 01 Mar 2026 06:41:10 GMT\r\n"
TRY = 3.0  # seconds of one try
ENDLESS = 200_000  # bytes, more than is read of a sink's answer and of any head

_CODE = re.compile(r"-?[0-9]{1,9}|[a-z0-9_]{1,40}|[A-Za-z0-9]{1,100}")


# --- sinks --------------------------------------------------------------------------------------------------------


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
            tries: list[float] = []
            started = time.monotonic()
            try:
                deliver(
                    KINDS[kind],
                    sink_at(server.url, kind),
                    "notice_EXAMPLE",
                    (notification(),),
                    network=network,
                    clock=Clock(),
                    may_try=lambda pause: tries.append(pause) or len(tries) == 1,  # type: ignore[func-returns-value]
                )
            except DeliveryFailed as failure:
                code = failure.code
                assert _CODE.fullmatch(code), code
                assert code != "no_connection"
            else:
                assert re.match(rb"HTTP/1\.[01] 2[0-9][0-9]", server.answer[server.answer.find(b" 2") - 8 :])
            assert time.monotonic() - started < TRY + 1
            assert all(0 <= pause <= 1e10 for pause in tries)

        yield run


def sink_answer_seeds() -> Iterable[bytes]:
    bodies = {
        "webhook": b"",
        "dingtalk": b'{"errcode": 130101, "errmsg": "send too fast"}',
        "feishu": b'{"code": 0, "StatusCode": 0, "msg": "success"}',
        "wecom": b'{"errcode": 0, "errmsg": "ok"}',
        "slack": b"ok",
    }
    for kind, body in bodies.items():
        yield kind.encode() + b"\n" + OK + b"Content-Length: %d\r\n\r\n" % len(body) + body
        yield kind.encode() + b"\nHTTP/1.0 200 OK\r\n\r\n" + body  # of any length
    chunks = b'c;x=y\r\n{"errcode":0}\r\n0\r\nX: y\r\n\r\n'
    yield b"dingtalk\n" + OK + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
    yield b"webhook\nHTTP/1.1 503 Busy\r\nRetry-After: Sun, 01 Mar 2026 06:41:11 GMT\r\nContent-Length: -1\r\n\r\n"
    yield b"webhook\nHTTP/1.0 429 Slow\r\nRetry-After: 120\r\n\r\n"
    yield b"slack\nHTTP/1.1 400 Bad Request\r\nContent-Length: 15\r\n\r\ninvalid_payload"
    yield b"feishu\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"
    yield b"webhook endless\nHTTP/1.1 100 Continue\r\n\r\n"
    yield b"webhook endless\nHTTP/1.1 200 OK\r\nA: b\r\n"


# --- OSS and STS --------------------------------------------------------------------------------------------------


class _Service:
    """The service with an OSS and an STS that give one answer, in a process that remembers nothing."""

    def __init__(self, server: RawServer, folder: Path) -> None:
        self.server = server
        everywhere = ["/reports/", "/exampledir/", "/outbox/"]
        methods = ["GET", "HEAD", "PUT", "POST", "SHARE"]
        path = folder / "keys.json"
        callers = [api("reader", READER, paths=everywhere), api("sharer", SHARER, paths=everywhere, methods=methods)]
        path.write_text(json.dumps(document(api=callers)))
        mounts = """
[[mount]]
path = "/reports/"
target = "oss://examplebucket/reports/"
methods = ["GET", "HEAD", "PUT"]
max_size = "10MB"
max_share = "30d"
check = true
"""
        environ = {"LINK_OSS_ENDPOINT": server.url, "LINK_STS_ENDPOINT": server.url}
        toml = HEAD.replace("{keys}", str(path)) + mounts + notice(["manifest"]) + notice(["ops"], "timer")
        self.config = make_config(toml, environ)
        self.with_keys = self.config._replace(keys_document="oss://examplebucket/.links/keys.json")
        role = '[assume_role]\nrole = "acs:ram::1000000000000001:role/links"\n'
        self.with_sessions = make_config(toml + role, environ)
        self.client = oss.client_at(Endpoint.path_style(server.url, "cn-hangzhou"), KEYS)
        share = created("/-/shares", {"path": "/reports/q3.pdf", "max_uses": 1}, "url")
        self.share = {"share": share.partition("?share=")[2]}

    def forget(self) -> None:
        for remembered in (cache._cache, state._probed, state._ahead):
            remembered.clear()
        sessions._sessions = sessions.Sessions(sessions.open_session)

    def ask(self, path: str, method: str, config: Config, body: str = "", **query: str) -> None:
        headers = {"X-Api-Key": SHARER, "Content-Type": "application/json"}
        if "share" in query:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
        request = event(path, method, query, headers, body=body, isBase64Encoded=False)
        check_response(invoke(json.dumps(request), config=config))

    def trigger(self, data: bytes) -> None:
        """The event function fails with a documented code, or says which sink failed."""
        out = StringIO()
        with redirect_stdout(out), suppress(InvocationFailed):  # its code is in the audit line
            events.answer(data, context(), lambda: self.config, network=Network(), clock=Clock(sleep=_no_pause))
        check_no_secret(out.getvalue(), SECRETS)
        for line in out.getvalue().splitlines():
            check_no_fault(json.loads(line))
        assert "internal_error" not in out.getvalue()


def _no_pause(seconds: float) -> None:
    pass


@contextmanager
def oss_answers() -> Iterator[Run]:
    """Whatever OSS and STS answer, the service's own answer is a documented one."""
    clock = SimpleNamespace(time=lambda: NOW, monotonic=time.monotonic)
    with raw_server() as server, TemporaryDirectory() as folder, patch.object(sessions, "time", clock):
        service = _Service(server, Path(folder))
        asked = _Actions(service)
        actions: dict[str, Callable[[], None]] = {
            name: getattr(asked, name) for name in vars(_Actions) if not name.startswith("_")
        }

        def run(data: bytes) -> None:
            first, _, server.answer = data.partition(b"\n")
            name, _, mode = first.decode("latin-1").partition(" ")
            server.endless, server.limit = ENDLESS if mode == "endless" else 0, 4
            service.forget()
            actions.get(name, asked.get)()

        yield run


class _Actions:
    """What asks OSS or STS."""

    def __init__(self, service: _Service) -> None:
        self._service = service
        self._client = service.client

    def get(self) -> None:
        at = Location("examplebucket", "a")
        for method, body in (("GET", None), ("PUT", b"a")):
            try:
                response = self._client.request(method, at, body=body)
            except OssUnavailable as error:
                check_no_secret(error.sentence, SECRETS)
                continue
            assert type(response.status) is int
            assert response.code == "" or response.code.isalnum()
            for name in ("date", "last-modified"):
                timestamp = response.time(name)
                assert timestamp is None or -1e12 < timestamp < 1e12

    def head(self) -> None:
        check_response(ask("/reports/q3.pdf", headers={"X-Api-Key": SHARER}, config=self._service.config))

    def list(self) -> None:
        at = state_at(self._client, Location("examplebucket", ".links/state/"), Clock())
        try:
            for entry in islice(at.list_folder("outbox/"), 5000):
                assert isinstance(entry, ListedObject)
            for name in islice(at.list_folders("outbox/"), 5000):
                assert isinstance(name, str)
        except Problem as problem:
            check_refused(problem, "state_unavailable")

    def keys(self) -> None:
        self._service.ask("/exampledir/a.txt", "GET", self._service.with_keys)
        try:
            OssKeysStore(Location("examplebucket", ".links/keys.json"), self._client).read("")
        except KeysStoreError as error:
            check_no_secret(error.sentence, SECRETS)

    def share(self) -> None:
        body = "nonce=0123456789abcdef"
        self._service.ask("/reports/q3.pdf", "POST", self._service.config, body, **self._service.share)
        self._service.ask("/reports/q3.pdf", "GET", self._service.config, **self._service.share)

    def create(self) -> None:
        body = json.dumps({"path": "/reports/q3.pdf", "revocable": True})
        self._service.ask("/-/shares", "POST", self._service.config, body)

    def upload(self) -> None:
        body = json.dumps({"path": "/reports/q3.pdf", "size": 5_000_000})
        self._service.ask("/-/uploads", "POST", self._service.config, body)

    def session(self) -> None:
        self._service.ask("/exampledir/a.txt", "GET", self._service.with_sessions)

    def write(self) -> None:
        self._service.trigger((EVENTS / "oss-trigger.json").read_bytes().replace(b"exampledir/", b"outbox/"))

    def tick(self) -> None:
        self._service.trigger((EVENTS / "timer.json").read_bytes())


def oss_answer_seeds() -> Iterable[bytes]:
    error = b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code><Message>none</Message></Error>"
    listing = (
        b"<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>a</NextContinuationToken>"
        b"<Contents><Key>.links/state/outbox/ops/a</Key><LastModified>2026-03-01T06:41:11.000Z</LastModified>"
        b"<ETag>&quot;5B3C1A2E053D763E1B002CC607C5A0FE&quot;</ETag><Size>344606</Size></Contents>"
        b"<CommonPrefixes><Prefix>.links/state/outbox/ops/</Prefix></CommonPrefixes></ListBucketResult>"
    )
    session = {
        "Credentials": {
            "AccessKeyId": "STS.EXAMPLE",
            "AccessKeySecret": "sessionSecretEXAMPLE",
            "SecurityToken": "CAISsession",
            "Expiration": rfc3339(NOW + 3600),
        }
    }
    bodies = {
        "get": b"content",
        "head": b"",
        "list": listing,
        "keys": json.dumps(document(api=[api("sharer", SHARER, paths=["/exampledir/"])])).encode(),
        "share": b'{"uses": 1, "revoked": false}',
        "create": b"",
        "upload": b"<R><UploadId>0004B9894A22E5B1888A1E29F823</UploadId></R>",
        "session": json.dumps(session).encode(),
        "write": b"",
        "tick": listing,
    }
    for name, body in bodies.items():
        head = b"Content-Length: %d\r\n\r\n" % len(body)
        yield name.encode() + b"\n" + OK + DATE + head + body
        yield name.encode() + b"\n" + OK + DATE + b"Connection: close\r\n\r\n" + body  # of any length
        head = b"Content-Length: %d\r\n\r\n" % len(error)
        yield name.encode() + b"\nHTTP/1.1 404 Not Found\r\n" + DATE + head + error
    yield b"get\nHTTP/1.1 409 Conflict\r\nx-oss-err: PEVycm9yPjxDb2RlPkE8L0NvZGU+\r\n\r\n"
    yield b"head\n" + OK + b'x-oss-storage-class: Archive\r\nx-oss-restore: ongoing-request="true"\r\n\r\n'
    yield b"keys\n" + OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    yield b"get endless\nHTTP/1.1 100 Continue\r\n\r\n"
    yield b"get endless\nHTTP/1.1 200 OK\r\nA: b\r\n"
