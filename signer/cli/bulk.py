"""The command `bulk`: links for a list or a prefix, into a file that is whole whenever it ends."""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Iterator
from typing import Any, Protocol

import click

from . import options
from .bulk_formats import FORMATS, Item, Place, Refusal, of_column, of_lines, sign
from .bulk_output import CannotResume, Interruption, Output, opened
from .options import Span


class Progress(Protocol):
    """What shows how far it is."""

    def update(self, count: int) -> object:
        """So many more links are made."""

    def close(self) -> object:
        """Nothing more comes."""


class Count:
    """What a run did."""

    def __init__(self) -> None:
        self.links = 0
        self.refused = 0


@click.command()
@click.argument("source", default="-", metavar="[FILE|-|oss://BUCKET/PREFIX/]")
@click.option("--output", default="-", show_default=True, metavar="FILE|-", help="Where the links go.")
@click.option(
    "--format", "form", type=click.Choice(list(FORMATS)), help="Of the output; else the file's ending tells, else csv."
)
@click.option("--bucket", help="The bucket of keys that are not written as oss://bucket/key.")
@click.option(
    "--column", help="SOURCE is CSV: the column with the keys, by name, or by number if there is no first row."
)
@click.option("--expires", type=Span(), default="1h", show_default=True, help="90, 90s, 15m, 2h or 7d.")
@click.option("--method", type=options.METHOD, default="GET", show_default=True)
@click.option("--query", "queries", multiple=True, type=options.QUERY, help="A parameter to sign; repeatable.")
@click.option("--resume", is_flag=True, help="Go on behind the last whole record of the output.")
@click.option("--json", "as_json", is_flag=True, help="Print the summary, on standard error, as JSON.")
@options.signing
def bulk(source: str, output: str, form: str | None, resume: bool, as_json: bool, **given: Any) -> int:
    """Links for a list of keys (a file, standard input, a CSV column) or for all objects under a prefix.

    A bad key is reported with its line number, and the rest goes on (status 1). Ctrl-C leaves a valid file, and
    --resume with the same source goes on with it. The file holds secrets: only its owner may read it.

    \b
    Examples:
      python -m signer bulk oss://examplebucket/2026/ --output index.html --region cn-hangzhou --expires 7d
      python -m signer bulk keys.txt --bucket examplebucket --output links.csv
      python -m signer bulk orders.csv --column invoice_key --bucket examplebucket --format jsonl > links.jsonl
      python -m signer bulk oss://examplebucket/ --output links.csv --resume
    """
    who = options.who(given["profile"], given["config"])
    endpoint = options.endpoint(given["endpoint"], given["path_style"], given["region"], who.region)
    ending = os.path.splitext(output)[1].lstrip(".").lower()
    if resume and output == "-":
        options.stop("--resume goes on with a file: name it with --output.")
    if source.lower().endswith(".csv") and given["column"] is None:
        options.stop("Which column of the CSV file holds the keys? Give --column NAME.")
    count, interruption = Count(), Interruption()
    is_whole = False
    # Opened first: a source that is not there must not cost an output that is.
    file = None if source.startswith("oss://") else _file(source)
    try:
        with (
            interruption.listening(),
            opened(output, FORMATS[form or (ending if ending in FORMATS else "csv")], resume=resume) as out,
        ):
            progress = _progress(output)
            try:
                for batch in sign(
                    _items(file or source, out.last, who.credentials, endpoint, given["bucket"], given["column"]),
                    credentials=who.credentials,
                    endpoint=endpoint,
                    expires_in=given["expires"],
                    clock=time.time,
                    method=given["method"].upper(),
                    query=dict(given["queries"]),
                ):
                    _write(batch, out, count, interruption)
                    if progress is not None:
                        progress.update(len(batch))
                is_whole = True
            except KeyboardInterrupt:
                pass
            finally:
                if progress is not None:
                    progress.close()
                with interruption.held():
                    out.end()
    except BrokenPipeError:
        # Nobody reads any more; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except KeyboardInterrupt:
        pass
    _summary(count, output, is_whole=is_whole, as_json=as_json)
    return 0 if is_whole and not count.refused else 1


def _write(batch: list[Any], out: Output, count: Count, interruption: Interruption) -> None:
    record = out.format.record
    text = "".join([record(*entry) for entry in batch if not isinstance(entry, Refusal)])
    with interruption.held():
        out.write(text)
        for entry in batch:
            if isinstance(entry, Refusal):
                count.refused += 1
                click.echo(f"line {entry.line}: {entry.reason}", err=True)
            else:
                count.links += 1


def _items(
    source: io.TextIOWrapper | str,
    last: Place | None,
    credentials: Any,
    endpoint: Any,
    bucket: str | None,
    column: str | None,
) -> Iterator[Item | Refusal]:
    """The source's items, behind the last that is written already."""
    if isinstance(source, str):
        from .listing import objects

        owner, _, prefix = source[6:].partition("/")
        if last is not None and not last.key.startswith(prefix):
            raise CannotResume("The output's last key is not under this prefix: name the source that it was made from.")
        number = last.line if last else 0
        start = last.key if last else ""
        for listed in objects(owner, prefix, credentials=credentials, endpoint=endpoint, start_after=start):
            number += 1
            yield Item(number, owner, listed.key, listed.size)
        return
    with source:
        items = of_column(source, column, bucket) if column is not None else of_lines(source, bucket)
        if last is not None:
            _skip(items, last)
        yield from items


def _skip(items: Iterator[Item | Refusal], last: Place) -> None:
    for item in items:
        if item.line >= last.line:
            if isinstance(item, Item) and item.line == last.line and item.key == last.key:
                return
            break
    raise CannotResume(
        f"Line {last.line} of the source is not the key that the output ends with: give the same source, unchanged."
    )


def _file(source: str) -> io.TextIOWrapper:
    """Lines as UTF-8; bytes that are none stay recognisable, so that their line is refused and not the file."""
    raw = sys.stdin.buffer if source == "-" else open(source, "rb")  # noqa: SIM115
    return io.TextIOWrapper(raw, encoding="utf-8-sig", errors="surrogateescape", newline="\n")


def _progress(output: str) -> Progress | None:
    """A bar where a person watches, and nothing in pipes."""
    if not sys.stderr.isatty() or (output == "-" and sys.stdout.isatty()):
        return None
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    bar: Progress = tqdm(unit=" links", unit_scale=True, file=sys.stderr)
    return bar


def _summary(count: Count, output: str, *, is_whole: bool, as_json: bool) -> None:
    if as_json:
        facts = {"links": count.links, "refused": count.refused, "whole": is_whole, "output": output}
        click.echo(json.dumps(facts), err=True)
        return
    words = f"{count.links} link{'' if count.links == 1 else 's'}"
    if count.refused:
        words += f", {count.refused} refused"
    if not is_whole:
        words += "; interrupted" + ("" if output == "-" else ", --resume goes on")
    click.echo(words + ".", err=True)
