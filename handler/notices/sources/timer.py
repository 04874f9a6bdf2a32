"""A timer: it sends the digests that are due, and a payload with a path or links asks for these."""

from __future__ import annotations

import json
from collections.abc import Iterator

from .fields import optional_moment, optional_text, text
from .items import Item, Tick
from .message import wanted


class Timer:
    """`{"triggerTime", "triggerName", "payload"}`; the payload is a text of one's own."""

    name = "timer"

    @staticmethod
    def recognise(document: object) -> bool:
        return isinstance(document, dict) and {"triggerTime", "triggerName"} <= set(document)

    @staticmethod
    def items(document: object, origin: str) -> Iterator[Item]:
        name, time = text(document, "triggerName"), text(document, "triggerTime")
        at = optional_moment(document, "triggerTime")
        payload = optional_text(document, "payload")
        try:
            asked = json.loads(payload or "null")
        except (ValueError, RecursionError):
            asked = None
        yield Tick(name)
        if isinstance(asked, dict) and not {"path", "links"}.isdisjoint(asked):
            yield from wanted(asked, "timer", f"timer:{name}:{time}", at)
