"""The record of a share in the state prefix, `shares/{id}.json`, its later end, and the index of all shares.

The record has a hash of the secret in the share's address, so whoever reads the state opens no share.
`extended/{id}.json` is a second end: the later of both counts. `extended/{id}-uses.json` is a second number of uses, of
which the larger counts. A revocation replaces the record, so it always wins.

The index has an empty object for each share, `index/{caller}/{seconds}-{id}`: of each caller, the newest come first.
`caller` stands for the caller's id and the owner, `seconds` are those from the creation until 2286.
"""

from __future__ import annotations

import hmac
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, NamedTuple, get_args, get_origin, get_type_hints

from ..cloud.store import Store, StoredObject
from ..errors import HandlerError, Problem
from ..words import Words
from . import MAX_USES

if TYPE_CHECKING:
    from ..config import Mount

ID = re.compile(r"[A-Za-z0-9_-]{12}")
_HASH = re.compile(r"[A-Za-z0-9_-]{43}")
SECRET = re.compile(r"[A-Za-z0-9_-]{21}[AQgw]")  # 16 bytes
INDEX = "index/"
_LAST = 9_999_999_999  # Unix seconds
_SALT = "fc-presign.notice-share.v1"


class UnreadableRecord(HandlerError):
    """A record that was damaged, or that another version wrote."""

    def reported(self) -> Problem:
        return Problem("state_unavailable", cause="a record of a share cannot be read")


class Record(NamedTuple):
    """What is stored of a share; the names are those of the stored JSON, where `words` stand beside the others.

    Times are Unix seconds.

    `hash` is that of the secret. `path` and `target` are those of the object, folder or prefix and of its `mount`.
    `method` is GET, or POST for uploads, of which `upload` has the limits. `download` is None, "" for the object's own
    name, or a file name. `uses` is the number that it allows, None without a limit. `password` is the hash of its code.
    `files` is how many files its maker put into a folder, None where more may follow. `owner` is the caller's id,
    `owner_tag` stands for the API key or issuer.
    """

    hash: str
    path: str
    mount: str
    target: str
    method: str
    owner: str
    owner_tag: str
    created_at: int
    expires_at: int
    page: bool = True
    download: str | None = None
    uses: int | None = None
    upload: dict[str, Any] | None = None
    password: str | None = None
    words: Words = Words()
    revoked_at: int | None = None
    files: int | None = None

    @property
    def id(self) -> str:
        return self.hash[:12]

    @property
    def is_folder(self) -> bool:
        return self.method == "GET" and self.path.endswith("/")

    @property
    def is_hidden(self) -> bool:
        """Whether nobody may see, before the code, if it is the share of a file or of a folder."""
        return self.method == "GET" and self.password is not None

    def is_of(self, mount: Mount) -> bool:
        """Whether it is a share of this mount, of its target or of an earlier one.

        A mount inside it, between the share and its object, is another one, also where both have one target.
        """
        targets = (mount.target, *mount.earlier_targets)
        return self.mount == mount.path and self.target in map(str, targets)


_HINTS = {**get_type_hints(Record), **get_type_hints(Words)}
_UPLOAD: Mapping[str, Sequence[Any]] = {
    "max_size": [int],
    "max_files": [int],
    "content_type": [str, type(None)],
}
_TYPES = {
    name: [get_origin(each) or each for each in get_args(hint) or (hint,)]
    for name, hint in _HINTS.items()
    if name != "words"
}


def base64url(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def secret_hash(secret: str) -> str:
    return base64url(sha256(secret.encode()).digest())


def index_of(owner: str, caller_id: str) -> str:
    """The folder in the index with the shares of a caller; no two users of an issuer have the same."""
    digest = sha256(f"{owner}\n{caller_id}".encode()).hexdigest()
    return f"{INDEX}{digest[:32]}/"


def new_secret() -> str:
    return token_urlsafe(16)


def derived_secret(key: bytes, identity: str) -> str:
    """The same secret for the same identity, which only the holder of a share key can compute."""
    return base64url(hmac.digest(key, f"{_SALT}\n{identity}".encode(), "sha256")[:16])


def add_to_index(state: Store, owner: str, record: Record) -> None:
    """Raises the 503 `state_unavailable`."""
    state.replace(f"{index_of(owner, record.owner)}{_LAST - record.created_at}-{record.id}", b"")


def save(state: Store, record: Record) -> None:
    """Writes the record. Raises the 503 `state_unavailable`.

    Only a revocation is retried: a repeated first record could arrive last and undo a revocation.
    """
    state.replace(_name(record.id), encode(record), retry=record.revoked_at is not None)


def create(state: Store, record: Record) -> Record:
    """Writes the record if its share has none, and returns the one that it has. Raises the 503 `state_unavailable`."""
    return _read(state.create(_name(record.id), encode(record)))


def revoke(record: Record, revoked_at: int) -> Record:
    """The record of a share that is revoked now (Unix seconds), or was before: without what its sender typed."""
    return record._replace(revoked_at=record.revoked_at or revoked_at, words=Words(), download=None)


def encode(record: Record) -> bytes:
    members = {"version": 1, **record._asdict(), **record.words._asdict()}
    del members["words"]
    return json.dumps(members).encode()


def load(state: Store, record_id: str) -> Record | None:
    """The record, None if it does not exist.

    Raises `UnreadableRecord`, and the 503 `state_unavailable` where OSS does not answer.
    """
    stored = state.read(_name(record_id))
    return None if stored is None else _read(stored)


def find(state: Store, secret: str) -> Record | None:
    """The record of the share with this secret. Raises as `load`."""
    hashed = secret_hash(secret)
    record = load(state, hashed[:12])
    return record if record is not None and hmac.compare_digest(record.hash, hashed) else None


def extend(state: Store, record_id: str, expires_at: int) -> None:
    """Writes a later end (Unix seconds), without a retry, which could undo a later one. Raises as `load`."""
    body = json.dumps({"version": 1, "expires_at": expires_at}).encode()
    state.replace(_extension(record_id), body, retry=False)


def load_end(state: Store, record: Record) -> int:
    """When the share ends (Unix seconds): the later of both ends. Raises as `load`."""
    stored = state.read(_extension(record.id))
    return max(record.expires_at, _read_extension(stored, "expires_at", _LAST))


def extend_uses(state: Store, record: Record, uses: int) -> int:
    """Writes a larger number of uses. Returns the one that counts. Raises as `load`.

    The first one is created, so that of two at once the larger counts, whichever arrives first.
    """
    name = _extension(f"{record.id}-uses")
    body = json.dumps({"version": 1, "max_uses": uses}).encode()
    stored = _read_extension(state.create(name, body), "max_uses", MAX_USES)
    if stored < uses:
        state.replace(name, body, retry=False)
    return max(stored, uses)


def load_uses(state: Store, record: Record) -> int:
    """How often a limited share can be used: the larger of both numbers. Raises as `load`."""
    stored = state.read(_extension(f"{record.id}-uses"))
    return max(record.uses or 0, _read_extension(stored, "max_uses", MAX_USES))


def _read_extension(stored: StoredObject | None, name: str, maximum: int) -> int:
    """The number in an extension, 0 where there is none. Raises `UnreadableRecord`."""
    if stored is None:
        return 0
    try:
        document = json.loads(stored.body)
        number = document[name]
        if document["version"] != 1 or type(number) is not int or not 0 <= number <= maximum:
            raise ValueError
        return number
    except (ValueError, TypeError, KeyError, RecursionError):
        raise UnreadableRecord(f"The extension of a share has no valid {name}.") from None


def _read(stored: StoredObject) -> Record:
    """Raises `UnreadableRecord`."""
    try:
        # A record may be older than `files`.
        members = {"files": None, **json.loads(stored.body)}
        # No name and no page can have half a surrogate pair.
        json.dumps(members, ensure_ascii=False).encode()
        words = Words(*(members[name] for name in Words._fields))
        named = {name: members[name] for name in Record._fields if name != "words"}
        record = Record(**named, words=words)
        is_valid = members["version"] == 1 and _has(members, _TYPES) and _is_consistent(record)
    except (ValueError, TypeError, KeyError, RecursionError):
        is_valid = False
    if not is_valid:
        raise UnreadableRecord("The record of a share cannot be read.")
    return record


def _is_consistent(record: Record) -> bool:
    """Whether members that have their types fit each other. Raises `KeyError` or `TypeError` for other limits."""
    is_for_uploads = record.method == "POST"
    if (record.upload is not None) != is_for_uploads:
        return False
    if is_for_uploads and not _has(record.upload, _UPLOAD):
        return False
    hashes = (record.hash, record.password or record.hash)
    return 0 <= record.created_at <= record.expires_at <= _LAST and all(
        map(_HASH.fullmatch, hashes)
    )


def _has(members: Any, types: Mapping[str, Sequence[Any]]) -> bool:
    return all(type(members[name]) in types[name] for name in types)


def _name(record_id: str) -> str:
    return f"shares/{record_id}.json"


def _extension(name: str) -> str:
    return f"extended/{name}.json"
