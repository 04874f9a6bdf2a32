"""What every upload is held to: its size, its type, and that it replaces nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..config import Mount
from ..errors import Problem

MAX_PUT = 5 * 1024**3  # bytes, of one request
DEFAULT_TYPE = "application/octet-stream"

# What a form can pin (signer/form.py), so that one type is good for every kind of upload.
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(?:; ?charset=[A-Za-z0-9-]+)?")
_MD5 = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
_META = re.compile(r"x-oss-meta-[a-z0-9-]{1,100}")


def check_size(size: int | None, mount: Mount, most: int = MAX_PUT) -> int:
    """A size that a mount allows. Raises a 400 `Problem`."""
    if size is None:
        raise Problem(400, "size_required", "An upload says its size, in bytes.")
    bound = min(mount.max_size or 0, most)
    if not 0 <= size <= bound:
        raise Problem(400, "too_large", f"An upload here has from 0 to {bound} bytes.")
    return size


def check_type(content_type: str | None) -> str:
    """A media type, `application/octet-stream` if none is named. Raises a 400 `Problem`."""
    if content_type is None:
        return DEFAULT_TYPE
    if len(content_type) > 200 or not _MEDIA_TYPE.fullmatch(content_type):
        raise Problem(400, "bad_content_type", "The content type is none: write it as text/plain; charset=utf-8.")
    return content_type


def put_headers(given: Mapping[str, object], size: int, *, overwrite: bool) -> dict[str, str]:
    """Every header of a PUT link: the type pinned, the length, and no overwriting unless it was asked for.

    A caller adds `Content-Type`, `Content-MD5` and `x-oss-meta-*`, and nothing else: a 400 `Problem` names it.
    """
    headers: dict[str, str] = {}
    for name, value in given.items():
        lower = name.lower()
        if lower not in ("content-type", "content-md5") and not _META.fullmatch(lower):
            raise Problem(400, "not_signable", f"The header {name[:100]!r} cannot be signed here: leave it out.")
        if not isinstance(value, str):
            raise Problem(400, "bad_body", f"The header {name[:100]!r} has a value that is no text.")
        if lower == "content-type":
            check_type(value)
        if lower == "content-md5" and not _MD5.fullmatch(value):
            raise Problem(400, "bad_content_md5", "Content-MD5 is the MD5 of the body in base64, 24 characters.")
        headers[name] = value
    if not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = DEFAULT_TYPE
    headers["Content-Length"] = str(size)
    if not overwrite:
        headers["x-oss-forbid-overwrite"] = "true"
    return headers
