"""A desk of an operator: a place for keys, in a file or in OSS, and a terminal."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import pytest

from handler.keys.__main__ import main
from tests.handler.client import KEYS
from tests.handler.keys_fixtures import PLACE, LocalOss, local_oss

ENVIRONMENT = {
    "LINK_REGION": "cn-hangzhou",
    "OSS_ACCESS_KEY_ID": KEYS.access_key_id,
    "OSS_ACCESS_KEY_SECRET": KEYS.access_key_secret,
    "OSS_SESSION_TOKEN": KEYS.security_token or "",
}
ADD = ("add-api-key", "ci", "--path", "/reports/", "--method", "GET")


class Ran(NamedTuple):
    status: int
    out: str
    err: str


class Desk(NamedTuple):
    """Where an operator works: a place for keys and a terminal."""

    place: str
    oss: LocalOss | None
    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str, keys: str | None = None) -> Ran:
        """Runs a command on the place; no lock is waited for."""
        self.capsys.readouterr()
        try:
            status = main(["--keys", keys or self.place, *arguments], patience=0)
        except SystemExit as ended:
            status = int(str(ended.code))
        return Ran(status, *self.capsys.readouterr())

    def _file(self, suffix: str) -> Path:
        return Path(self.place.removeprefix("file:") + suffix)

    def read(self, suffix: str = "") -> bytes | None:
        """What is stored, None for nothing."""
        if self.oss is None:
            return self._file(suffix).read_bytes() if self._file(suffix).exists() else None
        reply = self.oss.store.get(PLACE._replace(key=PLACE.key + suffix))
        return reply.body if reply.ok else None

    def write(self, text: bytes, suffix: str = "") -> None:
        if self.oss is None:
            self._file(suffix).write_bytes(text)
        else:
            self.oss.put(text, PLACE._replace(key=PLACE.key + suffix))

    @property
    def document(self) -> Any:
        return json.loads(self.read() or b"")


def at(oss: LocalOss) -> Any:
    """The environment of an operator of this OSS."""
    return patch.dict(os.environ, {**ENVIRONMENT, "LINK_OSS_ENDPOINT": oss.url}, clear=True)


@contextmanager
def opened(kind: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    """A desk whose keys are to lie in a "file" or in "oss"; nothing is there yet."""
    if kind == "file":
        with patch.dict(os.environ, {}, clear=True):
            yield Desk(f"file:{folder / 'keys.json'}", None, capsys)
        return
    with local_oss(folder / "oss") as oss, at(oss):
        yield Desk(str(PLACE), oss, capsys)
