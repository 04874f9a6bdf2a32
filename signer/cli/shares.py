"""The commands about what a service has: shares, extend, revoke and ls."""

from __future__ import annotations

import re
import sys
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import click

from ..common.display import printable
from ..sizes import format_size
from . import options
from .failures import for_each
from .sending.destination import FOLDER, other_places
from .sending.new_share import deleted_before, limited_by
from .service import Service, ServiceFailed, service_options
from .terminal import echo, print_json

_ID = re.compile(r"[A-Za-z0-9_-]{12}")


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
@service_options
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


def _share_ids(identifiers: Sequence[str], service: Service) -> Iterator[str]:
    """The ids of shares, of which an address has nothing else that a sentence may name."""
    return for_each(identifiers, lambda identifier: _share_id(identifier, service))


@_id_command()
@_identifiers
@click.option("--expires", type=options.LIFETIME, help="From now, such as 30d or 12h.")
@click.option(
    "--max-uses",
    type=click.IntRange(2, 20),
    help="The new total of downloads, of limited shares of files.",
)
@service_options
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
            end = f"{document['expires_at']}{limited_by(document)}"
            uses = _downloads(document, max_uses)
            echo(printable(f"Extended {share_id} until {end}{uses}.{deleted_before(document)}"))
        return document

    extended = [*for_each(_share_ids(identifiers, service), act)]
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
@service_options
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

    revoked = [*for_each(_share_ids(identifiers, service), act)]
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
@service_options
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
    folder: dict[str, Any] = {"path": path, "folders": [], "files": []}
    for page in _pages_of(Service.load(key), path):
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


def _pages_of(service: Service, path: str) -> Iterator[dict[str, Any]]:
    """The pages of a folder's list. Raises `ServiceFailed`; of a folder that is not there, with those that are."""
    address = quote(path, safe="/", errors="surrogateescape")
    try:
        yield from service.pages(address, {"limit": "1000"}, "folders", "files")
    except ServiceFailed as error:
        if error.status != 404 or not service.key:
            raise
        raise ServiceFailed(f"{path}: {error} {other_places(service, FOLDER)}") from None
