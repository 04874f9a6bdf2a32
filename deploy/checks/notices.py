"""Checks that the triggers of an environment deliver what the notices in links.toml wait for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from handler.config import Location
from local.fc.schedule import InvalidSchedule, schedule

from .functions import mapping, takes_events
from .links_toml import Reader, watched

# What waits is sent by the timer; each minute is expected, more than this is refused.
MAX_TIMER_MINUTES = 5
# Each hour of the day, on all weekdays: full hours, after which a rarer tick is furthest away.
_SAMPLES = range(0, 24 * 90_000, 90_000)
# Their messages may contain the events of a bucket.
_OTHER_SOURCES = frozenset({"eventbridge", "mns_topic"})

Trigger = Mapping[str, Any]


def faults(readers: Mapping[str, Reader]) -> Iterator[tuple[str, str]]:
    """The function and a sentence for each notice that no trigger would send. `readers` are all of an environment."""
    events = {name: reader for name, reader in readers.items() if takes_events(reader.props)}
    triggers = [trigger for reader in events.values() for trigger in reader.props.get("triggers") or []]
    for name, reader in events.items():
        for sentence in (*_created(reader, triggers), *_timer(reader, triggers)):
            yield name, sentence


def missing_function(readers: Mapping[str, Reader], config: str) -> Iterator[str]:
    """A sentence if links.toml has notices, but no function of the file takes events."""
    for reader in readers.values():
        if reader.links.notices and not any(takes_events(other.props) for other in readers.values()):
            yield (
                f"{config} has no function that takes events, but {reader.file} has a [[notice]]: add a function with "
                "handler.on_event, or remove the notice."
            )


def warnings(reader: Reader) -> Iterator[str]:
    """A sentence for each sink that only the keys document can hold."""
    for name in sorted(reader.links.keys_sinks):
        yield (
            f"{reader.file}: a notice goes to {name}, which is not a [[sink]] there: run make doctor, which reads the "
            "keys document."
        )


def _created(reader: Reader, triggers: Sequence[Trigger]) -> Iterator[str]:
    """Each mount with a created notice is watched by a trigger."""
    if any(trigger["triggerType"] in _OTHER_SOURCES for trigger in triggers):
        return
    locations: list[Location] = [
        watched(trigger)
        for trigger in triggers
        if trigger["triggerType"] == "oss"
        and any(event.startswith("oss:ObjectCreated:") for event in trigger["triggerConfig"]["events"])
    ]
    for mount in dict.fromkeys(notice.mount for notice in reader.links.notices if notice.on == "created"):
        if not any(mount.target.overlaps(location) for location in locations):
            yield (
                f"an oss trigger is missing, so the created notice of {mount.path} in {reader.file} is never sent: add "
                f"one that watches {mount.target}."
            )


def _timer(reader: Reader, triggers: Sequence[Trigger]) -> Iterator[str]:
    """What waits for a sink, and timer notices, are sent by an enabled timer."""
    sinks = ", ".join(sorted(reader.links.keys_sinks))
    configs = [mapping(trigger["triggerConfig"]) for trigger in triggers if trigger["triggerType"] == "timer"]
    expressions = [config["cronExpression"] for config in configs if config["enable"]]
    if not expressions:
        if sinks:
            yield (
                f"an enabled timer trigger is missing, so what waits for {sinks}, such as digests and failed notices, "
                "is never sent: add one with cronExpression '@every 1m'."
            )
        for path in dict.fromkeys(notice.mount.path for notice in reader.links.notices if notice.on == "timer"):
            yield (
                f"an enabled timer trigger is missing, so the timer notice of {path} in {reader.file} is never sent: "
                "add one whose payload names the objects."
            )
        return
    try:
        next_ticks = [schedule(expression) for expression in expressions]
    except InvalidSchedule:
        return  # Its trigger has the fault.
    for start in _SAMPLES if sinks else ():
        ticks = (next_tick(start) for next_tick in next_ticks)
        if not any(tick is not None and tick <= start + MAX_TIMER_MINUTES * 60 for tick in ticks):
            yield (
                f"no timer trigger calls it at least every {MAX_TIMER_MINUTES} minutes, so what waits for {sinks} is "
                "sent late: set cronExpression to '@every 1m'."
            )
            return
