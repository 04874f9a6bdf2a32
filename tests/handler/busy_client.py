"""A client that keeps connections busy: each sends its next request as soon as it has an answer, and checks that."""

from __future__ import annotations

import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress

from tests.handler.load_mix import Mix, Request

TIMEOUT = 30.0  # seconds without any answer
MAX_FAULTS = 20


class Answers:
    """What a server answered: how often by the name of the request, status and code.

    `faults` describes the first answers that were not as they must be, `wrong` counts all.
    """

    def __init__(self) -> None:
        self.kinds: Counter[tuple[str, int, str]] = Counter()
        self.faults: list[str] = []
        self.wrong = 0

    def add(self, request: Request, answer: bytes) -> None:
        status, code = _status(answer), _code(answer)
        self.kinds[request.name, status, code] += 1
        is_link = status not in (200, 302) or request.method == "HEAD" or b"x-oss-signature=" in answer
        if (status, code) != (request.status, request.code) or not is_link:
            self.wrong += 1
            if len(self.faults) < MAX_FAULTS:
                expected = f"{request.status} {request.code}".rstrip()
                self.faults.append(f"{request.name}: {status} {code}".rstrip() + f", expected {expected}")

    @property
    def server_errors(self) -> int:
        return sum(count for (_, status, _), count in self.kinds.items() if status >= 500)


class _Connection:
    def __init__(self, port: int) -> None:
        self.request = Request("", b"", 0)
        self.answer = b""
        self._port = port
        self.socket = self._connect()

    def send(self, request: Request) -> None:
        self.request, self.answer = request, b""
        with suppress(OSError):  # the server may close the connection before it has read all, and answers first
            self.socket.sendall(request.sent)

    def receive(self) -> bool:
        """Reads what arrived; whether the answer is complete."""
        try:
            received = self.socket.recv(65536)
        except ConnectionResetError:
            received = b""
        self.answer += received
        return not received or _is_complete(self.answer, self.request.method)

    def reconnect(self) -> None:
        self.close()
        self.socket = self._connect()

    def close(self) -> None:
        self.socket.close()

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), timeout=TIMEOUT)


def keep_busy(port: int, connections: int, seconds: float, mix: Mix, look: Callable[[], object]) -> Answers:
    """What a server answered to so many connections; `look` is called once a second.

    Raises `RuntimeError` if it does not answer at all.
    """
    answers = Answers()
    clock = time.perf_counter
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for _ in range(connections):
            connection = _Connection(port)
            stack.callback(connection.close)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send(mix.next())
        began = clock()
        waiting, next_look = connections, 0.0
        while waiting:
            ready = selector.select(TIMEOUT)
            if not ready:
                raise RuntimeError(f"The server has not answered for {TIMEOUT:g} seconds.")
            for key, _ in ready:
                busy: _Connection = key.data
                if not busy.receive():
                    continue
                answers.add(busy.request, busy.answer)
                if clock() - began >= seconds:
                    selector.unregister(busy.socket)
                    waiting -= 1
                    continue
                if _is_last(busy.answer):
                    selector.unregister(busy.socket)
                    busy.reconnect()
                    selector.register(busy.socket, selectors.EVENT_READ, busy)
                busy.send(mix.next())
            if clock() - began >= next_look:
                look()
                next_look += 1
    return answers


def _is_complete(answer: bytes, method: str) -> bool:
    head, end, body = answer.partition(b"\r\n\r\n")
    return bool(end) and (method == "HEAD" or len(body) >= _content_length(head))


def _is_last(answer: bytes) -> bool:
    """Whether the server closes the connection."""
    head = answer.partition(b"\r\n\r\n")[0].lower()
    return not head or b"\r\nconnection: close" in head


def _content_length(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


def _status(answer: bytes) -> int:
    """0 without an answer."""
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.1 ") else 0


def _code(answer: bytes) -> str:
    """The code of a problem document, "" for anything else."""
    if b"application/problem+json" not in answer:
        return ""
    return answer.partition(b'"code": "')[2].partition(b'"')[0].decode("ascii", "replace")
