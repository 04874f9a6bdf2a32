"""Where notices go: one module for each kind of sink."""

from __future__ import annotations

from collections.abc import Mapping

from . import dingtalk, feishu, slack, webhook, wecom
from .base import InvalidSink, Kind, Post, Sink, Verdict, read_sink
from .message import Notification

__all__ = ["KINDS", "InvalidSink", "Kind", "Notification", "Post", "Sink", "Verdict", "batches", "read_sink"]

KINDS: Mapping[str, Kind] = {"webhook": webhook, "dingtalk": dingtalk, "feishu": feishu, "wecom": wecom, "slack": slack}


def batches(kind: Kind, notifications: list[Notification]) -> list[tuple[Notification, ...]]:
    """Splits notifications, in order, into as few messages as possible; one that is too large is sent alone."""
    messages: list[list[Notification]] = []
    size = 0
    for notification in notifications:
        added = kind.encoded_size(notification)
        if not messages or size + added > kind.MAX_BYTES or len(messages[-1]) == kind.MAX_NOTICES:
            messages.append([])
            size = kind.ENVELOPE
        messages[-1].append(notification)
        size += added
    return [tuple(message) for message in messages]
