"""Takes the pictures of the pages that docs/ shows: `python tests/e2e/screenshots.py docs/images`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from tests.e2e.sharing import ARGUMENTS, Sharing, sharing_system

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True}
DESKTOP: dict[str, Any] = {"viewport": {"width": 1024, "height": 640}}


def main(folder: Path) -> None:
    """Writes the pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as made, sharing_system(Path(made)) as sharing, sync_playwright() as playwright:
        sharing.system.put("exampledir/Figures 2026 Q3.pdf", b"%PDF" * 600_000, {"Content-Type": "application/pdf"})
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        english = sharing.share(path="/exampledir/Figures 2026 Q3.pdf", max_uses=3, expires="30d")
        take(browser, sharing, english, folder / "share-desktop-light.png", **DESKTOP, locale="en-GB")
        take(browser, sharing, english, folder / "share-phone-dark.png", **PHONE, locale="en-GB", color_scheme="dark")
        chinese = sharing.share(max_uses=1, expires="30d")
        take(browser, sharing, chinese, folder / "share-phone-chinese.png", **PHONE, locale="zh-CN", opened=True)
        take(browser, sharing, sharing.signed(ends_in=-1), folder / "share-ended-chinese.png", **PHONE, locale="zh-CN")
        browser.close()


def take(browser: Browser, sharing: Sharing, url: str, picture: Path, *, opened: bool = False, **settings: Any) -> None:
    """One picture; with `opened` the code is shown."""
    page = browser.new_page(**settings)
    page.goto(sharing.here(url))
    if opened:
        page.locator("summary").click()
    page.screenshot(path=picture)
    page.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
