"""The commands that create one link: sign and curl."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import click

from ..link import Link, presign
from ..times import rfc3339
from . import options
from .options import EXPIRY, HEADER, METHOD, QUERY, ObjectAddress, oss_url
from .terminal import echo, print_json

_link_options = options.add(
    options.signing_options,
    click.argument("target", type=oss_url, metavar="oss://BUCKET/KEY"),
    click.option(
        "--expires", type=EXPIRY, default="15m", show_default=True, help="90, 90s, 15m, 2h or 7d."
    ),
    click.option("--method", type=METHOD, default="GET", show_default=True),
    click.option(
        "--header",
        "headers",
        multiple=True,
        type=HEADER,
        help="A header the client will send; repeatable.",
    ),
    click.option(
        "--sign-header",
        "signed",
        multiple=True,
        help="Sign this header too, such as host; repeatable.",
    ),
    click.option(
        "--query",
        "queries",
        multiple=True,
        type=QUERY,
        help="A query parameter to sign; repeatable.",
    ),
    click.option("--version-id", help="A version of the object."),
    click.option(
        "--download", metavar="NAME", help="The name under which browsers save the object."
    ),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
)


def _create_link(params: dict[str, Any]) -> tuple[Link, bool]:
    """The link, and whether it may end before it expires."""
    target: ObjectAddress = params["target"]
    query = _to_dict(params["queries"], "query parameter")
    headers = _to_dict(params["headers"], "header")
    if params["version_id"]:
        query["versionId"] = params["version_id"]
    if params["download"]:
        from ..common.disposition import attachment

        query["response-content-disposition"] = attachment(params["download"])
    signing = options.load_signing(params)
    link = presign(
        params["method"].upper(),
        target.bucket,
        target.key,
        credentials=signing.credentials,
        endpoint=signing.endpoint,
        expires_in=params["expires"],
        query=query,
        headers=headers,
        signed_headers=params["signed"],
    )
    return link, signing.may_end_early


def _to_dict(pairs: Sequence[tuple[str, str]], kind: str) -> dict[str, str]:
    names = [name for name, _ in pairs]
    for name in names:
        if names.count(name) > 1:
            options.fail(f"Duplicate {kind} {name}: pass it once.")
    return dict(pairs)


def _print_link(link: Link, may_end_early: bool, as_json: bool, command: str = "") -> None:
    """Prints the URL or a command that uses it, and to standard error what that does not show; or all as JSON."""
    if as_json:
        document = {**link._asdict(), "expires_at": rfc3339(link.expires_at.timestamp())}
        document["may_end_early"] = may_end_early
        if command:
            document["command"] = command
        print_json(document)
        return
    echo(command or link.url)
    echo(f"{link.method}, {options.describe_expiry(link, may_end_early=may_end_early)}.", err=True)
    for name, value in link.headers.items():
        echo(f"Send the header {name}: {value}", err=True)


@click.command(cls=options.Command)
@_link_options
def sign(as_json: bool, **params: Any) -> None:
    """Print a presigned URL on standard output.

    The key is used as it is: quote it for the shell, and do not percent-encode it.

    \b
    Examples:
      fc-presign sign oss://examplebucket/exampledir/report.pdf --region cn-hangzhou
      fc-presign sign 'oss://examplebucket/报告 3.pdf' --expires 7d --download 'Report 3.pdf'
      fc-presign sign oss://examplebucket/in.png --method PUT --header 'Content-Type: image/png'
      fc-presign sign oss://examplebucket/a.txt --endpoint https://static.example.com --json
    """
    link, may_end_early = _create_link(params)
    _print_link(link, may_end_early, as_json)


@click.command(cls=options.Command, short_help="Print a curl command that uses a new link.")
@click.option("--file", default="FILE", show_default=True, help="The file that a PUT uploads.")
@_link_options
def curl(as_json: bool, file: str, **params: Any) -> None:
    """Print a curl command that uses a new link, quoted for a POSIX shell.

    \b
    Examples:
      fc-presign curl oss://examplebucket/report.pdf --region cn-hangzhou
      fc-presign curl oss://examplebucket/in.csv --method PUT --header 'Content-Type: text/csv' --file in.csv
      eval "$(fc-presign curl oss://examplebucket/report.pdf --region cn-hangzhou 2>/dev/null)"
    """
    link, may_end_early = _create_link(params)
    name = params["download"] or params["target"].key.rpartition("/")[2] or "object"
    methods = {"GET": ["-o", "./" + name], "HEAD": ["-I"], "PUT": ["-T", file]}
    method = methods.get(link.method, ["-X", link.method])
    headers = [part for pair in link.headers.items() for part in ("-H", f"{pair[0]}: {pair[1]}")]
    _print_link(
        link, may_end_early, as_json, shlex.join(["curl", "-fgsS", *method, *headers, link.url])
    )
