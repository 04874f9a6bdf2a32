"""A share that is being opened: its token, and its record if it has one."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..cloud.store import Store, state_for
from ..config import Target
from ..context import ExpiryLimit, Invocation
from ..errors import Problem
from ..keys import current
from ..request import Request
from . import Share, records, shared_path, uses
from . import read as read_share

_NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}")


class TrackedShare(NamedTuple):
    """A share with a record in the state prefix, with which its uses are counted and it can be revoked."""

    id: str
    state: Store
    record: records.Record

    def uses_left(self) -> int | None:
        """The remaining downloads, None without a limit. Raises the 410 `share_used_up`, or a 503."""
        maximum = self.record.uses
        left = None if maximum is None else maximum - len(uses.used(self.state, self.id))
        if left is not None and left <= 0:
            raise Problem("share_used_up")
        return left

    def claim_use(self, nonce: str, now: float) -> None:
        """Claims a use if they are limited. Raises the 410 `share_used_up`, or a 503."""
        if self.record.uses is not None:
            uses.claim_use(self.state, self.id, self.record.uses, nonce, now)


class OpenedShare(NamedTuple):
    """A share with the object or prefix that it is opened for, and its record if it has one."""

    request: Request
    invocation: Invocation
    target: Target
    share: Share
    tracked: TrackedShare | None

    def __repr__(self) -> str:
        # Without the request and the invocation: they contain the token and the role's credentials.
        return f"OpenedShare(path={self.target.path!r}, share={self.share!r}, tracked={self.tracked!r})"

    @property
    def limited(self) -> bool:
        return self.tracked is not None and self.tracked.record.uses is not None

    @property
    def path(self) -> str:
        """What it was created for: the target's path, or a folder above it."""
        return shared_path(self.target.path, self.share.depth)

    @property
    def link_origin(self) -> str:
        """The origin of its links, for the Content-Security-Policy of pages."""
        mount = self.target.mount
        return f"{mount.endpoint.scheme}://{mount.endpoint.host(mount.target.bucket)}"

    def limits(self) -> tuple[ExpiryLimit, ...]:
        """No link outlives its share."""
        return (ExpiryLimit("share", self.share.expires_at - int(self.invocation.now)),)


def open_share(request: Request, invocation: Invocation, path: str) -> OpenedShare:
    """Reads the share of a request.

    Raises the 404 `share_invalid`, and a 410 `Problem` for a share that no longer opens anything.
    """
    config = invocation.config
    target = config.mounts.get(path)
    # Without keys, no share can ever have been created.
    if target is None or (target.mount.max_share is None and config.keys_document is None):
        raise Problem("share_invalid")
    mount = target.mount
    share = read_share(request.query["share"], target, current.current_keys(invocation), invocation.now)
    if mount.max_share is None or share.method not in mount.methods or (share.depth and not mount.lists):
        raise Problem("share_not_enabled")
    return OpenedShare(request, invocation, target, share, _tracked(share, invocation, target))


def _tracked(share: Share, invocation: Invocation, target: Target) -> TrackedShare | None:
    if share.record is None:
        return None
    invocation.facts["share"] = share.record
    if invocation.config.state is None:  # not 409: the recipient cannot change the configuration
        raise Problem("state_unavailable")
    state = state_for(invocation)
    record = records.load(state, share.record)
    if record is None:
        raise Problem("share_record_missing")
    if record.revoked_at is not None:
        raise Problem("share_revoked")
    if (record.path, record.target) != (shared_path(target.path, share.depth), str(target.mount.target)):
        raise Problem("share_invalid")
    return TrackedShare(share.record, state, record)


def is_nonce(value: object) -> bool:
    return isinstance(value, str) and _NONCE.fullmatch(value) is not None
