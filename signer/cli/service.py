"""What asks a running service, and the commands shares, revoke, extend and ls."""

from __future__ import annotations

import os
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qs, quote, urlsplit

import click

from ..display import printable, redact_pieces
from ..endpoint import is_loopback, parse_origin
from ..errors import SignerError
from ..sizes import format_size
from . import options
from .network import failure_reason, send
from .output import echo, print_json

URL = "FC_PRESIGN_URL"
KEY = "FC_PRESIGN_KEY"
TIMEOUT = (10, 60)  # seconds, to connect and to read
_ID = re.compile(r"[A-Za-z0-9_-]{12}")
_CREDENTIAL = re.compile(r"[\x21-\x7e]{1,8192}")

T = TypeVar("T")
service_options = options.add(
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
    click.option(
        "--key",
        type=click.Choice(["-"]),
        help=f"- reads the API key or token from standard input, not {KEY}.",
    ),
)


class ServiceFailed(SignerError):
    """The service did not do what it was asked; the message says what it answered."""

    code = "service_failed"


class Service(NamedTuple):
    """A deployed service: `url` is its origin, `key` an API key or token, "" for none."""

    url: str
    key: str

    def __repr__(self) -> str:
        return f"Service(url={self.url!r}, key='***')"

    @classmethod
    def load(cls, key_from: str | None) -> Service:
        """From the environment; with "-", the key is standard input, which a terminal does not show."""
        url = os.environ.get(URL) or options.fail(
            f"Set {URL} to the service, such as https://links.example.com."
        )
        scheme, host = parse_origin(url.rstrip("/"))
        if scheme != "https" and not is_loopback(host):
            options.fail(
                f"{URL} must begin with https://, so that nobody reads the key on its way."
            )
        key = os.environ.get(KEY, "")
        if key_from:
            key = options.read_secret("API key")
        if key.strip() and not _CREDENTIAL.fullmatch(key.strip()):
            options.fail(
                "Invalid API key or token: expected printable ASCII characters without spaces."
            )
        return cls(url.rstrip("/"), key.strip())

    def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, object] | None = None,
    ) -> dict[str, Any]:
        """The JSON of an answer, empty for a DELETE. Raises `ServiceFailed`."""
        headers = {"Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        try:
            response = send(
                method, self.url + path, TIMEOUT, headers=headers, query=query, body=body
            )
        except OSError as error:
            raise ServiceFailed(f"Cannot reach {self.url}: {failure_reason(error)}.") from None
        if (method, response.status_code) == ("DELETE", 204):
            return {}
        try:
            document = response.json()
        except (ValueError, RecursionError):
            document = None
        if response.status_code in (200, 201) and isinstance(document, dict) and method != "DELETE":
            return document
        raise self.refusal(document, f" (status {response.status_code})")

    def refusal(self, problem: object, instead: str = "") -> ServiceFailed:
        """What a problem document says. Of anything else, that it is not one, and what the answer had `instead`."""
        code = problem.get("code") if isinstance(problem, dict) else None
        if not isinstance(problem, dict) or not isinstance(code, str):
            return ServiceFailed(f"{self.url} did not answer as fc-presign does{instead}.")
        hint = f" Set {KEY}, or pass --key -." if code == "unauthorized" else ""
        return ServiceFailed(
            f"{problem.get('detail')}{hint} ({code}, request {problem.get('request_id')})"
        )

    def pages(self, path: str, query: Mapping[str, str], *lists: str) -> Iterator[dict[str, Any]]:
        """The JSON of every page, which has these lists; each is requested with the `next` of the one before."""
        after = ""
        seen = set[str]()
        while True:
            position = {"after": after} if after else {}
            page = self.ask("GET", path, {**query, **position})
            entries = [page.get(name) for name in lists]
            if not all(
                isinstance(each, list) and all(map(self._is_entry, each)) for each in entries
            ):
                raise self.refusal(page)
            yield page
            following = page.get("next")
            if following is None:
                return
            if not isinstance(following, str) or following in seen:
                raise ServiceFailed(f"The list of {self.url} does not end.")
            after = following
            seen.add(after)

    @staticmethod
    def _is_entry(entry: Any) -> bool:
        """Whether it is a share, a folder or a file, as far as the commands read it."""
        if not isinstance(entry, dict):
            return False
        size = entry.get("size", 0)
        is_named = isinstance(entry.get("name", ""), str) and ("id" in entry or "name" in entry)
        return is_named and isinstance(size, int) and 0 <= size < 2**63


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


def for_each(names: tuple[str, ...], act: Callable[[str], T]) -> Iterator[T]:
    """What `act` returns for each name for which it does not fail. A sentence says why another failed."""
    for name in names:
        try:
            yield act(name)
        except (ServiceFailed, ValueError) as error:
            echo(
                printable(redact_pieces(f"Error: {name}: {error}")), err=True
            )  # an id may be a pasted link


@_id_command()
@_identifiers
@click.option(
    "--expires", required=True, type=options.LIFETIME, help="From now, such as 30d or 12h."
)
@service_options
def extend(identifiers: tuple[str, ...], expires: str, as_json: bool, key: str | None) -> int:
    """Extend shares, also ended ones, by their ids or addresses. The status is 2 if one of them was not extended.

    FC_PRESIGN_URL is the address of the service, FC_PRESIGN_KEY an API key or token with the method SHARE.

    \b
    Examples:
      fc-presign extend z0dbH3m320oM --expires 30d
    """

    service = Service.load(key)

    def act(identifier: str) -> dict[str, Any]:
        share_id = _share_id(identifier, service)
        document = service.ask("POST", f"/-/shares/{share_id}", body={"expires": expires})
        if not isinstance(document.get("expires_at"), str):
            raise service.refusal(document)
        if not as_json:
            echo(printable(f"Extended {share_id} until {document['expires_at']}."))
        return document

    extended = [*for_each(identifiers, act)]
    if as_json:
        print_json({"shares": extended})
    return 0 if len(extended) == len(identifiers) else 2


@_id_command()
@_identifiers
@service_options
def revoke(identifiers: tuple[str, ...], as_json: bool, key: str | None) -> int:
    """Revoke shares by their ids or addresses. The status is 2 if one of them was not revoked.

    FC_PRESIGN_URL is the address of the service, FC_PRESIGN_KEY an API key or token with the method SHARE.

    \b
    Examples:
      fc-presign revoke z0dbH3m320oM
      fc-presign revoke 'https://links.example.com/-/s/q3.pdf?share=…'
    """
    service = Service.load(key)

    def act(identifier: str) -> str:
        share_id = _share_id(identifier, service)
        service.ask("DELETE", f"/-/shares/{share_id}")
        if not as_json:
            echo(printable(f"Revoked {share_id}."))
        return share_id

    revoked = [*for_each(identifiers, act)]
    if as_json:
        print_json({"revoked": revoked})
    return 0 if len(revoked) == len(identifiers) else 2


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
