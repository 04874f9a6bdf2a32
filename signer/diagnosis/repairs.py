"""With the secret: undo what may have happened to a link, one thing at a time, until the signature matches."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote, unquote_plus

from .. import v4
from ..credentials import Credentials
from ..endpoint import Endpoint
from ..signed_request import REQUIRED
from ..verification import verify_request
from .checks import added_after_signing
from .lenient_url import Reading
from .oss_error import word

_METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE")
_LIVES = (60, 120, 180, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 14400, 21600, 28800, 36000, 43200, 86400,
          172800, 259200, 432000, 604800)  # fmt: skip
_TYPES = (
    "application/octet-stream", "application/json", "application/pdf", "application/zip", "application/xml",
    "application/x-www-form-urlencoded", "text/plain", "text/plain; charset=utf-8", "text/plain;charset=UTF-8",
    "text/html", "text/csv", "image/jpeg", "image/png", "image/gif", "image/webp", "image/svg+xml", "video/mp4",
    "audio/mpeg", "multipart/form-data",
)  # fmt: skip
_NEVER_DROPPED = frozenset((*REQUIRED, "x-oss-security-token"))


class Request(NamedTuple):
    """A request as OSS would check it; `headers` by lower-case name."""

    method: str
    bucket: str
    key: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]

    def value(self, name: str) -> str:
        """The last value of a parameter, "" where there is none."""
        return dict(self.query).get(name, "")

    def having(self, **parameters: str | None) -> Request:
        """The request with these x-oss- parameters set, or left out where None."""
        named = {f"x-oss-{name.replace('_', '-')}": value for name, value in parameters.items()}
        kept = [pair for pair in self.query if pair[0] not in named]
        return self._replace(query=(*kept, *((name, value) for name, value in named.items() if value is not None)))


class Repair(NamedTuple):
    """A request as it may have been signed, and what then happened to it."""

    code: str
    sentence: str
    request: Request


def matches(request: Request, credentials: Credentials) -> bool:
    """Whether the signature is right for this very request, whatever else is wrong with it."""
    return verify_request(
        request.method,
        request.bucket,
        request.key,
        request.query,
        request.headers,
        credentials=credentials,
        now=0,
    ).signature


def begins(request: Request, credentials: Credentials) -> bool:
    """Whether a signature that was cut is the beginning of the right one."""
    cut = request.value("x-oss-signature")
    checked = verify_request(
        request.method,
        request.bucket,
        request.key,
        request.having(signature="0").query,
        request.headers,
        credentials=credentials,
        now=0,
    )
    if not checked.string_to_sign or not checked.access_key_id:
        return False
    _, issued_at, scope, _ = checked.string_to_sign.split("\n")
    date, region, product, _ = scope.split("/")
    key = v4.signing_key(credentials.access_key_secret, date, region, product)
    return v4.signature(key, checked.string_to_sign).startswith(cut) and issued_at.startswith(date)


def find(request: Request, link: Reading, credentials: Credentials) -> tuple[Repair, ...]:
    """The repair, or the two, that make the signature match; empty where none does."""
    usual = list(_usual(request, link, credentials))
    for first in (*usual, *_guesses(request, link)):
        if matches(first.request, credentials):
            return (first,)
    for first in usual:
        for second in _usual(first.request, link, credentials):
            if second.code != first.code and matches(second.request, credentials):
                return (first, second)
    return ()


def _usual(request: Request, link: Reading, credentials: Credentials) -> Iterator[Repair]:
    """What often happens, and so may happen together."""
    yield from _of_method(request)
    yield from _of_token(request, credentials)
    yield from _of_query(request, link)
    yield from _of_headers(request)
    yield from _of_path(request, link)


def _guesses(request: Request, link: Reading) -> Iterator[Repair]:
    """Usual values for what the link does not show or no longer has."""
    yield from _of_lost_headers(request)
    yield from _of_host(request, link)
    yield from _of_values(request, link)


def _of_method(request: Request) -> Iterator[Repair]:
    for method in _METHODS:
        if method != request.method:
            sentence = f"The signature is right for {method}, and the method here is {word(request.method)}."
            yield Repair("wrong_method", sentence, request._replace(method=method))


def _of_token(request: Request, credentials: Credentials) -> Iterator[Repair]:
    token = request.value("x-oss-security-token")
    if " " in token:
        sentence = "With a plus sign for each blank in the token, the signature matches."
        yield Repair("plus_decoded", sentence, request.having(security_token=token.replace(" ", "+")))
    if token:
        sentence = "Without the security token the signature matches, so it was not signed."
        yield Repair("token_not_signed", sentence, request.having(security_token=None))
    by_old_name = tuple(pair for pair in request.query if pair[0] != "security-token")
    if by_old_name != request.query:
        sentence = "Without security-token, its name in V1, the signature matches."
        yield Repair("token_not_signed", sentence, request._replace(query=by_old_name))
    if "x-oss-security-token" in request.headers:
        kept = {name: value for name, value in request.headers.items() if name != "x-oss-security-token"}
        sentence = "Without the security token among the headers the signature matches, so it was not signed."
        yield Repair("token_not_signed", sentence, request._replace(headers=kept))
    if credentials.security_token and token != credentials.security_token:
        lost = not token
        sentence = (
            f"With the credentials' own token {'added' if lost else 'in place of this one'}, the signature matches."
        )
        repaired = request.having(security_token=credentials.security_token)
        yield Repair("missing_token" if lost else "wrong_token", sentence, repaired)


def _of_query(request: Request, link: Reading) -> Iterator[Repair]:
    free = [name for name, _ in request.query if name not in _NEVER_DROPPED]
    likely = [name for name in added_after_signing(link) if name in free]
    for names in [[name] for name in dict.fromkeys((*likely, *free))] + [likely, free]:
        if names:
            kept = tuple(pair for pair in request.query if pair[0] not in names)
            shown = ", ".join(word(name) for name in names[:5])
            sentence = f"Without {shown} the signature matches."
            yield Repair("added_parameters", sentence, request._replace(query=kept))
    raw = [pair for pair in link.raw_query if pair[0] != "x-oss-signature"]
    signature = ("x-oss-signature", request.value("x-oss-signature"))
    for code, sentence, pairs in (
        ("plus_decoded", "With plus signs, not blanks, for those in the query", raw),
        ("double_encoded", "With the query decoded once more", [p for p in request.query if p[0] != signature[0]]),
    ):
        other = (*((unquote(name), unquote(value)) for name, value in pairs), signature)
        if sorted(other) != sorted(request.query):
            yield Repair(code, sentence + " the signature matches.", request._replace(query=other))
    undecoded = {name: value for name, value in link.raw_query if "%" in value}
    once_less = tuple((name, undecoded.get(name, value) if name in free else value) for name, value in request.query)
    if once_less != request.query:
        sentence = "With the query's values decoded once less the signature matches."
        yield Repair("decoded", sentence, request._replace(query=once_less))


def _of_headers(request: Request) -> Iterator[Repair]:
    signed = [name for name in request.headers if v4.is_always_signed(name)]
    for names in [[name] for name in signed] + ([signed] if len(signed) > 1 else []):
        kept = {name: value for name, value in request.headers.items() if name not in names}
        sentence = f"Without the header {', '.join(word(name) for name in names)} the signature matches."
        yield Repair("extra_header", sentence, request._replace(headers=kept))


def _of_lost_headers(request: Request) -> Iterator[Repair]:
    given = request.headers.get("content-type")
    for kind in _TYPES:
        if kind != given:
            sentence = f"With the header Content-Type: {kind} the signature matches."
            headers = {**request.headers, "content-type": kind}
            yield Repair("changed_header" if given else "missing_header", sentence, request._replace(headers=headers))
    if given and ";" in given:
        headers = {**request.headers, "content-type": given.partition(";")[0].strip()}
        sentence = "Without what follows the semicolon of Content-Type the signature matches."
        yield Repair("changed_header", sentence, request._replace(headers=headers))
    for name in ("x-oss-forbid-overwrite", "x-oss-object-acl"):
        if name not in request.headers:
            value = "true" if name.endswith("overwrite") else "private"
            sentence = f"With the header {name}: {value} the signature matches."
            yield Repair("missing_header", sentence, request._replace(headers={**request.headers, name: value}))


def _of_path(request: Request, link: Reading) -> Iterator[Repair]:
    key, bucket = request.key, request.bucket
    readings = [
        ("double_encoded", "decoded once more", unquote(key)),
        ("decoded", "decoded once less", link.path),
        ("plus_decoded", "with blanks for its plus signs", unquote_plus(link.path)),
        ("rewritten_key", "with a slash before it", "/" + key),
        ("rewritten_key", "with a slash behind it", key + "/"),
        ("rewritten_key", "without the slash behind it", key.removesuffix("/")),
        ("rewritten_key", "with its accents composed (NFC)", unicodedata.normalize("NFC", key)),
        ("rewritten_key", "with its accents decomposed (NFD)", unicodedata.normalize("NFD", key)),
        ("bucket_twice", "without the bucket before it", key.removeprefix(bucket + "/")),
        ("rewritten_key", "with its slashes encoded", unquote(unquote(key))),
    ]
    for code, how, other in readings:
        if other != key:
            yield Repair(code, f"With the key {how} the signature matches.", request._replace(key=other))


def _of_host(request: Request, link: Reading) -> Iterator[Repair]:
    if "host" not in link.additional:
        return
    region = link.region or "cn-hangzhou"
    hosts = []
    for endpoint in (
        Endpoint("https", f"oss-{region}.aliyuncs.com", region),
        Endpoint("https", f"oss-{region}-internal.aliyuncs.com", region),
        Endpoint("https", "oss-accelerate.aliyuncs.com", region),
        Endpoint("https", "oss-accelerate-overseas.aliyuncs.com", region),
        Endpoint("https", f"{region}.oss.aliyuncs.com", region),
    ):
        hosts += [endpoint.host(request.bucket), endpoint.domain]
    for host in hosts:
        if host != request.headers.get("host"):
            sentence = f"With the host {host} the signature matches."
            yield Repair("wrong_host", sentence, request._replace(headers={**request.headers, "host": host}))


def _of_values(request: Request, link: Reading) -> Iterator[Repair]:
    for life in _LIVES:
        if str(life) != request.value("x-oss-expires"):
            sentence = f"With x-oss-expires={life} the signature matches, so the link was made for that."
            yield Repair("altered_parameter", sentence, request.having(expires=str(life)))
    if link.host_region and link.region and link.host_region != link.region:
        credential = request.value("x-oss-credential").replace(f"/{link.region}/", f"/{link.host_region}/")
        sentence = "With the host's region in x-oss-credential the signature matches."
        yield Repair("altered_parameter", sentence, request.having(credential=credential))
