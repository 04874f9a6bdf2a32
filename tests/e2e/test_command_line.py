"""`python -m local --json` from its start to its end, and what it printed in between."""

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
from tests.e2e.system import ROOT, TIMEOUT, code, leaks

KEY = "exampledir/报告.txt"
PATH = "/exampledir/%E6%8A%A5%E5%91%8A.txt"
COMMAND = [sys.executable, "-m", "local", "--http-port", "0", "--oss-port", "0", "--json"]


def test_a_program_starts_it_uses_it_and_ends_it(tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        COMMAND, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        watchdog = threading.Timer(TIMEOUT, process.kill)
        watchdog.start()
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            credentials = signer.Credentials(told["access_key_id"], told["access_key_secret"], told["security_token"])
            asked = visit(told, credentials)
            process.send_signal(signal.SIGTERM)
            # Its functions' processes hold the same pipe: it ends only when all of them are gone.
            out, log = process.communicate(timeout=TIMEOUT)
        finally:
            watchdog.cancel()
            process.kill()
    assert (process.returncode, out) == (0, "")
    for name in ("http", "oss"):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((urlsplit(told[name]).hostname or "", urlsplit(told[name]).port or 0))
    assert list(tmp_path.iterdir()) == []
    assert [json.loads(line)["method"] for line in log.splitlines()] == ["GET"] * asked
    assert leaks(log, credentials) == []


def visit(told: dict[str, str], credentials: signer.Credentials) -> int:
    """Uses both services in every way that could print a secret; how often the function was asked."""
    endpoint = signer.Endpoint.path_style(told["oss"], told["region"])
    upload = signer.presign("PUT", told["bucket"], KEY, credentials=credentials, endpoint=endpoint)
    assert requests.put(upload.url, data=b"private", timeout=TIMEOUT).status_code == 200
    link = requests.get(told["http"] + PATH, allow_redirects=False, timeout=TIMEOUT).headers["Location"]
    assert leaks(link, credentials) == ["access key id", "security token", "signature"]
    assert requests.get(link, timeout=TIMEOUT).content == b"private"
    assert code(requests.get(link + "0", timeout=TIMEOUT).content) == "SignatureDoesNotMatch"
    query = urlsplit(link).query
    headers = {"Referer": link, "Cookie": query, "User-Agent": link}
    targets = [
        f"{PATH}?format=json",
        # A visitor who mixes up the two services, or who puts a link where a name belongs.
        f"{PATH}?{query}",
        f"/exampledir/{query}",
        f"/exampledir/{quote(query, safe='')}",
        f"/exampledir/{quote(quote(query, safe=''), safe='')}",
        f"/exampledir/{link[link.index('x-oss-signature=') :]}",
        f"/none/{quote(link, safe='')}",
    ]
    for target in targets:
        answer = requests.get(told["http"] + target, headers=headers, allow_redirects=False, timeout=TIMEOUT)
        assert answer.status_code in (200, 302, 400, 404)
    return 1 + len(targets)
