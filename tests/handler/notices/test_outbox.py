"""Notices wait in the outbox: when each is due, what becomes of it while links.toml changes, and what is dead."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from typing import Any
from unittest.mock import Mock, patch

import pytest
import requests

from handler.core.cloud.oss import REFUSED, OssClient, OssResponse, OssUnavailable, StoreError
from handler.core.cloud.store import Store
from handler.core.config import Location
from handler.core.context import Clock
from handler.core.keys import current
from handler.core.outbox import UNREAD, read_notice
from handler.notices import sender, sink_queue
from handler.notices.sink_queue import DEAD
from signer.times import parse_rfc3339
from tests.handler.notice_fixtures import (
    EventFunction,
    Receiver,
    created,
    created_at,
    links,
    notice,
    received_keys,
    record,
    respond,
)
from tests.local_oss import BUCKET

NAME = re.compile(
    r"outbox/ops/(?P<due>[0-9]{10})-[0-9]+-[0-9a-f]{32}(-[0-9]{10}-[0-9]+[lors][0-9]+)?"
)
DAY = 86_400
HAPPENED = 1772347543  # when the recorded event happened: 2026-03-01T06:45:43Z
# A rule that has nothing to do with the notices that wait.
ELSEWHERE = notice(["ops"], mount="/exampledir/")


def dues(function: EventFunction) -> list[int]:
    """When the notices that wait for the sink ops are due, in order."""
    matches = [NAME.fullmatch(name) for name in function.state_names("outbox/")]
    return [int(match["due"]) for match in matches if match]


def waiting_notice(**changes: Any) -> dict[str, Any]:
    """The content of an entry."""
    return {
        "on": "created",
        "mount": "/outbox/",
        "bucket": BUCKET,
        "key": "outbox/a.txt",
        "mark": "ETAG1",
        "give": "link",
        "version": None,
        "size": 1234,
        "happened_at": HAPPENED,
        "expires": None,
        "download": None,
        "digest": False,
        **changes,
    }


def put_entry(function: EventFunction, name: str, body: bytes, sink: str = "ops") -> None:
    function.state().replace(f"outbox/{sink}/{name}", body)


def dead_reasons(function: EventFunction, sink: str = "ops") -> dict[str, str]:
    """Why each dead notice is dead, by its name."""
    queue = function.queue(sink)
    return {entry.name: queue.reason(entry) for entry in queue.first(DEAD)}


def write_for_later(function: EventFunction, event: bytes) -> list[str]:
    """Writes the notices of an event while the sink ops is missing, and lets the failed try pass. Their names."""
    sink = function.sinks.pop("ops", None)
    assert function.invoke(event).error is None
    if sink is not None:
        function.sinks["ops"] = sink
    function.pass_time(60)
    return [name.rpartition("/")[2] for name in function.state_names("outbox/ops/")]


class TestNames:
    def test_an_entry_says_when_it_is_due_its_place_and_its_notice(
        self, function: EventFunction
    ) -> None:
        function.toml = notice(["ops"])
        keys = [f"outbox/{number}.txt" for number in range(12)]
        function.invoke(created(*keys))
        names = function.state_names("outbox/")
        assert dues(function) == [HAPPENED] * 12
        bodies = [json.loads(function.read(f".links/state/{name}")) for name in names]
        assert [body["key"] for body in bodies] == keys

    def test_the_same_event_again_writes_the_same_names(self, function: EventFunction) -> None:
        function.toml = notice(["ops"]) + notice(["ops"], give="share", every="1h")
        event = created("outbox/a.txt", "outbox/b.txt")
        function.invoke(event)
        names = function.state_names("outbox/")
        assert len(names) == 4
        function.pass_time(3600)
        function.invoke(event)
        assert function.state_names("outbox/") == names

    @pytest.mark.parametrize("ahead", [0, 3600, -3600])
    def test_without_a_time_a_notice_is_due_now_by_the_clock_of_oss(
        self, function: EventFunction, ahead: int
    ) -> None:
        function.toml = notice(["ops"], on="message")
        before = int(time.time())
        function.with_clock(wrong_clock(function, ahead)).invoke(links("/outbox/a.txt"))
        assert len(dues(function)) == 1
        assert before - 1 <= dues(function)[0] <= time.time()

    @pytest.mark.parametrize(
        ("every", "windows"),
        [
            (
                "1m",
                {
                    "2026-03-01T06:45:00Z": "2026-03-01T06:46:00Z",
                    "2026-03-01T06:45:43Z": "2026-03-01T06:46:00Z",
                },
            ),
            (
                "1d",
                {
                    "2026-03-01T06:45:43+08:00": "2026-03-01T00:00:00Z",
                    "2026-03-01T23:59:59Z": "2026-03-02T00:00:00Z",
                    "2026-03-02T00:00:00Z": "2026-03-03T00:00:00Z",
                },
            ),
        ],
    )
    def test_a_digest_is_due_at_the_end_of_its_window_in_utc(
        self, function: EventFunction, every: str, windows: dict[str, str]
    ) -> None:
        """Of events of several windows in one invocation, each at the end of its own."""
        function.toml = notice(["ops"], every=every)
        function.pass_time(90 * DAY)  # beyond the last of these times
        records = [
            record(f"outbox/{number}", eventTime=happened)
            for number, happened in enumerate(windows)
        ]
        function.invoke(json.dumps({"events": records}).encode())
        assert dues(function) == [parse_rfc3339(due) for due in windows.values()]


def wrong_clock(function: EventFunction, ahead: float) -> Clock:
    """The clock of an instance whose time of day is wrong, while that of OSS is right."""
    return function.clock.clock()._replace(now=lambda: time.time() + ahead)


def test_the_state_never_contains_a_link(function: EventFunction, hook: Receiver) -> None:
    function.add_sink("ops", hook)
    function.toml = notice(["ops"], every="1m") + notice(["ops"], give="share")
    hook.default = respond(500)
    function.invoke(created())
    function.pass_time(60)
    function.tick()
    keys = function.object_keys(".links/state/")
    assert any("/outbox/" in key for key in keys)
    assert not [
        key for key in keys if re.search(b"x-oss-signature|share=|https?:", function.read(key))
    ]


WRONG_TYPES: dict[str, list[Any]] = {
    "on": [None, 5, []],
    "mount": [None, {}],
    "bucket": [None, 1.5],
    "key": [None, ["outbox/a.txt"]],
    "mark": [None, 1],
    "give": [None, "form", 1],
    "version": [3, {}],
    "size": ["1234", 1.5, True],
    "happened_at": ["2026", 10**20, 10**400, float("nan"), float("inf"), True],
    "expires": ["20m", 1.5, False],
    "download": [1, []],
    "digest": [None, 1, "yes"],
}
UNREADABLE = [
    b"",
    b"not JSON",
    b"\xff\xfe{}",
    b"[]",
    b"null",
    b"1" * 5000,
    b"[" * 100_000,
    b"{}",
    b" " * 5_000_000,
    json.dumps(waiting_notice(extra="x" * 100_000)).encode(),
    json.dumps({"on": "created", "mount": "/outbox/"}).encode(),
    *(
        json.dumps(waiting_notice(**{name: each})).encode()
        for name, values in WRONG_TYPES.items()
        for each in values
    ),
]

# Types are right, and there is no such notice.
INVALID: list[dict[str, Any]] = [
    {"size": -1},
    {"size": 10**400},
    {"expires": 0},
    {"expires": -5},
    {"expires": 10**30},
    {"expires": 10**30, "give": "share"},
    *(
        {name: "outbox/\ud800"} for name in ("key", "mark", "on", "version", "download")
    ),  # half a surrogate pair
    {"version": ""},
    {"version": "a\r\nb"},
    {"key": "outbox/a\r\nb"},
    {"bucket": "Not A Bucket"},
    {"key": "outbox/"},
    {"happened_at": -(10**11)},
]
STRANGE_NAMES = [
    "readme.txt",
    "1772347543",
    f"1772347543-000000-{'a' * 31}",
    f"1772347543-000000-{'A' * 32}",
    f"17723475430-000000-{'a' * 32}",
    f"-000000-{'a' * 32}",
    f"1772347543-000000-{'a' * 32} (1)",
    f"1772347543-000000-{'a' * 32}.json",
    f"१७७२३४७५४३-000000-{'a' * 32}",
    "報告 100%+b%20&<>",
    "~" * 200,
]
GOOD = [f"outbox/good-{number}.txt" for number in range(3)]


def test_no_notice_is_read_from_a_body_that_is_none() -> None:
    assert read_notice(json.dumps(waiting_notice()).encode()).key == "outbox/a.txt"
    assert [body[:80] for body in UNREADABLE if read_notice(body) is not UNREAD] == []


class TestWhatCannotBeRead:
    def prepare(self, function: EventFunction, hook: Receiver) -> None:
        function.add_sink("ops", hook)
        function.toml = notice(["ops"])
        write_for_later(function, created(*GOOD))

    def test_entries_that_cannot_be_read_are_dead_under_their_names_and_block_nobody(
        self, function: EventFunction, hook: Receiver
    ) -> None:
        self.prepare(function, hook)
        names = [f"{HAPPENED}-{place:06}-{'a' * 32}" for place in range(len(UNREADABLE))]
        for name, body in [
            *zip(names, UNREADABLE, strict=True),
            *((each, b"{}") for each in STRANGE_NAMES),
        ]:
            put_entry(function, name, body)
        names += STRANGE_NAMES
        outcomes = [function.tick() for _ in range(2)]
        assert outcomes[0].summary["notices"] == 3
        assert received_keys(hook) == Counter(GOOD)
        assert function.state_names("outbox/") == []
        assert function.state_names("dead/") == sorted(f"dead/ops/{name}" for name in names)
        assert set(dead_reasons(function).values()) == {"unreadable"}

    def test_entries_of_invalid_values_block_nobody(
        self, function: EventFunction, hook: Receiver
    ) -> None:
        self.prepare(function, hook)
        for place, changes in enumerate(INVALID):
            body = json.dumps(waiting_notice(**changes)).encode()
            put_entry(function, f"{HAPPENED}-000000-{place:032x}", body)
        function.tick()
        function.pass_time(4 * DAY)
        for _ in range(3):  # of those without a link, few at a time
            function.tick()
        received = received_keys(hook)
        assert [received[key] for key in GOOD] == [1, 1, 1]
        assert function.state_names("outbox/") == []

    @pytest.mark.parametrize("name", ["..", "a\nb", "\x01"])
    def test_an_entry_whose_name_no_request_can_carry_blocks_nobody(
        self, function: EventFunction, hook: Receiver, name: str
    ) -> None:
        self.prepare(function, hook)
        function.memory.fill({f".links/state/outbox/ops/{name}": b""})
        function.tick()
        assert received_keys(hook) == Counter(GOOD)

    def test_objects_that_are_no_entries_of_a_sink_are_left_alone(
        self, function: EventFunction, hook: Receiver
    ) -> None:
        self.prepare(function, hook)
        others = [
            "outbox/file",
            "outbox/ops/folder/file",
            "outbox/a name/entry",
            f"outbox/{'x' * 70}/entry",
        ]
        for name in others:
            function.state().replace(name, b"{}")
        function.put(".links/state/outbox/ops/", b"")  # a folder as consoles make it
        summary = function.tick().summary
        assert (summary["notices"], list(summary["waiting"])) == (3, ["ops"])
        assert set(function.state_names("outbox/")) >= set(others)

    @pytest.mark.parametrize("ending", ["1772347543-3", "1772347543-3s", "1772347543-3x9-later"])
    def test_an_entry_with_the_ending_of_another_version_counts_as_one_that_never_failed(
        self, function: EventFunction, hook: Receiver, ending: str
    ) -> None:
        function.add_sink("ops", hook)
        function.toml = notice(["ops"])
        name = f"{HAPPENED}-000000-{'a' * 32}"
        put_entry(function, f"{name}-{ending}", json.dumps(waiting_notice()).encode())
        hook.responses = [respond(500)]
        assert "dead" not in function.tick().summary
        assert [(each.id, each.tries) for each in function.queue().first()] == [("a" * 32, 1)]
        function.pass_time(70)
        function.tick()
        assert received_keys(hook) == Counter({"outbox/a.txt": 2})
        assert function.state_names("outbox/") + function.state_names("dead/") == []

    def test_a_member_more_is_ignored_and_survives_among_the_dead(
        self, function: EventFunction, hook: Receiver
    ) -> None:
        self.prepare(function, hook)
        sent, dead_lettered = (f"{HAPPENED}-00000{number}-{str(number) * 32}" for number in (1, 2))
        put_entry(function, sent, json.dumps(waiting_notice(colour="blue")).encode())
        put_entry(
            function,
            dead_lettered,
            json.dumps(waiting_notice(mount="/gone/", colour={"is": "red"})).encode(),
        )
        assert function.tick().summary["notices"] == 4
        assert received_keys(hook)["outbox/a.txt"] == 1
        function.pass_time(4 * DAY)
        function.tick()
        document = {
            **waiting_notice(mount="/gone/"),
            "colour": {"is": "red"},
            "reason": "mount_changed",
        }
        assert (
            json.loads(function.read(f".links/state/{function.state_names('dead/')[0]}"))
            == document
        )
        outbox = function.queue()
        outbox.requeue(*outbox.first(DEAD))
        assert (
            json.loads(function.read(f".links/state/{function.state_names('outbox/')[0]}"))
            == document
        )


DROP = (
    '\n[[mount]]\npath = "/drop/"\ntarget = "oss://examplebucket/wide/drop/"\nmax_share = "30d"\n'
)
CHECKED = DROP + "check = true\n"
MOUNTS = {
    "removed": "",
    "narrowed": DROP.replace("wide/drop/", "wide/drop/in/"),
    "GET withdrawn": DROP + 'methods = ["PUT"]\nmax_size = "1MB"\n',
    "hidden by a longer path": DROP + DROP.replace("/drop/", "/drop/a/"),
    "shares withdrawn": DROP.replace('max_share = "30d"', ""),
    "codes required": DROP + "require_password = true\n",
}
LOOKS: dict[
    str, OssResponse | Exception
] = {  # only NoSuchKey, NoSuchVersion and a delete marker say that it is gone
    "forbidden": OssResponse(403, {}, b"", "AccessDenied"),
    "no bucket": OssResponse(404, {}, b"", "NoSuchBucket"),
    "a 404 that is not OSS's": OssResponse(404, {}, b"", ""),
    "archived": OssResponse(200, {"x-oss-storage-class": "Archive"}, b"", ""),
    "unreachable": OssUnavailable("OSS cannot be reached."),
}
SHARES = (
    "removed",
    "hidden by a longer path",
    "shares withdrawn",
    "codes required",
    "no_share_key",
    "public_url_required",
)
NO_LINK = [
    *((case, "share") for case in SHARES),
    *((case, "link") for case in ("narrowed", "GET withdrawn", *LOOKS)),
]


def break_links(case: str, function: EventFunction, monkeypatch: pytest.MonkeyPatch) -> str:
    """From now on, the mount /drop/ gives no link. Returns the reason."""
    if case in MOUNTS:
        function.toml = MOUNTS[case] + ELSEWHERE
        return "mount_changed"
    if case in LOOKS:
        look, head = Mock(side_effect=[LOOKS[case]] * 100), OssClient.head
        monkeypatch.setattr(
            OssClient,
            "head",
            lambda self, at, *query: (look if at.key[0] == "w" else head)(self, at, *query),
        )
        return "object_archived" if case == "archived" else "oss_unavailable"
    if case == "no_share_key":
        read = current.current_keys
        monkeypatch.setattr(
            current, "current_keys", lambda invocation: read(invocation)._replace(share=())
        )
    else:
        config = function.config._replace(public_url=None)
        monkeypatch.setattr(type(function), "config", config)
    return case


class TestNoticesThatGetNoLink:
    """Whatever the reason is, such a notice waits by itself until `retry_for`, since it may be repaired."""

    STUCK = tuple(f"wide/drop/{number:02}.txt" for number in range(25))

    @pytest.fixture(autouse=True)
    def sink(self, function: EventFunction, hook: Receiver) -> None:
        function.add_sink("ops", hook)
        function.go_to(3)  # a tick at the very end of a lease has no time

    @pytest.mark.parametrize(("case", "give"), NO_LINK)
    def test_each_reason_lets_a_notice_wait_longer_and_longer_and_others_be_sent(
        self,
        function: EventFunction,
        hook: Receiver,
        monkeypatch: pytest.MonkeyPatch,
        case: str,
        give: str,
    ) -> None:
        function.toml = CHECKED + notice(["ops"], mount="/drop/", give=give) + notice(["ops"])
        function.put("wide/drop/a/b.txt")
        records = [record("wide/drop/a/b.txt"), record("outbox/a.txt")]
        if give == "link":
            records[0]["oss"]["object"]["versionId"] = "CAEQ_EXAMPLE"
        write_for_later(function, json.dumps({"events": records}).encode())
        reason = break_links(case, function, monkeypatch)
        began = time.time() - 60
        for wait in (60, 120, 240, 480, 900, 900):
            summary = function.tick().summary
            assert summary["failed"] == [{"sink": "ops", "code": reason}]
            assert summary["waiting"]["ops"]["notices"] == 1
            assert abs(summary["waiting"]["ops"]["oldest"] - (time.time() - began)) < 10
            (due,) = dues(function)
            assert abs(due - time.time() - wait) < 10
            function.pass_time(wait - 20)
            assert "failed" not in function.tick().summary
            function.pass_time(30)
        assert received_keys(hook) == Counter(["outbox/a.txt"])
        function.pass_time(3 * DAY)
        assert function.tick().summary["dead"] == [{"sink": "ops", "code": reason, "notices": 1}]
        assert function.state_names("outbox/") == []
        assert list(dead_reasons(function).values()) == [reason]

    def test_others_behind_a_page_of_them_are_sent_first(
        self, function: EventFunction, hook: Receiver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of what failed before, three are tried, so that the rest costs nothing."""
        monkeypatch.setattr(sender, "PAGE", 10)
        break_links("forbidden", function, monkeypatch)
        function.toml = CHECKED + notice(["ops"], mount="/drop/") + notice(["ops"])
        function.invoke(created(*self.STUCK))
        function.pass_time(90)
        write_for_later(function, created_at(time.time(), "outbox/a.txt"))
        function.tick()
        assert received_keys(hook) == Counter(["outbox/a.txt"])
        tries = [entry.tries for entry in function.queue().first()]
        assert Counter(tries) == {1: len(self.STUCK) - 3, 2: 3}


class TestMountsThatChange:
    def test_a_share_lasts_no_longer_than_the_mount_allows_now(
        self, function: EventFunction, hook: Receiver
    ) -> None:
        function.add_sink("ops", hook)
        function.toml = DROP + notice(["ops"], mount="/drop/", give="share", expires="20d")
        write_for_later(function, created("wide/drop/a.txt"))
        function.toml = DROP.replace("30d", "1h") + ELSEWHERE
        function.tick()
        expires_at = parse_rfc3339(hook.received[0].json["data"]["expires_at"])
        assert expires_at is not None
        assert 3590 <= expires_at - time.time() <= 3600

    def test_a_notice_is_sent_with_the_mount_of_today(
        self, wired: EventFunction, hook: Receiver
    ) -> None:
        wired.add_sink("ops", hook)
        wired.put("wide/drop/a.txt", b"the bytes")
        wired.toml = DROP + notice(["ops"], mount="/drop/")
        write_for_later(wired, created("wide/drop/a.txt"))
        wired.toml = DROP.replace("wide/drop/", "wide/") + ELSEWHERE
        wired.tick()
        (data,) = [request.json["data"] for request in hook.received]
        assert (data["path"], data["key"]) == ("/drop/drop/a.txt", "wide/drop/a.txt")
        assert requests.get(data["url"], timeout=10).content == b"the bytes"


class TestRulesThatChange:
    """What waits is sent as it says itself, whatever the rule says by then."""

    def wait(self, function: EventFunction, hook: Receiver, **keys: str) -> None:
        function.add_sink("ops", hook)
        function.toml = notice(["ops"], **keys)
        write_for_later(function, created())

    def send(self, function: EventFunction, hook: Receiver) -> dict[str, Any]:
        """The only message, although the timer fires three times."""
        for _ in range(3):
            function.tick()
            function.pass_time(60)
        (request,) = hook.received
        assert function.state_names("outbox/") == []
        data: dict[str, Any] = request.json["data"]
        return data

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ({"expires": "20m"}, {"expires": "5m", "give": "share"}),
            ({"give": "share"}, {"give": "link", "every": "1d"}),
        ],
    )
    def test_expires_give_and_every_of_what_was_due_at_once(
        self, function: EventFunction, hook: Receiver, before: dict[str, str], after: dict[str, str]
    ) -> None:
        self.wait(function, hook, **before)
        function.toml = notice(["ops"], **after)
        data = self.send(function, hook)
        assert (data["key"], data["give"]) == ("outbox/a.txt", before.get("give", "link"))
        assert "expires" not in before or "x-oss-expires=1200" in data["url"]

    @pytest.mark.parametrize(
        ("before", "after", "is_sent"),
        [
            ({}, {"every": "1m"}, True),
            ({}, {"every": "1m"}, False),
            ({"expires": "20m"}, {"expires": "5m"}, True),
        ],
    )
    def test_every_or_expires_of_an_event_that_comes_again(
        self,
        function: EventFunction,
        hook: Receiver,
        before: dict[str, str],
        after: dict[str, str],
        is_sent: bool,
    ) -> None:
        self.wait(function, hook, **before)
        if is_sent:
            function.tick()
        function.toml = notice(["ops"], **after)
        function.invoke(created())
        self.send(function, hook)

    @pytest.mark.parametrize(
        "toml", ["", notice(["manifest"])], ids=["no rule", "only a sink in OSS"]
    )
    def test_to_while_no_rule_has_a_webhook(
        self, function: EventFunction, hook: Receiver, toml: str
    ) -> None:
        """The function has no rights to look at the outbox then."""
        self.wait(function, hook)
        function.toml = toml
        assert function.tick().summary["waiting"] == {}
        function.toml = ELSEWHERE
        self.send(function, hook)


@pytest.mark.parametrize("give", ["link", "share"])
def test_an_object_that_was_deleted_is_not_sent_where_the_mount_checks(
    function: EventFunction, hook: Receiver, give: str
) -> None:
    function.add_sink("ops", hook)
    function.toml = CHECKED + notice(["ops"], mount="/drop/", give=give)
    function.put("wide/drop/b.txt")
    write_for_later(function, created("wide/drop/a.txt", "wide/drop/b.txt"))
    outcome = function.tick()
    assert received_keys(hook) == Counter(["wide/drop/b.txt"])
    assert outcome.summary["reasons"] == {"unlinkable": 1}
    assert function.state_names("outbox/") == function.state_names("dead/") == []


def test_a_share_of_an_app_package_waits_until_the_mount_allows_it(
    function: EventFunction, hook: Receiver
) -> None:
    function.add_sink("ops", hook)
    function.toml = DROP + notice(["ops"], mount="/drop/", give="share")
    function.put("wide/drop/app.apk")
    write_for_later(function, created("wide/drop/app.apk"))
    assert function.tick().summary["failed"] == [{"sink": "ops", "code": "app_package_domain"}]
    assert hook.received == []
    function.toml = f"{DROP}app_packages = true\n" + notice(["ops"], mount="/drop/", give="share")
    function.pass_time(3600)
    function.tick()
    assert received_keys(hook) == Counter(["wide/drop/app.apk"])


class TestVersions:
    """The objects are in a bucket with versions, the state in one without."""

    TOML = (
        '\n[[mount]]\npath = "/data/"\ntarget = "oss://databucket/in/"\nmax_share = "30d"\n'
        '\n[[mount]]\npath = "/checked/"\ntarget = "oss://databucket/checked/"\ncheck = true\n'
    )

    def put(self, wired: EventFunction, key: str, content: bytes) -> str:
        """Writes a version; its id."""
        location = Location("databucket", key)
        return wired.oss.client.put(location, content, content_type="text/plain").headers[
            "x-oss-version-id"
        ]

    def event(self, key: str, version: str) -> bytes:
        created = record(key)
        created["oss"]["bucket"]["name"] = "databucket"
        created["oss"]["object"]["versionId"] = version
        return json.dumps({"events": [created]}).encode()

    @pytest.fixture(autouse=True)
    def bucket(self, wired: EventFunction, hook: Receiver) -> None:
        wired.oss.bucket("databucket").change(versioning="Enabled")
        wired.add_sink("ops", hook)

    def test_a_link_opens_the_version_that_was_reported(
        self, wired: EventFunction, hook: Receiver
    ) -> None:
        wired.toml = self.TOML + notice(["ops"], mount="/data/")
        first = self.put(wired, "in/a.txt", b"first")
        write_for_later(wired, self.event("in/a.txt", first))
        second = self.put(wired, "in/a.txt", b"second")
        wired.invoke(self.event("in/a.txt", second))
        wired.tick()
        data = {
            request.json["data"]["version"]: request.json["data"]["url"]
            for request in hook.received
        }
        contents = {version: requests.get(url, timeout=10).content for version, url in data.items()}
        assert contents == {first: b"first", second: b"second"}

    def test_a_version_that_was_deleted_is_not_sent_where_the_mount_checks(
        self, wired: EventFunction, hook: Receiver
    ) -> None:
        wired.toml = self.TOML + notice(["ops"], mount="/checked/")
        versions = [self.put(wired, "checked/a.txt", content) for content in (b"first", b"second")]
        write_for_later(wired, self.event("checked/a.txt", versions[0]))
        location = Location("databucket", "checked/a.txt")
        assert wired.oss.client.request("DELETE", location, query={"versionId": versions[0]}).ok
        wired.invoke(self.event("checked/a.txt", versions[1]))
        wired.tick()
        assert [request.json["data"]["version"] for request in hook.received] == versions[1:]


class TestTicksThatCannotRead:
    """A tick says what waits only where it read that, so that its absence is an alarm."""

    @pytest.mark.parametrize(("folder", "sent"), [("outbox/", 0), ("dead/", 1)])
    def test_a_folder_that_cannot_be_listed_is_a_failure_and_stops_nothing_else(
        self, function: EventFunction, hook: Receiver, folder: str, sent: int
    ) -> None:
        function.add_sink("ops", hook)
        function.toml = notice(["ops"])
        write_for_later(function, created())
        pages = Store._pages

        def refuse(store: Store, prefix: Location, *options: Any) -> Any:
            if prefix.key == f".links/state/{folder}":
                raise StoreError("ListObjects", 403, REFUSED, "AccessDenied (a missing permission)")
            return pages(store, prefix, *options)

        with patch.object(Store, "_pages", refuse):
            outcome = function.tick()
        assert "waiting" not in outcome.line
        assert outcome.summary["failed"] == [
            {"sink": folder.rstrip("/"), "code": "state_unavailable"}
        ]
        assert outcome.line["cause"] == "ListObjects: 403 AccessDenied (a missing permission)"
        assert (outcome.summary["notices"], len(hook.received)) == (sent, sent)
        assert set(function.tick().line["waiting"]) <= {"ops"}

    def test_the_dead_of_all_sinks_are_counted_in_one_page(
        self, function: EventFunction, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Only entries of a sink are counted: no folder that a console made, and nothing below one."""
        function.toml = notice(["ops"])
        names = [
            "",
            "chat/",
            "file",
            "ops/folder/file",
            *(f"{sink}/{n}" for sink in ("chat", "ops") for n in range(3)),
        ]
        function.fill({f".links/state/dead/{name}": b"{}" for name in names})
        report: dict[str, dict[str, object]] = {
            sink: {"notices": 0, "oldest": 0, "dead": 3} for sink in ("chat", "ops")
        }
        assert function.tick().summary["waiting"] == report
        monkeypatch.setattr(sink_queue, "PAGE", 8)
        report["ops"] = {"notices": 0, "oldest": 0, "dead": "2+"}
        assert function.tick().summary["waiting"] == report
