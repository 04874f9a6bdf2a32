"""The page at / of a running stack: addresses, and how to use each. What is deployed has none."""

from __future__ import annotations

from pathlib import Path

import handler

TEMPLATES = (Path(__file__).parent, Path(handler.__file__).parent / "web" / "templates")


def render(**values: object) -> str:
    """The page, as HTML."""
    from jinja2 import Environment, FileSystemLoader  # `make demo` has no page

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("start_page.html").render(lang="en", **values)
