"""Reads an error document of OSS, and compares its canonical request with that of a link.

Sources: the OSS page "Error responses", and the page of each error code (EC). The document is read element by
element, not as XML: people paste parts of it, and browsers and terminals change its spaces.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import unquote

from ..errors import InvalidLink

# What people and programs put in place of a secret before they pass an answer on.
_MASKED = re.compile(r"REDACTED|\*\*\*|\.\.\.|…")
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
# The codes of OSS, its finer codes (EC), and what a CDN says, for each finding.
_CODES = {
    "truncated": "0002-00000074, 0002-00000075, 0002-00000219",
    "missing_parameter": "0002-00000067, 0002-00000068, 0002-00000071, 0002-00000072, 0002-00000216",
    "malformed_parameter": "0002-00000066, 0002-00000070, 0002-00000073, 0002-00000227, 0002-00000716",
    "missing_header": "0002-00000076",
    "extra_header": "0002-00000214",
    "missing_token": "0002-00000002",
    "wrong_token": "InvalidSecurityToken, AccessKeyIdAndSecurityTokenNotMatch, 0002-00000006",
    "token_expired": "SecurityTokenExpired, 0002-00000007",
    "unknown_access_key": "InvalidAccessKeyId, 0002-00000902",
    "signature_mismatch": "SignatureDoesNotMatch, 0002-00000040, 0002-00000101, 0002-00000201, 0002-00000705",
    "unsigned": "req auth: no",
    "two_signatures": "0002-00000039",
    "network_policy": "0002-00000904",
    "expired": "req auth: expired, 0002-00000069",
    "date_in_future": "RequestTimeTooSkewed, 0002-00000504",
    "expires_out_of_range": "0002-00000232",
    "wrong_region": "AuthorizationHeaderMalformed, 0002-00000226, 0002-00000228, 0002-00000715",
    "bucket_not_in_host": "SecondLevelDomainForbidden",
    "public_endpoint_forbidden": "PublicEndpointForbidden, 0048-00000401",
    "app_package_domain": "ApkDownloadForbidden, 0048-00000203",
    "redirect_forbidden": "ExternalRedirectForbidden, 0048-00000300",
    "archived": "InvalidObjectState",
    "no_such_key": "NoSuchKey, 0026-00000001",
    "no_such_bucket": "NoSuchBucket, 0015-00000101",
    "no_such_version": "NoSuchVersion",
    "access_denied": "AccessDenied, 0003-00000001, 0003-00000201, 0003-00000203, 0003-00000204, 0003-00000301",
    "referer": "0003-00000501, 0003-00000502, 0003-00000503",
    "cors": "AccessForbidden",
    "kms_denied": "0005-00000218",
    "suspended": "UserDisable, BucketDisable, InDebt, InDebtOverdue, AbnormalBucketOwnerStatus, 0003-00000806",
    "source_address": "0002-00000119, 0002-00000225, 0002-00000602, 0002-00000604",
    "already_exists": "FileAlreadyExists",
    "precondition_failed": "PreconditionFailed, NotModified",
    "range_outside": "InvalidRange",
    "upload_refused": "EntityTooLarge, EntityTooSmall, InvalidPolicyDocument, IncorrectNumberOfFilesInPOSTRequest, "
    "MalformedPOSTRequest, 0002-00000702, 0002-00000703, 0002-00000704, 0002-00000706, 0002-00000707",
    "callback_failed": "CallbackFailed, 0007-00000202, 0007-00000203",
    "other_error": "0003-00000701, 0003-00000702, 0003-00000703, 0040-00000031",
    "cdn_mismatch": "req auth: invalid",
}
# What OSS's code and message say, in small letters, where they say more than the code or the EC.
_FINDING_BY_WORDS = {
    "v1 signature": "v1_forbidden",
    "accessdenied:.*has expired": "expired",
    "accessdenied:.*according to policy": "upload_refused",
    "accessdenied:.*specified endpoint": "wrong_region",
    "accessdenied:.*(source address|sourceip|x-oss-ac-)": "source_address",
    "accessdenied:.*referer policy": "referer",
    "accessdenied:.*(by kms|ec 0005-)|^kms": "kms_denied",
}
_FINDINGS = {code: finding for finding, codes in _CODES.items() for code in codes.split(", ")}
FINDING_BY_EC = {code: finding for code, finding in _FINDINGS.items() if code[0].isdigit()}
FINDING_BY_CODE = {
    code: finding for code, finding in _FINDINGS.items() if code not in FINDING_BY_EC
}


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
        for words, finding in _FINDING_BY_WORDS.items():
            if re.search(words, f"{self.code.lower()}: {message} ec {self.ec}"):
                return finding
        if self.ec in FINDING_BY_EC:
            return FINDING_BY_EC[self.ec]
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


class Difference(NamedTuple):
    """Where two canonical requests differ; `code` is the finding that this most probably means."""

    line: str
    code: str
    sentence: str


class CanonicalRequest(NamedTuple):
    """The lines of a canonical request; the values of a repeated parameter are joined with "&"."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    additional_headers: str
    payload: str


def parse_canonical_request(request: str) -> CanonicalRequest | None:
    """The lines of a canonical request, or of a string to sign of V1, whose payload is then ""; None for others."""
    lines = request.split("\n")
    if len(lines) > 4 and lines[-1].startswith("/"):
        path, _, resources = lines[-1].partition("?")
        pairs = [
            (name, value)
            for name, value in (("content-md5", lines[1]), ("content-type", lines[2]))
            if value
        ]
        pairs += [line.partition(":")[::2] for line in lines[4:-1]]
        resource = [pair.partition("=")[::2] for pair in resources.split("&") if pair]
        return CanonicalRequest(
            method=lines[0],
            path=path,
            query={"Expires": lines[3], **dict(resource)},
            headers=dict(pairs),
            additional_headers="",
            payload="",
        )
    if len(lines) < 6:
        return None
    query: dict[str, str] = {}
    for name, _, value in (
        parameter.partition("=") for parameter in lines[2].split("&") if parameter
    ):
        query[name] = f"{query[name]}&{value}" if name in query else value
    return CanonicalRequest(
        method=lines[0],
        path=lines[1],
        query=query,
        headers=dict(line.partition(":")[::2] for line in lines[3:-2] if line),
        additional_headers=lines[-2],
        payload=lines[-1],
    )


def compare_canonical_requests(
    received: str,
    expected: str,
    *,
    unknown_headers: frozenset[str] = frozenset(),
    knows_headers: bool = True,
) -> tuple[Difference, ...]:
    """How the request that OSS received differs from the one that the link is for, line by line.

    `unknown_headers` are those whose value is not known. Unless `knows_headers`, a header that only OSS shows may have
    been signed. No sentence holds a value that may be secret.
    """
    theirs = parse_canonical_request(received)
    ours = parse_canonical_request(expected)
    if theirs is None or ours is None:
        return ()
    differences = []
    if theirs.method != ours.method:
        sentence = f"Line 1 (method): OSS received {printable_name(theirs.method)} instead of {ours.method}."
        differences.append(Difference("verb", "wrong_method", sentence))
    if theirs.path != ours.path:
        code, what = _compare_paths(theirs.path, ours.path)
        differences.append(Difference("path", code, f"Line 2 (path): {what}."))
    differences += _compare_queries(theirs.query, ours.query)
    differences += _compare_headers(theirs.headers, ours.headers, unknown_headers, knows_headers)
    if theirs.additional_headers != ours.additional_headers:
        sentence = "Additional headers: OSS received other names than those in the link."
        differences.append(Difference("additional headers", "changed_query", sentence))
    if theirs.payload != ours.payload:
        sentence = "Payload (last line): x-oss-content-sha256 was sent but not signed, or signed but not sent."
        differences.append(Difference("payload", "extra_header", sentence))
    return tuple(differences)


def _compare_paths(received: str, expected: str) -> tuple[str, str]:
    bucket = expected.split("/")[1]
    if unquote(received) == expected:
        return "double_encoded", "OSS received it encoded twice, %2520 for %20"
    if unquote(received) == unquote(unquote(expected)):
        return "decoded", "OSS received it decoded once too often"
    if received == f"/{bucket}{expected}":
        return "bucket_twice", "OSS received it with the bucket twice"
    if received == _remove_dot_segments(expected):
        return "rewritten_key", 'a client removed its empty, "." and ".." segments'
    pairs = enumerate(zip(received, expected, strict=False))
    at = next((i for i, (a, b) in pairs if a != b), min(len(received), len(expected)))
    left = received[at : at + 24]
    right = expected[at : at + 24]
    return "changed_path", f"from character {at + 1} on, OSS received {left!r} instead of {right!r}"


def _remove_dot_segments(path: str) -> str:
    """RFC 3986 section 5.2.4; empty segments are removed too, as careless clients do."""
    segments: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            segments[-1:] = []
        elif segment not in ("", "."):
            segments.append(segment)
    is_folder = path.rpartition("/")[2] in ("", ".", "..")
    return "/" + "/".join(segments) + ("/" if is_folder and segments else "")


def _compare_queries(received: dict[str, str], expected: dict[str, str]) -> list[Difference]:
    differences = []
    added = [unquote(name) for name in received if name not in expected]
    lost = [unquote(name) for name in expected if name not in received]
    if added:
        code = (
            "token_not_signed"
            if all("security-token" in name for name in added)
            else "added_parameters"
        )
        differences.append((code, f"received {join_names(added)}, which is not in the link"))
    if lost:
        code = (
            "missing_token" if any("security-token" in name for name in lost) else "changed_query"
        )
        differences.append((code, f"did not receive {join_names(lost)} of the link"))
    for name, value in received.items():
        if value != expected.get(name, value):
            if value.count("&") > expected[name].count("&"):
                code = "added_parameters"
                how = "more than once"
            elif name in ("x-oss-credential", "x-oss-security-token") and _MASKED.search(value):
                continue
            elif value.replace("%20", "%2B") == expected[name].replace("%20", "%2B"):
                code = "plus_decoded"
                how = "with spaces for plus signs"
            elif unquote(value) == expected[name]:
                code = "double_encoded"
                how = "encoded twice"
            else:
                code = "changed_query"
                how = "with another value"
            differences.append((code, f"received {printable_name(unquote(name))} {how}"))
    return [Difference("query", code, f"Line 3 (query): OSS {what}.") for code, what in differences]


def _compare_headers(
    received: dict[str, str], expected: dict[str, str], unknown: frozenset[str], knows_headers: bool
) -> list[Difference]:
    differences = []
    for name in sorted((received.keys() | expected.keys()) - unknown):
        if received.get(name) == expected.get(name):
            continue
        if name not in expected:
            code = "extra_header"
            what = "was sent but not signed"
            if not knows_headers:
                what = "was sent. Either it was not signed with this value, or the link was signed with another secret"
        elif name not in received:
            code = "missing_header"
            what = "was signed but not sent"
        else:
            code = "wrong_host" if name == "host" else "changed_header"
            what = "was sent with another value than the signed one"
        differences.append(Difference("headers", code, f"Headers: {printable_name(name)} {what}."))
    return differences


def join_names(names: Sequence[str]) -> str:
    """Up to five names for a sentence."""
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(printable_name(name) for name in names[:5]) + more


def printable_name(name: str) -> str:
    """The name, or "a parameter" where the name may be a piece of a secret."""
    return (
        name
        if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,39}", name) and not _looks_secret(name)
        else "a parameter"
    )


def is_region(name: str) -> bool:
    """Whether it is spelt as a region; any other may be a piece of a secret."""
    return re.fullmatch(r"(?!.*[0-9a-f]{16})[a-z]{2}-[a-z0-9-]{1,30}", name) is not None


def _looks_secret(name: str) -> bool:
    """Whether a name looks less like words than like a part of a signature or of base64."""
    return (
        len(name) > 11
        and re.search(r"[a-z]{3,}(?:[-_.]|$)|^[A-Z]?[a-z]+(?:[A-Z][a-z]+)*$", name) is None
    )
