"""`python -m handler.commands keys`: creates and changes the keys document.

It prints no secret but one that it made, once. Each change says which document it changed.
"""

from __future__ import annotations

import argparse
import json
import os
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from ..core.cloud.oss import MISSING, REFUSED, UNREACHABLE, VERSIONED, WRONG_CLOCK, StoreError
from ..core.cloud.store import Store, store_at
from ..core.config import Location
from ..core.config.reader import TableReader
from ..core.context import Clock
from ..core.errors import HandlerError
from ..core.keys import InvalidKeys
from ..core.keys.file_store import FileStore
from . import keys_arguments, keys_edit, keys_secrets, keys_show
from .command_line import (
    YES,
    InvalidUsage,
    argument,
    ask,
    config,
    has_terminal,
    oss_client,
    run,
    warn,
    write_lines,
)
from .keys_arguments import Command
from .keys_job import NAME, Job
from .keys_lock import LOCK_TIMEOUT
from .keys_shares import count_shares

# OSS's own code, EC 0048-00000401
FORBIDDEN = "PublicEndpointForbidden"
# What to do about a code of `StoreError`
ADVICE = {
    MISSING: "Check the bucket and the region.",
    REFUSED: "Check the region and the permissions of the credentials: oss:GetObject to read; oss:PutObject and "
    "oss:DeleteObject, too, to change.",
    UNREACHABLE: "Check the endpoint and the network, and try again.",
    WRONG_CLOCK: "Set the clock of this machine, and try again.",
    FORBIDDEN: "At its public endpoints in mainland China, OSS serves no objects of accounts that first used it since "
    "2025-03-20. Bind a domain to the bucket, and use --endpoint https://static.example.com.",
    VERSIONED: "With versioning, a lock does not keep other writers out. Use a bucket that never had versioning.",
}
SYSTEM_CLOCK = Clock()


def main(
    arguments: Sequence[str] | None = None,
    *,
    lock_timeout: float = LOCK_TIMEOUT,
    clock: Clock = SYSTEM_CLOCK,
) -> int:
    """Runs one command: 0 if it succeeded, 1 if it failed, 2 if the command or the configuration is invalid.

    `lock_timeout` is how long to wait for another writer, in seconds.
    """
    # The options that may stand before or after the command have their defaults here, so that neither resets the other.
    defaults = argparse.Namespace(keys=None, endpoint=None, wait=False)
    options = keys_arguments.build_parser(NAME, COMMANDS).parse_args(arguments, defaults)

    def run_command() -> None:
        store = _store(options, clock)
        try:
            COMMANDS[options.command].run(Job(store, options, lock_timeout, clock))
        except StoreError as error:
            code = FORBIDDEN if error.reason == FORBIDDEN else error.code
            advice = (
                "Check the path and its permissions."
                if isinstance(store, FileStore)
                else ADVICE[code]
            )
            raise HandlerError(f"{store}: {error.sentence}. {advice}") from None

    return run(NAME, run_command)


def _init(job: Job) -> None:
    store = job.store
    with job.locked() as write:
        if store.read("") is not None:
            raise HandlerError(f"A keys document exists at {store}. It was not changed.")
        document = keys_edit.new()
        write(keys_edit.serialize(document))
    write_lines(
        f"Created {store} with the share key {document['share'][-1]['id']}.",
        otherwise="The keys document was created.",
    )


def _remove(kind: str, done: str, effect: str) -> Callable[[Job], None]:
    """The command that removes one entry; `done` is the verb of its sentences, such as "revoked"."""

    def remove(job: Job) -> None:
        name = job.options.name
        job.change(lambda document: keys_edit.remove(document, kind, name))
        write_lines(
            f"{done.capitalize()} the {kind} {name} in {job.store}. {effect}",
            otherwise=f"The {kind} was {done}.",
        )

    return remove


def _revoke_api_key(job: Job) -> None:
    """Without a terminal it asks nothing: whoever found a leak at night has a script."""
    name = job.options.name
    if not job.options.yes and has_terminal():
        _, keys = keys_edit.read(job.read())
        for key in keys.api:
            if key.id == name:
                count = count_shares(key, job.options.endpoint, job.clock)
                shares = (
                    "an unknown number of shares ends"
                    if count is None
                    else f"at most {count} shares end"
                )
                ask(
                    f"With the API key {name} in {job.store}, {shares}. If it has not leaked, rotate it to keep them. "
                    "Revoke it?",
                    "Nothing was revoked.",
                )
    _remove("API key", "revoked", "Running functions stop accepting it within a minute.")(job)


def _rotate_share(job: Job) -> None:
    retired = job.options.retire
    with job.locked() as write:
        document, added = keys_edit.rotate_share(keys_edit.read(job.read())[0], retired)
        write(keys_edit.serialize(document))
    lines = []
    if retired is not None:
        lines.append(
            f"Retired the share key {retired} in {job.store}. Uploads in parts that it signed end within a minute."
        )
    if added is not None:
        lines.append(
            f"Added the share key {added} in {job.store}. New uploads in parts and shares in notices use it."
        )
    write_lines(*lines, otherwise="The share keys were changed.")


def _show(job: Job) -> None:
    _, keys = keys_edit.read(job.read())
    write_lines(str(job.store), *keys_show.lines_of(keys, job.clock.now()))


def _backup(job: Job) -> None:
    content = job.read()
    file = job.options.file
    document, _ = keys_edit.read(content)
    if file != "-":
        keys_secrets.create(file, content, "Nothing was saved.")
        warn(f"Saved {job.store} in {file}. It contains every secret: keep it encrypted.")
    elif sys.stdout is None or not stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode):
        raise InvalidUsage(
            "backup - writes every secret, so it requires a pipe to a program that encrypts them."
        )
    else:
        write_lines(*json.dumps(document, indent=2).split("\n"), otherwise="Nothing was saved.")


def _restore(job: Job) -> None:
    file = job.options.file
    store = job.store
    try:
        with open(0 if file == "-" else file, "rb", closefd=file != "-") as copy:
            restored = copy.read()
        document, _ = keys_edit.read(restored)
    except (OSError, InvalidKeys) as error:
        reason = (
            error.sentence
            if isinstance(error, InvalidKeys)
            else f"It cannot be read ({error.strerror})."
        )
        raise InvalidUsage(f"{file}: {reason} Nothing was restored.") from None
    stored = store.read("")
    current = None
    with suppress(InvalidKeys):  # it may be what is wrong
        current = None if stored is None else keys_edit.read(stored.body)[0]
    if stored is not None and stored.body == restored:
        write_lines(f"{store} is the same as {file}: nothing changes.")
        return
    state = "exists"
    if stored is None:
        state = "is missing"
    elif current is None:
        state = "is invalid"
    write_lines(
        f"{store} {state}. With {file}:",
        *(f"  {line}" for line in keys_edit.changes(current, document, job.clock.now())),
    )
    if not job.options.yes:
        if not has_terminal():
            raise InvalidUsage("restore asks on a terminal. To restore without a question: --yes")
        ask("Restore it?", "Nothing was restored.")
    with job.locked() as write:
        latest = store.read("")
        if (latest and latest.body) != (stored and stored.body):
            raise HandlerError(
                "Another writer changed the document. Nothing was restored: try again."
            )
        write(restored)
    write_lines(
        f"Restored {store}. Running functions use it within a minute.",
        otherwise="The document was restored.",
    )


def _store(options: argparse.Namespace, clock: Clock) -> FileStore | Store:
    """The store that --keys or links.toml names."""
    if options.keys is None:
        document = config().keys_document
    else:
        from ..core.config.load import read_keys

        reader = TableReader("options", {"--keys": options.keys}, ("--keys",))
        document = read_keys(reader, "--keys", os.getcwd())
    if document is None:
        raise InvalidUsage(
            "links.toml does not name a keys document. Add keys = … to it, or use --keys."
        )
    if isinstance(document, Location):
        return store_at(oss_client(options.endpoint), document, clock)
    return FileStore(str(document))


COMMANDS: Mapping[str, Command] = {
    "init": Command(
        _init, "Create a document with a new share key. An existing document is not changed."
    ),
    "add-api-key": Command(
        keys_secrets.add_api_key,
        "Add an API key and print it, once.",
        (
            keys_arguments.new_name("its name, in logs and for revoke-api-key"),
            *keys_arguments.API_KEY,
        ),
    ),
    "rotate-api-key": Command(
        keys_secrets.rotate_api_key,
        "Replace an API key by a new one and print it, once; the old one works for a while, and shares stay.",
        keys_arguments.ROTATION,
    ),
    "revoke-api-key": Command(
        _revoke_api_key,
        "Remove an API key, as after a leak: all that it shared ends. On a terminal, it asks first.",
        (keys_arguments.NAME, YES),
    ),
    "add-issuer": Command(
        keys_secrets.add_issuer,
        "Add an issuer of tokens; for HS256 without --secret, print a new one once.",
        keys_arguments.ISSUER,
    ),
    "remove-issuer": Command(
        _remove(
            "issuer", "removed", "Running functions stop accepting its tokens within a minute."
        ),
        "Remove an issuer of tokens.",
        (argument("name", metavar="ISS"),),
    ),
    "add-sink": Command(
        keys_secrets.add_sink,
        "Add a sink of notices; for a webhook without --secret, print a new one once.",
        keys_arguments.SINK,
    ),
    "set-sink": Command(
        keys_secrets.set_sink,
        "Change the address, the secret or the time of retries of a sink, and nothing else of it.",
        (keys_arguments.NAME, *keys_arguments.SINK_CHANGES),
    ),
    "remove-sink": Command(
        _remove(
            "sink",
            "removed",
            "Remove it from links.toml, too: notices that name it cannot be sent.",
        ),
        "Remove a sink.",
        (keys_arguments.NAME,),
    ),
    "add-cdn": Command(
        keys_secrets.add_cdn,
        "Add a CDN's key for signing of type A; without --key, print a new one once.",
        keys_arguments.CDN,
    ),
    "remove-cdn": Command(
        _remove(
            "CDN", "removed", "Remove it from links.toml, too: mounts that name it give no links."
        ),
        "Remove the key of a CDN.",
        (keys_arguments.NAME,),
    ),
    "rotate-share": Command(
        _rotate_share,
        "Add a share key, for new uploads in parts and shares in notices.",
        (keys_arguments.RETIRED,),
    ),
    "backup": Command(
        _backup,
        "Save the document, with every secret, in a new file with mode 600.",
        (argument("file", metavar="FILE", help="a new file, or - for a pipe"),),
    ),
    "restore": Command(
        _restore,
        "Replace the document by a backup, after a list of what changes.",
        (argument("file", metavar="FILE", help="the backup, or - for standard input"), YES),
    ),
    "show": Command(_show, "Show the document without its secrets."),
}
