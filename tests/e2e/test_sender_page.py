"""The sender's page in Chromium, with the local stack: what people do there, and what nobody gets out of it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from playwright.sync_api import FilePayload, Page, Request, Route, expect

from tests.e2e.system import CLIPBOARD, KEY, TIMEOUT, System, sign_in
from tests.e2e.test_error_pages import violations
from tests.e2e.test_upload_page import CUT, choose, expect_outcome, file, row
from tests.system import HTML

MARKUP = "<img src=x onerror=\"document.title='run'\"><a href=evil>'&.txt"
ADMIN = {
    "id": "api:a",
    "methods": ["GET", "ADMIN"],
    "paths": None,
    "expires_at": None,
    "mounts": [],
}
# Where a script of the page, or one that reads its storage, would find the key.
PLACES = """() => [document.documentElement.outerHTML, document.cookie, location.href, JSON.stringify(history.state),
    JSON.stringify(localStorage), ...[...document.querySelectorAll("input, textarea")].map((field) => field.value)]"""
FRAME = """(url) => new Promise((done) => {
    Object.assign(document.body.appendChild(document.createElement("iframe")), { onload: () => done(), src: url });
})"""
FOCUSED = "(({ name, id, textContent }) => [name, id, textContent])(document.activeElement)"
OpenPage = Callable[..., Page]


def send(page: Page, *files: FilePayload) -> None:
    choose(page, *files)
    page.get_by_role("button", name="Send", exact=True).click()


def copied(page: Page, button: str = "Copy") -> list[list[str]]:
    """What a button copies of each share: its name, its address and its end, and with the second one its code."""
    page.get_by_role("button", name=button, exact=True).click()
    expect(page.locator(".copies:visible [role=status]")).to_have_text("Copied.")
    return [
        line.split("  ") for line in page.evaluate("navigator.clipboard.readText()").split("\n")
    ]


def answer_with(page: Page, path: str, **answer: Any) -> None:
    page.route(re.compile(rf"/-/{path}(\?|$)"), lambda route: route.fulfill(**answer))


def test_each_file_is_sent_and_shared_and_one_button_copies_all_addresses(
    world: System, open_sender: OpenPage
) -> None:
    page = open_sender()
    page.fill("#send [name=title]", "For you")
    page.fill("#send [name=count]", "2")
    page.check("#send [name=code]")
    page.select_option("#send [name=expires]", "1d")
    send(page, file("季度 q3.txt", b"three"), file("empty", b""))
    expect(page.locator("#list .address")).to_have_count(4)
    lines = sorted(copied(page, "Copy with code"))
    assert [name for name, *_ in lines] == ["empty", "季度 q3.txt"]
    _, address, end, code = lines[1]
    assert end.startswith("Available until ")
    assert sorted(copied(page)) == [line[:3] for line in lines]
    code = code.removeprefix("Code: ")
    assert requests.post(address, json={}, timeout=TIMEOUT).json()["code"] == "wrong_password"
    assert requests.post(address, json={"password": code}, timeout=TIMEOUT).content == b"three"
    assert (
        len(
            [
                key
                for key in world.stored_objects("team/")
                if re.fullmatch(r"team/[\w-]{8}/季度 q3\.txt", key)
            ]
        )
        == 1
    )
    page.click("#shares summary")
    mine = page.locator("#mine > li").filter(has_text="q3.txt")
    for fact in ("For you", "Used: 1 / 2", "Last used"):
        expect(mine).to_contain_text(fact)
    page.select_option("#shares select", "30d")
    mine.get_by_role("button", name="Extend").click()
    expect(mine).to_be_focused()
    page.on("dialog", lambda dialog: dialog.accept())
    mine.get_by_role("button", name="Revoke").click()
    expect(mine).to_contain_text("This link was withdrawn")
    expect(mine.get_by_role("button")).to_have_count(0)
    assert requests.get(address, timeout=TIMEOUT).status_code == 410


def test_a_page_that_receives_files_is_created_by_the_same_form(open_sender: OpenPage) -> None:
    page = open_sender()
    page.click("#receive summary")
    page.select_option("#receive [name=to]", "/in/")
    page.fill("#receive [name=title]", "Your photos")
    page.get_by_role("button", name="Create an upload page").click()
    expect(page.locator("#receive .address")).to_have_count(1)
    ((name, address, _),) = copied(page)
    assert name == "Your photos"
    assert "<h1>Your photos</h1>" in requests.get(address, headers=HTML, timeout=TIMEOUT).text
    for task, maximum in (("receive", "100"), ("send", "20")):
        count = page.locator(f"#{task} [name=count]")
        assert count.get_attribute("max") == maximum
        count.evaluate("(field, most) => { field.value = Number(most) + 1; }", maximum)
        assert count.evaluate("(field) => field.validity.rangeOverflow")


@pytest.mark.parametrize("task", ["send", "receive"])
def test_nobody_gets_the_address_or_the_code_of_an_earlier_send(
    open_sender: OpenPage, task: str
) -> None:
    page = open_sender()
    for number, name in enumerate(("For Alice", "For Bob"), start=1):
        page.evaluate("(task) => { document.getElementById(task).open = true; }", task)
        page.fill(f"#{task} [name=title]", name)
        page.set_checked(f"#{task} [name=code]", True)
        if task == "send":
            send(page, file(f"{name}.txt", b"x"))
        else:
            page.get_by_role("button", name="Create an upload page").click()
        expect(page.locator(f"#{task} .address")).to_have_count(2 * number)
    for button in ("Copy", "Copy with code"):
        ((copied_name, *_),) = copied(page, button)
        assert "For Bob" in copied_name


def test_it_says_from_when_a_share_has_no_file_any_more(open_sender: OpenPage) -> None:
    page = open_sender()
    share = {
        "url": "https://links.example.com/-/s/?share=EXAMPLE",
        "id": "z0dbH3m320oM",
        "expires_at": "2026-12-31T00:00:00Z",
        "clamped_by": None,
        "deleted_at": "2026-12-09T00:00:00Z",
    }
    answer_with(page, "shares", json=share)
    page.click("#receive summary")
    page.get_by_role("button", name="Create an upload page").click()
    said = page.locator("#receive .fact").filter(has_text="What it opens is deleted before that")
    expect(said.locator("time")).to_have_attribute("datetime", "2026-12-09T00:00:00Z")
    listed = {**share, "path": "/team/q3.pdf", "state": "active"}
    answer_with(page, "shares", json={"shares": [listed], "next": None})
    page.click("#shares summary")
    expect(page.locator("#mine .fact").filter(has_text="What it opens is deleted")).to_have_count(1)


def test_a_key_is_refused_in_the_words_of_the_service_and_one_with_admin_by_the_page(
    open_sender: OpenPage,
) -> None:
    page = open_sender(key="")
    for key, sentence in (
        ("", "An API key or token is required."),
        ("fcp_密", "be Bearer"),
        (KEY + "x", "not valid"),
    ):
        sign_in(page, key)
        expect(page.locator("#fault")).to_contain_text(sentence)
    answer_with(page, "me", json=ADMIN)
    sign_in(page, KEY)
    expect(page.locator("#fault")).to_contain_text("without the method ADMIN")
    assert page.evaluate("Object.keys(sessionStorage)") == []
    answer_with(page, "me", json={**ADMIN, "methods": ["GET"]})
    sign_in(page, KEY)
    expect(page.locator("#fault")).to_contain_text("neither send files nor receive any")


def test_the_key_is_forgotten_with_the_tab_by_signing_out_and_by_a_401(
    open_sender: OpenPage,
) -> None:
    page = open_sender()
    page.reload()
    expect(page.locator("#who")).to_have_text("api:program")
    other = page.context.new_page()
    other.goto(page.url)
    expect(other.locator("#sign-in")).to_be_visible()
    assert other.evaluate("sessionStorage.length") == 0
    page.click("#sign-out")
    expect(page.locator("#sign-in")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0
    sign_in(page, KEY)
    expect(page.locator("#signed-in")).to_be_visible()
    page.route(
        re.compile("/-/sign$"),
        lambda route: route.fulfill(status=401, json={"detail": "It has expired."}),
    )
    send(page, file("a.txt", b"a"))
    expect_outcome(page, 1, "not_allowed")
    expect(row(page, 1).locator(".state")).to_have_text("It has expired.")
    expect(page.locator("#sign-in")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


def test_what_others_wrote_is_text_and_the_key_leaves_the_tab_for_its_service_alone(
    world: System, open_page: Any
) -> None:
    """Names, titles, ids, states and times are hostile, and the bucket answers with a redirect and a page."""
    sent: list[Request] = []
    said: list[str] = []
    page: Page = open_page(f"{world.stack.http_url}/-/")
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: sent.append(request))
    me = {
        "methods": ["PUT", "GET", "POST"],
        "list": True,
        "max_share": 9,
        "max_size": 9,
        "require_password": False,
    }
    mounts = [{**me, "path": f"/{MARKUP}/"}, {**me, "path": "/team/"}]
    answer_with(
        page,
        "me",
        json={**ADMIN, "id": MARKUP, "methods": ["PUT"], "expires_at": MARKUP, "mounts": mounts},
    )
    names = ("id", "state", "expires_at", "max_uses", "uses", "opened_at", "last_use")
    share = dict.fromkeys(names, MARKUP) | {
        "path": f"/{MARKUP}",
        "title": f"{MARKUP}\u202e\u200b\u3164\U000e0041",
    }
    page.route(
        re.compile(r"/-/shares(\?|$)"),
        lambda route: route.fulfill(
            json={"url": MARKUP, "password": MARKUP, "expires_at": MARKUP}
            if route.request.method == "POST"
            else {"shares": [share], "next": MARKUP}
        ),
    )
    sign_in(page, KEY)
    page.select_option("#send [name=to]", "/team/")
    send(page, file(MARKUP, b"a"))
    expect_outcome(page, 1, "sent")
    page.click("#shares summary")
    expect(page.locator("#mine")).to_contain_text(MARKUP)
    page.get_by_role("button", name="Extend").click()
    expect(page.locator("#fault")).not_to_be_empty()
    bucket = re.compile(re.escape(world.stack.oss_url))
    headers = {"Location": "https://evil.invalid/", "Access-Control-Allow-Origin": "*"}
    statuses = iter((307, 403, 200, 200, 200))
    page.route(
        bucket, lambda route: route.fulfill(status=next(statuses), headers=headers, body=MARKUP)
    )
    page.click("#send summary")
    send(page, *(file(f"{number}.txt", b"a") for number in range(3)))
    expect(page.locator("#list > li[data-outcome]")).to_have_count(4, timeout=20_000)
    assert page.locator("main img, main a, main iframe").count() == 0
    assert page.title() == "Send and receive files"
    assert not {*"\u202e\u200b\u3164\U000e0041"} & {*page.content()}
    assert f"{MARKUP}____" in str(page.locator("#mine").text_content())
    assert (
        {f"{urlsplit(each.url).scheme}://{urlsplit(each.url).netloc}" for each in sent}
        <= {
            world.stack.http_url,
            world.stack.oss_url,
            "https://evil.invalid",  # only where the redirect of a bucket leads, which the policy refuses
        }
    )
    for each in sent:
        assert KEY not in each.url + (each.post_data or "")
        assert ("authorization" in each.headers) <= each.url.startswith(
            f"{world.stack.http_url}/-/"
        )
        assert each.headers.get("referer", "") in ("", f"{world.stack.http_url}/")
    assert [line for line in said if "evil.invalid" in line and "has been blocked" in line], said
    assert KEY not in "".join([*said, *page.evaluate(PLACES)])
    assert page.evaluate("Object.entries(sessionStorage)") == [["fc-presign key", KEY]]
    assert KEY not in (world.folder / "log").read_text("utf-8")


def test_another_origin_can_neither_show_it_nor_hold_it_nor_send_it_a_form(
    world: System, page: Page, site: str
) -> None:
    address = f"{world.stack.http_url}/-/"
    page.evaluate(FRAME, address)
    assert [frame.locator("#sign-in").count() for frame in page.frames] == [0, 0]
    with page.context.expect_page() as opened:
        page.evaluate("(url) => { window.held = window.open(url); }", address)
    opened.value.wait_for_load_state()
    sign_in(opened.value, KEY)
    expect(opened.value.locator("#signed-in")).to_be_visible()
    assert opened.value.evaluate("window.opener") is None
    assert page.evaluate("window.held.closed")
    with page.expect_response(address) as answered:
        page.set_content(
            f"<form method=post action={address}></form><script>document.forms[0].submit()</script>"
        )
    assert answered.value.status == 405


def test_twenty_files_whose_lines_are_cut_all_arrive_and_none_is_lost(
    world: System, open_sender: OpenPage
) -> None:
    page = open_sender()
    names = [f"cut-{number}.txt" for number in range(20)]
    lost: dict[str, set[str]] = {"PUT": set(), "POST": set()}

    def lose_once(route: Route) -> None:
        """Of each file first what goes to the bucket, then what shares it."""
        asked = route.request
        name = re.search(r"cut-\d+\.txt", asked.url + (asked.post_data or ""))
        if asked.method not in lost or name is None or name[0] in lost[asked.method]:
            route.fallback()
        else:
            lost[asked.method].add(name[0])
            route.abort("connectionreset")

    page.route(re.compile(f"^({re.escape(world.stack.oss_url)}|.*/-/shares$)"), lose_once)
    send(page, *(file(name, name.encode() * 100) for name in names))
    for _ in range(2):
        expect(page.locator("#list > li[data-outcome=failed]")).to_have_count(20, timeout=20_000)
        page.get_by_role("button", name="Try again").evaluate_all(
            "buttons => buttons.forEach((each) => each.click())"
        )
    expect(page.locator("#list > li[data-outcome=sent]")).to_have_count(20, timeout=20_000)
    assert {each: len(found) for each, found in lost.items()} == {"PUT": 20, "POST": 20}
    lines = copied(page)
    assert [name for name, *_ in lines] == names
    for name, address, _ in lines:
        assert requests.get(address, timeout=TIMEOUT).content == name.encode() * 100


def test_offline_and_back_stopped_and_reloaded(world: System, open_sender: OpenPage) -> None:
    page = open_sender()
    page.context.set_offline(True)
    send(page, *(file(f"{number}.txt", b"x") for number in range(4)))
    expect(page.get_by_text("Waiting for the network …")).to_have_count(3)
    expect(page.locator("#list > li[data-outcome]")).to_have_count(0)
    held: list[Route] = []
    page.route(re.compile(re.escape(world.stack.oss_url)), lambda route: held.append(route))
    page.context.set_offline(False)
    for number in (4, 1):  # one that waits, and one that is sent
        page.get_by_role("button", name=f"Stop: {number - 1}.txt").click()
        expect_outcome(page, number, "stopped")
    asked: list[str] = []
    page.on("dialog", lambda dialog: asked.append(dialog.type))
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    assert asked == ["beforeunload"]
    expect(page.locator("#signed-in")).to_be_visible()
    expect(page.locator("#list > li")).to_have_count(0)
    page.unroute_all()
    page.select_option("#send [name=to]", "/team/")
    send(page, file("a.txt", b"a"))
    expect_outcome(page, 1, "sent")
    page.reload()
    assert asked == ["beforeunload"] * 2, "an address that was not copied is lost, too"


@pytest.mark.parametrize("exposed", [["ETag"], []], ids=["exposed", "hidden"])
def test_a_large_file_is_sent_in_parts_by_the_json_routes(
    world: System, open_page: Any, exposed: list[str]
) -> None:
    page: Page = open_page(f"{world.stack.http_url}/-/", permissions=CLIPBOARD)
    sign_in(page, KEY)
    page.select_option("#send [name=to]", "/team/")
    page.evaluate("isLarge = () => true")
    page.evaluate(CUT, {"2": 1})
    content = bytes(range(256)) * (9 * 4096)
    with world.allowing("*", exposed):
        send(page, file("big.bin", content))
        expect_outcome(page, 1, "sent" if exposed else "no_cors")
    if not exposed:
        expect(row(page, 1).locator(".state")).to_contain_text("and expose ETag.")
        page.get_by_role("button", name="Try again").click()
        expect_outcome(page, 1, "no_cors")
        return
    ((_, address, _),) = copied(page)
    assert requests.get(address, timeout=TIMEOUT).content == content


def test_the_page_in_chinese_on_a_phone_and_without_script(
    world: System, open_sender: OpenPage, open_page: Any
) -> None:
    page = open_sender(
        locale="zh-CN", viewport={"width": 320, "height": 568}, has_touch=True, is_mobile=True
    )
    choose(page, file("a" * 150, b"a"))
    page.get_by_role("button", name="发送", exact=True).tap()
    expect_outcome(page, 1, "sent")
    page.click("#shares summary")
    expect(page.locator("#mine > li").first).to_be_visible()
    expect(page.locator("#shares label")).to_have_css("margin-top", "16px")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    words = " ".join(page.locator(":is(h1, label, summary, button):visible").all_inner_texts())
    assert not re.search(r"[A-Za-z]{4,}", re.sub(r"/\w+/", "", words)), words
    bare: Page = open_page(page.url, java_script_enabled=False)
    assert "<noscript><p>To send and receive files here, allow" in bare.request.get(page.url).text()
    expect(bare.locator("main :is(input, button, select)").first).to_be_hidden()


def test_the_page_works_with_the_keyboard(open_sender: OpenPage) -> None:
    page = open_sender()
    page.locator("#send summary").focus()
    for name in (
        "files",
        "to",
        "expires",
        "count",
        "title",
        "message",
        "code",
        "Send",
        "Receive files",
        "My shares",
    ):
        page.keyboard.press("Tab")
        assert name in page.evaluate(FOCUSED)
    page.keyboard.press("Enter")
    expect(page.locator("#shares select")).to_be_visible()
    expect(page.locator("#send form")).to_be_hidden()


def test_files_are_removed_sent_and_copied_with_the_keyboard(open_sender: OpenPage) -> None:
    page = open_sender(to="/sent/")
    choose(page, *(file(f"{name}.txt", b"x") for name in "abc"))
    page.locator("#files").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # removes the first
    assert page.evaluate(FOCUSED)[2] == "Remove"
    for _ in range(12):
        page.keyboard.press("Tab")
        if page.evaluate(FOCUSED)[2] == "Send":
            break
    page.keyboard.press("Enter")
    expect(page.locator("#list > li[data-outcome=sent]")).to_have_count(2)
    expect(page.get_by_role("button", name="Copy", exact=True)).to_be_visible()
    page.locator("#files").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".copies:visible [role=status]")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()").startswith("2 files  http")


@pytest.mark.parametrize("scheme", [pytest.param("light", marks=pytest.mark.long), "dark"])
def test_the_page_is_accessible(open_sender: OpenPage, scheme: Any) -> None:
    page = open_sender(key="", color_scheme=scheme, bypass_csp=True)
    sign_in(page, "wrong")
    expect(page.locator("#fault")).not_to_be_empty()
    assert violations(page) == []
    sign_in(page, KEY)
    page.select_option("#send [name=to]", "/team/")
    choose(page, file("a.txt", b"a"), file("/" * 3, b""))
    assert violations(page) == []
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#list > li[data-outcome]")).to_have_count(2)
    page.select_option("#send [name=to]", "/sent/")
    page.check("#send [name=code]")
    choose(page, file("b.txt", b"b"), file("b.txt", b"b"))
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.locator("#fault")).to_contain_text("Nothing was sent.")
    assert violations(page) == []
    page.get_by_role("button", name="Remove: b.txt").last.click()
    send(page, file("c.txt", b"c"))
    expect(page.get_by_role("button", name="Copy with code")).to_be_visible()
    for task in ("send", "receive", "shares"):
        page.locator(f"#{task}").evaluate("(task) => { task.open = true; }")
        assert violations(page) == []
