"""Credentials that change in the middle of a batch: each link is signed with one set, never with a mixture of two."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from handler.core.cloud import sessions
from handler.core.config import Config
from handler.core.context import Clock, Instance
from signer import Credentials
from signer.emulator.ram import Principal, Principals
from tests.handler.client import KEYS, NOW, event, invoke, make_config, new_instance
from tests.handler.core.sessions.opener import ROLE, Opener
from tests.local_oss import LocalOss, local_oss

SIZE = 20  # links in a batch
LINKS = """
region = "cn-hangzhou"
state = "oss://examplebucket/.links/state/"

[[mount]]
path = "/open/"
target = "oss://examplebucket/open/"
access = "anonymous"

[[mount]]
path = "/checked/"
target = "oss://examplebucket/checked/"
access = "anonymous"
check = true
"""


class Rotation:
    """A context whose credentials are others each time they are read; `issued` are all that were."""

    def __init__(self, principals: Principals) -> None:
        self.request_id = "req-EXAMPLE"
        self.function = SimpleNamespace(timeout=60)
        self.issued: list[Credentials] = []
        self._principals = principals

    @property
    def credentials(self) -> Any:
        number = len(self.issued)
        keys = Credentials(
            f"STS.EXAMPLE{number}", f"secretEXAMPLE{number}", f"CAIS+token{number}/EXAMPLE=="
        )
        self.issued.append(keys)
        self._principals.add(Principal.of(keys))
        return SimpleNamespace(
            access_key_id=keys.access_key_id,
            access_key_secret=keys.access_key_secret,
            security_token=keys.security_token,
        )


class Oss(NamedTuple):
    """A local OSS that verifies every signature, with objects `open/N.txt` and `checked/N.txt`."""

    local: LocalOss
    principals: Principals

    def config(self, toml: str = LINKS) -> Config:
        return make_config(toml, {"LINK_OSS_ENDPOINT": self.local.url})


@pytest.fixture(scope="module")
def oss(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oss]:
    principals = Principals.of_account([KEYS])
    with local_oss(tmp_path_factory.mktemp("oss"), principals) as local:
        for number in range(SIZE):
            for folder in ("open", "checked"):
                local.put(f"{folder}/{number}.txt")
        yield Oss(local, principals)


def signers_of(links: list[str]) -> set[tuple[str, str]]:
    """The access key IDs and tokens of links, all of which open."""
    with ThreadPoolExecutor(4) as pool, requests.Session() as session:
        responses = list(pool.map(lambda link: session.get(link, timeout=30), links))
    assert [response.content for response in responses] == [b"content"] * len(links)
    queries = [parse_qs(urlsplit(link).query) for link in links]
    return {
        (query["x-oss-credential"][0].partition("/")[0], query["x-oss-security-token"][0])
        for query in queries
    }


def pairs(issued: list[Credentials]) -> set[tuple[str, str]]:
    return {(keys.access_key_id, keys.security_token or "") for keys in issued}


def sign(instance: Instance, context: object, folder: str) -> list[str]:
    body = json.dumps({"links": [{"path": f"/{folder}/{number}.txt"} for number in range(SIZE)]})
    http_event = event(
        "/-/sign",
        "POST",
        headers={"Content-Type": "application/json"},
        body=body,
        isBase64Encoded=False,
    )
    response = invoke(json.dumps(http_event), invocation=context, instance=instance)
    assert response.status == 200, response
    return [link["url"] for link in response.json["links"]]


@pytest.mark.parametrize("folder", ["open", "checked"])
def test_a_batch_is_signed_with_whole_credentials_although_each_reading_gets_others(
    oss: Oss, folder: str
) -> None:
    context, instance = Rotation(oss.principals), Instance(oss.config(), Clock())
    links = [link for _ in range(3) for link in sign(instance, context, folder)]
    assert signers_of(links) <= pairs(context.issued)
    assert len(context.issued) >= 3


class Moving:
    """A clock that moves on each time it is read, as in a batch that takes hours."""

    def __init__(self, step: float) -> None:
        self.step = step
        self.readings = count()
        self.start = time.time()

    def time(self) -> float:
        return self.start + next(self.readings) * self.step


def renew_often(oss: Oss, config: Config, seconds: float) -> tuple[Instance, list[Credentials]]:
    """An instance whose clock moves by so many seconds at each reading, and what is issued for it."""
    opener, issued = Opener(life=3600), list[Credentials]()

    def open_session(*arguments: Any) -> sessions.Session:
        session = opener(*arguments)
        issued.append(session.credentials.credentials)
        oss.principals.add(Principal.of(issued[-1]))
        return session

    instance = new_instance(config, NOW, sessions.Sessions(open_session))
    instance.clock = Clock(now=Moving(seconds).time)
    return instance, issued


def test_threads_that_renew_a_session_sign_whole_links(oss: Oss) -> None:
    config = oss.config(f'{LINKS}\n[assume_role]\nrole = "{ROLE}"\nduration = "1h"\n')
    instance, issued = renew_often(oss, config, 120)
    # The check of each object is made in threads, each of which also signs.
    links = sign(instance, Rotation(oss.principals), "checked")
    assert len(issued) > 1
    assert signers_of(links) <= pairs(issued)
