"""Days of notices in seconds: the event function in a world of virtual time, with sinks in memory."""

from __future__ import annotations

import json
import re
import sys
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, cast
from unittest.mock import patch

import pytest

from handler.core.config import Config
from handler.core.context import Clock
from handler.core.errors import HandlerError
from handler.notices.sinks import Post
from handler.notices.sinks.client import NoResponse, WebhookResponse
from handler.notices.timing import SLOT, TRY
from signer.common.listing import PAGE
from signer.times import rfc3339
from tests.handler.notice_fixtures import TIMER_EVENT, EventFunction, Outcome, Receiver, record
from tests.local_oss import FakeClock
from tests.virtual_time import Process, World

MINUTE, HOUR = 60, 3600  # seconds
DELIVERED = b'{"errcode": 0, "code": 0}'
# What stands for a notice in a message: the key for programs; for people the name, which in a link follows a slash.
_SHOWN = re.compile(
    rb'"key": "outbox/(?:[^"]*/)?(f[0-9]{6}\.txt)"|(?:\\n|(?<![/\w]))(f[0-9]{6}\.txt)'
)


class WorldClock(FakeClock):
    """The time of a world."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def clock(self) -> Clock:
        return Clock(lambda: self._world.now, lambda: self._world.now, self._world.wait)

    def sleep(self, seconds: float) -> None:
        self._world.wait(seconds)

    @contextmanager
    def everywhere(self) -> Iterator[None]:
        with patch.object(time, "time", lambda: self._world.now):
            yield


class Message(NamedTuple):
    """A message that a sink accepted at a time in Unix seconds."""

    at: float
    body: bytes

    @property
    def files(self) -> list[str]:
        return files_in(self.body)


def files_in(body: bytes) -> list[str]:
    """The files that a message of any kind shows, in order, once for each time that it shows one."""
    return ["".join(part.decode() for part in found) for found in _SHOWN.findall(body)]


Trouble = Callable[["Inbox", Post], WebhookResponse | None]


class Inbox:
    """A sink in memory. `trouble` answers in its place, unless it returns None; `accepted` are the messages it took."""

    def __init__(self, url: str, clock: FakeClock, answer: bytes) -> None:
        self.url = url
        self.clock = clock
        self.answer = answer
        self.trouble: Trouble | None = None
        self.accepted: list[Message] = []
        self.tries: list[float] = []  # their times
        self.delays: list[
            float
        ] = []  # seconds until each of the next messages arrives; later ones arrive at once

    def receive(self, post: Post) -> WebhookResponse:
        if self.delays:
            self.clock.sleep(self.delays.pop(0))
        self.tries.append(time.time())
        response = self.trouble(self, post) if self.trouble else None
        if response is not None:
            return response
        self.accepted.append(Message(time.time(), post.body))
        return WebhookResponse(200, {}, self.answer, True)

    def files(self) -> Counter[str]:
        """How often each file was shown."""
        return Counter(name for message in self.accepted for name in message.files)


def fails(inbox: Inbox, post: Post) -> WebhookResponse:
    return WebhookResponse(500, {}, b"", True)


def refuses(inbox: Inbox, post: Post) -> WebhookResponse:
    raise NoResponse("no_connection")


def hangs(inbox: Inbox, post: Post) -> WebhookResponse:
    inbox.clock.sleep(TRY)
    raise NoResponse("too_slow")


def answers(status: int, *names: str) -> Callable[[Inbox, Post], WebhookResponse | None]:
    """A receiver that answers with this status to each message that shows one of these files."""
    return lambda _, post: (
        WebhookResponse(status, {}, b"", True) if {*names} & {*files_in(post.body)} else None
    )


class Simulation(EventFunction):
    """The event function in a world of its own; `inbox` adds sinks."""

    def __init__(self, folder: Path, ends: ExitStack) -> None:
        self.world = World(0)
        super().__init__(folder, ends, clock=WorldClock(self.world))
        ends.enter_context(self.world)
        self.memory = self.world.oss
        self._numbers = count()
        self.uploaded: list[str] = []

    def inbox(self, name: str, kind: str, **more: object) -> Inbox:
        """A sink of this kind in the keys document, with more members."""
        inbox = Inbox(
            f"https://{name}.invalid", self.clock, b"ok" if kind == "slack" else DELIVERED
        )
        self.add_sink(name, cast(Receiver, inbox), kind)
        self.sinks[name] |= more
        self.world.sinks[f"{name}.invalid"] = inbox.receive
        return inbox

    def answer(self, event: bytes, config: Config, **options: Any) -> dict[str, Any]:
        if self.world.running:
            return super().answer(event, config, **options)
        results: list[dict[str, Any] | HandlerError] = []

        def call() -> None:
            try:
                results.append(self.answer(event, config, **options))
            except HandlerError as error:
                results.append(error)

        self.at_once([call])
        if isinstance(results[0], HandlerError):
            raise results[0]
        return results[0]

    def at_once(self, calls: Sequence[Callable[[], object]]) -> None:
        """Runs calls that begin at the same time, each in a process of its own."""
        for call in calls:
            self.world.start(Process(self.world), call)
        self.world.run()

    def upload(self, number: int = 1) -> bytes:
        """The event of so many new objects."""
        now = rfc3339(time.time())
        names = [f"f{next(self._numbers):06}.txt" for _ in range(number)]
        self.uploaded += names
        records = [record(f"outbox/{name}", eventTime=now) for name in names]
        return json.dumps({"events": records}).encode()

    def pass_minutes(self, number: int, config: Config, *, uploads: bool = True) -> Outcome:
        """So many minutes, with an upload at the beginning of each, and a tick after 35 seconds.

        An invocation that takes longer delays what follows; none may fail. Returns the outcome of the last tick.
        """
        outcome, start = Outcome({}, None, ""), time.time()
        for end in (start + MINUTE * minute for minute in range(1, number + 1)):
            if uploads:
                self.succeed(self.upload(), config)
            self.wait_until(end - 25)
            outcome = self.succeed(TIMER_EVENT, config)
            self.wait_until(end)
        return outcome

    def succeed(self, event: bytes, config: Config, **options: Any) -> Outcome:
        outcome = self.invoke(event, config=config, **options)
        assert outcome.error is None, outcome.error
        return outcome

    def start_at(self, second: int) -> None:
        """Waits until this second of the next slot of a lease."""
        self.wait_until((time.time() // SLOT + 1) * SLOT + second)

    def wait_until(self, moment: float) -> None:
        self.world.now = max(self.world.now, moment)


@contextmanager
def simulation(folder: Path) -> Iterator[Simulation]:
    """A function whose instance has just started."""
    with ExitStack() as ends:
        yield Simulation(folder, ends)


def use_pages_of(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """OSS lists so many objects at a time."""
    for name, module in list(sys.modules.items()):
        if name.startswith(("handler.", "signer.")) and getattr(module, "PAGE", None) == PAGE:
            monkeypatch.setattr(module, "PAGE", number)


def most_within(seconds: float, times: Sequence[float]) -> int:
    """How many of these times are in any so many seconds, at most; the last moment does not belong to them."""
    ordered = sorted(times)
    return max(
        (bisect_left(ordered, first + seconds) - place for place, first in enumerate(ordered)),
        default=0,
    )
