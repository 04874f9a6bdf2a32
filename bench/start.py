"""One event, in a new process that imports the function and in a warm one, against the hand-written peer.

A new process is measured from its start to its exit; a warm event includes its audit line.
"""

from __future__ import annotations

import statistics
import time

from .details import Details
from .figures import Bound, Figure, Spread
from .process import FOLDERS, PROGRAM_HEAD, http_event, python, run

COLD, WARM, PARTS = 21, 9, 7
EVENTS = 1000
PEER = "alibabacloud-oss-v2"
MODULES = {"ours": "handler", PEER: "bench.peer"}
# Which modules of Python one event loads, in their order; then, with these as argument, when each part is done.
LOADED = f"""{PROGRAM_HEAD}
before = set(sys.modules)
event, *sys.path[:0] = sys.argv[1:]
from handler import on_http
on_http(event.encode(), Context)
ours = ("handler", "signer")
# os first: it and others import each other, and only this order works.
names = [name for name in sys.modules if name not in before and name.partition(".")[0] not in ours]
print("os", *names, file=sys.stderr)
"""
STEPS = f"""
import sys, time
times = [time.perf_counter()]
event, modules, *sys.path[:0] = sys.argv[1:]
for name in modules.split():
    __import__(name)
times.append(time.perf_counter())
import handler
handler.on_initialize(None)
function = handler.on_http
times.append(time.perf_counter())
{PROGRAM_HEAD}
assert function(event.encode(), Context)["statusCode"] == 302
times.append(time.perf_counter())
print(*times, file=sys.stderr)
"""
PART_NAMES = ("interpreter", "modules of Python", "our modules, links.toml", "the event", "exit")


def measure(details: Details) -> list[Figure]:
    event = http_event()
    cold: dict[str, list[float]] = {name: [] for name in MODULES}
    warm: dict[str, list[float]] = {name: [] for name in MODULES}
    bare = []
    for module in MODULES.values():
        run(module, event)
    for _ in range(COLD):
        bare.append(python("pass")[0] * 1e3)
        for name, module in MODULES.items():
            cold[name].append(run(module, event).seconds * 1e3)
    for _ in range(WARM):
        for name, module in MODULES.items():
            warm[name].append(run(module, event, EVENTS).per_event * 1e6)
    details.line(f"  the interpreter alone takes {statistics.median(bare):.1f} ms")
    for unit, times in (("ms, new process", cold), ("µs, warm event", warm)):
        for name, values in times.items():
            spread = Spread.of(values)
            details.line(f"  {name:<20} {spread.median:8.1f} ({spread.low:.1f}-{spread.high:.1f}) {unit}")
    parts = _parts(event)
    for name, milliseconds in parts.items():
        details.line(f"  a new process, {name:<24} {milliseconds:6.1f} ms")
    details.bars("new-process", "One event in a new process, by its parts", "milliseconds (medians)", parts)
    return [
        Figure.against("event in a new process", "ms", cold["ours"], PEER, cold[PEER], Bound(0.18, 0.18)),
        Figure.against("warm event", "µs", warm["ours"], PEER, warm[PEER], Bound(0.22, 0.22)),
    ]


def _parts(event: str) -> dict[str, float]:
    """Milliseconds of each part of a new process that answers one event."""
    modules = python(LOADED, event, *FOLDERS)[1]
    runs = []
    for _ in range(PARTS):
        began = time.perf_counter()  # the same clock in all processes of a machine
        seconds, stderr = python(STEPS, event, modules, *FOLDERS)
        ends = [*map(float, stderr.split()), began + seconds]
        runs.append([end - begin for begin, end in zip([began, *ends], ends, strict=False)])
    return {name: statistics.median(each) * 1e3 for name, each in zip(PART_NAMES, zip(*runs, strict=True), strict=True)}
