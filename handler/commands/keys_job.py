"""One run of a command of `python -m handler.commands keys` on one document."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import NamedTuple

from ..core.cloud.oss import MISSING
from ..core.cloud.store import Store
from ..core.context import Clock
from ..core.errors import HandlerError
from ..core.keys.file_store import FileStore
from . import keys_edit
from .command_line import warn
from .keys_edit import Document
from .keys_lock import LONG_TIMEOUT, Write, locked

NAME = "python -m handler.commands keys"


class Job(NamedTuple):
    """One run of a command on the document in `store`. `lock_timeout` is in seconds."""

    store: FileStore | Store
    options: argparse.Namespace
    lock_timeout: float
    clock: Clock

    def locked(self) -> AbstractContextManager[Write]:
        timeout = LONG_TIMEOUT if self.options.wait else self.lock_timeout
        return locked(
            self.store,
            lambda sentence: warn(f"{NAME}: {sentence}"),
            timeout=timeout,
            clock=self.clock,
        )

    def change(self, edit: Callable[[Document], Document]) -> None:
        """Writes what `edit` makes of the document."""
        with self.locked() as write:
            document, _ = keys_edit.read(self.read())
            write(keys_edit.serialize(edit(document)))

    def read(self) -> bytes:
        stored = self.store.read("")
        if stored is None:
            raise HandlerError(
                f"{self.store} not found. If it was deleted, restore your backup with restore FILE. "
                "If there never was one, create it with init.",
                code=MISSING,
            )
        return stored.body
