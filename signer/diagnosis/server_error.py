"""Finds the answer of OSS in a text: an error document, headers, or what a program wrote of it.

Sources: the OSS page "Error responses", and the page of each error code (EC). The document is read element by
element, not as XML: people paste parts of it, and browsers and terminals change its spaces.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Iterator
from typing import NamedTuple

from ..errors import InvalidLink
from .causes import CODE_BY_MESSAGE, CODES_BY_FINDING, FINDING_BY_CODE, FINDING_BY_PATTERN

_CDN_SAID = re.compile(
    r"x-tengine-error: *((?:denied by )?((?:req auth: )?\w+)[\w <>]{0,80}(?:= ?(?:black|white)list)?)",
    re.IGNORECASE,
)
_ELEMENT = re.compile(r"<([A-Za-z]{2,40})>([^<]*)</\1>")
_CUT_MESSAGE = re.compile(r"<Message>([^<]+)\Z")
_ESCAPED_XML = re.compile(r"&lt;(?:Error|Code|Message|EC)&gt;")
_JSON_ESCAPE = re.compile(r"\\(?:u00([0-9a-fA-F]{2})|([nrt\"'/\\]))")
_CONTROLS = {"n": "\n", "r": "", "t": " "}
# The header of a HEAD request, or "<?xml" or "<Error" in base64.
_ENCODED = re.compile(
    r"^(?:< )?x-oss-err:[ \t]*([\w+/-]+=*)|((?:PD94bWwg|PEVycm9y)[A-Za-z0-9+/]+=*)", re.I | re.M
)
_EC = re.compile(r"00[0-9]{2}-[0-9]{8}(?![0-9A-Fa-f])")
# What programs write between a name and its value, such as `'Code': '`, `[ErrorCode]: `, `Error Code: ` and `code="`.
_SIGN = r"""["'\]\\]*\s*(?:[:=]|=>)[\s"'\[\\]*"""
_WORD = re.compile(
    rf"(<Code>|\b(?:[Ee]rror_?)?[Cc]ode{_SIGN})?(?<![A-Za-z])([A-Z][A-Za-z]{{3,63}}?)(Error|Exception)?(?![A-Za-z])"
)
# No SDK's own codes, which it has of connections that failed.
_CAMEL_CASE = re.compile(
    r"(?!ServerError\Z|\w*(?:Timeout|Connection|Socket|Unknown|RequestError|SSL))(?:[A-Z][a-z]+){2,}[A-Z]*"
)
_MESSAGE = re.compile(
    rf"""(?:[Mm]essage|\b[Mm]sg|[Ee]rror\ info){_SIGN}([A-Za-z][^"\n{{}}<]{{2,300}}?)(?=[.,;'"\])\s]{{0,5}}(?:$|[\n"}}<]
    |[ ,;]\[?\b(?:Request|Host|Ec\b|EC\b|Status|Bucket|Object\b|Raw|__name)))""",
    re.VERBOSE,
)
_AFTER_CODE = re.compile(
    r"""["'\]]*[:,]?\s+(?!\w*(?:Request|Status|Host|Http|HTTP|Code|Time|EC|Ec|Message|Error|ERROR)(?:I[dD])?\b"""
    r"""|Why|What|How)([A-Z][^\n<>{}="?]{7,200})"""
)
_NEAR = 1500  # characters before a code in which its message and its EC may stand
_MAX_LENGTH = 1 << 16  # characters of an answer
_MAX_CODE = 64  # characters
_ARGUMENT = re.compile(
    r"credential|x-oss-(?:date|content-sha256)|(?<![\w-])(?:(?:x-oss-)?(?:expires|signature|security-token"
    r"|additional-headers)|ossaccesskeyid|authorization)\b"
)
# What OSS says of AccessDenied where somebody has no right; anything else that it says has another reason.
_NO_RIGHT = re.compile(
    r"no right|polic|acl|permission|authori[sz]|belong|anonymous|forbidden to|^access ?denied\.?$|^$"
)
# The words of AccessDeniedDetail that are known, and so are shown.
_DETAIL = re.compile(
    "oss:[A-Za-z]{3,40}|(?:Im|Ex)plicitDeny|(?:Session|Control|AssumeRole|Vpc|VpcEndpoint|AccessPoint|ResourceBased"
    "|(?:(?:Account|ResourceGroup)Level)?IdentityBased)Policy"
)


class ServerError(NamedTuple):
    """An error document of OSS, and all of its elements by name."""

    code: str
    message: str
    ec: str
    elements: dict[str, str]

    @property
    def canonical_request(self) -> str:
        """What OSS checked, of V1 its string to sign, "" if absent; from its bytes, since no paste changes them."""
        is_v4 = {"CanonicalRequest", "CanonicalRequestBytes"} & self.elements.keys()
        name = "CanonicalRequest" if is_v4 else "StringToSign"
        as_text = self.elements.get(name, "").replace("\r\n", "\n")
        as_bytes = self.elements.get(f"{name}Bytes", "").split()
        try:
            return bytes.fromhex("".join(as_bytes)).decode() if as_bytes else as_text
        except ValueError:
            return as_text

    @property
    def detail(self) -> str:
        """Who denied what, as far as its words are known, "" if absent."""
        words = (
            self.elements.get(name, "").strip()
            for name in ("AuthAction", "NoPermissionType", "PolicyType")
        )
        said = ", ".join(filter(_DETAIL.fullmatch, words))
        return f"AccessDeniedDetail: {said}." if said else ""

    @property
    def access_key_id(self) -> str:
        """The access key of the request, "" if absent."""
        return self.elements.get("OSSAccessKeyId", "").strip()

    @property
    def provided_signature(self) -> str:
        """The signature that OSS received, in lower case, "" if absent."""
        return self.elements.get("SignatureProvided", "").strip().lower()

    @property
    def timestamp(self) -> str:
        """The second line of the string to sign, "" if absent."""
        return "".join(self.elements.get("StringToSign", "").split("\n")[1:2]).strip()

    @property
    def finding(self) -> str:
        """The code of the finding that the error stands for."""
        message = self.message.lower()
        for pattern, finding in FINDING_BY_PATTERN.items():
            if re.search(pattern, f"{self.code.lower()}: {message} ec {self.ec}"):
                return finding
        by_ec = FINDING_BY_CODE.get(self.ec, "")
        if by_ec == "other_error" or self.code in CODES_BY_FINDING.get(by_ec, ()):
            return by_ec
        if self.code in ("AuthorizationQueryParametersError", "InvalidArgument"):
            if "region" in message:
                return "wrong_region"
            if "signed header" in message or "additional" in message:
                return "missing_header"
            about = f"{self.elements.get('ArgumentName', '').strip()} {message}".lower()
            if "expires" in about and "604800" in message:
                return "expires_out_of_range"
            # Another service may have the same EC, for another reason.
            is_signature = not by_ec and (
                self.code != "InvalidArgument"
                or self.ec.startswith("0002-")
                or _ARGUMENT.search(about)
            )
            return "malformed_parameter" if is_signature else "other_error"
        if self.code == "AccessDenied" and not self.detail and not _NO_RIGHT.search(message):
            return "other_error"
        return FINDING_BY_CODE.get(self.code, "other_error")


def read_error(document: str) -> ServerError:
    """As `find_error`. Raises `InvalidLink` where there is no answer."""
    error = find_error(document)
    if error is None:
        expected = "OSS's XML, from <Error> to </Error>, a header x-oss-err, x-oss-ec or X-Tengine-Error, or a code"
        raise InvalidLink(f"Invalid error document: expected {expected}.")
    return error


def find_error(text: str) -> ServerError | None:
    """The first answer of OSS or of a CDN in a text, None without one.

    It may be an error document or a part of it, also escaped or in base64; headers; what a program or a log wrote of
    it; or a code or an EC alone.
    """
    if said := _CDN_SAID.search(text):
        return ServerError(said[2], said[1].strip(), "", {"X-Tengine-Error": said[1]})
    text = _ENCODED.sub(_decode, _unescape(text), count=1)
    codes = _find_codes(text)
    code, start = next(codes, ("", 0))
    end = next((at for other, at in codes if other != code), len(text))
    ec = _EC.search(text, start, end) or _EC.search(text, max(0, start - _NEAR), end)
    if ec and not code:
        start = ec.start()
    # The rest may be of another answer.
    part = text[max(0, start - _NEAR) : min(end, start + _MAX_LENGTH)] if code or ec else text
    lower = part.lower()
    known = next((each for each in CODE_BY_MESSAGE if each in lower), "")
    at = lower.find(known)
    code = code or CODE_BY_MESSAGE.get(known, "")
    message = part[at : at + len(known)]
    if not message and (code or ec):
        after = _AFTER_CODE.match(text, start + len(code), end)
        found = _CUT_MESSAGE.search(part) or _MESSAGE.search(part) or after
        message = found[1] if found else ""
    elements = {"Code": code, "EC": ec[0] if ec else "", "Message": message}
    for name, value in reversed(_ELEMENT.findall(part)):
        elements[name] = html.unescape(value)
    code, message, number = (elements[name].strip() for name in ("Code", "Message", "EC"))
    if not code and not number:
        return None
    return ServerError(code[:_MAX_CODE], message, number[: len("0003-00000001")], elements)


def _unescape(text: str) -> str:
    """The text without the escapes of HTML and JSON around an answer."""
    if _ESCAPED_XML.search(text):
        text = html.unescape(text)
    for _ in range(2):
        text = _JSON_ESCAPE.sub(
            lambda m: chr(int(m[1], 16)) if m[1] else _CONTROLS.get(m[2], m[2]), text
        )
    return text


def _decode(encoded: re.Match[str]) -> str:
    """What was in base64, also where its end was cut; "" where it was not base64."""
    value = encoded[1] or encoded[2]
    try:
        return base64.b64decode(value[: len(value) // 4 * 4], validate=True).decode(
            errors="replace"
        )
    except (binascii.Error, ValueError):
        return ""


def _find_codes(text: str) -> Iterator[tuple[str, int]]:
    """The codes in a text, known ones or those that it calls so, and where they begin."""
    alone = text.strip()
    for match in _WORD.finditer(text):
        full = match[2] + (match[3] or "")
        code = full if full in FINDING_BY_CODE else match[2]
        # At the end, it may be cut.
        is_called_so = match[0] == alone or (match[1] and match.end() < len(text))
        if code in FINDING_BY_CODE or (is_called_so and _CAMEL_CASE.fullmatch(full)):
            yield code if code in FINDING_BY_CODE else full, match.start(2)
