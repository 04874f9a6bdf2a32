"""Of many simultaneous requests exactly one gets each use, also if the connection to OSS is unreliable."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import pytest
from tests.handler.share_fixtures import FORM, ShareService, share_id, token

from handler.core.cloud import oss
from handler.core.context import Instance
from handler.core.request import Request
from handler.web import app
from handler.web.response import Response
from signer import verify
from tests.fault_proxy import DECK, fault_proxy
from tests.handler.client import KEYS, NOW, context

NONCES = [f"nonce-EXAMPLE-{number:08}" for number in range(12)]

T = TypeVar("T")


def run_concurrently(functions: list[Callable[[], T]]) -> list[T]:
    """The results of all functions, which start at the same time."""
    barrier = threading.Barrier(len(functions))

    def begin(function: Callable[[], T]) -> T:
        barrier.wait(60)
        return function()

    with ThreadPoolExecutor(len(functions)) as executor:
        return list(executor.map(begin, functions))


class TestUnreliableOss:
    @pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 6))])
    @pytest.mark.parametrize("max_uses", [1, 3])
    def test_no_use_is_granted_twice_and_no_retry_loses_one(
        self, service: ShareService, monkeypatch: pytest.MonkeyPatch, seed: int, max_uses: int
    ) -> None:
        assert service.oss is not None
        url = service.create_share(max_uses=max_uses)
        granted: set[str] = set()
        with fault_proxy(service.oss.url) as proxy:
            proxy.shuffle((seed, max_uses))
            instance = service.at(proxy.url).instance
            monkeypatch.setattr(oss, "TIMEOUT", (5.0, 0.2))
            for _ in range(2):
                # Each nonce is sent twice.
                responses = clicks(instance, url, NONCES * 2)
                assert {status for _, status in responses} <= {303, 410, 503}
                granted |= {nonce for nonce, status in responses if status == 303}
                assert len(granted) <= max_uses
            assert proxy.happened.keys() == DECK.keys()
            proxy.disarm()
            monkeypatch.setattr(oss, "TIMEOUT", (30.0, 30.0))
            # Each tries again, and now OSS is reliable.
            responses = clicks(instance, url, NONCES)
            winners = {nonce for nonce, status in responses if status == 303}
            assert Counter(status for _, status in responses) == {303: max_uses, 410: len(NONCES) - max_uses}
            assert granted <= winners
        claims = [service.stored(f".links/state/uses/{share_id(url)}/{number}") for number in range(1, max_uses + 2)]
        assert {claim.decode() for claim in claims if claim is not None} == winners
        assert len([claim for claim in claims if claim is not None]) == max_uses


def clicks(instance: Instance, url: str, nonces: list[str]) -> list[tuple[str, int]]:
    """Each nonce with the status of its response; all are sent at the same time."""
    return list(zip(nonces, run_concurrently([partial(click, instance, url, nonce) for nonce in nonces]), strict=True))


def click(instance: Instance, url: str, nonce: str) -> int:
    """The status of the response to the form of the page; a 303 must lead to the object."""
    body = f"nonce={nonce}".encode()
    headers = {name.lower(): value for name, value in FORM.items()}
    request = Request("POST", "/reports/q3.pdf", {"share": token(url)}, headers, body, "")
    response: Response = app.answer(lambda: request, lambda: instance, context(), request_id="req-EXAMPLE")
    if response.status == 303:
        assert verify("GET", response.headers["Location"], credentials=KEYS, now=NOW).ok
    return response.status
