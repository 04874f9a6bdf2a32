"""Requests a second of the custom runtime: ours against the same function written with Flask and oss2.

Both are served by gunicorn with the very settings of `deploy/custom-runtime/s.yaml`, on one machine, and are loaded
in turns by one client over kept connections; each keeps its connections and is warm. The client has no part in the
comparison but its own share of the machine, which is the same for both.
"""

from __future__ import annotations

import os
import random
import selectors
import socket
import statistics
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
GOAL = 1.5  # times the peer's requests a second, with a p99 that is no worse
CONNECTIONS = 8
THREADS = 16
ROUNDS = 5
SECONDS = 1.0  # of each round
KEYS = 512
APPS = {"fc-presign": "handler.wsgi:app", "Flask and oss2": "bench.throughput_peer:app"}


class Load(NamedTuple):
    """What one server did: requests a second by round, and the seconds of every single request."""

    rates: list[float]
    latencies: list[float]

    @property
    def rate(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.rates)

    def percentile(self, part: float) -> float:
        """In milliseconds."""
        return sorted(self.latencies)[int(part * (len(self.latencies) - 1))] * 1000


def measure(rounds: int = ROUNDS, seconds: float = SECONDS) -> dict[str, Load]:
    """Loads both in turns. Raises `RuntimeError` where one does not answer with a redirect."""
    requests = _requests()
    found = {name: Load([], []) for name in APPS}
    with ExitStack() as stack:
        clients = {name: _connected(stack, stack.enter_context(_serving(app))) for name, app in APPS.items()}
        for connections in clients.values():
            _round(connections, requests, seconds / 2)
        for _ in range(rounds):
            for name, connections in clients.items():
                latencies = _round(connections, requests, seconds)
                found[name].rates.append(len(latencies) / seconds)
                found[name].latencies.extend(latencies)
    return found


def main() -> int:
    """Prints both, and whether the goal is reached; 1 where it is not."""
    found = measure()
    print(
        f"throughput: gunicorn with {THREADS} threads, {CONNECTIONS} connections, {ROUNDS} rounds of {SECONDS:g} s each"
    )
    for name, load in found.items():
        p50, p99 = load.percentile(0.5), load.percentile(0.99)
        print(f"  {name:<15} {load.rate:>7,.0f} requests/s   p50 {p50:6.2f} ms   p99 {p99:6.2f} ms")
    ours, peer = found.values()
    ratio = ours.rate / peer.rate
    reached = ratio >= GOAL and ours.percentile(0.99) <= peer.percentile(0.99)
    print(f"  {ratio:.2f} times, at least {GOAL} with a p99 that is no worse: {'reached' if reached else 'MISSED'}")
    return 0 if reached else 1


def _requests() -> list[bytes]:
    """Requests as Function Compute sends them on, every fourth with a space in its key."""
    token = b64encode(random.Random(2026).randbytes(450)).decode()
    platform = "".join(
        f"x-fc-{name}: {value}\r\n"
        for name, value in {
            "request-id": "1-6743a0f1-00000000-000000000001",
            "access-key-id": "STS.EXAMPLE",
            "access-key-secret": "secret-EXAMPLE",
            "security-token": token,
            "control-path": "/http-invoke",
        }.items()
    )
    return [
        (
            f"GET /exampledir/2026/{i:06d}{'%20q3' if i % 4 == 0 else ''}.pdf HTTP/1.1\r\nHost: links.example.com\r\n"
            f"Accept: */*\r\nUser-Agent: bench\r\nX-Forwarded-For: 203.0.113.7\r\n{platform}\r\n"
        ).encode()
        for i in range(KEYS)
    ]


@contextmanager
def _serving(app: str) -> Iterator[int]:
    """gunicorn as in `deploy/custom-runtime/s.yaml`, on a socket of ours; its port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        port: int = listener.getsockname()[1]
        command = [sys.executable, "-m", "gunicorn", "-c", "python:handler.gunicorn_conf", "--threads", str(THREADS)]
        process = subprocess.Popen(
            [*command, "--bind", f"fd://{listener.fileno()}", app],
            cwd=ROOT,
            env={**os.environ, "LINK_REGION": "cn-hangzhou", "LINK_BUCKET": "examplebucket"},
            pass_fds=[listener.fileno()],
            stdout=subprocess.DEVNULL,
        )
        try:
            yield port
        finally:
            process.terminate()
            process.wait()


def _connected(stack: ExitStack, port: int) -> list[socket.socket]:
    return [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(CONNECTIONS)]


def _round(connections: list[socket.socket], requests: list[bytes], seconds: float) -> list[float]:
    """Each connection asks again as soon as it is answered; the latencies of all that was answered in time."""
    latencies: list[float] = []
    sent: dict[int, float] = {}
    asked = 0
    clock = time.perf_counter
    by_number = {connection.fileno(): connection for connection in connections}
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ)
            sent[connection.fileno()] = clock()
            connection.sendall(requests[asked % len(requests)])
            asked += 1
        ends, waiting = clock() + seconds, len(connections)
        while waiting:
            for ready, _ in selector.select(30) or _stuck():
                connection = by_number[ready.fd]
                _read(connection)
                now = clock()
                if now >= ends:
                    waiting -= 1
                    continue
                latencies.append(now - sent[ready.fd])
                sent[ready.fd] = now
                connection.sendall(requests[asked % len(requests)])
                asked += 1
    return latencies


def _read(connection: socket.socket) -> None:
    """One whole redirect; neither server gives it a body."""
    answer = connection.recv(65536)
    while b"\r\n\r\n" not in answer:
        more = connection.recv(65536)
        if not more:
            break
        answer += more
    if not answer.startswith(b"HTTP/1.1 302 ") or b"x-oss-signature=" not in answer or not answer.endswith(b"\r\n\r\n"):
        raise RuntimeError("A server gave no redirect to a signed link: run it alone to see why.")


def _stuck() -> list[tuple[selectors.SelectorKey, int]]:
    raise RuntimeError("A server has not answered for 30 seconds.")


if __name__ == "__main__":
    sys.exit(main())
