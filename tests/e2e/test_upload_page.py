"""The page where someone without an account drops files, in a real Chromium, against the local stack."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from playwright.sync_api import Browser, BrowserContext, FilePayload, Page, Route, expect

from tests.e2e.system import TIMEOUT, System
from tests.e2e.uploads_system import shared, stored

pytest_plugins = ("tests.e2e.system_fixtures", "tests.e2e.uploads_fixtures")

AXE = Path(__file__).parents[1] / "node" / "node_modules" / "axe-core" / "axe.min.js"
MEGABYTE = 1024 * 1024
LOST = "Not sent: the connection was lost."
# Every value that the progress bars ever show.
WATCH = """() => {
    window.progress = [];
    new MutationObserver((changes) => changes.forEach((change) => window.progress.push(change.target.value)))
        .observe(document.body, { subtree: true, attributes: true, attributeFilter: ["value"] });
}"""
DROP = """([names, kind]) => {
    const data = new DataTransfer();
    for (const name of names) data.items.add(new File(["dropped"], name, { type: kind }));
    const target = document.getElementById("drop");
    for (const type of ["dragover", "drop"])
        target.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
}"""
LIE = """() => {
    const real = window.fetch;
    window.fetch = (url, asked) => real(url, { ...asked, body: asked.body.replace('"size":900', '"size":9') });
}"""
RUN_AXE = """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
    .map((violation) => violation.id + ": " + violation.nodes.map((node) => node.html).join(" "))"""

Opened = Callable[..., Page]


@pytest.fixture
def opened(uploading: System, chromium: Browser) -> Iterator[Opened]:
    """Opens a new share's page; nothing may be said in its console, and nothing refused by its policy."""
    contexts: list[BrowserContext] = []
    said: list[str] = []

    def open_page(
        *, max_files: int = 3, max_size: int = 1000, content_type: str | None = None, quiet: bool = True, **options: Any
    ) -> Page:
        upload = {"max_files": max_files, "max_size": max_size, "content_type": content_type}
        url = shared(uploading, path="/in/", method="POST", upload=upload)
        context = chromium.new_context(**options)
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        if quiet:
            page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert [text for text in said if not text.startswith("Failed to load resource")] == []


def text(name: str, content: bytes, kind: str = "text/plain") -> FilePayload:
    return {"name": name, "mimeType": kind, "buffer": content}


def choose(page: Page, *files: FilePayload) -> None:
    page.set_input_files("#files", list(files))


def row(page: Page, number: int) -> Any:
    """A file's row, from 1."""
    return page.locator("#list > li").nth(number - 1)


def expect_outcome(page: Page, number: int, outcome: str) -> None:
    expect(row(page, number)).to_have_attribute("data-outcome", outcome, timeout=20_000)


def arrived(system: System, page: Page) -> dict[str, bytes]:
    """What arrived below the page's share, by the rest of its key."""
    share_id = parse_qs(urlsplit(page.url).query)["share"][0][16:28]
    prefix = f"inbox/{share_id}/"
    return {key[len(prefix) :]: content for key, content in stored(system).items() if key.startswith(prefix)}


def test_two_files_of_one_name_are_both_sent_and_the_end_is_clear(uploading: System, opened: Opened) -> None:
    page = opened()
    expect(page.locator("#left")).to_have_text("3")
    choose(page, text("季度 q3.txt", b"first"), text("季度 q3.txt", b"second"))
    expect(page.locator("#end")).to_have_text("Every file has been sent. You can close this page.")
    assert sorted(arrived(uploading, page).values()) == [b"first", b"second"]
    assert sorted(arrived(uploading, page)) == ["1-季度 q3.txt", "2-季度 q3.txt"]
    expect(page.locator("#left")).to_have_text("1")
    expect(page.locator("#list .state")).to_have_text(["Sent", "Sent"])
    assert page.locator("progress").evaluate_all("bars => bars.map((bar) => bar.value)") == [1, 1]


def test_a_large_file_shows_how_far_it_is(uploading: System, opened: Opened) -> None:
    page = opened(max_size=4 * MEGABYTE)
    page.evaluate(WATCH)
    slow = page.context.new_cdp_session(page)
    limits = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 4 * MEGABYTE}
    slow.send("Network.enable")
    slow.send("Network.emulateNetworkConditions", limits)
    content = bytes(range(256)) * (3 * MEGABYTE // 256)
    choose(page, text("large.bin", content, "application/octet-stream"))
    expect_outcome(page, 1, "sent")
    assert list(arrived(uploading, page).values()) == [content]
    shown = page.evaluate("window.progress")
    assert any(0 < value < 1 for value in shown), shown
    assert shown == sorted(shown)
    assert shown[-1] == 1


def test_what_is_too_large_or_of_a_wrong_type_is_told_at_once_and_takes_no_place(
    uploading: System, opened: Opened
) -> None:
    page = opened(content_type="text/")
    choose(page, text("big.txt", b"x" * 1001), text("x.png", b"x", "image/png"), text("good.txt", b"x" * 1000))
    expect_outcome(page, 3, "sent")
    expect(page.locator("#list .state")).to_have_text(
        ["Not sent: larger than is taken here.", "Not sent: of a type that is not taken here.", "Sent"]
    )
    expect(page.locator("#end")).to_have_text("Some files have not been sent.")
    assert arrived(uploading, page) == {"1-good.txt": b"x" * 1000}
    expect(page.locator("#files")).to_have_attribute("accept", "text/*")


def test_a_page_that_was_changed_still_sends_no_more(uploading: System, opened: Opened) -> None:
    """The limits are the service's and OSS's; the page only spares the way."""
    page = opened(content_type="text/")
    page.evaluate("fits = () => ''")
    choose(page, text("big.txt", b"x" * 1001), text("x.png", b"x", "image/png"))
    expect_outcome(page, 1, "too_large")
    expect_outcome(page, 2, "wrong_type")
    page.evaluate(LIE)
    choose(page, text("lie.txt", b"x" * 900))
    expect_outcome(page, 3, "refused")
    assert arrived(uploading, page) == {}


def test_more_files_than_are_taken(uploading: System, opened: Opened) -> None:
    page = opened(max_files=1)
    choose(page, text("a.txt", b"a"))
    expect_outcome(page, 1, "sent")
    choose(page, text("b.txt", b"b"))
    expect_outcome(page, 2, "full")
    expect(row(page, 2).locator(".state")).to_have_text("Not sent: no more files are taken.")
    assert arrived(uploading, page) == {"1-a.txt": b"a"}


def lose_once(page: Page, address: str, *, after_it_arrived: bool) -> None:
    """Has the first POST to an address lose its connection, before it leaves or after it has arrived."""
    lost: list[Route] = []

    def handle(route: Route) -> None:
        if route.request.method != "POST" or lost:
            route.continue_()
            return
        lost.append(route)
        if after_it_arrived:
            sent = {**route.request.headers, "content-length": ""}
            del sent["content-length"]
            answer = requests.post(
                route.request.url, data=route.request.post_data_buffer, headers=sent, timeout=TIMEOUT
            )
            assert answer.status_code == 200
        route.abort("failed")

    page.route(re.compile(re.escape(address)), handle)


@pytest.mark.parametrize("after_it_arrived", [False, True], ids=["on its way", "its answer"])
@pytest.mark.parametrize("where", ["service", "OSS"])
def test_a_lost_connection_is_told_and_a_second_try_takes_no_second_place(
    uploading: System, opened: Opened, where: str, after_it_arrived: bool
) -> None:
    page = opened()
    address = uploading.stack.http_url if where == "service" else uploading.stack.oss_url
    lose_once(page, address, after_it_arrived=after_it_arrived)
    choose(page, text("a.txt", b"hello"))
    expect_outcome(page, 1, "failed")
    expect(row(page, 1).locator(".state")).to_have_text(LOST)
    expect(page.locator("#end")).to_have_text("Some files have not been sent.")
    page.get_by_role("button", name="Try again: a.txt").click()
    expect_outcome(page, 1, "sent")
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    expect(page.locator("#end")).to_have_text("Every file has been sent. You can close this page.")
    assert arrived(uploading, page) == {"1-a.txt": b"hello"}
    page.reload()
    expect(page.locator("#left")).to_have_text("2")


def test_files_are_dropped(uploading: System, opened: Opened) -> None:
    page = opened()
    page.evaluate(DROP, [["one.txt", "two.txt"], "text/plain"])
    expect(page.locator("#end")).to_have_text("Every file has been sent. You can close this page.")
    assert sorted(arrived(uploading, page).values()) == [b"dropped", b"dropped"]


def test_a_name_is_shown_as_it_is_and_is_no_markup(uploading: System, opened: Opened) -> None:
    page = opened()
    name = "<img src=x onerror=alert(1)>&'.txt"
    choose(page, text(name, b"x"))
    expect_outcome(page, 1, "sent")
    expect(row(page, 1).locator("div").first).to_have_text(name)
    assert list(arrived(uploading, page)) == [f"1-{name}"]


def test_the_keyboard_is_enough(uploading: System, opened: Opened) -> None:
    page = opened()
    lose_once(page, uploading.stack.oss_url, after_it_arrived=False)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "files"
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files([text("a.txt", b"hello")])
    expect_outcome(page, 1, "failed")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Try again"
    page.keyboard.press("Enter")
    expect_outcome(page, 1, "sent")
    assert list(arrived(uploading, page).values()) == [b"hello"]


def test_in_chinese_it_says_the_same(opened: Opened) -> None:
    page = opened(locale="zh-CN", content_type="text/")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.locator("h1")).to_have_text("上传文件到 in")
    choose(page, text("big.txt", b"x" * 1001), text("a.txt", b"x"))
    expect(page.locator("#list .state")).to_have_text(["未上传：文件超过大小上限。", "已上传"])
    expect(page.locator("#end")).to_have_text("部分文件未上传。")
    assert not re.search(r"[A-Za-z]{4,}", page.locator("main").inner_text().replace("text/*", ""))


@pytest.mark.parametrize("locale", ["en-US", "zh-CN"])
def test_it_fits_a_phone(opened: Opened, locale: str) -> None:
    page = opened(viewport={"width": 320, "height": 568}, has_touch=True, is_mobile=True, locale=locale)
    choose(page, text("a-very-long-name-without-a-single-place-to-break-" * 3 + ".txt", b"x" * 1001))
    expect_outcome(page, 1, "too_large")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    box = page.locator("#drop").bounding_box()
    assert box is not None
    assert box["height"] >= 44


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong(uploading: System, opened: Opened, scheme: Any) -> None:
    if not AXE.is_file():
        pytest.skip("axe-core is not installed: run npm ci --ignore-scripts in tests/node")
    page = opened(color_scheme=scheme, bypass_csp=True, content_type="text/")
    page.add_script_tag(path=AXE)
    assert page.evaluate(RUN_AXE) == []
    lose_once(page, uploading.stack.oss_url, after_it_arrived=False)
    choose(page, text("lost.txt", b"x"), text("big.txt", b"x" * 1001))
    expect_outcome(page, 1, "failed")
    assert page.evaluate(RUN_AXE) == []


def test_its_policy_refuses_what_is_not_its_own(opened: Opened) -> None:
    page = opened(quiet=False)
    refused = page.evaluate(
        """async () => {
            const refused = [];
            document.addEventListener("securitypolicyviolation", (event) => refused.push(event.effectiveDirective));
            const seen = (count) => new Promise((done) => {
                const look = () => refused.length >= count ? done() : setTimeout(look, 10);
                look();
            });
            await fetch("http://127.0.0.1:9/").catch(() => 0);
            await seen(1);
            const script = document.createElement("script");
            script.textContent = "window.foreign = true";
            document.body.append(script);
            await seen(2);
            document.body.setAttribute("style", "color: red");
            await seen(3);
            return [refused, window.foreign ?? false];
        }"""
    )
    assert refused == [["connect-src", "script-src-elem", "style-src-attr"], False]
