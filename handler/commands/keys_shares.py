"""How many shares end with an API key."""

from __future__ import annotations

from contextlib import suppress

from signer import SignerError

from ..core.cloud.http_client import within
from ..core.cloud.store import store_at
from ..core.context import Clock
from ..core.errors import HandlerError
from ..core.keys import ApiKey
from ..core.shares.record import index_of
from .command_line import config, oss_client

TIMEOUT = 5  # seconds: nobody waits longer before a leaked key is revoked


def count_shares(key: ApiKey, endpoint: str | None, clock: Clock) -> int | None:
    """The shares that a key made and that the state lists, also those that have ended; None where that is unknown.

    It is unknown without links.toml or a state, where OSS refuses or fails, and after five seconds.
    """
    # The thread, the network, the rights, the configuration: none of them may keep a key from being revoked.
    with suppress(HandlerError, SignerError, OSError, RuntimeError):
        prefix = config().state
        if prefix is None:
            return None
        state = store_at(oss_client(endpoint), prefix, clock)
        folder = index_of(key.owner, f"api:{key.id}")
        return within(TIMEOUT, lambda bound: sum(1 for _ in state.list_folder(folder, deep=True)))
    return None
