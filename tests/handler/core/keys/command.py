"""`python -m handler.commands keys` as an operator runs it, on a document in a file or in OSS."""

from __future__ import annotations

import io
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest

from handler.commands.keys import SYSTEM_CLOCK, main
from handler.commands.keys_lock import SLOT
from handler.core.config import Location
from handler.core.context import Clock
from tests.handler.client import KEYS
from tests.local_oss import PLACE, LocalOss, local_oss

ENVIRONMENT = {
    "LINK_REGION": "cn-hangzhou",
    "OSS_ACCESS_KEY_ID": KEYS.access_key_id,
    "OSS_ACCESS_KEY_SECRET": KEYS.access_key_secret,
    "OSS_SESSION_TOKEN": KEYS.security_token or "",
}
ADD = ("add-api-key", "ci", "--path", "/reports/", "--method", "GET")
URL = "https://hooks.example.com/EXAMPLE?access_token=0000EXAMPLE"
WEBHOOK = ("add-sink", "ops", "--kind", "webhook", "--url", URL)
HS256 = ("add-issuer", "https://new.example.com", "--aud", "links", "--alg", "HS256")


class Result(NamedTuple):
    status: int
    out: str
    err: str


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class SleepingClock:
    """The real time, and sleeps that take none; `at` says what happens after how many seconds of sleep."""

    def __init__(self, at: Mapping[float, Callable[[], None]] | None = None) -> None:
        self.slept = 0.0
        self._at = dict(at or {})
        self.clock = Clock(time.time, lambda: self.slept, self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.slept += seconds
        for step in [step for step in self._at if step <= self.slept]:
            self._at.pop(step)()


class KeysCli(NamedTuple):
    """The command, the document at `place`, and what the command prints."""

    place: str
    oss: LocalOss | None
    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str, keys: str | None = None, clock: Clock = SYSTEM_CLOCK) -> Result:
        """Runs a command on the document, without waiting for a lock."""
        self.capsys.readouterr()
        try:
            status = main(["--keys", keys or self.place, *arguments], lock_timeout=0, clock=clock)
        except SystemExit as exit_:
            status = int(str(exit_.code))
        return Result(status, *self.capsys.readouterr())

    def path(self, suffix: str = "") -> Path:
        """The document in a file, or its lock."""
        return Path(self.place.removeprefix("file:") + suffix)

    def read(self, suffix: str = "") -> bytes | None:
        """The stored document, None where it does not exist."""
        if self.oss is None:
            return self.path(suffix).read_bytes() if self.path(suffix).exists() else None
        response = self.oss.client.get(PLACE._replace(key=PLACE.key + suffix))
        return response.body if response.ok else None

    def write(self, content: bytes) -> None:
        if self.oss is None:
            self.path().write_bytes(content)
        else:
            self.oss.put(PLACE.key, content)

    @contextmanager
    def held(self, content: bytes) -> Iterator[None]:
        """Another writer, whose lock has this content, holds the lock."""
        if self.oss is None:
            self.path(".lock").write_bytes(content)
            with open(self.path(".lock")) as file:
                flock(file, LOCK_EX)
                yield
            return
        slot = int(self.oss.clock.now() // SLOT)
        places = [self.lock_place(slot), self.lock_place(slot + 1)]
        for place in places:
            self.oss.put(place.key, content)
        yield
        for place in places:
            assert self.oss.client.get(place).body == content
            self.oss.client.delete(place)

    def lock_place(self, slot: int) -> Location:
        return PLACE._replace(key=f"{PLACE.key}.lock.{slot}")

    def locks(self) -> list[str]:
        """The names of the locks that keep writers out."""
        if self.oss is not None:
            slot = int(self.oss.clock.now() // SLOT)
            locks = [name for name in self.stored() if name.startswith("keys.json.lock")]
            return [name for name in locks if int(name.rpartition(".")[2]) >= slot]
        if not self.path(".lock").exists():
            return []
        with open(self.path(".lock")) as file:
            try:
                flock(file, LOCK_EX | LOCK_NB)
            except BlockingIOError:
                return ["keys.json.lock"]
        return []

    def stored(self) -> list[str]:
        """The names of the document and its locks."""
        if self.oss is None:
            return sorted(path.name for path in self.path().parent.iterdir())
        return [key.removeprefix(".links/") for key in self.oss.keys(".links/")]

    @property
    def document(self) -> Any:
        return json.loads(self.read() or b"")


def environment_of(oss: LocalOss) -> Any:
    """The environment of an operator of this OSS."""
    return patch.dict(os.environ, {**ENVIRONMENT, "LINK_OSS_ENDPOINT": oss.url}, clear=True)


@contextmanager
def keys_cli(kind: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[KeysCli]:
    """The command for a document in a "file" or in "oss", which does not exist yet."""
    if kind == "file":
        with patch.dict(os.environ, {}, clear=True):
            yield KeysCli(f"file:{folder / 'keys.json'}", None, capsys)
        return
    with local_oss(folder / "oss") as oss, environment_of(oss):
        yield KeysCli(str(PLACE), oss, capsys)
