"""OSS as a sink: one object an invocation, named after the notices in it, so that the object is its own claim.

`{target}{yyyy}/{mm}/{dd}/{hash of the notice ids}.jsonl`, one notice a line. The day is that of the event, so an event
that is delivered again has the same name.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from hashlib import sha256

from ..core.cloud.oss import OssClient, OssUnavailable
from ..core.config import Location, OssSink
from ..core.outbox import Delivery, Notice
from .sinks.base import DeliveryFailed
from .sinks.message import document

TRIES = 3


def location_of(sink: OssSink, notices: Mapping[str, Notice], now: float) -> Location:
    """Where notices (by id) are written: below the day of the event, or at `now` (Unix seconds) without its time."""
    name = sha256("\n".join(sorted(notices)).encode()).hexdigest()[:32]
    happened_at = min(
        (each.happened_at for each in notices.values() if each.happened_at is not None), default=now
    )
    day = time.strftime("%Y/%m/%d", time.gmtime(happened_at))
    return Location(sink.target.bucket, f"{sink.target.key}{day}/{name}.jsonl")


def write(client: OssClient, location: Location, deliveries: Iterable[Delivery]) -> bool:
    """Writes the notices; False if they were already there. Raises `DeliveryFailed`.

    After a lost response, an object that exists counts as written now.
    """
    body = b"".join(json.dumps(document(delivery)).encode() + b"\n" for delivery in deliveries)
    code = "oss_unavailable"
    was_lost = False
    for _ in range(TRIES):
        try:
            response = client.claim(location, body, content_type="application/x-ndjson")
        except OssUnavailable:
            was_lost = True
            continue
        if response.ok:
            return True
        if response.code == "FileAlreadyExists":
            return was_lost
        code = response.code or f"status_{response.status}"
        if response.status < 500 and response.status not in (408, 409, 429):
            break
    raise DeliveryFailed(code)
