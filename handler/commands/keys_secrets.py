"""The commands that put a secret into the keys document: what they make, they show once.

A secret is shown when it works, or with "may be in force" where OSS did not say whether it does. With `--output` its
file exists before the document has it, so that there is no moment in which nobody could have it.
"""

from __future__ import annotations

import os
import secrets
import string
from base64 import b64encode
from collections.abc import Callable, Sequence
from typing import NamedTuple

from signer.common.files import create_file

from ..core.errors import HandlerError
from ..core.keys import InvalidKeys
from ..core.keys.cdn import read_cdn_key
from ..notices.sinks import KINDS, InvalidSink, read_sink
from . import keys_edit
from .command_line import InvalidUsage, read_input, read_json, warn, write_lines
from .keys_edit import Document
from .keys_job import NAME, Job
from .keys_lock import NotConfirmed, Write

DEFAULT_OVERLAP = 3600  # seconds
OLDER = (
    "Both functions must run this version: an older one may refuse the keys document. Then the way back is a copy that "
    "keys backup saved before the upgrade."
)
_KEY_CHARACTERS = string.ascii_letters + string.digits


def add_api_key(job: Job) -> None:
    options = job.options
    if options.max_share is not None and "SHARE" not in options.method:
        raise InvalidUsage("--max-share requires --method SHARE.")
    expires_at = None if options.expires is None else int(job.clock.now()) + options.expires
    entry = (options.name, options.path, options.method, expires_at, options.max_share)
    _add(
        job,
        _Entry("API key", options.name),
        lambda document: keys_edit.add_api_key(document, *entry),
    )
    warn("Running functions accept it within a minute.")


def add_issuer(job: Job) -> None:
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
    _add(
        job,
        _Entry("issuer", options.iss),
        lambda document: (keys_edit.add_issuer(document, entry), made),
    )


def add_sink(job: Job) -> None:
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
    _check_sink(options.name, entry, "added")
    _add(
        job,
        _Entry("sink", options.name),
        lambda document: (keys_edit.add_named(document, "sink", options.name, entry), made),
    )


def add_cdn(job: Job) -> None:
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
        _Entry("CDN", options.name),
        lambda document: (keys_edit.add_named(document, "CDN", options.name, entry), made),
    )


def set_sink(job: Job) -> None:
    """Changes what is given of a sink; its other members stay."""
    options = job.options
    name = options.name
    changes = _present(
        url=None if options.url is None else read_input(options.url, "--url"),
        secret=None if options.secret is None else read_input(options.secret, "--secret"),
        retry_for=options.retry_for,
    )
    if not changes:
        raise InvalidUsage("set-sink requires what to change: --url, --secret or --retry-for.")

    def change(document: Document) -> Document:
        changed = keys_edit.set_sink(document, name, changes)
        _check_sink(name, changed["sinks"][name], "changed")
        return changed

    job.change(change)
    write_lines(
        f"Changed {' and '.join(changes)} of the sink {name} in {job.store}. Running functions use it within a minute.",
        otherwise="The sink was changed.",
    )


def _check_sink(name: str, entry: Document, done: str) -> None:
    try:
        read_sink(name, entry, KINDS)
    except InvalidSink as error:
        raise InvalidUsage(f"{error.sentence} Nothing was {done}.") from None


def rotate_api_key(job: Job) -> None:
    options = job.options
    name = options.name
    now = int(job.clock.now())
    if options.now:
        if options.overlap or options.expires or options.output:
            raise InvalidUsage("--now makes no key. Omit --overlap, --expires and --output.")
        job.change(lambda document: keys_edit.end_overlap(document, name, now))
        done = f"Ended the earlier key of {name} in {job.store}. Running functions stop accepting it within a minute."
        write_lines(done, otherwise="The earlier key was ended.")
        return
    overlap = options.overlap or DEFAULT_OVERLAP
    expires_at = None if options.expires is None else now + options.expires
    document = _add(
        job,
        _Entry("API key", name, "rotated"),
        lambda document: keys_edit.rotate_api_key(document, name, now, overlap, expires_at),
        seen=lambda document: keys_edit.mark_seen(document, name),
    )
    # Not read again: by now another writer may have changed the document.
    entry = next(each for each in document["api"] if each["id"] == name)
    end = entry.get("expires_at")
    until = "" if end is None else f", until {end}"
    warn(
        f"The earlier key works until {entry['earlier']['expires_at']}; the new one within a minute{until}."
    )


class _Entry(NamedTuple):
    """What a command adds or changes in the document; `done` is its verb."""

    kind: str
    name: str
    done: str = "added"

    @property
    def noun(self) -> str:
        return "key" if self.kind in ("API key", "CDN") else "secret"

    @property
    def otherwise(self) -> str:
        return f"The {self.kind} was not {self.done}."


def _add(
    job: Job,
    entry: _Entry,
    add: Callable[[Document], tuple[Document, str | None]],
    seen: Callable[[Document], Document] | None = None,
) -> Document:
    """The document after what `add` does, whose secret, if it made one, was shown once or saved.

    `seen` makes the document that is written once it was.
    """
    output = job.options.output
    with job.locked() as write:
        content = job.read()
        document, secret = add(keys_edit.read(content)[0])
        if secret is None and output is not None:
            raise InvalidUsage("--output requires a secret that this command makes. Omit --output.")
        try:
            changed = keys_edit.serialize(document)
        except InvalidKeys as error:
            raise InvalidUsage(f"{error.sentence} Nothing was {entry.done}.") from None
        if output is not None:
            create(output, f"{secret}\n".encode(), entry.otherwise)
        _write(write, changed, secret, entry, output)
        if secret is not None and output is None:
            _show(job, secret, entry, lambda: write(content))
        if seen is not None:
            _note(lambda: write(keys_edit.serialize(seen(document))))
    done = f"{entry.done.capitalize()} the {entry.kind} {entry.name} in {job.store}."
    if secret is None:
        write_lines(done, otherwise=f"The {entry.kind} was {entry.done}.")
    else:
        saved = (
            f"Save this {entry.noun} now"
            if output is None
            else f"Saved the {entry.noun} in {output}"
        )
        warn(f"{done} {saved}. It will not be shown again.")
    warn(OLDER)
    return document


def _write(
    write: Write, changed: bytes, secret: str | None, entry: _Entry, output: str | None
) -> None:
    """Writes the document. What may be in force although that failed is shown, or stays in its file."""
    try:
        write(changed)
    except NotConfirmed as error:
        if secret is None:
            raise
        if output is None:
            write_lines(secret, otherwise=f"{error.sentence} The {entry.noun} was not shown.")
        place = "printed" if output is None else f"saved in {output}"
        raise NotConfirmed(
            f"{error.sentence} The {entry.noun} that was {place} may be in force."
        ) from None
    except HandlerError:
        if output is not None:
            os.unlink(output)
        raise


def _show(job: Job, secret: str, entry: _Entry, undo: Callable[[], None]) -> None:
    """Prints what works, and undoes that where it fails, before any other writer may change the document."""
    try:
        write_lines(secret, otherwise=entry.otherwise)
    except BaseException:  # an interrupt, too, may have come before the secret was seen
        try:
            undo()
        except HandlerError as error:
            command = job.options.command.replace("add-api-key", "revoke-api-key")
            remedy = f"To go on: {NAME} {command.replace('add-', 'remove-')} {entry.name}"
            raise HandlerError(
                f"The {entry.kind} {entry.name} was {entry.done}, but its secret was not shown, and that could not be "
                f"undone. {remedy} ({error})"
            ) from None
        raise


def _note(write: Callable[[], None]) -> None:
    """Notes that somebody has the new key. It works in any case."""
    try:
        write()
    except HandlerError as error:
        raise HandlerError(
            f"{error.sentence} The new key works: run the command again only to end it.",
            code=error.code,
        ) from None


def create(output: str, content: bytes, otherwise: str) -> None:
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
