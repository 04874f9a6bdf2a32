"""links.toml as the functions will read it once deployed, and what their triggers make of it."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from handler import configuration
from handler.policy import InvalidPolicy, Location, Policy

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Props = Mapping[str, Any]
_VARIABLE = re.compile(r"\$\{(\w+)\}")


class Read(NamedTuple):
    """The policy of one function, or the sentence that says why there is none; `document` is the file, filled in."""

    name: str
    policy: Policy | None
    sentence: str
    document: Mapping[str, Any]


def read(root: Path, props: Props) -> Read:
    """The policy that a function of these rendered properties reads."""
    environment = {name: str(value) for name, value in (props.get("environmentVariables") or {}).items()}
    name = environment.get("LINK_CONFIG") or "links.toml"
    try:
        policy = configuration.load(str(root / name), environment)
    except InvalidPolicy as error:
        return Read(name, None, error.sentence, {})
    document = tomllib.loads((root / name).read_text(encoding="utf-8"))
    return Read(name, policy, "", _filled(document, environment))


def faults(found: Read, props: Props) -> Iterator[str]:
    """A sentence for each thing that is good on a laptop and fails once deployed."""
    if found.policy is None:
        yield found.sentence
        return
    policy = found.policy
    if policy.keys is not None and policy.keys.startswith("file:"):
        yield (
            f"{found.name}: keys = {policy.keys!r} would ship secrets with the code: write oss://bucket/.links/keys.json."
        )
    if not policy.mounts:
        yield f"{found.name} has no mount: nothing can be linked."
    for trigger in props.get("triggers") or []:
        if trigger["triggerType"] == "oss":
            for sentence in _watch(trigger, policy, created(found)):
                yield f"trigger {trigger['triggerName']}: {sentence}"


def created(found: Read) -> list[Location]:
    """The targets of the mounts whose new objects a notice tells of."""
    assert found.policy is not None
    notices = found.document.get("notice") or []
    paths = {notice.get("mount") for notice in notices if notice.get("on") == "created"}
    return [mount.target for mount in found.policy.mounts if mount.path in paths]


def _watch(trigger: Mapping[str, Any], policy: Policy, targets: list[Location]) -> Iterator[str]:
    prefix = trigger["triggerConfig"]["filter"]["key"]["prefix"]
    bucket = str(trigger.get("sourceArn")).rpartition(":")[2]
    watched = Location(bucket, prefix)
    if not any(target.bucket == bucket and prefix.startswith(target.key) for target in targets):
        inside = " or ".join(map(str, targets)) or 'none: there is no [[notice]] with on = "created"'
        yield f"it watches {watched}, which is in the target of no created notice's mount ({inside}): name its prefix."
    for place in policy.reserved:
        if watched.overlaps(place):
            yield f"it watches {watched}, where the service writes its own {place}: it would call itself."


def _filled(value: Any, environment: Mapping[str, str]) -> Any:
    """The document with its variables, which are all there, since the policy could be read."""
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: environment[found[1]], value)
    if isinstance(value, list):
        return [_filled(item, environment) for item in value]
    if isinstance(value, dict):
        return {name: _filled(item, environment) for name, item in value.items()}
    return value
