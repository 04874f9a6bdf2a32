"""Reads what people paste: the link, OSS's answer, the request and its time, with anything around them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Literal, NamedTuple

from ..display import printable_name
from ..times import format_timestamp, parse_rfc3339
from ..v4 import is_always_signed
from .damage import COMPLETE, URL_START, unwrap
from .lenient_url import MAX_LENGTH
from .server_error import ServerError, find_error

_CLOSING = {
    "<": ">",
    '"': '"',
    "'": "'",
    "(": ")",
    "[": "]",
    "`": "`",
    "|": "]",
    "“": "”",
    "«": "»",
    "&quot;": "&quot;",
    "&lt;": "&gt;",
}
# What only links have that are signed for OSS, and what others have that are signed.
_OF_OSS = re.compile(
    r"x-oss-(?:signature|credential|date|expires|access-key-id)|ossaccesskeyid|[?&]signature=",
    re.IGNORECASE,
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_SIGNED = re.compile(
    r"(?:signature|credential|accesskeyid|auth_key|token|share|sign|sig)(?:=|%3D)", re.IGNORECASE
)
_PAGES = re.compile(
    r"https?://(?:[\w-]+\.)*(?:api|help|www|error-center)\.(?:aliyun|alibabacloud)\.com/"
)
# A link as chats show it, without its scheme.
_BARE = re.compile(
    r"(?<![\w.:%@/-])(?://)?(?P<path>(?:[\w-]{1,63}\.)+[a-z]{2,12}(?::[0-9]+)?/[^\s\"'<>]{8,})",
    re.IGNORECASE,
)
# Up to the last parameter on a line, or to the words that base64 becomes if its plus signs are spaces.
_LAST_PARAMETER = re.compile(
    r".*(?:[?&]Signature=[A-Za-z0-9+/% ]{26,90}(?:=|%3D)"
    r"|(?:[?&\uff1f\uff06]|&amp;|\\u0026)[\w.-]{1,40}[=\uff1d]\S*)"
)
_WORD = re.compile(r"\S*")
_PUNCTUATION = ".,;:!?)]}>'\"、。，；：！？）》」"
_NEXT_LINK = re.compile(r"(?<=\s)(?=https?://)")
# The next line of a broken link, not another text: after a soft break, a parameter, or what can only be a part of one.
_NEXT_LINE = re.compile(
    r"(?<==)\r?\n\S+|[ \t]*(?:\r?\n){1,2}[ \t>|]*(?P<parameter>[&?\uff1f\uff06][\w.-]+[=\uff1d]\S*)"
    r"|[ \t]*\r?\n[ \t>|]*(?!https?:|[\w-]+:|00[0-9]{2}-|[0-9]{3}\b|[0-9A-F]{24}\b)(?=\S*[%&=/?0-9])"
    r"[\w%&=.~/+?;,@!$()*]\S*(?=[ \t]*(?:[\r\n]|\Z))"
)
_LINE_BREAK = re.compile(r"(?<!\s)\s*\n[ \t>|]*")
_MAX_LINES = 60  # of a broken link
_MAX_LINKS = 100

_METHODS = "GET|HEAD|PUT|POST|DELETE|OPTIONS"
_COMMAND = re.compile(
    r"\b(?P<curl>curl)(?:\.exe)?(?=\s+(?:[-'\"^\\$]|https?:))|\b(?:(?P<wget>wget)|(?P<aria2>aria2c))(?=\s+(?:[-'\"]|https?:))"
    r"|^[$># \t]*(?P<HTTPie>https?)(?= )|(?P<fetch>\bfetch\()|(?P<requests>\b(?:requests|httpx)\.[a-z]+\()|(?P<HTTP>^\w+ /\S* HTTP/1)|(?P<HAR>\"request\"\s*:\s*\{)"
    r"|\b(?P<PowerShell>Invoke-(?:WebRequest|RestMethod)|iwr|irm)\b",
    re.MULTILINE,
)
# A command ends with its line, unless a sign continues it; what a browser or PowerShell writes has several.
_END_OF_LINE = re.compile(r"(?<![\\^`\s])[ \t]*(?:\r?\n|\Z)")
_END_OF_BLOCK = re.compile(r"\)\s*;|\n\s*\n|\"response\"|<\?xml|<Error|^HTTP/", re.MULTILINE)
_METHOD_OPTION = re.compile(
    rf"""(?:-X\s*|--request[\s=]+|--method[\s=]+|-Method\s+|["']?method["']?\s*:\s*)["'^]*({_METHODS})\b""",
    re.IGNORECASE,
)
_METHOD_BY_OPTION = {
    "HEAD": re.compile(r"\s(?:-[a-zA-Z]*I|--head|--spider)\b"),
    "GET": re.compile(r"\s(?:-[a-zA-Z]*G|--get)\b"),
    "PUT": re.compile(r"\s(?:-[a-zA-Z]*T|--upload-file)\b"),
    "POST": re.compile(r"\s(?:-[dF]|--data[\w-]*|--form[\w-]*|--post-(?:data|file))\b"),
}
_SHELL_ESCAPE = re.compile(r"\^(?=[^\w^])|[\\`](?=[?&=])")
_TYPES = {
    "application/x-www-form-urlencoded": re.compile(
        r"\s(?:-d|--data[\w-]*|--post-(?:data|file))\b"
    ),
    "multipart/form-data": re.compile(r"\s(?:-F|--form[\w-]*)\b"),
}
_HEADER = re.compile(
    r"""(?:"name":\s*"|["'\s^])([A-Za-z][\w-]*)(?:",\s*"value":\s*"|["']?\s*[:=]\s*\^?["']?)([^"'\n^]*)"""
)
# What browsers, servers and programs write of a request, and the word before a link.
_SHOWN_METHOD = re.compile(
    rf"Request Method:?\s+({_METHODS})\b|(?:^|[>\s\"'])({_METHODS}) /\S* HTTP/[0-9]"
)
_METHOD_BEFORE = re.compile(
    rf"(?:\b({_METHODS})\s+|\b(?:requests|httpx|axios)\.({_METHODS})\()[\"'<`(]*\Z", re.IGNORECASE
)
_RAW_REQUEST = re.compile(
    rf"\b(?:{_METHODS}) (?P<path>/\S+) HTTP/[0-9.]+\s(?:.*\n){{0,20}}?[> ]*Host: *(?P<host>[\w.:-]+)",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"^(?:< )?date:[ ]*(\w{3}, [0-9]{1,2} \w{3} [0-9]{4} [0-9:]{8} GMT)"
    r"|(?:\"startedDateTime\":\s*\"|Timestamp:\s*|<(?:Server|Request)Time>)([0-9-]{10})[T ]([0-9:]{8})",
    re.IGNORECASE | re.MULTILINE,
)


class Read(NamedTuple):
    """One thing that was read, in `lines`: the first and the last, or the only one.

    `detail` is a code with its EC, a method and the headers that are signed, or a time; `source` is the program that
    wrote it, such as curl. Either may be "".
    """

    kind: Literal["link", "other link", "answer", "request", "time"]
    lines: tuple[int, ...]
    detail: str = ""
    source: str = ""


class Pasted(NamedTuple):
    """What was read in a text.

    `headers` are None where nothing shows which were sent. `time` is when the request was made, in Unix seconds.
    """

    link: str
    error: ServerError | None
    method: str
    headers: dict[str, str] | None
    time: int | None
    read: tuple[Read, ...]


class _Link(NamedTuple):
    string: str
    start: int
    end: int
    rank: int  # 0: signed for OSS, 1: signed, 2: another address, 3: a page about errors


class _Request(NamedTuple):
    method: str
    headers: dict[str, str] | None
    source: str
    start: int
    end: int


def read_pasted(text: str) -> Pasted:
    """The link, the answer, the request and its time in a text, in any order and with anything around them."""
    text = _COLOUR.sub("", text)
    links = [*_find_links(text)]
    rest = text
    for each in links:
        if each.rank < 2:
            rest = rest[: each.start] + "_" * (each.end - each.start) + rest[each.end :]
    error = find_error(rest)
    # An address in an answer is that of a request which was signed in a header.
    able = [each for each in links if each.rank < 2 or error is None or _stands_alone(text, each)]
    link = min(able, key=lambda each: each.rank, default=None)
    read = []
    if link is not None:
        read.append(Read("link", _lines(text, link.start, link.end)))
        read += [
            Read("other link", _lines(text, each.start, each.end))
            for each in able
            if each is not link and each.rank < 2
        ]
    if error is not None:
        read.append(_read_answer(text, error))
    request = _find_request(text, rest, link)
    if request.method:
        names = [printable_name(name) for name in request.headers or () if is_always_signed(name)]
        detail = ", ".join((request.method, *names[:5]))
        read.append(
            Read("request", _lines(text, request.start, request.end), detail, request.source)
        )
    time = _find_time(rest)
    moment = _TIME.search(rest)
    if time is not None and moment is not None:
        where = _lines(text, moment.start(), moment.end())
        read.append(Read("time", where, format_timestamp(time)))
    return Pasted(
        link=_SHELL_ESCAPE.sub("", link.string)
        if link and request.source
        else link.string
        if link
        else "",
        error=error,
        method=request.method,
        headers=request.headers,
        time=time,
        read=tuple(read),
    )


def _find_links(text: str) -> Iterator[_Link]:
    at = 0
    is_missing = True
    for _ in range(_MAX_LINKS):
        match = URL_START.search(text, at)
        if match is None:
            break
        start = match.start()
        at = _end_of_link(text, start)
        link = text[start:at]
        inner, wrapper = unwrap(link)
        if not wrapper and not re.match("https?", link, re.IGNORECASE):
            continue
        rank = 0 if _OF_OSS.search(inner) else 1 if _SIGNED.search(inner) else 2
        is_missing = is_missing and rank > 0
        yield _Link(link, start, at, 3 if rank == 2 and _PAGES.match(link) else rank)
    others = (*_RAW_REQUEST.finditer(text), *_BARE.finditer(text)) if is_missing else ()
    for match in others:
        if _OF_OSS.search(match["path"]):
            address = match.groupdict().get("host", "") + match["path"]
            yield _Link(f"https://{address}", match.start("path"), match.end("path"), 0)
            return


def _end_of_link(text: str, start: int) -> int:
    """Where a link ends that begins at `start`: at its closing quote, with its line, or with the last one if it is broken."""
    line = text[start : start + MAX_LENGTH + 1].partition("\n")[0]
    before = text[max(0, start - 6) : start]
    closing = next((end for begin, end in _CLOSING.items() if before.endswith(begin)), "")
    if closing and closing in line:
        return start + len(line.partition(closing)[0].rstrip("\\^"))
    line = _NEXT_LINK.split(line, maxsplit=1)[0]
    complete = COMPLETE.search(line)
    whole = _WORD.match(line, complete.end()) if complete else _LAST_PARAMETER.match(line)
    end = start + (whole or _WORD.match(line)).end()
    for _ in range(_MAX_LINES):
        joined = _LINE_BREAK.sub("", text[start:end])
        more = _NEXT_LINE.match(text, end)
        is_v4 = "x-oss-signature=" in joined
        is_whole = COMPLETE.search(joined) and ("x-oss-signature-version=" in joined or not is_v4)
        if more is None or end - start > MAX_LENGTH or (is_whole and not more["parameter"]):
            break
        end = more.end()
        if closing and closing in more[0]:
            return text.index(closing, more.start())
    is_in_sentence = re.match(r"[ \t]+\S", text[end : end + 9]) or re.search(r"\w[ :：]+\Z", before)
    return start + len(text[start:end].rstrip(_PUNCTUATION)) if is_in_sentence else end


def _stands_alone(text: str, link: _Link) -> bool:
    before = text[max(0, link.start - 200) : link.start].rpartition("\n")[2]
    form = r"[\s>$#\"'<(`\[]*(?:(?:curl|wget|https?)\b.*|Request URL:?\s*)?"
    return link.rank == 2 and re.fullmatch(form, before) is not None


def _lines(text: str, start: int, end: int) -> tuple[int, ...]:
    first = text.count("\n", 0, start) + 1
    last = first + text.count("\n", start, end)
    return (first, last) if last > first else (first,)


def _read_answer(text: str, error: ServerError) -> Read:
    known = [
        name for name in (error.code, error.ec) if re.fullmatch("[A-Za-z]{3,64}|[0-9-]{13}", name)
    ]
    places = [at for at in (text.find(name) for name in known) if at >= 0]
    detail = ", EC ".join(known) if len(known) == 2 or not error.ec else f"EC {error.ec}"
    return Read("answer", _lines(text, min(places, default=0), min(places, default=0)), detail)


def _find_request(text: str, rest: str, link: _Link | None) -> _Request:
    """What shows how the link was used: a command, a request line, or the word before it."""
    start = link.start if link else 0
    before = _METHOD_BEFORE.search(text[max(0, start - 40) : start])
    shown = before or _SHOWN_METHOD.search(text)
    method = (shown[1] or shown[2]).upper() if shown else ""
    at = start if before or not shown else shown.start()
    commands = [*_COMMAND.finditer(text, max(0, start - 4000), start + 6)] if link else []
    if not commands or link is None:
        return _Request(method, None, "", at, at)
    source = commands[-1].lastgroup or ""
    is_line = source in ("curl", "wget", "aria2", "HTTPie")
    begin = commands[-1].start()
    ends = _END_OF_LINE.search(rest, begin) if is_line else _END_OF_BLOCK.search(rest, link.end)
    end = ends.start() if ends else len(text)
    if end < link.start:
        return _Request(method, None, "", at, at)
    command = rest[begin:end].replace("-ContentType", " content-type:")
    implied = [
        name for name, option in _METHOD_BY_OPTION.items() if is_line and option.search(command)
    ]
    option = _METHOD_OPTION.search(command)
    method = option[1].upper() if option else (implied or [method or "GET"])[0]
    headers: dict[str, str] = {}
    for name, value in _HEADER.findall(command):
        headers.setdefault(name.lower(), value.strip())
    for kind, sends in _TYPES.items():
        if is_line and method != "GET" and sends.search(command):
            headers.setdefault("content-type", kind)
    sent = {name: value for name, value in headers.items() if value and name != "host"}
    return _Request(method, sent, source, begin, begin)


def _find_time(text: str) -> int | None:
    match = _TIME.search(text)
    if match is None:
        return None
    try:
        seconds = parsedate_to_datetime(match[1]).timestamp() if match[1] else None
    except ValueError:
        return None
    seconds = seconds if match[1] else parse_rfc3339(f"{match[2]}T{match[3]}Z")
    return int(seconds) if seconds is not None else None
