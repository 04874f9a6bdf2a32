"""Where a service takes files: what `GET /-/me` says of a folder, and what is in it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

from ...sizes import MAX_PUT
from ..service import Service, ServiceFailed
from .files import MAX_FILES

ALONE = frozenset({"PUT", "SHARE"})  # what a file with an address of its own requires
TOGETHER = ALONE | {"GET", "LIST"}
UPLOAD_PAGE = frozenset({"POST"})
FOLDER = frozenset({"LIST"})
SHARED_FOLDER = FOLDER | {"GET", "SHARE"}
TO = "--to with a folder"  # how a command names a place


class Place(NamedTuple):
    """What is possible below a path of the service, of PUT, SHARE, GET, LIST and, for upload pages, POST.

    `max_size` is in bytes.
    """

    path: str
    methods: frozenset[str]
    max_size: int


def find_place(service: Service, folder: str, *, together: bool) -> Place:
    """The place of a folder. Raises `ServiceFailed` where files cannot be sent and shared, with what to do."""
    places = _read_places(service)
    nowhere = Place(path="", methods=frozenset(), max_size=0)
    covering = [place for place in places if folder.startswith(place.path)]
    place = max(covering, key=lambda place: len(place.path), default=nowhere)
    required = TOGETHER if together else ALONE
    if place.methods >= required:
        return place
    advice = "Use --each, so that each file has an address of its own."
    if not place.methods >= ALONE:
        advice = _name_places(places, required, TO)
    *others, last = sorted(required - place.methods)
    missing = f"{', '.join(others)} and {last}" if others else last
    needs = "several files at one address require" if together else "a file to share requires"
    raise ServiceFailed(
        f"{folder}: This key or the mount does not allow {missing} there; {needs} "
        f"{', '.join(sorted(required))}. {advice}"
    )


def other_places(service: Service, required: frozenset[str], what: str = "a folder") -> str:
    """Where the key has all of these instead, as advice. Raises `ServiceFailed`."""
    return _name_places(_read_places(service), required, what)


def _name_places(places: Collection[Place], required: frozenset[str], what: str) -> str:
    others = [place.path for place in places if place.methods >= required]
    return f"Use {what} below {' or '.join(others)}." if others else "Use another key."


def _read_places(service: Service) -> list[Place]:
    document = service.ask("GET", "/-/me")
    try:
        return [_read_place(each, document["methods"]) for each in document["mounts"]]
    except (KeyError, TypeError, ValueError, OverflowError):
        raise service.refusal(document) from None


def _read_place(entry: Mapping[str, Any], methods: Collection[str]) -> Place:
    possible = {*entry["methods"]}
    if entry["list"]:
        possible.add("LIST")
    # A mount without GET has no shares to read; a key without GET may still make them.
    if entry["max_share"] and ("GET" in possible or "GET" not in methods):
        possible.add("SHARE")
    if not entry["max_share"]:
        possible.discard("POST")
    # Everybody may read an anonymous mount, but its folders are shared by keys that may read them.
    possible -= {"GET", "LIST"} - {*methods}
    max_size = min(int(entry["max_size"] or 0), MAX_PUT)
    return Place(path=str(entry["path"]), methods=frozenset(possible), max_size=max_size)


def list_sizes(service: Service, folder: str) -> dict[str, int]:
    """The bytes of each file below a folder of the service, by its name there. Raises `ServiceFailed`."""
    sizes: dict[str, int] = {}
    folders = [""]
    for below in folders:  # which grows
        for page in service.pages(quote(folder + below), {"limit": "1000"}, "folders", "files"):
            for each in page["folders"]:
                if each.get("path", "") is None:  # clients rewrite it, such as to the folder above
                    raise ServiceFailed(
                        f"{folder}{below}{each['name']}/: No link can have this name. Rename it in OSS, or begin "
                        "again without --into."
                    )
                folders.append(f"{below}{each['name']}/")
            sizes.update({below + each["name"]: each.get("size", 0) for each in page["files"]})
            if max(len(sizes), len(folders)) > MAX_FILES:
                raise ServiceFailed(
                    f"{folder} has more than {MAX_FILES} files, which one share cannot have."
                )
    return sizes
