"""Changes of a keys document: each takes its JSON and returns another, in which everything else is unchanged.

One that the document does not allow raises `HandlerError`, whose sentence says what to do instead.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

from signer.times import parse_rfc3339, rfc3339

from ..core.errors import HandlerError
from ..core.keys import VERSION, ApiKey, Keys, load_json, parse

Document = dict[str, Any]

_NAMED = {"sink": "sinks", "CDN": "cdn"}  # the members whose entries have names
# Those that are lists, with what names an entry.
_LISTED = {
    "share key": ("share", "id"),
    "API key": ("api", "id"),
    "issuer": ("jwt", "iss"),
}
_ID_CHARACTERS = "abcdefghijkmnpqrstuvwxyz23456789"


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
    return rotate_share(document)[0]


def add_api_key(
    document: Document,
    name: str,
    paths: Sequence[str],
    methods: Sequence[str],
    expires_at: float | None,
    max_share: str | None = None,
) -> tuple[Document, str]:
    """The document with a new API key, and the key itself, which is stored nowhere.

    `max_share` is a duration such as 30d.
    """
    entries = document.get("api", [])
    if any(entry["id"] == name for entry in entries):
        raise HandlerError(
            f"API key {name} already exists. Use another name, or revoke that key first."
        )
    key = "fcp_" + secrets.token_urlsafe(32)
    entry = {
        "id": name,
        "sha256": sha256(key.encode()).hexdigest(),
        "paths": list(dict.fromkeys(paths)),
        "methods": list(dict.fromkeys(methods)),
        "expires_at": None if expires_at is None else rfc3339(expires_at),
        "owner": secrets.token_urlsafe(16),
    }
    if max_share is not None:
        entry["max_share"] = max_share
    return {**document, "api": [*entries, entry]}, key


def rotate_api_key(
    document: Document, name: str, now: float, overlap: int, expires_at: float | None
) -> tuple[Document, str]:
    """The document with a new API key in the place of an old one, and the new key, which is stored nowhere.

    The old one ends `overlap` seconds after `now`, and never beyond its own end. `expires_at` (Unix seconds) is that of
    the new key, None for the end that the entry has. Paths, methods and owner stay. Until `mark_seen`, nobody may have
    the new key: another rotation then replaces only that one.
    """
    entry, current = _api_entry(document, name)
    if current.expires_at is not None and current.expires_at <= now:
        raise HandlerError(f"API key {name} has expired. Add a new one instead.")
    end = now + overlap if current.expires_at is None else min(now + overlap, current.expires_at)
    earlier = {"sha256": current.sha256, "expires_at": rfc3339(end)}
    if current.earlier is not None and current.earlier.expires_at > now:
        if not current.earlier.unseen:
            raise HandlerError(
                f"API key {name} was rotated, and its earlier key works until "
                f"{rfc3339(current.earlier.expires_at)}. Rotate it after that, or first with --now, "
                "which ends the earlier key."
            )
        earlier = entry["earlier"]
    key = "fcp_" + secrets.token_urlsafe(32)
    rotated = {
        **entry,
        "sha256": sha256(key.encode()).hexdigest(),
        "owner": current.owner,
        "earlier": {**earlier, "unseen": True},
    }
    if expires_at is not None:
        rotated["expires_at"] = rfc3339(expires_at)
    return _with_api_entry(document, rotated), key


def mark_seen(document: Document, name: str) -> Document:
    """The document in which somebody has the key that a rotation made."""
    entry, _ = _api_entry(document, name)
    earlier = {member: value for member, value in entry["earlier"].items() if member != "unseen"}
    return _with_api_entry(document, {**entry, "earlier": earlier})


def end_overlap(document: Document, name: str, now: float) -> Document:
    """The document in which the key that a rotation replaced works no more."""
    entry, current = _api_entry(document, name)
    if current.earlier is None or current.earlier.expires_at <= now:
        raise HandlerError(f"API key {name} has no earlier key that works.")
    return _with_api_entry(document, {n: value for n, value in entry.items() if n != "earlier"})


def _api_entry(document: Document, name: str) -> tuple[Document, ApiKey]:
    """An entry of the document, and as it is read."""
    keys = parse(json.dumps(document)).api
    entries = document.get("api", [])
    for entry, key in zip(entries, keys, strict=True):
        if key.id == name:
            return entry, key
    raise _missing("API key", name, [key.id for key in keys])


def _with_api_entry(document: Document, changed: Document) -> Document:
    entries = [changed if entry["id"] == changed["id"] else entry for entry in document["api"]]
    return {**document, "api": entries}


def add_issuer(document: Document, entry: Document) -> Document:
    """The document with an issuer of tokens, whose entry gets a new random id."""
    entries = document.get("jwt", [])
    iss = entry["iss"]
    if any(other["iss"] == iss for other in entries):
        raise HandlerError(
            f"Issuer {iss} already exists. Remove that issuer first, or edit the document."
        )
    return {**document, "jwt": [*entries, {"id": secrets.token_hex(8), **entry}]}


def add_named(document: Document, kind: str, name: str, entry: Document) -> Document:
    """The document with a "sink" or a "CDN", whose entry is valid."""
    member = _NAMED[kind]
    entries = document.get(member, {})
    if name in entries:
        what = kind[0].upper() + kind[1:]
        raise HandlerError(
            f"{what} {name} already exists. Use another name, or remove that {kind} first."
        )
    return {**document, member: {**entries, name: entry}}


def set_sink(document: Document, name: str, changes: Document) -> Document:
    """The document in which a sink has these members beside its own."""
    sinks = document.get("sinks", {})
    if name not in sinks:
        raise _missing("sink", name, sinks)
    return {**document, "sinks": {**sinks, name: {**sinks[name], **changes}}}


def remove(document: Document, kind: str, name: str) -> Document:
    """The document without an "API key" (by its id), an "issuer" (by iss), a "sink" or a "CDN"."""
    if kind in _LISTED:
        return {**document, _LISTED[kind][0]: _without(document, name, kind)}
    entries = document.get(_NAMED[kind], {})
    if name not in entries:
        raise _missing(kind, name, entries)
    return {
        **document,
        _NAMED[kind]: {other: entry for other, entry in entries.items() if other != name},
    }


def rotate_share(document: Document, retired: str | None = None) -> tuple[Document, str | None]:
    """The document with a new share key, or without the key `retired`; if that was the newest, with a new one instead.

    Also returns the id of the new key, None if only an old one was removed.
    """
    entries = document.get("share", [])
    remaining = entries if retired is None else _without(document, retired, "share key")
    if retired is not None and entries[-1]["id"] != retired:
        return {**document, "share": remaining}, None
    added = "".join(secrets.choice(_ID_CHARACTERS) for _ in range(8))
    return {
        **document,
        "share": [*remaining, {"id": added, "secret": secrets.token_urlsafe(32)}],
    }, added


def changes(current: Document | None, restored: Document, now: float) -> list[str]:
    """A line for each entry that comes, goes or changes if `restored` replaces a document; None if that is unknown.

    A document has no list of what was revoked: what the current one lacks was removed since the other was saved.
    """
    before = _entries(current or {})
    after = _entries(restored)
    lines = []
    for (kind, name, secret), entry in after.items():
        if (kind, name, secret) not in before:
            comes = "Works again, although it was revoked, retired or removed"
            if current is None:
                comes = "Comes"
            elif _has_ended(entry, now):
                comes = "Comes back, but has ended"
            lines.append(f"{comes}: {kind} {name}")
    lines += [
        f"Goes: {kind} {name}" for kind, name, _ in [key for key in before if key not in after]
    ]
    for (kind, name, secret), entry in after.items():
        other = before.get((kind, name, secret), entry)
        members = [
            member for member in {**other, **entry} if other.get(member) != entry.get(member)
        ]
        lines += [f"Changes: {kind} {name} ({', '.join(members)})"] if members else []
    return lines


def _has_ended(entry: Document, now: float) -> bool:
    """Whether an API key, or an earlier one, works no more."""
    end = parse_rfc3339(entry.get("expires_at") or "")
    return end is not None and end <= now


def _entries(document: Document) -> dict[tuple[str, str, str], Document]:
    """Every entry by its kind, its name, and what is secret in it, which tells it from another of the same name.

    An API key's name has the first digits of its hash, and its earlier key is an entry of its own.
    """
    entries = []
    for kind, (member, name) in _LISTED.items():
        for entry in document.get(member, []):
            shown = entry[name]
            if kind == "API key":
                shown = f"{shown} ({entry['sha256'][:8]}…)"
            entries.append((kind, shown, entry))
            earlier = entry.get("earlier")
            if earlier is not None:
                shown = f"{entry[name]} ({earlier['sha256'][:8]}…)"
                entries.append(("earlier API key", shown, earlier))
    for kind, member in _NAMED.items():
        entries += [
            (kind, name, entry)
            for name, entry in document.get(member, {}).items()
            if isinstance(entry, dict)
        ]
    secret = ("sha256", "secret", "jwks", "url", "key")
    return {
        (kind, name, json.dumps([entry.get(part) for part in secret])): entry
        for kind, name, entry in entries
    }


def _without(document: Document, name: str, kind: str) -> list[Document]:
    member, of_entry = _LISTED[kind]
    names = [entry[of_entry] for entry in document.get(member, [])]
    if name not in names:
        raise _missing(kind, name, names)
    return [entry for entry in document[member] if entry[of_entry] != name]


def _missing(kind: str, name: str, existing: Iterable[str]) -> HandlerError:
    return HandlerError(f"There is no {kind} {name} (existing: {', '.join(existing) or 'none'}).")
