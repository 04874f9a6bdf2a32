"""Fixtures of the tests of shares and pages: a plugin that each of their files names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from tests.e2e.share_system import ShareSystem, run_share_system


@pytest.fixture(scope="module")
def share_system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShareSystem]:
    with run_share_system(tmp_path_factory.mktemp("sharing")) as system:
        yield system


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Any]:
    """Opens a page in a new browser context, with the settings of Playwright."""
    contexts: list[BrowserContext] = []

    def new_page(**settings: Any) -> Page:
        context = browser.new_context(**{"locale": "en-GB", **settings})
        context.set_default_timeout(20_000)
        contexts.append(context)
        return context.new_page()

    yield new_page
    for context in contexts:
        context.close()
