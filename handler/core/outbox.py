"""Notices that wait, below `outbox/` in the state prefix: what an entry there is, and how it is named and written.

`outbox/{sink}/{due}-{position}-{id}` waits until `due` (Unix seconds); `position` is that in its event, so that names
sort in the order of events. What failed by itself waits by itself, as `{due}-{position}-{id}-{since}-{tries}`, a letter
and a number: `since` is when it was due or written first, `tries` how often it failed, and the number how often in a
row for the reason that the letter says. With another ending, of another version, it counts as never failed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from threading import BoundedSemaphore
from typing import NamedTuple, get_args, get_type_hints

from signer import InvalidKey
from signer.names import check_key
from signer.times import rfc3339

from .cloud.concurrency import map_concurrently
from .cloud.http_client import within
from .cloud.oss import NO_ANSWER, PAGE_TIMEOUT
from .cloud.store import Store
from .config import USES
from .errors import HandlerError
from .shares.opening import OpenedShare
from .shares.uses import REUSE

WAITING = "outbox"
OPENED = "opened/"  # of each share, a claim whose age says when it was used first
MAX_BYTES = 16 * 1024  # of a notice; its key and file name are far smaller
# Of uses at the same time: each may hold some twenty threads of an instance, which has 1,024.
MAX_WRITERS = 8

# Why a delivery failed: its mount gives no links, its object has none, its content was refused, its sink failed.
NO_LINK = "l"
OBJECT = "o"
REFUSED = "r"
SINK = "s"

_FAILED = r"-([0-9]{10})-([0-9]{1,9})([lors])([0-9]{1,9})"
_NAME = re.compile(rf"([0-9]{{10}})-([0-9]+)-([0-9a-f]{{32}})(?:{_FAILED}|-.*)?")


class Notice(NamedTuple):
    """What a rule matched: an object and what to give, by the path of its mount.

    `mark` tells versions of the object apart, messages, or uses; `version` is None without versioning. `expires` is in
    seconds, None for the mount's default; `happened_at` in Unix seconds. With `digest`, it waits for others.
    Of a use, which gives nothing, `share` is the share's id, with its path, title, owner and what it left of uses. Of a
    new file, `title` is that of its upload share.
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
    share: str = ""
    path: str = ""
    title: str | None = None
    owner: str = ""
    uses_left: int | None = None

    def id(self, sink: str) -> str:
        """The same whenever object and version (or message), rule and sink are the same.

        Of a rule, `every` and `expires` may change: what was sent is not sent again.
        """
        identity = [self.bucket, self.key, self.mark, self.on, self.mount, self.give, sink]
        return sha256(json.dumps(identity).encode()).hexdigest()[:32]

    def body(self) -> bytes:
        """The notice as it waits in the outbox."""
        return json.dumps(self._asdict()).encode()


class Link(NamedTuple):
    """The link or share of a notice: its path here, its URL, and the end in RFC 3339 (UTC)."""

    path: str
    url: str
    expires_at: str


UNREAD = Notice(on="", mount="", bucket="", key="", mark="", give="")
UNLINKED = Link("", "", "")


class Delivery(NamedTuple):
    """A notice on its way to one sink: an object of the outbox of `size` bytes. Times are in Unix seconds.

    It is due at `due`, has waited since `since`, and failed by itself `tries` times, the last `in_a_row` of them for
    the reason `failed`, "" where it never did. One whose name cannot be read has no `id`, and is due at once. `notice`
    is `UNREAD` until it is read, and where that fails.
    """

    sink: str
    name: str
    due: int = 0
    position: str = ""
    id: str = ""
    since: float = 0.0
    tries: int = 0
    failed: str = ""
    in_a_row: int = 0
    size: int = 0
    notice: Notice = UNREAD
    link: Link = UNLINKED

    @property
    def path(self) -> str:
        """Its place below each folder."""
        return f"{self.sink}/{self.name}"


_TYPES = {name: get_args(hint) or (hint,) for name, hint in get_type_hints(Notice).items()}


def read_delivery(sink: str, name: str, written: float, size: int = 0) -> Delivery:
    """The delivery whose entry of this name was written at a time of OSS (Unix seconds), not read yet."""
    match = _NAME.fullmatch(name)
    if match is None:
        return Delivery(sink, name, since=written, size=size)
    due, position, notice_id, since, tries, failed, in_a_row = match.groups()
    first = float(since or max(int(due), written))
    return Delivery(
        sink=sink,
        name=name,
        due=int(due),
        position=position,
        id=notice_id,
        since=first,
        tries=int(tries or 0),
        failed=failed or "",
        in_a_row=int(in_a_row or 0),
        size=size,
    )


def new_delivery(sink: str, due: float, position: int, notice: Notice, now: float) -> Delivery:
    return read_delivery(sink, f"{int(due):010}-{position:06}-{notice.id(sink)}", now)._replace(
        notice=notice
    )


def write(state: Store, delivery: Delivery) -> None:
    """Writes the entry of a new delivery. Raises `StoreError`."""
    state.replace(f"{WAITING}/{delivery.path}", delivery.notice.body())


class UseWriters:
    """The places of those that write uses in an instance, also of those for which nobody waits any more."""

    def __init__(self) -> None:
        self.free = BoundedSemaphore(MAX_WRITERS)


def use_writer(
    opened: OpenedShare, events: Sequence[str] = USES
) -> Callable[[int | str, int | None], None] | None:
    """Writes what notices say of a use of the share: its number, or a nonce where it has none, and the uses left.

    None where no notice does. Nobody waits longer than `PAGE_TIMEOUT` for it, and no use fails for it.
    """
    fields = opened.invocation.audit_fields
    free = opened.invocation.instance.memory(UseWriters).free

    def write_use(use: int | str, uses_left: int | None) -> None:
        # Where another one took the number meanwhile, nobody waits twice.
        if fields.get("code"):
            return
        try:
            within(PAGE_TIMEOUT, lambda _: write_both(use, uses_left))
        # RuntimeError: no further thread can be started.
        except (HandlerError, TimeoutError, RuntimeError) as error:
            fields.update(code="notice_not_written", cause=str(error) or NO_ANSWER)

    def write_both(use: int | str, uses_left: int | None) -> None:
        if not free.acquire(blocking=False):
            raise HandlerError(f"{MAX_WRITERS} uses are being written already.")
        try:
            map_concurrently(lambda on: _write_use(opened, on, use, uses_left), events)
        finally:
            free.release()

    return write_use if opened.invocation.config.use_notices(opened.record.mount) else None


def _write_use(opened: OpenedShare, on: str, use: int | str, uses_left: int | None) -> None:
    """The entries first, then the claim: after a crash between the two, the next use writes the same entries again."""
    state = opened.state
    record = opened.record
    mounts = opened.invocation.config.mounts
    now = opened.state.now()
    if on == "opened" and use != 1 and state.read(OPENED + record.id) is not None:
        return
    number = use
    if isinstance(use, str):
        number = sha256(f"{use}/{int(now // REUSE)}".encode()).hexdigest()[:32]
    location = mounts.find(record.path, prefix=True).location
    notice = Notice(
        on=on,
        mount=record.mount,
        bucket=location.bucket,
        key=location.key,
        mark=record.id if on == "opened" else f"{record.id}/{number}",
        give="",
        happened_at=now,
        share=record.id,
        path=record.path,
        title=record.words.title,
        owner=record.owner,
    )
    writes: list[tuple[str, bytes]] = []
    for rule in opened.invocation.config.use_notices(record.mount):
        if rule.on == on:
            # `opened` has the same name at each try, a second entry of a use is known by its id.
            due = record.created_at if on == "opened" else now
            if rule.every is not None:
                due = (now // rule.every + 1) * rule.every
            matched = notice._replace(digest=rule.every is not None, uses_left=uses_left)
            entries = [new_delivery(sink, due, 0, matched, now) for sink in rule.to]
            writes += [(f"{WAITING}/{each.path}", matched.body()) for each in entries]
    # One that exists is as good.
    map_concurrently(lambda write: state.create(*write, is_known=True, attempts=1), writes)
    if on == "opened":
        state.create(OPENED + record.id, b"", is_known=True, attempts=1)


def read_notice(body: bytes) -> Notice:
    """The notice in an entry of the outbox, `UNREAD` if it cannot be read. Unknown members are ignored."""
    try:
        document = json.loads(body) if len(body) <= MAX_BYTES else None
        members = {name: document[name] for name in Notice._fields if name in document}  # type: ignore[index,operator]
        notice = Notice(**members)
        rfc3339(notice.happened_at or 0)
    except (ValueError, TypeError, RecursionError, OverflowError, OSError):
        return UNREAD
    gives = ("",) if notice.on in USES else ("link", "share")
    is_valid = notice.give in gives and all(
        type(getattr(notice, name)) in _TYPES[name] for name in _TYPES
    )
    return notice if is_valid else UNREAD


def is_key(name: str) -> bool:
    """Whether a request can name the object; what others put there is left alone where none can."""
    with suppress(InvalidKey):
        check_key(name)
        return True
    return False
