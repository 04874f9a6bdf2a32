"""The command `bulk`: links for a list of keys or for all objects under a prefix."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
import time
from collections.abc import Iterator
from functools import partial
from itertools import chain, islice
from typing import Any, NamedTuple

import click

from ..credentials import MAX_SESSION
from ..errors import InvalidKey
from ..names import parse_oss_url
from ..times import format_duration
from . import options
from .bulk_formats import FORMATS, Format, Item, Refusal, read_column, read_lines, sign
from .bulk_output import Output
from .listing import ListingFailed, objects
from .terminal import echo


class Summary(NamedTuple):
    """The JSON that a run ends with."""

    links: int
    refused: int
    whole: bool
    output: str
    expires_in: int
    may_end_early: bool

    def describe(self, outcome: str) -> str:
        """`outcome` says what there is instead of a complete output."""
        refused = f", {self.refused} refused" if self.refused else ""
        count = f"{self.links} link{'' if self.links == 1 else 's'}{refused}"
        if not self.whole:
            return f"{count}, interrupted. {outcome}"
        expiry = (
            f" They expire at the latest {format_duration(self.expires_in)} after they were signed; "
            "earlier if the security token does."
            if self.may_end_early
            else ""
        )
        return f"{count}.{expiry}"


@click.command(cls=options.Command, short_help="Create links for a list of keys, or for a prefix.")
@click.argument("source", default="-", metavar="[FILE|-|oss://BUCKET/PREFIX/]")
@click.option(
    "--output", default="-", show_default=True, metavar="FILE|-", help="The file for the links."
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(list(FORMATS)),
    help="The output format. Default: the output's file extension, or csv.",
)
@click.option("--bucket", help="The bucket of keys that are not written as oss://bucket/key.")
@click.option(
    "--column",
    help="SOURCE is CSV: the column with the keys, by name, or by number if the first row holds no names.",
)
@click.option(
    "--expires",
    type=options.EXPIRY,
    default="1h",
    show_default=True,
    help="90, 90s, 15m, 2h or 7d.",
)
@click.option("--method", type=options.METHOD, default="GET", show_default=True)
@click.option(
    "--query",
    "queries",
    multiple=True,
    type=options.QUERY,
    help="A query parameter to sign; repeatable.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="Print the summary, on standard error, as JSON."
)
@options.signing_options
def bulk(source: str, output: str, as_json: bool, **params: Any) -> int:
    """Create links for a list of keys (a file, standard input, a CSV column) or for all objects under a prefix.

    An invalid key is reported with its line number and skipped (status 1). The file is written when all links are
    there: after Ctrl-C (status 130) or an error (status 2), the previous one is still there. Standard output ends with
    a complete record. The output holds secrets: only its owner may read a new file.

    \b
    Examples:
      fc-presign bulk oss://examplebucket/2026/ --output index.html --region cn-hangzhou --expires 7d
      fc-presign bulk keys.txt --bucket examplebucket --output links.csv
      fc-presign bulk orders.csv --column invoice_key --bucket examplebucket --format jsonl > links.jsonl
    """
    if source.lower().endswith(".csv") and params["column"] is None:
        options.fail("Missing --column: name the column of the CSV file that holds the keys.")
    signing = options.load_signing(params)
    record_format = _choose_format(output, params["format_name"])
    # The source is opened first, so that neither a missing one nor a refused list changes the output.
    items = (
        _list_items(source, signing)
        if source.startswith("oss://")
        else _read_items(_open_source(source), params["column"], params["bucket"])
    )
    shows_progress = sys.stderr.isatty() and not (output == "-" and sys.stdout.isatty())
    links = refused = 0
    out = Output(output, record_format)
    try:
        with out.opened():
            for batch in sign(
                items,
                credentials=signing.credentials,
                endpoint=signing.endpoint,
                expires_in=params["expires"],
                clock=time.time,
                method=params["method"].upper(),
                query=dict(params["queries"]),
            ):
                refusals = [entry for entry in batch if isinstance(entry, Refusal)]
                records = [
                    record_format.record(*entry)
                    for entry in batch
                    if not isinstance(entry, Refusal)
                ]
                with out.uninterrupted():
                    out.write("".join(records))
                    links += len(records)
                    refused += len(refusals)
                    for refusal in refusals:
                        echo(f"line {refusal.line}: {refusal.reason}", err=True)
                if shows_progress:
                    click.echo(f"{links} links\r", nl=False, err=True)
    except BrokenPipeError:
        # The reader has gone. Without this, Python reports the error again when it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except ListingFailed as error:
        raise ListingFailed(f"{error} {out.outcome}") from None
    except KeyboardInterrupt:
        status = 128 + out.stopped_by
    else:
        status = 1 if refused else 0
    expires_in = min(params["expires"], MAX_SESSION) if signing.may_end_early else params["expires"]
    summary = Summary(
        links=links,
        refused=refused,
        whole=out.is_complete,
        output=output,
        expires_in=expires_in,
        may_end_early=signing.may_end_early,
    )
    echo(json.dumps(summary._asdict()) if as_json else summary.describe(out.outcome), err=True)
    return status


def _choose_format(output: str, name: str | None) -> Format:
    extension = os.path.splitext(output)[1].lstrip(".").lower()
    if name is None and extension in ("json", "xls", "xlsx"):
        options.fail(
            "--output: the formats are CSV, JSON Lines (.jsonl) and HTML: name the file so, or pass --format."
        )
    return FORMATS[name or (extension if extension in FORMATS else "csv")]


def _list_items(source: str, signing: options.Signing) -> Iterator[Item]:
    """The objects under a prefix; the first page is requested at once. Raises `ListingFailed`."""
    bucket, prefix = parse_oss_url(source if "/" in source.removeprefix("oss://") else source + "/")
    report = partial(echo, err=True) if sys.stderr.isatty() else None
    listed = objects(
        bucket, prefix, credentials=signing.credentials, endpoint=signing.endpoint, report=report
    )
    first = list(islice(listed, 1))
    return (
        Item(number, bucket, entry.key, entry.size)
        for number, entry in enumerate(chain(first, listed), 1)
    )


def _read_items(
    lines: io.TextIOWrapper, column: str | None, bucket: str | None
) -> Iterator[Item | Refusal]:
    with lines:
        try:
            yield from (
                read_column(lines, column, bucket)
                if column is not None
                else read_lines(lines, bucket)
            )
        except csv.Error as error:
            raise InvalidKey(
                f"Invalid CSV: {error}. Look for a quotation mark that is not closed.", column or ""
            ) from None


def _open_source(source: str) -> io.TextIOWrapper:
    stream = sys.stdin.buffer if source == "-" else open(source, "rb")  # noqa: SIM115
    # Bytes that are not UTF-8 become surrogates, so that their line alone is refused.
    return io.TextIOWrapper(stream, encoding="utf-8-sig", errors="surrogateescape", newline="\n")
