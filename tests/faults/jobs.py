"""What a process does until it is killed: `python -m tests.faults.jobs OSS_URL` runs each job in a fork of itself.

A fork is a new instance that has imported everything, so that a kill meets the work and not the start. A line of JSON
names the job; the lines that come back are the fork's process id, its result unless it was killed, and `ended`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

ROOT = Path(__file__).parents[2]
PART = 100 * 1024  # bytes, the minimum
CONTENT = bytes(range(256)) * (PART // 256) * 2 + b"the end"

Ask = Callable[..., Any]


# --- the jobs -------------------------------------------------------------------------------------------------------


def use(ask: Ask, url: str, nonce: str | None = None) -> dict[str, Any]:
    parts = urlsplit(url)
    body = {"nonce": nonce} if nonce else {}
    response = ask(parts.path, "POST", query=dict(parse_qsl(parts.query)), params=body)
    return {"status": response.status, "code": response.json.get("code"), "url": response.json.get("url")}


def make(ask: Ask, path: str) -> dict[str, Any]:
    response = ask("/-/shares", "POST", params={"path": path, "max_uses": 1}, is_caller=True)
    return {"status": response.status, **response.json}


def revoke(ask: Ask, share_id: str) -> dict[str, Any]:
    return {"status": ask(f"/-/shares/{share_id}", "DELETE", is_caller=True).status}


def put(ask: Ask, path: str) -> dict[str, Any]:
    """A PUT link, and the upload through it."""
    item = {"path": path, "method": "PUT", "size": len(CONTENT)}
    link = ask("/-/sign", "POST", params={"links": [item]}, is_caller=True).json["links"][0]
    return {"status": requests.put(link["url"], data=CONTENT, headers=link["headers"], timeout=30).status_code}


def form(ask: Ask, path: str) -> dict[str, Any]:
    """A form, and the upload with it."""
    return _submit(ask("/-/form", "POST", params={"path": path}, is_caller=True).json)


def page(ask: Ask, url: str, nonce: str) -> dict[str, Any]:
    """The form of an upload page for a file, and the upload with it."""
    parts = urlsplit(url)
    file = {"name": "a.bin", "size": len(CONTENT), "type": "text/plain", "nonce": nonce, "again": True}
    response = ask(parts.path, "POST", query=dict(parse_qsl(parts.query)), params=file)
    if response.status != 200:
        return {"status": response.status, "code": response.json["code"]}
    return {**_submit(response.json), "number": response.json["number"]}


def _submit(signed: dict[str, Any]) -> dict[str, Any]:
    files = {"file": ("a.bin", CONTENT)}
    return {"status": requests.post(signed["url"], data=signed["fields"], files=files, timeout=30).status_code}


def _begin(ask: Ask, path: str) -> Any:
    params = {"path": path, "size": len(CONTENT), "part_size": PART}
    return ask("/-/uploads", "POST", params=params, is_caller=True)


def multipart(ask: Ask, path: str) -> dict[str, Any]:
    """A multipart upload from its beginning to its completion."""
    begun = _begin(ask, path)
    if begun.status != 201:
        return {"status": begun.status, "code": begun.json["code"]}
    upload, etags = begun.json, []
    for part in upload["parts"]:
        chunk = CONTENT[(part["part_number"] - 1) * PART :][:PART]
        response = requests.put(part["url"], data=chunk, headers=part["headers"], timeout=30)
        etags.append(response.headers["ETag"])
    listed = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>{etag}</ETag></Part>" for n, etag in enumerate(etags, 1))
    body = f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>"
    complete = upload["complete"]
    return {"status": requests.post(complete["url"], data=body, headers=complete["headers"], timeout=30).status_code}


def abort(ask: Ask, path: str) -> dict[str, Any]:
    """A multipart upload that is begun and aborted."""
    return {"status": requests.delete(_begin(ask, path).json["abort"]["url"], timeout=30).status_code}


def notice(ask: Ask, event: str) -> dict[str, Any]:
    """The event function, with a sink in OSS."""
    from handler import events
    from handler.notices.sinks.client import Network
    from handler.times import Clock
    from tests.handler.client import context

    config = ask.__self__.config  # type: ignore[attr-defined]
    with contextlib.redirect_stdout(io.StringIO()):
        return events.answer(event, context(), lambda: config, network=Network(), clock=Clock())


JOBS: dict[str, Callable[..., dict[str, Any]]] = {
    job.__name__: job for job in (use, make, revoke, put, form, page, multipart, abort, notice)
}


class _Instance:
    def __init__(self, oss_url: str) -> None:
        from tests.faults.service import LINKS
        from tests.handler.client import make_config

        self.config = make_config(LINKS, {"LINK_OSS_ENDPOINT": oss_url})

    def ask(
        self,
        path: str,
        method: str,
        *,
        query: dict[str, str] | None = None,
        params: Any = None,
        is_caller: bool = False,
    ) -> Any:
        from tests.faults.service import CALLER, JSON
        from tests.handler.client import event, invoke

        sent = {**JSON, "Content-Type": "application/json"}
        if is_caller:
            sent["Authorization"] = f"Bearer {CALLER}"
        body = "" if params is None else json.dumps(params)
        http_event = event(path, method, query, sent, body=body, isBase64Encoded=False)
        return invoke(json.dumps(http_event), config=self.config, now=time.time())


# --- the process ----------------------------------------------------------------------------------------------------


class Run:
    """A job that runs in a process of its own."""

    def __init__(self, lines: Any) -> None:
        self._lines = lines
        self.pid = int(lines.readline())
        self.began = time.monotonic()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended
            os.kill(self.pid, 9)

    def result(self) -> dict[str, Any] | None:
        """None if it was killed."""
        found: dict[str, Any] | None = None
        while (line := self._lines.readline()) != "ended\n":
            assert line, "the process of the jobs has ended"
            found = json.loads(line)
        return found


class Jobs:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def start(self, name: str, **arguments: Any) -> Run:
        assert self._process.stdin
        self._process.stdin.write(json.dumps([name, arguments]) + "\n")
        self._process.stdin.flush()
        return Run(self._process.stdout)

    def run(self, name: str, **arguments: Any) -> dict[str, Any]:
        """The result of a job that nobody kills."""
        result = self.start(name, **arguments).result()
        assert result is not None
        return result


@contextmanager
def jobs(oss_url: str) -> Iterator[Jobs]:
    """Ends with its standard input."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.faults.jobs", oss_url],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Jobs(process)
        finally:
            process.kill()


def main(oss_url: str) -> None:
    # What a job imports is imported here, but nothing is sent: forks must not share a connection.
    import handler.auth
    import handler.endpoints.multipart
    import handler.endpoints.open_share
    import handler.endpoints.shares
    import handler.endpoints.upload_page
    import handler.events
    import handler.keys.location  # noqa: F401

    instance = _Instance(oss_url)
    for line in sys.stdin:
        name, arguments = json.loads(line)
        child = os.fork()
        if child == 0:
            os.write(1, f"{os.getpid()}\n".encode())
            result = JOBS[name](instance.ask, **arguments)
            os.write(1, (json.dumps(result) + "\n").encode())
            os._exit(0)
        os.waitpid(child, 0)
        os.write(1, b"ended\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
