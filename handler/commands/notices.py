"""`python -m handler.notices`: lists what waits and what is dead, sends the dead again, and deletes."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple

from signer.times import format_duration, format_timestamp

from ..cloud.lease import Lease
from ..cloud.oss import StoreError, map_concurrently
from ..cloud.store import PAGE, store_at
from ..context import Clock
from ..errors import HandlerError
from ..notices.outbox import DEAD, WAITING, Entry, Outbox
from .command_line import InvalidUsage, Parser, add_endpoint_option, config, identifier, oss_client, run, write_lines

NAME = "python -m handler.notices"
SYSTEM_CLOCK = Clock()
STEP = 100  # entries between two looks at the lease
LEASE_TIMEOUT = 300  # seconds; a holder has the time of its invocation, and the slot after it
MAX_REASON = 64  # characters of what may be the content of a foreign object


class _Job(NamedTuple):
    """One run of a command on an outbox; `sink` is None for all, `folder` is what it changes: WAITING or DEAD."""

    outbox: Outbox
    sink: str | None
    clock: Clock
    folder: str

    def sinks(self, folder: str) -> list[str]:
        return [self.sink] if self.sink is not None else self.outbox.sinks(folder)

    def of_sink(self) -> str:
        return f" of {self.sink}" if self.sink is not None else ""


def main(arguments: Sequence[str] | None = None, *, clock: Clock = SYSTEM_CLOCK) -> int:
    """Runs one command: 0 if it succeeded, 1 if it failed, 2 if the command or the configuration is invalid."""
    options = _parser().parse_args(arguments, argparse.Namespace(endpoint=None, sink=None, waiting=False))
    return run(NAME, lambda: _run(options, clock))


def _run(options: argparse.Namespace, clock: Clock) -> None:
    if options.waiting and options.sink is None:
        raise InvalidUsage("--waiting requires --sink: it deletes the waiting notices of one sink at a time.")
    prefix = config().state
    if prefix is None:
        raise InvalidUsage("links.toml does not name a state prefix. Add state = … to it.")
    outbox = Outbox(store_at(oss_client(options.endpoint), prefix, clock))
    try:
        options.run(_Job(outbox, options.sink, clock, WAITING if options.waiting else DEAD))
    except StoreError as error:
        problem = error.reported()
        raise HandlerError(f"{prefix} cannot be used: {(problem.cause or problem.sentence).rstrip('.')}.") from None


def _list(job: _Job) -> None:
    lines = []
    for sink in sorted({*job.sinks(WAITING), *job.sinks(DEAD)}):
        facts = [*_waiting(job, sink), *_dead(job, sink)]
        lines += [f"{sink}:", *(f"  {fact}" for fact in facts)] if facts else []
    write_lines(*(lines or [f"No notices{job.of_sink()} wait, and none are dead."]))


def _waiting(job: _Job, sink: str) -> list[str]:
    entries = job.outbox.entries(sink)
    now = job.outbox.state.clock.earliest()
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
    reasons = map_concurrently(lambda entry: job.outbox.reason(entry)[:MAX_REASON], entries)
    counts = ", ".join(f"{reason}: {count}" for reason, count in Counter(sorted(reasons)).most_common())
    if len(entries) >= PAGE:
        return [f"dead: {PAGE}+ (of the first {PAGE}, {counts})"]
    return [f"dead: {len(entries)} ({counts})"] if entries else []


def _retry(job: _Job) -> None:
    outbox = job.outbox

    def revive(entry: Entry) -> None:
        # What waits as well is due already: whoever moves it to the dead may delete it from the outbox at any time.
        if outbox.read(entry) is None:
            outbox.revive(entry)

    _for_each(job, revive, "due again", leased=True)


def _drop(job: _Job) -> None:
    _for_each(job, lambda entry: job.outbox.delete(entry, job.folder), "deleted")


def _for_each(job: _Job, func: Callable[[Entry], None], outcome: str, *, leased: bool = False) -> None:
    """Calls `func` once with every entry that exists now, `leased` under the lease of its sink.

    Says for how many, also after a failure or an interrupt. What others add meanwhile is left, so that this ends.
    """
    from ..notices.holding import sink_lease  # needs packages that may be missing

    kind = "dead" if job.folder == DEAD else "waiting"
    done: list[str] = []

    def call(entry: Entry) -> None:
        func(entry)
        done.append(entry.sink)

    try:
        for sink in job.sinks(job.folder):
            entries = list(job.outbox.all_entries(sink, job.folder))
            lease = sink_lease(job.outbox.state, sink)
            try:
                for start in range(0, len(entries), STEP):
                    if leased:
                        _hold(job, sink, lease)
                    map_concurrently(call, entries[start : start + STEP])
            finally:
                lease.release()
    finally:
        counts = sorted(Counter(done).items())
        lines = [f"{sink}: {count} {kind} notice{'' if count == 1 else 's'} {outcome}." for sink, count in counts]
        if lines:
            write_lines(*lines, otherwise=" ".join(lines))
    if not lines:
        write_lines(f"There are no {kind} notices{job.of_sink()}.")


def _hold(job: _Job, sink: str, lease: Lease) -> None:
    """Waits until no instance sends to the sink: one that buries a notice while it is revived would lose it."""
    deadline = job.clock.monotonic() + LEASE_TIMEOUT
    while not (lease.take() and lease.has_time()):
        if job.clock.monotonic() >= deadline:
            raise HandlerError(f"The function is sending notices to {sink} all the time. Try again later.")
        job.clock.sleep(1)


def _parser() -> argparse.ArgumentParser:
    common = Parser(add_help=False)
    common.add_argument("--sink", default=argparse.SUPPRESS, metavar="NAME", type=identifier, help="only this sink")
    add_endpoint_option(common)
    parser = Parser(prog=NAME, description="Shows, retries and deletes notices that were not sent.", parents=[common])
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
