"""links.toml as the functions will read it once deployed, and what their triggers make of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from handler.config import InvalidPolicy, Location, Policy, load

Props = Mapping[str, Any]


class Read(NamedTuple):
    """The policy of one function, or the sentence that says why there is none."""

    name: str
    policy: Policy | None
    sentence: str


def read(root: Path, props: Props) -> Read:
    """The policy that a function of these rendered properties reads."""
    environment = {name: str(value) for name, value in (props.get("environmentVariables") or {}).items()}
    name = environment.get("LINK_CONFIG") or "links.toml"
    try:
        policy = load.load(str(root / name), environment)
    except InvalidPolicy as error:
        return Read(name, None, error.sentence)
    return Read(name, policy, "")


def faults(found: Read, props: Props) -> Iterator[str]:
    """A sentence for each thing that is good on a laptop and fails once deployed."""
    if found.policy is None:
        yield found.sentence
        return
    policy = found.policy
    if policy.keys is not None and policy.keys.startswith("file:"):
        yield f"{found.name}: keys names a file, which would ship secrets with the code: write oss://bucket/.links/keys.json."
    if not policy.mounts:
        yield f"{found.name} has no mount: nothing can be linked."
    for trigger in props.get("triggers") or []:
        if trigger["triggerType"] == "oss":
            for sentence in _watch(trigger, policy):
                yield f"trigger {trigger['triggerName']}: {sentence}"


def _watch(trigger: Mapping[str, Any], policy: Policy) -> Iterator[str]:
    targets = [notice.mount.target for notice in policy.notices if notice.on == "created"]
    prefix = trigger["triggerConfig"]["filter"]["key"]["prefix"]
    bucket = str(trigger.get("sourceArn")).rpartition(":")[2]
    watched = Location(bucket, prefix)
    if not any(target.bucket == bucket and prefix.startswith(target.key) for target in targets):
        inside = " or ".join(map(str, targets)) or 'none: there is no [[notice]] with on = "created"'
        yield f"it watches {watched}, which is in the target of no created notice's mount ({inside}): name its prefix."
    for place in policy.reserved:
        if watched.overlaps(place):
            yield f"it watches {watched}, where the service writes its own {place}: it would call itself."
