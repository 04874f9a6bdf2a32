"""A DingTalk group robot: markdown, signed in the query.

Source: DingTalk open platform, "Custom robot access" and "Custom robot security settings": sign is the base64 of the
HMAC-SHA256, with the secret as key, of `{timestamp in ms}\\n{secret}`; 20 messages a minute for each robot, and ten
minutes of silence after more. Only those in `at` are mentioned. "Error codes": -1 is a busy service; 310000 is a wrong
signature, a wrong address or a missing keyword, which only the name of a file may lack.
"""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from urllib.parse import quote

from ...core.outbox import Delivery
from .base import Post, Sink, Verdict, json_post, robot_verdict
from .message import details, file_name, safe_url, title

MESSAGE = "markdown, one line for each file"
SIGNATURE = "`timestamp` and `sign` in the query; `secret` begins with `SEC`"
FOUND_BY = "/robot/send?access_token="
NEEDS_SECRET = True
SERVICE_BYTES = 20_000  # what is longer is cut
MAX_BYTES = 18_000
ENVELOPE = 700
MAX_NOTICES = 100
MIN_INTERVAL = 3.0

# Busy, sent too fast (two codes), no such token (three), the group was dissolved, the robot was stopped or removed.
SINK_REFUSED = frozenset({-1, 130101, 410100, 300001, 300005, 400101, 400013, 400102, 400106})


def encoded_size(delivery: Delivery) -> int:
    return len(json.dumps(_line(delivery))) + 4


def post(sink: Sink, deliveries: tuple[Delivery, ...], now: float) -> Post:
    heading = title(deliveries)
    timestamp = str(int(now * 1000))
    digest = hmac.digest(sink.secret.encode(), f"{timestamp}\n{sink.secret}".encode(), "sha256")
    separator = "&" if "?" in sink.url else "?"
    return json_post(
        f"{sink.url}{separator}timestamp={timestamp}&sign={quote(b64encode(digest).decode(), safe='')}",
        {
            "msgtype": "markdown",
            "markdown": {
                "title": heading,
                "text": "\n".join((f"#### {heading}", "", *map(_line, deliveries))),
            },
            "at": {"atMobiles": [], "atUserIds": [], "isAtAll": False},
        },
    )


def verdict(status: int, body: bytes) -> Verdict:
    return robot_verdict(status, body, "errcode", sink_refused=SINK_REFUSED)


def _line(delivery: Delivery) -> str:
    link = f": [open]({safe_url(delivery.link.url)})" if delivery.link.url else ""
    return f"- {file_name(delivery)} {details(delivery)}{link}"
