"""A WeCom (WeChat Work) group robot: markdown; its URL is its only secret.

Source: WeCom developer centre, "Group robot configuration" (path/91770): markdown content of at most 4096 bytes,
20 messages a minute for each robot, `<@userid>` mentions in the content. "Global error codes" (path/90313): -1 is a
busy service.
"""

from __future__ import annotations

from ...core.outbox import Delivery
from .base import Post, Sink, Verdict, json_post, robot_verdict
from .message import details, file_name, safe_url, title

MESSAGE = "markdown, one line for each file"
SIGNATURE = "none: the URL is the secret"
FOUND_BY = "/cgi-bin/webhook/send?key="
NEEDS_SECRET = False
SERVICE_BYTES = 4096  # of the content, not of the JSON around it
MAX_BYTES = 3_900
ENVELOPE = 100
MAX_NOTICES = 50
MIN_INTERVAL = 3.0
MAX_LINE = MAX_BYTES - 100

# Busy, sent too fast, too many at once; no such robot, or it was removed from the group; it was stopped, or left.
SINK_REFUSED = frozenset({-1, 45009, 45033, 93000, 93004, 93008})


def encoded_size(delivery: Delivery) -> int:
    return len(_line(delivery).encode()) + 1


def post(sink: Sink, deliveries: tuple[Delivery, ...], now: float) -> Post:
    content = "\n".join((f"**{title(deliveries)}**", *map(_line, deliveries)))
    return json_post(sink.url, {"msgtype": "markdown", "markdown": {"content": content}})


def verdict(status: int, body: bytes) -> Verdict:
    return robot_verdict(status, body, "errcode", sink_refused=SINK_REFUSED)


def _line(delivery: Delivery) -> str:
    """One paragraph; a link that exceeds a message is left out."""
    name = f"{file_name(delivery)} {details(delivery)}"
    link = f" [open]({safe_url(delivery.link.url)})" if delivery.link.url else ""
    if len(name.encode()) + len(link) > MAX_LINE:
        return f"{name}: the link is too long for WeCom. Set give = share for short links."
    return f"{name}{link}"
