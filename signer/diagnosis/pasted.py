"""Reads what people paste: the link, OSS's answer, the request and its time, with anything around them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.utils import mktime_tz, parsedate_tz
from operator import itemgetter
from typing import Literal, NamedTuple

from ..common.display import printable_name
from ..times import parse_rfc3339
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
# By the first that it has, a link is signed for OSS, signed otherwise, another address, or a page about errors.
_RANKS = (
    re.compile(
        r"x-oss-(?:signature|credential|date|expires|access-key-id)|ossaccesskeyid|[?&]signature=",
        re.I,
    ),
    re.compile(
        r"(?:signature|credential|accesskeyid|auth_key|token|share|sign|sig)(?:=|%3D)", re.I
    ),
    re.compile(r"^(?!https?://(?:[\w-]+\.)*(?:api|help|www)\.(?:aliyun|alibabacloud)\.com/)"),
    re.compile(""),
)
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
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
_PUNCTUATION = ".,;:!?)]}>'\"\u3001\u3002\uff0c\uff1b\uff1a\uff01\uff1f\uff09\u300b\u300d"
_NEXT_LINK = re.compile(r"(?<=\s)(?=[\"'<(]?https?://)")
# The next line of a broken link, not another text: after a soft break, a parameter, or what can only be a part of one.
_NEXT_LINE = re.compile(
    r"(?<==)\r?\n(?!https?:)\S+|[ \t]*(?:\r?\n){1,2}[ \t>|]{0,20}(?P<parameter>[&?\uff1f\uff06][\w.-]+[=\uff1d]\S*)"
    r"|[ \t]*\r?\n[ \t>|]{0,20}(?!\S*https?:|[\w.-]+\.aliyuncs\.com/|[\w-]+:|00[0-9]{2}-|[0-9]{3}\b|[0-9A-F]{24}\b)"
    r"(?=\S*[%&=/?0-9])[\w%&=.~/+?;,@!$()*]\S*(?=[ \t]*(?:[\r\n]|\Z))"
)
_LINE_BREAK = re.compile(r"(?<!\s)\s*\n[ \t>|]*")
_MAX_LINES = 60  # of a broken link
_MAX_LINKS = 100

_METHODS = "GET|HEAD|PUT|POST|DELETE|OPTIONS"
_COMMAND = re.compile(
    r"\b(?P<curl>curl)(?:\.exe)?(?=\s+(?:[-'\"^\\$]|https?:))|\b(?:(?P<wget>wget)|(?P<aria2>aria2c))(?=\s+(?:[-'\"]|https?:))"
    r"|^[$># \t]*(?P<HTTPie>https?)(?= )|(?P<fetch>\bfetch\()"
    r"|(?P<requests>\b(?:requests|httpx)\.[a-z]+\()|(?P<HTTP>^[A-Z]{3,7} (?=/))|(?P<HAR>\"request\"\s*:\s*\{)"
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
_ONE_LINE = ("curl", "wget", "aria2", "HTTPie")
_OPTIONS = {
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
    rf"(?:\b({_METHODS})\s+|\b(?:requests|httpx|axios)\.({_METHODS})\(|\.open\([\"']({_METHODS})[\"'], *)[\"'<`(]*\Z",
    re.IGNORECASE,
)
_RAW_REQUEST = re.compile(
    rf"\b(?:{_METHODS}) (?P<path>/\S+) HTTP/[0-9.]+\s(?:.*\n){{0,20}}?[> ]*Host: *(?P<host>[\w.:-]+)",
    re.IGNORECASE,
)
# A time as it is written, with its day, its time of the day and its zone.
_CLOCK = (
    r"(?P<written>(?P<day>20[0-9]{2}(?:[-/][0-9]{2}){2})[T ](?P<clock>[0-9]{2}(?::[0-9]{2}){2})(?:[.,][0-9]+)?"
    r"(?: ?(?P<zone>Z\b|[+-][0-9]{2}:?[0-9]{2}(?![0-9])))?)"
)
_TIME = re.compile(
    r"^(?:< )?date:[ ]*(?P<date>\w{3}, [0-9]{1,2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
    r" 20[0-9]{2} [0-9:]{8} GMT)"
    rf"|(?:\"startedDateTime\":\s*\"|Timestamp:\s*|<(?:Server|Request)Time>){_CLOCK}",
    re.IGNORECASE | re.MULTILINE,
)
# Of a log: where its line begins, after its level, or as a member of it.
_LOG_TIME = re.compile(
    r"(?:^[ \t>\[(]{0,8}(?:[A-Z]{4,8}\b[^\w\n]{1,4})?|(?<![\w-])(?:ts|time|timestamp)(?:=|[\"'] ?[=:]>?)[ \"']{0,4})"
    + _CLOCK,
    re.MULTILINE,
)
_MAX_OFFSET = 14 * 3600  # seconds between the time of a place and UTC
_NUMBER = (
    r"(?P<status>20[0-6]|4[0-3][0-9]|499|5[0-3][0-9])(?![a-z0-9_%]|[.,:/-][0-9]|\.\w|[ ]Connection)"
)
_SEPARATOR = r"""["'\s:\uff1a=>(_-]"""
_WITH_REASON = rf"""(?<![\w./-])(?<![0-9][:,]){_NUMBER}
    (?:[ \t"'`:\uff1a)(,\]-]{{1,4}}(?:Forbidden|Not\ Found|Bad\ (?:Request|Gateway)|Unauthorized|Method\ Not|Conflict
        |Precondition|(?:Requested\ )?Range\ Not|Internal\ Server|Service\ (?:Temp|Un)|Gateway\ Time|Length\ Req
        |Too\ Many|Request\ (?:Time|Entity)|OK\b|Partial|(?:Client|Server)\ Error)
    |[ ]?(?:报错|错误|禁止)|,\ (?:message[=:]|null,))"""
_AFTER_ITS_NAME = rf"""(?:HTTP(?:/[0-9.]{{1,3}})?|status|(?:response|error)[ _-]?code|状态代?码|<Response[ ]\[)
    (?:{_SEPARATOR}{{0,4}}(?:codes?|error|status|response|of|was|unacceptable|状态)){{0,3}}{_SEPARATOR}{{0,6}}{_NUMBER}"""
# After a word that may count other things, unless one follows.
_AFTER_A_VERB = rf"""(?:\b(?:returns?|returned|error|got|gets?|gives?|success|with)(?:[ ](?:an?|me|error))*|forbidden
        |返回|提示|显示|报错?|出现|访问|打开|错误)[:\uff1a]?[ ]?\(?(?=[45]){_NUMBER}
    (?![ ](?!_|http|error|for|from|on|when|while|but|and|in\b|at\b)|[个条行次字份张项页])"""
_ALONE_IN_LINE = rf"^[ \t]*{_NUMBER}[ \t]*$"
# As git-lfs and Java say it, which do not write the number.
_IN_WORDS = r"""(?P<status>Authorization\ error|object\ not\ found|FileNotFoundException|LFS:\ (?:Client|Server)\ error)
    :\ _{20,}(?!_|[ ]from[ ]HTTP)"""
_STATUS_FORMS = tuple(
    re.compile(form, re.IGNORECASE | re.MULTILINE | re.VERBOSE)
    for form in (_WITH_REASON, _AFTER_ITS_NAME, _AFTER_A_VERB, _ALONE_IN_LINE, _IN_WORDS)
)
_STATUS_OF_WORDS = {
    "lfs: client error": "400",
    "authorization error": "403",
    "object not found": "404",
    "filenotfoundexception": "404",
    "lfs: server error": "500",
}
_BESIDE = 1 << 13  # characters between a link and its status


class Read(NamedTuple):
    """One thing that was read, in `lines`: the first and the last, or the only one.

    `detail` is a code with its EC, a status, a method and the headers that are signed, or a time; `source` is the
    program that wrote it, such as curl. Either may be "".
    """

    kind: Literal["link", "other link", "answer", "status", "request", "time"]
    lines: tuple[int, ...]
    detail: str = ""
    source: str = ""


class Pasted(NamedTuple):
    """What was read in a text.

    `status` is that of a failed request without its answer, such as "403", else "". `headers` are None where nothing
    shows which were sent. `time` is when the request was made, in Unix seconds, and
    `log_time` between which times it was, where a log says it, whose time may be that of any zone.
    """

    link: str
    error: ServerError | None
    status: str
    method: str
    headers: dict[str, str] | None
    time: int | None
    log_time: tuple[int, int] | None
    read: tuple[Read, ...]


class _Link(NamedTuple):
    string: str
    start: int
    end: int
    rank: int  # 0: signed for OSS, 1: signed, 2: another address, 3: a page about errors


_NO_LINK = _Link(string="", start=0, end=0, rank=3)


def read_pasted(text: str) -> Pasted:
    """The link, the answer, the request and its time in a text, in any order and with anything around them."""
    plain = _COLOUR.sub("", text)
    whole = [*_find_links(plain)]
    links = whole if any(each.rank == 0 for each in whole) else [*whole, *_find_bare_links(plain)]
    rest = _hide(plain, [each for each in links if each.rank < 2])
    error = find_error(rest)
    # An address in an answer is that of a request which was signed in a header.
    able = [each for each in links if each.rank < 2 or error is None or _stands_alone(plain, each)]
    link = min(able, key=lambda each: each.rank, default=_NO_LINK)
    match = _find_status(rest, links, link) if error is None else None
    said_at, said = _read_outcome(plain, error, match)
    # A log is read up to the line of the answer.
    end_of_log = f"{rest}\n".find("\n", said_at) if said else 0
    time, log_time, moment = _find_time(plain, rest, said_at, end_of_log)
    method, headers, request = _find_request(plain, rest, link)
    of_links = [
        Read("link" if each is link else "other link", _lines(plain, each.start, each.end))
        for each in able
        if each is link or (each.rank < 2 and each.string != link.string)
    ]
    return Pasted(
        link=link.string if headers is None else _undo_escapes(link.string),
        error=error,
        status=said[0].detail if match else "",
        method=method,
        headers=headers,
        time=time,
        log_time=log_time,
        read=(*of_links, *said, *moment, *filter(None, [request])),
    )


def _hide(text: str, links: list[_Link]) -> str:
    """The text without what stands in its links, at the same places."""
    for each in links:
        text = f"{text[: each.start]}{'_' * (each.end - each.start)}{text[each.end :]}"
    return text


def _read_outcome(
    text: str, error: ServerError | None, match: re.Match[str] | None
) -> tuple[int, list[Read]]:
    """Where the answer stands, or the status of a failure, and what is read of it."""
    if error is not None:
        answer_at = max(0, text.find(error.code or error.ec))
        names = ", ".join(filter(None, (error.code, error.ec and f"EC {error.ec}")))
        return answer_at, [Read("answer", _lines(text, answer_at, answer_at), names)]
    if match is None:
        return 0, []
    word = match["status"].lower()
    status = _STATUS_OF_WORDS.get(word, word)
    return match.start(), [Read("status", _lines(text, match.start(), match.end()), status)]


def _find_time(
    text: str, rest: str, said_at: int, end_of_log: int
) -> tuple[int | None, tuple[int, int] | None, list[Read]]:
    """When the request was made, or between which times, as a log says it whose zone may be missing."""
    stated = _TIME.search(rest)
    logged = _LOG_TIME.finditer(rest, max(0, said_at - 4000), end_of_log)
    moment = stated or max(logged, key=re.Match.start, default=None)
    if moment is None:
        return None, None, []
    date = moment.groupdict().get("date")
    lines = _lines(text, moment.start(), moment.end())
    read = [Read("time", lines, date or moment["written"])]
    parsed = parsedate_tz(date)
    zone = re.sub("([0-9]{2}):?([0-9]{2})", r"\1:\2", moment["zone"] or "Z")
    day = (moment["day"] or "").replace("/", "-")
    exact = mktime_tz(parsed) if parsed else parse_rfc3339(f"{day}T{moment['clock']}{zone}")
    time = int(exact) if exact is not None else None
    if stated or time is None:
        return time, None, read
    margin = 0 if moment["zone"] else _MAX_OFFSET
    return None, (time - margin, time + margin), read


def _undo_escapes(link: str) -> str:
    """The link as a shell, or a reader of JSON, passes it on."""
    return _SHELL_ESCAPE.sub("", link.replace("\\u0026", "&"))


def _find_links(text: str) -> Iterator[_Link]:
    end = 0
    for _ in range(_MAX_LINKS):
        match = URL_START.search(text, end)
        if match is None:
            return
        end = _end_of_link(text, match.start())
        link = text[match.start() : end]
        inner, wrapper = unwrap(link)
        if wrapper or link[:4].lower() == "http":
            rank = next(rank for rank, form in enumerate(_RANKS) if form.search(inner))
            yield _Link(string=link, start=match.start(), end=end, rank=rank)


def _find_bare_links(text: str) -> Iterator[_Link]:
    """Links without a scheme, or as the first lines of a request."""
    for match in (*_RAW_REQUEST.finditer(text), *_BARE.finditer(text)):
        if _RANKS[0].search(match["path"]):
            url = f"https://{match.groupdict().get('host', '')}{match['path']}"
            yield _Link(string=url, start=match.start("path"), end=match.end("path"), rank=0)


def _end_of_link(text: str, start: int) -> int:
    """Where the link at `start` ends: at its closing quote, or with its line, the last one of a broken link."""
    line = text[start : start + MAX_LENGTH + 1].partition("\n")[0]
    before = re.sub(r"[A-Z]{3,7} \Z", "", text[max(0, start - 12) : start])
    closing = next((end for begin, end in _CLOSING.items() if before.endswith(begin)), "")
    if closing and closing in line:
        return start + _length_of_quoted(line, closing)
    first = _NEXT_LINK.split(line, maxsplit=1)[0]
    last = COMPLETE.search(first) or _LAST_PARAMETER.match(first)
    word = _WORD.match(first, last.end() if last else 0)
    end = _end_of_broken(text, start, start + (word.end() if word else 0), closing)
    is_after_space = re.match(r"[ \t]+\S", text[end : end + 9])
    is_in_sentence = is_after_space or re.search(r"\w[ :=\uff1a]+\Z", before)
    return start + len(text[start:end].rstrip(_PUNCTUATION)) if is_in_sentence else end


def _length_of_quoted(line: str, closing: str) -> int:
    quoted = line.partition(closing)[0].rstrip("\\^")
    return len(quoted.partition("|")[0] if closing == ">" else quoted)


def _end_of_broken(text: str, start: int, first_end: int, closing: str) -> int:
    """Where the last line ends of the link whose first one goes to `first_end`, which may be the only one."""
    before_on_line = text[text.rfind("\n", 0, start) + 1 : start].strip()
    is_quoted = before_on_line.startswith(">") or not text[:start].strip()
    end = first_end
    for _ in range(_MAX_LINES):
        joined = _LINE_BREAK.sub("", text[start:end])
        more = _NEXT_LINE.match(text, end)
        is_v4 = "x-oss-signature=" in joined
        is_whole = COMPLETE.search(joined) and ("x-oss-signature-version=" in joined or not is_v4)
        if more is None or end - start > MAX_LENGTH or (is_whole and not more["parameter"]):
            break
        if "?" in joined and "?" in more[0]:  # of two links
            break
        # Quoted lines go on with a quoted one, whose mark may be lost at the start of a paste.
        if more[0].lstrip().startswith(">") and not (is_quoted or closing):
            break
        end = more.end()
        if closing and closing in more[0]:
            return text.index(closing, more.start())
    return end


def _stands_alone(text: str, link: _Link) -> bool:
    before = text[max(0, link.start - 200) : link.start].rpartition("\n")[2]
    form = r"[\s>$#\"'<(`\[]*(?:(?:curl|wget|https?)\b.*|Request URL:?\s*)?"
    return link.rank == 2 and re.fullmatch(form, before) is not None


def _lines(text: str, start: int, end: int) -> tuple[int, ...]:
    first = text.count("\n", 0, start) + 1
    last = first + text.count("\n", start, end)
    return (first, last) if last > first else (first,)


def _find_status(rest: str, links: list[_Link], link: _Link) -> re.Match[str] | None:
    """The status of a failure that is the nearest to the link, unless that of a success is nearer."""
    own = [each for each in links if each.string == link.string]
    beside = [
        (max(each.start - match.end(), match.start() - each.end), match)
        for each in (*own[:1], *own[1:][-1:])
        for form in _STATUS_FORMS
        for match in form.finditer(rest, max(0, each.start - _BESIDE), each.end + _BESIDE)
    ]
    for _, match in sorted(beside, key=itemgetter(0)):
        start = rest.rfind("\n", 0, match.start()) + 1
        line = rest[start : rest.find("\n", match.end())]  # without the last character of a text
        addresses = {each.string for each in links if start <= each.start < start + len(line)}
        # In a line with other addresses alone, it is theirs.
        if link.string in addresses or not (addresses or "://" in line):
            return None if match["status"].startswith("2") else match
    return None


def _find_request(
    text: str, rest: str, link: _Link
) -> tuple[str, dict[str, str] | None, Read | None]:
    """How the link was used, as a command, a request line or the word before it shows: the method, and the headers."""
    word = _METHOD_BEFORE.search(text, max(0, link.start - 40), link.start)
    shown = word or _SHOWN_METHOD.search(text)
    begin = shown.start() if shown else 0
    methods = [next(filter(None, shown.groups())).upper()] if shown else []
    headers = None
    source = ""
    for command in _COMMAND.finditer(text, max(0, link.start - 4000), link.start + 6):
        is_line = command.lastgroup in _ONE_LINE
        last = (
            _END_OF_LINE.search(rest, command.start())
            if is_line
            else _END_OF_BLOCK.search(rest, link.end)
        )
        end = last.start() if last else len(rest)
        if end < link.end:
            continue
        begin = command.start()
        source = command.lastgroup or ""
        part = rest[begin:end].replace("-ContentType", " content-type:")
        implied = [name for name, option in _OPTIONS.items() if is_line and option.search(part)]
        methods = _METHOD_OPTION.findall(part) + implied + (methods or ["GET"])
        headers = {name.lower(): value.strip() for name, value in reversed(_HEADER.findall(part))}
        for kind, option in _TYPES.items() if methods[0] != "GET" and is_line else ():
            if option.search(part):
                headers.setdefault("content-type", kind)
        # curl does not send a header without a value.
        headers = {name: value for name, value in headers.items() if value}
    if not methods:
        return "", None, None
    method = methods[0].upper()
    names = [printable_name(name) for name in headers or () if is_always_signed(name)]
    where = _lines(text, begin, begin)
    return method, headers, Read("request", where, ", ".join((method, *names[:5])), source)
