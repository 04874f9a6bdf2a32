"""What a message asks for: `{"path": "/reports/q3.pdf"}`, or several in `{"links": […]}`."""

from __future__ import annotations

import json
from collections.abc import Iterator

from ...errors import Problem
from ...paths import check_path
from .fields import Malformed, described, kind_of
from .items import Wanted

MEMBERS = ("path", "method", "expires", "download")
MAX_LINKS = 1000


def parsed(body: str) -> object:
    """The JSON of a message's text. Raises `Malformed`."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Malformed(f'its message is {described(body)} and no JSON: send {{"path": "/…"}}') from None


def wanted(document: object, on: str, origin: str, happened_at: float | None) -> Iterator[Wanted]:
    """The links that a message's JSON asks for; an empty list asks for none. Raises `Malformed`."""
    if not isinstance(document, dict):
        raise Malformed(f'its message is {described(document)}: send {{"path": "/…"}} or {{"links": […]}}')
    if "links" not in document:
        yield _wanted(document, "its message", on, origin, happened_at)
        return
    links = document["links"]
    if len(document) > 1 or not isinstance(links, list):
        raise Malformed(f"its message is {described(document)}, where links is the only member, and a list")
    if len(links) > MAX_LINKS:
        raise Malformed(f"its message asks for {len(links)} links: ask for {MAX_LINKS} at once at most")
    for number, link in enumerate(links, 1):
        yield _wanted(link, f"link {number}", on, f"{origin}#{number}", happened_at)


def _wanted(link: object, what: str, on: str, origin: str, happened_at: float | None) -> Wanted:
    if not isinstance(link, dict) or "path" not in link:
        raise Malformed(f'{what} is {described(link)}, and names no path: send {{"path": "/…"}}')
    for name in link:
        if name not in MEMBERS:
            raise Malformed(f"{what} is {described(link)}; known are {', '.join(MEMBERS)}")
    for name in MEMBERS:
        if not isinstance(link.get(name), str) and (name == "path" or link.get(name) is not None):
            raise Malformed(f"{what} has a {name} that is {kind_of(link.get(name))}, where a text is needed")
    if link.get("method") not in (None, "GET"):
        raise Malformed(f"{what} has a method that is not GET")
    try:
        path = check_path(link["path"])
    except Problem as problem:
        raise Malformed(f"{what}: {problem.sentence.rstrip('.')}") from None
    return Wanted(on, origin, path, link.get("expires"), link.get("download"), happened_at)
