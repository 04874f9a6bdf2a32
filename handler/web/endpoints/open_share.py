"""Opening a share: each time a new link, counted if the share is limited, or the page for people."""

from __future__ import annotations

import json
from secrets import token_urlsafe
from urllib.parse import parse_qs, quote

from signer.times import rfc3339

from ...core import links, shares
from ...core.auth import authorize
from ...core.cloud.oss import head_for_page
from ...core.context import Invocation
from ...core.errors import Problem, method_not_allowed
from ...core.request import Request
from ...core.shares.opening import OpenedShare, is_nonce, open_share
from .. import pages
from ..response import Response, json_response, note_link, redirect, wants_json

METHODS = ("GET", "HEAD", "POST", "OPTIONS")
MAX_FORM = 4096  # bytes
MAX_QR_CODE = 1000  # characters of an address; few cameras can read a denser code


def answer(request: Request, invocation: Invocation, path: str) -> Response:
    """The response for an object path with a share. Of the other query parameters, only `format` is read."""
    if request.method not in METHODS:
        raise method_not_allowed(METHODS)
    if request.method == "OPTIONS":
        return Response(204, {"Allow": ", ".join(METHODS)})
    opened = open_share(request, invocation, path)
    if opened.share.method == "POST":
        from . import upload_page

        return upload_page.answer(opened)
    if opened.share.depth and path.endswith("/"):
        from . import folders

        return folders.answer_shared(opened)
    if request.query.get("format") == "qr":
        return _qr_code(opened)
    as_json = wants_json(request, invocation.caller is not None)
    if request.method == "POST":
        nonce = _nonce(request)
        issued = _create_link(opened, "GET", attach=nonce is not None)
        response = json_response(issued.document()) if as_json else redirect(issued, 303)
        # Last, so that a link that cannot be created costs no use.
        if opened.tracked is not None:
            opened.tracked.claim_use(nonce or token_urlsafe(18), invocation.now)
        return response
    if opened.tracked is not None and opened.limited and as_json:
        expires_at = rfc3339(opened.share.expires_at)
        return json_response({"uses_left": opened.tracked.uses_left(), "expires_at": expires_at, "use": "POST"})
    if opened.limited or (opened.share.page and not as_json and request.query.get("format") != "redirect"):
        return _page(opened)
    issued = _create_link(opened, request.method)
    return json_response(issued.document()) if as_json else redirect(issued)


def _create_link(opened: OpenedShare, method: str, *, attach: bool = False) -> links.IssuedLink:
    """A new link that does not outlive the share; with `attach` browsers save the object instead of showing it."""
    share, invocation, target = opened.share, opened.invocation, opened.target
    # wget reads the name of a file of a folder from OSS's header: that of its address has the share in it.
    attach = attach or bool(share.depth and not opened.request.wants_page())
    download = share.download or "" if attach else share.download
    query = links.read_query(target, {}, None if target.mount.cdn is not None else download)
    access = authorize(invocation, target, "GET", opened.limits())
    # A browser would show OSS's XML; a program reads the status of OSS itself.
    if opened.request.wants_page():
        shares.check_app_package(target)
    if target.mount.check or opened.request.wants_page():
        head_for_page(target, {}, invocation)
    issued = links.create_link(invocation, access, method, signed=links.Signed(query))
    note_link(invocation.facts, target, issued.link.expires_in, issued.clamped_by)
    return issued


def _nonce(request: Request) -> str | None:
    """The nonce of the page's form, None if a program sends none. Raises the 400 `bad_nonce`."""
    if len(request.body) > MAX_FORM:
        raise Problem("bad_nonce")
    try:
        body = request.body.decode("ascii")
        if request.headers.get("content-type", "").startswith("application/json"):
            document = json.loads(body) if body else {}
            nonce = document.get("nonce") if isinstance(document, dict) else ""
        else:
            nonce = next(iter(parse_qs(body, keep_blank_values=True).get("nonce", ())), None)
    except (ValueError, RecursionError):
        raise Problem("bad_nonce") from None
    if nonce is not None and not is_nonce(nonce):
        raise Problem("bad_nonce")
    return nonce


def _page(opened: OpenedShare) -> Response:
    """The page of a share. Raises a `Problem` if the object does not exist or cannot be downloaded."""
    shares.check_app_package(opened.target)
    uses_left = opened.tracked.uses_left() if opened.tracked is not None else None
    headers = head_for_page(opened.target, {}, opened.invocation).headers
    length = headers.get("content-length", "")
    file = pages.SharedFile(
        name=opened.share.download or opened.target.path.rpartition("/")[2] or opened.target.path,
        size=int(length) if length.isdigit() else None,
        media_type=headers.get("content-type", "").partition(";")[0],
        expires_at=opened.share.expires_at,
        uses_left=uses_left,
    )
    return pages.share_page(
        opened.request.headers.get("accept-language", ""),
        file,
        nonce=token_urlsafe(18),
        qr_code=f"?share={opened.request.query['share']}&format=qr" if _address(opened) else None,
        link_origin=opened.link_origin,
    )


def _qr_code(opened: OpenedShare) -> Response:
    """The QR code that the page of a share shows. Raises the 400 `bad_format` where it shows none."""
    address = _address(opened)
    has_page = opened.limited or opened.share.page
    if address is None or not has_page or opened.request.method == "POST":
        raise Problem("bad_format")
    return Response(200, {"Content-Type": "image/svg+xml"}, pages.qr_code(address))


def _address(opened: OpenedShare) -> str | None:
    """The address of the page of a share; None if it is unknown, or too long for a QR code."""
    public_url, request = opened.invocation.config.public_url, opened.request
    if public_url is None:
        return None
    # Some clients send a path that is not encoded, whose QR code few cameras would read as UTF-8.
    address = f"{public_url}{quote(opened.target.path, safe='/')}?share={request.query['share']}"
    return address if len(address) <= MAX_QR_CODE else None
