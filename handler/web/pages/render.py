"""The pages for people: a share, an upload share, a folder, the sender's, and an error.

The pages load nothing from other origins. Those of a share and a folder work without their script, which shows times in
the reader's own zone, keeps the downloads left current and sorts a folder; the two that send files require theirs.
"""

from __future__ import annotations

import gc
import os
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from secrets import token_urlsafe
from typing import Any, NamedTuple
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader

from signer.sizes import format_size
from signer.times import rfc3339

from ...core.errors import Problem
from ...core.paths import MAX_BYTES, TAGS, UNSEEN
from ...core.request import read_weights
from ...core.words import Words
from ..response import Response
from .file_types import file_type, media_file_type
from .words import FOLDER, PROBLEMS, SENDER, SHARE, UPLOAD

_UNSEEN = re.compile(rf"[{UNSEEN}{TAGS}]|^\s+$")


class SharedPage(NamedTuple):
    """What each page of a share says: the words of its sender as text, and when it ends (Unix seconds).

    `files` is how many a folder has, None where more may follow.
    """

    words: Words
    expires_at: int
    files: int | None = None


class SharedFile(NamedTuple):
    """What the page of a share says of the file; `size` is in bytes, `qr_code` the address of an image."""

    name: str
    size: int | None
    media_type: str
    uses_left: int | None
    qr_code: str | None


class ProtectedList(NamedTuple):
    """What the buttons of a folder's page send where the share has a code.

    `after` is where the next page begins, "" on the last. `saves` says whether a link can tell browsers to save the
    file; other files open in a new tab, so that the list stays.
    """

    code: str
    nonce: str
    after: str
    link_origin: str
    saves: bool


class SharedUpload(NamedTuple):
    """What an upload page says of its files: the limits of each (bytes), and how many are left."""

    max_size: int
    content_type: str | None
    files_left: int


def code_page(accept_language: str, shared: SharedPage, *, fault: str | None = None) -> Response:
    """The page that asks for the code of a share; `fault` is None, wrong_code, or no_code where none was typed.

    It shows nothing of what is shared, also not its bucket.
    """
    lang = language(accept_language)
    return _page(
        "code.html",
        lang,
        200 if fault is None else 403,
        shared=shared,
        form_action="'self'",
        words=SHARE[lang],
        title=SHARE[lang]["code_title"],
        fault=fault,
    )


def share_page(
    accept_language: str,
    shared: SharedPage,
    file: SharedFile,
    *,
    nonce: str,
    link_origin: str,
    code: str = "",
) -> Response:
    """The page of a file with its one button, which sends `nonce`, and the `code` of a share that has one."""
    lang = language(accept_language)
    kind = file_type(file.name, file.media_type)
    return _page(
        "share.html",
        lang,
        shared=shared,
        form_action=f"'self' {link_origin}",
        connect="'self'",
        words=SHARE[lang],
        title=file.name,
        file=file,
        size=format_size(file.size) if file.size is not None else "",
        icon=kind.icon if kind else "file",
        type_name=kind.name(lang) if kind else "",
        uses_left=file.uses_left,
        nonce=nonce,
        code=code,
    )


def upload_page(
    accept_language: str, shared: SharedPage, upload: SharedUpload | None, *, link_origin: str
) -> Response:
    """The page of an upload share; without an `upload` it asks for the code of the share."""
    lang = language(accept_language)
    content_type = upload.content_type or "" if upload is not None else ""
    kind = media_file_type(content_type)
    return _page(
        "upload.html",
        lang,
        shared=shared,
        form_action="'none'",
        connect=f"'self' {link_origin}",
        words=UPLOAD[lang],
        title=UPLOAD[lang]["title"],
        upload=upload,
        size=format_size(upload.max_size) if upload is not None else "",
        media_type=content_type,
        icon=kind.icon if kind else "file",
        type_name=kind.name(lang) if kind else content_type,
        accept=f"{content_type}*" if content_type.endswith("/") else content_type,
    )


def sender_page(
    accept_language: str,
    origins: Sequence[str],
    *,
    max_uses: int,
    max_files: int,
    max_folder_files: int,
) -> Response:
    """The page that sends and receives with a key, which sends files to these `origins`; the same for everybody.

    The limits are those of the downloads of a file, of the files of an upload page, and of those that are sent at once.
    """
    lang = language(accept_language)
    ended = {
        str(code): title
        for code, (title, _) in PROBLEMS[lang].items()
        if str(code).startswith("share_")
    }
    page = _page(
        "sender.html",
        lang,
        form_action="'none'",
        connect=" ".join(["'self'", *origins]),
        words={**UPLOAD[lang], **SHARE[lang], **SENDER[lang], **ended},
        title=SENDER[lang]["title"],
        max_uses=max_uses,
        max_files=max_files,
        max_folder_files=max_folder_files,
        max_path=MAX_BYTES,
    )
    page.headers["Cross-Origin-Opener-Policy"] = (
        "same-origin"  # a page that opens it gets no hold of it
    )
    return page


def folder_page(
    accept_language: str,
    folder: Mapping[str, Any],
    *,
    above: Sequence[tuple[str, str]],
    query: str,
    chosen: Mapping[str, str],
    is_first: bool,
    next_page: str,
    shared: SharedPage | None,
    urls: str = "",
    protected: ProtectedList | None = None,
) -> Response:
    """A page of a folder, from its JSON; the names and paths `above` end with its own.

    `query` is that of each address, `chosen` what the request says, and `next_page` a query, "" on the last page.
    `urls` is the address in a share that lists those of its files.
    """
    lang = language(accept_language)
    if shared is not None and shared.files is not None:
        # Such a folder was made to send these files, and its name is random.
        above = [(FOLDER[lang]["top"], above[0][1]), *above[1:]]
    kinds = [file_type(each["name"], "") for each in folder["files"]]
    icons = [kind.icon if kind else "file" for kind in kinds]
    return _page(
        "folder.html",
        lang,
        form_action="'self'" if protected is None else f"'self' {protected.link_origin}",
        words=FOLDER[lang],
        above=[(name, quote(path) + query) for name, path in above],
        title=above[-1][0],
        folders=[
            (each["name"], each["path"] and quote(each["path"]) + query)
            for each in folder["folders"]
        ],
        files=[
            (
                icon,
                each["path"] and quote(each["path"]) + query,
                format_size(each["size"]),
                *each.values(),
            )
            for icon, each in zip(icons, folder["files"], strict=True)
        ],
        icons=sorted({*icons}),
        chosen=chosen,
        is_part=bool(chosen.get("begins")) or not is_first,
        is_complete=is_first and not next_page,
        next_page=next_page,
        shared=shared,
        urls=urls,
        protected=protected,
    )


def qr_code(address: str) -> str:
    """The QR code of a page's address as an SVG document, dark on white."""
    from io import BytesIO

    import segno  # few readers open it

    document = BytesIO()
    segno.make(address, error="l", micro=False).save(
        document,
        kind="svg",
        border=4,
        dark="#000000",
        light="#ffffff",
        omitsize=True,
        xmldecl=False,
        nl=False,
    )
    return document.getvalue().decode()


def problem_page(
    problem: Problem, request_id: str, accept_language: str, back: tuple[str, str] | None = None
) -> Response:
    """The page of an error: what a person can do, without the sentence for programs, and what support asks for.

    `back` is the address of a shared folder's list, and the code that a button sends there.
    """
    lang = language(accept_language)
    title, sentence = PROBLEMS[lang].get(problem.code) or PROBLEMS[lang][problem.status]
    return _page(
        "problem.html",
        lang,
        problem.status,
        form_action="'none'" if back is None else "'self'",
        words=SHARE[lang],
        title=title,
        sentence=sentence,
        code=f"{problem.status} {problem.code}",
        request_id=request_id,
        back=back,
    )


def _page(
    name: str,
    lang: str,
    status: int = 200,
    *,
    form_action: str,
    connect: str = "",
    shared: SharedPage | None = None,
    **values: object,
) -> Response:
    """A page; one of a share has its sender's words, whose title goes before the page's own."""
    if shared is not None:
        title = shared.words.title or values["title"]
        values |= {"shared": shared, "title": title, "expires_at": rfc3339(shared.expires_at)}
    style_nonce = token_urlsafe(16)
    script_nonce = token_urlsafe(16)
    script = f"; script-src 'nonce-{script_nonce}'" if name != "problem.html" else ""
    connections = f"; connect-src {connect}" if connect else ""
    lang = "zh-CN" if lang == "zh" else lang
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Language": lang,
        "Vary": "Accept, Accept-Language, Authorization",
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'nonce-{style_nonce}'; img-src 'self' data:; base-uri 'none'; "
            f"frame-ancestors 'none'; form-action {form_action}{script}{connections}"
        ),
    }
    values |= {
        "style_nonce": style_nonce,
        "script_nonce": script_nonce,
        "lang": lang,
        "minute": _format_minute,
    }
    values["unseen"] = UNSEEN
    return Response(status, headers, _environment().get_template(name).render(values))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    gc.freeze()  # as at the start of the process: the modules for pages stay
    folder = os.path.join(os.path.dirname(os.path.dirname(__file__)), "templates")
    return Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_display,
    )


def _display(value: object) -> object:
    """A value as a page shows it: strings with "_" for what nobody sees."""
    return _UNSEEN.sub("_", value) if type(value) is str else value


def _format_minute(time: str) -> str:
    """A time of `rfc3339` for people."""
    return f"{time[:10]} {time[11:16]} UTC"


def language(accept: str) -> str:
    """zh or en, whichever an Accept-Language header prefers (RFC 9110 §12.5.4); en by default."""
    weights = {"en": 0.0, "zh": 0.0}
    for tag, weight in read_weights(accept).items():
        name = tag.partition("-")[0]
        if name in weights:
            weights[name] = max(weights[name], weight)
    return "zh" if weights["zh"] > weights["en"] else "en"
