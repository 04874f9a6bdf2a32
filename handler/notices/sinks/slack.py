"""A Slack incoming webhook: rich text, whose text elements are not mrkdwn; its URL is its only secret.

Source: docs.slack.dev, "Sending messages using incoming webhooks" (the answer is a bare ok), "Rich text block",
"Rate limits" (one message a second, 429 with Retry-After).
"""

from __future__ import annotations

import json
from typing import Any

from .base import Post, Sink, Verdict, json_post
from .message import Notification, details, escape_markup, safe_url, title

NEEDS_SECRET = False
MAX_BYTES = 12_000  # beyond some 13,000 characters Slack answers msg_blocks_too_long
MAX_NOTICES = 40
MIN_INTERVAL = 1.0


def encoded_size(notification: Notification) -> int:
    return len(json.dumps(_section(notification))) + 2


def post(sink: Sink, message_id: str, notifications: tuple[Notification, ...], now: float) -> Post:
    elements = [_section(notification) for notification in notifications]
    return json_post(
        sink.url,
        {
            "text": title(notifications),  # what push notifications show
            "blocks": [{"type": "rich_text", "elements": elements}],
            "unfurl_links": False,
            "unfurl_media": False,
        },
    )


def verdict(status: int, body: bytes) -> Verdict:
    """The body is ok, or a word that says what is wrong."""
    if body.strip() == b"ok":
        return Verdict("delivered")
    return Verdict("sink_refused" if body else "retry", "not_ok")


def _section(notification: Notification) -> dict[str, Any]:
    """The name in bold, its details, and the link."""
    return {
        "type": "rich_text_section",
        "elements": [
            # Links and mentions are elements of their own, so a text element is never one.
            {"type": "text", "text": escape_markup(notification.name), "style": {"bold": True}},
            {"type": "text", "text": f" ({details(notification)}) "},
            {"type": "link", "url": safe_url(notification.url), "text": "open"},
            {"type": "text", "text": "\n"},
        ],
    }
