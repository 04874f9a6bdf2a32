"""Which statements of policies decided on a request, and which never did."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable

from .policy import Policy, Statement


class Usage:
    """Counts statements; threads may share it. Pass its `count` to `evaluate`."""

    def __init__(self) -> None:
        self._counts: Counter[Statement] = Counter()
        self._lock = threading.Lock()

    def count(self, statement: Statement) -> None:
        with self._lock:
            self._counts[statement] += 1

    def times(self, statement: Statement) -> int:
        """How often a statement decided."""
        with self._lock:
            return self._counts[statement]

    def unused(self, policies: Iterable[Policy]) -> list[Statement]:
        """The statements that never decided. A policy must have the name with which it was evaluated."""
        return [each for policy in policies for each in policy.statements if not self.times(each)]
