"""What an address shows of a CDN's signature, and what the CDN's key proves about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote, unquote

from ..cdn import VALID_FOR, CdnKey, SignedAddress, digest, fault_of, read_address
from ..times import format_duration, format_timestamp
from .evidence import CERTAIN, GUESS, LIKELY, LINK, PROVED, SECRET, Evidence

_TYPE_A = re.compile("[?&]([^=&]+)=([1-9][0-9]{9})-[^-&]*-[^-&]*-[0-9a-f]{32}(?![^&])")
_OTHER_TYPE = re.compile(
    "/[0-9]{12}/[0-9a-f]{32}/|/[0-9a-f]{32}/[0-9a-fA-F]{8}/|.*[?&]sign=[0-9a-f]{32}&time="
)


def cdn_evidence(target: str, key: CdnKey | None, now: int) -> Iterator[Evidence]:
    """What a path and query show at `now`, in Unix seconds, and what the key proves, if it is known."""
    signed = _TYPE_A.search(target)
    if key and (address := read_address(key, target)):
        yield from _prove(key, address, now)
    elif key and signed and signed[1] != key.parameter:
        certainty = LIKELY if fault_of(key._replace(parameter=signed[1]), target, 0) else PROVED
        yield Evidence(
            "cdn_wrong_type", SECRET, certainty, "Its signature is in another parameter."
        )
    elif _OTHER_TYPE.match(target):
        code, source = ("cdn_wrong_type", SECRET) if key else ("cdn_address", LINK)
        yield Evidence(code, source, LIKELY, "It has the form of another type than A.")
    elif key:
        yield Evidence(
            "unsigned", GUESS, CERTAIN, f"It has no signature in the parameter {key.parameter}."
        )
    elif signed:
        time = int(signed[2])
        life = format_duration(VALID_FOR)
        ends = f"it {'ended' if time + VALID_FOR <= now else 'ends'} at {format_timestamp(time + VALID_FOR)}"
        shown = f"It has the form of type A, with the time {format_timestamp(time)}: {ends}"
        counts = f"with the CDN's default validity of {life}; the domain's own counts."
        yield Evidence("cdn_address", LINK, LIKELY, f"{shown} {counts}")


def _prove(key: CdnKey, address: SignedAddress, now: int) -> Iterator[Evidence]:
    time = int(address.written)
    digits = len(address.written)
    past = now - time - key.valid_for
    read = f"The CDN reads its time as {format_timestamp(time)}"
    if digits != 10:
        yield Evidence(
            "cdn_encoding", SECRET, CERTAIN, f"{read}: it has {digits} digits instead of ten."
        )
    elif past >= 0:
        life = f"the domain's validity is {format_duration(key.valid_for)}"
        yield Evidence(
            "expired",
            SECRET,
            CERTAIN,
            f"{read}, and {life}: it expired {format_duration(past)} ago.",
        )
    for code, change, path, written in _changes(address, time):
        if digest(key, path, written, address.rand, address.uid) == address.md5:
            yield from (
                [Evidence(code, SECRET, PROVED, f"The MD5 matches with {change}.")]
                if change
                else []
            )
            return
    yield Evidence(
        "cdn_mismatch",
        SECRET,
        LIKELY,
        "With this key, neither the link nor a usual change of it has its MD5.",
    )


def _changes(address: SignedAddress, time: int) -> Iterator[tuple[str, str, str, str]]:
    """What may have been signed, the link's own parts first: a finding, its words, and a path and time."""
    path = address.path
    written = address.written
    small, capital = (
        re.sub("%[^/]{2}", form, path) for form in (lambda m: m[0].lower(), lambda m: m[0].upper())
    )
    spellings = {
        "": path,
        "decoded": unquote(path),
        "encoded again": quote(path),
        "without its first slash": path[1:],
        "with small escapes": small,
        "with capital escapes": capital,
        "with its query": f"{path}?{address.query}",
        "with + for %20": path.replace("%20", "+"),
        "with %20 for +": path.replace("+", "%20"),
    }
    yield from (
        ("cdn_encoding", how and f"the path {how}", form, written)
        for how, form in spellings.items()
    )
    for other in range(time - 604_800, time + 604_800, 300):
        yield "altered_parameter", f"the time {format_timestamp(other)}", path, str(other)
