"""Opening shares: the responses for people, programs and link previews, and what counts as a use."""

from __future__ import annotations

import json
from typing import Any

import pytest

from handler.web.pages import qr_code
from signer import verify
from tests.handler.client import KEYS, NOW
from tests.handler.keys_fixtures import watch_requests
from tests.handler.share_fixtures import (
    FORM,
    HOST,
    MAKER,
    ShareService,
    nonce_of,
    share_id,
    token,
)
from tests.worlds import HTML, JSON

AXIOS = {"Accept": "application/json, text/plain, */*"}
NONCE = "nonce-EXAMPLE-000000000"


def uses(service: ShareService, url: str) -> int:
    """The number of claimed uses of a share in the state."""
    return sum(service.stored(f".links/state/uses/{share_id(url)}/{number}") is not None for number in range(1, 21))


class TestPlain:
    def test_a_person_is_redirected(self, service: ShareService) -> None:
        response = service.open(service.create_share(), headers=HTML)
        assert response.status == 302
        assert response.signs("GET")
        assert response.query == {}
        assert response.headers["Cache-Control"] == "no-store"
        assert response.headers["Referrer-Policy"] == "no-referrer"

    def test_head_is_signed_for_head(self, plain: ShareService) -> None:
        response = plain.open(plain.create_share(), "HEAD")
        assert (response.status, response.body) == (302, "")
        assert response.signs("HEAD")
        assert not response.signs("GET")

    def test_a_program_gets_json(self, plain: ShareService) -> None:
        for response in (
            plain.open(plain.create_share(), headers=JSON),
            plain.open(plain.create_share(), format="json"),
        ):
            assert response.json["expires_in"] == 900
            assert response.signs()

    @pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "get"])
    def test_other_methods_are_not_allowed(self, plain: ShareService, method: str) -> None:
        response = plain.open(plain.create_share(), method)
        assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD, POST, OPTIONS")

    def test_a_plain_share_requires_no_io(self, plain: ShareService, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            "handler.core.cloud.oss.OssClient.request", lambda *args, **more: pytest.fail("OSS was asked")
        )
        for params in ({}, {"download": "q3.pdf"}, {"expires": "90d"}):
            assert plain.open(plain.create_share(**params)).status == 302
        # A share with a record requires a request to OSS.
        with pytest.raises(BaseException, match="OSS was asked"):
            plain.request_share(revocable=True)

    def test_the_sender_chooses_the_file_name(self, plain: ShareService) -> None:
        named = plain.open(plain.create_share(download="季度.pdf")).query["response-content-disposition"]
        assert named == "attachment; filename=\"__.pdf\"; filename*=UTF-8''%E5%AD%A3%E5%BA%A6.pdf"
        own = plain.open(plain.create_share(download="")).query["response-content-disposition"]
        assert own == "attachment; filename=\"q3.pdf\"; filename*=UTF-8''q3.pdf"
        assert plain.open(plain.create_share()).query == {}


class TestMissingObject:
    """A browser reads a page of this service instead of OSS's XML."""

    @pytest.mark.parametrize("method", ["GET", "POST"])
    @pytest.mark.parametrize("params", [{}, {"page": True}, {"revocable": True}, {"max_uses": 1}], ids=str)
    def test_a_browser_gets_a_page(self, service: ShareService, params: dict[str, Any], method: str) -> None:
        url = service.create_share(path="/reports/none.pdf", **params)
        headers = {**HTML, **(FORM if method == "POST" else {})}
        for response in (service.open(url, method, headers), service.open(url, method, headers, format="redirect")):
            assert response.status == 404
            assert "<h1>File not found</h1>" in response.body
            assert "Location" not in response.headers

    def test_a_program_reads_the_code(self, service: ShareService) -> None:
        url = service.create_share(path="/checked/none.pdf")
        response = service.open(url, headers=JSON)
        assert (response.status, response.code) == (404, "no_such_object")

    def test_a_browser_costs_one_request_to_oss_and_a_program_none(
        self, service: ShareService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        url = service.create_share()
        requests = watch_requests(monkeypatch)
        assert service.open(url).status == 302
        assert requests == []
        assert service.open(url, headers=HTML).status == 302
        assert requests == ["reports/q3.pdf"]


class TestLimited:
    def test_opening_the_page_does_not_count_as_a_use(self, service: ShareService) -> None:
        url = service.create_share(max_uses=1)
        for _ in range(3):
            for method in ("GET", "HEAD"):
                for headers in (HTML, JSON, {}, {"User-Agent": "TelegramBot (like TwitterBot)"}):
                    assert service.open(url, method, headers).status == 200
                assert service.open(url, method, format="redirect").status == 200
            assert service.open(url, "OPTIONS").status == 204
        assert uses(service, url) == 0
        assert service.uses_left(url) == 1

    def test_the_json_of_a_get_has_the_uses_left_and_the_method_to_use(self, service: ShareService) -> None:
        url = service.create_share(max_uses=2, expires="30d")
        expected = {"uses_left": 2, "expires_at": "2026-03-31T06:41:11Z", "use": "POST"}
        assert service.open(url, headers=JSON).json == expected
        assert service.open(url, format="json").json == expected
        assert service.open(url, key=MAKER).json == expected
        service.use(url)
        assert service.open(url, headers=JSON).json == {**expected, "uses_left": 1}

    def test_a_client_that_accepts_anything_gets_the_page_and_the_file(self, service: ShareService) -> None:
        url = service.create_share(max_uses=1)
        assert service.open(url, headers=AXIOS).headers["Content-Type"] == "text/html; charset=utf-8"
        assert service.use(url, accept=AXIOS["Accept"]).status == 303
        assert service.open(service.create_share(), headers=AXIOS).status == 302

    def test_the_button_is_redirected_with_303(self, service: ShareService) -> None:
        url = service.create_share(max_uses=1)
        page = service.open(url, headers=HTML)
        response = service.use(url, nonce_of(page))
        assert response.status == 303
        location = response.headers["Location"]
        assert verify("GET", location, credentials=KEYS, now=NOW).ok
        assert "response-content-disposition=attachment" in location
        assert response.headers["Cache-Control"] == "no-store"
        assert response.line["expires_in"] == 900
        assert response.line["share"] == share_id(url)

    def test_the_post_of_a_program_gets_json(self, service: ShareService) -> None:
        url = service.create_share(max_uses=1)
        response = service.use(url, accept="application/json")
        assert response.signs()
        assert response.json["method"] == "GET"
        assert service.use(url, accept="application/json").code == "share_used_up"

    def test_the_nonce_can_be_sent_as_json(self, service: ShareService) -> None:
        url = service.create_share(max_uses=1)
        headers = {"Content-Type": "application/json", **JSON}
        for _ in range(3):
            assert service.open(url, "POST", headers, body=json.dumps({"nonce": NONCE})).status == 200
        assert service.open(url, "POST", headers, body="{}").status == 410

    def test_each_page_has_a_nonce_of_its_own(self, service: ShareService) -> None:
        url = service.create_share(max_uses=1)
        nonces = {nonce_of(service.open(url, headers=HTML)) for _ in range(5)}
        assert len(nonces) == 5
        assert all(len(nonce) >= 22 for nonce in nonces)

    def test_a_nonce_is_only_for_its_share(self, service: ShareService) -> None:
        first, second = service.create_share(max_uses=1), service.create_share(max_uses=1)
        assert service.use(first, NONCE).status == 303
        assert service.use(second).status == 303
        assert service.use(second, NONCE).status == 410

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
    def test_an_invalid_nonce_is_refused(self, service: ShareService, body: str) -> None:
        url = service.create_share(max_uses=1)
        response = service.open(url, "POST", FORM, body=body)
        assert (response.status, response.code) == (400, "bad_nonce")
        assert uses(service, url) == 0

    @pytest.mark.parametrize("body", ["[]", "1", "{", '{"nonce": 7}', '{"nonce": ""}', '{"nonce": ["a"]}', "[" * 3000])
    def test_an_invalid_json_body_is_refused(self, service: ShareService, body: str) -> None:
        url = service.create_share(max_uses=1)
        response = service.open(url, "POST", {"Content-Type": "application/json"}, body=body)
        assert (response.status, response.code) == (400, "bad_nonce")
        assert uses(service, url) == 0

    def test_the_origin_of_a_form_is_ignored(self, service: ShareService) -> None:
        """With no-referrer, a browser sends null even for the page's own origin."""
        url = service.create_share(max_uses=3)
        for origin in ("null", HOST, "https://elsewhere.example.com"):
            assert service.open(url, "POST", {**FORM, "Origin": origin, "Sec-Fetch-Site": "cross-site"}).status == 303


class TestRequestsToOss:
    """However often a share may be used, opening it costs a few requests."""

    @pytest.mark.parametrize("maximum", [1, 20])
    @pytest.mark.parametrize("nonce", [None, "nonce-EXAMPLE-new-0000", "nonce-EXAMPLE-00000000"])
    def test_a_used_up_share_costs_at_most_six(
        self, service: ShareService, monkeypatch: pytest.MonkeyPatch, maximum: int, nonce: str | None
    ) -> None:
        url = service.create_share(path="/checked/q3.pdf", max_uses=maximum)
        service.put("checked/q3.pdf")
        for number in range(maximum):
            assert service.use(url, f"nonce-EXAMPLE-{number:08}").status == 303
        service = service.restarted()
        requests = watch_requests(monkeypatch)
        assert service.use(url, nonce).status == (303 if nonce and nonce.endswith("-00000000") else 410)
        assert len(requests) <= 6, requests
        assert ".links/state/probe" in requests

    def test_a_use_costs_at_most_six(self, service: ShareService, monkeypatch: pytest.MonkeyPatch) -> None:
        url = service.create_share(max_uses=20)
        requests = watch_requests(monkeypatch)
        for number in range(20):
            requests.clear()
            assert service.use(url, f"nonce-EXAMPLE-{number:08}").status == 303
            assert len(requests) <= 6, requests

    def test_where_etags_are_no_md5_the_content_of_the_newest_use_tells_whose_it_is(
        self, service: ShareService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service.put("checked/q3.pdf")
        url = service.create_share(path="/checked/q3.pdf", max_uses=20)
        assert service.oss is not None
        requests = watch_requests(monkeypatch)
        for number, uses_left in ((1, 19), (2, 18), (3, 17), (3, 17), (2, 16), (2, 16)):
            requests.clear()
            assert service.restarted().use(url, f"nonce-EXAMPLE-{number:08}").status == 303
            assert len(requests) <= 6, requests
            assert service.uses_left(url) == uses_left
            for use in range(1, 21 - uses_left):
                service.oss.change(f".links/state/uses/{share_id(url)}/{use}", etag=f"{use:032X}")


class TestErrorsCostNoUse:
    """An error does not count as a use."""

    def test_a_link_that_is_too_long(self, service: ShareService, monkeypatch: pytest.MonkeyPatch) -> None:
        url = service.create_share(max_uses=1)
        with monkeypatch.context() as patch:
            patch.setattr("handler.web.response.MAX_HEADERS", 100)
            assert service.use(url).code == "link_too_long"
        assert uses(service, url) == 0
        assert service.use(url).status == 303

    def test_a_missing_object_on_a_mount_with_check(self, service: ShareService) -> None:
        url = service.create_share(path="/checked/none.pdf", max_uses=1)
        for _ in range(2):
            response = service.use(url)
            assert (response.status, response.code) == (404, "no_such_object")
        assert uses(service, url) == 0
        service.put("checked/none.pdf")
        assert service.use(url).status == 303

    def test_a_share_that_is_modified_or_expired_or_misused(self, service: ShareService) -> None:
        url = service.create_share(max_uses=1, expires="1h")
        assert service.open(url + "x", "POST", FORM).status == 404
        assert service.use(url, now=NOW + 3600).status == 410
        assert service.open(url, "POST", FORM, format="xml").status == 400
        assert service.open(url, "PUT").status == 405
        assert uses(service, url) == 0


class TestAppPackages:
    """Shares of app packages that were made while the mount said that OSS serves them."""

    def test_a_person_reads_why_there_is_no_download_and_it_costs_no_use(self, service: ShareService) -> None:
        service.put("reports/app.apk")
        before = service.with_mount("/reports/", app_packages=True)
        plain, page, limited = (
            before.create_share(path="/reports/app.apk", **params) for params in ({}, {"page": True}, {"max_uses": 1})
        )
        for url in (plain, page, limited):
            assert before.open(url, headers=HTML).status == (302 if url == plain else 200)
            refused = service.open(url, headers=HTML)
            assert refused.status == 409
            assert "This app cannot be downloaded here" in refused.body
            assert "<button" not in refused.body
            assert service.use(url, "nonce-EXAMPLE-00000000", accept=HTML["Accept"]).status == 409
        assert uses(service, limited) == 0
        assert service.open(page).code == service.open(limited).code == "app_package_domain"
        # A program gets the link, and reads what OSS answers.
        assert service.open(plain).status == 302
        assert service.open(page, headers=JSON).signs()


class TestQrCode:
    """The image that the page of a share loads when a reader asks for it."""

    @pytest.fixture
    def limited(self, service: ShareService) -> str:
        return service.create_share(max_uses=1)

    def test_the_page_names_it_and_it_costs_no_use(self, service: ShareService, limited: str) -> None:
        assert f'src="?share={token(limited)}&amp;format=qr"' in service.open(limited, headers=HTML).body
        image = service.open(limited, headers={"Accept": "image/avif,*/*;q=0.8"}, format="qr")
        assert (image.status, image.headers["Content-Type"]) == (200, "image/svg+xml")
        assert image.body.startswith('<svg xmlns="http://www.w3.org/2000/svg"')
        assert token(limited) not in image.body
        assert uses(service, limited) == 0

    def test_without_an_address_or_a_page_there_is_none(self, service: ShareService, limited: str) -> None:
        unknown = service.with_config(public_url=None)
        assert "format=qr" not in unknown.open(limited, headers=HTML).body
        assert unknown.open(limited, format="qr").code == "bad_format"
        assert service.open(service.create_share(), format="qr").code == "bad_format"
        assert service.open(limited, "POST", FORM, format="qr").code == "bad_format"
        assert service.request("/open/a.txt", query={"format": "qr"}).code == "bad_format"

    def test_the_qr_code_of_an_ended_share_says_no_more_than_its_page(self, service: ShareService) -> None:
        url = service.create_share(page=True, expires="1h")
        assert service.open(url, format="qr").status == 200
        assert service.open(url, format="qr", now=NOW + 3600).code == "share_expired"

    def test_however_a_path_is_encoded_its_qr_code_is_the_same(self, service: ShareService) -> None:
        url = service.create_share(path="/reports/日本.pdf", page=True)
        shown = {
            service.request(path, query={"share": token(url), "format": "qr"}).body
            for path in ("/reports/日本.pdf", "/reports/%E6%97%A5%E6%9C%AC.pdf", "/reports/%e6%97%a5%e6%9c%ac.pdf")
        }
        assert shown == {qr_code(f"https://links.example.com/reports/%E6%97%A5%E6%9C%AC.pdf?share={token(url)}")}

    def test_a_long_address_has_none(self, service: ShareService) -> None:
        start = len("https://links.example.com/reports/?share=")
        for size, status in ((1000, 200), (1001, 400)):
            plain = service.create_share(path="/reports/a", page=True)
            name = ("a" * 99 + "/") * 8
            name += "a" * (size - start - len(token(plain)) - len(name))
            service.put(f"reports/{name}")
            url = service.create_share(path=f"/reports/{name}", page=True)
            page = service.open(url, headers=HTML)
            assert service.open(url, format="qr").status == status
            assert ("format=qr" in page.body) is (status == 200)

    def test_it_asks_oss_for_the_record_alone(
        self, service: ShareService, limited: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        requests = watch_requests(monkeypatch)
        assert (service.open(limited, "HEAD", format="qr").status, len(requests)) == (200, 1)
