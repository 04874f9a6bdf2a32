"""The page of a share in Chromium: on a phone and a desktop, without JavaScript, with the keyboard, in Chinese."""

from __future__ import annotations

import base64
import re
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.e2e.share_system import CONTENT, NODE, ShareSystem

pytest_plugins = ("tests.e2e.system_fixtures", "tests.e2e.browser", "tests.e2e.share_fixtures")

PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "device_scale_factor": 3, "is_mobile": True}
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
NAME = "季度报告 2026 q3.pdf"
FRAME = """(url) => {
    const frame = document.createElement("iframe");
    frame.src = url;
    document.documentElement.append(frame);
}"""
DECODE = """async (png) => {
    const image = new Image();
    image.src = "data:image/png;base64," + png;
    await image.decode();
    const canvas = document.createElement("canvas");
    canvas.width = image.naturalWidth; canvas.height = image.naturalHeight;
    const context = canvas.getContext("2d");
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, canvas.width, canvas.height);
    return jsQR(pixels.data, canvas.width, canvas.height)?.data;
}"""


def facts(page: Page) -> dict[str, str]:
    """The labels and values on the page."""
    labels, values = page.locator("dt").all_inner_texts(), page.locator("dd").all_inner_texts()
    return dict(zip(labels, values, strict=True))


def download(page: Page, *, by: str = "click") -> tuple[str, bytes]:
    """The name and content of the file that the button downloads."""
    button = page.get_by_role("button", name=re.compile("Download|下载"))
    with page.expect_download() as started:
        if by == "click":
            button.click()
        else:
            page.keyboard.press(by)
    return started.value.suggested_filename, started.value.path().read_bytes()


@pytest.mark.parametrize("java_script", [True, False], ids=["", "without JavaScript"])
@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_person_sees_the_facts_and_downloads(
    share_system: ShareSystem, open_page: Any, screen: dict[str, Any], java_script: bool
) -> None:
    page: Page = open_page(**screen, java_script_enabled=java_script, timezone_id="Asia/Shanghai")
    share = share_system.request_share(max_uses=2, expires="30d")
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))
    response = page.goto(share_system.local_url(share["url"]))
    assert response is not None
    assert (response.status, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    expect(page).to_have_title(NAME)
    expect(page.get_by_role("heading", level=1)).to_have_text(NAME)
    expires_at = datetime.fromisoformat(share["expires_at"].replace("Z", "+00:00"))
    in_shanghai = expires_at.astimezone(timezone(timedelta(hours=8)))
    assert facts(page) == {
        "Size": "1.2 MB",
        "Type": "PDF document",
        # In the zone of the reader, which only a script knows.
        "Available until": f"{in_shanghai:%-d %b %Y, %H:%M} GMT+8"
        if java_script
        else f"{expires_at:%Y-%m-%d %H:%M} UTC",
        "Downloads left": "2" if java_script else "2 (when you opened this page)",
    }
    # The browser's own title shows UTC beside the local time.
    if java_script:
        assert page.locator("time").get_attribute("title") == f"{expires_at:%Y-%m-%d %H:%M} UTC"
    assert "Each download counts once;" in page.locator("main").inner_text()
    # The page loads nothing else, and fits the screen. Without scripts, browsers load images at once.
    page_url = share_system.local_url(share["url"])
    assert [request.url for request in requests] == [page_url, *([] if java_script else [f"{page_url}&format=qr"])]
    main = page.locator("main").bounding_box()
    assert main is not None
    assert main["x"] >= 0
    assert main["x"] + main["width"] <= screen["viewport"]["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= screen["viewport"]["width"]

    requests.clear()
    assert download(page) == (NAME, CONTENT)
    # The 303 leads to the other origin, and to no third one.
    service, oss = share_system.http, share_system.system.stack.oss_url
    assert [(request.method, request.url.startswith((service, oss))) for request in requests] == [
        ("POST", True),
        ("GET", True),
    ]
    assert requests[1].url.startswith(oss)
    assert requests[1].redirected_from == requests[0]
    headers = requests[1].all_headers()
    assert "referer" not in headers
    if java_script:
        assert facts(page)["Downloads left"] == "1"
    page.reload()
    assert facts(page)["Downloads left"].startswith("1")


def test_the_file_name_of_the_sender_is_saved(share_system: ShareSystem, open_page: Any) -> None:
    page: Page = open_page()
    page.goto(share_system.local_url(share_system.create_share(max_uses=1, download="Figures <b>&amp; more.pdf")))
    expect(page.get_by_role("heading", level=1)).to_have_text("Figures <b>&amp; more.pdf")
    assert download(page)[1] == CONTENT


def test_clicks_on_one_page_are_one_use(share_system: ShareSystem, open_page: Any) -> None:
    share = share_system.request_share(max_uses=2)
    page: Page = open_page()
    page.goto(share_system.local_url(share["url"]))
    with page.expect_download():
        page.get_by_role("button").dblclick()
    assert download(page)[1] == CONTENT
    assert share_system.uses(share["id"]) == 1
    # Another tab is another use.
    page = open_page()
    page.goto(share_system.local_url(share["url"]))
    download(page)
    assert share_system.uses(share["id"]) == 2
    response = page.reload()
    assert response is not None
    assert response.status == 410
    expect(page.get_by_role("heading", level=1)).to_have_text("Download limit reached")


def test_pressing_again_within_ten_minutes_is_one_use_even_after_a_reload(
    share_system: ShareSystem, open_page: Any
) -> None:
    share = share_system.request_share(max_uses=3)
    page: Page = open_page()
    page.clock.install()
    page.goto(share_system.local_url(share["url"]))
    assert "Pressing the button again on this page within ten minutes does not count twice." in page.inner_text("main")
    download(page)
    page.clock.run_for(599_000)
    download(page)
    assert facts(page)["Downloads left"] == "2"
    page.reload()
    assert facts(page)["Downloads left"] == "2"
    download(page)
    assert facts(page)["Downloads left"] == "2"
    assert share_system.uses(share["id"]) == 1


def test_the_downloads_left_count_those_of_other_people(share_system: ShareSystem, open_page: Any) -> None:
    url = share_system.local_url(share_system.create_share(max_uses=5))
    first: Page = open_page()
    second: Page = open_page()
    for page in (first, second):
        page.clock.install()
        page.goto(url)
    download(first)
    first.clock.run_for(2000)
    expect(first.locator("#uses-left")).to_have_text("4")
    download(second)
    second.clock.run_for(2000)
    expect(second.locator("#uses-left")).to_have_text("3")


def test_after_the_last_download_none_are_left(share_system: ShareSystem, open_page: Any) -> None:
    page: Page = open_page()
    page.clock.install()
    page.goto(share_system.local_url(share_system.create_share(max_uses=1)))
    download(page)
    expect(page.locator("#uses-left")).to_have_text("0")
    page.clock.run_for(2000)
    # The button still works within ten minutes.
    assert download(page) == (NAME, CONTENT)
    expect(page.locator("#uses-left")).to_have_text("0")


def test_a_browser_never_reads_the_xml_of_oss(share_system: ShareSystem, open_page: Any) -> None:
    """An object that is deleted after it was shared, or after the page was opened."""
    page: Page = open_page()
    system = share_system.system
    for params in ({}, {"revocable": True}, {"max_uses": 1}, {"page": True}):
        system.put("exampledir/brief.txt", CONTENT)
        url = share_system.local_url(share_system.create_share(path="/exampledir/brief.txt", **params))
        if "max_uses" in params or "page" in params:
            page.goto(url)
            system.bucket_client().delete_object("exampledir/brief.txt")
            page.get_by_role("button").click()
        else:
            system.bucket_client().delete_object("exampledir/brief.txt")
            page.goto(url)
        expect(page.get_by_role("heading", level=1)).to_have_text("File not found")


@pytest.mark.parametrize("settings", [PHONE, {**DESKTOP, "has_touch": True, "is_mobile": True}], ids=["small", "touch"])
def test_a_phone_does_not_offer_to_open_the_page_on_a_phone(
    share_system: ShareSystem, open_page: Any, settings: dict[str, Any]
) -> None:
    page: Page = open_page(**settings)
    page.goto(share_system.local_url(share_system.create_share(max_uses=1)))
    expect(page.get_by_role("button")).to_be_visible()
    expect(page.locator("details")).to_be_hidden()


def test_opening_and_reloading_and_going_back_are_not_a_use(share_system: ShareSystem, open_page: Any) -> None:
    share = share_system.request_share(max_uses=1)
    page: Page = open_page()
    for _ in range(3):
        page.goto(share_system.local_url(share["url"]))
        page.reload()
        page.goto("about:blank")
        page.go_back()
    assert share_system.uses(share["id"]) == 0


def test_an_unlimited_share_has_a_page_on_request(share_system: ShareSystem, open_page: Any) -> None:
    page: Page = open_page()
    page.goto(share_system.local_url(share_system.create_share(page=True)))
    assert "Downloads left" not in facts(page)
    assert page.locator("#note").count() == 0
    for _ in range(3):
        assert download(page) == (NAME, CONTENT)


def test_the_page_works_with_the_keyboard(share_system: ShareSystem, open_page: Any) -> None:
    page: Page = open_page(**DESKTOP)
    page.goto(share_system.local_url(share_system.create_share(max_uses=3)))
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Download")).to_be_focused()
    width = page.get_by_role("button").evaluate("button => getComputedStyle(button).outlineWidth")
    assert width == "3px"
    assert download(page, by="Enter") == (NAME, CONTENT)
    assert download(page, by="Space") == (NAME, CONTENT)
    page.keyboard.press("Tab")
    expect(page.locator("summary")).to_be_focused()
    expect(page.locator(".qr-code img")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.locator(".qr-code img")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_qr_code_contains_the_address_and_is_made_when_it_is_asked_for(
    share_system: ShareSystem, open_page: Any, scheme: str
) -> None:
    url = share_system.create_share(max_uses=1)
    page: Page = open_page(**DESKTOP, color_scheme=scheme)
    images: list[str] = []
    page.on("request", lambda request: images.append(request.url) if request.resource_type == "image" else None)
    page.goto(share_system.local_url(url), wait_until="networkidle")
    assert images == []
    page.locator("summary").click()
    expect(page.locator(".qr-code img")).not_to_have_js_property("naturalWidth", 0)
    assert images == [f"{share_system.local_url(url)}&format=qr"]
    png = page.locator(".qr-code").screenshot()
    decoder: Page = open_page()
    decoder.add_script_tag(path=NODE / "jsqr" / "dist" / "jsQR.js")
    assert decoder.evaluate(DECODE, base64.b64encode(png).decode()) == url


def test_the_qr_code_needs_no_script(share_system: ShareSystem, open_page: Any) -> None:
    page: Page = open_page(**DESKTOP, java_script_enabled=False)
    page.goto(share_system.local_url(share_system.create_share(max_uses=1)))
    page.locator("summary").click()
    image = page.locator(".qr-code img")
    expect(image).to_be_visible()
    expect(image).to_have_js_property("complete", True)
    expect(image).not_to_have_js_property("naturalWidth", 0)


@pytest.mark.parametrize("locale", ["zh-CN", "zh-TW"])
def test_the_page_is_chinese_in_a_chinese_browser(share_system: ShareSystem, open_page: Any, locale: str) -> None:
    page: Page = open_page(**PHONE, locale=locale)
    response = page.goto(share_system.local_url(share_system.create_share(max_uses=1)))
    assert response is not None
    assert response.headers["content-language"] == "zh-CN"
    assert "Accept-Language" in response.headers["vary"]
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    assert list(facts(page)) == ["大小", "类型", "有效期至", "剩余下载次数"]
    assert download(page) == (NAME, CONTENT)


@pytest.mark.parametrize("locale", ["en-US", "de-DE"])
def test_the_page_is_english_by_default(share_system: ShareSystem, open_page: Any, locale: str) -> None:
    page: Page = open_page(locale=locale)
    page.goto(share_system.local_url(share_system.create_share(max_uses=1)))
    expect(page.get_by_role("button")).to_have_text("Download")


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_the_page_follows_the_color_scheme(share_system: ShareSystem, open_page: Any, scheme: str, dark: bool) -> None:
    page: Page = open_page(color_scheme=scheme)
    page.goto(share_system.local_url(share_system.create_share(max_uses=1)))
    color = page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
    red, green, blue = map(int, re.findall(r"\d+", color))
    assert (red + green + blue < 3 * 64) is dark


class TestContentSecurityPolicy:
    def test_the_headers(self, share_system: ShareSystem, open_page: Any) -> None:
        page: Page = open_page()
        response = page.goto(share_system.local_url(share_system.create_share(max_uses=1)))
        assert response is not None
        policy = re.sub(r"nonce-[A-Za-z0-9_-]{22}", "nonce-…", response.headers["content-security-policy"])
        assert policy == (
            "default-src 'none'; style-src 'nonce-…'; img-src 'self' data:; base-uri 'none'; frame-ancestors 'none'; "
            f"form-action 'self' {share_system.system.stack.oss_url}; script-src 'nonce-…'; connect-src 'self'"
        )
        assert response.headers["referrer-policy"] == "no-referrer"
        assert response.headers["x-robots-tag"] == "noindex"
        assert response.headers["cache-control"] == "no-store"

    def test_the_button_requires_the_origin_of_the_link(self, share_system: ShareSystem, open_page: Any) -> None:
        page: Page = open_page()

        def restrict(route: Route) -> None:
            response = route.fetch()
            csp = response.headers["content-security-policy"].replace(f" {share_system.system.stack.oss_url}", "")
            route.fulfill(response=response, headers={**response.headers, "content-security-policy": csp})

        page.route("**/*", lambda route: restrict(route) if route.request.method == "GET" else route.continue_())
        page.goto(share_system.local_url(share_system.create_share(max_uses=1)))
        with page.expect_console_message(lambda message: "form-action" in message.text):
            page.get_by_role("button").click()

    def test_nothing_on_the_page_is_blocked(self, share_system: ShareSystem, open_page: Any) -> None:
        page: Page = open_page()
        messages: list[str] = []
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.goto(share_system.local_url(share_system.create_share(max_uses=1)))
        page.locator("summary").click()
        download(page)
        assert messages == []

    def test_the_page_is_not_shown_in_a_frame(self, share_system: ShareSystem, open_page: Any) -> None:
        page: Page = open_page()
        with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
            page.evaluate(FRAME, share_system.local_url(share_system.create_share(max_uses=1)))


def test_a_hostile_name_is_shown_as_text(share_system: ShareSystem, open_page: Any) -> None:
    key = "exampledir/<img src=x onerror=alert(1)>\"'{{7*7}}.html"
    share_system.system.put(key, b"<script>alert(1)</script>", {"Content-Type": "text/html"})
    page: Page = open_page(bypass_csp=True)
    page.on("dialog", lambda dialog: pytest.fail("a script ran"))
    page.goto(share_system.local_url(share_system.create_share(path=f"/{key}", max_uses=1)))
    expect(page.get_by_role("heading", level=1)).to_have_text(key.partition("/")[2])
    assert page.locator("img:not(.qr-code img)").count() == 0
    # The browser saves it, and does not show it as a page of the bucket's origin.
    assert download(page)[1] == b"<script>alert(1)</script>"


def test_a_long_name_fits_a_phone(share_system: ShareSystem, open_page: Any) -> None:
    key = "exampledir/" + "长" * 80 + "-" + "x" * 200 + ".bin"
    share_system.system.put(key, CONTENT)
    page: Page = open_page(**PHONE)
    page.goto(share_system.local_url(share_system.create_share(path=f"/{key}", max_uses=1)))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert download(page)[1] == CONTENT


def test_an_address_that_is_too_long_has_no_qr_code(share_system: ShareSystem, open_page: Any) -> None:
    key = "exampledir/" + "长" * 330
    share_system.system.put(key, CONTENT)
    page: Page = open_page()
    response = page.goto(share_system.local_url(share_system.create_share(path=f"/{key}", max_uses=1)))
    assert response is not None
    assert response.status == 200
    assert page.locator("details").count() == 0
    assert page.get_by_role("button").count() == 1
