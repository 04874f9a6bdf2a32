"""A Slack incoming webhook: rich text, whose text elements are not mrkdwn; its URL is its only secret.

Source: docs.slack.dev, "Sending messages using incoming webhooks" (the answer is a bare ok, or a word that says what is
wrong), "Rich text block", "Rate limits" (one message a second, 429 with Retry-After).
"""

from __future__ import annotations

import json
import re
from typing import Any

from ...core.outbox import Delivery
from .base import DeliveryFailed, Post, Sink, Verdict, by_status, json_post
from .message import details, file_name, safe_url, title

MESSAGE = "rich text, one line for each file"
SIGNATURE = "none: the URL is the secret"
FOUND_BY = "hooks.slack.com/services/"
NEEDS_SECRET = False
SERVICE_BYTES = 13_000  # of some more, Slack answers msg_blocks_too_long
MAX_BYTES = 12_000
ENVELOPE = 700
MAX_NOTICES = 40
MIN_INTERVAL = 1.0

SINK_REFUSED = frozenset(
    {
        "action_prohibited",
        "channel_is_archived",
        "channel_not_found",
        "invalid_token",
        "no_active_hooks",
        "no_service",
        "no_service_id",
        "no_team",
        "posting_to_general_channel_denied",
        "team_disabled",
        "user_not_found",
    }
)
MESSAGE_REFUSED = frozenset(
    {
        "invalid_blocks",
        "invalid_blocks_format",
        "invalid_payload",
        "msg_blocks_too_long",
        "msg_too_long",
        "no_text",
    }
)
_WORD = re.compile(r"[a-z_]{1,60}")


def encoded_size(delivery: Delivery) -> int:
    return len(json.dumps(_section(delivery))) + 2


def post(sink: Sink, deliveries: tuple[Delivery, ...], now: float) -> Post:
    elements = [_section(delivery) for delivery in deliveries]
    return json_post(
        sink.url,
        {
            "text": title(deliveries),  # what push deliveries show
            "blocks": [{"type": "rich_text", "elements": elements}],
            "unfurl_links": False,
            "unfurl_media": False,
        },
    )


def verdict(status: int, body: bytes) -> Verdict:
    """By the word in the body. A 2xx without one does not say what became of the message, as `robot_verdict` has it."""
    word = body.decode("latin-1").strip()
    if word in SINK_REFUSED | MESSAGE_REFUSED:
        return DeliveryFailed(
            word, is_down=word in SINK_REFUSED, is_refused=word in MESSAGE_REFUSED
        )
    if word == "ok" or by_status(status) is not None:
        return by_status(status)
    is_word = _WORD.fullmatch(word) is not None
    return DeliveryFailed(
        "not_ok" if is_word else "no_answer", is_down=not is_word, is_refused=is_word
    )


def _section(delivery: Delivery) -> dict[str, Any]:
    url = delivery.link.url
    return {
        "type": "rich_text_section",
        "elements": [
            # Links and mentions are elements of their own, so a text element is never one.
            {"type": "text", "text": file_name(delivery), "style": {"bold": True}},
            {"type": "text", "text": f" {details(delivery)} "},
            *([{"type": "link", "url": safe_url(url), "text": "open"}] if url else []),
            {"type": "text", "text": "\n"},
        ],
    }
