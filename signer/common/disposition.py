"""The Content-Disposition with which a browser saves a file under a given name. Source: RFC 6266 and RFC 8187."""

from __future__ import annotations

import re
from urllib.parse import quote

from ..errors import InvalidQuery

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
            "Invalid file name: it must have 1 to 255 bytes of UTF-8, and no slash, backslash or control character.",
            "response-content-disposition",
        )
    ascii_name = _NOT_IN_QUOTES.sub("_", name)
    return f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(name, safe='')}"
