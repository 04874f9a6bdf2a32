"""The Content-Disposition that makes a browser save a file by a name. Source: RFC 6266 and RFC 8187."""

from __future__ import annotations

import re
from urllib.parse import quote

from .errors import InvalidQuery

_UNSAFE = re.compile(r"[\x00-\x1f\x7f-\x9f/\\]")
_NOT_IN_QUOTES = re.compile(r'[^\x20-\x7e]|["%]')


def attachment(name: str) -> str:
    """`attachment; filename="ascii"; filename*=UTF-8''…`.

    Raises `InvalidQuery` unless the name has 1 to 255 bytes of UTF-8, and no slash, backslash or control character (C0
    or C1).
    """
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        size = 0
    if not 0 < size <= 255 or _UNSAFE.search(name):
        raise InvalidQuery(
            "A file name to download by has 1 to 255 bytes, and no slash, backslash or control character.",
            name="response-content-disposition",
        )
    plain = _NOT_IN_QUOTES.sub("_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
