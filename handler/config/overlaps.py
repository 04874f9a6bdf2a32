"""What one mount must not do to another, or to the service's own objects."""

from __future__ import annotations

from . import Config, InvalidConfig, Mount


def check_overlaps(policy: Config) -> None:
    """Raises `InvalidConfig` where two mounts of a policy, or a mount and the service's own objects, collide."""
    for mount in policy.mounts:
        _check_paths(mount, policy)
        _check_reach(mount, policy)
        _check_content_type(mount, policy)
        _check_reserved(mount, policy)


def _is_upload(mount: Mount) -> bool:
    return not {"PUT", "POST"}.isdisjoint(mount.methods)


def _check_paths(mount: Mount, policy: Config) -> None:
    if sum(other.path == mount.path for other in policy.mounts) > 1:
        raise InvalidConfig(f"mount {mount.path}: two mounts have this path: leave one out.")


def _check_reach(mount: Mount, policy: Config) -> None:
    """An anonymous mount opens no object that another mount gives to authenticated callers only."""
    if mount.access != "anonymous":
        return
    for other in policy.mounts:
        if other.access == "anonymous" or not mount.target.overlaps(other.target):
            continue
        # The path, through the anonymous mount, of what both hold; a longer mount there takes the request instead.
        shared = mount.path + other.target.key[len(mount.target.key) :]
        if any(len(third.path) > len(mount.path) and shared.startswith(third.path) for third in policy.mounts):
            continue
        raise InvalidConfig(
            f"mount {mount.path}: its target holds objects of the authenticated mount {other.path}, which anyone "
            "could then reach: give the two targets that do not overlap, or make both authenticated."
        )


def _check_content_type(mount: Mount, policy: Config) -> None:
    """Whoever may upload, and choose the type on the way out, puts a page of his own on your domain."""
    if "response-content-type" not in mount.query:
        return
    for other in policy.mounts:
        if _is_upload(other) and mount.target.overlaps(other.target):
            raise InvalidConfig(
                f"mount {mount.path}: query lists response-content-type, and uploads to the mount {other.path} "
                "reach the same objects, so a stranger's HTML could be shown on your domain: leave one out."
            )


def _check_reserved(mount: Mount, policy: Config) -> None:
    """An upload mount stays clear of the service's own objects (links to them are refused one by one, too)."""
    if not _is_upload(mount):
        return
    for place in policy.reserved:
        if mount.target.overlaps(place):
            raise InvalidConfig(
                f"mount {mount.path}: it allows uploads, and its target touches {place}, which is the service's "
                "own: choose a target apart from it."
            )
