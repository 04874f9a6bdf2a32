"""Every documented event is read as it is; every other one is an error that says what arrived."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.notices.sources import SOURCES, CreatedObject, InvalidEntry, RequestedLink, SkippedRecord, TimerTick, read
from handler.notices.sources.fields import describe
from tests.handler.notice_fixtures import EVENTS

PATH = "/exampledir/exampleobject.txt"


def load(name: str) -> bytes:
    return (EVENTS / name).read_bytes()


def items(event: bytes | str) -> tuple[Any, ...]:
    return read(event, "req-EXAMPLE").items


READABLE: dict[str, tuple[str, Any]] = {
    "oss-trigger.json": (
        "oss",
        CreatedObject("examplebucket", "outbox/a 100%+b.png", "688A7BF4F233DC9C88A80BF985AB7329", 122539, 1772347543.0),
    ),
    "oss-trigger-minimal.json": ("oss", CreatedObject("examplebucket", "outbox/报告.pdf", "0F00-2", 1, 1772347543.0)),
    "eventbridge-oss.json": (
        "eventbridge",
        CreatedObject("examplebucket", "outbox/a.csv", "688A7BF4F233DC9C88A80BF985AB7329", 122539, 1772347543.0),
    ),
    "kafka.json": ("kafka", RequestedLink("message", "kafka:links:9:3", PATH, None, None, 1772347480.04)),
    "mns-topic.json": (
        "mns-topic",
        RequestedLink("message", "mns-topic:links:2F5B3C281B283D4EAC694B7425288675", PATH, None, None, 1772347480.04),
    ),
    "mns-queue.json": (
        "mns-queue",
        RequestedLink(
            "message",
            "mns-queue:acs:mns:cn-hangzhou:1000000000000001:queues/links:C6DB60D1574661357FA227277445A8A1",
            PATH,
            None,
            None,
            1772346497.0,
        ),
    ),
    "rocketmq.json": ("rocketmq", RequestedLink("message", "rocketmq:links:94ebc15f", PATH, None, None, 1772346497.0)),
    "timer.json": ("timer", TimerTick("timer-trigger")),
}
# Events without a path are refused.
REFUSED = {
    "mns-topic-stream.txt": "Invalid mns-topic-stream event: the message is a string of 11 characters and not JSON",
    "mns-topic-stream-attributes.json": "Invalid mns-topic-stream event: the message is a string of 11 characters",
    "async-destination.json": (
        'Unsupported event: an object with the members "timestamp", "requestContext", "requestPayload"'
    ),
    "http-get.json": 'Unsupported event: an object with the members "version", "rawPath", "body"',
    "http-post.json": 'Unsupported event: an object with the members "version", "rawPath", "body"',
}


def test_every_event_file_is_tested_here() -> None:
    assert {path.name for path in EVENTS.iterdir()} == {*READABLE, *REFUSED}


@pytest.mark.parametrize("name", READABLE)
def test_a_documented_event_is_read(name: str) -> None:
    source, item = READABLE[name]
    event = read(load(name), "req-EXAMPLE")
    assert (event.sources, event.items) == ((source,), (item,))


@pytest.mark.parametrize("name", REFUSED)
def test_an_event_without_an_object_is_refused_with_what_it_is(name: str) -> None:
    (entry,) = items(load(name))
    assert isinstance(entry, InvalidEntry)
    assert entry.sentence.startswith(REFUSED[name])


@pytest.mark.parametrize("name", READABLE)
def test_every_event_of_an_array_is_read(name: str) -> None:
    document = json.loads(load(name))
    elements = document if isinstance(document, list) else [document]
    event = read(json.dumps(elements * 3), "req-EXAMPLE")
    assert event.items == (READABLE[name][1],) * 3
    assert event.sources == (READABLE[name][0],)


def test_an_array_of_all_kinds_is_read_entry_by_entry() -> None:
    elements: list[Any] = []
    for name in (*READABLE, *REFUSED):
        try:
            document = json.loads(load(name))
        except ValueError:
            document = load(name).decode()
        elements += document if isinstance(document, list) else [document]
    parsed = items(json.dumps(elements))
    assert [item for item in parsed if not isinstance(item, InvalidEntry)] == [item for _, item in READABLE.values()]
    assert len(parsed) == len(elements)
    assert all(" event, entry " in item.sentence for item in parsed if isinstance(item, InvalidEntry))


def test_each_source_recognises_only_its_own_events() -> None:
    for name, (source, _) in READABLE.items():
        document = json.loads(load(name))
        document = document[0] if isinstance(document, list) else document
        document = json.loads(document) if isinstance(document, str) else document
        assert [each.name for each in SOURCES if each.recognise(document)] == [source]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (b"", "a string of 0 characters"),
        (b"\xff\xfe", "2 bytes are not valid UTF-8"),
        (b"null", "Unsupported event: null matches"),
        (b"true", "Unsupported event: a boolean"),
        (b"17", "Unsupported event: a number"),
        (b"{}", "an empty object"),
        (b"[]", "an empty list"),
        (b"[[]]", "event, entry 1: a list of 0 items"),
        (b"[null]", "event, entry 1: null"),
        (b'["hello"]', "event, entry 1: a string of 5 characters"),
        (b'{"events": []}', "events must be a list with at least one record"),
        (b'{"events": {}}', "events must be a list"),
        (b'{"events": [7]}', "record 1: eventName is missing (expected a string)"),
        (
            b'{"hello": "secret-value"}',
            'Unsupported event: an object with the members "hello" matches no known source.',
        ),
        (b'{"links": "all"}', 'an object with the members "links" (expected only "links", a list)'),
        (b'{"links": [{"path": "relative"}]}', "link 1: invalid path: it must begin with /"),
        (b'{"links": [{"path": "/a", "method": "PUT"}]}', "link 1: method must be GET"),
        (b'{"links": [{"path": "/a", "headers": {}}]}', "(allowed: path, method, expires, download)"),
        (b'{"links": [{"path": 7}]}', "link 1: path is a number (expected a string)"),
        (b'{"links": [{"path": "/a", "expires": 7}]}', "link 1: expires is a number (expected a string)"),
        (b'{"links": ["/a"]}', 'link 1 is a string of 2 characters (expected an object with a "path")'),
        (json.dumps({"links": [{"path": "/a"}] * 1001}).encode(), "requests 1001 links, which exceeds the maximum"),
        (b"[" * 100_000, "characters"),
    ],
)
def test_anything_else_is_an_error_that_says_what_arrived(event: bytes, reason: str) -> None:
    (entry,) = items(event)
    assert isinstance(entry, InvalidEntry)
    assert reason in entry.sentence
    assert "secret-value" not in entry.sentence


def test_an_invalid_record_affects_no_other() -> None:
    document = json.loads(load("oss-trigger.json"))
    bad = copy.deepcopy(document["events"][0])
    bad["oss"]["object"]["key"] = None
    document["events"] = [document["events"][0], bad, document["events"][0]]
    first, invalid, last = items(json.dumps(document))
    assert first == last == READABLE["oss-trigger.json"][1]
    assert invalid.sentence == "Invalid oss event: record 2: oss.object.key is missing (expected a string)."


def test_a_cloud_event_is_skipped_if_either_of_its_names_is_a_deletion() -> None:
    document = json.loads(load("eventbridge-oss.json"))
    assert items(json.dumps({**document, "type": "oss:ObjectRemoved:DeleteObject"})) == (SkippedRecord("deletion"),)
    document["data"]["eventName"] = "ObjectRemoved:DeleteObjects"
    assert items(json.dumps(document)) == (SkippedRecord("deletion"),)


def test_a_version_identifies_an_object_before_its_etag() -> None:
    document = json.loads(load("oss-trigger.json"))
    document["events"][0]["oss"]["object"]["versionId"] = "CAEQ-EXAMPLE"
    assert items(json.dumps(document))[0].mark == "CAEQ-EXAMPLE"


def test_a_stream_that_carries_json_is_a_message() -> None:
    for event in ({"path": "/a"}, {"body": '{"path": "/a"}', "attrs": {}}, {"links": [{"path": "/a"}]}):
        (item,) = items(json.dumps(event))
        assert (item.on, item.path) == ("message", "/a")
        assert item.origin.startswith("invocation:req-EXAMPLE")


def test_an_empty_list_of_links_has_no_items() -> None:
    assert items(b'{"links": []}') == ()


def test_each_link_of_a_message_has_its_own_origin() -> None:
    requested = items(json.dumps({"links": [{"path": "/a"}, {"path": "/a", "expires": "5m", "download": "b.txt"}]}))
    assert len({item.origin for item in requested}) == 2
    assert (requested[1].expires, requested[1].download) == ("5m", "b.txt")


@pytest.mark.parametrize("payload", ["", None, '{"job":"refresh"}', "no JSON", "[]", "7"])
def test_a_timer_whose_payload_requests_nothing_ticks(payload: str | None) -> None:
    event = {"triggerTime": "2026-03-01T07:49:00Z", "triggerName": "t", "payload": payload}
    assert items(json.dumps(event)) == (TimerTick("t"),)


def test_a_timer_whose_payload_is_invalid_ticks_and_says_so() -> None:
    event = {"triggerTime": "2026-03-01T07:49:00Z", "triggerName": "t", "payload": '{"path": null}'}
    tick, invalid = items(json.dumps(event))
    assert (tick, type(invalid)) == (TimerTick("t"), InvalidEntry)


# Mutations: an event that was changed must give the same object or none.

WRONG: list[Any] = [None, "", 7, -1, 1.5, True, [], {}, "text", ["a"], {"a": 1}, "\ud800"]


def paths(value: Any, parent: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every member and element of a document."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in entries:
        yield (*parent, name)
        yield from paths(inner, (*parent, name))


def mutated(document: Any, path: tuple[Any, ...], change: Any) -> Any:
    """A copy without the value at a path (`...`), or with another one."""
    copied = copy.deepcopy(document)
    parent = copied
    for name in path[:-1]:
        parent = parent[name]
    if change is ...:
        del parent[path[-1]]
    else:
        parent[path[-1]] = change
    return copied


def check_mutated(name: str, document: Any, path: tuple[Any, ...], change: Any) -> None:
    """Compares the items of a mutated event with those of the original."""
    original = READABLE[name][1]
    for item in items(json.dumps(mutated(document, path, change))):
        if isinstance(item, (InvalidEntry, SkippedRecord, TimerTick)):
            assert not isinstance(item, InvalidEntry) or item.sentence.endswith(".")
            continue
        assert isinstance(item, type(original))
        changed = str(path[-1])
        if isinstance(item, CreatedObject):
            # Only the value that was changed differs: nothing is guessed in its place.
            assert item.bucket == (change if changed == "name" else original.bucket)
            assert item.key == (change if changed == "key" else original.key)
            assert item.mark == (change if changed == "eTag" else original.mark)
        else:
            assert item.path == original.path


@pytest.mark.parametrize("name", [name for name in READABLE if name != "kafka.json"])
def test_a_missing_or_wrong_member_never_gives_another_object(name: str) -> None:
    document = json.loads(load(name))
    for path in paths(document):
        for change in (..., *WRONG):
            check_mutated(name, document, path, change)


def test_a_missing_or_wrong_member_of_a_kafka_record_never_gives_another_object() -> None:
    document = json.loads(json.loads(load("kafka.json"))[0])
    for path in paths(document):
        for change in (..., *WRONG):
            check_mutated("kafka.json", document, path, change)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from(sorted(READABLE)), st.data())
def test_a_random_change_never_gives_another_object(name: str, data: st.DataObject) -> None:
    document = json.loads(load(name))
    if name == "kafka.json":
        document = json.loads(document[0])
    path = data.draw(st.sampled_from(list(paths(document))))
    check_mutated(name, document, path, data.draw(JSON))


@given(JSON)
def test_random_json_is_never_ignored(document: object) -> None:
    assert items(json.dumps(document)) or document == {"links": []}


@given(st.binary(max_size=64))
def test_random_bytes_are_never_ignored(event: bytes) -> None:
    assert items(event)


@given(JSON)
def test_a_description_is_short_and_printable(document: object) -> None:
    assert len(describe(document)) < 800
    assert describe(document).isprintable()
