"""Takes the pictures of pages that the documents show, with a real browser: `make docs`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from playwright.sync_api import Browser, FilePayload, sync_playwright

from tests.e2e.system import CHROMIUM_ARGUMENTS, KEY, System, run_world

IMAGES = Path(__file__).parents[1] / "docs/images"
ENGLISH: dict[str, Any] = {"locale": "en-GB", "timezone_id": "Europe/Berlin"}
CHINESE: dict[str, Any] = {"locale": "zh-CN", "timezone_id": "Asia/Shanghai"}
CARD: dict[str, Any] = {"viewport": {"width": 480, "height": 640}, "device_scale_factor": 2}
PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "device_scale_factor": 2,
    "is_mobile": True,
}
# The address of a share is a secret, so the picture shows that of an example.
AS_EXAMPLE = """(link) => { link.textContent = link.textContent.replace(/^.*(?=\\/-\\/)/, "https://links.example.com")
    .replace(/share=.*/, "share=Zm9yIGV4YW1wbGUgb25seQ"); }"""
DESKTOP: dict[str, Any] = {"viewport": {"width": 1024, "height": 640}}
THREE_USES = {"max_uses": 3}
LOCKED = {
    "password": True,
    "title": "Figures of the third quarter",
    "message": "For the meeting on Friday.\nI send you the code in a text message.",
}

# The sender's page, by the settings of the browser and the beginnings of two file names.
SENDERS = {
    "sender-page.png": (ENGLISH, ("Figures", "Minutes")),
    "sender-page.zh-CN.png": (CHINESE, ("季度报告", "会议纪要")),
}


class Picture(NamedTuple):
    """The page of a share of a file, by the settings of the browser; `card` is the page without its background."""

    file: str
    settings: dict[str, Any]
    share: dict[str, Any]
    card: bool = False


PICTURES = {
    "share-page.png": Picture("Figures 2026 Q3.pdf", {**CARD, **ENGLISH}, THREE_USES, card=True),
    "share-page.zh-CN.png": Picture(
        "2026年第三季度报告.pdf", {**CARD, **CHINESE}, THREE_USES, card=True
    ),
    "share-desktop-light.png": Picture("Figures 2026 Q3.pdf", {**DESKTOP, **ENGLISH}, THREE_USES),
    "share-phone-dark.png": Picture(
        "Figures 2026 Q3.pdf", {**PHONE, **ENGLISH, "color_scheme": "dark"}, THREE_USES
    ),
    "share-phone-chinese.png": Picture(
        "季度报告 2026 q3.pdf", {**PHONE, **CHINESE}, {"max_uses": 1}
    ),
    "share-code.png": Picture("Figures 2026 Q3.pdf", {**CARD, **ENGLISH}, LOCKED, card=True),
}


def take(browser: Browser, world: System, picture: Picture, path: Path) -> None:
    world.put(f"reports/{picture.file}", b"%PDF" * 600_000, {"Content-Type": "application/pdf"})
    url = world.create_share(path=f"/reports/{picture.file}", expires="30d", **picture.share)
    page = browser.new_page(**picture.settings)
    page.goto(url)
    if picture.card:
        page.locator("main").screenshot(path=path)
    else:
        page.screenshot(path=path)
    page.close()


def take_sender(browser: Browser, world: System, name: str) -> None:
    """The sender's page after two files were sent to one address."""
    language, names = SENDERS[name]
    page = browser.new_page(viewport={"width": 640, "height": 640}, **language)
    page.goto(f"{world.stack.http_url}/-/")
    page.fill("#key", KEY)
    page.keyboard.press("Enter")
    page.select_option("#send [name=to]", "/sent/")
    page.select_option("#send [name=expires]", "30d")
    page.check("#send [name=code]")
    files = [
        FilePayload(
            name=f"{each} 2026 Q3.pdf", mimeType="application/pdf", buffer=b"%PDF" * 600_000
        )
        for each in names
    ]
    page.set_input_files("#send [type=file]", files)
    page.locator("#send form > button").click()
    page.locator("#send .copies").wait_for()
    page.locator("#list .address").first.evaluate(AS_EXAMPLE)
    page.locator("main").screenshot(path=IMAGES / name)
    page.close()


def main() -> int:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("Chromium not found: install it to take the pictures.", file=sys.stderr)
        return 1
    with (
        tempfile.TemporaryDirectory() as data,
        run_world(Path(data)) as world,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        for name, picture in PICTURES.items():
            take(browser, world, picture, IMAGES / name)
        for name in SENDERS:
            take_sender(browser, world, name)
        browser.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
