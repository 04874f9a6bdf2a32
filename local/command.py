"""The command `python -m local`: the stack runs until Ctrl-C or SIGTERM, and follows changes of its files."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from signer.common.printing import Parser, show
from signer.emulator import EmulatorError
from signer.emulator.interrupts import exit_on_signals
from signer.emulator.plain_files import PlainFiles
from signer.emulator.variables import shell_command, write_script

from . import lfs_mount, samples, start_page
from .errors import LocalError
from .stack import Stack

REFUSED = 2
POLL_INTERVAL = 0.5  # seconds
# The audit line of a tick: everything is null, 0 or empty.
IDLE_TICK = re.compile(
    rb'{"request_id":"[^"]*","event":"timer","code":null,(?:"\w+":(?:0|{}),)*"milliseconds":[0-9.]+}\n'
).fullmatch
SETTLED = 1.0  # seconds after which a file that was written counts as complete


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the stack; returns 0 after a signal, 2 if it cannot start."""
    parser = _parser(
        "python -m local",
        "Runs the functions of s.yaml and a local OSS on 127.0.0.1, for development.",
        {"--http-port": (9000, "the HTTP trigger"), "--oss-port": (9001, "OSS")},
        "To run one function once: python -m local invoke FUNCTION --event FILE. The OSS alone: make oss",
    )
    parser.add_argument(
        "--config",
        metavar="FILE",
        type=Path,
        default=Path("s.yaml"),
        help="deployment file (default: s.yaml)",
    )
    options = parser.parse_args(arguments)
    exit_on_signals(0)
    log, output = os.pipe()
    begun = threading.Event()
    copier = threading.Thread(target=_show_log, args=(log, begun), daemon=True)
    copier.start()
    ports = {"http_port": options.http_port, "oss_port": options.oss_port}
    refusal = ""
    try:
        with lfs_mount.copied(options.config) as copy:
            environment = copy.environment if copy else None
            with Stack.start(
                options.config, root=options.root, **ports, environment=environment, log=output
            ) as stack:
                _run(stack, options, copy, begun)
    except LocalError as error:
        refusal = str(error)
    finally:
        begun.set()
        os.close(output)
        copier.join(1)
    _say([f"python -m local: {refusal}"])
    return REFUSED


def _show_log(log: int, begun: threading.Event) -> None:
    """Copies what functions print, once the banner is there; a timer that found nothing to do is not worth a line."""
    begun.wait()
    with suppress(OSError, ValueError), open(log, "rb") as lines:
        for line in lines:
            if not IDLE_TICK(line):
                sys.stderr.buffer.write(line)
                sys.stderr.flush()


def _run(
    stack: Stack,
    options: argparse.Namespace,
    copy: lfs_mount.Copy | None,
    begun: threading.Event,
) -> None:
    """Prints what there is to try, and follows changes until a signal ends the process."""
    files = PlainFiles(stack)
    Path(_watched(stack, options.root)).mkdir(parents=True, exist_ok=True)
    folders = files.ignored_folders()
    uploaded = list(files.upload_changes())
    prepared = _prepare(stack, options.root)
    show(
        *(
            _as_json(stack, prepared) if options.json else _banner(stack, prepared, options.root)
        ).split("\n")
    )
    _say(stack.notes)
    if copy and not options.json:
        _say(["links.toml: the mount /lfs/, which is a comment there, is enabled in this stack."])
    _say(
        f"{folder} is not a bucket of links.toml: its files are not uploaded." for folder in folders
    )
    _say(uploaded)
    begun.set()
    while True:
        time.sleep(POLL_INTERVAL)
        _say(files.upload_changes(SETTLED))
        if copy:
            copy.refresh()
        if not stack.links_toml_changed():
            continue
        try:
            stack.reload()
        except LocalError as error:
            _say([f"links.toml changed, and requests fail until it is corrected. {error}"])
            continue
        _say(["links.toml changed and was read again."])
        prepared = _prepare(stack, options.root)
        if not options.json:
            show(*_rows(_to_try(prepared)).split("\n"))


def _prepare(stack: Stack, root: Path | None) -> samples.Samples:
    prepared = samples.prepare(stack)
    config = stack.links_toml()
    stack.start_page.content = None
    if config is not None and config.mounts.covering("/") is None:  # else / is theirs
        values = {
            "stack": stack,
            "config": config,
            "samples": prepared._asdict(),
            "role": stack.function.role_arn,
        }
        places = {
            "folder": _watched(stack, root),
            "shell": _shell(stack, root),
            "title": "fc-presign on this machine",
        }
        stack.start_page.content = partial(start_page.render, **values, **places)
    try:
        write_script(stack.root, samples.variables(stack, prepared.api_key.value))
    except EmulatorError as error:
        _say([str(error)])
    return prepared


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        show(line, file=sys.stderr)


def _parser(
    name: str, description: str, ports: Mapping[str, tuple[int, str]], epilog: str | None = None
) -> Parser:
    """With what every stack has; `ports` are the default and the purpose of each option."""
    parser = Parser(prog=name, description=description, epilog=epilog)
    for option, (default, purpose) in ports.items():
        description = f"port of {purpose} (default: {default}; 0 picks a free port)"
        parser.add_argument(option, metavar="PORT", type=_port, default=default, help=description)
    parser.add_argument(
        "--root", metavar="DIR", type=Path, help="store objects here (default: a temporary folder)"
    )
    parser.add_argument(
        "--json", action="store_true", help="print addresses and credentials as one line of JSON"
    )
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
            "cdn": dict(stack.cdn_urls),
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
        "STS": stack.sts_url,
        **{f"CDN {name}": url for name, url in stack.cdn_urls.items()},
        "files": f"put files into {_watched(stack, root)}{'' if root else ' (removed at the end)'}",
        "for your shell": _shell(stack, root),
    }
    return "\n".join(
        [
            "Function Compute and OSS are running on this machine (127.0.0.1), for development only. Stop: Ctrl-C.",
            "",
            _rows(rows),
            "",
            f"Try it, also in a browser at {stack.http_url}/:",
            "",
            _rows(_to_try(prepared)),
        ]
    )


def _shell(stack: Stack, root: Path | None) -> str:
    return shell_command(root or stack.root)


def _watched(stack: Stack, root: Path | None) -> str:
    """The folder of the first oss trigger, or else of all objects, with a slash."""
    triggers = (trigger for function in stack.deployment.functions for trigger in function.triggers)
    trigger = next((trigger for trigger in triggers if trigger.kind == "oss"), None)
    key = trigger.config.get("filter", {}).get("key", {}) if trigger else {}
    return f"{root or stack.root}/{trigger.bucket if trigger else stack.bucket}/{key.get('prefix', '')}"


def _to_try(prepared: samples.Samples) -> dict[str, str]:
    titles = {"api_key": "API key", "lfs_url": "lfs.url"}
    return {
        titles.get(name, name.replace("_", " ")): sample.value or f"none: {sample.advice}"
        for name, sample in prepared._asdict().items()
    }


def _rows(rows: Mapping[str, str]) -> str:
    width = max(map(len, rows)) + 2
    return "\n".join(f"  {name:<{width}}{value}" for name, value in rows.items())
