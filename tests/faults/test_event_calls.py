"""Whatever one call of OSS meets while notices are sent, each arrives, is repeated once at most, and none is left."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from handler.core.cloud import oss
from tests.fault_proxy import FAULTS, REFUSALS, FaultProxy, fault_proxy
from tests.handler.notice_fixtures import (
    EventFunction,
    Outcome,
    Receiver,
    created,
    event_function,
    notice,
    received_keys,
    receiver,
)

SHORT = 0.2  # seconds that the function waits for an OSS that never answers, in these tests
# Of a sink in OSS, the words of OSS.
CODES = {"state_unavailable", "notices_failed", "oss_unavailable", "out_of_time", *REFUSALS.values()}
KEY = "outbox/a.txt"


TOML = {
    "an event to a webhook": notice(["ops"]),
    "an event to a sink in OSS": notice(["manifest"]),
    "an event with a share": notice(["ops"], give="share"),
    "an event for a digest": notice(["ops"], every="1m"),
    "a tick with a digest": notice(["ops"], every="1m"),
}
QUICK = ("a tick with a digest", next(iter(FAULTS)), False)


class Notices:
    """The event function, whose OSS is the proxy, and its webhook."""

    def __init__(self, function: EventFunction, faults: FaultProxy, hook: Receiver) -> None:
        self.function, self.faults, self.hook = function, faults, hook
        self.number = 0

    def invoke(self, event: bytes | None) -> Outcome:
        """One event, or a tick of the timer for None, in a new instance."""
        self.function.restart()
        config = self.function.config(self.faults.url)
        return self.function.tick(config=config) if event is None else self.function.invoke(event, config=config)

    def begin(self, *, is_waiting: bool) -> bytes | None:
        """What meets the fault: an event, or a tick for a notice that waits."""
        self.function.pass_time(3600)
        self.hook.received.clear()
        self.number += 1
        event = created(KEY, etag=f"ETAG{self.number}")
        if not is_waiting:
            return event
        assert self.invoke(event).error is None
        self.function.pass_time(120)
        return None

    def check(self, first: Outcome, event: bytes | None) -> None:
        """Fails unless the notice arrives after that outcome, once the faults have ended."""
        assert "fault" not in first.line
        failed = {entry["code"] for entry in first.summary.get("failed", ())}
        assert failed | ({first.error.code} if first.error else set()) <= CODES, first
        # Function Compute runs a failed event again; then the timer fires after the lease.
        if first.error is not None and event is not None:
            assert self.invoke(event).error is None
        for _ in range(3):
            self.function.pass_time(120)
            assert self.invoke(None).error is None
        assert self.function.state_names("outbox/") == self.function.state_names("dead/") == []
        if "manifest" in self.function.toml:
            assert len(self.function.manifest_lines()) == self.number
        else:
            assert received_keys(self.hook)[KEY] in (1, 2)


@pytest.mark.parametrize(
    ("name", "fault", "is_lasting"),
    [
        pytest.param(*case, marks=() if case == QUICK or "sink in OSS" in case[0] else pytest.mark.long)
        for case in product(TOML, FAULTS, (False, True))
    ],
)
def test_at_each_call(tmp_path: Path, name: str, fault: str, is_lasting: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    with event_function(tmp_path, is_wired=True) as function, receiver() as hook, fault_proxy(function.url) as faults:
        function.add_sink("ops", hook)
        function.toml = TOML[name]
        running, is_waiting = Notices(function, faults, hook), name.startswith("a tick")
        assert running.invoke(running.begin(is_waiting=is_waiting)).error is None
        count = len(faults.calls)
        assert count
        for number in range(count):
            event = running.begin(is_waiting=is_waiting)
            faults.arm(fault, number, is_lasting=is_lasting)
            with monkeypatch.context() as context:
                if fault.startswith("never"):
                    context.setattr(oss, "TIMEOUT", (SHORT, SHORT))
                first = running.invoke(event)
            faults.disarm()
            try:
                running.check(first, event)
            except AssertionError as error:
                raise AssertionError(f"call {number}: {error}") from error
