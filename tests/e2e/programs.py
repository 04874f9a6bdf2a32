"""Other people's HTTP clients, run as programs."""

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
# A quick start matters more than fast code.
JAVA_OPTIONS = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto")


class Fetched(NamedTuple):
    """What a client that follows redirects got at the end: `length` is the Content-Length."""

    status: int
    length: int
    body: bytes


class Exchange(NamedTuple):
    """What curl got: the status of every hop, the headers (lower-case names) and the body of the last."""

    statuses: tuple[int, ...]
    headers: dict[str, str]
    body: bytes

    @property
    def status(self) -> int:
        return self.statuses[-1]


def curl(program: str, *arguments: str | Path) -> Exchange:
    """Runs curl without anybody's own settings. Raises `CalledProcessError` where it gets no answer."""
    with tempfile.TemporaryDirectory() as folder:
        head, body = Path(folder, "head"), Path(folder, "body")
        body.touch()
        own: list[str | Path] = ["-q", "-sS", "--noproxy", "*", "--max-time", "30", "-D", head, "-o", body]
        subprocess.run([program, *own, *arguments], check=True, timeout=TIMEOUT)
        blocks = [block.splitlines() for block in head.read_bytes().decode("latin-1").split("\r\n\r\n") if block]
        statuses = [int(lines[0].split(" ")[1]) for lines in blocks]
        pairs = (line.partition(":") for line in blocks[-1][1:])
        return Exchange(
            tuple(status for status in statuses if status >= 200),
            {name.lower(): value.strip() for name, _, value in pairs},
            # For a HEAD curl writes the headers there once more.
            b"" if {"-I", "--head"} & {*arguments} else body.read_bytes(),
        )


def node_fetch(program: str, method: str, urls: Sequence[str]) -> list[Fetched]:
    """Node's `fetch` of each address."""
    found = [json.loads(line) for line in _lines(program, CLIENTS / "fetch.mjs", method, *urls)]
    assert all(entry["redirected"] for entry in found)
    return [Fetched(entry["status"], int(entry["length"]), base64.b64decode(entry["body"])) for entry in found]


def java_get(program: str, method: str, urls: Sequence[str]) -> list[Fetched]:
    """Java's `HttpURLConnection` on each address."""
    found = [line.split(" ") for line in _lines(program, *JAVA_OPTIONS, CLIENTS / "Get.java", method, *urls)]
    return [Fetched(int(status), int(length), base64.b64decode(text)) for status, length, text in found]


def _lines(*command: str | Path) -> list[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=TIMEOUT).stdout.splitlines()
