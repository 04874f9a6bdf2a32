"""A share: the address of an object at this service with a signature of ours in its query.

The token is a head (12 bytes), the record's id where there is one (9 bytes), a file name where one was chosen, and the
signature, all base64url without padding. Method, path, and the mount's own path and target are signed and not
contained: the address already says them.

head = expiry (4 bytes, Unix seconds) | options (1) | maker's tag (3) | key's tag (2) | check (2)

The check is no secret: it only tells a token that was changed from one that a retired key signed.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import crc_hqx
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple

from itsdangerous import Signer

from ..auth import makers
from ..config import Mount
from ..errors import Problem
from ..keys import Keys, ShareKey

SALT = b"fc-presign.share.v1"
MAX_USES = 20
NOTICES = "notice"  # who stands behind the shares of notices; only a retired share key withdraws them
LATEST = 2**32 - 1  # the last second that four bytes hold

_HEAD, _ID, _SIGNATURE = 16, 12, 43  # characters
_TOKEN = re.compile(r"[A-Za-z0-9_-]{59,1200}")
_RECORD_ID = re.compile(r"[A-Za-z0-9_-]{12}")
_UPLOAD, _PAGE, _RECORD, _DOWNLOAD, _NAME = 1, 2, 4, 8, 16


class Share(NamedTuple):
    """What a share says of itself: `ends_at` in Unix seconds, `record` the id of its record in the state prefix.

    `method` is GET or POST (an upload). `download` is None, "" for the object's own name, or a file name. `maker` is
    the tag of the caller who made it.
    """

    ends_at: int
    method: str
    page: bool
    record: str | None
    download: str | None
    maker: bytes


def sign(share: Share, mount: Mount, path: str, keys: Sequence[ShareKey]) -> str:
    """The token of a share of a path, signed with the newest key."""
    claims = _claims(share, key_tag(keys[-1].id))
    tail = (share.record or "") + _encode((share.download or "").encode())
    signature = _signer(keys).get_signature(_signed(claims, tail, share.method, path, mount)).decode()
    return _encode(claims + _check(claims, tail, signature)) + tail + signature


def read(token: str, mount: Mount, path: str, keys: Keys, now: float) -> Share:
    """The share that a token stands for, at this path.

    Raises the 404 `Problem` for one that was changed, and a 410 for one that has ended, whose key was retired, or
    whose maker is gone.
    """
    if not _TOKEN.fullmatch(token):
        raise invalid()
    head, tail, signature = _decode(token[:_HEAD]), token[_HEAD:-_SIGNATURE], token[-_SIGNATURE:]
    claims, check = head[:-2], head[-2:]
    share = _share(claims, tail)
    if claims[-2:] not in {key_tag(key.id) for key in keys.share}:
        if check == _check(claims, tail, signature):
            raise gone("share_retired", "This link was withdrawn: ask its sender for a new one.")
        raise invalid()
    good = _signer(keys.share).verify_signature(_signed(claims, tail, share.method, path, mount), signature.encode())
    # Two spellings of the last character decode to the same bytes; only one of them was signed.
    if not good or _encode(_decode(signature)) != signature or check != _check(claims, tail, signature):
        raise invalid()
    if now >= share.ends_at:
        raise gone("share_ended", "This link has ended: ask its sender for a new one.")
    if share.maker not in {maker_tag(maker) for maker in (NOTICES, *makers(keys))}:
        raise gone(
            "share_maker_gone", "This link was withdrawn with the key that made it: ask its sender for a new one."
        )
    return share


def maker_tag(maker: str) -> bytes:
    """The tag of who made a share: `Caller.maker`."""
    return sha256(maker.encode()).digest()[:3]


def is_record_id(text: str) -> bool:
    """Whether a text has the form of a record's id."""
    return _RECORD_ID.fullmatch(text) is not None


def key_tag(key_id: str) -> bytes:
    """The tag of a share key."""
    return sha256(key_id.encode()).digest()[:2]


def invalid() -> Problem:
    """A token that is not ours, for this address."""
    return Problem(404, "share_invalid", "This link is not complete, or was changed: copy it again, whole.")


def gone(code: str, sentence: str) -> Problem:
    """A share that once was good."""
    return Problem(410, code, sentence)


def _signer(keys: Sequence[ShareKey]) -> Signer:
    return Signer([key.secret for key in keys], salt=SALT, key_derivation="hmac", digest_method=sha256)


def _signed(claims: bytes, tail: str, method: str, path: str, mount: Mount) -> bytes:
    # The mount's path, too: with it the target tells which object the path stands for.
    return "\n".join(("share", method, path, mount.path, str(mount.target), claims.hex(), tail)).encode()


def _claims(share: Share, tag: bytes) -> bytes:
    options = (
        _UPLOAD * (share.method == "POST")
        | _PAGE * share.page
        | _RECORD * (share.record is not None)
        | _DOWNLOAD * (share.download is not None)
        | _NAME * bool(share.download)
    )
    return share.ends_at.to_bytes(4, "big") + bytes([options]) + share.maker + tag


def _share(claims: bytes, tail: str) -> Share:
    """The share of a token whose signature is not yet looked at. Raises the 404 `Problem` where it has no such form."""
    options = claims[4]
    record, name = (tail[:_ID], tail[_ID:]) if options & _RECORD else (None, tail)
    download = None
    if options & _DOWNLOAD:
        try:
            download = _decode(name).decode()
        except ValueError:
            raise invalid() from None
    if bool(name) != bool(options & _NAME) or (record is not None and len(record) != _ID):
        raise invalid()
    return Share(
        int.from_bytes(claims[:4], "big"),
        "POST" if options & _UPLOAD else "GET",
        bool(options & _PAGE),
        record,
        download,
        claims[5:8],
    )


def _check(claims: bytes, tail: str, signature: str) -> bytes:
    # The claims last: with the check right behind them, a CRC-16 finds every change of two neighbouring characters.
    return crc_hqx((tail + signature).encode() + claims, 0).to_bytes(2, "big")


def _encode(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise invalid() from None
