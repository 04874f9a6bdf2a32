"""What an event is made of, whatever its source."""

from __future__ import annotations

from typing import NamedTuple


class Created(NamedTuple):
    """A new object. `mark` is its version or eTag, `size` in bytes; what the record does not say is None."""

    bucket: str
    key: str
    mark: str
    size: int | None
    happened_at: float | None


class Wanted(NamedTuple):
    """A message or a timer that asks for a link to what is at `path` of this service.

    `on` is message or timer, `origin` what tells the message from every other one.
    """

    on: str
    origin: str
    path: str
    expires: str | None
    download: str | None
    happened_at: float | None


class Tick(NamedTuple):
    """A timer came."""

    name: str


class Skipped(NamedTuple):
    """What is none of our business: deletion, or other_event."""

    why: str


class Fault(NamedTuple):
    """What cannot be understood; the sentence names what was seen and shows none of its values."""

    sentence: str


Item = Created | Wanted | Tick | Skipped | Fault
