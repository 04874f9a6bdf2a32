"""Folders: what a list shows and hides, page by page, and who may see it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote

import pytest

from handler.core.cloud.oss import list_folder
from handler.core.config import Location, Mounts
from handler.web.pages.words import FOLDER
from signer.common.listing import ListedPage
from tests.handler.client import Answered
from tests.handler.keys_fixtures import READER, api
from tests.local_oss import BUCKET, FakeClock, LocalOss
from tests.memory_oss import MemoryOss, memory_oss
from tests.system import ALICE, HTML, MAKER, OTHER, System, service

LINKS = """
region = "cn-hangzhou"
keys = "oss://examplebucket/.links/keys.json"
state = "oss://examplebucket/.links/state/"
public_url = "https://links.example.com"
mount = [
    { path = "/reports/", target = "oss://examplebucket/reports/", max_share = "90d", list = true },
    { path = "/reports/2026/inner/", target = "oss://examplebucket/inner/", max_share = "90d", list = true },
    { path = "/reports/2026/closed/", target = "oss://examplebucket/closed/" },
    { path = "/copy/", target = "oss://examplebucket/reports/", max_share = "90d", list = true },
    { path = "/all/", target = "oss://examplebucket/", list = true },
    { path = "/public/", target = "oss://examplebucket/public/", access = "anonymous", max_share = "90d", list = true },
    { path = "/unlisted/", target = "oss://examplebucket/unlisted/", access = "anonymous" },
]
"""
FOLDER_PATH = "/reports/2026/"
OBJECTS = {
    **dict.fromkeys(
        ("reports/2026/", "reports/2026/q3.pdf", "reports/2026/季度 q4.xlsx"), b"content"
    ),
    **dict.fromkeys(
        ("reports/2026/inner/hidden.txt", "reports/2026/closed/hidden.txt", "reports/2026/a/b.txt"),
        b"1",
    ),
    **dict.fromkeys(
        ("reports/2026/bad//x", "reports/2026/\x07bell", "reports/top.txt", "public/a.txt"), b""
    ),
    **dict.fromkeys(
        (".links/keys.json", ".links/keys.json.lock.1", ".links/state/probe", "unlisted/x.txt"), b""
    ),
    **dict.fromkeys(("data/.links/other.txt", "\\back.txt"), b""),
}
CALLERS = [
    api("maker", MAKER, paths=["/"], methods=["GET", "SHARE", "LIST"]),
    api("other", OTHER, paths=["/reports/2026/inner/"], methods=["GET", "LIST"]),
    api("reader", READER, paths=["/"], methods=["GET", "SHARE"]),
    api("lister", ALICE, paths=["/reports/2026/a/"], methods=["LIST"]),
]


@pytest.fixture
def listing(oss_clock: FakeClock, tmp_path: Path) -> System:
    started = service(tmp_path, LINKS).with_keys(api=CALLERS)
    started.oss = LocalOss(clock=oss_clock)
    return started


@pytest.fixture
def oss(oss_clock: FakeClock) -> Iterator[MemoryOss]:
    with memory_oss({}, oss_clock.now) as memory:
        memory.fill(OBJECTS)
        yield memory


def names(answer: Answered) -> tuple[list[str], list[str]]:
    assert answer.status == 200, answer.body
    return [each["name"] for each in answer.json["folders"]], [
        each["name"] for each in answer.json["files"]
    ]


def test_a_folder_is_its_folders_and_files_for_one_list(listing: System, oss: MemoryOss) -> None:
    answer = listing.request(FOLDER_PATH, key=MAKER)
    document = answer.json
    assert oss.calls == {"ListObjects": 1}
    assert (document["path"], document["next"], answer.headers["Cache-Control"]) == (
        FOLDER_PATH,
        None,
        "no-store",
    )
    assert document["folders"] == [
        {"name": "a", "path": "/reports/2026/a/"},
        {"name": "bad", "path": "/reports/2026/bad/"},
        {"name": "inner", "path": "/reports/2026/inner/"},
    ]
    modified_at = document["files"][0]["modified_at"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", modified_at)
    assert document["files"] == [
        {"name": "\x07bell", "path": None, "size": 0, "modified_at": modified_at},
        {"name": "q3.pdf", "path": "/reports/2026/q3.pdf", "size": 7, "modified_at": modified_at},
        {
            "name": "季度 q4.xlsx",
            "path": "/reports/2026/季度 q4.xlsx",
            "size": 7,
            "modified_at": modified_at,
        },
    ]
    assert listing.request("/reports/2026/bad/", key=MAKER).json["folders"] == [
        {"name": "", "path": None}
    ]
    assert names(listing.request("/reports/none/", key=MAKER)) == ([], [])
    head = listing.request(FOLDER_PATH, "HEAD", key=MAKER)
    assert (head.status, head.body, head.line["mount"]) == (200, "", "/reports/")


def test_reserved_places_and_longer_mounts_that_the_caller_may_not_list_do_not_appear(
    listing: System, oss: MemoryOss
) -> None:
    assert names(listing.request("/all/", key=MAKER)) == (
        ["data", "public", "reports", "unlisted"],
        ["\\back.txt"],
    )
    assert listing.request("/all/", key=MAKER).json["files"][0]["path"] is None
    assert names(listing.request("/all/.links/", key=MAKER)) == ([], [])
    assert listing.request("/all/.links/state/", key=MAKER).status == 404
    before = oss.calls["ListObjects"]
    assert names(listing.request("/all/.links/", query={"begins": "keys.json"}, key=MAKER)) == (
        [],
        [],
    )
    assert oss.calls["ListObjects"] == before
    assert names(listing.request("/all/data/", key=MAKER)) == ([".links"], [])
    # In a folder of a longer mount are the objects of that mount.
    assert names(listing.request("/reports/2026/inner/", key=MAKER)) == ([], [])
    part = listing.with_keys(api=[api("part", MAKER, paths=["/reports/2026/"], methods=["LIST"])])
    assert names(part.request(FOLDER_PATH, key=MAKER))[0] == ["a", "bad", "inner"]
    unlisted = listing.with_mount("/reports/2026/inner/", lists=False)
    assert names(unlisted.request(FOLDER_PATH, key=MAKER))[0] == ["a", "bad"]
    public = listing.with_mount("/reports/", access="anonymous")
    assert names(public.request(FOLDER_PATH))[0] == ["a", "bad"]
    assert names(public.request(FOLDER_PATH, key=OTHER))[0] == ["a", "bad", "inner"]


def test_only_callers_with_list_see_a_folder(listing: System, oss: MemoryOss) -> None:
    for key, code, *paths in (
        (None, "unauthorized", FOLDER_PATH),
        (None, "not_found", "/reports/2026/closed/"),
        (None, "not_listed", "/unlisted/"),
        (READER, "not_listed", FOLDER_PATH, "/unlisted/", "/reports/2026/closed/"),
        (OTHER, "not_found", FOLDER_PATH, "/reports/2026/closed/"),
        (ALICE, "not_found", FOLDER_PATH, "/reports/2026/a/b.txt"),
        (MAKER, "not_listed", "/unlisted/", "/reports/2026/closed/"),
        (MAKER, "not_found", "/nowhere/"),
        (MAKER, "bad_path", "/reports/2026/%2E%2E/", "/reports/2026//"),
    ):
        assert [listing.request(path, key=key).code for path in paths] == [code] * len(paths)
    reasons = [
        listing.request(path, key=READER).json["detail"]
        for path in (FOLDER_PATH, "/reports/2026/closed/")
    ]
    assert ["the method LIST" in reason for reason in reasons] == [True, False]
    assert ["list in links.toml" in reason for reason in reasons] == [False, True]
    assert listing.request("/unlisted/x/", query={"limit": "5"}).code == "not_listed"
    uploads = listing.with_mount("/unlisted/", methods=("POST",))
    assert uploads.request("/unlisted/x/").code == "not_listed"
    # A link to the object of this name.
    assert listing.request("/unlisted/x/", key=MAKER).json["url"]
    assert oss.calls == {}
    for key, path in (
        (ALICE, "/reports/2026/a/"),
        (None, "/public/none/"),
        (MAKER, "/reports%2F2026%2F"),
    ):
        assert listing.request(path, key=key).status == 200
    assert oss.calls == {"ListObjects": 3}


def test_other_methods_of_a_folder_are_those_of_an_object(listing: System, oss: MemoryOss) -> None:
    assert listing.request(FOLDER_PATH, "OPTIONS").headers["Allow"] == "GET, HEAD, OPTIONS"
    # Who may only list may know of the folder, too.
    only_list = listing.with_keys(
        api=[*CALLERS[:3], api("lister", ALICE, paths=["/reports/"], methods=["LIST"])]
    )
    for key, status in ((None, 401), (OTHER, 404), (MAKER, 405), (READER, 405), (ALICE, 405)):
        assert only_list.request(FOLDER_PATH, "DELETE", key=key).status == status
    assert oss.calls == {}


def test_a_wrong_parameter_is_named_and_begins_is_compared_with_names(
    listing: System, oss: MemoryOss
) -> None:
    for name, code, *values in (
        ("limit", "bad_query", "0", "1001", "+5", ""),
        ("begins", "bad_query", "../", "inner/", "a\nb"),
        ("begins", "bad_path", "长" * 340),
        ("format", "bad_format", "urls", "redirect"),
        ("expires", "not_signable", "5m"),
        ("versionId", "not_signable", "CAEQ"),
    ):
        for value in values:
            query = {name: value}
            answer = listing.request(FOLDER_PATH, query=query, key=MAKER)
            assert (answer.status, answer.code) == (400, code)
            assert name in answer.json["detail"] or code == "bad_path"
            if code == "not_signable":
                ignoring = listing.with_mount("/reports/", unknown_query="ignore")
                assert ignoring.request(FOLDER_PATH, query=query, key=MAKER).status == 200
    # It is joined to the prefix, and reaches nothing above.
    for begins, expected in {
        "q": ["q3.pdf"],
        "季": ["季度 q4.xlsx"],
        "..": [],
        "top": [],
        "clo": [],
    }.items():
        query = {"begins": begins, "null": ""}
        assert names(listing.request(FOLDER_PATH, query=query, key=MAKER)) == ([], expected)


def test_a_large_folder_is_paged_and_never_loaded_completely(
    listing: System, oss: MemoryOss
) -> None:
    oss.fill({f"public/big/{number:06}.bin": b"" for number in range(20_000)})
    found = list[str]()
    after = ""
    pages = 0
    while pages < 3 or after:
        query = {"limit": "1000", **({"after": after} if after else {})}
        answer = listing.request("/public/big/", query=query)
        found = found + names(answer)[1]
        after = answer.json["next"]
        pages = pages + 1
        if pages == 3:
            after = "public/big/017999.bin"  # in between, they are the same
    assert oss.calls == {"ListObjects": 5}
    assert found == [f"{number:06}.bin" for number in (*range(3000), *range(18_000, 20_000))]
    page = listing.request("/public/big/", headers=HTML)
    assert page.body.count("<li data-size") == 200
    assert len(page.body) < 100_000


CLOSED = [f"/all/reports/2026/c{number:04}/" for number in range(1100)]


@pytest.mark.parametrize("limit", [1, 3, 1000])
@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/all/", (["data", "public", "reports", "unlisted"], ["\\back.txt"])),
        (
            "/all/reports/2026/",
            (["a", "bad", "closed", "inner"], ["\x07bell", "q3.pdf", "季度 q4.xlsx"]),
        ),
    ],
)
def test_no_page_is_short_and_no_token_tells_a_hidden_name(
    listing: System, oss: MemoryOss, path: str, expected: tuple[list[str], list[str]], limit: int
) -> None:
    closed = [listing.config.mounts.by_path["/unlisted/"]._replace(path=each) for each in CLOSED]
    listing = listing.with_config(
        mounts=Mounts([*listing.config.mounts, *closed], listing.config.mounts.reserved)
    )
    # More hidden folders in a row than one list has.
    oss.fill({f"{each.removeprefix('/all/')}x": b"" for each in CLOSED})
    found, after = (list[str](), list[str]()), ""
    while after is not None:
        query = {"limit": str(limit), **({"after": after} if after else {})}
        answer = listing.request(path, query=query, key=MAKER)
        inside, files = names(answer)
        found[0].extend(inside)
        found[1].extend(files)
        after = answer.json["next"]
        assert len(inside) + len(files) == limit or after is None
        assert inside or files
        # OSS's token is the last name of its page.
        prefix = path.removeprefix("/all/")
        shown = (*(f"{prefix}{each}/" for each in inside), *(f"{prefix}{each}" for each in files))
        assert after is None or unquote(after) in shown
    assert found == expected
    page = listing.request(path, query={"limit": "1"}, headers=HTML, key=MAKER)
    assert 'rel="next" href="?limit=1&amp;after=' in page.body


def test_a_hidden_name_costs_nothing_that_a_visible_one_does_not(
    listing: System, oss: MemoryOss
) -> None:
    for after, limit, last, lists in (
        ("", 3, "bad/", 2),
        ("", 4, "inner/", 2),
        ("reports/2026/bad/", 1, "inner/", 2),
    ):
        before = oss.calls["ListObjects"]
        query = {"limit": str(limit), **({"after": after} if after else {})}
        assert (
            listing.request(FOLDER_PATH, query=query, key=MAKER).json["next"]
            == f"reports/2026/{last}"
        )
        assert oss.calls["ListObjects"] - before == lists
    assert listing.request("/public/", query={"limit": "1"}).json["next"] is None
    assert oss.calls["ListObjects"] == 7  # one, where nothing is hidden


def test_where_a_hidden_name_stands_cannot_be_found_with_after(
    listing: System, oss: MemoryOss
) -> None:
    """A page of two names was short where a hidden one stood between `after` and the next."""
    oss.fill({f"public/{name}": b"" for name in ("zz.txt", "zzz.txt", "merger-with-acme/x.pdf")})
    template = listing.config.mounts.by_path["/unlisted/"]
    target = template.target._replace(key="public/merger-with-acme/")
    mounts = [
        *listing.config.mounts,
        template._replace(path="/public/merger-with-acme/", target=target),
    ]
    listing = listing.with_config(mounts=Mounts(mounts, listing.config.mounts.reserved))
    for begun in ("", "a", "m", "merger-with-acmd", "merger-with-acmf", "y"):
        page = listing.request("/public/", query={"limit": "2", "after": f"public/{begun}"})
        assert (len(names(page)[1]), len(names(page)[0])) == (2, 0)
    assert oss.calls == {"ListObjects": 6 + 2}  # a second one, where a third name can be seen


def test_a_page_has_at_most_900_names_where_others_may_be_hidden(
    listing: System, oss: MemoryOss
) -> None:
    oss.fill({f"public/{number:04}": b"" for number in range(950)})
    inner = listing.config.mounts.by_path["/unlisted/"]._replace(path="/public/x/")
    hiding = listing.with_config(
        mounts=Mounts([*listing.config.mounts, inner], listing.config.mounts.reserved)
    )
    for limit, shown in (("900", 900), ("901", 900), ("1000", 900)):
        assert len(names(hiding.request("/public/", query={"limit": limit}))[1]) == shown
    assert len(names(listing.request("/public/", query={"limit": "1000"}))[1]) == 951


def test_a_name_that_vanishes_in_between_brings_no_hidden_one_into_the_token(
    listing: System, oss: MemoryOss, monkeypatch: pytest.MonkeyPatch
) -> None:
    vanishing = [f"reports/2026/{number}" for number in range(2)]
    oss.fill(dict.fromkeys(vanishing, b""))

    def list_and_delete(*arguments: Any) -> ListedPage:
        page = list_folder(*arguments)
        if vanishing:
            del oss.objects[Location(BUCKET, vanishing.pop())]
            oss.fill({})
        return page

    monkeypatch.setattr("handler.web.endpoints.folders.list_folder", list_and_delete)
    # Of the second list, the fifth is the hidden one.
    answer = listing.request(FOLDER_PATH, query={"limit": "5"}, key=MAKER)
    assert (answer.json["next"], oss.calls) == ("reports/2026/inner/", {"ListObjects": 4})


def test_what_oss_answers_instead_of_a_list_is_a_503(
    listing: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    with memory_oss({}) as oss:
        for status, code, after, expected in (
            (403, "AccessDenied", "", (503, "oss_unavailable")),
            (404, "NoSuchBucket", "", (503, "oss_unavailable")),
            (200, "", "", (503, "oss_unavailable")),  # which is not XML
            (400, "InvalidArgument", "", (503, "oss_unavailable")),
            (400, "InvalidArgument", "next", (400, "bad_query")),
        ):
            monkeypatch.setattr(
                oss, "_list", lambda *_, answer=(status, b"", code): oss.respond(*answer)
            )
            answer = listing.request("/public/", query={"after": after} if after else {})
            assert (answer.status, answer.code) == expected
    assert answer.line["cause"] if expected[0] == 503 else True


def test_an_oss_that_says_nothing_holds_a_list_for_the_seconds_of_pages(
    listing: System, oss: MemoryOss
) -> None:
    answered, answer = Event(), oss.answer

    def hang(*arguments: Any) -> Any:
        assert answered.wait(60)
        return answer(*arguments)

    with patch("handler.core.cloud.oss.PAGE_TIMEOUT", 0.1), patch.object(oss, "answer", hang):
        silent = [listing.request("/public/", headers=headers) for headers in ({}, HTML)]
        answered.set()
    assert [(each.status, each.line["code"]) for each in silent] == [(503, "oss_unavailable")] * 2
    assert silent[0].line["cause"] == "OSS did not answer in time"


# --- the page -----------------------------------------------------------------------------------------------------


def links(page: Answered) -> list[str]:
    return [unquote(each) for each in re.findall(r'<a [^>]*href="([^"]*)"', page.body)]


def test_a_person_gets_a_page_where_public_url_is_set(listing: System, oss: MemoryOss) -> None:
    page = listing.request(FOLDER_PATH, headers=HTML, key=MAKER)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Cache-Control"] == "no-store"
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'nonce-")
    assert "form-action 'self'; script-src 'nonce-" in policy
    # Folders first, then files; a name that no link can carry is only text, and controls are replaced.
    inside = ["a/", "bad/", "inner/", "q3.pdf", "季度 q4.xlsx"]
    assert links(page) == ["/reports/", *(f"{FOLDER_PATH}{each}" for each in inside)]
    assert "<span>_bell</span>" in page.body
    times = re.findall(
        r'<time datetime="([\d-]{10})T([\d:]{5}):\d\dZ">([^<]+) UTC</time>', page.body
    )
    assert len(times) >= 2
    assert [f"{day} {minute}" for day, minute, _ in times] == [shown for *_, shown in times]
    icons = re.findall(r'<use href="#(\w+)"/></svg><\w+[^>]*>([^<]+)', page.body)
    assert {("folder", "inner/"), ("text", "q3.pdf"), ("table", "季度 q4.xlsx")} <= set(icons)
    assert 'id="sort"' in page.body
    for query in ({"after": "reports/2026/q"}, {"limit": "1"}, {"begins": "q"}):
        assert (
            'id="sort"'
            not in listing.request(FOLDER_PATH, query=query, headers=HTML, key=MAKER).body
        )
    as_json = listing.request(FOLDER_PATH, query={"format": "json"}, headers=HTML, key=MAKER)
    assert as_json.json["path"] == FOLDER_PATH
    assert (
        listing.with_config(public_url=None).request("/public/", headers=HTML).json["path"]
        == "/public/"
    )


def test_a_page_names_at_most_ten_folders_above_which_the_caller_may_list(
    listing: System, oss: MemoryOss
) -> None:
    assert links(listing.request("/reports/2026/a/", headers=HTML, key=MAKER))[:2] == [
        "/reports/",
        FOLDER_PATH,
    ]
    assert links(listing.request("/reports/2026/a/", headers=HTML, key=ALICE)) == [
        "/reports/2026/a/b.txt"
    ]
    paths = ["/public/" + "x/" * depth for depth in range(501)]
    for depth in (10, 11, 500):
        body = listing.request(paths[depth], headers=HTML).body
        above = re.findall(r'<li><a href="([^"]*)">([^<]*)</a></li>', body)
        assert len(above) == 10
        assert above[0] == ("/public/", "public")
        assert above[1] == (paths[depth - 9], "x" if depth == 10 else "…")
        assert above[-1] == (paths[depth - 1], "x")
    assert len(body) < 30_000


def test_the_box_is_a_form_that_keeps_the_limit_and_all_words_are_in_both_languages(
    listing: System, oss: MemoryOss
) -> None:
    query = {"begins": 'q"3', "limit": "7"}
    page = listing.request(FOLDER_PATH, query=query, headers=HTML, key=MAKER)
    assert re.findall(r'name="(\w+)" value="([^"]*)"', page.body) == [
        ("limit", "7"),
        ("begins", "q&#34;3"),
    ]
    assert FOLDER["en"]["no_match"] in page.body
    assert links(page) == ["/reports/", FOLDER_PATH]
    assert FOLDER["en"].keys() == FOLDER["zh"].keys()
    page = listing.request("/public/none/", headers={**HTML, "Accept-Language": "zh-CN"})
    assert FOLDER["zh"]["empty"] in page.body
    assert page.headers["Content-Language"] == "zh-CN"
