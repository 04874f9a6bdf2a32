"""Credentials that change in the middle of a batch: each link is signed with one set, never with a mixture of two."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from handler import events
from handler.core.cloud import sessions
from handler.core.config import Config, Location
from handler.core.context import Clock, Instance
from handler.notices.sinks.client import Network
from local.oss import create_app
from local.ram import Principal, Principals
from local.server import listen, serve
from signer import Credentials, presign
from tests.faults.service import direct
from tests.handler.client import KEYS, NOW, event, invoke, make_config, new_instance
from tests.handler.core.sessions.opener import ROLE, Opener
from tests.handler.keys_fixtures import BUCKET, REGION, LocalOss, OssClock

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

[[sink]]
name = "manifest"
target = "oss://examplebucket/.links/notices/"

[[notice]]
on = "created"
mount = "/open/"
to = ["manifest"]
give = "link"
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
        keys = Credentials(f"STS.EXAMPLE{number}", f"secretEXAMPLE{number}", f"CAIS+token{number}/EXAMPLE==")
        self.issued.append(keys)
        self._principals.add(Principal.of(keys))
        return SimpleNamespace(
            access_key_id=keys.access_key_id,
            access_key_secret=keys.access_key_secret,
            security_token=keys.security_token,
        )


class Oss(NamedTuple):
    """A local OSS that verifies every signature, with objects `open/N.txt` and `checked/N.txt`."""

    url: str
    principals: Principals
    local: LocalOss

    def config(self, toml: str = LINKS) -> Config:
        return make_config(toml, {"LINK_OSS_ENDPOINT": self.url})


@pytest.fixture(scope="module")
def oss(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Oss]:
    principals = Principals()
    principals.add(Principal.of(KEYS))
    root = tmp_path_factory.mktemp("oss")
    server = serve(create_app(root, region=REGION, credentials=principals, buckets=[BUCKET]), listen(0))
    try:
        local = LocalOss(server.url, root, direct(server.url), OssClock())
        for number in range(SIZE):
            for folder in ("open", "checked"):
                local.put(b"content", Location(BUCKET, f"{folder}/{number}.txt"))
        yield Oss(server.url, principals, local)
    finally:
        server.close()


def signers_of(links: list[str]) -> set[tuple[str, str]]:
    """The access key IDs and tokens of links, all of which open."""
    with ThreadPoolExecutor(4) as pool, requests.Session() as session:
        responses = list(pool.map(lambda link: session.get(link, timeout=30), links))
    assert [response.content for response in responses] == [b"content"] * len(links)
    queries = [parse_qs(urlsplit(link).query) for link in links]
    return {(query["x-oss-credential"][0].partition("/")[0], query["x-oss-security-token"][0]) for query in queries}


def pairs(issued: list[Credentials]) -> set[tuple[str, str]]:
    return {(keys.access_key_id, keys.security_token or "") for keys in issued}


def sign(instance: Instance, context: object, folder: str) -> list[str]:
    body = json.dumps({"links": [{"path": f"/{folder}/{number}.txt"} for number in range(SIZE)]})
    http_event = event(
        "/-/sign", "POST", headers={"Content-Type": "application/json"}, body=body, isBase64Encoded=False
    )
    response = invoke(json.dumps(http_event), invocation=context, instance=instance)
    assert response.status == 200, response
    return [link["url"] for link in response.json["links"]]


@pytest.mark.parametrize("folder", ["open", "checked"])
def test_a_batch_is_signed_with_whole_credentials_although_each_reading_gets_others(oss: Oss, folder: str) -> None:
    context, instance = Rotation(oss.principals), Instance(oss.config(), Clock())
    links = [link for _ in range(3) for link in sign(instance, context, folder)]
    assert signers_of(links) <= pairs(context.issued)
    assert len(context.issued) >= 3


def test_the_links_of_one_event_are_signed_with_whole_credentials(oss: Oss) -> None:
    context, instance = Rotation(oss.principals), Instance(oss.config(), Clock())
    records = json.loads((Path(__file__).parents[1] / "data/events/oss-trigger.json").read_text("utf-8"))["events"]
    for _ in range(2):
        new = [json.loads(json.dumps(records[0])) for _ in range(10)]
        for number, document in enumerate(new):
            document["oss"]["object"] |= {"key": f"open/{number}.txt", "eTag": f"E{len(context.issued)}-{number}"}
        event_of_records = json.dumps({"events": new})
        summary = events.answer(event_of_records, context, lambda: instance, network=Network())
        assert summary["notices"] == 10, summary
    lines = [
        line
        for key in oss.local.keys_below(".links/notices/")
        for line in oss.local.store.get(Location(BUCKET, key)).body.splitlines()
    ]
    links = [json.loads(line)["url"] for line in lines]
    assert len(links) == 20
    assert signers_of(links) <= pairs(context.issued)


class Moving:
    """A clock that moves on each time it is read, as in a batch that takes hours."""

    def __init__(self, step: float) -> None:
        self.step, self.readings, self.start = step, count(), time.time()

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


def test_bulk_signs_all_links_with_the_credentials_that_it_began_with(
    oss: Oss, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from signer import cli

    first = Credentials("STS.FIRSTEXAMPLE", "secretFIRST", "CAIS+first/EXAMPLE==")
    oss.principals.add(Principal.of(first))
    for name, value in zip(("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN"), first[:3], strict=True):
        monkeypatch.setenv(name, value or "")

    def rotate(*arguments: Any, **options: Any) -> Any:
        monkeypatch.setenv("OSS_ACCESS_KEY_ID", "STS.NEXTEXAMPLE")
        return presign(*arguments, **options)

    monkeypatch.setattr("signer.cli.bulk_formats.presign", rotate)
    keys = tmp_path / "keys.txt"
    keys.write_text("".join(f"open/{number}.txt\n" for number in range(SIZE)))
    output = tmp_path / "links.jsonl"
    arguments = ["bulk", str(keys), "--bucket", BUCKET, "--region", REGION, "--output", str(output)]
    assert cli.run([*arguments, "--endpoint", oss.url]) == 0
    links = [json.loads(line)["url"] for line in output.read_text().splitlines()]
    assert signers_of(links) == pairs([first])
