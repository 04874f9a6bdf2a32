"""What happens to a link on its way: line breaks, escapes, decoding. Each is recognised and undone."""

from __future__ import annotations

import html
import re
from typing import NamedTuple
from urllib.parse import unquote

_START = re.compile(r"https?(?::|%3a)(?:\\?/|%2f){2}", re.IGNORECASE)
_CLOSERS = {"<": ">", '"': '"', "'": "'", "(": ")", "[": "]", "`": "`", "“": "”", "«": "»"}
_COMPLETE = re.compile(r"x-oss-signature=[0-9a-f]{64}(?![0-9a-f])")
_INVISIBLE = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
_BREAK = re.compile(r"(?<![ \t])[ \t]*[\r\n]+[ \t>|]*")
_ENTITY = re.compile(r"&(?:#[0-9]+|#x[0-9a-f]+|[a-z]+)(?:;|%3b)", re.IGNORECASE)
_ENCODED_TWICE = re.compile(r"%25(?=[0-9A-Fa-f]{2})")
_TAIL = re.compile(r"(x-oss-signature=[0-9a-f]{64})([^&#].*)", re.DOTALL)
_ELLIPSIS = re.compile(r"(?:\.\.\.|…|%E2%80%A6)$")


class Damage(NamedTuple):
    """One thing that happened to the text of a link; `evidence` holds no part of a value."""

    code: str
    evidence: str


class Mended(NamedTuple):
    """A link with the damage undone that can be undone."""

    url: str
    damages: tuple[Damage, ...]


def mend(text: str) -> Mended:
    """The URL that stands in a text, as it was before it was damaged."""
    url, damages = _found(text.strip()), []
    for step in (_joined, _unescaped, _decoded_whole, _encoded_blanks, _encoded_delimiters, _decoded_query, _tail):
        url, damage = step(url)
        if damage is not None:
            damages.append(damage)
    return Mended(url, tuple(damages))


def _found(text: str) -> str:
    """What begins with http, without the brackets or quotes that enclose it and the words before it."""
    start = _START.search(text)
    if start is None or start.start() == 0:
        return text
    closer = _CLOSERS.get(text[start.start() - 1])
    text = text[start.start() :]
    return text.partition(closer)[0] if closer else text


Step = tuple[str, "Damage | None"]


def _joined(url: str) -> Step:
    """Lines put together: soft breaks of quoted-printable, wrapped lines, quote marks of replies, invisible marks."""
    first, line_break, _ = url.partition("\n")
    if line_break and _COMPLETE.search(first):
        return first.rstrip(), Damage("trailing_text", "Behind the link another line was copied with it.")
    if re.search(r"=\r?\n", url) or re.search(r"x-oss-(?:credential|date|expires)=3D", url):
        url = re.sub(r"=\r?\n", "", url).replace("=3D", "=")
        return url, Damage(
            "line_broken", "The text is quoted-printable, the raw form of an e-mail: = at line ends, or =3D for =."
        )
    joined = _INVISIBLE.sub("", _BREAK.sub("", url))
    if joined != url:
        what = "line breaks" if _BREAK.search(url) else "invisible characters"
        return joined, Damage("line_broken", f"There are {what} within the link, {_where(url, joined)}.")
    return url, None


def _where(url: str, joined: str) -> str:
    at = next((i for i, (a, b) in enumerate(zip(url, joined, strict=False)) if a != b), len(joined))
    if "?" not in url[:at]:
        return "before its query"
    name = re.split(r"[?&]", url[:at])[-1].partition("=")[0]
    return f"in {name}" if re.fullmatch(r"x-oss-[a-z-]{1,24}", name) else "in its query"


def _unescaped(url: str) -> Step:
    if re.search(r"\\u0026|\\/", url, re.IGNORECASE):
        plain = re.sub(r"\\u0026", "&", url, flags=re.IGNORECASE).replace("\\u003d", "=").replace("\\/", "/")
        return plain, Damage("json_escaped", r"The link stands as in a JSON text: \u0026 or \/.")
    if re.search(r"(?:\\[?&=]|\^&)", url):
        return re.sub(r"\\([?&=])|\^(&)", r"\1\2", url), Damage(
            "shell_escaped", r"A shell's escapes are in the link: \& or \? or ^&."
        )
    count = len(_ENTITY.findall(url))
    if count:
        plain = _ENTITY.sub(lambda found: html.unescape(re.sub("%3b", ";", found[0], flags=re.IGNORECASE)), url)
        marks = "an HTML entity stands" if count == 1 else f"{count} HTML entities stand"
        return plain, Damage("html_escaped", f"In place of plain characters {marks} in the link, such as &amp; for &.")
    return url, None


def _decoded_whole(url: str) -> Step:
    if re.match(r"https?%3a", url, re.IGNORECASE):
        return unquote(url), Damage(
            "double_encoded", "The link is percent-encoded as a whole: it begins http…%3A%2F%2F."
        )
    return url, None


def _encoded_blanks(url: str) -> Step:
    """Raw blanks: in the path and in free values %20 was decoded, in a token a plus sign was, elsewhere text broke."""
    if " " not in url:
        return url, None
    path, mark, query = url.partition("?")
    if " " in path:
        return path.replace(" ", "%20") + mark + query.replace(" ", "+"), Damage(
            "decoded", "There is a raw blank in the path: %20 was decoded."
        )
    if _COMPLETE.search(query.partition(" ")[0]):
        return path + mark + query.partition(" ")[0], Damage("trailing_text", "Behind the link there is more text.")
    names = [part.partition("=")[0] for part in query.split("&") if " " in part]
    token = next((name for name in names if name.endswith("security-token")), None)
    if token is not None:
        # Told by the token itself, which then holds a plus sign where base64 has none.
        head, _, rest = query.partition(token + "=")
        value, ampersand, tail = rest.partition("&")
        free = head.replace(" ", "%20") + f"{token}={value.replace(' ', '+')}" + ampersand + tail.replace(" ", "%20")
        return path + mark + free, None
    name = names[0]
    if name.startswith("x-oss-") and name != "x-oss-process":
        return url.replace(" ", ""), Damage("line_broken", "There is a blank within the signature's parameters.")
    return url.replace(" ", "%20"), Damage("decoded", "There is a raw blank in the query: %20 was decoded.")


def _encoded_delimiters(url: str) -> Step:
    """A raw # or ? that belongs to the key cuts the path where %23 or %3F would not."""
    marker = re.search(r"\?(?=[^?#]*x-oss-(?:signature|credential|date))", url)
    if marker is None or re.search(r"\?[^?#]*x-oss-(?:signature|credential|date)[^?]*\?", url):
        return url, None
    start = url.find("/", url.find("://") + 3)
    path, query = url[start : marker.start()], url[marker.start() :]
    if start < 0 or not {"#", "?"} & set(path):
        return url, None
    mark, code = ("#", "%23") if "#" in path else ("?", "%3F")
    path = path.replace("#", "%23").replace("?", "%3F")
    return url[:start] + path + query, Damage(
        "decoded", f"There is a raw {mark} in the path: {code} was decoded, and all behind it is lost to OSS."
    )


def _decoded_query(url: str) -> Step:
    """A query that was encoded a second time, told by what no credential, date or token holds: a percent sign."""
    path, mark, query = url.partition("?")
    if "=" not in query and re.search("%3D", query, re.IGNORECASE):
        return path + mark + unquote(query), Damage("double_encoded", "The query's own = and & are percent-encoded.")
    spoilt = re.search(r"(x-oss-(?:credential|security-token|date|additional-headers))=[^&]*%25[0-9A-Fa-f]{2}", query)
    if spoilt is None:
        return url, None
    once = _ENCODED_TWICE.sub("%", path) + mark + _ENCODED_TWICE.sub("%", query)
    return once, Damage("double_encoded", f"In {spoilt[1]} a percent sign is itself encoded: %252F where %2F belongs.")


def _tail(url: str) -> Step:
    if _ELLIPSIS.search(url):
        return _ELLIPSIS.sub("", url), Damage("truncated", "The link ends in an ellipsis, so it was cut to be shown.")
    found = _TAIL.search(url)
    if found:
        return url[: found.start(2)], Damage(
            "trailing_text", "Behind the 64 digits of the signature there is more that was copied with the link."
        )
    return url, None
