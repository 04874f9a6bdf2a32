"""Takes the screenshots of the pages in docs/: `python tests/e2e/screenshots.py docs/images`."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from tests.e2e.browser import ARGUMENTS
from tests.e2e.share_system import ShareSystem, run_share_system

PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "is_mobile": True}
DESKTOP: dict[str, Any] = {"viewport": {"width": 1024, "height": 640}}


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    with (
        tempfile.TemporaryDirectory() as data,
        run_share_system(Path(data)) as share_system,
        sync_playwright() as playwright,
    ):
        share_system.system.put(
            "exampledir/Figures 2026 Q3.pdf", b"%PDF" * 600_000, {"Content-Type": "application/pdf"}
        )
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        english = share_system.create_share(path="/exampledir/Figures 2026 Q3.pdf", max_uses=3, expires="30d")
        berlin: dict[str, Any] = {"locale": "en-GB", "timezone_id": "Europe/Berlin"}
        take(browser, share_system, english, folder / "share-desktop-light.png", **DESKTOP, **berlin)
        dark = {**PHONE, **berlin, "color_scheme": "dark"}
        take(browser, share_system, english, folder / "share-phone-dark.png", **dark)
        shanghai: dict[str, Any] = {"locale": "zh-CN", "timezone_id": "Asia/Shanghai"}
        chinese = share_system.create_share(max_uses=1, expires="30d")
        take(browser, share_system, chinese, folder / "share-phone-chinese.png", **PHONE, **shanghai)
        browser.close()


def take(browser: Browser, share_system: ShareSystem, url: str, picture: Path, **settings: Any) -> None:
    page = browser.new_page(**settings)
    page.goto(share_system.local_url(url))
    page.screenshot(path=picture)
    page.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
