"""`python -m local`: a laptop's Function Compute and OSS, until Ctrl-C or SIGTERM."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from . import sample
from .errors import LocalError
from .stack import Stack

REFUSED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the stack, or with `invoke` one function; 0 after a signal, 2 where it cannot start."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if given[:1] == ["invoke"]:
        from . import invoke

        return invoke.main(given[1:])
    options = _parser().parse_args(given)
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, _end)
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
        description="Runs the functions of s.yaml and an OSS stand-in on 127.0.0.1, for development.",
        epilog="python -m local invoke FUNCTION --event FILE runs one function once.",
    )
    parser.add_argument("--http-port", type=_port, default=9000, help="of the http trigger (0 picks a free one)")
    parser.add_argument("--oss-port", type=_port, default=9001, help="of the OSS stand-in (0 picks a free one)")
    parser.add_argument("--root", type=Path, help="folder that keeps the objects (default: a temporary one)")
    parser.add_argument("--config", type=Path, default=Path("s.yaml"), help="what is deployed (default: s.yaml)")
    parser.add_argument("--json", action="store_true", help="print addresses and credentials as one line of JSON")
    return parser


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: give a number from 0 to 65535")
    return int(text)


def _end(number: int, frame: object) -> NoReturn:
    # Once: a second Ctrl-C must not break the clean end that the first began.
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.SIG_IGN)
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
    width = max(len("OSS stand-in"), *map(len, stack.urls)) + 2
    lines = ["For development only: a laptop's Function Compute and OSS, bound to 127.0.0.1.", ""]
    lines += [f"  {name:<{width}}{url}" for name, url in stack.urls.items()]
    lines.append(f"  {'OSS stand-in':<{width}}{stack.oss_url} (bucket {stack.bucket}, region {stack.region})")
    lines.append(f"  {'objects in':<{width}}{root or 'a temporary folder, removed at the end'}")
    address = sample.put(stack) or stack.http_url + "/"
    return "\n".join([*lines, "", f"  curl -L {address}", "", "Ctrl-C ends it."])


if __name__ == "__main__":
    sys.exit(main())
