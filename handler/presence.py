"""Whether an object is there to be downloaded: a signed HEAD through the internal endpoint."""

from __future__ import annotations

from collections.abc import Mapping

from .config import Location, Mount
from .credentials import of_invocation
from .errors import Problem, not_found
from .oss import OssUnavailable, Reply, store
from .request import Invocation

_ARCHIVES = frozenset({"Archive", "ColdArchive", "DeepColdArchive"})


def look(mount: Mount, key: str, query: Mapping[str, str], invocation: Invocation) -> Reply:
    """The headers of an object that can be downloaded.

    Raises the 404 `Problem` for a missing object, 409 for an Archive object that is not restored, and 503 where OSS
    gives no answer.
    """
    version = {name: value for name, value in query.items() if name == "versionId"}
    place = Location(mount.target.bucket, key)
    try:
        reply = store(invocation.policy, of_invocation(invocation.context).credentials).head(place, version)
    except OssUnavailable:
        raise unavailable() from None
    # A version that has another form is a 400, and one that is a delete marker a 405.
    if reply.status == 404 or (version and reply.status in (400, 405)):
        raise not_found()
    if not reply.ok:
        raise unavailable()
    archived = reply.headers.get("x-oss-storage-class") in _ARCHIVES
    if archived and 'ongoing-request="false"' not in reply.headers.get("x-oss-restore", ""):
        raise Problem(409, "object_archived", "This file is in cold storage: ask its owner to restore it first.")
    return reply


def unavailable() -> Problem:
    """OSS gives no answer that says anything of the object."""
    return Problem(503, "oss_unavailable", "The storage gives no answer now: try again.", {"Retry-After": "5"})
