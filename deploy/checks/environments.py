"""Checks the environments in env.yaml: their types, and entries without effect, which Serverless Devs ignores."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..model import Environment

# s.yaml alone may be an environment of this type, and no other.
TESTING = "testing"
TYPES = (TESTING, "staging", "production")


def faults(entry: Mapping[str, Any], environment: Environment) -> Iterator[str]:
    """A sentence for each fault of the environment's entry in env.yaml."""
    kind = entry.get("type")
    if kind not in TYPES:
        yield f"type must be testing, staging or production (got {kind!r}): only testing may be like s.yaml alone."
    overlays = entry.get("overlays") or {}
    overlaid = overlays.get("resources") or {} if isinstance(overlays, dict) else {}
    for field, value in (("overlays", overlays), ("overlays.resources", overlaid)):
        if not isinstance(value, dict):
            yield f"{field} must be a mapping (got {value!r}): it has no effect."
    for name in sorted(set(overlays) - {"resources", "components"}, key=str) if isinstance(overlays, dict) else ():
        yield f"overlays.{name} has no effect: use overlays.resources."
    for name in sorted(set(overlaid) - set(environment.names), key=str) if isinstance(overlaid, dict) else ():
        yield f"overlays.resources.{name} does not exist in s.yaml: choose one of {', '.join(environment.names)}."
    regions = sorted({str(resource.props.get("region")) for resource in environment.resources})
    if entry.get("region") and [entry["region"]] != regions:
        yield (
            f"region is {entry['region']}, but the functions are in {', '.join(regions)}: it does not move a function, "
            "so overlay props.region too."
        )
