"""Changes of a keys document: each takes the JSON and gives back another, and says what is no longer possible.

What a change does not concern is kept as it was written.
"""

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


class NoSuchChange(HandlerError):
    """The document does not allow the change; the sentence says what to do instead."""

    code = "no_such_change"


class Rotation(NamedTuple):
    """A document after a rotation, with the id of the share key that was added, if one was."""

    document: Document
    added: str | None


def read(text: bytes) -> tuple[Document, Keys]:
    """The JSON of a document and what it means. Raises `InvalidKeys`."""
    keys = parse(text)
    document: Document = load_json(text)
    return document, keys


def written(document: Document) -> bytes:
    """The document as text, checked once more. Raises `InvalidKeys`."""
    text = (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()
    parse(text)
    return text


def new() -> Document:
    """A document with one share key and nothing else."""
    document: Document = {"version": VERSION, "share": [], "api": [], "jwt": [], "sinks": {}}
    return rotate_share(document).document


def add_api_key(
    document: Document, name: str, paths: Sequence[str], methods: Sequence[str], expires_at: float | None
) -> tuple[Document, str]:
    """The document with a new API key, and the key, which is nowhere else. Raises `NoSuchChange`."""
    listed = document.get("api", [])
    if any(entry["id"] == name for entry in listed):
        raise NoSuchChange(f"There is an API key {name} already: choose another name, or revoke that one first.")
    key = "fcp_" + secrets.token_urlsafe(32)
    entry = {
        "id": name,
        "sha256": sha256(key.encode()).hexdigest(),
        "paths": list(dict.fromkeys(paths)),
        "methods": list(dict.fromkeys(methods)),
        "expires_at": None if expires_at is None else rfc3339(expires_at),
    }
    return {**document, "api": [*listed, entry]}, key


def revoke_api_key(document: Document, name: str) -> Document:
    """The document without an API key. Raises `NoSuchChange`."""
    listed = document.get("api", [])
    kept = [entry for entry in listed if entry["id"] != name]
    if len(kept) == len(listed):
        raise NoSuchChange(f"There is no API key {name}: there {_list([entry['id'] for entry in listed])}.")
    return {**document, "api": kept}


def rotate_share(document: Document, retired: str | None = None) -> Rotation:
    """The document with a new share key; or without the one of that id, with a new one where that was the newest.

    Raises `NoSuchChange`.
    """
    listed = document.get("share", [])
    kept = [entry for entry in listed if entry["id"] != retired]
    if retired is not None and len(kept) == len(listed):
        raise NoSuchChange(f"There is no share key {retired}: there {_list([entry['id'] for entry in listed])}.")
    if retired is not None and listed[-1]["id"] != retired:
        return Rotation({**document, "share": kept}, None)
    added = "".join(secrets.choice(_ID_CHARACTERS) for _ in range(8))
    return Rotation({**document, "share": [*kept, {"id": added, "secret": secrets.token_urlsafe(32)}]}, added)


def _list(names: Sequence[str]) -> str:
    if not names:
        return "is none"
    return f"{'is' if len(names) == 1 else 'are'} {', '.join(names)}"
