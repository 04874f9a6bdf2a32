"""A plain invocation: `{"links": [{"path": "/reports/q3.pdf"}, …]}`, or one such link alone."""

from __future__ import annotations

from collections.abc import Iterator

from .items import Item
from .message import wanted


class Invocation:
    """What a program, or a stream that carries JSON, hands over as it is; its invocation stands for it."""

    name = "invocation"

    @staticmethod
    def recognise(document: object) -> bool:
        return isinstance(document, dict) and (set(document) == {"links"} or "path" in document)

    @staticmethod
    def items(document: object, origin: str) -> Iterator[Item]:
        yield from wanted(document, "message", origin, None)
