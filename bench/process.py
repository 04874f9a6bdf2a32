"""Runs a function in a new process, with an interpreter as bare as in Function Compute.

It has no site module, only the function's environment variables, the code and its packages on the path, with bytecode.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from signer import Credentials

ROOT = Path(__file__).parents[1]
REGION = "cn-hangzhou"
BUCKET = "examplebucket"
ENVIRONMENT: Mapping[str, str] = {
    "PATH": os.environ.get("PATH", ""),
    "LINK_CONFIG": str(ROOT / "bench" / "links.toml"),
    "LINK_REGION": REGION,
    "LINK_BUCKET": BUCKET,
}
# The token is as long as that of a role.
CREDENTIALS = Credentials("STS.EXAMPLE", "an-example-of-a-secret", "CAIS" + "t+/=" * 149)
TIMEOUT = 120  # seconds
# What the process runs. Its stdout, with the audit lines, is discarded; the time per event goes to stderr. It imports
# nothing that the function might have to import itself. Every fourth event has a space in its path.
PROGRAM = f"""
import sys, time
class Credentials:
    access_key_id, access_key_secret, security_token = {CREDENTIALS[:3]!r}
class Context:
    request_id, credentials = "1-6743a0f1", Credentials
name, status, event, count, *sys.path[:0] = sys.argv[1:]
function = __import__(name, fromlist=["on_http"]).on_http
def call(event):
    assert function(event, Context)["statusCode"] == int(status)
call(event.encode())
names = [f"{{number:04}}{{'%20' if number % 4 == 0 else '-'}}report.pdf" for number in range(100)]
events = [event.replace("exampleobject.txt", name).encode() for name in names]
for event in events * 5 if int(count) else ():  # an instance is warm after some hundred events
    call(event)
began = time.process_time()
for number in range(int(count)):
    call(events[number % 100])
print((time.process_time() - began) / max(int(count), 1), file=sys.stderr)
"""


class Run(NamedTuple):
    """Seconds of a process from start to exit, and seconds of processor time per event of those after the first."""

    seconds: float
    per_event: float


def http_event(
    path: str = "/exampledir/exampleobject.txt",
    *,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> str:
    """The sample of the repository for another path, which is percent-encoded. `headers` replace those of curl."""
    event = json.loads((ROOT / "tests/data/events/http-get.json").read_text("utf-8"))
    event["requestContext"]["http"]["path"] = event["rawPath"] = path
    sent = headers if headers is not None else {"Accept": "*/*", "User-Agent": "curl/8.5.0"}
    event |= {
        "queryParameters": dict(query or {}),
        "headers": {**sent, "X-Forwarded-Proto": "https"},
    }
    return json.dumps(event)


def run(
    module: str,
    event: str,
    count: int = 0,
    *,
    status: int = 302,
    environment: Mapping[str, str] = ENVIRONMENT,
) -> Run:
    """A new process that answers one event with `on_http` of a module, and `count` events like it afterwards.

    Raises `RuntimeError` if it fails.
    """
    folders = [
        str(ROOT),
        *dict.fromkeys(sysconfig.get_paths()[kind] for kind in ("purelib", "platlib")),
    ]
    seconds, output = _run_bare(
        [PROGRAM, module, str(status), event, str(count), *folders], environment
    )
    return Run(seconds, float(output.splitlines()[-1]))


def run_empty() -> float:
    """The seconds of such a process that runs nothing."""
    return _run_bare([""], ENVIRONMENT)[0]


def _run_bare(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[float, str]:
    """The seconds from start to exit, and what is on stderr. Raises `RuntimeError`."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", *arguments],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT,
        check=False,
    )
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        raise RuntimeError(f"A process of this measurement failed:\n{done.stderr}")
    return seconds, done.stderr
