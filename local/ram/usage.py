"""Which statements of policies decided on a request, and which never did."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from .policy import Policy, Statement, parse_policy


class Usage:
    """Counts statements, wherever they stand in a policy; threads may share it. Pass its `count` to `evaluate`."""

    def __init__(self) -> None:
        self._counts: Counter[Statement] = Counter()
        self._lock = threading.Lock()

    def count(self, statement: Statement) -> None:
        with self._lock:
            self._counts[_anywhere(statement)] += 1

    def times(self, statement: Statement) -> int:
        """How often a statement decided."""
        with self._lock:
            return self._counts[_anywhere(statement)]

    def unused(self, policies: Iterable[Policy]) -> list[Statement]:
        """The statements that never decided. A policy must have the name with which it was evaluated."""
        return [each for policy in policies for each in policy.statements if not self.times(each)]

    def append_to(self, path: Path) -> None:
        """Adds the statements that decided to a file, which processes may share. Raises `OSError`."""
        with self._lock:
            lines = [json.dumps({"policy": each.policy, "statement": each.document}) + "\n" for each in self._counts]
        with path.open("a", encoding="utf-8", buffering=1 << 20) as file:
            file.write("".join(lines))

    @classmethod
    def read(cls, path: Path) -> Usage:
        """From a file of `append_to`. Raises `OSError`, and `ValueError` or `PolicyError` for another file."""
        usage = cls()
        for line in path.read_text(encoding="utf-8").splitlines():
            entry = json.loads(line)
            policy = parse_policy({"Version": "1", "Statement": entry["statement"]}, entry["policy"])
            usage.count(policy.statements[0])
        return usage


def _anywhere(statement: Statement) -> Statement:
    return statement._replace(number=0)
