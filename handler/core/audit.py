"""The audit log: one JSON line for each response, on stdout, from where Function Compute collects logs.

Callers may be able to read the end of their request's log. So the line of a refused request says no more than its
response, and no line contains a header, a query, a link or anything secret.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from types import TracebackType

# Bytes of a JSON-escaped string: every valid path fits, and an entire line stays below 16 KB.
MAX_PATH = 4096
MAX_STRING = 1024
_MAX_ESCAPE = 12  # bytes of one escaped character at most
_SIGNS = re.compile("[=:%,~\uff1d\uff1a_]|[0-9a-f]{32}", re.IGNORECASE).search
# The id of a multipart upload: OSS's own, two sizes and a signature.
_UPLOAD_ID = r"(?<![^/])[^/~]{1,300}~[0-9a-f]+~[0-9a-f]+~[\w-]{43}"  # compiled at its first use
_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


def write(fields: Mapping[str, object]) -> None:
    """Writes one line. A log that is full or closed never makes a response fail.

    Where the fields are no JSON, the line says so, and whose it is: no request is without one.
    """
    try:
        line = _encode(fields)
    except Exception as error:
        known = {name: fields.get(name) for name in ("request_id", "status")}
        line = _encode({**known, "fault": fault(error)})
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except (OSError, ValueError):
        pass


def string(value: str, max_bytes: int = MAX_STRING) -> str:
    """A string of the caller's without what looks like a secret, shortened to `max_bytes` once escaped."""
    # What is left out in any case is not read: to look for secrets takes longer than most requests.
    is_cut = len(value) > max_bytes
    shown = _without_secrets(value[:max_bytes])
    if not is_cut and (len(shown) * _MAX_ESCAPE <= max_bytes or len(_encode(shown)) <= max_bytes):
        return shown
    beginning = shown[: max_bytes // _MAX_ESCAPE]
    if beginning == shown:  # it may end with half a secret, which looks like none
        beginning = re.sub(r"[^\s&?]*$", "", beginning)
    return beginning + "…"


def path(value: str) -> str:
    """A path or key; a valid one is never shortened."""
    return string(value, MAX_PATH)


def _without_secrets(value: str) -> str:
    lower = value.lower()
    # A string without any of these holds no secret.
    if _SIGNS(value) or "eyj" in lower or "bearer" in lower:
        value = _redact(value)
        if "%" in value:
            from urllib.parse import unquote

            # Percent-encoding hides secrets from the redaction: such a string is logged decoded and redacted.
            decoded = unquote(unquote(value))
            redacted = _redact(decoded)
            value = value if redacted == decoded else redacted
    return value


def _redact(value: str) -> str:
    from signer.redaction import REDACTED, redact

    return re.sub(_UPLOAD_ID, REDACTED, redact(value))


def fault(error: BaseException) -> dict[str, object]:
    """An unexpected error by its type, files and line numbers, without messages and values, which may be secret."""
    frames = []
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{'/'.join(code.co_filename.rsplit('/', 2)[-2:])}:{trace.tb_lineno}")
        trace = trace.tb_next
    return {"error": type(error).__name__, "frames": frames[-20:]}
