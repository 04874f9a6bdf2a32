"""The page at / of what runs here: addresses, and how to use each. What is deployed has none."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from .oss.storage import Buckets
from .variables import shell_command

_TEMPLATE = Path(__file__).with_name("page.html")
_LOOPBACK = re.compile(r"(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]+)?", re.IGNORECASE)


@dataclass
class StartPage:
    """Answers browsers at /, and requests for its icon, before `app` is asked: once it has `content`, which is HTML.

    A request with a key is for the app, and so is one with another Host than those that `is_own` accepts: a page of
    somebody else, under a name that leads here, must not read it.
    """

    app: Callable[..., Iterable[bytes]]
    content: Callable[[], str] | None = None
    is_own: Callable[[str], bool] = lambda host: True

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if not self.content or not self.is_own(environ.get("HTTP_HOST", "")):
            return self.app(environ, start_response)
        request = environ["REQUEST_METHOD"], environ["RAW_URI"]
        if request == ("GET", "/favicon.ico"):
            start_response("204 No Content", [])
            return []
        is_browser = (
            "text/html" in environ.get("HTTP_ACCEPT", "") and "HTTP_AUTHORIZATION" not in environ
        )
        if request == ("GET", "/") and is_browser:
            start_response(
                "200 OK",
                [("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store")],
            )
            return [self.content().encode()]
        return self.app(environ, start_response)


def is_own_host(host: str, address: str = "") -> bool:
    """Whether a Host header is a name of the loopback, or `address` (host and port)."""
    return bool(_LOOPBACK.fullmatch(host)) or host.lower() == address.lower() != ""


def oss_page(url: str, region: str, root: Path) -> str:
    """The page of a running OSS, as HTML."""
    folders = "\n".join(
        f"<dt>{escape(bucket.name)}</dt>\n<dd>{escape(str(root / bucket.name))}/</dd>"
        for bucket in Buckets(root).all()
    )
    return Template(_TEMPLATE.read_text("utf-8")).substitute(
        url=escape(url), region=escape(region), shell=escape(shell_command(root)), folders=folders
    )
