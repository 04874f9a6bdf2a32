"""A DingTalk group robot: markdown, signed in the query.

Source: DingTalk open platform, "Custom robot access" and "Custom robot security settings": sign is the base64 of the
HMAC-SHA256, with the secret as key, of `{timestamp in ms}\\n{secret}`; 20 messages a minute for each robot, and ten
minutes of silence after more (errcode 130101). A message is mentioned to those in `at` alone.
"""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from urllib.parse import quote

from .answers import robot_verdict
from .base import Post, Sink, Verdict
from .message import Told, facts_of, harmless, safe_url, title_of

NEEDS_SECRET = True
LIMIT = 18_000  # the service cuts at 20 KB
MOST = 100
PACE = 3.0


def line(told: Told) -> str:
    """One list item."""
    return f"- {harmless(told.name)} ({facts_of(told)}): [open]({safe_url(told.url)})"


def weight(told: Told) -> int:
    """Bytes of its line in JSON."""
    return len(json.dumps(line(told))) + 4


def post(sink: Sink, message_id: str, tolds: tuple[Told, ...], now: float) -> Post:
    """The message; nobody is mentioned."""
    title = title_of(tolds)
    document = {
        "msgtype": "markdown",
        "markdown": {"title": title, "text": "\n".join((f"#### {title}", "", *map(line, tolds)))},
        "at": {"atMobiles": [], "atUserIds": [], "isAtAll": False},
    }
    timestamp = str(int(now * 1000))
    digest = hmac.digest(sink.secret.encode(), f"{timestamp}\n{sink.secret}".encode(), "sha256")
    joint = "&" if "?" in sink.url else "?"
    url = f"{sink.url}{joint}timestamp={timestamp}&sign={quote(b64encode(digest).decode(), safe='')}"
    return Post(url, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(document).encode())


def verdict(status: int, body: bytes) -> Verdict:
    """errcode 0 is good; 130101 is the rate, -1 a busy service."""
    return robot_verdict(body, "errcode", again=frozenset({-1}), later=frozenset({130101}))
