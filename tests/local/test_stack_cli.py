"""`python -m local`, started as by a person or a program."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

ROOT = Path(__file__).parents[2]
FUNCTIONS = Path(__file__).parent / "functions"
SECONDS = 30


@contextmanager
def local(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`python -m local` on free ports, killed at the latest at the end of the block."""
    command = [sys.executable, "-m", "local", "--http-port", "0", "--oss-port", "0", *arguments]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    watchdog = threading.Timer(SECONDS, process.kill)
    watchdog.start()
    try:
        yield process
    finally:
        watchdog.cancel()
        process.kill()
        process.wait()
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def refused(*arguments: str) -> str:
    """The message of a start that fails."""
    with local(*arguments) as process:
        out, error = process.communicate()
        assert (process.returncode, out) == (2, "")
    return error


def first_line(process: subprocess.Popen[str]) -> dict[str, str]:
    assert process.stdout is not None
    document: dict[str, str] = json.loads(process.stdout.readline())
    return document


def hanging_config(folder: Path) -> Path:
    path = folder / "s.yaml"
    path.write_text(
        f"""
resources:
  f:
    component: fc3
    props:
      functionName: f
      region: cn-hangzhou
      runtime: python3.10
      handler: faults.hanging_with_a_child_over_http
      code: {FUNCTIONS}
      timeout: 600
      environmentVariables:
        FIFO: {folder / "held"}
      triggers:
        - triggerName: web
          triggerType: http
          triggerConfig: {{authType: anonymous, methods: [GET]}}
"""
    )
    return path


def test_json_is_one_line_with_working_addresses_and_everything_that_a_program_needs() -> None:
    with local("--json") as process:
        line = first_line(process)
        assert list(line) == [
            "http",
            "oss",
            "bucket",
            "region",
            "access_key_id",
            "access_key_secret",
            "security_token",
        ]
        assert (line["bucket"], line["region"]) == ("examplebucket", "cn-hangzhou")
        assert requests.get(line["http"] + "/-/health", timeout=20).status_code == 200
        assert requests.get(line["oss"] + "/examplebucket/x", timeout=20).status_code == 403
        process.send_signal(signal.SIGTERM)
        out, error = process.communicate()
    assert out == ""
    assert process.returncode == 0
    audit = [json.loads(line) for line in error.splitlines()]
    assert [entry["path"] for entry in audit] == ["/-/health"]


def test_both_listen_on_the_loopback_only() -> None:
    with local("--json") as process:
        line = first_line(process)
        for name in ("http", "oss"):
            address = urlsplit(line[name])
            assert address.hostname == "127.0.0.1"
            with pytest.raises(ConnectionRefusedError), socket.socket() as other:
                other.connect(("127.0.0.2", address.port or 0))


def test_the_banner_has_a_command_that_works_and_no_secret(tmp_path: Path) -> None:
    with local("--root", str(tmp_path / "samples")) as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or "Ctrl-C" not in lines[-1]:
            lines.append(process.stdout.readline())
        banner = "".join(lines)
        command = re.search(r"curl -L (\S+)", banner)
        assert command
        assert requests.get(command[1], timeout=20).text.startswith("A private object")
        process.send_signal(signal.SIGINT)
        _, error = process.communicate()
    assert process.returncode == 0
    assert "Traceback" not in error
    assert "development" in banner
    assert "127.0.0.1" in banner
    assert "STS." not in banner
    assert (tmp_path / "samples" / "examplebucket").is_dir()


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_cleanly_even_during_an_invocation(tmp_path: Path, name: signal.Signals) -> None:
    with hanging(tmp_path) as (process, held):
        process.send_signal(name)
        _, error = process.communicate()
        assert process.returncode == 0
        assert "Traceback" not in error
        assert read_within(held) == b""


def test_workers_end_even_if_the_stack_is_killed(tmp_path: Path) -> None:
    with hanging(tmp_path) as (process, held):
        process.kill()
        assert read_within(held) == b""


def test_a_port_in_use_is_reported_on_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = str(taken.getsockname()[1])
        for option in ("--http-port", "--oss-port"):
            assert re.fullmatch(
                rf"python -m local: Port {number} is not available .*{option}.*\n", refused(option, number)
            )


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "does not exist"),
        ("resources: [", "is not valid YAML"),
        ("resources: {f: {component: fc3, props: {runtime: python3.10}}}", "handler is required"),
    ],
)
def test_a_missing_or_invalid_config_is_reported_on_one_line(
    tmp_path: Path, content: str | None, sentence: str
) -> None:
    path = tmp_path / "s.yaml"
    if content is not None:
        path.write_text(content)
    error = refused("--config", str(path))
    assert error.startswith("python -m local: ")
    assert sentence in error
    assert error.count("\n") == 1


def test_an_invalid_port_is_refused() -> None:
    assert "must be a port number from 0 to 65535" in refused("--http-port", "65536")


@contextmanager
def hanging(folder: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A stack during an invocation, and a FIFO that ends once the function and its child have ended."""
    os.mkfifo(folder / "held")
    held = os.open(folder / "held", os.O_RDONLY | os.O_NONBLOCK)
    try:
        with local("--json", "--config", str(hanging_config(folder))) as process:
            address = urlsplit(first_line(process)["http"])
            with socket.create_connection((address.hostname or "", address.port or 0), timeout=20) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                assert read_within(held) == b"x"
                yield process, held
    finally:
        os.close(held)


def read_within(held: int) -> bytes:
    assert select.select([held], [], [], SECONDS)[0], "nothing was written in time"
    return os.read(held, 1)
