"""Opening shares: what a person, a program and a link preview get, and what it costs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from handler import state
from handler.shares import records
from signer import verify
from tests.handler.client import KEYS, NOW
from tests.handler.share_fixtures import FORM, HOST, MAKER, World, nonce_of, token, world, world_with_oss

HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
JSON = {"Accept": "application/json"}
NONCE = "nonce-EXAMPLE-000000000"


@pytest.fixture
def plain(tmp_path: Path) -> World:
    return world(tmp_path)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(state, "_probed", {})
    with world_with_oss(tmp_path) as found:
        found.put("reports/q3.pdf", b"%PDF" * 1000)
        yield found


def uses(found: World, url: str) -> int:
    """How many uses of a share are claimed, as the state has them."""
    share_id = token(url)[16:28]
    return sum(found.stored(f"uses/{share_id}/{number}") is not None for number in range(1, 21))


class TestPlain:
    def test_a_person_is_redirected(self, plain: World) -> None:
        answer = plain.open(plain.share(), headers=HTML)
        assert answer.status == 302
        assert answer.signs("GET")
        assert answer.query == {}
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Referrer-Policy"] == "no-referrer"

    def test_head_is_signed_for_head(self, plain: World) -> None:
        answer = plain.open(plain.share(), "HEAD")
        assert (answer.status, answer.body) == (302, "")
        assert answer.signs("HEAD")
        assert not answer.signs("GET")

    def test_a_program_asks_for_json(self, plain: World) -> None:
        for answer in (plain.open(plain.share(), headers=JSON), plain.open(plain.share(), format="json")):
            assert answer.json["expires_in"] == 900
            assert answer.signs()

    def test_the_mount_s_methods_bound_a_share(self, plain: World) -> None:
        url = plain.share(path="/get-only/a.txt")
        assert plain.open(url).status == 302
        answer = plain.open(url, "HEAD")
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, POST, OPTIONS")

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "get"])
    def test_no_other_method_is_there(self, plain: World, method: str) -> None:
        answer = plain.open(plain.share(), method)
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, POST, OPTIONS")

    def test_a_preflight_needs_nothing(self, plain: World) -> None:
        assert plain.open(plain.share(), "OPTIONS").status == 204

    def test_a_post_leads_on_as_well(self, plain: World) -> None:
        answer = plain.open(plain.share(), "POST", {**FORM, **HTML})
        assert answer.status == 303
        assert verify("GET", answer.headers["Location"], credentials=KEYS, now=NOW).ok
        assert plain.open(plain.share(), "POST", JSON).signs()

    def test_it_needs_no_io(self, plain: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("handler.oss.OssClient.request", lambda *args, **more: pytest.fail("OSS was asked"))
        for wish in ({}, {"download": "q3.pdf"}, {"expires": "90d"}):
            assert plain.open(plain.share(**wish)).status == 302
        # With a record there is something to ask.
        with pytest.raises(BaseException, match="OSS was asked"):
            plain.ask_share(revocable=True)

    def test_the_file_s_name_is_what_its_sender_chose(self, plain: World) -> None:
        named = plain.open(plain.share(download="季度.pdf")).query["response-content-disposition"]
        assert named == "attachment; filename=\"__.pdf\"; filename*=UTF-8''%E5%AD%A3%E5%BA%A6.pdf"
        own = plain.open(plain.share(download="")).query["response-content-disposition"]
        assert own == "attachment; filename=\"q3.pdf\"; filename*=UTF-8''q3.pdf"
        assert plain.open(plain.share()).query == {}

    def test_without_share_a_post_is_not_there(self, plain: World) -> None:
        answer = plain.ask("/open/a.txt", "POST")
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")


class TestLimited:
    def test_looking_costs_nothing(self, kept: World) -> None:
        url = kept.share(max_uses=1)
        for _ in range(3):
            for method in ("GET", "HEAD"):
                for headers in (HTML, JSON, {}, {"User-Agent": "TelegramBot (like TwitterBot)"}):
                    assert kept.open(url, method, headers).status == 200
                assert kept.open(url, method, format="redirect").status == 200
            assert kept.open(url, "OPTIONS").status == 204
        assert uses(kept, url) == 0
        assert kept.uses_left(url) == 1

    def test_json_of_a_get_says_what_is_left_and_how_to_use_it(self, kept: World) -> None:
        url = kept.share(max_uses=2, expires="30d")
        expected = {"uses_left": 2, "expires_at": "2026-03-31T06:41:11Z", "use": "POST"}
        assert kept.open(url, headers=JSON).json == expected
        assert kept.open(url, format="json").json == expected
        assert kept.open(url, key=MAKER).json == expected
        kept.use(url)
        assert kept.open(url, headers=JSON).json == {**expected, "uses_left": 1}

    def test_the_button_leads_on_with_303(self, kept: World) -> None:
        url = kept.share(max_uses=1)
        page = kept.open(url, headers=HTML)
        answer = kept.use(url, nonce_of(page))
        assert answer.status == 303
        location = answer.headers["Location"]
        assert verify("GET", location, credentials=KEYS, now=NOW).ok
        assert "response-content-disposition=attachment" in location
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.line["expires_in"] == 900
        assert answer.line["share"] == token(url)[16:28]

    def test_a_program_s_post_is_answered_with_json(self, kept: World) -> None:
        url = kept.share(max_uses=1)
        answer = kept.use(url, accept="application/json")
        assert answer.signs()
        assert answer.json["method"] == "GET"
        assert kept.use(url, accept="application/json").code == "share_used_up"

    def test_the_nonce_may_come_as_json(self, kept: World) -> None:
        url = kept.share(max_uses=1)
        headers = {"Content-Type": "application/json", **JSON}
        for _ in range(3):
            assert kept.open(url, "POST", headers, body=json.dumps({"nonce": NONCE})).status == 200
        assert kept.open(url, "POST", headers, body="{}").status == 410

    def test_after_the_last_use_it_is_a_410(self, kept: World) -> None:
        url = kept.share(max_uses=3)
        for left in (2, 1):
            assert kept.use(url).status == 303
            assert kept.uses_left(url) == left
        assert kept.use(url).status == 303
        for answer in (kept.open(url), kept.open(url, headers=JSON), kept.use(url), kept.use(url, NONCE)):
            assert (answer.status, answer.code) == (410, "share_used_up")
        assert uses(kept, url) == 3

    @pytest.mark.parametrize("most", [1, 2, 20])
    def test_it_is_used_as_often_as_it_says_and_not_once_more(self, kept: World, most: int) -> None:
        url = kept.share(max_uses=most)
        statuses = [kept.use(url, f"nonce-EXAMPLE-{number:08}").status for number in range(most + 2)]
        assert statuses == [303] * most + [410, 410]

    def test_the_same_nonce_is_the_same_use(self, kept: World) -> None:
        url = kept.share(max_uses=2)
        for _ in range(4):
            assert kept.use(url, NONCE).status == 303
        assert uses(kept, url) == 1
        assert kept.use(url, NONCE[::-1]).status == 303
        # Also when the others are gone.
        assert kept.use(url, NONCE).status == 303
        assert kept.use(url, "another-nonce-EXAMPLE").status == 410

    def test_each_page_has_a_nonce_of_its_own(self, kept: World) -> None:
        url = kept.share(max_uses=1)
        nonces = {nonce_of(kept.open(url, headers=HTML)) for _ in range(5)}
        assert len(nonces) == 5
        assert all(len(nonce) >= 22 for nonce in nonces)

    def test_a_nonce_of_one_share_is_nothing_to_another(self, kept: World) -> None:
        first, second = kept.share(max_uses=1), kept.share(max_uses=1)
        assert kept.use(first, NONCE).status == 303
        assert kept.use(second).status == 303
        assert kept.use(second, NONCE).status == 410

    def test_an_old_nonce_is_no_key_that_lasts(self, kept: World, monkeypatch: pytest.MonkeyPatch) -> None:
        url = kept.share(max_uses=1)
        assert kept.use(url, NONCE).status == 303
        monkeypatch.setattr(records, "REUSE", -1.0)
        assert kept.use(url, NONCE).code == "share_used_up"

    @pytest.mark.parametrize(
        "body",
        [
            "nonce=",
            "nonce=short",
            "nonce=" + "a" * 65,
            "nonce=" + "a" * 15 + "%00",
            "nonce=" + "a" * 15 + "%2F",
            "nonce=" + "%E5" * 20,
            "nonce=aaaaaaaaaaaaaaaa aaaa",
            "é",
        ],
    )
    def test_a_nonce_that_no_page_made_is_refused(self, kept: World, body: str) -> None:
        url = kept.share(max_uses=1)
        answer = kept.open(url, "POST", FORM, body=body)
        assert (answer.status, answer.code) == (400, "bad_nonce")
        assert uses(kept, url) == 0

    @pytest.mark.parametrize("body", ["[]", "1", "{", '{"nonce": 7}', '{"nonce": ""}', '{"nonce": ["a"]}', "[" * 3000])
    def test_a_json_body_that_is_none_is_refused(self, kept: World, body: str) -> None:
        url = kept.share(max_uses=1)
        answer = kept.open(url, "POST", {"Content-Type": "application/json"}, body=body)
        assert (answer.status, answer.code) == (400, "bad_nonce")
        assert uses(kept, url) == 0

    def test_the_origin_of_a_form_is_not_looked_at(self, kept: World) -> None:
        """Under no-referrer a browser says null even of the page's own."""
        url = kept.share(max_uses=3)
        for origin in ("null", HOST, "https://elsewhere.example.com"):
            assert kept.open(url, "POST", {**FORM, "Origin": origin, "Sec-Fetch-Site": "cross-site"}).status == 303

    def test_it_is_never_cached(self, kept: World) -> None:
        cached = kept.having_mount("/open/", access="anonymous", cache=300)
        kept.put("open/a.txt")
        url = cached.share(path="/open/a.txt", max_uses=2)
        for answer in (cached.open(url), cached.open(url, headers=JSON), cached.use(url)):
            assert answer.headers["Cache-Control"] == "no-store"


class TestWhatCostsNoUse:
    """No use is lost to a link that could not be given."""

    def test_a_link_that_is_too_long(self, kept: World, monkeypatch: pytest.MonkeyPatch) -> None:
        url = kept.share(max_uses=1)
        with monkeypatch.context() as patch:
            patch.setattr("handler.endpoints.objects.MAX_HEADERS", 100)
            assert kept.use(url).code == "link_too_long"
        assert uses(kept, url) == 0
        assert kept.use(url).status == 303

    def test_an_object_that_is_missing_where_that_is_looked_at(self, kept: World) -> None:
        url = kept.share(path="/checked/none.pdf", max_uses=1)
        for _ in range(2):
            answer = kept.use(url)
            assert (answer.status, answer.code) == (404, "not_found")
        assert uses(kept, url) == 0
        kept.put("checked/none.pdf")
        assert kept.use(url).status == 303

    def test_a_share_that_is_changed_ended_or_of_a_bad_form(self, kept: World) -> None:
        url = kept.share(max_uses=1, expires="1h")
        assert kept.open(url + "x", "POST", FORM).status == 404
        assert kept.use(url, now=NOW + 3600).status == 410
        assert kept.open(url, "POST", FORM, format="xml").status == 400
        assert kept.open(url, "PUT").status == 405
        assert uses(kept, url) == 0
