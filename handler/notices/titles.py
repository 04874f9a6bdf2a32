"""Notices of files that arrived have the title of the upload share to which they were sent.

Its id is in the key, which whoever may put objects there chooses: a title says what a key looks like, not who sent it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..core.cloud.concurrency import map_concurrently
from ..core.cloud.oss import in_time
from ..core.config import Location, NoticeRule
from ..core.config.rights import reads_titles
from ..core.errors import HandlerError
from ..core.outbox import MAX_BYTES, Notice
from ..core.shares import record as records
from ..core.shares.opening import opens, unavailable
from ..core.shares.record import Record
from ..core.shares.uses import folder_of
from .sending import Sending

MAX_SHARES = 500  # whose records one event reads

_FILE = re.compile(r"(?:.*/)?([A-Za-z0-9_-]{12})/[1-9][0-9]{0,8}-[^/]*", re.DOTALL)


def with_titles(
    sending: Sending, matches: Sequence[tuple[NoticeRule, Notice]]
) -> list[tuple[NoticeRule, Notice]]:
    """The notices, those of files of upload shares with a title, if one GET for each share can read its record."""
    config = sending.invocation.config
    ids = {_share_id(notice) for _, notice in matches} - {""} if reads_titles(config) else set()
    shares = _read_shares(sending, sorted(ids)[:MAX_SHARES])

    def titled(notice: Notice) -> Notice:
        record = shares.get(_share_id(notice))
        if record is None or record.title is None:
            return notice
        target = config.mounts.get(record.path)
        place = Location(notice.bucket, notice.key)
        if target is None or not opens(record, target):
            return notice
        with_title = notice._replace(title=record.title)
        is_of_share = folder_of(target, record.id).contains(place)
        return with_title if is_of_share and len(with_title.body()) <= MAX_BYTES else notice

    return [(rule, titled(notice)) for rule, notice in matches]


def _share_id(notice: Notice) -> str:
    """The id in the key of a file, "" where it has none."""
    match = _FILE.fullmatch(notice.key) if notice.on == "created" else None
    return "" if match is None else match[1]


def _read_shares(sending: Sending, ids: Sequence[str]) -> Mapping[str, Record | None]:
    """The records of upload shares. After one failed, no other is read: a notice goes without its title."""
    failed: list[HandlerError] = []

    def read(share_id: str) -> Record | None:
        if failed:
            return None
        try:
            record = in_time(lambda: records.load(sending.state, share_id), unavailable())
        except HandlerError as error:
            failed.append(error)
            return None
        return record if record is not None and record.upload is not None else None

    return dict(zip(ids, map_concurrently(read, ids), strict=True))
