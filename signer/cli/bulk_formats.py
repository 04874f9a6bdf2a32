"""Links for many objects: from a list or a prefix, to a CSV, JSON Lines or HTML file, in constant memory.

A record is one line of the file in all three formats, so a file that was cut short is known by its last whole line.
"""

from __future__ import annotations

import csv
import html
import re
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from functools import lru_cache
from itertools import islice
from json import loads
from json.encoder import encode_basestring_ascii as quoted
from typing import NamedTuple, TextIO

from ..credentials import Credentials
from ..endpoint import Endpoint
from ..errors import InvalidKey, SignerError
from ..link import Link, presign
from ..times import rfc3339

BATCH = 512  # records that are signed by one reading of the clock and written at once
_NEEDS_QUOTES = re.compile(r'[",\s;\'=+@-]')
_ROW = re.compile(r'<tr data-line="(\d+)" data-key="([^"]*)">')


class Item(NamedTuple):
    """An object to sign for: the line (or number) where it stands, and its size in bytes where that is known."""

    line: int
    bucket: str
    key: str
    size: int | None = None


class Refusal(NamedTuple):
    """An item without a link, and why."""

    line: int
    reason: str


class Signed(NamedTuple):
    """An item and its link."""

    item: Item
    link: Link


class Place(NamedTuple):
    """Where a file ends: its last record's line and key."""

    line: int
    key: str


# --- what goes in --------------------------------------------------------------------------------------------------


def of_lines(lines: Iterable[str], bucket: str | None) -> Iterator[Item | Refusal]:
    """A key or an `oss://bucket/key` on each line; empty lines are left out."""
    for number, text in enumerate(lines, 1):
        text = text.rstrip("\r\n")
        if text:
            yield _item(number, text, bucket)


def of_column(file: TextIO, column: str, bucket: str | None) -> Iterator[Item | Refusal]:
    """A column of a CSV text: by the name in its first row, or by its number (from 1) where there is no such row.

    Raises `InvalidKey` where the column does not exist.
    """
    rows = csv.reader(file)
    if column.isascii() and column.isdigit():
        index = int(column) - 1
    else:
        header = next(rows, [])
        if column not in header:
            shown = ", ".join(header) or "nothing"
            raise InvalidKey(f"There is no column {column!r}; the first row has {shown}.", key=column)
        index = header.index(column)
    for row in rows:
        if row:
            if not 0 <= index < len(row):
                yield Refusal(rows.line_num, f"The row has {len(row)} columns, not {index + 1}.")
            else:
                yield _item(rows.line_num, row[index], bucket)


def _item(number: int, text: str, bucket: str | None) -> Item | Refusal:
    if text.startswith("oss://"):
        owner, slash, key = text[6:].partition("/")
        if not owner or not slash:
            return Refusal(number, "An address is written as oss://bucket/key.")
        return Item(number, owner, key)
    if bucket is None:
        return Refusal(number, "The line does not tell its bucket: write oss://bucket/key, or give --bucket.")
    return Item(number, bucket, text)


# --- what is made --------------------------------------------------------------------------------------------------


def sign(
    items: Iterable[Item | Refusal],
    *,
    credentials: Credentials,
    endpoint: Endpoint,
    expires_in: int,
    clock: Callable[[], float],
    method: str = "GET",
    query: dict[str, str] | None = None,
) -> Iterator[list[Signed | Refusal]]:
    """Batches of links, each of one second. A bad item is a `Refusal` in its place."""
    remaining = iter(items)
    while batch := list(islice(remaining, BATCH)):
        now = int(clock())
        made: list[Signed | Refusal] = []
        for item in batch:
            if isinstance(item, Refusal):
                made.append(item)
                continue
            try:
                link = presign(
                    method,
                    item.bucket,
                    item.key,
                    credentials=credentials,
                    endpoint=endpoint,
                    expires_in=expires_in,
                    query=query,
                    now=now,
                )
            except InvalidKey as error:
                made.append(Refusal(item.line, str(error)))
            except SignerError as error:
                if error.code not in ("invalid_bucket",):
                    raise
                made.append(Refusal(item.line, str(error)))
            else:
                made.append(Signed(item, link))
        yield made


# --- what comes out -------------------------------------------------------------------------------------------------


class Format(NamedTuple):
    """A format of the output: what stands first and last, and a record.

    `place` reads a whole line back, None where it is no record; `begins` says whether a text may be a record's start.
    """

    head: str
    tail: str
    record: Callable[[Item, Link], str]
    place: Callable[[str], Place | None]
    begins: Callable[[str], bool]


@lru_cache(maxsize=8)
def _time(when: datetime) -> str:
    return rfc3339(when.timestamp())


def _csv_record(item: Item, link: Link) -> str:
    # A URL is percent-encoded, so of all fields only the key can need quotes.
    key = item.key
    if _NEEDS_QUOTES.search(key):
        key = '"' + key.replace('"', '""') + '"'
    size = "" if item.size is None else item.size
    return f"{item.line},{item.bucket},{key},{size},{_time(link.expires_at)},{link.url}\n"


def _csv_place(line: str) -> Place | None:
    row = next(csv.reader([line]), [])
    return Place(int(row[0]), row[2]) if len(row) == 6 and row[0].isdigit() else None


def _json_record(item: Item, link: Link) -> str:
    size = "null" if item.size is None else item.size
    return (
        f'{{"line": {item.line}, "bucket": "{item.bucket}", "key": {quoted(item.key)}, "size": {size}, '
        f'"method": "{link.method}", "expires_at": "{_time(link.expires_at)}", "url": "{link.url}"}}\n'
    )


def _json_place(line: str) -> Place | None:
    try:
        record = loads(line)
        return Place(int(record["line"]), str(record["key"]))
    except (ValueError, KeyError, TypeError):
        return None


def _html_record(item: Item, link: Link) -> str:
    key = html.escape(item.key)
    size = "" if item.size is None else f"{item.size:,}"
    ends = _time(link.expires_at)
    return (
        f'<tr data-line="{item.line}" data-key="{key}"><td><a href="{link.url.replace("&", "&amp;")}">{key}</a></td>'
        f'<td class="size">{size}</td><td><time datetime="{ends}">{ends}</time></td></tr>\n'
    )


def _html_place(line: str) -> Place | None:
    found = _ROW.match(line)
    return Place(int(found[1]), html.unescape(found[2])) if found and line.endswith("</tr>\n") else None


def _starting(start: str) -> Callable[[str], bool]:
    return lambda text: text.startswith(start) or start.startswith(text)


def _starting_with_a_digit(text: str) -> bool:
    return not text or text[0].isdigit()


_HTML_HEAD = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<meta name="robots" content="noindex">
<title>Links</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8884; padding: .3rem .6rem; text-align: left; }
td:first-child { overflow-wrap: anywhere; }
.size { text-align: right; white-space: nowrap; }
@media (prefers-color-scheme: dark) { body { background: #111; color: #eee; } a { color: #8cf; } }
</style>
</head>
<body>
<h1>Links</h1>
<p>Whoever has this page has the files, until the times shown (UTC).</p>
<table>
<thead><tr><th scope="col">Name</th><th scope="col" class="size">Bytes</th><th scope="col">Ends</th></tr></thead>
<tbody>
"""

FORMATS = {
    "csv": Format("line,bucket,key,size,expires_at,url\n", "", _csv_record, _csv_place, _starting_with_a_digit),
    "jsonl": Format("", "", _json_record, _json_place, _starting('{"line": ')),
    "html": Format(
        _HTML_HEAD, "</tbody>\n</table>\n</body>\n</html>\n", _html_record, _html_place, _starting('<tr data-line="')
    ),
}
