"""Both functions over a stored state: with the links.toml and the keys document that belong to it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from handler.core.config import Config
from tests.handler.keys_fixtures import config_with
from tests.handler.notice_fixtures import EventFunction, Receiver, receiver
from tests.system import STATE

FOLDER = Path(__file__).parent
Document = dict[str, Any]


class StoredService(EventFunction):
    """Its sink `ops` is the `hook`, whatever address the keys document has."""

    hook: Receiver
    links: str
    keys: Document

    def config_at(self, url: str) -> Config:
        ops = {**self.keys["sinks"]["ops"], "url": f"{self.hook.url}/hook"}
        keys = {**self.keys, "sinks": {"ops": ops}}
        return config_with(keys, self.folder, self.links, {"LINK_OSS_ENDPOINT": url})

    def stored_objects(self) -> dict[str, str]:
        """What is below the state prefix, and is text."""
        return {key: self.memory.read(key).decode() for key in self.memory.keys(STATE)}


@contextmanager
def running(
    folder: Path, links: str, keys: Document, objects: Mapping[str, str], now: float
) -> Iterator[StoredService]:
    """The service at a time (Unix seconds), whose bucket has the objects and some files."""
    with ExitStack() as ends, receiver() as hook:
        service = StoredService(folder, ends)
        service.hook = hook
        service.links = links
        service.keys = keys
        service.clock.set(now)
        service.fill({key: body.encode() for key, body in objects.items()})
        service.fill(
            {
                "reports/q3.pdf": b"content",
                **{f"outbox/{name}.txt": b"content" for name in ("sent", "dead", "waiting")},
            }
        )
        yield service


def recorded() -> list[Path]:
    """One file for each version that promises it."""
    return sorted(FOLDER.glob("*.json"))


def read(path: Path) -> Document:
    document: Document = json.loads(path.read_text("utf-8"))
    return document
