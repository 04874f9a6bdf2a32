"""Whoever shares what OSS deletes before the share ends learns when that is."""

from __future__ import annotations

from threading import Event
from typing import Any
from unittest.mock import patch

import pytest

from handler.core.cloud.oss import OssResponse
from handler.core.config import Location
from tests.handler.client import NOW
from tests.handler.keys_fixtures import api
from tests.local_oss import BUCKET
from tests.memory_oss import MemoryOss, StoredObject
from tests.system import DAY, MAKER, System

# NOW is 2026-03-01T06:41:11Z.
KEY = "reports/q3.pdf"


@pytest.fixture
def ending(in_memory: System) -> System:
    """The service where files of /reports/ are deleted after 180 days."""
    mounted = in_memory.with_mount("/reports/", delete_after=180 * DAY, lists=True)
    return mounted.with_keys(api=[api("maker", MAKER, methods=["GET", "LIST", "SHARE"])])


def store(oss: MemoryOss, key: str, days: float) -> None:
    """An object that was stored so many days ago."""
    oss.fill({key: b"content"})
    oss.objects[Location(BUCKET, key)] = StoredObject(b"content", NOW - days * DAY)


@pytest.mark.parametrize(
    ("age", "deleted_at"),
    [
        # Counted from the next midnight (UTC) after it was stored.
        (95, "2026-05-26T00:00:00Z"),
        (94.2, "2026-05-27T00:00:00Z"),
        (90.2, None),
        (0, None),
        (400, "2025-07-25T00:00:00Z"),
    ],
)
def test_a_new_share_says_when_its_file_is_deleted_before_it_ends(
    age: float, deleted_at: str | None, ending: System, in_memory: System, oss: MemoryOss
) -> None:
    store(oss, KEY, age)
    created = ending.request_share(expires="90d").json
    assert created["expires_at"] == "2026-05-30T06:41:11Z"
    assert created.get("deleted_at") == deleted_at
    assert "deleted_at" not in in_memory.request_share(expires="90d").json


def test_an_extension_says_it_too(ending: System, oss: MemoryOss) -> None:
    store(oss, KEY, 50)
    created = ending.request_share(expires="90d").json
    assert "deleted_at" not in created
    extended = ending.extend(created["url"], "90d", now=NOW + 60 * DAY).json
    assert extended["expires_at"] == "2026-07-29T06:41:11Z"
    assert extended["deleted_at"] == "2026-07-10T00:00:00Z"


def test_of_a_folder_the_oldest_file_of_its_first_page_counts(
    ending: System, oss: MemoryOss
) -> None:
    store(oss, "reports/2026/a.txt", 1)
    store(oss, "reports/2026/b.txt", 120)
    store(oss, "reports/2026/c.txt", 100)
    created = ending.request_share(path="/reports/2026/", expires="90d", allow_missing=False).json
    assert created["deleted_at"] == "2026-05-01T00:00:00Z"
    store(oss, "reports/2026/b.txt", 1)
    store(oss, "reports/2026/c.txt", 1)
    created = ending.request_share(path="/reports/2026/", expires="90d").json
    assert "deleted_at" not in created


def test_a_file_that_is_not_there_or_cannot_be_asked_for_has_none(
    ending: System, oss: MemoryOss
) -> None:
    assert "deleted_at" not in ending.request_share(expires="90d").json
    store(oss, KEY, 150)
    with oss.refusing(KEY):
        refused = ending.request_share(expires="90d")
    assert (refused.status, "deleted_at" in refused.json) == (201, False)


def test_nobody_waits_long_for_it_once_the_share_is_made(ending: System, oss: MemoryOss) -> None:
    store(oss, KEY, 150)
    answer = oss.answer
    released = Event()

    def hang(method: str, location: Location, *asked: Any) -> OssResponse:
        if location.key == KEY:
            assert released.wait(10), "the share waited until OSS answered"
        return answer(method, location, *asked)

    with patch("handler.core.cloud.oss.PAGE_TIMEOUT", 0.1), patch.object(oss, "answer", hang):
        created = ending.request_share(expires="90d")
        released.set()
    assert (created.status, "deleted_at" in created.json) == (201, False)


def test_only_a_share_of_a_mount_whose_files_end_asks_oss_once_more(
    ending: System, in_memory: System, oss: MemoryOss
) -> None:
    store(oss, KEY, 150)
    counts = []
    for service in (in_memory, ending):
        service.create_share()  # the first one of an instance asks for the time
        oss.calls.clear()
        service.create_share(allow_missing=False)
        counts.append(oss.calls["HeadObject"])
    assert counts == [1, 2]
    uploads = in_memory.with_mount("/in/", delete_after=60 * DAY)
    oss.calls.clear()
    uploads.create_upload_share()
    assert set(oss.calls) <= {"PutObject", "GetObject"}
