"""A WeCom (WeChat Work) group robot: markdown; its address is all its secret.

Source: WeCom developer centre, "Group robot configuration" (path/91770): markdown content of at most 4096 bytes,
20 messages a minute for each robot (errcode 45009), `<@userid>` mentions in the content.
"""

from __future__ import annotations

import json

from .answers import robot_verdict
from .base import Post, Sink, Verdict
from .message import Told, facts_of, harmless, safe_url, title_of

NEEDS_SECRET = False
LIMIT = 3_900  # bytes of the content, not of the JSON around it
MOST = 50
PACE = 3.0
MOST_LINE = LIMIT - 100


def line(told: Told) -> str:
    """One paragraph; a link that no message can hold is left out, and said so."""
    text = f"{harmless(told.name)} ({facts_of(told)})"
    link = f"[open]({safe_url(told.url)})"
    if len(text.encode()) + len(link) > MOST_LINE:
        return f"{text}, with a link that is too long for WeCom: give = share makes short ones"
    return f"{text} {link}"


def weight(told: Told) -> int:
    """Bytes of its line in the content."""
    return len(line(told).encode()) + 1


def post(sink: Sink, message_id: str, tolds: tuple[Told, ...], now: float) -> Post:
    """The message."""
    content = "\n".join((f"**{title_of(tolds)}**", *map(line, tolds)))
    document = {"msgtype": "markdown", "markdown": {"content": content}}
    return Post(sink.url, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(document).encode())


def verdict(status: int, body: bytes) -> Verdict:
    """errcode 0 is good; 45009 is the rate, -1 a busy service."""
    return robot_verdict(body, "errcode", again=frozenset({-1}), later=frozenset({45009}))
