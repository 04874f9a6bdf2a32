"""`python -m handler.keys`: makes and changes the keys document; no secret is printed but a new key, once."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence

from signer import Credentials, Endpoint, SignerError
from signer.times import parse_duration, rfc3339

from .. import oss, startup
from ..config import InvalidConfig, load
from ..errors import HandlerError
from . import ID, METHODS, Keys, lock
from . import edit as keys_editing
from .edit import Document
from .fields import bad_path
from .location import MISSING, FileKeysStore, KeysStore, KeysStoreError, OssKeysStore, location

FAILED, REFUSED = 1, 2
LONGEST = 3660 * 86_400  # seconds
NAME = "python -m handler.keys"


class _Unasked(HandlerError):
    """What was asked for cannot be told from the arguments and links.toml."""


def main(arguments: Sequence[str] | None = None, *, patience: float = lock.PATIENCE) -> int:
    """Runs one command: 0 where it is done, 1 where it cannot be, 2 where it is not understood.

    `patience` is how long another writer is waited for, in seconds.
    """
    # What may stand before the command and after it has its default here, so that neither undoes the other.
    defaults = argparse.Namespace(keys=None, endpoint="public", break_lock=False)
    options = _parser().parse_args(arguments, defaults)
    try:
        options.run(_place(options), options, patience)
    except (_Unasked, InvalidConfig) as error:
        print(f"{NAME}: {error.sentence}", file=sys.stderr)
        return REFUSED
    except (HandlerError, SignerError) as error:
        print(f"{NAME}: {error}", file=sys.stderr)
        return FAILED
    return 0


def _init(place: KeysStore, options: argparse.Namespace, patience: float) -> None:
    with lock.held(place, break_old=options.break_lock, patience=patience) as check:
        try:
            place.read()
        except KeysStoreError as error:
            if error.code != MISSING:
                raise
        else:
            raise keys_editing.NoSuchChange(f"There is a keys document at {place} already: it is left as it is.")
        document = keys_editing.new()
        check()
        place.replace(keys_editing.written(document))
    print(f"Made {place} with the share key {document['share'][-1]['id']}.")


def _add_api_key(place: KeysStore, options: argparse.Namespace, patience: float) -> None:
    expires_at = None if options.expires is None else int(time.time()) + options.expires
    made = []

    def add(document: Document) -> Document:
        changed, key = keys_editing.add_api_key(document, options.name, options.path, options.method, expires_at)
        made.append(key)
        return changed

    _change(place, options, patience, add)
    print(made[-1])
    print("This is the key's only appearance: keep it now.", file=sys.stderr)


def _revoke_api_key(place: KeysStore, options: argparse.Namespace, patience: float) -> None:
    _change(place, options, patience, lambda document: keys_editing.revoke_api_key(document, options.name))
    print(f"Revoked the API key {options.name}: functions that run forget it within a minute.")


def _rotate_share(place: KeysStore, options: argparse.Namespace, patience: float) -> None:
    done = []

    def rotate(document: Document) -> Document:
        rotation = keys_editing.rotate_share(document, options.retire)
        done.append(rotation.added)
        return rotation.document

    _change(place, options, patience, rotate)
    if options.retire is not None:
        print(f"Retired the share key {options.retire}: what it signed is withdrawn within a minute.")
    if done[-1] is not None:
        print(f"Added the share key {done[-1]}, which signs from now on.")


def _show(place: KeysStore, options: argparse.Namespace, patience: float) -> None:
    _, keys = keys_editing.read(_read(place))
    print("\n".join([str(place), *_lines(keys, time.time())]))


def _change(
    place: KeysStore, options: argparse.Namespace, patience: float, edit: Callable[[Document], Document]
) -> None:
    """Reads, edits and writes the document, with its lock held."""
    with lock.held(place, break_old=options.break_lock, patience=patience) as check:
        document, _ = keys_editing.read(_read(place))
        text = keys_editing.written(edit(document))
        check()
        place.replace(text)


def _read(place: KeysStore) -> bytes:
    try:
        return place.read().document or b""
    except KeysStoreError as error:
        if error.code == MISSING:
            raise KeysStoreError(f"{error.sentence} To make one: {NAME} init", code=MISSING) from None
        raise


def _place(options: argparse.Namespace) -> KeysStore:
    """The place that --keys or links.toml names. Raises `KeysStoreError`, `InvalidConfig`, `SignerError`."""
    named: str | None = options.keys
    if named is None:
        named = startup.config().keys
        if named is None:
            raise _Unasked("links.toml names no keys document: add keys = … at its top, or give --keys.")
    scheme, _, rest = named.partition(":")
    if scheme == "file" and rest:
        return FileKeysStore(os.path.abspath(rest))
    if not named.startswith("oss://"):
        raise _Unasked(f"{named!r} is no place for keys: write file:PATH or oss://bucket/.links/keys.json.")
    where = location(named)
    return OssKeysStore(where, oss.client_at(_endpoint(options), Credentials.from_environment()))


def _endpoint(options: argparse.Namespace) -> Endpoint:
    """Where this machine reaches OSS; seldom from inside the region, as the function does."""
    region = os.environ.get("LINK_REGION") or startup.config().region
    local = load.read_oss_endpoint(os.environ.get("LINK_OSS_ENDPOINT", ""), region)
    if local is not None:
        return local
    if options.endpoint in load.ENDPOINTS:
        return load.ENDPOINTS[options.endpoint](region)
    return Endpoint.custom_domain(options.endpoint, region)


def _lines(keys: Keys, now: float) -> list[str]:
    lines = ["share keys, oldest first; the last one signs:"]
    lines += [f"  {key.id}" for key in keys.share] or ["  none"]
    lines.append("API keys:")
    for key in keys.api:
        end = "never ends"
        if key.expires_at is not None:
            end = f"{'ended' if key.expires_at <= now else 'ends'} {rfc3339(key.expires_at)}"
        lines.append(f"  {key.id}: {' '.join(key.methods)} on {' '.join(key.paths)}; {end}")
    lines += [] if keys.api else ["  none"]
    if keys.jwt:
        lines.append("JWT issuers:")
    for issuer in keys.jwt:
        methods = " ".join(issuer.methods) if issuer.methods is not None else "what its tokens say"
        paths = " ".join(issuer.paths) if issuer.paths is not None else "what its tokens say"
        lines.append(f"  {issuer.iss}: {issuer.alg} for {issuer.aud}; {methods} on {paths}")
    if keys.sinks:
        lines.append("sinks:")
    lines += [f"  {name}: {sink['kind']}" for name, sink in keys.sinks.items()]
    return lines


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--keys",
        default=argparse.SUPPRESS,
        metavar="PLACE",
        help="file:PATH or oss://BUCKET/KEY (default: the one that links.toml names)",
    )
    common.add_argument(
        "--endpoint",
        default=argparse.SUPPRESS,
        metavar="NAME",
        help=f"of OSS: {', '.join(load.ENDPOINTS)}, or an address (default: public)",
    )
    common.add_argument(
        "--break-lock",
        action="store_true",
        default=argparse.SUPPRESS,
        help=f"first remove a writer's lock that is more than {lock.BREAKABLE // 60} minutes old",
    )
    parser = argparse.ArgumentParser(prog=NAME, description="Makes and changes the keys document.", parents=[common])
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[KeysStore, argparse.Namespace, float], None], what: str
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=what, description=what, parents=[common])
        added.set_defaults(run=run)
        return added

    command("init", _init, "Make a document with a new share key; an existing one is left as it is.")
    add = command("add-api-key", _add_api_key, "Add an API key and print it, once.")
    add.add_argument("name", metavar="NAME", type=_name, help="the key's name in logs and for revoke-api-key")
    add.add_argument(
        "--path", action="append", required=True, type=_path, help="a prefix that ends in /, or one path; repeatable"
    )
    add.add_argument("--method", action="append", required=True, choices=METHODS, help="repeatable")
    add.add_argument("--expires", type=_span, metavar="SPAN", help="such as 12h or 90d (default: never)")
    revoke = command("revoke-api-key", _revoke_api_key, "Remove an API key.")
    revoke.add_argument("name", metavar="NAME")
    rotate = command("rotate-share", _rotate_share, "Add a share key that signs from now on; the older ones verify.")
    rotate.add_argument("--retire", metavar="ID", help="instead remove this share key, and all it has signed")
    command("show", _show, "Show what the document holds, without its secrets.")
    return parser


def _name(text: str) -> str:
    if not ID.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no name: write up to 64 letters, digits, ., _ and -, beginning with a letter or digit"
        )
    return text


def _path(text: str) -> str:
    why = bad_path(text)
    if why:
        raise argparse.ArgumentTypeError(f"{text!r} {why}")
    return text


def _span(text: str) -> int:
    found = parse_duration(text)
    if found is None or found > LONGEST:
        raise argparse.ArgumentTypeError(f"{text!r} is no span of time up to {LONGEST // 86_400}d: write 12h or 90d")
    return found


if __name__ == "__main__":
    sys.exit(main())
