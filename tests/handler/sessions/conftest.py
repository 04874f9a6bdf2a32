"""Fixtures of the sessions of mounts."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from handler.cloud import sessions
from tests.handler.client import NOW
from tests.handler.sessions.local_sts import LocalSts, local_sts


@pytest.fixture(autouse=True)
def new_instance(monkeypatch: pytest.MonkeyPatch) -> None:
    """An instance without sessions."""
    monkeypatch.setattr(sessions, "_sessions", sessions.Sessions(sessions.open_session))


@pytest.fixture
def at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stops the clock of the sessions where that of the client's requests stands."""
    monkeypatch.setattr(sessions, "time", SimpleNamespace(time=lambda: NOW, monotonic=time.monotonic))


@pytest.fixture
def sts() -> Iterator[LocalSts]:
    with local_sts() as running:
        yield running
