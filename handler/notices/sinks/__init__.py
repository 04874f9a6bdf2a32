"""Where notices go: one module for each kind of sink, and its name in `KINDS`."""

from __future__ import annotations

from collections.abc import Mapping

from . import dingtalk, feishu, slack, webhook, wecom
from .base import InvalidSink, Post, Sink, SinkKind, batches, read_sink

__all__ = ["KINDS", "InvalidSink", "Post", "Sink", "SinkKind", "batches", "read_sink"]

KINDS: Mapping[str, SinkKind] = {
    "webhook": webhook,
    "dingtalk": dingtalk,
    "feishu": feishu,
    "wecom": wecom,
    "slack": slack,
}
