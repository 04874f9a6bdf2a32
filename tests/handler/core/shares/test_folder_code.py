"""A folder's share with a code: before the code it is like a file's, after it each button sends the code again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, unquote, urlencode, urlsplit

import pytest

from handler.web.pages.words import FOLDER
from tests.handler.client import Answered
from tests.handler.web.endpoints.test_folders import FOLDER_PATH, names
from tests.handler.web.endpoints.test_folders import listing as listing
from tests.handler.web.endpoints.test_folders import oss as oss
from tests.memory_oss import MemoryOss
from tests.system import FORM, HTML, JSON, System, secret_of

FILE_PATH = "/reports/2026/q3.pdf"
# Below the address of a share: what is there, what is not, what a longer mount has, and what no path can be.
PATHS = ["", "q3.pdf", "a/", "a/b.txt", "none.txt", "inner/", "inner/hidden.txt", "closed/x"]
NO_PATHS = ["a//b", "../x", "%2e%2e/"]
HIDDEN = re.compile(r"nonce-[\w-]+|nonce=\"[\w-]+\"|share=[\w-]+|req-\w+")


class Shared(NamedTuple):
    """A share with a code."""

    service: System
    url: str
    code: str

    def ask(
        self,
        path: str = "",
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        **query: str,
    ) -> Answered:
        share = {"share": secret_of(self.url), **query}
        return self.service.request(f"/-/s/{path}", method, share, headers)

    def post(self, path: str = "", code: str | None = None, **members: Any) -> Answered:
        """What a program that sends the code gets."""
        params = {"password": self.code if code is None else code, **members}
        return self.service.request(
            f"/-/s/{path}", "POST", {"share": secret_of(self.url)}, params=params
        )

    def press(self, path: str = "", **fields: str) -> Answered:
        """What a person who sends a form gets."""
        body = urlencode({"password": self.code, **fields})
        headers = {**FORM, "Accept": HTML["Accept"]}
        share = {"share": secret_of(self.url)}
        return self.service.request(f"/-/s/{path}", "POST", share, headers, body=body)


def share(service: System, path: str, **params: Any) -> Shared:
    created = service.request_share(path=path, password=True, expires="30d", **params).json
    return Shared(service, created["url"], created["password"])


@pytest.fixture
def folder(listing: System, oss: MemoryOss) -> Shared:
    return share(listing, FOLDER_PATH)


def seen(answer: Answered) -> tuple[int, str | None, str, dict[str, str]]:
    """What of an answer may not tell a folder from a file."""
    headers = {name: HIDDEN.sub("", value) for name, value in answer.headers.items()}
    return answer.status, answer.line["code"], HIDDEN.sub("", answer.body), headers


@pytest.mark.parametrize("path", [*PATHS, *NO_PATHS])
@pytest.mark.parametrize("headers", [HTML, JSON, {}, {**HTML, "Accept-Language": "zh"}])
def test_before_the_code_a_folder_is_like_a_file(
    path: str, headers: dict[str, str], folder: Shared, listing: System, oss: MemoryOss
) -> None:
    file = share(listing, FILE_PATH)
    oss.calls.clear()
    wrong = urlencode({"password": "AAAA-AAAA"})
    for query in ({}, {"format": "urls"}, {"format": "qr"}, {"format": "json"}, {"limit": "1"}):
        for method in ("GET", "HEAD"):
            answers = [each.ask(path, method, headers, **query) for each in (folder, file)]
            assert seen(answers[0]) == seen(answers[1])
            is_refused = query.get("format") in ("urls", "qr") or "limit" in query
            is_refused = is_refused or path in NO_PATHS
            assert (answers[0].status >= 400) is is_refused
    posts = [
        listing.request(
            f"/-/s/{path}",
            "POST",
            {"share": secret_of(each.url)},
            {**FORM, **headers},
            body=wrong,
        )
        for each in (folder, file)
    ]
    assert seen(posts[0]) == seen(posts[1])
    assert posts[0].status == (403 if path not in NO_PATHS else posts[0].status)
    assert oss.calls.keys() <= {"GetObject"}  # of the record and its second end alone


def test_its_parameters_are_members_of_the_body(folder: Shared) -> None:
    answer = folder.post()
    assert names(answer) == (["a", "bad"], ["\x07bell", "q3.pdf", "季度 q4.xlsx"])
    assert names(folder.post(begins="q")) == ([], ["q3.pdf"])
    first = folder.post(limit=2)
    assert len(first.json["folders"] + first.json["files"]) == 2
    rest = folder.post(after=first.json["next"])
    assert sum(map(len, names(rest))) == 3
    assert names(folder.post("a/")) == ([], ["b.txt"])
    for members in ({"begins": "a/b"}, {"limit": 0}, {"limit": [1]}, {"after": 7}):
        assert folder.post(**members).code == "bad_query"
    for name in ("begins", "limit", "after"):
        refused = folder.ask("", "POST", JSON, **{name: "1"})
        assert (refused.status, refused.code) == (400, "bad_query")


def test_a_program_gets_the_link_of_a_file(folder: Shared) -> None:
    assert folder.post("q3.pdf").signs("GET")
    assert folder.post("a/b.txt").signs("GET")
    assert folder.post("q3.pdf", code="AAAA-AAAA").code == "wrong_password"
    for path in ("inner/", "inner/hidden.txt", "closed/x"):  # of longer mounts
        assert (folder.post(path).status, folder.post(path).code) == (404, "share_invalid")


def buttons(page: Answered) -> dict[str, str]:
    """The paths of the buttons of a list, below the share, by what they say."""
    found = re.findall(
        r'<button class="link" form="open" formaction="([^"]+)"[^>]*>(.*?)<', page.body
    )
    assert all(parse_qs(urlsplit(address).query).keys() == {"share"} for address, _ in found)
    return {name: unquote(urlsplit(address).path.removeprefix("/-/s/")) for address, name in found}


def test_a_person_gets_the_list_whose_names_are_buttons(folder: Shared) -> None:
    page = folder.press()
    assert (page.status, page.headers["Cache-Control"]) == (200, "no-store")
    assert buttons(page) == {
        "a/": "a/",
        "bad/": "bad/",
        "q3.pdf": "q3.pdf",
        "季度 q4.xlsx": "季度 q4.xlsx",
    }
    assert "Set-Cookie" not in page.headers
    assert f'name="password" value="{folder.code}" autocomplete="off"' in page.body
    policy = page.headers["Content-Security-Policy"]
    assert "form-action 'self' https://examplebucket." in policy
    below = folder.press("a/")
    assert buttons(below) == {"2026": "", "b.txt": "a/b.txt"}


def test_a_button_of_a_file_saves_it_so_that_the_list_stays(folder: Shared) -> None:
    page = folder.press()
    (nonce,) = re.findall(r'name="nonce" value="([^"]+)"', page.body)
    for path in buttons(page).values():
        if path.endswith("/"):
            continue
        answer = folder.press(quote(path), nonce=nonce)
        assert answer.status == 303
        location = answer.headers["Location"]
        assert "response-content-disposition=attachment" in location
        assert folder.code not in unquote(location)


def test_the_search_and_the_next_page_send_it_too(folder: Shared) -> None:
    found = folder.press(begins="q")
    assert {"q3.pdf"} == buttons(found).keys() - {FOLDER["en"]["all"]}
    assert '<form method="post" role="search">' in found.body
    first = folder.press(limit="2")
    (after,) = re.findall(r'<button class="link" name="after" value="([^"]+)"', first.body)
    assert '<input type="hidden" name="limit" value="2">' in first.body
    second = folder.press(limit="2", after=after)
    assert set(buttons(first).values()).isdisjoint(set(buttons(second).values()) - {""})


def test_the_code_is_in_no_address_header_or_log_line(folder: Shared) -> None:
    answers = [
        folder.press(),
        folder.press("a/"),
        folder.press("q3.pdf"),
        folder.press("q3.pdf", nonce="A" * 24),
        folder.press("none.txt", nonce="A" * 24),
        folder.post(),
        folder.post("q3.pdf"),
    ]
    for answer in answers:
        hidden = {folder.code, folder.code.replace("-", "")}
        shown = [
            *answer.headers.values(),
            answer.printed,
            *re.findall(r'(?:href|action)="([^"]*)"', answer.body),
        ]
        assert not any(code in text for code in hidden for text in shown)
        assert answer.status in (200, 303, 404)


def test_after_a_failure_a_button_leads_back_to_the_list(folder: Shared) -> None:
    page = folder.press("a/none.txt", nonce="A" * 24)
    assert (page.status, page.line["code"], page.line["mount"]) == (404, "no_such_object", None)
    (address,) = re.findall(r'<form method="post" action="([^"]+)">', page.body)
    assert urlsplit(address).path == "/-/s/a/"
    assert f'name="password" value="{folder.code}" autocomplete="off"' in page.body
    assert "Back to the list" in page.body
    assert "form-action 'self'" in page.headers["Content-Security-Policy"]
    invalid = folder.press("inner/hidden.txt")
    assert (invalid.status, "Back to the list" in invalid.body) == (404, True)


def test_a_typed_address_of_a_file_asks_for_the_code_and_shows_its_page(folder: Shared) -> None:
    page = folder.press("q3.pdf")
    assert (page.status, "<h1>q3.pdf</h1>" in page.body) == (200, True)


def test_a_mount_that_requires_codes_shares_folders(listing: System, oss: MemoryOss) -> None:
    strict = listing.with_mount("/reports/", require_password=True)
    shared = share(strict, FOLDER_PATH)
    assert names(shared.post())[1] == ["\x07bell", "q3.pdf", "季度 q4.xlsx"]
    assert strict.request_share(path=FOLDER_PATH, password=False).code == "bad_body"


def test_where_a_link_cannot_save_files_open_in_a_new_tab(listing: System, oss: MemoryOss) -> None:
    shared = share(listing, FOLDER_PATH)
    assert "formtarget" not in shared.press().body
    cdn = listing.with_mount("/reports/", cdn="static")
    body = shared._replace(service=cdn).press().body
    assert body.count('formtarget="_blank"') == 2  # of the files, not of the folders
