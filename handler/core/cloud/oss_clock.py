"""The clock of OSS, which decides about claims, leases and locks: that of an instance may be wrong."""

from __future__ import annotations

from ..context import Clock
from .oss import REFUSED, OssResponse, StoreError

MAX_STEP = 60.0  # seconds; where our clock was set by more, what was seen before says nothing


class OssMemory:
    """What an instance remembers of OSS.

    `ahead` is how far the clock of OSS was last seen ahead of ours, in seconds, and ours ahead of `monotonic` then.
    `probed_at` (Unix seconds) is when the state prefix was last seen to refuse overwriting.
    """

    def __init__(self) -> None:
        self.ahead: tuple[float, float] | None = None
        self.probed_at = float("-inf")


class OssClock:
    """The time in Unix seconds by the `Date` of the last answer of OSS, which has no fractions.

    The answer was given between `sent` and its receipt, so the time is known within a second and that long.
    """

    def __init__(self, own: Clock, memory: OssMemory) -> None:
        self.own = own
        self.memory = memory
        self._bounds: tuple[float, float] | None = None  # minus `own.monotonic`
        self._sent = 0.0

    def observe(self, response: OssResponse, sent: float) -> None:
        """Notes the date of an answer to a request that was sent at this time of `own.monotonic`."""
        date = response.time("date")
        if date is not None:
            self._sent = sent
            seen_at = self.own.monotonic()
            now = self.own.now()
            self._bounds = (date - seen_at, date + 1 - sent)
            self.memory.ahead = (date - now, now - seen_at)

    def age(self) -> float:
        """Seconds since the request whose answer had the last date."""
        return self.own.monotonic() - self._sent if self._bounds else float("inf")

    def earliest(self) -> float:
        """The time now at least. Raises `StoreError` if no answer had a date."""
        return self._known()[0] + self.own.monotonic()

    def latest(self) -> float:
        """The time now at most, as `earliest`."""
        return self._known()[1] + self.own.monotonic()

    def _known(self) -> tuple[float, float]:
        if self._bounds is None:
            raise StoreError("", 0, REFUSED, "no Date in the answers of OSS")
        return self._bounds

    def remembered(self) -> float | None:
        """The time now as this instance last saw it, None at first, and after our clock was corrected."""
        seen = self.memory.ahead
        now = self.own.now()
        if seen is None or abs(now - self.own.monotonic() - seen[1]) > MAX_STEP:
            return None
        return now + seen[0]
