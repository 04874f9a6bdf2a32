"""The commands about what a service has: share, receive, shares, extend, revoke and ls."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import sys
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from hashlib import sha256
from itertools import chain, pairwise
from typing import Any, TypeVar
from urllib.parse import parse_qs, quote, urlsplit

import click

from ..display import printable, redact_pieces
from ..redaction import REDACTED
from ..sizes import format_size
from . import options
from .sending.bundle import Bundle, plan_bundle, send_bundle
from .sending.destination import Place, find_place, other_places
from .sending.files import LocalFile, select_files
from .service import KEY, Service, ServiceFailed
from .share_list import share_list
from .terminal import echo, print_json

MAX_NAMED = 10  # of what is left out

_ID = re.compile(r"[A-Za-z0-9_-]{12}")
_SECRET = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")  # of the address of a share

T = TypeVar("T")
_service_options = options.add(
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
    click.option(
        "--key",
        type=click.Choice(["-"]),
        help=f"- reads the API key or token from standard input, not {KEY}.",
    ),
)
_share_options = options.add(
    click.option(
        "--expires",
        type=options.LIFETIME,
        default="7d",
        show_default=True,
        help="From now, as 30d or 12h.",
    ),
    click.option(
        "--password",
        is_flag=True,
        help="Protect it with a code, which is printed behind the address.",
    ),
    click.option(
        "--title", type=options.words(120), help="What the page says first, in your words."
    ),
)


def _create(service: Service, as_json: bool, **params: Any) -> dict[str, Any]:
    """A new share, whose address is printed with the code behind it; id and end are on standard error."""
    body = {name: value for name, value in params.items() if value not in (None, False)}
    document = {"path": params["path"], **service.ask("POST", "/-/shares", body=body)}
    url, code, share_id, end = (
        document.get(name, "") for name in ("url", "password", "id", "expires_at")
    )
    if not all(isinstance(value, str) for value in (url, code, share_id, end)) or not url:
        raise service.refusal(document)
    if not as_json:
        echo(f"{url} {code}".rstrip())
        limited = _limited_by(document)
        line = f"{share_id}: {params['path']}, until {end}{limited}.{_deleted(document)}"
        covers = document.get("covers", "")
        if "files" in params:
            covers = f"Files: {params['files']}."
        echo(f"{line} {covers}".rstrip(), err=True)
    return document


def _limited_by(document: Mapping[str, Any]) -> str:
    """What ended a share earlier than was asked for, "" where nothing did."""
    match document.get("clamped_by"):
        case "mount":
            return " (the latest that the mount allows)"
        case "caller":
            return " (the latest that your key allows)"
        case _:
            return ""


def _deleted(document: Mapping[str, Any]) -> str:
    """When files of a share are deleted, "" where that is not before its end."""
    deleted_at = document.get("deleted_at")
    return f" OSS deletes files of it before, from {deleted_at} on." if deleted_at else ""


def _as_typed(params: Mapping[str, Any]) -> str:
    """The options of a command, as they are typed again."""
    words: list[str] = []
    for name, value in params.items():
        option = f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
        elif value not in (None, False):
            words += [option, shlex.quote(str(value))]
    return " ".join(words)


class _ShareCommand(options.Command):
    """Refuses a code behind --password, which would be the name of a file."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for option, following in pairwise(args):
            is_value = not following.startswith("-") and not os.path.lexists(following)
            if option == "--password" and is_value:
                options.fail(
                    "--password takes no value: the service makes the code. No file has the name that follows it."
                )
        return super().parse_args(ctx, args)


@click.command(cls=_ShareCommand)
@click.argument("files", metavar="FILE|FOLDER...", nargs=-1)
@click.option(
    "--path",
    "paths",
    metavar="/PATH",
    multiple=True,
    help="Share what is there, also a folder; repeatable. With --csv, - reads a path on each line.",
)
@click.option(
    "--to", default="/send/", show_default=True, metavar="/PATH/", help="Where files are sent."
)
@click.option(
    "--into",
    is_flag=True,
    help="Send to the folder --to itself, without what is there with the same size, and share all of it.",
)
@click.option("--each", is_flag=True, help="An address for each file, not one for all.")
@click.option("--hidden", is_flag=True, help="Also send what is hidden in folders (.name).")
@click.option("--max-uses", type=click.IntRange(1, 20), help="The maximum number of downloads.")
@click.option("--message", type=options.words(500), help="What the page says below the title.")
@click.option("--csv", "as_csv", is_flag=True, help="With --path -: print a row for each path.")
@click.option(
    "--resume", metavar="FILE", help="With --csv: without what FILE, of an earlier run, has."
)
@_share_options
@_service_options
def share(
    files: tuple[str, ...],
    paths: tuple[str, ...],
    to: str,
    into: bool,
    each: bool,
    hidden: bool,
    as_csv: bool,
    resume: str | None,
    **params: Any,
) -> int:
    """Send files and folders, or take what is there, and share them. The status is 2 if something was not shared.

    Several files, or a folder, get one address, and with --password one code. FC_PRESIGN_URL is the address of the
    service, FC_PRESIGN_KEY an API key or token with the methods PUT and SHARE; for one address of several files, or for
    a folder, also GET and LIST. Files are sent to a new folder, so nothing is replaced.

    \b
    Examples:
      fc-presign share q3.pdf --expires 30d --password
      fc-presign share photos/ --title 'Photos of June'
      fc-presign share photos/*.jpg --each --max-uses 1
      fc-presign share --path /reports/2026/
      fc-presign share --path - --csv --expires 30d < paths.txt > shares.csv
    """
    is_single = len(files) == 1 and not os.path.isdir(files[0])
    together = bool(files) and (into or not (each or is_single))
    if bool(files) == bool(paths):
        options.fail("Name files to send, or with --path what to share, not both.")
    if into and each:
        options.fail("--into shares all files at one address: leave out --each.")
    if together and params["max_uses"] is not None:
        options.fail("--max-uses counts the downloads of one file: add --each.")
    as_json = params.pop("as_json")
    key = params.pop("key")
    if as_csv != ("-" in paths) or (resume and not as_csv):
        options.fail("--csv goes with --path -, and --path - and --resume with --csv.")
    if as_csv and (files or as_json or key or len(paths) > 1):
        options.fail("--csv reads paths from standard input: leave out files, --json and --key.")
    service = Service.load(key)
    create = partial(_create, service, as_json or as_csv, **params)
    if as_csv:
        return share_list(create, resume)
    typed = _as_typed({**params, "json": as_json, "key": key})
    expected = len(paths)
    acts = _for_each(paths, lambda path: create(path=path))
    if files:
        selected = _select(files, hidden=hidden)
        folder = f"{to.rstrip('/')}/"
        place = find_place(service, folder, together=together)
        expected = 1 if together else len(selected)
        acts = chain.from_iterable(
            _share_alone(service, file, folder, place, create, typed) for file in selected
        )
    if together:
        folder = folder if into else _new_folder(folder)
        bundle = plan_bundle(service, selected, folder, place, into=into)
        given = _as_typed({"to": folder, "into": True, "hidden": hidden})
        # What begins with a dash would be an option.
        names = shlex.join(f"./{name}" if name.startswith("-") else name for name in files)
        acts = _share_together(service, bundle, create, f"{names} {given} {typed}")
    shared = list[dict[str, Any]]()
    try:
        shared.extend(acts)
    finally:
        if as_json:  # also after Ctrl-C: nobody can look up an address
            print_json({"shares": shared})
    return 0 if len(shared) == expected else 2


def _select(files: Sequence[str], *, hidden: bool) -> list[LocalFile]:
    """The files to send, after a note of what is left out. Raises `ServiceFailed` for none, or too many."""
    selected, left_out = select_files(files, hidden=hidden)
    for reason, paths in left_out.items():
        more = ", …" if len(paths) > MAX_NAMED else ""
        names = ", ".join(paths[:MAX_NAMED])
        echo(f"Left out, {reason}: {len(paths)} ({names}{more})", err=True)
    if not selected:
        raise ServiceFailed("There is no file to send.")
    return selected


def _new_folder(above: str) -> str:
    return f"{above}{secrets.token_urlsafe(6)}/"


def _share_alone(
    service: Service,
    file: LocalFile,
    to: str,
    place: Place,
    create: Callable[..., dict[str, Any]],
    typed: str,
) -> Iterator[dict[str, Any]]:
    """The share of a file, or a sentence that says why there is none."""
    file = file._replace(name=os.path.basename(file.name))
    again = ""
    try:
        bundle = plan_bundle(service, [file], _new_folder(to), place, into=False)
        send_bundle(service, bundle)
        path = bundle.folder + file.name
        again = f"It was sent, and not shared. To go on:\n{options.NAME} share {_as_typed({'path': path})} {typed}"
        yield create(path=path)
    except (ServiceFailed, ValueError) as error:
        _print_failure(str(error), again)


def _share_together(
    service: Service, bundle: Bundle, create: Callable[..., dict[str, Any]], typed: str
) -> Iterator[dict[str, Any]]:
    """The share of all files, or a sentence that says why there is none, and the command that goes on."""
    files = f"{len(bundle.missing)} of {bundle.total} files"
    echo(f"Sending {files} ({format_size(bundle.size)}) to {bundle.folder}.", err=True)
    again = f"Nothing was shared. To go on:\n{options.NAME} share {typed}"
    try:
        send_bundle(service, bundle)
        yield create(path=bundle.folder, files=bundle.total)
    except (ServiceFailed, ValueError) as error:
        _print_failure(str(error), again)
    except KeyboardInterrupt:
        echo(again, err=True)
        raise


@click.command(cls=_ShareCommand)
@click.option(
    "--to", default="/in/", show_default=True, metavar="/PATH/", help="Where files arrive."
)
@click.option(
    "--max-files",
    type=click.IntRange(1, 100),
    default=20,
    show_default=True,
    help="The maximum number of files.",
)
@click.option(
    "--max-size",
    type=options.SIZE,
    help="Maximum size of a file: 512K, 10MB, 5G (K is 1024). Default: the mount's.",
)
@_share_options
@_service_options
def receive(
    to: str, max_files: int, max_size: int | None, as_json: bool, key: str | None, **params: Any
) -> None:
    """Create an upload page: whoever has its address can send files, and read nothing.

    FC_PRESIGN_URL is the address of the service, FC_PRESIGN_KEY an API key or token with the method SHARE.

    \b
    Examples:
      fc-presign receive --max-files 5 --max-size 10MB --title 'Your photos'
    """
    limits = {"max_files": max_files}
    if max_size is not None:
        limits["max_size"] = max_size
    path = f"{to.rstrip('/')}/"
    service = Service.load(key)
    try:
        document = _create(service, as_json, path=path, method="POST", upload=limits, **params)
    except ServiceFailed as error:
        if error.status != 404:
            raise
        raise ServiceFailed(f"{path}: {error} {other_places(service)}") from None
    place = document.get("received_at")
    if as_json:
        print_json({"shares": [document]})
    elif isinstance(place, str):
        command = f"{options.NAME} ls {shlex.quote(place)}"
        echo(printable(f"Files arrive in {place}. List them: {command}"), err=True)


def _print_row(columns: str, *cells: object) -> None:
    """Prints a line, safe for a terminal whatever the service answered; None is -."""
    echo(printable(columns.format(*("-" if cell is None else str(cell) for cell in cells))))


@click.command(cls=options.Command, name="shares")
@click.option(
    "--all",
    "everyone",
    is_flag=True,
    help="The shares of all callers: the key needs the method ADMIN.",
)
@_service_options
def list_shares(everyone: bool, as_json: bool, key: str | None) -> None:
    """List the shares that you created, newest first.

    FC_PRESIGN_URL is the address of the service, FC_PRESIGN_KEY your API key or token.

    \b
    Examples:
      fc-presign shares
      fc-presign shares --all --json --key - < admin.key
    """
    query = {"limit": "50"}
    columns = "{:<12}  {:<8}  {:<20}  {:>4}  {}"
    names = ["id", "state", "expires_at", "uses", "path"]
    if everyone:
        query["all"] = "true"
        columns = columns + "  {}"
        names = [*names, "owner"]
    listed: list[dict[str, Any]] = []
    for page in Service.load(key).pages("/-/shares", query, "shares"):
        listed += page["shares"]
        for share in page["shares"] if not as_json else ():
            _print_row(columns, *map(share.get, names))
    if as_json:
        print_json({"shares": listed})


class _IdCommand(options.Command):
    """A command for ids, which may begin with -h: that is help only as the single argument."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args == ["-h"]:
            args = ["--help"]
        return super().parse_args(ctx, args)


_id_command = partial(
    click.command,
    cls=_IdCommand,
    context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]},
)
_identifiers = click.argument("identifiers", metavar="ID|ADDRESS...", nargs=-1, required=True)
_identifiers_or_owner = click.argument("identifiers", metavar="[ID|ADDRESS...]", nargs=-1)


def _share_id(identifier: str, service: Service) -> str:
    """The id of a share. Nothing else is sent: the secret of an address is hashed here. Raises `ServiceFailed`."""
    if _ID.fullmatch(identifier):
        return identifier
    parts = urlsplit(identifier)
    secrets = parse_qs(parts.query).get("share", [])
    if f"{parts.scheme}://{parts.netloc}" != service.url:
        raise ServiceFailed(f"Expected an id, or an address of {service.url}.")
    if not parts.path.startswith("/-/s") or len(secrets) != 1:
        raise ServiceFailed("This is not the address of a share. Copy it completely.")
    return urlsafe_b64encode(sha256(secrets[0].encode()).digest()).decode()[:12]


def _for_each(names: Iterable[str], act: Callable[[str], T]) -> Iterator[T]:
    """What `act` returns for each name for which it does not fail. A sentence says why another failed."""
    for name in names:
        try:
            yield act(name)
        except (ServiceFailed, ValueError) as error:
            shown = REDACTED if _SECRET.fullmatch(name) else name
            _print_failure(f"{shown}: {error}")


def _share_ids(identifiers: Sequence[str], service: Service) -> Iterator[str]:
    """The ids of shares, of which an address has nothing else that a sentence may name."""
    return _for_each(identifiers, lambda identifier: _share_id(identifier, service))


def _print_failure(sentence: str, again: str = "") -> None:
    echo(printable(redact_pieces(f"Error: {sentence}")), err=True)  # an id may be a pasted link
    if again:
        echo(again, err=True)


@_id_command()
@_identifiers
@click.option("--expires", type=options.LIFETIME, help="From now, such as 30d or 12h.")
@click.option(
    "--max-uses",
    type=click.IntRange(2, 20),
    help="The new total of downloads, of limited shares of files.",
)
@_service_options
def extend(
    identifiers: tuple[str, ...],
    expires: str | None,
    max_uses: int | None,
    as_json: bool,
    key: str | None,
) -> int:
    """Extend shares by their ids or addresses: a later end, also of ended ones, more downloads, or both.

    The status is 2 if one of them was not extended.

    FC_PRESIGN_URL is the address of the service, FC_PRESIGN_KEY an API key or token with the method SHARE.

    \b
    Examples:
      fc-presign extend z0dbH3m320oM --expires 30d
      fc-presign extend z0dbH3m320oM --max-uses 5
    """
    if expires is None and max_uses is None:
        options.fail("Name --expires, --max-uses, or both.")
    service = Service.load(key)
    params = {"expires": expires, "max_uses": max_uses}
    body = {name: value for name, value in params.items() if value is not None}

    def act(share_id: str) -> dict[str, Any]:
        document = service.ask("POST", f"/-/shares/{share_id}", body=body)
        if not isinstance(document.get("expires_at"), str):
            raise service.refusal(document)
        if not as_json:
            end = f"{document['expires_at']}{_limited_by(document)}"
            uses = _downloads(document, max_uses)
            echo(printable(f"Extended {share_id} until {end}{uses}.{_deleted(document)}"))
        return document

    extended = [*_for_each(_share_ids(identifiers, service), act)]
    if as_json:
        print_json({"shares": extended})
    return 0 if len(extended) == len(identifiers) else 2


def _downloads(document: Mapping[str, Any], raised: int | None) -> str:
    """How many downloads a share has in all, and how many are left; "" where they were not raised."""
    total = document.get("max_uses")
    used = document.get("uses")
    if raised is None or type(total) is not int or type(used) is not int:
        return ""
    return f": {total} downloads in all, {total - used} left"


@_id_command()
@_identifiers_or_owner
@click.option(
    "--owner",
    help="Every share of an owner, as shares --all shows it: the key needs the methods ADMIN and SHARE.",
)
@click.option("--yes", is_flag=True, help="With --owner: do not ask.")
@_service_options
def revoke(
    identifiers: tuple[str, ...], owner: str | None, yes: bool, as_json: bool, key: str | None
) -> int:
    """Revoke shares by their ids or addresses. The status is 2 if one of them was not revoked.

    With --owner, it says how many shares end, asks, and goes on where an earlier run stopped.

    FC_PRESIGN_URL is the address of the service, FC_PRESIGN_KEY an API key or token with the method SHARE.

    \b
    Examples:
      fc-presign revoke z0dbH3m320oM
      fc-presign revoke 'https://links.example.com/-/s/q3.pdf?share=…'
      fc-presign revoke --owner jwt:https://id.example.com:ann --yes
    """
    if bool(identifiers) == (owner is not None):
        options.fail("Name ids or addresses, or an --owner.")
    service = Service.load(key)
    if owner is not None:
        identifiers = _shares_of(service, owner)
        _confirm(len(identifiers), owner, yes)

    def act(share_id: str) -> str:
        service.ask("DELETE", f"/-/shares/{share_id}")
        if not as_json:
            echo(printable(f"Revoked {share_id}."))
        return share_id

    revoked = [*_for_each(_share_ids(identifiers, service), act)]
    if as_json:
        print_json({"revoked": revoked})
    return 0 if len(revoked) == len(identifiers) else 2


def _shares_of(service: Service, owner: str) -> tuple[str, ...]:
    """The ids of an owner's shares that were not revoked, also of those that ended: an extension would open them.

    Raises `ServiceFailed` for an owner without any share.
    """
    states: dict[str, object] = {}
    for page in service.pages("/-/shares", {"limit": "50", "all": "true"}, "shares"):
        for share in page["shares"]:
            share_id = share.get("id")
            if share.get("owner") == owner and isinstance(share_id, str):
                states[share_id] = share.get("state")
    if not states:
        raise ServiceFailed(
            f"Nobody of the name {owner} has shares. {options.NAME} shares --all shows every owner."
        )
    return tuple(share_id for share_id, state in states.items() if state != "revoked")


def _confirm(count: int, owner: str, yes: bool) -> None:
    """Asks whether so many shares end. Ends the command where nobody agrees."""
    shares = "1 share" if count == 1 else f"{count} shares"
    echo(printable(f"{owner} has {shares} that can be revoked."), err=True)
    if count == 0 or yes:
        return
    if not sys.stdin.isatty():
        options.fail("revoke --owner asks on a terminal. To revoke without a question: --yes")
    if not click.confirm(f"Revoke {shares}?", err=True):
        raise ServiceFailed("Nothing was revoked.")


@click.command(cls=options.Command, name="ls")
@click.argument("path", metavar="/PATH/")
@_service_options
def list_folder(path: str, as_json: bool, key: str | None) -> None:
    """List a folder of the service: its folders, and its files with size and time.

    FC_PRESIGN_URL is the address of the service, FC_PRESIGN_KEY an API key or token with the method LIST; a folder that
    everybody may list needs none. Write the path as it is, not percent-encoded.

    \b
    Examples:
      fc-presign ls /reports/2026/
    """
    if not path.startswith("/") or path.startswith("/-/"):
        options.fail("Expected a path of the service that begins with /, such as /reports/.")
    if not {".", ".."}.isdisjoint(path.split("/")):
        options.fail("The path must not have a segment . or .., which HTTP clients rewrite.")
    path = path.rstrip("/") + "/"
    address = quote(path, safe="/", errors="surrogateescape")
    folder: dict[str, Any] = {"path": path, "folders": [], "files": []}
    for page in Service.load(key).pages(address, {"limit": "1000"}, "folders", "files"):
        rows: list[tuple[object, ...]] = [
            (None, None, f"{each.get('name', '').rstrip('/')}/") for each in page["folders"]
        ]
        rows += [
            (format_size(each.get("size", 0)), each.get("modified_at"), each["name"])
            for each in page["files"]
        ]
        for row in rows if not as_json else ():
            _print_row("{:>9}  {:<20}  {}", *row)
        for name in ("folders", "files"):
            folder[name] += page[name]
    if as_json:
        print_json(folder)
    elif not folder["folders"] and not folder["files"]:
        echo(printable(f"Nothing is in {path}."), err=True)
