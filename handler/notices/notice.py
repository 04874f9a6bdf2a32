"""The core of notices: from the items of an event to links or shares, and to those who are told of them.

Each notice has an id of its own for each sink. It is claimed before it is sent and marked after, so that an event that
comes ten times, or to two instances at once, is told once, and what failed is told again without the rest.
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
from .sinks import Told
from .sources import Created, Wanted

DEFAULT_SHARE = 7 * 86_400  # seconds


class Notice(NamedTuple):
    """What a rule makes of an item. `mark` tells this version of the object, or this message, from others.

    `expires` and `download` are what a message asked for; `happened_at` is in Unix seconds.
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
        """What people know it by: the key without what the mount's target begins with."""
        return self.key[len(self.rule.mount.target.key) :]

    def id(self, sink: str) -> str:
        """The notice's id for one sink: the same for the same object, version, rule and sink, whenever."""
        facts = [self.bucket, self.key, self.mark, rule_id(self.rule), sink]
        return sha256(json.dumps(facts).encode()).hexdigest()[:32]

    def entry(self) -> dict[str, Any]:
        """The notice as it waits for a digest; the rule is the stream's."""
        return {name: value for name, value in self._asdict().items() if name != "rule"}


def rule_id(rule: NoticeRule) -> str:
    """What a rule is known by: all that it says but to whom."""
    facts = [rule.on, rule.mount.path, str(rule.mount.target), rule.give, rule.expires, rule.every]
    return sha256(json.dumps(facts).encode()).hexdigest()[:16]


def matches(policy: Config, item: Created | Wanted) -> Iterator[Notice]:
    """The notices that an item makes, one for each rule whose mount covers it. Raises a 400 `Problem`.

    What lies in a place of the service's own makes none, whatever the mounts.
    """
    if isinstance(item, Created):
        for rule in policy.notices:
            target = rule.mount.target
            if rule.on != "created" or item.bucket != target.bucket or not item.key.startswith(target.key):
                continue
            path = rule.mount.path + item.key[len(target.key) :]
            # Where a longer mount takes the path, this one does not cover the object.
            if item.key != target.key and policy.mount(path) == rule.mount:
                yield Notice(rule, item.bucket, item.key, path, item.mark, item.size, item.happened_at)
        return
    if item.expires is not None:
        links.read_expires(item.expires)
    if item.download:
        links.attachment(item.download, item.path)
    mount = policy.mount(item.path)
    for rule in policy.notices:
        if rule.on == item.on and rule.mount == mount and item.path != mount.path:
            bucket, key = mount.target.bucket, mount.target.key + item.path[len(mount.path) :]
            if not policy.is_reserved(bucket, key):
                yield Notice(
                    rule, bucket, key, item.path, item.origin, None, item.happened_at, item.expires, item.download
                )


class Giver:
    """Makes the link or share of each notice once, with the credentials and keys of one invocation.

    `unlinkable` are the notices whose object has a key that no link can carry, or is not there.
    """

    def __init__(self, invocation: Invocation) -> None:
        self._invocation = invocation
        self._given: dict[str, tuple[str, str]] = {}
        self.unlinkable: set[str] = set()

    @property
    def count(self) -> int:
        """How many links and shares were made."""
        return len(self._given)

    def told(self, notice: Notice, notice_id: str) -> Told | None:
        """The notice with its link, None for an object that cannot be linked. Raises a 503 `Problem`."""
        which = notice.id("")
        if which not in self._given:
            try:
                self._given[which] = self._share(notice) if notice.rule.give == "share" else self._link(notice)
            except Problem as problem:
                if problem.status >= 500:
                    raise
                self.unlinkable.add(which)
                return None
        url, expires_at = self._given[which]
        happened_at = notice.happened_at
        return Told(
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
            happened_at=rfc3339(happened_at) if happened_at is not None else None,
            url=url,
            expires_at=expires_at,
        )

    def _link(self, notice: Notice) -> tuple[str, str]:
        policy, context, now, *_ = self._invocation
        rule = notice.rule
        query = {}
        if notice.download is not None:
            query["response-content-disposition"] = links.attachment(notice.download, notice.key)
        if rule.mount.check and rule.on != "created":
            head_object(rule.mount, notice.key, query, self._invocation)
        asked = notice.expires or (f"{rule.expires}s" if rule.expires else None)
        given = links.create_link(
            policy,
            rule.mount,
            notice.key,
            "GET",
            credentials_for(context),
            now,
            expires=asked,
            query=query,
            limits=(ExpiryLimit("mount", rule.expires),) if rule.expires else (),
        )
        return given.link.url, rfc3339(given.link.expires_at.timestamp())

    def _share(self, notice: Notice) -> tuple[str, str]:
        from ..paths import check_path

        policy, now = self._invocation.config, self._invocation.now
        rule = notice.rule
        most = rule.mount.max_share or 0
        longest = rule.expires or most
        asked = links.read_expires(notice.expires) if notice.expires else rule.expires or DEFAULT_SHARE
        path = check_path(notice.path)
        if policy.public_url is None:
            raise Problem("public_url_required")
        keys = cache.current_keys(self._invocation)
        if not keys.share:
            raise Problem("no_share_key")
        ends_at = int(now) + min(asked, longest, most)
        share = shares.Share(ends_at, "GET", False, None, notice.download, shares.owner_tag(shares.NOTICES))
        token = shares.sign(share, rule.mount, path, keys.share)
        return f"{policy.public_url}{quote(path, safe='/')}?share={token}", rfc3339(ends_at)
