"""What may be linked: the mounts, and what is never reached through them."""

from __future__ import annotations

from typing import NamedTuple

from signer import Endpoint

from ..errors import HandlerError


class InvalidConfig(HandlerError):
    """links.toml cannot be followed; the sentence names the entry and says what to write instead."""

    code = "invalid_policy"


class Location(NamedTuple):
    """`oss://bucket/key`, or with a key that is empty or ends in "/", all that begins with it."""

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"oss://{self.bucket}/{self.key}"

    def overlaps(self, other: Location) -> bool:
        """Whether one of the two holds the other."""
        return self.bucket == other.bucket and (self.key.startswith(other.key) or other.key.startswith(self.key))


class Mount(NamedTuple):
    """A path prefix of this service and the prefix in OSS that it stands for, with its limits (seconds, bytes)."""

    path: str
    target: Location
    access: str
    methods: tuple[str, ...]
    expires: int
    max_expires: int
    endpoint: Endpoint
    query: frozenset[str]
    process: frozenset[str]
    unknown_query: str
    max_size: int | None
    max_share: int | None
    check: bool
    cache: int | None


class OssSink(NamedTuple):
    """A place in OSS where notices are written, one object an invocation."""

    name: str
    target: Location


class NoticeRule(NamedTuple):
    """What is told, and to whom: `on` is created, timer or message, `give` is link or share.

    `expires` is None for the usual life; with `every` (seconds) the timer sends what was gathered since. `to` are names
    of sinks, in this policy or in the keys document.
    """

    on: str
    mount: Mount
    give: str
    expires: int | None
    every: int | None
    to: tuple[str, ...]


class Config(NamedTuple):
    """The whole of links.toml, checked. `mounts` are in the order in which they are looked at: longest path first."""

    region: str
    mounts: tuple[Mount, ...]
    credential_life: int
    keys: str | None
    state: Location | None
    reserved: tuple[Location, ...]
    oss_endpoint: Endpoint | None
    public_url: str | None
    cors: frozenset[str]
    cors_by_function: bool
    notices: tuple[NoticeRule, ...] = ()
    sinks: tuple[OssSink, ...] = ()

    def mount(self, path: str) -> Mount | None:
        """The mount with the longest path that `path` begins with, None where none covers it."""
        for mount in self.mounts:
            if path.startswith(mount.path):
                return mount
        return None

    def is_reserved(self, bucket: str, key: str) -> bool:
        """Whether an object belongs to the service itself (its keys document, its state, its sinks)."""
        return any(bucket == place.bucket and key.startswith(place.key) for place in self.reserved)


# The names of before, until the other packages use the new ones.
Policy = Config
InvalidPolicy = InvalidConfig
