"""Of several things, one that fails gets its sentence, and the others go on."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from ..common.display import printable, redact_pieces
from ..redaction import REDACTED
from .service import ServiceFailed
from .terminal import echo

_SECRET = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")  # of the address of a share

T = TypeVar("T")


def for_each(names: Iterable[str], act: Callable[[str], T]) -> Iterator[T]:
    """What `act` returns for each name for which it does not fail. A sentence says why another failed."""
    for name in names:
        try:
            yield act(name)
        except (ServiceFailed, ValueError) as error:
            shown = REDACTED if _SECRET.fullmatch(name) else name
            print_failure(f"{shown}: {error}")


def print_failure(sentence: str, again: str = "") -> None:
    echo(printable(redact_pieces(f"Error: {sentence}")), err=True)  # an id may be a pasted link
    if again:
        echo(again, err=True)
