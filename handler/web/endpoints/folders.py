"""Folders, a page at a time: JSON, a page for people, and in a shared folder the addresses of its files.

Names lead to the service's own addresses. One request costs one list of OSS; where names may be hidden, two or more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlencode

from signer.common.listing import PAGE, ListedPage

from ...core.auth import authorize, may_list
from ...core.cloud.oss import in_time, list_folder, oss_unavailable
from ...core.config import Target
from ...core.config.reader import covered_path_fault
from ...core.context import Access, Invocation
from ...core.errors import Problem, method_not_allowed
from ...core.request import Request
from ...core.shares.address import share_address, share_path
from ...core.shares.opening import OpenedShare
from ..response import Response, json_response, origin_of
from . import objects
from .shared_file import shared_page

if TYPE_CHECKING:
    from ..pages import ProtectedList

PARAMETERS = ("limit", "after", "begins", "format")
DEFAULT_LIMIT = 200
MAX_HIDING = (
    900  # names of a page where others may be hidden: of those, OSS's page has places for a hundred
)
MAX_ABOVE = 10  # folders above, on a page

_LIMIT = re.compile(r"[1-9][0-9]{0,3}")


class Folder(NamedTuple):
    """The folder that a request is about, `opened` if it is shared.

    `params` says which names: they come from the query, or with the `code` of a share from the body.
    """

    request: Request
    invocation: Invocation
    target: Target
    opened: OpenedShare | None
    params: Mapping[str, str]
    code: str = ""


def answer(request: Request, invocation: Invocation, target: Target) -> Response:
    """The folder of a mount that lists, for a caller who may list it; else the object whose name ends in "/".

    Raises the 404 `not_listed` where no object is meant, and where the caller may only do other things; and `Problem`.
    """
    mount = target.mount
    caller = invocation.caller
    is_read = request.method in objects.READING
    is_seen = mount.access == "anonymous" or (
        caller is not None and caller.sees(mount, target.path)
    )
    if not mount.lists:
        is_object = (
            target.path != mount.path and "GET" in mount.methods and "limit" not in request.query
        )
        if is_seen and is_read and not is_object:
            raise Problem("not_listed")
        return objects.answer(request, invocation, target.path)
    if not is_read:
        return objects.answer_other(request.method, target, caller)
    if (
        is_seen
        and caller is not None
        and mount.access != "anonymous"
        and not caller.allows(target.path, "LIST")
    ):
        raise Problem(
            "not_listed",
            "This API key or token may not list this folder: it needs the method LIST.",
        )
    access = authorize(invocation, target, "LIST")
    for name, value in request.query.items():
        if name not in PARAMETERS and mount.unknown_query != "ignore" and (name != "null" or value):
            raise objects.parameter_not_allowed(name)
    folder = Folder(
        request=request, invocation=invocation, target=target, opened=None, params=request.query
    )
    return _answer(folder, access)


def answer_shared(opened: OpenedShare) -> Response:
    """A shared folder, or a folder in it, for everyone who has the link. Raises `Problem`."""
    request = opened.request
    if request.method not in objects.READING:
        raise method_not_allowed((*objects.READING, "OPTIONS"))
    return _answer_opened(opened, request.query)


def answer_unlocked(opened: OpenedShare, members: Mapping[str, str], code: str = "") -> Response:
    """A shared folder for whoever sent its code: for a person the page that sends the `code` on, else JSON."""
    return _answer_opened(opened, members, code)


def _answer_opened(opened: OpenedShare, params: Mapping[str, str], code: str = "") -> Response:
    access = authorize(opened.invocation, opened.target, "LIST", ())
    folder = Folder(
        request=opened.request,
        invocation=opened.invocation,
        target=opened.target,
        opened=opened,
        params=params,
        code=code,
    )
    return _answer(folder, access)


def _answer(folder: Folder, access: Access) -> Response:
    request = folder.request
    params = folder.params
    config = folder.invocation.config
    chosen = params.get("format")
    limit = params.get("limit", str(DEFAULT_LIMIT))
    begins = params.get("begins", "")
    if chosen not in (None, "json", "urls") or (chosen == "urls" and folder.opened is None):
        raise Problem("bad_format")
    if chosen == "urls" and "after" in params:
        raise Problem(
            "bad_query",
            "Parameter after is not allowed with format=urls, which has all addresses or none.",
        )
    if "/" in begins:
        raise Problem(
            "bad_query", 'Invalid "begins": it must be the beginning of a name, without /.'
        )
    if not _LIMIT.fullmatch(limit) or int(limit) > PAGE:
        raise Problem("bad_query", f'Invalid "limit": it must be a number from 1 to {PAGE}.')
    bucket, key = folder.target.location
    # Of the service's own, where all would be hidden, a session may not list anything.
    if config.mounts.is_reserved(bucket, key + begins):
        listed = ListedPage([], [], "")
    else:
        maximum = PAGE if chosen == "urls" else int(limit)
        listed = in_time(lambda: _list(folder, access, begins, maximum), oss_unavailable)
    folder.invocation.audit_fields["mount"] = folder.target.mount.path
    document = _document(folder, listed)
    if chosen == "urls":
        return _urls(folder, document)
    is_page = bool(folder.code) if _is_protected(folder) else request.wants_page()
    if chosen is None and is_page and config.public_url is not None:
        return _page(folder, document)
    return json_response(document)


def _list(folder: Folder, access: Access, begins: str, limit: int) -> ListedPage:
    """`limit` names that may be seen, fewer only on the last page: a short one would tell where a name is hidden.

    OSS's token shows the last name of its page, always one of them.
    """
    first = folder.params.get("after", "")
    ask = partial(list_folder, access, folder.invocation, begins)
    if not _may_hide(folder):
        return _shown(folder, ask(limit, first))
    kept = ListedPage([], [], "")
    limit = min(limit, MAX_HIDING)
    size = PAGE
    after = first
    while True:
        page = ask(size, after)
        objects, prefixes, token = _shown(folder, page)
        shown = ListedPage(kept.objects + objects, kept.prefixes + prefixes, token)
        names = shown.names
        if len(names) <= limit and (not token or names[limit - 1 :] == page.names[-1:]):
            return shown
        if len(names) < limit:
            kept = shown
            size = PAGE
            after = token
        else:  # again, up to the last name
            size = page.names.index(names[limit - 1]) + 1


def _may_hide(folder: Folder) -> bool:
    """Whether a name of the folder may be one that `_shown` leaves out; no right of the caller changes that."""
    mounts = folder.invocation.config.mounts
    target = folder.target
    is_above = any(each.path.startswith(target.path) for each in mounts if each is not target.mount)
    return is_above or any(map(target.location.contains, mounts.reserved))


def _shown(folder: Folder, page: ListedPage) -> ListedPage:
    mounts = folder.invocation.config.mounts
    (bucket, key) = folder.target.location
    # A longer mount never covers a file directly in a folder, only one in a folder of its own.
    objects = [
        each
        for each in page.objects
        if each.key != key and not mounts.is_reserved(bucket, each.key)
    ]
    return ListedPage(
        objects, [each for each in page.prefixes if _shows(folder, each[len(key) :])], page.token
    )


def _document(folder: Folder, listed: ListedPage) -> dict[str, Any]:
    """A name that no link can carry has no path."""
    start = len(folder.target.key)
    files = [
        {
            "name": name,
            "path": _path(folder, name),
            "size": each.size,
            "modified_at": each.modified_at,
        }
        for each in listed.objects
        for name in (each.key[start:],)
    ]
    folders = [
        {"name": each[start:-1], "path": _path(folder, each[start:])} for each in listed.prefixes
    ]
    return {"path": _base(folder), "folders": folders, "files": files, "next": listed.token or None}


def _base(folder: Folder) -> str:
    """The path of the folder's address: its own, or that of the share."""
    return folder.target.path if folder.opened is None else folder.opened.path


def _path(folder: Folder, name: str) -> str | None:
    target = folder.target
    is_faulty = covered_path_fault(target.path + name) or (name.startswith("\\") and not target.key)
    return None if is_faulty else _base(folder) + name


def _shows(folder: Folder, name: str) -> bool:
    """Whether a folder is shown: not where the service keeps its own, and one of a longer mount only to its callers."""
    mounts = folder.invocation.config.mounts
    target = folder.target
    inner = mounts.get(target.path + name)
    if inner is None or inner.mount is target.mount:
        below = target.location._replace(key=target.key + name)
        is_own = name.startswith(".") and any(map(below.contains, mounts.reserved))
        return inner is not None and not is_own
    # A longer mount is outside the share.
    return folder.opened is None and may_list(folder.invocation, inner)


def _urls(folder: Folder, document: dict[str, Any]) -> Response:
    """The addresses of the files of a shared folder, one a line. Raises the 409 `folder_too_large`."""

    if document["next"]:
        raise Problem("folder_too_large")
    origin = origin_of(folder.request, folder.invocation, needs_page=False)
    secret = folder.request.query["share"]
    paths = [each["path"] for each in document["files"] if each["path"] is not None]
    lines = [f"{share_address(origin, path, secret)}\n" for path in paths]
    return Response(200, {"Content-Type": "text/plain; charset=utf-8"}, "".join(lines))


def _page(folder: Folder, document: dict[str, Any]) -> Response:
    from .. import pages

    params = folder.params
    opened = folder.opened
    chosen = {name: params[name] for name in ("share", "limit", "begins") if params.get(name)}
    shared = None
    urls = ""
    if opened is not None:
        shared = shared_page(opened)
        public_url = folder.invocation.config.public_url or ""
        urls = share_address(public_url, opened.path, opened.secret, format="urls")
    return pages.folder_page(
        folder.request.headers.get("accept-language", ""),
        document,
        above=_above(folder),
        query=f"?{urlencode({'share': opened.secret})}" if opened is not None else "",
        chosen=chosen,
        is_first=not params.get("after"),
        next_page=f"?{urlencode({**chosen, 'after': document['next']})}"
        if document["next"]
        else "",
        shared=shared,
        urls=urls,
        protected=_protected_list(folder, document),
    )


def _is_protected(folder: Folder) -> bool:
    return folder.opened is not None and folder.opened.record.password is not None


def _protected_list(folder: Folder, document: dict[str, Any]) -> ProtectedList | None:
    """What the buttons of the page of a folder with a code send, None for a folder without one."""
    from ..pages import ProtectedList

    if not _is_protected(folder):
        return None
    mount = folder.target.mount
    return ProtectedList(
        code=folder.code,
        nonce=token_urlsafe(18),
        after=document["next"] or "",
        link_origin=mount.link_origin,
        saves=mount.cdn is None,
    )


def _above(folder: Folder) -> list[tuple[str, str]]:
    """The name of each folder from the highest that may be listed to this one, and the path of its address."""
    path = folder.target.path
    opened = folder.opened
    first = len(opened.record.path if opened is not None else folder.target.mount.path)
    paths = [path[: end + 1] for end in range(first - 1, len(path)) if path[end] == "/"]
    if opened is None:
        paths = [
            each for each in paths if may_list(folder.invocation, folder.target._replace(path=each))
        ]
    is_long = len(paths) > MAX_ABOVE + 1
    if is_long:
        paths = [paths[0], *paths[-MAX_ABOVE:]]
    addresses = (
        paths if opened is None else [share_path(opened.record, each[first:]) for each in paths]
    )
    names = [each.strip("/").rpartition("/")[2] or "/" for each in paths]
    if is_long:
        names[1] = "…"  # leads to the last one that is left out
    return list(zip(names, addresses, strict=True))
