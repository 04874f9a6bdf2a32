"""A Slack incoming webhook: rich text, whose text elements are no mrkdwn; its address is all its secret.

Source: docs.slack.dev, "Sending messages using incoming webhooks" (the answer is a bare ok), "Rich text block",
"Rate limits" (one message a second, 429 with Retry-After).
"""

from __future__ import annotations

import json
from typing import Any

from .base import Post, Sink, Verdict
from .message import Told, facts_of, harmless, safe_url, title_of

NEEDS_SECRET = False
LIMIT = 12_000  # beyond some 13,000 characters Slack answers msg_blocks_too_long
MOST = 40
PACE = 1.0


def element(told: Told) -> dict[str, Any]:
    """One section: the name in bold, the facts, the link."""
    return {
        "type": "rich_text_section",
        "elements": [
            # Links and mentions are elements of their own; a text is never one.
            {"type": "text", "text": harmless(told.name), "style": {"bold": True}},
            {"type": "text", "text": f" ({facts_of(told)}) "},
            {"type": "link", "url": safe_url(told.url), "text": "open"},
            {"type": "text", "text": "\n"},
        ],
    }


def weight(told: Told) -> int:
    """Bytes of its element."""
    return len(json.dumps(element(told))) + 2


def post(sink: Sink, message_id: str, tolds: tuple[Told, ...], now: float) -> Post:
    """The message; the text for notifications names no file."""
    document = {
        "text": title_of(tolds),
        "blocks": [{"type": "rich_text", "elements": [element(told) for told in tolds]}],
        "unfurl_links": False,
        "unfurl_media": False,
    }
    return Post(sink.url, {"Content-Type": "application/json; charset=utf-8"}, json.dumps(document).encode())


def verdict(status: int, body: bytes) -> Verdict:
    """ok, or a word for what is wrong."""
    return Verdict("told") if body.strip() == b"ok" else Verdict("again" if not body else "refused", "not_ok")
