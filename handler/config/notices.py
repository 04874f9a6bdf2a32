"""The `[[notice]]` and `[[sink]]` tables of links.toml, checked as strictly as the mounts."""

from __future__ import annotations

import re
from collections.abc import Mapping

from . import Config, Mount, NoticeRule, OssSink
from .reader import Entry, read_prefix

ON = ("created", "timer", "message")
GIVE = ("link", "share")
LEAST_EVERY, MOST_EVERY = 60, 86_400  # seconds

# Every key that the tables may hold, and what it means.
NOTICE_KEYS: Mapping[str, str] = {
    "on": "What it tells of: created (a new object), timer, or message (a queue's, or an invocation with links).",
    "mount": "The path of a mount; only objects that this mount covers are told of.",
    "give": "link (the default), or share: an address of this service that lives for as long as expires says.",
    "expires": "How long the link or share lives; the mount's own span if absent, for shares 7d or its max_share.",
    "to": "The names of the sinks that are told.",
    "every": "Gathers what happened, and sends it as one digest when a timer comes, at most this often: 1m to 1d.",
}
SINK_KEYS: Mapping[str, str] = {
    "name": "What notices call it in to.",
    "target": "Where its objects are written, oss://bucket/prefix/. No link ever reaches them.",
}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def read_notices(top: Entry, policy: Config) -> Config:
    """The policy with its notices and sinks; their targets are the service's own. Raises `InvalidConfig`."""
    sinks = [_sink(Entry(f"sink {number}", table, SINK_KEYS)) for number, table in enumerate(top.tables("sink"), 1)]
    for number, sink in enumerate(sinks, 1):
        if any(other.name == sink.name for other in sinks[: number - 1]):
            _at("sink", number).refuse("name", f"= {sink.name!r} is another sink's, too: give each its own")
        for place in policy.reserved:
            if sink.target.overlaps(place):
                _at("sink", number).refuse("target", f"touches {place}, which is the service's own: choose another")
    policy = policy._replace(sinks=tuple(sinks), reserved=(*policy.reserved, *(sink.target for sink in sinks)))
    rules: list[NoticeRule] = []
    for number, table in enumerate(top.tables("notice"), 1):
        entry = Entry(f"notice {number}", table, NOTICE_KEYS)
        rule = _rule(entry, policy)
        if any(other._replace(to=()) == rule._replace(to=()) for other in rules):
            entry.refuse("to", "is all that tells it from an earlier notice: name these sinks there")
        rules.append(rule)
    return policy._replace(notices=tuple(rules))


def _at(kind: str, number: int) -> Entry:
    return Entry(f"{kind} {number}", {}, {})


def _sink(entry: Entry) -> OssSink:
    name = entry.required("name")
    if not _NAME.fullmatch(name):
        entry.refuse("name", f"= {name!r} is no name of 1 to 64 letters, digits, ., _ and -")
    target = read_prefix(entry, "target", entry.required("target"))
    if not target.key:
        entry.refuse("target", f"= {str(target)!r} is a whole bucket: write oss://bucket/.links/notices/")
    return OssSink(name, target)


def _rule(entry: Entry, policy: Config) -> NoticeRule:
    entry.required("on")
    on = entry.choice("on", ON)
    path = entry.required("mount")
    mount = next((mount for mount in policy.mounts if mount.path == path), None)
    if mount is None:
        entry.refuse("mount", f"= {path!r} is the path of no mount: the mounts are {_listed(policy)}")
    if "GET" not in mount.methods:
        entry.refuse("mount", f"= {path!r} does not allow GET, which the link of a notice is for")
    to = entry.texts("to")
    if not to:
        entry.refuse("to", "is missing or empty: name at least one sink")
    for name in to:
        if not _NAME.fullmatch(name):
            entry.refuse("to", f"holds {name!r}, which is no name of a sink")
    give = entry.choice("give", GIVE)
    rule = NoticeRule(
        on=on,
        mount=mount,
        give=give,
        expires=_expires(entry, policy, _longest(entry, give, mount)),
        every=entry.span("every", "1m", LEAST_EVERY, MOST_EVERY) if "every" in entry.table else None,
        to=to,
    )
    _check_means(entry, rule, policy)
    _check_loop(entry, rule, policy)
    return rule


def _longest(entry: Entry, give: str, mount: Mount) -> int:
    """How long what is given may live at most, in seconds."""
    if give == "link":
        return mount.max_expires
    if mount.max_share is None:
        entry.refuse("give", '= "share", but the mount takes no shares: set max_share on it')
    return mount.max_share


def _expires(entry: Entry, policy: Config, most: int) -> int | None:
    if "expires" not in entry.table:
        return None
    expires = entry.span("expires", "15m", 60, max(most, 60))
    if entry.table.get("give", "link") == "link" and expires > policy.credential_life:
        entry.refuse(
            "expires",
            f"({expires} s) is above credential_life ({policy.credential_life} s), after which a link may be dead: "
            'give = "share" lives longer',
        )
    return expires


def _check_means(entry: Entry, rule: NoticeRule, policy: Config) -> None:
    """That there is all that the rule needs: addresses, secrets, a place for claims."""
    own = {sink.name for sink in policy.sinks}
    others = [name for name in rule.to if name not in own]
    if rule.give == "share":
        if policy.public_url is None:
            entry.refuse("give", '= "share" needs public_url at the top: an event has no address of this service')
        if policy.keys is None:
            entry.refuse("give", '= "share" needs keys at the top: share keys stand in the keys document')
    if others and policy.keys is None:
        entry.refuse("to", f"names {others[0]!r}, which is no [[sink]], and there are no keys at the top to find it in")
    if others and policy.state is None:
        entry.refuse("to", f"names {others[0]!r}, and what is told once is claimed in the state prefix: set state")
    if rule.every is not None and len(others) < len(rule.to):
        entry.refuse("every", "is for sinks that people read; an object in OSS is written at once: use another notice")


def _check_loop(entry: Entry, rule: NoticeRule, policy: Config) -> None:
    """What the function writes must never be what calls it."""
    if rule.on != "created":
        return
    places = [(sink.target, f"the sink {sink.name}") for sink in policy.sinks]
    if policy.state is not None:
        places.append((policy.state, "the state prefix"))
    for place, what in places:
        if rule.mount.target.overlaps(place):
            entry.refuse(
                "mount",
                f"= {rule.mount.path!r} has the target {rule.mount.target}, and {what} writes to {place}: every notice "
                "would make the next one; choose places apart",
            )


def _listed(policy: Config) -> str:
    return ", ".join(mount.path for mount in policy.mounts) or "none"
