"""Function Compute's custom runtime: runs the command of its s.yaml, and sends requests as the platform does."""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from signer import Credentials
from tests.deploy.checks import shipped
from tests.handler.client import KEYS, Answered

ROOT = Path(__file__).parents[2]
REQUEST_ID = "1-6743a0f1-00000000-000000000001"


def command(port: int) -> list[str]:
    """The command of deploy/custom-runtime/s.yaml, with the interpreter of these tests and another port."""
    config = shipped.custom()["customRuntimeConfig"]
    arguments = [str(port) if part == str(config["port"]) else part for part in config["args"]]
    return [sys.executable, *config["command"][1:], *arguments]


def read(response: http.client.HTTPResponse, method: str) -> Answered:
    """A response with the names of headers in title case; it has the length of its body."""
    fields, body = response.getheaders(), response.read()
    headers = {name.title(): value for name, value in fields}
    assert len(headers) == len(fields)
    has_length = method != "HEAD" and response.status != 204
    assert headers.get("Content-Length") == (str(len(body)) if has_length else None)
    return Answered(response.status, headers, body.decode(), "")


def platform(
    control: str = "/http-invoke", keys: Credentials = KEYS, request_id: str = REQUEST_ID
) -> dict[str, str]:
    """The headers that the platform adds to a request."""
    return {
        "x-fc-request-id": request_id,
        "x-fc-control-path": control,
        "x-fc-access-key-id": keys.access_key_id,
        "x-fc-access-key-secret": keys.access_key_secret,
        "x-fc-security-token": keys.security_token or "",
    }


class Instance(NamedTuple):
    """A running instance, and the folder with its log."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]

    @property
    def log(self) -> str:
        """What it wrote to standard output and standard error."""
        return (self.folder / "out").read_text("utf-8") + (self.folder / "err").read_text("utf-8")

    def lines(self, request_id: str) -> list[dict[str, Any]]:
        """The audit lines of one request."""
        log = self.log
        lines = (
            [json.loads(line) for line in log.splitlines() if request_id in line]
            if request_id in log
            else []
        )
        return [line for line in lines if line["request_id"] == request_id]

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def ask(
        self,
        target: str,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        *,
        added: Mapping[str, str] | None = None,
        connection: http.client.HTTPConnection | None = None,
    ) -> Answered:
        """Sends a request as the platform forwards it; `added` are the platform's own headers."""
        own = connection or self.connect()
        own.request(
            method, target, body, {"Accept": "*/*", **(headers or {}), **(added or platform())}
        )
        return read(own.getresponse(), method)

    def open(self, raw: bytes) -> socket.socket:
        """A connection on which these bytes were sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        connection.sendall(raw)
        return connection

    def send(self, raw: bytes) -> bytes:
        """Sends raw bytes, and returns everything that is received until the server closes the connection."""
        with self.open(raw) as connection:
            return received(connection)


def received(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    return b"".join(iter(lambda: connection.recv(65536), b""))


@contextmanager
def instance(
    folder: Path, links: str, environment: Mapping[str, str] | None = None
) -> Iterator[Instance]:
    """Starts an instance with a links.toml, waits for its port, and stops it at the end."""
    folder.mkdir(exist_ok=True)
    (folder / "links.toml").write_text(links, "utf-8")
    port = free_port()
    variables = {
        "PATH": os.environ["PATH"],
        "LINK_CONFIG": str(folder / "links.toml"),
        **(environment or {}),
    }
    with (folder / "out").open("ab") as out, (folder / "err").open("ab") as err:
        process = subprocess.Popen(command(port), cwd=ROOT, env=variables, stdout=out, stderr=err)
    try:
        wait_for_port(port, process)
        running = Instance(port, folder, process)
        yield running
        assert all("request_id" in json.loads(line) for line in running.log.splitlines()), (
            "not an audit line"
        )
    finally:
        process.terminate()
        process.wait(30)


def free_port() -> int:
    """One below those that the system gives to others, who could have it before the instance does."""
    while True:
        port = random.randrange(20_000, 32_000)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    for _ in range(2400):  # the platform waits for 120 seconds
        assert process.poll() is None, "The instance did not start."
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError("The instance did not open its port in time.")
