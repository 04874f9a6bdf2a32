"""Opening a share without a record is a 410, without a readable state or with a versioned bucket a 503."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.handler.share_fixtures import MAKER, ShareService, share_id

from handler.core.cloud import oss
from handler.core.config import Location
from tests.fault_proxy import LATE, fault_proxy
from tests.handler.client import NOW
from tests.handler.keys_fixtures import watch_requests
from tests.worlds import HTML, JSON

NONCE = "nonce-EXAMPLE-000000000"


class TestMissingRecords:
    """A share whose record is missing or cannot be read opens nothing."""

    @pytest.fixture(params=[{"max_uses": 1}, {"revocable": True}], ids=["limited", "revocable"])
    def url(self, service: ShareService, request: pytest.FixtureRequest) -> str:
        params: dict[str, Any] = request.param
        return service.create_share(**params)

    @staticmethod
    def statuses(service: ShareService, url: str) -> set[int]:
        """The statuses of all requests that a share allows."""
        shown = [service.open(url, method, headers) for method in ("GET", "POST") for headers in (HTML, JSON, {})]
        return {response.status for response in (*shown, service.open(url, "HEAD"), service.use(url, NONCE))}

    @pytest.mark.parametrize(
        "record",
        [
            b"",
            b"{",
            b"null",
            b"[]",
            b"{}",
            b"\xff",
            b"[" * 100_000,
            b'{"version": 2, "path": "/reports/q3.pdf"}',
            b'{"version": 1, "path": "/reports/q3.pdf"}',
        ],
    )
    def test_an_invalid_record_is_a_503(self, service: ShareService, url: str, record: bytes) -> None:
        service.put(f".links/state/shares/{share_id(url)}.json", record)
        assert self.statuses(service, url) == {503}
        assert service.open(url).code == "state_unavailable"

    @pytest.mark.parametrize("member", ["path", "target", "method", "uses", "expires_at", "owner", "created_at"])
    def test_a_record_with_a_missing_or_invalid_member_is_a_503(
        self, service: ShareService, url: str, member: str
    ) -> None:
        name = f".links/state/shares/{share_id(url)}.json"
        valid = json.loads(service.stored(name) or b"")
        for record in ({**valid, member: [1]}, {key: value for key, value in valid.items() if key != member}):
            service.put(name, json.dumps(record).encode())
            assert (service.open(url).status, service.use(url).status) == (503, 503)

    def test_a_state_that_is_missing_or_does_not_answer_or_refuses_access_is_a_503(
        self, service: ShareService, url: str
    ) -> None:
        assert service.oss is not None
        refused = service.at(service.oss.url, "cn-beijing")  # signed for another region
        assert refused.open(url).line["cause"] == "GetObject: 400 AuthorizationQueryParametersError"
        for without in (refused, service.at("http://127.0.0.1:1"), service.with_config(state=None)):
            assert self.statuses(without, url) == {503}
        service.oss.remove_bucket()
        assert self.statuses(service, url) == {503}
        assert service.open(url).headers["Retry-After"]

    def test_a_role_that_may_not_list_is_named_in_the_log(
        self, service: ShareService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = service.create_share(max_uses=1)
        send = oss.OssClient.request

        def deny_lists(client: oss.OssClient, method: str, location: Location, **options: Any) -> oss.OssResponse:
            if not location.key:
                return oss.OssResponse(403, {}, b"", "AccessDenied")
            return send(client, method, location, **options)

        monkeypatch.setattr(oss.OssClient, "request", deny_lists)
        for response in (service.open(url), service.use(url)):
            assert (response.status, response.code) == (503, "state_unavailable")
            assert response.line["cause"] == "ListObjects: 403 AccessDenied (a missing permission)"
            assert "AccessDenied" not in response.body

    def test_another_state_prefix_has_no_record(self, service: ShareService, url: str) -> None:
        assert service.config.state is not None
        moved = service.with_config(state=service.config.state._replace(key=".links/other/"))
        assert moved.open(url).code == "share_record_missing"


class TestVersionedBuckets:
    """OSS ignores `x-oss-forbid-overwrite` on them, so no use can be claimed."""

    @pytest.mark.parametrize("status", ["Enabled", "Suspended"])
    def test_limited_shares_are_a_503(self, service: ShareService, status: str) -> None:
        url = service.create_share(max_uses=9)
        assert service.use(url, NONCE).status == 303
        service.set_versioning(status)
        # Also where the bucket was probed before.
        for nonce in (NONCE, NONCE[::-1], None):
            assert service.use(url, nonce).code == "state_bucket_versioned"
        service = service.restarted()
        for response in (service.use(url), service.use(url, NONCE), service.request_share(max_uses=1)):
            assert (response.status, response.code) == (503, "state_bucket_versioned")
            assert "a bucket that never had versioning" in response.json["detail"]
        # Requests that claim nothing still work.
        assert service.open(url).status == 200
        assert service.open(service.create_share(revocable=True)).status == 302

    def test_a_bucket_is_probed_before_the_first_claim_and_every_five_minutes(
        self, service: ShareService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = service.create_share(max_uses=20)
        keys = watch_requests(monkeypatch)
        for now, probed in [(NOW, False), (NOW + 299, False), (NOW + 300, True), (NOW + 301, False)]:
            keys.clear()
            assert service.use(url, now=now).status == 303
            assert (".links/state/probe" in keys) is probed
        keys.clear()
        service.restarted().use(url)
        assert keys.index(".links/state/probe") < next(position for position, key in enumerate(keys) if "/uses/" in key)

    def test_a_failed_probe_grants_nothing(self, service: ShareService, monkeypatch: pytest.MonkeyPatch) -> None:
        url = service.create_share(max_uses=1)
        monkeypatch.setattr(oss.OssClient, "claim", lambda *args, **options: oss.OssResponse(500, {}, b"", ""))
        assert service.restarted().use(url).code == "state_unavailable"


@pytest.mark.parametrize("times", [1, 2])
def test_a_claim_that_is_read_incompletely_is_not_mistaken_for_another(service: ShareService, times: int) -> None:
    assert service.oss is not None
    url = service.create_share(max_uses=2)
    assert service.use(url, NONCE).status == 303
    # The record is read, the prefix probed, the claims listed, the claim refused, and the answer with its holder cut.
    with fault_proxy(service.oss.url) as proxy:
        proxy.play("", "", "", "", *["half of the body"] * times)
        flaky = service.at(proxy.url)
        assert flaky.use(url, NONCE).status == (303 if times == 1 else 503)
    assert service.stored(f".links/state/uses/{share_id(url)}/2") is None


def test_a_first_record_that_arrives_late_does_not_undo_a_revocation(service: ShareService) -> None:
    assert service.oss is not None
    with fault_proxy(service.oss.url) as proxy:
        proxy.play(LATE)
        flaky = service.at(proxy.url)
        created = flaky.request_share(revocable=True)
        assert created.status == 201
        share = created.json
        assert flaky.request(f"/-/shares/{share['id']}", "DELETE", key=MAKER).status == 204
        assert proxy.happened[LATE] == 1
        proxy.disarm()
        assert flaky.request(f"/-/shares/{share['id']}", key=MAKER).json["revoked"] is True
