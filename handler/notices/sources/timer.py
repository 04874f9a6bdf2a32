"""Timer triggers: each sends the digests that are due, and links where its payload requests some."""

from __future__ import annotations

import json
from collections.abc import Iterator

from .fields import optional_string, optional_timestamp, required_string
from .items import Item, TimerTick, requested_links


def timer(document: object, origin: str) -> Iterator[Item]:
    """`{"triggerTime", "triggerName", "payload"}`; the payload is any string."""
    name = required_string(document, "triggerName")
    # Whatever else is invalid, a timer has fired.
    yield TimerTick(name)
    time = required_string(document, "triggerTime")
    fired_at = optional_timestamp(document, "triggerTime")
    payload = optional_string(document, "payload")
    try:
        message = json.loads(payload or "null")
    except (ValueError, RecursionError):
        message = None
    if isinstance(message, dict) and not {"path", "links"}.isdisjoint(message):
        yield from requested_links(message, "timer", f"timer:{name}:{time}", fired_at)
