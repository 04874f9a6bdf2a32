"""Worlds in virtual time: processes run the real code, while clocks, OSS and the network between them are simulated.

One thread at a time runs, the one whose event is due first, and time passes only while all of them wait. So a world is
the same each time, by its seed, and an hour in it takes no time. Its threads are greenlets: to change between threads
of the system takes longer than what runs in them. Requests arrive late, answers are lost, clocks are wrong, and
processes stall, sleep and die at any point.
"""

from __future__ import annotations

import concurrent.futures
import random
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from heapq import heappop, heappush
from itertools import count
from types import SimpleNamespace
from typing import Any, NamedTuple, TypeVar
from unittest.mock import patch
from urllib.parse import urlsplit

from greenlet import getcurrent, greenlet

from handler.core import outbox
from handler.core.cloud import http_client
from handler.core.cloud.oss import EXPIRES_IN, TIMEOUT, OssClient, OssResponse, OssUnavailable
from handler.core.config import Location
from handler.core.context import Clock
from handler.notices.sinks import Post, delivery
from handler.notices.sinks.client import WebhookResponse
from tests.handler.notice_fixtures import Killed
from tests.memory_oss import MemoryOss

START = 1_800_000_000.0
AHEAD = 900  # seconds that a signature may be dated in the future
FAULTS = ("503", "500 after", "dropped", "lost", "late", "never", "never after", "slow")
# After which a request may still be carried out.
LATE = (
    "late",
    "never after",
    "interrupted",
    "too slow",
)
ERRORS: dict[str, type[BaseException]] = {  # that a fault is for the client
    **dict.fromkeys(("dropped", "lost", "late"), ConnectionError),
    **dict.fromkeys(("never", "never after", "too slow"), TimeoutError),
    "interrupted": KeyboardInterrupt,
}

Item = TypeVar("Item")
Result = TypeVar("Result")


def each_world(seeds: Iterable[int], live: Callable[[World], Iterable[str]]) -> None:
    """Makes a world for each seed. Fails with the first one in which there are violations."""
    for seed in seeds:
        with World(seed) as world:
            violations = [*live(world)]
            assert not violations, f"world {seed}: {violations}"


class Fault(NamedTuple):
    """What a process met: a fault of a request about an object, or "killed", or "stalled", until when."""

    at: float
    kind: str
    key: str = ""


class World:
    """The time and what happens in it.

    `fault_rate` is the share of requests that meet one of the `faults`, `latency` (seconds) what each way of the
    others takes at most. `watch` is called before OSS carries out a request, with the job of its sender then. `sinks`
    answer messages, by the host of their URL.
    """

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        self.now = START
        self.fault_rate = 0.0
        self.faults = list(FAULTS)
        self.latency = 0.0
        self.stall_rate = 0.0  # of looks at a clock, and of requests before and after them
        self.server_skew = 0.0  # seconds that a server of OSS may be off, either way
        self.oss = MemoryOss({}, lambda: self.now + (self.dice.random() * 2 - 1) * self.server_skew)
        self.watch: Callable[[Any, str, Location, bytes], None] = (
            lambda job, method, location, body: None
        )
        self.sinks: dict[str, Callable[[Post], WebhookResponse]] = {}
        self.running: Thread | None = None
        self.errors: list[BaseException] = []
        self._events: list[tuple[float, int, Thread | Callable[[], object], int]] = []
        self._number = count()
        self._seed = seed
        self._main = getcurrent()
        self._threads = set[Thread]()
        self._ends = ExitStack()

    def __enter__(self) -> World:
        """Until the end, requests to OSS, messages, thread pools and locks are those of this world."""
        enter = self._ends.enter_context
        self._ends.callback(random.setstate, random.getstate())
        random.seed(self._seed)
        enter(
            patch.object(
                OssClient,
                "request",
                lambda client, *asked, **options: _request(self, *asked, **options),
            )
        )
        enter(
            patch.object(
                delivery,
                "send",
                lambda post, *_, **__: self.sinks[urlsplit(post.url).hostname or ""](post),
            )
        )
        enter(patch.object(concurrent.futures, "ThreadPoolExecutor", partial(_pool, self)))
        enter(patch.object(http_client, "within", lambda seconds, call: call(None)))
        enter(patch.object(outbox, "within", partial(_within, self)))
        for name, module in list(sys.modules.items()):
            if name.startswith("handler.") and getattr(module, "Lock", None) is threading.Lock:
                enter(patch.object(module, "Lock", partial(Lock, self)))
        return self

    def __exit__(self, *exception: object) -> None:
        self._ends.close()

    def run(self) -> None:
        """Lets everything happen. Fails if a process fails otherwise than by `Killed` and `KeyboardInterrupt`."""
        while self._events:
            self.now, _, event, turn = heappop(self._events)
            if not isinstance(event, Thread):
                try:
                    event()
                except Exception as error:
                    self.errors.append(error)
            elif event.turn == turn:  # otherwise something else woke it before
                if event.process.stalled_until > self.now:
                    self.at(event.process.stalled_until, event, turn)
                    continue
                self.running = event
                event.turn += 1
                event.switch()
                self.running = None
                if event.dead:
                    self._threads.remove(event)
        if self.errors:
            raise AssertionError(f"world {self._seed}") from self.errors[0]
        assert not self._threads, f"world {self._seed}: threads wait for ever"

    def at(self, time: float, event: Thread | Callable[[], object], turn: int = 0) -> None:
        """Calls a function then, which may not wait, or wakes a thread."""
        heappush(self._events, (time, next(self._number), event, turn))

    def start(self, process: Process, func: Callable[[], object], *, after: float = 0.0) -> None:
        """Calls a function in a thread of a process."""
        thread = Thread(process, func, self._main)
        process.threads.append(thread)
        self._threads.add(thread)
        self.at(self.now + after, thread, thread.turn)

    def thread(self) -> Thread:
        """The one that runs."""
        assert self.running is not None, "this is no thread of the world"
        return self.running

    def wait(self, seconds: float) -> None:
        """Makes the running thread wait; outside of the world's threads time just passes."""
        thread = self.running
        if thread is None:
            self.now += seconds
        elif thread.process.is_alive:
            self.at(self.now + seconds, thread, thread.turn)
            self.park()
        else:
            raise Killed

    def park(self) -> None:
        """Makes the running thread wait until another one wakes it."""
        thread = self.thread()
        self._main.switch()
        thread.process.woke(thread)


class Thread(greenlet):
    """Calls a function. `turn` counts how often it went on."""

    def __init__(self, process: Process, func: Callable[[], object], parent: greenlet) -> None:
        super().__init__(parent=parent)
        self.process = process
        self.func = func
        self.turn = 0

    def run(self) -> None:
        try:
            self.process.woke(self)
            self.func()
        except (Killed, KeyboardInterrupt):
            pass
        except BaseException as error:
            self.process.world.errors.append(error)
        self.process.threads.remove(self)


class Process:
    """A process and its machine, whose clock is `skew` seconds ahead. One that is reliable meets no fault.

    `job` is what it does, and `faults` what it met. A pause takes one of the `pauses` times as long. It ends at the
    `dies_in`-th wait, and is interrupted at the `interrupted_in`-th; 0 is never. Nobody waits any more for
    `left_alone` of its calls, for `most_left_alone` at the same time.
    """

    def __init__(self, world: World, *, skew: float = 0.0, is_reliable: bool = False) -> None:
        self.world, self.is_reliable = world, is_reliable
        self.job: Any = None
        self.faults: list[Fault] = []
        self.pauses: tuple[float, ...] = (1,)
        self.dies_in = self.interrupted_in = 0
        self.is_alive = True
        self.stalled_until = 0.0
        self.threads: list[Thread] = []
        self._suspended = 0.0
        self.left_alone = self.most_left_alone = 0
        self.clock = Clock(lambda: world.now + skew, self._monotonic, self._sleep)

    def kill(self) -> None:
        """Ends it now, also while it stalls."""
        self.is_alive, self.stalled_until = False, 0.0
        self.meet("killed")
        for thread in self.threads:
            if thread is not self.world.running:
                self.world.at(self.world.now, thread, thread.turn)

    def meet(self, kind: str, key: str = "") -> None:
        self.faults.append(Fault(max(self.world.now, self.stalled_until), kind, key))

    def stall(self) -> None:
        """A pause of the process at times, or of its entire machine, whose clock then does not count it."""
        dice = self.world.dice
        if self.is_reliable or not self.world.stall_rate or dice.random() >= self.world.stall_rate:
            return
        seconds = dice.choice((dice.uniform(0, 10), dice.uniform(10, 90), dice.uniform(60, 400)))
        self.stalled_until = self.world.now + seconds
        self.meet("stalled")
        if dice.random() < 0.3:
            self._suspended += seconds
        self.world.wait(0.0)

    def woke(self, thread: Thread) -> None:
        """What may happen to it while it waits."""
        self.dies_in -= 1
        if self.dies_in == 0:
            self.kill()
        if not self.is_alive:
            raise Killed
        if thread is self.threads[0]:
            self.interrupted_in -= 1
            if self.interrupted_in == 0:
                raise KeyboardInterrupt

    def _monotonic(self) -> float:
        value = self.world.now - self._suspended
        self.stall()
        return value

    def _sleep(self, seconds: float) -> None:
        self.world.wait(seconds * self.world.dice.choice(self.pauses))


class Lock:
    """Stands for `threading.Lock`, for threads of the world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiting: list[tuple[Thread, int]] = []
        self._is_held = False

    def acquire(self, blocking: bool = True) -> bool:
        while self._is_held and blocking:
            self._waiting.append((self._world.thread(), self._world.thread().turn))
            self._world.park()
        is_free, self._is_held = not self._is_held, True
        return is_free

    def release(self) -> None:
        self._is_held = False
        if self._waiting:
            self._world.at(self._world.now, *self._waiting.pop(0))

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(self, *exception: object) -> None:
        self.release()


@contextmanager
def _pool(world: World, threads: int) -> Iterator[SimpleNamespace]:
    """Stands for `ThreadPoolExecutor`, with threads of the process that uses it."""
    yield SimpleNamespace(map=partial(_map, world, threads))


def _map(
    world: World, threads: int, func: Callable[[Item], Result], items: Iterable[Item]
) -> list[Result]:
    """The results in order. After a call failed, none begins; the first failure in order is raised at the end."""
    waiting = deque(enumerate(items))
    results = dict[int, Result]()
    errors = dict[int, BaseException]()
    parent, working = world.thread(), min(threads, len(waiting))
    turn = parent.turn

    def work() -> None:
        nonlocal working
        while waiting and not errors:
            place, item = waiting.popleft()
            try:
                results[place] = func(item)
            except Killed:
                raise  # the parent is killed, too
            except BaseException as error:
                errors[place] = error
        working -= 1
        if not working:
            world.at(world.now, parent, turn)

    for _ in range(working):
        world.start(parent.process, work)
    world.park()
    if errors:
        raise errors[min(errors)]
    return [results[place] for place in sorted(results)]


def _within(world: World, seconds: float, call: Callable[[None], Result]) -> Result:
    """Stands for `http_client.within`: after the time, the call goes on and nobody waits for it."""
    parent = world.thread()
    turn, process = parent.turn, parent.process
    results = list[Result]()
    errors = list[Exception]()
    is_left = False

    def run() -> None:
        try:
            results.append(call(None))
        except Exception as error:
            errors.append(error)
        process.left_alone -= is_left
        world.at(world.now, parent, turn)

    world.start(process, run)
    world.at(world.now + seconds, parent, turn)
    world.park()
    if errors:
        raise errors[0]
    if results:
        return results[0]
    is_left = True
    process.left_alone += 1
    process.most_left_alone = max(process.most_left_alone, process.left_alone)
    raise TimeoutError


def _request(
    world: World,
    method: str,
    location: Location,
    *,
    retry: bool = True,
    issued_at: float | None = None,
    **parts: Any,
) -> OssResponse:
    """Stands for `OssClient.request`. Outside of the world's threads nothing is in between."""
    query = parts.get("query") or {}
    headers = parts.get("headers") or {}
    body = parts.get("body") or b""
    if world.running is None:
        return world.oss.answer(method, location, query, headers, body)
    process, job = world.running.process, world.running.process.job
    signed_at = int(process.clock.now() if issued_at is None else issued_at)

    def carry_out() -> OssResponse:
        world.watch(job, method, location, body)
        return world.oss.answer(method, location, query, headers, body)

    for _ in range(2 if retry else 1):
        try:
            return _send(process, location.key, signed_at, carry_out)
        except ConnectionError:
            continue
        except TimeoutError:
            break
    raise OssUnavailable("OSS cannot be reached.")


def _send(
    process: Process, key: str, signed_at: int, carry_out: Callable[[], OssResponse]
) -> OssResponse:
    """Sends a request about an object once, with its fault."""
    world = process.world
    dice = process.world.dice
    answers = list[OssResponse]()
    is_met = not process.is_reliable and dice.random() < world.fault_rate
    fault = dice.choice(world.faults) if is_met else ""
    travel, work, back = (world.latency * dice.random() for _ in range(3))
    if fault == "slow":
        travel, work, back = (dice.choice((0.1, dice.uniform(0, limit))) for limit in (9, 15, 9))
        fault = "too slow" if travel + work + back > TIMEOUT[1] else fault
    elif fault in LATE:
        travel = dice.choice(
            (dice.uniform(0, 3), dice.uniform(0, 100), dice.uniform(50, EXPIRES_IN))
        )
        work = dice.choice((work, dice.uniform(0, 15)))

    def receive() -> None:
        time = world.oss.now()
        if time < signed_at - AHEAD or time > signed_at + EXPIRES_IN:
            code = "RequestTimeTooSkewed" if time < signed_at else "AccessDenied"
            answers.append(world.oss.respond(403, code=code))
        else:
            world.at(world.now + work, lambda: answers.append(carry_out()))

    process.stall()
    if fault not in ("503", "dropped", "never"):
        world.at(world.now + travel, receive)
    if fault:
        process.meet(fault, key)
    error, seconds = ERRORS.get(fault), travel + work + back + 1e-6  # sums of floats differ
    if error is TimeoutError:
        seconds = TIMEOUT[1]
    elif fault in LATE:
        seconds = dice.uniform(0, 3)
    world.wait(seconds)
    process.stall()
    if error is not None:
        raise error
    if fault.startswith("50"):
        response = world.oss.respond(int(fault[:3]), code="InternalError")
        return response if dice.random() < 0.5 else response._replace(headers={})
    return answers[0]
