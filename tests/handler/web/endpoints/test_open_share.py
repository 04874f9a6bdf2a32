"""Opening shares: the responses for people, programs and link previews, and what counts as a use."""

from __future__ import annotations

import json
import time
from typing import Any
from unittest.mock import patch

import pytest

from handler.core.cloud import oss as clients
from handler.web.pages import qr_code
from signer import verify
from signer.times import rfc3339
from tests.fault_proxy import LATE, fault_proxy
from tests.handler.client import KEYS, NOW
from tests.handler.keys_fixtures import watch_requests
from tests.memory_oss import MemoryOss
from tests.system import (
    DAY,
    FORM,
    HOST,
    HTML,
    JSON,
    MAKER,
    STATE,
    WRITER,
    System,
    nonce_of,
    secret_of,
    share_id,
)

NONCE = "nonce-EXAMPLE-000000000"
FILE = {"reports/q3.pdf": b"%PDF" * 1000}
# The Accept headers of browsers, and of programs: axios, the JDK's URLConnection and HttpClient, curl, a link preview.
BROWSERS = [
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "TEXT/HTML, application/xhtml+xml",
    "application/xhtml+xml,text/html;q=0.9,application/json;q=0.9",
]
PROGRAMS = [
    "application/json, text/plain, */*",
    "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2",
    "*/*",
    "",
    "text/html",
    "application/xhtml+xml",
    "text/html;q=0,application/xhtml+xml",
    "image/avif,*/*;q=0.8",
]


@pytest.fixture
def oss(oss: MemoryOss) -> MemoryOss:
    oss.fill(FILE)
    return oss


def uses(oss: MemoryOss, url: str) -> int:
    """The number of claimed uses of a share in the state."""
    return len(oss.keys(f"{STATE}uses/{share_id(url)}/"))


class TestWhoIsAsking:
    @pytest.mark.parametrize("params", [{}, {"max_uses": 1}], ids=str)
    def test_a_browser_gets_the_page(self, in_memory: System, params: dict[str, Any]) -> None:
        for accept in BROWSERS:
            response = in_memory.open(in_memory.create_share(**params), headers={"Accept": accept})
            assert (response.status, response.headers["Content-Type"]) == (
                200,
                "text/html; charset=utf-8",
            )

    @pytest.mark.parametrize("accept", PROGRAMS)
    def test_everything_else_gets_the_redirect_or_of_a_limited_share_its_json(
        self, in_memory: System, oss: MemoryOss, accept: str
    ) -> None:
        url, limited = in_memory.create_share(), in_memory.create_share(max_uses=2, expires="30d")
        response = in_memory.open(url, headers={"Accept": accept})
        assert (response.status, response.query) == (302, {})
        assert response.signs("GET")
        expected = {"uses_left": 2, "expires_at": rfc3339(NOW + 30 * DAY), "use": "POST"}
        assert in_memory.open(limited, headers={"Accept": accept}).json == expected
        assert in_memory.use(limited, accept=accept).status == 303
        assert in_memory.open(limited, headers={"Accept": accept}).json == {
            **expected,
            "uses_left": 1,
        }

    def test_json_and_head_and_a_key_change_what_is_said(self, in_memory: System) -> None:
        url, limited = in_memory.create_share(), in_memory.create_share(max_uses=1)
        for more in (
            {"headers": JSON},
            {"format": "json"},
            {"key": MAKER},
            {"headers": HTML, "format": "json"},
        ):
            assert in_memory.open(url, **more).json["expires_in"] == 900
            assert in_memory.open(limited, **more).json["uses_left"] == 1
        assert in_memory.open(url, key=MAKER, format="redirect").status == 302
        assert (
            in_memory.open(url, key="fcp_nobody_EXAMPLE_0000000000000000").code
            == "unknown_credential"
        )
        response = in_memory.open(url, "HEAD")
        assert (response.status, response.body) == (302, "")
        assert response.signs("HEAD")
        assert not response.signs("GET")

    def test_a_frame_goes_straight_to_the_file(self, in_memory: System, oss: MemoryOss) -> None:
        assert in_memory.open(in_memory.create_share(page=False), headers=HTML).signs()
        assert in_memory.open(in_memory.create_share(), headers=HTML, format="redirect").signs()
        assert (
            in_memory.open(
                in_memory.create_share(max_uses=1), headers=HTML, format="redirect"
            ).json["use"]
            == "POST"
        )

    def test_other_methods_are_not_allowed(self, in_memory: System) -> None:
        for method in ("PUT", "DELETE", "get"):
            response = in_memory.open(in_memory.create_share(), method)
            assert (response.status, response.headers["Allow"]) == (405, "GET, HEAD, POST, OPTIONS")
        assert in_memory.request("/-/s/", "OPTIONS").headers["Allow"] == "GET, HEAD, POST, OPTIONS"


LIMITED, UPLOADS = {"max_uses": 20}, {"path": "/in/", "method": "POST", "key": WRITER}
RECORD = {"GetObject": 1}
SECOND = {"GetObject": 2}
HEAD = {"HeadObject": 1}
USES = {"ListObjects": 1}


class TestRequestsToOss:
    @pytest.mark.parametrize(
        ("params", "method", "headers", "calls"),
        [
            ({}, "GET", {}, RECORD),
            ({"expires": "3601"}, "GET", {}, RECORD),
            # No link lasts longer than an hour.
            ({"expires": "3600"}, "GET", {}, SECOND),
            ({}, "HEAD", {}, RECORD),
            ({}, "POST", {}, RECORD),
            ({"page": False}, "GET", HTML, {**RECORD, **HEAD}),
            ({"path": "/checked/q3.pdf"}, "GET", {}, {**RECORD, **HEAD}),
            ({}, "GET", HTML, {**SECOND, **HEAD}),
            (LIMITED, "GET", HTML, {**SECOND, **HEAD, **USES}),
            (LIMITED, "GET", {}, {**SECOND, **USES}),
            # The bucket is probed, and the use is claimed.
            (LIMITED, "POST", {}, {**RECORD, **USES, "PutObject": 2}),
            (
                {**LIMITED, "expires": "60"},
                "POST",
                HTML,
                {**SECOND, **HEAD, **USES, "PutObject": 2},
            ),
            ({**LIMITED, "password": True}, "GET", HTML, SECOND),
            (UPLOADS, "GET", HTML, {**SECOND, "ListObjects": 2}),
        ],
    )
    def test_opening_costs_few(
        self,
        in_memory: System,
        oss: MemoryOss,
        params: Any,
        method: str,
        headers: dict[str, str],
        calls: Any,
    ) -> None:
        oss.fill({"checked/q3.pdf": b"content"})
        url = in_memory.create_share(**params)
        oss.calls.clear()
        assert in_memory.restarted().open(url, method, headers).status < 400
        assert oss.calls == calls

    @pytest.mark.parametrize("maximum", [1, 9])
    @pytest.mark.parametrize("nonce", [None, "nonce-EXAMPLE-new-0000", "nonce-EXAMPLE-00000000"])
    def test_the_form_of_a_limited_share_costs_at_most_seven(
        self, in_memory: System, oss: MemoryOss, maximum: int, nonce: str | None
    ) -> None:
        url = in_memory.create_share(max_uses=maximum, expires="60")
        for number in range(maximum):
            oss.calls.clear()
            assert (
                in_memory.restarted()
                .use(url, f"nonce-EXAMPLE-{number:08}", accept=HTML["Accept"])
                .status
                == 303
            )
            assert oss.calls.total() <= 7, oss.calls
        oss.calls.clear()
        response = in_memory.restarted().use(url, nonce, accept=HTML["Accept"])
        assert response.status == (303 if nonce and nonce.endswith("-00000000") else 410)
        assert oss.calls.total() <= 7, oss.calls


class TestMissingObject:
    """A browser reads a page of this service instead of OSS's XML."""

    @pytest.mark.parametrize("params", [{}, {"page": False}, {"max_uses": 1}], ids=str)
    def test_a_browser_gets_a_page(self, in_memory: System, params: dict[str, Any]) -> None:
        url = in_memory.create_share(path="/reports/none.pdf", **params)
        for response in (
            in_memory.open(url, headers=HTML),
            in_memory.open(url, "POST", {**HTML, **FORM}),
        ):
            assert (response.status, "<h1>File not found</h1>" in response.body) == (404, True)

    def test_a_program_reads_the_code_where_the_mount_checks(
        self, in_memory: System, oss: MemoryOss
    ) -> None:
        url = in_memory.create_share(path="/checked/none.pdf", max_uses=1)
        for response in (
            in_memory.use(url),
            in_memory.open(in_memory.create_share(path="/checked/none.pdf")),
        ):
            assert (response.status, response.code) == (404, "no_such_object")
        assert uses(oss, url) == 0
        oss.fill({"checked/none.pdf": b"now"})
        assert in_memory.use(url).status == 303


class TestLimited:
    def test_opening_the_page_does_not_count_as_a_use(
        self, in_memory: System, oss: MemoryOss
    ) -> None:
        url = in_memory.create_share(max_uses=1)
        for method in ("GET", "HEAD"):
            for headers in (HTML, JSON, {}, {"User-Agent": "TelegramBot (like TwitterBot)"}):
                assert in_memory.open(url, method, headers).status == 200
            assert in_memory.open(url, method, format="redirect").status == 200
        assert in_memory.open(url, "OPTIONS").status == 204
        assert uses(oss, url) == 0

    def test_the_button_is_redirected_with_303(self, in_memory: System, oss: MemoryOss) -> None:
        url = in_memory.create_share(max_uses=1)
        response = in_memory.use(
            url, nonce_of(in_memory.open(url, headers=HTML)), accept=HTML["Accept"]
        )
        assert (response.status, response.headers["Cache-Control"]) == (303, "no-store")
        location = response.headers["Location"]
        assert verify("GET", location, credentials=KEYS, now=NOW).ok
        assert "response-content-disposition=attachment" in location
        assert (response.line["expires_in"], response.line["share"]) == (900, share_id(url))
        assert in_memory.open(url).code == "share_used_up"

    def test_the_post_of_a_program_gets_json_and_the_same_nonce_is_one_use(
        self, in_memory: System
    ) -> None:
        url = in_memory.create_share(max_uses=1)
        headers = {"Content-Type": "application/json", **JSON}
        for _ in range(3):
            response = in_memory.open(url, "POST", headers, body=json.dumps({"nonce": NONCE}))
            assert response.signs()
        assert in_memory.open(url, "POST", headers, body="{}").code == "share_used_up"
        assert in_memory.use(url, accept="application/json").code == "share_used_up"

    def test_the_same_nonce_is_the_same_use_for_ten_minutes(
        self, in_memory: System, oss: MemoryOss
    ) -> None:
        url = in_memory.create_share(max_uses=2)
        for age, used in ((0, 1), (599, 1), (600, 1), (601, 2)):
            with patch.object(oss, "now", lambda age=age: NOW + age):
                assert in_memory.use(url, NONCE).status == 303
            assert uses(oss, url) == used

    def test_each_page_has_a_nonce_of_its_own_for_its_share(
        self, in_memory: System, oss: MemoryOss
    ) -> None:
        first, second = in_memory.create_share(max_uses=1), in_memory.create_share(max_uses=1)
        nonces = {nonce_of(in_memory.open(first, headers=HTML)) for _ in range(5)}
        assert len(nonces) == 5
        assert all(len(nonce) >= 22 for nonce in nonces)
        assert in_memory.use(first, NONCE).status == 303
        assert in_memory.use(second).status == 303
        assert in_memory.use(second, NONCE).status == 410

    def test_a_body_above_4_kb_is_refused(self, in_memory: System, oss: MemoryOss) -> None:
        url = in_memory.create_share(max_uses=1)
        headers = {"Content-Type": "application/json"}
        for size, status in ((4097, 400), (4096, 303)):
            body = json.dumps({"nonce": "nonce-EXAMPLE-000000000"}).ljust(size)
            response = in_memory.open(url, "POST", headers, body=body)
            code = "bad_nonce" if status == 400 else None
            assert (response.status, response.line["code"]) == (status, code)

    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            *(
                (FORM["Content-Type"], f"nonce={nonce}")
                for nonce in ("", "short", "a" * 65, "a" * 15 + "%00")
            ),
            *(
                ("application/json", body)
                for body in ("[]", "{", '{"nonce": 7}', '{"nonce": ""}', "[" * 3000)
            ),
        ],
    )
    def test_an_invalid_body_is_refused(
        self, in_memory: System, oss: MemoryOss, content_type: str, body: str
    ) -> None:
        url = in_memory.create_share(max_uses=1)
        response = in_memory.open(url, "POST", {"Content-Type": content_type}, body=body)
        assert (response.status, response.code) == (400, "bad_nonce")
        assert uses(oss, url) == 0

    @pytest.mark.parametrize("params", [{"max_uses": 1}, {}], ids=str)
    def test_a_code_that_no_one_needs_must_still_be_a_string(
        self, in_memory: System, params: dict[str, Any]
    ) -> None:
        url = in_memory.create_share(**params)
        headers = {"Content-Type": "application/json"}
        for code in (7, None, ["K7QM-2TXP"]):
            response = in_memory.open(url, "POST", headers, body=json.dumps({"password": code}))
            assert (response.status, response.code) == (400, "bad_body")

    def test_the_origin_of_a_form_is_ignored(self, in_memory: System) -> None:
        """With no-referrer, a browser sends null even for the page's own origin."""
        url = in_memory.create_share(max_uses=3)
        for origin in ("null", HOST, "https://elsewhere.example.com"):
            headers = {**FORM, "Origin": origin, "Sec-Fetch-Site": "cross-site"}
            assert in_memory.open(url, "POST", headers).status == 303

    def test_an_error_costs_no_use(self, in_memory: System, oss: MemoryOss) -> None:
        url = in_memory.create_share(max_uses=1, expires="1h")
        assert in_memory.open(url + "x", "POST", FORM).status == 404
        assert in_memory.use(url, now=NOW + 3600).status == 410
        assert in_memory.open(url, "POST", FORM, format="xml").status == 400
        assert in_memory.open(url, "PUT").status == 405
        with patch("handler.web.response.MAX_HEADERS", 100):
            assert in_memory.use(url).code == "link_too_long"
        assert uses(oss, url) == 0
        assert in_memory.use(url).status == 303


def test_a_person_reads_why_an_app_is_no_longer_served_and_it_costs_no_use(
    in_memory: System, oss: MemoryOss
) -> None:
    oss.fill({"reports/app.apk": b"content"})
    before = in_memory.with_mount("/reports/", app_packages=True)
    urls = [
        before.create_share(path="/reports/app.apk", **params)
        for params in ({}, {"page": False}, {"max_uses": 1})
    ]
    for url in urls:
        assert before.open(url, headers=HTML).status in (200, 302)
        refused = in_memory.open(url, headers=HTML)
        assert refused.status == 409
        assert "This app cannot be downloaded here" in refused.body
        assert in_memory.use(url, NONCE, accept=HTML["Accept"]).status == 409
        assert uses(oss, url) == 0
        # A program gets the link, and reads what OSS answers.
        assert in_memory.use(url).status == 303


class TestQrCode:
    """The image that the page of a share loads when a reader asks for it."""

    def test_the_page_names_it_and_it_costs_one_request_and_no_use(
        self, in_memory: System, oss: MemoryOss
    ) -> None:
        url = in_memory.create_share(max_uses=1)
        assert (
            f'src="?share={secret_of(url)}&amp;format=qr"' in in_memory.open(url, headers=HTML).body
        )
        oss.calls.clear()
        image = in_memory.open(url, headers={"Accept": "image/avif,*/*;q=0.8"}, format="qr")
        assert (image.status, image.headers["Content-Type"]) == (200, "image/svg+xml")
        assert image.body == qr_code(url)
        assert oss.calls == {"GetObject": 1}
        # Opened without its name, it leads to the same address.
        assert (
            in_memory.request("/-/s", query={"share": secret_of(url), "format": "qr"}).body
            == image.body
        )
        assert in_memory.open(url, format="qr", now=NOW + 7 * DAY).code == "share_expired"

    def test_without_an_address_or_a_page_there_is_none(self, in_memory: System) -> None:
        url = in_memory.create_share()
        unknown = in_memory.with_config(public_url=None)
        assert "format=qr" not in unknown.open(url, headers=HTML).body
        for response in (
            unknown.open(url, format="qr"),
            in_memory.open(url, "POST", FORM, format="qr"),
            *(
                in_memory.open(in_memory.create_share(**each), format="qr")
                for each in ({"page": False}, UPLOADS)
            ),
        ):
            assert response.json["code"] == "bad_format"


# --- a state that cannot be read: a 503 for everybody ---------------------------------------------------------------


def codes(service: System, url: str) -> set[str]:
    """The codes of all requests that a share allows."""
    shown = [
        service.open(url, method, headers)
        for method, headers in (("GET", HTML), ("POST", JSON), ("HEAD", {}))
    ]
    return {response.line["code"] for response in (*shown, service.use(url, NONCE))}


def test_a_record_with_a_missing_or_invalid_member_is_a_503(
    in_memory: System, oss: MemoryOss
) -> None:
    url = in_memory.create_share(max_uses=1)
    name = f"{STATE}shares/{share_id(url)}.json"
    valid = json.loads(oss.read(name))
    for member in valid:
        for record in (
            {**valid, member: [1]},
            {key: value for key, value in valid.items() if key != member},
        ):
            oss.fill({name: json.dumps(record).encode()})
            if member == "files" and member not in record:  # which older records lack
                assert in_memory.open(url).status == 200
            else:
                assert in_memory.open(url).code == "state_unavailable", member


DAMAGED: list[Any] = [
    b"",
    b"{",
    b"null",
    b"\xff",
    b"[" * 100_000,
    *(
        {name: time}
        for name in ("expires_at", "created_at")
        for time in (-1, 10**10, 10**400, True, 1.5)
    ),
    *({name: value} for name in ("hash", "password") for value in ("é" * 43, "x", "\ud800" * 43)),
    *(
        {"method": "POST", "upload": each}
        for each in (None, {}, {"max_size": "1", "max_files": 1, "content_type": None})
    ),
    {"upload": {}},
    {"page": 1},
    {"uses": True},
    {"title": 7},
]


@pytest.mark.parametrize("damage", DAMAGED, ids=lambda damage: str(damage)[:40])
def test_a_record_that_is_not_one_or_has_an_odd_value_is_a_503(
    in_memory: System, oss: MemoryOss, damage: Any
) -> None:
    url = in_memory.create_share(max_uses=1)
    name = f"{STATE}shares/{share_id(url)}.json"
    is_whole = isinstance(damage, bytes)
    oss.fill(
        {
            name: damage
            if is_whole
            else json.dumps({**json.loads(oss.read(name)), **damage}).encode()
        }
    )
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
def test_in_a_bucket_with_versions_only_shares_without_limits_work(
    service: System, status: str
) -> None:
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
    assert keys.index(f"{STATE}probe") < next(
        position for position, key in enumerate(keys) if "/uses/" in key
    )
    monkeypatch.setattr(
        clients.OssClient, "claim", lambda *_, **options: clients.OssResponse(500, {}, b"", "")
    )
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
def test_a_claim_that_is_read_incompletely_is_not_mistaken_for_another(
    service: System, times: int
) -> None:
    url = service.create_share(max_uses=2)
    assert service.use(url, NONCE).status == 303
    # The record is read, the prefix probed, the claims listed, the claim refused, and the answer with its holder cut.
    with fault_proxy(service.oss.url) as proxy:
        proxy.play("", "", "", "", *["half of the body"] * times)
        assert service.at(proxy.url).use(url, NONCE).status == (303 if times == 1 else 503)
    assert service.stored(f"{STATE}uses/{share_id(url)}/2") is None
