"""Checks links.toml as the deployed functions will read it, and their triggers against it."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path

from handler.core.config import Config
from local.fc.functions import Trigger
from signer import Endpoint

from ..model import ConfiguredFunction, watched
from .functions import LOCAL_VARIABLES

# LINK_CONFIG names the file, and the check of regions compares LINK_REGION.
_OWN_VARIABLES = ("LINK_CONFIG", "LINK_REGION")
_PRIVATE_ORIGIN = "private origin opens the entire bucket (and its role every bucket), so only URL signing protects it"


def faults(configured: ConfiguredFunction) -> Iterator[str]:
    """A sentence for each setting that works on a laptop, but not once deployed.

    Raises `InvalidConfig` for a target that no role can name.
    """
    file = configured.file
    config = configured.config
    variables = configured.variables
    for name in configured.function.environment:
        if name.startswith("LINK_") and name not in (*variables, *_OWN_VARIABLES, *LOCAL_VARIABLES):
            near = get_close_matches(name, sorted(variables), 1)
            advice = f"did you mean {near[0]}?" if near else "remove it."
            yield f"environmentVariables.{name} has no effect, because {file} does not use it: {advice}"
    if isinstance(config.keys_document, Path):
        yield f"{file}: keys is a file, which would be deployed with the code: use oss://bucket/.links/keys.json."
    if not config.mounts:
        yield f"{file} has no mount, so there is nothing to link: add a [[mount]]."
    need_keys = sorted(
        mount.path for mount in config.mounts if mount.access == "authenticated" or mount.max_share
    )
    if need_keys and config.keys_document is None and configured.function.http:
        effect = f"so nobody can use authenticated mounts or shares ({', '.join(need_keys)})"
        yield f"{file}: keys is missing, {effect}: set it to oss://bucket/.links/keys.json."
    opened = {mount.target.bucket: mount.path for mount in config.mounts if mount.cdn}
    for location in config.mounts.reserved:
        if location.bucket in opened:
            yield f"{file}: {location} must not be in the bucket of {opened[location.bucket]}: {_PRIVATE_ORIGIN}."
    for trigger in configured.function.triggers:
        if trigger.config.get("disableURLInternet") and not (
            configured.function.domain or config.public_url
        ):
            yield f"trigger {trigger.name}: disableURLInternet without a domain lets nobody in: write false."
        if trigger.kind == "oss":
            for sentence in _oss_trigger(trigger, config):
                yield f"trigger {trigger.name}: {sentence}"
    _ = configured.statements


def warnings(configured: ConfiguredFunction) -> Iterator[str]:
    """A sentence for what a mount opens to everyone or to nobody, for outer spaces, and for what cdn needs."""
    with_cdn = [mount for mount in configured.config.mounts if mount.cdn]
    for mount in configured.config.mounts:
        if mount.lists and mount.access == "anonymous":
            yield (
                f"{configured.file}: list = true on the anonymous mount {mount.path} shows everyone the names, sizes "
                "and times of all its objects, and OSS bills each list as a PUT: only reservedConcurrency limits them."
            )
        if mount.allows_uploads and mount.access == "anonymous":
            yield (
                f"{configured.file}: {', '.join(mount.methods)} on the anonymous mount {mount.path} lets everyone "
                'store files in your bucket at your cost: remove access = "anonymous", unless you want that.'
            )
        if mount.endpoint.scheme == "http":
            yield (
                f"{configured.file}: the endpoint of {mount.path} begins with http, so links and files travel in clear "
                "text: write https://…"
            )
        if mount.access == "anonymous" and mount.endpoint == Endpoint.internal(mount.region):
            yield (
                f'{configured.file}: the anonymous mount {mount.path} has endpoint = "internal", whose links nobody '
                "outside the region can open."
            )
        for place in (mount.path, str(mount.target)):
            if any(segment != segment.strip() for segment in place.split("/")):
                problem = "a part of it begins or ends with a space, which nobody sees and few clients send"
                yield f"{configured.file}: {place!r} of mount {mount.path}: {problem}."
        if mount.cdn:
            signed = f"are signed with the key {mount.cdn} of the keys document"
            yield f"{configured.file}: links of {mount.path} {signed}: run make doctor, which reads it."
        beside = [other for other in with_cdn if other.target.bucket == mount.target.bucket]
        if beside and not any(other.target.contains(mount.target) for other in with_cdn):
            advice = f"{_PRIVATE_ORIGIN}. Give mounts with cdn a bucket of their own."
            yield f"{configured.file}: {mount.path} is in the bucket of {beside[0].path}: {advice}"


def notes(configured: ConfiguredFunction) -> Iterator[str]:
    """A sentence for what opens later, which is a warning if public_url alone is missing."""
    if (
        configured.function.http
        and configured.config.sender_page
        and configured.config.public_url is None
    ):
        start, lacks = (
            ("warning: ", "is") if configured.function.domain else ("", "are a custom domain and")
        )
        yield f"{start}{configured.file}: the page at /-/ opens once there {lacks} public_url."


def _oss_trigger(trigger: Trigger, config: Config) -> Iterator[str]:
    targets = [notice.mount.target for notice in config.notices if notice.on == "created"]
    location = watched(trigger)
    if not any(target.contains(location) for target in targets):
        those = (
            f"in {' or '.join(map(str, targets))}"
            if targets
            else 'and links.toml has no [[notice]] on "created"'
        )
        yield f"it watches {location}, but its prefix must be in the target of a mount with a created notice ({those})."
    for reserved in config.mounts.reserved:
        if location.overlaps(reserved):
            yield f"it watches {location}, but the service itself writes to {reserved}: it would trigger itself."
