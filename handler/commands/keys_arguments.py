"""The options of `python -m handler.commands keys` that say what is added."""

from __future__ import annotations

import argparse

from signer import cdn
from signer.times import parse_duration

from ..core.config import MAX_SHARE, MIN_SHARE
from ..core.config.reader import covered_path_fault
from ..core.keys import ALGORITHMS, METHODS
from ..notices.sinks import KINDS

MIN_OVERLAP = 900  # seconds


def add_api_key_options(parser: argparse.ArgumentParser) -> None:
    _add_limits(parser, required=True)
    parser.add_argument(
        "--expires",
        type=_duration,
        metavar="DURATION",
        help="lifetime, such as 12h or 90d (default: no expiry)",
    )
    _add_output(parser, "key")


def add_rotation_options(parser: argparse.ArgumentParser) -> None:
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


def add_issuer_options(parser: argparse.ArgumentParser) -> None:
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


def add_sink_options(parser: argparse.ArgumentParser) -> None:
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


def add_cdn_options(parser: argparse.ArgumentParser) -> None:
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
