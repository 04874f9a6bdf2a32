"""The commands of `python -m handler.commands keys`, and their options."""

from __future__ import annotations

import argparse

from signer import cdn
from signer.common.printing import Parser
from signer.times import parse_duration

from ..core.config import MAX_SHARE, MIN_SHARE
from ..core.config.reader import covered_path_fault
from ..core.keys import ALGORITHMS, METHODS
from ..notices.sinks import KINDS
from .command_line import add_endpoint_option, identifier

MIN_OVERLAP = 900  # seconds


def build_parser(program: str) -> Parser:
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
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, description: str) -> argparse.ArgumentParser:
        subparser = commands.add_parser(
            name, help=description, description=description, parents=[common]
        )
        subparser.set_defaults(command=name)
        return subparser

    command(
        "init",
        "Create a document with a new share key. An existing document is not changed.",
    )
    add = command("add-api-key", "Add an API key and print it, once.")
    add.add_argument(
        "name", metavar="NAME", type=identifier, help="its name, in logs and for revoke-api-key"
    )
    _add_api_key_options(add)
    rotate = command(
        "rotate-api-key",
        "Replace an API key by a new one and print it, once; the old one works for a while, and shares stay.",
    )
    rotate.add_argument("name", metavar="NAME", help="the name of the key, which stays")
    _add_rotation_options(rotate)
    revoke = command(
        "revoke-api-key",
        "Remove an API key, as after a leak: all that it shared ends. On a terminal, it asks first.",
    )
    revoke.add_argument("name", metavar="NAME")
    revoke.add_argument("--yes", action="store_true", help="do not ask")
    add = command(
        "add-issuer",
        "Add an issuer of tokens; for HS256 without --secret, print a new one once.",
    )
    add.add_argument(
        "iss", metavar="ISS", help="the iss of its tokens, such as https://id.example.com"
    )
    _add_issuer_options(add)
    command("remove-issuer", "Remove an issuer of tokens.").add_argument("name", metavar="ISS")
    add = command(
        "add-sink",
        "Add a sink of notices; for a webhook without --secret, print a new one once.",
    )
    add.add_argument(
        "name",
        metavar="NAME",
        type=identifier,
        help="its name, which to of a notice in links.toml uses",
    )
    _add_sink_options(add)
    command("remove-sink", "Remove a sink.").add_argument("name", metavar="NAME")
    add = command(
        "add-cdn",
        "Add a CDN's key for signing of type A; without --key, print a new one once.",
    )
    add.add_argument(
        "name",
        metavar="NAME",
        type=identifier,
        help="its name, which cdn of a mount in links.toml uses",
    )
    _add_cdn_options(add)
    command("remove-cdn", "Remove the key of a CDN.").add_argument("name", metavar="NAME")
    rotate = command(
        "rotate-share",
        "Add a share key, for new uploads in parts and shares in notices.",
    )
    rotate.add_argument(
        "--retire",
        metavar="ID",
        help="remove this share key instead, which ends the uploads in parts that it signed",
    )
    backup = command("backup", "Save the document, with every secret, in a new file with mode 600.")
    backup.add_argument("file", metavar="FILE", help="a new file, or - for a pipe")
    restore = command("restore", "Replace the document by a backup, after a list of what changes.")
    restore.add_argument("file", metavar="FILE", help="the backup, or - for standard input")
    restore.add_argument("--yes", action="store_true", help="do not ask")
    command("show", "Show the document without its secrets.")
    return parser


def _add_api_key_options(parser: argparse.ArgumentParser) -> None:
    _add_limits(parser, required=True)
    parser.add_argument(
        "--expires",
        type=_duration,
        metavar="DURATION",
        help="lifetime, such as 12h or 90d (default: no expiry)",
    )
    _add_output(parser, "key")


def _add_rotation_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--overlap",
        type=_overlap,
        metavar="DURATION",
        help="how long the old key works beside the new one, from 15m (default: 1h)",
    )
    parser.add_argument(
        "--expires",
        type=_duration,
        metavar="DURATION",
        help="lifetime of the new key, such as 12h or 90d (default: the end that the entry has)",
    )
    parser.add_argument(
        "--now", action="store_true", help="make no key, and end the overlap of the last rotation"
    )
    _add_output(parser, "key")


def _add_issuer_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--aud", required=True, help="the aud of its tokens, which stands for this service"
    )
    parser.add_argument(
        "--alg", required=True, choices=ALGORITHMS, help="the algorithm that signs its tokens"
    )
    parser.add_argument(
        "--secret", help="for HS256: the secret in base64url, or - for a line of standard input"
    )
    parser.add_argument(
        "--jwks",
        metavar="FILE",
        help="for RS256 and ES256: the public keys, or - for standard input",
    )
    _add_limits(parser, required=False)
    parser.add_argument(
        "--leeway",
        type=int,
        metavar="SECONDS",
        help="tolerance for exp and nbf, up to 60 (default: 0)",
    )
    _add_output(parser, "secret")


def _add_sink_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kind", required=True, choices=tuple(KINDS), help="what receives the notices"
    )
    parser.add_argument(
        "--url",
        required=True,
        help="its address, which is a secret; - for a line of standard input",
    )
    parser.add_argument(
        "--secret", help="the secret that signs its messages, or - for a line of standard input"
    )
    parser.add_argument(
        "--retry-for",
        metavar="DURATION",
        help="how long a notice is retried, 1h to 30d (default: 3d)",
    )
    parser.add_argument(
        "--allow-loopback", action="store_true", help="permit http://127.0.0.1, on a laptop"
    )
    _add_output(parser, "secret")


def _add_cdn_options(parser: argparse.ArgumentParser) -> None:
    """Those that are not given are not in the entry: the CDN's own defaults apply."""
    valid_for = f"how long after the time in it the CDN accepts a link, in seconds (default: {cdn.VALID_FOR})"
    parser.add_argument("--valid-for", type=int, metavar="SECONDS", help=valid_for)
    parser.add_argument(
        "--key",
        choices=("-",),
        help="- reads its key: a line of standard input (default: a new one)",
    )
    parser.add_argument(
        "--parameter", help="the parameter of the signature in a link (default: auth_key)"
    )
    _add_output(parser, "key")


def _add_limits(parser: argparse.ArgumentParser, *, required: bool) -> None:
    otherwise = "" if required else " (default: each token names its own)"
    parser.add_argument(
        "--path",
        action="append",
        required=required,
        type=_path,
        help=f"a prefix that ends with /, or one exact path; repeatable{otherwise}",
    )
    parser.add_argument(
        "--method",
        action="append",
        required=required,
        type=str.upper,
        choices=METHODS,
        help=f"repeatable{otherwise}",
    )
    parser.add_argument(
        "--max-share",
        type=_max_share,
        metavar="DURATION",
        help="maximum lifetime of the shares that it creates (default: only that of the mount)",
    )


def _add_output(parser: argparse.ArgumentParser, noun: str) -> None:
    parser.add_argument(
        "--output", metavar="FILE", help=f"write the new {noun} to this new file, with mode 600"
    )


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
