"""`python -m local --json` from its start to its end, and its output."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
import requests

import signer
from tests.e2e.system import ROOT, TIMEOUT, leaks

KEY = "exampledir/报告.txt"
PATH = "/exampledir/%E6%8A%A5%E5%91%8A.txt"
COMMAND = [sys.executable, "-m", "local", "--http-port", "0", "--oss-port", "0", "--json"]


def test_a_program_starts_and_uses_and_stops_the_stack(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        COMMAND, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        watchdog = threading.Timer(TIMEOUT, process.kill)
        watchdog.start()
        try:
            assert process.stdout is not None
            facts = json.loads(process.stdout.readline())
            credentials = signer.Credentials(
                facts["access_key_id"], facts["access_key_secret"], facts["security_token"]
            )
            endpoint = signer.Endpoint.path_style(facts["oss"], facts["region"])
            upload = signer.presign("PUT", facts["bucket"], KEY, credentials=credentials, endpoint=endpoint)
            assert requests.put(upload.url, data=b"private", timeout=TIMEOUT).status_code == 200
            link = requests.get(facts["http"] + PATH, allow_redirects=False, timeout=TIMEOUT).headers["Location"]
            assert leaks(link, credentials) == ["signature"]
            assert requests.get(link, timeout=TIMEOUT).content == b"private"
            # A client uses a link as a name, which has "//".
            name = f"{PATH}/{quote(link, safe='')}"
            assert requests.get(facts["http"] + name, headers={"Referer": link}, timeout=TIMEOUT).status_code == 400
            process.send_signal(signal.SIGTERM)
            # The processes of its functions have the same pipe, so this returns only when all of them have ended.
            out, log = process.communicate(timeout=TIMEOUT)
        finally:
            watchdog.cancel()
            process.kill()
    assert (process.returncode, out) == (0, "")
    for name in ("http", "oss", "sts"):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((urlsplit(facts[name]).hostname or "", urlsplit(facts[name]).port or 0))
    assert list(tmp_path.iterdir()) == []
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["method"] for line in lines if "method" in line] == ["GET"] * 2
    # The sample in the outbox is an event.
    assert all(line["event"] == "oss" for line in lines if "method" not in line)
    assert leaks(log, credentials) == []
