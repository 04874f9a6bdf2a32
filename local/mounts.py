"""What a function on this laptop may link: the policy that it reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from handler.config import InvalidPolicy, Mount, Policy, load

from .fc.functions import Function


def policy_of(function: Function, extra: Mapping[str, str]) -> Policy | None:
    """Its links.toml; None where it has no such file, or a bad one, which the function tells itself.

    `extra` are variables beyond the function's own.
    """
    variables = {**function.environment, **extra}
    path = Path(function.code, variables.get("LINK_CONFIG") or "links.toml")
    if not path.is_file():
        return None
    try:
        return load.load(str(path), variables)
    except InvalidPolicy:
        return None


def mounts_of(function: Function, extra: Mapping[str, str]) -> tuple[Mount, ...]:
    """The mounts of its policy; none where it has none."""
    policy = policy_of(function, extra)
    return policy.mounts if policy is not None else ()


def buckets_of(function: Function, extra: Mapping[str, str]) -> list[str]:
    """Every bucket that its policy names, in mounts and for the service's own objects."""
    policy = policy_of(function, extra)
    if policy is None:
        return []
    return [*(mount.target.bucket for mount in policy.mounts), *(place.bucket for place in policy.reserved)]
