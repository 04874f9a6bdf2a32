"""What keeps one notice, document or request from hurting others."""

from __future__ import annotations

import json
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
