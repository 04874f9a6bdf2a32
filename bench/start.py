"""One event, in a new process that imports the function and in a warm one, against the hand-written peer.

A new process is measured from its start to its exit; a warm event includes its audit line.
"""

from __future__ import annotations

from .figures import Bound, Figure
from .process import http_event, run

COLD = 21
WARM = 9
EVENTS = 1000
PEER = "alibabacloud-oss-v2"
MODULES = {"ours": "handler", PEER: "bench.peer"}


def measure() -> list[Figure]:
    event = http_event()
    cold: dict[str, list[float]] = {name: [] for name in MODULES}
    warm: dict[str, list[float]] = {name: [] for name in MODULES}
    for module in MODULES.values():  # writes bytecode
        run(module, event)
    for _ in range(COLD):
        for name, module in MODULES.items():
            cold[name].append(run(module, event).seconds * 1e3)
    for _ in range(WARM):
        for name, module in MODULES.items():
            warm[name].append(run(module, event, EVENTS).per_event * 1e6)
    return [
        Figure.against("event in a new process", "ms", cold["ours"], PEER, cold[PEER], Bound(0.18)),
        Figure.against("warm event", "µs", warm["ours"], PEER, warm[PEER], Bound(0.22)),
    ]
