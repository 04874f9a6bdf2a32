"""OSS as a sink: one object an invocation, whose name is made of what it tells, so that the object is the claim.

`{target}{yyyy}/{mm}/{dd}/{hash of the notice ids}.jsonl`, a notice a line. The day is that of the event: the same
event has the same name, whenever it comes again.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from hashlib import sha256

from ...config import Location, OssSink
from ...oss import OssClient, OssUnavailable
from .delivery import Failed
from .message import Told

TRIES = 3


def place_of(sink: OssSink, ids: Iterable[str], moment: float) -> Location:
    """Where the notices of these ids are written, for an event of `moment` (Unix seconds)."""
    name = sha256("\n".join(sorted(ids)).encode()).hexdigest()[:32]
    day = time.strftime("%Y/%m/%d", time.gmtime(moment))
    return Location(sink.target.bucket, f"{sink.target.key}{day}/{name}.jsonl")


def write(store: OssClient, place: Location, tolds: Iterable[Told]) -> bool:
    """Writes the notices; False where they are there already. Raises `Failed`.

    After an answer that was lost, the object says whether it came: the name holds only what is in it.
    """
    body = b"".join(json.dumps(told.document()).encode() + b"\n" for told in tolds)
    code = "oss_unavailable"
    for _ in range(TRIES):
        try:
            reply = store.put(place, body, content_type="application/x-ndjson", forbid_overwrite=True)
        except OssUnavailable:
            if _is_there(store, place):
                return True
            continue
        if reply.ok:
            return True
        if reply.code == "FileAlreadyExists":
            return False
        code = reply.code or f"status_{reply.status}"
        if reply.status < 500 and reply.status not in (408, 409, 429):
            break
    raise Failed(code)


def is_written(store: OssClient, place: Location) -> bool:
    """Whether the notices are there. Raises `Failed`."""
    try:
        return store.head(place).status == 200
    except OssUnavailable:
        raise Failed("oss_unavailable") from None


def _is_there(store: OssClient, place: Location) -> bool:
    try:
        return is_written(store, place)
    except Failed:
        return False
