"""What the commands write: every line is safe for a terminal, whoever chose a part of it."""

from __future__ import annotations

import json
import sys

import click

from ..display import printable


def echo(lines: str, *, err: bool = False) -> None:
    """Prints lines, without what a terminal would obey or reorder."""
    click.echo("\n".join(map(printable, lines.split("\n"))), err=err)


def print_json(document: object) -> None:
    """Prints JSON: indented on a terminal, on one line for programs."""
    echo(json.dumps(document, ensure_ascii=False, indent=2 if sys.stdout.isatty() else None))
