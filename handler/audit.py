"""One JSON line an answer, on stdout, where Function Compute's logs are read.

The caller may be able to read the tail of the log of his own request, so a refusal's line tells him no more than
its problem does, and nothing secret can be in it: only the facts named here are written, none of them a header, a
query or a link.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from types import TracebackType
from urllib.parse import unquote

# Bytes of a text once it is escaped: room for every legal path, and for all texts of a line within 16 KB.
MAX_PATH = 4096
MAX_TEXT = 1024
_ESCAPED = 12  # bytes of one character at most
# Nothing is redacted in a text that has none of these.
_SIGNS = frozenset("=:%,")
_MARKS = ("fcp_", "whsec_", "bearer")
_encode = json.JSONEncoder(separators=(",", ":")).encode


def write(facts: Mapping[str, object]) -> None:
    """Writes the line, whole and at once. A log that is full or closed takes no answer from anyone."""
    try:
        sys.stdout.write(_encode(facts) + "\n")
        sys.stdout.flush()
    except (OSError, ValueError):
        pass


def text(value: str, most: int = MAX_TEXT) -> str:
    """A text of the caller's, at most so many bytes once escaped, and without what looks like a secret."""
    if not _SIGNS.isdisjoint(value) or any(mark in value.lower() for mark in _MARKS):
        from signer import redact

        value = redact(value)
        if "%" in value:
            # Percent-encoding hides names from the redaction; who wrote a secret so has it told decoded, without it.
            decoded = unquote(unquote(value))
            untold = redact(decoded)
            value = value if untold == decoded else untold
    if len(value) * _ESCAPED <= most or len(_encode(value)) <= most:
        return value
    return value[: most // _ESCAPED] + "…"


def path(value: str) -> str:
    """A path or a key: whole where it is a legal one."""
    return text(value, MAX_PATH)


def fault(error: BaseException) -> dict[str, object]:
    """An unexpected error as types, files and lines; values and messages are left out."""
    frames = []
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{'/'.join(code.co_filename.rsplit('/', 2)[-2:])}:{trace.tb_lineno}")
        trace = trace.tb_next
    return {"error": type(error).__name__, "frames": frames[-20:]}
