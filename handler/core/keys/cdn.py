"""The keys of CDNs in the keys document: `"cdn": {"name": {"type", "key", "valid_for", …}}`."""

from __future__ import annotations

from signer import CdnKey, InvalidCdnKey
from signer.cdn import check_cdn_key

from ..context import Invocation
from ..errors import Problem
from . import InvalidKeys, current, fields

MEMBERS = ("type", *CdnKey._fields[1:])


def read_cdn_key(name: str, entry: object) -> CdnKey:
    """The key of one entry. Raises `InvalidKeys`."""
    where = f"keys document: cdn {name}"
    table = fields.read_object(where, entry, MEMBERS).table
    try:
        cdn = CdnKey(**{"kind" if member == "type" else member: value for member, value in table.items()})
        check_cdn_key(cdn)
    except TypeError:
        raise InvalidKeys(f"{where}: type and key are required.") from None
    except InvalidCdnKey as error:
        raise InvalidKeys(f"{where}: {error}") from None
    return cdn


def cdn_key(invocation: Invocation, name: str) -> CdnKey:
    """The key that signs the links of mounts with this name. Raises the 503 `cdn_key_missing`, `keys_unavailable`."""
    try:
        return read_cdn_key(name, current.current_keys(invocation).cdn[name])
    except (KeyError, InvalidKeys):
        raise Problem("cdn_key_missing") from None
