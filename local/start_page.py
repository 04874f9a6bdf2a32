"""The page at / of a running stack: its addresses, and how to use each. What is deployed has none."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from jinja2 import Environment, FileSystemLoader

import handler

from .account import role_arn
from .errors import LocalError
from .samples import NAME, Samples
from .stack import Stack

TEMPLATES = (Path(__file__).parent, Path(handler.__file__).parent / "templates")


def watched(stack: Stack) -> str:
    """The bucket and the prefix of the first oss trigger, or the bucket, with a slash."""
    for function in stack.deployment.functions:
        for trigger in function.triggers:
            if trigger.kind == "oss":
                return f"{trigger.bucket}/{trigger.config.get('filter', {}).get('key', {}).get('prefix', '')}"
    return f"{stack.bucket}/"


def render(stack: Stack, prepared: Samples, shell: str) -> str:
    """HTML; "" if the function has no links.toml, an invalid one, or one with a mount at /."""
    try:
        config = stack.links_toml()
    except LocalError:
        return ""
    if config is None or config.mounts.covering("/") is not None:
        return ""
    path = urlsplit(prepared.share_page.value or prepared.object.value or "").path
    mount = config.mounts.covering(unquote(path)) if path else None
    return (
        Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True)
        .get_template("start_page.html")
        .render(
            lang="en",
            title="fc-presign on this machine",
            stack=stack,
            samples=prepared._asdict(),
            shell=shell,
            path=path,
            name=unquote(path),
            object=f"oss://{mount.target.bucket}/{mount.target.key}{NAME}" if mount else None,
            role=role_arn(stack.function) if stack.function.role else None,
            folder=stack.root / watched(stack),
        )
    )
