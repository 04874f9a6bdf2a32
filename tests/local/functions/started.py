"""Initializers, and functions that return what those did."""

from __future__ import annotations

import os
from typing import Any

seen: list[str] = []


def initialize(context: Any) -> None:
    seen.append(context.function.name)


def refuse(context: object) -> None:
    """Fails unless the folder that `STARTED_IN` names has a file `good`, and counts its attempts there."""
    folder = os.environ["STARTED_IN"]
    with open(f"{folder}/attempts", "a") as attempts:
        attempts.write("x")
    if not os.path.exists(f"{folder}/good"):
        raise RuntimeError("links.toml: the mount names no bucket")


def how_often(event: bytes, context: object) -> list[str]:
    return seen
