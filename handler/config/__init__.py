"""The configuration of links.toml: mounts, notices, sinks, and the objects that belong to the service itself."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import NamedTuple

from signer import Endpoint
from signer.names import parse_oss_url

from ..errors import HandlerError, Problem

MIN_SHARE, MAX_SHARE = 60, 3660 * 86_400  # seconds


class InvalidConfig(HandlerError):
    """links.toml is invalid; the sentence names the table and the key, and says what was expected."""

    code = "invalid_config"

    def reported(self) -> Problem:
        return Problem("bad_configuration")


class Location(NamedTuple):
    """`oss://bucket/key`; a key that is empty or ends in "/" is a prefix, and stands for every object below it."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, url: str) -> Location:
        """Raises `SignerError` for an invalid address, bucket or key."""
        return cls(*parse_oss_url(url))

    def __str__(self) -> str:
        return f"oss://{self.bucket}/{self.key}"

    def contains(self, other: Location) -> bool:
        """Whether every object at `other` is at this location too, as it is where both are the same."""
        return self.bucket == other.bucket and other.key.startswith(self.key)

    def overlaps(self, other: Location) -> bool:
        return self.contains(other) or other.contains(self)


class AssumeRole(NamedTuple):
    """Where the sessions of mounts come from: `role` is an ARN, `duration` in seconds, `url` that of STS."""

    role: str
    duration: int
    url: str


class Mount(NamedTuple):
    """A path prefix of this service and the prefix in OSS that it stands for, with its limits (seconds, bytes).

    `region` is that of the bucket; `role_arn` the ARN of the role of its sessions, "" for that of `[assume_role]`.
    `inline` are the media types that links show, None if the object's own type decides. Then, or with
    `active_content`, uploads may have a type that browsers run.
    """

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
    overwrite: bool
    inline: tuple[str, ...] | None
    active_content: bool
    region: str
    role_arn: str

    @property
    def allows_uploads(self) -> bool:
        return not {"PUT", "POST"}.isdisjoint(self.methods)


class Mounts(tuple[Mount, ...]):
    """The mounts in the order of the lookup, the longest path first. A lookup takes as long among many as among few."""

    @cached_property
    def by_path(self) -> dict[str, Mount]:
        return {mount.path: mount for mount in self}

    @cached_property
    def any_checks(self) -> bool:
        return any(mount.check for mount in self)

    @cached_property
    def all_anonymous(self) -> bool:
        return all(mount.access == "anonymous" for mount in self)

    def covering(self, path: str) -> Mount | None:
        """The mount with the longest path that `path` begins with, None where no mount covers it."""
        # No mount's path is longer than that of the first, and all end in "/".
        end = len(self[0].path) if self else 0
        while (end := path.rfind("/", 0, end)) >= 0:
            mount = self.by_path.get(path[: end + 1])
            if mount is not None:
                return mount
        return None

    def within(self, prefix: Location) -> list[Mount]:
        """Those whose target is this prefix (in "/" or empty), or below it."""
        return self._by_prefix.get(prefix, [])

    def overlapping(self, prefix: Location) -> list[Mount]:
        """Those whose target contains this prefix (in "/" or empty), or is below it."""
        *above, _ = _prefixes(prefix)
        return [mount for location in above for mount in self._by_target.get(location, ())] + self.within(prefix)

    @cached_property
    def _by_target(self) -> dict[Location, list[Mount]]:
        targets: dict[Location, list[Mount]] = {}
        for mount in self:
            targets.setdefault(mount.target, []).append(mount)
        return targets

    @cached_property
    def _by_prefix(self) -> dict[Location, list[Mount]]:
        prefixes: dict[Location, list[Mount]] = {}
        for mount in self:
            for prefix in _prefixes(mount.target):
                prefixes.setdefault(prefix, []).append(mount)
        return prefixes


def _prefixes(prefix: Location) -> Iterator[Location]:
    """All prefixes that contain this one, from the bucket to itself."""
    end = 0
    while end < len(prefix.key):
        yield Location(prefix.bucket, prefix.key[:end])
        end = prefix.key.index("/", end) + 1
    yield prefix


class OssSink(NamedTuple):
    """A prefix in OSS to which notices are written, one object for each invocation."""

    name: str
    target: Location


class NoticeRule(NamedTuple):
    """What is sent, and to whom: `on` is created, timer or message, `give` is link or share.

    `expires` (seconds) is None for the default. `every` (seconds) is the interval of a digest, None for a notice at
    once. `to` are names of sinks, of links.toml or of the keys document.
    """

    on: str
    mount: Mount
    give: str
    expires: int | None
    every: int | None
    to: tuple[str, ...]


class Config(NamedTuple):
    """links.toml, checked. `reserved` belongs to the service itself in OSS: objects, and prefixes in "/"."""

    region: str
    mounts: Mounts
    credential_life: int
    keys_document: str | None
    state: Location | None
    reserved: tuple[Location, ...]
    oss_endpoint: Endpoint | None
    public_url: str | None
    cors: frozenset[str]
    cors_by_function: bool
    notices: tuple[NoticeRule, ...] = ()
    sinks: tuple[OssSink, ...] = ()
    assume_role: AssumeRole | None = None

    @property
    def keys_sinks(self) -> frozenset[str]:
        """The sinks of the keys document that notices go to, for which they wait in the state prefix."""
        return frozenset(name for notice in self.notices for name in notice.to) - {sink.name for sink in self.sinks}

    def is_reserved(self, bucket: str, key: str) -> bool:
        """Whether an object belongs to the service itself (its keys document, its state, its sinks)."""
        return any(bucket == location.bucket and key.startswith(location.key) for location in self.reserved)
