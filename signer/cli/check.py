"""The commands that check a link: verify and explain."""

from __future__ import annotations

import re
from typing import Any

import click

from .. import verification
from ..cdn import verify_cdn
from ..times import format_time, rfc3339
from . import options
from .credentials import load_credentials, load_optional_credentials
from .options import HEADER, METHOD
from .output import echo, print_json


@click.command(cls=options.Command)
@click.argument("url", metavar="[URL|-]", default="-")
@click.option("--method", type=METHOD, default="GET", show_default=True)
@click.option("--header", "headers", multiple=True, type=HEADER, help="A header the client sends; repeatable.")
@click.option("--bucket", help="The bucket of a custom domain.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@options.credentials_options
@options.cdn_options
def verify(url: str, **params: Any) -> int:
    """Check a link with the credentials or CDN key that signed it. Status 0: valid, 1: not valid, 2: cannot be checked.

    \b
    Examples:
      fc-presign verify 'https://examplebucket.oss-cn-hangzhou.aliyuncs.com/a.txt?x-oss-…'
      pbpaste | fc-presign verify - --method PUT --header 'Content-Type: image/png'
    """
    from ..diagnosis.oss_error import printable_name

    if cdn := options.load_cdn_key(params):
        fault = verify_cdn(options.read_argument(url, "the link").strip(), cdn)
        words = f"The link is not valid: {fault}." if fault else "The link is valid."
        print_json({"ok": not fault, "fault": fault}) if params["as_json"] else echo(words)
        return 1 if fault else 0
    credentials = load_credentials(params["profile"], params["config"]).credentials
    method, headers = params["method"].upper(), dict(params["headers"])
    url = options.read_argument(url, "the link").strip()
    if not url:
        raise click.ClickException("The link is missing: give the full URL, from https:// to the end of its signature.")
    result = verification.verify(method, url, credentials=credentials, headers=headers, bucket=params["bucket"])
    if any(fault.code == "unknown_access_key" for fault in result.faults):
        reason = "it was signed with another access key. Use the credentials of that."
        raise click.ClickException(f"The link cannot be checked: {reason}")
    parts = {name: getattr(result, name) for name in ("signature", "expiry", "skew", "token", "headers")}
    faults = [(code, printable_name(parameter) if parameter else None) for code, parameter in result.faults]
    if params["as_json"]:
        expires_at = rfc3339(result.expires_at.timestamp()) if result.expires_at else None
        objects = [{"code": code, "parameter": parameter} for code, parameter in faults]
        print_json({"ok": result.ok, **parts, "faults": objects, "expires_at": expires_at})
    else:
        echo("The link is valid." if result.ok else "The link is not valid.")
        for name, is_valid in parts.items():
            echo(f"  {name:<10} {'yes' if is_valid else 'no'}")
        for code, parameter in faults:
            echo(f"  fault      {code}" + (f" ({parameter})" if parameter else ""))
        if result.expires_at:
            echo(f"  expires at {format_time(result.expires_at)}")
        if not result.ok:
            echo(f"Run {options.program_name()} explain to see why, and what to do.", err=True)
    return 0 if result.ok else 1


@click.command(cls=options.Command)
@click.argument("url", metavar="[URL|-]", default="-")
@click.option("--error-xml", type=click.Path(), help="A file with the response of OSS, or - for standard input.")
@click.option("--method", type=METHOD, default="GET", show_default=True, help="The method that was used.")
@click.option("--header", "headers", multiple=True, type=HEADER, help="A header that was sent; repeatable.")
@click.option("--no-headers", is_flag=True, help="No header was sent: report each signed header as missing.")
@click.option("--bucket", help="The bucket of a custom domain.")
@click.option("--inside", is_flag=True, help="The client is in the bucket's region, where internal hosts work.")
@click.option("--no-secret", is_flag=True, help="Do not use the credentials of the environment.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@options.credentials_options
@options.cdn_options
def explain(url: str, **params: Any) -> int:
    """Find out why a link fails and what to do. Status 0: no fault found, 1: fault found, 2: cannot be checked.

    Without a link, or with "-", it is read from standard input; the error document of OSS may follow it, or
    what curl -i printed. With credentials in the environment (or --profile), or the key of a CDN, the fault is
    proved. Nothing secret is printed.

    \b
    Examples:
      fc-presign explain -
      fc-presign explain 'https://examplebucket.oss-cn-hangzhou.aliyuncs.com/a.txt?x-oss-…' --error-xml answer.xml
      (cat link.txt; curl -s "$(cat link.txt)") | fc-presign explain -
    """
    from .. import diagnosis

    cdn = options.load_cdn_key(params)
    if url == "-" and params["error_xml"] == "-":
        options.fail("Standard input can hold the link or the response. To pass both in it, use URL - only.")
    link, xml = options.read_argument(url, "the link (the response of OSS may follow it)"), None
    answer = re.search(r"(?<=.)(<\?xml|<Error|^(< )?HTTP/[0-9]|^(< )?X-Tengine-Error:)", link, re.I | re.M | re.S)
    if url == "-" and answer:
        link, xml = link[: answer.start()], link[answer.start() :]
    if params["error_xml"] == "-":
        xml = options.read_argument("-", "the response of OSS")
    elif params["error_xml"]:
        with open(params["error_xml"], encoding="utf-8-sig", errors="replace") as file:
            xml = file.read(options.MAX_INPUT)
    explanation = diagnosis.explain(
        link,
        error_xml=xml,
        method=params["method"].upper(),
        headers=dict(params["headers"]) if params["headers"] or params["no_headers"] else None,
        credentials=None if params["no_secret"] else load_optional_credentials(params["profile"], params["config"]),
        bucket=params["bucket"],
        inside=params["inside"],
        cdn=cdn,
    )
    if params["as_json"]:
        print_json(explanation.to_json())
    else:
        echo(str(explanation))
    return 0 if explanation.ok else 1
