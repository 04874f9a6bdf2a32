"""The command `python -m local`: the stack runs until Ctrl-C or SIGTERM, and follows changes of its files."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from handler.commands.printing import Parser, show

from . import invoke, samples
from .errors import LocalError
from .interrupts import exit_on_signals
from .plain_files import PlainFiles
from .stack import Stack

REFUSED = 2
POLL_INTERVAL = 0.5  # seconds
SETTLED = 1.0  # seconds after which a file that was written counts as complete
EVENTS_TIMEOUT = 5  # seconds that the first lines wait for the events of the samples


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the stack, or with `invoke` one function; returns 0 after a signal, 2 if it cannot start."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments[:1] == ["invoke"]:
        exit_on_signals()
        return invoke.main(arguments[1:])
    options = _parser().parse_args(arguments)
    exit_on_signals(0)
    try:
        with Stack.start(
            options.config, root=options.root, http_port=options.http_port, oss_port=options.oss_port
        ) as stack:
            _run(stack, options)
    except LocalError as error:
        _say([f"python -m local: {error}"])
    return REFUSED


def _run(stack: Stack, options: argparse.Namespace) -> None:
    """Prints what there is to try, and follows changes until a signal ends the process."""
    _say(stack.notes)
    files = PlainFiles(stack)
    _say(f"{folder} is not a bucket of links.toml: its files are not taken in." for folder in files.ignored_folders())
    _say(files.take_in())
    prepared = _prepare(stack)
    if options.json:
        show(_as_json(stack, prepared))
    else:
        stack.dispatcher.wait(EVENTS_TIMEOUT)
        show(*_banner(stack, prepared, options.root).split("\n"))
    while True:
        time.sleep(POLL_INTERVAL)
        _say(files.take_in(SETTLED))
        if not stack.links_toml_changed():
            continue
        try:
            stack.reload()
        except LocalError as error:
            _say([f"links.toml changed, and requests fail until it is corrected. {error}"])
            continue
        _say(["links.toml changed and was read again."])
        prepared = _prepare(stack)
        if not options.json:
            show(*_rows(_to_try(prepared)).split("\n"))


def _prepare(stack: Stack) -> samples.Samples:
    prepared = samples.prepare(stack)
    try:
        samples.write_environment(stack, prepared.api_key)
    except LocalError as error:
        _say([str(error)])
    return prepared


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        show(line, file=sys.stderr)


def _parser() -> Parser:
    parser = Parser(
        prog="python -m local",
        description="Runs the functions of s.yaml and a local OSS on 127.0.0.1, for development.",
        epilog="To run one function once: python -m local invoke FUNCTION --event FILE",
    )
    for option, default, purpose in (("--http-port", 9000, "the HTTP trigger"), ("--oss-port", 9001, "OSS")):
        description = f"port of {purpose} (default: {default}; 0 picks a free port)"
        parser.add_argument(option, metavar="PORT", type=_port, default=default, help=description)
    parser.add_argument("--root", metavar="DIR", type=Path, help="store objects here (default: a temporary folder)")
    parser.add_argument(
        "--config", metavar="FILE", type=Path, default=Path("s.yaml"), help="deployment file (default: s.yaml)"
    )
    parser.add_argument("--json", action="store_true", help="print addresses and credentials as one line of JSON")
    return parser


def _port(value: str) -> int:
    if not value.isascii() or not value.isdigit() or int(value) > 65535:
        raise argparse.ArgumentTypeError(f"{value!r} must be a port number from 0 to 65535")
    return int(value)


def _as_json(stack: Stack, prepared: samples.Samples) -> str:
    return json.dumps(
        {
            "http": stack.http_url,
            "oss": stack.oss_url,
            "sts": stack.sts_url,
            "bucket": stack.bucket,
            "region": stack.region,
            "access_key_id": stack.credentials.access_key_id,
            "access_key_secret": stack.credentials.access_key_secret,
            "security_token": stack.credentials.security_token,
            "samples": {name: sample.value for name, sample in prepared._asdict().items()},
        }
    )


def _banner(stack: Stack, prepared: samples.Samples, root: Path | None) -> str:
    rows = {
        **stack.urls,
        "OSS": f"{stack.oss_url} (bucket {stack.bucket}, region {stack.region})",
        "objects": str(root or "a temporary folder, removed at the end"),
        "for your shell": f". {shlex.quote(str((root or stack.root) / samples.ENVIRONMENT))}",
    }
    return "\n".join(
        [
            "Function Compute and OSS are running on this machine (127.0.0.1), for development only. Stop: Ctrl-C.",
            "",
            _rows(rows),
            "",
            "Try it:",
            "",
            _rows(_to_try(prepared)),
        ]
    )


def _to_try(prepared: samples.Samples) -> dict[str, str]:
    return {
        name.replace("_", " ").replace("api", "API"): sample.value or f"none: {sample.advice}"
        for name, sample in prepared._asdict().items()
    }


def _rows(rows: Mapping[str, str]) -> str:
    width = max(map(len, rows)) + 2
    return "\n".join(f"  {name:<{width}}{value}" for name, value in rows.items())
