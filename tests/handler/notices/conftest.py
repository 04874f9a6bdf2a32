"""What most tests of notices need: the event function with its own OSS, and a webhook."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.handler.notice_fixtures import EventFunction, Receiver, event_function, receiver


@pytest.fixture
def function(tmp_path: Path) -> Iterator[EventFunction]:
    with event_function(tmp_path) as started:
        yield started


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as sink:
        yield sink
