"""`python -m handler.keys` as an operator runs it, on a document in a file or in OSS."""

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


class Result(NamedTuple):
    status: int
    out: str
    err: str


class KeysCli(NamedTuple):
    """The command, the document at `place`, and what the command prints."""

    place: str
    oss: LocalOss | None
    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str, keys: str | None = None) -> Result:
        """Runs a command on the document, without waiting for a lock."""
        self.capsys.readouterr()
        try:
            status = main(["--keys", keys or self.place, *arguments], lock_timeout=0)
        except SystemExit as exit_:
            status = int(str(exit_.code))
        return Result(status, *self.capsys.readouterr())

    def _file(self, suffix: str) -> Path:
        return Path(self.place.removeprefix("file:") + suffix)

    def read(self, suffix: str = "") -> bytes | None:
        """The stored document, None where it does not exist."""
        if self.oss is None:
            return self._file(suffix).read_bytes() if self._file(suffix).exists() else None
        response = self.oss.store.get(PLACE._replace(key=PLACE.key + suffix))
        return response.body if response.ok else None

    def write(self, content: bytes, suffix: str = "") -> None:
        if self.oss is None:
            self._file(suffix).write_bytes(content)
        else:
            self.oss.put(content, PLACE._replace(key=PLACE.key + suffix))

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
