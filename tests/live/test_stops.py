"""Whenever a run is killed, interrupted or loses OSS, nothing is left after the sweep."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from live import side
from tests.fault_proxy import FaultProxy, fault_proxy
from tests.live.conftest import FEW, run
from tests.live.online import Online, online

MOMENTS = 50
# The names of faults of the proxy, and whether each later request meets it too.
LOSSES = {
    "503": True,
    "500 after": False,
    "slow": False,
    "reset": True,
    "never after": True,
    "half of the body": False,
}
ROOT = Path(__file__).parents[2]
PROGRAM = f"""
import sys
import live.__main__ as command
from live import side
side.PAUSES, side.TIMEOUT, side.CLEANUP_PAUSES = (0,), (10, 10), (0, 0)
load = command.load
command.load = lambda *parts: [case for case in load() if case.name.startswith({FEW})]
sys.exit(command.main(sys.argv[1:]))
"""
SIGNALS = [signal.SIGKILL, signal.SIGINT, signal.SIGTERM]
# The others: make test-long.
QUICK = {
    ("503", 9),
    ("reset", 30),
    (signal.SIGKILL, 30),
    (signal.SIGINT, 9),
}


def at_moments(stops: Iterable[object]) -> pytest.MarkDecorator:
    """Each stop at each moment."""
    pairs = [(stop, moment) for stop in stops for moment in range(MOMENTS)]
    marks = [() if pair in QUICK else pytest.mark.long for pair in pairs]
    return pytest.mark.parametrize(
        ("stop", "moment"), [pytest.param(*p, marks=m) for p, m in zip(pairs, marks, strict=True)]
    )


@pytest.fixture
def proxied(
    few: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[tuple[Online, FaultProxy]]:
    # A busy machine must not seem to be a lost OSS. What hangs is waited for.
    hangs = request.node.callspec.params["stop"] in ("slow", "never after", "half of the body")
    monkeypatch.setattr(side, "TIMEOUT", (1.0, 0.5) if hangs else (10.0, 10.0))
    with online(tmp_path / "oss") as service, fault_proxy(service.url) as proxy:
        service.url = proxy.url
        yield service, proxy


def assert_nothing_is_left(service: Online, folder: Path) -> None:
    assert run(service, folder, "--sweep") == 0
    assert service.buckets == []
    assert list((folder / ".runs").glob("*")) == []
    assert service.outside == []


@at_moments(LOSSES)
def test_a_loss_of_oss_leaves_nothing(
    proxied: tuple[Online, FaultProxy], tmp_path: Path, stop: str, moment: int
) -> None:
    service, proxy = proxied
    proxy.arm(stop, moment, is_lasting=LOSSES[stop])
    status = run(service, tmp_path, "--yes")
    assert proxy.happened[stop] or status == 0  # the run was over before
    assert status == 2 or not service.buckets
    proxy.disarm()
    assert_nothing_is_left(service, tmp_path)


@at_moments(SIGNALS)
def test_a_run_that_is_ended_leaves_nothing(
    proxied: tuple[Online, FaultProxy], tmp_path: Path, stop: signal.Signals, moment: int
) -> None:
    service, proxy = proxied
    arguments: list[str | Path] = [sys.executable, "-c", PROGRAM, "--yes", "--folder", tmp_path]
    # Before or after OSS carried the request out.
    proxy.arm("slow" if moment % 2 else "503", moment, act=lambda: process.send_signal(stop))
    # What is killed leaves the folder of its own OSS there.
    environment = {**os.environ, **service.environment, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(arguments, cwd=ROOT, env=environment) as process:
        status = process.wait(120)
    # 0: in the clean-up, which goes on.
    assert status in ((-stop,) if stop == signal.SIGKILL else (130, 0))
    if stop != signal.SIGKILL:
        assert service.buckets == []
        assert list(tmp_path.glob("live-*")) == []
    proxy.disarm()
    assert_nothing_is_left(service, tmp_path)
