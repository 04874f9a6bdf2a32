"""What `delete_after` and `earlier_targets` of a mount must not reach: other mounts, and the service's own objects."""

from __future__ import annotations

from .mounts import Location, Mount, Mounts
from .reader import InvalidConfig


def check_targets(mounts: Mounts) -> None:
    """In a time linear in the mounts. Raises `InvalidConfig`."""
    ends = {(mount.target, mount.delete_after): mount for mount in mounts}
    places = {
        (place, mount.target): mount._replace(target=place)
        for mount in mounts
        for place in (mount.target, *mount.earlier_targets)
    }
    by_end = Mounts(ends.values(), mounts.reserved)
    by_place = Mounts(places.values(), mounts.reserved)
    for mount in mounts:
        if mount.delete_after is not None:
            _check_delete_after(mount, mount.delete_after, by_end)
        for earlier in mount.earlier_targets:
            _check_earlier_target(mount, earlier, mounts, by_place)


def _check_delete_after(mount: Mount, seconds: int, by_end: Mounts) -> None:
    if not mount.target.key:
        raise _refused(
            mount,
            f"delete_after would delete everything in the bucket {mount.target.bucket}. Give target a prefix",
        )
    if seconds < 2 * (mount.max_share or 0):
        raise _refused(
            mount,
            "delete_after must be at least twice max_share, to which a share may be extended. Make it longer",
        )
    _check_reserved(
        mount, "delete_after would delete objects in its target, which", mount.target, by_end
    )
    # Each target is compared once: of many mounts with one, this is the mount that stands for them.
    if by_end.by_path.get(mount.path) is mount:
        for other in by_end.overlapping(mount.target):
            if other.delete_after != seconds:
                raise _refused(
                    mount,
                    f"delete_after would delete objects of the mount {other.path}, which has no or another "
                    "delete_after. Write the same there, or choose another target",
                )


def _check_earlier_target(
    mount: Mount, earlier: Location, mounts: Mounts, by_place: Mounts
) -> None:
    """Mounts of one target may name the same earlier target; otherwise one old place would be two new ones."""
    if earlier == mount.target:
        raise _refused(mount, f"earlier_targets contains {earlier}, which is the target. Remove it")
    _check_reserved(mount, f"earlier_targets contains {earlier}, which", earlier, mounts)
    own = (mount.target, *mount.earlier_targets)
    for other in by_place.overlapping(earlier):
        if mounts.by_path[other.path].target != mount.target or other.target not in own:
            raise _refused(
                mount,
                f"earlier_targets contains {earlier}, which overlaps {other.target} of the mount {other.path}. "
                "Remove one of the two",
            )


def _check_reserved(mount: Mount, what: str, place: Location, mounts: Mounts) -> None:
    for location in mounts.reserved:
        if place.overlaps(location):
            raise _refused(
                mount,
                f"{what} overlaps {location}, which belongs to the service itself. Choose another",
            )


def _refused(mount: Mount, sentence: str) -> InvalidConfig:
    return InvalidConfig(f"mount {mount.path}: {sentence}.")
