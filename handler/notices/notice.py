"""Notices: what the rules of links.toml make of an event's items. A notice says what was matched and what to give."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from hashlib import sha256
from typing import NamedTuple, get_args, get_type_hints

from signer import InvalidKey
from signer.names import check_key
from signer.times import rfc3339

from ..core import links
from ..core.config import Config, Mount, NoticeRule
from ..core.errors import HandlerError, Problem
from ..core.paths import path_fault
from .sources.items import CreatedObject, RequestedLink

MAX_BYTES = 16 * 1024  # of a notice; its key and file name are far smaller


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
    happened_at: float | int | None = None
    expires: int | None = None
    download: str | None = None
    digest: bool = False

    def id(self, sink: str) -> str:
        """The same whenever object and version (or message), rule and sink are the same.

        Of a rule, `every` and `expires` may change: what was sent is not sent again.
        """
        facts = [self.bucket, self.key, self.mark, self.on, self.mount, self.give, sink]
        return sha256(json.dumps(facts).encode()).hexdigest()[:32]

    def body(self) -> bytes:
        """The notice as it waits in the outbox."""
        return json.dumps(self._asdict()).encode()


_TYPES = {name: get_args(hint) or (hint,) for name, hint in get_type_hints(Notice).items()}


def read_notice(body: bytes) -> Notice | None:
    """The notice in an entry of the outbox, None if it cannot be read. Unknown members are ignored."""
    try:
        document = json.loads(body) if len(body) <= MAX_BYTES else None
        members = {name: document[name] for name in Notice._fields if name in document}  # type: ignore[index,operator]
        notice = Notice(**members)
        rfc3339(notice.happened_at or 0)
    except (ValueError, TypeError, RecursionError, OverflowError, OSError):
        return None
    is_valid = notice.give in ("link", "share") and all(type(getattr(notice, name)) in _TYPES[name] for name in _TYPES)
    return notice if is_valid else None


def matching_notices(config: Config, item: CreatedObject | RequestedLink) -> Iterator[tuple[NoticeRule, Notice]]:
    """A notice for each rule whose mount covers the item, none for an object of the service itself.

    Raises the 400 `bad_expires` or `bad_download` and the 409 `download_not_signed` of a message, and `bad_event` for
    an id that is too long.
    """
    rules = config.notices
    if isinstance(item, CreatedObject):
        notice = Notice("created", "", item.bucket, item.key, item.mark, "", item.version, item.size, item.happened_at)
    else:
        requested = links.read_expires(item.expires) if item.expires is not None else None
        if item.download:
            links.attachment(item.download, item.path)
        target = config.mounts.get(item.path)
        if target is None:
            return
        if item.download and target.mount.cdn is not None:
            raise Problem("download_not_signed")
        rules = tuple(rule for rule in rules if rule.mount == target.mount)
        notice = Notice(item.on, "", *target.location, item.origin, "", expires=requested, download=item.download)
        notice = notice._replace(happened_at=item.happened_at)
    for rule in rules:
        if rule.on == notice.on and config.mounts.target_of(rule.mount, notice.bucket, notice.key) is not None:
            expires = min(filter(None, (notice.expires, rule.expires)), default=None)
            matched = notice._replace(
                mount=rule.mount.path, give=rule.give, expires=expires, digest=rule.every is not None
            )
            if len(matched.body()) > MAX_BYTES:
                raise HandlerError("Invalid event: the id of a message or object is too long.", code="bad_event")
            yield rule, matched


def is_linkable(mount: Mount, key: str) -> bool:
    """Whether a link can carry the key at all."""
    return is_key(key) and path_fault(mount.path + key[len(mount.target.key) :]) is None


def is_key(name: str) -> bool:
    """Whether a request can name the object; what others put there is left alone where none can."""
    with suppress(InvalidKey):
        check_key(name)
        return True
    return False
