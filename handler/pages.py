"""The pages for people: a share, and every error that a browser meets. No JavaScript, nothing from outside."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from functools import lru_cache
from secrets import token_urlsafe
from typing import TYPE_CHECKING

import segno
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from . import presence
from .errors import Problem
from .links import rfc3339
from .request import Answer
from .words import DROP, PROBLEMS, SHARE, language

if TYPE_CHECKING:
    from .endpoints.open_share import Opening

MAX_CODE = 1000  # characters; a denser code is read by few cameras
UNITS = ("B", "KB", "MB", "GB", "TB")


def share_page(opening: Opening, uses_left: int | None, nonce: str) -> Answer:
    """The page of a share, whose one button sends `nonce`. Raises the `Problem` of an object that is not there."""
    lang = language(opening.request.headers.get("accept-language", ""))
    reply = presence.look(opening.mount, opening.key, {}, opening.invocation)
    policy = opening.invocation.policy
    name = opening.share.download or opening.path.rpartition("/")[2] or opening.path
    length = reply.headers.get("content-length", "")
    return _page(
        "share.html",
        200,
        lang,
        form_action=f"'self' {_link_origin(opening)}",
        words=SHARE[lang],
        title=name,
        name=name,
        size=_size(int(length)) if length.isdigit() else "",
        media_type=reply.headers.get("content-type", "").partition(";")[0],
        ends_at=rfc3339(opening.share.ends_at),
        ends=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(opening.share.ends_at)),
        uses_left=uses_left,
        nonce=nonce,
        code=_code(policy.public_url, f"{opening.request.raw_path}?share={opening.request.query['share']}", lang),
    )


def drop_page(opening: Opening, upload: Mapping[str, object], files_left: int) -> Answer:
    """The page of an upload share, where someone without an account drops files."""
    lang = language(opening.request.headers.get("accept-language", ""))
    words, kind = DROP[lang], upload["content_type"]
    origin = _link_origin(opening)
    script_nonce = token_urlsafe(16)
    title = words["title"].format(folder=opening.path.strip("/").rpartition("/")[2])
    return _page(
        "drop.html",
        200,
        lang,
        form_action="'none'",
        more=f"; script-src 'nonce-{script_nonce}'; connect-src 'self' {origin}",
        script_nonce=script_nonce,
        words=words,
        title=title,
        max_size=upload["max_size"],
        size=_size(int(str(upload["max_size"]))),
        media_type=kind or "",
        accept=f"{kind}*" if isinstance(kind, str) and kind.endswith("/") else kind or "",
        files_left=files_left,
        ends_at=rfc3339(opening.share.ends_at),
        ends=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(opening.share.ends_at)),
    )


def _link_origin(opening: Opening) -> str:
    """Where the links of an opening lead."""
    endpoint = opening.invocation.policy.oss_endpoint or opening.mount.endpoint
    return f"{endpoint.scheme}://{endpoint.host(opening.mount.target.bucket)}"


def problem_page(problem: Problem, request_id: str, accept_language: str) -> Answer:
    """A problem as a page."""
    lang = language(accept_language)
    known = PROBLEMS[lang]
    title, sentence = known.get(problem.code) or known[problem.status]
    return _page(
        "problem.html",
        problem.status,
        lang,
        form_action="'none'",
        words=SHARE[lang],
        title=title,
        sentence=sentence or problem.sentence,
        code=f"{problem.status} {problem.code}",
        request_id=request_id,
    )


def _page(template: str, status: int, lang: str, *, form_action: str, more: str = "", **facts: object) -> Answer:
    style_nonce = token_urlsafe(16)
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Language": SHARE[lang]["lang"],
        "Vary": "Accept, Accept-Language, Authorization, X-Api-Key",
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'nonce-{style_nonce}'; img-src data:; base-uri 'none'; "
            f"frame-ancestors 'none'; form-action {form_action}{more}"
        ),
    }
    return Answer(status, headers, _environment().get_template(template).render(style_nonce=style_nonce, **facts))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    folder = os.path.join(os.path.dirname(__file__), "templates")
    return Environment(loader=FileSystemLoader(folder), autoescape=True, trim_blocks=True, lstrip_blocks=True)


def _code(public_url: str | None, rest: str, lang: str) -> Markup | None:
    """An address as a QR code in inline SVG, dark on white; None for an address that is unknown or too long for one."""
    if public_url is None or len(public_url + rest) > MAX_CODE:
        return None
    svg: str = segno.make(public_url + rest, error="l", micro=False).svg_inline(
        border=4, dark="#000000", light="#ffffff", title=SHARE[lang]["code_title"], omitsize=True
    )
    return Markup(svg.replace("<svg ", '<svg role="img" ', 1))


def _size(length: int) -> str:
    """Bytes as a person reads them; 1 KB is 1024 bytes."""
    value, unit = float(length), 0
    while value >= 1024 and unit < len(UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{length} B" if unit == 0 else f"{value:.1f} {UNITS[unit]}"
