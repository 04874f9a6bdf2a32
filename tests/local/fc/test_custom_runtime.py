"""The custom runtime on a laptop: the start line of its s.yaml, and requests as Function Compute sends them."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import IO

import pytest
import requests

from local.fc import worker
from local.stack import Stack
from signer.emulator import client
from signer.emulator.ram import ACCOUNT

ROOT = Path(__file__).parents[3]


def test_the_start_line_is_that_of_s_yaml_at_a_port_of_the_loopback(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lines = []

    def start(line: list[str]) -> None:
        lines.append(line)
        raise OSError("No server is needed here")

    monkeypatch.setattr("subprocess.Popen", start)
    for command in (
        ["/var/fc/lang/python3.10/bin/python3", "-b", "0.0.0.0:9000", "19000"],
        ["./bootstrap", "9000"],
    ):
        with pytest.raises(OSError, match="No server"):
            worker.Server([*command, 9000])
    (python, _, address, unchanged), (bootstrap, port) = lines
    assert (python, unchanged, bootstrap) == (sys.executable, "19000", "./bootstrap")
    assert re.fullmatch(r"127\.0\.0\.1:\d+", address)
    assert port.isdigit()
    assert port != "9000"


def test_the_custom_runtime_serves_requests_and_events_with_the_rights_of_its_role(
    log: IO[bytes],
) -> None:
    with Stack.start(ROOT / "deploy/custom-runtime/s.yaml", log=log) as stack:
        assert stack.notes == ()
        (role,) = stack.account.roles().values()
        assert role.arn == f"acs:ram::{ACCOUNT}:role/links-traffic-dev-role"
        assert '"Action": ["*"]' not in json.dumps(role.policies)
        assert (
            client.request(stack, "PUT", stack.bucket, "exampledir/a b.txt", b"an object").status
            == 200
        )
        address = f"{stack.http_url}/exampledir/a%20b.txt"
        assert requests.get(address, timeout=20).content == b"an object"
        assert requests.head(address, timeout=20).status_code == 302
        # What clients send cannot pass for what the platform sends.
        forged = {"X-Fc-Control-Path": "/invoke", "X-Fc-Access-Key-Id": "LTAI5tEXAMPLE"}
        assert (
            requests.post(f"{stack.http_url}/invoke", b"{}", headers=forged, timeout=20).status_code
            == 404
        )
        event = stack.runtime.invoke(stack.function.name, b'{"a": 1}')
        assert '"errorType": "bad_event"' in str(event.error_message)
        stack.reload()
        assert requests.get(f"{stack.http_url}/-/health", timeout=20).json() == {"status": "ok"}
        (process,) = stack.runtime.processes(stack.function.name)
    log.seek(0)
    audit = [json.loads(line) for line in log if line.startswith(b"{")]
    assert {line.get("client_ip") for line in audit} == {"127.0.0.1", None}
    assert not Path(f"/proc/{process}").exists()
