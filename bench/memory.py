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
    ours, theirs = [], []
    for _ in range(TURNS):
        ours.append(_megabytes("handler", event, 0, 0)[0])
        theirs.append(_megabytes("bench.peer", event, 0, 0)[0])
    first, warm, last = _megabytes("handler", event, WARM, LINKS)
    details.line(f"  {first:.1f} MB, {warm:.1f} after {WARM:,} links, {last:.1f} after {LINKS:,} more")
    return [
        Figure.against("memory after one link", "MB", ours, PEER, theirs),
        Figure(f"growth, {LINKS:,} links", "MB", Spread.of([last - warm]), bound=Bound(MAX_GROWTH, 0.5)),
    ]


def _megabytes(module: str, event: str, first: int, count: int) -> list[float]:
    _, stderr = python(PROGRAM, module, event, str(first), str(count), *FOLDERS)
    return [int(pages) * os.sysconf("SC_PAGE_SIZE") / 1e6 for pages in stderr.split()]
