"""Several writers that break one lock at the same time, in many orders of their steps: no change is lost."""

from __future__ import annotations

import json
import os
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from handler.commands.keys import main
from handler.context import Clock
from handler.keys import parse
from handler.keys.file_store import FileKeysStore
from tests.handler.keys_fixtures import READER, api, document

STEPS = ("read", "create", "replace", "remove")


class Turns:
    """Lets one thread at a time make one step, in the order of a seed."""

    def __init__(self, seed: int) -> None:
        self._dice = random.Random(seed)
        self._changed = threading.Condition()
        self._waiting: set[int] = set()
        self._running: set[int] = set()
        self._turn: int | None = None
        self.steps = 0

    def run(self, *programs: Callable[[], None]) -> None:
        threads = [
            threading.Thread(target=self._program, args=(number, program)) for number, program in enumerate(programs)
        ]
        self._running = set(range(len(programs)))
        for thread in threads:
            thread.start()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._turn is None and self._waiting == self._running, 10)
                if not self._running:
                    break
                self._turn = self._dice.choice(sorted(self._waiting))
                self._changed.notify_all()
        for thread in threads:
            thread.join(10)

    def take(self) -> None:
        number = int(threading.current_thread().name)
        with self._changed:
            self.steps += 1
            self._waiting.add(number)
            if self._turn == number:
                self._turn = None
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._turn == number, 10)
            self._waiting.discard(number)

    def _program(self, number: int, program: Callable[[], None]) -> None:
        threading.current_thread().name = str(number)
        try:
            self.take()
            program()
        finally:
            with self._changed:
                self._running.discard(number)
                self._turn = None
                self._changed.notify_all()


def stepping(turns: Turns, name: str) -> Any:
    """A method of the store that waits for its turn."""
    original = getattr(FileKeysStore, name)

    def step(store: FileKeysStore, *args: Any) -> Any:
        turns.take()
        return original(store, *args)

    return patch.object(FileKeysStore, name, step)


@pytest.mark.parametrize("seed", [*range(15), *(pytest.param(seed, marks=pytest.mark.long) for seed in range(15, 60))])
def test_writers_that_break_a_lock_at_the_same_time_lose_no_change(
    seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(document(api=[api("reader", READER)])))
    lock = tmp_path / "keys.json.lock"
    lock.write_text('{"owner": "bob@laptop, process 7", "at": "2026-03-01T06:41:11Z", "nonce": "n"}')
    os.utime(lock, (time.time() - 400,) * 2)
    turns, results = Turns(seed), {}

    def command(*arguments: str) -> Callable[[], None]:
        def run() -> None:
            clock = Clock(time.time, lambda: turns.steps, lambda seconds: turns.take())
            results[arguments] = main(["--keys", f"file:{path}", *arguments], lock_timeout=100, clock=clock)

        return run

    add = ("add-api-key", "ci", "--path", "/reports/", "--method", "GET", "--break-lock")
    revoke = ("revoke-api-key", "reader", "--break-lock")
    rotate = ("rotate-share",)
    patches = [stepping(turns, name) for name in STEPS]
    for each in patches:
        each.start()
    try:
        turns.run(command(*add), command(*revoke), command(*rotate))
    finally:
        for each in patches:
            each.stop()
    keys = parse(path.read_bytes())
    assert len(results) == 3
    assert ("ci" in [key.id for key in keys.api]) == (results[add] == 0)
    assert ("reader" not in [key.id for key in keys.api]) == (results[revoke] == 0)
    assert (len(keys.share) == 3) == (results[rotate] == 0)
    assert set(results.values()) == {0}
    assert list(tmp_path.iterdir()) == [path]
    # Read here, so that the output of the tests has no key.
    assert "fcp_" in capsys.readouterr().out
