"""`fc-presign receive`: an upload page, for files of others."""

from __future__ import annotations

import shlex
from typing import Any

import click

from ...common.display import printable
from .. import options
from ..service import Service, ServiceFailed, service_options
from ..terminal import echo, print_json
from .destination import TO, UPLOAD_PAGE, other_places
from .new_share import ShareCommand, create_share, share_options


@click.command(cls=ShareCommand)
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
@share_options
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
    limits = {"max_files": max_files}
    if max_size is not None:
        limits["max_size"] = max_size
    path = f"{to.rstrip('/')}/"
    service = Service.load(key)
    try:
        document = create_share(service, as_json, path=path, method="POST", upload=limits, **params)
    except ServiceFailed as error:
        if error.status != 404:
            raise
        raise ServiceFailed(f"{path}: {error} {other_places(service, UPLOAD_PAGE, TO)}") from None
    place = document.get("received_at")
    if as_json:
        print_json({"shares": [document]})
    elif isinstance(place, str):
        command = f"{options.NAME} ls {shlex.quote(place)}"
        echo(printable(f"Files arrive in {place}. List them: {command}"), err=True)
