"""Function Compute's custom runtime: runs the command of its s.yaml, and sends requests as the platform does."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from signer import Credentials
from tests.handler.client import KEYS

ROOT = Path(__file__).parents[2]
REQUEST_ID = "1-6743a0f1-00000000-000000000001"
START_TIMEOUT = 120  # seconds in which the platform expects the port to open


class Reply(NamedTuple):
    """A response over the wire; `headers` have lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The code of a problem, None for any other response."""
        is_problem = self.headers.get("content-type") == "application/problem+json"
        return str(self.json["code"]) if is_problem else None


def props() -> dict[str, Any]:
    """The function of deploy/custom-runtime/s.yaml."""
    document = yaml.safe_load((ROOT / "deploy/custom-runtime/s.yaml").read_text("utf-8"))
    properties = document["resources"]["links_traffic"]["props"]
    assert isinstance(properties, dict)
    return properties


def command(port: int) -> list[str]:
    """The command that the platform runs, with the interpreter of these tests and another port."""
    config = props()["customRuntimeConfig"]
    assert config["command"][0] == "/var/fc/lang/python3.10/bin/python3"
    return [
        sys.executable,
        *config["command"][1:],
        *(str(port) if part == str(config["port"]) else part for part in config["args"]),
    ]


def platform(
    control: str | None = "/http-invoke", keys: Credentials | None = KEYS, request_id: str = REQUEST_ID
) -> dict[str, str]:
    """The headers that the platform adds to a request."""
    headers = {
        "x-fc-request-id": request_id,
        "x-fc-function-name": "links-traffic",
        "x-fc-control-path": control,
        "x-fc-access-key-id": keys and keys.access_key_id,
        "x-fc-access-key-secret": keys and keys.access_key_secret,
        "x-fc-security-token": keys and keys.security_token,
    }
    return {name: value for name, value in headers.items() if value is not None}


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
        """The audit lines of one request. Everything that is logged is an audit line."""
        lines = [json.loads(line) for line in self.log.splitlines()]
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
    ) -> Reply:
        """Sends a request as the platform forwards it; `added` are the platform's own headers."""
        own = connection or self.connect()
        try:
            sent = {"Accept": "*/*", **(headers or {}), **(platform() if added is None else added)}
            own.request(method, target, body, sent)
            response = own.getresponse()
            fields = response.getheaders()
            assert len({name.lower() for name, _ in fields}) == len(fields)
            return Reply(response.status, {name.lower(): value for name, value in fields}, response.read())
        finally:
            if connection is None:
                own.close()

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
def instance(folder: Path, links: str, environment: Mapping[str, str] | None = None) -> Iterator[Instance]:
    """Starts an instance with a links.toml, waits for its port, and stops it at the end."""
    folder.mkdir(exist_ok=True)
    (folder / "links.toml").write_text(links, "utf-8")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder), "LINK_CONFIG": str(folder / "links.toml")}
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        process = subprocess.Popen(
            command(port), cwd=ROOT, env={**variables, **(environment or {})}, stdout=out, stderr=err
        )
    try:
        for _ in range(START_TIMEOUT * 20):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            try:
                process.wait(0.05)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"The instance did not start: {(folder / 'err').read_text('utf-8')}")
        yield Instance(port, folder, process)
    finally:
        process.terminate()
        process.wait(30)
