"""What keeps one notice, document or request from hurting others."""

from __future__ import annotations

import json
import time
from unittest.mock import patch

from handler.core.cloud.oss import REFUSED, StoreError
from handler.core.cloud.store import Store
from handler.core.keys import current
from tests.handler.notice_fixtures import (
    EventFunction,
    Receiver,
    created,
    notice,
)


def test_what_was_sent_before_takes_no_more_than_the_time_of_the_function(
    notified: EventFunction, hook: Receiver
) -> None:
    notified.toml = notice(["ops"], every="1m")
    notified.invoke(created(*(f"outbox/{number}.txt" for number in range(300))))
    for name in notified.state_names("outbox/"):
        notified.state().replace(f"done/{name[-32:]}", b"")
    read = Store.read

    def slowly(state: Store, name: str) -> object:
        notified.pass_time(0.1)
        return read(state, name)

    with patch.object(Store, "read", slowly):
        started = time.time()
        outcome = notified.tick(timeout=40)
    assert outcome.error is None
    assert time.time() - started < 40
    assert 0 < outcome.summary["repeated"] < 300
    for _ in range(4):
        notified.pass_time(60)
        notified.tick()
    assert notified.state_names("outbox/") == []
    assert hook.received == []


def test_a_notice_whose_entry_cannot_be_deleted_was_sent_and_marked(notified: EventFunction, hook: Receiver) -> None:
    def refuse(state: Store, name: str, *, retry: bool = True) -> None:
        raise StoreError("DeleteObject", 403, REFUSED, "AccessDenied (a missing permission)")

    with patch.object(Store, "delete", refuse):
        outcome = notified.invoke(created("outbox/a.txt"))
        assert outcome.summary["notices"] == 1
        assert "not_marked" not in outcome.summary
    notified.pass_time(60)
    notified.tick()
    assert len(hook.received) == 1
    assert notified.state_names("outbox/") == []


def test_an_id_that_is_too_long_is_a_malformed_event(notified: EventFunction) -> None:
    notified.toml = notice(["ops"], on="message", mount="/exampledir/")
    message = {
        "TopicName": "links",
        "MessageId": "M" * 20_000,
        "Message": '{"path": "/exampledir/a.txt"}',
        "PublishTime": 1772347480040,
    }
    outcome = notified.invoke(json.dumps(message).encode())
    assert outcome.error is not None
    assert outcome.error.code == "bad_event"
    assert notified.state_names("outbox/") == []


def test_what_goes_wrong_after_everything_was_written_fails_no_invocation(notified: EventFunction) -> None:
    def breaks(invocation: object) -> object:
        raise RuntimeError("can't start new thread")

    config = notified.config()
    with patch.object(current, "current_keys", breaks):
        outcome = notified.invoke(created("outbox/a.txt"), config=config)
    assert outcome.error is None
    assert outcome.summary["failed"] == [{"sink": "ops", "code": "internal_error"}]
    assert outcome.summary["queued"] == 1


def test_folders_that_are_no_names_of_sinks_are_left_alone(notified: EventFunction, hook: Receiver) -> None:
    for folder in ("a name", "x" * 70):
        notified.state().replace(f"outbox/{folder}/entry", b"{}")
    notified.invoke(created("outbox/a.txt"))
    assert list(notified.tick().summary["waiting"]) == []
    assert len(hook.received) == 1
