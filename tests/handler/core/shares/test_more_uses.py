"""More uses of a limited share: a second number beside the record, which counts once that of the record is used up."""

from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import pytest

from handler.core.cloud.oss import OssResponse
from handler.core.config import Location
from signer.times import rfc3339
from tests.handler.client import NOW, Answered
from tests.handler.keys_fixtures import api
from tests.memory_oss import MemoryOss
from tests.system import DAY, HTML, JSON, MAKER, STATE, WRITER, System, nonce_of, share_id


def more(service: System, url: str, key: str = MAKER, **params: object) -> Answered:
    """The response to a request for more uses, a later end, or both."""
    return service.post(f"/-/shares/{share_id(url)}", params, key)


def place(url: str) -> str:
    """Where the second number of a share is."""
    return f"{STATE}extended/{share_id(url)}-uses.json"


def use(service: System, url: str, times: int = 1) -> None:
    for _ in range(times):
        assert service.use(url).status == 303


@pytest.fixture(autouse=True)
def _object(oss: MemoryOss) -> None:
    oss.fill({"reports/q3.pdf": b"content"})


def test_a_share_that_is_used_up_opens_again_until_the_new_total(
    in_memory: System, oss: MemoryOss
) -> None:
    url = in_memory.create_share(max_uses=3)
    record = oss.read(f"{STATE}shares/{share_id(url)}.json")
    use(in_memory, url, 3)
    assert in_memory.open(url, headers=HTML).line["code"] == "share_used_up"
    raised = more(in_memory, url, max_uses=5)
    assert (raised.status, raised.line["mount"]) == (200, "/reports/")
    assert raised.json == {**in_memory.shown(url), "clamped_by": None}
    assert (raised.json["max_uses"], raised.json["uses"], raised.json["state"]) == (5, 3, "active")
    assert raised.json["expires_at"] == rfc3339(NOW + 7 * DAY)
    page = in_memory.open(url, headers=HTML)
    assert (page.status, in_memory.uses_left(url)) == (200, 2)
    nonce = nonce_of(page)
    for _ in range(2):  # a double click is one use
        assert in_memory.use(url, nonce, accept=HTML["Accept"]).status == 303
    assert in_memory.uses_left(url) == 1
    use(in_memory, url)
    for refused in (in_memory.open(url, headers=JSON), in_memory.use(url)):
        assert (refused.status, refused.code) == (410, "share_used_up")
    assert in_memory.shown(url)["state"] == "used_up"
    assert json.loads(oss.read(place(url))) == {"version": 1, "max_uses": 5}
    assert oss.read(f"{STATE}shares/{share_id(url)}.json") == record
    assert more(in_memory, url, max_uses=6).json["uses"] == 5
    assert in_memory.uses_left(url) == 1


def test_it_is_read_only_once_the_number_of_the_record_is_used_up(
    in_memory: System, oss: MemoryOss
) -> None:
    url = in_memory.create_share(max_uses=2)
    asked: list[str] = []
    answer = oss.answer

    def note(method: str, at: Location, *rest: Any) -> OssResponse:
        if method == "GET":
            asked.append(at.key)
        return answer(method, at, *rest)

    assert more(in_memory, url, max_uses=4).json["max_uses"] == 4
    with patch.object(oss, "answer", note):
        for left in (2, 1):
            assert in_memory.open(url, headers=HTML).status == 200
            assert in_memory.uses_left(url) == left
            assert in_memory.shown(url)["max_uses"] == 2
            use(in_memory, url)
        assert place(url) not in asked
        assert in_memory.uses_left(url) == 2
        assert asked.count(place(url)) == 1
        use(in_memory, url)
        assert in_memory.shown(url)["max_uses"] == 4
        assert asked.count(place(url)) == 3


@pytest.mark.parametrize(
    ("params", "key"),
    [
        ({}, MAKER),
        ({"page": False}, MAKER),
        ({"path": "/reports/2026/"}, MAKER),
        ({"path": "/in/", "method": "POST"}, WRITER),
    ],
    ids=["a page", "a link", "a folder", "uploads"],
)
def test_only_a_limited_share_of_a_file_has_more_uses(
    in_memory: System, oss: MemoryOss, params: dict[str, Any], key: str
) -> None:
    methods = ["GET", "LIST", "POST", "SHARE"]
    callers = [
        api("maker", MAKER, methods=methods),
        api("writer", WRITER, paths=["/in/"], methods=methods),
    ]
    service = in_memory.with_mount("/reports/", lists=True).with_keys(api=callers)
    url = service.create_share(key=key, **params)
    for also in ({}, {"expires": "30d"}):
        refused = more(service, url, key, max_uses=5, **also)
        assert (refused.status, refused.code) == (409, "share_not_limited")
    assert oss.keys(f"{STATE}extended/") == []


@pytest.mark.parametrize("wanted", [0, 1, 3, 4, 21, True, "5", -1])
def test_the_new_total_is_more_than_now_and_at_most_twenty(
    in_memory: System, oss: MemoryOss, wanted: object
) -> None:
    url = in_memory.create_share(max_uses=3)
    assert more(in_memory, url, max_uses=4).status == 200
    refused = more(in_memory, url, max_uses=wanted, expires="30d")
    assert (refused.status, refused.code) == (400, "bad_body")
    assert '"max_uses"' in refused.json["detail"]
    if type(wanted) is int:
        assert "more than 4, and at most 20" in refused.json["detail"]
    assert json.loads(oss.read(place(url)))["max_uses"] == 4
    assert oss.keys(f"{STATE}extended/") == [place(url)]


def test_both_at_once_open_a_share_that_ended_and_is_used_up(in_memory: System) -> None:
    url = in_memory.create_share(max_uses=1, expires="1d")
    use(in_memory, url)
    later = in_memory.later(2 * DAY)
    for params, code in (
        ({"expires": "2d"}, "share_used_up"),
        ({"max_uses": 2}, "share_expired"),
        ({"max_uses": 2, "expires": "0"}, "bad_expires"),
        ({}, "bad_body"),
    ):
        assert more(later, url, **params).code == code
    raised = more(later, url, expires="91d", max_uses=20)
    assert (raised.status, raised.json["clamped_by"]) == (200, "mount")
    assert (raised.json["max_uses"], raised.json["state"]) == (20, "active")
    assert later.uses_left(url) == 19


def test_without_a_larger_number_nothing_of_both_is_written(
    in_memory: System, oss: MemoryOss
) -> None:
    url = in_memory.create_share(max_uses=2, expires="7d")
    assert more(in_memory, url, expires="1d", max_uses=3).code == "bad_expires"
    assert more(in_memory, url, expires="30d", max_uses=2).code == "bad_body"
    assert oss.keys(f"{STATE}extended/") == []


@pytest.mark.parametrize("numbers", [(5, 8), (8, 5)])
def test_of_two_at_once_the_larger_counts(
    in_memory: System, oss: MemoryOss, numbers: tuple[int, int]
) -> None:
    """Each was checked before the other one was written."""
    url = in_memory.create_share(max_uses=1)
    use(in_memory, url)
    answer = oss.answer
    others = [numbers[1]]

    def interrupt(method: str, at: Location, *rest: Any) -> OssResponse:
        if method == "PUT" and others:
            assert more(in_memory, url, max_uses=others.pop()).status == 200
        return answer(method, at, *rest)

    with patch.object(oss, "answer", interrupt):
        assert more(in_memory, url, max_uses=numbers[0]).json["max_uses"] == 8
    assert in_memory.uses_left(url) == 7


def test_a_share_never_has_fewer_uses_than_its_record_says(
    in_memory: System, oss: MemoryOss
) -> None:
    url = in_memory.create_share(max_uses=3)
    oss.fill({place(url): json.dumps({"version": 1, "max_uses": 1}).encode()})
    use(in_memory, url, 3)
    assert in_memory.use(url).code == "share_used_up"
    assert more(in_memory, url, max_uses=3).code == "bad_body"
    assert more(in_memory, url, max_uses=4).status == 200
    use(in_memory, url)


def test_a_revocation_wins(in_memory: System, oss: MemoryOss) -> None:
    url = in_memory.create_share(max_uses=1)
    use(in_memory, url)
    assert in_memory.revoke(url).status == 204
    assert more(in_memory, url, max_uses=5).code == "share_revoked"
    assert oss.keys(f"{STATE}extended/") == []
    # One that was on its way arrives after the revocation.
    oss.fill({place(url): json.dumps({"version": 1, "max_uses": 5}).encode()})
    for refused in (in_memory.use(url), in_memory.open(url), more(in_memory, url, max_uses=9)):
        assert (refused.status, refused.code) == (410, "share_revoked")
    assert in_memory.shown(url)["state"] == "revoked"


@pytest.mark.parametrize(
    "second",
    [b"", b"null", b'{"version": 2, "max_uses": 5}', b'{"version": 1, "max_uses": 21}'],
)
def test_an_unreadable_second_number_is_a_503_where_it_is_needed(
    in_memory: System, oss: MemoryOss, second: bytes
) -> None:
    url = in_memory.create_share(max_uses=1)
    oss.fill({place(url): second})
    assert in_memory.uses_left(url) == 1
    use(in_memory, url)
    for response in (
        in_memory.open(url),
        in_memory.use(url),
        more(in_memory, url, max_uses=5),
        in_memory.request(f"/-/shares/{share_id(url)}", key=MAKER),
    ):
        assert (response.status, response.code) == (503, "state_unavailable")
    assert in_memory.revoke(url).status == 204


def test_what_one_asks_of_oss_is_counted(in_memory: System, oss: MemoryOss) -> None:
    """As docs/shares.md and docs/security.md say."""
    url = in_memory.create_share(max_uses=1, expires="60")
    use(in_memory, url)
    assert more(in_memory, url, max_uses=3).status == 200
    for number in range(3):
        oss.calls.clear()
        used = in_memory.restarted().use(url, f"nonce-EXAMPLE-{number:08}", accept=HTML["Accept"])
        assert used.status == (303 if number < 2 else 410)
        assert oss.calls.total() <= 8, oss.calls
    oss.calls.clear()
    assert in_memory.restarted().open(url, headers=JSON).status == 410
    assert oss.calls.total() <= 4, oss.calls
    oss.calls.clear()
    assert in_memory.restarted().shown(url)["state"] == "used_up"
    assert oss.calls.total() <= 4, oss.calls
