"""One JSON line for each response, on stdout, where Function Compute's logs are read.

Callers may be able to read the end of the log of their own request, so the line of a refusal says no more than its
problem does, and nothing secret can be in it: only the facts named here are written, none of them a header, a
query or a link.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from types import TracebackType
from urllib.parse import unquote

# Bytes of a string once it is escaped: room for every legal path, and for all strings of a line within 16 KB.
MAX_PATH = 4096
MAX_STRING = 1024
_ESCAPED = 12  # bytes of one character at most
# A string without any of these has nothing to redact.
_SIGNS = frozenset("=:%,")
_MARKS = ("fcp_", "whsec_", "bearer")
_encode = json.JSONEncoder(separators=(",", ":")).encode


def write(facts: Mapping[str, object]) -> None:
    """Writes the line in one piece. A log that is full or closed never costs anyone their response."""
    try:
        sys.stdout.write(_encode(facts) + "\n")
        sys.stdout.flush()
    except (OSError, ValueError):
        pass


def string(value: str, max_bytes: int = MAX_STRING) -> str:
    """A caller's string, at most `max_bytes` once escaped, and without what looks like a secret."""
    if not _SIGNS.isdisjoint(value) or any(mark in value.lower() for mark in _MARKS):
        from signer import redact

        value = redact(value)
        if "%" in value:
            # Percent-encoding hides names from the redaction: a secret written that way is shown decoded and redacted.
            decoded = unquote(unquote(value))
            redacted = redact(decoded)
            value = value if redacted == decoded else redacted
    if len(value) * _ESCAPED <= max_bytes or len(_encode(value)) <= max_bytes:
        return value
    return value[: max_bytes // _ESCAPED] + "…"


def path(value: str) -> str:
    """A path or a key, never shortened where it is a legal one."""
    return string(value, MAX_PATH)


def fault(error: BaseException) -> dict[str, object]:
    """An unexpected error as types, files and lines; values and messages are left out."""
    frames = []
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{'/'.join(code.co_filename.rsplit('/', 2)[-2:])}:{trace.tb_lineno}")
        trace = trace.tb_next
    return {"error": type(error).__name__, "frames": frames[-20:]}
