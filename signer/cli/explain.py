"""The command `explain`: why a link fails, and with the secret whether it is valid."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from . import options
from .credentials import load_optional_credentials
from .options import HEADER, METHOD
from .terminal import echo, print_json


@click.command(cls=options.Command)
@click.argument("pasted", metavar="[URL|-]", nargs=-1)
@click.option(
    "--error-xml",
    type=click.Path(),
    help="A file with the response of OSS, or - for standard input.",
)
@click.option(
    "--method", type=METHOD, help="The method that was used. Default: the pasted command's, or GET."
)
@click.option(
    "--header", "headers", multiple=True, type=HEADER, help="A header that was sent; repeatable."
)
@click.option(
    "--no-headers", is_flag=True, help="No header was sent: report each signed header as missing."
)
@click.option("--bucket", help="The bucket of a custom domain.")
@click.option(
    "--inside",
    is_flag=True,
    help="The client is in the bucket's region, where internal hosts work.",
)
@click.option("--no-secret", is_flag=True, help="Do not use the credentials of the environment.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@options.credentials_options
@options.cdn_options
def explain(pasted: tuple[str, ...], **params: Any) -> int:
    """Find out why a link fails and what to do. Status 0: no fault found, 1: fault found, 2: cannot be checked.

    Without a link, or with "-", it is read from standard input, with anything around it: the error document of
    OSS, what curl -i printed, an exception, a log, the command that used it. A code of OSS, such as NoSuchKey
    or 0003-00000001, may stand alone. The output begins with what was read. With the credentials that signed it in the
    environment (or --profile), or the key of a CDN, a fault is proved, and status 0 says that the link is
    valid. Nothing secret is printed.

    \b
    Examples:
      fc-presign explain -
      fc-presign explain 'https://examplebucket.oss-cn-hangzhou.aliyuncs.com/a.txt?x-oss-…' --error-xml answer.xml
      (cat link.txt; curl -s "$(cat link.txt)") | fc-presign explain -
    """
    from .. import diagnosis

    if len(pasted) > 1:
        options.fail(
            "Quote the link, or use explain - and paste it: a link without quotes has several parts."
        )
    url = pasted[0] if pasted else "-"
    cdn = options.load_cdn_key(params)
    if url == "-" and params["error_xml"] == "-":
        options.fail(
            "Standard input can hold the link or the response. To pass both in it, use URL - only."
        )
    link = options.read_argument(
        url, "the link (the response of OSS may follow it, or stand alone)"
    )
    xml = None
    if params["error_xml"] == "-":
        xml = options.read_argument("-", "the response of OSS")
    elif params["error_xml"]:
        with open(params["error_xml"], encoding="utf-8-sig", errors="replace") as file:
            xml = file.read(options.MAX_INPUT)
    explanation = diagnosis.explain(
        link.strip() or None,
        error_xml=xml,
        method=params["method"],
        headers=dict(params["headers"]) if params["headers"] or params["no_headers"] else None,
        credentials=None
        if params["no_secret"]
        else load_optional_credentials(params["profile"], params["config"]),
        bucket=params["bucket"],
        inside=params["inside"],
        cdn=cdn,
    )
    if params["as_json"]:
        print_json(explanation.to_json())
    else:
        echo(explanation.in_words(_language()))
        if explanation.findings and (page := _page_of_causes()):
            echo(f"\nMore: {page}#{explanation.findings[0].code}")
    return 0 if explanation.ok else 1


def _language() -> str:
    """That of the terminal, "en" or "zh"."""
    locale = next(filter(None, map(os.environ.get, ("LC_ALL", "LC_MESSAGES", "LANG"))), "")
    return "zh" if locale.startswith("zh") else "en"


def _page_of_causes() -> str | None:
    """The page of all findings in the user's language, where the working folder is a clone, which alone has it."""
    page = "docs/causes.zh-CN.md" if _language() == "zh" else "docs/causes.md"
    # Another project may have a page with this name.
    is_clone = all(Path(name).is_file() for name in (page, "signer/diagnosis/causes.en.ini"))
    return page if is_clone else None
