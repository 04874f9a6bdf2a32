"""What an address shows of a CDN's signature, and what the CDN's key proves about it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import quote, unquote

from ..cdn import KINDS, CdnKey, SignedAddress, digest, fault_of, format_time, read_address, read_time
from ..times import format_duration, format_timestamp
from .facts import CERTAIN, GUESS, LIKELY, LINK, POSSIBLE, PROVED, SECRET, Fact

_TYPE_A = re.compile(r"[?&]([^=&]+)=[0-9]{10}-[^-&]*-[^-&]*-[0-9a-f]{32}(?![^&])")
_TIMES = range(10**9, 5 * 10**9)  # of a link: from 2001 to 2128


def cdn_facts(target: str, key: CdnKey | None, now: int) -> Iterator[Fact]:
    """What a path and query show at `now`, in Unix seconds, and what the key proves, if it is known."""
    if key and (address := read_address(key, target)):
        yield from _prove(key, address, now)
        return
    name, is_decimal = _TYPE_A.search(target), re.search("=[0-9]{10}(?![^&])", target)
    for kind in KINDS:
        cdn = key or CdnKey("", "", format="decimal" if is_decimal else "hex")
        cdn = cdn._replace(kind=kind, parameter=name[1] if name else cdn.parameter)
        address = read_address(cdn, target)
        if key and address:
            certainty = LIKELY if fault_of(cdn, target, 0) else PROVED
            yield Fact("cdn_wrong_type", SECRET, certainty, f"It has the form of type {kind}, or another parameter.")
        elif address and (time := read_time(cdn, address.written)) in _TIMES:
            life, end = format_duration(cdn.valid_for), time + cdn.valid_for
            ends = f"it {'ended' if end <= now else 'ends'} at {format_timestamp(end)} with the CDN's default"
            shown = f"It has the form of type {kind}, with the time {format_timestamp(time)}"
            yield Fact("cdn_address", LINK, LIKELY, f"{shown}: {ends} validity of {life}; the domain's own counts.")
    if key:
        yield Fact("unsigned", GUESS, CERTAIN, f"It has nothing that type {key.kind} adds.")


def _prove(cdn: CdnKey, address: SignedAddress, now: int) -> Iterator[Fact]:
    time = read_time(cdn, address.written)
    past, read = now - time - cdn.valid_for, f"The CDN reads its time as {format_timestamp(time)}"
    if time not in _TIMES:
        yield Fact("cdn_encoding", SECRET, CERTAIN, f"{read}.")
    elif past >= 0:
        life = f"the domain's validity is {format_duration(cdn.valid_for)}"
        yield Fact("expired", SECRET, CERTAIN, f"{read}, and {life}: it expired {format_duration(past)} ago.")
        if cdn.kind == "B" and past < 8 * 3600:
            yield Fact("cdn_encoding", SECRET, POSSIBLE, f"{read}. As UTC instead of UTC+8, it would not have expired.")
    for code, change, settings, path, written in _changes(cdn, address, time):
        if digest(settings, path, written, address.rand, address.uid) == address.md5:
            yield from [Fact(code, SECRET, PROVED, f"The MD5 matches with {change}.")] if change else []
            return
    yield Fact("cdn_mismatch", SECRET, LIKELY, "With this key, neither the link nor a usual change of it has its MD5.")


def _changes(cdn: CdnKey, address: SignedAddress, time: int) -> Iterator[tuple[str, str, CdnKey, str, str]]:
    """What may have been signed, the link's own parts first: a finding, its words, and the arguments of `digest`."""
    path, written = address.path, address.written
    small, capital = (re.sub("%[^/]{2}", form, path) for form in (lambda m: m[0].lower(), lambda m: m[0].upper()))
    spellings = {
        "": path, "decoded": unquote(path), "encoded again": quote(path), "without its first slash": path[1:],
        "with small escapes": small, "with capital escapes": capital, "with its query": f"{path}?{address.query}",
        "with + for %20": path.replace("%20", "+"), "with %20 for +": path.replace("+", "%20"),
    }  # fmt: skip
    yield from (("cdn_encoding", how and f"the path {how}", cdn, form, written) for how, form in spellings.items())
    yield from (("cdn_wrong_type", f"type {kind}", cdn._replace(kind=kind), path, written) for kind in KINDS)
    for form in (written.lower(), written.upper(), *(f"{time:{base}}" for base in "dxX" if time in _TIMES)):
        yield "cdn_encoding", "another spelling of the time", cdn, path, form
    for other in range(time - 604_800, time + 604_800, 300) if time in _TIMES else ():
        yield "altered_parameter", f"the time {format_timestamp(other)}", cdn, path, format_time(cdn, other)
