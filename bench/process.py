"""Runs a function in a new process, with an interpreter as bare as in Function Compute.

It has no site module, only the function's environment variables, the code and its packages on the path, with bytecode.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from local.oss import create_app
from local.server import listen, serve
from signer import Credentials

ROOT = Path(__file__).parents[1]
FOLDERS = [str(ROOT), *dict.fromkeys(sysconfig.get_paths()[kind] for kind in ("purelib", "platlib"))]
REGION, BUCKET = "cn-hangzhou", "examplebucket"
ENVIRONMENT: Mapping[str, str] = {
    "PATH": os.environ.get("PATH", ""),
    "LINK_CONFIG": str(ROOT / "bench" / "links.toml"),
    "LINK_REGION": REGION,
    "LINK_BUCKET": BUCKET,
}
# The token is as long as that of a role.
CREDENTIALS = Credentials("STS.EXAMPLE", "an-example-of-a-secret", "CAIS" + "t+/=" * 149)
# What a browser sends when a person opens a link.
BROWSER = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.9,zh-CN;q=0.8",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "none",
    "Sec-Fetch-User": "?1",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
}
PROGRAM_HEAD = f"""
import sys, time
class Credentials:
    access_key_id, access_key_secret, security_token = {CREDENTIALS[:3]!r}
class Context:
    request_id, credentials = "1-6743a0f1", Credentials
"""
# What the process runs. Its stdout, with the audit lines, is discarded; the time per event goes to stderr. It imports
# nothing that the function might have to import itself. Every fourth event has a space in its path.
PROGRAM = f"""{PROGRAM_HEAD}
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


def give_one_processor(process: int) -> None:
    """Lets a process and its later children run on one processor alone: an instance of a custom runtime has one vCPU.

    Threads of Python run one at a time in any case; on several processors they also empty each other's caches. Does
    nothing where the system cannot.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process, {max(os.sched_getaffinity(process))})


class Run(NamedTuple):
    """Seconds of a process from start to exit, and seconds of processor time per event of those after the first."""

    seconds: float
    per_event: float


def http_event(
    path: str = "/exampledir/exampleobject.txt",
    method: str = "GET",
    *,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    body: str = "",
) -> str:
    """The sample of the repository with another request. `headers` replace those of curl; `path` is percent-encoded."""
    event = json.loads((ROOT / "tests/data/events/http-get.json").read_text("utf-8"))
    event["requestContext"]["http"] |= {"method": method, "path": path}
    sent = headers if headers is not None else {"Accept": "*/*", "User-Agent": "curl/8.5.0"}
    event |= {"rawPath": path, "queryParameters": dict(query or {}), "body": body, "isBase64Encoded": False}
    return json.dumps({**event, "headers": {**sent, "X-Forwarded-Proto": "https"}})


@contextmanager
def local_oss(links: str) -> Iterator[dict[str, str]]:
    """The environment of functions with this links.toml, while an OSS with an empty bucket runs in this process."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "links.toml")
        config.write_text(links, "utf-8")
        app = create_app(Path(folder, "oss"), region=REGION, credentials=[CREDENTIALS], buckets=[BUCKET])
        with closing(serve(app, listen(0))) as server:
            yield {**ENVIRONMENT, "LINK_CONFIG": str(config), "LINK_OSS_ENDPOINT": server.url}


def run(
    module: str, event: str, count: int = 0, *, status: int = 302, environment: Mapping[str, str] = ENVIRONMENT
) -> Run:
    """A new process that answers one event with `on_http` of a module, and `count` events like it afterwards."""
    seconds, stderr = python(PROGRAM, module, str(status), event, str(count), *FOLDERS, environment=environment)
    return Run(seconds, float(stderr.splitlines()[-1]))


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
