"""The upload page in Chromium, with the local stack."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import Dialog, FilePayload, Page, Route, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from tests.e2e.system import TIMEOUT, System
from tests.e2e.test_error_pages import violations
from tests.e2e.test_share_page import PAINTED
from tests.system import share_id

MEGABYTE = 1024 * 1024
DONE = "All files have been sent. You can close this page."
LOST = "Not sent: the connection was lost."
# Every value that the progress bars show.
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
    window.fetch = (url, init) => real(url, { ...init, body: init.body.replace('"size":900', '"size":9') });
}"""
LATER = """() => {
    const real = window.fetch, later = [new Response('{"number": 1}', { status: 202 })];
    window.fetch = async (...asked) => later.length && /"complete"/.test(asked[1].body) ? later.pop() : real(...asked);
}"""
CUT = """(times) => {
    window.parts = [];
    const open = window.realOpen ??= XMLHttpRequest.prototype.open;
    XMLHttpRequest.prototype.open = function (method, url, ...rest) {
        const number = /partNumber=(\\d+)/.exec(url)?.[1], isCut = times[number] > 0;
        if (isCut) times[number] -= 1;
        else if (number) window.parts.push(Number(number));
        open.call(this, method, isCut ? "https://cut.invalid/" : url, ...rest);
    };
}"""
OpenPage = Callable[..., Page]


@pytest.fixture
def open_upload_page(world: System, open_quiet_page: Any) -> OpenPage:
    """Opens the page of a new share."""

    def open_share(
        *, max_files: int = 3, max_size: int = 1000, content_type: str | None = None, **options: Any
    ) -> Page:
        upload = {"max_files": max_files, "max_size": max_size, "content_type": content_type}
        page: Page = open_quiet_page(
            world.create_share(path="/in/", method="POST", upload=upload), **options
        )
        return page

    return open_share


def file(name: str, content: bytes, content_type: str = "text/plain") -> FilePayload:
    return {"name": name, "mimeType": content_type, "buffer": content}


def choose(page: Page, *files: FilePayload) -> None:
    page.set_input_files("#files", list(files))


def row(page: Page, number: int) -> Any:
    """The row of a file; the first has the number 1."""
    return page.locator("#list > li").nth(number - 1)


def expect_outcome(page: Page, number: int, outcome: str) -> None:
    expect(row(page, number)).to_have_attribute("data-outcome", outcome, timeout=20_000)


def arrived(system: System, page: Page) -> dict[str, bytes]:
    """The files of the page's share, by the rest of their keys."""
    prefix = f"inbox/{share_id(page.url)}/"
    return {
        key[len(prefix) :]: content
        for key, content in system.stored_objects().items()
        if key.startswith(prefix)
    }


def test_two_files_with_one_name_are_both_sent(world: System, open_upload_page: OpenPage) -> None:
    page = open_upload_page()
    expect(page.locator("#files-left")).to_have_text("3")
    name = "季度 <img src=x onerror=alert(1)>&'.txt"
    choose(page, file(name, b"first"), file(name, b"second"))
    expect(page.locator("#result")).to_have_text(DONE)
    assert sorted(arrived(world, page).values()) == [b"first", b"second"]
    assert sorted(arrived(world, page)) == [f"1-{name}", f"2-{name}"]
    expect(row(page, 1).locator("div").first).to_have_text(name)
    expect(page.locator("#files-left")).to_have_text("1")
    expect(page.locator("#list .state")).to_have_text(["Sent", "Sent"])
    assert page.locator("progress").evaluate_all("bars => bars.map((bar) => bar.value)") == [
        1,
        1,
        1,
    ]


def test_its_end_is_shown_in_the_zone_of_the_reader(open_upload_page: OpenPage) -> None:
    time = open_upload_page(locale="en-GB", timezone_id="Asia/Shanghai").locator("time")
    assert time.inner_text().endswith(" GMT+8")
    assert str(time.get_attribute("title")).endswith(" UTC")
    without_script = open_upload_page(java_script_enabled=False).locator("time")
    assert without_script.inner_text().endswith(" UTC")


def test_a_large_file_shows_its_progress(world: System, open_upload_page: OpenPage) -> None:
    page = open_upload_page(max_size=4 * MEGABYTE)
    page.evaluate(WATCH)
    devtools = page.context.new_cdp_session(page)
    limits = {
        "offline": False,
        "latency": 0,
        "downloadThroughput": -1,
        "uploadThroughput": 3 * MEGABYTE,
    }
    devtools.send("Network.enable")
    devtools.send("Network.emulateNetworkConditions", limits)
    content = bytes(range(256)) * (MEGABYTE // 256)
    choose(page, file("large.bin", content, "application/octet-stream"))
    expect_outcome(page, 1, "sent")
    assert list(arrived(world, page).values()) == [content]
    values = page.evaluate("window.progress")
    assert any(0 < value < 1 for value in values), values
    assert values == sorted(values)
    assert values[-1] == 1


def test_a_file_that_is_too_large_or_of_a_wrong_type_is_refused_at_once(
    world: System, open_upload_page: OpenPage
) -> None:
    page = open_upload_page(content_type="text/")
    choose(
        page,
        file("big.txt", b"x" * 1001),
        file("x.png", b"x", "image/png"),
        file("good.txt", b"x" * 1000),
    )
    expect_outcome(page, 3, "sent")
    expect(page.locator("#list .state")).to_have_text(
        ["Not sent: the file is too large.", "Not sent: this type of file is not accepted.", "Sent"]
    )
    expect(page.locator("#total")).to_have_text("All files: 100 %")
    expect(page.locator("#result")).to_have_text("Some files have not been sent.")
    assert arrived(world, page) == {"1-good.txt": b"x" * 1000}
    expect(page.locator("#files")).to_have_attribute("accept", "text/*")


def test_a_modified_page_cannot_exceed_the_limits(
    world: System, open_upload_page: OpenPage
) -> None:
    """The service and OSS enforce the limits; the page only saves requests."""
    page = open_upload_page(content_type="text/")
    page.evaluate("checkFile = () => ''")
    choose(page, file("big.txt", b"x" * 1001), file("x.png", b"x", "image/png"))
    expect_outcome(page, 1, "too_large")
    expect_outcome(page, 2, "wrong_type")
    page.evaluate(LIE)
    choose(page, file("lie.txt", b"x" * 900))
    expect_outcome(page, 3, "refused")
    expect(row(page, 3).locator("progress")).to_be_hidden()
    expect(row(page, 3).locator(".state")).to_have_css("color", "rgb(179, 38, 30)")
    expect(page.get_by_role("button", name="Try again")).to_have_count(1)
    assert arrived(world, page) == {}


def test_more_files_than_the_share_allows(world: System, open_upload_page: OpenPage) -> None:
    page = open_upload_page(max_files=1)
    choose(page, file("a.txt", b"a"))
    expect_outcome(page, 1, "sent")
    choose(page, file("b.txt", b"b"))
    expect_outcome(page, 2, "full")
    expect(row(page, 2).locator(".state")).to_have_text(
        "Not sent: the maximum number of files has been reached. Ask for a new link."
    )
    assert arrived(world, page) == {"1-a.txt": b"a"}


def interrupt_once(page: Page, address: str, *, after_arrival: bool) -> None:
    """Interrupts the first POST to an address, before it is sent or after it has arrived."""
    failed: list[Route] = []

    def handle(route: Route) -> None:
        if route.request.method != "POST" or failed:
            route.continue_()
            return
        failed.append(route)
        if after_arrival:
            headers = {
                name: value
                for name, value in route.request.headers.items()
                if name != "content-length"
            }
            response = requests.post(
                route.request.url,
                data=route.request.post_data_buffer,
                headers=headers,
                timeout=TIMEOUT,
            )
            assert response.status_code == 200
        route.abort("failed")

    page.route(re.compile(re.escape(address)), handle)


def test_a_share_that_was_revoked_in_the_meantime(
    world: System, open_upload_page: OpenPage
) -> None:
    page = open_upload_page()
    assert world.revoke(page.url).status == 204
    choose(page, file("a.txt", b"a"))
    expect_outcome(page, 1, "expired")
    expect(row(page, 1).locator(".state")).to_have_text("Not sent: this link is no longer valid.")
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        pytest.param(503, '{"code": "state_unavailable"}', marks=pytest.mark.long),
        (429, "Too Many Requests"),
    ],
    ids=["503", "429"],
)
def test_a_retry_follows_when_the_service_was_unavailable(
    world: System, open_upload_page: OpenPage, status: int, body: str
) -> None:
    page = open_upload_page()
    address = re.compile(re.escape(world.stack.http_url))
    page.route(address, lambda route: route.fulfill(status=status, body=body), times=1)
    choose(page, file("a.txt", b"a"))
    expect_outcome(page, 1, "unavailable")
    expect(row(page, 1).locator(".state")).to_have_text(
        "Not sent: the service is temporarily unavailable. Try again."
    )
    page.get_by_role("button", name="Try again: a.txt").click()
    expect_outcome(page, 1, "sent")
    assert arrived(world, page) == {"1-a.txt": b"a"}


@pytest.mark.parametrize(
    "after_arrival",
    [pytest.param(False, marks=pytest.mark.long), True],
    ids=["the request", "the response"],
)
@pytest.mark.parametrize("server", ["service", "OSS"])
def test_a_lost_connection_is_reported_and_a_retry_does_not_count_twice(
    world: System, open_upload_page: OpenPage, server: str, after_arrival: bool
) -> None:
    page = open_upload_page()
    address = world.stack.http_url if server == "service" else world.stack.oss_url
    interrupt_once(page, address, after_arrival=after_arrival)
    choose(page, file("a.txt", b"hello"))
    expect_outcome(page, 1, "failed")
    expect(row(page, 1).locator(".state")).to_have_text(LOST)
    expect(page.locator("#result")).to_have_text("Some files have not been sent.")
    page.get_by_role("button", name="Try again: a.txt").click()
    expect_outcome(page, 1, "sent")
    expect(page.get_by_role("button", name="Try again")).to_have_count(0)
    expect(page.locator("#result")).to_have_text(DONE)
    assert arrived(world, page) == {"1-a.txt": b"hello"}
    page.reload()
    expect(page.locator("#files-left")).to_have_text("2")


def test_what_a_lost_connection_stops_goes_on_by_itself(
    world: System, open_upload_page: OpenPage
) -> None:
    page = open_upload_page(max_files=6)
    page.context.set_offline(True)
    choose(page, *(file(f"{number}.txt", b"x") for number in range(5)))
    expect(page.get_by_text("Waiting for the network …")).to_have_count(3)
    page.get_by_role("button", name="Stop: 0.txt").click()
    expect_outcome(page, 1, "stopped")
    page.context.set_offline(False)
    expect(page.locator("#list > li[data-outcome=sent]")).to_have_count(4)
    expect_outcome(page, 1, "stopped")
    # The browser may learn that it is offline after the request has failed.
    interrupt_once(page, world.stack.oss_url, after_arrival=False)
    choose(page, file("late.txt", b"x"))
    expect_outcome(page, 6, "failed")
    page.evaluate("dispatchEvent(new Event('online'))")
    expect_outcome(page, 6, "sent")
    assert len(arrived(world, page)) == 5


def test_files_are_dropped(world: System, open_upload_page: OpenPage) -> None:
    page = open_upload_page()
    page.evaluate(DROP, [["one.txt", "two.txt"], "text/plain"])
    expect(page.locator("#result")).to_have_text(DONE)
    assert sorted(arrived(world, page).values()) == [b"dropped", b"dropped"]


def test_the_button_looks_like_that_of_a_share_and_drops_are_offered_where_they_are_possible(
    world: System, open_upload_page: OpenPage
) -> None:
    names = ["font", "color", "backgroundColor", "borderRadius", "padding", "height"]
    style = f"(button) => {names}.map((name) => getComputedStyle(button)[name])"
    page = open_upload_page(max_size=10 * MEGABYTE)
    button, hint = page.locator("#drop .button"), page.locator("#drop p")
    expect(page.locator("dd").first).to_have_text("10 MB")
    expect(hint).to_have_text("Drop files here, or")
    expect(hint).to_be_visible()
    expect(button).to_have_text("Choose files")
    look = button.evaluate(style)
    with page.expect_file_chooser():
        button.click()
    page.goto(world.create_share(page=True))
    assert page.locator("button").evaluate(style) == look
    phone = open_upload_page(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    expect(phone.locator("#drop p")).to_be_hidden()
    with phone.expect_file_chooser():
        phone.locator("#drop .button").tap()
    # Without its script the page has nothing that could be pressed.
    expect(open_upload_page(java_script_enabled=False).locator("#drop")).to_be_hidden()


def test_the_page_works_with_the_keyboard(world: System, open_upload_page: OpenPage) -> None:
    page = open_upload_page()
    interrupt_once(page, world.stack.oss_url, after_arrival=False)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "files"
    page.evaluate(PAINTED)
    try:
        with page.expect_file_chooser(timeout=5_000) as chooser:
            page.keyboard.press("Space")
    except PlaywrightTimeout:
        with page.expect_file_chooser() as chooser:
            page.keyboard.press("Space")
    chooser.value.set_files([file("a.txt", b"hello")])
    expect_outcome(page, 1, "failed")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Try again"
    page.keyboard.press("Enter")
    expect_outcome(page, 1, "sent")
    assert list(arrived(world, page).values()) == [b"hello"]


def test_the_page_in_chinese(open_upload_page: OpenPage) -> None:
    page = open_upload_page(locale="zh-CN", content_type="text/")
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.locator("h1")).to_have_text("上传文件")
    choose(page, file("big.txt", b"x" * 1001), file("a.txt", b"x"))
    expect(page.locator("#list .state")).to_have_text(["未上传：文件超过大小上限。", "已上传"])
    expect(page.locator("#result")).to_have_text("部分文件未上传。")
    assert not re.search(r"[A-Za-z]{4,}", page.locator("main").inner_text().replace("text/*", ""))


@pytest.mark.parametrize("java_script", [True, False])
def test_a_code_is_asked_where_files_can_be_sent(
    world: System, open_page: Any, java_script: bool
) -> None:
    share = world.create_share(path="/in/", method="POST", password=True)
    page: Page = open_page(share, java_script_enabled=java_script)
    for asked in ("#code", "#drop"):
        expect(page.locator(asked)).to_be_visible(visible=java_script)


def test_a_wrong_code_is_tried_once_and_the_right_one_sends_every_file(
    world: System, open_page: Any
) -> None:
    share = world.request_share(
        path="/in/", method="POST", password=True, upload={"max_files": 5}
    ).json
    page: Page = open_page()
    tries: list[str] = []
    page.on(
        "request",
        lambda request: tries.append(request.post_data or "") if "/-/s/" in request.url else None,
    )
    page.goto(world.local_url(share["url"]))
    page.fill("#code", "WRONG-CODE")
    choose(page, *(file(f"{number}.txt", b"x") for number in range(5)))
    expect(page.locator("#list > li[data-outcome=wrong_password]")).to_have_count(5)
    assert len([each for each in tries if "WRONG-CODE" in each]) == 1
    page.fill("#code", share["password"].lower())
    page.locator("#code").blur()
    expect(page.locator("#list > li[data-outcome=sent]")).to_have_count(5, timeout=20_000)
    assert sorted(arrived(world, page).values()) == [b"x"] * 5


def test_the_page_fits_a_phone(open_upload_page: OpenPage) -> None:
    page = open_upload_page(viewport={"width": 320, "height": 568}, has_touch=True, is_mobile=True)
    choose(
        page, file("a-very-long-name-without-a-single-place-to-break-" * 3 + ".txt", b"x" * 1001)
    )
    expect_outcome(page, 1, "too_large")
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    box = page.locator("#drop").bounding_box()
    assert box is not None
    assert box["height"] >= 44


@pytest.mark.parametrize("scheme", [pytest.param("light", marks=pytest.mark.long), "dark"])
def test_the_page_is_accessible(world: System, open_upload_page: OpenPage, scheme: Any) -> None:
    page = open_upload_page(color_scheme=scheme, bypass_csp=True, content_type="text/")
    assert violations(page) == []
    interrupt_once(page, world.stack.oss_url, after_arrival=False)
    choose(page, file("lost.txt", b"x"), file("big.txt", b"x" * 1001))
    expect_outcome(page, 1, "failed")
    assert violations(page) == []


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of 65 MB, which is sent in nine parts, each of other content."""
    path = tmp_path_factory.mktemp("files") / "big 大.bin"
    path.write_bytes(b"".join(bytes([number]) * (8 * MEGABYTE) for number in range(8)) + b"the end")
    os.truncate(path, 65 * MEGABYTE)
    return path


@pytest.fixture
def open_big_page(world: System, open_page: Any) -> OpenPage:
    """Opens the page of a new share that takes large files."""

    def open_share(max_files: int = 3, **options: Any) -> Page:
        upload = {"max_files": max_files, "max_size": 70 * MEGABYTE}
        page: Page = open_page(
            world.create_share(path="/big/", method="POST", upload=upload), **options
        )
        return page

    return open_share


def cut(page: Page, **times: int) -> None:
    """Lets the line break so often while a part is sent, by "part" and its number, and lists those that are sent.

    In the page: where requests are intercepted, 8 MB take a second.
    """
    page.evaluate(CUT, {name[4:]: each for name, each in times.items()})


def parts_sent(page: Page) -> list[int]:
    numbers: list[int] = page.evaluate("window.parts")
    return sorted(numbers)


def arrived_big(system: System, page: Page) -> list[bytes]:
    return [*system.stored_objects(f"big/{share_id(page.url)}/").values()]


class TestLargeFile:
    def test_its_parts_and_one_that_was_lost_are_sent_until_the_service_says_that_it_is_there(
        self, world: System, open_big_page: OpenPage, big: Path
    ) -> None:
        page = open_big_page()
        page.evaluate(WATCH)
        page.evaluate(LATER)
        cut(page, part2=1, part7=1)
        page.set_input_files("#files", [big])
        expect_outcome(page, 1, "sent")
        assert arrived_big(world, page) == [big.read_bytes()]
        assert parts_sent(page) == [*range(1, 10)]
        assert any(0 < value < 1 for value in page.evaluate("window.progress"))

    def test_after_a_reload_the_same_file_goes_on(
        self, world: System, open_big_page: OpenPage, big: Path
    ) -> None:
        page = open_big_page()
        page.on("dialog", lambda dialog: dialog.accept())
        cut(page, part8=9, part9=9)
        page.set_input_files("#files", [big])
        expect(row(page, 1).locator(".state")).to_have_text("Sending 86 %", timeout=20_000)
        page.reload()
        cut(page)
        page.set_input_files("#files", [big])
        expect_outcome(page, 1, "sent")
        assert parts_sent(page) == [8, 9]
        assert arrived_big(world, page) == [big.read_bytes()]
        page.reload()
        expect(page.locator("#files-left")).to_have_text("2")

    def test_a_file_that_failed_is_tried_again_alone(
        self, world: System, open_big_page: OpenPage, big: Path
    ) -> None:
        page = open_big_page()
        page.clock.install()
        cut(page, part5=5)
        page.set_input_files("#files", [big])
        for _ in range(60):
            page.clock.run_for(10_000)
            if row(page, 1).get_attribute("data-outcome"):
                break
        expect_outcome(page, 1, "failed")
        assert 5 not in parts_sent(page)
        page.get_by_role("button", name="Try again").click()
        expect_outcome(page, 1, "sent")
        assert parts_sent(page).count(5) == 1
        assert arrived_big(world, page) == [big.read_bytes()]

    def test_leaving_the_page_asks_while_files_are_sent(
        self, open_big_page: OpenPage, big: Path
    ) -> None:
        page = open_big_page()
        asked: list[str] = []

        def leave(dialog: Dialog) -> None:
            asked.append(dialog.type)
            dialog.accept()

        page.on("dialog", leave)
        cut(page, part1=9)
        page.set_input_files("#files", [big])
        page.locator("h1").click()
        page.reload()
        assert asked == ["beforeunload"]
        page.reload()
        assert asked == ["beforeunload"]

    @pytest.mark.parametrize("size", ["small", "big"])
    def test_where_cors_is_missing_the_page_says_so(
        self, world: System, open_big_page: OpenPage, big: Path, site: str, size: str
    ) -> None:
        page = open_big_page()
        with world.allowing(site):
            page.set_input_files("#files", [big] if size == "big" else [file("a.txt", b"x")])
            expect_outcome(page, 1, "no_cors")
        origin = re.match("https?://[^/]+", page.url)
        assert origin is not None
        expect(row(page, 1).locator(".state")).to_contain_text(
            f"must allow PUT and POST from {origin[0]}."
        )
