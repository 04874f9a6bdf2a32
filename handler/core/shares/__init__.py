"""The token of a share: the address of an object at this service, with the token, opens the object.

A token is a head (15 bytes), the depth (1 byte) of a folder, the record's id (9 bytes) if there is one, a file name if
one was chosen, and the signature, all in base64url without padding. The method, the path, and the mount's path and
target are signed but not included, since the address contains them.

That of a folder opens everything below it. The path that is signed is then the folder's, which is so much of the path
of a file as its depth says: the number of "/" in it. A file that a longer mount covers has another mount, and so
another signature.

head = expiry (4 bytes, Unix seconds) | options (1) | owner's tag (6) | key's tag (2) | check (2)

The check is not secret: it only separates a modified token from one that a retired key signed.
"""

from __future__ import annotations

import re
from binascii import crc_hqx
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from itsdangerous import BadData, Signer, base64_decode, base64_encode

from ..config import Target
from ..errors import Problem
from ..keys import Keys, ShareKey
from ..keys import owner_tag as owner_tag

SALT = b"fc-presign.share.v1"
MAX_USES = 20
DEFAULT_EXPIRES = 7 * 86_400  # seconds
NOTICES = "notice"  # the owner of shares in notices

_HEAD, _ID, _SIGNATURE = 20, 12, 43  # characters
_TOKEN = re.compile(r"[A-Za-z0-9_-]{63,1200}")
RECORD_ID = re.compile(r"[A-Za-z0-9_-]{12}")
_UPLOAD, _PAGE, _RECORD, _DOWNLOAD, _NAME, _FOLDER = 1, 2, 4, 8, 16, 32
_RESERVED = 64 | 128  # 64 is for "a password was given"
_DEPTH = 2  # characters
MAX_DEPTH = 255


def check_app_package(target: Target) -> None:
    """Raises the 409 `app_package_domain` for an object that OSS does not serve from the mount's endpoint.

    Source: the OSS page "What do I do if the ApkDownloadForbidden error code is returned?". OSS refuses the media types
    of app packages too; only the key is looked at, so that nothing is read.
    """
    if not target.mount.app_packages and target.key.lower().endswith((".apk", ".ipa")):
        raise Problem("app_package_domain")


class Share(NamedTuple):
    """The content of a token: `expires_at` in Unix seconds, `record` the id of its record in the state prefix.

    `method` is GET, or POST for uploads. `download` is None, "" for the object's own name, or a file name. `owner` is
    the tag of the caller who created the share. `depth` is that of a folder, 0 for one object.
    """

    expires_at: int
    method: str
    page: bool
    record: str | None
    download: str | None
    owner: bytes
    depth: int = 0


def sign(share: Share, target: Target, keys: Sequence[ShareKey]) -> str:
    """The token of a share of a target, signed with the newest key."""
    claims = _claims(share, key_tag(keys[-1].id))
    depth = base64_encode(bytes([share.depth])).decode() if share.depth else ""
    tail = depth + (share.record or "") + base64_encode(share.download or "").decode()
    signature = _signer(keys).get_signature(_signed(claims, tail, share, target)).decode()
    return base64_encode(claims + _check(claims, tail, signature)).decode() + tail + signature


def read(token: str, target: Target, keys: Keys, now: float) -> Share:
    """The share of a token for this target, which may be in the folder that is shared.

    Raises the 404 `share_invalid` for a modified token, and a 410 for one that has expired, whose key was retired, or
    whose owner was removed.
    """
    if not _TOKEN.fullmatch(token):
        raise Problem("share_invalid")
    head, tail, signature = _decode(token[:_HEAD]), token[_HEAD:-_SIGNATURE], token[-_SIGNATURE:]
    claims, check = head[:-2], head[-2:]
    share = _share(claims, tail)
    if claims[-2:] not in {key_tag(key.id) for key in keys.share}:
        if check == _check(claims, tail, signature):
            raise Problem("share_retired")
        raise Problem("share_invalid")
    valid = _signer(keys.share).verify_signature(_signed(claims, tail, share, target), signature.encode())
    # The last character can be spelled in several ways that decode to the same bytes; only one was issued.
    if not valid or base64_encode(_decode(signature)) != signature.encode() or check != _check(claims, tail, signature):
        raise Problem("share_invalid")
    if now >= share.expires_at:
        raise Problem("share_expired")
    if share.owner not in keys.owner_tags and share.owner != owner_tag(NOTICES):
        raise Problem("share_owner_removed")
    return share


def shared_path(path: str, depth: int) -> str:
    """What a share with this depth is for, by the path of a file in it. Raises the 404 `share_invalid`."""
    segments = path.split("/", depth) if depth else [path, ""]
    if len(segments) <= depth:
        raise Problem("share_invalid")
    return path[: len(path) - len(segments[-1])]


def key_tag(key_id: str) -> bytes:
    return sha256(key_id.encode()).digest()[:2]


def _signer(keys: Sequence[ShareKey]) -> Signer:
    return Signer([key.secret for key in keys], salt=SALT, key_derivation="hmac", digest_method=sha256)


def _signed(claims: bytes, tail: str, share: Share, target: Target) -> bytes:
    mount, path = target.mount, shared_path(target.path, share.depth)
    # The mount's path and target identify the object; if either changes, the share opens nothing.
    return "\n".join(("share", share.method, path, mount.path, str(mount.target), claims.hex(), tail)).encode()


def _claims(share: Share, tag: bytes) -> bytes:
    options = (
        _UPLOAD * (share.method == "POST")
        | _PAGE * share.page
        | _RECORD * (share.record is not None)
        | _DOWNLOAD * (share.download is not None)
        | _NAME * bool(share.download)
        | _FOLDER * bool(share.depth)
    )
    return share.expires_at.to_bytes(4, "big") + bytes([options]) + share.owner + tag


def _share(claims: bytes, tail: str) -> Share:
    """The share of a token whose signature is not yet verified. Raises the 404 `share_invalid` for another form."""
    options, depth = claims[4], 0
    if options & _FOLDER:
        depth, tail = int.from_bytes(_decode(tail[:_DEPTH]), "big"), tail[_DEPTH:]
    record, name = (tail[:_ID], tail[_ID:]) if options & _RECORD else (None, tail)
    download = None
    if options & _DOWNLOAD:
        try:
            download = _decode(name).decode()
        except ValueError:
            raise Problem("share_invalid") from None
    if options & _RESERVED or bool(depth) != bool(options & _FOLDER):
        raise Problem("share_invalid")
    if bool(name) != bool(options & _NAME) or (record is not None and len(record) != _ID):
        raise Problem("share_invalid")
    return Share(
        int.from_bytes(claims[:4], "big"),
        "POST" if options & _UPLOAD else "GET",
        bool(options & _PAGE),
        record,
        download,
        claims[5:11],
        depth,
    )


def _check(claims: bytes, tail: str, signature: str) -> bytes:
    # The claims come last, next to the check: so a CRC-16 detects every change of two neighbouring characters.
    return crc_hqx((tail + signature).encode() + claims, 0).to_bytes(2, "big")


def _decode(string: str) -> bytes:
    try:
        return base64_decode(string)
    except BadData:
        raise Problem("share_invalid") from None
