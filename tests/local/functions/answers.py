"""Functions that return what the event contains."""

from __future__ import annotations

import base64
import json
from typing import Any


def as_text(event: bytes, context: object) -> str:
    return event.decode()


def as_value(event: bytes, context: object) -> Any:
    return json.loads(event)


def body_as_answer(event: bytes, context: object) -> str:
    """For HTTP triggers: the body of the request is the result of the function."""
    return base64.b64decode(json.loads(event)["body"]).decode()


def bytes_in_dict(event: bytes, context: object) -> dict[str, object]:
    return {"statusCode": 200, "body": b"not text"}


not_a_function = 1
