"""Fixtures of this folder: two systems, a site of another origin, and Chromium, each started once."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.system import (
    CHROMIUM_ARGUMENTS,
    CLIPBOARD,
    KEY,
    Requires,
    System,
    run_system,
    run_world,
    sign_in,
)
from tests.http_server import Handler, http_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """The repository's own `s.yaml` and `links.toml`."""
    with run_system(tmp_path_factory.mktemp("system")) as system:
        yield system


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory, site: str) -> Iterator[System]:
    """The mounts of tests/links.toml; each test uses objects of its own."""
    with run_world(tmp_path_factory.mktemp("world"), site) as world:
        yield world


class _Site(Handler):
    """An empty page at every path."""

    def do_GET(self) -> None:
        body = b'<!doctype html><html lang="en"><title>Another origin</title><body></body></html>'
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """The origin of a site that the world's `cors` allows."""
    with http_server(_Site) as address:
        yield address


@pytest.fixture(scope="session")
def requires() -> Requires:
    """Finds a tool by one of its names. Without it the test is skipped, or on CI fails."""

    def find(*names: str) -> str:
        path = next(filter(None, map(shutil.which, names)), None)
        if path is None and os.environ.get("CI") == "true":
            pytest.fail(f"{names[0]} is not installed")
        if path is None:
            pytest.skip(f"{names[0]} is not installed")
        return path

    return find


@pytest.fixture(scope="session")
def browser(requires: Requires) -> Iterator[Browser]:
    """Chromium. People are told apart by their contexts. From then on, asyncio.run() fails in this process."""
    chromium = requires("chromium", "chromium-browser", "google-chrome")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a page of a new person at an address, with the settings of Playwright."""
    contexts: list[BrowserContext] = []

    def new_page(url: str = "", **settings: Any) -> Page:
        context = browser.new_context(**{"locale": "en-GB", **settings})
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        if url:
            page.goto(url)
        return page

    yield new_page
    for context in contexts:
        context.close()


@pytest.fixture
def open_quiet_page(open_page: Callable[..., Page]) -> Iterator[Callable[..., Page]]:
    """Opens a page whose console must stay empty, and whose policy must block nothing."""
    messages: list[str] = []

    def new_page(url: str, **settings: Any) -> Page:
        page = open_page(**settings)
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.goto(url)
        return page

    yield new_page
    # Chromium looks for an icon of each origin that it meets.
    assert [
        message for message in messages if not message.startswith("Failed to load resource")
    ] == []


@pytest.fixture
def open_sender(world: System, open_quiet_page: Callable[..., Page]) -> Callable[..., Page]:
    """Opens the sender's page and signs in, with a folder to send to."""

    def open_it(key: str = KEY, to: str = "/team/", **options: Any) -> Page:
        page = open_quiet_page(f"{world.stack.http_url}/-/", permissions=CLIPBOARD, **options)
        if key:
            sign_in(page, key)
            page.select_option("#send [name=to]", to)
        return page

    return open_it


@pytest.fixture
def page(open_page: Callable[..., Page], site: str) -> Page:
    """A page of the other origin."""
    return open_page(site)
