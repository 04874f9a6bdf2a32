"""Changes of a keys document: each takes its JSON and returns another, in which everything else is unchanged."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from signer.times import rfc3339

from ..errors import HandlerError
from . import VERSION, Keys, load_json, parse

Document = dict[str, Any]

_ID_CHARACTERS = "abcdefghijkmnpqrstuvwxyz23456789"


class InvalidChange(HandlerError):
    """The document does not allow the change; the sentence says what to do instead."""

    code = "no_such_change"


class Rotation(NamedTuple):
    """A document after a rotation, and the id of the new share key, None if only an old one was removed."""

    document: Document
    added: str | None


def read(content: bytes) -> tuple[Document, Keys]:
    """The JSON of a document, and its keys. Raises `InvalidKeys`."""
    keys = parse(content)
    document: Document = load_json(content)
    return document, keys


def serialize(document: Document) -> bytes:
    """Raises `InvalidKeys` for a document that could not be read again."""
    content = (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
    parse(content)
    return content


def new() -> Document:
    """A document with one share key and nothing else."""
    document: Document = {"version": VERSION, "share": [], "api": [], "jwt": [], "sinks": {}}
    return rotate_share(document).document


def add_api_key(
    document: Document,
    name: str,
    paths: Sequence[str],
    methods: Sequence[str],
    expires_at: float | None,
    max_share: str | None = None,
) -> tuple[Document, str]:
    """The document with a new API key, and the key itself, which is stored nowhere. Raises `InvalidChange`.

    `max_share` is a duration such as 30d.
    """
    entries = document.get("api", [])
    if any(entry["id"] == name for entry in entries):
        raise InvalidChange(f"API key {name} already exists. Use another name, or revoke that key first.")
    key = "fcp_" + secrets.token_urlsafe(32)
    entry = {
        "id": name,
        "sha256": sha256(key.encode()).hexdigest(),
        "paths": list(dict.fromkeys(paths)),
        "methods": list(dict.fromkeys(methods)),
        "expires_at": None if expires_at is None else rfc3339(expires_at),
    }
    if max_share is not None:
        entry["max_share"] = max_share
    return {**document, "api": [*entries, entry]}, key


def revoke_api_key(document: Document, name: str) -> Document:
    """The document without an API key. Raises `InvalidChange`."""
    return {**document, "api": _without(document.get("api", []), name, "API key")}


def rotate_share(document: Document, retired: str | None = None) -> Rotation:
    """The document with a new share key, or without the key `retired`; if that was the newest, with a new one instead.

    Raises `InvalidChange`.
    """
    entries = document.get("share", [])
    remaining = entries if retired is None else _without(entries, retired, "share key")
    if retired is not None and entries[-1]["id"] != retired:
        return Rotation({**document, "share": remaining}, None)
    added = "".join(secrets.choice(_ID_CHARACTERS) for _ in range(8))
    return Rotation({**document, "share": [*remaining, {"id": added, "secret": secrets.token_urlsafe(32)}]}, added)


def _without(entries: Sequence[Document], name: str, kind: str) -> list[Document]:
    remaining = [entry for entry in entries if entry["id"] != name]
    if len(remaining) == len(entries):
        existing = ", ".join(entry["id"] for entry in entries) or "none"
        raise InvalidChange(f"There is no {kind} {name} (existing: {existing}).")
    return remaining
