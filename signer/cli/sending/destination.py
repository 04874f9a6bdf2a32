"""Where a service takes files: what `GET /-/me` says of a folder, and what is in it."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple
from urllib.parse import quote

from ...sizes import MAX_PUT
from ..service import Service, ServiceFailed
from .files import MAX_FILES

ALONE = ("PUT", "SHARE")  # the methods for a file with a share of its own
TOGETHER = (*ALONE, "GET", "LIST")


class Place(NamedTuple):
    """What a sender may do below a path of the service; `max_size` is in bytes."""

    path: str
    methods: Collection[str]
    lists: bool
    shares: bool
    max_size: int


NOWHERE = Place(path="", methods=(), lists=False, shares=False, max_size=0)


def find_place(service: Service, folder: str, *, together: bool) -> Place:
    """The place of a folder. Raises `ServiceFailed` where files cannot be sent and shared, with what to do."""
    methods, places = _read_places(service)
    covering = [place for place in places if folder.startswith(place.path)]
    place = max(covering, key=lambda place: len(place.path), default=NOWHERE)
    fault = _fault(place, methods, together=together)
    if fault is None:
        return place._replace(max_size=min(place.max_size, MAX_PUT))
    advice = ""
    if together and _fault(place, methods, together=False) is None:
        advice = " Use --each: each file then has an address of its own."
    else:
        others = [each.path for each in places if _fault(each, methods, together=together) is None]
        if others:
            advice = f" Use --to with a folder below {' or '.join(others)}"
    raise ServiceFailed(f"{folder}: {fault}{advice}")


def _read_places(service: Service) -> tuple[Collection[str], list[Place]]:
    document = service.ask("GET", "/-/me")
    try:
        places = [
            Place(
                path=str(each["path"]),
                methods=frozenset(each["methods"]),
                lists=bool(each["list"]),
                shares=each["max_share"] is not None,
                max_size=int(each["max_size"] or 0),
            )
            for each in document["mounts"]
        ]
        methods = frozenset(document["methods"])
    except (KeyError, TypeError, ValueError, OverflowError):
        raise service.refusal(document) from None
    return methods, [place for place in places if place.path.endswith("/")]


def _fault(place: Place, methods: Collection[str], *, together: bool) -> str | None:
    """Why files cannot be sent to a place and shared with a key that has these methods, None where they can."""
    required = TOGETHER if together else ALONE
    missing = [method for method in required if method not in methods]
    if missing:
        purpose = "one address for several files" if together else "to send and share a file"
        return (
            f"This key lacks the method {' and '.join(missing)} (required {purpose}: "
            f"{', '.join(required)})."
        )
    is_readable = "GET" in place.methods or "GET" not in methods
    if "PUT" not in place.methods or not place.shares or not is_readable:
        return "Files cannot be sent there and shared with this key."
    if together and not place.lists:
        return "Several files cannot have one address there: the mount does not list folders (list in links.toml)."
    return None


def list_sizes(service: Service, folder: str) -> dict[str, int]:
    """The bytes of each file below a folder of the service, by its name there. Raises `ServiceFailed`."""
    sizes: dict[str, int] = {}
    folders = [""]
    for below in folders:  # which grows
        for page in service.pages(quote(folder + below), {"limit": "1000"}, "folders", "files"):
            folders += [f"{below}{each['name']}/" for each in page["folders"]]
            sizes.update({below + each["name"]: each.get("size", 0) for each in page["files"]})
            if max(len(sizes), len(folders)) > MAX_FILES:
                raise ServiceFailed(
                    f"{folder} has more than {MAX_FILES} files, which one share cannot have."
                )
    return sizes
