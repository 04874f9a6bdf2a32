"""`python -m handler.commands notices`: what an operator sees of the outbox, and does to it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from handler.commands import notices as command
from handler.core.cloud.oss import OssClient, OssResponse
from handler.core.cloud.store import Store
from handler.core.config import Location
from handler.core.context import Clock
from handler.core.outbox import WAITING, Delivery, read_delivery
from handler.notices.sink_queue import DEAD, Pause, SinkQueue, sink_lease
from signer.times import format_timestamp
from tests.handler.core.keys.command import ENVIRONMENT, Result, Terminal
from tests.handler.notice_fixtures import HEAD, EventFunction, event_function, notice, receiver
from tests.handler.simulation import use_pages_of
from tests.local_oss import BUCKET
from tests.system import STATE

ROOT = Path(__file__).parents[3]
NOTHING = "No notices wait, and none are dead.\n"
FULL = pytest.mark.skipif(not os.path.exists("/dev/full"), reason="only Linux has /dev/full")

PREFIX = f"oss://examplebucket/{STATE}"


class NoticesCli:
    """The command, for the outbox of an event function."""

    def __init__(self, function: EventFunction, capsys: pytest.CaptureFixture[str]) -> None:
        self.function = function
        self._capsys = capsys
        self.environment = {
            "LINK_CONFIG": str(function.folder / "links.toml"),
            **ENVIRONMENT,
            "LINK_OSS_ENDPOINT": function.oss.url,
        }
        Path(self.environment["LINK_CONFIG"]).write_text(HEAD)

    def run(self, *arguments: str, clock: Clock | None = None) -> Result:
        self._capsys.readouterr()
        with patch.dict(os.environ, self.environment, clear=True):
            try:
                status = command.main(arguments, clock=clock or self.function.clock.clock())
            except SystemExit as exit_:
                status = int(str(exit_.code))
        return Result(status, *self._capsys.readouterr())

    def add(
        self,
        sink: str,
        count: int = 1,
        folder: str = WAITING,
        *,
        due: int = 1_772_000_000,
        reason: str | None = None,
    ) -> list[Delivery]:
        """Writes entries, which are read only where their content matters."""
        body = json.dumps({"reason": reason} if reason else {}).encode()
        entries = [
            read_delivery(sink, f"{due:010}-{place:06}-{place:032x}", due) for place in range(count)
        ]
        self.put(body, *(f"{folder}/{sink}/{entry.name}" for entry in entries))
        return entries

    def put(self, body: bytes, *names: str) -> None:
        self.function.fill({STATE + name: body for name in names})

    def pause(self, sink: str, seconds: int = 300) -> str:
        """Pauses a sink from now on. The name of the object."""
        self.function.queue(sink).put_pause(Pause(int(self.function.oss.clock.now()) + seconds, 3))
        return f"pause/{sink}"

    def names(self, folder: str = "") -> list[str]:
        return self.function.state_names(folder)


@pytest.fixture
def wired(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[NoticesCli]:
    """The command, for an outbox in the local OSS."""
    with event_function(tmp_path, is_wired=True) as function:
        yield NoticesCli(function, capsys)


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[NoticesCli]:
    with event_function(tmp_path) as function:
        yield NoticesCli(function, capsys)


def refuse(method: str, code: str = "AccessDenied", after: int = 0) -> Any:
    """OSS refuses the requests of a method, of which `after` are still accepted."""
    send, requests = OssClient.request, []

    def request(
        client: OssClient, requested: str, location: Location, **options: Any
    ) -> OssResponse:
        if requested == method:
            requests.append(location)
            if len(requests) > after:
                return OssResponse(403, {}, b"", code)
        return send(client, requested, location, **options)

    return patch.object(OssClient, "request", request)


class TestList:
    def test_an_empty_outbox_is_a_sentence(self, cli: NoticesCli) -> None:
        assert cli.run("list") == (0, NOTHING, "")
        assert cli.run("list", "--sink", "ops") == (
            0,
            "No notices of ops wait, and none are dead.\n",
            "",
        )

    def test_it_shows_what_waits_what_is_not_due_and_what_is_dead_for_each_sink(
        self, cli: NoticesCli
    ) -> None:
        cli.add("ops", 12)
        cli.function.pass_time(3 * 3600 + 300)
        cli.add("ops", 40, due=4_102_444_800)
        cli.add("team", 2, DEAD, reason="status_500")
        cli.add("team", 1, DEAD, due=1_772_000_001, reason="mount_changed")
        assert cli.run("list") == (
            0,
            "ops:\n"
            "  waiting: 12, the oldest for 3 hours 5 minutes\n"
            "  not due yet: 40, the first at 2100-01-01 00:00:00 UTC\n"
            "team:\n"
            "  dead: 3 (status_500: 2, mount_changed: 1)\n",
            "",
        )
        before = cli.names()
        assert (
            cli.run("list", "--sink", "team").out
            == "team:\n  dead: 3 (status_500: 2, mount_changed: 1)\n"
        )
        assert cli.names() == before

    def test_what_cannot_be_read_is_counted_also_of_a_sink_that_no_document_names(
        self, cli: NoticesCli
    ) -> None:
        for number, body in enumerate((b"not JSON", b"[1]", b'{"reason": 5}', b"")):
            cli.put(body, f"dead/gone/strange name {number}")
        cli.put(b"not JSON", "outbox/gone/strange name")
        name, waiting, dead = cli.run("list").out.splitlines()
        assert (name, dead) == ("gone:", "  dead: 4 (unreadable: 4)")
        assert re.fullmatch(r"  waiting: 1, the oldest for \d seconds?", waiting)

    def test_the_reason_of_a_foreign_object_cannot_control_a_terminal_or_fill_it(
        self, cli: NoticesCli
    ) -> None:
        cli.put(json.dumps({"reason": "\x1b[2J" + "x" * 1000}).encode(), "dead/ops/1")
        result = cli.run("list")
        assert all(line.isprintable() and len(line) < 100 for line in result.out.splitlines())
        assert result.out.startswith("ops:\n  dead: 1 (\\u001b[2Jxxx")

    def test_what_waits_is_counted_up_to_1000(self, cli: NoticesCli) -> None:
        cli.add("ops", 1001)
        assert cli.run("list").out.startswith("ops:\n  waiting: 1000+, the oldest for ")

    def test_everything_is_counted_up_to_one_page(
        self, cli: NoticesCli, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use_pages_of(10, monkeypatch)
        cli.add("ops", 4)
        cli.add("ops", 9, due=4_102_444_800)
        cli.add("team", 12, due=4_102_444_800)
        cli.add("team", 11, DEAD, reason="status_500")
        lines = cli.run("list").out.splitlines()
        assert lines[1].startswith("  waiting: 4, the oldest for ")
        assert lines[2:] == [
            "  not due yet: 6+, the first at 2100-01-01 00:00:00 UTC",
            "team:",
            "  not due yet: 10+, the first at 2100-01-01 00:00:00 UTC",
            "  dead: 10+ (of the first 10, status_500: 10)",
        ]

    def test_it_shows_until_when_a_sink_is_paused(self, cli: NoticesCli) -> None:
        cli.pause("ops", 300)
        cli.add("ops", 1, DEAD, reason="status_500")
        pause = cli.function.queue().pause()
        assert pause
        paused = f"  paused until {format_timestamp(pause.until)} (failures in a row: 3)\n"
        dead = "ops:\n  dead: 1 (status_500: 1)\n"
        assert cli.run("list").out == dead + paused
        cli.function.pass_time(302)
        assert cli.run("list").out == dead


@pytest.mark.parametrize(("command", "done"), [("retry", "due again"), ("drop --yes", "deleted")])
class TestTheDead:
    def test_of_one_sink_and_of_all(self, cli: NoticesCli, command: str, done: str) -> None:
        cli.add("one", 1, DEAD)
        cli.add("ops", 2, DEAD)
        cli.add("team", 1, DEAD)
        waiting = f"outbox/team/{cli.add('team', 1, due=4_102_444_800)[0].name}"
        assert cli.run(*command.split(), "--sink", "one") == (
            0,
            f"one: 1 dead notice {done} in {PREFIX}.\n",
            "",
        )
        assert [name.split("/")[1] for name in cli.names(DEAD)] == ["ops", "ops", "team"]
        result = cli.run(*command.split())
        assert result == (
            0,
            f"ops: 2 dead notices {done} in {PREFIX}.\nteam: 1 dead notice {done} in {PREFIX}.\n",
            "",
        )
        assert cli.names(DEAD) == []
        names = cli.names()
        assert (waiting in names, len(names)) == (True, 5 if command == "retry" else 1)
        assert cli.run(*command.split()) == (0, f"There are no dead notices in {PREFIX}.\n", "")
        assert cli.run(*command.split(), "--sink", "ops") == (
            0,
            f"There are no dead notices of ops in {PREFIX}.\n",
            "",
        )
        assert cli.names() == names

    def test_of_more_than_one_page(
        self, cli: NoticesCli, command: str, done: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        use_pages_of(10, monkeypatch)
        cli.add("ops", 33, DEAD)
        assert cli.run(*command.split()).out == f"ops: 33 dead notices {done} in {PREFIX}.\n"
        assert (len(cli.names(WAITING)), cli.names(DEAD)) == (33 if command == "retry" else 0, [])

    def test_it_neither_waits_for_those_who_send_nor_stops_them(
        self, cli: NoticesCli, command: str, done: str
    ) -> None:
        cli.add("ops", 1, DEAD)
        state = cli.function.state()
        state.now()
        holder = sink_lease(state, "ops")
        assert holder.acquire()
        leases = cli.names("lease/")
        assert cli.run(*command.split()).out == f"ops: 1 dead notice {done} in {PREFIX}.\n"
        assert (cli.names("lease/"), cli.function.clock.moved) == (leases, 0)
        assert holder.has_time()


class TestRetry:
    def test_each_begins_anew_under_a_name_that_is_never_used_again(self, cli: NoticesCli) -> None:
        """Also if it dies again within the same second."""
        names = [f"1772000000-000007-{'a' * 32}-1771000000-30s"]
        cli.put(b"{}", f"dead/ops/{names[0]}")
        for _ in range(3):
            assert cli.run("retry").status == 0
            (entry,) = cli.function.queue().first()
            assert (entry.position, entry.id, entry.tries) == ("000007", "a" * 32, 0)
            assert abs(entry.since - cli.function.oss.clock.now()) < 10
            names.append(entry.name)
            assert cli.function.queue().dead_letter(entry, "status_500")
        assert len(set(names)) == 4

    def test_it_ends_although_others_die_meanwhile(self, cli: NoticesCli) -> None:
        cli.add("ops", 3, DEAD)
        requeue = SinkQueue.requeue

        def requeue_and_die(queue: SinkQueue, entry: Delivery) -> None:
            requeue(queue, entry)
            cli.put(b"{}", f"dead/ops/{entry.name}", f"dead/ops/2000000000-000000-{entry.id}")

        with patch.object(SinkQueue, "requeue", requeue_and_die):
            assert cli.run("retry").out == f"ops: 3 dead notices due again in {PREFIX}.\n"
        assert len(cli.names(DEAD)) == 6

    @pytest.mark.parametrize("name", ["strange", f"1772000000-000000-{'a' * 32}"])
    def test_what_cannot_be_read_is_dead_again_and_never_lost(
        self, cli: NoticesCli, name: str
    ) -> None:
        cli.put(b"not JSON", f"dead/ops/{name}")
        copy = Store.copy

        def copy_while_the_timer_fires(state: Store, source: str, target: str) -> bool:
            is_copied = copy(state, source, target)
            if target.startswith(WAITING):
                cli.function.tick()
            return is_copied

        with receiver() as hook:
            cli.function.add_sink("ops", hook)
            cli.function.toml = notice(["ops"])
            for call in (copy_while_the_timer_fires, copy):
                with patch.object(Store, "copy", call):
                    assert cli.run("retry").out == f"ops: 1 dead notice due again in {PREFIX}.\n"
            # What is due again within the same second is due in the next one.
            cli.function.pass_time(2)
            cli.function.tick()
        assert cli.names(WAITING) == []
        assert cli.run("list").out == "ops:\n  dead: 1 (unreadable: 1)\n"

    def test_a_sink_that_was_paused_is_tried_at_once(self, cli: NoticesCli) -> None:
        pauses = [cli.pause(sink) for sink in ("ops", "team")]
        cli.add("ops", 1, DEAD)
        assert cli.run("retry").out == f"ops: 1 dead notice due again in {PREFIX}.\n"
        assert cli.names("pause/") == pauses[1:]
        assert (
            cli.run("retry", "--sink", "team").out
            == f"There are no dead notices of team in {PREFIX}.\n"
        )
        assert cli.names("pause/") == []


class TestDrop:
    def test_it_says_what_it_would_delete_and_asks(self, cli: NoticesCli) -> None:
        cli.add("ops", 2)
        asked = f"Delete 2 waiting notices of ops in {PREFIX}? [y/N] "
        command = ("drop", "--waiting", "--sink", "ops")
        assert (cli.run(*command).status, len(cli.names())) == (2, 2)
        with patch.object(sys, "stdin", Terminal("\n")):
            refused = cli.run(*command)
        assert (refused.status, refused.err.startswith(asked), len(cli.names())) == (1, True, 2)
        assert "Nothing was deleted." in refused.err
        with patch.object(sys, "stdin", Terminal("y\n")):
            assert cli.run(*command) == (0, f"ops: 2 waiting notices deleted in {PREFIX}.\n", asked)
        assert cli.names() == []

    def test_it_deletes_what_waits_for_one_sink_digests_included_and_leaves_its_pause(
        self, cli: NoticesCli
    ) -> None:
        pause = cli.pause("ops")
        cli.add("ops", 2)
        cli.add("ops", 1, due=4_102_444_800)
        (dead,) = cli.add("ops", 1, DEAD)
        (team,) = cli.add("team")
        result = cli.run("drop", "--waiting", "--sink", "ops", "--yes")
        assert result == (0, f"ops: 3 waiting notices deleted in {PREFIX}.\n", "")
        assert cli.names() == [f"dead/ops/{dead.name}", f"outbox/team/{team.name}", pause]
        assert (
            cli.run("drop", "--waiting", "--sink", "ops", "--yes").out
            == f"There are no waiting notices of ops in {PREFIX}.\n"
        )


class TestFaults:
    @pytest.mark.parametrize(
        "arguments",
        [
            (),
            ("show",),
            ("list", "--waiting"),
            ("drop", "--waiting"),
            ("retry", "--waiting", "--sink", "ops"),
            ("drop", "--sink", "../lease"),
            ("drop", "--sink", "n" * 65),
        ],
    )
    def test_invalid_usage_exits_with_2_and_changes_nothing(
        self, cli: NoticesCli, arguments: tuple[str, ...]
    ) -> None:
        cli.add("ops", 1, DEAD)
        before = cli.names()
        result = cli.run(*arguments)
        assert (result.status, result.out) == (2, "")
        assert result.err
        assert cli.names() == before

    @pytest.mark.parametrize(
        ("changes", "status", "sentence"),
        [
            (
                {"LINK_CONFIG": "stateless"},
                2,
                "links.toml does not name a state prefix. Add state = … to it.",
            ),
            ({"LINK_CONFIG": "none.toml"}, 2, "none.toml"),
            (
                {"OSS_ACCESS_KEY_SECRET": "wrongEXAMPLE"},
                1,
                "ListObjects: 403 SignatureDoesNotMatch.",
            ),
            ({"OSS_ACCESS_KEY_ID": ""}, 1, "OSS_ACCESS_KEY_ID"),
            (
                {"LINK_OSS_ENDPOINT": "http://127.0.0.1:9"},
                1,
                f"notices: oss://{BUCKET}/{STATE} cannot be used: OSS cannot be reached (the connection was "
                "refused).\n",
            ),
        ],
    )
    def test_a_wrong_environment_is_a_sentence(
        self,
        wired: NoticesCli,
        changes: dict[str, str],
        status: int,
        sentence: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.chdir(wired.function.folder)
        Path("stateless").write_text(
            HEAD.replace("state = ", "# state = ").replace("max_share", "# max_share")
        )
        wired.environment |= changes
        result = wired.run("list")
        assert (result.status, result.out, result.err.count("\n")) == (status, "", 1)
        assert sentence in result.err
        assert "wrongEXAMPLE" not in result.err

    @pytest.mark.parametrize(
        ("arguments", "method", "operation"),
        [
            (("list",), "GET", "ListObjects"),
            (("retry",), "PUT", "CopyObject"),
            (("drop", "--yes"), "DELETE", "DeleteObject"),
            (("drop", "--waiting", "--sink", "ops", "--yes"), "DELETE", "DeleteObject"),
        ],
    )
    def test_a_missing_permission_is_named(
        self, cli: NoticesCli, arguments: tuple[str, ...], method: str, operation: str
    ) -> None:
        cli.add("ops", 1)
        cli.add("ops", 1, DEAD, due=1_772_000_001)
        before = cli.names(DEAD)
        with refuse(method):
            result = cli.run(*arguments)
        assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
        assert (
            f"cannot be used: {operation}: 403 AccessDenied (a missing permission)." in result.err
        )
        assert cli.names(DEAD) == before

    def test_after_a_failure_it_says_what_was_done_before(self, cli: NoticesCli) -> None:
        cli.add("ops", 50, DEAD)
        with refuse("DELETE", after=30):
            result = cli.run("drop", "--yes")
        assert result.status == 1
        assert result.out == f"ops: 30 dead notices deleted in {PREFIX}.\n"
        assert "DeleteObject: 403" in result.err
        assert len(cli.names()) == 20

    def test_after_an_interrupt_it_says_what_was_done_before(self, cli: NoticesCli) -> None:
        cli.add("ops", 2, DEAD)
        cli.add("team", 1, DEAD)
        requeue = SinkQueue.requeue

        def interrupt(queue: SinkQueue, entry: Delivery) -> None:
            if queue.sink == "team":
                raise KeyboardInterrupt
            requeue(queue, entry)

        with patch.object(SinkQueue, "requeue", interrupt):
            result = cli.run("retry")
        assert result == (
            130,
            f"ops: 2 dead notices due again in {PREFIX}.\n",
            "python -m handler.commands notices: Interrupted.\n",
        )


class TestOutput:
    @FULL
    @pytest.mark.parametrize(
        ("arguments", "redirection", "sentence"),
        [
            ("retry", ">&-", f"ops: 2 dead notices due again in {PREFIX}."),
            ("drop --yes", ">/dev/full", f"ops: 2 dead notices deleted in {PREFIX}."),
        ],
    )
    def test_an_output_that_fails_is_a_sentence_that_says_what_was_done(
        self, wired: NoticesCli, arguments: str, redirection: str, sentence: str
    ) -> None:
        wired.add("ops", 2, DEAD)
        shell = f"exec '{sys.executable}' -m handler.commands notices {arguments} {redirection}"
        environment = {**wired.environment, "PYTHONPATH": str(ROOT), "PATH": os.defpath}
        result = subprocess.run(
            ["sh", "-c", shell], capture_output=True, text=True, env=environment, timeout=60
        )
        assert (result.returncode, result.stderr.count("\n")) == (1, 1)
        assert sentence in result.stderr
