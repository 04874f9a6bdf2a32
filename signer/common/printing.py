"""What commands print, also those that start a local service or deploy: every line is safe for a terminal."""

from __future__ import annotations

import argparse
import re
from typing import NoReturn, TextIO

from ..redaction import redact
from .display import printable

_OPTION = re.compile(r"(?<!\S)(?:--[a-z-]+|-[a-z])(?![^\s=])")
# What argparse says, then the value, and what may follow it.
_VALUE = re.compile(
    r"(invalid choice(?=:)|invalid int value(?=:)|ignored explicit argument|ambiguous option: [a-z-]+(?==))"
    r".*?(?= \(choose from [^()]*\)$| could match [a-z, -]*$|$)",
    re.DOTALL,
)


class Parser(argparse.ArgumentParser):
    """Its errors name the options, but repeat no value: that of a misspelt option may be a secret."""

    def error(self, message: str) -> NoReturn:
        sentence, unrecognized, arguments = message.partition("unrecognized arguments: ")
        if unrecognized:
            sentence = " ".join(["unrecognized arguments:", *_OPTION.findall(arguments)]).rstrip(
                ":"
            )
        # The choices are ours, and `redact` would take `revoke-api-key` for the name of a secret.
        problem, choose, choices = _VALUE.sub(r"\1", sentence).partition(" (choose from ")
        super().error(printable(redact(problem) + choose + choices))


def show(*lines: str, file: TextIO | None = None) -> None:
    """Prints each string as one line, at once. Raises `OSError` and `ValueError`."""
    print("\n".join(map(printable, lines)), file=file, flush=True)
