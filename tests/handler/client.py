"""A client of the service: sends HTTP events as Function Compute does, through the real entry point.

The configuration, the clock, the environment and the context are arguments, so that no test depends on this machine or
on another test.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest.mock import patch
from urllib.parse import parse_qsl, quote, unquote_to_bytes, urlsplit

import handler
from handler import startup
from handler.core.config import Config, load
from handler.core.context import Clock, Instance
from signer import Credentials, verify
from signer.credentials import FUNCTION_COMPUTE, OFFICIAL_SDK

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

EVENTS = Path(__file__).parents[1] / "data" / "events"
_ALONE = threading.RLock()
_HTTP_GET = (EVENTS / "http-get.json").read_text("utf-8")
NOW = 1_772_347_271.895  # 2026-03-01T06:41:11Z, when the event file was recorded

TOKEN = "CAIS+token/EXAMPLE=="
KEYS = Credentials("STS.EXAMPLE", "secretEXAMPLE", TOKEN)
OTHER_KEYS = Credentials("STS.OTHEREXAMPLE", "othersecretEXAMPLE", "CAIS+other/EXAMPLE==")

LINKS = """
region = "cn-hangzhou"
keys = "oss://examplebucket/.links/keys.json"
state = "oss://examplebucket/.links/state/"

[[mount]]
path = "/exampledir/"
target = "oss://examplebucket/exampledir/"
access = "anonymous"
check = false

[[mount]]
path = "/whole/"
target = "oss://examplebucket/"
access = "anonymous"
check = false
whole_bucket = true

[[mount]]
path = "/private/"
target = "oss://privatebucket/"
"""


class Answered(NamedTuple):
    """A response, and what was printed on the way."""

    status: int
    headers: dict[str, str]
    body: str
    printed: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def lines(self) -> list[dict[str, Any]]:
        """All audit lines; that of the response is the last."""
        assert self.printed.endswith("\n")
        lines = [json.loads(line) for line in self.printed.splitlines()]
        assert all(isinstance(line, dict) for line in lines)
        return lines

    @property
    def line(self) -> dict[str, Any]:
        """The audit line; it is the only line printed."""
        (line,) = self.lines
        return line

    @property
    def code(self) -> str:
        assert self.headers["Content-Type"] == "application/problem+json", self
        code = self.json["code"]
        assert isinstance(code, str)
        return code

    @property
    def url(self) -> str:
        """The link of a redirect or of a JSON response."""
        if self.status == 302:
            return self.headers["Location"]
        assert self.status == 200, self
        url = self.json["url"]
        assert isinstance(url, str)
        return url

    @property
    def query(self) -> dict[str, str]:
        """The query parameters of the link without those of the signature."""
        return {name: value for name, value in self.parameters.items() if name not in SIGNATURE}

    @property
    def parameters(self) -> dict[str, str]:
        """All query parameters of the link."""
        pairs = parse_qsl(urlsplit(self.url).query, keep_blank_values=True, strict_parsing=True)
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)

    @property
    def key(self) -> str:
        """The key of the link's object, as OSS decodes it."""
        return unquote_to_bytes(urlsplit(self.url).path).decode()[1:]

    @property
    def expires_in(self) -> int:
        return int(self.parameters["x-oss-expires"])

    def signs(self, method: str = "GET", *, keys: Credentials = KEYS, now: float = NOW) -> bool:
        """Whether these credentials signed the link for `method`."""
        return verify(method, self.url, credentials=keys, now=now).ok


SIGNATURE = frozenset(
    f"x-oss-{name}"
    for name in (
        "credential",
        "date",
        "expires",
        "security-token",
        "signature",
        "signature-version",
    )
)


def make_config(text: str = LINKS, environ: Mapping[str, str] | None = None) -> Config:
    """The configuration of a links.toml."""
    return _make_config(text, tuple(sorted((environ or {}).items())))


@lru_cache(maxsize=256)
def _make_config(text: str, environ: tuple[tuple[str, str], ...]) -> Config:
    return load.read(tomllib.loads(text), dict(environ))


def mount(**keys: object) -> Config:
    """The configuration of one anonymous mount, /exampledir/, with these keys in addition or instead."""
    table: dict[str, object] = {
        "path": "/exampledir/",
        "target": "oss://examplebucket/exampledir/",
        "access": "anonymous",
        "check": False,
        **keys,
    }
    return load.read({"region": "cn-hangzhou", "mount": [table]}, {})


CONFIG = make_config()
# For requests with a key: without a keys document, nothing asks OSS for it.
KEYLESS = make_config(LINKS.replace("keys = ", "# keys = "))


def context(keys: Credentials | None = KEYS, request_id: str = "req-EXAMPLE") -> SimpleNamespace:
    """The context of Python 3.10, with or without credentials."""
    return SimpleNamespace(
        request_id=request_id,
        credentials=keys
        and SimpleNamespace(
            access_key_id=keys.access_key_id,
            access_key_secret=keys.access_key_secret,
            security_token=keys.security_token,
        ),
        function=SimpleNamespace(
            name="links_http", handler="handler.on_http", memory=512, timeout=10
        ),
        region="cn-hangzhou",
        account_id="1000000000000001",
    )


def variables(keys: Credentials) -> dict[str, str]:
    """The environment in which Function Compute passes credentials."""
    names = (
        f"ALIBABA_CLOUD_{name}" for name in ("ACCESS_KEY_ID", "ACCESS_KEY_SECRET", "SECURITY_TOKEN")
    )
    return dict(zip(names, map(str, keys[:3]), strict=True))


def event(
    path: str = "/exampledir/a.txt",
    method: str = "GET",
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    **changes: object,
) -> dict[str, Any]:
    """The documented HTTP event, for a percent-encoded path."""
    document: dict[str, Any] = json.loads(_HTTP_GET)
    document["rawPath"] = path
    document["queryParameters"] = dict(query or {})
    document["headers"] = {"Accept": "*/*", "User-Agent": "curl/8.5.0", **(headers or {})}
    document["requestContext"]["http"]["method"] = method
    document["requestContext"]["http"]["path"] = unquote_to_bytes(
        path.encode("utf-8", "replace")
    ).decode("utf-8", "replace")
    return {**document, **changes}


def new_instance(config: Config = CONFIG, now: float = NOW, *memory: object) -> Instance:
    """An instance whose time stands still, and which remembers these objects."""
    instance = Instance(config, Clock(now=lambda: now))
    for remembered in memory:
        instance._memory[type(remembered)] = remembered
    return instance


def invoke(
    raw: bytes | str,
    *,
    config: Config = CONFIG,
    invocation: object = None,
    now: float | None = None,
    environ: Mapping[str, str] | None = None,
    instance: Instance | None = None,
) -> Answered:
    """The response to the bytes of an event in an instance, otherwise in a new one under `config`.

    The environment contains only `environ`. What it replaces is the process's: one thread at a time.
    """
    assert _ALONE.acquire(blocking=False), "Another thread is in here."
    out = io.StringIO()
    instance = instance or new_instance(config)
    if now is not None:
        instance.clock = instance.clock._replace(now=lambda: now)
    with (
        contextlib.ExitStack() as ends,
        environment(environ or {}),
        patch.object(startup, "instance", lambda: instance),
        patch.object(os, "_exit", lambda status: None),  # of an instance with old credentials
        contextlib.redirect_stdout(out),
    ):
        ends.callback(_ALONE.release)
        result = handler.on_http(raw, context() if invocation is None else invocation)
    assert set(result) == {"statusCode", "headers", "isBase64Encoded", "body"}
    json.dumps(result)
    status = result["statusCode"]
    headers = result["headers"]
    body = result["body"]
    assert type(status) is int
    assert isinstance(headers, dict)
    assert isinstance(body, str)
    assert result["isBase64Encoded"] is False
    return Answered(status, headers, body, out.getvalue())


def ask(
    path: str = "/exampledir/a.txt",
    method: str = "GET",
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    **options: Any,
) -> Answered:
    """The response to a request for a percent-encoded path; the options are those of `invoke`."""
    return invoke(json.dumps(event(path, method, query, headers)).encode(), **options)


def raw_path(path: str) -> str:
    """A decoded path, percent-encoded as clients do it."""
    return quote(path, safe="/")


@contextlib.contextmanager
def environment(environ: Mapping[str, str]) -> Iterator[None]:
    """Replaces what the service may read of the environment."""
    before = {
        name: os.environ.pop(name)
        for name in (*FUNCTION_COMPUTE, *OFFICIAL_SDK)
        if name in os.environ
    }
    os.environ.update(environ)
    try:
        yield
    finally:
        for name in environ:
            os.environ.pop(name, None)
        os.environ.update(before)
