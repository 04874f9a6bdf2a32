"""Every documented event is read as it is; every other one is an error that says what arrived."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handler.notices.sources import SOURCES
from handler.notices.sources.event import read_event
from handler.notices.sources.fields import describe
from handler.notices.sources.items import (
    CreatedObject,
    InvalidEntry,
    RequestedLink,
    SkippedRecord,
    TimerTick,
)
from signer.times import rfc3339
from tests.handler.client import EVENTS

PATH = "/exampledir/exampleobject.txt"
ETAG = "688A7BF4F233DC9C88A80BF985AB7329"


def load(name: str) -> bytes:
    return (EVENTS / name).read_bytes()


def items(event: bytes | str) -> tuple[Any, ...]:
    return read_event(event).items


READABLE: dict[str, tuple[str, Any]] = {
    "oss-trigger.json": (
        "oss",
        CreatedObject("examplebucket", "outbox/a 100%+b.png", ETAG, None, 122539, 1772347543.0),
    ),
    "oss-trigger-minimal.json": (
        "oss",
        CreatedObject("examplebucket", "outbox/报告.pdf", "0F00-2", None, 1, 1772347543.0),
    ),
    "eventbridge-oss.json": (
        "eventbridge",
        CreatedObject("examplebucket", "outbox/a.csv", ETAG, None, 122539, 1772347543.0),
    ),
    "mns-topic.json": (
        "mns-topic",
        RequestedLink(
            "message",
            "mns-topic:links:2F5B3C281B283D4EAC694B7425288675",
            PATH,
            None,
            None,
            1772347480.04,
        ),
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
    "timer.json": ("timer", TimerTick("timer-trigger")),
}
# Events without a path are refused.
REFUSED = {
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
    event = read_event(load(name))
    assert (event.sources, event.items) == ((source,), (item,))


@pytest.mark.parametrize("name", REFUSED)
def test_an_event_without_an_object_is_refused_with_what_it_is(name: str) -> None:
    (entry,) = items(load(name))
    assert isinstance(entry, InvalidEntry)
    assert entry.sentence.startswith(REFUSED[name])


def test_an_array_of_all_kinds_is_read_entry_by_entry() -> None:
    elements = [*(json.loads(load(name)) for name in (*READABLE, *REFUSED)), "hello"]
    parsed = items(json.dumps(elements))
    assert [item for item in parsed if not isinstance(item, InvalidEntry)] == [
        item for _, item in READABLE.values()
    ]
    assert len(parsed) == len(elements)
    assert all(
        " event, entry " in item.sentence for item in parsed if isinstance(item, InvalidEntry)
    )


def test_each_source_recognises_only_its_own_events() -> None:
    for name, (source, _) in READABLE.items():
        assert [each.name for each in SOURCES if each.recognise(json.loads(load(name)))] == [source]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (b"", "a string of 0 characters"),
        (b"\xff\xfe", "2 bytes are not valid UTF-8"),
        (b"null", "Unsupported event: null matches"),
        (b"{}", "an empty object"),
        (b"[]", "an empty list"),
        (b"[[]]", "event, entry 1: a list of 0 items"),
        (b'{"events": []}', "events must be a list with at least one record"),
        (b'{"events": {}}', "events must be a list"),
        (b'{"events": [7]}', "record 1: eventName is missing (expected a string)"),
        (
            b'{"hello": "secret-value"}',
            'Unsupported event: an object with the members "hello" matches no known source.',
        ),
        (
            b'{"specversion": "1.0", "type": "amqp:Queue:SendMessage", "data": {"body": {"path": "/a"}}}',
            'Unsupported event: an object with the members "specversion", "type", "data" matches no known source.',
        ),
        (b'{"links": "all"}', 'an object with the members "links" (expected only "links", a list)'),
        (
            b'{"links": [{"path": "/a", "headers": {}}]}',
            "(allowed: path, method, expires, download, id)",
        ),
        (
            b'{"links": [{"path": "/a", "expires": 7}]}',
            "link 1: expires is a number (expected a string)",
        ),
        (
            b'{"links": ["/a"]}',
            'link 1 is a string of 2 characters (expected an object with a "path")',
        ),
        (
            json.dumps({"links": [{"path": "/a"}] * 1001}).encode(),
            "requests 1001 links, which exceeds the maximum",
        ),
        (b"[" * 100_000, "characters"),
    ],
)
def test_anything_else_is_an_error_that_says_what_arrived(event: bytes, reason: str) -> None:
    (entry,) = items(event)
    assert isinstance(entry, InvalidEntry)
    assert reason in entry.sentence
    assert "secret-value" not in entry.sentence


def test_a_cloud_event_is_skipped_if_either_of_its_names_is_a_deletion() -> None:
    document = json.loads(load("eventbridge-oss.json"))
    assert items(json.dumps({**document, "type": "oss:ObjectRemoved:DeleteObject"})) == (
        SkippedRecord("deletion"),
    )
    document["data"]["eventName"] = "ObjectRemoved:DeleteObjects"
    assert items(json.dumps(document)) == (SkippedRecord("deletion"),)


def test_any_program_may_request_a_link() -> None:
    for event in ({"path": "/a"}, {"links": [{"path": "/a"}]}):
        (item,) = items(json.dumps(event))
        assert (item.on, item.path) == ("message", "/a")
        assert item.origin.startswith("content:")


def test_an_empty_list_of_links_has_no_items() -> None:
    assert items(b'{"links": []}') == ()


def test_each_link_of_a_message_has_its_own_origin() -> None:
    """That of its content, and of its number among equal ones, in whatever event it comes."""
    links = [
        {"path": "/a"},
        {"path": "/a", "expires": "5m", "download": "b.txt"},
        {"path": "/a", "id": "2"},
    ]
    requested = items(json.dumps({"links": [*links, {"path": "/a"}]}))
    origins = [item.origin for item in requested]
    assert len(set(origins)) == 4
    assert (requested[1].expires, requested[1].download) == ("5m", "b.txt")
    assert [item.origin for item in items(json.dumps([{"path": "/a"}, *links]))] == [
        origins[0],
        origins[3],
        *origins[1:3],
    ]


@pytest.mark.parametrize("payload", ["", None, '{"job":"refresh"}', "no JSON", "[]", "7"])
def test_a_timer_whose_payload_requests_nothing_ticks(payload: str | None) -> None:
    event = {"triggerTime": "2026-03-01T07:49:00Z", "triggerName": "t", "payload": payload}
    assert items(json.dumps(event)) == (TimerTick("t"),)


@pytest.mark.parametrize(
    "change",
    [
        {"payload": '{"path": null}'},
        {"payload": 7},
        {"payload": "\ud800"},
        {"triggerTime": "today"},
    ],
)
def test_a_timer_whose_event_is_invalid_ticks_and_says_so(change: dict[str, Any]) -> None:
    event = {"triggerTime": "2026-03-01T07:49:00Z", "triggerName": "t", "payload": ""} | change
    tick, invalid = items(json.dumps(event))
    assert (tick, type(invalid)) == (TimerTick("t"), InvalidEntry)


# What tells objects and messages apart, and which links a message requests.


class TestObjects:
    def created(self, **members: object) -> Any:
        """The item of the documented event with other members of the object; None leaves one out."""
        document = json.loads(load("oss-trigger.json"))
        stored = document["events"][0]["oss"]["object"]
        stored |= {"eTag": "ABC"} | members
        for name in [name for name, value in stored.items() if value is None]:
            del stored[name]
        (item,) = items(json.dumps(document))
        return item

    @pytest.mark.parametrize("version", [None, "", "null"])
    def test_without_versions_the_etag_alone_tells_objects_apart(self, version: str | None) -> None:
        created = self.created(versionId=version)
        assert (created.version, created.mark) == (None, "ABC")

    def test_version_and_etag_together_tell_versions_apart(self) -> None:
        created = self.created(versionId="CAEQ-a/B")
        assert (created.version, created.mark) == ("CAEQ-a/B", "CAEQ-a/B/ABC")
        assert created.mark != self.created(versionId="CAEQ-a/b").mark
        assert created.mark != self.created(versionId="CAEQ-a/B", eTag="ABD").mark

    @pytest.mark.parametrize(("etag", "version"), [('"aBc"', None), ("abc", "CAEQ")])
    def test_neither_quotes_nor_letter_case_of_an_etag_make_another_object(
        self, etag: str, version: str | None
    ) -> None:
        assert self.created(eTag=etag, versionId=version) == self.created(
            eTag="ABC", versionId=version
        )

    def test_a_version_without_an_etag_is_enough(self) -> None:
        created = self.created(eTag=None, versionId="ABC")
        assert created.version == "ABC"
        assert created.mark != self.created().mark

    @pytest.mark.parametrize(("etag", "version"), [(None, None), ("", "null"), ('""', None)])
    def test_an_object_with_neither_is_invalid(self, etag: str | None, version: str | None) -> None:
        invalid = self.created(eTag=etag, versionId=version)
        assert isinstance(invalid, InvalidEntry)
        assert invalid.sentence.startswith("Invalid oss event: record 1: oss.object.eTag is ")

    @pytest.mark.parametrize("key", ["outbox/", "outbox/2026/", "/", "outbox//"])
    def test_a_folder_is_skipped(self, key: str) -> None:
        assert self.created(key=key) == SkippedRecord("folder")


def test_queue_messages_of_two_regions_differ() -> None:
    documents = [json.loads(load("mns-queue.json")) for _ in range(3)]
    documents[1]["subject"] = "acs:mns:cn-beijing:1000000000000001:queues/links"
    del documents[2]["subject"]
    assert len({items(json.dumps(document))[0].origin for document in documents}) == 3


LINKS: list[Any] = [
    {"path": "/a"},
    {"path": "relative"},
    7,
    {"path": "/b", "method": "PUT"},
    {"path": "/c", "download": "c.txt"},
    {"path": 7},
    {"path": "/d", "headers": {}},
    {"path": "/e"},
]
FAULTS = {
    2: "invalid path: it must begin with /",
    4: "method must be GET",
    6: "path is a number (expected a string)",
}


# Where each documented event has its message.
CARRIERS: dict[str, list[str]] = {
    "": [],
    "mns-topic.json": ["Message"],
    "mns-queue.json": ["data", "messageBody"],
    "timer.json": ["payload"],
}


def carried(name: str, links: object) -> Any:
    """A documented event whose message requests these links."""
    if not name:
        return {"links": links}
    document = part = json.loads(load(name))
    *parents, last = CARRIERS[name]
    for parent in parents:
        part = part[parent]
    part[last] = json.dumps({"links": links})
    return document


class TestLinks:
    @pytest.mark.parametrize("name", CARRIERS)
    def test_a_malformed_link_ends_none_of_the_others(self, name: str) -> None:
        parsed = [
            item
            for item in items(json.dumps(carried(name, LINKS)))
            if not isinstance(item, TimerTick)
        ]
        assert [item.path for item in parsed if isinstance(item, RequestedLink)] == [
            "/a",
            "/c",
            "/e",
        ]
        invalid = {
            number: item.sentence
            for number, item in enumerate(parsed, 1)
            if isinstance(item, InvalidEntry)
        }
        assert list(invalid) == [2, 3, 4, 6, 7]
        for number, sentence in invalid.items():
            assert f" event: link {number}" in sentence
            assert FAULTS.get(number, "") in sentence

    def test_a_malformed_link_does_not_change_the_origins_of_the_others(self) -> None:
        valid = [
            link if number in (1, 5, 8) else {"path": "/x"} for number, link in enumerate(LINKS, 1)
        ]
        parsed = [items(json.dumps({"links": links})) for links in (LINKS, valid)]
        origins = [{item.origin for item in each if hasattr(item, "origin")} for each in parsed]
        assert origins[0] < origins[1]
        assert len(origins[0]) == 3

    def test_a_malformed_message_in_an_array_says_which_entry_and_link(self) -> None:
        *_, invalid = items(
            json.dumps([carried("mns-queue.json", LINKS[:number]) for number in (1, 2)])
        )
        assert (
            invalid.sentence
            == "Invalid mns-queue event, entry 2: link 2: invalid path: it must begin with /."
        )

    @pytest.mark.parametrize("path", ["/", "/exampledir/", "/exampledir/2026/"])
    def test_a_request_for_a_folder_is_skipped(self, path: str) -> None:
        assert items(json.dumps({"path": path})) == (SkippedRecord("folder"),)
        link, skipped = items(json.dumps({"links": [{"path": "/a"}, {"path": path}]}))
        assert (link.path, skipped) == ("/a", SkippedRecord("folder"))

    def test_a_malformed_request_for_a_folder_is_malformed(self) -> None:
        (invalid,) = items('{"path": "/exampledir/", "method": "PUT"}')
        assert isinstance(invalid, InvalidEntry)


# Mutations: an event that was changed must give the same object or none.

WRONG: list[Any] = [None, "", 7, -1, 1.5, True, [], {}, "text", ["a"], {"a": 1}, "\ud800"]


def paths(value: Any, parent: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every member and element of a document."""
    entries = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
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
            assert item.mark == (change.strip('"').upper() if changed == "eTag" else original.mark)
            assert item.version is None
        else:
            assert item.path == original.path


@pytest.mark.parametrize("name", READABLE)
def test_a_missing_or_wrong_member_never_gives_another_object(name: str) -> None:
    document = json.loads(load(name))
    for path in paths(document):
        for change in (..., *WRONG):
            check_mutated(name, document, path, change)


def changed_event(name: str, path: tuple[Any, ...], change: Any) -> str:
    """A documented event with another value at a path."""
    return json.dumps(mutated(json.loads(load(name)), path, change))


TIMES: list[tuple[str, tuple[Any, ...]]] = [
    ("oss-trigger.json", ("events", 0, "eventTime")),
    ("eventbridge-oss.json", ("data", "eventTime")),
    ("mns-queue.json", ("time",)),
    ("mns-topic.json", ("PublishTime",)),
]
ABSURD_TIMES: list[object] = [
    "0001-01-01T00:00:00Z",
    "1969-12-31T23:59:59Z",
    "9999-12-31T23:59:59-00:01",
    "99999-01-01T00:00:00Z",
    "2026-02-30T00:00:00Z",
    "9" * 400,
    "yesterday",
    5,
]


@pytest.mark.parametrize(("name", "path"), TIMES)
def test_a_time_outside_of_the_calendar_counts_as_absent(name: str, path: tuple[Any, ...]) -> None:
    milliseconds = [-1, -(10**20), 253_402_300_800_000, 10**400, float("nan"), float("inf"), True]
    for time in milliseconds if path == ("PublishTime",) else ABSURD_TIMES:
        (item,) = items(changed_event(name, path, time))
        assert item.happened_at is None, time


def test_the_first_and_the_last_second_of_the_calendar_are_times() -> None:
    for time, timestamp in (
        ("1970-01-01T00:00:00Z", 0.0),
        ("9999-12-31T23:59:59Z", 253_402_300_799.0),
    ):
        (item,) = items(changed_event("mns-queue.json", ("time",), time))
        assert item.happened_at == timestamp
    (item,) = items(changed_event("mns-topic.json", ("PublishTime",), 253_402_300_799_999))
    assert rfc3339(item.happened_at) == "9999-12-31T23:59:59Z"


def test_a_size_that_no_object_can_have_counts_as_absent() -> None:
    for size in (10**400, 2**63, -1, 1.5, "12"):
        (item,) = items(
            changed_event("oss-trigger.json", ("events", 0, "oss", "object", "size"), size)
        )
        assert item.size is None


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("oss-trigger.json", ("events", 0, "oss", "bucket", "name")),
        ("oss-trigger.json", ("events", 0, "oss", "object", "key")),
        ("oss-trigger.json", ("events", 0, "oss", "object", "versionId")),
        ("oss-trigger.json", ("events", 0, "eventName")),
        ("mns-topic.json", ("TopicName",)),
        ("mns-topic.json", ("MessageId",)),
        ("mns-queue.json", ("subject",)),
        ("timer.json", ("triggerName",)),
        ("timer.json", ("payload",)),
    ],
)
def test_a_value_that_is_not_valid_unicode_is_refused_by_name(
    name: str, path: tuple[Any, ...]
) -> None:
    (entry,) = [
        item
        for item in items(changed_event(name, path, "\ud800"))
        if not isinstance(item, TimerTick)
    ]
    assert isinstance(entry, InvalidEntry)
    assert entry.sentence.endswith("is not valid Unicode.")
    assert str(path[-1]) in entry.sentence


@pytest.mark.parametrize("member", ["path", "expires", "download"])
def test_a_link_that_is_not_valid_unicode_is_refused_by_name(member: str) -> None:
    link = {"path": "/a", member: "/\udfff"}
    for event in (json.dumps(link), json.dumps(link, ensure_ascii=False)):
        (entry,) = items(event)
        assert entry.sentence.endswith(f"the message: {member} is not valid Unicode.")


def test_every_sentence_and_item_can_be_written_as_utf_8() -> None:
    for name in READABLE:
        document = json.loads(load(name))
        for path in paths(document):
            for item in items(json.dumps(mutated(document, path, "\ud800"))):
                repr(tuple(item)).encode()
                assert not any(isinstance(value, str) and "\ud800" in value for value in item)


@pytest.mark.parametrize("depth", [10, 980, 1_000, 100_000])
def test_deeply_nested_json_is_an_invalid_entry_or_ignored(depth: int) -> None:
    deep = "[" * depth + "]" * depth
    record = json.dumps(json.loads(load("oss-trigger.json"))["events"][0])
    for event in (
        deep,
        f'{{"events": {deep}}}',
        f'{{"events": [{record}, {deep}]}}',
        f'{{"events": [{{"oss": {deep}, "eventName": "ObjectCreated:PutObject"}}]}}',
        f'{{"links": [{{"path": "/a", "method": {deep}}}, {{"path": "/a"}}]}}',
        f'{{"links": {deep}}}',
        f'[{{"path": {deep}}}, {{"path": "/a", "download": {deep}}}]',
        json.dumps({"TopicName": "t", "MessageId": "m", "Message": f'{{"links": [{deep}]}}'}),
    ):
        parsed = items(event)
        assert any(
            isinstance(item, InvalidEntry) and item.sentence.endswith(".") for item in parsed
        )
        assert all(
            isinstance(item, (InvalidEntry, CreatedObject, RequestedLink)) for item in parsed
        )
    tick = {
        "triggerTime": "2026-03-01T07:49:00Z",
        "triggerName": "t",
        "payload": f'{{"job": {deep}}}',
    }
    assert items(json.dumps(tick)) == (TimerTick("t"),)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(JSON)
def test_random_json_is_never_ignored(document: object) -> None:
    assert items(json.dumps(document)) or document == {"links": []}


@given(st.binary(max_size=64))
def test_random_bytes_are_never_ignored(event: bytes) -> None:
    assert items(event) or json.loads(event) == {"links": []}


@given(JSON)
def test_a_description_is_short_and_printable(document: object) -> None:
    assert len(describe(document)) < 800
    assert describe(document).isprintable()
