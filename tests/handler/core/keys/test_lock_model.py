"""Random worlds in which writers contend for the lock of a keys document in OSS, in virtual time.

The writers run the real lock. They meet faults, and stall, sleep and die at any point.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from handler.commands.keys_lock import KeysLocked, NotConfirmed, locked
from handler.core.cloud.http_client import Connections
from handler.core.cloud.oss import OssClient, StoreError
from handler.core.cloud.store import store_at
from handler.core.config import Location
from signer import Endpoint
from tests.handler.client import KEYS
from tests.handler.notice_fixtures import Killed
from tests.virtual_time import FAULTS, LATE, START, Process, World, each_world

PLACE = Location("examplebucket", ".links/keys.json")
CLIENT = OssClient(KEYS, Endpoint.path_style("http://127.0.0.1:9", "cn-hangzhou"), Connections())
SLOT = 120  # seconds
BLOCKED = 200  # seconds that a crash may keep others out
SKEWS = (0.0, 0.0, 0.7, -3.0, -50.0, 200.0, 850.0, -61.0, 950.0)  # seconds


@dataclass
class Command:
    """One run of a command. `base` is the document that its next change replaces."""

    name: str
    base: bytes = b""


class Contest:
    """A world with some writers. It notices when a change or a deletion is carried out that must not be."""

    def __init__(self, world: World) -> None:
        self.world = world
        dice = world.dice
        world.now += dice.uniform(0, SLOT)
        world.fault_rate = dice.choice((0.0, 0.05, 0.15, 0.4))
        world.latency = dice.choice((0.02, 0.5))
        world.faults = dice.sample((*FAULTS, "interrupted"), dice.randint(1, 3))
        # Some wait for the end of the slot in which another one writes.
        self.is_contended = dice.random() < 0.2
        if self.is_contended:
            world.fault_rate = 0.15
            world.faults = ["slow"]
            world.latency = 0.02
        world.stall_rate = dice.choice((0.0, 0.003, 0.02))
        world.server_skew = dice.choice((0.0, 0.5))
        world.watch = self._watch
        world.oss.fill({PLACE.key: b"document 0"})
        self.history = [b"document 0"]
        self.refused: list[bytes] = []  # changes that may not be made later, either
        self.violations: list[str] = []
        self._owners: dict[str, Command] = {}  # of locks, by key
        self._writers = 0

    def run(self) -> None:
        dice = self.world.dice
        for _ in range(dice.randint(2, 4)):
            # Many begin shortly before a slot ends, or while another one works.
            self.begin(after=dice.choice((dice.uniform(0, 20), dice.uniform(0, 2 * SLOT))))
        self.world.run()
        self.violations += [
            f"{change!r} was refused, and made" for change in self.refused if change in self.history
        ]

    def begin(self, *, after: float = 0.0, is_reliable: bool = False) -> None:
        self._writers += 1
        writer = Writer(self, "the heir" if is_reliable else f"writer {self._writers}", is_reliable)
        self.world.start(writer.process, writer.live, after=after)

    def leave(self, writer: Writer) -> None:
        """After the last writer another one comes, for whom everything works."""
        self._writers -= 1
        if not self._writers and not writer.process.is_reliable:
            self.begin(is_reliable=True)

    def violate(self, sentence: str) -> None:
        self.violations.append(f"{self.world.now - START:.1f} s: {sentence}")

    def left_by(self, command: Command) -> list[str]:
        """The locks of a command that keep others out."""
        slot = int(self.world.now // SLOT)
        return [
            key for key, owner in self._owners.items() if owner is command and _slot(key) >= slot
        ]

    def ends_at(self, command: Command) -> float:
        """When the last slot of a command ends."""
        return SLOT * (1 + max(map(_slot, self.left_by(command)), default=0))

    def _watch(self, command: Command, method: str, location: Location, body: bytes) -> None:
        world = self.world
        key = location.key
        stored = self.world.oss.objects.get(location)
        if method == "PUT" and location != PLACE:
            if stored is None:
                self._owners[key] = command
        elif method == "PUT":
            if stored is None or stored.body != command.base:
                self.violate(f"{command.name} replaces {stored!r}, but it read {command.base!r}")
            slots = {
                int((world.now + skew) // SLOT) for skew in (-world.server_skew, world.server_skew)
            }
            if not any(self._owners.get(f"{PLACE.key}.lock.{slot}") is command for slot in slots):
                self.violate(f"{command.name} writes, but does not hold the lock")
            self.history.append(body)
        elif method == "DELETE":
            owner = self._owners.pop(key, command)
            if owner is not command:
                self.violate(f"{command.name} deletes the lock of {owner.name}")


def _slot(key: str) -> int:
    return int(key.rpartition(".")[2])


class Writer:
    """Somebody who runs some commands."""

    def __init__(self, contest: Contest, name: str, is_reliable: bool) -> None:
        dice = contest.world.dice
        self.contest, self.name = contest, name
        self.process = Process(
            contest.world, skew=0.0 if is_reliable else dice.choice(SKEWS), is_reliable=is_reliable
        )
        self.process.pauses = (
            (10,) if is_reliable else (1,) if contest.is_contended else (1, 1, 4, 40)
        )
        if not is_reliable:
            self.process.dies_in = dice.randint(5, 100) if dice.random() < 0.2 else 0
            self.process.interrupted_in = dice.randint(5, 100) if dice.random() < 0.1 else 0

    def live(self) -> None:
        world = self.contest.world
        try:
            for number in range(1 if self.process.is_reliable else world.dice.randint(1, 3)):
                self._run_command(Command(f"change {number} of {self.name}"))
                world.wait(world.dice.choice((0.0, 1.0, 30.0)))
        finally:
            self.contest.leave(self)

    def _run_command(self, command: Command) -> None:
        contest = self.contest
        process = self.process
        name = command.name
        world = contest.world
        dice = contest.world.dice
        notified = list[str]()
        process.job = command
        store = store_at(CLIENT, PLACE, process.clock)
        change = name.encode()
        outcome = "not begun"
        is_interrupted = False
        work = 0.0
        timeout = BLOCKED + 20.0 if process.is_reliable else dice.choice((15.0, 360.0))
        process.faults.clear()
        try:
            with locked(store, notified.append, timeout=timeout, clock=process.clock) as write:
                stored = store.read("")
                assert stored is not None
                command.base, outcome = stored.body, "unknown"
                if not process.is_reliable:
                    work = self._work(command)
                    world.wait(work)
                outcome = "refused"
                try:
                    write(change)
                except KeysLocked as error:  # it must remain so
                    is_ahead = process.clock.now() - world.now > 850
                    if (
                        work <= 70
                        and not is_ahead
                        and not world.fault_rate
                        and not world.stall_rate
                    ):
                        contest.violate(f"{name} has no time: {error}")
                    write(change)
                outcome = "confirmed"
                if change not in contest.history:
                    contest.violate(f"{name} is confirmed, but was not made")
                if dice.random() < 0.2:
                    command.base = change
                    write(stored.body)
        except NotConfirmed:
            outcome = "unknown" if outcome == "refused" else outcome
        except (KeysLocked, StoreError) as error:
            # 200 s, and what an answer and a pause take that nobody can know.
            if process.is_reliable:
                contest.violate(f"{BLOCKED} s after the last writer: {error}")
        except (Killed, KeyboardInterrupt):
            outcome, is_interrupted = "unknown", True
        if outcome == "refused":
            contest.refused.append(change)
        has_late = any(fault.kind in LATE for fault in process.faults)
        if process.is_alive and not has_late and not notified and contest.left_by(command):
            contest.violate(f"{name} leaves {contest.left_by(command)}, and says nothing")
        if is_interrupted:
            raise Killed

    def _work(self, command: Command) -> float:
        """Seconds between reading and writing, also until moments at which something ends."""
        dice = self.contest.world.dice
        left = self.contest.ends_at(command) - self.contest.world.now
        at_end = left - dice.uniform(0, 12)
        moments = (0.0, 0.0, 70.0, dice.uniform(0, 2 * SLOT), at_end, left - dice.uniform(55, 85))
        return max(0.0, dice.choice((0.0, at_end) if self.contest.is_contended else moments))


def live(world: World) -> list[str]:
    contest = Contest(world)
    contest.run()
    return contest.violations


@pytest.mark.parametrize("first", range(0, 200, 100))
def test_in_no_world_a_change_is_lost(first: int) -> None:
    each_world(range(first, first + 100), live)


@pytest.mark.long
@pytest.mark.parametrize("first", range(200, 15_200, 1000))
def test_in_many_more_worlds_no_change_is_lost(first: int) -> None:
    each_world(range(first, first + 1000), live)
