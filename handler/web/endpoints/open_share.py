"""Opening a share: what answers it, by what it is and who asks."""

from __future__ import annotations

from signer.times import rfc3339

from ...core.context import Invocation
from ...core.errors import Problem, method_not_allowed
from ...core.request import Request
from ...core.shares.opening import OpenedShare, open_share
from .. import pages
from ..response import Response, json_response, wants_json
from . import shared_file

METHODS = ("GET", "HEAD", "POST", "OPTIONS")


def answer(request: Request, invocation: Invocation, path: str) -> Response:
    """The response for a path of a share. Of the query, only `share` and `format`, and those of folders, are read."""
    if request.method not in METHODS:
        raise method_not_allowed(METHODS)
    if request.method == "OPTIONS":
        return Response(204, {"Allow": ", ".join(METHODS)})
    opened = open_share(request, invocation, path)
    record = opened.record
    chosen = request.query.get("format")
    if record.password is not None and record.upload is None:
        from . import protected_share

        return protected_share.answer(opened)
    if record.is_folder and opened.target.path.endswith("/"):
        from . import folders

        return folders.answer_shared(opened)
    if chosen == "qr" and record.upload is None:
        return _qr_code(opened)
    as_json = wants_json(request, invocation.caller is not None)
    if request.method == "POST" and record.upload is None:
        return shared_file.use(opened, shared_file.read_form(request), as_json=as_json)
    is_page = record.page and request.is_browser() and not as_json and chosen != "redirect"
    if record.password is not None and not is_page and request.method != "POST":
        # All that a program learns of an upload share with a code before it sends that.
        return json_response(
            {"password": True, "expires_at": rfc3339(opened.expires_at()), "use": "POST"}
        )
    if record.upload is not None:
        from . import upload_page

        return upload_page.answer(opened, record.upload, is_page=is_page)
    if is_page:
        return shared_file.page(opened)
    if record.uses is not None:
        expires_at = rfc3339(opened.expires_at())
        return json_response(
            {"uses_left": opened.uses_left(), "expires_at": expires_at, "use": "POST"}
        )
    return shared_file.fetch(opened, as_json=as_json)


def _qr_code(opened: OpenedShare) -> Response:
    """The QR code that the page of a share shows. Raises the 400 `bad_format` where it shows none."""
    address = shared_file.page_address(opened)
    if address is None or not shared_file.has_qr_code(opened) or opened.request.method == "POST":
        raise Problem("bad_format")
    return Response(200, {"Content-Type": "image/svg+xml"}, pages.qr_code(address))
