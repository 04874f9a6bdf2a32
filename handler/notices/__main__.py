"""`python -m handler.notices`: lists what waits and what is dead, sends the dead again, and deletes."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from signer.times import format_duration, format_timestamp

from .. import startup
from ..command_line import InvalidUsage, Progress, add_endpoint_option, identifier, oss_client, run, write_lines
from ..errors import HandlerError, Problem
from ..oss import map_concurrently
from ..state import PAGE, state_at
from ..times import Clock
from .outbox import DEAD, WAITING, Entry, Outbox

NAME = "python -m handler.notices"
SYSTEM_CLOCK = Clock()
MAX_REASON = 64  # characters of what may be the content of a foreign object


class _Job(NamedTuple):
    """One run of a command on an outbox."""

    outbox: Outbox
    options: argparse.Namespace
    progress: Progress

    @property
    def of_sink(self) -> str:
        return f" of {self.options.sink}" if self.options.sink is not None else ""

    def sinks(self, folder: str) -> list[str]:
        return [self.options.sink] if self.options.sink is not None else self.outbox.sinks(folder)


def main(arguments: Sequence[str] | None = None, *, clock: Clock = SYSTEM_CLOCK) -> int:
    """Runs one command: 0 if it succeeded, 1 if it failed, 2 if the command or the configuration is invalid."""
    options = _parser().parse_args(arguments, argparse.Namespace(endpoint="public", sink=None, waiting=False))
    return run(NAME, lambda: _run(options, clock))


def _run(options: argparse.Namespace, clock: Clock) -> None:
    prefix = startup.config().state
    if prefix is None:
        raise InvalidUsage("links.toml does not name a state prefix. Add state = … to it.")
    if options.waiting and options.sink is None:
        raise InvalidUsage("--waiting requires --sink: the waiting notices of one sink are deleted at a time.")
    progress = Progress(clock)
    try:
        options.run(_Job(Outbox(state_at(oss_client(options.endpoint), prefix, clock)), options, progress))
    except Problem as problem:
        raise HandlerError(f"{prefix} cannot be used: {problem.cause or problem.sentence}.") from None
    except KeyboardInterrupt:
        raise HandlerError("Interrupted.") from None
    finally:
        progress.clear()


def _list(job: _Job) -> None:
    lines = []
    for sink in sorted({*job.sinks(WAITING), *job.sinks(DEAD)}):
        facts = [*_waiting(job, sink), *_dead(job, sink)]
        lines += [f"{sink}:", *(f"  {fact}" for fact in facts)] if facts else []
    job.progress.clear()
    write_lines(*(lines or [f"No notices{job.of_sink} wait, and none are dead."]))


def _waiting(job: _Job, sink: str) -> list[str]:
    entries = job.outbox.entries(sink)
    now = job.outbox.state.time.earliest()
    due, later = [entry for entry in entries if entry.due <= now], [entry for entry in entries if entry.due > now]
    more = "+" if len(entries) >= PAGE else ""
    facts = []
    if due:
        age = max(0, round(max(entry.overdue(now) for entry in due)))
        facts.append(f"waiting: {len(due)}{'' if later else more}, the oldest for {format_duration(age)}")
    if later:
        facts.append(f"not due yet: {len(later)}{more}, the first at {format_timestamp(later[0].due)}")
    return facts


def _dead(job: _Job, sink: str) -> list[str]:
    entries = job.outbox.entries(sink, DEAD)
    reasons: list[str] = []

    def read(entry: Entry) -> None:
        reasons.append(job.outbox.reason(entry)[:MAX_REASON])
        job.progress.show(f"{sink}: {len(reasons)} of {len(entries)} dead notices read")

    map_concurrently(read, entries)
    counts = ", ".join(f"{reason}: {count}" for reason, count in Counter(sorted(reasons)).most_common())
    if len(entries) >= PAGE:
        return [f"dead: {PAGE}+ (of the first {PAGE}, {counts})"]
    return [f"dead: {len(entries)} ({counts})"] if entries else []


def _retry(job: _Job) -> None:
    _apply(job, DEAD, job.outbox.revive, "due again")


def _drop(job: _Job) -> None:
    folder = WAITING if job.options.waiting else DEAD
    _apply(job, folder, lambda entry: job.outbox.delete(entry, folder), "deleted")


def _apply(job: _Job, folder: str, func: Callable[[Entry], None], outcome: str) -> None:
    """Calls `func` once with every entry that exists now. Says with how many, also if it fails or is interrupted.

    What others add meanwhile is left, so that this ends.
    """
    kind = "dead" if folder == DEAD else "waiting"
    entries: list[Entry] = []
    done: list[str] = []

    def apply(entry: Entry) -> None:
        func(entry)
        done.append(entry.sink)
        job.progress.show(f"{len(done)} of {len(entries)} {kind} notices {outcome}")

    try:
        for sink in job.sinks(folder):
            for entry in job.outbox.all_entries(sink, folder):
                entries.append(entry)
                job.progress.show(f"{len(entries)} {kind} notices listed")
        for start in range(0, len(entries), PAGE):
            map_concurrently(apply, entries[start : start + PAGE])
    finally:
        job.progress.clear()
        counts = sorted(Counter(done).items())
        lines = [f"{sink}: {count} {kind} notice{'' if count == 1 else 's'} {outcome}." for sink, count in counts]
        if lines:
            write_lines(*lines, otherwise=" ".join(lines))
    if not lines:
        write_lines(f"There are no {kind} notices{job.of_sink}.")


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--sink", default=argparse.SUPPRESS, metavar="NAME", type=identifier, help="only this sink")
    add_endpoint_option(common)
    parser = argparse.ArgumentParser(
        prog=NAME, description="Shows, retries and deletes notices that were not sent.", parents=[common]
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run_command: Callable[[_Job], None], description: str) -> argparse.ArgumentParser:
        subparser = commands.add_parser(name, help=description, description=description, parents=[common])
        subparser.set_defaults(run=run_command)
        return subparser

    command("list", _list, "Show what waits and since when, and what is dead and why, for each sink.")
    command("retry", _retry, "Make dead notices due again: the next tick of the timer sends them.")
    drop = command("drop", _drop, "Delete dead notices, for good and without a question.")
    drop.add_argument("--waiting", action="store_true", help="delete the notices that wait instead; requires --sink")
    return parser


if __name__ == "__main__":
    sys.exit(main())
