"""Functions that return what the event contains."""

from __future__ import annotations

import base64
import json


def body_as_answer(event: bytes, context: object) -> str:
    """For HTTP triggers: the body of the request is the result of the function."""
    return base64.b64decode(json.loads(event)["body"]).decode()


not_a_function = 1
