"""The custom runtime under the most requests that it is ever sent: how long they take, and whether anything breaks.

Function Compute never sends an instance more requests at a time than instanceConcurrency in
`deploy/custom-runtime/s.yaml`. So many connections are kept busy: the rate that results is the highest that the
instance holds. gunicorn runs as that file starts it, on one processor, as its instance; the client has the other ones.

LOAD_SECONDS sets how long it takes.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.handler.custom_runtime import ROOT, command, props

from ..details import Details
from ..figures import Bound, Figure, Spread
from ..process import give_one_processor
from .client import Answers, keep_busy, slices
from .mix import KEYS_DOCUMENT, LINKS, Mix

SECONDS = 20.0
WARM_UP = 5.0  # seconds before those that are measured
WINDOW = 60.0  # seconds at the start and at the end, whose memory is compared
MAX_GROWTH = 4.0  # MB


class Run(NamedTuple):
    """The answers of one run, the resident MB of the server once a second, and what it wrote to stderr."""

    seconds: float
    answers: Answers
    malformed: int
    memory: Sequence[float]
    log: str

    @property
    def growth(self) -> float:
        """MB in the last minute more than in the first; of a short run, in the last third more than in the first."""
        window = max(1, int(min(WINDOW, self.seconds / 3)))
        return statistics.median(self.memory[-window:]) - statistics.median(self.memory[:window])


def measure(details: Details) -> list[Figure]:
    done = run(seconds_from_environment(SECONDS))
    answers = done.answers
    for (name, status, code), count in sorted(answers.kinds.items()):
        details.line(f"  {count:>9,}  {name}: {status} {code}".rstrip())
    for fault in answers.faults:
        details.note(f"Wrong answer: {fault}")
    if done.log:
        details.note(f"gunicorn wrote: {done.log[:200]!r}")
    parts = slices(done.seconds, 10)
    count, shown = len(answers.latencies), props()["instanceConcurrency"]
    details.note(f"{count:,} requests in {done.seconds:g} s on {shown} connections, {done.malformed:,} malformed.")
    percentiles = {
        f"p{percent:g}": [answers.percentile(percent, *part) for part in parts] for percent in (50, 99, 99.9)
    }
    middles = [(since + until) / 2 for since, until in parts]
    series = {name: list(zip(middles, values, strict=True)) for name, values in percentiles.items()}
    details.curve(
        "load", "Latency of the custom runtime under full load", "seconds", "milliseconds", series, log_y=True
    )
    memory = {"resident": [(float(second), size) for second, size in enumerate(done.memory)]}
    details.curve("load-memory", "Memory of the custom runtime under full load", "seconds", "MB", memory)
    return [
        Figure("load, requests", "/s", Spread.of([answers.rate(*part) for part in parts])),
        *(
            Figure(f"load, {name}", "ms", Spread(answers.percentile(float(name[1:])), min(values), max(values)))
            for name, values in percentiles.items()
        ),
        Figure("load, wrong answers", "", Spread.of([answers.wrong]), bound=Bound(0, 0)),
        Figure("load, server errors", "", Spread.of([answers.server_errors]), bound=Bound(0, 0)),
        Figure("load, memory growth", "MB", Spread.of([done.growth]), bound=Bound(MAX_GROWTH, 1.0)),
    ]


def seconds_from_environment(default: float) -> float:
    return float(os.environ.get("LOAD_SECONDS") or default)


def run(seconds: float) -> Run:
    """Loads an instance for so long, after a warm-up."""
    connections = props()["instanceConcurrency"]
    mix, memory = Mix(), list[float]()
    with tempfile.TemporaryDirectory() as folder, _serving(Path(folder)) as (port, process):
        keep_busy(port, connections, WARM_UP, Mix(seed=1), lambda second: None)
        answers = keep_busy(port, connections, seconds, mix, lambda second: memory.append(_resident(process)))
        log = Path(folder, "stderr").read_text("utf-8")
    return Run(seconds, answers, mix.malformed, memory, log)


@contextmanager
def _serving(folder: Path) -> Iterator[tuple[int, int]]:
    """Runs gunicorn as in `deploy/custom-runtime/s.yaml`; yields its port and process id."""
    (folder / "links.toml").write_text(LINKS, "utf-8")
    (folder / "keys.json").write_text(json.dumps(KEYS_DOCUMENT), "utf-8")
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LINK_CONFIG": str(folder / "links.toml")}
    *arguments, app = command()
    with socket.socket() as listener, (folder / "stderr").open("wb") as stderr:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        number = listener.fileno()
        process = subprocess.Popen(
            [*arguments, "--bind", f"fd://{number}", app],
            cwd=ROOT,
            env=environment,
            pass_fds=[number],
            stdout=subprocess.DEVNULL,  # the audit lines
            stderr=stderr,
        )
        give_one_processor(process.pid)
        try:
            yield listener.getsockname()[1], process.pid
        finally:
            process.terminate()
            process.wait(30)


def _resident(process: int) -> float:
    """MB of a process and its children, 0 if the system does not say."""
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text("ascii").split()
        pages = int(Path(f"/proc/{process}/statm").read_text("ascii").split()[1])
    except OSError:
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6 + sum(_resident(int(child)) for child in children)
