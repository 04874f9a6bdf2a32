"""Notices: what rules make of an event's items, and the links or shares that they carry.

A notice says what was matched and what to give. Its link is made when it is sent, by the mounts of that moment.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import NamedTuple
from urllib.parse import quote

from signer.times import rfc3339

from .. import links, shares
from ..auth import authorize
from ..cloud.oss import head_object
from ..config import Config, Mount, NoticeRule, Target
from ..context import Invocation
from ..errors import HandlerError, Problem
from ..keys import current
from ..paths import check_path, path_fault
from .outbox import MAX_BYTES, is_key
from .sinks import Notification
from .sources import CreatedObject, RequestedLink

MAX_ISSUED = 1000  # links that are kept for further sinks


class NotLinkable(HandlerError):
    """No link can be made now for what a notice reports; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(f"The notice has no link ({code}).", code=code)


class Notice(NamedTuple):
    """What a rule matched: an object and what to give, by the path of its mount.

    `mark` tells versions of the object apart, or messages; `version` is None without versioning. `expires` is in
    seconds, None for the mount's default; `happened_at` in Unix seconds. With `digest`, it waits for others.
    """

    on: str
    mount: str
    bucket: str
    key: str
    mark: str
    give: str
    version: str | None = None
    size: int | None = None
    happened_at: float | None = None
    expires: int | None = None
    download: str | None = None
    digest: bool = False

    def id(self, rule: NoticeRule, sink: str) -> str:
        """The same whenever object, version, rule and sink are the same."""
        facts = [self.bucket, self.key, self.mark, rule_id(rule), sink]
        return sha256(json.dumps(facts).encode()).hexdigest()[:32]

    def body(self) -> bytes:
        """The notice as it waits in the outbox."""
        return json.dumps(self._asdict()).encode()


def rule_id(rule: NoticeRule) -> str:
    """Identifies a rule by everything but its sinks."""
    facts = [rule.on, rule.mount.path, str(rule.mount.target), rule.give, rule.expires, rule.every]
    return sha256(json.dumps(facts).encode()).hexdigest()[:16]


_TYPES: Mapping[str, tuple[type, ...]] = {
    **dict.fromkeys(("on", "mount", "bucket", "key", "mark", "give"), (str,)),
    **dict.fromkeys(("version", "download"), (str, type(None))),
    **dict.fromkeys(("size", "expires"), (int, type(None))),
    "happened_at": (int, float, type(None)),
    "digest": (bool,),
}


def read_notice(body: bytes) -> Notice | None:
    """The notice in an entry of the outbox, None if it cannot be read. Unknown members are ignored."""
    try:
        document = json.loads(body) if len(body) <= MAX_BYTES else None
        members = {name: document[name] for name in Notice._fields if name in document}  # type: ignore[index,operator]
        notice = Notice(**members)
        rfc3339(notice.happened_at or 0)
    except (ValueError, TypeError, RecursionError, OverflowError, OSError):
        return None
    is_valid = all(type(value) in _TYPES[name] for name, value in notice._asdict().items())
    return notice if is_valid and notice.give in ("link", "share") else None


def matching_notices(config: Config, item: CreatedObject | RequestedLink) -> Iterator[tuple[NoticeRule, Notice]]:
    """A notice for each rule whose mount covers the item, none for an object of the service itself.

    Raises the 400 `bad_expires` or `bad_download` of a message, and `bad_event` for an id that is too long.
    """
    if isinstance(item, CreatedObject):
        mark, version, size, requested, download = item.mark, item.version, item.size, None, None
        on, bucket, key = "created", item.bucket, item.key
        rules = config.notices
    else:
        mark, version, size, download = item.origin, None, None, item.download
        requested = links.read_expires(item.expires) if item.expires is not None else None
        if download:
            links.attachment(download, item.path)
        target = config.mounts.get(item.path)
        if target is None:
            return
        on, (bucket, key) = item.on, target.location
        rules = tuple(rule for rule in config.notices if rule.mount == target.mount)
    for rule in rules:
        if rule.on == on and config.mounts.target_of(rule.mount, bucket, key) is not None:
            lifetimes = [seconds for seconds in (requested, rule.expires) if seconds is not None]
            notice = Notice(
                on=on,
                mount=rule.mount.path,
                bucket=bucket,
                key=key,
                mark=mark,
                give=rule.give,
                version=version,
                size=size,
                happened_at=item.happened_at,
                expires=min(lifetimes, default=None),
                download=download,
                digest=rule.every is not None,
            )
            if len(notice.body()) > MAX_BYTES:
                raise HandlerError("Invalid event: the id of a message or object is too long.", code="bad_event")
            yield rule, notice


def is_linkable(mount: Mount, key: str) -> bool:
    """Whether a link can carry the key at all."""
    return is_key(key) and path_fault(mount.path + key[len(mount.target.key) :]) is None


class LinkIssuer:
    """Issues the link or share of each notice, with the credentials and keys of one invocation; `count` counts them."""

    def __init__(self, invocation: Invocation) -> None:
        self.count = 0
        self._invocation = invocation
        self._issued: dict[Notice, tuple[str, str]] = {}  # the last ones, for further sinks

    def notification(self, notice: Notice, notice_id: str) -> Notification:
        """The notice with its link, by today's mount at its path. Raises `NotLinkable` and a 5xx `Problem`."""
        mounts = self._invocation.config.mounts
        mount = mounts.by_path.get(notice.mount)
        target = mounts.target_of(mount, notice.bucket, notice.key) if mount is not None else None
        if target is None or "GET" not in target.mount.methods:
            raise NotLinkable("mount_changed")
        issued = self._issued.get(notice)
        if issued is None:
            try:
                issued = self._share(target, notice) if notice.give == "share" else self._link(target, notice)
            except Problem as problem:
                if problem.status >= 500:
                    raise
                if problem.code == "not_found" and problem.cause:  # it is not certain that the object is gone
                    raise Problem("oss_unavailable", cause=problem.cause) from None
                raise NotLinkable(problem.code) from None
            if len(self._issued) >= MAX_ISSUED:
                self._issued.clear()
            self._issued[notice] = issued
            self.count += 1
        url, expires_at = issued
        return Notification(
            id=notice_id,
            on=notice.on,
            give=notice.give,
            mount=target.mount.path,
            path=target.path,
            bucket=notice.bucket,
            key=notice.key,
            name=target.path[len(target.mount.path) :],
            size=notice.size,
            mark=notice.mark,
            version=notice.version,
            happened_at=rfc3339(notice.happened_at) if notice.happened_at is not None else None,
            url=url,
            expires_at=expires_at,
        )

    def _link(self, target: Target, notice: Notice) -> tuple[str, str]:
        """A presigned URL to the version that is reported, and its RFC 3339 expiry."""
        query = links.read_query(target, {}, notice.download)
        if notice.version is not None:
            query["versionId"] = notice.version
        if target.mount.check:
            head_object(target, query, self._invocation)
        access = authorize(self._invocation, target, "GET", ())
        expires = f"{notice.expires}s" if notice.expires else None
        issued = links.create_link(self._invocation, access, "GET", expires=expires, signed=links.Signed(query))
        return issued.link.url, rfc3339(issued.link.expires_at.timestamp())

    def _share(self, target: Target, notice: Notice) -> tuple[str, str]:
        """The URL of a share and its RFC 3339 expiry."""
        config, mount = self._invocation.config, target.mount
        if mount.max_share is None:
            raise NotLinkable("mount_changed")
        if mount.check:
            head_object(target, {}, self._invocation)
        path = check_path(target.path)
        if config.public_url is None:
            raise Problem("public_url_required")
        keys = current.current_keys(self._invocation)
        if not keys.share:
            raise Problem("no_share_key")
        expires_at = int(self._invocation.now) + min(notice.expires or shares.DEFAULT_EXPIRES, mount.max_share)
        share = shares.Share(expires_at, "GET", False, None, notice.download, shares.owner_tag(shares.NOTICES))
        token = shares.sign(share, target, keys.share)
        return f"{config.public_url}{quote(path, safe='/')}?share={token}", rfc3339(expires_at)
