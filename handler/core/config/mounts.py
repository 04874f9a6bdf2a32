"""What links.toml says, checked: mounts and how they are looked up, notices, sinks, and `Config`, which has all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from signer import Endpoint
from signer.names import parse_oss_url

from ..errors import Problem

if TYPE_CHECKING:
    from pathlib import Path

MIN_SHARE = 60
MAX_SHARE = 3660 * 86_400  # seconds
MAX_DELETE_AFTER = 10 * MAX_SHARE
MAX_CDN_EXPIRES = 31_536_000  # seconds
TRAFFIC_LIMIT = (819_200, 838_860_800)  # bits per second, of OSS


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

    `endpoint` is that of links, `own_endpoint` that of the service's own requests. `region` is that of the bucket;
    `role_arn` the ARN of the role of its sessions, "" for that of `[assume_role]`.
    `check` asks OSS for the object before each link, `check_pages` only before a browser is redirected.
    `inline` are the media types that links show, None if the object's own type decides: then uploads may have a type
    that browsers run. `app_packages` says whether OSS serves .apk and .ipa, `lists` whether the names of its objects
    may be listed. `archive_direct_read` says that OSS serves objects of the class Archive that are not restored.
    `traffic_limit` is in bits per second, for each request.
    With `require_password`, every share has a code. OSS deletes its objects `delete_after` seconds after they were
    stored; `earlier_targets` are where they were before. `cdn` is the entry of the keys document that signs links, for
    a CDN that checks them instead of OSS; `cdn_ignores_query` says that it sends no query to OSS.
    """

    path: str
    target: Location
    access: str
    methods: tuple[str, ...]
    expires: int
    max_expires: int
    endpoint: Endpoint
    own_endpoint: Endpoint
    query: frozenset[str]
    headers: tuple[str, ...]
    process: frozenset[str]
    unknown_query: str
    max_size: int | None
    max_share: int | None
    check: bool
    check_pages: bool
    cache: int | None
    overwrite: bool
    inline: tuple[str, ...] | None
    app_packages: bool
    archive_direct_read: bool
    region: str
    role_arn: str
    lists: bool
    traffic_limit: int | None
    require_password: bool
    delete_after: int | None
    earlier_targets: tuple[Location, ...]
    cdn: str | None
    cdn_ignores_query: bool

    @property
    def allows_uploads(self) -> bool:
        return not {"PUT", "POST"}.isdisjoint(self.methods)

    @property
    def link_origin(self) -> str:
        """The origin of its links, for the Content-Security-Policy of pages."""
        return f"{self.endpoint.scheme}://{self.endpoint.host(self.target.bucket)}"

    def moved(self, location: Location) -> Location:
        """Where an object of an earlier target is today; any other stays where it is."""
        earlier = [each for each in self.earlier_targets if each.contains(location)]
        if not earlier or self.target.contains(location):
            return location
        nearest = max(earlier, key=lambda each: len(each.key))
        return self.target._replace(key=self.target.key + location.key[len(nearest.key) :])


class Target(NamedTuple):
    """What a link, form, share or notice is about: an object, or a prefix of objects. Only `Mounts` makes targets."""

    mount: Mount
    path: str
    key: str

    @property
    def location(self) -> Location:
        return Location(self.mount.target.bucket, self.key)


class Mounts(tuple[Mount, ...]):
    """The mounts in the order of the lookup, the longest path first. A lookup takes as long among many as among few.

    `reserved` belongs to the service itself in OSS: objects, and prefixes in "/". Nothing there is a target.
    """

    reserved: tuple[Location, ...]

    def __new__(cls, mounts: Iterable[Mount], reserved: tuple[Location, ...]) -> Mounts:
        self = super().__new__(cls, sorted(mounts, key=lambda mount: -len(mount.path)))
        self.reserved = reserved
        return self

    def __getnewargs__(self) -> tuple[object, ...]:
        return tuple(self), self.reserved  # so that a copy in another process reserves the same

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

    def find(self, path: str, *, prefix: bool = False) -> Target:
        """The target of a decoded path, with `prefix` also of a mount's own path. Raises the 404 `not_found`."""
        target = self.get(path)
        if target is None or (path == target.mount.path and not prefix):
            raise Problem("not_found")
        return target

    def get(self, path: str) -> Target | None:
        """The target of a decoded path; None where no mount covers it, and for what belongs to the service itself."""
        mount = self.covering(path)
        if mount is None:
            return None
        key = mount.target.key + path[len(mount.path) :]
        return None if self.is_reserved(mount.target.bucket, key) else Target(mount, path, key)

    def target_of(self, mount: Mount, bucket: str, key: str) -> Target | None:
        """The target of an object through a mount; None also where another mount has a longer path to it."""
        if not mount.target.contains(Location(bucket, key)):
            return None
        target = self.get(mount.path + key[len(mount.target.key) :])
        return (
            target
            if target is not None and target.mount == mount and key != mount.target.key
            else None
        )

    def is_reserved(self, bucket: str, key: str) -> bool:
        """Whether an object belongs to the service itself (its keys document, its state, its sinks)."""
        return key.startswith(self._reserved_keys.get(bucket, ()))

    @cached_property
    def _reserved_keys(self) -> dict[str, tuple[str, ...]]:
        return {
            name: tuple(key for bucket, key in self.reserved if bucket == name)
            for name, _ in self.reserved
        }

    def reading(self, prefix: Location) -> Target | None:
        """A prefix in "/" where it may be read: at the mount with GET and `list` whose target has it, the longest."""
        bucket, key = prefix
        for location in reversed([*_prefixes(prefix)]):
            for mount in self._by_target.get(location, ()):
                if mount.lists and "GET" in mount.methods:
                    target = self.target_of(mount, bucket, key)
                    if target is not None:
                        return target
        return None

    def one_for_each_target(self, matches: Callable[[Mount], bool]) -> Mounts:
        """Of all that match, one for each target: to compare many mounts of one target with each other takes long."""
        return Mounts(
            {mount.target: mount for mount in reversed(self) if matches(mount)}.values(), ()
        )

    def within(self, prefix: Location) -> list[Mount]:
        """Those whose target is this prefix (in "/" or empty), or below it."""
        return self._by_prefix.get(prefix, [])

    def overlapping(self, prefix: Location) -> list[Mount]:
        """Those whose target contains this prefix (in "/" or empty), or is below it."""
        *above, _ = _prefixes(prefix)
        return [
            mount for location in above for mount in self._by_target.get(location, ())
        ] + self.within(prefix)

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


USES = ("opened", "used")  # the uses of shares that a notice is about: the first of each, or all


class NoticeRule(NamedTuple):
    """What is sent, and to whom: `on` is created, timer, message or one of `USES`, `give` is link or share, or "".

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
    """links.toml, checked. `own_endpoint` is where the service keeps its own documents, in OSS or on a laptop."""

    region: str
    mounts: Mounts
    credential_life: int
    keys_document: Location | Path | None
    state: Location | None
    own_endpoint: Endpoint
    public_url: str | None
    cors: frozenset[str]
    cors_by_function: bool
    notices: tuple[NoticeRule, ...]
    sinks: tuple[OssSink, ...]
    assume_role: AssumeRole | None
    sender_page: bool

    @property
    def upload_origins(self) -> list[str]:
        """The origins to which the sender's page sends files."""
        return sorted({mount.link_origin for mount in self.mounts if "PUT" in mount.methods})

    @property
    def keys_sinks(self) -> frozenset[str]:
        """The sinks of the keys document that notices go to, for which they wait in the state prefix."""
        return frozenset(name for notice in self.notices for name in notice.to) - {
            sink.name for sink in self.sinks
        }

    def use_notices(self, mount: str | None = None) -> tuple[NoticeRule, ...]:
        """The notices of the uses of shares, of a mount (its path) or of all."""
        return tuple(
            rule for rule in self.notices if rule.on in USES and mount in (None, rule.mount.path)
        )
