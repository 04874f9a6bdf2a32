"""What the rules of links.toml make of an event's items."""

from __future__ import annotations

from collections.abc import Iterator

from ..core import links
from ..core.config import Config, NoticeRule
from ..core.errors import HandlerError, Problem
from ..core.outbox import MAX_BYTES, Notice, is_key
from ..core.paths import path_fault
from .sources.items import CreatedObject, RequestedLink


def matching_notices(
    config: Config, item: CreatedObject | RequestedLink
) -> Iterator[tuple[NoticeRule, Notice | None]]:
    """A notice for each rule whose mount covers the item, None where no link can carry its key.

    Raises the 400 `bad_expires` or `bad_download` and the 409 `download_not_signed` of a message, and `bad_event` for
    an id that is too long.
    """
    rules = config.notices
    if isinstance(item, CreatedObject):
        notice = Notice(
            on="created",
            mount="",
            bucket=item.bucket,
            key=item.key,
            mark=item.mark,
            give="",
            version=item.version,
            size=item.size,
            happened_at=item.happened_at,
        )
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
        notice = Notice(
            on=item.on,
            mount="",
            bucket=target.location.bucket,
            key=target.location.key,
            mark=item.origin,
            give="",
            expires=requested,
            download=item.download,
            happened_at=item.happened_at,
        )
    for rule in rules:
        target = (
            config.mounts.target_of(rule.mount, notice.bucket, notice.key)
            if rule.on == notice.on
            else None
        )
        if target is None:
            continue
        expires = min(filter(None, (notice.expires, rule.expires)), default=None)
        matched = notice._replace(
            mount=rule.mount.path, give=rule.give, expires=expires, digest=rule.every is not None
        )
        if len(matched.body()) > MAX_BYTES:
            raise HandlerError(
                "Invalid event: the id of a message or object is too long.", code="bad_event"
            )
        yield rule, matched if is_key(notice.key) and path_fault(target.path) is None else None
