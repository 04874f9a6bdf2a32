"""A share that is being opened: its record, and what the address names in it."""

from __future__ import annotations

import re
from functools import partial
from typing import NamedTuple

from ..cloud.oss import in_time
from ..cloud.store import Store, state_for
from ..config import Target
from ..context import ExpiryLimit, Invocation
from ..errors import Problem
from ..keys import Keys, current, owner_tag
from ..paths import path_fault
from ..request import Request
from . import NOTICES, record, uses
from .address import relative_path, share_path
from .code import is_code
from .record import Record

unavailable = partial(Problem, "state_unavailable")

_NONCE = re.compile(r"[A-Za-z0-9_-]{16,64}")


class OpenedShare(NamedTuple):
    """A share with the object, folder or prefix that it is opened for, and the decoded `path` of its address.

    `end` (Unix seconds) is the first end where no link lasts until that, else the later of both.
    """

    request: Request
    invocation: Invocation
    target: Target
    state: Store
    record: Record
    path: str
    end: int
    is_end_known: bool

    def __repr__(self) -> str:
        # Without the request and the invocation: they contain the secret and the role's credentials.
        return f"OpenedShare(path={self.target.path!r}, record={self.record!r})"

    @property
    def secret(self) -> str:
        return self.request.query["share"]

    def limits(self) -> tuple[ExpiryLimit, ...]:
        """No link outlives its share."""
        return (ExpiryLimit("share", self.end - int(self.state.now())),)

    def dated(self) -> Invocation:
        """The invocation by the clock of OSS, by which the share ends: what is signed for it has this date."""
        return self.invocation._replace(now=self.state.now())

    def expires_at(self) -> int:
        """When the share ends (Unix seconds). Raises the 503 `state_unavailable`."""
        return (
            self.end
            if self.is_end_known
            else in_time(partial(record.load_end, self.state, self.record), unavailable)
        )

    def check_code(self, typed: object) -> None:
        """Raises the 403 `wrong_password` unless it is the code of the share, or the share has none."""
        expected = self.record.password
        if expected is not None and not is_code(typed, self.secret, expected):
            raise Problem("wrong_password")

    def uses_left(self) -> int | None:
        """The remaining downloads, None without a limit. Raises the 410 `share_used_up`, or a 503."""
        return None if self.record.uses is None else uses.left(self.state, self.record)


def open_share(request: Request, invocation: Invocation, path: str) -> OpenedShare:
    """Reads the share of a request to a decoded path.

    Raises the 404 `share_invalid`, a 410 `Problem` for a share that no longer opens anything, and a 503 where OSS does
    not answer within `PAGE_TIMEOUT`.
    """
    secret = request.query.get("share", "")
    config = invocation.config
    # Without keys, no share can ever have been created.
    if not record.SECRET.fullmatch(secret) or config.state is None or config.keys_document is None:
        raise Problem("share_invalid")
    state = state_for(invocation)
    match = in_time(partial(record.find, state, secret), unavailable)
    if match is None:
        raise Problem("share_invalid")
    invocation.audit_fields["share"] = match.id
    if match.revoked_at is not None:
        raise Problem("share_revoked")
    relative = relative_path(match, path)
    # What is below the path of a share with a code is looked at after the code.
    target = config.mounts.get(match.path if match.is_hidden else match.path + relative)
    now = state.now()
    max_expires = target.mount.max_expires if target is not None else 0
    # A link that ends before the share needs no look at a later end.
    is_end_known = match.expires_at - now <= max_expires
    end = match.expires_at
    if is_end_known:
        end = in_time(partial(record.load_end, state, match), unavailable)
    fault = share_fault(match, target, end, current.current_keys(invocation), now)
    if fault is not None:
        raise fault
    if target is None or path_fault(target.path):
        raise Problem("share_invalid")
    if match.is_hidden and path_fault(f"/{relative}"):
        raise Problem("share_invalid")
    return OpenedShare(
        request=request,
        invocation=invocation,
        target=target,
        state=state,
        record=match,
        path=share_path(match, relative),
        end=end,
        is_end_known=is_end_known,
    )


def share_fault(
    match: Record, target: Target | None, end: int, keys: Keys, now: float
) -> Problem | None:
    """The problem that opening a share has, apart from its code and its uses; None where it opens."""
    if match.revoked_at is not None:
        return Problem("share_revoked")
    if target is None or not match.is_of(target.mount):
        return Problem("share_invalid")
    mount = target.mount
    if (
        mount.max_share is None
        or match.method not in mount.methods
        or (match.is_folder and not mount.lists)
        or (mount.require_password and match.password is None)
    ):
        return Problem("share_not_enabled")
    if end <= now:
        return Problem("share_expired")
    is_owned = match.owner_tag in keys.owner_tags or match.owner_tag == owner_tag(NOTICES)
    return None if is_owned else Problem("share_owner_removed")


def check_app_package(target: Target) -> None:
    """Raises the 409 `app_package_domain` for an object that OSS does not serve from the mount's endpoint.

    Source: the OSS page "What do I do if the ApkDownloadForbidden error code is returned?". OSS refuses the media types
    of app packages too; only the key is looked at, so that nothing is read.
    """
    if not target.mount.app_packages and target.key.lower().endswith((".apk", ".ipa")):
        raise Problem("app_package_domain")


def is_nonce(value: object) -> bool:
    return isinstance(value, str) and _NONCE.fullmatch(value) is not None
