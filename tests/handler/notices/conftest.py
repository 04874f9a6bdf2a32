"""What most tests of notices need: the event function with its OSS in memory, or with the local one, and a webhook."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.handler.notice_fixtures import EventFunction, Receiver, event_function, notice, receiver


@pytest.fixture
def function(tmp_path: Path) -> Iterator[EventFunction]:
    with event_function(tmp_path) as started:
        yield started


@pytest.fixture
def notified(function: EventFunction, hook: Receiver) -> EventFunction:
    """The function with a rule for new objects, of which the webhook is notified at once."""
    function.add_sink("ops", hook)
    function.toml = notice(["ops"])
    return function


@pytest.fixture
def wired(tmp_path: Path) -> Iterator[EventFunction]:
    """The function with the local OSS, whose links open."""
    with event_function(tmp_path, is_wired=True) as started:
        yield started


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as sink:
        yield sink
