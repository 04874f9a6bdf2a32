"""The environments in env.yaml: entries without effect, which Serverless Devs silently ignores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def faults(environment: dict[str, Any], resources: dict[str, Any]) -> Iterator[str]:
    """A sentence for each entry of an environment that would have no effect."""
    overlays = environment.get("overlays")
    overlays = overlays if isinstance(overlays, dict) else {}
    for name in sorted(set(overlays) - {"resources", "components"}):
        yield f"overlays.{name} has no effect: use overlays.resources."
    for name in sorted(set(overlays.get("resources") or {}) - set(resources)):
        yield f"overlays.resources.{name} does not exist in s.yaml: choose one of {', '.join(resources)}."
    regions = sorted({str(resource["props"].get("region")) for resource in resources.values()})
    if environment.get("region") and [environment["region"]] != regions:
        yield (
            f"region is {environment['region']}, but the functions are in {', '.join(regions)}: it does not move a "
            "function, so overlay props.region too."
        )
