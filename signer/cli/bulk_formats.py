"""Links for many objects, in constant memory: reads keys, signs them, and formats CSV, JSON Lines and HTML.

A record is one line in all three formats. JSON Lines has keys as they are; CSV and HTML have escapes for controls.
"""

from __future__ import annotations

import csv
import html
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from json.encoder import encode_basestring_ascii as json_string
from pathlib import Path
from typing import NamedTuple, TextIO

from ..common.display import printable
from ..credentials import Credentials
from ..endpoint import Endpoint
from ..errors import InvalidBucket, InvalidKey, SignerError
from ..link import Link, presign
from ..names import parse_oss_url
from ..sizes import format_size
from ..times import rfc3339

BATCH = 512  # records that have the same signing time and are written at once
_NEEDS_QUOTES = re.compile(r'[",\s;\'=+@-]')


class Item(NamedTuple):
    """An object to sign for: its line (or number) in the source, and its size in bytes if that is known."""

    line: int
    bucket: str
    key: str
    size: int | None = None


class Refusal(NamedTuple):
    line: int
    reason: str


class Signed(NamedTuple):
    item: Item
    link: Link


# --- reading --------------------------------------------------------------------------------------------------------


def read_lines(lines: Iterable[str], bucket: str | None) -> Iterator[Item | Refusal]:
    """A key or an `oss://bucket/key` on each line; empty lines are skipped."""
    for number, line in enumerate(lines, 1):
        if line := line.rstrip("\r\n"):
            yield _item(number, line, bucket)


def read_column(file: TextIO, column: str, bucket: str | None) -> Iterator[Item | Refusal]:
    """A column of a CSV file, by its name in the first row, or by its number (from 1) if that row holds no names.

    Raises `InvalidKey` if the column does not exist.
    """
    rows = csv.reader(file)
    if column.isascii() and column.isdigit() and len(column) < 10:
        index = int(column) - 1
    else:
        header = next(rows, [])
        if column not in header:
            raise InvalidKey(
                f"Column {column!r} not found; the first row has: {', '.join(header) or 'nothing'}.",
                column,
            )
        index = header.index(column)
    for row in rows:
        if row:
            if not 0 <= index < len(row):
                yield Refusal(
                    rows.line_num, f"Column {index + 1} not found: the row has {len(row)} columns."
                )
            else:
                yield _item(rows.line_num, row[index], bucket)


def _item(number: int, address: str, bucket: str | None) -> Item | Refusal:
    try:
        address.encode()
    except UnicodeEncodeError:
        return Refusal(number, "The key is not UTF-8.")
    if address.startswith("oss://"):
        try:
            return Item(number, *parse_oss_url(address))
        except SignerError as error:
            return Refusal(number, str(error))
    if bucket is None:
        return Refusal(number, "Missing bucket: write oss://bucket/key, or pass --bucket.")
    return Item(number, bucket, address)


# --- signing --------------------------------------------------------------------------------------------------------


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
    """Batches of links with one signing time each. An item with an invalid key or bucket becomes a `Refusal`."""
    remaining = iter(items)
    while batch := list(islice(remaining, BATCH)):
        now = int(clock())
        results: list[Signed | Refusal] = []
        for item in batch:
            if isinstance(item, Refusal):
                results.append(item)
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
            except (InvalidKey, InvalidBucket) as error:
                results.append(Refusal(item.line, str(error)))
            else:
                results.append(Signed(item, link))
        yield results


# --- formatting -----------------------------------------------------------------------------------------------------


class Format(NamedTuple):
    """An output format: how the file begins and ends, and the line of a record."""

    head: str
    tail: str
    record: Callable[[Item, Link], str]


def _csv_record(item: Item, link: Link) -> str:
    # Only the key can need quotes: a URL is percent-encoded.
    key = printable(item.key)
    if _NEEDS_QUOTES.search(key):
        key = '"' + key.replace('"', '""') + '"'
    size = "" if item.size is None else item.size
    return f"{item.line},{item.bucket},{key},{size},{rfc3339(link.expires_at.timestamp())},{link.url}\n"


def _json_record(item: Item, link: Link) -> str:
    size = "null" if item.size is None else item.size
    return (
        f'{{"line": {item.line}, "bucket": "{item.bucket}", "key": {json_string(item.key)}, "size": {size}, '
        f'"method": "{link.method}", "expires_at": "{rfc3339(link.expires_at.timestamp())}", "url": "{link.url}"}}\n'
    )


def _html_record(item: Item, link: Link) -> str:
    key = html.escape(printable(item.key))
    folder, _, name = key.rpartition("/")
    size = "" if item.size is None else format_size(item.size)
    expires_at = rfc3339(link.expires_at.timestamp())
    return (
        f'<tr data-line="{item.line}"><td><a title="{key}" href="{link.url.replace("&", "&amp;")}">{name}</a>'
        f"{f'<small>{folder}/</small>' if folder else ''}</td>"
        f'<td class="size">{size}</td><td><time datetime="{expires_at}">{expires_at}</time></td></tr>\n'
    )


_HTML_HEAD, _, _HTML_TAIL = (
    Path(__file__).with_name("bulk_page.html").read_text("utf-8").partition("<!-- rows -->\n")
)
FORMATS = {
    "csv": Format("line,bucket,key,size,expires_at,url\n", "", _csv_record),
    "jsonl": Format("", "", _json_record),
    "html": Format(_HTML_HEAD, _HTML_TAIL, _html_record),
}
