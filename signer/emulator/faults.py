"""What a test asks a running OSS for: errors and delays instead of responses, and the requests that came."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http.client import responses
from typing import Literal, NamedTuple

from .clock import Clock
from .oss import Call, OssError, operation_names

MAX_DELAY = 30.0  # seconds
MAX_REQUESTS = 10_000  # of a watch; older ones are forgotten
_METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS")
# OSS's codes that are not the status's own words.
_CODES = {400: "InvalidArgument", 403: "AccessDenied", 404: "NoSuchKey", 500: "InternalError"}

Status = int | Literal["reset"]
Unused = Literal["fail", "allow"]


class Request(NamedTuple):
    """One that came: `operation` is "" where OSS has none, `status` "reset" where a test ended the connection.

    `key` is "" for one to the bucket, `code` that of OSS's error, "" for none.
    """

    method: str
    operation: str
    key: str
    status: Status
    code: str


@dataclass
class _Fault:
    """`kind` is fail or delay; `left` counts the requests that it still changes."""

    kind: str
    operation: str
    key: str | None
    left: int
    unused: Unused
    status: Status = 0
    code: str = ""
    seconds: float = 0

    def concerns(self, call: Call) -> bool:
        return (
            self.left > 0
            and self.operation in (call.operation, call.method)
            and self.key in (None, call.key)
        )

    def __str__(self) -> str:
        what = f"{self.kind}({self.operation!r}, {self.key!r})"
        return f"{what} was not used: {self.left} more of such requests were expected."


class Watch:
    """What one test asks for, of the buckets that `covers` accepts. Threads may share it."""

    def __init__(self, covers: Callable[[str], bool], clock: Clock) -> None:
        self.covers = covers
        self.clock = clock
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._faults: list[_Fault] = []
        self._requests: deque[Request] = deque(maxlen=MAX_REQUESTS)

    @property
    def requests(self) -> list[Request]:
        with self._lock:
            return list(self._requests)

    def fail(
        self,
        operation: str,
        key: str | None,
        *,
        status: Status,
        code: str,
        times: int,
        unused: Unused,
    ) -> None:
        """Raises `ValueError`."""
        if status != "reset" and not (type(status) is int and 400 <= status <= 599):
            raise ValueError(f"Invalid status {status!r}: expected 400 to 599, or 'reset'.")
        fault = _fault("fail", operation, key, times, unused)
        fault.status = status
        fault.code = code
        if status != "reset" and not code:
            phrase = responses.get(status, "InternalError" if status >= 500 else "BadRequest")
            fault.code = _CODES.get(status, phrase.replace(" ", ""))
        with self._lock:
            self._faults.append(fault)

    def delay(
        self, operation: str, key: str | None, *, seconds: float, times: int, unused: Unused
    ) -> None:
        """Raises `ValueError`."""
        if not 0 < seconds <= MAX_DELAY:
            raise ValueError(f"Invalid seconds {seconds!r}: expected at most {MAX_DELAY:.0f}.")
        fault = _fault("delay", operation, key, times, unused)
        fault.seconds = seconds
        with self._lock:
            self._faults.append(fault)

    def take_unused(self) -> list[str]:
        """A sentence for each that was not used up and had to be; it is forgotten, so that it is reported once."""
        with self._lock:
            unused = [str(each) for each in self._faults if each.left and each.unused == "fail"]
            self._faults.clear()
            return unused

    def close(self) -> None:
        """Ends the delays, also those that wait."""
        self._closed.set()

    def before(self, call: Call) -> None:
        """As that of `Observer`."""
        delay = self._take("delay", call)
        if delay:
            self._closed.wait(delay.seconds)
        fault = self._take("fail", call)
        if fault is None:
            return
        if fault.status == "reset":
            raise ConnectionResetError
        raise OssError(fault.status, fault.code, "A test asked for this error.")

    def after(self, call: Call, status: int | None, code: str) -> None:
        """As that of `Observer`."""
        request = Request(
            method=call.method,
            operation=call.operation,
            key=call.key,
            status="reset" if status is None else status,
            code=code,
        )
        with self._lock:
            self._requests.append(request)

    def _take(self, kind: str, call: Call) -> _Fault | None:
        with self._lock:
            for fault in self._faults:
                if fault.kind == kind and fault.concerns(call):
                    fault.left -= 1
                    return fault
        return None


class Watches:
    """All watches of a running OSS, as its `Observer`."""

    def __init__(self) -> None:
        self._watches: tuple[Watch, ...] = ()
        self._lock = threading.Lock()

    def add(self, watch: Watch) -> None:
        with self._lock:
            self._watches = (*self._watches, watch)

    def remove(self, watch: Watch) -> None:
        """Ends its delays, too."""
        with self._lock:
            self._watches = tuple(each for each in self._watches if each is not watch)
        watch.close()

    def before(self, call: Call) -> None:
        for watch in self._of(call.bucket):
            watch.before(call)

    def after(self, call: Call, status: int | None, code: str) -> None:
        for watch in self._of(call.bucket):
            watch.after(call, status, code)

    def elapsed(self, bucket: str, issued_at: float | None) -> float:
        return sum(watch.clock.elapsed(issued_at) for watch in self._of(bucket))

    def _of(self, bucket: str) -> list[Watch]:
        return [watch for watch in self._watches if watch.covers(bucket)]


def _fault(kind: str, operation: str, key: str | None, times: int, unused: Unused) -> _Fault:
    if operation not in _METHODS and operation not in operation_names():
        raise ValueError(
            f"Invalid operation {operation!r}: expected a method, such as GET, or the name of an operation that is "
            "answered here, as OSS writes it, such as GetObject."
        )
    if type(times) is not int or times < 1:
        raise ValueError(f"Invalid times {times!r}: expected 1 or more.")
    if unused not in ("fail", "allow"):
        raise ValueError(f"Invalid unused {unused!r}: expected 'fail' or 'allow'.")
    return _Fault(kind=kind, operation=operation, key=key, left=times, unused=unused)
