"""Every documented event is understood as it stands; every other one is an error that names what was seen."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.notices.sources import SOURCES, Created, Fault, Skipped, Tick, Wanted, read
from handler.notices.sources.fields import described
from tests.handler.notice_fixtures import EVENTS

PATH = "/exampledir/exampleobject.txt"


def load(name: str) -> bytes:
    return (EVENTS / name).read_bytes()


def items(event: bytes | str) -> tuple[Any, ...]:
    return read(event, "req-EXAMPLE").items


UNDERSTOOD: dict[str, tuple[str, Any]] = {
    "oss-trigger.json": (
        "oss",
        Created("examplebucket", "outbox/a 100%+b.png", "688A7BF4F233DC9C88A80BF985AB7329", 122539, 1772347543.0),
    ),
    "oss-trigger-minimal.json": ("oss", Created("examplebucket", "outbox/报告.pdf", "0F00-2", 1, 1772347543.0)),
    "eventbridge-oss.json": (
        "eventbridge",
        Created("examplebucket", "outbox/a.csv", "688A7BF4F233DC9C88A80BF985AB7329", 122539, 1772347543.0),
    ),
    "kafka.json": ("kafka", Wanted("message", "kafka:links:9:3", PATH, None, None, 1772347480.04)),
    "mns-topic.json": (
        "mns-topic",
        Wanted("message", "mns-topic:links:2F5B3C281B283D4EAC694B7425288675", PATH, None, None, 1772347480.04),
    ),
    "mns-queue.json": (
        "mns-queue",
        Wanted(
            "message",
            "mns-queue:acs:mns:cn-hangzhou:1000000000000001:queues/links:C6DB60D1574661357FA227277445A8A1",
            PATH,
            None,
            None,
            1772346497.0,
        ),
    ),
    "rocketmq.json": ("rocketmq", Wanted("message", "rocketmq:links:94ebc15f", PATH, None, None, 1772346497.0)),
    "timer.json": ("timer", Tick("timer-trigger")),
}
# What names no path is none of ours, and said so.
REFUSED = {
    "mns-topic-stream.txt": "mns-topic-stream: the event: its message is a text of 11 characters and no JSON",
    "mns-topic-stream-attributes.json": "mns-topic-stream: the event: its message is a text of 11 characters",
    "async-destination.json": "The event is an object with the members timestamp, requestContext, requestPayload",
    "http-get.json": "The event is an object with the members version, rawPath, body",
    "http-post.json": "The event is an object with the members version, rawPath, body",
}


def test_every_event_file_is_expected_here() -> None:
    assert {path.name for path in EVENTS.iterdir()} == {*UNDERSTOOD, *REFUSED}


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_a_documented_event_is_understood(name: str) -> None:
    source, item = UNDERSTOOD[name]
    event = read(load(name), "req-EXAMPLE")
    assert (event.sources, event.items) == ((source,), (item,))


@pytest.mark.parametrize("name", REFUSED)
def test_an_event_that_names_no_object_says_what_it_is(name: str) -> None:
    (fault,) = items(load(name))
    assert isinstance(fault, Fault)
    assert fault.sentence.startswith(REFUSED[name])


@pytest.mark.parametrize("name", UNDERSTOOD)
def test_an_array_of_events_is_all_of_them(name: str) -> None:
    document = json.loads(load(name))
    elements = document if isinstance(document, list) else [document]
    found = read(json.dumps(elements * 3), "req-EXAMPLE")
    assert found.items == (UNDERSTOOD[name][1],) * 3
    assert found.sources == (UNDERSTOOD[name][0],)


def test_an_array_of_all_kinds_is_understood_entry_by_entry() -> None:
    elements: list[Any] = []
    for name in (*UNDERSTOOD, *REFUSED):
        try:
            document = json.loads(load(name))
        except ValueError:
            document = load(name).decode()
        elements += document if isinstance(document, list) else [document]
    found = items(json.dumps(elements))
    assert [item for item in found if not isinstance(item, Fault)] == [item for _, item in UNDERSTOOD.values()]
    assert len(found) == len(elements)
    assert all("entry " in item.sentence.lower() for item in found if isinstance(item, Fault))


def test_each_source_has_the_same_shape_and_recognises_its_own_alone() -> None:
    for name, (source, _) in UNDERSTOOD.items():
        document = json.loads(load(name))
        document = document[0] if isinstance(document, list) else document
        document = json.loads(document) if isinstance(document, str) else document
        assert [each.name for each in SOURCES if each.recognise(document)] == [source]


@pytest.mark.parametrize(
    ("event", "seen"),
    [
        (b"", "a text of 0 characters"),
        (b"\xff\xfe", "2 bytes that are no UTF-8"),
        (b"null", "null"),
        (b"true", "a boolean"),
        (b"17", "a number"),
        (b"{}", "an empty object"),
        (b"[]", "an empty list"),
        (b"[[]]", "Entry 1 of the event is a list of 0"),
        (b"[null]", "Entry 1 of the event is null"),
        (b'["hello"]', "Entry 1 of the event is a text of 5 characters"),
        (b'{"events": []}', "events is no list with at least one record"),
        (b'{"events": {}}', "events is no list"),
        (b'{"events": [7]}', "record 1: eventName is missing"),
        (b'{"hello": "secret-value"}', "an object with the members hello"),
        (b'{"links": "all"}', "an object with the members links"),
        (b'{"links": [{"path": "relative"}]}', "link 1: The path does not begin with /"),
        (b'{"links": [{"path": "/a", "method": "PUT"}]}', "link 1 has a method that is not GET"),
        (b'{"links": [{"path": "/a", "headers": {}}]}', "known are path, method, expires, download"),
        (b'{"links": [{"path": 7}]}', "link 1 has a path that is a number"),
        (b'{"links": [{"path": "/a", "expires": 7}]}', "link 1 has a expires that is a number"),
        (b'{"links": ["/a"]}', "link 1 is a text of 2 characters"),
        (json.dumps({"links": [{"path": "/a"}] * 1001}).encode(), "asks for 1001 links"),
        (b"[" * 100_000, "characters"),
    ],
)
def test_anything_else_is_an_error_that_names_what_was_seen(event: bytes, seen: str) -> None:
    (fault,) = items(event)
    assert isinstance(fault, Fault)
    assert seen in fault.sentence
    assert "secret-value" not in fault.sentence


def test_a_bad_record_spoils_no_other() -> None:
    document = json.loads(load("oss-trigger.json"))
    bad = copy.deepcopy(document["events"][0])
    bad["oss"]["object"]["key"] = None
    document["events"] = [document["events"][0], bad, document["events"][0]]
    first, fault, last = items(json.dumps(document))
    assert first == last == UNDERSTOOD["oss-trigger.json"][1]
    assert fault.sentence == "oss: the event, record 2: oss.object.key is missing, where a text is needed."


def test_a_cloud_event_is_skipped_where_either_name_says_so() -> None:
    document = json.loads(load("eventbridge-oss.json"))
    assert items(json.dumps({**document, "type": "oss:ObjectRemoved:DeleteObject"})) == (Skipped("deletion"),)
    document["data"]["eventName"] = "ObjectRemoved:DeleteObjects"
    assert items(json.dumps(document)) == (Skipped("deletion"),)


def test_a_version_tells_the_object_better_than_its_etag() -> None:
    document = json.loads(load("oss-trigger.json"))
    document["events"][0]["oss"]["object"]["versionId"] = "CAEQ-EXAMPLE"
    assert items(json.dumps(document))[0].mark == "CAEQ-EXAMPLE"


def test_a_stream_that_carries_json_is_a_message() -> None:
    for event in ({"path": "/a"}, {"body": '{"path": "/a"}', "attrs": {}}, {"links": [{"path": "/a"}]}):
        (item,) = items(json.dumps(event))
        assert (item.on, item.path) == ("message", "/a")
        assert item.origin.startswith("invocation:req-EXAMPLE")


def test_no_links_are_no_items() -> None:
    assert items(b'{"links": []}') == ()


def test_the_links_of_a_message_each_have_an_origin() -> None:
    found = items(json.dumps({"links": [{"path": "/a"}, {"path": "/a", "expires": "5m", "download": "b.txt"}]}))
    assert len({item.origin for item in found}) == 2
    assert (found[1].expires, found[1].download) == ("5m", "b.txt")


@pytest.mark.parametrize("payload", ["", None, '{"job":"refresh"}', "no JSON", "[]", "7"])
def test_a_timer_whose_payload_asks_for_nothing_ticks(payload: str | None) -> None:
    event = {"triggerTime": "2026-03-01T07:49:00Z", "triggerName": "t", "payload": payload}
    assert items(json.dumps(event)) == (Tick("t"),)


def test_a_timer_whose_payload_asks_amiss_ticks_and_says_so() -> None:
    event = {"triggerTime": "2026-03-01T07:49:00Z", "triggerName": "t", "payload": '{"path": null}'}
    tick, fault = items(json.dumps(event))
    assert (tick, type(fault)) == (Tick("t"), Fault)


# Mutations: what is left must be the same object, or no object at all.

WRONG: list[Any] = [None, "", 7, -1, 1.5, True, [], {}, "text", ["a"], {"a": 1}, "\ud800"]


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in entries:
        yield (*at, name)
        yield from places(inner, (*at, name))


def mutated(document: Any, place: tuple[Any, ...], change: Any) -> Any:
    """A copy in which a place is gone (`...`) or holds something else."""
    found = copy.deepcopy(document)
    holder = found
    for name in place[:-1]:
        holder = holder[name]
    if change is ...:
        del holder[place[-1]]
    else:
        holder[place[-1]] = change
    return found


def judged(name: str, document: Any, place: tuple[Any, ...], change: Any) -> None:
    """Holds a mutated event against the original's items."""
    good = UNDERSTOOD[name][1]
    for item in items(json.dumps(mutated(document, place, change))):
        if isinstance(item, (Fault, Skipped, Tick)):
            assert not isinstance(item, Fault) or item.sentence.endswith(".")
            continue
        assert isinstance(item, type(good))
        changed = str(place[-1])
        if isinstance(item, Created):
            # Only the value that was changed differs: nothing is guessed in its place.
            assert item.bucket == (change if changed == "name" else good.bucket)
            assert item.key == (change if changed == "key" else good.key)
            assert item.mark == (change if changed == "eTag" else good.mark)
        else:
            assert item.path == good.path


@pytest.mark.parametrize("name", [name for name in UNDERSTOOD if name != "kafka.json"])
def test_a_member_that_is_missing_or_wrong_never_makes_another_object(name: str) -> None:
    document = json.loads(load(name))
    for place in places(document):
        for change in (..., *WRONG):
            judged(name, document, place, change)


def test_a_kafka_record_that_is_wrong_inside_never_makes_another_object() -> None:
    document = json.loads(json.loads(load("kafka.json"))[0])
    for place in places(document):
        for change in (..., *WRONG):
            judged("kafka.json", document, place, change)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.sampled_from(sorted(UNDERSTOOD)), st.data())
def test_a_random_change_never_makes_another_object(name: str, data: st.DataObject) -> None:
    document = json.loads(load(name))
    if name == "kafka.json":
        document = json.loads(document[0])
    place = data.draw(st.sampled_from(list(places(document))))
    judged(name, document, place, data.draw(JSON))


@given(JSON)
def test_random_json_is_never_silence(document: object) -> None:
    found = items(json.dumps(document))
    assert found or document == {"links": []}


@given(st.binary(max_size=64))
def test_random_bytes_are_never_silence(event: bytes) -> None:
    assert items(event)


@given(JSON)
def test_what_was_seen_is_short_and_printable(document: object) -> None:
    assert len(described(document)) < 800
    assert described(document).isprintable()
