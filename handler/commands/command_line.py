"""What the commands for operators share: how they fail, what they print, and how they reach OSS."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TextIO

from signer import Credentials, Endpoint, SignerError
from signer.common.printing import show
from signer.endpoint import is_loopback

from ..core.cloud import oss
from ..core.cloud.http_client import Connections
from ..core.config import Config, InvalidConfig
from ..core.config.reader import IDENTIFIER, IDENTIFIER_FORM
from ..core.errors import HandlerError

FAILED = 1
INVALID = 2
INTERRUPTED = 130

Argument = tuple[tuple[str, ...], dict[str, Any]]


class InvalidUsage(HandlerError):
    """The options or links.toml do not say what to do."""


def run(name: str, command: Callable[[], None]) -> int:
    """The status of a command: 0, or 1 if it failed, 2 if its usage or the configuration is invalid, 130 after Ctrl-C.

    Each is one sentence on standard error, which begins with the `name` of the command.
    """
    try:
        command()
    except (InvalidUsage, InvalidConfig) as error:
        warn(f"{name}: {error.sentence}")
        return INVALID
    except (HandlerError, SignerError) as error:
        warn(f"{name}: {error}")
        return FAILED
    except ModuleNotFoundError as error:
        target = name.rpartition(" ")[2]
        warn(
            f"{name}: the Python package {error.name} is not installed. Run make {target} ARGS=…, which installs it "
            "and runs this command."
        )
        return FAILED
    except KeyboardInterrupt:
        warn(f"{name}: Interrupted.")
        return INTERRUPTED
    return 0


def config() -> Config:
    """The configuration: `LINK_CONFIG`, else links.toml in the working directory, else that of the project.

    Raises `InvalidConfig`.
    """
    from .. import startup
    from ..core.config import load

    here = os.path.abspath("links.toml")
    default = (
        startup.DEFAULT if os.path.exists(startup.DEFAULT) and not os.path.exists(here) else here
    )
    return load.load(os.environ.get("LINK_CONFIG") or default, os.environ)


def read_input(value: str, option: str) -> str:
    """The value of an option, or for "-" the next line of standard input, which a terminal does not show.

    Raises `InvalidUsage`.
    """
    if value != "-":
        return value
    try:
        if sys.stdin is not None and sys.stdin.isatty():
            from getpass import getpass

            line = getpass(f"{option}: ")
        else:
            line = sys.stdin.readline() if sys.stdin is not None else ""
    except (OSError, EOFError, ValueError):
        line = ""
    if not line.strip():
        raise InvalidUsage(f"{option} - requires a line on standard input.")
    return line.strip()


def write_lines(*lines: str, otherwise: str = "") -> None:
    """Prints lines, or raises `HandlerError`, whose sentence ends with `otherwise`."""
    if sys.stdout is None:  # it was closed before the start
        raise HandlerError(f"The output is closed. {otherwise}".strip())
    try:
        show(*lines)
    except (OSError, ValueError) as error:
        _discard(sys.stdout)
        reason = getattr(error, "strerror", None) or "closed, or of another encoding"
        raise HandlerError(
            f"The output cannot be written ({reason}). {otherwise}".strip()
        ) from None


def read_json(path: str, option: str) -> Any:
    """The JSON in a file, or for "-" on standard input. Raises `InvalidUsage`."""
    source = "standard input" if path == "-" else path
    try:
        if path == "-":
            return json.loads(sys.stdin.read() if sys.stdin is not None else "")
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        raise InvalidUsage(f"{option}: {source} cannot be read ({error.strerror}).") from None
    except (ValueError, RecursionError):
        raise InvalidUsage(f"{option}: {source} is not valid JSON.") from None


def warn(line: str) -> None:
    """Prints a line on standard error, if it can be written."""
    if sys.stderr is None:  # it was closed before the start
        return
    try:
        show(line, file=sys.stderr)
    except (OSError, ValueError):
        _discard(sys.stderr)


def argument(*names: str, **options: Any) -> Argument:
    """An argument of a command, as `add_argument` of a parser takes it."""
    return names, options


YES = argument("--yes", action="store_true", help="do not ask")


def has_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def ask(question: str, otherwise: str) -> None:
    """Raises `HandlerError` with the sentence `otherwise` unless a person answers yes."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise HandlerError(otherwise)


def add_endpoint_option(parser: argparse.ArgumentParser) -> None:
    """Adds `--endpoint`, without a default, so that it may stand before the command or after it."""
    parser.add_argument(
        "--endpoint",
        default=argparse.SUPPRESS,
        metavar="NAME|URL",
        help="the endpoint of OSS: public, internal, accelerate, dual-stack, or a URL such as "
        "https://keys.example.com, or http://127.0.0.1:9001 for a local OSS (default: LINK_OSS_ENDPOINT, "
        "else public)",
    )


def oss_client(endpoint: str | None) -> oss.OssClient:
    """OSS at the value of `--endpoint`, None if it is not given, with the credentials of the environment.

    Raises `SignerError` and `InvalidConfig`.
    """
    return oss.OssClient(Credentials.from_environment(), _endpoint(endpoint), Connections())


def identifier(value: str) -> str:
    """The type of an option that is the name of something."""
    if not IDENTIFIER.fullmatch(value):
        raise argparse.ArgumentTypeError(f"invalid name (expected {IDENTIFIER_FORM})")
    return value


def _endpoint(option: str | None) -> Endpoint:
    """The option if it is given, else `LINK_OSS_ENDPOINT`, else public: this machine is usually not in the region."""
    from ..core.config import on_laptop, table

    region = os.environ.get("LINK_REGION") or config().region
    if option is None:
        return on_laptop.read_oss_endpoint(os.environ, region) or table.ENDPOINTS["public"](region)
    if option in table.ENDPOINTS:
        return table.ENDPOINTS[option](region)
    endpoint = Endpoint.custom_domain(option, region)
    return Endpoint.path_style(option, region) if is_loopback(endpoint.domain) else endpoint


def _discard(stream: TextIO) -> None:
    """Discards what is left of an output that failed: Python would write it again at its exit, and fail again."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
