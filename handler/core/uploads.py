"""The rules that all kinds of upload share: prefixes, sizes, types, and the headers of a PUT link."""

from __future__ import annotations

import re
from collections.abc import Mapping

from signer.form import MEDIA_TYPE
from signer.sizes import MAX_PUT, format_size

from .config import Config, Mount, Target
from .config.media_types import is_active
from .errors import Problem, bad_body

DEFAULT_TYPE = "application/octet-stream"

_MD5 = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==")
_META = re.compile(r"x-oss-meta-[a-z0-9-]{1,100}")


def check_prefix(config: Config, target: Target) -> None:
    """Raises the 400 `prefix_overlaps` if a client that chooses the rest of the key could write to another mount.

    The key ends in "/" or is empty.
    """
    if any(other.target != target.mount.target for other in config.mounts.within(target.location)):
        raise Problem("prefix_overlaps")


def check_size(size: int | None, mount: Mount, maximum: int = MAX_PUT) -> int:
    """A size in bytes that a mount allows. Raises the 400 `size_required` or `too_large`."""
    if size is None:
        raise Problem("size_required")
    maximum = min(mount.max_size or 0, maximum)
    if not 0 <= size <= maximum:
        raise Problem(
            "too_large",
            f"The size of an upload to this mount must be at most {format_size(maximum)} ({maximum} bytes).",
        )
    return size


def check_type(content_type: str | None, mount: Mount) -> str:
    """A media type that a mount accepts, `application/octet-stream` for None.

    Raises the 400 `bad_content_type` or `wrong_type`.
    """
    if content_type is None:
        return DEFAULT_TYPE
    if len(content_type) > 200 or not MEDIA_TYPE.fullmatch(content_type):
        raise Problem("bad_content_type")
    check_active_type(content_type, mount)
    return content_type


def check_active_type(content_type: str, mount: Mount) -> None:
    """Raises the 400 `wrong_type` for a type or prefix that a mount does not accept because browsers run it."""
    if mount.inline is not None and is_active(content_type):
        reason = "browsers run it, or types that begin with it. Use another one, such as image/png"
        raise Problem(
            "wrong_type", f"Type {content_type[:100]} is not accepted on this mount: {reason}."
        )


def put_headers(
    requested: Mapping[str, object], size: int, mount: Mount, *, overwrite: bool
) -> dict[str, str]:
    """All headers of a PUT link: a fixed type and length, and no overwriting unless requested and allowed by the mount.

    A caller may add `Content-Type`, `Content-MD5` and `x-oss-meta-*`; a 400 `Problem` names any other header.
    """
    if overwrite and not mount.overwrite:
        raise Problem(
            "not_signable",
            '"overwrite" is not allowed on this mount: uploads replace no existing object.',
        )
    headers: dict[str, str] = {}
    for name, value in requested.items():
        lower = name.lower()
        if lower not in ("content-type", "content-md5") and not _META.fullmatch(lower):
            raise Problem("not_signable", f"Header {name[:100]!r} is not allowed for uploads.")
        if not isinstance(value, str):
            raise bad_body(f"header {name[:100]!r} must be a string")
        if lower == "content-type":
            check_type(value, mount)
        if lower == "content-md5" and not _MD5.fullmatch(value):
            raise Problem("bad_content_md5")
        headers[name] = value
    if not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = DEFAULT_TYPE
    headers["Content-Length"] = str(size)
    if not overwrite:
        headers["x-oss-forbid-overwrite"] = "true"
    return headers
