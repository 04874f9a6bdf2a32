"""The command line: sign, curl, form, verify, explain and bulk."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from typing import Any

import click

from ..errors import SignerError
from ..link import Link, presign
from ..redaction import redact
from ..times import format_duration, format_time, rfc3339
from . import options
from .bulk import bulk
from .options import HEADER, METHOD, QUERY, OssAddress, Size, Span, Target

NAME = "fc-presign"
MODULE = "python -m signer"
COMPLETION = "_FC_PRESIGN_COMPLETE"
_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 110}


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs a command; the exit status is 0, 1 (something is wrong with a link) or 2 (it could not be done)."""
    try:
        status = commands.main(
            arguments,
            # The completion script is for the name that an installation has.
            prog_name=NAME if COMPLETION in os.environ or not sys.argv[0].endswith("__main__.py") else MODULE,
            complete_var=COMPLETION,
            standalone_mode=False,
        )
    except click.Abort:
        click.echo("Interrupted.", err=True)
        return 1
    except click.UsageError as error:
        if error.ctx is not None:
            click.echo(error.ctx.get_usage(), err=True)
        return _refused(error.format_message())
    except click.ClickException as error:
        return _refused(error.format_message())
    except SignerError as error:
        return _refused(str(error))
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        return _refused(f"{name}{error.strerror}.")
    return status if isinstance(status, int) else 0


def _refused(sentence: str) -> int:
    # An argument in the wrong place may be a link.
    click.echo(f"Error: {redact(sentence)}", err=True)
    return 2


@click.group(context_settings=_CONTEXT)
def commands() -> None:
    """Links to private objects of Alibaba Cloud OSS: make them, check them, and find out why one fails.

    Credentials come from OSS_ACCESS_KEY_ID, OSS_ACCESS_KEY_SECRET and OSS_SESSION_TOKEN (or the
    ALIBABA_CLOUD_ACCESS_KEY_ID family), or from a --profile of the aliyun CLI; never from arguments.
    The exit status is 0, 1 (something is wrong with a link) or 2 (it could not be done).

    \b
    Examples:
      python -m signer sign oss://examplebucket/report.pdf --region cn-hangzhou --expires 15m
      python -m signer explain -                    # paste the link: it stays out of the history
      python -m signer verify 'https://…'
      python -m signer curl oss://examplebucket/in.csv --method PUT --header 'Content-Type: text/csv'
      python -m signer bulk oss://examplebucket/2026/ --output index.html
    \b
    Installed, it is also called fc-presign. Its completion (bash; zsh and fish likewise), for ~/.bashrc:
      eval "$(_FC_PRESIGN_COMPLETE=bash_source fc-presign)"
    """


def _what(function: Any) -> Any:
    """What `sign` and `curl` have in common."""
    for option in reversed(
        (
            click.argument("target", type=OssAddress(), metavar="oss://BUCKET/KEY"),
            click.option("--expires", type=Span(), default="15m", show_default=True, help="90, 90s, 15m, 2h or 7d."),
            click.option("--method", type=METHOD, default="GET", show_default=True),
            click.option(
                "--header", "headers", multiple=True, type=HEADER, help="A header the client will send; repeatable."
            ),
            click.option(
                "--sign-header", "signed", multiple=True, help="Sign this header too, such as host; repeatable."
            ),
            click.option("--query", "queries", multiple=True, type=QUERY, help="A parameter to sign; repeatable."),
            click.option("--version-id", help="A version of the object."),
            click.option("--download", metavar="NAME", help="Browsers save the object by this name."),
            click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        )
    ):
        function = option(function)
    return options.signing(function)


def _made(given: dict[str, Any]) -> Link:
    target: Target = given["target"]
    query: dict[str, str] = {}
    for name, value in given["queries"]:
        if name in query:
            options.stop(f"The parameter {name} is given twice: give it once.")
        query[name] = value
    if given["version_id"]:
        query["versionId"] = given["version_id"]
    if given["download"]:
        from ..disposition import attachment

        query["response-content-disposition"] = attachment(given["download"])
    who = options.who(given["profile"], given["config"])
    headers = dict(given["headers"])
    if len(headers) != len(given["headers"]):
        options.stop("A header is given twice: give it once.")
    return presign(
        given["method"].upper(),
        target.bucket,
        target.key,
        credentials=who.credentials,
        endpoint=options.endpoint(given["endpoint"], given["path_style"], given["region"], who.region),
        expires_in=given["expires"],
        query=query,
        headers=headers,
        signed_headers=given["signed"],
    )


def _facts(link: Link) -> dict[str, object]:
    return {
        "url": link.url,
        "method": link.method,
        "headers": link.headers,
        "expires_at": rfc3339(link.expires_at.timestamp()),
        "expires_in": link.expires_in,
        "clamped": link.clamped,
    }


def _tell(link: Link) -> None:
    """On standard error: what the URL does not show."""
    because = ", when the credentials end" if link.clamped else ""
    click.echo(
        f"{link.method}, ends {format_time(link.expires_at)}, in {format_duration(link.expires_in)}{because}.", err=True
    )
    for name, value in link.headers.items():
        click.echo(f"Send the header {name}: {value}", err=True)


@commands.command()
@_what
def sign(as_json: bool, **given: Any) -> None:
    """A presigned URL, on standard output.

    The key is taken letter by letter: quote it for the shell, and do not percent-encode it.

    \b
    Examples:
      python -m signer sign oss://examplebucket/exampledir/report.pdf --region cn-hangzhou
      python -m signer sign 'oss://examplebucket/报告 3.pdf' --expires 7d --download 'Report 3.pdf'
      python -m signer sign oss://examplebucket/in.png --method PUT --header 'Content-Type: image/png'
      python -m signer sign oss://examplebucket/a.txt --endpoint https://static.example.com --json
    """
    link = _made(given)
    if as_json:
        options.show(_facts(link))
        return
    click.echo(link.url)
    _tell(link)


@commands.command()
@click.option("--file", default="FILE", show_default=True, help="What a PUT uploads.")
@_what
def curl(as_json: bool, file: str, **given: Any) -> None:
    """A curl line that uses a new link, ready for a POSIX shell.

    \b
    Examples:
      python -m signer curl oss://examplebucket/report.pdf --region cn-hangzhou
      python -m signer curl oss://examplebucket/in.csv --method PUT --header 'Content-Type: text/csv' --file in.csv
      eval "$(python -m signer curl oss://examplebucket/report.pdf --region cn-hangzhou 2>/dev/null)"
    """
    link = _made(given)
    name = given["download"] or given["target"].key.rpartition("/")[2] or "object"
    verb = {
        "GET": ["-o", "./" + name],
        "HEAD": ["-I"],
        "PUT": ["-T", file],
        "POST": ["-X", "POST"],
        "DELETE": ["-X", "DELETE"],
    }[link.method]
    headers = [part for pair in link.headers.items() for part in ("-H", f"{pair[0]}: {pair[1]}")]
    line = shlex.join(["curl", "-fgsS", *verb, *headers, link.url])
    if as_json:
        options.show({**_facts(link), "command": line})
        return
    click.echo(line)
    _tell(link)


@commands.command()
@click.argument("target", type=OssAddress(), metavar="oss://BUCKET/KEY")
@click.option("--max-size", type=Size(), required=True, help="Bytes at most: 1000, 512K, 10MB, 5G (K is 1024).")
@click.option("--min-size", type=Size(), default=0, show_default=True, help="Bytes at least.")
@click.option("--content-type", help="The file's type, or a prefix such as image/.")
@click.option("--overwrite", is_flag=True, help="Allow to replace an object that exists.")
@click.option("--expires", type=Span(), default="15m", show_default=True, help="90, 90s, 15m, 2h or 7d.")
@click.option("--file", default="FILE", show_default=True, help="What the printed line uploads.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: url, fields, expires_at.")
@options.signing
def form(target: Target, as_json: bool, file: str, expires: int, **given: Any) -> None:
    """A form upload (PostObject) that a browser or curl can send, within a size and a type.

    A key that ends in / is a prefix: who uploads chooses the rest.

    \b
    Examples:
      python -m signer form oss://examplebucket/in/ --max-size 10MB --content-type image/ --region cn-hangzhou --json
      python -m signer form oss://examplebucket/in/a.txt --max-size 1M --content-type text/plain --file a.txt
    """
    from ..form import post_form

    who = options.who(given["profile"], given["config"])
    made = post_form(
        target.bucket,
        target.key,
        credentials=who.credentials,
        endpoint=options.endpoint(given["endpoint"], given["path_style"], given["region"], who.region),
        max_size=given["max_size"],
        min_size=given["min_size"],
        content_type=given["content_type"],
        overwrite=given["overwrite"],
        expires_in=expires,
    )
    if as_json:
        ends = rfc3339(made.expires_at.timestamp())
        options.show({**made._asdict(), "expires_at": ends})
        return
    fields = [part for name, value in made.fields.items() for part in ("--form-string", f"{name}={value}")]
    click.echo(shlex.join(["curl", "-fsS", *fields, "-F", f"file=@{file}", made.url]))
    click.echo(f"Ends {format_time(made.expires_at)}, in {format_duration(made.expires_in)}.", err=True)


@commands.command()
@click.argument("url", metavar="URL|-")
@click.option("--method", type=METHOD, default="GET", show_default=True)
@click.option("--header", "headers", multiple=True, type=HEADER, help="A header the client sends; repeatable.")
@click.option("--bucket", help="The bucket of a custom domain.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@options.identity
def verify(
    url: str, method: str, headers: tuple[tuple[str, str], ...], bucket: str | None, as_json: bool, **given: Any
) -> int:
    """Whether a link holds, by the secret that signed it: status 0 if it does, 1 if not, 2 if that cannot be told.

    \b
    Examples:
      python -m signer verify 'https://examplebucket.oss-cn-hangzhou.aliyuncs.com/a.txt?x-oss-…'
      pbpaste | python -m signer verify - --method PUT --header 'Content-Type: image/png'
    """
    from ..verification import verify as check

    who = options.who(given["profile"], given["config"])
    url = options.text_of(url, "the link").strip()
    held = check(method.upper(), url, credentials=who.credentials, headers=dict(headers), bucket=bucket)
    parts = {name: getattr(held, name) for name in ("signature", "expiry", "skew", "token", "headers")}
    if as_json:
        ends = rfc3339(held.expires_at.timestamp()) if held.expires_at else None
        faults = [fault._asdict() for fault in held.faults]
        options.show({"ok": held.ok, **parts, "faults": faults, "expires_at": ends})
    else:
        click.echo("The link holds." if held.ok else "The link does not hold.")
        for name, holds in parts.items():
            click.echo(f"  {name:<10} {'yes' if holds else 'no'}")
        for fault in held.faults:
            click.echo(f"  fault      {fault.code}" + (f" ({redact(fault.parameter)})" if fault.parameter else ""))
        if held.expires_at:
            click.echo(f"  ends       {format_time(held.expires_at)}")
        if not held.ok:
            click.echo("The command explain tells why.", err=True)
    return 0 if held.ok else 1


@commands.command()
@click.argument("url", metavar="URL|-")
@click.option("--error-xml", type=click.Path(), help="A file with OSS's answer, or - for standard input.")
@click.option("--method", type=METHOD, default="GET", show_default=True, help="The method the link was used with.")
@click.option("--header", "headers", multiple=True, type=HEADER, help="A header that was sent; repeatable.")
@click.option("--no-headers", is_flag=True, help="No header was sent: hold those against it that were signed.")
@click.option("--bucket", help="The bucket of a custom domain.")
@click.option("--inside", is_flag=True, help="The client is in the bucket's region, where internal hosts are right.")
@click.option("--no-secret", is_flag=True, help="Do not use credentials that are in the environment.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@options.identity
def explain(url: str, **given: Any) -> int:
    """Why a link fails, and what to do. Status 0 if nothing is wrong, 1 if something is, 2 if it cannot be told.

    With "-" the link is read from standard input, where OSS's error document may follow it. With credentials in
    the environment (or --profile) the fault is proved. Nothing secret is printed.

    \b
    Examples:
      python -m signer explain -
      python -m signer explain 'https://examplebucket.oss-cn-hangzhou.aliyuncs.com/a.txt?x-oss-…' --error-xml answer.xml
      (cat link.txt; curl -s "$(cat link.txt)") | python -m signer explain -
    """
    from ..diagnosis import explain as find_out

    if url == "-" and given["error_xml"] == "-":
        options.stop(
            "Only one of the link and the answer can come from standard input; or give both together, with URL -."
        )
    text, xml = options.text_of(url, "the link, and OSS's answer behind it where you have it"), None
    start = text.find("<?xml") if "<?xml" in text else text.find("<Error")
    if url == "-" and start > 0:
        text, xml = text[:start], text[start:]
    if given["error_xml"] == "-":
        xml = options.text_of("-", "OSS's answer")
    elif given["error_xml"]:
        with open(given["error_xml"], encoding="utf-8-sig", errors="replace") as file:
            xml = file.read(1 << 20)
    headers = dict(given["headers"]) if given["headers"] or given["no_headers"] else None
    credentials = None if given["no_secret"] else options.possible_credentials(given["profile"], given["config"])
    told = find_out(
        text,
        error_xml=xml,
        method=given["method"].upper(),
        headers=headers,
        credentials=credentials,
        bucket=given["bucket"],
        inside=given["inside"],
    )
    if given["as_json"]:
        options.show(told.to_json())
    else:
        click.echo(str(told))
    return 0 if told.ok else 1


commands.add_command(bulk)
