"""Of many simultaneous requests exactly one gets each use, also if the connection to OSS is unreliable."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from handler.core.cloud import oss
from handler.core.context import Instance
from handler.core.request import Request
from handler.web import app
from handler.web.response import Response
from signer import verify
from tests.fault_proxy import DECK, fault_proxy
from tests.handler.client import KEYS, NOW, context
from tests.worlds import FORM, STATE, Service, secret_of, share_id

NONCES = [f"nonce-EXAMPLE-{number:08}" for number in range(12)]


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.long) for seed in range(1, 6))])
@pytest.mark.parametrize("max_uses", [1, 3])
def test_no_use_is_granted_twice_and_no_retry_loses_one(
    service: Service, monkeypatch: pytest.MonkeyPatch, seed: int, max_uses: int
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
    claims = [service.stored(f"{STATE}uses/{share_id(url)}/{number}") for number in range(1, max_uses + 2)]
    assert {claim.decode() for claim in claims if claim is not None} == winners
    assert len([claim for claim in claims if claim is not None]) == max_uses


def clicks(instance: Instance, url: str, nonces: list[str]) -> list[tuple[str, int]]:
    """Each nonce with the status of its response; all are sent at the same time."""
    barrier = threading.Barrier(len(nonces))

    def click(nonce: str) -> int:
        """The status of the response to the form of the page; a 303 must lead to the object."""
        headers = {"content-type": FORM["Content-Type"]}
        request = Request("POST", "/-/s", {"share": secret_of(url)}, headers, f"nonce={nonce}".encode(), "")
        barrier.wait(60)
        response: Response = app.answer(lambda: request, lambda: instance, context(), request_id="req-EXAMPLE")
        if response.status == 303:
            assert verify("GET", response.headers["Location"], credentials=KEYS, now=NOW).ok
        return response.status

    with ThreadPoolExecutor(len(nonces)) as executor:
        return list(zip(nonces, executor.map(click, nonces), strict=True))
