"""Whether the tables of links.toml fit together: mounts with each other, and with what belongs to the service."""

from __future__ import annotations

from .mounts import Config, Mount, Mounts
from .reader import InvalidConfig
from .table import MOUNT_KEYS, TOP_KEYS, field
from .targets import check_targets

# What mounts need of the top level.
_NEEDS_OF_TOP = [
    (name, need)
    for name, key in MOUNT_KEYS.items()
    for need in key.needs
    if need in TOP_KEYS and need not in MOUNT_KEYS
]
MAX_ORIGINS = 5000  # characters in a header of the sender's page


def check_whole(config: Config) -> None:
    """Whether the tables fit together. Raises `InvalidConfig`."""
    if config.assume_role is not None or any(mount.role_arn for mount in config.mounts):
        from .assume_role import check_sessions  # as in load.py

        check_sessions(config)
    for mount in config.mounts:
        if config.mounts.by_path[mount.path] is not mount:
            raise InvalidConfig(f"mount {mount.path}: two mounts have this path. Remove one.")
        for name, need in _NEEDS_OF_TOP:
            if field(mount, name) and field(config, need) is None:
                raise InvalidConfig(
                    f"mount {mount.path}: {name} requires {need}, at the top of the file."
                )
    if config.sender_page and sum(map(len, config.upload_origins)) > MAX_ORIGINS:
        raise InvalidConfig(
            "sender_page: the mounts with PUT have too many buckets for the page. Remove the table."
        )
    _check_regions(config)
    if any(mount.delete_after or mount.earlier_targets for mount in config.mounts):
        check_targets(config.mounts)
    authenticated = config.mounts.one_for_each_target(lambda mount: mount.access != "anonymous")
    uploads = config.mounts.one_for_each_target(lambda mount: mount.allows_uploads)
    for mount in config.mounts:
        _check_anonymous_access(mount, config, authenticated)
        _check_content_type(mount, uploads)
        _check_reserved(mount, config)


def _check_anonymous_access(mount: Mount, config: Config, authenticated: Mounts) -> None:
    """An anonymous mount must not give everyone what an authenticated mount is for: all of its objects.

    A narrower target, such as public/ in an authenticated bucket, is how a part of the objects is published.
    """
    if mount.access != "anonymous" or "GET" not in mount.methods:
        return
    for other in authenticated.within(mount.target):
        # The path of what both contain, through the anonymous mount; a mount with a longer path there takes precedence.
        shared = mount.path + other.target.key[len(mount.target.key) :]
        if config.mounts.covering(shared) is mount:
            raise InvalidConfig(
                f"mount {mount.path}: its target contains all objects of the authenticated mount {other.path}, which "
                "anyone could then reach. Use a narrower target, or make both mounts authenticated."
            )


def _check_content_type(mount: Mount, uploads: Mounts) -> None:
    """Whoever may upload a file and choose its type in a link could show their own page on your domain."""
    if "response-content-type" not in mount.query:
        return
    for other in uploads.overlapping(mount.target):
        raise InvalidConfig(
            f"mount {mount.path}: query contains response-content-type, and uploads to the mount {other.path} "
            "reach the same objects: a stranger's HTML could be shown on your domain. Remove one of the two."
        )


def _check_reserved(mount: Mount, config: Config) -> None:
    """Uploads must not reach the service's own objects; links to them are refused one by one, too."""
    for location in config.mounts.reserved:
        if mount.allows_uploads and mount.target.overlaps(location):
            problem = f"it allows uploads, and its target overlaps {location}, which belongs to the service itself"
            raise InvalidConfig(f"mount {mount.path}: {problem}. Choose another target.")


def _check_regions(config: Config) -> None:
    """A bucket is in one region; the service's own documents are in that of the top level."""
    regions = {location.bucket: config.region for location in config.mounts.reserved}
    for mount in config.mounts:
        bucket = mount.target.bucket
        both = sorted({mount.region, regions.setdefault(bucket, mount.region)})
        if len(both) > 1:
            places = " and in ".join(both)
            raise InvalidConfig(
                f"mount {mount.path}: the bucket {bucket} cannot be in {places}. Correct region."
            )
