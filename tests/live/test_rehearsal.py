"""`make live` against `make oss`, from the first request to the last, through a proxy that changes answers."""

from __future__ import annotations

import json
import re
import socket
import socketserver
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import unquote

import pytest

import live.__main__ as command
from tests.local.programs import started

SECONDS = 60
# What is replaced in the answers to a case, by as many bytes, and the fields of the report that show it.
CHANGES: Mapping[str, tuple[bytes, bytes, set[str]]] = {
    "content/put/new": (b"HTTP/1.1 200", b"HTTP/1.1 201", {"status"}),
    "content/read/key=missing/GET": (b"NoSuchKey", b"NoSuchDoc", {"Code"}),
    "forged/link/secret=wrong/HEAD": (
        b"\r\nx-oss-ec: 0002-00000040",
        b"\r\nx-oss-ec: 0002-00000041",
        {"x-oss-ec"},
    ),
    "open/link/unsigned": (b"bucket acl", b"object acl", {"Message"}),
    "versions/versions/gone": (b"HTTP/1.1 404", b"HTTP/1.1 403", {"status"}),
}


@contextmanager
def changing_proxy(upstream: tuple[str, int]) -> Iterator[str]:
    """Passes all bytes on, so that also a request that no client would send arrives as it is."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            case = ""

            def send() -> None:
                nonlocal case
                with suppress(OSError):
                    while data := self.request.recv(1 << 16):
                        named = re.search(rb"fc-presign live \(([^)]+)\)", data)
                        case = unquote(named[1].decode()) if named else case
                        oss.sendall(data)
                    oss.shutdown(socket.SHUT_WR)

            with socket.create_connection(upstream, SECONDS) as oss:
                for end in (oss, self.request):
                    # Without it, a body waits for an ACK.
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sender = threading.Thread(target=send, daemon=True)
                sender.start()
                with suppress(OSError):
                    while data := oss.recv(1 << 16):
                        old, new, _ = CHANGES.get(case, (b"", b"", set()))
                        self.request.sendall(data.replace(old, new) if old else data)
                    self.request.shutdown(socket.SHUT_RDWR)
                sender.join(SECONDS)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join(SECONDS)


def test_a_run_against_make_oss_reports_what_a_proxy_changed_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with started(
        "oss",
        "--oss-port",
        "0",
        "--root",
        str(tmp_path / "data"),
        "--json",
        module="signer",
        ports=False,
    ) as program:
        variables = json.loads(program.wait_for("{"))
        for name in ("OSS_ACCESS_KEY_ID", "OSS_ACCESS_KEY_SECRET"):
            monkeypatch.setenv(name, variables[name])
        host, _, port = variables["OSS_ENDPOINT"].partition("//")[2].partition(":")
        with changing_proxy((host, int(port))) as url:
            monkeypatch.setenv("LIVE_OSS_ENDPOINT", url)
            assert (
                command.main(
                    [
                        "--yes",
                        "--kms",
                        "--region",
                        variables["OSS_REGION"],
                        "--folder",
                        str(tmp_path),
                    ]
                )
                == 0
            )
    output = capsys.readouterr()
    assert output.err == ""
    reported = re.findall(
        r"(?m)^- `(.*)` differs .*\n((?:  - .*\n)*)", (tmp_path / "report.md").read_text("utf-8")
    )
    found = {case: set(re.findall(r"(?m)^  - ([\w-]+): here", fields)) for case, fields in reported}
    assert found == {case: fields for case, (*_, fields) in CHANGES.items()}
    assert "The bucket is deleted, after " in output.out
    assert [path.name for path in (tmp_path / "data").iterdir() if path.is_dir()] == [
        variables["OSS_BUCKET"]
    ]
    assert list((tmp_path / ".runs").iterdir()) == []
