"""The service with an OSS that verifies every link, both at one time that only the test moves, for several threads."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import threading
import time
from calendar import timegm
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from unittest.mock import patch
from urllib.parse import parse_qsl, urlencode, urlsplit

import requests

import handler
from handler import startup
from handler.config import Config, Location
from handler.errors import ERRORS
from handler.keys.__main__ import main
from handler.times import Clock
from signer.times import parse_rfc3339
from tests.handler.client import context, event, make_config
from tests.handler.keys.command import ENVIRONMENT
from tests.handler.keys_fixtures import BUCKET, LocalOss, local_oss

START = 1_772_347_271.0  # 2026-03-01T06:41:11Z
THREADS = 6
CONTENT = b"%PDF-1.7 an example"
PLAIN, BROWSER, JSON = "*/*", "text/html,application/xhtml+xml,*/*;q=0.8", "application/json"

LINKS = """
region = "cn-hangzhou"
keys = "oss://examplebucket/.links/{run}/keys.json"
state = "oss://examplebucket/.links/{run}/state/"
public_url = "https://links.example.com"

[[mount]]
path = "/reports/"
target = "oss://examplebucket/{run}/reports/"
max_share = "90d"
"""

T = TypeVar("T")
_CODE = re.compile(r"<footer>[0-9]{3} ([a-z_]+) · ")


class Answer(NamedTuple):
    """The answer of the service: `code` is that of an error, otherwise ""."""

    status: int
    headers: Mapping[str, str]
    body: str
    code: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Service:
    """One deployment with its own objects, state and keys, in one process. `now` is the time of all clocks."""

    def __init__(self, oss: LocalOss, pool: ThreadPoolExecutor, log: io.StringIO, folder: Path) -> None:
        self._oss, self._pool, self._log, self._folder = oss, pool, log, folder
        self._runs = 0
        self.now = START
        self.config: Config
        self.renew()

    def renew(self) -> None:
        """Begins again with an empty deployment."""
        self._runs += 1
        self.now = START
        self.config = make_config(LINKS.replace("{run}", f"run{self._runs}"), {"LINK_OSS_ENDPOINT": self._oss.url})

    def request(
        self,
        path: str,
        method: str = "GET",
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: str = "",
    ) -> Answer:
        """The answer of the function. Every error has a documented code, with its status."""
        raw = event(path, method, query, headers, body=body, isBase64Encoded=False)
        result: Any = handler.on_http(json.dumps(raw), context())
        status, content = result["statusCode"], result["body"]
        code = ""
        if status >= 400 and content:
            match = _CODE.search(content)
            code = match[1] if match else json.loads(content)["code"]
            assert ERRORS[code].status == status, (status, code)
        return Answer(status, result["headers"], content, code)

    def open(
        self, url: str, method: str = "GET", accept: str = PLAIN, nonce: str | None = None, as_form: bool = True
    ) -> Answer:
        """The answer at the address of a share, to a form or a JSON body if there is a nonce."""
        parts = urlsplit(url)
        headers, body = {"Accept": accept}, ""
        if nonce is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded" if as_form else JSON
            body = urlencode({"nonce": nonce}) if as_form else json.dumps({"nonce": nonce})
        return self.request(parts.path, method, dict(parse_qsl(parts.query)), headers, body)

    def at_once(self, functions: Sequence[Callable[[], T]]) -> list[T]:
        """The results of at most `THREADS` functions that start at the same time."""
        barrier = threading.Barrier(len(functions))

        def begin(function: Callable[[], T]) -> T:
            barrier.wait(60)
            return function()

        return list(self._pool.map(begin, functions))

    def change_keys(self, *arguments: str) -> None:
        """Runs `python -m handler.keys`."""
        clock = Clock(lambda: time.time(), time.monotonic, time.sleep)
        status = main(["--keys", str(self.config.keys_document), *arguments], clock=clock)
        assert status == 0, (arguments, self._log.getvalue())

    def add_api_key(self, name: str, *options: str) -> str:
        """Adds an API key for /reports/ with the command, and returns it."""
        output = self._folder / f"{time.monotonic_ns()}.key"
        self.change_keys("add-api-key", name, "--path", "/reports/", "--output", str(output), *options)
        return output.read_text().strip()

    def keys(self) -> Any:
        return json.loads(self._oss.store.get(self._keys).body)

    def put_keys(self, document: object) -> None:
        """Writes the keys document as an operator does who uploads a file."""
        body = json.dumps(document).encode()
        assert self._oss.store.put(self._keys, body, content_type="application/json").ok

    def put_report(self, name: str) -> None:
        location = self._report(name)
        assert self._oss.store.put(location, CONTENT, content_type="application/pdf").ok

    def delete_report(self, name: str) -> None:
        assert self._oss.store.delete(self._report(name)).ok

    def delete_record(self, share_id: str) -> None:
        assert self.config.state is not None
        state = self.config.state
        assert self._oss.store.delete(Location(BUCKET, f"{state.key}shares/{share_id}.json")).ok

    def check_link(self, answer: Answer, *, exists: bool, expires_at: float) -> None:
        """The link of an answer opens the object, and never outlives its share."""
        url = answer.headers.get("Location") or answer.json["url"]
        parameters = dict(parse_qsl(urlsplit(url).query))
        signed_at = timegm(time.strptime(parameters["x-oss-date"], "%Y%m%dT%H%M%SZ"))
        link_expires_at = signed_at + int(parameters["x-oss-expires"])
        assert self.now < link_expires_at <= expires_at
        if "Location" not in answer.headers:
            assert parse_rfc3339(answer.json["expires_at"]) == link_expires_at
        response = requests.get(url, timeout=30)
        assert (response.status_code, response.content == CONTENT) == ((200, True) if exists else (404, False))

    def check_log(self) -> None:
        """Nothing unexpected is in the log since the last check."""
        log = self._log.getvalue()
        assert '"fault"' not in log, log
        self._log.seek(0)
        self._log.truncate()

    @property
    def _keys(self) -> Location:
        return Location.parse(str(self.config.keys_document))

    def _report(self, name: str) -> Location:
        return Location(BUCKET, f"run{self._runs}/reports/{name}")


@contextmanager
def running_service(folder: Path) -> Iterator[Service]:
    """Runs a service, whose threads and clocks are those of the process until the block ends."""
    log = io.StringIO()
    with ExitStack() as ends:
        oss = ends.enter_context(local_oss(folder / "oss"))
        pool = ends.enter_context(ThreadPoolExecutor(THREADS))
        service = Service(oss, pool, log, folder)
        ends.enter_context(patch.object(time, "time", lambda: service.now))
        ends.enter_context(patch.object(startup, "config", lambda: service.config))
        ends.enter_context(patch.dict(os.environ, {**ENVIRONMENT, "LINK_OSS_ENDPOINT": oss.url}, clear=True))
        ends.enter_context(contextlib.redirect_stdout(log))
        ends.enter_context(contextlib.redirect_stderr(log))
        yield service
