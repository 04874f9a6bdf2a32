"""A clock that a test moves, for what was signed before."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class Clock:
    """Threads may share it."""

    def __init__(
        self,
        on_advance: Callable[[float], None] = lambda seconds: None,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._on_advance = on_advance
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()
        self._advances: list[tuple[int, float]] = []

    def advance(self, seconds: float) -> None:
        """Lets so many seconds pass for links, forms and temporary keys that exist.

        Requests and links that are signed later keep to the real clock. Signatures have whole seconds, so this waits
        for the next one. A link of version 1 does not say when it was signed: it counts as signed before. Raises
        `ValueError` unless `seconds` is positive.
        """
        if not seconds > 0:
            raise ValueError(f"Invalid seconds {seconds!r}: expected a number above 0.")
        following = int(self._now()) + 1
        with self._lock:
            self._advances.append((following, seconds))
        self._on_advance(seconds)
        while (left := following - self._now()) > 0:
            self._sleep(left)

    def elapsed(self, issued_at: float | None) -> float:
        """Seconds that were added since then, in Unix seconds, or since an unknown time."""
        with self._lock:
            return sum(
                seconds
                for following, seconds in self._advances
                if issued_at is None or issued_at < following
            )
