"""Where notices go: one module for each kind of sink."""

from __future__ import annotations

from collections.abc import Mapping

from ...core.outbox import Delivery
from . import dingtalk, feishu, slack, webhook, wecom
from .base import InvalidSink, Kind, Post, Sink, read_sink

__all__ = ["KINDS", "InvalidSink", "Kind", "Post", "Sink", "batches", "read_sink"]

KINDS: Mapping[str, Kind] = {
    "webhook": webhook,
    "dingtalk": dingtalk,
    "feishu": feishu,
    "wecom": wecom,
    "slack": slack,
}


def batches(kind: Kind, deliveries: list[Delivery]) -> list[tuple[Delivery, ...]]:
    """Splits deliveries, in order, into as few messages as possible; one that is too large is sent alone."""
    messages: list[list[Delivery]] = []
    size = 0
    for delivery in deliveries:
        added = kind.encoded_size(delivery)
        if not messages or size + added > kind.MAX_BYTES or len(messages[-1]) == kind.MAX_NOTICES:
            messages.append([])
            size = kind.ENVELOPE
        messages[-1].append(delivery)
        size += added
    return [tuple(message) for message in messages]
