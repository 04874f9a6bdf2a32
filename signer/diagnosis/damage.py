"""Recognises and undoes what happens to a link on its way: line breaks, escapes, decoding."""

from __future__ import annotations

import html
import re
from base64 import urlsafe_b64decode
from typing import NamedTuple
from urllib.parse import unquote

from .. import v1

# Of a link, or of an address that leads to one in a program, such as dingtalk://.
URL_START = re.compile(
    r"https?(?::|%3a)(?:\\?/|%2f){2}|(?<!\w)(?!\w*https?:)[a-z][a-z0-9+.-]{2,20}://", re.IGNORECASE
)
_SIGNATURE = r"(?:x-oss-signature=[0-9a-f]{64}|[?&]Signature=(?:[A-Za-z0-9+/]|%2[BF]){27}(?:=|%3D))"
COMPLETE = re.compile(_SIGNATURE + "(?![0-9a-f])")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
_LINE_BREAK = re.compile(r"(?<![ \t])[ \t]*[\r\n]+[ \t>|]*")
_ENTITY = re.compile(r"&(?:#[0-9]+|#x[0-9a-f]+|[a-z]+)(?:;|%3b)", re.IGNORECASE)
_FULL_WIDTH = re.compile(r"[?\uff1f&\uff06][\w.-]{1,40}\uff1d|[\uff1f\uff06][\w.-]{1,40}=")
_NARROW = str.maketrans("\uff1f\uff06\uff1d", "?&=")
_SOURCE_ESCAPE = re.compile(r"\\(?:u00|x)(26|3d|3f|25|2f)|\\/", re.IGNORECASE)
_ENCODED_TWICE = re.compile(r"%25(?=[0-9A-Fa-f]{2})")
_TAIL = re.compile(_SIGNATURE + "([^&#].*)", re.DOTALL)
# What only the query of a signed URL has.
_SIGNED = "(?:x-oss-(?:signature|credential|date)|OSSAccessKeyId)"
_BASE64 = ("security-token", "Signature")
# Where the query begins that lost its question mark: after a sign that may stand for it, or at a name that OSS knows.
_LOST_MARK = re.compile(
    r"(?:[&;\uff1f]|%(?:25)*3F)(?=(?:(?!x-oss-)[\w%.-]){1,64}=)|(?:[&;/\uff1f]|%(?:25)*3F)?(?=(?:x-oss-[a-z-]+|x-amz-[a-z-]+"
    r"|response-[a-z-]+|versionId|OSSAccessKeyId|security-token|Signature|Expires)=)",
    re.IGNORECASE,
)
_ELLIPSIS = re.compile(r"(?:\.\.\.|…|%E2%80%A6)$")
# A link as a parameter of another address that is not signed itself, as it stands or encoded.
_WRAPPED = re.compile(
    r"[a-z][a-z0-9+.-]*://(?:(?!signature|credential|accesskeyid)[^\s#])*?[?&;]([\w.-]{1,40})=((?:https?|dingtalk)://[^?&\s]+\?.+|(?:https?|dingtalk)[:%][^&\s<>\"]+|aHR0c[\w+/-]+)",
    re.IGNORECASE | re.DOTALL,
)
# As the path of another address, or as its entire query: of a proxy, a gateway, an archive; never of OSS itself.
_IN_PATH = re.compile(
    r"[a-z][a-z0-9+.-]*://(?![^/?#\s]*\.aliyuncs\.com[/:])[^/?#\s]+/[^?#\s]*?\??(?<=[/_?])(https?(?::/{1,2}|%3A%2F%2F)\S+)",
    re.IGNORECASE,
)
_PROOFPOINT_V2 = re.compile(r"(https://urldefense\.proofpoint\.com/v2/url)\?u=([^&\s]+)")
_MAX_WRAPPERS = 5
_SIGNED_LINK = re.compile(
    "x-oss-|(?:signature|credential|accesskeyid|auth_key)(?:=|%(?:25)*3D)|(?:share|token|sign|sig)=[\\w%.~-]{16}",
    re.IGNORECASE,
)


class Damage(NamedTuple):
    """One thing that happened to a link; `sentence` holds no part of a value."""

    code: str
    sentence: str
    is_certain: bool = True


_Step = tuple[str, Damage | None]


def undo_transport_damage(string: str) -> tuple[str, tuple[Damage, ...]]:
    """The URL in a string, with all damage undone that can be undone, and what that was."""
    url = string.strip()
    damages = []
    for step in (
        _join_lines,
        _unescape,
        _decode_url,
        _restore_question_mark,
        _encode_spaces,
        _encode_delimiters,
        _decode_query,
        _remove_tail,
    ):
        url, damage = step(url)
        if damage is not None:
            damages.append(damage)
    return url, tuple(damages)


def unwrap(string: str) -> tuple[str, str]:
    """The signed link inside another address, and the parameter that held it, or "path"; else the string and ""."""
    outermost = ""
    for _ in range(_MAX_WRAPPERS):
        link, wrapper = _unwrap_once(string)
        if not wrapper:
            break
        string = link
        outermost = outermost or wrapper
    return string, outermost


def _unwrap_once(string: str) -> tuple[str, str]:
    if old := _PROOFPOINT_V2.match(string):
        string = f"{old[1]}?url={old[2].replace('-', '%').replace('_', '/')}"
    start = URL_START.search(string)
    begin = start.start() if start else 0
    match = _WRAPPED.match(string, begin)
    wrapper = match[1] if match else "path"
    match = match or _IN_PATH.match(string, begin)
    if match is None:
        return string, ""
    link = _decode_base64(match[match.lastindex or 0])
    for _ in range(4):
        link = link if "?" in link else unquote(link)
    is_signed_itself = re.search(f"[?&]{_SIGNED}=", string[match.end() :])
    if is_signed_itself or not _SIGNED_LINK.search(link):
        return string, ""
    return re.sub(r"^(https?):/+", r"\1://", link), wrapper


def _decode_base64(link: str) -> str:
    """The link of wrappers that write all of it in base64, or some letters of it behind it, as Proofpoint does."""
    link, _, end = link.partition("__;")
    encoded = link if link.startswith("aHR0c") else end.partition("!!")[0]
    try:
        decoded = urlsafe_b64decode(encoded + "==").decode()
    except ValueError:
        return link
    if encoded == link:
        return decoded
    for letter in decoded:
        link = link.replace("*", letter, 1)
    return link


def _join_lines(url: str) -> _Step:
    """Undoes soft breaks of quoted-printable, wrapped lines, quote marks of replies and invisible characters."""
    if re.search(r"=\r?\n", url) or re.search(
        r"(?:x-oss-(?:credential|date|expires)|OSSAccessKeyId)=3D", url
    ):
        sentence = (
            "The link is quoted-printable, the source of an e-mail: = at line ends, or =3D for =."
        )
        return re.sub(r"=\r?\n", "", url).replace("=3D", "="), Damage("line_broken", sentence)
    line_break = _LINE_BREAK.search(url)
    first_removed = line_break or _INVISIBLE.search(url)
    if first_removed is None:
        return url, None
    what = "line breaks" if line_break else "invisible characters"
    sentence = f"The link contains {what} {_where(url[: first_removed.start()])}."
    return _INVISIBLE.sub("", _LINE_BREAK.sub("", url)), Damage("line_broken", sentence)


def _where(start: str) -> str:
    """Which part of a URL its start ends in."""
    if "?" not in start:
        return "before its query"
    name = re.split(r"[?&]", start)[-1].partition("=")[0]
    return f"in {name}" if re.fullmatch(r"x-oss-[a-z-]{1,24}", name) else "in its query"


def _unescape(url: str) -> _Step:
    if _FULL_WIDTH.search(url):
        code = "missing_question_mark" if "?" not in url else "malformed_parameter"
        sentence = "The link has the full-width \uff1f, \uff06 or \uff1d of a Chinese keyboard."
        return url.translate(_NARROW), Damage(code, sentence)
    if _SOURCE_ESCAPE.search(url):
        plain = _SOURCE_ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else "/", url)
        return plain, Damage(
            "json_escaped", r"The link contains \u0026, \x26 or \/, as source text does."
        )
    if re.search(r"(?:\\[?&=]|\^&)", url):
        sentence = r"The link contains the shell escapes \& or \? or ^&."
        return re.sub(r"\\([?&=])|\^(&)", r"\1\2", url), Damage("shell_escaped", sentence)
    if count := len(_ENTITY.findall(url)):
        plain = _ENTITY.sub(
            lambda match: html.unescape(re.sub("%3b", ";", match[0], flags=re.IGNORECASE)), url
        )
        entities = "an HTML entity" if count == 1 else f"{count} HTML entities"
        return plain, Damage("html_escaped", f"The link contains {entities}, such as &amp; for &.")
    return url, None


def _decode_url(url: str) -> _Step:
    if not re.match(r"https?%3a", url, re.IGNORECASE):
        return url, None
    return unquote(url), Damage(
        "double_encoded", "The entire link is percent-encoded: it starts with http…%3A%2F%2F."
    )


def _restore_question_mark(url: str) -> _Step:
    mark = None if "?" in url else _LOST_MARK.search(url)
    if mark is None:
        return url, None
    sentence = "The first parameter follows the key without a question mark."
    return f"{url[: mark.start()]}?{url[mark.end() :]}", Damage("missing_question_mark", sentence)


def _encode_spaces(url: str) -> _Step:
    """Undoes raw spaces: in a token they were plus signs, in the rest of the signature line breaks.

    Elsewhere, they were mostly %20: that they were plus signs of the key, only the secret shows.
    """
    if " " not in url:
        return url, None
    path, mark, query = url.partition("?")
    if " " in path:
        sentence = "The path contains a raw space: %20 or %2B was decoded."
        # A client that encodes it again sends the right key, unless it was a plus sign.
        damage = Damage("decoded", sentence, is_certain=False)
        return path.replace(" ", "%20") + mark + query.replace(" ", "+"), damage
    names = [parameter.partition("=")[0] for parameter in query.split("&") if " " in parameter]
    if any(name.endswith(_BASE64) for name in names):
        # OSS reads a plus sign as a space too, so check_parameters still reports the value.
        pairs = [parameter.partition("=") for parameter in query.split("&")]
        parts = [
            "".join(pair).replace(" ", "+" if pair[0].endswith(_BASE64) else "%20")
            for pair in pairs
        ]
        return path + mark + "&".join(parts), None
    if names[0] in v1.REQUIRED or (names[0].startswith("x-oss-") and names[0] != "x-oss-process"):
        return url.replace(" ", ""), Damage(
            "line_broken", "A parameter of the signature contains a space."
        )
    return url.replace(" ", "%20"), Damage(
        "decoded", "The query contains a raw space: %20 or %2B was decoded."
    )


def _encode_delimiters(url: str) -> _Step:
    """Undoes a raw # or ? in the key, where the path would end."""
    query_start = re.search(rf"\?(?=[^?#]*{_SIGNED})", url)
    if query_start is None or re.search(rf"\?[^?#]*{_SIGNED}[^?]*\?", url):
        return url, None
    start = url.find("/", url.find("://") + 3)
    path = url[start : query_start.start()]
    query = url[query_start.start() :]
    if start < 0 or not {"#", "?"} & set(path):
        return url, None
    mark, code = ("#", "%23") if "#" in path else ("?", "%3F")
    path = path.replace("#", "%23").replace("?", "%3F")
    sentence = (
        f"The path contains a raw {mark}: {code} was decoded, and for OSS the key ends there."
    )
    return url[:start] + path + query, Damage("decoded", sentence)


def _decode_query(url: str) -> _Step:
    """Undoes a second encoding of the query, where a value has a percent sign that never has one."""
    path, mark, query = url.partition("?")
    if "=" not in query and re.search("%3D", query, re.IGNORECASE):
        return path + mark + unquote(query), Damage(
            "double_encoded", "The = and & of the query are percent-encoded."
        )
    names = r"x-oss-(?:credential|security-token|date|additional-headers)|\b(?:security-token|Signature)"
    match = re.search(rf"({names})=[^&]*%25[0-9A-Fa-f]{{2}}", query)
    if match is None:
        return url, None
    once = _ENCODED_TWICE.sub("%", path) + mark + _ENCODED_TWICE.sub("%", query)
    return once, Damage(
        "double_encoded",
        f"{match[1]} contains an encoded percent sign: %252F where %2F is expected.",
    )


def _remove_tail(url: str) -> _Step:
    if _ELLIPSIS.search(url):
        sentence = "The link ends in an ellipsis: it was shortened for display."
        return _ELLIPSIS.sub("", url), Damage("truncated", sentence)
    if match := _TAIL.search(url):
        return url[: match.start(1)], Damage(
            "trailing_text", "More text follows the signature.", is_certain=False
        )
    return url, None
