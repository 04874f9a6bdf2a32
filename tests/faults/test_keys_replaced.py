"""The keys document is replaced for two minutes (`FAULT_SECONDS`) while eight threads use what is in it.

Two operators run the command, and a third uploads documents without its lock, some of them invalid. The clock of
functions and OSS runs faster than the real one, so that the minute for which keys are kept passes many times.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch
from urllib.parse import parse_qsl, urlsplit

import pytest

import handler
from handler import startup
from handler.config import Config, Location
from handler.errors import ERRORS
from handler.keys import InvalidKeys, cache, parse
from handler.keys.__main__ import main
from handler.oss import OssClient, OssResponse
from handler.times import Clock
from tests.handler.client import context, event, make_config
from tests.handler.keys.command import ENVIRONMENT
from tests.handler.keys_fixtures import (
    ISSUER,
    PLACE,
    LocalOss,
    api,
    base64url,
    document,
    hash_of,
    issuer,
    local_oss,
    token,
)

pytestmark = pytest.mark.long

SPEED = 6  # seconds of the service in a real one
KEPT = 60  # seconds for which a function does not read the document again
KEPT_LONGER = 660  # the same while it is invalid
RETRIED = 10  # seconds after which an invalid document is read again
CALLERS = 8

ALWAYS = "fcp_always_EXAMPLE_0000000000000000000000000000"
METHODS = ["GET", "SHARE"]
LINKS = """
region = "cn-hangzhou"
keys = "oss://examplebucket/.links/keys.json"
state = "oss://examplebucket/.links/state/"
public_url = "https://links.example.com"

[[mount]]
path = "/reports/"
target = "oss://examplebucket/reports/"
max_share = "90d"

[[mount]]
path = "/open/"
target = "oss://examplebucket/open/"
access = "anonymous"
"""
INVALID = (b"", b"{", b'{"version": 2}', b'{"version": 1, "share": [], "api": [], "jwt": [], "extra": 1}')
OK = "ok"


class Version(NamedTuple):
    """A keys document, None if it is invalid, and when it was sent and confirmed in seconds of the service.

    Until it is confirmed, a function may know it already, or not for long.
    """

    keys: Mapping[str, Any] | None
    sent: float
    confirmed: float


class MadeShare(NamedTuple):
    url: str
    signer: str
    owner: str


class Answer(NamedTuple):
    """An answer, the code of its error or "ok", and when the request began and ended in seconds of the service."""

    outcome: str
    body: Any
    began: float
    ended: float


class FastClock:
    def __init__(self) -> None:
        self.skipped = 0.0
        self._start, self._started = time.time(), time.monotonic()

    def now(self) -> float:
        return self._start + (time.monotonic() - self._started) * SPEED + self.skipped


class History:
    """Every version that was written, and which of them a function may use."""

    def __init__(self) -> None:
        self._versions: list[Version] = []
        self._lock = threading.Lock()

    def begin(self, body: bytes, sent: float) -> int:
        """Adds a version that is being written, and returns its number."""
        try:
            parse(body)
            keys = json.loads(body)
        except InvalidKeys:
            keys = None
        with self._lock:
            self._versions.append(Version(keys, sent, float("inf")))
            return len(self._versions) - 1

    def confirm(self, number: int, confirmed: float) -> None:
        with self._lock:
            self._versions[number] = self._versions[number]._replace(confirmed=confirmed)

    def known(self, answer: Answer) -> list[Mapping[str, Any]]:
        """The documents of which one decided about an answer."""
        with self._lock:
            versions = list(self._versions)
        recent = self._stored(versions, answer.began - KEPT - RETRIED, answer.ended)
        kept = KEPT if all(version.keys is not None for version in recent) else KEPT_LONGER
        stored = self._stored(versions, answer.began - kept, answer.ended)
        return [version.keys for version in stored if version.keys is not None]

    @staticmethod
    def _stored(versions: list[Version], since: float, until: float) -> list[Version]:
        """The versions that OSS may have held at some time within this interval."""
        return [
            version
            for version in versions
            if version.sent <= until
            and not any(later.sent > version.confirmed and later.confirmed < since for later in versions)
        ]

    def __len__(self) -> int:
        return len(self._versions)


class Service:
    """The HTTP function, and everything that was ever in its keys document."""

    def __init__(self, oss: LocalOss, clock: FastClock, history: History, folder: Path) -> None:
        self.oss, self.clock, self.history, self.folder = oss, clock, history, folder
        self.config: Config = make_config(LINKS, {"LINK_OSS_ENDPOINT": oss.url})
        self.api_keys: list[str] = []  # those that came and may have gone
        self.secrets: list[str] = []  # of the issuer that comes and goes
        self.shares: list[MadeShare] = []
        self.seen: Counter[tuple[str, str]] = Counter()
        self.faults: list[str] = []
        self._ended = threading.Event()

    def pause(self, seconds: float) -> None:
        """Between two steps of an operator, in real seconds."""
        self._ended.wait(seconds)

    def request(
        self,
        path: str,
        method: str = "GET",
        members: object = None,
        query: Mapping[str, str] | None = None,
        credential: str | None = None,
    ) -> Answer:
        headers = {"Accept": "application/json", "Content-Type": "application/json"}
        if credential is not None:
            headers["Authorization"] = f"Bearer {credential}"
        raw = event(path, method, query, headers, body="" if members is None else json.dumps(members))
        raw["isBase64Encoded"] = False
        began = self.clock.now()
        result: Any = handler.on_http(json.dumps(raw), context())
        ended = self.clock.now()
        body: Any = json.loads(result["body"]) if result["body"] else None
        outcome = OK
        if result["statusCode"] >= 400:
            outcome = body["code"]
            assert ERRORS[outcome].status == result["statusCode"]
        return Answer(outcome, body, began, ended)

    def expect(self, what: str, answer: Answer, outcome: Callable[[Mapping[str, Any]], str]) -> bool:
        """Notes a fault unless a document that a function may use leads to this answer."""
        legal = {outcome(keys) for keys in self.history.known(answer)}
        self.seen[what, answer.outcome] += 1
        if answer.outcome not in legal:
            self.faults.append(f"{what}: {answer.outcome}, not {sorted(legal)}")
        return answer.outcome == OK

    def keys(self) -> bytes:
        return self.oss.store.get(PLACE).body

    def put_keys(self, body: bytes) -> None:
        assert self.oss.store.put(PLACE, body, content_type="application/json").ok


class Caller:
    """One thread of callers."""

    def __init__(self, service: Service, seed: int) -> None:
        self.service, self.dice = service, random.Random(seed)

    def call(self) -> None:
        self.dice.choice(
            [self.sign, self.read, self.read_anonymously, self.use_token, self.share, self.count, self.open, self.open]
            + [self.use_temporary_key] * 3
            + [self.use_temporary_token] * 2
        )()

    def sign(self) -> None:
        members = {"links": [{"path": "/reports/a.pdf"}] * 3}
        answer = self.service.request("/-/sign", "POST", members, credential=ALWAYS)
        if self.service.expect("sign", answer, lambda keys: OK):
            assert all("url" in link for link in answer.body["links"])

    def read(self) -> None:
        self.service.expect("read", self.service.request("/reports/a.pdf", credential=ALWAYS), lambda keys: OK)

    def read_anonymously(self) -> None:
        self.service.expect("read anonymously", self.service.request("/open/a.pdf"), lambda keys: OK)

    def use_token(self) -> None:
        answer = self.service.request("/reports/a.pdf", credential=token(self.service.clock.now()))
        self.service.expect("token", answer, lambda keys: OK)

    def share(self) -> None:
        maker = self.dice.choice([ALWAYS, *self.service.api_keys[-3:]])
        members = {"path": "/reports/a.pdf", "allow_missing": True}
        answer = self.service.request("/-/shares", "POST", members, credential=maker)
        if self.service.expect("share", answer, lambda keys: _api_outcome(keys, maker)):
            signer = answer.body["id"].removeprefix("plain.")
            self.service.expect(
                "signer", answer, lambda keys: OK if keys["share"][-1]["id"] == signer else "another share key"
            )
            self.service.shares.append(MadeShare(answer.body["url"], signer, maker))

    def count(self) -> None:
        """A limited share has exactly its uses, whatever happens to the keys."""
        members = {"path": "/reports/a.pdf", "allow_missing": True, "max_uses": 1}
        answer = self.service.request("/-/shares", "POST", members, credential=ALWAYS)
        if not self.service.expect("limited share", answer, lambda keys: OK):
            return
        query = dict(parse_qsl(urlsplit(answer.body["url"]).query))
        outcomes = [self.service.request("/reports/a.pdf", "POST", query=query) for _ in range(2)]
        if "share_retired" not in {outcome.outcome for outcome in outcomes}:
            self.service.expect("first use", outcomes[0], lambda keys: OK)
            self.service.expect("second use", outcomes[1], lambda keys: "share_used_up")

    def open(self) -> None:
        if not self.service.shares:
            return
        made = self.dice.choice(self.service.shares[-40:])
        query = dict(parse_qsl(urlsplit(made.url).query))
        answer = self.service.request("/reports/a.pdf", query=query)

        def outcome(keys: Mapping[str, Any]) -> str:
            if made.signer not in {key["id"] for key in keys["share"]}:
                return "share_retired"
            return OK if _api_outcome(keys, made.owner) == OK else "share_owner_removed"

        self.service.expect("open", answer, outcome)

    def use_temporary_key(self) -> None:
        if self.service.api_keys:
            key = self.dice.choice(self.service.api_keys[-6:])
            answer = self.service.request("/reports/a.pdf", credential=key)
            self.service.expect("temporary key", answer, lambda keys: _api_outcome(keys, key))

    def use_temporary_token(self) -> None:
        if self.service.secrets:
            secret = self.dice.choice(self.service.secrets[-3:])
            bearer = token(self.service.clock.now(), key=secret.encode(), iss=OTHER_ISSUER)
            answer = self.service.request("/reports/a.pdf", credential=bearer)

            def outcome(keys: Mapping[str, Any]) -> str:
                secrets = {entry["secret"] for entry in keys["jwt"] if entry["iss"] == OTHER_ISSUER}
                return OK if base64url(secret.encode()) in secrets else "unknown_credential"

            self.service.expect("temporary token", answer, outcome)


OTHER_ISSUER = "https://other.example.com"


class Operator:
    """Changes keys with the command. Where somebody uploads documents meanwhile, a change may be refused or lost."""

    def __init__(self, service: Service, seed: int) -> None:
        self.service, self.dice, self.seed = service, random.Random(seed), seed
        self.number = 0
        self.statuses: Counter[int] = Counter()

    def change(self) -> None:
        self.dice.choice([self.add_key, self.add_key, self.revoke_key, self.rotate, self.retire, self.change_issuer])()
        self.service.pause(self.dice.uniform(0.0, 0.4))

    def run(self, *arguments: str) -> bool:
        clock = Clock(self.service.clock.now, time.monotonic, time.sleep)
        status = main(["--keys", str(PLACE), *arguments], clock=clock)
        self.statuses[status] += 1
        return status == 0

    def add_key(self) -> None:
        self.number += 1
        output = self.service.folder / f"{self.seed}-{self.number}.key"
        options = ["--path", "/reports/", "--method", "GET", "--method", "SHARE", "--output", str(output)]
        if self.run("add-api-key", f"temporary-{self.seed}-{self.number}", *options):
            self.service.api_keys.append(output.read_text().strip())

    def revoke_key(self) -> None:
        names = self.names("api", "id", "always")
        if names:
            self.run("revoke-api-key", self.dice.choice(names))

    def rotate(self) -> None:
        self.run("rotate-share")

    def retire(self) -> None:
        names = self.names("share", "id", "always")
        if names:
            self.run("rotate-share", "--retire", self.dice.choice(names))

    def change_issuer(self) -> None:
        if self.names("jwt", "iss", ISSUER):
            self.run("remove-issuer", OTHER_ISSUER)
            return
        self.number += 1
        secret = f"{self.seed}-{self.number}".ljust(32, "-")
        options = ["--aud", "links", "--alg", "HS256", "--secret", base64url(secret.encode()), "--path", "/reports/"]
        if self.run("add-issuer", OTHER_ISSUER, *options, "--method", "GET"):
            self.service.secrets.append(secret)

    def names(self, member: str, name: str, kept: str) -> list[str]:
        try:
            return [entry[name] for entry in json.loads(self.service.keys())[member] if entry[name] != kept]
        except (ValueError, KeyError):
            return []


class Uploader:
    """Uploads a document as it was read before, and sometimes an invalid one, which is repaired soon."""

    def __init__(self, service: Service) -> None:
        self.service, self.dice = service, random.Random("uploader")
        self.invalid = 0

    def change(self) -> None:
        body = self.service.keys()
        try:
            parse(body)
        except InvalidKeys:
            return
        self.service.pause(self.dice.uniform(0.0, 0.2))
        if self.dice.random() < 0.2:
            self.invalid += 1
            self.service.put_keys(self.dice.choice(INVALID))
            self.service.pause(self.dice.choice([0.1, 1.0, 12.0]))
        self.service.put_keys(body)
        self.service.pause(self.dice.uniform(0.5, 3.0))


def first_document() -> bytes:
    always = {"paths": ["/reports/"], "methods": METHODS}
    keys = document(
        share=[{"id": "always", "secret": base64url(b"a" * 32)}],
        api=[api("always", ALWAYS, **always)],
        jwt=[issuer(id="always", **always)],
        sinks={},
    )
    return json.dumps(keys).encode()


def _api_outcome(keys: Mapping[str, Any], key: str) -> str:
    return OK if hash_of(key) in {entry["sha256"] for entry in keys["api"]} else "unknown_credential"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "output").mkdir()
    return tmp_path


def recording(history: History, clock: FastClock) -> Callable[..., OssResponse]:
    """`OssClient.put`, which notes each version of the keys document."""
    put = OssClient.put

    def record(client: OssClient, location: Location, body: bytes, **options: Any) -> OssResponse:
        if location != PLACE:
            return put(client, location, body, **options)
        number = history.begin(body, clock.now())
        response = put(client, location, body, **options)
        assert response.ok, response
        history.confirm(number, clock.now())
        return response

    return record


@contextlib.contextmanager
def running_service(folder: Path, log: io.StringIO) -> Iterator[Service]:
    """Runs a service on a fast clock. What it and the commands print goes to the log."""
    clock, history = FastClock(), History()
    with ExitStack() as ends:
        ends.enter_context(patch.object(time, "time", clock.now))
        oss = ends.enter_context(local_oss(folder / "oss"))
        service = Service(oss, clock, history, folder / "output")
        ends.enter_context(patch.dict(cache._cache, clear=True))
        ends.enter_context(patch.object(startup, "config", lambda: service.config))
        ends.enter_context(patch.object(OssClient, "put", recording(history, clock)))
        ends.enter_context(patch.dict(os.environ, {**ENVIRONMENT, "LINK_OSS_ENDPOINT": oss.url}, clear=True))
        ends.enter_context(contextlib.redirect_stdout(log))
        ends.enter_context(contextlib.redirect_stderr(log))
        service.put_keys(first_document())
        yield service


def repeat(change: Callable[[], None], end: float) -> int:
    """How often something was done until a time of `time.monotonic`."""
    count = 0
    while time.monotonic() < end:
        change()
        count += 1
    return count


def test_only_documented_answers_come_while_the_keys_document_is_replaced(folder: Path) -> None:
    log = io.StringIO()
    seconds = float(os.environ.get("FAULT_SECONDS", "120"))
    with running_service(folder, log) as service, ThreadPoolExecutor(CALLERS + 3) as pool:
        operators, uploader = [Operator(service, seed) for seed in (1, 2)], Uploader(service)
        end = time.monotonic() + seconds
        callers = [pool.submit(repeat, Caller(service, seed).call, end) for seed in range(CALLERS)]
        changes = [*(operator.change for operator in operators), uploader.change]
        writers = [pool.submit(repeat, change, end) for change in changes]
        for future in (*callers, *writers):
            assert future.result() > 0
        assert not service.faults, "\n".join(service.faults[:20])
        # An invalid document for longer: the last valid one is used for ten minutes more, and then none.
        service.put_keys(INVALID[0])
        service.clock.skipped += 300
        assert service.request("/reports/a.pdf", credential=ALWAYS).outcome == OK
        service.clock.skipped += 400
        assert service.request("/reports/a.pdf", credential=ALWAYS).outcome == "keys_unavailable"
        assert service.request("/open/a.pdf").outcome == OK
        service.put_keys(first_document())
        assert service.request("/reports/a.pdf", credential=ALWAYS).outcome == OK
        locks = service.oss.keys_below(f"{PLACE.key}.lock")
    printed = log.getvalue()
    assert locks == []
    assert '"fault"' not in printed
    assert "Traceback" not in printed
    warnings = Counter(
        (line.get("warning"), line.get("why"))
        for line in (json.loads(line) for line in printed.splitlines() if line.startswith("{"))
        if "warning" in line
    )
    assert set(warnings) == {("keys_not_renewed", "it is malformed")}
    check_that_it_happened(service, operators, uploader, seconds)


def check_that_it_happened(service: Service, operators: list[Operator], uploader: Uploader, seconds: float) -> None:
    """Everything that is to be tested did occur."""
    assert uploader.invalid > 0
    assert len(service.history) > seconds / 4
    for operator in operators:
        assert operator.statuses[0] > 0
        assert set(operator.statuses) <= {0, 1}
    for what in ("sign", "read", "read anonymously", "token", "limited share", "first use"):
        assert {outcome for kind, outcome in service.seen if kind == what} == {OK}
    refused = {"temporary key": "unknown_credential", "temporary token": "unknown_credential", "open": "share_retired"}
    for what, outcome in refused.items():
        assert service.seen[what, OK] > 0, service.seen
        assert service.seen[what, outcome] > 0, service.seen
