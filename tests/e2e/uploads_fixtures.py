"""Fixtures of the tests that upload: a plugin that each of them names beside system_fixtures."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright
from system import Requires, System, running
from uploads_system import POLICY, document

CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
]


@pytest.fixture(scope="module")
def uploading(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A running system whose policy takes uploads and shares."""
    folder = tmp_path_factory.mktemp("uploading")
    keys = folder / "keys.json"
    keys.write_text(json.dumps(document()))
    with running(folder / "log", {"LINK_CONFIG": str(POLICY), "LINK_KEYS": str(keys)}) as found:
        yield found


@pytest.fixture(scope="module")
def chromium(requires: Requires) -> Iterator[Browser]:
    program = requires("chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=program, args=CHROMIUM)
        yield found
        found.close()
