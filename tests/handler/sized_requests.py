"""Requests for one link, each prepared for a size of what may grow: mounts, the key, the query, the token."""

from __future__ import annotations

import base64
import random
from collections.abc import Callable
from typing import Any, NamedTuple

from handler.core.config import Config, load
from handler.core.request import Request, parse_query
from handler.web import app
from signer import Credentials, Endpoint, presign
from tests.handler.client import new_instance

NOW = 1_772_347_271.0
TOKEN = 600  # characters of a security token, as they are today
MAX_TOKEN = 6144

Call = Callable[[], object]


class Context(NamedTuple):
    """What the platform passes with a request."""

    request_id: str
    credentials: Credentials


def mounts(count: int) -> Call:
    """A link in one of so many mounts, which the lookup finds last."""
    return _link(load.read(document(count), {}), f"/mount-{count // 2:05}/reports/2026/q3.pdf")


def plain_key(size: int) -> Call:
    """A key of so many bytes that needs no encoding."""
    return _link(_config(), "/" + "k" * size)


def encoded_key(size: int) -> Call:
    """A key of so many bytes, three for each character, all of which are percent-encoded."""
    return _link(_config(), "/" + "%E6%8A%A5" * (size // 3) + "k" * (size % 3))


def ignored_query(count: int) -> Call:
    """So many parameters in the query that the mount ignores, as chat programs add them."""
    return _link(_config(), "/reports/q3.pdf", "".join(f"&utm_{number:02}=a%20value" for number in range(count)))


def signed_query(count: int) -> Call:
    """So many parameters that the library signs; the service has nine."""
    query = {f"response-parameter-{number:02}": f"value {number}" for number in range(count)}
    credentials, endpoint = _credentials(TOKEN), Endpoint.public("cn-hangzhou")
    return lambda: presign(
        "GET", "examplebucket", "reports/q3.pdf", credentials=credentials, endpoint=endpoint, query=query, now=NOW
    )


def token(size: int) -> Call:
    """A security token of so many characters."""
    return _link(_config(), "/reports/q3.pdf", size=size)


def document(count: int, **keys: object) -> dict[str, Any]:
    """A links.toml of so many mounts, with these keys each; every fourth is authenticated."""
    tables = [
        {
            "path": f"/mount-{number:05}/",
            "target": f"oss://examplebucket/mount-{number:05}/",
            "access": "authenticated" if number % 4 == 3 else "anonymous",
            **keys,
        }
        for number in range(count)
    ]
    return {"region": "cn-hangzhou", "mount": tables}


def answered(read: Callable[[], Request], config: Config, *memory: object, size: int = TOKEN) -> Call:
    """One request through the service, with a token of so many characters; its audit line goes to stdout."""
    context = Context("1-6743a0f1-00000000-000000000001", _credentials(size))
    instance = new_instance(config, NOW, *memory)

    def call() -> None:
        response = app.answer(read, lambda: instance, context, request_id=context.request_id)
        if response.status != 200 or '"error"' in response.body:
            raise RuntimeError(f"The service refused the request: {response.body}")

    return call


def _config() -> Config:
    table = {
        "path": "/",
        "target": "oss://examplebucket/",
        "access": "anonymous",
        "whole_bucket": True,
        "unknown_query": "ignore",
    }
    return load.read({"region": "cn-hangzhou", "mount": [table]}, {})


def _credentials(size: int) -> Credentials:
    characters = base64.b64encode(random.Random(2026).randbytes(MAX_TOKEN)).decode()
    return Credentials("STS.EXAMPLE", "an-example-of-a-secret", characters[:size] or None)


def _link(config: Config, path: str, query: str = "", size: int = TOKEN) -> Call:
    """A request for a link as JSON, which has no limit of length."""
    return answered(lambda: Request("GET", path, parse_query(f"format=json{query}"), {}, b"", ""), config, size)
