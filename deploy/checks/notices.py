"""Checks that the triggers of an environment deliver what the notices in links.toml wait for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from handler.core.config import Location
from local.fc.functions import Function, Trigger
from local.fc.schedule import InvalidSchedule, schedule

from ..model import ConfiguredFunction, watched

# What waits is sent by the timer; each minute is expected, more than this is refused.
MAX_TIMER_MINUTES = 5
# Each hour of the day, on all weekdays: full hours, after which a rarer tick is furthest away.
_SAMPLES = range(0, 24 * 90_000, 90_000)
# Their messages may contain the events of a bucket.
_OTHER_SOURCES = frozenset({"eventbridge", "mns_topic"})
# A shorter outage must not lose events.
MIN_EVENT_AGE = 3600  # seconds
# The events of files that arrive in one of the ways that links, forms, pages and tools use.
UPLOADS = frozenset(
    f"oss:ObjectCreated:{name}"
    for name in ("PutObject", "PostObject", "CopyObject", "CompleteMultipartUpload")
)
# Calls besides one for each sink that hangs.
_SPARE_CALLS = 2


def faults(functions: Sequence[ConfiguredFunction]) -> Iterator[tuple[str, str]]:
    """The resource and a sentence for each notice that no trigger would send. `functions` are all of an environment."""
    events = [configured for configured in functions if configured.function.takes_events]
    triggers = [trigger for configured in events for trigger in configured.function.triggers]
    for configured in events:
        for sentence in (
            *_created(configured, triggers),
            *_timer(configured, triggers),
            *_instances(configured),
        ):
            yield configured.function.resource, sentence


def missing_function(functions: Sequence[ConfiguredFunction], file: str) -> Iterator[str]:
    """A sentence if links.toml has notices, but no function of the file takes events."""
    for configured in functions:
        if configured.config.notices and not any(
            other.function.takes_events for other in functions
        ):
            advice = "add a function with handler.on_event, or remove the notice"
            yield f"{file} has no function that takes events, but {configured.file} has a [[notice]]: {advice}."


def warnings(configured: ConfiguredFunction) -> Iterator[str]:
    """A sentence for each sink that only the keys document can hold, and for events that are lost."""
    for name in sorted(configured.config.keys_sinks):
        advice = "run make doctor, which reads the keys document"
        yield f"{configured.file}: a notice goes to {name}, which is not a [[sink]] there: {advice}."
    if configured.function.takes_events:
        yield from _lost_events(configured.function)


def _lost_events(function: Function) -> Iterator[str]:
    if "onFailure" not in function.destinations:
        yield (
            f"{function.resource}: asyncInvokeConfig has no destinationConfig.onFailure, so events that fail are lost: "
            "name a queue, as in the file that the project comes with."
        )
    if function.max_event_age < MIN_EVENT_AGE:
        yield (
            f"{function.resource}: asyncInvokeConfig.maxAsyncEventAgeInSeconds is {function.max_event_age}, so events "
            "are given up in a short outage: set it to 86400."
        )
    for trigger in (trigger for trigger in function.triggers if trigger.kind == "oss"):
        name = f"{function.resource}: trigger {trigger.name}"
        suffix = trigger.config["filter"]["key"]["suffix"]
        if suffix:
            yield f"{name}: suffix is {suffix!r}, so other files make no notice: write ''."
        missing = UPLOADS.difference(trigger.config["events"])
        if missing and "oss:ObjectCreated:*" not in trigger.config["events"]:
            events = ", ".join(sorted(missing))
            yield f"{name}: events lacks {events}, so files that arrive this way make no notice: add it."


def _created(configured: ConfiguredFunction, triggers: Sequence[Trigger]) -> Iterator[str]:
    """Each mount with a created notice is watched by a trigger."""
    if any(trigger.kind in _OTHER_SOURCES for trigger in triggers):
        return
    locations: list[Location] = [
        watched(trigger)
        for trigger in triggers
        if trigger.kind == "oss"
        and any(event.startswith("oss:ObjectCreated:") for event in trigger.config["events"])
    ]
    for mount in dict.fromkeys(
        notice.mount for notice in configured.config.notices if notice.on == "created"
    ):
        if not any(mount.target.overlaps(location) for location in locations):
            notice = f"the created notice of {mount.path} in {configured.file}"
            yield f"an oss trigger is missing, so {notice} is never sent: add one that watches {mount.target}."


def _instances(configured: ConfiguredFunction) -> Iterator[str]:
    """A sink that hangs keeps one call busy, and must not delay the others."""
    sinks = configured.config.keys_sinks
    needed = -(-(len(sinks) + _SPARE_CALLS) // configured.function.concurrency)
    instances = configured.function.instances
    if sinks and instances is not None and instances < needed:
        yield (
            f"concurrencyConfig.reservedConcurrency must be at least {needed} (got {instances}): one call for each "
            f"sink that {configured.file} does not define itself, and {_SPARE_CALLS} more. A sink that hangs would "
            "delay the others."
        )


def _timer(configured: ConfiguredFunction, triggers: Sequence[Trigger]) -> Iterator[str]:
    """What waits for a sink, and timer notices, are sent by an enabled timer."""
    sinks = ", ".join(sorted(configured.config.keys_sinks))
    configs = [trigger.config for trigger in triggers if trigger.kind == "timer"]
    expressions = [config["cronExpression"] for config in configs if config["enable"]]
    if not expressions:
        missing = "an enabled timer trigger is missing, so"
        if sinks:
            waiting = f"what waits for {sinks}, such as digests and failed notices,"
            yield f"{missing} {waiting} is never sent: add one with cronExpression '@every 1m'."
        for path in dict.fromkeys(
            notice.mount.path for notice in configured.config.notices if notice.on == "timer"
        ):
            notice = f"the timer notice of {path} in {configured.file}"
            yield f"{missing} {notice} is never sent: add one whose payload names the objects."
        return
    try:
        next_ticks = [schedule(expression) for expression in expressions]
    except InvalidSchedule:
        return  # Its trigger has the fault.
    for start in _SAMPLES if sinks else ():
        ticks = (next_tick(start) for next_tick in next_ticks)
        if not any(tick is not None and tick <= start + MAX_TIMER_MINUTES * 60 for tick in ticks):
            late = f"what waits for {sinks} is sent late: set cronExpression to '@every 1m'"
            yield f"no timer trigger calls it at least every {MAX_TIMER_MINUTES} minutes, so {late}."
            return
