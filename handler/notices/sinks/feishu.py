"""A Feishu (Lark) custom robot: a signed card whose texts are plain_text, so that nothing in them is markup.

Source: Feishu open platform, "Custom bot usage guide": sign is the base64 of the HMAC-SHA256, with
`{timestamp in s}\\n{secret}` as key, of nothing; bodies of at most 20 KB; "Frequency control": 100 messages a minute
and 5 a second for each robot (code 11232; 99991400 in general).
"""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from typing import Any

from .answers import robot_verdict
from .base import Post, Sink, Verdict
from .message import Told, facts_of, harmless, safe_url, title_of

NEEDS_SECRET = True
LIMIT = 19_000
MOST = 40
PACE = 0.6


def element(told: Told) -> dict[str, Any]:
    """One line of the card, and its button."""
    return {
        "tag": "div",
        "text": {"tag": "plain_text", "content": f"{harmless(told.name)}\n{facts_of(told)}"},
        "extra": {
            "tag": "button",
            "text": {"tag": "plain_text", "content": "Open"},
            "type": "primary",
            "url": safe_url(told.url),
        },
    }


def weight(told: Told) -> int:
    """Bytes of its element."""
    return len(json.dumps(element(told))) + 2


def post(sink: Sink, message_id: str, tolds: tuple[Told, ...], now: float) -> Post:
    """The message."""
    timestamp = str(int(now))
    digest = hmac.digest(f"{timestamp}\n{sink.secret}".encode(), b"", "sha256")
    document = {
        "timestamp": timestamp,
        "sign": b64encode(digest).decode(),
        "msg_type": "interactive",
        "card": {
            "config": {"wide_screen_mode": True},
            "header": {"template": "blue", "title": {"tag": "plain_text", "content": title_of(tolds)}},
            "elements": [element(told) for told in tolds],
        },
    }
    return Post(sink.url, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(document).encode())


def verdict(status: int, body: bytes) -> Verdict:
    """code 0 is good, StatusCode 0 in older answers; 11232 is the rate, and passes within a second or a minute."""
    return robot_verdict(body, "code", "StatusCode", again=frozenset({11232, 99991400}), later=frozenset())
