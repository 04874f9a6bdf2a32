"""One event, in a new process that imports the function and in a warm one, against the hand-written peer.

The interpreter is as bare as in Function Compute: no site module, only the function's environment variables, the code
and its packages on the path, with bytecode. Cold is the time of the entire process, from start to exit.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping
from pathlib import Path

from .report import Requirement, report

COLD, WARM = 15, 9
EVENTS = 1000
ROOT = Path(__file__).parents[1]
FOLDERS = [str(ROOT), *dict.fromkeys(sysconfig.get_paths()[kind] for kind in ("purelib", "platlib"))]
PEERS = {"fc-presign": "handler", "alibabacloud-oss-v2": "bench.peer"}
ENVIRONMENT = {
    "PATH": os.environ.get("PATH", ""),
    "LINK_CONFIG": str(ROOT / "bench" / "links.toml"),
    "LINK_REGION": "cn-hangzhou",
    "LINK_BUCKET": "examplebucket",
}
EVENT = {
    "version": "v1",
    "rawPath": "/exampledir/exampleobject.txt",
    "body": "",
    "isBase64Encoded": True,
    "headers": {"Accept": "*/*", "User-Agent": "curl/8.5.0", "X-Forwarded-Proto": "https"},
    "queryParameters": {},
    "requestContext": {
        "accountId": "1000000000000001",
        "domainName": "links-abcdefgh.cn-hangzhou.fcapp.run",
        "domainPrefix": "links-abcdefgh",
        "http": {
            "method": "GET",
            "path": "/exampledir/exampleobject.txt",
            "protocol": "HTTP/1.1",
            "sourceIp": "203.0.113.7",
            "userAgent": "curl/8.5.0",
        },
        "requestId": "1-6743a0f1-00000000-000000000001",
        "time": "2026-03-01T06:41:11Z",
        "timeEpoch": "1772347271895",
    },
}
# What the process runs. Its stdout, with the audit lines, is discarded; the time per event goes to stderr. It imports
# nothing that the function might have to import itself. Every fourth event has a space in its path.
PROGRAM = """
import sys, time
name, event, count, *sys.path[:0] = sys.argv[1:]
class Credentials:
    access_key_id, access_key_secret = "STS.EXAMPLE", "an-example-of-a-secret"
    security_token = "CAIS" + "t+/=" * 149
class Context:
    request_id, credentials = "1-6743a0f1", Credentials
function = __import__(name, fromlist=["on_http"]).on_http
def call(event):
    assert function(event, Context)["statusCode"] == 302
call(event.encode())
names = [f"{number:04}{'%20' if number % 4 == 0 else '-'}report.pdf" for number in range(100)]
events = [event.replace("exampleobject.txt", name).encode() for name in names]
began = time.perf_counter()
for number in range(int(count)):
    call(events[number % 100])
print((time.perf_counter() - began) / max(int(count), 1), file=sys.stderr)
"""


def main() -> int:
    """Prints medians and ratios; returns 1 if a required ratio is missed."""
    bare: list[float] = []
    cold: dict[str, list[float]] = {name: [] for name in PEERS}
    warm: dict[str, list[float]] = {name: [] for name in PEERS}
    for name in PEERS:
        run(name, 0)
    for _ in range(COLD):
        bare.append(python("pass")[0])
        for name in PEERS:
            cold[name].append(run(name, 0)[0])
    for _ in range(WARM):
        for name in PEERS:
            warm[name].append(run(name, EVENTS)[1])
    print(f"one event: a new process (median of {COLD}), and warm with its audit line (median of {WARM})")
    for name in PEERS:
        print(
            f"  {name:<22} {statistics.median(cold[name]) * 1e3:>8.1f} ms cold  "
            f"{statistics.median(warm[name]) * 1e6:>8.1f} µs warm"
        )
    print(f"  {'the interpreter alone':<22} {statistics.median(bare) * 1e3:>8.1f} ms")
    ours, theirs = PEERS
    return report(
        [
            Requirement("ours / alibabacloud-oss-v2, new process", ratio(cold, ours, theirs), 0.30, 0.18, False),
            Requirement("ours / alibabacloud-oss-v2, warm event", ratio(warm, ours, theirs), 0.30, 0.20, False),
        ]
    )


def ratio(times: dict[str, list[float]], one: str, other: str) -> float:
    return statistics.median(times[one]) / statistics.median(times[other])


def run(name: str, count: int) -> tuple[float, float]:
    """Seconds of a new process that answers one event, and seconds per event of `count` events after it."""
    seconds, stderr = python(PROGRAM, PEERS[name], json.dumps(EVENT), str(count), *FOLDERS)
    return seconds, float(stderr)


def python(program: str, *arguments: str, environment: Mapping[str, str] = ENVIRONMENT) -> tuple[float, str]:
    """Seconds from start to exit of a bare interpreter, and its stderr. Raises `RuntimeError` if it fails."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", program, *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        raise RuntimeError(f"A process of this measurement failed:\n{done.stderr}")
    return seconds, done.stderr
