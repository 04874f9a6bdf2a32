"""Several files at one address, folders, and large files that go on: the two pages that send, in Chromium."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from playwright.sync_api import Page, Request, Route, expect

from handler.core.shares.record import secret_hash
from tests.e2e.system import HEADERS, KEY, TIMEOUT, System, sign_in
from tests.e2e.test_error_pages import violations
from tests.e2e.test_sender_page import copied, send
from tests.e2e.test_upload_page import (
    CUT,
    arrived,
    choose,
    expect_outcome,
    file,
    row,
)
from tests.system import JSON

MEGABYTE = 1024 * 1024
SEVEN_PARTS = """() => Object.entries(sessionStorage).some(
    ([name, value]) => name.startsWith("upload ") && Object.keys(JSON.parse(value).etags).length === 7
)"""
DAY = 86_400  # seconds
OpenPage = Callable[..., Page]


def wait_for_seven_parts(page: Page, number: int) -> None:
    """Until the tab has kept them: that their bytes were sent is shown before OSS has answered for all."""
    expect(row(page, number).locator(".state")).to_have_text("Sending 86 %", timeout=20_000)
    page.wait_for_function(SEVEN_PARTS, timeout=20_000)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with two files of one name, and with what is left out of it."""
    folder = tmp_path / "Photos"
    for name in ("a.jpg", "sub/季度 b.txt", "sub/a.jpg", ".DS_Store", ".git/config"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    (folder / "empty").mkdir()
    return folder


@pytest.fixture
def big(tmp_path: Path) -> Path:
    """A file of 65 MB, which is sent in nine parts."""
    path = tmp_path / "big.bin"
    path.write_bytes(b"the beginning")
    os.truncate(path, 65 * MEGABYTE)
    return path


def drop(page: Page, *paths: Path) -> None:
    """Drops what is on a disk, as a person does: a script has no folders."""
    box = page.locator("#drop").bounding_box()
    assert box is not None
    devtools = page.context.new_cdp_session(page)
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        place = {"type": kind, "x": box["x"] + 20, "y": box["y"] + 20}
        devtools.send("Input.dispatchDragEvent", {**place, "data": data})


def press_send(page: Page) -> None:
    page.get_by_role("button", name="Send", exact=True).click()


def names(page: Page) -> list[str]:
    """The files that are in the list."""
    return page.locator("#list > li > div:first-child").all_inner_texts()


def share_of(world: System, page: Page) -> dict[str, Any]:
    """The share of the first address of the page, as the service lists it."""
    address = page.locator("#send .address").first.inner_text()
    (secret,) = parse_qs(urlsplit(address).query)["share"]
    url = f"{world.stack.http_url}/-/shares?limit=20"
    document: dict[str, Any] = requests.get(url, headers=HEADERS, timeout=TIMEOUT).json()
    (share,) = [each for each in document["shares"] if each["id"] == secret_hash(secret)[:12]]
    return dict(share)


def listed(address: str, code: str) -> dict[str, Any]:
    """What whoever has the address and the code sees of a folder."""
    body = {"password": code.removeprefix("Code: ")}
    response = requests.post(address, json=body, headers=JSON, timeout=TIMEOUT)
    assert response.status_code == 200, response.text
    return dict(response.json())


def records(page: Page) -> list[dict[str, Any]]:
    """What the tab keeps of large files."""
    entries = page.evaluate("Object.entries(sessionStorage)")
    return [json.loads(value) for name, value in entries if name.startswith("upload ")]


def test_nothing_is_sent_before_the_button_and_the_options_of_then_count(
    world: System, open_sender: OpenPage
) -> None:
    page = open_sender()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    press_send(page)
    expect(page.locator("#fault")).to_have_text("Choose files first.")
    choose(page, file("a.txt", b"a"), file("b.txt", b"b"))
    page.get_by_role("button", name="Remove: b.txt").click()
    expect(page.locator("#files")).to_be_focused()
    # The rows stand between where files are dropped and the options.
    tops = [
        page.locator(each).bounding_box() for each in ("#drop", "#list > li", "#send [name=title]")
    ]
    assert sorted(tops, key=lambda box: box["y"] if box else 0) == tops
    page.check("#send [name=code]")
    page.select_option("#send [name=expires]", "1d")
    assert asked == []
    press_send(page)
    expect_outcome(page, 1, "sent")
    ((name, address, _, code),) = copied(page, "Copy with code")
    assert name == "a.txt"
    assert requests.post(address, json={"password": code[6:]}, timeout=TIMEOUT).content == b"a"
    assert names(page) == ["a.txt"]


def test_a_dropped_folder_is_one_address_with_one_code_and_keeps_its_folders(
    world: System, open_sender: OpenPage, photos: Path
) -> None:
    page = open_sender(to="/sent/")
    drop(page, photos)
    expect(page.locator("#list > li")).to_have_count(3)
    assert sorted(names(page)) == ["Photos/a.jpg", "Photos/sub/a.jpg", "Photos/sub/季度 b.txt"]
    for name in ("(3)", "Photos/.DS_Store", "Photos/.git", "Photos/empty/"):
        expect(page.locator("#notes")).to_contain_text(name)
    choose(page, file("plan.txt", b"plan"))
    expect(page.locator("#send [name=count]")).to_be_hidden()
    page.check("#send [name=code]")
    press_send(page)
    expect(page.locator("#list > li[data-outcome=sent]")).to_have_count(4, timeout=20_000)
    expect(page.locator("#send .address")).to_have_count(2)
    ((name, address, end, code),) = copied(page, "Copy with code")
    assert copied(page) == [[name, address, end]]
    assert name == "4 files"
    share = share_of(world, page)
    assert re.fullmatch(r"/sent/[\w-]{8}/", share["path"])
    assert share["files"] == 4
    assert requests.post(address, json={}, timeout=TIMEOUT).json()["code"] == "wrong_password"
    found = listed(address, code)
    assert [each["name"] for each in found["files"]] == ["plan.txt"]
    assert [each["name"] for each in found["folders"]] == ["Photos"]
    prefix = share["path"][1:]
    assert world.stored_objects(prefix) == {
        f"{prefix}Photos/a.jpg": b"a.jpg",
        f"{prefix}Photos/sub/a.jpg": b"sub/a.jpg",
        f"{prefix}Photos/sub/季度 b.txt": "sub/季度 b.txt".encode(),
        f"{prefix}plan.txt": b"plan",
    }


def test_one_address_is_offered_where_mount_and_key_allow_it_and_can_be_declined(
    world: System, open_sender: OpenPage
) -> None:
    page = open_sender(to="/sent/")
    together = page.get_by_label("One address for all files")
    choose(page, file("a.txt", b"a"))
    expect(together).to_be_hidden()
    choose(page, file("b.txt", b"b"))
    expect(together).to_be_checked()
    page.select_option("#send [name=to]", "/team/")  # which lists nothing
    expect(together).to_be_hidden()
    expect(page.locator("#send [name=count]")).to_be_visible()
    page.select_option("#send [name=to]", "/sent/")
    together.uncheck()
    page.fill("#send [name=count]", "3")
    press_send(page)
    expect(page.locator("#list > li[data-outcome=sent]")).to_have_count(2, timeout=20_000)
    assert sorted(name for name, *_ in copied(page)) == ["a.txt", "b.txt"]
    assert share_of(world, page)["max_uses"] == 3


def test_what_cannot_be_sent_is_marked_before_anything_is(
    world: System, open_sender: OpenPage
) -> None:
    page = open_sender(to="/sent/")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    choose(page, file("a.txt", b"a"), file("a.txt", b"other"), file("n" * 1024, b"b"))
    press_send(page)
    expect(page.locator("#fault")).to_contain_text("Nothing was sent.")
    states = page.locator("#list .state")
    expect(states.nth(1)).to_have_text("Another file here has this name.")
    expect(states.nth(2)).to_have_text("No link can have this name: rename the file.")
    page.select_option("#send [name=to]", "/team/")
    choose(page, file("large", bytes(11 * MEGABYTE)))
    press_send(page)
    expect(states.nth(3)).to_have_text("Not sent: the file is too large.")
    expect(states.nth(1)).to_have_text("5 B")
    page.evaluate("for (let n = 0; n < 1000; n += 1) add(new File(['x'], `${n}.txt`))")
    press_send(page)
    expect(page.locator("#fault")).to_contain_text("at most 1,000 files")
    assert asked == []
    assert page.locator("#list > li.chosen").count() == 1004


def fail_once(page: Page, url: str, name: str) -> None:
    """Breaks the line once for what is sent to OSS with this name."""
    failed: list[str] = []

    def handle(route: Route) -> None:
        if name in route.request.url and not failed:
            failed.append(name)
            route.abort("connectionreset")
        else:
            route.fallback()

    page.route(re.compile(re.escape(url)), handle)


@pytest.mark.parametrize("button", ["Try again", "Remove"])
def test_nothing_is_shared_before_all_files_are_there_or_removed(
    world: System, open_sender: OpenPage, button: str
) -> None:
    page = open_sender(to="/sent/")
    fail_once(page, world.stack.oss_url, "lost.txt")
    send(page, file("a.txt", b"a"), file("lost.txt", b"lost"), file("c.txt", b"c"))
    expect_outcome(page, 2, "failed")
    expect(page.locator("#list > li[data-outcome=sent]")).to_have_count(2)
    expect(page.locator("#send .address")).to_have_count(0)
    page.get_by_role("button", name=f"{button}: lost.txt").click()
    expect(page.locator("#send .address")).to_have_count(1)
    ((name, address, _),) = copied(page)
    left = ["a.txt", "c.txt"] if button == "Remove" else ["a.txt", "c.txt", "lost.txt"]
    assert name == f"{len(left)} files"
    found = requests.get(address, headers=JSON, timeout=TIMEOUT).json()
    assert [each["name"] for each in found["files"]] == left
    assert share_of(world, page)["files"] == len(left)


def test_a_removed_file_that_arrived_all_the_same_is_not_shared(
    world: System, open_sender: OpenPage
) -> None:
    page = open_sender(to="/sent/")

    def lose_answer(route: Route) -> None:
        route.fetch()
        route.abort("connectionreset")

    page.route(re.compile(f"{re.escape(world.stack.oss_url)}.*/secret.txt"), lose_answer)
    send(page, file("a.txt", b"a"), file("secret.txt", b"secret"))
    expect_outcome(page, 2, "failed")
    page.get_by_role("button", name="Remove: secret.txt").click()
    expect_outcome(page, 1, "not_allowed")
    expect(row(page, 1).locator(".state")).to_contain_text("arrived all the same")
    expect(page.locator("#send .address")).to_have_count(0)


def test_a_file_that_is_gone_is_not_called_a_lost_connection(
    open_sender: OpenPage, tmp_path: Path
) -> None:
    page = open_sender()
    path = tmp_path / "gone.txt"
    path.write_bytes(b"here")
    page.set_input_files("#files", [path])
    path.unlink()
    press_send(page)
    expect_outcome(page, 1, "unreadable")
    expect(row(page, 1).locator(".state")).to_have_text("Not sent: it cannot be read.")
    expect(page.get_by_role("button", name="Try again: gone.txt")).to_be_visible()


def test_the_upload_page_sends_the_files_of_a_folder_one_by_one_and_says_so(
    world: System, open_quiet_page: OpenPage, photos: Path
) -> None:
    upload = {"max_files": 5, "max_size": 1000}
    page = open_quiet_page(world.create_share(path="/in/", method="POST", upload=upload))
    drop(page, photos)
    expect(page.locator("#list > li[data-outcome=sent]")).to_have_count(3, timeout=20_000)
    contents = arrived(world, page)
    assert {re.sub(r"^\d+-", "", name) for name in contents} == {"a.jpg", "季度 b.txt"}
    assert sorted(contents.values()) == [b"a.jpg", b"sub/a.jpg", "sub/季度 b.txt".encode()]
    expect(page.locator("#notes")).to_contain_text("This page keeps no folders")
    expect(page.locator("#notes")).to_contain_text("Photos/.git")
    assert violations(open_quiet_page(page.url, bypass_csp=True)) == []


@pytest.fixture
def open_large_sender(world: System, open_page: OpenPage) -> OpenPage:
    """Opens the page of a person who leaves it while the last parts of a large file do not get through."""

    def open_it() -> Page:
        page = open_page(f"{world.stack.http_url}/-/")
        page.on("dialog", lambda dialog: dialog.accept())
        sign_in(page, KEY)
        page.select_option("#send [name=to]", "/sent/")
        page.evaluate(CUT, {"8": 9, "9": 9})
        return page

    return open_it


def come_back(page: Page) -> None:
    """Reloads the page, from when on every part gets through."""
    page.reload()
    page.evaluate(CUT, {})
    page.select_option("#send [name=to]", "/sent/")


def parts_sent(page: Page) -> list[int]:
    return sorted(page.evaluate("window.parts"))


@pytest.mark.parametrize("with_others", [False, True], ids=["alone", "with others"])
def test_after_a_reload_the_same_large_file_goes_on(
    world: System, open_large_sender: OpenPage, big: Path, tmp_path: Path, with_others: bool
) -> None:
    page = open_large_sender()
    others = [tmp_path / "a.txt"] if with_others else []
    for path in others:
        path.write_bytes(b"a")
    page.check("#send [name=code]")
    page.set_input_files("#files", [*others, big])
    press_send(page)
    wait_for_seven_parts(page, 1 + len(others))
    (kept,) = records(page)
    assert set(kept) == {"path", "upload", "etags"}
    assert len(kept["etags"]) == 7
    assert KEY not in json.dumps(kept)
    come_back(page)
    page.set_input_files("#files", [*others, big])
    press_send(page)
    expect(page.locator("#list > li[data-outcome=sent]")).to_have_count(1 + len(others))
    assert parts_sent(page) == [8, 9]
    assert share_of(world, page)["path"] in (kept["path"], kept["path"].removesuffix("big.bin"))
    assert world.stored_objects(kept["path"][1:]) == {kept["path"][1:]: big.read_bytes()}
    assert records(page) == []


@pytest.mark.parametrize("change", ["date", "name", "upload"])
def test_any_other_file_starts_from_its_beginning(
    world: System, open_large_sender: OpenPage, big: Path, change: str
) -> None:
    page = open_large_sender()
    page.set_input_files("#files", [big])
    press_send(page)
    wait_for_seven_parts(page, 1)
    (kept,) = records(page)
    come_back(page)
    if change == "date":
        os.utime(big, (DAY, DAY))
    if change == "name":
        big = big.rename(big.with_name("other.bin"))
    if change == "upload":  # a lifecycle rule aborted it
        bucket = world.bucket_client()
        key = kept["path"][1:]
        (upload,) = [
            each for each in bucket.list_multipart_uploads().upload_list if each.key == key
        ]
        bucket.abort_multipart_upload(key, upload.upload_id)
    page.set_input_files("#files", [big])
    press_send(page)
    if change == "upload":
        expect_outcome(page, 1, "ended")
        assert records(page) == []
        page.get_by_role("button", name="Try again").click()
    expect_outcome(page, 1, "sent")
    assert set(range(1, 8)) <= set(parts_sent(page))
    path = share_of(world, page)["path"]
    assert (path == kept["path"]) == (change == "upload")
    assert world.stored_objects(path[1:]) == {path[1:]: big.read_bytes()}


def test_files_that_changed_after_a_reload_go_to_a_new_folder(
    world: System, open_large_sender: OpenPage, big: Path, tmp_path: Path
) -> None:
    page = open_large_sender()
    small = tmp_path / "a.txt"
    small.write_bytes(b"old")
    page.set_input_files("#files", [small, big])
    press_send(page)
    expect_outcome(page, 1, "sent")
    wait_for_seven_parts(page, 2)
    (kept,) = records(page)
    come_back(page)
    small.write_bytes(b"new")
    os.utime(small, (2 * 10**9, 2 * 10**9))
    page.set_input_files("#files", [small, big])
    press_send(page)
    expect(page.locator("#send .address")).to_have_count(1, timeout=20_000)
    path = share_of(world, page)["path"]
    assert not kept["path"].startswith(path)
    assert world.oss.get(f"{path[1:]}a.txt").body == b"new"


def test_the_files_of_an_upload_page_are_listed_with_links_when_asked(
    world: System, open_sender: OpenPage
) -> None:
    page = open_sender()
    page.click("#receive summary")
    page.select_option("#receive [name=to]", "/asked/")
    page.fill("#receive [name=title]", "Your photos")
    page.get_by_role("button", name="Create an upload page").click()
    ((_, address, _),) = copied(page)
    expect(page.locator("#receive")).to_contain_text("“My shares” lists what arrives.")
    page.click("#shares summary")
    mine = page.locator("#mine > li", has_text="Your photos").first
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request))
    show = mine.get_by_role("button", name="Show files: Your photos")
    show.click()
    expect(mine).to_contain_text("No file has arrived yet.")
    sender = page.context.new_page()
    sender.goto(world.local_url(address))
    choose(sender, file("季度 <b>.txt", b"three"))
    expect_outcome(sender, 1, "sent")
    sender.close()
    show.click()
    link = mine.get_by_role("link", name="1-季度 <b>.txt")
    expect(link).to_be_visible()
    expect(mine).to_contain_text("5 B")
    expect(mine).to_contain_text("These links work until")
    href = str(link.get_attribute("href"))
    assert href.startswith(world.stack.oss_url)
    assert requests.get(href, timeout=TIMEOUT).content == b"three"
    with page.expect_download() as download:
        link.click()
    assert Path(download.value.path()).read_bytes() == b"three"
    assert {urlsplit(each.url).path.split("/")[1] for each in asked} <= {"received", "-", "asked"}
    # Who may not list it has no button.
    page.route(
        re.compile(r"/-/shares\?"),
        lambda route: route.fulfill(
            json={
                "shares": [{"id": "x", "state": "active", "upload": {}, "received_at": None}],
                "next": None,
            }
        ),
    )
    page.click("#shares summary")
    page.click("#shares summary")
    expect(page.get_by_role("button", name="Show files")).to_have_count(0)


def test_an_answer_that_is_no_sentence_is_shown_as_one(open_sender: OpenPage) -> None:
    page = open_sender(key="")
    page.route(
        re.compile("/-/me$"),
        lambda route: route.fulfill(status=403, json={"detail": {"reason": ["not", "text"]}}),
    )
    page.fill("#key", KEY)
    page.keyboard.press("Enter")
    expect(page.locator("#fault")).to_have_text(
        "Not sent: the service is temporarily unavailable. Try again."
    )


def test_an_end_that_was_shortened_is_said_after_an_extension(open_sender: OpenPage) -> None:
    page = open_sender()
    share = {
        "id": "x",
        "path": "/team/a.txt",
        "state": "active",
        "expires_at": "2026-03-01T06:51:11Z",
    }
    page.route(
        re.compile(r"/-/shares(\?|/x$)"),
        lambda route: route.fulfill(
            json={**share, "clamped_by": "mount"}
            if route.request.method == "POST"
            else {"shares": [share], "next": None}
        ),
    )
    page.click("#shares summary")
    page.get_by_role("button", name="Extend").click()
    expect(page.locator("#mine")).to_contain_text("This is the latest end that is allowed here.")
