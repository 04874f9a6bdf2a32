"""Creating, revoking and listing shares, and their index in the state prefix."""

from __future__ import annotations

import json
import time
from hashlib import sha256
from typing import Any, get_type_hints
from unittest.mock import patch
from urllib.parse import urlsplit

import pytest

from handler.core.cloud.oss import OssResponse
from handler.core.config import Location, Mounts
from handler.core.shares.record import Record
from handler.core.words import Words
from signer.times import rfc3339
from tests import system
from tests.handler.client import NOW
from tests.handler.keys_fixtures import READER, api, base64url, hash_of, issuer
from tests.handler.keys_fixtures import token as jwt
from tests.local_oss import BUCKET
from tests.memory_oss import MemoryOss
from tests.system import (
    DAY,
    HOST,
    HTML,
    LINKS,
    MAKER,
    OTHER,
    STATE,
    WRITER,
    System,
    keys,
    secret_of,
    share_id,
)

UPLOAD = {"key": WRITER, "path": "/in/", "method": "POST"}


def test_a_share_is_a_record_that_knows_only_the_hash_of_its_secret(
    in_memory: System, oss: MemoryOss
) -> None:
    params: dict[str, Any] = {
        "max_uses": 2,
        "download": "final.pdf",
        "title": "Q3",
        "message": "Two\r\nlines",
    }
    response = in_memory.request_share(expires="3d", **params)
    assert (response.status, response.headers["Cache-Control"]) == (201, "no-store")
    url, end = response.json["url"], "2026-03-04T06:41:11Z"
    hashed = base64url(sha256(secret_of(url).encode()).digest())
    assert response.json == {"url": url, "id": hashed[:12], "expires_at": end, "clamped_by": None}
    # Two that ask whether the bucket has versioning, the record, and the index.
    assert oss.calls == {"PutObject": 4}
    place = {
        "path": "/reports/q3.pdf",
        "mount": "/reports/",
        "target": f"oss://{BUCKET}/reports/",
        "method": "GET",
    }
    said = {"download": "final.pdf", "title": "Q3", "message": "Two\nlines"}
    owner = {
        "owner": "api:maker",
        "owner_tag": sha256(f"api:maker:{hash_of(MAKER)}".encode()).hexdigest()[:32],
    }
    times = {"created_at": int(NOW), "expires_at": int(NOW) + 3 * DAY, "revoked_at": None}
    kind = {"page": True, "uses": 2, "upload": None, "password": None, "files": None}
    stored = json.loads(oss.read(f"{STATE}shares/{hashed[:12]}.json"))
    assert stored == {"version": 1, "hash": hashed, **place, **said, **owner, **times, **kind}


@pytest.mark.parametrize(
    ("params", "expires_at", "clamped_by"),
    [
        ({}, "2026-03-08T06:41:11Z", None),
        ({"path": "/open/a.txt"}, "2026-03-02T06:41:11Z", None),
        ({"expires": "90d"}, "2026-05-30T06:41:11Z", None),
        ({"expires": "91d"}, "2026-05-30T06:41:11Z", "mount"),
        ({"expires": "2d", "path": "/open/a.txt"}, "2026-03-02T06:41:11Z", "mount"),
        ({"expires": "90"}, "2026-03-01T06:42:41Z", None),
    ],
)
def test_a_week_is_the_default_and_the_mount_limits_it(
    in_memory: System, params: dict[str, Any], expires_at: str, clamped_by: str | None
) -> None:
    response = in_memory.request_share(**params).json
    assert (response["expires_at"], response["clamped_by"]) == (expires_at, clamped_by)


@pytest.mark.parametrize(
    ("params", "public_url", "page"),
    [
        ({}, HOST, True),
        ({}, None, False),
        ({"page": False}, HOST, False),
        ({"page": True}, HOST, True),
        ({"page": False}, None, False),
        *(
            ({"path": "/reports/", **params}, HOST, page)
            for params, page in (({}, False), ({"page": True}, True))
        ),
    ],
)
def test_the_page_is_decided_when_a_share_is_made(
    in_memory: System, oss: MemoryOss, params: dict[str, Any], public_url: str | None, page: bool
) -> None:
    changed = in_memory.with_mount("/reports/", lists=True).with_config(public_url=public_url)
    changed = changed.with_keys(api=[api("maker", MAKER, methods=["GET", "LIST", "SHARE"])])
    share_id = changed.request_share(domain="links.example.net", **params).json["id"]
    assert json.loads(oss.read(f"{STATE}shares/{share_id}.json"))["page"] is page


@pytest.mark.parametrize(
    "params", [{"max_uses": 1}, {"page": True}, {"password": True}, UPLOAD], ids=" ".join
)
def test_what_needs_a_page_needs_the_public_url(in_memory: System, params: dict[str, Any]) -> None:
    response = in_memory.with_config(public_url=None).request_share(domain="d.fcapp.run", **params)
    assert (response.status, response.code) == (409, "public_url_required")
    if "page" not in params:
        response = in_memory.request_share(page=False, **params)
        assert (response.status, response.code) == (400, "bad_body")
        assert '"page"' in response.json["detail"]


@pytest.mark.parametrize(
    ("params", "member"),
    [
        ({"upload": {"max_files": 1}}, "upload"),
        ({**UPLOAD, "max_uses": 1}, "max_uses"),
        ({**UPLOAD, "download": "a.txt"}, "download"),
        ({**UPLOAD, "download": ""}, "download"),
    ],
    ids=["upload of a download", "max_uses", "download", "no name"],
)
def test_a_limit_that_its_kind_of_share_does_not_have_is_never_ignored(
    in_memory: System, oss: MemoryOss, params: dict[str, Any], member: str
) -> None:
    response = in_memory.request_share(**params)
    assert (response.status, response.code) == (400, "bad_body")
    assert f'"{member}"' in response.json["detail"]
    assert not oss.calls


@pytest.mark.parametrize(
    ("key", "path"),
    [
        (OTHER, "/reports/q3.pdf"),
        *(
            (key, path)
            for key in (READER, MAKER)
            for path in ("/nowhere/a.txt", "/reports/", "/-/health")
        ),
    ],
)
def test_a_path_that_a_key_does_not_cover_is_a_404(in_memory: System, key: str, path: str) -> None:
    nowhere = in_memory.request_share(key=MAKER, path="/nothing/at/all")
    response = in_memory.request_share(key=key, path=path)
    assert (response.status, response.json) == (404, nowhere.json)


@pytest.mark.parametrize(
    ("key", "path"),
    [
        (READER, "/reports/q3.pdf"),
        (READER, "/unshared/a.txt"),
        (READER, "/open/a.txt"),
        (OTHER, "/open/a.txt"),
    ],
)
def test_a_key_that_reads_a_path_without_the_method_share_gets_this_reason(
    in_memory: System, key: str, path: str
) -> None:
    response = in_memory.request_share(key=key, path=path)
    assert (response.status, response.code) == (403, "share_not_allowed")
    assert "SHARE" in response.json["detail"]
    assert response.headers["WWW-Authenticate"] == 'Bearer error="insufficient_scope"'
    assert in_memory.request_share(key=None, path=path).code == "unauthorized"


REACHED = [
    "/reports/a",
    "/open/a",
    "/in/a",
    "/in/",
    "/reports/",
    "/nowhere/a",
    "/all/.links/keys.json",
    "/-/health",
    "/",
]
COVERED = ["/", "/reports/", "/reports/a", "/in/", "/all/"]


@pytest.mark.parametrize("path", REACHED)
@pytest.mark.parametrize("methods", [["GET"], ["PUT", "POST"]], ids=str)
def test_the_403_tells_nothing_that_other_requests_do_not_tell(
    in_memory: System, path: str, methods: list[str]
) -> None:
    """Whatever a key without SHARE covers, its 403 is only for paths that it reaches with one of its methods."""
    whole = '[[mount]]\npath = "/all/"\ntarget = "oss://examplebucket/"\n'
    whole_bucket = system.service(in_memory.folder, LINKS + whole)
    for covered in COVERED:
        world = whole_bucket.with_keys(api=[api("maker", MAKER, paths=[covered], methods=methods)])
        for method in ("GET", "POST"):
            response = world.request_share(path=path, method=method)
            assert response.code in ("share_not_allowed", "not_found"), (covered, method)
            # A folder is reached where a file in it is.
            reached = reaches(world, f"{path}a" if path.endswith("/") else path)
            if response.code == "share_not_allowed":
                assert reached, (covered, method)
            elif not path.endswith("/") and path != "/-/health":
                assert not reached, (covered, method)


def reaches(world: System, path: str) -> bool:
    """Whether the key gets anything but a 404 for a path, by any request for a link, a form or an upload."""
    read = (world.request(path, method, key=MAKER).status for method in ("GET", "HEAD"))
    bodies = {
        "/-/sign": {"links": [{"path": path, "method": "PUT", "size": 1}]},
        "/-/form": {"path": path},
    }
    written = [world.post(route, body, MAKER) for route, body in bodies.items()]
    return any(status not in (404, 405) for status in read) or any(
        '"url"' in each.body for each in written
    )


def test_a_token_may_share_what_its_issuer_allows(in_memory: System) -> None:
    sharing = in_memory.with_keys(jwt=[issuer(methods=["GET", "SHARE"])])
    assert sharing.open(sharing.create_share(key=jwt())).status == 302
    assert in_memory.request_share(key=jwt()).code == "share_not_allowed"
    assert sharing.request_share(key=jwt(methods=["GET"])).code == "share_not_allowed"
    assert sharing.request_share(key=jwt(methods=["GET"]), path="/plans/a").code == "not_found"


@pytest.mark.parametrize("claims", [{"sub": None}, {"sub": ""}], ids=["absent", "empty"])
def test_a_token_without_a_subject_owns_no_shares(
    in_memory: System, claims: dict[str, Any]
) -> None:
    """All of them would be one person."""
    sharing = in_memory.with_keys(jwt=[issuer(methods=["GET", "SHARE"])])
    bearer, url = jwt(**claims), sharing.create_share(key=jwt())
    for answer in (sharing.request_share(key=bearer), sharing.request("/-/shares", key=bearer)):
        assert (answer.status, answer.code) == (401, "malformed_credential")
        assert "sub" in answer.json["detail"]
    # What belongs to no person stays possible.
    assert sharing.request("/reports/q3.pdf", key=bearer).status == 200
    assert sharing.revoke(url, bearer).status == 204


@pytest.mark.parametrize("name", ["App.IPA", "a.b/.apk"])
def test_an_app_package_is_shared_only_where_oss_serves_it(in_memory: System, name: str) -> None:
    response = in_memory.request_share(path=f"/reports/{name}", download="app.zip")
    assert (response.status, response.code) == (409, "app_package_domain")
    assert "app_packages" in response.json["detail"]
    assert (
        in_memory.with_mount("/reports/", app_packages=True)
        .request_share(path=f"/reports/{name}")
        .status
        == 201
    )
    assert in_memory.request_share(path=f"/reports/{name}", key=READER).code == "share_not_allowed"
    for path in (f"/reports/{name}.zip", "/reports/apk", "/reports/app.apks"):
        assert in_memory.request_share(path=path, download="app.apk").status == 201
    for query in ({"format": "json"}, {"format": "redirect"}):
        assert in_memory.request(f"/reports/{name}", query=query, key=READER).status in (200, 302)


INVALID: dict[str, list[object]] = {
    "expires": ["soon", "0", "-1d", [90]],
    "max_uses": [0, -1, 21, True, 1.5, "1"],
    "page": ["no", 1],
    "download": ["a/b.pdf", "a\nb.pdf", "x" * 256, True],
    "method": ["PUT", "HEAD", "get"],
    "path": ["reports/a.txt", "/reports/../keys.json", "/reports//a", "/reports/\ud800", None],
    "title": ["", " \u3000", "x" * 121, "a\nb", "a\tb", "\x7f", "\x85", "\ud800", 7],
    "message": ["", "\n \r\n", "x" * 501, "a\tb", "a\x00b", "a\rb", "\udfff", ["a"]],
    "password": ["K7QM-2TXP", "", 1, "true", [True]],
    "maxuses": [1],
}


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_member_is_refused_by_name(in_memory: System, oss: MemoryOss, name: str) -> None:
    for value in INVALID[name]:
        params: dict[str, Any] = {name: value}
        response = in_memory.request_share(**params)
        assert (response.status, name in response.json["detail"]) == (400, True), ascii(value)
    assert oss.calls == {}


@pytest.mark.parametrize(
    ("title", "message"),
    [
        ("季" * 120, "度" * 500),
        ("Q3", "x\n" * 250),
        ("👩\u200d💻", "a\r\nb"),
        ("<b>", " a \n\n b "),
    ],
)
def test_a_title_and_a_message_are_text_on_the_page(
    in_memory: System, oss: MemoryOss, title: str, message: str
) -> None:
    oss.fill({"reports/q3.pdf": b"content"})
    url = in_memory.create_share(title=title, message=message)
    assert in_memory.shown(url)["title"] == title
    page = in_memory.open(url, headers=HTML)
    escaped, *lines = (
        text.replace("<", "&lt;").replace(">", "&gt;") for text in (title, *message.splitlines())
    )
    assert f"<h1>{escaped}</h1>" in page.body
    assert all(line in page.body for line in lines)
    assert page.body.count("<br>") == message.count("\n")
    for error in (
        in_memory.open(f"{url}x", headers=HTML),
        in_memory.open(url, headers=HTML, now=NOW + 8 * DAY),
    ):
        assert escaped not in error.body.partition("<main>")[2]


def test_objects_of_the_service_and_of_a_mount_without_shares_are_not_shared(
    in_memory: System,
) -> None:
    response = in_memory.request_share(path="/unshared/a.txt")
    assert (response.status, response.code) == (409, "not_shareable")
    assert "max_share" in response.json["detail"]
    root = in_memory.with_mount("/reports/", path="/", target=Location(BUCKET, ""))
    anything = root.with_keys(api=[api("maker", MAKER, paths=["/"], methods=["SHARE"])])
    assert anything.request_share(path="/.links/keys.json").status == 404
    assert anything.request_share(path="/.links/state/probe").status == 404
    assert anything.request_share(path="/.links/other").status == 201


@pytest.mark.parametrize("folder", ["index/", "shares/"])
@pytest.mark.parametrize("arrives", [True, False])
def test_a_record_that_may_arrive_late_is_not_written_again(
    in_memory: System, oss: MemoryOss, folder: str, arrives: bool
) -> None:
    """The second try has another secret, and nobody knows the address of the first."""
    answer, places = oss.answer, list[Location]()

    def lose_the_first(method: str, place: Location, *options: Any) -> OssResponse:
        if place.key.startswith(STATE + folder):
            places.append(place)
            if len(places) == 1:
                if arrives:
                    answer(method, place, *options)
                return oss.respond(503, code="ServiceUnavailable")
        return answer(method, place, *options)

    with patch.object(oss, "answer", lose_the_first):
        url = in_memory.create_share()
    assert in_memory.open(url).status == 302
    assert len(oss.keys(f"{STATE}shares/")) == (1 if folder == "shares/" and not arrives else 2)
    assert len(set(places)) == 2


@pytest.mark.parametrize("folder", ["index/", "shares/"])
def test_where_it_cannot_be_written_there_is_no_share(
    in_memory: System, oss: MemoryOss, folder: str
) -> None:
    with oss.refusing(STATE + folder):
        response = in_memory.request_share()
    assert (response.status, response.code) == (503, "state_unavailable")
    assert "share" not in response.line
    assert in_memory.request("/-/shares", key=MAKER).json["shares"] == []


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
def test_showing_extending_and_revoking_require_what_creating_requires(
    in_memory: System, method: str
) -> None:
    url = in_memory.create_share()
    created = in_memory.shown(url)
    for unknown in ("unknown00000", "../keys.json", "a", "a" * 12 + "%2F", "a" * 13):
        response = in_memory.request(
            f"/-/shares/{unknown}", method, key=MAKER, body='{"expires": "1d"}'
        )
        assert response.status in (400, 404)
    for key, status in (
        (None, 401),
        ("fcp_nobody_EXAMPLE_0000000000000000", 401),
        (READER, 404),
        (OTHER, 404),
    ):
        answer = in_memory.request(
            f"/-/shares/{created['id']}", method, key=key, body='{"expires": "30d"}'
        )
        assert answer.status == status
    assert in_memory.shown(url) == created


def test_a_revocation_empties_each_text_of_a_record_also_of_a_share_revoked_before(
    in_memory: System,
) -> None:
    hints = {**get_type_hints(Record), **get_type_hints(Words)}
    # The hash of a code is no text of its sender.
    texts = {name for name, hint in hints.items() if hint == (str | None)} - {"password"}
    assert texts >= {"title", "message", "download"}
    said = dict.fromkeys(texts, "Salary of Jane Doe")
    url = in_memory.create_share(**said)
    name = f"{STATE}shares/{share_id(url)}.json"
    written = json.loads(in_memory.read(name))
    for before in (written, {**written, "revoked_at": int(NOW) - 60}):
        in_memory.put(name, json.dumps(before).encode())
        assert in_memory.revoke(url).status == 204
        revoked = json.loads(in_memory.read(name))
        assert {name: revoked[name] for name in said} == dict.fromkeys(said)
        assert revoked["revoked_at"] == (before["revoked_at"] or int(NOW))
        assert "Jane" not in json.dumps(revoked)


class TestMissingObject:
    @pytest.mark.parametrize(
        "params", [{}, {"max_uses": 1, "password": True}, {"path": "/checked/none.pdf"}], ids=str
    )
    def test_a_share_of_a_missing_object_is_refused_and_leaves_nothing(
        self, in_memory: System, oss: MemoryOss, params: dict[str, Any]
    ) -> None:
        response = in_memory.request_share(**params, allow_missing=False)
        assert (response.status, response.code) == (404, "no_such_object")
        assert '"allow_missing": true' in response.json["detail"]
        assert "JSON does not percent-encode" in response.json["detail"]
        assert oss.calls == {"HeadObject": 1}

    @pytest.mark.parametrize(("allowed", "heads"), [(False, 1), (None, 1), (True, 0)])
    def test_checking_costs_one_head_and_allowing_a_missing_object_none(
        self, in_memory: System, oss: MemoryOss, allowed: bool | None, heads: int
    ) -> None:
        oss.fill({"reports/q3.pdf": b"content"})
        in_memory.create_share()  # since then the instance knows the time of OSS
        oss.calls.clear()
        assert in_memory.request_share(allow_missing=allowed).status == 201
        assert oss.calls == {"PutObject": 2, **({"HeadObject": heads} if heads else {})}

    def test_an_object_in_cold_storage_can_be_shared(
        self, in_memory: System, oss: MemoryOss, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        headers = {**oss.respond(200).headers, "x-oss-storage-class": "Archive"}
        archived = OssResponse(200, headers, b"", "")
        monkeypatch.setattr("handler.core.cloud.oss.OssClient.head", lambda *_: archived)
        assert in_memory.request_share(allow_missing=False).status == 201

    def test_only_who_may_share_a_path_learns_whether_it_exists(
        self, in_memory: System, oss: MemoryOss
    ) -> None:
        for key, code in ((OTHER, "not_found"), (READER, "share_not_allowed")):
            assert in_memory.request_share(key=key, allow_missing=False).code == code
        assert oss.calls == {}

    def test_without_oss_the_share_is_not_made(self, in_memory: System, oss: MemoryOss) -> None:
        with oss.refusing("reports/"):
            assert in_memory.request_share(allow_missing=False).code == "oss_unavailable"


class TestOrigin:
    """An address begins with `public_url`, else with the domain that the platform names, never with one of a header."""

    def test_it_is_the_public_url_or_the_domain_of_the_platform_or_there_is_no_share(
        self, in_memory: System
    ) -> None:
        assert (
            in_memory.request_share(domain="other.example.com")
            .json["url"]
            .startswith(f"{HOST}/-/s/")
        )
        without = in_memory.with_config(public_url=None)
        response = without.request_share(domain="links-abc.cn-hangzhou.fcapp.run")
        assert urlsplit(response.json["url"])[:2] == ("https", "links-abc.cn-hangzhou.fcapp.run")
        response = without.request_share(domain="")
        assert (response.status, response.code) == (409, "public_url_required")
        assert "public_url" in response.json["detail"]

    def test_headers_are_ignored(self, in_memory: System) -> None:
        evil = "evil.example.com"
        headers = {
            "Content-Type": "application/json",
            "X-Forwarded-Proto": "http",
            "Forwarded": f"host={evil}",
        }
        headers |= dict.fromkeys(("Host", "X-Forwarded-Host", "X-Original-Host"), evil)
        headers |= dict.fromkeys(("Origin", "Referer"), f"https://{evil}")
        for world in (in_memory, in_memory.with_config(public_url=None)):
            body = '{"path": "/reports/q3.pdf", "allow_missing": true}'
            response = world.request(
                "/-/shares", "POST", headers=headers, body=body, domain="d.fcapp.run", key=MAKER
            )
            assert response.status == 201
            assert evil not in response.body + str(response.headers)


ADMIN = "fcp_admin_EXAMPLE_00000000000000000000000000000"
UNAVAILABLE = "state_unavailable"


@pytest.fixture
def shares(in_memory: System) -> System:
    callers = [*keys()["api"], api("admin", ADMIN, paths=["/"], methods=["ADMIN"])]
    users = issuer(methods=["GET", "SHARE"], paths=["/reports/"])
    return in_memory.with_keys(api=callers, jwt=[users])


def page(
    service: System, key: str = MAKER, *, now: float = NOW, after: str | None = None, **query: str
) -> Any:
    query |= {"after": after} if after else {}
    response = service.request("/-/shares", query=query, key=key, now=now)
    assert response.status == 200, response
    assert set(response.json) == {"shares", "next"}
    return response.json


def ids(service: System, key: str = MAKER, **options: Any) -> list[str]:
    """The ids of all pages, of two shares each."""
    found: list[str] = []
    after: str | None = ""
    while after is not None:
        document = page(service, key, limit="2", after=after, **options)
        found, after = found + [share["id"] for share in document["shares"]], document["next"]
    return found


def create(service: System, key: str = MAKER, **params: Any) -> Any:
    """The id of a new share."""
    return service.request_share(key, **params).json["id"]


def test_shares_are_listed_by_page_and_the_newest_come_first(
    shares: System, oss: MemoryOss
) -> None:
    created = [create(shares, now=NOW + second) for second in range(5)]
    assert ids(shares) == created[::-1]
    folder = f"{STATE}index/{sha256(f'api:maker:{hash_of(MAKER)}{chr(10)}api:maker'.encode()).hexdigest()[:32]}/"
    entries = [
        f"{folder}{9_999_999_999 - int(NOW) - second}-{created[second]}"
        for second in (4, 3, 2, 1, 0)
    ]
    assert oss.keys(f"{STATE}index/") == entries
    assert {oss.read(entry) for entry in entries} == {b""}
    assert (len(page(shares)["shares"]), page(shares, limit="5")["next"]) == (5, None)


def test_a_share_is_shown_with_all_that_its_sender_wants_to_know(
    shares: System, oss: MemoryOss
) -> None:
    times = {"created_at": rfc3339(NOW), "expires_at": rfc3339(NOW + 7 * DAY)}
    unused = {
        "path": "/reports/q3.pdf",
        "method": "GET",
        **times,
        "state": "active",
        "max_uses": None,
        "uses": None,
        "last_use": None,
    }
    uploads = {"max_size": 9, "max_files": 2, "content_type": None}
    cases: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        (MAKER, {}, unused),
        (MAKER, {"title": "Q3", "message": "Two", "download": "a.pdf"}, {**unused, "title": "Q3"}),
        (
            MAKER,
            {"password": True, "max_uses": 2},
            {**unused, "max_uses": 2, "uses": 0, "password": True},
        ),
        (
            WRITER,
            {"path": "/in/", "method": "POST", "upload": {"max_size": 9, "max_files": 2}},
            {
                **unused,
                "max_uses": 2,
                "uses": 0,
                "path": "/in/",
                "method": "POST",
                "upload": uploads,
                "received_at": None,
            },
        ),
    ]
    for key, params, expected in cases:
        identifier = create(shares, key, **params)
        shown = shares.request(f"/-/shares/{identifier}", key=key)
        assert shown.json == {"id": identifier, **expected}
        assert shares.request(f"/-/shares/{identifier}", "HEAD", key=key).status == 200
        assert page(shares, key)["shares"].count(shown.json) == 1


def with_folders(service: System, **targets: str) -> System:
    """The service with further mounts that list: their names, and their prefixes in the bucket."""
    first = next(each for each in service.config.mounts if each.path == "/reports/")
    more = [
        first._replace(path=f"/{name}/", target=Location(BUCKET, prefix), lists=True)
        for name, prefix in targets.items()
    ]
    mounts = Mounts([*service.config.mounts, *more], service.config.mounts.reserved)
    return service.with_config(mounts=mounts)


def received_at(service: System, key: str = WRITER, path: str = "/in/") -> str | None:
    """What a new upload share says of where its files are, without its id; so do its answers later."""
    share = service.request_share(key, path=path, method="POST").json
    shown = service.request(f"/-/shares/{share['id']}", key=key).json
    assert shown["received_at"] == share["received_at"]
    assert shown in page(service, key)["shares"]
    place: str | None = share["received_at"]
    return None if place is None else place.replace(share["id"], "ID")


def reader_of(service: System, *paths: str, methods: tuple[str, ...] = ("LIST", "GET")) -> System:
    """The service whose writer may also do so at these paths."""
    return service.with_keys(
        api=[api("writer", WRITER, paths=["/in/", *paths], methods=["POST", "SHARE", *methods])]
    )


def test_an_upload_share_says_where_its_files_can_be_listed(shares: System) -> None:
    service = reader_of(with_folders(shares, received="inbox/"), "/received/")
    assert received_at(service) == "/received/ID/"
    assert received_at(service, path="/in/photos/2026/") == "/received/photos/2026/ID/"
    assert "received_at" not in shares.request_share().json
    assert "received_at" not in page(shares)["shares"][0]


@pytest.mark.parametrize(
    ("folders", "place"),
    [
        ({"all": "", "received": "inbox/"}, "/received/a/ID/"),
        ({"all": "", "received": "inbox/photos/"}, "/all/inbox/a/ID/"),
        ({"received": "inb/"}, None),
        ({}, None),
    ],
    ids=["the longest target", "not of another folder", "not beside it", "none"],
)
def test_the_mount_with_the_longest_target_says_where_files_are(
    shares: System, folders: dict[str, str], place: str | None
) -> None:
    service = reader_of(with_folders(shares, **folders), "/received/", "/all/")
    assert received_at(service, path="/in/a/") == place


@pytest.mark.parametrize("change", [{"lists": False}, {"methods": ("POST",)}], ids=["list", "GET"])
def test_files_can_be_read_where_the_mount_has_get_and_lists(
    shares: System, change: dict[str, Any]
) -> None:
    service = reader_of(with_folders(shares, received="inbox/"), "/received/")
    assert received_at(service.with_mount("/received/", **change)) is None


def test_whoever_may_not_list_the_files_learns_no_place(shares: System) -> None:
    service = with_folders(shares, received="inbox/", all="")
    assert received_at(service) is None
    assert received_at(reader_of(service, "/received/", methods=("GET",))) is None
    assert received_at(reader_of(service, "/received/photos/")) is None
    # The mount with the longest target decides, also where the caller may list another one.
    assert received_at(reader_of(service, "/all/")) is None
    public = with_folders(shares, received="inbox/").with_mount("/received/", access="anonymous")
    assert received_at(public) == "/received/ID/"


def test_a_share_whose_mount_is_another_today_has_no_place(shares: System) -> None:
    service = reader_of(with_folders(shares, received="inbox/"), "/received/")
    url = service.create_share(key=WRITER, path="/in/", method="POST")
    moved = service.with_mount("/in/", target=Location(BUCKET, "elsewhere/"))
    assert service.shown(url, WRITER)["received_at"] == f"/received/{share_id(url)}/"
    assert moved.shown(url, WRITER)["received_at"] is None


def test_the_state_of_each_share_and_the_uses_of_limited_ones(
    shares: System, oss: MemoryOss
) -> None:
    expired = create(shares, expires="2d")
    revoked = create(shares)
    limited = create(shares, max_uses=2)
    used_up, inbox = create(shares, max_uses=1), create(shares, WRITER, path="/in/", method="POST")
    assert shares.request(f"/-/shares/{revoked}", "DELETE", key=MAKER).status == 204
    later = NOW + 3 * DAY
    with patch.object(oss, "now", lambda: later - 60):
        oss.fill({f"{STATE}uses/{identifier}/1": b"a claim" for identifier in (limited, used_up)})
        oss.fill({f"inbox/{inbox}/1-a.txt": b"a"})
    with patch.object(oss, "now", lambda: later):
        listed = {
            share["id"]: share
            for key in (MAKER, WRITER)
            for share in page(shares, key, now=later)["shares"]
        }
    states = {
        expired: "expired",
        revoked: "revoked",
        limited: "active",
        used_up: "used_up",
        inbox: "used_up",
    }
    assert {identifier: share["state"] for identifier, share in listed.items()} == states
    for identifier, share in listed.items():
        is_limited = identifier in (limited, used_up, inbox)
        assert (share["uses"], share["last_use"]) == (
            (1, rfc3339(later - 60)) if is_limited else (None, None)
        )


def test_users_of_one_issuer_and_callers_see_only_their_own(shares: System) -> None:
    callers = {name: jwt(sub=name) for name in ("alice", "bob", "alice\nbob")} | {"maker": MAKER}
    created = {name: [create(shares, key) for _ in range(2)] for name, key in callers.items()}
    for name, key in callers.items():
        assert sorted(ids(shares, key)) == sorted(created[name])
    assert ids(shares, READER) == ids(shares, jwt(sub="carol")) == []
    # A narrower token of the same user lists what it could revoke.
    assert (
        ids(shares, jwt(sub="alice", methods=["GET"]))
        == ids(shares, jwt(sub="alice", paths=["/reports/b/"]))
        == []
    )
    # A new key of the same name is another caller.
    assert ids(shares.with_keys(api=[api("maker", OTHER, methods=["SHARE"])]), OTHER) == []


def test_admin_lists_the_shares_of_all_callers_one_after_the_other(shares: System) -> None:
    created = {
        name: [create(shares, key, now=NOW + second) for second in range(3)][::-1]
        for name, key in {
            "api:maker": MAKER,
            "jwt:https://id.example.com:alice": jwt(sub="alice"),
        }.items()
    }
    everything = ids(shares, ADMIN, all="true")
    assert everything in (
        [*first, *second] for first, second in (created.values(), [*created.values()][::-1])
    )
    owners = {share["id"]: share["owner"] for share in page(shares, ADMIN, all="true")["shares"]}
    assert all(
        owners[identifier] == name for name, found in created.items() for identifier in found
    )
    assert ids(shares, ADMIN) == ids(shares, ADMIN, all="false") == []
    elsewhere = shares.with_keys(api=[api("admin", ADMIN, paths=["/team/"], methods=["ADMIN"])])
    assert ids(elsewhere, ADMIN, all="true") == []


def test_all_requires_the_method_admin_which_a_token_has_only_from_its_issuer(
    shares: System,
) -> None:
    claimed = jwt(sub="alice", methods=["SHARE", "ADMIN"])
    for entry, status in ((["SHARE"], 403), (["SHARE", "ADMIN"], 200), (None, 403)):
        changed = shares.with_keys(jwt=[issuer(methods=entry)])
        assert changed.request("/-/shares", query={"all": "true"}, key=claimed).status == status, (
            entry
        )
    assert shares.request("/-/shares", query={"all": "true"}, key=MAKER).code == "admin_required"
    assert shares.request("/-/shares").code == "unauthorized"
    for method, path in (("GET", "/reports/q3.pdf"), ("DELETE", f"/-/shares/{create(shares)}")):
        # It is for this list alone.
        assert shares.request(path, method, key=ADMIN).code == "not_found"


ENTRY = f"{'0' * 10}-{'a' * 12}"  # its caller's folder comes first where all are listed
LIMITS = ("0", "51", "-1", "", "1.5", "٣", "050", "a")
INVALID_QUERIES = [
    *(("limit", value) for value in LIMITS),
    *(("all", value) for value in ("", "1", "True", "yes")),
]
INVALID_QUERIES += [
    ("after", value) for value in ("x", f"{ENTRY}a", "../shares/x", f"{'0' * 32}/{ENTRY}")
]


def test_an_invalid_parameter_is_named(shares: System) -> None:
    for query in (
        *({name: value} for name, value in INVALID_QUERIES),
        {"after": ENTRY, "all": "true"},
    ):
        response = shares.request("/-/shares", query=query, key=ADMIN)
        assert (response.status, response.code) == (400, "bad_query"), query
        assert next(iter(query)) in response.json["detail"]


def test_among_2000_a_page_costs_one_list_and_its_records_eight_at_once(
    shares: System, oss: MemoryOss
) -> None:
    first = create(shares)
    folder = oss.keys(f"{STATE}index/")[0].rpartition("/")[0]
    record = oss.read(f"{STATE}shares/{first}.json").decode()
    names = [f"{number:012}" for number in range(2000)]
    oss.fill(
        {
            f"{folder}/{9_999_999_998 - int(NOW) - number}-{name}": b""
            for number, name in enumerate(names)
        }
    )
    oss.fill({f"{STATE}shares/{name}.json": record.replace(first, name).encode() for name in names})
    running = list[None]()
    most = list[int]()
    after = ""

    def wait(seconds: float) -> None:
        running.append(None)
        most.append(len(running))
        time.sleep(seconds)
        running.pop()

    oss.latency, oss._work = 0.005, wait
    for count in (20, 50, 50):
        oss.calls.clear()
        found = page(shares, limit=str(count), after=after)
        # Of each its record and its second end.
        assert oss.calls == {
            "ListObjects": 1,
            "GetObject": 2 * count,
        }
        assert len(found["shares"]) == count
        after = found["next"]
    assert max(most) == 8
    assert found["shares"][-1]["id"] == names[-120]


def test_an_entry_without_its_record_is_skipped(shares: System, oss: MemoryOss) -> None:
    created = [create(shares, now=NOW + second) for second in range(4)]
    for lost in created[2:]:
        oss.answer("DELETE", Location(BUCKET, f"{STATE}shares/{lost}.json"), {}, {})
    assert page(shares, limit="2")["shares"] == []
    assert ids(shares) == created[1::-1]


@pytest.mark.parametrize("folder", ["shares", "extended"])
@pytest.mark.parametrize("content", [b'{"version": 2}', b"[" * 100_000])
def test_an_unreadable_one_is_shown_to_its_maker_and_hides_no_other(
    shares: System, oss: MemoryOss, folder: str, content: bytes
) -> None:
    others = [create(shares, now=NOW + second) for second in range(3)]
    broken = create(shares, now=NOW + 1)
    oss.fill({f"{STATE}{folder}/{broken}.json": content})
    unreadable = {"id": broken, "state": "unreadable"}
    listed = page(shares)["shares"]
    assert sorted(each["id"] for each in listed) == sorted([*others, broken])
    assert [each for each in listed if each["state"] != "active"] == [unreadable]
    assert unreadable in page(shares, ADMIN, all="true")["shares"]
    part = shares.with_keys(api=[api("admin", ADMIN, paths=["/reports/"], methods=["ADMIN"])])
    assert {each["id"] for each in page(part, ADMIN, all="true")["shares"]} == {*others}
    for method in ("GET", "POST"):
        refused = shares.request(
            f"/-/shares/{broken}", method, key=MAKER, body='{"expires": "30d"}'
        )
        assert (refused.status, refused.code) == (503, UNAVAILABLE)


def test_an_oss_that_does_not_answer_is_a_503_for_everybody(shares: System, oss: MemoryOss) -> None:
    create(shares)
    for folder in ("index", "shares", "extended"):
        with oss.refusing(f"{STATE}{folder}/"):
            for key, query in ((MAKER, {}), (ADMIN, {"all": "true"})):
                response = shares.request("/-/shares", query=query, key=key)
                assert (response.status, response.code) == (503, UNAVAILABLE)


def test_where_there_can_be_no_shares_the_list_is_empty(shares: System, oss: MemoryOss) -> None:
    oss.calls.clear()
    mounts = type(shares.config.mounts)([], ())
    for changed in (shares.with_config(state=None), shares.with_config(mounts=mounts)):
        assert page(changed)["shares"] == []
    assert not oss.calls
