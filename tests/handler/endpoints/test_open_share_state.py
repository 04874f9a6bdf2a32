"""What an opening reads first: no record is a 410, an unreadable state a 503, and versions leave nothing to claim."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from handler import oss, state
from handler.config import Location
from signer import Endpoint
from tests.handler.client import NOW, Answered
from tests.handler.flaky_oss import unsteady_oss
from tests.handler.share_fixtures import MAKER, World, token, world_with_oss

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
JSON = {"Accept": "application/json"}
NONCE = "nonce-EXAMPLE-000000000"


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(state, "_probed", {})
    with world_with_oss(tmp_path) as found:
        found.put("reports/q3.pdf", b"%PDF" * 1000)
        yield found


def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys that OSS is asked for from now on."""
    seen: list[str] = []
    ask = oss.OssClient.request

    def tell(store: oss.OssClient, method: str, place: Location, **more: Any) -> oss.OssResponse:
        seen.append(place.key)
        return ask(store, method, place, **more)

    monkeypatch.setattr(oss.OssClient, "request", tell)
    return seen


class TestNoRecordNoLink:
    """Absence never grants, nor does a state that cannot be read."""

    @pytest.fixture(params=[{"max_uses": 1}, {"revocable": True}], ids=["limited", "revocable"])
    def url(self, kept: World, request: pytest.FixtureRequest) -> str:
        wish: dict[str, Any] = request.param
        return kept.share(**wish)

    @staticmethod
    def every(found: World, url: str) -> list[Answered]:
        return [
            *(found.open(url, method, headers) for method in ("GET", "POST") for headers in (HTML, JSON, {})),
            found.open(url, "HEAD"),
            found.use(url, NONCE),
        ]

    def test_without_its_record_a_share_is_gone(self, kept: World, url: str) -> None:
        other = kept.share(max_uses=1)
        assert kept.oss is not None
        assert kept.policy.state is not None
        place = kept.policy.state._replace(key=f".links/state/shares/{token(url)[16:28]}.json")
        assert kept.oss.store.delete(place).status == 204
        answers = self.every(kept, url)
        assert [answer.status for answer in answers] == [410] * len(answers)
        assert kept.open(url).code == "share_record_missing"
        assert kept.open(other).status == 200

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
    def test_a_record_that_is_not_understood_is_a_503(self, kept: World, url: str, record: bytes) -> None:
        kept.put(f".links/state/shares/{token(url)[16:28]}.json", record)
        answers = self.every(kept, url)
        assert [answer.status for answer in answers] == [503] * len(answers)
        assert kept.open(url).code == "state_unavailable"

    @pytest.mark.parametrize("member", ["path", "target", "method", "uses", "ends_at", "maker", "created_at"])
    def test_a_record_with_a_member_of_another_kind_is_a_503(self, kept: World, url: str, member: str) -> None:
        name = f"shares/{token(url)[16:28]}.json"
        whole = json.loads(kept.stored(name) or b"")
        for record in ({**whole, member: [1]}, {key: value for key, value in whole.items() if key != member}):
            kept.put(f".links/state/{name}", json.dumps(record).encode())
            assert (kept.open(url).status, kept.use(url).status) == (503, 503)

    def test_a_state_that_is_not_there_is_a_503(self, kept: World, url: str) -> None:
        assert kept.oss is not None
        kept.oss.remove_bucket()
        answers = self.every(kept, url)
        assert [answer.status for answer in answers] == [503] * len(answers)
        assert kept.open(url).headers["Retry-After"]

    def test_a_state_that_nobody_answers_for_is_a_503(self, kept: World, url: str) -> None:
        silent = kept.having(oss_endpoint=Endpoint.path_style("http://127.0.0.1:1", "cn-hangzhou"))
        answers = self.every(silent, url)
        assert [answer.status for answer in answers] == [503] * len(answers)

    def test_credentials_that_may_not_read_the_state_are_a_503(self, kept: World, url: str) -> None:
        assert kept.policy.oss_endpoint is not None
        # Signed for another region, so OSS refuses with a 403.
        refused = kept.having(oss_endpoint=kept.policy.oss_endpoint._replace(region="cn-beijing"))
        answers = self.every(refused, url)
        assert [answer.status for answer in answers] == [503] * len(answers)

    def test_a_policy_without_a_state_is_a_503(self, kept: World, url: str) -> None:
        answers = self.every(kept.having(state=None), url)
        assert [answer.status for answer in answers] == [503] * len(answers)

    def test_another_state_prefix_has_no_record(self, kept: World, url: str) -> None:
        assert kept.policy.state is not None
        moved = kept.having(state=kept.policy.state._replace(key=".links/other/"))
        assert moved.open(url).code == "share_record_missing"


class TestABucketWithVersions:
    """There `x-oss-forbid-overwrite` is ignored, and nothing can be claimed."""

    @pytest.mark.parametrize("status", ["Enabled", "Suspended"])
    def test_limited_shares_are_a_503(self, kept: World, status: str) -> None:
        url = kept.share(max_uses=2)
        assert kept.use(url, NONCE).status == 303
        kept.set_versioning(status)
        state._probed.clear()  # a new instance
        for answer in (kept.use(url), kept.use(url, NONCE), kept.ask_share(max_uses=1)):
            assert (answer.status, answer.code) == (503, "state_bucket_versioned")
            assert "another bucket" in answer.json["detail"]
        # What claims nothing goes on.
        assert kept.open(url).status == 200
        assert kept.open(kept.share(revocable=True)).status == 302

    @pytest.mark.parametrize("status", ["Enabled", "Suspended"])
    def test_so_they_are_where_an_instance_saw_the_bucket_without(self, kept: World, status: str) -> None:
        url = kept.share(max_uses=2)
        kept.set_versioning(status)
        for nonce in (NONCE, NONCE, None):
            assert kept.use(url, nonce).code == "state_bucket_versioned"

    def test_it_is_probed_before_the_first_claim_and_now_and_then(
        self, kept: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = kept.share(max_uses=20)
        seen = asked(monkeypatch)
        for moment, probed in [(NOW, False), (NOW + 299, False), (NOW + 300, True), (NOW + 301, False)]:
            seen.clear()
            assert kept.use(url, now=moment).status == 303
            assert (".links/state/probe" in seen) is probed
        state._probed.clear()
        seen.clear()
        kept.use(url)
        assert seen.index(".links/state/probe") < next(at for at, key in enumerate(seen) if "/uses/" in key)

    def test_a_probe_that_gets_no_answer_grants_nothing(self, kept: World, monkeypatch: pytest.MonkeyPatch) -> None:
        url = kept.share(max_uses=1)
        state._probed.clear()
        monkeypatch.setattr(oss.OssClient, "put", lambda *args, **more: oss.OssResponse(500, {}, b"", ""))
        assert kept.use(url).code == "state_unavailable"


@pytest.mark.parametrize("times", [1, 2])
def test_a_claim_that_is_read_cut_short_is_not_taken_for_another_s(kept: World, times: int) -> None:
    assert kept.oss is not None
    url = kept.share(max_uses=2)
    assert kept.use(url, NONCE).status == 303
    # The record is read, the claim is refused, and what has it comes back in half.
    with unsteady_oss(kept.oss.url, 0, ["passed", "passed", *["cut"] * times, *["passed"] * 9]) as (address, _):
        through = kept.having(oss_endpoint=Endpoint.path_style(address, "cn-hangzhou"))
        assert through.use(url, NONCE).status == (303 if times == 1 else 503)
    assert kept.stored(f"uses/{token(url)[16:28]}/2") is None


def test_a_first_record_that_arrives_late_undoes_no_revocation(kept: World) -> None:
    assert kept.oss is not None
    with unsteady_oss(kept.oss.url, 0, ["forwarded late", *["passed"] * 20]) as (address, unsteady):
        through = kept.having(oss_endpoint=Endpoint.path_style(address, "cn-hangzhou"))
        made = through.ask_share(revocable=True)
        assert made.status == 201
        share = made.json
        assert through.ask(f"/-/shares/{share['id']}", "DELETE", key=MAKER).status == 204
        unsteady.settle()
        assert unsteady.happened["forwarded late"] == 1
        assert through.ask(f"/-/shares/{share['id']}", key=MAKER).json["revoked"] is True
