"""The uses of a limited share: claims in the state prefix, `uses/{id}/{number}`.

A download takes the next number up to the limit, for good. A file of an upload share takes the next number, without
an end; what counts are the files that arrived, and the claims for which one can still arrive.

A file that is sent in parts is recorded in `uses/{id}/uploads/{number}`, whose content is empty once its multipart
upload was aborted. Its claim is written again for further links, so that it lasts as long as that upload. Whether
it was whole or aborted in the end is in `uses/{id}/ended/{number}`: who writes that first decides. It holds after the
file was moved, too.

One list shows all that matters, so a request costs the same whatever the limit. Which claim is a caller's own is in
its ETag, the MD5 of the content (OSS page "PutObject"). In encrypted buckets it may be something else: there, only the
newest claim can be known as the caller's own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from hashlib import md5
from itertools import islice
from math import inf
from typing import NamedTuple, cast

from signer.common.listing import PAGE

from ..cloud.concurrency import map_concurrently
from ..cloud.oss import mount_client
from ..cloud.store import Store, StoredObject
from ..config import Location, Target
from ..context import Invocation
from ..errors import Problem
from . import record as records
from .record import Record

REUSE = 600.0  # seconds in which the same page may send its form again without another use
FORMS = 1500.0  # seconds in which all forms for one claim expire
MIN_FORM = 60.0  # seconds; a claim with less left is not used again
# Seconds that a claim counts without its file: longer than its forms, for an upload that began in time.
HELD = 1800.0

# Numbers beyond are written so that the newest come first in a list, which therefore never requires a second page.
_PLAIN = 100
_DESCENDING = 10**9
_NUMBER = re.compile(r"-?[1-9][0-9]{0,8}")
_FILE = re.compile(r"([1-9][0-9]{0,8})-")

_WHOLE = b"whole"
_ABORTED = b""

# What is called while a number is claimed, with it and with what is left then.
Notify = Callable[[int, int], None] | None


class Claim(NamedTuple):
    """A claimed number; `age` in seconds by the clock of OSS."""

    number: int
    etag: str
    age: float


def used(state: Store, record_id: str) -> list[float]:
    """The downloads that are claimed: the seconds since each, by the clock of OSS."""
    return [claim.age for claim in _claims(state, record_id)]


def count(state: Store, record: Record, invocation: Invocation) -> tuple[int | None, float | None]:
    """The downloads, or the files that arrived, and the seconds since the last one; None where there was none.

    Both are None without a limit, and where the target of the path changed.
    """
    if record.uses is None:
        return None, None
    ages: Collection[float]
    if record.upload is None:
        ages = used(state, record.id)
    else:
        target = invocation.config.mounts.get(record.path)
        if target is None or not record.is_of(target.mount):
            return None, None
        ages = arrived(Folder.of(state, invocation, target, record.id)).values()
    return len(ages), min(ages, default=None)


def allowed(state: Store, record: Record, number: int) -> int:
    """How many downloads a limited share allows.

    Only where `number` is beyond those of its record, it is looked up whether they were raised.
    """
    uses = record.uses or 0
    return uses if number <= uses else records.load_uses(state, record)


def left(state: Store, record: Record, used_up: str = "") -> int:
    """The remaining downloads of a limited share. Raises the 410 `share_used_up`, with the sentence `used_up`."""
    claimed = len(used(state, record.id))
    remaining = allowed(state, record, claimed + 1) - claimed
    if remaining <= 0:
        raise Problem("share_used_up", used_up)
    return remaining


def claim_use(state: Store, record: Record, nonce: str, now: float, notify: Notify = None) -> int:
    """The number of the download that `nonce` claims now or claimed in the last ten minutes.

    Calls `notify` while it claims it.
    Raises the 410 `share_used_up` if other nonces hold all of them, and a 503 if the state is unavailable.
    """
    state.probe(now)
    body = nonce.encode()
    lost: set[int] = set()
    while True:
        claims = _claims(state, record.id)
        own = _own(state, record.id, [claim for claim in claims if claim.age <= REUSE], body)
        if own is not None:
            if notify is not None:
                notify(own.number, allowed(state, record, own.number) - own.number)
            return own.number
        taken = lost | {claim.number for claim in claims}
        free = next(number for number in range(1, len(taken) + 2) if number not in taken)
        remaining = allowed(state, record, free) - free
        if remaining < 0:
            raise Problem("share_used_up")
        if _claim(state, record.id, free, body, notify, remaining).body == body:
            return free
        lost.add(free)


def folder_of(target: Target, record_id: str) -> Location:
    """Where the files of an upload share are that is of this target."""
    return Location(target.location.bucket, f"{target.key}{record_id}/")


class Folder(NamedTuple):
    """The folder of an upload share in the target of its mount, and what lists it: with the rights of the mount."""

    state: Store
    location: Location

    @classmethod
    def of(cls, state: Store, invocation: Invocation, target: Target, record_id: str) -> Folder:
        client = mount_client(invocation, target.mount)
        return cls(state._replace(client=client), folder_of(target, record_id))


def arrived(folder: Folder) -> dict[int, float]:
    """The numbers of the files in the folder of an upload share, with their ages in seconds by the clock of OSS."""
    # The first is "1-", and letters follow the last: one page has them all, unless others also begin with 1 to 9.
    files = islice(folder.state.list_objects(folder.location, after="1"), PAGE)
    matches = ((_FILE.match(file.name), file.age) for file in files)
    return {int(match[1]): age for match, age in matches if match}


class Place(NamedTuple):
    """A claimed number, the seconds for its form, and whether the file, or each of its parts, arrived."""

    number: int
    seconds: int
    is_whole: bool = False


class Places(NamedTuple):
    """The places for files of an upload share, and what they are counted by."""

    state: Store
    record_id: str
    folder: Folder
    files: int
    notify: Notify = None

    def left(self) -> int:
        claims = _claims(self.state, self.record_id)
        return max(0, self.files - _count(claims, arrived(self.folder)))

    def claim(
        self, identity: str, now: float, *, again: bool = False, lapsed: bool = False
    ) -> Place:
        """The next number for a file, or with `again` the one that `identity` holds.

        With `lapsed` also one that no longer counts, which `renew` must follow. Raises the 410 `share_full` if as many
        files arrived or can still arrive, and a 503 if the state is unavailable. Calls `notify` while it claims it.
        """
        self.state.probe(now)
        body = identity.encode()
        lost = 0
        while True:
            # In this order, a claim whose file arrives meanwhile counts. One that is made meanwhile takes the number.
            claims = _claims(self.state, self.record_id)
            present = arrived(self.folder)
            newest = max((claim.number for claim in claims), default=0)
            # OSS refuses a second file for the number of one that arrived, so that its sender is notified.
            usable = [
                each
                for each in claims
                if lapsed or each.number in present or FORMS - each.age >= MIN_FORM
            ]
            own = _own(self.state, self.record_id, usable, body) if again else None
            left = self.files - _count(claims, present)
            if own is not None:
                if self.notify is not None:
                    self.notify(own.number, max(0, left))
                seconds = int(max(FORMS - own.age, MIN_FORM))
                return Place(own.number, seconds, self.is_whole(own.number, present))
            if left <= 0:
                raise Problem("share_full")
            number = max(newest, lost) + 1
            claimed = _claim(self.state, self.record_id, number, body, self.notify, left - 1)
            if claimed.body == body:
                return Place(number, int(FORMS - claimed.age))
            lost = number

    def renew(self, number: int, identity: str, now: float) -> bool:
        """Lets a claim count from now on, as if it had just been made. Raises as `claim`.

        Returns whether its file arrived: then it counts without a claim.
        """
        ages = {claim.number: claim.age for claim in _claims(self.state, self.record_id)}
        if number in arrived(self.folder):
            return True
        stand_in = 0
        # One that may have lapsed requires a place, which another claim takes: so no two get the last one.
        if ages.get(number, HELD) > HELD - MIN_FORM:
            places = self._replace(notify=None)
            stand_in = places.claim(_stand_in(number), now).number
        self.state.replace(
            _name(self.record_id, number), identity.encode(), issued_at=self.state.now()
        )
        if stand_in:  # where its ETag does not tell for whom it stands
            self.state.replace(_name(self.record_id, stand_in), b"")
        return False

    def end(self, number: int, *, is_whole: bool) -> bool:
        """Decides whether the file of a number is whole or aborted, unless it is decided. Returns whether it is so."""
        end = _WHOLE if is_whole else _ABORTED
        return self.state.create(_end_name(self.record_id, number), end).body == end

    def is_whole(self, number: int, present: Collection[int] | None = None) -> bool:
        """Whether the file of a number arrived, or all of its parts did, also where it was moved since."""
        if number in (arrived(self.folder) if present is None else present):
            self.end(number, is_whole=True)
            return True
        end = self.state.read(_end_name(self.record_id, number))
        return end is not None and end.body == _WHOLE

    def file(self, number: int) -> File | None:
        """What is recorded of the file of a number, None if it is not sent in parts."""
        stored = self.state.read(_file_name(self.record_id, number))
        return None if stored is None else _read_file(stored.body)

    def record_file(self, number: int, file: File) -> File:
        """Records the file of a number, unless it has one, and returns the one that it has."""
        name = _file_name(self.record_id, number)
        return _read_file(self.state.create(name, json.dumps(file).encode()).body)

    def record_abort(self, number: int) -> None:
        """The multipart upload of the file of a number was aborted."""
        self.state.replace(_file_name(self.record_id, number), b"")

    def surplus(self) -> list[int]:
        """The oldest files whose claims lapsed: their multipart uploads must be aborted, `files` may be unfinished."""
        recorded = self._numbers(_file_name(self.record_id))
        claims = _claims(self.state, self.record_id)
        present = arrived(self.folder)
        counted = {claim.number for claim in claims if claim.age <= HELD} | present.keys()
        lapsed = sorted(recorded - self._numbers(_end_name(self.record_id)) - counted)
        return lapsed[: max(0, len(lapsed) + _count(claims, present) - self.files)]

    def _numbers(self, folder: str) -> set[int]:
        """The numbers in a folder whose content is not empty."""
        listed = islice(self.state.list_folder(folder), PAGE)
        return {_number(each.name) for each in listed if each.size}


class File(NamedTuple):
    """A file of an upload share: the `identity` of its claim, its size in bytes, and OSS's id of its multipart upload.

    Without one, and once it was aborted, that is "".
    """

    identity: str
    name: str
    size: int
    content_type: str
    oss_id: str = ""


def _read_file(body: bytes) -> File:
    return File(*json.loads(body)) if body else File("", "", 0, "")


def _file_name(record_id: str, number: int | None = None) -> str:
    return f"uses/{record_id}/uploads/{'' if number is None else _numeral(number)}"


def _end_name(record_id: str, number: int | None = None) -> str:
    return f"uses/{record_id}/ended/{'' if number is None else _numeral(number)}"


def _stand_in(number: int) -> str:
    """The identity of a claim that holds a place until that of a number counts again."""
    return f"stand-in for {number}"


def _claim(
    state: Store, record_id: str, number: int, body: bytes, notify: Notify, left: int
) -> StoredObject:
    """The claim of a number that exists then: with `body` if it is ours."""
    create = partial(state.create, _name(record_id, number), body)
    if notify is None:
        return create()
    calls: tuple[Callable[[], StoredObject | None], ...] = (create, partial(notify, number, left))
    try:
        return cast("StoredObject", map_concurrently(lambda call: call(), calls)[0])
    except RuntimeError:  # no further thread can be started, for which no use may fail
        claimed = create()
        notify(number, left)
        return claimed


def _count(claims: Sequence[Claim], present: Mapping[int, float]) -> int:
    """The files that arrived, and those that can still arrive: each once, also while another claim stands in for it."""
    alive = [claim for claim in claims if claim.age <= HELD]
    counted = {claim.number for claim in alive} | present.keys()
    stand_ins = {_etag(_stand_in(number).encode()) for number in counted}
    arriving = {claim.number for claim in alive if claim.etag not in stand_ins}
    return len(arriving | present.keys())


def _etag(body: bytes) -> str:
    return md5(body, usedforsecurity=False).hexdigest()


def _own(state: Store, record_id: str, claims: Sequence[Claim], body: bytes) -> Claim | None:
    """The newest of these claims with this content, which is claimed again."""
    etag = _etag(body)
    is_read = False
    own = max((claim for claim in claims if claim.etag == etag), default=None)
    if own is None and claims:
        # Only one is read, so that any number of them costs the same.
        newest = max(claims)
        stored = state.read(_name(record_id, newest.number))
        is_read = stored is not None and stored.body == body
        own = newest if is_read else None
    # Only a claim notices that versioning was enabled meanwhile.
    if (
        own is None
        or state.create(_name(record_id, own.number), body, is_known=is_read).body != body
    ):
        return None
    return own


def _claims(state: Store, record_id: str) -> list[Claim]:
    """The claims of a share: all of them, or the newest 900 at least. An empty one was given back: it lapsed."""
    claims = []
    for stored in islice(state.list_folder(f"uses/{record_id}/"), PAGE):
        if _NUMBER.fullmatch(stored.name):
            age = stored.age if stored.size else inf
            claims.append(Claim(_number(stored.name), stored.etag, age))
    return claims


def _name(record_id: str, number: int) -> str:
    return f"uses/{record_id}/{_numeral(number)}"


def _numeral(number: int) -> str:
    return str(number if number <= _PLAIN else number - _DESCENDING)


def _number(numeral: str) -> int:
    return int(numeral) if int(numeral) > 0 else int(numeral) + _DESCENDING
