"""What the commands of `python -m handler.commands keys` take, and the command line that a table of them makes."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from typing import NamedTuple

from signer import cdn
from signer.common.printing import Parser
from signer.times import parse_duration

from ..core.config import MAX_SHARE, MIN_SHARE
from ..core.config.reader import covered_path_fault
from ..core.keys import ALGORITHMS, METHODS
from ..notices.sinks import KINDS
from .command_line import Argument, add_endpoint_option, argument, identifier
from .keys_job import Job

MIN_OVERLAP = 900  # seconds


class Command(NamedTuple):
    """What a command does, in code and in words, and what it takes."""

    run: Callable[[Job], None]
    help: str
    arguments: tuple[Argument, ...] = ()


def build_parser(program: str, table: Mapping[str, Command]) -> Parser:
    """The command line; `command` of its options is the name of the command."""
    common = Parser(add_help=False)
    common.add_argument(
        "--keys",
        default=argparse.SUPPRESS,
        metavar="ADDRESS",
        help="the keys document: file:PATH or oss://BUCKET/KEY (default: keys of links.toml)",
    )
    add_endpoint_option(common)
    common.add_argument(
        "--wait",
        action="store_true",
        default=argparse.SUPPRESS,
        help="wait for another writer for up to six minutes (default: 15 seconds)",
    )
    parser = Parser(
        prog=program, description="Creates and changes the keys document.", parents=[common]
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name, command in table.items():
        subparser = commands.add_parser(
            name, help=command.help, description=command.help, parents=[common]
        )
        for names, options in command.arguments:
            subparser.add_argument(*names, **options)
    return parser


def _path(value: str) -> str:
    if fault := covered_path_fault(value):
        raise argparse.ArgumentTypeError(f"invalid path {value!r}: {fault}")
    return value


def _duration(value: str) -> int:
    """Seconds of a duration such as 90d."""
    seconds = parse_duration(value)
    if seconds is None or seconds > MAX_SHARE:
        expected = f"up to {MAX_SHARE // 86_400}d, such as 12h or 90d"
        raise argparse.ArgumentTypeError(f"invalid duration {value!r} (expected {expected})")
    return seconds


def _overlap(value: str) -> int:
    seconds = _duration(value)
    if seconds < MIN_OVERLAP:
        expected = "at least 15m: functions read the keys once a minute, in an outage after eleven"
        raise argparse.ArgumentTypeError(f"invalid duration {value!r} (expected {expected})")
    return seconds


def _max_share(value: str) -> str:
    """The duration as it was written, which is how the document holds it."""
    if _duration(value) < MIN_SHARE:
        raise argparse.ArgumentTypeError(
            f"invalid duration {value!r} (expected at least {MIN_SHARE} seconds)"
        )
    return value


def _limits(*, required: bool) -> tuple[Argument, ...]:
    otherwise = "" if required else " (default: each token names its own)"
    return (
        argument(
            "--path",
            action="append",
            required=required,
            type=_path,
            help=f"a prefix that ends with /, or one exact path; repeatable{otherwise}",
        ),
        argument(
            "--method",
            action="append",
            required=required,
            type=str.upper,
            choices=METHODS,
            help=f"repeatable{otherwise}",
        ),
        argument(
            "--max-share",
            type=_max_share,
            metavar="DURATION",
            help="maximum lifetime of the shares that it creates (default: only that of the mount)",
        ),
    )


def new_name(help_text: str) -> Argument:
    """The name of an entry that is made."""
    return argument("name", metavar="NAME", type=identifier, help=help_text)


def _output(noun: str) -> Argument:
    return argument(
        "--output", metavar="FILE", help=f"write the new {noun} to this new file, with mode 600"
    )


NAME = argument("name", metavar="NAME")
API_KEY = (
    *_limits(required=True),
    argument(
        "--expires",
        type=_duration,
        metavar="DURATION",
        help="lifetime, such as 12h or 90d (default: no expiry)",
    ),
    _output("key"),
)
ROTATION = (
    argument("name", metavar="NAME", help="the name of the key, which stays"),
    argument(
        "--overlap",
        type=_overlap,
        metavar="DURATION",
        help="how long the old key works beside the new one, from 15m (default: 1h)",
    ),
    argument(
        "--expires",
        type=_duration,
        metavar="DURATION",
        help="lifetime of the new key, such as 12h or 90d (default: the end that the entry has)",
    ),
    argument(
        "--now", action="store_true", help="make no key, and end the overlap of the last rotation"
    ),
    _output("key"),
)
ISSUER = (
    argument("iss", metavar="ISS", help="the iss of its tokens, such as https://id.example.com"),
    argument("--aud", required=True, help="the aud of its tokens, which stands for this service"),
    argument(
        "--alg", required=True, choices=ALGORITHMS, help="the algorithm that signs its tokens"
    ),
    argument(
        "--secret", help="for HS256: the secret in base64url, or - for a line of standard input"
    ),
    argument(
        "--jwks",
        metavar="FILE",
        help="for RS256 and ES256: the public keys, or - for standard input",
    ),
    *_limits(required=False),
    argument(
        "--leeway",
        type=int,
        metavar="SECONDS",
        help="tolerance for exp and nbf, up to 60 (default: 0)",
    ),
    _output("secret"),
)
SINK_CHANGES = (
    argument("--url", help="its new address, which is a secret; - for a line of standard input"),
    argument(
        "--secret", help="the secret that signs its messages, or - for a line of standard input"
    ),
    argument(
        "--retry-for",
        metavar="DURATION",
        help="how long a notice is retried, 1h to 30d (default: 3d)",
    ),
)
SINK = (
    new_name("its name, which to of a notice in links.toml uses"),
    argument("--kind", required=True, choices=tuple(KINDS), help="what receives the notices"),
    argument(
        "--url",
        required=True,
        help="its address, which is a secret; - for a line of standard input",
    ),
    *SINK_CHANGES[1:],
    argument("--allow-loopback", action="store_true", help="permit http://127.0.0.1, on a laptop"),
    _output("secret"),
)
# What is not given is not in the entry: the CDN's own defaults apply.
CDN = (
    new_name("its name, which cdn of a mount in links.toml uses"),
    argument(
        "--valid-for",
        type=int,
        metavar="SECONDS",
        help=f"how long after the time in it the CDN accepts a link, in seconds (default: {cdn.VALID_FOR})",
    ),
    argument(
        "--key",
        choices=("-",),
        help="- reads its key: a line of standard input (default: a new one)",
    ),
    argument("--parameter", help="the parameter of the signature in a link (default: auth_key)"),
    _output("key"),
)
RETIRED = argument(
    "--retire",
    metavar="ID",
    help="remove this share key instead, which ends the uploads in parts that it signed",
)
