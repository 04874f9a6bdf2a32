"""Making, looking at and revoking shares."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from handler import state
from handler.config import Location
from tests.handler.client import NOW
from tests.handler.keys_fixtures import BUCKET, api, issuer
from tests.handler.keys_fixtures import token as jwt
from tests.handler.share_fixtures import DAY, HOST, MAKER, OTHER, READER, World, token, world, world_with_oss


@pytest.fixture
def plain(tmp_path: Path) -> World:
    return world(tmp_path)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(state, "_probed", {})
    with world_with_oss(tmp_path) as found:
        yield found


def test_a_share_is_the_address_of_its_object_with_a_token(plain: World) -> None:
    answer = plain.ask_share(path="/reports/2026/季度 q3.pdf", expires="30d")
    assert answer.status == 201
    assert answer.json == {
        "url": answer.json["url"],
        "id": "plain.new",
        "expires_at": "2026-03-31T06:41:11Z",
        "clamped_by": None,
    }
    address = f"{HOST}/reports/2026/%E5%AD%A3%E5%BA%A6%20q3.pdf?share="
    assert answer.json["url"].startswith(address)
    assert answer.headers["Cache-Control"] == "no-store"
    assert plain.open(answer.json["url"]).signs()


def test_a_plain_token_is_about_55_characters(plain: World) -> None:
    assert 50 <= len(token(plain.share())) <= 60
    assert 50 <= len(token(plain.share(page=True, download=""))) <= 60


@pytest.mark.parametrize("wish", [{"max_uses": 1}, {"max_uses": 20, "page": True}, {"revocable": True}])
def test_a_token_with_an_id_is_under_90_characters(kept: World, wish: dict[str, Any]) -> None:
    answer = kept.ask_share(**wish)
    assert len(token(answer.json["url"])) < 90
    assert answer.json["id"] in answer.json["url"]


def test_the_path_is_not_in_the_token(plain: World) -> None:
    short, long = plain.share(path="/reports/a"), plain.share(path="/reports/" + "a" * 500)
    assert len(token(short)) == len(token(long))
    assert token(short) != token(long)


def test_a_share_lives_a_week_where_nothing_is_said(plain: World) -> None:
    assert plain.ask_share().json["expires_at"] == "2026-03-08T06:41:11Z"
    assert plain.ask_share(path="/open/a.txt").json["expires_at"] == "2026-03-02T06:41:11Z"


@pytest.mark.parametrize(
    ("wish", "expires_at", "clamped_by"),
    [
        ({"expires": "90d"}, "2026-05-30T06:41:11Z", None),
        ({"expires": "91d"}, "2026-05-30T06:41:11Z", "mount"),
        ({"expires": "9999d"}, "2026-05-30T06:41:11Z", "mount"),
        ({"expires": "2d", "path": "/open/a.txt"}, "2026-03-02T06:41:11Z", "mount"),
        ({"expires": "90"}, "2026-03-01T06:42:41Z", None),
    ],
)
def test_a_share_is_clamped_to_its_mount_and_says_so(
    plain: World, wish: dict[str, Any], expires_at: str, clamped_by: str | None
) -> None:
    answer = plain.ask_share(**wish).json
    assert (answer["expires_at"], answer["clamped_by"]) == (expires_at, clamped_by)


def test_nobody_makes_shares_without_a_key(plain: World) -> None:
    answer = plain.ask_share(key=None)
    assert (answer.status, answer.code) == (401, "unauthorized")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("key", "wish"),
    [
        (READER, {}),
        (OTHER, {}),
        (MAKER, {"path": "/nowhere/a.txt"}),
        (MAKER, {"path": "/reports/"}),
        (MAKER, {"path": "/-/health"}),
    ],
)
def test_what_a_key_may_not_share_is_not_there(plain: World, key: str, wish: dict[str, Any]) -> None:
    nowhere = plain.ask_share(key=MAKER, path="/nothing/at/all")
    answer = plain.ask_share(key=key, **wish)
    assert (answer.status, answer.json) == (nowhere.status, nowhere.json)
    assert answer.status == 404


def test_a_token_shares_where_its_issuer_may(plain: World) -> None:
    sharing = plain.with_keys(jwt=[issuer(methods=["GET", "SHARE"])])
    url = sharing.share(key=jwt())
    assert sharing.open(url).status == 302
    assert plain.ask_share(key=jwt()).status == 404
    assert sharing.ask_share(key=jwt(methods=["GET"])).status == 404


def test_a_mount_takes_shares_only_where_it_says_so(plain: World) -> None:
    answer = plain.ask_share(path="/unshared/a.txt")
    assert (answer.status, answer.code) == (409, "not_shareable")
    assert "max_share" in answer.json["detail"]


@pytest.mark.parametrize(
    ("wish", "named"),
    [
        ({"expires": "soon"}, "expires"),
        ({"expires": "0"}, "expires"),
        ({"expires": "-1d"}, "expires"),
        ({"expires": [90]}, "expires"),
        ({"max_uses": 0}, "max_uses"),
        ({"max_uses": -1}, "max_uses"),
        ({"max_uses": 21}, "max_uses"),
        ({"max_uses": True}, "max_uses"),
        ({"max_uses": 1.5}, "max_uses"),
        ({"max_uses": "1"}, "max_uses"),
        ({"revocable": "yes"}, "revocable"),
        ({"revocable": 1}, "revocable"),
        ({"page": "no"}, "page"),
        ({"download": "a/b.pdf"}, "download"),
        ({"download": "a\nb.pdf"}, "download"),
        ({"download": "x" * 256}, "download"),
        ({"download": True}, "download"),
        ({"method": "PUT"}, "method"),
        ({"method": "HEAD"}, "method"),
        ({"method": "POST"}, "POST"),
        ({"method": "get"}, "method"),
        ({"maxuses": 1}, "maxuses"),
        ({"path": "reports/a.txt"}, "path"),
        ({"path": "/reports/../keys.json"}, "path"),
        ({"path": "/reports//a"}, "path"),
        ({"path": "/reports/\ud800"}, "path"),
        ({"path": None}, "path"),
    ],
)
def test_a_wish_that_cannot_be_followed_is_refused_by_name(plain: World, wish: dict[str, Any], named: str) -> None:
    answer = plain.ask_share(**wish)
    assert answer.status == 400
    assert named in answer.json["detail"]


def test_an_object_of_the_service_is_not_shared(plain: World) -> None:
    whole = plain.having_mount("/reports/", path="/", target=Location(BUCKET, ""))
    anything = whole.with_keys(api=[api("maker", MAKER, paths=["/"], methods=["SHARE"])])
    assert anything.ask_share(path="/.links/keys.json").status == 404
    assert anything.ask_share(path="/.links/state/probe").status == 404
    assert anything.ask_share(path="/.links/other").status == 201


def test_without_a_share_key_there_are_no_shares(plain: World) -> None:
    answer = plain.with_keys(share=[]).ask_share()
    assert (answer.status, answer.code) == (503, "no_share_key")
    assert "rotate-share" in answer.json["detail"]


def test_without_a_state_prefix_there_are_no_records(plain: World) -> None:
    for wish in ({"max_uses": 1}, {"revocable": True}):
        answer = plain.having(state=None).ask_share(**wish)
        assert (answer.status, answer.code) == (409, "state_required")


def test_a_share_is_shown_with_its_uses(kept: World) -> None:
    made = kept.ask_share(max_uses=3, expires="2d").json
    shown = kept.ask(f"/-/shares/{made['id']}", key=MAKER)
    assert shown.json == {
        "id": made["id"],
        "path": "/reports/q3.pdf",
        "method": "GET",
        "expires_at": "2026-03-03T06:41:11Z",
        "max_uses": 3,
        "uses": 0,
        "revoked": False,
    }
    for uses in (1, 2, 3):
        assert kept.use(made["url"]).status == 303
        assert kept.ask(f"/-/shares/{made['id']}", key=MAKER).json["uses"] == uses
    revocable = kept.ask_share(revocable=True).json
    shown = kept.ask(f"/-/shares/{revocable['id']}", key=MAKER)
    assert (shown.json["max_uses"], shown.json["uses"], shown.json["revoked"]) == (None, None, False)


@pytest.mark.parametrize("wish", [{"revocable": True}, {"max_uses": 2}])
def test_revoking_ends_a_share_at_once_and_may_be_said_twice(kept: World, wish: dict[str, Any]) -> None:
    made = kept.ask_share(**wish).json
    kept.put("reports/q3.pdf")
    assert kept.open(made["url"]).status in (200, 302)
    for _ in range(2):
        answer = kept.ask(f"/-/shares/{made['id']}", "DELETE", key=MAKER)
        assert (answer.status, answer.body) == (204, "")
    assert kept.ask(f"/-/shares/{made['id']}", key=MAKER).json["revoked"] is True
    for answer in (kept.open(made["url"]), kept.open(made["url"], "POST"), kept.open(made["url"], "HEAD")):
        assert answer.status == 410
    assert kept.open(made["url"]).code == "share_revoked"


def test_a_plain_share_is_withdrawn_with_its_key_and_the_answer_says_how(plain: World) -> None:
    made = plain.ask_share().json
    answer = plain.ask(f"/-/shares/{made['id']}", "DELETE", key=MAKER)
    assert (answer.status, answer.code) == (409, "share_is_plain")
    assert "python -m handler.keys rotate-share --retire new" in answer.json["detail"]
    assert plain.open(made["url"]).status == 302


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("share_id", ["plain.nokey", "plain.", "unknown00000", "../keys.json", "a", "a" * 12 + "%2F"])
def test_an_id_of_no_share_is_not_there(kept: World, method: str, share_id: str) -> None:
    assert kept.ask(f"/-/shares/{share_id}", method, key=MAKER).status in (400, 404)


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_looking_and_revoking_need_what_making_needs(kept: World, method: str) -> None:
    limited, plain = kept.ask_share(max_uses=1).json["id"], kept.ask_share().json["id"]
    for share_id in (limited, plain):
        address = f"/-/shares/{share_id}"
        assert kept.ask(address, method).status == 401
        assert kept.ask(address, method, key="fcp_nobody_EXAMPLE_0000000000000000").status == 401
        assert kept.ask(address, method, key=READER).status == 404
    assert kept.ask(f"/-/shares/{limited}", method, key=OTHER).status == 404
    assert kept.ask(f"/-/shares/{limited}", key=MAKER).json["revoked"] is False


def test_a_share_is_no_credential_for_the_service_s_own_routes(kept: World) -> None:
    made = kept.ask_share(max_uses=1).json
    share = {"share": token(made["url"])}
    assert kept.ask("/-/shares", "POST", share, body='{"path": "/reports/q3.pdf"}').status == 401
    assert kept.ask(f"/-/shares/{made['id']}", "GET", share).status == 401
    assert kept.ask(f"/-/shares/{made['id']}", "DELETE", share).status == 401
    bearer = {"Authorization": f"Bearer {token(made['url'])}"}
    assert kept.ask(f"/-/shares/{made['id']}", "DELETE", headers=bearer).status == 401
    signed = kept.ask("/-/sign", "POST", share, body='{"links": [{"path": "/reports/q3.pdf"}]}')
    assert signed.json["links"][0]["error"]["status"] == 401
    assert kept.uses_left(made["url"]) == 1


def test_an_anonymous_mount_is_shared_as_well(plain: World) -> None:
    answer = plain.open(plain.share(path="/open/a.txt"))
    assert answer.signs()
    assert answer.key == "open/a.txt"


class TestWhereAShareLives:
    """`public_url`, else the domain that the platform names; never what a visitor says."""

    def test_it_is_the_public_url(self, plain: World) -> None:
        assert plain.ask_share(domain="other.example.com").json["url"].startswith(f"{HOST}/")

    def test_else_the_platform_s_domain(self, plain: World) -> None:
        answer = plain.having(public_url=None).ask_share(domain="links-abc.cn-hangzhou.fcapp.run")
        assert urlsplit(answer.json["url"])[:2] == ("https", "links-abc.cn-hangzhou.fcapp.run")

    def test_no_header_has_a_say(self, plain: World) -> None:
        evil = "evil.example.com"
        headers = {
            "Content-Type": "application/json",
            "Host": evil,
            "X-Forwarded-Host": evil,
            "X-Forwarded-Proto": "http",
            "Forwarded": f"host={evil}",
            "X-Original-Host": evil,
            "Origin": f"https://{evil}",
            "Referer": f"https://{evil}/",
        }
        for found in (plain, plain.having(public_url=None)):
            body = '{"path": "/reports/q3.pdf"}'
            answer = found.ask("/-/shares", "POST", headers=headers, body=body, domain="d.fcapp.run", key=MAKER)
            assert answer.status == 201
            assert evil not in answer.body + str(answer.headers)

    def test_without_either_there_is_none(self, plain: World) -> None:
        answer = plain.having(public_url=None).ask_share(domain="")
        assert (answer.status, answer.code) == (409, "public_url_required")
        assert "public_url" in answer.json["detail"]

    @pytest.mark.parametrize("wish", [{"max_uses": 1}, {"page": True}])
    def test_limited_shares_and_pages_need_the_public_url(self, kept: World, wish: dict[str, Any]) -> None:
        answer = kept.having(public_url=None).ask_share(domain="d.fcapp.run", **wish)
        assert (answer.status, answer.code) == (409, "public_url_required")

    def test_a_revocable_one_does_not(self, kept: World) -> None:
        assert kept.having(public_url=None).ask_share(domain="d.fcapp.run", revocable=True).status == 201


def test_the_audit_line_tells_a_share_s_failure_by_its_code_and_no_token(plain: World) -> None:
    url = plain.share()
    good, bad = plain.open(url), plain.open(url + "x")
    assert (good.line["code"], bad.line["code"]) == (None, "share_invalid")
    assert (bad.line["path"], bad.line["status"]) == ("/reports/q3.pdf", 404)
    assert good.line["expires_in"] == 900
    for answer in (good, bad, plain.ask_share()):
        assert token(url) not in answer.printed
    refused = plain.ask_share(key="fcp_nobody_EXAMPLE_0000000000000000")
    assert refused.line["code"] == "unknown_credential"


def test_the_record_of_a_share_is_in_the_state_prefix_alone(kept: World) -> None:
    made = kept.ask_share(max_uses=2, expires="3d").json
    stored = kept.stored(f"shares/{made['id']}.json")
    assert stored is not None
    assert json.loads(stored) == {
        "version": 1,
        "path": "/reports/q3.pdf",
        "target": f"oss://{BUCKET}/reports/",
        "method": "GET",
        "uses": 2,
        "ends_at": int(NOW) + 3 * DAY,
        "maker": "api:maker",
        "created_at": int(NOW),
        "revoked_at": None,
        "upload": None,
    }
    assert token(made["url"]) not in stored.decode()
