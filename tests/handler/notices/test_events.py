"""The event function as Function Compute calls it: it returns a summary in JSON, or fails and is retried."""

from __future__ import annotations

import json
from unittest.mock import patch

import pytest

import handler
from handler import events, startup
from handler.core.config import InvalidConfig
from handler.core.context import Clock, Instance
from handler.core.keys import current
from handler.events import InvocationFailed
from tests.handler.client import EVENTS, KEYS, TOKEN, context
from tests.handler.notice_fixtures import (
    EventFunction,
    Receiver,
    created,
    links,
    notice,
    receiver,
    respond,
)


def test_the_package_exports_the_entry_point() -> None:
    assert handler.on_event is events.on_event


def test_it_returns_a_summary(
    function: EventFunction, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    function.toml = notice(["manifest"])
    config = function.config
    monkeypatch.setattr(startup, "instance", lambda: Instance(config, Clock()))
    summary = handler.on_event(created("outbox/a.txt", "elsewhere/b.txt"), context())
    assert json.loads(json.dumps(summary)) == {
        "items": 2,
        "links": 1,
        "notices": 1,
        "skipped": 1,
        "reasons": {"no_notice": 1},
        "repeated": 0,
        "queued": 0,
    }
    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (line["event"], line["request_id"], line["code"], line["notices"]) == (
        "oss",
        "req-EXAMPLE",
        None,
        1,
    )


@pytest.mark.parametrize(
    "event", [b"", b"null", b"{}", b"[]", b"hello", (EVENTS / "http-get.json").read_bytes()]
)
def test_an_unsupported_event_fails_with_a_sentence(function: EventFunction, event: bytes) -> None:
    outcome = function.invoke(event)
    assert outcome.error is not None
    assert outcome.error.code == "bad_event"
    assert len(outcome.error.sentence) > 20
    assert outcome.line["code"] == "bad_event"


def test_valid_records_are_delivered_before_invalid_ones_fail_the_invocation(
    function: EventFunction,
) -> None:
    function.toml = notice(["manifest"])
    document = json.loads(created("outbox/a.txt", "outbox/b.txt"))
    document["events"][0]["oss"]["object"]["key"] = 7
    outcome = function.invoke(json.dumps(document).encode())
    assert outcome.error is not None
    assert (
        "Invalid oss event: record 1: oss.object.key is a number (expected a string)."
        in outcome.error.sentence
    )
    assert [line["key"] for line in function.manifest_lines()] == ["outbox/b.txt"]
    assert (outcome.line["items"], outcome.line["notices"]) == (1, 1)


def test_many_invalid_records_give_a_sentence_of_bounded_length(function: EventFunction) -> None:
    function.toml = notice(["manifest"])
    outcome = function.invoke(json.dumps({"events": [{}] * 1000}).encode())
    assert outcome.error is not None
    assert len(outcome.error.sentence) < 1500
    assert "995 more entries are invalid." in outcome.error.sentence


MESSAGE = '{"path": "/outbox/a.txt"}'


@pytest.mark.parametrize(
    "event",
    [
        {"path": "/outbox/a.txt", "expires": "soon"},
        {"path": "/outbox/a.txt", "download": "a/b"},
        {"path": "/outbox/../a.txt"},
        {
            "TopicName": "links",
            "MessageId": "M" * 20_000,
            "Message": MESSAGE,
            "PublishTime": 1772347480040,
        },
    ],
    ids=["expires", "download", "path", "a long id"],
)
def test_an_invalid_link_request_fails_the_invocation(
    notified: EventFunction, event: dict[str, object]
) -> None:
    notified.toml = notice(["manifest", "ops"], on="message")
    outcome = notified.invoke(json.dumps(event).encode())
    assert outcome.error is not None
    assert outcome.error.code == "bad_event"
    assert (notified.manifest_lines(), notified.state_names("outbox/")) == ([], [])


def test_an_invalid_configuration_fails_the_invocation_with_its_sentence(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def broken() -> Instance:
        raise InvalidConfig("links.toml: notice 1: on is missing.")

    from handler.notices.sinks.client import Network

    with pytest.raises(InvocationFailed, match="notice 1: on is missing"):
        events.answer(created(), context(), broken, network=Network())
    assert json.loads(capsys.readouterr().out)["code"] == "invalid_config"


@pytest.mark.parametrize(
    ("where", "received"), [("events.read_event", 0), ("notices.sender.oss_sink.write", 1)]
)
def test_an_internal_error_fails_the_invocation_without_values_and_affects_no_other_sink(
    notified: EventFunction,
    hook: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    where: str,
    received: int,
) -> None:
    def fault(*arguments: object) -> None:
        raise RuntimeError(f"a secret: {TOKEN}")

    monkeypatch.setattr(f"handler.{where}", fault)
    notified.toml = notice(["manifest", "ops"])
    outcome = notified.invoke(created())
    assert outcome.error is not None
    assert outcome.error.code == "internal_error"
    assert '"error":"RuntimeError"' in outcome.printed
    assert "secret" not in str(outcome.error) + outcome.printed
    assert (outcome.error.__cause__, outcome.error.__context__) == (None, None)
    assert len(hook.received) == received


def test_what_goes_wrong_after_everything_was_written_fails_no_invocation(
    notified: EventFunction,
) -> None:
    config = notified.config
    with patch.object(current, "current_keys", side_effect=RuntimeError("can't start new thread")):
        outcome = notified.invoke(created("outbox/a.txt"), config=config)
    assert outcome.error is None
    assert outcome.summary["failed"] == [{"sink": "ops", "code": "internal_error"}]
    assert outcome.summary["queued"] == 1


def test_an_invocation_with_the_same_links_is_a_retry_and_an_id_makes_it_another(
    function: EventFunction,
) -> None:
    function.toml = notice(["manifest"], on="message")
    for request_id in ("", None, "req-1"):
        function.invoke(links("/outbox/a.txt"), request_id=request_id)
    assert len(function.manifest_lines()) == 1
    function.invoke(b'{"path": "/outbox/a.txt", "id": "Tuesday"}')
    assert len(function.manifest_lines()) == 2


def test_no_secret_is_printed_returned_or_raised(function: EventFunction, hook: Receiver) -> None:
    with receiver(respond(400, b"your secret is EXAMPLE-ECHO")) as broken:
        function.add_sink("ops", hook)
        function.add_sink("bad", broken, "dingtalk")
        function.sinks["bad"]["url"] += "?access_token=ACCESS-EXAMPLE"
        function.toml = notice(["ops", "bad", "manifest"]) + notice(["ops"], give="share")
        outcome = function.invoke(created("outbox/a.txt"))
        assert outcome.summary["failed"] == [{"sink": "bad", "code": "status_400"}]
        output = (
            json.dumps(outcome.summary) + outcome.printed + str(outcome.error) + repr(outcome.error)
        )
        secrets = [
            function.sinks["ops"]["secret"],
            function.sinks["bad"]["secret"],
            "ACCESS-EXAMPLE",
            "EXAMPLE-ECHO",
            KEYS.access_key_secret,
            TOKEN,
            "signature",
            "share=",
            broken.url,
            hook.url,
        ]
        assert [secret for secret in secrets if secret in output] == []


@pytest.mark.parametrize("give", ["link", "share"])
def test_each_link_and_share_has_an_audit_line_and_the_invocation_one_under_16_kb(
    function: EventFunction, give: str
) -> None:
    function.toml = notice(["manifest"], give=give)
    outcome = function.invoke(created(*(f"outbox/{number}" for number in range(60))))
    *links, last = outcome.printed.splitlines()
    assert len(last) < 16 * 1024
    assert (outcome.line["notices"], len(links)) == (60, 60)
    given = {line["key"]: line for line in map(json.loads, links)}
    assert set(given) == {f"outbox/{number}" for number in range(60)}
    line = given["outbox/7"]
    assert line.pop("request_id") == outcome.line["request_id"]
    if give == "share":
        assert (len(line.pop("share")), line.pop("expires_at")[-1]) == (12, "Z")
    else:
        assert (line.pop("expires_in"), line.pop("clamped_by")) == (900, None)
    place = {"path": "/outbox/7", "mount": "/outbox/", "bucket": "examplebucket", "key": "outbox/7"}
    assert line == {"caller": "notice", **place}


def test_an_invocation_leaves_nothing_in_memory(function: EventFunction) -> None:
    import gc
    import tracemalloc

    function.toml = notice(["manifest"])
    config = function.config
    event = created(*(f"outbox/{number}" for number in range(40)))
    for _ in range(2):
        function.invoke(event, config=config)
    gc.collect()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(5):
        function.invoke(event, config=config)
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 28_000
