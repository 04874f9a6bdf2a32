"""`fc-presign share`: send files and folders, or take what is there, and share them."""

from __future__ import annotations

import os
import secrets
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any

import click

from ...sizes import format_size
from .. import options
from ..failures import for_each, print_failure
from ..service import Service, ServiceFailed, service_options
from ..terminal import echo, print_json
from .bundle import Bundle, plan_bundle, send_bundle
from .destination import SHARED_FOLDER, Place, find_place, other_places
from .files import LocalFile, select_files
from .new_share import ShareCommand, create_share, share_options
from .share_list import share_list

MAX_NAMED = 10  # of what is left out


@click.command(cls=ShareCommand)
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
@share_options
@service_options
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
    if into and (each or params["max_uses"] is not None):
        options.fail("--into shares all files at one address: leave out --each and --max-uses.")
    if together and params["max_uses"] is not None:
        options.fail("--max-uses counts the downloads of one file: add --each.")
    as_json = params.pop("as_json")
    key = params.pop("key")
    if as_csv != ("-" in paths) or (resume and not as_csv):
        options.fail("--csv goes with --path -, and --path - and --resume with --csv.")
    if as_csv and (files or as_json or key or len(paths) > 1):
        options.fail("--csv reads paths from standard input: leave out files, --json and --key.")
    service = Service.load(key)
    create = partial(create_share, service, as_json or as_csv, **params)
    if as_csv:
        return share_list(create, resume)
    typed = _as_typed({**params, "json": as_json, "key": key})
    expected = len(paths)
    acts = for_each(paths, lambda path: _share_path(service, path, create))
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


def _share_path(
    service: Service, path: str, create: Callable[..., dict[str, Any]]
) -> dict[str, Any]:
    """The share of what is there. Raises `ServiceFailed`; of a folder that is not there, with those that are."""
    try:
        return create(path=path)
    except ServiceFailed as error:
        if error.status != 404 or not path.endswith("/"):
            raise
        raise ServiceFailed(f"{error} {other_places(service, SHARED_FOLDER)}") from None


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
        print_failure(str(error), again)


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
        print_failure(str(error), again)
    except KeyboardInterrupt:
        echo(again, err=True)
        raise


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
