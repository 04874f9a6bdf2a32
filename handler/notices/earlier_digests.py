"""Moves the notices that wait in the form of earlier releases into the outbox, once; nothing else knows that form.

`digests/{stream}/entries/{n}` are the notices of an event, numbered without a gap, for one rule and sink.
`digests/{stream}/sent/{k}/{attempt}` begins with `done` if digest k was sent; then `end` is its last entry, otherwise
`sent` the notices of it that were. `last` says where to begin. `moved` is ours: the last entry that was moved.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

from signer.times import parse_duration

from ..config import Config, Location, NoticeRule
from ..oss import map_concurrently
from ..state import State
from .notice import Notice, rule_id
from .outbox import Entry, Outbox, new_entry

_moved: set[Location] = set()  # state prefixes that this process has looked at


def move(outbox: Outbox, config: Config) -> None:
    """Moves what waits, when an instance first asks; the next tick sends it. Raises the 503 `state_unavailable`."""
    if outbox.state.prefix in _moved:
        return
    streams = set(outbox.state.list_folders("digests/"))
    for rule in config.notices:
        for sink in rule.to:
            stream = sha256(json.dumps([rule_id(rule), sink]).encode()).hexdigest()[:24]
            if rule.every is not None and stream in streams:
                _move_stream(outbox, rule, sink, f"digests/{stream}")
    _moved.add(outbox.state.prefix)


def _move_stream(outbox: Outbox, rule: NoticeRule, sink: str, name: str) -> None:
    state = outbox.state
    last, moved = _document(state, f"{name}/last"), _document(state, f"{name}/moved")
    end, sent = last.get("end", 0), 0
    for number in range(last.get("number", 0) + 1, 1 << 30):
        leases = list(_leases(state, f"{name}/sent/{number}/"))
        done = [payload for status, payload in leases if status == "done"]
        if not done:
            sent = max((payload.get("sent", 0) for _, payload in leases), default=0)
            break
        end = done[0]["end"]
    first = moved.get("entry", 0)
    if first > end:
        end, sent = first, 0
    place = 0
    while document := _document(state, f"{name}/entries/{end + 1}"):
        end += 1
        items = document["entries"]
        entries = [_entry(rule, sink, place + number, item) for number, item in enumerate(items)]
        map_concurrently(outbox.put, entries[sent:])
        state.write(f"{name}/moved", json.dumps({"entry": end}).encode())
        place, sent = place + len(items), max(0, sent - len(items))


def _entry(rule: NoticeRule, sink: str, place: int, item: Mapping[str, Any]) -> Entry:
    """The entry of the outbox, due at once, under the notice's own id."""
    lifetimes = [seconds for seconds in (parse_duration(item["expires"] or ""), rule.expires) if seconds]
    notice = Notice(
        on=rule.on,
        mount=rule.mount.path,
        bucket=item["bucket"],
        key=item["key"],
        mark=item["mark"],
        give=rule.give,
        size=item["size"],
        happened_at=item["happened_at"],
        expires=min(lifetimes, default=None),
        download=item["download"],
        digest=True,
    )
    return new_entry(sink, item["happened_at"] or 0, place, item["id"], notice.body())


def _leases(state: State, folder: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The status and payload of each attempt at a digest."""
    for listed in state.list_folder(folder):
        stored = state.read(folder + listed.name)
        status, _, payload = stored.body.partition(b"\n") if stored is not None else (b"", b"", b"{}")
        yield status.decode().partition(" ")[0], json.loads(payload)


def _document(state: State, name: str) -> dict[str, Any]:
    """A JSON object, empty where it does not exist."""
    stored = state.read(name)
    document: dict[str, Any] = {} if stored is None else json.loads(stored.body)
    return document
