"""Where notices go: one file for each kind of sink."""

from __future__ import annotations

from collections.abc import Mapping

from . import dingtalk, feishu, slack, webhook, wecom
from .base import InvalidSink, Kind, Post, Sink, Verdict, read_sink
from .message import Told

__all__ = ["KINDS", "InvalidSink", "Kind", "Post", "Sink", "Told", "Verdict", "messages", "read_sink"]

KINDS: Mapping[str, Kind] = {
    "webhook": webhook,
    "dingtalk": dingtalk,
    "feishu": feishu,
    "wecom": wecom,
    "slack": slack,
}
FRAME = 700  # bytes of a message around its notices, at most


def messages(kind: Kind, tolds: list[Told]) -> list[tuple[Told, ...]]:
    """Notices in order, in as few messages as the service takes; one that is too large is alone in its own."""
    found: list[tuple[Told, ...]] = []
    batch: list[Told] = []
    size = FRAME
    for told in tolds:
        weight = kind.weight(told)
        if batch and (size + weight > kind.LIMIT or len(batch) == kind.MOST):
            found.append(tuple(batch))
            batch, size = [], FRAME
        batch.append(told)
        size += weight
    if batch:
        found.append(tuple(batch))
    return found
