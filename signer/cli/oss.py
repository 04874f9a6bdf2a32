"""`fc-presign oss`: an OSS for tests, until Ctrl-C."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import NamedTuple, NoReturn
from urllib.parse import urlsplit

import click

from ..common.printing import show
from ..emulator.errors import EmulatorError, extra_missing
from ..emulator.interrupts import exit_on_signals
from ..emulator.variables import (
    ADDRESSES,
    key_variables,
    no_proxy,
    write_env_file,
    write_script,
)
from ..endpoint import KNOWN_REGIONS, closest_region
from .options import Command
from .terminal import echo

LOOPBACK, EVERY_HOST = "127.0.0.1", "0.0.0.0"  # noqa: S104 - for a container alone
POLL_INTERVAL = 0.5  # seconds
SETTLED = 1.0  # seconds after which a file that was written counts as complete
KEY_VARIABLES = ("OSS_EMULATOR_ACCESS_KEY_ID", "OSS_EMULATOR_ACCESS_KEY_SECRET")


class Choices(NamedTuple):
    """What the options say; `address` is "" or `http://host:port`."""

    buckets: tuple[str, ...]
    region: str
    root: Path | None
    port: int
    host: str
    address: str
    env_file: Path | None
    no_v1: bool
    as_json: bool


def _address(context: click.Context, parameter: click.Parameter, value: str) -> str:
    try:
        parts = urlsplit(value)
        valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        valid = False
    if value and (not valid or value.rstrip("/") != f"{parts.scheme}://{parts.netloc}"):
        raise click.BadParameter("expected an address such as http://oss:9001.")
    return value.rstrip("/")


@click.command(cls=Command)
@click.option(
    "--bucket",
    "buckets",
    metavar="NAME",
    multiple=True,
    default=["examplebucket"],
    show_default="examplebucket",
    help="Repeatable.",
)
@click.option(
    "--region",
    metavar="REGION",
    default="cn-hangzhou",
    show_default=True,
    help="The region of all buckets.",
)
@click.option(
    "--root",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Store objects here.  [default: a temporary folder]",
)
@click.option(
    "--port",
    "--oss-port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    default=9001,
    show_default=True,
    help="0 picks a free port.",
)
@click.option(
    "--host",
    type=click.Choice((LOOPBACK, EVERY_HOST)),
    default=LOOPBACK,
    show_default=True,
    help=f"{EVERY_HOST} is for a container.",
)
@click.option(
    "--address",
    metavar="URL",
    default="",
    callback=_address,
    help="How clients reach it, such as http://oss:9001 between containers.",
)
@click.option(
    "--env-file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write address and key as lines NAME=value; added if the file is that of $GITHUB_ENV.",
)
@click.option("--no-v1", is_flag=True, help="Refuse signatures of version 1, as new buckets do.")
@click.option("--json", "as_json", is_flag=True, help="Print address and keys as one line of JSON.")
def oss(**options: object) -> None:
    """Run an OSS for tests, until Ctrl-C: it verifies each signature.

    Only this machine reaches it. Keys are random, unless OSS_EMULATOR_ACCESS_KEY_ID (which must contain TEST or LOCAL)
    and OSS_EMULATOR_ACCESS_KEY_SECRET are set.

    \b
    Examples:
      fc-presign oss --bucket examplebucket --root data
      fc-presign oss --env-file .env.oss
    """
    _run(Choices(**options))  # type: ignore[arg-type]


def _run(choices: Choices) -> NoReturn:
    try:
        from ..emulator.alone import Options, oss_alone
        from ..emulator.oss import Settings
        from ..emulator.page import oss_page
        from ..emulator.plain_files import PlainFiles
    except ModuleNotFoundError as error:
        raise extra_missing(error) from None
    if choices.region not in KNOWN_REGIONS:
        closest = closest_region(choices.region)
        question = f" (did you mean {closest}?)" if closest else ""
        _say(
            [
                f"Warning: unknown region {choices.region!r}{question}. The real OSS refuses requests for it."
            ]
        )
    settings = Settings(address=urlsplit(choices.address).netloc, accepts_v1=not choices.no_v1)
    in_clone = (__package__ or "").startswith("signer.")  # where make runs it, too
    options = Options(
        access_key=_access_key(os.environ),
        settings=settings,
        port_option="--port, or PORT= of make oss" if in_clone else "--port",
        root_option="--root, or ROOT= of make oss" if in_clone else "--root",
    )
    exit_on_signals(0)
    with ExitStack() as cleanup:
        alone = cleanup.enter_context(
            oss_alone(
                choices.buckets,
                choices.region,
                choices.root,
                choices.port,
                choices.host,
                options,
            )
        )
        url = choices.address or alone.oss_url
        variables = {
            "OSS_ENDPOINT": url,
            "OSS_REGION": alone.region,
            "OSS_BUCKET": choices.buckets[0],
            **key_variables("OSS", alone.credentials),
            **key_variables("OSS_STS", alone.temporary),
        }
        files = PlainFiles(alone)
        notes = [
            f"{folder} is not a bucket: its files are not uploaded."
            for folder in files.ignored_folders()
        ]
        _say([*notes, *files.upload_changes()])
        script = write_script(alone.root, variables)
        if choices.env_file is not None:
            host = urlsplit(choices.address).hostname
            addresses = f"{ADDRESSES},{host},.{host}" if host else ADDRESSES
            write_env_file(
                choices.env_file,
                {**variables, **no_proxy(os.environ, addresses)},
                github_env=os.environ.get("GITHUB_ENV", ""),
            )
        alone.start_page.content = partial(oss_page, url, alone.region, alone.root)
        what = _description(choices, alone.oss_url)
        if choices.as_json:
            _say([what] if choices.host == EVERY_HOST else [])
            show(json.dumps(variables))
        else:
            folder = alone.root / choices.buckets[0]
            hint = f"# Files that you put into {folder}/ become objects. Stop: Ctrl-C."
            show(f"# {what}", hint, *script)
        while True:
            time.sleep(POLL_INTERVAL)
            _say(files.upload_changes(SETTLED))


def _description(choices: Choices, url: str) -> str:
    if choices.host == LOOPBACK:
        return (
            f"A test tool: an OSS that only this machine reaches ({LOOPBACK}). "
            "Store nothing of value in it."
        )
    port = url.rpartition(":")[2]
    publish = f"Publish its port to your machine alone: -p {LOOPBACK}:{port}:{port}"
    return f"A test tool: an OSS for a container, which its network reaches. {publish}"


def _access_key(environ: Mapping[str, str]) -> tuple[str, str] | None:
    key_id, secret = (environ.get(name, "") for name in KEY_VARIABLES)
    if not key_id and not secret:
        return None
    if not key_id or not secret:
        raise EmulatorError(
            f"Only one of {' and '.join(KEY_VARIABLES)} is set: set both, or neither.",
            code="invalid_access_key",
        )
    return key_id, secret


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        echo(line, err=True)
