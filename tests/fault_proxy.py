"""A proxy before the local OSS in which requests meet faults: those that a test chooses, or random ones by a seed."""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit

from tests.http_server import Handler, http_server

# What OSS answers without carrying the request out: its codes are real ones of their status.
REFUSALS = {
    "403": "AccessDenied",
    "404": "NoSuchBucket",
    "409": "FileImmutable",
    "429": "QpsLimitExceeded",
    "500": "InternalError",
    "503": "ServiceUnavailable",
}
# "after" means: after OSS carried the request out.
FAULTS = (
    *REFUSALS,
    "500 after",
    "slow",
    "half of the body",
    "half of the headers",
    "reset",
    "reset after",
    "never",
    "never after",
)
LATE = "late"  # no fault that comes alone: the connection ends, and OSS gets the request a moment afterwards
# How many of 24 requests meet which fault by chance; those of "" pass.
DECK = {
    "": 11,
    "slow": 2,
    "503": 2,
    "500 after": 2,
    "reset": 2,
    "reset after": 2,
    "half of the body": 1,
} | {
    "never after": 1,
    LATE: 1,
}
# A slow response comes in so many pieces, with pauses of so many seconds between them.
PIECES = 4
PAUSE = 0.05
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length"}

Draw = Callable[[int], str]  # the fault that the request with a number meets, "" for none


@dataclass
class Call:
    """A request to OSS: `name` is its method and the folder of its object, as `PUT uses`; a list is a `LIST`."""

    name: str
    began: float  # seconds of the monotonic clock
    ended: float = float("inf")
    fault: str = ""


class FaultProxy:
    """`calls` are the requests since the faults were last chosen; the first one has the number 0."""

    def __init__(self, upstream: str) -> None:
        self.forward_to(upstream)
        self._lock = threading.Lock()
        self._draw: Draw = lambda number: ""
        self._act: Callable[[], None] | None = None
        self._released = threading.Event()
        self._late: list[threading.Timer] = []
        self.calls: list[Call] = []
        self.url = ""

    def forward_to(self, upstream: str) -> None:
        """Sends requests to the OSS at an address, which may start after the proxy."""
        self._upstream = urlsplit(upstream).netloc

    @property
    def happened(self) -> Counter[str]:
        """How often each fault was met."""
        return Counter(call.fault for call in self.calls)

    def arm(
        self,
        fault: str,
        first: int,
        *,
        is_lasting: bool = False,
        act: Callable[[], None] | None = None,
    ) -> None:
        """Lets the call with this number meet a fault; if it lasts, each later one too. `act` is called before."""
        self._choose(
            lambda number: fault if number == first or (is_lasting and number > first) else "", act
        )

    def play(self, *faults: str) -> None:
        """Lets the next calls meet these faults, one each."""
        self._choose(lambda number: faults[number] if number < len(faults) else "")

    def shuffle(self, seed: object) -> None:
        """Lets calls meet the faults of the deck, in an order by the seed."""
        dice, cards = random.Random(str(seed)), list[str]()

        def draw(number: int) -> str:
            if not cards:
                cards.extend(fault for fault, times in DECK.items() for _ in range(times))
                dice.shuffle(cards)
            return cards.pop()

        self._choose(draw)

    def disarm(self) -> None:
        """Lets every request pass, closes what still waits, and waits for what arrives late."""
        self._choose(lambda number: "")
        for timer in self._late:
            timer.join(60)

    def _choose(self, draw: Draw, act: Callable[[], None] | None = None) -> None:
        with self._lock:
            self._released.set()
            self._released = threading.Event()
            self._draw = draw
            self._act = act
            self.calls = []

    def waits(self) -> int:
        """How many calls met the fault one after the other; those at the same time count once."""
        count, until = 0, 0.0
        for call in sorted(
            (call for call in self.calls if call.fault), key=lambda call: call.began
        ):
            if call.began >= until:
                count, until = count + 1, call.ended
            until = max(until, call.ended)
        return count

    def _forward(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[bytes, bytes]:
        """OSS's response: its head and its body as bytes."""
        connection = http.client.HTTPConnection(self._upstream, timeout=20)
        try:
            headers = {
                name: value for name, value in request.headers.items() if name.lower() not in _HOP
            }
            connection.request(request.command, request.path, body or None, headers)
            response = connection.getresponse()
            content = response.read()
            lines = [f"HTTP/1.1 {response.status} {response.reason}"]
            lines += [
                f"{name}: {value}"
                for name, value in response.getheaders()
                if name.lower() not in _HOP
            ]
            length = response.getheader("Content-Length") or str(len(content))
            # The length last, so that what is cut in its headers has lost it.
            return "\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode(
                "latin-1"
            ), content
        finally:
            connection.close()

    def answer(self, request: BaseHTTPRequestHandler) -> bool:
        """Answers a request; False if the connection must be closed."""
        call = Call(_name(request.command, request.path), time.monotonic())
        length = int(request.headers.get("Content-Length") or 0)
        body = request.rfile.read(length)
        if len(body) < length:  # its sender was killed
            return False
        with self._lock:
            call.fault = self._draw(len(self.calls))
            self.calls.append(call)
            act, released = self._act, self._released
        try:
            if not call.fault:
                head, content = self._forward(request, body)
                request.wfile.write(head + content)
                return True
            if act is not None:
                act()
            self._fail(request, body, call.fault, released)
            return call.fault in (*REFUSALS, "500 after", "slow")
        finally:
            call.ended = time.monotonic()

    def _fail(
        self, request: BaseHTTPRequestHandler, body: bytes, fault: str, released: threading.Event
    ) -> None:
        send = request.wfile.write
        head, content = b"", b""
        if fault not in (*REFUSALS, "reset", "never", LATE):
            head, content = self._forward(request, body)
        if fault in REFUSALS or fault == "500 after":
            send(
                _refusal(
                    fault.split()[0], REFUSALS[fault.split()[0]], is_head=request.command == "HEAD"
                )
            )
        elif fault == "slow":
            whole = head + content
            for number in range(PIECES):
                released.wait(PAUSE if number else 0)
                send(whole[len(whole) * number // PIECES : len(whole) * (number + 1) // PIECES])
        elif fault == "half of the body":
            # Of a response without a body the last line of its head is missing.
            send(head + content[: len(content) // 2] if content else head[:-4])
        elif fault == "half of the headers":
            lines = head.split(b"\r\n")
            send(b"\r\n".join(lines[: len(lines) // 2]) + b"\r\n")
        elif fault.startswith("never"):
            _await_end(request.connection, released)
        else:
            assert fault in ("reset", "reset after", LATE), fault
            if fault == LATE:
                timer = threading.Timer(0.03, self._forward, (request, body))
                self._late.append(timer)
                timer.start()
            request.connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            socket.close(request.connection.detach())


def _await_end(connection: socket.socket, released: threading.Event) -> None:
    """Waits until the client has stopped waiting."""
    connection.settimeout(0.01)
    while not released.is_set():
        try:
            if connection.recv(1) == b"":
                return
        except TimeoutError:
            continue


def _refusal(status: str, code: str, *, is_head: bool) -> bytes:
    content = f"<Error><Code>{code}</Code></Error>".encode()
    date = formatdate(time.time(), usegmt=True)
    head = f"HTTP/1.1 {status} Refused\r\nDate: {date}\r\nContent-Length: {len(content)}\r\n\r\n".encode()
    return head if is_head else head + content


def _name(method: str, target: str) -> str:
    path, _, query = target.partition("?")
    prefix = parse_qs(query).get("prefix", [""])[0]
    key = unquote(path).lstrip("/").partition("/")[2] or prefix
    folder = key.removeprefix(".links/").removeprefix("state/").partition("/")[0]
    return f"{'LIST' if prefix else method} {folder}".rstrip()


@contextmanager
def fault_proxy(upstream: str) -> Iterator[FaultProxy]:
    """Runs the proxy before OSS at an address."""
    proxy = FaultProxy(upstream)

    class Proxied(Handler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            self.close_connection = True
            with suppress(OSError, ValueError):
                self.close_connection = not proxy.answer(self)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_OPTIONS = _answer

    with http_server(Proxied) as proxy.url:
        try:
            yield proxy
        finally:
            proxy.disarm()
