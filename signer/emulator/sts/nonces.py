"""The nonces of the last requests: each may be used once."""

from __future__ import annotations

import threading


class Nonces:
    """Remembers each nonce for `life` seconds."""

    def __init__(self, life: float) -> None:
        self._life = life
        self._lock = threading.Lock()
        self._used: dict[tuple[str, str], float] = {}

    def use(self, access_key_id: str, nonce: str, now: float) -> bool:
        """Whether the nonce was new."""
        with self._lock:
            # In order of use, so that the oldest are first.
            for key, used_at in list(self._used.items()):
                if used_at + self._life >= now:
                    break
                del self._used[key]
            if (access_key_id, nonce) in self._used:
                return False
            self._used[access_key_id, nonce] = now
            return True
