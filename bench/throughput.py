"""Requests per second of the custom runtime: ours against the same function written with Flask and oss2.

uvicorn serves ours with the arguments of `deploy/custom-runtime/s.yaml`, gunicorn the peer with as many threads as
keep all connections busy. One client loads them in turns over persistent connections, after a warm-up. The client takes
the same share of the machine from both.
"""

from __future__ import annotations

import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import cycle

from deploy.checks.custom_runtime import ARGS, PORT

from .figures import Bound, Figure
from .process import CREDENTIALS, ENVIRONMENT, ROOT

CONNECTIONS = 8
THREADS = 16
ROUNDS = 7
SECONDS = 1.0  # of each round
START = 30  # seconds until a server must be open
KEYS = 512
PEER = "Flask and oss2"
SERVERS = {
    "ours": ["uvicorn", *ARGS],
    PEER: [
        "gunicorn",
        "--bind",
        f"0.0.0.0:{PORT}",
        "--worker-class",
        "gthread",
        "--threads",
        str(THREADS),
        "--timeout",
        "0",
        "--keep-alive",
        "86400",
        "--log-level",
        "error",
        "bench.throughput_peer:app",
    ],
}


def measure() -> list[Figure]:
    """Raises `RuntimeError` if a server does not answer with a redirect to a signed link."""
    requests = _requests()
    latencies: dict[str, list[list[float]]] = {name: [] for name in SERVERS}
    with ExitStack() as stack:
        clients: dict[str, list[socket.socket]] = {name: [] for name in SERVERS}
        for name, command in SERVERS.items():
            address = "127.0.0.1", stack.enter_context(_serving(command))
            for _ in range(CONNECTIONS):
                clients[name].append(stack.enter_context(socket.create_connection(address)))
        for connections in clients.values():
            _round(connections, requests, SECONDS / 2)
        for _ in range(ROUNDS):
            for name, connections in clients.items():
                latencies[name].append(_round(connections, requests, SECONDS))
    (rate, p99), (peer_rate, peer_p99) = (
        ([len(each) / SECONDS for each in rounds], [_p99(each) for each in rounds])
        for rounds in latencies.values()
    )
    return [
        Figure.against(
            "custom runtime, requests", "/s", rate, PEER, peer_rate, Bound(4, at_least=True)
        ),
        Figure.against("custom runtime, p99", "ms", p99, PEER, peer_p99, Bound(1)),
    ]


def _p99(latencies: Sequence[float]) -> float:
    """In milliseconds, of latencies in seconds."""
    return sorted(latencies)[int(0.99 * (len(latencies) - 1))] * 1e3


def _requests() -> list[bytes]:
    """Requests as Function Compute forwards them. Every fourth has a space in its key."""
    platform = {
        "request-id": "1-6743a0f1-00000000-000000000001",
        **dict(
            zip(
                ("access-key-id", "access-key-secret", "security-token"),
                CREDENTIALS[:3],
                strict=True,
            )
        ),
        "control-path": "/http-invoke",
    }
    fields = "".join(f"x-fc-{name}: {value}\r\n" for name, value in platform.items())
    return [
        (
            f"GET /exampledir/2026/{i:06d}{'%20q3' if i % 4 == 0 else ''}.pdf HTTP/1.1\r\nHost: links.example.com\r\n"
            f"Accept: */*\r\nUser-Agent: bench\r\nX-Forwarded-For: 203.0.113.7\r\n{fields}\r\n"
        ).encode()
        for i in range(KEYS)
    ]


@contextmanager
def _serving(command: Sequence[str]) -> Iterator[int]:
    """Runs a server, with another port than that of its command; yields the port once it is open."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", *(argument.replace(str(PORT), str(port)) for argument in command)],
        cwd=ROOT,
        env={**os.environ, **ENVIRONMENT},
        stdout=subprocess.DEVNULL,
    )
    _give_one_processor(process.pid)
    try:
        deadline = time.monotonic() + START
        while not _is_open(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("A server did not start: run it alone to see why.")
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait()


def _give_one_processor(process: int) -> None:
    """Lets a process and its later children run on one processor alone: an instance of a custom runtime has one vCPU.

    Threads of Python run one at a time in any case; on several processors they also empty each other's caches. Does
    nothing where the system cannot.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process, {max(os.sched_getaffinity(process))})


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _round(connections: list[socket.socket], requests: list[bytes], seconds: float) -> list[float]:
    """Sends the next request on a connection as soon as it has a response; the latencies of all responses in time."""
    latencies: list[float] = []
    sent_at: dict[int, float] = {}
    following = cycle(requests)
    clock = time.perf_counter
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ, data=connection)
            sent_at[connection.fileno()] = clock()
            connection.sendall(next(following))
        end = clock() + seconds
        waiting = len(connections)
        while waiting:
            answered = selector.select(30)
            if not answered:
                raise RuntimeError("A server has not answered for 30 seconds.")
            for ready, _ in answered:
                connection = ready.data
                _read(connection)
                now = clock()
                if now >= end:
                    waiting -= 1
                    continue
                latencies.append(now - sent_at[ready.fd])
                sent_at[ready.fd] = now
                connection.sendall(next(following))
    return latencies


def _read(connection: socket.socket) -> None:
    """Reads one complete redirect. Neither server sends a body with it."""
    response = connection.recv(65536)
    while b"\r\n\r\n" not in response:
        more = connection.recv(65536)
        if not more:
            break
        response += more
    redirects = response.startswith(b"HTTP/1.1 302 ") and response.endswith(b"\r\n\r\n")
    if not redirects or b"x-oss-signature=" not in response:
        raise RuntimeError("A server did not redirect to a signed link: run it alone to see why.")
