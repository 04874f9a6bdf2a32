"""Resident memory of a process with the function: after its first link, and how much it grows with many more."""

from __future__ import annotations

import os
from pathlib import Path

from .details import Details
from .figures import Bound, Figure, Spread
from .process import FOLDERS, PROGRAM_HEAD, http_event, python

LINKS, WARM, TURNS = 100_000, 1_000, 5
MAX_GROWTH = 1.0  # MB
PEER = "alibabacloud-oss-v2"
# Every link has another key, so that a cache of links or of keys would grow. The pages of memory go to stderr.
PROGRAM = f"""{PROGRAM_HEAD}
name, event, first, count, *sys.path[:0] = sys.argv[1:]
function = __import__(name, fromlist=["on_http"]).on_http
def pages():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1])
def call(number):
    sent = event.replace("exampleobject.txt", f"{{number:07}}{{'%20' if number % 4 == 0 else '-'}}report.pdf")
    assert function(sent.encode(), Context)["statusCode"] == 302
call(0)
sizes = [pages()]
for until in (int(first), int(count)):
    for number in range(until):
        call(number)
    sizes.append(pages())
print(*sizes, file=sys.stderr)
"""


def measure(details: Details) -> list[Figure]:
    """Without /proc (on another system than Linux), nothing is measured."""
    if not Path("/proc/self/statm").exists():
        details.note("memory: not measured, because this system has no /proc/self/statm.")
        return []
    event = http_event()
    modules = {"ours": "handler", PEER: "bench.peer"}
    rest: dict[str, list[float]] = {name: [] for name in modules}
    growth = {}
    for _ in range(TURNS):
        for name, module in modules.items():
            rest[name].append(_megabytes(module, event, 0, 0)[0])
    for name, module in modules.items():
        first, warm, last = _megabytes(module, event, WARM, LINKS)
        growth[name] = last - warm
        details.line(f"  {name:<20} {first:.1f} MB, {warm:.1f} after {WARM:,} links, {last:.1f} after {LINKS:,} more")
    ours, theirs = (Spread.of([megabytes]) for megabytes in growth.values())
    return [
        Figure.against("memory after one link", "MB", rest["ours"], PEER, rest[PEER]),
        Figure(f"growth, {LINKS:,} links", "MB", ours, PEER, theirs, None, Bound(MAX_GROWTH, 0.5)),
    ]


def _megabytes(module: str, event: str, first: int, count: int) -> list[float]:
    _, stderr = python(PROGRAM, module, event, str(first), str(count), *FOLDERS)
    return [int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6 for pages in stderr.split()]
