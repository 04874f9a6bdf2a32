"""Notices: what rules make of an event's items, and the links or shares that they carry.

A notice has an id for each sink. It is claimed under this id before it is sent and marked afterwards, so that an event
that is delivered ten times, or to two instances at once, is notified once, and a failed sink is retried alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import quote

from signer.times import rfc3339

from .. import links, shares
from ..config import Config, NoticeRule
from ..context import ExpiryLimit, Invocation
from ..credentials import credentials_for
from ..errors import Problem
from ..keys import cache
from ..oss import head_object
from ..paths import check_path
from .sinks import Notification
from .sources import CreatedObject, RequestedLink

DEFAULT_SHARE = 7 * 86_400  # seconds


class Notice(NamedTuple):
    """What a rule makes of an item. `mark` identifies the version of the object, or the message.

    `expires` and `download` are what a message requests; `happened_at` is in Unix seconds.
    """

    rule: NoticeRule
    bucket: str
    key: str
    path: str
    mark: str
    size: int | None
    happened_at: float | None
    expires: str | None = None
    download: str | None = None

    @property
    def name(self) -> str:
        """The key without the prefix that the mount stands for."""
        return self.key[len(self.rule.mount.target.key) :]

    def id(self, sink: str) -> str:
        """The same whenever object, version, rule and sink are the same."""
        facts = [self.bucket, self.key, self.mark, rule_id(self.rule), sink]
        return sha256(json.dumps(facts).encode()).hexdigest()[:32]

    def entry(self) -> dict[str, Any]:
        """The notice as it waits for a digest, whose stream implies the rule."""
        return {name: value for name, value in self._asdict().items() if name != "rule"}


def rule_id(rule: NoticeRule) -> str:
    """Identifies a rule by everything but its sinks."""
    facts = [rule.on, rule.mount.path, str(rule.mount.target), rule.give, rule.expires, rule.every]
    return sha256(json.dumps(facts).encode()).hexdigest()[:16]


def matching_notices(config: Config, item: CreatedObject | RequestedLink) -> Iterator[Notice]:
    """One notice for each rule whose mount covers the item, none for an object of the service itself.

    Raises the 400 `bad_expires` or `bad_download` of a message.
    """
    if isinstance(item, CreatedObject):
        for rule in config.notices:
            target = rule.mount.target
            if rule.on != "created" or item.bucket != target.bucket or not item.key.startswith(target.key):
                continue
            path = rule.mount.path + item.key[len(target.key) :]
            # Another mount with a longer path may cover the object's path.
            if item.key != target.key and config.mount(path) == rule.mount:
                yield Notice(rule, item.bucket, item.key, path, item.mark, item.size, item.happened_at)
        return
    if item.expires is not None:
        links.read_expires(item.expires)
    if item.download:
        links.attachment(item.download, item.path)
    mount = config.mount(item.path)
    for rule in config.notices:
        if rule.on == item.on and rule.mount == mount and item.path != mount.path:
            bucket, key = mount.target.bucket, mount.target.key + item.path[len(mount.path) :]
            if not config.is_reserved(bucket, key):
                yield Notice(
                    rule, bucket, key, item.path, item.origin, None, item.happened_at, item.expires, item.download
                )


class LinkIssuer:
    """Issues the link or share of each notice once, with the credentials and keys of one invocation.

    `unlinkable` are the ids of notices whose object does not exist, or has a key that no link can carry.
    """

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation
        self._issued: dict[str, tuple[str, str]] = {}
        self.unlinkable: set[str] = set()

    @property
    def count(self) -> int:
        """How many links and shares were issued."""
        return len(self._issued)

    def notification(self, notice: Notice, notice_id: str) -> Notification | None:
        """The notice with its link, None for an unlinkable object. Raises a 5xx `Problem`."""
        link_id = notice.id("")
        if link_id not in self._issued:
            try:
                self._issued[link_id] = self._share(notice) if notice.rule.give == "share" else self._link(notice)
            except Problem as problem:
                if problem.status >= 500:
                    raise
                self.unlinkable.add(link_id)
                return None
        url, expires_at = self._issued[link_id]
        return Notification(
            id=notice_id,
            on=notice.rule.on,
            give=notice.rule.give,
            mount=notice.rule.mount.path,
            path=notice.path,
            bucket=notice.bucket,
            key=notice.key,
            name=notice.name,
            size=notice.size,
            mark=notice.mark,
            happened_at=rfc3339(notice.happened_at) if notice.happened_at is not None else None,
            url=url,
            expires_at=expires_at,
        )

    def _link(self, notice: Notice) -> tuple[str, str]:
        """A presigned URL and its RFC 3339 expiry."""
        config, context, now, *_ = self._invocation
        rule = notice.rule
        query = links.read_query(rule.mount, notice.key, {}, notice.download)
        if rule.mount.check and rule.on != "created":
            head_object(rule.mount, notice.key, query, self._invocation)
        issued = links.create_link(
            config,
            rule.mount,
            notice.key,
            "GET",
            credentials_for(context),
            now,
            expires=notice.expires or (f"{rule.expires}s" if rule.expires else None),
            query=query,
            limits=(ExpiryLimit("mount", rule.expires),) if rule.expires else (),
        )
        return issued.link.url, rfc3339(issued.link.expires_at.timestamp())

    def _share(self, notice: Notice) -> tuple[str, str]:
        """The URL of a share and its RFC 3339 expiry."""
        config, rule = self._invocation.config, notice.rule
        max_share = rule.mount.max_share or 0
        requested = links.read_expires(notice.expires) if notice.expires else rule.expires or DEFAULT_SHARE
        path = check_path(notice.path)
        if config.public_url is None:
            raise Problem("public_url_required")
        keys = cache.current_keys(self._invocation)
        if not keys.share:
            raise Problem("no_share_key")
        ends_at = int(self._invocation.now) + min(requested, rule.expires or max_share, max_share)
        share = shares.Share(ends_at, "GET", False, None, notice.download, shares.owner_tag(shares.NOTICES))
        token = shares.sign(share, rule.mount, path, keys.share)
        return f"{config.public_url}{quote(path, safe='/')}?share={token}", rfc3339(ends_at)
