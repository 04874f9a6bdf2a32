"""A share of a folder opens everything below it, and nothing else, whatever is done to its token or to the path."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import pytest

from handler.core import shares
from tests.handler.client import NOW, Answered
from tests.handler.core.shares.test_forged import neighbours, refusal
from tests.handler.keys_fixtures import READER, api
from tests.handler.share_fixtures import token
from tests.handler.web.endpoints.test_folders import FOLDER_PATH, links, names
from tests.handler.web.endpoints.test_folders import listing as listing
from tests.handler.web.endpoints.test_folders import oss as oss
from tests.memory_oss import MemoryOss
from tests.worlds import ALICE, HTML, JSON, MAKER, OTHER, Service

FILE = "/reports/2026/q3.pdf"


def share(service: Service, **params: Any) -> str:
    return service.create_share(**{"path": FOLDER_PATH, "expires": "30d", **params})


def open_at(service: Service, url: str, path: str, **options: Any) -> Answered:
    """The response to the token of a share at another path."""
    return service.request(path, query={"share": token(url), **options.pop("query", {})}, **options)


def test_a_folder_is_shared_by_who_has_share_get_and_list_for_it(listing: Service, oss: MemoryOss) -> None:
    answer = listing.request_share(path=FOLDER_PATH, expires="30d", allow_missing=False)
    assert (answer.status, oss.calls) == (201, {"ListObjects": 1})
    assert answer.json["url"].startswith(f"https://links.example.com{FOLDER_PATH}?share=")
    assert answer.json["covers"] == "Everything below this path, also what is added later."
    assert "covers" not in listing.request_share(path=FILE).json
    assert listing.request_share(path="/reports/").status == 201
    assert listing.request_share(path="/reports/none/", allow_missing=False).code == "no_such_object"
    for methods in (["SHARE", "GET"], ["SHARE", "LIST"], ["GET", "LIST"]):
        caller = listing.with_keys(api=[api("caller", ALICE, paths=["/reports/"], methods=methods)])
        refused = caller.request_share(ALICE, path=FOLDER_PATH)
        assert (refused.status, refused.code) == (403, "share_not_allowed")
    # Its key has to cover the folder, not only a part of it.
    assert listing.request_share(OTHER, path="/reports/").status == 404
    assert listing.request_share(None, path=FOLDER_PATH).status == 401
    assert listing.request_share(path="/reports/none/").status == 201


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({"max_uses": 1}, 409, "folder_not_limited"),
        ({"download": "all.zip"}, 400, "bad_body"),
        ({"path": "/reports/" + "a/" * 254}, 400, "bad_body"),
        ({"path": "/unlisted/"}, 404, "not_found"),
        ({"path": "/all/"}, 409, "not_shareable"),
    ],
)
def test_what_a_folder_cannot_have_is_refused_with_the_reason(
    listing: Service, oss: MemoryOss, params: dict[str, Any], status: int, code: str
) -> None:
    answer = listing.request_share(**{"path": FOLDER_PATH, **params})
    assert (answer.status, answer.code) == (status, code)
    assert code != "folder_not_limited" or "own address" in answer.json["detail"]
    deep = "/reports/" + "a/" * 253
    assert listing.open(share(listing, path=deep)).json["path"] == deep


def test_it_opens_what_is_below_it_and_what_is_added_later(listing: Service, oss: MemoryOss) -> None:
    url = share(listing)
    assert names(listing.open(url)) == (["a", "bad"], ["\x07bell", "q3.pdf", "季度 q4.xlsx"])
    oss.fill({"reports/2026/a/deep/new.txt": b"new"})
    assert names(open_at(listing, url, "/reports/2026/a/")) == (["deep"], ["b.txt"])
    answer = open_at(listing, url, "/reports/2026/a/deep/new.txt", headers=JSON)
    assert (answer.key, answer.expires_in) == ("reports/2026/a/deep/new.txt", 900)
    assert answer.line["mount"] == "/reports/"
    assert open_at(listing, url, FILE, query={"versionId": "CAEQ"}).status == 302
    for encoded in ("/reports/2026/%61/%62.txt", "/reports%2F2026%2Fa/b.txt"):
        assert open_at(listing, url, encoded).key == "reports/2026/a/b.txt"
    assert open_at(listing, url, FILE, method="HEAD").status == 302
    assert open_at(listing, url, FOLDER_PATH, method="POST").status == 405
    # By all rules of a share of it: no link outlives the share, and browsers get a page for what is missing.
    late = open_at(listing, url, FILE, now=NOW + 30 * 86_400 - 60, headers=JSON).json
    assert (late["expires_in"], late["clamped_by"]) == (60, "share")
    assert open_at(listing, url, FILE, now=NOW + 30 * 86_400).code == "share_expired"
    assert listing.open(url, now=NOW + 30 * 86_400).code == "share_expired"
    missing = open_at(listing, url, "/reports/2026/none.txt", headers=HTML)
    assert (missing.status, missing.line["code"]) == (404, "no_such_object")
    page = open_at(listing, share(listing, page=True), FILE, headers=HTML)
    assert (page.status, 'id="download"' in page.body) == (200, True)


OUTSIDE = (
    # beside
    *("/reports/2027/q3.pdf", "/reports/2027/", "/reports/2026b/q3.pdf", "/REPORTS/2026/q3.pdf"),
    # above
    *("/reports/top.txt", "/reports/", "/reports/2026", "/"),
    # another mount, also of the same target
    *("/copy/2026/q3.pdf", "/copy/2026/", "/public/a.txt", "/all/reports/2026/q3.pdf", "/-/shares"),
    # a longer mount inside
    *("/reports/2026/inner/hidden.txt", "/reports/2026/inner/", "/reports/2026/closed/hidden.txt"),
    *("/reports/2026%2Finner%2Fhidden.txt", "/reports/2026/inner%2Fhidden.txt"),
    # up
    *("/reports/2026/../top.txt", "/reports/2026/%2E%2E/top.txt", "/reports/2026%2F..%2Ftop.txt"),
    *("/reports/2026%252F..%252Ftop.txt", "/reports/2026//q3.pdf", "/reports/2026\\..\\top.txt"),
)


@pytest.mark.parametrize("path", OUTSIDE)
def test_it_opens_nothing_outside(listing: Service, oss: MemoryOss, path: str) -> None:
    for url in (share(listing), share(listing, page=True)):
        answer = open_at(listing, url, path)
        expected = [(404, "share_invalid"), *([(400, "bad_path")] if "//" in path or ".." in unquote(path) else [])]
        expected += [(401, "unauthorized")] if path.startswith("/-/") else []
        assert (answer.status, answer.code) in expected
    assert oss.calls == {}


def test_a_longer_mount_that_is_added_later_is_outside(listing: Service, oss: MemoryOss) -> None:
    url = share(listing, path="/reports/")
    assert open_at(listing, url, FILE).status == 302
    inner = next(mount for mount in listing.config.mounts if mount.path == "/reports/2026/inner/")
    same = inner._replace(path=FOLDER_PATH, target=inner.target._replace(key="reports/2026/"))
    mounts = type(listing.config.mounts)([*listing.config.mounts, same], listing.config.mounts.reserved)
    narrowed = listing.with_config(mounts=mounts)
    assert open_at(narrowed, url, FILE).code == "share_invalid"
    assert names(narrowed.open(url)) == ([], ["top.txt"])


@pytest.mark.parametrize(
    ("path", "params", "places"),
    [
        (FOLDER_PATH, {}, (FOLDER_PATH, FILE)),
        ("/reports/", {"page": True}, (FILE,)),
        pytest.param(FOLDER_PATH, {"download": ""}, ("/reports/2026/a/b.txt",), marks=pytest.mark.long),
        pytest.param(FOLDER_PATH, {"revocable": True}, (FILE,), marks=pytest.mark.long),
    ],
)
def test_a_token_with_one_character_changed_opens_nothing(
    listing: Service, oss: MemoryOss, path: str, params: dict[str, Any], places: tuple[str, ...]
) -> None:
    issued = token(share(listing, path=path, **params))
    for place in places:
        assert refusal(listing, issued, place) is None
        for forged in neighbours(issued):
            assert refusal(listing, forged, place) == (404, "share_invalid"), forged


def test_a_token_of_a_file_and_one_of_a_folder_cannot_become_each_other(listing: Service, oss: MemoryOss) -> None:
    """The bit of folders and the depth are signed: also if the check, which is not secret, is made to match."""

    def changed(issued: str, option: int, tail: str) -> str:
        claims, signature = bytearray(urlsafe_b64decode(issued[:20])), issued[-43:]
        claims[4] = option
        claims[13:] = shares._check(bytes(claims[:13]), tail, signature)
        return urlsafe_b64encode(claims).decode() + tail + signature

    folder, file = token(share(listing)), token(listing.create_share(path=FILE))
    assert changed(folder, 32, "Aw") == folder
    for tail in ("Ag", "AQ", "AA", "BA", "", "A", "Ax", "_w"):
        for place in ("/reports/top.txt", FILE, "/reports/", FOLDER_PATH):
            assert refusal(listing, changed(folder, 32, tail), place) == (404, "share_invalid")
    assert refusal(listing, changed(folder, 0, ""), FOLDER_PATH) == (404, "share_invalid")
    for option, tail in ((32, "Aw"), (32, "Ag"), (33, "Aw"), (96, "Aw")):
        assert refusal(listing, changed(file, option, tail), FILE) == (404, "share_invalid")
    # One of a file that was made before the mount listed is for an object of this name.
    unlisted = listing.with_mount("/reports/", lists=False)
    marker = share(unlisted)
    assert open_at(listing, marker, FOLDER_PATH).status == 302
    assert open_at(listing, marker, FILE).code == "share_invalid"


def test_it_ends_for_every_file_at_once(listing: Service, oss: MemoryOss) -> None:
    answer = listing.request_share(path=FOLDER_PATH, revocable=True)
    url, places = answer.json["url"], (FOLDER_PATH, FILE, "/reports/2026/a/")
    assert [open_at(listing, url, each).status for each in places] == [200, 302, 200]
    assert listing.request(f"/-/shares/{answer.json['id']}", key=MAKER).json["path"] == FOLDER_PATH
    unlisted = listing.with_mount("/reports/", lists=False)
    moved = listing.with_mount("/reports/", target=listing.config.mounts.find("/public/a").mount.target)
    for each in places:
        assert open_at(unlisted, url, each).code == "share_not_enabled"
        assert open_at(moved, url, each).code == "share_invalid"
    assert listing.request(f"/-/shares/{answer.json['id']}", "DELETE", key=MAKER).status == 204
    assert {open_at(listing, url, each).code for each in places} == {"share_revoked"}
    without = listing.with_keys(api=[api("reader", READER, paths=["/"], methods=["GET"])])
    assert {open_at(without, share(listing), each).code for each in places} == {"share_owner_removed"}


def test_the_addresses_of_its_files_one_a_line(listing: Service, oss: MemoryOss) -> None:
    url = share(listing)
    before = oss.calls["ListObjects"]
    refused = listing.open(url, format="urls", after="00")
    assert (refused.status, refused.code) == (400, "bad_query")
    answer = listing.open(url, format="urls")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    lines = answer.body.splitlines()
    assert oss.calls["ListObjects"] == before + 1
    # Not the folders, and no name that no link can carry. Each is an address of this service.
    assert lines == [
        f"https://links.example.com{name}?share={token(url)}"
        for name in (FILE, f"{FOLDER_PATH}{quote('季度 q4.xlsx')}")
    ]
    for line, key in zip(lines, ("reports/2026/q3.pdf", "reports/2026/季度 q4.xlsx"), strict=True):
        parts = urlsplit(line)
        opened = listing.request(parts.path, query=dict(parse_qsl(parts.query)))
        assert opened.key == key
        # With it, wget --content-disposition knows the name, without the share in it. A browser shows the file.
        assert opened.query["response-content-disposition"].startswith('attachment; filename="')
    assert listing.open(lines[0], headers=HTML).query == {}
    plain = listing.with_config(public_url=None)
    answer = open_at(plain, url, FOLDER_PATH, query={"format": "urls"}, domain="links.example.net")
    assert answer.body.startswith("https://links.example.net/reports/")


def test_more_than_1000_files_are_a_409_that_names_json(listing: Service, oss: MemoryOss) -> None:
    oss.fill({f"public/many/{number:04}.bin": b"" for number in range(1000)} | {"public/many/": b""})
    url = share(listing, path="/public/many/")
    assert len(listing.open(url, format="urls").body.splitlines()) == 1000
    oss.fill({"public/many/more.bin": b""})
    answer = listing.open(url, format="urls")
    assert (answer.status, answer.code) == (409, "folder_too_large")
    assert "format=json" in answer.json["detail"]
    assert len(listing.open(url, format="urls", begins="09").body.splitlines()) == 100


def test_its_page_keeps_the_token_and_shows_nothing_outside(listing: Service, oss: MemoryOss) -> None:
    url = share(listing)
    page = open_at(listing, url, "/reports/2026/a/", headers=HTML, query={"limit": "9", "utm_source": "chat"})
    query = f"?share={token(url)}"
    assert links(page) == [f"{FOLDER_PATH}{query}", f"/reports/2026/a/b.txt{query}"]
    assert f'name="share" value="{token(url)}"' in page.body
    assert "This link opens everything in this folder, also what is added later, until" in page.body
    assert f"wget -qO- '{url.replace('?', 'a/?')}&amp;format=urls' |" in page.body
    top = listing.open(url, headers=HTML)
    assert links(top)[0] == f"/reports/2026/a/{query}"
    assert "inner" not in top.body
    first = listing.open(url, headers=HTML, limit="2")
    (more,) = [each for each in links(first) if each.startswith("?")]
    assert more.startswith(f"{query}&amp;limit=2&amp;after=")
    assert listing.open(url, key=MAKER, headers=JSON).json["path"] == FOLDER_PATH
    assert listing.open(url, format="qr").code == "bad_format"
