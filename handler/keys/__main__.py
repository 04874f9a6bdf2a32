"""`python -m handler.keys`: creates and changes the keys document. It prints no secret but a new API key, once."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple

from signer.times import format_duration, parse_duration, rfc3339

from .. import startup
from ..command_line import (
    InvalidUsage,
    OutputFailed,
    add_endpoint_option,
    identifier,
    oss_client,
    run,
    warn,
    write_lines,
)
from ..config import MAX_SHARE, MIN_SHARE
from ..config.reader import covered_path_fault
from ..errors import HandlerError
from ..times import Clock
from . import METHODS, Keys, edit
from .edit import Document
from .location import MISSING, FileKeysStore, KeysStore, KeysStoreError, OssKeysStore, object_location
from .lock import BREAKABLE_AFTER, LOCK_TIMEOUT, Write, locked

NAME = "python -m handler.keys"
SYSTEM_CLOCK = Clock()


class _Job(NamedTuple):
    """One run of a command on one document."""

    store: KeysStore
    options: argparse.Namespace
    lock_timeout: float
    clock: Clock

    def locked(self) -> AbstractContextManager[Write]:
        return locked(
            self.store, _notify, break_old=self.options.break_lock, timeout=self.lock_timeout, clock=self.clock
        )


def main(
    arguments: Sequence[str] | None = None, *, lock_timeout: float = LOCK_TIMEOUT, clock: Clock = SYSTEM_CLOCK
) -> int:
    """Runs one command: 0 if it succeeded, 1 if it failed, 2 if the command or the configuration is invalid.

    `lock_timeout` is how long to wait for another writer, in seconds.
    """
    # The options that may stand before or after the command have their defaults here, so that neither resets the other.
    defaults = argparse.Namespace(keys=None, endpoint="public", break_lock=False)
    options = _parser().parse_args(arguments, defaults)
    return run(NAME, lambda: options.run(_Job(_store(options, clock), options, lock_timeout, clock)))


def _init(job: _Job) -> None:
    store = job.store
    with job.locked() as write:
        try:
            store.read()
        except KeysStoreError as error:
            if error.code != MISSING:
                raise
        else:
            raise edit.InvalidChange(f"A keys document exists at {store}. It was not changed.")
        document = edit.new()
        write(edit.serialize(document))
    write_lines(
        f"Created {store} with the share key {document['share'][-1]['id']}.", otherwise="The keys document was created."
    )


def _add_api_key(job: _Job) -> None:
    options = job.options
    if options.max_share is not None and "SHARE" not in options.method:
        raise InvalidUsage("--max-share requires --method SHARE.")
    expires_at = None if options.expires is None else int(job.clock.now()) + options.expires
    with job.locked() as write:
        content = _read(job.store)
        document, _ = edit.read(content)
        document, key = edit.add_api_key(
            document, options.name, options.path, options.method, expires_at, options.max_share
        )
        write(edit.serialize(document))
        # Printed when it works, and removed again where that fails, before any other writer may change the document.
        try:
            write_lines(key, otherwise="The API key was not added.")
        except BaseException:  # an interrupt, too, may have come before the key was seen
            try:
                write(content)
            except HandlerError as error:
                raise OutputFailed(
                    f"The API key {options.name} was added, but it could neither be printed nor removed. "
                    f"Remove it: {NAME} revoke-api-key {options.name} ({error})"
                ) from None
            raise
    warn("Save this key now. It will not be shown again.")


def _revoke_api_key(job: _Job) -> None:
    name = job.options.name
    _change(job, lambda document: edit.revoke_api_key(document, name))
    write_lines(
        f"Revoked the API key {name}. Running functions stop accepting it within a minute.",
        otherwise="The API key was revoked.",
    )


def _rotate_share(job: _Job) -> None:
    retired = job.options.retire
    added = []

    def rotate(document: Document) -> Document:
        rotation = edit.rotate_share(document, retired)
        added.append(rotation.added)
        return rotation.document

    _change(job, rotate)
    lines = []
    if retired is not None:
        lines.append(f"Retired the share key {retired}. The shares that it signed stop working within a minute.")
    if added[-1] is not None:
        lines.append(f"Added the share key {added[-1]}. It signs all new shares.")
    write_lines(*lines, otherwise="The share keys were changed.")


def _show(job: _Job) -> None:
    _, keys = edit.read(_read(job.store))
    write_lines(str(job.store), *_lines(keys, job.clock.now()))


def _notify(sentence: str) -> None:
    warn(f"{NAME}: {sentence}")


def _change(job: _Job, change: Callable[[Document], Document]) -> None:
    with job.locked() as write:
        document, _ = edit.read(_read(job.store))
        write(edit.serialize(change(document)))


def _read(store: KeysStore) -> bytes:
    try:
        return store.read().document or b""
    except KeysStoreError as error:
        if error.code == MISSING:
            raise KeysStoreError(f"{error.sentence} To create a document: {NAME} init", code=MISSING) from None
        raise


def _store(options: argparse.Namespace, clock: Clock) -> KeysStore:
    """The store that --keys or links.toml names."""
    address: str | None = options.keys
    if address is None:
        address = startup.config().keys
        if address is None:
            raise InvalidUsage("links.toml does not name a keys document. Add keys = … to it, or use --keys.")
    scheme, _, path = address.partition(":")
    if scheme == "file" and path:
        return FileKeysStore(os.path.abspath(path), clock)
    if not address.startswith("oss://"):
        raise InvalidUsage(f"Invalid --keys {address!r} (expected file:PATH or oss://bucket/.links/keys.json).")
    return OssKeysStore(object_location(address), oss_client(options.endpoint))


def _lines(keys: Keys, now: float) -> list[str]:
    lines = ["Share keys, oldest first (the last one signs):"]
    lines += [f"  {key.id}" for key in keys.share] or ["  none"]
    lines.append("API keys:")
    for key in keys.api:
        expiry = "never expires"
        if key.expires_at is not None:
            expiry = f"{'expired' if key.expires_at <= now else 'expires'} {rfc3339(key.expires_at)}"
        lines.append(f"  {key.id}: {' '.join(key.methods)} on {' '.join(key.paths)}; {expiry}{_shares(key.max_share)}")
    lines += [] if keys.api else ["  none"]
    if keys.jwt:
        lines.append("JWT issuers:")
    for issuer in keys.jwt:
        methods = " ".join(issuer.methods) if issuer.methods is not None else "the methods of the token"
        paths = " ".join(issuer.paths) if issuer.paths is not None else "the paths of the token"
        scope = f"{methods} on {paths}{_shares(issuer.max_share)}"
        lines.append(f"  {issuer.iss}: {issuer.alg}, audience {issuer.aud}; {scope}")
    if keys.sinks:
        lines.append("Sinks:")
    lines += [f"  {name}: {sink['kind']}" for name, sink in keys.sinks.items()]
    return lines


def _shares(max_share: int | None) -> str:
    return "" if max_share is None else f"; shares of at most {format_duration(max_share)}"


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--keys",
        default=argparse.SUPPRESS,
        metavar="ADDRESS",
        help="the keys document: file:PATH or oss://BUCKET/KEY (default: keys of links.toml)",
    )
    add_endpoint_option(common)
    common.add_argument(
        "--break-lock",
        action="store_true",
        default=argparse.SUPPRESS,
        help=f"break the lock of another writer if it did not change for {BREAKABLE_AFTER // 60} minutes",
    )
    parser = argparse.ArgumentParser(prog=NAME, description="Creates and changes the keys document.", parents=[common])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: Callable[[_Job], None], description: str) -> argparse.ArgumentParser:
        subparser = commands.add_parser(name, help=description, description=description, parents=[common])
        subparser.set_defaults(run=run)
        return subparser

    command("init", _init, "Create a document with a new share key. An existing document is not changed.")
    add = command("add-api-key", _add_api_key, "Add an API key and print it, once.")
    add.add_argument(
        "name", metavar="NAME", type=identifier, help="the name of the key, in logs and for revoke-api-key"
    )
    add.add_argument(
        "--path",
        action="append",
        required=True,
        type=_path,
        help="a prefix that ends with /, or one exact path; repeatable",
    )
    add.add_argument("--method", action="append", required=True, choices=METHODS, help="repeatable")
    add.add_argument(
        "--expires", type=_duration, metavar="DURATION", help="lifetime, such as 12h or 90d (default: no expiry)"
    )
    add.add_argument(
        "--max-share",
        type=_max_share,
        metavar="DURATION",
        help="maximum lifetime of the shares that the key creates (default: only that of the mount)",
    )
    revoke = command("revoke-api-key", _revoke_api_key, "Remove an API key.")
    revoke.add_argument("name", metavar="NAME")
    rotate = command("rotate-share", _rotate_share, "Add a share key that signs from now on. Older keys still verify.")
    rotate.add_argument(
        "--retire", metavar="ID", help="remove this share key instead, which withdraws every share that it signed"
    )
    command("show", _show, "Show the document without its secrets.")
    return parser


def _path(value: str) -> str:
    fault = covered_path_fault(value)
    if fault:
        raise argparse.ArgumentTypeError(f"invalid path {value!r}: {fault}")
    return value


def _duration(value: str) -> int:
    seconds = parse_duration(value)
    if seconds is None or seconds > MAX_SHARE:
        raise argparse.ArgumentTypeError(
            f"invalid duration {value!r} (expected up to {MAX_SHARE // 86_400}d, such as 12h or 90d)"
        )
    return seconds


def _max_share(value: str) -> str:
    if _duration(value) < MIN_SHARE:
        raise argparse.ArgumentTypeError(f"invalid duration {value!r} (expected at least {MIN_SHARE} seconds)")
    return value


if __name__ == "__main__":
    sys.exit(main())
