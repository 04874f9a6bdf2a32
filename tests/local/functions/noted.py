"""Writes one line for each invocation to the file that `NOTES` names, and fails as often as `FAILS` says."""

from __future__ import annotations

import json
import os
from typing import Any


def on_event(event: bytes, context: Any) -> dict[str, Any]:
    note = {
        "request_id": context.request_id,
        "retry_count": context.retry_count,
        "event": json.loads(event),
    }
    with open(os.environ["NOTES"], "a", encoding="utf-8") as notes:
        notes.write(json.dumps(note) + "\n")
    if context.retry_count < int(os.environ.get("FAILS", "0")):
        raise RuntimeError("not this time")
    return note
