"""What tells objects and messages apart, and which links a message requests."""

from __future__ import annotations

import json
from typing import Any

import pytest

from handler.notices.sources import read
from handler.notices.sources.items import InvalidEntry, RequestedLink, SkippedRecord, TimerTick
from tests.handler.notice_fixtures import EVENTS


def items(document: object) -> tuple[Any, ...]:
    return read(json.dumps(document)).items


def load(name: str) -> Any:
    return json.loads((EVENTS / name).read_text("utf-8"))


class TestObjects:
    def created(self, **members: object) -> Any:
        """The item of the documented event with other members of the object; None leaves one out."""
        document = load("oss-trigger.json")
        stored = document["events"][0]["oss"]["object"]
        stored |= {"eTag": "ABC"} | members
        for name in [name for name, value in stored.items() if value is None]:
            del stored[name]
        (item,) = items(document)
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
        assert self.created(eTag=etag, versionId=version) == self.created(eTag="ABC", versionId=version)

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


class TestMessages:
    def origin(self, document: object) -> str:
        (item,) = items(document)
        assert isinstance(item, RequestedLink)
        return item.origin

    def test_queue_messages_of_two_regions_differ(self) -> None:
        documents = [load("mns-queue.json") for _ in range(3)]
        documents[1]["subject"] = "acs:mns:cn-beijing:1000000000000001:queues/links"
        del documents[2]["subject"]
        assert len({self.origin(document) for document in documents}) == 3


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
    document = part = load(name)
    *parents, last = CARRIERS[name]
    for parent in parents:
        part = part[parent]
    part[last] = json.dumps({"links": links})
    return document


class TestLinks:
    @pytest.mark.parametrize("name", CARRIERS)
    def test_a_malformed_link_ends_none_of_the_others(self, name: str) -> None:
        parsed = [item for item in items(carried(name, LINKS)) if not isinstance(item, TimerTick)]
        assert [item.path for item in parsed if isinstance(item, RequestedLink)] == ["/a", "/c", "/e"]
        invalid = {number: item.sentence for number, item in enumerate(parsed, 1) if isinstance(item, InvalidEntry)}
        assert list(invalid) == [2, 3, 4, 6, 7]
        for number, sentence in invalid.items():
            assert f" event: link {number}" in sentence
            assert FAULTS.get(number, "") in sentence

    def test_a_malformed_link_does_not_change_the_origins_of_the_others(self) -> None:
        valid = [link if number in (1, 5, 8) else {"path": "/x"} for number, link in enumerate(LINKS, 1)]
        origins = [
            {item.origin for item in items({"links": links}) if hasattr(item, "origin")} for links in (LINKS, valid)
        ]
        assert origins[0] < origins[1]
        assert len(origins[0]) == 3

    def test_a_malformed_message_in_an_array_says_which_entry_and_link(self) -> None:
        *_, invalid = items([carried("mns-queue.json", LINKS[:1]), carried("mns-queue.json", LINKS[:2])])
        assert invalid.sentence == "Invalid mns-queue event, entry 2: link 2: invalid path: it must begin with /."

    @pytest.mark.parametrize("path", ["/", "/exampledir/", "/exampledir/2026/"])
    def test_a_request_for_a_folder_is_skipped(self, path: str) -> None:
        assert items({"path": path}) == (SkippedRecord("folder"),)
        link, skipped = items({"links": [{"path": "/a"}, {"path": path}]})
        assert (link.path, skipped) == ("/a", SkippedRecord("folder"))

    def test_a_malformed_request_for_a_folder_is_malformed(self) -> None:
        (invalid,) = items({"path": "/exampledir/", "method": "PUT"})
        assert isinstance(invalid, InvalidEntry)
