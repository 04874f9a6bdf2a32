"""Checks the environments in env.yaml: their types, and entries without effect, which Serverless Devs ignores."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from .functions import mapping

# s.yaml alone may be an environment of this type, and no other.
TESTING = "testing"
TYPES = (TESTING, "staging", "production")


def faults(
    environment: Mapping[str, Any], resources: Collection[str], functions: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """A sentence for each fault. `resources` are the names of all in s.yaml, `functions` are this project's of them."""
    kind = environment.get("type")
    if kind not in TYPES:
        yield f"type must be testing, staging or production (got {kind!r}): only testing may be like s.yaml alone."
    overlays = environment.get("overlays") or {}
    overlaid = mapping(overlays).get("resources") or {}
    for field, value in (("overlays", overlays), ("overlays.resources", overlaid)):
        if not isinstance(value, dict):
            yield f"{field} must be a mapping (got {value!r}): it has no effect."
    for name in sorted(set(mapping(overlays)) - {"resources", "components"}, key=str):
        yield f"overlays.{name} has no effect: use overlays.resources."
    for name in sorted(set(mapping(overlaid)) - set(resources), key=str):
        yield f"overlays.resources.{name} does not exist in s.yaml: choose one of {', '.join(resources)}."
    regions = sorted({str(function["props"].get("region")) for function in functions.values()})
    if environment.get("region") and [environment["region"]] != regions:
        yield (
            f"region is {environment['region']}, but the functions are in {', '.join(regions)}: it does not move a "
            "function, so overlay props.region too."
        )
