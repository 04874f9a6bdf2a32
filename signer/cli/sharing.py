"""The commands that create shares at a service: share, which first sends files directly to OSS, and receive."""

from __future__ import annotations

import os
import secrets
import shlex
import stat
import sys
import time
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import click

from ..sizes import MAX_PUT, format_size
from . import options
from .network import describe_refusal, failure_reason, send
from .output import echo, print_json
from .service import Service, ServiceFailed, for_each, service_options

IDLE = (
    60,
    60,
)  # seconds without progress after which a transfer ends: to connect or send, and to read
PROGRESS_AFTER = 2.0
PROGRESS_EVERY = 0.5  # seconds
BLOCK = 1 << 16  # bytes

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
    click.option("--title", help="What the page says for you, in place of the file's name."),
)


class _Content:
    """What is in an open file, for requests, which streams what can be iterated, and takes `len` for its length."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._opened = self._version(file)
        self.len = self._left = self._opened[0]  # bytes
        self._shows_at = time.monotonic() + PROGRESS_AFTER
        self.line = ""  # what a terminal shows of its progress

    def __iter__(self) -> Iterator[bytes]:
        return iter(partial(self.read, BLOCK), b"")

    def read(self, size: int) -> bytes:
        """Raises `ServiceFailed` if the file changed: before its end is sent, so that OSS stores nothing."""
        piece = self._file.read(min(size, self._left))
        self._left -= len(piece)
        is_other = self._file.read(1) if not self._left else not piece
        if is_other or self._version(self._file) != self._opened:
            raise ServiceFailed(
                "The file changed while it was sent. Try again when it is complete."
            )
        now = time.monotonic()
        if now >= self._shows_at and sys.stderr.isatty():
            self._shows_at = now + PROGRESS_EVERY
            self.line = (
                f"{(self.len - self._left) * 100 // (self.len or 1):3} % of {format_size(self.len)}"
            )
            click.echo(f"\r{self.line}", err=True, nl=False)
        return piece

    @staticmethod
    def _version(file: BinaryIO) -> tuple[int, int]:
        status = os.fstat(file.fileno())
        return status.st_size, status.st_mtime_ns


def _open(file: str) -> BinaryIO:
    """Raises `ServiceFailed` unless it is a file of a size that one PUT can have."""
    try:
        status = os.stat(file)
        if not stat.S_ISREG(status.st_mode):
            kind = "folder" if stat.S_ISDIR(status.st_mode) else "pipe or device"
            raise ServiceFailed(
                f"This is a {kind}. Send files, or share a folder of the service with --path."
            )
        if status.st_size > MAX_PUT:
            limit = f"It has {format_size(status.st_size)}, and one upload at most {format_size(MAX_PUT)}."
            raise ServiceFailed(
                f"{limit} Upload it with ossutil cp, then use {options.NAME} share --path."
            )
        return open(file, "rb")
    except OSError as error:
        raise ServiceFailed(f"{error.strerror}.") from None


def _send(service: Service, file: BinaryIO, path: str) -> None:
    """Stores a file at a path of the service, where nothing is replaced. Raises `ServiceFailed`."""
    content = _Content(file)
    item = {"path": path, "method": "PUT", "size": content.len}
    links = service.ask("POST", "/-/sign", body={"links": [item]}).get("links")
    link = links[0] if isinstance(links, list) and links and isinstance(links[0], dict) else {}
    url = link.get("url")
    headers = link.get("headers")
    if not isinstance(url, str) or not isinstance(headers, dict):
        raise service.refusal(link.get("error"))
    try:
        # Without a length, it would be sent in chunks, which the link does not allow.
        body = content if content.len else content.read(BLOCK)
        response = send("PUT", url, IDLE, headers=headers, content=body)
    except (OSError, ValueError) as error:
        raise ServiceFailed(
            f"Sending it to {urlsplit(url).hostname} failed: {failure_reason(error)}."
        ) from None
    finally:
        if content.line:
            click.echo(f"\r{' ' * len(content.line)}\r", err=True, nl=False)
    if response.status_code != 200:
        raise ServiceFailed(f"OSS refused it: {describe_refusal(response)}.")


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
        echo(
            f"{share_id}: {params['path']}, until {end}. {document.get('covers', '')}".rstrip(),
            err=True,
        )
    return document


@click.command(cls=options.Command)
@click.argument("files", metavar="FILE...", nargs=-1)
@click.option(
    "--path",
    "paths",
    metavar="/PATH",
    multiple=True,
    help="Share what is there, also a folder; repeatable.",
)
@click.option(
    "--to", default="/send/", show_default=True, metavar="/PATH/", help="Where files are sent."
)
@click.option("--max-uses", type=click.IntRange(min=1), help="The maximum number of downloads.")
@click.option("--message", help="What the page says below the title.")
@_share_options
@service_options
def share(
    files: tuple[str, ...],
    paths: tuple[str, ...],
    to: str,
    as_json: bool,
    key: str | None,
    **params: Any,
) -> int:
    """Send files, or take what is there, and share each. The status is 2 if one of them was not shared.

    FC_PRESIGN_URL is the address of the service, FC_PRESIGN_KEY an API key or token with the methods PUT and SHARE;
    for a folder with SHARE, GET and LIST. A file is sent to a folder of its own, so nothing is replaced.

    \b
    Examples:
      fc-presign share q3.pdf --expires 30d --password
      fc-presign share photos/*.jpg --max-uses 1
      fc-presign share --path /reports/2026/
    """
    if not files and not paths:
        options.fail("Name files to send, or what to share with --path.")
    service = Service.load(key)
    shared = list[dict[str, Any]]()

    def create(path: str) -> dict[str, Any]:
        return _create(service, as_json, path=path, **params)

    def send_and_create(name: str) -> dict[str, Any]:
        path = f"{to.rstrip('/')}/{secrets.token_urlsafe(6)}/{os.path.basename(name)}"
        with _open(name) as file:
            _send(service, file, path)
        try:
            return create(path)
        except ServiceFailed as error:
            again = f"{options.NAME} share --path {shlex.quote(path)}"
            raise ServiceFailed(f"{error} It was sent, and not shared: try {again}") from None

    try:
        shared.extend(chain(for_each(files, send_and_create), for_each(paths, create)))
    finally:
        if as_json:  # also after Ctrl-C: nobody can look up an address
            print_json({"shares": shared})
    return 0 if len(shared) == len(files) + len(paths) else 2


@click.command(cls=options.Command)
@click.option(
    "--to", default="/in/", show_default=True, metavar="/PATH/", help="Where files arrive."
)
@click.option(
    "--max-files", type=int, default=20, show_default=True, help="The maximum number of files."
)
@click.option(
    "--max-size",
    type=options.SIZE,
    help="Maximum size of a file: 512K, 10MB, 5G (K is 1024). Default: the mount's.",
)
@_share_options
@service_options
def receive(
    to: str, max_files: int, max_size: int | None, as_json: bool, key: str | None, **params: Any
) -> None:
    """Create an upload page: whoever has its address can send files, and read nothing.

    FC_PRESIGN_URL is the address of the service, FC_PRESIGN_KEY an API key or token with the method SHARE.

    \b
    Examples:
      fc-presign receive --max-files 5 --max-size 10MB --title 'Your photos'
    """
    upload = {"max_files": max_files}
    if max_size is not None:
        upload["max_size"] = max_size
    path = f"{to.rstrip('/')}/"
    document = _create(
        Service.load(key), as_json, path=path, method="POST", upload=upload, **params
    )
    if as_json:
        print_json({"shares": [document]})
