"""Reads an error document of OSS.

Sources: the OSS page "Error responses", and the page of each error code (EC). The document is read element by
element, not as XML: people paste parts of it, and browsers and terminals change its spaces.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from typing import NamedTuple

from ..errors import InvalidLink
from .causes import FINDING_BY_CODE, FINDING_BY_PATTERN

_CDN_SAID = re.compile(
    r"x-tengine-error: *((?:denied by )?((?:req auth: )?\w+)[\w <>]{0,80}(?:= ?(?:black|white)list)?)",
    re.IGNORECASE,
)
_ELEMENT = re.compile(r"<([A-Za-z]{2,40})>([^<]*)</\1>")
_HEADER = re.compile(r"^(?:< )?x-oss-(ec|err):[ \t]*([\w+/=-]+)", re.IGNORECASE | re.MULTILINE)
_ANSWER = re.compile(
    r"<\?xml|<Error|^(?:< )?(?:HTTP/[0-9]|X-Tengine-Error:|x-oss-(?:ec|err):)", re.I | re.M
)
_ARGUMENT = re.compile(
    r"credential|x-oss-(?:date|content-sha256)|(?<![\w-])(?:(?:x-oss-)?(?:expires|signature|security-token"
    r"|additional-headers)|ossaccesskeyid|authorization)\b"
)
# What OSS says of AccessDenied where somebody has no right; anything else that it says has another reason.
_NO_RIGHT = re.compile(
    r"no right|polic|acl|permission|authori[sz]|belong|anonymous|^access ?denied\.?$|^$"
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
        if self.ec in FINDING_BY_CODE:
            return FINDING_BY_CODE[self.ec]
        if self.code in ("AuthorizationQueryParametersError", "InvalidArgument"):
            if "region" in message:
                return "wrong_region"
            if "signed header" in message or "additional" in message:
                return "missing_header"
            about = f"{self.elements.get('ArgumentName', '').strip()} {message}".lower()
            if "expires" in about and "604800" in message:
                return "expires_out_of_range"
            is_signature = (
                self.code != "InvalidArgument"
                or self.ec.startswith("0002-")
                or _ARGUMENT.search(about)
            )
            return "malformed_parameter" if is_signature else "other_error"
        if self.code == "AccessDenied" and not self.detail and not _NO_RIGHT.search(message):
            return "other_error"
        return FINDING_BY_CODE.get(self.code, "other_error")


def split_answer(paste: str) -> tuple[str, str | None]:
    """A link, and what OSS or a CDN answered; "" or None for what a text does not hold."""
    answer = _ANSWER.search(paste)
    if answer is None:
        return paste, None
    parts = paste[: answer.start()], paste[answer.start() :].partition("</Error>")[2]
    return next((part for part in parts if "http" in part.lower()), ""), paste[answer.start() :]


def read_error(document: str) -> ServerError:
    """Reads an error document or a part of it, also in base64; the headers x-oss-err, x-oss-ec; or a CDN's.

    Raises `InvalidLink`.
    """
    if said := _CDN_SAID.search(document):
        return ServerError(said[2], said[1].strip(), "", {"X-Tengine-Error": said[1]})
    headers = {name.lower(): value for name, value in _HEADER.findall(document)}
    if not _ELEMENT.search(document):
        try:
            encoded = headers.get("err", document)
            document = base64.b64decode(re.sub(r"\s", "", encoded), validate=True).decode()
        except (binascii.Error, ValueError):
            document = ""
    elements = {name: html.unescape(value) for name, value in _ELEMENT.findall(document)}
    if "ec" in headers:
        elements.setdefault("EC", headers["ec"])
    if "Code" not in elements and "EC" not in elements:
        expected = "OSS's XML, from <Error> to </Error>, its headers x-oss-err and x-oss-ec, or X-Tengine-Error"
        raise InvalidLink(f"Invalid error document: expected {expected}.")
    code, message, ec = (elements.get(name, "").strip() for name in ("Code", "Message", "EC"))
    return ServerError(code, message, ec, elements)
