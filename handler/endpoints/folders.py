"""Folders, a page at a time: JSON, a page for people, and in a shared folder the addresses of its files.

Names lead to the service's own addresses. One request costs one list of OSS.
"""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import quote, urlencode

from signer.listing import PAGE, ListedPage
from signer.times import rfc3339

from ..auth import authorize
from ..cloud.oss import list_folder
from ..config import Target
from ..config.reader import covered_path_fault
from ..context import Access, Invocation
from ..errors import Problem, method_not_allowed
from ..links import invalid_key
from ..paths import MAX_BYTES
from ..request import Request
from ..response import Response, json_response
from ..shares.opening import OpenedShare
from . import objects

PARAMETERS = ("limit", "after", "begins", "format")
DEFAULT_LIMIT = 200

NOTHING = ListedPage([], [], "")

_LIMIT = re.compile(r"[1-9][0-9]{0,3}")


class Entry(NamedTuple):
    """A folder or a file; `path` is None for a name that no link can carry. A folder has no size (bytes) and time."""

    name: str
    path: str | None
    size: int = 0
    modified: float | None = None


class Folder(NamedTuple):
    """What a request shows of a folder: in `opened` if that is shared. `next` is the token of the next page, or ""."""

    request: Request
    invocation: Invocation
    target: Target
    opened: OpenedShare | None
    folders: list[Entry]
    files: list[Entry]
    next: str

    def __repr__(self) -> str:
        # Without the request, which has the token of a share.
        return f"Folder(path={self.target.path!r}, folders={len(self.folders)}, files={len(self.files)})"


def answer(request: Request, invocation: Invocation, target: Target) -> Response:
    """The folder of a mount that lists, for a caller who may list it. Raises `Problem`."""
    mount = target.mount
    if request.method not in objects.READING or request.method not in mount.methods:
        return objects.answer_other(request.method, target, invocation.caller)
    access = authorize(invocation, target, "LIST")
    for name, value in request.query.items():
        if name not in PARAMETERS and mount.unknown_query != "ignore" and (name != "null" or value):
            raise objects.parameter_not_allowed(name)
    return _answer(request, invocation, access, None)


def answer_shared(opened: OpenedShare) -> Response:
    """A shared folder, or a folder in it, for everyone who has the link. Raises `Problem`."""
    request, invocation = opened.request, opened.invocation
    if request.method not in objects.READING or request.method not in opened.target.mount.methods:
        raise method_not_allowed((*objects.READING, "OPTIONS"))
    access = authorize(invocation, opened.target, "LIST", opened.limits())
    return _answer(request, invocation, access, opened)


def _answer(request: Request, invocation: Invocation, access: Access, opened: OpenedShare | None) -> Response:
    chosen, params = request.query.get("format"), request.query
    if chosen not in (None, "json", "urls") or (chosen == "urls" and opened is None):
        raise Problem("bad_format")
    begins, limit = params.get("begins", ""), params.get("limit", str(DEFAULT_LIMIT))
    if "/" in begins:
        raise Problem("bad_query", 'Invalid "begins": it must be the beginning of a name, without /.')
    if len((access.target.key + begins).encode(errors="replace")) > MAX_BYTES:
        raise invalid_key()
    if not _LIMIT.fullmatch(limit) or int(limit) > PAGE:
        raise Problem("bad_query", f'Invalid "limit": it must be a number from 1 to {PAGE}.')
    size = PAGE if chosen == "urls" else int(limit)
    bucket, key = access.target.location
    # Of the service's own, where all would be hidden, a session may not list anything.
    is_reserved = invocation.config.mounts.is_reserved(bucket, key + begins)
    listed = NOTHING if is_reserved else list_folder(access, invocation, begins, size, params.get("after", ""))
    invocation.facts["mount"] = access.target.mount.path
    folder = _folder(request, invocation, access.target, opened, listed)
    if chosen == "urls":
        return _urls(folder)
    if chosen is None and request.wants_page() and invocation.config.public_url is not None:
        return _page(folder)
    return json_response(_document(folder))


def _folder(
    request: Request, invocation: Invocation, target: Target, opened: OpenedShare | None, listed: ListedPage
) -> Folder:
    """What the caller or the holder of the share may see of a list."""
    start, (bucket, key) = len(target.key), target.location
    mounts = invocation.config.mounts
    folder = Folder(request, invocation, target, opened, [], [], listed.token)
    for prefix in listed.prefixes:
        name = prefix[start:-1]
        if _shows(folder, f"{target.path}{name}/", name.startswith(".") and mounts.has_reserved(bucket, prefix)):
            folder.folders.append(Entry(name, _address(target, f"{name}/")))
    for each in listed.objects:
        name = each.key[start:]
        # A longer mount never covers a file directly in a folder, only one in a folder of its own.
        if name and not mounts.is_reserved(bucket, key + name):
            folder.files.append(Entry(name, _address(target, name), each.size, each.modified))
    return folder


def _shows(folder: Folder, path: str, is_reserved: bool) -> bool:
    """Whether a folder is shown: not where the service keeps its own, and one of a longer mount only to its callers."""
    inner = folder.invocation.config.mounts.get(path)
    if inner is None or inner.mount is folder.target.mount:
        return inner is not None and not is_reserved
    # A longer mount is outside the share.
    return folder.opened is None and _may_list(folder.invocation, inner)


def _may_list(invocation: Invocation, target: Target) -> bool:
    caller, mount = invocation.caller, target.mount
    is_allowed = mount.access == "anonymous" or (caller is not None and caller.allows(target.path, "LIST"))
    return mount.lists and is_allowed


def _address(target: Target, name: str) -> str | None:
    """The path of a name in a folder, None if no link can carry it."""
    path = target.path + name
    is_faulty = covered_path_fault(path) is not None or (target.key + name).startswith("\\")
    return None if is_faulty else path


def _document(folder: Folder) -> dict[str, object]:
    return {
        "path": folder.target.path,
        "folders": [{"name": each.name, "path": each.path} for each in folder.folders],
        "files": [
            {
                "name": each.name,
                "path": each.path,
                "size": each.size,
                "modified_at": None if each.modified is None else rfc3339(each.modified),
            }
            for each in folder.files
        ],
        "next": folder.next or None,
    }


def _urls(folder: Folder) -> Response:
    """The addresses of the files of a shared folder, one a line. Raises the 409 `folder_too_large`."""
    from .shares import origin_of

    if folder.next:
        raise Problem("folder_too_large")
    origin, suffix = origin_of(folder.request, folder.invocation, needs_page=False), _suffix(folder)
    lines = [f"{origin}{quote(each.path)}{suffix}\n" for each in folder.files if each.path is not None]
    return Response(200, {"Content-Type": "text/plain; charset=utf-8"}, "".join(lines))


def _suffix(folder: Folder, **more: str) -> str:
    """The query of an address in the folder: its share, and `more`."""
    share = {"share": folder.request.query["share"]} if folder.opened is not None else {}
    query = urlencode({**share, **more})
    return f"?{query}" if query else ""


def _page(folder: Folder) -> Response:
    from .. import pages

    params, path, opened = folder.request.query, folder.target.path, folder.opened
    shared = None
    if opened is not None:
        urls = f"{folder.invocation.config.public_url}{quote(path)}{_suffix(folder, format='urls')}"
        shared = pages.SharedFolder(opened.share.expires_at, urls)
    chosen = {name: params[name] for name in ("limit", "begins") if params.get(name)}
    return pages.folder_page(
        folder.request.headers.get("accept-language", ""),
        (folder.folders, folder.files),
        above=[(each.strip("/").rpartition("/")[2] or "/", each) for each in _above(folder)],
        suffix=_suffix(folder),
        form={name: params[name] for name in ("share", "limit") if params.get(name)},
        begins=params.get("begins", ""),
        is_first=not params.get("after"),
        next_page=_suffix(folder, **chosen, after=folder.next) if folder.next else "",
        shared=shared,
    )


def _above(folder: Folder) -> list[str]:
    """The paths of the folders from the highest that may be listed to this one."""
    path, mount = folder.target.path, folder.target.mount
    first = len(folder.opened.path if folder.opened is not None else mount.path)
    ends = [end + 1 for end, character in enumerate(path) if character == "/" and end + 1 >= first]
    paths = [path[:end] for end in ends]
    if folder.opened is not None:
        return paths
    return [each for each in paths if _may_list(folder.invocation, folder.target._replace(path=each))]
