"""Answers of OSS that are lost, and writers that die: a change that arrives late undoes nothing of another writer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from email.utils import formatdate
from functools import partial
from http.client import RemoteDisconnected
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest

from handler.commands import command_line, keys_edit
from handler.commands.keys_lock import SLOT
from handler.commands.keys_secrets import OLDER
from handler.core.cloud.http_client import Connections, HttpResponse
from tests.handler.client import KEYS
from tests.handler.core.keys.command import ADD, KeysCli, SleepingClock, keys_cli
from tests.handler.keys_fixtures import document, hash_of
from tests.local_oss import PLACE, LocalOss

REVOKE = ("revoke-api-key", "reader")
BLOCKED = "The lock may keep other writers out for 200 seconds."
CHANGE, LOCK = "keys.json", "keys.json.lock"


class Network(Connections):
    """The network to a local OSS, whose clock the responses show. `late` are the requests that did not arrive yet."""

    def __init__(self, oss: LocalOss) -> None:
        super().__init__()
        self.oss = oss
        self.fates: dict[str, list[str]] = {}
        self.late: list[Callable[[], HttpResponse]] = []
        self.sent: list[str] = []

    def lose(self, method: str, name: str, *fates: str) -> None:
        """What happens to the next requests for an object, whose name has no slot.

        They are late, interrupted (and late), dropped, lost, 500 after.
        """
        self.fates[f"{method} {name}"] = list(fates)

    def send(self, method: str, url: str, *args: Any, **options: Any) -> HttpResponse:
        name = f"{method} {url.partition('?')[0].rpartition('/')[2]}"
        self.sent.append(name)
        fates = self.fates.get(re.sub(r"\.\d+$", "", name), [])
        fate = fates.pop(0) if fates else ""
        request = partial(super().send, method, url, *args, **options)
        if fate in ("late", "interrupted"):
            self.late.append(request)
            raise TimeoutError("No response.") if fate == "late" else KeyboardInterrupt
        if fate == "dropped":
            raise ConnectionResetError("The connection was closed.")
        response = request()
        if fate == "lost":
            raise RemoteDisconnected("The connection was closed.")
        if fate == "500 after":
            response = response._replace(status=500)
        return response._replace(
            headers={**response.headers, "date": formatdate(self.oss.clock.now(), usegmt=True)}
        )

    def arrive(self) -> list[int]:
        """Lets every late request arrive: the statuses with which OSS answers."""
        late, self.late = self.late, []
        return [request().status for request in late]


class Operator(NamedTuple):
    """An operator, whose clock is about ten minutes ahead of that of OSS, and the network between them."""

    cli: KeysCli
    network: Network
    oss: LocalOss
    time: SleepingClock

    def run(self, *arguments: str) -> tuple[int, str, str, float]:
        """Runs a command: status, stdout, stderr, and how many seconds it waited."""
        start = self.time.slept
        result = self.cli.run(*arguments, clock=self.time.clock._replace(sleep=self.pass_time))
        assert not any(each in result.err for each in ("http", KEYS.access_key_id))
        return (*result, self.time.slept - start)

    def pass_time(self, seconds: float) -> None:
        self.oss.clock.moved += seconds
        self.time.clock.sleep(seconds)

    def slow(self, work: Callable[[], None]) -> Any:
        """What `rotate-share` does between reading and writing."""
        rotate = keys_edit.rotate_share

        def rotate_later(*arguments: Any) -> Any:
            work()
            return rotate(*arguments)

        return patch.object(keys_edit, "rotate_share", rotate_later)

    def api_keys(self) -> list[str]:
        return [entry["id"] for entry in self.cli.document["api"]]


@pytest.fixture
def operator(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[Operator]:
    """Half a minute after a slot of OSS began."""
    with keys_cli("oss", tmp_path, capsys) as cli:
        assert cli.oss is not None
        cli.oss.clock.moved = -600.0
        cli.oss.clock.moved -= cli.oss.clock.now() % SLOT - 30
        network = Network(cli.oss)
        monkeypatch.setattr(command_line, "Connections", lambda: network)
        monkeypatch.setattr("handler.commands.keys_lock.POLL", 5.0)
        cli.oss.put_keys(document())
        yield Operator(cli, network, cli.oss, SleepingClock())
        network.close()


@pytest.mark.parametrize("command", [ADD, ("restore", "copy", "--yes")])
def test_a_change_that_arrives_late_does_not_bring_a_revoked_key_back(
    command: tuple[str, ...], operator: Operator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "copy").write_text(json.dumps(document(sinks={})))
    operator.network.lose("PUT", CHANGE, "late")
    status, out, err, waited = operator.run(*command)
    assert (status, "Goes: sink team" in out, waited) == (1, command != ADD, 0)
    assert "The change was not confirmed, and may still be made within a minute. Then check" in err
    assert BLOCKED in err
    assert operator.run(*REVOKE)[0] == 1
    status, _, _, waited = operator.run(*REVOKE, "--wait")
    assert status == 0
    assert 60 < waited <= 200
    assert operator.network.arrive() == [403]
    assert operator.api_keys() == ["sharer", "ended"]


@pytest.mark.parametrize("fate", ["lost", "500 after"])
def test_a_change_whose_answer_was_lost_is_made_if_the_document_says_so_and_its_lock_is_released_by_one_request(
    fate: str, operator: Operator
) -> None:
    operator.network.lose("PUT", CHANGE, fate)
    status, out, err, waited = operator.run(*ADD)
    assert (status, waited) == (0, 0)
    assert err == (
        f"Added the API key ci in {PLACE}. Save this key now. It will not be shown again.\n"
        f"{OLDER}\nRunning functions accept it within a minute.\n"
    )
    assert operator.cli.document["api"][-1]["sha256"] == hash_of(out.strip())
    assert operator.network.sent.count("PUT keys.json") == 1
    assert operator.cli.stored() == ["keys.json"]
    operator.network.lose("DELETE", LOCK, fate)
    status, _, err, waited = operator.run("rotate-share")
    assert (status, BLOCKED in err, waited) == (0, True, 0)
    assert [request.partition(" ")[0] for request in operator.network.sent].count("DELETE") == 2


def test_init_says_whether_the_document_was_written(operator: Operator) -> None:
    assert operator.oss.client.delete(PLACE).ok
    for fate, written in (("dropped", False), ("lost", True)):
        operator.network.lose("PUT", CHANGE, fate)
        status, _, err, _ = operator.run("init", "--wait")
        assert (status, "not confirmed" in err) == (not written, not written)
        assert (operator.cli.read() is not None) is written


@pytest.mark.parametrize("request_", [("PUT", CHANGE), ("PUT", LOCK), ("DELETE", LOCK)])
def test_an_interrupted_command_says_that_the_lock_may_remain(
    request_: tuple[str, str], operator: Operator
) -> None:
    operator.network.lose(*request_, "interrupted")
    status, out, err, _ = operator.run("rotate-share")
    assert (status, out) == (130, "")
    assert [line.partition(": ")[2] for line in err.splitlines()] == [
        f"OSS did not confirm everything. {BLOCKED}",
        "Interrupted.",
    ]
    operator.network.arrive()
    operator.pass_time(200)
    assert operator.run(*REVOKE)[0] == 0


def test_the_time_of_oss_is_asked_again_after_ten_seconds(operator: Operator) -> None:
    asked = []
    for seconds in (0, 9, 11):
        operator.network.sent.clear()
        with operator.slow(partial(operator.pass_time, seconds)):
            assert operator.run("rotate-share")[0] == 0
        asked.append(operator.network.sent.count("HEAD keys.json"))
    assert asked == [1, 1, 2]


@pytest.mark.parametrize("is_noticed", [True, False])
def test_a_writer_that_held_the_lock_for_too_long_writes_nothing(
    is_noticed: bool, operator: Operator
) -> None:
    """A machine that sleeps does not notice it: OSS refuses what expired meanwhile."""

    def work() -> None:
        operator.oss.clock.moved += 250
        if is_noticed:
            operator.time.slept += 250
        assert operator.run(*REVOKE)[0] == 0

    with operator.slow(work):
        status, out, err, _ = operator.run("rotate-share")
    assert (status, out) == (1, "")
    assert "The lock was held for too long, so nothing was written. Run the command again." in err
    assert operator.api_keys() == ["sharer", "ended"]
    assert len(operator.cli.document["share"]) == 2
