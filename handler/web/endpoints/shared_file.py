"""The file of an opened share: each time a new link, counted if the share is limited, or its page."""

from __future__ import annotations

from collections.abc import Mapping
from secrets import token_urlsafe
from typing import Any
from urllib.parse import parse_qs

from ...core import links, outbox
from ...core.auth import authorize
from ...core.cloud.oss import head_for_page
from ...core.errors import Problem, bad_body
from ...core.request import Request, read_json
from ...core.shares import uses
from ...core.shares.address import share_address
from ...core.shares.opening import OpenedShare, check_app_package, is_nonce
from .. import pages
from ..response import Response, json_response, redirect

MAX_FORM = 4096  # bytes
MAX_QR_CODE = 1000  # characters of an address; few cameras can read a denser code


def use(opened: OpenedShare, form: Mapping[str, Any], *, as_json: bool) -> Response:
    """A download: the link, counted if the share is limited, and written down where a notice wants it.

    Whoever calls it has checked the code.
    """
    invocation = opened.invocation
    record = opened.record
    nonce = form.get("nonce")
    if nonce is not None and not is_nonce(nonce):
        raise Problem("bad_nonce")
    if not isinstance(form.get("password", ""), str):
        raise bad_body('"password" must be a string')
    issued = create_link(opened, "GET", attach=nonce is not None)
    response = json_response(issued.document()) if as_json else redirect(issued, 303)
    # Last, so that a link that cannot be created costs no use.
    nonce = nonce or token_urlsafe(18)
    notify = outbox.use_writer(opened)
    if record.uses is not None:
        uses.claim_use(opened.state, record, nonce, invocation.now, notify)
    elif notify is not None:
        notify(nonce, None)
    return response


def fetch(opened: OpenedShare, *, as_json: bool) -> Response:
    """The file without a form, of a share without a limit. Of a folder, the first one that is fetched opens it."""
    method = opened.request.method
    issued = create_link(opened, method)
    if opened.record.is_folder and method == "GET":
        notify = outbox.use_writer(opened, ("opened",))
        if notify is not None:
            notify(token_urlsafe(18), None)
    return json_response(issued.document()) if as_json else redirect(issued)


def create_link(opened: OpenedShare, method: str, *, attach: bool = False) -> links.IssuedLink:
    """A new link that does not outlive the share; with `attach` browsers save the object instead of showing it."""
    record = opened.record
    invocation = opened.invocation
    target = opened.target
    is_browser = opened.request.is_browser()
    # wget reads the name of a file of a folder from OSS's header: that of its address has the share in it.
    attach = attach or (record.is_folder and not is_browser)
    download = record.download or "" if attach else record.download
    query = links.read_query(target, {}, None if target.mount.cdn is not None else download)
    access = authorize(invocation, target, "GET", opened.limits())
    # A browser would show OSS's XML; a program reads the status of OSS itself.
    if is_browser:
        check_app_package(target)
    if target.mount.check or is_browser:
        head_for_page(target, {}, invocation)
    issued = links.create_link(opened.dated(), access, method, signed=links.Signed(query))
    links.log_target(
        invocation.audit_fields,
        target,
        expires_in=issued.link.expires_in,
        clamped_by=issued.clamped_by,
    )
    return issued


def read_form(request: Request) -> dict[str, Any]:
    """The nonce and the code that the page's form or a program sends.

    Raises the 400 `bad_nonce` for anything else, and what `read_json` raises.
    """
    if len(request.body) > MAX_FORM:
        raise Problem("bad_nonce")
    try:
        body = request.body.decode()
        if request.headers.get("content-type", "").startswith("application/json"):
            document = read_json(body) if body else {}
            if not isinstance(document, dict):
                raise Problem("bad_nonce")
            return document
        return {name: values[0] for name, values in parse_qs(body, keep_blank_values=True).items()}
    except (ValueError, RecursionError):
        raise Problem("bad_nonce") from None


def page(opened: OpenedShare, code: str = "") -> Response:
    """The page of a file, whose button sends the `code` again.

    Raises a `Problem` if the object does not exist or cannot be downloaded.
    """
    request = opened.request
    return pages.share_page(
        request.headers.get("accept-language", ""),
        shared_page(opened),
        _file(opened),
        nonce=token_urlsafe(18),
        link_origin=opened.target.mount.link_origin,
        code=code,
    )


def _file(opened: OpenedShare) -> pages.SharedFile:
    check_app_package(opened.target)
    uses_left = opened.uses_left()
    headers = head_for_page(opened.target, {}, opened.invocation).headers
    length = headers.get("content-length", "")
    return pages.SharedFile(
        name=opened.record.download or opened.target.path.rpartition("/")[2],
        size=int(length) if length.isdigit() else None,
        media_type=headers.get("content-type", "").partition(";")[0],
        uses_left=uses_left,
        qr_code=f"?share={opened.secret}&format=qr" if has_qr_code(opened) else None,
    )


def shared_page(opened: OpenedShare) -> pages.SharedPage:
    """What each page of the share says. Raises a 503 where its end cannot be read."""
    record = opened.record
    return pages.SharedPage(record.words, opened.expires_at(), record.files)


def has_qr_code(opened: OpenedShare) -> bool:
    record = opened.record
    return record.page and record.password is None and page_address(opened) is not None


def page_address(opened: OpenedShare) -> str | None:
    """The address of the page of a share; None if it is unknown, or too long for a QR code."""
    public_url = opened.invocation.config.public_url
    if public_url is None:
        return None
    address = share_address(public_url, opened.path, opened.secret)
    return address if len(address) <= MAX_QR_CODE else None
