"""The page that `bulk` makes, as people use it: in Chromium."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from tests.e2e.system import System
from tests.e2e.test_error_pages import PHONE, SCHEMES, violations
from tests.signer.cli.command import BARE, run

NAMES = ["报告 2026 q3 " + "long" * 20 + ".pdf", "photo.png"]


def command(system: System, *arguments: str) -> str:
    """The standard output of the command, with the credentials of the local OSS."""
    keys = system.stack.credentials
    secrets = (keys.access_key_id, keys.access_key_secret, keys.security_token or "")
    names = ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET", "OSS_SESSION_TOKEN")
    done = run(
        *arguments,
        "--endpoint",
        system.stack.oss_url,
        env={**BARE, **dict(zip(names, secrets, strict=True))},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@SCHEMES
def test_the_page_of_many_links_fits_a_phone_and_speaks_the_readers_language(
    system: System, open_page: Any, tmp_path: Path, scheme: str, locale: str
) -> None:
    for name in NAMES:
        system.put(f"bulk/2026/{name}", b"x" * 1_500)
    output = tmp_path / "index.html"
    command(system, "bulk", f"oss://{system.stack.bucket}/bulk/2026/", "--output", str(output))
    page: Page = open_page(
        output.as_uri(), **PHONE, color_scheme=scheme, locale=locale, timezone_id="Asia/Shanghai"
    )
    title, other = ("Files", "文件") if locale == "en-GB" else ("文件", "Files")
    expect(page).to_have_title(title)
    expect(page.get_by_role("heading", name=title)).to_be_visible()
    expect(page.get_by_text(other, exact=True)).to_be_hidden()
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    expect(page.locator("td.size").first).to_have_text("1.5 KB")
    assert "GMT+8" in page.locator("time").first.inner_text()
    said = page.locator("td:has(time)").first.evaluate(
        "(cell) => getComputedStyle(cell, '::before').content"
    )
    assert said == ('"until "' if title == "Files" else '"有效期至 "')
    with page.expect_response("**/photo.png*") as opened:
        page.get_by_role("link", name="photo.png", exact=True).click()
    assert opened.value.status == 200
    page.goto(output.as_uri())
    assert violations(page) == []


def test_the_page_of_many_links_has_both_languages_without_a_script(
    system: System, open_page: Any, tmp_path: Path
) -> None:
    system.put("bulk/one/a.txt", b"x")
    output = tmp_path / "index.html"
    command(system, "bulk", f"oss://{system.stack.bucket}/bulk/one/", "--output", str(output))
    page: Page = open_page(output.as_uri(), java_script_enabled=False)
    expect(page.get_by_role("heading")).to_have_text("Files 文件")
    assert page.locator("time").inner_text().endswith("Z")
