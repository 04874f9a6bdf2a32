"""Reads an event: each of its entries by the source that recognises it."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from . import SOURCES
from .fields import InvalidEvent, decode, describe
from .items import CONTENT, InvalidEntry, Item, RequestedLink, Source


class ParsedEvent(NamedTuple):
    """The names of an event's sources, and all its items in order."""

    sources: tuple[str, ...]
    items: tuple[Item, ...]


def read_event(event: bytes | str) -> ParsedEvent:
    """The items of an event. What cannot be read is an `InvalidEntry` among them; nothing is left out.

    Links without an id of their own have that of their content, and equal ones in an event are numbered.
    """
    try:
        document: object = event.decode() if isinstance(event, bytes) else event
    except UnicodeDecodeError:
        return ParsedEvent(
            (), (InvalidEntry(f"Invalid event: its {len(event)} bytes are not valid UTF-8."),)
        )
    document = decode(document)
    if document == []:
        return ParsedEvent(
            (), (InvalidEntry("Invalid event: it is an empty list (expected at least one event)."),)
        )
    is_list = isinstance(document, list)
    elements = document if isinstance(document, list) else [document]
    names: dict[str, None] = {}
    items = list[Item]()
    equal = Counter[str]()
    for number, element in enumerate(elements, 1):
        entry = f", entry {number}" if is_list else ""
        source = next((source for source in SOURCES if source.recognise(element)), None)
        if source is None:
            items.append(
                InvalidEntry(
                    f"Unsupported event{entry}: {describe(element)} matches no known source."
                )
            )
            continue
        names[source.name] = None
        try:
            for item in source.items(element):
                if isinstance(item, InvalidEntry):
                    item = _invalid(source, entry, item.sentence)
                elif isinstance(item, RequestedLink) and item.origin.startswith(CONTENT):
                    equal[item.origin] += 1
                    item = item._replace(origin=f"{item.origin}/{equal[item.origin]}")
                items.append(item)
        except InvalidEvent as error:
            items.append(_invalid(source, entry, error.sentence))
    return ParsedEvent(tuple(names), tuple(items))


def _invalid(source: Source, entry: str, sentence: str) -> InvalidEntry:
    return InvalidEntry(f"Invalid {source.name} event{entry}: {sentence}.")
