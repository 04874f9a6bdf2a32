"""The address of a share: `{origin}/-/s/{name}?share={secret}`, of a folder `{origin}/-/s/{name}/{path in it}`.

The secret is in the query, because Function Compute logs the paths of requests, and so does this service.
"""

from __future__ import annotations

from urllib.parse import quote, urlencode

from ..errors import Problem
from ..paths import SHARES
from .record import Record

PREFIX = f"{SHARES}/"
MAX_NAME = 255  # bytes of a name in an address, percent-encoded


def share_path(record: Record, relative: str = "") -> str:
    """The decoded path of a share, or of what is at `relative` in a shared folder."""
    return f"{PREFIX}{_name(record)}{relative}"


def share_address(origin: str, path: str, secret: str, **query: str) -> str:
    """The address of a path that `share_path` returns."""
    return f"{origin}{quote(path)}?{urlencode({'share': secret, **query})}"


def relative_path(record: Record, path: str) -> str:
    """What a decoded path of a request names in a shared folder, "" for the share itself, of which the name may be
    left out. Raises the 404 `share_invalid`.
    """
    start = share_path(record)
    if path in (SHARES, PREFIX, start):
        return ""
    if (record.is_folder or record.is_hidden) and path.startswith(start):
        return path[len(start) :]
    raise Problem("share_invalid")


def _name(record: Record) -> str:
    """The name of the file, or that of the folder with a final "/". Empty where it must not be shown, for uploads, and
    where no segment of a path can be so named.
    """
    if record.password is not None or record.method == "POST":
        return ""
    name = record.download or record.path.rstrip("/").rpartition("/")[2]
    if name in ("", ".", "..") or len(quote(name, safe="")) > MAX_NAME:
        return ""
    return f"{name}/" if record.is_folder else name
