"""Makes the link or share of a notice when it is sent, by the mounts and keys of that moment."""

from __future__ import annotations

from functools import lru_cache
from threading import Lock

from signer.times import rfc3339

from ..core import audit, links, shares
from ..core.auth import authorize
from ..core.cloud.oss import head_object, is_outage
from ..core.config import USES, Location, Target
from ..core.context import Caller, Invocation
from ..core.errors import HandlerError, Problem
from ..core.keys import current
from ..core.outbox import Link, Notice
from ..core.paths import check_path
from ..core.shares import record as records
from ..core.shares.address import share_address, share_path
from ..core.shares.new import Wish, draft_share, place_share

MAX_ISSUED = 1000  # links that are kept for further sinks
# Of a mount, without a success, after which it is asked for no more links in the invocation.
MAX_FAILURES = 5
MOUNT_CHANGED = "mount_changed"

_OWNER = Caller(id=shares.NOTICES, owner=shares.NOTICES, paths=(), methods=(), expires_at=None)
# Of a share that a request wants; a notice was allowed by the mount as it was then.
_OF_A_REQUEST = ("not_shareable", "bad_body")


class LinkIssuer:
    """Issues the link or share of each notice, with the credentials and keys of one invocation; `count` counts them."""

    def __init__(self, invocation: Invocation) -> None:
        self.count = 0
        self._invocation = invocation
        self._issued = lru_cache(MAX_ISSUED)(self._issue)
        # So that two sinks of a notice do not ask for its link at once.
        self._locks = [Lock() for _ in range(64)]
        self._failures: dict[
            str, list[Problem]
        ] = {}  # of each mount since its last success: those of the service

    def link(self, notice: Notice) -> Link | None:
        """The link of a notice, by today's mount at its path.

        None if OSS says that the object or version is gone, or its share was revoked.

        Raises a `Problem` or `mount_changed` for every other reason why no link can be made now. A use has none.
        """
        if notice.on in USES:
            return Link(notice.path, "", "")
        # Not hash(): that of strings is another in each process, and a failure could not be repeated.
        with self._locks[int(notice.id("")[:8], 16) % len(self._locks)]:
            return self._issued(notice)

    def _issue(self, notice: Notice) -> Link | None:
        target = self._target(notice)
        # No other bucket has the version.
        if target is not None and target.location != Location(notice.bucket, notice.key):
            notice = notice._replace(version=None)
        if target is None or "GET" not in target.mount.methods:
            raise _mount_changed()
        failures = self._failures.setdefault(notice.mount, [])
        for failure in failures[MAX_FAILURES - 1 :]:  # a copy: another thread may clear them
            raise failure.with_traceback(None)
        try:
            issued = (
                self._share(target, notice)
                if notice.give == "share"
                else self._link(target, notice)
            )
        except HandlerError as error:
            problem = error.reported()
            if isinstance(problem, Problem):
                if problem.code == "not_found" and not problem.cause:
                    return None
                if problem.code == "not_found":  # it is not certain that the object is gone
                    problem = Problem("oss_unavailable", cause=problem.cause)
                if is_of_mount(problem):
                    failures += [problem] * (MAX_FAILURES if is_outage(problem.cause) else 1)
            raise problem from None
        failures.clear()
        if issued is None:
            return None
        self.count += 1
        return Link(target.path, *issued)

    def unlinked(self, notice: Notice) -> Link:
        """What is known of a notice whose object has no link now: its path."""
        target = self._target(notice)
        return Link(target.path if target is not None else "", "", "")

    def _target(self, notice: Notice) -> Target | None:
        mounts = self._invocation.config.mounts
        mount = mounts.by_path.get(notice.mount)
        if mount is None:
            return None
        return mounts.target_of(mount, *mount.moved(Location(notice.bucket, notice.key)))

    def _link(self, target: Target, notice: Notice) -> tuple[str, str]:
        """A presigned URL to the version that is reported, and its expiry."""
        query = links.read_query(target, {}, notice.download)
        if notice.version is not None and target.mount.cdn is None:
            query["versionId"] = notice.version
        if target.mount.check:
            head_object(target, query, self._invocation)
        access = authorize(self._invocation, target, "GET", ())
        expires = f"{notice.expires}s" if notice.expires else None
        issued = links.create_link(
            self._invocation, access, "GET", expires=expires, signed=links.Signed(query)
        )
        self._log(target, expires_in=issued.link.expires_in, clamped_by=issued.clamped_by)
        return issued.link.url, rfc3339(issued.link.expires_at.timestamp())

    def _share(self, target: Target, notice: Notice) -> tuple[str, str] | None:
        """The URL of a share, and its expiry; None where its sender revoked it.

        All tries and sinks within half of its lifetime find the same share, since its secret is derived: so it is still
        valid for the other half. Raises a `Problem`.
        """
        config = self._invocation.config
        check_path(target.path)
        wish = Wish(seconds=notice.expires or None, download=notice.download, has_code=False)
        try:
            draft = draft_share(config, target, wish, _OWNER)
        except Problem as problem:
            raise _mount_changed() if problem.code in _OF_A_REQUEST else problem from None
        if target.mount.check:
            head_object(target, {}, self._invocation)
        if config.public_url is None:
            raise Problem("public_url_required")
        keys = current.current_keys(self._invocation)
        if not keys.share:
            raise Problem("no_share_key")
        state, record = place_share(self._invocation, draft.record, is_derived=True)
        lifetime = record.expires_at - record.created_at
        period = record.created_at // max(1, lifetime // 2)
        identity = f"{notice.id('')}\n{period}"
        # The second where the first has the id of another share, or is of another place.
        for number in range(2):
            secret = records.derived_secret(keys.share[-1].secret, f"{identity}\n{number}")
            record = record._replace(hash=records.secret_hash(secret))
            stored = records.create(state, record)
            is_same = (stored.hash, stored.path) == (record.hash, record.path)
            if is_same and stored.is_of(target.mount):
                break
        else:
            raise Problem("state_unavailable")
        if stored.revoked_at is not None:
            return None
        records.add_to_index(state, shares.NOTICES, stored)
        end = rfc3339(stored.expires_at)
        self._log(target, share=stored.id, expires_at=end)
        return share_address(config.public_url, share_path(stored), secret), end

    def _log(self, target: Target, **more: object) -> None:
        """Writes the audit line of a link or share, as the HTTP function does for those that are asked for."""
        line: dict[str, object] = {
            "request_id": self._invocation.audit_fields.get("request_id"),
            "caller": shares.NOTICES,
        }
        line["path"] = audit.path(target.path)
        links.log_target(line, target, **more)
        audit.write(line)


def is_of_mount(error: Exception) -> bool:
    """Whether a mount, or the service, gives no link now, to other objects neither."""
    if isinstance(error, Problem):
        return error.status >= 500
    return isinstance(error, HandlerError) and error.code == MOUNT_CHANGED


def _mount_changed() -> HandlerError:
    return HandlerError("The mount of the notice gives no such link now.", code=MOUNT_CHANGED)
