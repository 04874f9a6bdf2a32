"""`python -m handler.commands keys`: creates and changes the keys document.

It prints no secret but one that it made, once.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import stat
import string
import sys
from base64 import b64encode
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from typing import NamedTuple

from signer.common.files import create_file
from signer.times import rfc3339

from ..core.cloud.oss import MISSING, REFUSED, UNREACHABLE, VERSIONED, WRONG_CLOCK, StoreError
from ..core.cloud.store import Store, store_at
from ..core.config import Location
from ..core.config.reader import TableReader
from ..core.context import Clock
from ..core.errors import HandlerError
from ..core.keys import InvalidKeys
from ..core.keys.cdn import read_cdn_key
from ..core.keys.file_store import FileStore
from ..notices.sinks import KINDS, InvalidSink, read_sink
from . import keys_arguments, keys_edit, keys_show
from .command_line import (
    InvalidUsage,
    config,
    oss_client,
    read_input,
    read_json,
    run,
    warn,
    write_lines,
)
from .keys_edit import Document
from .keys_lock import LOCK_TIMEOUT, LONG_TIMEOUT, Write, locked
from .keys_shares import count_shares

NAME = "python -m handler.commands keys"
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
DEFAULT_OVERLAP = 3600  # seconds
_KEY_CHARACTERS = string.ascii_letters + string.digits
SYSTEM_CLOCK = Clock()


class _Job(NamedTuple):
    """One run of a command on one document."""

    store: FileStore | Store
    options: argparse.Namespace
    lock_timeout: float
    clock: Clock

    def locked(self) -> AbstractContextManager[Write]:
        timeout = LONG_TIMEOUT if self.options.wait else self.lock_timeout
        return locked(
            self.store,
            lambda sentence: warn(f"{NAME}: {sentence}"),
            timeout=timeout,
            clock=self.clock,
        )


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
    options = keys_arguments.build_parser(NAME).parse_args(arguments, defaults)

    def run_command() -> None:
        store = _store(options, clock)
        try:
            _COMMANDS[options.command](_Job(store, options, lock_timeout, clock))
        except StoreError as error:
            code = FORBIDDEN if error.reason == FORBIDDEN else error.code
            advice = (
                "Check the path and its permissions."
                if isinstance(store, FileStore)
                else ADVICE[code]
            )
            raise HandlerError(f"{store}: {error.sentence}. {advice}") from None

    return run(NAME, run_command)


def _init(job: _Job) -> None:
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


def _add_api_key(job: _Job) -> None:
    options = job.options
    if options.max_share is not None and "SHARE" not in options.method:
        raise InvalidUsage("--max-share requires --method SHARE.")
    expires_at = None if options.expires is None else int(job.clock.now()) + options.expires
    entry = (options.name, options.path, options.method, expires_at, options.max_share)
    _add(job, "API key", options.name, lambda document: keys_edit.add_api_key(document, *entry))
    warn("Running functions accept it within a minute.")


def _add_issuer(job: _Job) -> None:
    options = job.options
    if options.max_share is not None and options.method and "SHARE" not in options.method:
        raise InvalidUsage("--max-share requires --method SHARE.")
    secret = None
    jwks = None
    made = None
    if options.alg == "HS256":
        if options.jwks is not None:
            raise InvalidUsage("--jwks requires --alg RS256 or ES256.")
        made = None if options.secret is not None else secrets.token_urlsafe(32)
        secret = made or read_input(options.secret, "--secret")
    else:
        if options.secret is not None:
            raise InvalidUsage("--secret requires --alg HS256.")
        if options.jwks is None:
            raise InvalidUsage(f"--alg {options.alg} requires --jwks.")
        jwks = read_json(options.jwks, "--jwks")
    entry = _present(
        iss=options.iss,
        aud=options.aud,
        alg=options.alg,
        secret=secret,
        jwks=jwks,
        paths=_unique(options.path),
        methods=_unique(options.method),
        leeway=options.leeway,
        max_share=options.max_share,
    )
    _add(job, "issuer", options.iss, lambda document: (keys_edit.add_issuer(document, entry), made))


def _add_sink(job: _Job) -> None:
    options = job.options
    url = read_input(options.url, "--url")
    made = None
    if options.kind == "webhook" and options.secret is None:
        made = f"whsec_{b64encode(secrets.token_bytes(32)).decode()}"
    secret = read_input(options.secret, "--secret") if options.secret is not None else made
    loopback = options.allow_loopback or None
    entry = _present(
        kind=options.kind,
        url=url,
        secret=secret,
        allow_loopback=loopback,
        retry_for=options.retry_for,
    )
    try:
        read_sink(options.name, entry, KINDS)
    except InvalidSink as error:
        raise InvalidUsage(f"{error.sentence} Nothing was added.") from None
    _add(
        job,
        "sink",
        options.name,
        lambda document: (keys_edit.add_named(document, "sink", options.name, entry), made),
    )


def _add_cdn(job: _Job) -> None:
    options = job.options
    made = (
        None
        if options.key is not None
        else "".join(secrets.choice(_KEY_CHARACTERS) for _ in range(32))
    )
    key = made or read_input(options.key, "--key")
    entry = _present(type="A", key=key, valid_for=options.valid_for, parameter=options.parameter)
    try:
        read_cdn_key(options.name, entry)
    except InvalidKeys as error:
        raise InvalidUsage(f"{error.sentence} Nothing was added.") from None
    _add(
        job,
        "CDN",
        options.name,
        lambda document: (keys_edit.add_named(document, "CDN", options.name, entry), made),
    )


def _rotate_api_key(job: _Job) -> None:
    options = job.options
    name = options.name
    now = int(job.clock.now())
    if options.now:
        if options.overlap or options.expires or options.output:
            raise InvalidUsage("--now makes no key. Omit --overlap, --expires and --output.")
        with job.locked() as write:
            document, _ = keys_edit.read(_read(job.store))
            write(keys_edit.serialize(keys_edit.end_overlap(document, name, now)))
        done = (
            f"Ended the earlier key of {name}. Running functions stop accepting it within a minute."
        )
        write_lines(done, otherwise="The earlier key was ended.")
        return
    overlap = options.overlap or DEFAULT_OVERLAP
    expires_at = None if options.expires is None else now + options.expires

    ends: list[tuple[float, str | None]] = []

    def rotate(document: Document) -> tuple[Document, str]:
        changed, key, end = keys_edit.rotate_api_key(document, name, now, overlap, expires_at)
        entry = next(each for each in changed["api"] if each["id"] == name)
        ends.append((end, entry.get("expires_at")))
        return changed, key

    _add(job, "API key", name, rotate, done="rotated")
    # Not read again: by now another writer may have changed the document.
    earlier, end = ends[-1]
    until = "" if end is None else f", until {end}"
    warn(
        f"The earlier key works until {rfc3339(earlier)}; the new one within a minute{until}. "
        "Both functions must run this version: an older one refuses the keys document."
    )


def _add(
    job: _Job,
    kind: str,
    name: str,
    add: Callable[[Document], tuple[Document, str | None]],
    *,
    done: str = "added",
) -> None:
    """Adds or changes what `add` does, and shows the secret that it made, if any, once. `done` is its verb."""
    output = job.options.output
    with job.locked() as write:
        content = _read(job.store)
        document, secret = add(keys_edit.read(content)[0])
        if secret is None and output is not None:
            raise InvalidUsage("--output requires a secret that this command makes. Omit --output.")
        try:
            changed = keys_edit.serialize(document)
        except InvalidKeys as error:
            raise InvalidUsage(f"{error.sentence} Nothing was {done}.") from None
        write(changed)
        # Shown when it works, and removed again where that fails, before any other writer may change the document.
        try:
            if secret is not None and output is None:
                write_lines(secret, otherwise=f"The {kind} was not {done}.")
            elif secret is not None:
                _create(output, f"{secret}\n".encode(), f"The {kind} was not {done}.")
        except BaseException:  # an interrupt, too, may have come before the secret was seen
            try:
                write(content)
            except HandlerError as error:
                undo = "revoke-api-key" if kind == "API key" else f"remove-{kind.lower()}"
                remedy = f"Remove it: {NAME} {undo} {name}"
                if done == "rotated":
                    remedy = f"Rotate it again, after: {NAME} rotate-api-key {name} --now"
                raise HandlerError(
                    f"The {kind} {name} was {done}, but its secret was not shown, and that could not be undone. "
                    f"{remedy} ({error})"
                ) from None
            raise
    noun = "key" if kind in ("API key", "CDN") else "secret"
    if secret is None:
        write_lines(f"Added the {kind} {name}.", otherwise=f"The {kind} was {done}.")
    elif output is None:
        warn(f"Save this {noun} now. It will not be shown again.")
    else:
        warn(f"Saved the {noun} in {output}. It will not be shown again.")


def _create(output: str, content: bytes, otherwise: str) -> None:
    """Writes a new file that only its owner can read. Raises `HandlerError`, whose sentence ends with `otherwise`."""
    try:
        create_file(output, content)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "invalid path"
        raise HandlerError(
            f"{output} cannot be written ({reason}). Name a new file. {otherwise}"
        ) from None


def _present(**members: object) -> Document:
    """An entry with the members that are not None."""
    return {name: value for name, value in members.items() if value is not None}


def _unique(values: Sequence[str] | None) -> list[str] | None:
    return None if values is None else list(dict.fromkeys(values))


def _remove(kind: str, done: str, effect: str) -> Callable[[_Job], None]:
    """The command that removes one entry; `done` is the verb of its sentences, such as "revoked"."""

    def remove(job: _Job) -> None:
        name = job.options.name
        with job.locked() as write:
            document, _ = keys_edit.read(_read(job.store))
            write(keys_edit.serialize(keys_edit.remove(document, kind, name)))
        write_lines(
            f"{done.capitalize()} the {kind} {name}. {effect}", otherwise=f"The {kind} was {done}."
        )

    return remove


def _revoke_api_key(job: _Job) -> None:
    """Without a terminal it asks nothing: whoever found a leak at night has a script."""
    name = job.options.name
    if not job.options.yes and _has_terminal():
        _, keys = keys_edit.read(_read(job.store))
        for key in keys.api:
            if key.id == name:
                count = count_shares(key, job.options.endpoint, job.clock)
                shares = (
                    "an unknown number of shares ends"
                    if count is None
                    else f"at most {count} shares end"
                )
                _ask(
                    f"With the API key {name}, {shares}. If it has not leaked, rotate it to keep them. Revoke it?",
                    "Nothing was revoked.",
                )
    _remove("API key", "revoked", "Running functions stop accepting it within a minute.")(job)


def _rotate_share(job: _Job) -> None:
    retired = job.options.retire
    with job.locked() as write:
        document, added = keys_edit.rotate_share(keys_edit.read(_read(job.store))[0], retired)
        write(keys_edit.serialize(document))
    lines = []
    if retired is not None:
        lines.append(
            f"Retired the share key {retired}. Uploads in parts that it signed end within a minute."
        )
    if added is not None:
        lines.append(
            f"Added the share key {added}. New uploads in parts and shares in notices use it."
        )
    write_lines(*lines, otherwise="The share keys were changed.")


def _show(job: _Job) -> None:
    _, keys = keys_edit.read(_read(job.store))
    write_lines(str(job.store), *keys_show.lines_of(keys, job.clock.now()))


def _backup(job: _Job) -> None:
    content = _read(job.store)
    file = job.options.file
    document, _ = keys_edit.read(content)
    if file != "-":
        _create(file, content, "Nothing was saved.")
        warn(f"Saved {job.store} in {file}. It contains every secret: keep it encrypted.")
    elif sys.stdout is None or not stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode):
        raise InvalidUsage(
            "backup - writes every secret, so it requires a pipe to a program that encrypts them."
        )
    else:
        write_lines(*json.dumps(document, indent=2).split("\n"), otherwise="Nothing was saved.")


def _restore(job: _Job) -> None:
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
        if not _has_terminal():
            raise InvalidUsage("restore asks on a terminal. To restore without a question: --yes")
        _ask("Restore it?", "Nothing was restored.")
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


def _has_terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def _ask(question: str, otherwise: str) -> None:
    """Raises `HandlerError` with the sentence `otherwise` unless a person answers yes."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise HandlerError(otherwise)


def _read(store: FileStore | Store) -> bytes:
    stored = store.read("")
    if stored is None:
        raise HandlerError(f"{store} not found. To create a document: {NAME} init", code=MISSING)
    return stored.body


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


_COMMANDS: dict[str, Callable[[_Job], None]] = {
    "init": _init,
    "add-api-key": _add_api_key,
    "rotate-api-key": _rotate_api_key,
    "revoke-api-key": _revoke_api_key,
    "add-issuer": _add_issuer,
    "remove-issuer": _remove(
        "issuer", "removed", "Running functions stop accepting its tokens within a minute."
    ),
    "add-sink": _add_sink,
    "remove-sink": _remove(
        "sink", "removed", "Remove it from links.toml, too: notices that name it cannot be sent."
    ),
    "add-cdn": _add_cdn,
    "remove-cdn": _remove(
        "CDN", "removed", "Remove it from links.toml, too: mounts that name it give no links."
    ),
    "rotate-share": _rotate_share,
    "backup": _backup,
    "restore": _restore,
    "show": _show,
}
