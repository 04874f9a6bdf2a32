"""What a function on this laptop may link: the mounts of the policy that it reads."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from handler import configuration
from handler.policy import InvalidPolicy, Mount

from .functions import Function


def mounts_of(function: Function, extra: Mapping[str, str]) -> tuple[Mount, ...]:
    """The mounts of its links.toml; none where it has no such file, or a bad one, which the function tells itself.

    `extra` are variables beyond the function's own.
    """
    variables = {**function.environment, **extra}
    path = Path(function.code, variables.get("LINK_CONFIG") or "links.toml")
    if not path.is_file():
        return ()
    try:
        return configuration.load(str(path), variables).mounts
    except InvalidPolicy:
        return ()
