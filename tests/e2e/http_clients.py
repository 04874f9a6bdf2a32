"""HTTP clients of other projects, run as programs."""

from __future__ import annotations

import base64
import json
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

CLIENTS = Path(__file__).with_name("clients")
TIMEOUT = 60  # seconds
# For a fast start.
JAVA_OPTIONS = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")


class FinalResponse(NamedTuple):
    """The final response that a client gets after redirects; `length` is its Content-Length."""

    status: int
    length: int
    body: bytes


class Exchange(NamedTuple):
    """The statuses of all responses to curl, and the headers (lower-case names) and body of the last one."""

    statuses: tuple[int, ...]
    headers: dict[str, str]
    body: bytes

    @property
    def status(self) -> int:
        return self.statuses[-1]


def curl(program: str, *arguments: str | Path) -> Exchange:
    """Runs curl without a configuration file. Raises `CalledProcessError` if it gets no response."""
    with tempfile.TemporaryDirectory() as folder:
        head, body = Path(folder, "head"), Path(folder, "body")
        body.touch()
        options: list[str | Path] = [
            "-q",
            "-sS",
            "--noproxy",
            "*",
            "--max-time",
            "30",
            "-D",
            head,
            "-o",
            body,
        ]
        subprocess.run([program, *options, *arguments], check=True, timeout=TIMEOUT)
        blocks = [
            block.splitlines()
            for block in head.read_bytes().decode("latin-1").split("\r\n\r\n")
            if block
        ]
        statuses = [int(lines[0].split(" ")[1]) for lines in blocks]
        pairs = (line.partition(":") for line in blocks[-1][1:])
        return Exchange(
            tuple(status for status in statuses if status >= 200),
            {name.lower(): value.strip() for name, _, value in pairs},
            # For HEAD, curl writes the headers to the body file, too.
            b"" if {"-I", "--head"} & {*arguments} else body.read_bytes(),
        )


def node_fetch(program: str, method: str, urls: Sequence[str]) -> list[FinalResponse]:
    """Fetches each address with Node's `fetch`."""
    responses = [json.loads(line) for line in _lines(program, CLIENTS / "fetch.mjs", method, *urls)]
    assert all(entry["redirected"] for entry in responses)
    return [
        FinalResponse(entry["status"], int(entry["length"]), base64.b64decode(entry["body"]))
        for entry in responses
    ]


def java_get(program: str, method: str, urls: Sequence[str]) -> list[FinalResponse]:
    """Requests each address with Java's `HttpURLConnection`."""
    lines = [
        line.split(" ")
        for line in _lines(program, *JAVA_OPTIONS, CLIENTS / "Get.java", method, *urls)
    ]
    return [
        FinalResponse(int(status), int(length), base64.b64decode(content))
        for status, length, content in lines
    ]


def _lines(*command: str | Path) -> list[str]:
    return subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=TIMEOUT
    ).stdout.splitlines()
