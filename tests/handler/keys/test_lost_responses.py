"""Responses of OSS that are lost: a change that arrives late must not undo what another writer did."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from email.utils import formatdate
from functools import partial
from http.client import RemoteDisconnected
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from handler.cloud.http_client import Connections, HttpResponse
from handler.commands import command_line
from tests.handler.client import KEYS
from tests.handler.keys.command import ADD, KeysCli, SleepingClock, keys_cli
from tests.handler.keys_fixtures import PLACE, LocalOss, document, hash_of

REVOKE = ("revoke-api-key", "reader")
# A request is valid for 60 seconds, and the lock is held for ten more.
HELD = 70


class Network(Connections):
    """The network to a local OSS, whose clock the responses show. `late` are the requests that did not arrive yet."""

    def __init__(self, oss: LocalOss) -> None:
        super().__init__()
        self.oss = oss
        self.fates: dict[str, list[str]] = {}
        self.late: list[Callable[[], HttpResponse]] = []
        self.down = False
        self.sent: list[str] = []

    def lose(self, method: str, name: str, *fates: str) -> None:
        """What happens to the next requests for an object: late, dropped, lost, 500 after, down."""
        self.fates[f"{method} /{name}"] = list(fates)

    def send(self, method: str, url: str, *args: Any, **options: Any) -> HttpResponse:
        name = f"{method} /{url.partition('?')[0].rpartition('/')[2]}"
        self.sent.append(name)
        fates = self.fates.get(name, [])
        fate = fates.pop(0) if fates else ""
        if fate == "down":
            self.down = True
        if self.down:
            raise ConnectionRefusedError("OSS cannot be reached.")
        request = partial(super().send, method, url, *args, **options)
        if fate == "late":
            self.late.append(request)
            raise TimeoutError("No response.")
        if fate == "dropped":
            raise ConnectionResetError("The connection was closed.")
        response = request()
        if fate == "lost":
            raise RemoteDisconnected("The connection was closed.")
        if fate == "500 after":
            response = response._replace(status=500)
        return response._replace(headers={**response.headers, "date": formatdate(self.oss.clock.now(), usegmt=True)})

    def arrive(self) -> list[int]:
        """Lets every late request arrive: the statuses with which OSS answers."""
        late, self.late = self.late, []
        return [request().status for request in late]


class Operator(NamedTuple):
    """An operator, whose clock is ten minutes ahead of that of OSS, and the network between them."""

    cli: KeysCli
    network: Network

    def run(self, *arguments: str, at: Mapping[float, Callable[[], None]] | None = None) -> tuple[int, str, str, float]:
        """Runs a command: status, stdout, stderr, and how many seconds it waited."""
        oss = self.network.oss
        start = oss.clock.offset
        clock = SleepingClock(at)
        sleep = clock.clock.sleep

        def pass_time(seconds: float) -> None:
            for step in [1.0] * int(seconds) + [seconds % 1]:
                oss.clock.offset += step
                sleep(step)

        result = self.cli.run(*arguments, clock=clock.clock._replace(sleep=pass_time))
        assert oss.clock.offset == pytest.approx(start + clock.slept)
        return (*result, clock.slept)

    def api_keys(self) -> list[str]:
        return [entry["id"] for entry in self.cli.document["api"]]


@pytest.fixture
def operator(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Operator]:
    with keys_cli("oss", tmp_path, capsys) as cli:
        assert cli.oss is not None
        cli.oss.clock.offset = -600.0
        network = Network(cli.oss)
        monkeypatch.setattr(command_line, "Connections", lambda: network)
        cli.oss.put(document())
        yield Operator(cli, network)
        network.close()


def test_a_change_that_arrives_late_does_not_bring_a_revoked_key_back(operator: Operator) -> None:
    operator.network.lose("PUT", "keys.json", "late")
    status, out, err, waited = operator.run(*ADD)
    assert (status, out) == (1, "")
    assert "The change was not made" in err
    assert HELD <= waited < HELD + 5
    assert operator.run(*REVOKE)[0] == 0
    assert operator.network.arrive() == [403]
    assert operator.api_keys() == ["sharer", "ended"]


def test_a_change_that_arrives_while_the_command_waits_is_made_and_no_other_writer_comes_between(
    operator: Operator,
) -> None:
    operator.network.lose("PUT", "keys.json", "late")
    results: list[int] = []

    def meanwhile() -> None:
        results.append(operator.cli.run(*REVOKE, "--break-lock").status)
        results.extend(operator.network.arrive())

    status, out, _, waited = operator.run(*ADD, at={10: meanwhile})
    assert (status, results) == (0, [1, 200])
    assert waited >= HELD
    assert operator.cli.document["api"][-1]["sha256"] == hash_of(out.strip())
    assert operator.cli.stored() == ["keys.json"]


@pytest.mark.parametrize("fate", ["lost", "500 after"])
def test_a_change_whose_response_was_lost_is_made(fate: str, operator: Operator) -> None:
    operator.network.lose("PUT", "keys.json", fate)
    status, out, err, waited = operator.run(*ADD)
    assert status == 0
    assert "The response to the change was lost. Waiting" in err
    # The wait is by the clock of OSS, not by that of the operator, which is ten minutes ahead.
    assert HELD <= waited < HELD + 5
    assert operator.cli.document["api"][-1]["sha256"] == hash_of(out.strip())
    assert operator.network.sent.count("PUT /keys.json") == 1
    assert operator.cli.stored() == ["keys.json"]


def test_init_tells_whether_the_document_was_written(operator: Operator) -> None:
    assert operator.cli.oss is not None
    assert operator.cli.oss.store.delete(PLACE).ok
    operator.network.lose("PUT", "keys.json", "dropped")
    assert operator.run("init")[0] == 1
    assert operator.cli.stored() == []
    operator.network.lose("PUT", "keys.json", "lost")
    assert operator.run("init")[0] == 0
    assert operator.cli.stored() == ["keys.json"]


def test_if_oss_cannot_be_reached_any_more_the_lock_keeps_other_writers_out(operator: Operator) -> None:
    operator.network.lose("PUT", "keys.json", "down")
    status, out, err, waited = operator.run(*ADD)
    assert (status, out) == (1, "")
    assert "it cannot be read whether the change was made" in err
    assert 180 <= waited < 300
    operator.network.down = False
    assert operator.run(*REVOKE)[0] == 1
    assert operator.run(*REVOKE, "--break-lock")[0] == 1
    operator.network.oss.clock.offset += 301 - waited
    assert operator.run(*REVOKE, "--break-lock")[0] == 0


def test_an_interrupted_wait_keeps_the_lock(operator: Operator) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    operator.network.lose("PUT", "keys.json", "late")
    status, _, err, _ = operator.run(*ADD, at={1: interrupt})
    assert status == 1
    assert err.endswith("python -m handler.keys: Interrupted.\n")
    assert operator.run(*REVOKE)[0] == 1
    assert operator.cli.stored() == ["keys.json", "keys.json.lock"]


def test_a_lock_is_released_once_even_if_the_response_was_lost(operator: Operator) -> None:
    operator.network.lose("DELETE", "keys.json.lock", "lost")
    status, out, _, waited = operator.run(*ADD)
    assert status == 0
    assert operator.cli.document["api"][-1]["sha256"] == hash_of(out.strip())
    assert HELD <= waited < HELD + 5
    assert operator.network.sent.count("DELETE /keys.json.lock") == 1


def test_a_removal_that_arrives_late_does_not_remove_the_lock_of_another_writer(operator: Operator) -> None:
    operator.network.lose("DELETE", "keys.json.lock", "late")
    assert operator.run(*ADD)[0] == 0
    assert operator.cli.stored() == ["keys.json"]
    lock = b'{"owner": "bob@laptop, process 7", "at": "2026-03-01T06:41:11Z", "nonce": "n"}'
    operator.cli.write(lock, ".lock")
    assert operator.network.arrive() == [403]
    assert operator.cli.read(".lock") == lock


def test_a_lost_response_shows_no_link(operator: Operator) -> None:
    for fate in ("lost", "dropped", "late", "500 after"):
        operator.network.lose("PUT", "keys.json", fate)
        operator.network.lose("DELETE", "keys.json.lock", fate)
        _, _, err, _ = operator.run("rotate-share")
        assert "http" not in err
        assert KEYS.access_key_id not in err
