"""Creating, showing and revoking shares."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from handler.core.cloud import oss
from handler.core.config import Location
from handler.core.shares import record as records
from tests.handler.client import NOW
from tests.handler.keys_fixtures import BUCKET, api, issuer, watch_requests
from tests.handler.keys_fixtures import token as jwt
from tests.handler.share_fixtures import (
    DAY,
    HOST,
    LINKS,
    MAKER,
    OTHER,
    READER,
    ShareService,
    share_service,
    share_service_with_oss,
    token,
)
from tests.worlds import WRITER


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ShareService]:
    with share_service_with_oss(tmp_path) as running:
        yield running


def test_a_share_is_the_address_of_its_object_with_a_token(plain: ShareService) -> None:
    response = plain.request_share(path="/reports/2026/季度 q3.pdf", expires="30d")
    assert response.status == 201
    assert response.json == {
        "url": response.json["url"],
        "id": "plain.new",
        "expires_at": "2026-03-31T06:41:11Z",
        "clamped_by": None,
    }
    address = f"{HOST}/reports/2026/%E5%AD%A3%E5%BA%A6%20q3.pdf?share="
    assert response.json["url"].startswith(address)
    assert response.headers["Cache-Control"] == "no-store"
    assert plain.open(response.json["url"]).signs()


def test_a_plain_token_has_63_characters(plain: ShareService) -> None:
    assert len(token(plain.create_share())) == 63
    assert len(token(plain.create_share(page=True, download=""))) == 63


def test_a_share_is_valid_for_a_week_by_default(plain: ShareService) -> None:
    assert plain.request_share().json["expires_at"] == "2026-03-08T06:41:11Z"
    assert plain.request_share(path="/open/a.txt").json["expires_at"] == "2026-03-02T06:41:11Z"


@pytest.mark.parametrize(
    ("params", "expires_at", "clamped_by"),
    [
        ({"expires": "90d"}, "2026-05-30T06:41:11Z", None),
        ({"expires": "91d"}, "2026-05-30T06:41:11Z", "mount"),
        ({"expires": "9999d"}, "2026-05-30T06:41:11Z", "mount"),
        ({"expires": "2d", "path": "/open/a.txt"}, "2026-03-02T06:41:11Z", "mount"),
        ({"expires": "90"}, "2026-03-01T06:42:41Z", None),
    ],
)
def test_the_mount_limits_the_lifetime_and_clamped_by_names_it(
    plain: ShareService, params: dict[str, Any], expires_at: str, clamped_by: str | None
) -> None:
    response = plain.request_share(**params).json
    assert (response["expires_at"], response["clamped_by"]) == (expires_at, clamped_by)


def test_creating_a_share_requires_a_key(plain: ShareService) -> None:
    response = plain.request_share(key=None)
    assert (response.status, response.code) == (401, "unauthorized")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("key", "params"),
    [
        (OTHER, {}),
        (READER, {"path": "/nowhere/a.txt"}),
        (READER, {"path": "/reports/"}),
        (READER, {"path": "/reports"}),
        (MAKER, {"path": "/nowhere/a.txt"}),
        (MAKER, {"path": "/reports/"}),
        (MAKER, {"path": "/-/health"}),
    ],
)
def test_a_path_that_a_key_does_not_cover_is_a_404(plain: ShareService, key: str, params: dict[str, Any]) -> None:
    nowhere = plain.request_share(key=MAKER, path="/nothing/at/all")
    response = plain.request_share(key=key, **params)
    assert (response.status, response.json) == (nowhere.status, nowhere.json)
    assert response.status == 404


@pytest.mark.parametrize("path", ["/reports/q3.pdf", "/unshared/a.txt", "/open/a.txt"])
def test_a_key_that_covers_a_path_without_the_method_share_gets_this_reason(plain: ShareService, path: str) -> None:
    response = plain.request_share(key=READER, path=path)
    assert (response.status, response.code) == (403, "share_not_allowed")
    assert "SHARE" in response.json["detail"]
    assert response.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope"'


def test_a_key_that_shares_elsewhere_may_not_share_what_anyone_reads(plain: ShareService) -> None:
    assert plain.request_share(key=OTHER, path="/open/a.txt").code == "share_not_allowed"


REACHED = [
    "/reports/a",
    "/reports/deep/a",
    "/open/a",
    "/in/a",
    "/in/",
    "/reports/",
    "/reports",
    "/nowhere/a",
    "/.links/a",
    "/all/.links/keys.json",
    "/all/.links/state/probe",
    "/all/a",
    "/-/health",
    "/",
]
COVERED = ["/", "/reports/", "/reports/deep/", "/reports/a", "/in/", "/all/", "/other/"]


@pytest.mark.parametrize("path", REACHED)
@pytest.mark.parametrize("methods", [["GET"], ["PUT"], ["POST"], ["GET", "PUT", "POST"]], ids=str)
def test_the_403_tells_nothing_that_other_requests_do_not_tell(
    plain: ShareService, path: str, methods: list[str]
) -> None:
    """Whatever a key without SHARE covers, its 403 is only for paths that it reaches with one of its methods."""
    whole = '[[mount]]\npath = "/all/"\ntarget = "oss://examplebucket/"\n'
    whole_bucket = share_service(plain.folder, LINKS + whole)
    for covered in COVERED:
        service = whole_bucket.with_keys(api=[api("maker", MAKER, paths=[covered], methods=methods)])
        for method in ("GET", "POST"):
            response = service.request_share(path=path, method=method)
            assert response.code in ("share_not_allowed", "not_found"), (covered, method)
            # A folder is reached where a file in it is.
            reached = reaches(service, f"{path}a" if path.endswith("/") else path)
            if response.code == "share_not_allowed":
                assert reached, (covered, method)
            elif not path.endswith("/") and path != "/-/health":
                assert not reached, (covered, method)


def reaches(service: ShareService, path: str) -> bool:
    """Whether the key gets anything but a 404 for a path, by any request for a link, a form or an upload."""
    sent = {"Content-Type": "application/json"}
    read = (service.request(path, method, key=MAKER).status for method in ("GET", "HEAD"))
    bodies = {"/-/sign": {"links": [{"path": path, "method": "PUT", "size": 1}]}, "/-/form": {"path": path}}
    written = [
        service.request(route, "POST", headers=sent, body=json.dumps(body), key=MAKER) for route, body in bodies.items()
    ]
    return any(status not in (404, 405) for status in read) or any('"url"' in each.body for each in written)


def test_a_token_may_share_what_its_issuer_allows(plain: ShareService) -> None:
    sharing = plain.with_keys(jwt=[issuer(methods=["GET", "SHARE"])])
    url = sharing.create_share(key=jwt())
    assert sharing.open(url).status == 302
    assert plain.request_share(key=jwt()).code == "share_not_allowed"
    assert sharing.request_share(key=jwt(methods=["GET"])).code == "share_not_allowed"
    assert sharing.request_share(key=jwt(methods=["GET"]), path="/plans/a").code == "not_found"


@pytest.mark.parametrize("name", ["app.apk", "App.IPA", "a.b/.apk"])
def test_an_app_package_is_shared_only_where_oss_serves_it(plain: ShareService, name: str) -> None:
    response = plain.request_share(path=f"/reports/{name}", download="app.zip")
    assert (response.status, response.code) == (409, "app_package_domain")
    assert "app_packages" in response.json["detail"]
    assert plain.with_mount("/reports/", app_packages=True).request_share(path=f"/reports/{name}").status == 201
    assert plain.request_share(path=f"/reports/{name}", key=READER).code == "share_not_allowed"
    for path in (f"/reports/{name}.zip", "/reports/apk", "/reports/app.apks"):
        assert plain.request_share(path=path, download="app.apk").status == 201
    for query in ({"format": "json"}, {"format": "redirect"}):
        assert plain.request(f"/reports/{name}", query=query, key=READER).status in (200, 302)


def test_shares_must_be_enabled_for_a_mount(plain: ShareService) -> None:
    response = plain.request_share(path="/unshared/a.txt")
    assert (response.status, response.code) == (409, "not_shareable")
    assert "max_share" in response.json["detail"]


@pytest.mark.parametrize(
    ("params", "member"),
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
def test_an_invalid_member_is_refused_by_name(plain: ShareService, params: dict[str, Any], member: str) -> None:
    response = plain.request_share(**params)
    assert response.status == 400
    assert member in response.json["detail"]


def test_objects_of_the_service_are_not_shared(plain: ShareService) -> None:
    root = plain.with_mount("/reports/", path="/", target=Location(BUCKET, ""))
    anything = root.with_keys(api=[api("maker", MAKER, paths=["/"], methods=["SHARE"])])
    assert anything.request_share(path="/.links/keys.json").status == 404
    assert anything.request_share(path="/.links/state/probe").status == 404
    assert anything.request_share(path="/.links/other").status == 201


def test_without_a_share_key_there_are_no_shares(plain: ShareService) -> None:
    response = plain.with_keys(share=[]).request_share()
    assert (response.status, response.code) == (503, "no_share_key")
    assert "rotate-share" in response.json["detail"]


def test_without_a_state_prefix_there_are_no_records(plain: ShareService) -> None:
    upload = {"path": "/in/", "method": "POST", "upload": {"max_size": 5}}
    for params in ({"max_uses": 1}, {"revocable": True}, {**upload, "key": WRITER}):
        response = plain.with_config(state=None).request_share(**params)
        assert (response.status, response.code) == (409, "state_required")


def test_a_share_is_shown_with_its_uses(service: ShareService) -> None:
    created = service.request_share(max_uses=3, expires="2d").json
    shown = service.request(f"/-/shares/{created['id']}", key=MAKER)
    assert shown.json == {
        "id": created["id"],
        "path": "/reports/q3.pdf",
        "method": "GET",
        "expires_at": "2026-03-03T06:41:11Z",
        "max_uses": 3,
        "uses": 0,
        "revoked": False,
    }


def test_a_plain_share_is_withdrawn_with_its_key_and_the_error_says_how(plain: ShareService) -> None:
    created = plain.request_share().json
    response = plain.request(f"/-/shares/{created['id']}", "DELETE", key=MAKER)
    assert (response.status, response.code) == (409, "share_is_plain")
    assert "python -m handler.commands keys rotate-share --retire new" in response.json["detail"]
    assert plain.open(created["url"]).status == 302


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("share_id", ["plain.nokey", "plain.", "unknown00000", "../keys.json", "a", "a" * 12 + "%2F"])
def test_an_unknown_id_is_a_404(service: ShareService, method: str, share_id: str) -> None:
    assert service.request(f"/-/shares/{share_id}", method, key=MAKER).status in (400, 404)


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_showing_and_revoking_require_what_creating_requires(service: ShareService, method: str) -> None:
    limited, plain = service.request_share(max_uses=1).json["id"], service.request_share().json["id"]
    for share_id in (limited, plain):
        address = f"/-/shares/{share_id}"
        assert service.request(address, method).status == 401
        assert service.request(address, method, key="fcp_nobody_EXAMPLE_0000000000000000").status == 401
        assert service.request(address, method, key=READER).status == 404
    assert service.request(f"/-/shares/{limited}", method, key=OTHER).status == 404
    assert service.request(f"/-/shares/{limited}", key=MAKER).json["revoked"] is False


def test_a_share_is_not_a_credential_for_the_routes_of_the_service(service: ShareService) -> None:
    created = service.request_share(max_uses=1).json
    share = {"share": token(created["url"])}
    assert service.request("/-/shares", "POST", share, body='{"path": "/reports/q3.pdf"}').status == 401
    assert service.request(f"/-/shares/{created['id']}", "GET", share).status == 401
    assert service.request(f"/-/shares/{created['id']}", "DELETE", share).status == 401
    bearer = {"Authorization": f"Bearer {token(created['url'])}"}
    assert service.request(f"/-/shares/{created['id']}", "DELETE", headers=bearer).status == 401
    signed = service.request("/-/sign", "POST", share, body='{"links": [{"path": "/reports/q3.pdf"}]}')
    assert signed.json["links"][0]["error"]["status"] == 401
    assert service.uses_left(created["url"]) == 1


class TestMissingObject:
    def test_a_share_of_a_missing_object_is_refused_and_leaves_nothing(
        self, service: ShareService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(records, "save", lambda *args: pytest.fail("a record was saved"))
        for params in ({}, {"page": True}, {"max_uses": 1}, {"revocable": True}, {"path": "/checked/none.pdf"}):
            response = service.request_share(**params, allow_missing=False)
            assert (response.status, response.code) == (404, "no_such_object")
            assert '"allow_missing": true' in response.json["detail"]

    def test_it_is_allowed_for_those_who_upload_later(self, service: ShareService) -> None:
        response = service.request_share(allow_missing=True)
        assert response.status == 201
        service.put("reports/q3.pdf")
        assert service.open(response.json["url"], headers={"Accept": "text/html"}).status == 302

    def test_checking_costs_one_head_and_allowing_a_missing_object_none(
        self, service: ShareService, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        service.put("reports/q3.pdf")
        requests = watch_requests(monkeypatch)
        for unset in (False, None):
            assert service.request_share(allow_missing=unset).status == 201
            assert requests == ["reports/q3.pdf"]
            requests.clear()
        assert service.request_share(allow_missing=True).status == 201
        assert requests == []

    def test_an_object_in_cold_storage_can_be_shared(self, service: ShareService) -> None:
        assert service.oss is not None
        headers = {"Content-Type": "application/pdf", "x-oss-storage-class": "Archive"}
        location = Location(BUCKET, "reports/cold.pdf")
        assert service.oss.store.request("PUT", location, headers=headers, body=b"cold").ok
        assert service.request_share(path="/reports/cold.pdf", allow_missing=False).status == 201

    def test_a_path_that_was_percent_encoded_is_pointed_out(self, service: ShareService) -> None:
        service.put("reports/a b.pdf")
        response = service.request_share(path="/reports/a%20b.pdf", allow_missing=False)
        assert (response.code, "JSON does not percent-encode" in response.json["detail"]) == ("no_such_object", True)

    def test_only_who_may_share_a_path_learns_whether_it_exists(self, service: ShareService) -> None:
        for key, code in ((OTHER, "not_found"), (READER, "share_not_allowed")):
            assert service.request_share(key=key, allow_missing=False).code == code

    def test_without_oss_the_share_is_not_made(self, service: ShareService, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*args: object, **options: object) -> None:
            raise oss.OssUnavailable("OSS cannot be reached.")

        monkeypatch.setattr(oss.OssClient, "request", fail)
        response = service.request_share(allow_missing=False)
        assert (response.status, response.code) == (503, "oss_unavailable")


class TestAddress:
    """A share begins with `public_url`, else with the domain that the platform names, never with that of a header."""

    def test_the_public_url_is_used(self, plain: ShareService) -> None:
        assert plain.request_share(domain="other.example.com").json["url"].startswith(f"{HOST}/")

    def test_without_it_the_domain_of_the_platform_is_used(self, plain: ShareService) -> None:
        response = plain.with_config(public_url=None).request_share(domain="links-abc.cn-hangzhou.fcapp.run")
        assert urlsplit(response.json["url"])[:2] == ("https", "links-abc.cn-hangzhou.fcapp.run")

    def test_headers_are_ignored(self, plain: ShareService) -> None:
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
        for service in (plain, plain.with_config(public_url=None)):
            body = '{"path": "/reports/q3.pdf", "allow_missing": true}'
            response = service.request("/-/shares", "POST", headers=headers, body=body, domain="d.fcapp.run", key=MAKER)
            assert response.status == 201
            assert evil not in response.body + str(response.headers)

    def test_without_either_it_is_a_409(self, plain: ShareService) -> None:
        response = plain.with_config(public_url=None).request_share(domain="")
        assert (response.status, response.code) == (409, "public_url_required")
        assert "public_url" in response.json["detail"]

    @pytest.mark.parametrize("params", [{"max_uses": 1}, {"page": True}])
    def test_limited_shares_and_pages_require_the_public_url(
        self, service: ShareService, params: dict[str, Any]
    ) -> None:
        response = service.with_config(public_url=None).request_share(domain="d.fcapp.run", **params)
        assert (response.status, response.code) == (409, "public_url_required")

    def test_revocable_shares_do_not_require_the_public_url(self, service: ShareService) -> None:
        assert service.with_config(public_url=None).request_share(domain="d.fcapp.run", revocable=True).status == 201


def test_the_audit_line_has_the_code_of_a_refused_share_and_no_token(plain: ShareService) -> None:
    url = plain.create_share()
    good, bad = plain.open(url), plain.open(url + "x")
    assert (good.line["code"], bad.line["code"]) == (None, "share_invalid")
    assert (bad.line["path"], bad.line["status"]) == ("/reports/q3.pdf", 404)
    assert good.line["expires_in"] == 900
    for response in (good, bad, plain.request_share()):
        assert token(url) not in response.printed
    refused = plain.request_share(key="fcp_nobody_EXAMPLE_0000000000000000")
    assert refused.line["code"] == "unknown_credential"


def test_the_record_of_a_share_is_in_the_state_prefix(service: ShareService) -> None:
    created = service.request_share(max_uses=2, expires="3d").json
    stored = service.stored(f".links/state/shares/{created['id']}.json")
    assert stored is not None
    assert json.loads(stored) == {
        "version": 1,
        "path": "/reports/q3.pdf",
        "target": f"oss://{BUCKET}/reports/",
        "method": "GET",
        "uses": 2,
        "expires_at": int(NOW) + 3 * DAY,
        "owner": "api:maker",
        "created_at": int(NOW),
        "revoked_at": None,
        "upload": None,
    }
    assert token(created["url"]) not in stored.decode()
