"""Checks links.toml as the deployed functions will read it, and their triggers against it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NamedTuple

from handler.config import Config, InvalidConfig, Location, load

from ..errors import DeployError
from .functions import LOCAL_VARIABLES, Props, is_web

# LINK_CONFIG names the file, and the check of regions compares LINK_REGION.
_OWN_VARIABLES = ("LINK_CONFIG", "LINK_REGION")


class Reader(NamedTuple):
    """A function's properties, and the name and the content of links.toml as that function reads it.

    `variables` are those that the file uses.
    """

    props: Props
    file: str
    links: Config
    variables: frozenset[str]


def read(root: Path, props: Props) -> Reader:
    """Raises `InvalidConfig`."""
    environment = {name: str(value) for name, value in (props.get("environmentVariables") or {}).items()}
    name = environment.get("LINK_CONFIG") or "links.toml"
    links = load.load(str(root / name), environment)
    content = (root / name).read_text(encoding="utf-8")
    return Reader(props, name, links, frozenset(re.findall(r"\$\{([^}]*)\}", content)))


def read_or_fail(root: Path, props: Props) -> Config:
    """What a function with these properties reads. Raises `DeployError`."""
    try:
        return read(root, props).links
    except InvalidConfig as error:
        raise DeployError(error.sentence) from None


def buckets(reader: Reader) -> Iterator[tuple[str, str]]:
    """The buckets that the function uses, each with its region."""
    yield from bucket_regions(reader.props, reader.links)
    for trigger in reader.props.get("triggers") or []:
        if trigger["triggerType"] == "oss":
            yield watched(trigger).bucket, reader.props["region"]


def bucket_regions(props: Props, links: Config) -> Iterator[tuple[str, str]]:
    """The buckets of links.toml, each with its region: that of the function, or the one that its mount names."""
    region = props["region"]
    for mount in links.mounts:
        yield mount.target.bucket, region if mount.region == links.region else mount.region
    yield from ((location.bucket, region) for location in links.reserved)


def signer_arns(links: Config) -> list[str]:
    """The roles of `[assume_role]` and of mounts, each once."""
    roles = [links.assume_role.role, *(mount.role_arn for mount in links.mounts)] if links.assume_role else []
    return list(dict.fromkeys(filter(None, roles)))


def watched(trigger: Mapping[str, Any]) -> Location:
    """The objects whose events an oss trigger takes."""
    return Location(
        str(trigger.get("sourceArn")).rpartition(":")[2], trigger["triggerConfig"]["filter"]["key"]["prefix"]
    )


def faults(reader: Reader) -> Iterator[str]:
    """A sentence for each setting that works on a laptop, but not once deployed."""
    props, file, links, variables = reader
    for name in props.get("environmentVariables") or {}:
        if name.startswith("LINK_") and name not in (*variables, *_OWN_VARIABLES, *LOCAL_VARIABLES):
            near = get_close_matches(name, sorted(variables), 1)
            yield (
                f"environmentVariables.{name} has no effect, because {file} does not use it: "
                f"{f'did you mean {near[0]}?' if near else 'remove it.'}"
            )
    if links.keys_document is not None and links.keys_document.startswith("file:"):
        yield f"{file}: keys is a file, which would be deployed with the code: use oss://bucket/.links/keys.json."
    if not links.mounts:
        yield f"{file} has no mount, so there is nothing to link: add a [[mount]]."
    need_keys = sorted(mount.path for mount in links.mounts if mount.access == "authenticated" or mount.max_share)
    if need_keys and links.keys_document is None and is_web(props):
        yield (
            f"{file}: keys is missing, so nobody can use authenticated mounts or shares ({', '.join(need_keys)}): set "
            "it to oss://bucket/.links/keys.json."
        )
    for trigger in props.get("triggers") or []:
        if trigger["triggerType"] == "oss":
            for sentence in _oss_trigger(trigger, links):
                yield f"trigger {trigger['triggerName']}: {sentence}"


def _oss_trigger(trigger: Mapping[str, Any], links: Config) -> Iterator[str]:
    targets = [notice.mount.target for notice in links.notices if notice.on == "created"]
    location = watched(trigger)
    if not any(target.contains(location) for target in targets):
        allowed = f"in {' or '.join(map(str, targets))}" if targets else 'and links.toml has no [[notice]] on "created"'
        yield (
            f"it watches {location}, but its prefix must be in the target of a mount with a created notice ({allowed})."
        )
    for reserved in links.reserved:
        if location.overlaps(reserved):
            yield f"it watches {location}, but the service itself writes to {reserved}: it would trigger itself."
