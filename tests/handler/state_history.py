"""Requests to OSS of one opening of a share, one event and one tick, by what earlier ones left in the state prefix."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, redirect_stdout
from hashlib import sha256
from pathlib import Path

from tests.handler.notice_fixtures import TIMER_EVENT, notice
from tests.handler.simulation import Simulation
from tests.memory_oss import MemoryOss
from tests.system import FORM, HTML, STATE, System, nonce_of, service

SINK, DIGESTS = "ops", "every-hour"  # sinks: one is sent to at once


def requests(sizes: Sequence[int]) -> dict[str, list[int]]:
    """By what was done: its requests to OSS with so many objects of history, for each of the sizes."""
    counts: dict[str, list[int]] = {"share": [], "event": [], "tick": []}
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack, redirect_stdout(io.StringIO()):
        function = Simulation(Path(folder), stack)
        function.toml = notice([SINK], give="share") + notice([DIGESTS], every="1m")
        for name in (SINK, DIGESTS):
            function.inbox(name, "webhook")
        shares = service(Path(folder))
        function.memory.fill({"reports/q3.pdf": b"a report"})
        for size in sizes:
            function.memory.fill(history(size))
            # What is counted comes second: the first one checks every few minutes that the bucket has no versions.
            function.restart()
            shares = shares.restarted()
            for _ in range(2):
                counted = _count(function, shares)
            for name, count in counted.items():
                counts[name].append(count)
    return counts


def history(size: int) -> dict[str, bytes]:
    """So many objects: records and uses of shares, and the index of these, marks of notices, and dead notices.

    There is always one dead notice, since a tick lists those of each sink that has some.
    """
    objects = {f"{STATE}dead/{SINK}/1700000000-000000-{0:032x}": b"{}"}
    for number in range(size):
        digest = sha256(str(number).encode()).hexdigest()
        name = (
            f"shares/{digest[:12]}.json",
            f"uses/{digest[:12]}/1",
            f"index/{digest[:32]}/8227652728-{digest[:12]}",
            f"done/{digest[:32]}",
            f"dead/{SINK}/{1_700_000_000 + number}-000000-{digest[:32]}",
        )[number % 5]
        objects[STATE + name] = b"{}"
    return objects


def _count(function: Simulation, shares: System) -> Mapping[str, int]:
    config = function.config
    url = shares.create_share(max_uses=2)
    counts = {"share": _counted(function.memory, lambda: _open(shares, url))}
    function.start_at(1)
    counts["event"] = _counted(function.memory, lambda: function.succeed(function.upload(), config))
    function.pass_time(60)  # for the digest
    function.start_at(1)
    counts["tick"] = _counted(function.memory, lambda: function.succeed(TIMER_EVENT, config))
    return counts


def _open(shares: System, url: str) -> None:
    """Shows the page, and downloads."""
    page = shares.open(url, headers=HTML)
    used = shares.open(url, "POST", FORM, body=f"nonce={nonce_of(page)}")
    if (page.status, used.status) != (200, 303):
        raise RuntimeError(f"The share was not opened: {page.status}, {used.status}.")


def _counted(oss: MemoryOss, act: Callable[[], object]) -> int:
    before = oss.calls.total()
    act()
    return oss.calls.total() - before
