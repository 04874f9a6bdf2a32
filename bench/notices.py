"""A thousand records in one event with one OSS sink, on the local stack: how long it takes, and whether memory grows.

The function runs in its own process. The event is repeated, each time with other objects.
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from local.stack import Stack

RECORDS = 1000
ROUNDS = 8
MAX_SECONDS = 2.0  # per event
MAX_GROWTH = 4.0  # MB, after the third round

_LINKS = """
region = "${LINK_REGION}"

[[mount]]
path   = "/outbox/"
target = "oss://${LINK_BUCKET}/outbox/"

[[notice]]
on    = "created"
mount = "/outbox/"
to    = ["manifest"]

[[sink]]
name   = "manifest"
target = "oss://${LINK_BUCKET}/.links/notices/"
"""


def event(number: int) -> bytes:
    """The event of one round. Every fourth key has a space."""
    sample = Path(__file__).parents[1] / "tests" / "data" / "events" / "oss-trigger.json"
    (record,) = json.loads(sample.read_text("utf-8"))["events"]
    records = []
    for index in range(RECORDS):
        key = f"outbox/{number}/{index:05}{' q3' if index % 4 == 0 else ''}.pdf"
        member = {**record["oss"]["object"], "key": key, "eTag": f"{number:016X}{index:016X}"}
        records.append({**record, "oss": {**record["oss"], "object": member}})
    return json.dumps({"events": records}).encode()


def memory(stack: Stack, function: str) -> float:
    """Resident MB of the function's process, 0 if the system does not say."""
    pages = 0
    for process in stack.runtime.processes(function):
        try:
            pages += int(Path(f"/proc/{process}/statm").read_text("ascii").split()[1])
        except OSError:
            return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def main() -> int:
    """Prints the medians; returns 1 if a bound is missed."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as log:
        links = Path(folder, "links.toml")
        links.write_text(_LINKS, "utf-8")
        with Stack.start(Path("s.yaml"), environment={"LINK_CONFIG": str(links)}, log=log) as stack:
            times, sizes = [], []
            for number in range(ROUNDS):
                sent = event(number)
                began = time.perf_counter()
                outcome = stack.runtime.invoke("links-events-dev", sent)
                times.append(time.perf_counter() - began)
                if outcome.error_type or json.loads(outcome.payload)["notices"] != RECORDS:
                    raise RuntimeError(f"The notices were not delivered: {outcome.error_message}")
                sizes.append(memory(stack, "links-events-dev"))
    growth = sizes[-1] - sizes[2]
    slowest, median = max(times), statistics.median(times)
    print(f"notices: {RECORDS:,} records in one event, one OSS sink, {ROUNDS} events")
    fast = slowest <= MAX_SECONDS
    print(f"  seconds per event       {median:6.2f}, slowest {slowest:.2f}; at most {MAX_SECONDS:g}: {_verdict(fast)}")
    flat = growth <= MAX_GROWTH
    print(f"  memory after the third  {growth:+6.1f} MB of {sizes[-1]:.0f}; at most {MAX_GROWTH:+g}: {_verdict(flat)}")
    return 0 if fast and flat else 1


def _verdict(holds: bool) -> str:
    return "reached" if holds else "MISSED"
