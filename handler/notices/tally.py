"""What became of the notices of one invocation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from threading import Lock

from signer.common.listing import PAGE

from ..core import audit
from ..core.errors import HandlerError, Problem
from ..core.outbox import Delivery


class Tally:
    """Counts of notices: sent, repeated and not_marked; `skipped` by reason, `dead` by sink and code.

    `failed` are sinks that did not take a notice, `unwritten` those for which one could not be written, with codes;
    `written` and `removed` paths of entries: those of this invocation, and those that wait no more under these names.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self.counts: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.dead: Counter[tuple[str, str]] = Counter()
        self.failed: set[tuple[str, str]] = set()
        self.unwritten: set[tuple[str, str]] = set()
        self.causes: set[str] = set()
        self.written: set[str] = set()
        self.removed: set[str] = set()
        self._waiting: dict[str, dict[str, float]] = {}

    def add(self, outcome: str, count: int = 1) -> None:
        with self._lock:
            self.counts[outcome] += count

    def skip(self, reason: str, count: int = 1) -> None:
        if count:
            with self._lock:
                self.skipped[reason] += count

    def fail(self, sink: str, error: Exception, *, unwritten: bool = False) -> str:
        """Notes that a sink did not take something, and why. Returns the code: of a fault of ours, `internal_error`."""
        if not isinstance(error, HandlerError):
            audit.write({"sink": sink, "fault": audit.fault(error)})
        reported = (
            error.reported()
            if isinstance(error, HandlerError)
            else HandlerError("", code="internal_error")
        )
        with self._lock:
            (self.unwritten if unwritten else self.failed).add((sink, reported.code))
            if isinstance(reported, Problem) and reported.cause:  # what OSS answered
                self.causes.add(reported.cause)
        return reported.code

    def listed(self, sink: str, deliveries: list[Delivery], now: float) -> None:
        """Notes what waits for a sink at `now`."""
        self._waiting[sink] = {each.path: now - each.since for each in deliveries}

    def remove(self, delivery: Delivery, outcome: str = "", *, dead: str = "") -> None:
        """Notes that a delivery does not wait any more; `dead` is the code of why it is dead."""
        with self._lock:
            self.removed.add(delivery.path)
            if outcome:
                self.counts[outcome] += 1
            if dead:
                self.dead[delivery.sink, dead] += 1

    def waiting(self, dead: Mapping[str, int | str]) -> dict[str, dict[str, object]]:
        """By sink: the notices that wait, up to "1000+", the seconds since the oldest was due, and the `dead`."""
        report: dict[str, dict[str, object]] = {}
        for sink in sorted({*self._waiting, *dead}):
            ages = [
                age for path, age in self._waiting.get(sink, {}).items() if path not in self.removed
            ]
            report[sink] = {
                "notices": len(ages) if len(self._waiting.get(sink, {})) < PAGE else f"{PAGE}+",
                "oldest": max(0, round(max(ages, default=0))),
                "dead": dead.get(sink, 0),
            }
        return report
