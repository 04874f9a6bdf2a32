"""A rotation of an API key that is killed at any step, or whose requests to OSS meet faults, in virtual time.

Somebody has a key that works at each moment, and whoever runs the command again gets a new one without an outage.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import partial
from hashlib import sha256
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import pytest

from handler.commands import keys_edit
from handler.commands.keys import main
from handler.core.keys import ApiKey, parse
from tests.handler.core.keys.command import ENVIRONMENT
from tests.local_oss import PLACE
from tests.virtual_time import Process, World, each_world

STEPS = 9  # a rotation waits so often for OSS, at most
MINUTES = 600  # seconds until somebody runs it again


def rotate(process: Process, file: Path | None) -> tuple[int | None, str]:
    """The status, None for a process that was killed, and the key that somebody then has, "" for none."""
    out, status = StringIO(), list[int]()
    output = ("--output", str(file)) if file is not None else ()

    def call() -> None:
        with redirect_stdout(out), redirect_stderr(StringIO()):
            command = ("--keys", str(PLACE), "rotate-api-key", "ci", *output)
            status.append(main(command, clock=process.clock))

    process.world.start(process, call)
    process.world.run()
    shown = out.getvalue()
    if file is not None:
        with suppress(FileNotFoundError):
            shown = file.read_text()
    return (status[0] if status else None), shown.strip()


def stored(world: World) -> ApiKey:
    (key,) = parse(world.oss.read(PLACE.key) or b"").api
    return key


def works(world: World, key: str) -> bool:
    hashed = sha256(key.encode()).hexdigest()
    ends = [end for each, end in stored(world).accepted() if each == hashed]
    return any(end is None or end > world.now for end in ends)


def live(folder: Path, world: World) -> Iterable[str]:
    """Some worlds kill it at one step, the others have faults; every second one has a file for its key."""
    seed = world.dice.randrange(10**9)
    file = folder / f"{seed}.key"
    process = Process(world)
    document, old = keys_edit.add_api_key(keys_edit.new(), "ci", ["/a/"], ["GET"], None)
    world.oss.fill({PLACE.key: keys_edit.serialize(document)})
    world.latency = 0.02
    if world.dice.random() < 0.4:
        process.dies_in = world.dice.randint(1, STEPS)
    else:
        world.fault_rate = 0.15
        world.faults = ["late", "never after", "lost", "500 after", "slow"]
    status, new = rotate(process, file if world.dice.random() < 0.5 else None)
    world.fault_rate, end = 0.0, stored(world).earlier
    world.now += MINUTES
    if status == 0 and not works(world, new):
        yield "a rotation succeeded, and its key does not work"
    if not works(world, old):
        yield "the old key has no hour"
    has_new = bool(new) and works(world, new)
    again, newest = rotate(Process(world, is_reliable=True), folder / f"{seed}.again")
    if again != 0 and not (status == 0 or has_new):
        yield f"to run it again is refused, and nobody has the new key ({status})"
    if again == 0 and not (works(world, newest) and works(world, old)):
        yield "it was run again with an outage"
    if again == 0 and status == 0 and has_new:
        yield "a key that somebody has was ended"
    kept = stored(world).earlier
    if end is not None and (kept is None or kept.expires_at != end.expires_at):
        yield "the earlier key did not keep its end"


@pytest.mark.parametrize(
    "seeds", [range(60), pytest.param(range(60, 660), marks=pytest.mark.long)], ids=["some", "all"]
)
def test_somebody_has_a_key_that_works_and_can_make_a_new_one(seeds: range) -> None:
    with TemporaryDirectory() as folder, patch.dict(os.environ, ENVIRONMENT):
        each_world(seeds, partial(live, Path(folder)))
