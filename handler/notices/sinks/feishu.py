"""A Feishu (Lark) custom robot: a signed card whose texts are plain_text, so that nothing in them is markup.

Source: Feishu open platform, "Custom bot usage guide": sign is the base64 of the HMAC-SHA256, with
`{timestamp in s}\\n{secret}` as key, of nothing; bodies of at most 20 KB; older answers have StatusCode, not code.
"Frequency control": 100 messages a minute and 5 a second for each robot (code 11232; 99991400 in general, with status
429, or 400 from older interfaces).
"""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from typing import Any

from ...core.outbox import Delivery
from .base import Post, Sink, Verdict, json_post, robot_verdict
from .message import details, file_name, safe_url, title

MESSAGE = "a card with a line and a button for each file (also Lark)"
SIGNATURE = "`timestamp` and `sign` in the body"
FOUND_BY = "/open-apis/bot/v2/hook/"
NEEDS_SECRET = True
SERVICE_BYTES = 20 * 1024
MAX_BYTES = 19_000
ENVELOPE = 700
MAX_NOTICES = 40
MIN_INTERVAL = 0.6

# Sent too fast (two codes); no such token; the signature does not match; the address is not allowed. (19024 is a
# keyword that this message lacks.)
SINK_REFUSED = frozenset({11232, 99991400, 19001, 19021, 19022})


def encoded_size(delivery: Delivery) -> int:
    return len(json.dumps(_element(delivery))) + 2


def post(sink: Sink, deliveries: tuple[Delivery, ...], now: float) -> Post:
    timestamp = str(int(now))
    digest = hmac.digest(f"{timestamp}\n{sink.secret}".encode(), b"", "sha256")
    return json_post(
        sink.url,
        {
            "timestamp": timestamp,
            "sign": b64encode(digest).decode(),
            "msg_type": "interactive",
            "card": {
                "config": {"wide_screen_mode": True},
                "header": {
                    "template": "blue",
                    "title": {"tag": "plain_text", "content": title(deliveries)},
                },
                "elements": [_element(delivery) for delivery in deliveries],
            },
        },
    )


def verdict(status: int, body: bytes) -> Verdict:
    return robot_verdict(status, body, "code", "StatusCode", sink_refused=SINK_REFUSED)


def _element(delivery: Delivery) -> dict[str, Any]:
    content = f"{file_name(delivery)}\n{details(delivery, '{}')}"
    button = {
        "tag": "button",
        "text": {"tag": "plain_text", "content": "Open"},
        "type": "primary",
        "url": safe_url(delivery.link.url),
    }
    shown = {"tag": "div", "text": {"tag": "plain_text", "content": content}}
    return {**shown, "extra": button} if delivery.link.url else shown
