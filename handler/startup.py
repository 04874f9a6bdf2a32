"""What happens once, when an instance starts: the policy is read and checked."""

from __future__ import annotations

import os

from .config import Policy
from .config.load import load

DEFAULT = os.path.join(os.path.dirname(os.path.dirname(__file__)), "links.toml")

_loaded: dict[str, Policy] = {}


def on_initialize(context: object) -> None:
    """Function Compute's initializer. Raises `InvalidPolicy`, so that a bad links.toml fails the first start."""
    policy()


def policy() -> Policy:
    """The policy of this process, read at its first use. `LINK_CONFIG` names another file than links.toml."""
    path = os.environ.get("LINK_CONFIG") or DEFAULT
    found = _loaded.get(path)
    if found is None:
        found = _loaded[path] = load(path, os.environ)
    return found
