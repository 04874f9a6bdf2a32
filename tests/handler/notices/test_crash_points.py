"""Wherever an instance is killed: the table of the guarantee, row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import pytest

from handler.core.cloud.oss import REFUSED, StoreError
from handler.core.cloud.store import Store
from handler.notices.sink_queue import DEAD
from tests.handler.notice_fixtures import (
    EventFunction,
    Killed,
    Receiver,
    created,
    received_keys,
    respond,
)


def recover(function: EventFunction) -> None:
    """The timer fires a few times, after the leases of the killed have ended."""
    for _ in range(3):
        function.pass_time(60)
        assert function.tick().error is None
    assert function.state_names("outbox/") == []


@contextmanager
def killed_before(method: str, folder: str) -> Iterator[None]:
    """The instance is killed before OSS gets its first call of this method of `Store` for an object in a folder."""
    call = getattr(Store, method)

    def call_or_die(state: Store, name: str, *arguments: Any, **options: Any) -> Any:
        if name.startswith(folder):
            raise Killed
        return call(state, name, *arguments, **options)

    with patch.object(Store, method, call_or_die), pytest.raises(Killed):
        yield


def test_marked_and_not_deleted(notified: EventFunction, hook: Receiver) -> None:
    """Nor can it be deleted later in this invocation."""

    def refuse(state: Store, name: str, *, retry: bool = True) -> None:
        raise StoreError("DeleteObject", 403, REFUSED, "AccessDenied (a missing permission)")

    with patch.object(Store, "delete", refuse):
        outcome = notified.invoke(created())
    assert (outcome.summary["notices"], "not_marked" in outcome.summary) == (1, False)
    assert (len(notified.state_names("outbox/")), len(notified.state_names("done/"))) == (1, 1)
    recover(notified)
    assert received_keys(hook) == Counter(["outbox/a.txt"])


def test_moved_to_a_later_name_and_not_deleted(notified: EventFunction, hook: Receiver) -> None:
    """Of the two names, the first one alone is tried; once it is sent, the other one is found done."""
    hook.responses = [respond(500)]
    with killed_before("delete", "outbox/"):
        notified.invoke(created())
    first, later = notified.queue().first()
    assert (first.id, first.position, first.tries + 1) == (later.id, later.position, later.tries)
    notified.pass_time(120)
    outcome = notified.tick()
    assert (len(hook.received), outcome.summary["notices"], outcome.summary["repeated"]) == (
        2,
        1,
        1,
    )
    recover(notified)
    assert received_keys(hook) == Counter({"outbox/a.txt": 2})


def test_moved_to_the_dead_and_not_deleted(notified: EventFunction, hook: Receiver) -> None:
    sink = notified.sinks.pop("ops")
    notified.invoke(created())
    notified.pass_time(4 * 86_400)
    with killed_before("delete", "outbox/"):
        notified.tick()
    (waiting,), (dead,) = notified.state_names("outbox/"), notified.state_names("dead/")
    body = notified.read(f".links/state/{dead}")
    notified.pass_time(60)
    notified.tick()
    assert notified.state_names("outbox/") == []
    assert notified.state_names("dead/") == [dead]
    assert dead.rpartition("/")[2] == waiting.rpartition("/")[2]
    assert notified.read(f".links/state/{dead}") == body
    notified.sinks["ops"] = sink
    recover(notified)
    assert hook.received == []


def test_made_due_again_and_not_deleted_among_the_dead(
    notified: EventFunction, hook: Receiver
) -> None:
    notified.sinks.pop("ops")
    notified.invoke(created())
    outbox = notified.queue()
    (entry,) = outbox.first()
    outbox.dead_letter(entry, "status_422")
    with killed_before("delete", "dead/"):
        outbox.requeue(entry)
    assert (len(outbox.first()), len(outbox.first(DEAD))) == (1, 1)
    notified.add_sink("ops", hook)
    recover(notified)
    outbox.requeue(entry)
    recover(notified)
    assert received_keys(hook) == Counter(["outbox/a.txt"])
    assert outbox.first(DEAD) == []
