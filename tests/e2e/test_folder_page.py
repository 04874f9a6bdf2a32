"""The page of a folder in Chromium: on a phone, with the keyboard, without JavaScript, and what wget makes of it."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.system import Requires, System
from tests.e2e.test_error_pages import violations
from tests.e2e.test_share_page import DESKTOP, PAINTED, PHONE

NAMES = ["2025/", "季度/", "a10.pdf", "a2.xlsx", "b 季度.zip", "long-" + "x" * 120 + ".txt"]
SIZES = [3000, 20, 1_500_000, 1]


@pytest.fixture(scope="module")
def folder(world: System) -> str:
    """The path of a folder with two folders and four files."""
    for name, size in zip(NAMES[2:], SIZES, strict=True):
        world.put(f"folders/page/{name}", b"x" * size)
    for name in NAMES[:2]:
        world.put(f"folders/page/{name}inner.txt", b"inner")
    return "/folders/page/"


def rows(page: Page) -> list[str]:
    return page.locator("#rows li > :nth-child(2)").all_inner_texts()


def expect_rows(page: Page, names: list[str]) -> None:
    """Also on a page that a click has only begun to open."""
    expect(page.locator("#rows li > :nth-child(2)")).to_have_text(names)


@pytest.mark.parametrize(
    ("screen", "java_script"),
    [
        pytest.param(PHONE, True, id="phone"),
        pytest.param(DESKTOP, False, id="desktop without JavaScript"),
        pytest.param(PHONE, False, id="phone without JavaScript", marks=pytest.mark.long),
    ],
)
def test_a_person_looks_into_folders_filters_and_downloads(
    world: System, folder: str, open_quiet_page: Any, screen: dict[str, Any], java_script: bool
) -> None:
    address = world.create_share(path=folder, expires="30d")
    page: Page = open_quiet_page(
        address, **screen, java_script_enabled=java_script, timezone_id="Asia/Shanghai"
    )
    expect(page).to_have_title("page")
    expect_rows(page, NAMES)
    assert ("GMT+8" if java_script else "UTC") in page.locator("#rows time").first.inner_text()
    assert page.locator(".size").first.inner_text() == "2.9 KB"
    assert page.evaluate("document.documentElement.scrollWidth") <= screen["viewport"]["width"]
    size, modified = (
        page.locator(f"#rows {each}").first.evaluate("(cell) => [cell.offsetLeft, cell.offsetTop]")
        for each in (".size", "time")
    )
    # Beside each other, or on a phone one below the other.
    assert [one == other for one, other in zip(size, modified, strict=True)] == [
        screen is PHONE,
        screen is DESKTOP,
    ]
    expect(page.locator("#sort")).to_be_visible(visible=java_script)
    # The form, the folders and the way back stay in the share.
    page.get_by_label("Names that begin with").fill("a")
    page.get_by_role("button", name="Show").click()
    expect_rows(page, ["a10.pdf", "a2.xlsx"])
    page.get_by_role("link", name="Show the entire folder").click()
    page.get_by_role("link", name="季度/").click()
    expect_rows(page, ["inner.txt"])
    page.get_by_role("navigation").get_by_role("link", name="page").click()
    expect_rows(page, NAMES)
    response = page.request.get(
        world.local_url(page.get_by_role("link", name="a10.pdf").evaluate("a => a.href"))
    )
    assert len(response.body()) == 3000
    page.goto(f"{page.url}&limit=4")
    expect(page.locator("#sort")).to_have_count(0)
    page.get_by_role("link", name="Next page").click()
    # In the order of OSS, and the folders of each page first.
    expect_rows(page, [NAMES[1], NAMES[5]])


def test_it_is_sorted_with_the_keyboard(world: System, folder: str, open_page: Any) -> None:
    page: Page = open_page(world.stack.http_url + folder, **DESKTOP)
    page.evaluate(PAINTED)
    order = []
    for key in ("Tab", "Tab", "Tab", "Tab", "Enter", "Enter", "Tab", "Enter"):
        page.keyboard.press(key)
        order.append([row[:3] for row in rows(page)[2:]])
    assert order[4:6] == [["a2.", "a10", "b 季", "lon"], ["lon", "b 季", "a10", "a2."]]
    assert order[7] == ["lon", "a2.", "a10", "b 季"]
    assert rows(page)[:2] == NAMES[:2]
    button = page.get_by_role("button", name="Size")
    expect(button).to_be_focused()
    expect(button).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="2025/")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("2025")


@pytest.mark.parametrize(
    ("scheme", "locale"),
    [pytest.param("light", "en-GB", marks=pytest.mark.long), ("dark", "zh-CN")],
)
def test_the_page_of_a_folder_is_accessible(
    world: System, folder: str, open_page: Any, scheme: str, locale: str
) -> None:
    address = world.create_share(path=folder, expires="30d")
    page: Page = open_page(address, **PHONE, color_scheme=scheme, locale=locale, bypass_csp=True)
    page.locator("summary").click()
    assert violations(page) == []
    page.goto(f"{world.stack.http_url}{folder}?begins=none&limit=1")
    assert violations(page) == []
    assert page.locator("html").get_attribute("lang") == ("zh-CN" if locale == "zh-CN" else "en")


def test_the_command_of_the_page_saves_every_file_under_its_name(
    world: System, folder: str, open_page: Any, requires: Requires, tmp_path: Path
) -> None:
    requires("wget")
    page: Page = open_page(world.create_share(path=folder, expires="30d"))
    page.locator("summary").click()
    url = page.locator("code").inner_text().split("'")[1]
    # The addresses of the list are public ones, which are not those of this machine.
    listed = world.local_url(page.request.get(world.local_url(url)).text())
    assert [
        unquote(line).partition("?")[0].rpartition("/")[2] for line in listed.splitlines()
    ] == NAMES[2:]
    wget = ["wget", "-q", "--content-disposition", "-i", "-"]
    subprocess.run(wget, cwd=tmp_path, input=listed.encode(), check=True, timeout=60)
    assert {path.name: path.stat().st_size for path in tmp_path.iterdir()} == dict(
        zip(NAMES[2:], SIZES, strict=True)
    )
