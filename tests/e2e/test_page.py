"""The page of a share in a real Chromium: on a phone and a desktop, without JavaScript, by keyboard, in Chinese."""

from __future__ import annotations

import base64
import re
from typing import Any

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.e2e.sharing import CONTENT, NODE, Sharing

pytest_plugins = ("tests.e2e.system_fixtures", "tests.e2e.page_fixtures")

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
    """What the page lists, label and value."""
    labels, values = page.locator("dt").all_inner_texts(), page.locator("dd").all_inner_texts()
    return dict(zip(labels, values, strict=True))


def download(page: Page, *, by: str = "click") -> tuple[str, bytes]:
    """The name and the bytes that the button leads to."""
    button = page.get_by_role("button", name=re.compile("Download|下载"))
    with page.expect_download() as started:
        if by == "click":
            button.click()
        else:
            page.keyboard.press(by)
    return started.value.suggested_filename, started.value.path().read_bytes()


@pytest.mark.parametrize("java_script", [True, False], ids=["", "without JavaScript"])
@pytest.mark.parametrize("screen", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_a_person_sees_what_it_is_and_downloads_it(
    sharing: Sharing, visit: Any, screen: dict[str, Any], java_script: bool
) -> None:
    page: Page = visit(**screen, java_script_enabled=java_script)
    made = sharing.ask(max_uses=2, expires="30d")
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))
    answer = page.goto(sharing.here(made["url"]))
    assert answer is not None
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    expect(page).to_have_title(NAME)
    expect(page.get_by_role("heading", level=1)).to_have_text(NAME)
    ends = made["expires_at"].replace("T", " ")[:16]
    assert facts(page) == {
        "Size": "1.2 MB",
        "Type": "application/pdf",
        "Available until": f"{ends} UTC",
        "Downloads left": "2",
    }
    assert "uses one of the downloads left" in page.locator("main").inner_text()
    # Nothing is asked for beside the page itself, and nothing sticks out of the screen.
    assert [request.url for request in requests] == [sharing.here(made["url"])]
    main = page.locator("main").bounding_box()
    assert main is not None
    assert main["x"] >= 0
    assert main["x"] + main["width"] <= screen["viewport"]["width"]
    assert page.locator("script").count() == 0

    requests.clear()
    assert download(page) == (NAME, CONTENT)
    # Through the 303 to another origin, and nowhere else.
    service, oss = sharing.http, sharing.system.stack.oss_url
    assert [(request.method, request.url.startswith((service, oss))) for request in requests] == [
        ("POST", True),
        ("GET", True),
    ]
    assert requests[1].url.startswith(oss)
    assert requests[1].redirected_from == requests[0]
    sent = requests[1].all_headers()
    assert "referer" not in sent
    page.reload()
    assert facts(page)["Downloads left"] == "1"


def test_a_name_of_its_sender_s_choice_is_what_is_saved(sharing: Sharing, visit: Any) -> None:
    page: Page = visit()
    page.goto(sharing.here(sharing.share(max_uses=1, download="Figures <b>&amp; more.pdf")))
    expect(page.get_by_role("heading", level=1)).to_have_text("Figures <b>&amp; more.pdf")
    assert download(page)[1] == CONTENT


def test_clicks_of_one_page_are_one_use(sharing: Sharing, visit: Any) -> None:
    made = sharing.ask(max_uses=2)
    page: Page = visit()
    page.goto(sharing.here(made["url"]))
    with page.expect_download():
        page.get_by_role("button").dblclick()
    assert download(page)[1] == CONTENT
    assert sharing.uses(made["id"]) == 1
    # Another visit is another use.
    page.goto(sharing.here(made["url"]))
    download(page)
    assert sharing.uses(made["id"]) == 2
    answer = page.reload()
    assert answer is not None
    assert answer.status == 410
    expect(page.get_by_role("heading", level=1)).to_have_text("This link has been used up")


def test_looking_and_printing_and_going_back_use_nothing(sharing: Sharing, visit: Any) -> None:
    made = sharing.ask(max_uses=1)
    page: Page = visit()
    for _ in range(3):
        page.goto(sharing.here(made["url"]))
        page.reload()
        page.goto("about:blank")
        page.go_back()
    assert sharing.uses(made["id"]) == 0


def test_an_unlimited_share_has_a_page_where_its_sender_wants_one(sharing: Sharing, visit: Any) -> None:
    page: Page = visit()
    page.goto(sharing.here(sharing.share(page=True)))
    assert "Downloads left" not in facts(page)
    assert page.locator("#use").count() == 0
    for _ in range(3):
        assert download(page) == (NAME, CONTENT)


def test_the_keyboard_is_enough(sharing: Sharing, visit: Any) -> None:
    page: Page = visit(**DESKTOP)
    page.goto(sharing.here(sharing.share(max_uses=3)))
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Download")).to_be_focused()
    width = page.get_by_role("button").evaluate("button => getComputedStyle(button).outlineWidth")
    assert width == "3px"
    assert download(page, by="Enter") == (NAME, CONTENT)
    assert download(page, by="Space") == (NAME, CONTENT)
    page.keyboard.press("Tab")
    expect(page.locator("summary")).to_be_focused()
    expect(page.locator(".code svg")).to_be_hidden()
    page.keyboard.press("Enter")
    expect(page.locator(".code svg")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_code_leads_to_the_share(sharing: Sharing, visit: Any, scheme: str) -> None:
    url = sharing.share(max_uses=1)
    page: Page = visit(**PHONE, color_scheme=scheme, java_script_enabled=False)
    page.goto(sharing.here(url))
    page.locator("summary").click()
    png = page.locator(".code").screenshot()
    reader: Page = visit()
    reader.add_script_tag(path=NODE / "jsqr" / "dist" / "jsQR.js")
    assert reader.evaluate(DECODE, base64.b64encode(png).decode()) == url


@pytest.mark.parametrize("locale", ["zh-CN", "zh-TW"])
def test_it_speaks_chinese_where_the_browser_does(sharing: Sharing, visit: Any, locale: str) -> None:
    page: Page = visit(**PHONE, locale=locale)
    answer = page.goto(sharing.here(sharing.share(max_uses=1)))
    assert answer is not None
    assert answer.headers["content-language"] == "zh-CN"
    assert "Accept-Language" in answer.headers["vary"]
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    assert list(facts(page)) == ["大小", "类型", "有效期至", "剩余下载次数"]
    assert download(page) == (NAME, CONTENT)


@pytest.mark.parametrize("locale", ["en-US", "de-DE"])
def test_it_speaks_english_where_it_cannot_do_better(sharing: Sharing, visit: Any, locale: str) -> None:
    page: Page = visit(locale=locale)
    page.goto(sharing.here(sharing.share(max_uses=1)))
    expect(page.get_by_role("button")).to_have_text("Download")


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_it_is_light_or_dark_as_the_person_likes(sharing: Sharing, visit: Any, scheme: str, dark: bool) -> None:
    page: Page = visit(color_scheme=scheme)
    page.goto(sharing.here(sharing.share(max_uses=1)))
    color = page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
    red, green, blue = map(int, re.findall(r"\d+", color))
    assert (red + green + blue < 3 * 64) is dark


class TestThePolicyOfThePage:
    def test_it_is_the_one_agreed(self, sharing: Sharing, visit: Any) -> None:
        page: Page = visit()
        answer = page.goto(sharing.here(sharing.share(max_uses=1)))
        assert answer is not None
        policy = re.sub(r"nonce-[A-Za-z0-9_-]{22}", "nonce-…", answer.headers["content-security-policy"])
        assert policy == (
            "default-src 'none'; style-src 'nonce-…'; img-src data:; base-uri 'none'; frame-ancestors 'none'; "
            f"form-action 'self' {sharing.system.stack.oss_url}"
        )
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-robots-tag"] == "noindex"
        assert answer.headers["cache-control"] == "no-store"

    def test_without_the_link_s_origin_the_button_would_lead_nowhere(self, sharing: Sharing, visit: Any) -> None:
        page: Page = visit()

        def narrowed(route: Route) -> None:
            answer = route.fetch()
            csp = answer.headers["content-security-policy"].replace(f" {sharing.system.stack.oss_url}", "")
            route.fulfill(response=answer, headers={**answer.headers, "content-security-policy": csp})

        page.route("**/*", lambda route: narrowed(route) if route.request.method == "GET" else route.continue_())
        page.goto(sharing.here(sharing.share(max_uses=1)))
        with page.expect_console_message(lambda message: "form-action" in message.text):
            page.get_by_role("button").click()

    def test_nothing_of_it_is_blocked_by_it(self, sharing: Sharing, visit: Any) -> None:
        page: Page = visit()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(sharing.here(sharing.share(max_uses=1)))
        page.locator("summary").click()
        download(page)
        assert said == []

    def test_it_is_shown_in_no_frame(self, sharing: Sharing, visit: Any) -> None:
        page: Page = visit()
        with page.expect_console_message(lambda message: "frame-ancestors" in message.text):
            page.evaluate(FRAME, sharing.here(sharing.share(max_uses=1)))


def test_a_hostile_name_is_only_text(sharing: Sharing, visit: Any) -> None:
    key = "exampledir/<img src=x onerror=alert(1)>\"'{{7*7}}.html"
    sharing.system.put(key, b"<script>alert(1)</script>", {"Content-Type": "text/html"})
    page: Page = visit(bypass_csp=True)
    page.on("dialog", lambda dialog: pytest.fail("a script ran"))
    page.goto(sharing.here(sharing.share(path=f"/{key}", max_uses=1)))
    expect(page.get_by_role("heading", level=1)).to_have_text(key.partition("/")[2])
    assert page.locator("img").count() == 0
    # It is saved, and not shown as a page of the bucket's origin.
    assert download(page)[1] == b"<script>alert(1)</script>"


def test_a_long_name_stays_within_a_phone(sharing: Sharing, visit: Any) -> None:
    key = "exampledir/" + "长" * 80 + "-" + "x" * 200 + ".bin"
    sharing.system.put(key, CONTENT)
    page: Page = visit(**PHONE)
    page.goto(sharing.here(sharing.share(path=f"/{key}", max_uses=1)))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert download(page)[1] == CONTENT


def test_an_address_too_long_for_a_code_has_none(sharing: Sharing, visit: Any) -> None:
    key = "exampledir/" + "长" * 330
    sharing.system.put(key, CONTENT)
    page: Page = visit()
    answer = page.goto(sharing.here(sharing.share(path=f"/{key}", max_uses=1)))
    assert answer is not None
    assert answer.status == 200
    assert page.locator("details").count() == 0
    assert page.get_by_role("button").count() == 1
