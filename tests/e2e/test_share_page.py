"""The page of a share in Chromium: on a phone and a desktop, without JavaScript, with the keyboard, in Chinese."""

from __future__ import annotations

import base64
import re
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from playwright.sync_api import Page, Request, expect

from handler.web.pages.words import SHARE
from tests.e2e.system import CONTENT, System, script_of_npm

PHONE: dict[str, Any] = {
    "viewport": {"width": 360, "height": 740},
    "device_scale_factor": 3,
    "is_mobile": True,
}
DESKTOP: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
# Chromium drops keys that come before its first frame, which a busy machine paints late.
PAINTED = "new Promise((painted) => requestAnimationFrame(() => requestAnimationFrame(painted)))"
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


@pytest.mark.parametrize(
    ("screen", "java_script"),
    [
        pytest.param(PHONE, True, id="phone"),
        pytest.param(DESKTOP, False, id="desktop without JavaScript"),
        pytest.param(PHONE, False, id="phone without JavaScript", marks=pytest.mark.long),
        pytest.param(DESKTOP, True, id="desktop", marks=pytest.mark.long),
    ],
)
def test_a_person_sees_the_facts_and_downloads(
    world: System, open_page: Any, screen: dict[str, Any], java_script: bool
) -> None:
    page: Page = open_page(**screen, java_script_enabled=java_script, timezone_id="Asia/Shanghai")
    share = world.request_share(max_uses=2, expires="30d").json
    requests: list[Request] = []
    page.on("request", lambda request: requests.append(request))
    response = page.goto(world.local_url(share["url"]))
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
    page_url = world.local_url(share["url"])
    assert [request.url for request in requests] == [
        page_url,
        *([] if java_script else [f"{page_url}&format=qr"]),
    ]
    main = page.locator("main").bounding_box()
    assert main is not None
    assert main["x"] >= 0
    # Not to open it on a phone.
    expect(page.locator("details")).to_be_visible(visible=screen is DESKTOP)
    assert main["x"] + main["width"] <= screen["viewport"]["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= screen["viewport"]["width"]

    requests.clear()
    assert download(page) == (NAME, CONTENT)
    # The 303 leads to the other origin, and to no third one.
    service, oss = world.stack.http_url, world.stack.oss_url
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


WORDS = {"title": "Q3 \u202e<b>final</b>", "message": "For you:\n<script>alert(1)</script> & more"}
SHOWN = ("Q3 _<b>final</b>", "For you:\n<script>alert(1)</script> & more")


def expect_words(page: Page) -> None:
    """What the sender says is there as text, without what changes the direction of writing."""
    expect(page).to_have_title(SHOWN[0])
    expect(page.get_by_role("heading", level=1)).to_have_text(SHOWN[0])
    assert page.locator(".message").inner_text() == SHOWN[1]
    assert page.locator("main b, main script:not([nonce])").count() == 0


@pytest.mark.parametrize(
    ("screen", "java_script", "locale"),
    [
        pytest.param(PHONE, False, "zh-CN", id="phone in Chinese without JavaScript"),
        pytest.param(DESKTOP, True, "en-GB", id="desktop"),
    ],
)
def test_before_its_code_a_share_shows_the_words_of_its_sender_alone(
    world: System, open_page: Any, screen: dict[str, Any], java_script: bool, locale: str
) -> None:
    page: Page = open_page(
        **screen, java_script_enabled=java_script, locale=locale, color_scheme="dark"
    )
    page.on("dialog", lambda dialog: pytest.fail("a script ran"))
    share = world.request_share(max_uses=1, password=True, **WORDS).json
    is_chinese = locale == "zh-CN"
    page.goto(world.local_url(share["url"]))
    for code in ("WRONG-2TXP", "", share["password"]):
        expect_words(page)
        assert list(facts(page)) == ["有效期至" if is_chinese else "Available until"]
        assert "pdf" not in page.content()
        assert page.evaluate("document.documentElement.scrollWidth") <= screen["viewport"]["width"]
        field = page.get_by_label("提取码" if is_chinese else "Code")
        field.evaluate("field => field.required = false")
        field.fill(code)
        if code == share["password"]:
            # As a Chinese keyboard writes it, without the dash.
            field.fill("".join(chr(ord(each) + 0xFEE0) for each in code.lower() if each != "-"))
        with page.expect_response(page.url) as answered:
            page.get_by_role("button").click()
        if code == share["password"]:
            break
        assert answered.value.status == 403
        fault = "wrong_code" if code else "no_code"
        expect(page.get_by_role("alert")).to_have_text(SHARE["zh" if is_chinese else "en"][fault])
    # The page of the file, whose button sends the code again.
    assert answered.value.status == 200
    expect(page.get_by_role("alert")).to_have_count(0)
    assert download(page) == (NAME, CONTENT)
    assert world.shown(share["url"])["uses"] == 1


# What browsers show, play, save, or would run.
KINDS = ("pdf", "html", "svg", "png", "mp4", "txt", "json", "zip", "docx", "xml")


@pytest.mark.parametrize(
    ("screen", "java_script"),
    [
        pytest.param(PHONE, False, id="phone without JavaScript"),
        pytest.param(DESKTOP, True, id="desktop"),
    ],
)
def test_after_the_code_of_a_folder_each_button_saves_a_file_and_the_list_stays(
    world: System, open_page: Any, screen: dict[str, Any], java_script: bool
) -> None:
    names = [f"报告 {kind}.{kind}" for kind in KINDS]
    for name in names:
        world.put(f"folders/code/{name}", name.encode())
    world.put("folders/code/deep/inner.txt", b"inner")
    share = world.request_share(path="/folders/code/", password=True).json
    page: Page = open_page(**screen, java_script_enabled=java_script)
    page.goto(world.local_url(share["url"]))
    assert "报告" not in page.content()
    page.get_by_label("Code").fill(share["password"])
    page.get_by_role("button").click()
    expect(page.get_by_role("button", name=names[-1], exact=True)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= screen["viewport"]["width"]
    for name in names:
        button = page.get_by_role("button", name=name, exact=True)
        with page.expect_download() as started:
            button.click()
        saved = started.value
        assert (saved.suggested_filename, saved.path().read_bytes()) == (name, name.encode())
        expect(button).to_be_visible()
    page.get_by_role("button", name="deep/", exact=True).click()
    expect(page.get_by_role("button", name="inner.txt", exact=True)).to_be_visible()
    page.get_by_role("button", name="code", exact=True).click()
    page.get_by_role("searchbox").fill("报告 p")
    page.get_by_role("button", name="Show", exact=True).click()
    expect(page.locator(".rows li")).to_have_count(2)
    assert share["password"] not in page.url


@pytest.mark.parametrize(
    "params", [{}, {"path": "/folders/"}, {"path": "/in/", "method": "POST"}], ids=str
)
def test_the_words_of_a_sender_are_text_on_every_page(
    world: System, open_page: Any, params: dict[str, str]
) -> None:
    world.put("folders/a.txt", b"")
    page: Page = open_page(**PHONE, bypass_csp=True)
    page.on("dialog", lambda dialog: pytest.fail("a script ran"))
    page.goto(world.create_share(**params, **WORDS))
    expect_words(page)
    assert ("File" in facts(page)) is (params == {})


def test_clicks_on_one_page_are_one_use(world: System, open_page: Any) -> None:
    share = world.request_share(max_uses=2).json
    page: Page = open_page(world.local_url(share["url"]))
    with page.expect_download():
        page.get_by_role("button").dblclick()
    assert download(page)[1] == CONTENT
    assert world.shown(share["url"])["uses"] == 1
    # Another tab is another use.
    page = open_page(world.local_url(share["url"]))
    download(page)
    expect(page.locator("#uses-left")).to_have_text("0")
    assert world.shown(share["url"])["uses"] == 2
    response = page.reload()
    assert response is not None
    assert response.status == 410
    expect(page.get_by_role("heading", level=1)).to_have_text("Download limit reached")


def test_pressing_again_within_ten_minutes_is_one_use_even_after_a_reload(
    world: System, open_page: Any
) -> None:
    share = world.request_share(max_uses=3).json
    page: Page = open_page()
    page.clock.install()
    page.goto(world.local_url(share["url"]))
    assert (
        "Pressing the button again on this page within ten minutes does not count twice."
        in page.inner_text("main")
    )
    download(page)
    page.clock.run_for(590_000)  # the rest is for a busy machine
    download(page)
    assert facts(page)["Downloads left"] == "2"
    page.reload()
    assert facts(page)["Downloads left"] == "2"
    download(page)
    assert facts(page)["Downloads left"] == "2"
    assert world.shown(share["url"])["uses"] == 1


def test_the_downloads_left_count_those_of_other_people(world: System, open_page: Any) -> None:
    url = world.create_share(max_uses=5)
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


def test_a_tablet_does_not_offer_to_open_the_page_on_a_phone(world: System, open_page: Any) -> None:
    page: Page = open_page(
        world.create_share(max_uses=1), **DESKTOP, has_touch=True, is_mobile=True
    )
    expect(page.get_by_role("button")).to_be_visible()
    expect(page.locator("details")).to_be_hidden()


def test_the_page_works_with_the_keyboard(world: System, open_page: Any) -> None:
    page: Page = open_page(world.create_share(max_uses=3), **DESKTOP)
    page.evaluate(PAINTED)
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


@pytest.mark.parametrize("scheme", [pytest.param("light", marks=pytest.mark.long), "dark"])
def test_the_qr_code_contains_the_address_and_is_made_when_it_is_asked_for(
    world: System, open_page: Any, scheme: str
) -> None:
    url = world.create_share(max_uses=1)
    page: Page = open_page(**DESKTOP, color_scheme=scheme)
    images: list[str] = []
    page.on(
        "request",
        lambda request: images.append(request.url) if request.resource_type == "image" else None,
    )
    page.goto(world.local_url(url), wait_until="networkidle")
    assert images == []
    page.locator("summary").click()
    expect(page.locator(".qr-code img")).not_to_have_js_property("naturalWidth", 0)
    assert images == [f"{world.local_url(url)}&format=qr"]
    png = page.locator(".qr-code").screenshot()
    decoder: Page = open_page()
    decoder.add_script_tag(path=script_of_npm("jsqr/dist/jsQR.js"))
    assert decoder.evaluate(DECODE, base64.b64encode(png).decode()) == url


@pytest.mark.long
def test_the_qr_code_needs_no_script(world: System, open_page: Any) -> None:
    page: Page = open_page(world.create_share(max_uses=1), **DESKTOP, java_script_enabled=False)
    page.locator("summary").click()
    image = page.locator(".qr-code img")
    expect(image).to_be_visible()
    expect(image).to_have_js_property("complete", True)
    expect(image).not_to_have_js_property("naturalWidth", 0)


def test_the_page_is_chinese_in_a_chinese_browser(world: System, open_page: Any) -> None:
    page: Page = open_page(**PHONE, locale="zh-TW")
    response = page.goto(world.create_share(max_uses=1))
    assert response is not None
    assert response.headers["content-language"] == "zh-CN"
    assert "Accept-Language" in response.headers["vary"]
    assert page.locator("html").get_attribute("lang") == "zh-CN"
    assert list(facts(page)) == ["大小", "类型", "有效期至", "剩余下载次数"]
    assert download(page) == (NAME, CONTENT)


def test_the_page_follows_the_color_scheme(world: System, open_page: Any) -> None:
    page: Page = open_page(world.create_share(max_uses=1), color_scheme="light")
    for dark in (False, True):
        page.emulate_media(color_scheme="dark" if dark else "light")
        color = page.locator("body").evaluate("body => getComputedStyle(body).backgroundColor")
        red, green, blue = map(int, re.findall(r"\d+", color))
        assert (red + green + blue < 3 * 64) is dark


def test_the_policy_blocks_frames_and_nothing_of_the_page(
    world: System, open_page: Any, open_quiet_page: Any
) -> None:
    url = world.create_share(max_uses=1)
    page: Page = open_quiet_page(url)
    page.locator("summary").click()
    download(page)
    other: Page = open_page()
    with other.expect_console_message(lambda message: "frame-ancestors" in message.text):
        other.evaluate(FRAME, url)


def test_a_hostile_name_is_shown_as_text(world: System, open_page: Any) -> None:
    key = "reports/<img src=x onerror=alert(1)>\"'{{7*7}}.html"
    world.put(key, b"<script>alert(1)</script>", {"Content-Type": "text/html"})
    page: Page = open_page(bypass_csp=True)
    page.on("dialog", lambda dialog: pytest.fail("a script ran"))
    page.goto(world.create_share(path=f"/{key}", max_uses=1))
    expect(page.get_by_role("heading", level=1)).to_have_text(key.partition("/")[2])
    assert page.locator("img:not(.qr-code img)").count() == 0
    # The browser saves it, and does not show it as a page of the bucket's origin.
    assert download(page)[1] == b"<script>alert(1)</script>"


def test_a_long_name_fits_a_phone(world: System, open_page: Any) -> None:
    key = "reports/" + "长" * 80 + "-" + "x" * 200 + ".bin"
    world.put(key, b"")
    page: Page = open_page(world.create_share(path=f"/{key}", max_uses=1), **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_chinese_reader_sees_the_zone_behind_the_time(world: System, open_page: Any) -> None:
    page: Page = open_page(**PHONE, locale="zh-CN", timezone_id="Asia/Shanghai")
    page.goto(world.local_url(world.create_share(expires="30d")))
    shown = facts(page)["有效期至"]
    assert re.fullmatch(r"\d{4}年\d{1,2}月\d{1,2}日 \d\d:\d\d, GMT\+8", shown)
