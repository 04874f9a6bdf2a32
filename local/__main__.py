"""`python -m local`: Function Compute and OSS on your own machine, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from signer import Endpoint, presign

from . import invoke
from .errors import LocalError
from .stack import Stack

REFUSED = 2

SAMPLE_NAME = "exampleobject.txt"
SAMPLE = b"A private object, opened with a link that expires in minutes.\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the stack, or with `invoke` one function; returns 0 after a signal, 2 if it cannot start."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments[:1] == ["invoke"]:
        return invoke.main(arguments[1:])
    options = _parser().parse_args(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit)
    try:
        stack = Stack.start(options.config, root=options.root, http_port=options.http_port, oss_port=options.oss_port)
    except LocalError as error:
        print(f"python -m local: {error}", file=sys.stderr)
        return REFUSED
    with stack:
        for note in stack.notes:
            print(note, file=sys.stderr)
        print(_as_json(stack) if options.json else _banner(stack, options.root), flush=True)
        threading.Event().wait()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
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


def _exit(number: int, frame: object) -> NoReturn:
    # A second Ctrl-C must not interrupt the cleanup that the first one started.
    for ignored in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ignored, signal.SIG_IGN)
    raise SystemExit(0)


def _as_json(stack: Stack) -> str:
    return json.dumps(
        {
            "http": stack.http_url,
            "oss": stack.oss_url,
            "bucket": stack.bucket,
            "region": stack.region,
            "access_key_id": stack.credentials.access_key_id,
            "access_key_secret": stack.credentials.access_key_secret,
            "security_token": stack.credentials.security_token,
        }
    )


def _banner(stack: Stack, root: Path | None) -> str:
    rows = {
        **stack.urls,
        "OSS": f"{stack.oss_url} (bucket {stack.bucket}, region {stack.region})",
        "objects": root or "a temporary folder, removed at the end",
    }
    width = max(map(len, rows)) + 2
    url = put_sample(stack) or f"{stack.http_url}/"
    return "\n".join(
        [
            "Function Compute and OSS are running on this machine (127.0.0.1), for development only.",
            "",
            *(f"  {name:<{width}}{value}" for name, value in rows.items()),
            "",
            f"Try it:  curl -L {url}",
            "Stop it: press Ctrl-C.",
        ]
    )


def put_sample(stack: Stack) -> str | None:
    """Uploads a sample to the first anonymous mount with GET, and returns the URL that links to it.

    An object that is already stored there stays. None if there is no such mount.
    """
    mount = next((mount for mount in stack.mounts if mount.access == "anonymous" and "GET" in mount.methods), None)
    if mount is None:
        return None
    link = presign(
        "PUT",
        mount.target.bucket,
        mount.target.key + SAMPLE_NAME,
        credentials=stack.credentials,
        endpoint=Endpoint.path_style(stack.oss_url, stack.region),
        headers={"Content-Type": "text/plain; charset=utf-8", "x-oss-forbid-overwrite": "true"},
    )
    request = Request(link.url, SAMPLE, dict(link.headers), method="PUT")
    # A 409 means that the object exists; after any other error the URL is still the right one to show.
    with suppress(HTTPError):
        build_opener(ProxyHandler({})).open(request, timeout=10).close()
    return stack.http_url + mount.path + SAMPLE_NAME


if __name__ == "__main__":
    sys.exit(main())
