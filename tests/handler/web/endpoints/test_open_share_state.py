"""A share whose record cannot be read, or whose uses cannot be counted, is a 503 for everybody."""

from __future__ import annotations

import json
import time
from typing import Any
from unittest.mock import patch

import pytest

from handler.core.cloud import oss as clients
from handler.core.shares.record import Record
from tests.fault_proxy import LATE, fault_proxy
from tests.handler.client import NOW
from tests.handler.keys_fixtures import watch_requests
from tests.memory_oss import MemoryOss
from tests.system import HTML, JSON, STATE, System, share_id

NONCE = "nonce-EXAMPLE-000000000"


def codes(service: System, url: str) -> set[str]:
    """The codes of all requests that a share allows."""
    shown = [service.open(url, method, headers) for method, headers in (("GET", HTML), ("POST", JSON), ("HEAD", {}))]
    return {response.line["code"] for response in (*shown, service.use(url, NONCE))}


def test_a_record_with_a_missing_or_invalid_member_is_a_503(in_memory: System, oss: MemoryOss) -> None:
    url = in_memory.create_share(max_uses=1)
    name = f"{STATE}shares/{share_id(url)}.json"
    valid = json.loads(oss.read(name))
    for member in ("version", *Record._fields):
        for record in ({**valid, member: [1]}, {key: value for key, value in valid.items() if key != member}):
            oss.fill({name: json.dumps(record).encode()})
            assert in_memory.open(url).code == "state_unavailable", member


DAMAGED: list[Any] = [
    *(b"", b"{", b"null", b"\xff", b"[" * 100_000),
    *({name: time} for name in ("expires_at", "created_at") for time in (-1, 10**10, 10**400, True, 1.5)),
    *({name: value} for name in ("hash", "password") for value in ("é" * 43, "x", "\ud800" * 43)),
    *(
        {"method": "POST", "upload": each}
        for each in (None, {}, {"max_size": "1", "max_files": 1, "content_type": None})
    ),
    *({"upload": {}}, {"page": 1}, {"uses": True}, {"title": 7}),
]


@pytest.mark.parametrize("damage", DAMAGED, ids=lambda damage: str(damage)[:40])
def test_a_record_that_is_not_one_or_has_an_odd_value_is_a_503(in_memory: System, oss: MemoryOss, damage: Any) -> None:
    url = in_memory.create_share(max_uses=1)
    name = f"{STATE}shares/{share_id(url)}.json"
    is_whole = isinstance(damage, bytes)
    oss.fill({name: damage if is_whole else json.dumps({**json.loads(oss.read(name)), **damage}).encode()})
    assert codes(in_memory, url) == {"state_unavailable"}
    assert in_memory.open(url).headers["Retry-After"]


def test_a_state_that_does_not_answer_in_time_or_refuses_access_is_a_503(service: System) -> None:
    url = service.create_share(max_uses=1)
    refused = service.at(service.oss.url, "cn-beijing")  # signed for another region
    assert refused.open(url).line["cause"] == "GetObject: 400 AuthorizationQueryParametersError"
    for without in (refused, service.at("http://127.0.0.1:1")):
        assert codes(without, url) == {"state_unavailable"}
    with fault_proxy(service.oss.url) as proxy, patch("handler.core.cloud.oss.PAGE_TIMEOUT", 0.1):
        proxy.play("never")
        started = time.monotonic()
        assert service.at(proxy.url).open(url).code == "state_unavailable"
        assert time.monotonic() - started < 10  # where a request to OSS may take a minute
    service.oss.bucket().path.rename(service.folder / "gone")
    assert codes(service, url) == {"state_unavailable"}


def test_a_role_that_may_not_list_is_named_in_the_log(in_memory: System, oss: MemoryOss) -> None:
    url = in_memory.create_share(max_uses=1)
    with oss.refusing(f"{STATE}uses/", 403, "AccessDenied"):
        for response in (in_memory.open(url), in_memory.use(url)):
            assert (response.status, response.code) == (503, "state_unavailable")
            assert response.line["cause"] == "ListObjects: 403 AccessDenied (a missing permission)"
            assert "AccessDenied" not in response.body


@pytest.mark.parametrize("status", ["Enabled", "Suspended"])
def test_in_a_bucket_with_versions_only_shares_without_limits_work(service: System, status: str) -> None:
    """OSS ignores `x-oss-forbid-overwrite` there, so no use can be claimed."""
    url = service.create_share(max_uses=9)
    assert service.use(url, NONCE).status == 303
    service.oss.set_versioning(status)
    # Also where the bucket was probed before.
    for nonce in (NONCE, NONCE[::-1], None):
        assert service.use(url, nonce).code == "state_bucket_versioned"
    service = service.restarted()
    for response in (service.use(url), service.use(url, NONCE), service.request_share(max_uses=1)):
        assert (response.status, response.code) == (503, "state_bucket_versioned")
        assert "a bucket that never had versioning" in response.json["detail"]
    # Requests that claim nothing still work.
    assert service.open(url).status == 200
    unlimited = service.create_share(password=True)
    assert service.extend(unlimited).status == 200
    assert service.open(unlimited).status == 200
    assert service.revoke(unlimited).status == 204
    assert service.open(unlimited).code == "share_revoked"


def test_a_bucket_is_probed_before_the_first_claim_and_every_five_minutes(
    in_memory: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = in_memory.create_share(max_uses=20)
    keys = watch_requests(monkeypatch)
    for now, probed in [(NOW, False), (NOW + 299, False), (NOW + 300, True), (NOW + 301, False)]:
        keys.clear()
        assert in_memory.use(url, now=now).status == 303
        assert (f"{STATE}probe" in keys) is probed
    keys.clear()
    in_memory.restarted().use(url)
    assert keys.index(f"{STATE}probe") < next(position for position, key in enumerate(keys) if "/uses/" in key)
    monkeypatch.setattr(clients.OssClient, "claim", lambda *_, **options: clients.OssResponse(500, {}, b"", ""))
    assert in_memory.restarted().use(url).code == "state_unavailable"


def test_what_arrives_late_undoes_nothing_because_it_is_sent_once(service: System) -> None:
    with fault_proxy(service.oss.url) as proxy:
        flaky = service.at(proxy.url)
        proxy.play(LATE)
        url = flaky.create_share()
        assert flaky.revoke(url).status == 204
        proxy.disarm()
        assert service.open(url).code == "share_revoked"
        proxy.play("", "", "reset after")  # after its record and its second end were read
        assert flaky.extend(service.create_share()).status == 503
        assert [call.name for call in proxy.calls].count("PUT extended") == 1


@pytest.mark.parametrize("times", [1, 2])
def test_a_claim_that_is_read_incompletely_is_not_mistaken_for_another(service: System, times: int) -> None:
    url = service.create_share(max_uses=2)
    assert service.use(url, NONCE).status == 303
    # The record is read, the prefix probed, the claims listed, the claim refused, and the answer with its holder cut.
    with fault_proxy(service.oss.url) as proxy:
        proxy.play("", "", "", "", *["half of the body"] * times)
        assert service.at(proxy.url).use(url, NONCE).status == (303 if times == 1 else 503)
    assert service.stored(f"{STATE}uses/{share_id(url)}/2") is None
