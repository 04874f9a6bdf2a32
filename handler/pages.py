"""The pages for people: a share, an upload share, and an error.

The pages load nothing from other origins. Only the upload page has a script.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Mapping
from functools import lru_cache
from secrets import token_urlsafe

import segno
from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from signer.sizes import format_size
from signer.times import rfc3339

from .errors import Problem
from .request import read_weights
from .response import Response

MAX_QR_CODE = 1000  # characters; few cameras can read a denser code
# What changes the direction of writing (Unicode UAX 9), as a set of a regular expression: with U+202E, a file
# "fdp.exe" reads as "exe.pdf".
DIRECTION = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"

_DIRECTION = re.compile(f"[{DIRECTION}]")

# The words of the pages, in English and in Chinese.
SHARE: Mapping[str, Mapping[str, str]] = {
    "en": {
        "lang": "en",
        "size": "Size",
        "type": "Type",
        "expires": "Available until",
        "uses_left": "Downloads left",
        "download": "Download",
        "note": "Each download counts once. Opening this page does not count, nor does a retry within ten minutes.",
        "qr_code": "Open on a phone",
        "qr_title": "QR code of this page's address",
    },
    "zh": {
        "lang": "zh-CN",
        "size": "大小",
        "type": "类型",
        "expires": "有效期至",
        "uses_left": "剩余下载次数",
        "download": "下载",
        "note": "每次下载计一次。打开本页不计次数，十分钟内在本页重试也不重复计数。",
        "qr_code": "在手机上打开",
        "qr_title": "本页地址的二维码",
    },
}

UPLOAD: Mapping[str, Mapping[str, str]] = {
    "en": {
        "lang": "en",
        "title": "Send files to {folder}",
        "drop": "Drop files here, or choose them",
        "choose": "Choose files",
        "max_size": "Maximum file size",
        "type": "Accepted type",
        "files_left": "Files left",
        "expires": "Open until",
        "waiting": "Waiting",
        "sending": "Sending",
        "sent": "Sent",
        "failed": "Not sent: the connection was lost.",
        "refused": "Not sent: the storage service refused the file.",
        "too_large": "Not sent: the file is too large.",
        "wrong_type": "Not sent: this type of file is not accepted.",
        "full": "Not sent: the maximum number of files has been reached.",
        "expired": "Not sent: this link is no longer valid.",
        "unavailable": "Not sent: the service is temporarily unavailable. Try again.",
        "retry": "Try again",
        "done": "All files have been sent. You can close this page.",
        "partly": "Some files have not been sent.",
        "no_script": "This page requires JavaScript to send files.",
    },
    "zh": {
        "lang": "zh-CN",
        "title": "上传文件到 {folder}",
        "drop": "将文件拖到此处，或选择文件",
        "choose": "选择文件",
        "max_size": "单个文件大小上限",
        "type": "允许的类型",
        "files_left": "还可上传文件数",
        "expires": "开放至",
        "waiting": "等待中",
        "sending": "上传中",
        "sent": "已上传",
        "failed": "未上传：连接中断。",
        "refused": "未上传：存储服务拒绝了此文件。",
        "too_large": "未上传：文件超过大小上限。",
        "wrong_type": "未上传：不接受此类型的文件。",
        "full": "未上传：已达到文件数量上限。",
        "expired": "未上传：链接已失效。",
        "unavailable": "未上传：服务暂不可用，请重试。",
        "retry": "重试",
        "done": "全部文件已上传，可以关闭本页。",
        "partly": "部分文件未上传。",
        "no_script": "本页需要启用 JavaScript 才能上传文件。",
    },
}

# A title and a sentence for each code, else for each status; an empty sentence means that of the problem.
PROBLEMS: Mapping[str, Mapping[str | int, tuple[str, str]]] = {
    "en": {
        "share_invalid": ("Invalid link", "The link is incomplete or was modified. Copy the full link again."),
        "share_ended": ("This link has expired", "Ask the sender for a new link."),
        "share_retired": ("This link was withdrawn", "Ask the sender for a new link."),
        "share_revoked": ("This link was withdrawn", "The sender withdrew it. Ask the sender for a new link."),
        "share_maker_gone": ("This link was withdrawn", "Ask the sender for a new link."),
        "share_record_missing": ("This link was withdrawn", "Ask the sender for a new link."),
        "share_not_offered": ("This link is no longer available", "Ask the sender for a new link."),
        "share_used_up": ("Download limit reached", "Ask the sender for a new link."),
        "share_full": ("Upload limit reached", "Ask the sender for a new link."),
        "object_archived": ("This file is in cold storage", "Ask its owner to restore it first."),
        400: ("Invalid request", ""),
        401: ("Valid API key required", ""),
        403: ("Not allowed", ""),
        404: ("Page not found", ""),
        405: ("Not allowed", ""),
        409: ("Not possible", ""),
        410: ("This link is no longer valid", "Ask the sender for a new link."),
        413: ("Request too large", ""),
        415: ("Type not supported", ""),
        500: ("Something went wrong", ""),
        503: ("Temporarily unavailable", ""),
    },
    "zh": {
        "share_invalid": ("链接无效", "链接不完整或被改动过，请重新复制完整链接。"),
        "share_ended": ("链接已过期", "请向发送者索取新的链接。"),
        "share_retired": ("链接已撤销", "请向发送者索取新的链接。"),
        "share_revoked": ("链接已撤销", "发送者撤销了此链接，请索取新的链接。"),
        "share_maker_gone": ("链接已撤销", "请向发送者索取新的链接。"),
        "share_record_missing": ("链接已撤销", "请向发送者索取新的链接。"),
        "share_not_offered": ("链接已停用", "请向发送者索取新的链接。"),
        "share_used_up": ("下载次数已用完", "请向发送者索取新的链接。"),
        "share_full": ("文件数量已达上限", "请向发送者索取新的链接。"),
        "object_archived": ("文件处于归档状态", "请联系文件所有者先解冻文件。"),
        "ended_credential": ("密钥已过期", "请申请新的密钥。"),
        "unknown_credential": ("密钥无效", "请检查密钥是否完整。"),
        "malformed_credential": ("密钥无效", "请检查密钥是否完整。"),
        400: ("请求有误", "请检查链接是否正确，然后重试。"),
        401: ("需要密钥", "访问此地址需要密钥。"),
        403: ("没有权限", "你的密钥不能执行此操作。"),
        404: ("页面不存在", "此地址没有内容，请检查链接是否完整。"),
        405: ("不支持的操作", "此地址不支持该操作。"),
        409: ("无法完成操作", "此操作与服务设置或现有文件冲突。"),
        410: ("链接已失效", "请向发送者索取新的链接。"),
        413: ("内容过大", "请减小内容后重试。"),
        415: ("类型不符", "不支持此内容类型。"),
        500: ("服务出错", "请将下方的请求编号告知管理员。"),
        503: ("服务暂不可用", "请稍后重试。"),
    },
}


def share_page(
    accept_language: str,
    *,
    name: str,
    size: int | None,
    media_type: str,
    expires_at: int,
    uses_left: int | None,
    nonce: str,
    address: str | None,
    link_origin: str,
) -> Response:
    """The page of a share with its one button, which sends `nonce`.

    `size` is in bytes, `expires_at` in Unix seconds, `address` the page's own for a QR code.
    """
    lang = language(accept_language)
    return _page(
        "share.html",
        200,
        lang,
        form_action=f"'self' {link_origin}",
        words=SHARE[lang],
        title=name,
        name=name,
        size=format_size(size) if size is not None else "",
        media_type=media_type,
        expires=_format_minute(expires_at),
        expires_at=rfc3339(expires_at),
        uses_left=uses_left,
        nonce=nonce,
        qr_code=_qr_code(address, lang),
    )


def upload_page(
    accept_language: str,
    *,
    folder: str,
    max_size: int,
    content_type: str | None,
    files_left: int,
    expires_at: int,
    link_origin: str,
) -> Response:
    """The page of an upload share, for files of at most `max_size` bytes each; `expires_at` is in Unix seconds."""
    lang = language(accept_language)
    words = UPLOAD[lang]
    script_nonce = token_urlsafe(16)
    return _page(
        "upload.html",
        200,
        lang,
        form_action="'none'",
        more_csp=f"; script-src 'nonce-{script_nonce}'; connect-src 'self' {link_origin}",
        script_nonce=script_nonce,
        words=words,
        title=words["title"].format(folder=folder),
        max_size=max_size,
        size=format_size(max_size),
        media_type=content_type or "",
        accept=f"{content_type}*" if content_type and content_type.endswith("/") else content_type or "",
        files_left=files_left,
        expires=_format_minute(expires_at),
        expires_at=rfc3339(expires_at),
    )


def problem_page(problem: Problem, request_id: str, accept_language: str) -> Response:
    lang = language(accept_language)
    words = PROBLEMS[lang]
    title, sentence = words.get(problem.code) or words[problem.status]
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


def _page(template: str, status: int, lang: str, *, form_action: str, more_csp: str = "", **values: object) -> Response:
    style_nonce = token_urlsafe(16)
    headers = {
        "Content-Type": "text/html; charset=utf-8",
        "Content-Language": SHARE[lang]["lang"],
        "Vary": "Accept, Accept-Language, Authorization, X-Api-Key",
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'nonce-{style_nonce}'; img-src data:; base-uri 'none'; "
            f"frame-ancestors 'none'; form-action {form_action}{more_csp}"
        ),
    }
    return Response(status, headers, _environment().get_template(template).render(style_nonce=style_nonce, **values))


@lru_cache(maxsize=1)
def _environment() -> Environment:
    folder = os.path.join(os.path.dirname(__file__), "templates")
    return Environment(
        loader=FileSystemLoader(folder), autoescape=True, trim_blocks=True, lstrip_blocks=True, finalize=_display
    )


def _display(value: object) -> object:
    """A value as a page shows it: strings without what changes the direction of writing."""
    return _DIRECTION.sub("_", value) if type(value) is str else value


def _qr_code(address: str | None, lang: str) -> Markup | None:
    """The QR code of an address as inline SVG, dark on white; None if the address is unknown or too long."""
    if address is None or len(address) > MAX_QR_CODE:
        return None
    svg: str = segno.make(address, error="l", micro=False).svg_inline(
        border=4, dark="#000000", light="#ffffff", title=SHARE[lang]["qr_title"], omitsize=True
    )
    return Markup(svg.replace("<svg ", '<svg role="img" ', 1))


def _format_minute(timestamp: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(timestamp))


def language(accept: str) -> str:
    """zh or en, whichever an Accept-Language header prefers (RFC 9110 §12.5.4); en by default."""
    weights = {"en": 0.0, "zh": 0.0}
    for tag, weight in read_weights(accept).items():
        name = tag.partition("-")[0]
        if name in weights:
            weights[name] = max(weights[name], weight)
    return "zh" if weights["zh"] > weights["en"] else "en"
