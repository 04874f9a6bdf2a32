"""The keys of CDNs in the keys document: `"cdn": {"name": {"type": "A", "key", "valid_for", "parameter"}}`."""

from __future__ import annotations

from signer import CdnKey, InvalidCdnKey
from signer.cdn import check_cdn_key

from ..config.reader import TableReader
from . import fields
from .fields import InvalidKeys


def read_cdn_keys(document: TableReader) -> tuple[dict[str, CdnKey], dict[str, str]]:
    """The keys by name, and what is wrong with each entry that is invalid."""
    keys = dict[str, CdnKey]()
    faults = dict[str, str]()
    entries = document.required("cdn")
    if not isinstance(entries, dict):
        document.refuse("cdn", "must be an object")
    for name, entry in entries.items():
        try:
            keys[name] = read_cdn_key(name, entry)
        except InvalidKeys as error:
            faults[name] = error.sentence
    return keys, faults


def read_cdn_key(name: str, entry: object) -> CdnKey:
    """The key of one entry. Raises `InvalidKeys`."""
    where = f"keys document: cdn {name}"
    # Before a member that only another type has.
    if isinstance(entry, dict) and entry.get("type") != "A":
        raise InvalidKeys(
            f"{where}: type must be A, the only type of URL signing that is supported."
        )
    members = {"key": "", **fields.read_object(where, entry, ("type", *CdnKey._fields)).table}
    del members["type"]
    key = CdnKey(**members)
    try:
        check_cdn_key(key)
    except InvalidCdnKey as error:
        raise InvalidKeys(f"{where}: {error}") from None
    return key
