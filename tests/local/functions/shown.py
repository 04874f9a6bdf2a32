"""Functions that return what they received."""

from __future__ import annotations

import os
import sys
from typing import Any


def event_of(event: bytes, context: object) -> bytes:
    return event


def context_of(event: bytes, context: Any) -> dict[str, Any]:
    shown = {
        name: getattr(context, name)
        for name in ("request_id", "region", "account_id", "retry_count")
    }
    shown["function"] = vars(context.function)
    shown["credentials"] = vars(context.credentials) if hasattr(context, "credentials") else None
    shown["repr"] = repr(context)
    return shown


def environment(event: bytes, context: object) -> dict[str, str]:
    return dict(os.environ)


def process(event: bytes, context: object) -> dict[str, object]:
    return {
        "pid": os.getpid(),
        "event_type": type(event).__name__,
        "folder": os.getcwd(),
        "path": sys.path[0],
        "modules": sorted(sys.modules),
        "stdin": sys.stdin.read(),
    }


def printing(event: bytes, context: Any) -> str:
    print(f"audit {context.request_id}")
    return "printed"
