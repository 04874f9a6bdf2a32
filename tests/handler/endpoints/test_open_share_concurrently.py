"""Of any number of openings at once each use goes to one, whatever happens on the way to OSS."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest
import requests

from handler import app, oss, state
from handler.config import Config
from handler.request import Request
from handler.response import Response
from local.stack import Stack
from signer import Endpoint, presign, verify
from tests.handler.client import KEYS, NOW, context
from tests.handler.flaky_oss import DECK, unsteady_oss
from tests.handler.share_fixtures import FORM, LINKS, MAKER, World, keys, token, world_with_oss

ROOT = Path(__file__).parents[3]
CROWD = 100
NAMES = [f"nonce-EXAMPLE-{number:08}" for number in range(12)]

T = TypeVar("T")


def at_once(doings: list[Callable[[], T]]) -> list[T]:
    """What comes of all of them, begun at the same moment."""
    barrier = threading.Barrier(len(doings))

    def begin(doing: Callable[[], T]) -> T:
        barrier.wait(60)
        return doing()

    with ThreadPoolExecutor(len(doings)) as crowd:
        return list(crowd.map(begin, doings))


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The functions of s.yaml under the policy of these tests, with four instances."""
    folder = tmp_path_factory.mktemp("stack")
    (folder / "keys.json").write_text(json.dumps(keys()))
    links = LINKS.replace("oss://examplebucket/.links/keys.json", "file:keys.json")
    (folder / "links.toml").write_text(links)
    environment = {"LINK_CONFIG": str(folder / "links.toml")}
    with (folder / "log").open("w+b") as log, Stack.start(ROOT / "s.yaml", environment=environment, log=log) as found:
        yield found


def made(stack: Stack, max_uses: int) -> tuple[str, str]:
    """A share of an object that is there: its address at the stack, and its id."""
    endpoint = Endpoint.path_style(stack.oss_url, stack.region)
    link = presign("PUT", stack.bucket, "reports/q3.pdf", credentials=stack.credentials, endpoint=endpoint)
    assert requests.put(link.url, data=b"%PDF" * 1000, timeout=30).status_code == 200
    wish = {"path": "/reports/q3.pdf", "max_uses": max_uses}
    headers = {"Authorization": f"Bearer {MAKER}"}
    answer = requests.post(f"{stack.http_url}/-/shares", json=wish, headers=headers, timeout=30).json()
    return answer["url"].replace("https://links.example.com", stack.http_url), answer["id"]


@pytest.mark.parametrize("max_uses", [1, 3])
def test_of_a_hundred_at_once_only_as_many_as_may_get_the_object(stack: Stack, max_uses: int) -> None:
    url, share_id = made(stack, max_uses)
    answers = at_once([lambda: requests.post(url, allow_redirects=False, timeout=60)] * CROWD)
    assert Counter(answer.status_code for answer in answers) == {303: max_uses, 410: CROWD - max_uses}
    for answer in answers:
        if answer.status_code == 303:
            assert requests.get(answer.headers["Location"], timeout=30).content == b"%PDF" * 1000
        else:
            assert answer.json()["code"] == "share_used_up"
    shown = requests.get(
        f"{stack.http_url}/-/shares/{share_id}", headers={"Authorization": f"Bearer {MAKER}"}, timeout=30
    ).json()
    assert shown["uses"] == max_uses


def test_a_hundred_clicks_of_one_button_are_one_use(stack: Stack) -> None:
    url, _ = made(stack, 1)
    form = {"nonce": NAMES[0]}
    answers = at_once([lambda: requests.post(url, data=form, allow_redirects=False, timeout=60)] * 40)
    assert {answer.status_code for answer in answers} == {303}
    assert requests.post(url, data={"nonce": NAMES[1]}, allow_redirects=False, timeout=60).status_code == 410


class TestWhereOssIsUnsteady:
    @pytest.fixture
    def kept(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
        monkeypatch.setattr(state, "_probed", {})
        with world_with_oss(tmp_path) as found:
            yield found

    @pytest.mark.parametrize("seed", range(6))
    @pytest.mark.parametrize("max_uses", [1, 3])
    def test_no_use_is_granted_twice_and_none_is_lost_to_a_retry(
        self, kept: World, monkeypatch: pytest.MonkeyPatch, seed: int, max_uses: int
    ) -> None:
        assert kept.oss is not None
        url = kept.share(max_uses=max_uses)
        granted: set[str] = set()
        with unsteady_oss(kept.oss.url, (seed, max_uses)) as (address, unsteady):
            rules = kept.having(oss_endpoint=Endpoint.path_style(address, "cn-hangzhou")).policy
            monkeypatch.setattr(oss, "TIMEOUT", (5.0, 0.2))
            for _ in range(2):
                # Everybody clicks twice.
                answers = clicks(rules, url, NAMES * 2)
                assert {status for _, status in answers} <= {303, 410, 503}
                granted |= {nonce for nonce, status in answers if status == 303}
                assert len(granted) <= max_uses
            unsteady.settle()
            monkeypatch.setattr(oss, "TIMEOUT", (30.0, 30.0))
            # All try again, and now everybody is told.
            answers = clicks(rules, url, NAMES)
            winners = {nonce for nonce, status in answers if status == 303}
            assert Counter(status for _, status in answers) == {303: max_uses, 410: len(NAMES) - max_uses}
            assert granted <= winners
            assert unsteady.happened.keys() == DECK.keys()
        share_id = token(url)[16:28]
        claims = [kept.stored(f"uses/{share_id}/{number}") for number in range(1, max_uses + 2)]
        assert {claim.decode() for claim in claims if claim is not None} == winners
        assert len([claim for claim in claims if claim is not None]) == max_uses


def clicks(rules: Config, url: str, nonces: list[str]) -> list[tuple[str, int]]:
    """Each nonce with the status of its answer; all click at once."""
    return list(zip(nonces, at_once([partial(click, rules, url, nonce) for nonce in nonces]), strict=True))


def click(rules: Config, url: str, nonce: str) -> int:
    """The status of what the button's form is answered with; a 303 leads to the object."""
    body = f"nonce={nonce}".encode()
    headers = {name.lower(): value for name, value in FORM.items()}
    request = Request("POST", "/reports/q3.pdf", {"share": token(url)}, headers, body, "")
    answer: Response = app.answer(lambda: request, lambda: rules, context(), request_id="req-EXAMPLE", now=NOW)
    if answer.status == 303:
        assert verify("GET", answer.headers["Location"], credentials=KEYS, now=NOW).ok
    return answer.status
