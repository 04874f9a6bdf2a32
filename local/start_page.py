"""The page at / of a running stack, or of the OSS alone: addresses, and how to use each. What is deployed has none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import handler

TEMPLATES = (Path(__file__).parent, Path(handler.__file__).parent / "web" / "templates")


@dataclass
class StartPage:
    """Answers browsers at /, and requests for its icon, before `app` is asked: once it has `content`, which is HTML.

    A request with a key is for the app.
    """

    app: Callable[..., Iterable[bytes]]
    content: Callable[[], str] | None = None

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        request = environ["REQUEST_METHOD"], environ["RAW_URI"]
        if self.content and request == ("GET", "/favicon.ico"):
            start_response("204 No Content", [])
            return []
        is_browser = (
            "text/html" in environ.get("HTTP_ACCEPT", "") and "HTTP_AUTHORIZATION" not in environ
        )
        if self.content and request == ("GET", "/") and is_browser:
            start_response(
                "200 OK",
                [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store")],
            )
            return [self.content().encode()]
        return self.app(environ, start_response)


def render(template: str, **values: object) -> str:
    from jinja2 import Environment, FileSystemLoader  # `make demo` has no page

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template(template).render(lang="en", **values)
