"""What OSS answered: its error document, its codes, and where its canonical request differs from a link's.

Sources: the OSS pages "Error responses" and those of the single codes (EC). The document is read by its elements
alone, since people paste parts of it, and browsers and terminals change its blanks.
"""

from __future__ import annotations

import base64
import binascii
import html
import re
from typing import NamedTuple
from urllib.parse import unquote

from ..errors import InvalidLink

_ELEMENT = re.compile(r"<([A-Za-z]{2,40})>([^<]*)</\1>")

# OSS's finer codes, each to what it means here.
BY_EC = {
    "0002-00000040": "signature_mismatch",
    "0002-00000069": "expired",
    "0002-00000232": "expires_out_of_range",
    "0002-00000219": "truncated",
    "0002-00000076": "missing_header",
    "0002-00000902": "unknown_access_key",
    "0002-00000002": "missing_token",
    "0002-00000006": "wrong_token",
    "0002-00000007": "token_expired",
    "0002-00000504": "date_in_future",
    "0003-00000001": "access_denied",
    "0015-00000101": "no_such_bucket",
    "0026-00000001": "no_such_key",
    "0048-00000300": "redirect_forbidden",
    "0048-00000401": "public_endpoint_forbidden",
}
BY_CODE = {
    "SignatureDoesNotMatch": "signature_mismatch",
    "InvalidAccessKeyId": "unknown_access_key",
    "SecurityTokenExpired": "token_expired",
    "InvalidSecurityToken": "wrong_token",
    "RequestTimeTooSkewed": "date_in_future",
    "PublicEndpointForbidden": "public_endpoint_forbidden",
    "ExternalRedirectForbidden": "redirect_forbidden",
    "SecondLevelDomainForbidden": "bucket_not_in_host",
    "InvalidObjectState": "archived",
    "NoSuchKey": "no_such_key",
    "NoSuchBucket": "no_such_bucket",
    "NoSuchVersion": "no_such_version",
    "FileAlreadyExists": "already_exists",
    "PreconditionFailed": "precondition_failed",
    "NotModified": "precondition_failed",
    "InvalidRange": "range_outside",
    "EntityTooLarge": "upload_refused",
    "EntityTooSmall": "upload_refused",
    "InvalidPolicyDocument": "upload_refused",
    "AccessDenied": "access_denied",
}


class ServerError(NamedTuple):
    """OSS's answer, by its elements; `finding` is the code of what it means."""

    code: str
    message: str
    ec: str
    elements: dict[str, str]

    @property
    def canonical_request(self) -> str:
        """What OSS signed; from its bytes where they are there, which no paste can change. "" where absent."""
        return self._text("CanonicalRequest")

    @property
    def string_to_sign(self) -> str:
        """The string to sign as OSS made it."""
        return self._text("StringToSign")

    def _text(self, name: str) -> str:
        pairs = self.elements.get(name + "Bytes", "").split()
        try:
            return bytes.fromhex("".join(pairs)).decode() if pairs else self.elements.get(name, "")
        except ValueError:
            return self.elements.get(name, "")

    @property
    def finding(self) -> str:
        """The code of the finding that OSS's own words say."""
        message = self.message.lower()
        if self.code == "AccessDenied":
            if "has expired" in message:
                return "expired"
            if "according to policy" in message:
                return "upload_refused"
            if "specified endpoint" in message:
                return "wrong_region"
            if "source address" in message or "sourceip" in message:
                return "source_address"
        if self.ec in BY_EC:
            return BY_EC[self.ec]
        if self.code in ("AuthorizationQueryParametersError", "InvalidArgument"):
            argument = self.elements.get("ArgumentName", "")
            if "region" in message:
                return "wrong_region"
            if "signed header" in message or "additional" in message:
                return "missing_header"
            if argument == "x-oss-expires" or "expires" in message:
                return "expires_out_of_range" if "604800" in message else "malformed_parameter"
            return "malformed_parameter"
        return BY_CODE.get(self.code, "other_error")


def read_error(text: str) -> ServerError:
    """OSS's error document, whole or in part, or base64 of it as in the header x-oss-err. Raises `InvalidLink`."""
    if "<" not in text:
        try:
            text = base64.b64decode(re.sub(r"\s", "", text), validate=True).decode()
        except (binascii.Error, ValueError):
            text = ""
    elements = {name: html.unescape(value) for name, value in _ELEMENT.findall(text)}
    if "Code" not in elements and "EC" not in elements:
        raise InvalidLink("This is no error document of OSS: give its XML, from <Error> to </Error>.")
    return ServerError(
        elements.get("Code", "").strip(), elements.get("Message", "").strip(), elements.get("EC", "").strip(), elements
    )


class Difference(NamedTuple):
    """Where two canonical requests differ; `code` is what that most probably means."""

    line: str
    code: str
    sentence: str


class Canonical(NamedTuple):
    """The lines of a canonical request."""

    method: str
    path: str
    query: tuple[str, ...]
    headers: dict[str, str]
    additional: str
    payload: str


def read_canonical(request: str) -> Canonical | None:
    """A canonical request taken apart, None where it has too few lines."""
    lines = request.replace("\r\n", "\n").split("\n")
    if len(lines) < 6:
        return None
    headers = dict(line.partition(":")[::2] for line in lines[3:-2] if line)
    return Canonical(lines[0], lines[1], tuple(part for part in lines[2].split("&") if part), headers, *lines[-2:])


def differences(theirs: str, ours: str, *, unknown_headers: frozenset[str] = frozenset()) -> tuple[Difference, ...]:
    """How the request that OSS saw differs from the one that the link is for, line by line.

    `unknown_headers` are those whose value the link does not tell. No sentence holds a value that may be secret.
    """
    seen, meant = read_canonical(theirs), read_canonical(ours)
    if seen is None or meant is None:
        return ()
    found = []
    if seen.method != meant.method:
        found.append(
            Difference("verb", "wrong_method", f"Line 1, the verb: OSS saw {word(seen.method)}, not {meant.method}.")
        )
    if seen.path != meant.path:
        code, sentence = _path_difference(seen.path, meant.path)
        found.append(Difference("path", code, sentence))
    found += _query_differences(seen.query, meant.query)
    found += _header_differences(seen.headers, meant.headers, unknown_headers)
    if seen.additional != meant.additional:
        found.append(
            Difference(
                "additional headers",
                "changed_query",
                "The line of additional headers: OSS saw other names than the link has.",
            )
        )
    if seen.payload != meant.payload:
        found.append(
            Difference(
                "payload",
                "extra_header",
                "The last line, the payload: the client sent a header x-oss-content-sha256, or left it out.",
            )
        )
    return tuple(found)


def _path_difference(seen: str, meant: str) -> tuple[str, str]:
    start = "Line 2, the path: "
    bucket = meant.split("/")[1]
    if unquote(seen) == meant:
        return "double_encoded", start + "it reached OSS encoded twice, %2520 for %20."
    if unquote(seen) == unquote(unquote(meant)):
        return "decoded", start + "it reached OSS decoded once too often."
    if seen == f"/{bucket}{meant}":
        return "bucket_twice", start + "it reached OSS with the bucket in it twice."
    if seen == _normalised(meant):
        return "rewritten_key", start + "a client took segments that are empty, . or .. out of it."
    at = next((i for i, (a, b) in enumerate(zip(seen, meant, strict=False)) if a != b), min(len(seen), len(meant)))
    left, right = seen[at : at + 24], meant[at : at + 24]
    return "changed_path", f"{start}from character {at + 1} on OSS saw {left!r} where the link has {right!r}."


def _normalised(path: str) -> str:
    """The path as RFC 3986 §5.2.4 and careless clients make it."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            kept[-1:] = []
        elif segment not in ("", "."):
            kept.append(segment)
    ends = path.rpartition("/")[2] in ("", ".", "..")
    return "/" + "/".join(kept) + ("/" if ends and kept else "")


def _query_differences(seen: tuple[str, ...], meant: tuple[str, ...]) -> list[Difference]:
    theirs = {part.partition("=")[0]: part.partition("=")[2] for part in seen}
    ours = {part.partition("=")[0]: part.partition("=")[2] for part in meant}
    found = []
    extra = [name for name in theirs if name not in ours]
    lost = [name for name in ours if name not in theirs]
    if extra:
        names = ", ".join(word(unquote(name)) for name in extra)
        code = "token_not_signed" if all("security-token" in name for name in extra) else "added_parameters"
        found.append(Difference("query", code, f"Line 3, the query: OSS saw {names}, which the link does not have."))
    if lost:
        names = ", ".join(word(unquote(name)) for name in lost)
        code = "missing_token" if any("security-token" in name for name in lost) else "changed_query"
        found.append(Difference("query", code, f"Line 3, the query: {names} of the link did not reach OSS."))
    for name in (name for name in theirs if name in ours and theirs[name] != ours[name]):
        plus = theirs[name].replace("%20", "%2B") == ours[name].replace("%20", "%2B")
        twice = unquote(theirs[name]) == ours[name]
        code = "plus_decoded" if plus else "double_encoded" if twice else "changed_query"
        how = "with blanks for plus signs" if plus else "encoded twice" if twice else "with another value"
        found.append(Difference("query", code, f"Line 3, the query: {word(unquote(name))} reached OSS {how}."))
    return found


def _header_differences(seen: dict[str, str], meant: dict[str, str], unknown: frozenset[str]) -> list[Difference]:
    found = []
    for name in sorted(seen.keys() | meant.keys()):
        if name in unknown or seen.get(name) == meant.get(name):
            continue
        if name not in meant:
            code, what = "extra_header", "was sent, and it is signed whenever it is sent"
        elif name not in seen:
            code, what = "missing_header", "was signed but not sent"
        else:
            code = "wrong_host" if name == "host" else "changed_header"
            what = "was sent with another value than was signed"
        found.append(Difference("headers", code, f"The headers: {word(name)} {what}."))
    return found


def word(name: str) -> str:
    """A name that can be printed: one that may be a piece of a secret is not."""
    return name if re.fullmatch(r"[A-Za-z][A-Za-z0-9_.-]{0,39}", name) and not _is_secret_like(name) else "a parameter"


def _is_secret_like(name: str) -> bool:
    """Whether a name looks like digits of a signature or a piece of base64 more than like words."""
    return len(name) > 11 and re.search(r"[a-z]{3,}(?:[-_.]|$)|^[A-Z]?[a-z]+(?:[A-Z][a-z]+)*$", name) is None
