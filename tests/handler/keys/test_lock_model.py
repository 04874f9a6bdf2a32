"""Random worlds in which writers contend for the lock of a keys document in OSS, in virtual time.

The writers run the real lock. OSS, the network between them, and their clocks are simulated: a world is the same each
time, by its seed. Requests arrive late, answers are lost, clocks are wrong, and writers stall, sleep and die at any
point.
"""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from email.utils import formatdate
from functools import cache
from itertools import count
from random import Random
from typing import Any, cast

import pytest

from handler.cloud.oss import EXPIRES_IN, OssClient, OssResponse, OssUnavailable, StoreError
from handler.cloud.store import store_at
from handler.commands.keys_lock import KeysLocked, NotConfirmed, locked
from handler.config import Location
from handler.context import Clock

PLACE = Location("examplebucket", ".links/keys.json")
SLOT = 120  # seconds
BLOCKED = 200  # seconds that a crash may keep others out
START = 1_800_000_000.0
TIMEOUT = 10.0  # seconds that a writer waits for an answer
AHEAD = 900  # seconds that a signature may be dated in the future

FAULTS = ("503", "500 after", "dropped", "lost", "late", "never", "never after", "slow", "interrupted")
SKEWS = (0.0, 0.0, 0.7, -3.0, -50.0, 200.0, 850.0, -61.0, 950.0)  # seconds


class Killed(BaseException):
    """Ends a writer, which sends nothing more."""


@cache
def _date(second: int) -> str:
    return formatdate(second, usegmt=True)


class World:
    """The time and what happens in it. One thread at a time runs: the one whose event is due first."""

    def __init__(self, seed: int) -> None:
        self.dice = Random(seed)
        self.now = START + self.dice.uniform(0, SLOT)
        self.violations: list[str] = []
        self.fault_rate = self.dice.choice((0.0, 0.05, 0.15, 0.4))
        self.latency = self.dice.choice((0.02, 0.5))  # seconds
        self.faults = self.dice.sample(FAULTS, self.dice.randint(1, 3))
        self.is_contended = self.dice.random() < 0.2  # some wait for the end of the slot in which another one writes
        if self.is_contended:
            self.fault_rate, self.faults, self.latency = 0.15, ["slow"], 0.02
        self.stall_rate = self.dice.choice((0.0, 0.003, 0.02))
        self.server_skew = self.dice.choice((0.0, 0.5))  # seconds that a server may be off, either way
        self.oss = Oss(self)
        self._events: list[tuple[float, int, Writer | Callable[[], None]]] = []
        self._number = count()
        self._ended = threading.Event()
        self.writers = 0
        self.refused: list[bytes] = []  # changes that may not be made later, either

    def at(self, time: float, event: Writer | Callable[[], None]) -> None:
        heapq.heappush(self._events, (time, next(self._number), event))

    def wait(self, writer: Writer, seconds: float) -> None:
        self.at(self.now + seconds, writer)
        self.go_on(writer)

    def go_on(self, writer: Writer | None = None) -> None:
        """Lets happen what is due, until it is this writer's turn again; None if it needs no turn."""
        while self._events:
            self.now, _, event = heapq.heappop(self._events)
            if isinstance(event, Writer):
                if event is not writer:
                    event.gate.release()
                    if writer is not None:
                        writer.gate.acquire()
                return
            event()
        self._ended.set()

    def run(self) -> None:
        dice = self.dice
        for _ in range(dice.randint(2, 4)):
            # Many begin shortly before a slot ends, or while another one works.
            begin = dice.choice((dice.uniform(0, 20), dice.uniform(0, 2 * SLOT)))
            self.begin(Writer(self, is_reliable=False), self.now + begin)
        self.go_on()
        assert self._ended.wait(60), "the world does not end"
        self.violations += [
            f"{change!r} was refused, and made" for change in self.refused if change in self.oss.history
        ]

    def begin(self, writer: Writer, time: float) -> None:
        self.writers += 1
        self.at(time, writer)
        threading.Thread(target=writer.live, daemon=True).start()

    def leave(self, writer: Writer) -> None:
        """After the last writer another one comes, for whom everything works."""
        self.writers -= 1
        if not self.writers and not writer.is_reliable:
            self.begin(Writer(self, is_reliable=True), self.now)
        self.go_on()

    def violate(self, sentence: str) -> None:
        self.violations.append(f"{self.now - START:.1f} s: {sentence}")


class Command:
    """One run of a command. `base` is the document that its next change replaces."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.base = b""


class Oss:
    """A bucket. It notices when a change or a deletion is carried out that must not be."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.objects: dict[str, tuple[bytes, Command | None]] = {PLACE.key: (b"document 0", None)}
        self.history = [b"document 0"]

    def receive(self, command: Command, request: dict[str, Any], seconds: float, answers: list[OssResponse]) -> None:
        """Refuses a request, or carries it out so many seconds later."""
        time = self._time()
        if request["signed_at"] > time + AHEAD:
            answers.append(self._answer(time, 403, code="RequestTimeTooSkewed"))
        elif time > request["signed_at"] + EXPIRES_IN:
            answers.append(self._answer(time, 403, code="AccessDenied"))
        else:
            later = self._world.now + seconds
            self._world.at(later, lambda: answers.append(self._carry_out(command, request)))

    def _time(self) -> float:
        """That of one of its servers."""
        return self._world.now + self._world.dice.uniform(-self._world.server_skew, self._world.server_skew)

    def _carry_out(self, command: Command, request: dict[str, Any]) -> OssResponse:
        world, time = self._world, self._time()
        method, key, body, base = request["method"], request["key"], request["body"], request["base"]
        stored, owner = self.objects.get(key, (None, None))
        if method == "PUT" and key != PLACE.key:
            if stored is not None:
                return self._answer(time, 409, code="FileAlreadyExists")
            self.objects[key] = body, command
        elif method == "PUT":
            if stored != base:
                world.violate(f"{command.name} replaces {stored!r}, but it read {base!r}")
            slots = {int((world.now + skew) // SLOT) for skew in (-world.server_skew, world.server_skew)}
            if not any(self.objects.get(f"{PLACE.key}.lock.{slot}", (b"", None))[1] is command for slot in slots):
                world.violate(f"{command.name} writes, but does not hold the lock")
            self.objects[key] = body, command
            self.history.append(body)
        elif method == "DELETE":
            if owner not in (None, command):
                world.violate(f"{command.name} deletes the lock of {owner and owner.name}")
            self.objects.pop(key, None)
            return self._answer(time, 204)
        elif stored is None:
            return self._answer(time, 404, code="NoSuchKey")
        return self._answer(time, 200, (stored or b"") if method == "GET" else b"")

    def left_by(self, command: Command) -> list[str]:
        """The locks of a command that keep others out."""
        slot = int(self._world.now // SLOT)
        return [key for key, (_, owner) in self.objects.items() if owner is command and self._slot(key) >= slot]

    def ends_at(self, command: Command) -> float:
        """When the last slot of a command ends."""
        return SLOT * (1 + max((self._slot(key) for key in self.left_by(command)), default=0))

    def _slot(self, key: str) -> int:
        return int(key.rpartition(".")[2]) if ".lock." in key else -1

    def _answer(self, time: float, status: int, body: bytes = b"", code: str = "") -> OssResponse:
        return OssResponse(status, {"date": _date(int(time)), "content-length": str(len(body))}, body, code)


class Writer:
    """Somebody who runs some commands. It is also their client of OSS; one that is reliable meets no fault."""

    def __init__(self, world: World, *, is_reliable: bool) -> None:
        dice = world.dice
        self.world, self.is_reliable = world, is_reliable
        self.gate = threading.Semaphore(0)
        self.name = "the heir" if is_reliable else f"writer {world.writers}"
        self._skew = 0.0 if is_reliable else dice.choice(SKEWS)
        self._suspended = 0.0
        self._command = Command("")
        self._dies_in = dice.randint(5, 100) if not is_reliable and dice.random() < 0.2 else -1  # waits
        self._interrupted_in = dice.randint(5, 100) if not is_reliable and dice.random() < 0.1 else -1  # waits
        self._is_alive = True
        self._has_late = False
        self.clock = Clock(lambda: world.now + self._skew, self._monotonic, self._sleep)

    def live(self) -> None:
        self.gate.acquire()
        try:
            for number in range(1 if self.is_reliable else self.world.dice.randint(1, 3)):
                self._run_command(f"change {number} of {self.name}")
                self._wait(self.world.dice.choice((0.0, 1.0, 30.0)))
        except (Killed, KeyboardInterrupt):
            pass
        except BaseException as error:  # of the product: the test reports it
            self.world.violate(f"{self.name} fails: {error!r}")
        self.world.leave(self)

    def _run_command(self, name: str) -> None:
        world, dice, notified = self.world, self.world.dice, list[str]()
        command = self._command = Command(name)
        store = store_at(cast(OssClient, self), PLACE, self.clock)
        change, outcome, is_interrupted, work = name.encode(), "not begun", False, 0.0
        timeout = BLOCKED + 20.0 if self.is_reliable else dice.choice((15.0, 360.0))
        self._has_late = False
        try:
            with locked(store, notified.append, timeout=timeout, clock=self.clock) as write:
                stored = store.read("")
                assert stored is not None
                command.base, outcome = stored.body, "unknown"
                if not self.is_reliable:
                    work = self._work()
                    self._wait(work)
                outcome = "refused"
                try:
                    write(change)
                except KeysLocked as error:  # it must remain so
                    if work <= 70 and self._skew <= 850 and not world.fault_rate and not world.stall_rate:
                        world.violate(f"{name} has no time: {error}")
                    write(change)
                outcome = "confirmed"
                if change not in world.oss.history:
                    world.violate(f"{name} is confirmed, but was not made")
                if dice.random() < 0.2:
                    command.base = change
                    write(stored.body)
        except NotConfirmed:
            outcome = "unknown" if outcome == "refused" else outcome
        except (KeysLocked, StoreError) as error:
            if self.is_reliable:  # 200 s, and what an answer and a pause take that nobody can know
                world.violate(f"{BLOCKED} s after the last writer: {error}")
        except (Killed, KeyboardInterrupt):
            outcome, is_interrupted = "unknown", True
        if outcome == "refused":
            world.refused.append(change)
        if self._is_alive and not self._has_late and not notified and world.oss.left_by(command):
            world.violate(f"{name} leaves {world.oss.left_by(command)}, and says nothing")
        if is_interrupted:
            raise Killed

    def _work(self) -> float:
        """Seconds between reading and writing, also until moments at which something ends."""
        dice = self.world.dice
        left = self.world.oss.ends_at(self._command) - self.world.now
        at_end = left - dice.uniform(0, 12)
        moments = (0.0, 0.0, 70.0, dice.uniform(0, 2 * SLOT), at_end, left - dice.uniform(55, 85))
        return max(0.0, dice.choice((0.0, at_end) if self.world.is_contended else moments))

    # --- the client of OSS -----------------------------------------------------------------------------------------

    def head(self, location: Location) -> OssResponse:
        return self._request("HEAD", location)

    def get(self, location: Location, *, etag: str | None = None) -> OssResponse:
        return self._request("GET", location)

    def put(
        self,
        location: Location,
        body: bytes,
        *,
        content_type: str,
        retry: bool = True,
        issued_at: float | None = None,
    ) -> OssResponse:
        assert location == PLACE
        return self._request("PUT", location, body, retry=retry, issued_at=issued_at)

    def claim(self, location: Location, body: bytes, *, content_type: str) -> OssResponse:
        assert location != PLACE
        return self._request("PUT", location, body, retry=False)

    def delete(self, location: Location, *, retry: bool = True) -> OssResponse:
        return self._request("DELETE", location, retry=retry)

    def _request(
        self, method: str, location: Location, body: bytes = b"", *, retry: bool = True, issued_at: float | None = None
    ) -> OssResponse:
        signed_at = int(self.clock.now() if issued_at is None else issued_at)
        request = {"method": method, "key": location.key, "body": body, "signed_at": signed_at}
        request["base"] = self._command.base
        for _ in range(2 if retry else 1):
            try:
                return self._send(request)
            except ConnectionError:
                continue
            except TimeoutError:
                break
        raise OssUnavailable("OSS cannot be reached.")

    def _send(self, request: dict[str, Any]) -> OssResponse:
        """Sends a request once, with its fault."""
        world, dice, command = self.world, self.world.dice, self._command
        fault = dice.choice(world.faults) if not self.is_reliable and dice.random() < world.fault_rate else ""
        self._stall()
        answers: list[OssResponse] = []
        travel, work, back = (dice.uniform(0, world.latency) for _ in range(3))
        if fault == "slow":
            travel, work, back = (dice.choice((0.1, dice.uniform(0, limit))) for limit in (9, 15, 9))
        if fault in ("late", "never after", "interrupted"):
            travel = dice.choice((dice.uniform(0, 3), dice.uniform(0, 100), dice.uniform(50, EXPIRES_IN)))
            work = dice.choice((work, dice.uniform(0, 15)))
            self._has_late = True
        if fault not in ("503", "dropped", "never"):
            world.at(world.now + travel, lambda: world.oss.receive(command, request, work, answers))
        if fault.startswith("never"):
            self._wait(TIMEOUT)
            raise TimeoutError
        if fault == "late":
            self._wait(0.0)
            raise ConnectionError
        if fault == "interrupted":
            self._wait(dice.uniform(0, 3))
            raise KeyboardInterrupt
        if travel + work + back > TIMEOUT:
            self._has_late = True
            self._wait(TIMEOUT)
            raise TimeoutError
        self._wait(travel + work + back + 1e-6)  # sums of floats differ
        self._stall()
        if fault in ("dropped", "lost"):
            raise ConnectionError
        if fault.startswith("50"):
            headers = {"date": _date(int(world.now))} if dice.random() < 0.5 else {}
            return OssResponse(int(fault[:3]), headers, b"", "InternalError")
        return answers[0]

    # --- time ------------------------------------------------------------------------------------------------------

    def _monotonic(self) -> float:
        value = self.world.now - self._suspended
        self._stall()
        return value

    def _sleep(self, seconds: float) -> None:
        factors = (10,) if self.is_reliable else (1,) if self.world.is_contended else (1, 1, 4, 40)
        self._wait(seconds * self.world.dice.choice(factors))

    def _stall(self) -> None:
        """A pause of the process, or of the entire machine, whose clock then does not count it."""
        dice = self.world.dice
        if self.is_reliable or not self._is_alive or dice.random() >= self.world.stall_rate:
            return
        seconds = dice.choice((dice.uniform(0, 10), dice.uniform(10, 90), dice.uniform(60, 400)))
        self._wait(seconds)
        if dice.random() < 0.3:
            self._suspended += seconds

    def _wait(self, seconds: float) -> None:
        if not self._is_alive:
            raise Killed
        self.world.wait(self, seconds)
        self._dies_in -= 1
        self._interrupted_in -= 1
        if self._dies_in == 0:
            self._is_alive = False
            raise Killed
        if self._interrupted_in == 0:
            raise KeyboardInterrupt


def check(seed: int) -> None:
    world = World(seed)
    world.run()
    assert world.violations == [], f"world {seed}"


@pytest.mark.parametrize("first", range(0, 500, 100))
def test_in_no_world_a_change_is_lost(first: int) -> None:
    for seed in range(first, first + 100):
        check(seed)


@pytest.mark.long
@pytest.mark.parametrize("first", range(500, 15_500, 1000))
def test_in_many_more_worlds_no_change_is_lost(first: int) -> None:
    for seed in range(first, first + 1000):
        check(seed)
