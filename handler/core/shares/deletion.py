"""When OSS deletes what a share opens, by `delete_after` of its mount.

Source: the OSS page on why objects are not deleted at the time of a lifecycle rule, which counts from the next midnight
(UTC) after an object was stored.
"""

from __future__ import annotations

from contextlib import suppress

from signer import SignerError
from signer.listing import PAGE
from signer.times import rfc3339

from ..auth import authorize
from ..cloud.oss import list_folder, mount_client
from ..config import Target
from ..context import Invocation
from ..errors import HandlerError

DAY = 86_400  # seconds


def deletion(target: Target, end: int, invocation: Invocation) -> dict[str, str]:
    """`deleted_at`, if OSS deletes the object before the share ends at `end` (Unix seconds).

    Of a folder, it is the oldest object on its first page. What OSS does not say has none.
    """
    seconds = target.mount.delete_after
    if seconds is None:
        return {}
    stored_at = None
    with suppress(HandlerError, SignerError):  # a key that no request can name
        stored_at = _stored_at(target, invocation)
    if stored_at is None:
        return {}
    midnight = -(-int(stored_at) // DAY) * DAY
    deleted_at = midnight + seconds
    return {"deleted_at": rfc3339(deleted_at)} if deleted_at < end else {}


def _stored_at(target: Target, invocation: Invocation) -> float | None:
    """When the object, or the oldest one of a folder, was stored last (Unix seconds). Raises a `HandlerError`."""
    if not target.path.endswith("/"):
        response = mount_client(invocation, target.mount).head(target.location)
        return response.time("last-modified") if response.ok else None
    page = list_folder(authorize(invocation, target, "LIST", ()), invocation, "", PAGE, "")
    times = [each.modified for each in page.objects if each.modified is not None]
    return min(times, default=None)
