"""Notices of files that arrived have the title of the upload share to which they were sent.

Its id is in the key, which whoever may put objects there chooses: a title says what a key looks like, not who sent it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial

from ..core.cloud.concurrency import map_concurrently
from ..core.cloud.oss import in_time
from ..core.config import Config, Location, NoticeRule
from ..core.config.rights import reads_titles
from ..core.errors import HandlerError
from ..core.outbox import MAX_BYTES, Notice
from ..core.shares import record as records
from ..core.shares.opening import unavailable
from ..core.shares.record import Record
from ..core.shares.uses import folder_of
from .sending import Sending

MAX_SHARES = 50  # whose records one event reads, each in `PAGE_TIMEOUT` at most

_FILE = re.compile(r"(?:.*/)?([A-Za-z0-9_-]{12})/[1-9][0-9]{0,8}-[^/]*", re.DOTALL)


def with_titles(
    sending: Sending, matches: Sequence[tuple[NoticeRule, Notice]]
) -> list[tuple[NoticeRule, Notice]]:
    """The notices, those of files of upload shares with a title, if one GET for each share can read its record."""
    config = sending.invocation.config
    ids = {_share_id(notice) for _, notice in matches} if reads_titles(config) else set()
    names = sorted(ids - {""})[:MAX_SHARES]
    shares = dict(zip(names, map_concurrently(partial(_read, sending), names), strict=True))
    return [
        (rule, _titled(notice, shares.get(_share_id(notice)), config)) for rule, notice in matches
    ]


def _share_id(notice: Notice) -> str:
    """The id in the key of a file, "" where it has none."""
    match = _FILE.fullmatch(notice.key) if notice.on == "created" else None
    return "" if match is None else match[1]


def _read(sending: Sending, share_id: str) -> Record | None:
    """The record of a share; None also where it cannot be read, for which no notice waits."""
    try:
        return in_time(lambda: records.load(sending.state, share_id), unavailable)
    except HandlerError:
        return None


def _titled(notice: Notice, record: Record | None, config: Config) -> Notice:
    if record is None or record.upload is None or record.words.title is None:
        return notice
    target = config.mounts.get(record.path)
    if target is None or not record.is_of(target.mount):
        return notice
    titled = notice._replace(title=record.words.title)
    place = Location(notice.bucket, notice.key)
    is_of_share = folder_of(target, record.id).contains(place)
    return titled if is_of_share and len(titled.body()) <= MAX_BYTES else notice
