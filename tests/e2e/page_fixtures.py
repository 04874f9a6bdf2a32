"""Fixtures for the tests of the pages: a plugin that each of their files names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.e2e.sharing import ARGUMENTS, Sharing, sharing_system
from tests.e2e.system import Requires


@pytest.fixture(scope="module")
def sharing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sharing]:
    with sharing_system(tmp_path_factory.mktemp("sharing")) as found:
        yield found


@pytest.fixture(scope="module")
def browser(requires: Requires) -> Iterator[Browser]:
    chromium = requires("chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield found
        found.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Any]:
    """Makes a page of a browser that remembers nothing; settings as in Playwright."""
    contexts: list[BrowserContext] = []

    def make(**settings: Any) -> Page:
        context = browser.new_context(**{"locale": "en-GB", **settings})
        context.set_default_timeout(20_000)
        contexts.append(context)
        return context.new_page()

    yield make
    for context in contexts:
        context.close()
