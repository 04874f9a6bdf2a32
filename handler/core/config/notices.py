"""The `[[notice]]` and `[[sink]]` tables of links.toml, checked as strictly as the mounts."""

from __future__ import annotations

from collections.abc import Mapping

from .mounts import USES, Config, Location, Mount, Mounts, NoticeRule, OssSink
from .reader import (
    IDENTIFIER,
    IDENTIFIER_FORM,
    REQUIRED,
    Key,
    TableReader,
    choice,
    duration,
    read_prefix,
)

ON = ("created", "timer", "message", *USES)
GIVE = ("link", "share")
MIN_EVERY = 60
MAX_EVERY = 86_400  # seconds


def _event(reader: TableReader, name: str) -> str:
    return reader.choice(name, ON, required=True)


def _sink_name(reader: TableReader, name: str) -> str:
    value = reader.required_string(name)
    if not IDENTIFIER.fullmatch(value):
        reader.refuse_value(name, f"must have {IDENTIFIER_FORM}")
    return value


def _target(reader: TableReader, name: str) -> Location:
    return read_prefix(reader, name, reader.required_string(name), ".links/notices/")


def _sinks(reader: TableReader, name: str) -> tuple[str, ...]:
    names = reader.strings(name, required=True)
    if not all(IDENTIFIER.fullmatch(each) for each in names):
        reader.refuse_value(name, "must be a list of names of sinks")
    return names


# Every key of the tables; docs/configuration.md is written from these.
NOTICE_KEYS: Mapping[str, Key] = {
    "on": Key(
        read=_event,
        default=REQUIRED,
        says="The event: created (a new object), timer, message (of a queue, or an invocation with links), "
        "opened (the first use of a share) or used (every use). The last two require GET.",
    ),
    "mount": Key(
        read=TableReader.required_string,
        default=REQUIRED,
        says="The path of its mount.",
    ),
    "give": Key(
        read=choice(*GIVE),
        default="link",
        says="What it contains: link, or share, an address that lasts longer. opened and used allow neither "
        "this nor expires.",
    ),
    "expires": Key(
        read=TableReader.required,
        says="The lifetime of the link or share. Default: expires of the mount; for shares 7d, or max_share "
        "if shorter.",
    ),
    "to": Key(
        read=_sinks,
        default=REQUIRED,
        says="The names of its sinks. Notices with the same on, mount and give must have different ones.",
    ),
    "every": Key(
        read=duration(MIN_EVERY, MAX_EVERY),
        says="Sends one digest after each such interval in UTC, when a timer event arrives: 1m to 1d.",
    ),
}
SINK_KEYS: Mapping[str, Key] = {
    "name": Key(read=_sink_name, default=REQUIRED, says="Its name in to."),
    "target": Key(
        read=_target,
        default=REQUIRED,
        says="The prefix for notices, oss://bucket/prefix/.",
    ),
}


def read_notices(top: TableReader, config: Config) -> Config:
    """The configuration, which is otherwise complete, with the sinks and notices. Raises `InvalidConfig`."""
    sinks: list[OssSink] = []
    for reader in top.tables("sink", SINK_KEYS):
        sink = OssSink(**reader.values(SINK_KEYS))
        if any(other.name == sink.name for other in sinks):
            reader.refuse_value("name", "must be different for each sink")
        for location in config.mounts.reserved:
            if sink.target.overlaps(location):
                reader.refuse(
                    "target",
                    f"overlaps {location}, which belongs to the service itself: choose another",
                )
        sinks.append(sink)
    mounts = Mounts(config.mounts, (*config.mounts.reserved, *(sink.target for sink in sinks)))
    config = config._replace(mounts=mounts, sinks=tuple(sinks))
    rules: list[NoticeRule] = []
    for reader in top.tables("notice", NOTICE_KEYS):
        rule = _read_rule(reader, mounts)
        for number, other in enumerate(rules, 1):
            shared = ", ".join(name for name in rule.to if name in other.to)
            if shared and other[:3] == rule[:3]:  # all of a rule that an id of a notice has
                repeat = (
                    f"{reader.where} repeats notice {number} for {shared} (same on, mount and give)"
                )
                raise reader.error(f"{repeat}: name a sink in only one of the two.")
            if other[:-1] == rule[:-1]:  # all but `to`
                reader.refuse(
                    "to",
                    f"is the only difference from notice {number}: add these sinks to that notice",
                )
        _check_requirements(reader, rule, config)
        _check_loop(reader, rule, config)
        rules.append(rule)
    return config._replace(notices=tuple(rules))


def _read_rule(reader: TableReader, mounts: Mounts) -> NoticeRule:
    values = reader.values(NOTICE_KEYS)
    on = values["on"]
    mount = mounts.by_path.get(values["mount"])
    if mount is None:
        paths = ", ".join(mount.path for mount in mounts) or "none"
        reader.refuse_value("mount", f"must be the path of a mount: {paths}")
    if on in USES:
        if mount.max_share is None:
            reader.refuse_value("mount", "must be a mount with max_share, which has shares")
        if "GET" not in mount.methods:
            above = (each for each in mounts if each.target.contains(mount.target))
            reading = (each.path for each in above if "GET" in each.methods)
            place = next(reading, f"a mount with GET and the target {mount.target}")
            reader.refuse_value(
                "mount",
                f"must be a mount with GET, whose files are opened: use created on {place}",
            )
        for name in ("give", "expires"):
            if name in reader.table:
                reader.refuse(name, f'is not allowed with on = "{on}": no link is made')
    elif "GET" not in mount.methods:
        reader.refuse_value(
            "mount", "must be a mount with GET, which the link of a notice requires"
        )
    give = "" if on in USES else values["give"]
    values.update(mount=mount, give=give, expires=_read_expires(reader, give, mount))
    return NoticeRule(**values)


def _read_expires(reader: TableReader, give: str, mount: Mount) -> int | None:
    maximum = mount.max_expires if give == "link" else mount.max_share
    if maximum is None:
        reader.refuse("give", '= "share" requires max_share on the mount')
    if "expires" not in reader.table:
        return None
    return reader.duration("expires", 60, max(maximum, 60))


def _check_requirements(reader: TableReader, rule: NoticeRule, config: Config) -> None:
    """Shares require an address and keys; sinks of the keys document require keys, and a state prefix for leases."""
    is_clamped = rule.give == "link" and rule.mount.cdn is None
    if is_clamped and rule.expires is not None and rule.expires > config.credential_life:
        problem = f"exceeds credential_life ({config.credential_life} s), after which a link may have expired"
        reader.refuse(
            "expires", f'({rule.expires} s) {problem}: use give = "share", which lasts longer'
        )
    own = {sink.name for sink in config.sinks}
    others = [name for name in rule.to if name not in own]
    if rule.give == "share":
        if config.public_url is None:
            reader.refuse(
                "give",
                '= "share" requires public_url: an event does not contain this service\'s address',
            )
        if config.keys_document is None:
            reader.refuse("give", '= "share" requires keys: the keys document holds the share keys')
        if rule.mount.require_password:
            reader.refuse(
                "give",
                '= "share" is not possible for a mount with require_password: a notice has no code',
            )
    if others and config.keys_document is None:
        reader.refuse(
            "to",
            f"names {others[0]!r}, which is not a [[sink]]; sinks of the keys document require keys",
        )
    if others and config.state is None:
        reader.refuse(
            "to", f"names {others[0]!r}, which requires state: it records which notices were sent"
        )
    if rule.on in USES and len(others) < len(rule.to):
        reader.refuse(
            "to",
            f'must not name a [[sink]] with on = "{rule.on}": it waits for a sink of the keys document',
        )
    if rule.every is not None and len(others) < len(rule.to):
        reader.refuse(
            "every",
            "is not allowed with a [[sink]], which is written at once: use another notice for it",
        )


def _check_loop(reader: TableReader, rule: NoticeRule, config: Config) -> None:
    """What the function writes must never be an event that calls it."""
    if rule.on != "created":
        return
    sinks = [(sink.target, f"the sink {sink.name}") for sink in config.sinks]
    for location, writer in [*sinks, (config.state, "the state prefix")]:
        if location is not None and rule.mount.target.overlaps(location):
            problem = f"has the target {rule.mount.target}, which overlaps {location} of {writer}"
            effect = "every notice would cause the next one"
            reader.refuse(
                "mount", f"= {rule.mount.path!r} {problem}: {effect}. Use separate prefixes"
            )
