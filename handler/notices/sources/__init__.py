"""Where events come from. Each source recognises its own shape and turns it into items."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import NamedTuple, Protocol

from .fields import Malformed, described
from .invocation import Invocation
from .items import Created, Fault, Item, Skipped, Tick, Wanted
from .kafka import Kafka
from .mns import Queue, Stream, StreamWithAttributes, Topic
from .oss import CloudEvent, Native
from .rocketmq import RocketMq
from .timer import Timer

__all__ = ["SOURCES", "Created", "Event", "Fault", "Item", "Skipped", "Tick", "Wanted", "read"]


class Source(Protocol):
    """The shape that every source has."""

    name: str

    @staticmethod
    def recognise(document: object) -> bool:
        """Whether it is an event of this source, well-formed or not."""

    @staticmethod
    def items(document: object, origin: str) -> Iterator[Item]:
        """What it is made of. `origin` names the invocation, for events that have no id. Raises `Malformed`."""


# A shape that two of them could take for theirs belongs to the first.
SOURCES: tuple[type[Source], ...] = (
    Native,
    CloudEvent,
    Queue,
    Kafka,
    RocketMq,
    Topic,
    Timer,
    StreamWithAttributes,
    Invocation,
    Stream,
)


class Event(NamedTuple):
    """What arrived: the names of its sources, and all items, in order."""

    sources: tuple[str, ...]
    items: tuple[Item, ...]


def read(event: bytes | str, request_id: str) -> Event:
    """The items of an event; what is not understood is a `Fault` among them, and never nothing at all."""
    origin = f"invocation:{request_id}"
    try:
        text = event.decode() if isinstance(event, bytes) else event
    except UnicodeDecodeError:
        return Event((), (Fault(f"The event is {len(event)} bytes that are no UTF-8."),))
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        document = text
    if not isinstance(document, list):
        documents = [document]
    elif document:
        # Kafka's are JSON in JSON.
        documents = [_unwrapped(element) for element in document]
    else:
        return Event((), (Fault("The event is an empty list, of which nothing can be told."),))
    names: dict[str, None] = {}
    items: list[Item] = []
    for number, element in enumerate(documents, 1):
        place = "" if not isinstance(document, list) else f"entry {number} of "
        unique = origin if len(documents) == 1 else f"{origin}/{number}"
        source = next((source for source in SOURCES if source.recognise(element)), None)
        if source is None or (isinstance(element, str) and isinstance(document, list)):
            what = f"{place}the event is {described(element)}"
            items.append(Fault(f"{what[0].upper()}{what[1:]}, and no source that is known sends such."))
            continue
        names[source.name] = None
        try:
            for item in source.items(element, unique):
                if isinstance(item, Fault):
                    item = Fault(f"{source.name}: {place}the event, {item.sentence}.")
                items.append(item)
        except Malformed as error:
            items.append(Fault(f"{source.name}: {place}the event: {error.sentence}."))
    return Event(tuple(names), tuple(items))


def _unwrapped(element: object) -> object:
    if not isinstance(element, str):
        return element
    try:
        return json.loads(element)
    except (ValueError, RecursionError):
        return element
