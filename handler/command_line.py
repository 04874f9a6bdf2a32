"""What the commands for operators share: how they fail, what they print, and how they reach OSS."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from signer import Credentials, Endpoint, SignerError

from . import oss, startup
from .config import InvalidConfig, load
from .config.reader import IDENTIFIER
from .errors import HandlerError
from .times import Clock

FAILED, INVALID = 1, 2
PROGRESS_DELAY = 2.0  # seconds


class InvalidUsage(HandlerError):
    """The options or links.toml do not say what to do."""


class OutputFailed(HandlerError):
    """Standard output is closed, full or broken."""


def run(name: str, command: Callable[[], None]) -> int:
    """The status of a command: 0, or 1 if it failed, 2 if its usage or the configuration is invalid.

    Both are one sentence on standard error, which begins with the `name` of the command.
    """
    try:
        command()
    except (InvalidUsage, InvalidConfig) as error:
        warn(f"{name}: {error.sentence}")
        return INVALID
    except (HandlerError, SignerError) as error:
        warn(f"{name}: {error}")
        return FAILED
    return 0


def write_lines(*lines: str, otherwise: str = "") -> None:
    """Prints lines, or raises `OutputFailed`, whose sentence ends with `otherwise`."""
    if sys.stdout is None:  # it was closed before the start
        raise OutputFailed(f"The output is closed. {otherwise}".strip())
    try:
        print("\n".join(map(_printable, lines)), flush=True)
    except (OSError, ValueError) as error:
        _discard(sys.stdout)
        reason = getattr(error, "strerror", None) or "closed, or of another encoding"
        raise OutputFailed(f"The output cannot be written ({reason}). {otherwise}".strip()) from None


def warn(line: str) -> None:
    """Prints a line on standard error, if it can be written."""
    _write_error(_printable(line) + "\n")


class Progress:
    """One line on a terminal's standard error, while a command takes longer than `PROGRESS_DELAY`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._shown_after = clock.monotonic() + PROGRESS_DELAY
        self._is_shown = False

    def show(self, line: str) -> None:
        """Replaces the line, which must fit into a terminal."""
        if self._clock.monotonic() >= self._shown_after and sys.stderr is not None and sys.stderr.isatty():
            self._is_shown = True
            _write_error(f"\r{_printable(line)}\x1b[K")

    def clear(self) -> None:
        if self._is_shown:
            self._is_shown = False
            _write_error("\r\x1b[K")


def add_endpoint_option(parser: argparse.ArgumentParser) -> None:
    """Adds `--endpoint`, without a default, so that it may stand before the command or after it."""
    parser.add_argument(
        "--endpoint",
        default=argparse.SUPPRESS,
        metavar="NAME|URL",
        help=f"the endpoint of OSS: {', '.join(load.ENDPOINTS)}, or a URL such as https://keys.example.com "
        "(default: public)",
    )


def oss_client(endpoint: str) -> oss.OssClient:
    """OSS at the value of `--endpoint`, with the credentials of the environment.

    Raises `SignerError` and `InvalidConfig`.
    """
    return oss.client_at(_endpoint(endpoint), Credentials.from_environment())


def identifier(value: str) -> str:
    """The type of an option that is the name of something."""
    if not IDENTIFIER.fullmatch(value):
        raise argparse.ArgumentTypeError(
            f"invalid name {value!r} (expected 1 to 64 letters, digits, ., _ and -, beginning with a letter or digit)"
        )
    return value


def _endpoint(name: str) -> Endpoint:
    """The endpoint for this machine, which is usually outside of the region, unlike the function."""
    region = os.environ.get("LINK_REGION") or startup.config().region
    local = load.read_oss_endpoint(os.environ.get("LINK_OSS_ENDPOINT", ""), region)
    if local is not None:
        return local
    if name in load.ENDPOINTS:
        return load.ENDPOINTS[name](region)
    return Endpoint.custom_domain(name, region)


def _write_error(characters: str) -> None:
    if sys.stderr is None:  # it was closed before the start
        return
    try:
        print(characters, end="", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        _discard(sys.stderr)


def _discard(stream: TextIO) -> None:
    """Discards what is left of an output that failed: Python would write it again at its exit, and fail again."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _printable(line: str) -> str:
    """A line without characters that control a terminal or change the direction of writing."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in line
    )
