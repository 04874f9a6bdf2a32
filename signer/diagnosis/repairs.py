"""With the secret: undoes what may have happened to a link, until the signature matches."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus

from .. import v1, v4
from ..common.display import join_names, printable_name
from ..credentials import Credentials
from ..signed_request import REQUIRED
from ..verification import verify_request
from .checks import added_after_signing
from .lenient_url import V1, LenientUrl

_METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")
_LIFETIMES = (
    60,
    120,
    180,
    300,
    600,
    900,
    1200,
    1800,
    3600,
    7200,
    10800,
    14400,
    21600,
    28800,
    36000,
    43200,
    86400,
    172800,
    259200,
    432000,
    604800,
)
_CONTENT_TYPES = (
    "application/octet-stream",
    "application/json",
    "application/pdf",
    "application/zip",
    "application/xml",
    "application/x-www-form-urlencoded",
    "text/plain",
    "text/html",
    "text/csv",
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "image/svg+xml",
    "video/mp4",
    "audio/mpeg",
    "multipart/form-data",
)
_CHARSETS = (
    "",
    *(
        f";{space}charset={name}"
        for space in (" ", "")
        for name in ("utf-8", "UTF-8", "utf8", "UTF8")
    ),
)
_MAX_SPACES = 8  # of a key, that are tried one by one
_MAX_PLUS = 3  # repairs of plus signs, beside which a lost one is searched
_MAX_PLACES = 2_048  # of a token or a key, at which a plus sign is tried
_TOKEN = "x-oss-security-token"  # noqa: S105 - a name
_NEVER_ADDED = frozenset((*REQUIRED, _TOKEN))


class CandidateRequest(NamedTuple):
    """A request as OSS would check it; `headers` by lower-case name."""

    method: str
    bucket: str
    key: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]

    def value(self, name: str) -> str:
        """The last value of a parameter, "" if it is missing."""
        return dict(self.query).get(name, "")

    def with_parameter(self, name: str, value: str) -> CandidateRequest:
        """The request with one value for this parameter."""
        return self._replace(query=(*self.without_parameters(name).query, (name, value)))

    def without_parameters(self, *names: str) -> CandidateRequest:
        return self._replace(query=tuple(pair for pair in self.query if pair[0] not in names))

    def with_header(self, name: str, value: str) -> CandidateRequest:
        return self._replace(headers={**self.headers, name: value})

    def without_headers(self, *names: str) -> CandidateRequest:
        return self._replace(
            headers={name: value for name, value in self.headers.items() if name not in names}
        )


class Repair(NamedTuple):
    """A request as it may have been signed; `change` continues the words "The signature matches"."""

    code: str
    change: str
    request: CandidateRequest


def signature_matches(request: CandidateRequest, credentials: Credentials) -> bool:
    """Whether the signature is right for exactly this request, even if it has expired."""
    return verify_request(*request, credentials=credentials, now=0).signature


def signature_is_cut(request: CandidateRequest, link: LenientUrl, credentials: Credentials) -> bool:
    """Whether the signature is the beginning of the right one."""
    parsable = request.with_parameter(link.signature_name, "0")
    string_to_sign = verify_request(*parsable, credentials=credentials, now=0).string_to_sign
    return bool(string_to_sign) and _sign(string_to_sign, credentials).startswith(
        link.signature.partition("%")[0]
    )


def is_signed(canonical_request: str, request: CandidateRequest, credentials: Credentials) -> bool:
    """Whether the signature of a request is right for this canonical request instead of its own."""
    string_to_sign = verify_request(*request, credentials=credentials, now=0).string_to_sign
    if not string_to_sign or not canonical_request:
        return False
    if not string_to_sign.startswith(v4.ALGORITHM):
        return _sign(canonical_request, credentials) == request.value("Signature")
    timestamp, scope = string_to_sign.split("\n")[1:3]
    received = v4.string_to_sign(timestamp, scope, canonical_request)
    return _sign(received, credentials) == request.value("x-oss-signature")


def _sign(string_to_sign: str, credentials: Credentials) -> str:
    if not string_to_sign.startswith(v4.ALGORITHM):
        return v1.signature(credentials.access_key_secret, string_to_sign)
    date, region, product, _ = string_to_sign.split("\n")[2].split("/")
    key = v4.signing_key(credentials.access_key_secret, date, region, product)
    return v4.signature(key, string_to_sign)


def find_repairs(
    request: CandidateRequest, link: LenientUrl, credentials: Credentials
) -> tuple[Repair, ...]:
    """The repair, or the two repairs, with which the signature matches, or ()."""
    common = list(_common_repairs(request, link, credentials))
    # Common values for what the link does not show or no longer has.
    guesses = (
        *_guess_headers(request),
        *_guess_host(request, link),
        *_guess_parameters(request, link),
    )
    for first in (*common, *guesses):
        if signature_matches(first.request, credentials):
            return (first,)
    # What was lost without a trace, alone or together with another plus sign of the token or of the key.
    plus = [repair for repair in common if repair.code == "plus_decoded"][:_MAX_PLUS]
    for before in ((), *((repair,) for repair in plus)):
        for repair in _restore_plus(before[-1].request if before else request, link):
            if signature_matches(repair.request, credentials):
                return (*before, repair)
    for first in common:
        for second in _common_repairs(first.request, link, credentials):
            # Plus signs may be lost in the token and in the key.
            is_other = second.code != first.code or first.code == "plus_decoded"
            if is_other and signature_matches(second.request, credentials):
                return (first, second)
    return ()


def lacks_plus_signs(token: str, credentials: Credentials) -> bool:
    """Whether a token is that of the credentials, but for plus signs that were lost or became spaces."""
    own = credentials.security_token or ""
    return token != own and re.sub("[+ ]", "", token) == own.replace("+", "") != ""


def _restore_plus(request: CandidateRequest, link: LenientUrl) -> Iterator[Repair]:
    """A plus sign that was lost, at each place of the token and of the key."""
    token = request.value(link.token_name)
    if max(len(token), len(request.key)) > _MAX_PLACES:
        return
    for at in range(len(token)):
        change = f"with a plus sign as character {at + 1} of the security token"
        repaired = request.with_parameter(link.token_name, _insert_plus(token, at))
        yield Repair("plus_decoded", change, repaired)
    for at in range(len(request.key) + 1):
        change = f"with a plus sign as character {at + 1} of the key"
        repaired = request._replace(key=_insert_plus(request.key, at))
        yield Repair("plus_decoded", change, repaired)


def _insert_plus(value: str, at: int) -> str:
    return f"{value[:at]}+{value[at:]}"


def _common_repairs(
    request: CandidateRequest, link: LenientUrl, credentials: Credentials
) -> Iterator[Repair]:
    """What happens often, and so may happen together."""
    yield from _repair_method(request)
    yield from _repair_token(request, link, credentials)
    yield from _repair_query(request, link)
    yield from _repair_headers(request)
    yield from _repair_key(request, link)


def _repair_method(request: CandidateRequest) -> Iterator[Repair]:
    for method in _METHODS:
        if method != request.method:
            change = f"with the method {method} instead of {printable_name(request.method)}"
            yield Repair("wrong_method", change, request._replace(method=method))


def _repair_token(
    request: CandidateRequest, link: LenientUrl, credentials: Credentials
) -> Iterator[Repair]:
    token = request.value(link.token_name)
    for what, name in (("security token", link.token_name), ("signature", link.signature_name)):
        if " " in request.value(name):
            repaired = request.with_parameter(name, request.value(name).replace(" ", "+"))
            yield Repair(
                "plus_decoded", f"with plus signs instead of spaces in the {what}", repaired
            )
    if token:
        yield Repair(
            "token_not_signed",
            "without the security token",
            request.without_parameters(link.token_name),
        )
    repaired = request.without_parameters(v1.TOKEN)
    if repaired != request and link.version != V1:
        yield Repair("token_not_signed", "without security-token, its name in V1", repaired)
    if _TOKEN in request.headers:
        yield Repair(
            "token_not_signed", f"without the header {_TOKEN}", request.without_headers(_TOKEN)
        )
    if lacks_plus_signs(token, credentials):
        repaired = request.with_parameter(link.token_name, credentials.security_token or "")
        yield Repair("plus_decoded", "with the plus signs of the security token", repaired)
    elif credentials.security_token and token != credentials.security_token:
        code, place = ("wrong_token", " instead of this one") if token else ("missing_token", "")
        repaired = request.with_parameter(link.token_name, credentials.security_token)
        yield Repair(code, f"with the security token of the credentials{place}", repaired)


def _repair_query(request: CandidateRequest, link: LenientUrl) -> Iterator[Repair]:
    never = _NEVER_ADDED | {link.token_name}
    removable = [
        n
        for n, _ in request.query
        if n not in never and (link.version != V1 or n in v1.SUB_RESOURCES)
    ]
    likely = [name for name in added_after_signing(link) if name in removable]
    for names in [[name] for name in dict.fromkeys((*likely, *removable))] + [likely, removable]:
        if names:
            yield Repair(
                "added_parameters",
                f"without {join_names(names)}",
                request.without_parameters(*names),
            )
    raw = [pair for pair in link.raw_query if pair[0] != link.signature_name]
    decoded = request.without_parameters(link.signature_name).query
    signature = (link.signature_name, request.value(link.signature_name))
    for code, change, pairs in (
        ("plus_decoded", "with plus signs instead of spaces in the query", raw),
        ("double_encoded", "with the query decoded once more", decoded),
    ):
        query = (*((unquote(name), unquote(value)) for name, value in pairs), signature)
        if sorted(query) != sorted(request.query):
            yield Repair(code, change, request._replace(query=query))
    encoded = {name: value for name, value in link.raw_query if "%" in value and name in removable}
    query = tuple((name, encoded.get(name, value)) for name, value in request.query)
    if query != request.query:
        yield Repair(
            "decoded",
            "with the values of the query decoded once less",
            request._replace(query=query),
        )


def _repair_headers(request: CandidateRequest) -> Iterator[Repair]:
    signed = [name for name in request.headers if v4.is_always_signed(name)]
    for names in [[name] for name in signed] + ([signed] if len(signed) > 1 else []):
        yield Repair(
            "extra_header",
            f"without the header {join_names(names)}",
            request.without_headers(*names),
        )


def _repair_key(request: CandidateRequest, link: LenientUrl) -> Iterator[Repair]:
    key = request.key
    spaces = [at for at, letter in enumerate(key) if letter == " "]
    signs = [
        (f"space {number}", f"{key[:at]}+{key[at + 1 :]}")
        for number, at in enumerate(spaces[:_MAX_SPACES], 1)
    ]
    for space, repaired in (("each space", key.replace(" ", "+")), *signs) if spaces else ():
        change = f"with a plus sign instead of {space} in the key"
        yield Repair("plus_decoded", change, request._replace(key=repaired))
    for code, change, repaired in (
        ("double_encoded", "with the key decoded once more", unquote(key)),
        ("decoded", "with the key decoded once less", link.path),
        ("plus_decoded", "with spaces instead of plus signs in the key", unquote_plus(link.path)),
        ("rewritten_key", "with a slash before the key", "/" + key),
        ("rewritten_key", "with a slash after the key", key + "/"),
        ("rewritten_key", "without the slash after the key", key.removesuffix("/")),
        (
            "rewritten_key",
            "with the accents of the key composed (NFC)",
            unicodedata.normalize("NFC", key),
        ),
        (
            "rewritten_key",
            "with the accents of the key decomposed (NFD)",
            unicodedata.normalize("NFD", key),
        ),
        (
            "bucket_twice",
            "without the bucket before the key",
            key.removeprefix(request.bucket + "/"),
        ),
        ("rewritten_key", "with the key decoded twice more", unquote(unquote(key))),
    ):
        if repaired != key:
            yield Repair(code, change, request._replace(key=repaired))


def _guess_headers(request: CandidateRequest) -> Iterator[Repair]:
    sent = request.headers.get("content-type")
    code = "changed_header" if sent else "missing_header"
    for content_type in (known + charset for known in _CONTENT_TYPES for charset in _CHARSETS):
        if content_type != sent:
            repaired = request.with_header("content-type", content_type)
            yield Repair(code, f"with the header Content-Type: {content_type}", repaired)
    if sent and ";" in sent:
        repaired = request.with_header("content-type", sent.partition(";")[0].strip())
        yield Repair(code, "with Content-Type cut at its semicolon", repaired)
    for name, value in (("x-oss-forbid-overwrite", "true"), ("x-oss-object-acl", "private")):
        if name not in request.headers:
            yield Repair(
                "missing_header",
                f"with the header {name}: {value}",
                request.with_header(name, value),
            )


def _guess_host(request: CandidateRequest, link: LenientUrl) -> Iterator[Repair]:
    if "host" not in link.additional_headers:
        return
    region = link.region or "cn-hangzhou"
    for domain in (
        f"oss-{region}.aliyuncs.com",
        f"oss-{region}-internal.aliyuncs.com",
        "oss-accelerate.aliyuncs.com",
        "oss-accelerate-overseas.aliyuncs.com",
        f"{region}.oss.aliyuncs.com",
    ):
        for host in (f"{request.bucket}.{domain}", domain):
            if host != request.headers.get("host"):
                yield Repair(
                    "wrong_host", f"with the host {host}", request.with_header("host", host)
                )


def _guess_parameters(request: CandidateRequest, link: LenientUrl) -> Iterator[Repair]:
    if link.version == V1:
        return  # Its expiry is a point in time, and it has no region.
    for lifetime in map(str, _LIFETIMES):
        if lifetime != request.value("x-oss-expires"):
            repaired = request.with_parameter("x-oss-expires", lifetime)
            yield Repair("altered_parameter", f"with x-oss-expires={lifetime}", repaired)
    if link.host_region and link.region and link.host_region != link.region:
        credential = request.value("x-oss-credential").replace(
            f"/{link.region}/", f"/{link.host_region}/"
        )
        repaired = request.with_parameter("x-oss-credential", credential)
        yield Repair(
            "altered_parameter", "with the region of the host in x-oss-credential", repaired
        )
