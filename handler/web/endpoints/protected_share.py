"""A share with a code. Before the code, a file's and a folder's share give the same answer at every path.

After it, each answer is that of a POST which has the code: no cookie, address, log line or Location ever has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from signer.times import rfc3339

from ...core.errors import Problem
from ...core.shares.address import share_address, share_path
from ...core.shares.opening import OpenedShare
from .. import pages
from ..response import Response, json_response, wants_json
from . import folders, shared_file

MEMBERS = ("begins", "limit", "after")  # of a folder, in the body


def answer(opened: OpenedShare) -> Response:
    """The page that asks for the code, or for a program that there is one; for a POST with the code, what it opens."""
    request = opened.request
    for name in MEMBERS:
        if name in request.query:
            raise Problem(
                "bad_query", f'"{name}" of a share with a code must be a member of the body.'
            )
    as_json = wants_json(request, opened.invocation.caller is not None)
    is_person = request.is_browser() and not as_json
    if request.method != "POST":
        if is_person and request.query.get("format") != "redirect":
            return _code_page(opened)
        expires_at = rfc3339(opened.expires_at())
        return json_response({"password": True, "expires_at": expires_at, "use": "POST"})
    form = shared_file.read_form(request)
    code = form.get("password")
    try:
        opened.check_code(code)
    except Problem as problem:
        if not is_person:
            raise
        opened.invocation.audit_fields["code"] = problem.code
        return _code_page(opened, fault="wrong_code" if code else "no_code")
    if not is_person:
        return _answer_program(_unlocked(opened), form, as_json)
    try:
        return _answer_person(_unlocked(opened), form, str(code))
    except Problem as problem:
        if opened.record.is_folder:
            problem.back = (_list_address(opened), str(code))
        raise


def _answer_program(opened: OpenedShare, form: Mapping[str, Any], as_json: bool) -> Response:
    if opened.target.path.endswith("/"):
        return folders.answer_unlocked(opened, _members(form))
    return shared_file.use(opened, form, as_json=as_json)


def _answer_person(opened: OpenedShare, form: Mapping[str, Any], code: str) -> Response:
    """The list of a folder, the page of a file, or for the nonce of a button the file itself."""
    if opened.target.path.endswith("/"):
        return folders.answer_unlocked(opened, _members(form), code)
    if "nonce" in form:
        return shared_file.use(opened, form, as_json=False)
    return shared_file.page(opened, code)


def _members(form: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a folder's list. Raises the 400 `bad_query`."""
    members = {name: form[name] for name in MEMBERS if form.get(name) not in (None, "")}
    if type(members.get("limit")) is int:
        members["limit"] = str(members["limit"])
    for name, value in members.items():
        if not isinstance(value, str):
            raise Problem("bad_query", f'"{name}" must be a string.')
    return members


def _unlocked(opened: OpenedShare) -> OpenedShare:
    """The share with what the path of the request names in it. Raises the 404 `share_invalid`."""
    record = opened.record
    relative = opened.path[len(share_path(record)) :]
    if not relative:
        return opened
    target = opened.invocation.config.mounts.get(record.path + relative)
    if not record.is_folder or target is None or not record.is_of(target.mount):
        raise Problem("share_invalid")
    return opened._replace(target=target)


def _code_page(opened: OpenedShare, *, fault: str | None = None) -> Response:
    language = opened.request.headers.get("accept-language", "")
    return pages.code_page(language, shared_file.shared_page(opened), fault=fault)


def _list_address(opened: OpenedShare) -> str:
    """The address of the list from which somebody came: that of the folder above."""
    above = opened.path[: opened.path.rstrip("/").rfind("/") + 1]
    first = share_path(opened.record)
    return share_address("", max(above, first, key=len), opened.secret)
