"""One event, in a new process that imports the function and in a warm one, against the hand-written peer and a floor.

A new process is measured from its start to its exit; a warm event includes its audit line. The floors say what nobody
can save: a process that imports nothing, and an event of which only JSON is read and written and one HMAC made.
"""

from __future__ import annotations

from .figures import Bound, Figure
from .process import http_event, run, run_empty

# The bounds are the most that was measured, 0.18 and 0.26, and a tenth: a change that costs more is missed.
COLD_BOUND = Bound(0.2)
WARM_BOUND = Bound(0.29)
# Of a bare interpreter's: 4.9 was measured, and a tenth.
EMPTY_BOUND = Bound(5.4)
COLD = 21
WARM = 9
EVENTS = 1000
PEER = "alibabacloud-oss-v2"
EMPTY = "empty process"
FLOOR = "JSON and one HMAC"
MODULES = {"ours": "handler", PEER: "bench.peer"}


def measure() -> list[Figure]:
    event = http_event()
    warm_modules = {**MODULES, FLOOR: "bench.floor"}
    cold: dict[str, list[float]] = {name: [] for name in (*MODULES, EMPTY)}
    warm: dict[str, list[float]] = {name: [] for name in warm_modules}
    for module in MODULES.values():  # writes bytecode
        run(module, event)
    for _ in range(COLD):
        for name, module in MODULES.items():
            cold[name].append(run(module, event).seconds * 1e3)
        cold[EMPTY].append(run_empty() * 1e3)
    for _ in range(WARM):
        for name, module in warm_modules.items():
            warm[name].append(run(module, event, EVENTS).per_event * 1e6)
    return [
        Figure.against("event in a new process", "ms", cold["ours"], PEER, cold[PEER], COLD_BOUND),
        Figure.against(
            "event in a new process", "ms", cold["ours"], EMPTY, cold[EMPTY], EMPTY_BOUND
        ),
        Figure.against("warm event", "µs", warm["ours"], PEER, warm[PEER], WARM_BOUND),
        Figure.against("warm event", "µs", warm["ours"], FLOOR, warm[FLOOR]),
    ]
