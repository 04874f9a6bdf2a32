"""`fc-presign share --path - --csv`: a share for each path of a list, as CSV (RFC 4180). Its addresses are secrets."""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Callable
from typing import Any

import click

from ...common.display import printable
from .. import options
from ..service import ServiceFailed
from ..terminal import echo

MAX_PATHS = 100_000
COLUMNS = ["path", "address", "code", "id", "expires_at", "error"]
_PATH = re.compile(r"/(?!-/)[^\x00-\x1f\x7f\ud800-\udfff]*")


def read_paths() -> list[str]:
    """The paths of standard input, each once. Raises `click.UsageError` for another line, and for too many."""
    paths = dict[str, None]()
    for number, line in enumerate(sys.stdin.buffer, 1):
        # Editors of Windows write a BOM, and CRLF.
        encoding = "utf-8-sig" if number == 1 else "utf-8"
        path = line.decode(encoding, errors="surrogateescape").rstrip("\r\n")
        if path:
            paths[path] = None
        if path and not _PATH.fullmatch(path):
            options.fail(
                f"Line {number} is not a path of the service in UTF-8, such as /reports/q3.pdf. Nothing was shared."
            )
        if len(paths) > MAX_PATHS:
            options.fail(
                f"Line {number} is one path more than {MAX_PATHS:,}, the maximum. Nothing was shared."
            )
    return list(paths)


def read_shared(file: str) -> set[str]:
    """The paths that have an address in the output of an earlier run. Raises `click.UsageError` if it is none.

    A row that a full disk or the end of the machine cut counts as one without an address.
    """
    try:
        with open(file, encoding="utf-8-sig", newline="") as lines:
            rows = csv.reader(lines)
            if next(rows, None) != COLUMNS:
                options.fail(
                    f"--resume: {file} does not begin with {','.join(COLUMNS)}, as the output of an earlier run does."
                    " Write to another file than the one it reads."
                )
            return {row[0] for row in rows if len(row) == len(COLUMNS) and row[1]}
    except (OSError, ValueError, csv.Error) as error:
        options.fail(f"--resume: {file} cannot be read: {error}.")


def share_list(create: Callable[..., dict[str, Any]], resume: str | None) -> int:
    """Shares the paths of standard input without those of the file `resume`; the row of each is written at once.

    `create` makes the share of a `path`. The status is 2 if one was not shared. Raises the `ServiceFailed` of `create`
    for a key that the service rejects: with 401, or with 403 before anything was shared.
    """
    paths = read_paths()
    done = read_shared(resume) if resume else set[str]()
    remaining = [path for path in paths if path not in done]
    shared = 0
    _write_row(COLUMNS)
    for path in remaining:
        try:
            document = create(path=path)
        except ServiceFailed as error:
            _write_row([path, "", "", "", "", printable(str(error))])
            # Each further row would fail as this one.
            if error.status == 401 or (error.status == 403 and not shared):
                raise
        else:
            names = ("url", "password", "id", "expires_at")
            _write_row([path, *(document.get(name, "") for name in names), ""])
            shared += 1
    earlier = f" {len(paths) - len(remaining)} have one of an earlier run." if resume else ""
    echo(f"{shared} of {len(remaining)} paths have an address now.{earlier}", err=True)
    return 0 if shared == len(remaining) else 2


def _write_row(cells: list[str]) -> None:
    """As bytes: a text stream would make lines of Windows of it, or refuse a character."""
    row = io.StringIO()
    csv.writer(row).writerow(cells)
    click.echo(row.getvalue().encode(), nl=False)
