"""A share of a folder opens everything below it, and nothing else, whatever is done to the path."""

from __future__ import annotations

import json
from itertools import product
from typing import Any
from urllib.parse import quote, unquote

import pytest

from handler.core.config import Location, Mounts
from handler.core.config.reader import covered_path_fault
from tests.handler.client import NOW, Answered
from tests.handler.core.shares.test_addresses import INVALID, refusal
from tests.handler.keys_fixtures import READER, api
from tests.handler.web.endpoints.test_folders import FOLDER_PATH, links, names
from tests.handler.web.endpoints.test_folders import listing as listing
from tests.handler.web.endpoints.test_folders import oss as oss
from tests.local_oss import BUCKET
from tests.memory_oss import MemoryOss
from tests.system import (
    ALICE,
    DAY,
    HTML,
    JSON,
    MAKER,
    OTHER,
    STATE,
    System,
    secret_of,
    share_id,
)

FILE, START = "/reports/2026/q3.pdf", "/-/s/2026/"


def share(service: System, **params: Any) -> str:
    return service.create_share(**{"path": FOLDER_PATH, "expires": "30d", **params})


def open_at(
    service: System, url: str, path: str, query: dict[str, str] | None = None, **options: Any
) -> Answered:
    """The response to the secret of a share at another path, below its own unless it begins with "/"."""
    path = path if path.startswith("/") else START + path
    return service.request(path, query={"share": secret_of(url), **(query or {})}, **options)


def test_a_folder_is_shared_by_who_has_share_get_and_list_for_it(
    listing: System, oss: MemoryOss
) -> None:
    listing.create_share()  # since then the instance knows the time of OSS
    oss.calls.clear()
    answer = listing.request_share(path=FOLDER_PATH, allow_missing=False)
    assert (answer.status, oss.calls) == (201, {"ListObjects": 1, "PutObject": 2})
    assert answer.json["url"].startswith(f"https://links.example.com{START}?share=")
    assert answer.json["covers"] == "Everything below this path, also what is added later."
    assert "covers" not in listing.request_share(path=FILE).json
    assert (
        listing.request_share(path="/reports/")
        .json["url"]
        .startswith("https://links.example.com/-/s/reports/?")
    )
    assert (
        listing.request_share(path="/reports/none/", allow_missing=False).code == "no_such_object"
    )
    for methods in (["SHARE", "GET"], ["SHARE", "LIST"], ["GET", "LIST"]):
        caller = listing.with_keys(api=[api("caller", ALICE, paths=["/reports/"], methods=methods)])
        refused = caller.request_share(ALICE, path=FOLDER_PATH)
        assert (refused.status, refused.code) == (403, "share_not_allowed")
    # Its key has to cover the folder, not only a part of it.
    assert listing.request_share(OTHER, path="/reports/").status == 404
    assert listing.request_share(None, path=FOLDER_PATH).status == 401
    assert listing.request_share(path="/reports/none/").status == 201


def test_what_a_folder_cannot_have_is_refused_with_the_reason(
    listing: System, oss: MemoryOss
) -> None:
    refusals: tuple[tuple[dict[str, Any], int, str], ...] = (
        ({"max_uses": 1}, 409, "folder_not_limited"),
        ({"max_uses": 1, "password": True}, 409, "folder_not_limited"),
        ({"download": "all.zip"}, 400, "bad_body"),
        ({"files": 0}, 400, "bad_body"),
        ({"files": 1001}, 400, "bad_body"),
        ({"files": True}, 400, "bad_body"),
        ({"files": 1, "path": FILE}, 400, "bad_body"),
        ({"path": "/unlisted/"}, 404, "not_found"),
        ({"path": "/all/"}, 409, "not_shareable"),
    )
    for params, status, code in refusals:
        answer = listing.request_share(**{"path": FOLDER_PATH, **params})
        assert (answer.status, answer.code) == (status, code)
        assert code != "folder_not_limited" or '"password": true' in answer.json["detail"]


@pytest.mark.parametrize(
    ("files", "english", "chinese"),
    [
        (1, "This link opens 1 file, until", "此链接可打开 1 个文件，有效期至"),
        (1000, "This link opens 1000 files in all, until", "此链接共可打开 1000 个文件，有效期至"),
    ],
)
def test_its_page_says_how_many_files_its_maker_put_into_it(
    listing: System, oss: MemoryOss, files: int, english: str, chinese: str
) -> None:
    answer = listing.request_share(path=FOLDER_PATH, files=files)
    url = answer.json["url"]
    for path, language, words in (("", "en", english), ("a/", "en", english), ("", "zh", chinese)):
        page = open_at(listing, url, path, headers={**HTML, "Accept-Language": language})
        assert words in page.body
        assert "added later" not in page.body
        assert "以后添加" not in page.body
    assert answer.json["covers"] == "Everything below this path, also what is added later."
    shown = listing.request(f"/-/shares/{answer.json['id']}", key=MAKER)
    assert shown.json["files"] == files


@pytest.mark.parametrize(("language", "top"), [("en", "All files"), ("zh", "全部文件")])
def test_its_page_does_not_show_the_random_name_of_a_folder_that_was_made_to_send_files(
    listing: System, oss: MemoryOss, language: str, top: str
) -> None:
    url = listing.request_share(path=FOLDER_PATH, files=3).json["url"]
    headers = {**HTML, "Accept-Language": language}
    own_name = FOLDER_PATH.strip("/").rpartition("/")[2]
    assert f"<h1>{top}</h1>" in listing.open(url, headers=headers).body
    inside = open_at(listing, url, "a/", headers=headers).body
    assert f">{top}</a>" in inside
    assert "<h1>a</h1>" in inside
    assert f">{own_name}<" not in inside


def test_a_record_from_before_files_were_counted_still_opens(
    listing: System, oss: MemoryOss
) -> None:
    url = share(listing)
    name = f"{STATE}shares/{share_id(url)}.json"
    record = json.loads(oss.read(name))
    del record["files"]
    oss.fill({name: json.dumps(record).encode()})
    assert "also what is added later" in listing.open(url, headers=HTML).body
    assert "files" not in listing.request(f"/-/shares/{share_id(url)}", key=MAKER).json


def test_it_opens_what_is_below_it_and_what_is_added_later(listing: System, oss: MemoryOss) -> None:
    url = share(listing)
    for address in ("", "/-/s/", "/-/s"):
        assert names(open_at(listing, url, address)) == (
            ["a", "bad"],
            ["\x07bell", "q3.pdf", "季度 q4.xlsx"],
        )
    document = open_at(listing, url, "", {"begins": "q"}).json
    assert (document["path"], document["files"][0]["path"]) == (START, f"{START}q3.pdf")
    oss.fill({"reports/2026/a/deep/new.txt": b"new"})
    assert names(open_at(listing, url, "a/")) == (["deep"], ["b.txt"])
    assert open_at(listing, url, "a/").json["folders"] == [
        {"name": "deep", "path": f"{START}a/deep/"}
    ]
    answer = open_at(listing, url, "a/deep/new.txt", headers=JSON)
    assert (answer.key, answer.expires_in, answer.line["mount"]) == (
        "reports/2026/a/deep/new.txt",
        900,
        "/reports/",
    )
    assert open_at(listing, url, "q3.pdf", {"versionId": "CAEQ"}).status == 302
    for encoded in ("%61/%62.txt", "/-/s%2F2026%2Fa/b.txt"):
        assert open_at(listing, url, encoded).key == "reports/2026/a/b.txt"
    assert open_at(listing, url, "q3.pdf", method="HEAD").status == 302
    assert open_at(listing, url, "", method="POST").status == 405
    # By all rules of a share of it: no link outlives the share, and browsers get a page for what is missing.
    late = open_at(listing, url, "q3.pdf", now=NOW + 30 * DAY - 60, headers=JSON).json
    assert (late["expires_in"], late["clamped_by"]) == (60, "share")
    for address in ("", "q3.pdf"):
        assert open_at(listing, url, address, now=NOW + 30 * DAY).code == "share_expired"
    missing = open_at(listing, url, "none.txt", headers=HTML)
    assert (missing.status, missing.line["code"]) == (404, "no_such_object")
    # The folder has its page, and its files open straight unless each was to have one.
    assert open_at(listing, url, "q3.pdf", headers=HTML).status == 302
    page = open_at(listing, share(listing, page=True), "q3.pdf", headers=HTML)
    assert (page.status, 'id="download"' in page.body) == (200, True)


def test_a_share_of_everything_has_no_name(listing: System, oss: MemoryOss) -> None:
    everything = listing.with_mount("/all/", path="/", max_share=DAY)
    url = share(everything, path="/")
    assert url.startswith("https://links.example.com/-/s/?share=")
    assert open_at(everything, url, "/-/s/data/.links/other.txt").key == "data/.links/other.txt"
    assert names(open_at(everything, url, "/-/s/data/")) == ([".links"], [])
    assert names(everything.open(url))[0] == ["data"]  # the others are mounts, or the service's own
    for path in ("/-/s/.links/keys.json", "/-/s/public/a.txt", "/-/s//data/x"):
        assert open_at(everything, url, path).status in (400, 404)


def test_the_longest_path_in_it_is_opened(listing: System, oss: MemoryOss) -> None:
    url, longest = share(listing, path="/reports/"), f"{'长/' * 253}ab"
    assert len(f"reports/{longest}") < 1023 < len(f"-/s/reports/{longest}".encode())
    assert open_at(listing, url, f"/-/s/reports/{quote(longest)}").key == f"reports/{longest}"
    assert open_at(listing, url, f"/-/s/reports/{quote(longest)}abcd").code == "share_invalid"
    pages, image = share(listing, path="/reports/", page=True), {"format": "qr"}
    # Of an address whose QR code few cameras can read.
    for length, status in (
        (1000, 200),
        (1001, 400),
    ):
        name = "a" * (length - len(pages))
        assert open_at(listing, pages, f"/-/s/reports/{name}", image).status == status


OUTSIDE = (
    # beside, above, in another mount
    "/-/s/2026b/q3.pdf",
    "/-/s/q3.pdf",
    "/-/s/2026",
    "/-/s/reports/2026/q3.pdf",
    "/-/s/copy/2026/q3.pdf",
    "/-/shares",
    # a longer mount inside
    "/-/s/2026/inner/hidden.txt",
    "/-/s/2026/inner/",
    "/-/s/2026%2Finner%2Fhidden.txt",
    # up
    "/-/s/2026/%2E%2E/top.txt",
    "/-/s/2026%2F..%2Ftop.txt",
    "/-/s/2026%252F..%252Ftop.txt",
    "/-/s/2026//q3.pdf",
)


def test_it_opens_nothing_outside(listing: System, oss: MemoryOss) -> None:
    for url in (share(listing), share(listing, page=True)):
        oss.calls.clear()
        for path in OUTSIDE:
            answer = open_at(listing, url, path)
            expected = [
                INVALID,
                *([(400, "bad_path")] if "//" in path or ".." in unquote(path) else []),
            ]
            expected += [(401, "unauthorized")] if path == "/-/shares" else []
            assert (answer.status, answer.code) in expected, path
        assert oss.calls.keys() == {"GetObject"}  # its record, and nothing of the folder


SEGMENTS = (
    "2026",
    "reports",
    "inner",
    "..",
    "q3.pdf",
    "",
    "closed",
    "copy",
    "a",
    ".links",
    "\\x",
    "2026\\..",
)


@pytest.mark.parametrize(("depth", "count"), [(3, 6), pytest.param(4, 12, marks=pytest.mark.long)])
def test_every_path_opens_what_the_rule_says_and_nothing_else(
    listing: System, oss: MemoryOss, depth: int, count: int
) -> None:
    """What follows the name of the share follows its path, as long as the same mount covers it."""
    for path in (FOLDER_PATH, "/reports/", "/copy/", FILE, "/reports/2026/inner/"):
        url = share(listing, path=path)
        name = path.rstrip("/").rpartition("/")[2] + "/" * path.endswith("/")
        mount = listing.config.mounts.find(path, prefix=path.endswith("/")).mount
        for length in range(1, depth + 1):
            for segments in product(SEGMENTS[:count], repeat=length):
                relative = "/".join(segments)
                opened = None
                if (
                    path.endswith("/")
                    and f"{relative}/".startswith(name)
                    and not covered_path_fault(f"/{relative}")
                ):
                    opened = listing.config.mounts.get(path + relative[len(name) :])
                opens = relative in ("", name) or (opened is not None and opened.mount is mount)
                if opens and relative + "/" == name:
                    opens = False  # the folder without its final /
                found = refusal(listing, f"/-/s/{relative}", secret_of(url))
                assert found == (None if opens else INVALID), (path, relative)


def test_a_longer_mount_that_is_added_later_is_outside(listing: System, oss: MemoryOss) -> None:
    url = share(listing, path="/reports/")
    assert open_at(listing, url, "/-/s/reports/2026/q3.pdf").status == 302
    inner = listing.config.mounts.by_path["/reports/2026/inner/"]
    same = inner._replace(path=FOLDER_PATH, target=inner.target._replace(key="reports/2026/"))
    mounts = type(listing.config.mounts)(
        [*listing.config.mounts, same], listing.config.mounts.reserved
    )
    narrowed = listing.with_config(mounts=mounts)
    assert open_at(narrowed, url, "/-/s/reports/2026/q3.pdf").code == "share_invalid"
    assert names(narrowed.open(url)) == ([], ["top.txt"])


def test_it_ends_for_every_file_at_once(listing: System, oss: MemoryOss) -> None:
    url, places = share(listing), ("", "q3.pdf", "a/")
    assert [open_at(listing, url, each).status for each in places] == [200, 302, 200]
    assert listing.shown(url)["path"] == FOLDER_PATH
    without = listing.with_keys(api=[api("reader", READER, paths=["/"], methods=["GET"])])
    moved = listing.with_mount(
        "/reports/", target=listing.config.mounts.find("/public/a").mount.target
    )
    for changed, code in (
        (listing.with_mount("/reports/", lists=False), "share_not_enabled"),
        (listing.with_mount("/reports/", require_password=True), "share_not_enabled"),
        (moved, "share_invalid"),
        (without, "share_owner_removed"),
    ):
        assert {open_at(changed, url, each).code for each in places} == {code}
    assert listing.revoke(url).status == 204
    assert {open_at(listing, url, each).code for each in places} == {"share_revoked"}


def test_the_addresses_of_its_files_one_a_line(listing: System, oss: MemoryOss) -> None:
    url = share(listing)
    refused = listing.open(url, format="urls", after="00")
    assert (refused.status, refused.code) == (400, "bad_query")
    before = oss.calls["ListObjects"]
    answer = listing.open(url, format="urls")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "text/plain; charset=utf-8")
    assert oss.calls["ListObjects"] == before + 1
    # Not the folders, and no name that no link can carry. Each is an address of this service.
    lines, files = answer.body.splitlines(), ("q3.pdf", "季度 q4.xlsx")
    origin = "https://links.example.com"
    assert lines == [f"{origin}{START}{quote(name)}?share={secret_of(url)}" for name in files]
    for line, name in zip(lines, files, strict=True):
        opened = listing.open(line)
        assert opened.key == f"reports/2026/{name}"
        # With it, wget --content-disposition knows the name, without the share in it. A browser shows the file.
        assert opened.query["response-content-disposition"].startswith('attachment; filename="')
    assert listing.open(lines[0], headers=HTML).query == {}
    elsewhere = listing.with_config(public_url=None)
    answer = open_at(elsewhere, url, "", {"format": "urls"}, domain="links.example.net")
    assert answer.body.startswith(f"https://links.example.net{START}q3.pdf?")


def test_more_than_1000_files_are_a_409_that_names_json(listing: System, oss: MemoryOss) -> None:
    oss.fill(
        {f"public/many/{number:04}.bin": b"" for number in range(1000)} | {"public/many/": b""}
    )
    url = share(listing, path="/public/many/")
    assert len(listing.open(url, format="urls").body.splitlines()) == 1000
    oss.fill({"public/many/more.bin": b""})
    answer = listing.open(url, format="urls")
    assert (answer.status, answer.code) == (409, "folder_too_large")
    assert "format=json" in answer.json["detail"]
    assert len(listing.open(url, format="urls", begins="09").body.splitlines()) == 100
    # 900, where a name may be hidden.
    inner = listing.config.mounts.by_path["/unlisted/"]._replace(path="/public/many/x/")
    hiding = listing.with_config(
        mounts=Mounts([*listing.config.mounts, inner], listing.config.mounts.reserved)
    )
    del oss.objects[Location(BUCKET, "public/many/more.bin")]
    oss.fill({})
    assert hiding.open(url, format="urls").code == "folder_too_large"
    assert len(hiding.open(url, format="urls", begins="08").body.splitlines()) == 100


def test_its_page_keeps_the_secret_and_shows_nothing_outside(
    listing: System, oss: MemoryOss
) -> None:
    url = share(listing, title="Figures <2026>", message="Two\nlines")
    page = open_at(listing, url, "a/", {"limit": "9", "utm_source": "chat"}, headers=HTML)
    query = f"?share={secret_of(url)}"
    assert links(page) == [f"{START}{query}", f"{START}a/b.txt{query}"]
    assert f'name="share" value="{secret_of(url)}"' in page.body
    assert "This link opens everything in this folder, also what is added later, until" in page.body
    assert f"wget -qO- '{url.replace('?', 'a/?')}&amp;format=urls' |" in page.body
    top = listing.open(url, headers=HTML)
    assert links(top)[0] == f"{START}a/{query}"
    assert "inner" not in top.body
    for shown in (page, top):
        assert "<h1>Figures &lt;2026&gt;</h1>" in shown.body
        assert "Two<br>lines" in shown.body
    # The title stands in place of the folder's name, which is then among those above.
    assert '<li aria-current="page">a</li>' in page.body
    first = listing.open(url, headers=HTML, limit="2")
    (more,) = [each for each in links(first) if each.startswith("?")]
    assert more.startswith(f"{query}&amp;limit=2&amp;after=")
    assert listing.open(url, key=MAKER, headers=JSON).json["path"] == START
    assert listing.open(url, format="qr").code == "bad_format"
