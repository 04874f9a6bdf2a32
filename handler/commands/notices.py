"""`python -m handler.commands notices`: lists what waits and what is dead, sends the dead again, and deletes."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from signer.common.listing import PAGE
from signer.common.printing import Parser
from signer.times import format_duration, format_timestamp

from ..core.cloud.concurrency import map_concurrently
from ..core.cloud.oss import StoreError
from ..core.cloud.store import Store, store_at
from ..core.context import Clock
from ..core.errors import HandlerError
from ..core.outbox import WAITING, Delivery
from ..notices.sink_queue import DEAD, SinkQueue, sinks
from .command_line import (
    YES,
    InvalidUsage,
    add_endpoint_option,
    ask,
    config,
    has_terminal,
    identifier,
    oss_client,
    run,
    write_lines,
)

NAME = "python -m handler.commands notices"
SYSTEM_CLOCK = Clock()
MAX_REASON = 64  # characters of what may be the content of a foreign object


Found = list[tuple[SinkQueue, list[Delivery]]]


class _Job(NamedTuple):
    """One run of a command; `sink` is None for all, `folder` is what it changes: WAITING or DEAD.

    `is_agreed`: nothing is asked.
    """

    state: Store
    sink: str | None
    folder: str
    is_agreed: bool

    def queues(self, folder: str) -> list[SinkQueue]:
        names = [self.sink] if self.sink is not None else sinks(self.state, folder)
        return [SinkQueue(self.state, name) for name in names]

    def found(self) -> Found:
        """What exists now, by queue. What others add meanwhile is left, so that a command ends."""
        return [(queue, [*queue.deliveries(self.folder)]) for queue in self.queues(self.folder)]

    @property
    def kind(self) -> str:
        return "dead" if self.folder == DEAD else "waiting"

    def counted(self, count: int) -> str:
        return f"{count} {self.kind} notice{'' if count == 1 else 's'}"

    def of_sink(self) -> str:
        return f" of {self.sink}" if self.sink is not None else ""


def main(arguments: Sequence[str] | None = None, *, clock: Clock = SYSTEM_CLOCK) -> int:
    """Runs one command: 0 if it succeeded, 1 if it failed, 2 if the command or the configuration is invalid."""
    options = _parser().parse_args(
        arguments, argparse.Namespace(endpoint=None, sink=None, waiting=False, yes=False)
    )
    return run(NAME, lambda: _run(options, clock))


def _run(options: argparse.Namespace, clock: Clock) -> None:
    if options.waiting and options.sink is None:
        raise InvalidUsage(
            "--waiting requires --sink: it deletes the waiting notices of one sink at a time."
        )
    prefix = config().state
    if prefix is None:
        raise InvalidUsage("links.toml does not name a state prefix. Add state = … to it.")
    state = store_at(oss_client(options.endpoint), prefix, clock)
    try:
        folder = WAITING if options.waiting else DEAD
        options.run(_Job(state, options.sink, folder, options.yes))
    except StoreError as error:
        problem = error.reported()
        raise HandlerError(
            f"{prefix} cannot be used: {(problem.cause or problem.sentence).rstrip('.')}."
        ) from None


def _list(job: _Job) -> None:
    lines = []
    for queue in sorted({*job.queues(WAITING), *job.queues(DEAD)}, key=lambda queue: queue.sink):
        described = [f"  {line}" for line in _describe(queue)]
        lines += [f"{queue.sink}:", *described] if described else []
    write_lines(*(lines or [f"No notices{job.of_sink()} wait, and none are dead."]))


def _describe(queue: SinkQueue) -> Iterator[str]:
    """What waits and is dead for a sink, if anything."""
    entries = queue.first()
    now = queue.state.clock.earliest()
    # Also what waits by itself after a failure.
    due = [entry for entry in entries if entry.due <= now or entry.tries]
    later = [entry for entry in entries if entry.due > now and not entry.tries]
    more = "+" if len(entries) >= PAGE else ""
    if due:
        age = max(0, round(max(now - entry.since for entry in due)))
        yield f"waiting: {len(due)}{'' if later else more}, the oldest for {format_duration(age)}"
    if later:
        yield f"not due yet: {len(later)}{more}, the first at {format_timestamp(later[0].due)}"
    dead = queue.first(DEAD)
    reasons = map_concurrently(lambda delivery: queue.reason(delivery)[:MAX_REASON], dead)
    counts = ", ".join(
        f"{reason}: {count}" for reason, count in Counter(sorted(reasons)).most_common()
    )
    if dead:
        yield (
            f"dead: {PAGE}+ (of the first {PAGE}, {counts})"
            if len(dead) >= PAGE
            else f"dead: {len(dead)} ({counts})"
        )
    pause = queue.pause() if entries or dead else None
    if pause is not None and pause.until > now:
        yield f"paused until {format_timestamp(pause.until)} (failures in a row: {pause.failures})"


def _retry(job: _Job) -> None:
    found = job.found()
    _for_each(job, found, SinkQueue.requeue, "due again")
    map_concurrently(SinkQueue.lift_pause, [queue for queue, _ in found])


def _drop(job: _Job) -> None:
    found = job.found()
    count = sum(len(deliveries) for _, deliveries in found)
    if count and not job.is_agreed:
        if not has_terminal():
            raise InvalidUsage("drop asks on a terminal. To delete without a question: --yes")
        ask(f"Delete {job.counted(count)}{job.of_sink()} in {job.state}?", "Nothing was deleted.")
    _for_each(job, found, lambda queue, delivery: queue.delete(delivery, job.folder), "deleted")


def _for_each(
    job: _Job, found: Found, func: Callable[[SinkQueue, Delivery], None], outcome: str
) -> None:
    """Calls `func` once with every delivery that was found. Says for how many, also after a failure or an interrupt."""
    done: list[str] = []

    def call(queue: SinkQueue, delivery: Delivery) -> None:
        func(queue, delivery)
        done.append(queue.sink)

    try:
        for queue, deliveries in found:
            map_concurrently(partial(call, queue), deliveries)
    finally:
        counts = sorted(Counter(done).items())
        lines = [
            f"{sink}: {job.counted(count)} {outcome} in {job.state}." for sink, count in counts
        ]
        if lines:
            write_lines(*lines, otherwise=" ".join(lines))
    if not lines:
        write_lines(f"There are no {job.kind} notices{job.of_sink()} in {job.state}.")


def _parser() -> argparse.ArgumentParser:
    common = Parser(add_help=False)
    common.add_argument(
        "--sink", default=argparse.SUPPRESS, metavar="NAME", type=identifier, help="only this sink"
    )
    add_endpoint_option(common)
    parser = Parser(
        prog=NAME,
        description="Shows, retries and deletes notices that were not sent.",
        parents=[common],
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, run_command: Callable[[_Job], None], description: str
    ) -> argparse.ArgumentParser:
        subparser = commands.add_parser(
            name, help=description, description=description, parents=[common]
        )
        subparser.set_defaults(run=run_command)
        return subparser

    command(
        "list", _list, "Show what waits and since when, and what is dead and why, for each sink."
    )
    command("retry", _retry, "Make dead notices due again: the next tick of the timer sends them.")
    drop = command("drop", _drop, "Delete dead notices, for good. It asks first.")
    drop.add_argument(
        "--waiting",
        action="store_true",
        help="delete the notices that wait instead; requires --sink",
    )
    names, yes = YES
    drop.add_argument(*names, **yes)
    return parser
