"""Checks links.toml as the deployed functions will read it, and their triggers against it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from handler.config import Config, InvalidConfig, Location, load
from local.fc.schedule import InvalidSchedule, schedule

from ..errors import DeployError
from .functions import is_web, mapping

# What waits is sent by the timer; each minute is expected, more than this is refused.
MAX_TIMER_MINUTES = 5
# Each hour of the day, on all weekdays: full hours, after which a rarer tick is furthest away.
_SAMPLES = range(0, 24 * 90_000, 90_000)

Props = Mapping[str, Any]


def read_config(root: Path, props: Props) -> tuple[str, Config]:
    """The file's name and what a function with these properties reads in it. Raises `InvalidConfig`."""
    environment = {name: str(value) for name, value in (props.get("environmentVariables") or {}).items()}
    name = environment.get("LINK_CONFIG") or "links.toml"
    return name, load.load(str(root / name), environment)


def read_or_fail(root: Path, props: Props) -> Config:
    """What a function with these properties reads. Raises `DeployError`."""
    try:
        return read_config(root, props)[1]
    except InvalidConfig as error:
        raise DeployError(error.sentence) from None


def faults(root: Path, props: Props) -> Iterator[str]:
    """A sentence for each setting that works on a laptop, but not once deployed."""
    try:
        file, links = read_config(root, props)
    except InvalidConfig as error:
        yield error.sentence
        return
    if links.keys is not None and links.keys.startswith("file:"):
        yield f"{file}: keys is a file, which would be deployed with the code: use oss://bucket/.links/keys.json."
    if not links.mounts:
        yield f"{file} has no mount, so there is nothing to link: add a [[mount]]."
    waiting = sorted(links.keys_sinks)
    if waiting and not is_web(props):
        yield from _timer(props, ", ".join(waiting))
    for trigger in props.get("triggers") or []:
        if trigger["triggerType"] == "oss":
            for sentence in _oss_trigger(trigger, links):
                yield f"trigger {trigger['triggerName']}: {sentence}"


def _timer(props: Props, sinks: str) -> Iterator[str]:
    """What waits for these sinks is sent by an enabled timer."""
    configs = [mapping(t["triggerConfig"]) for t in props.get("triggers") or [] if t["triggerType"] == "timer"]
    expressions = [config["cronExpression"] for config in configs if config["enable"]]
    if not expressions:
        yield (
            f"an enabled timer trigger is missing, so what waits for {sinks}, such as digests and failed notices, "
            "is never sent: add one with cronExpression '@every 1m'."
        )
        return
    try:
        next_ticks = [schedule(expression) for expression in expressions]
    except InvalidSchedule as error:
        yield str(error)
        return
    for start in _SAMPLES:
        ticks = (next_tick(start) for next_tick in next_ticks)
        if not any(tick is not None and tick <= start + MAX_TIMER_MINUTES * 60 for tick in ticks):
            yield (
                f"no timer trigger calls it at least every {MAX_TIMER_MINUTES} minutes, so what waits for {sinks} is "
                "sent late: set cronExpression to '@every 1m'."
            )
            return


def _oss_trigger(trigger: Mapping[str, Any], links: Config) -> Iterator[str]:
    targets = [notice.mount.target for notice in links.notices if notice.on == "created"]
    prefix = trigger["triggerConfig"]["filter"]["key"]["prefix"]
    bucket = str(trigger.get("sourceArn")).rpartition(":")[2]
    watched = Location(bucket, prefix)
    if not any(target.bucket == bucket and prefix.startswith(target.key) for target in targets):
        allowed = f"in {' or '.join(map(str, targets))}" if targets else 'and links.toml has no [[notice]] on "created"'
        yield (
            f"it watches {watched}, but its prefix must be in the target of a mount with a created notice ({allowed})."
        )
    for location in links.reserved:
        if watched.overlaps(location):
            yield f"it watches {watched}, but the service itself writes to {location}: it would trigger itself."
