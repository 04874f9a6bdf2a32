"""Explains why a link fails: what it contains, what is wrong with it, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from textwrap import wrap
from typing import NamedTuple, TypeVar, cast

from .. import v4
from ..cdn import CdnKey, check_cdn_key, fault_of
from ..credentials import Credentials
from ..display import pieces_of, printable, redact_pieces
from ..link import check_credentials, seconds
from ..times import format_duration, format_relative, format_time, rfc3339, utc
from . import answers, checks, proofs
from .cdn import cdn_facts
from .facts import Finding, overrule, rank
from .lenient_url import NO_LINK, SIGNATURES, LenientUrl, as_unicode, parse_lenient_url
from .oss_error import (
    Difference,
    ServerError,
    is_region,
    parse_canonical_request,
    printable_name,
    read_error,
)
from .repairs import CandidateRequest

__all__ = ["Explanation", "Finding", "explain"]

T = TypeVar("T")

# What does not look like one is not shown: it may be a piece of something else.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_HOST = re.compile(
    r"(?:[\w-]{1,63}\.)*[\w-]{1,63}\.?(?::[0-9]{1,5})?|\[[0-9a-f:.]{2,45}\](?::[0-9]{1,5})?"
)
_HOST_KINDS = {
    "public": "public",
    "internal": "internal, works only inside its region",
    "accelerate": "transfer acceleration",
    "dual-stack": "dual stack, IPv4 and IPv6",
    "address": "an address, with the bucket first in the path",
    "custom": "a custom domain",
}


class Explanation(NamedTuple):
    """What a link is, and why it fails. `str()` is the full explanation in words; nothing in it is secret.

    `host` is "" for an answer without its link. `version` is "V4", "V1", "V2", "S3-compatible V4", "S3-compatible V2",
    or None without a signature. `age`, `lifetime` and `remaining` are seconds; `remaining` is negative after the
    expiry. `temporary` says whether temporary credentials signed the link. `headers` are the names that must be sent
    with it, as far as the link shows them. `signature` is whether the signature is right, None where that is not known.
    `findings` are most probable first; `differences` are where OSS's canonical request differs from the link's. A link
    that `has_token` expires at `expires_at` at the latest; earlier if the security token does, which does not show its
    own expiry.
    """

    version: str | None
    method: str
    scheme: str
    host: str
    host_kind: str
    host_region: str | None
    bucket: str | None
    key: str
    region: str | None
    issued_at: datetime | None
    expires_at: datetime | None
    age: int | None
    lifetime: int | None
    remaining: int | None
    temporary: bool
    has_token: bool
    headers: tuple[str, ...]
    signature: bool | None
    findings: tuple[Finding, ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether there are no findings."""
        return not self.findings

    def __str__(self) -> str:
        return "\n".join(map(printable, _lines(self)))

    def __repr__(self) -> str:
        return f"Explanation(version={self.version!r}, findings={[finding.code for finding in self.findings]!r})"

    def to_json(self) -> dict[str, object]:
        """The same for programs, as JSON types; times in RFC 3339."""
        members: dict[str, object] = self._asdict()
        for name, time in (("issued_at", self.issued_at), ("expires_at", self.expires_at)):
            members[name] = rfc3339(time.timestamp()) if time else None
        members["findings"] = [
            {**finding._asdict(), "title": finding.title, "advice": finding.advice}
            for finding in self.findings
        ]
        members["differences"] = [difference._asdict() for difference in self.differences]
        return members


def explain(
    url: str | None,
    *,
    error_xml: str | None = None,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    credentials: Credentials | None = None,
    now: datetime | float | None = None,
    bucket: str | None = None,
    inside: bool = False,
    cdn: CdnKey | None = None,
) -> Explanation:
    """Why a presigned URL fails, as far as the arguments show.

    `url` may be damaged, and may be surrounded by other text; it may be missing where `error_xml` is given, which is
    OSS's answer, or the headers of a HEAD or of a CDN. `method` and `headers` are those of the request; without
    `headers`, missing ones are not reported. `credentials`, or `cdn` for a link that a CDN checks, let it prove a
    fault, by trying repairs. `bucket` is the bucket of a custom domain. `inside` says that the client is in the
    bucket's region, where internal hosts work. Raises `InvalidCdnKey`, and `InvalidLink` where `url` contains no URL or
    `error_xml` no error.
    """
    clock = seconds(now)
    method = as_unicode(method).upper()
    bucket = as_unicode(bucket) if bucket is not None else None
    error = read_error(as_unicode(error_xml)) if error_xml is not None else None
    if credentials is not None:
        check_credentials(credentials)
    if cdn is not None:
        check_cdn_key(cdn)
    link = (
        parse_lenient_url(url or "", bucket or _bucket_of(error))
        if url or error is None
        else NO_LINK
    )
    service = checks.other_service(link)
    other_link = answers.find_other_link(link, error) if error is not None else None
    if service or other_link:
        link = link._replace(version=None) if service else parse_lenient_url(url or "", bucket)
        error = None
    sent = {as_unicode(name).lower(): as_unicode(value) for name, value in (headers or {}).items()}
    request = CandidateRequest(
        method=method,
        bucket=link.bucket or "",
        key=link.key,
        query=link.query,
        headers={"host": link.host, **sent},
    )

    facts = [service] if service else []
    if link.host and not service:
        facts = checks.link_facts(link, clock, sent if headers is not None else None, inside=inside)
    if cdn or any(fact.code == "unsigned" for fact in facts):
        at_cdn = [*cdn_facts(link.target, cdn, clock)]
        facts = [fact for fact in facts if fact.code != "unsigned" or not (cdn or at_cdn)] + at_cdn
    is_cut = any(fact.code == "truncated" for fact in facts)
    requests = [request]
    received = parse_canonical_request(error.canonical_request) if error is not None else None
    if received is not None:
        requests.append(
            request._replace(
                method=received.method, headers={"host": link.host, **received.headers}
            )
        )
    proof = proofs.prove(requests, link, credentials, clock, is_cut=is_cut)
    answer = None
    if error is not None:
        knows_headers = headers is not None or bool(proof.signature or proof.repairs)
        answer = answers.read_answer(
            error, facts, link, proof.request, proof.signature, knows_headers=knows_headers
        )
        facts = [*overrule(facts, answer.verdict), *answer.facts]
    elif other_link is not None:
        facts.append(other_link)
    proof, proved = proofs.weigh(proof, link, credentials, overrule(facts, proof.verdict), answer)
    findings = rank(overrule([*facts, *proved], proof.verdict))

    additional = [printable_name(name) for name in link.additional_headers if name != "host"]
    explanation = Explanation(
        version=link.version,
        method=printable_name(method),
        scheme=link.scheme,
        host=link.host if _HOST.fullmatch(link.host) or not link.host else "(not a host)",
        host_kind=link.host_kind,
        host_region=link.host_region,
        bucket=link.bucket if _BUCKET.fullmatch(link.bucket or "") else None,
        key=link.key,
        region=link.region if is_region(link.region or "") else None,
        issued_at=utc(link.issued_at),
        expires_at=utc(link.expires_at),
        age=clock - link.issued_at if link.issued_at is not None else None,
        lifetime=link.lifetime,
        remaining=link.expires_at - clock if link.expires_at is not None else None,
        temporary=link.access_key_id.startswith("STS.") or bool(link.token),
        has_token=bool(link.token),
        headers=tuple(dict.fromkeys((*additional, *filter(v4.is_always_signed, sent)))),
        signature=fault_of(cdn, link.target, 0) is None if cdn else proof.signature,
        findings=findings,
        differences=(answer.differences if answer else None) or (),
        notes=(*_notes(link, method, is_fine=not findings), *filter(None, [proof.note])),
    )
    # Of a damaged link, any part may hold its secrets.
    secrets = (
        *link.secrets,
        *(secret for secret in (credentials or ())[:3] if secret),
        *(cdn or ())[:1],
    )
    return _without(explanation, pieces_of(secrets))


def _without(value: T, pieces: frozenset[str]) -> T:
    """The value without any piece of a secret in any of its strings."""
    if isinstance(value, str):
        return cast(T, redact_pieces(value, pieces))
    if isinstance(value, tuple):
        parts = [_without(part, pieces) for part in value]
        return cast(T, value._make(parts) if hasattr(value, "_make") else tuple(parts))
    return value


def _bucket_of(error: ServerError | None) -> str | None:
    """The bucket in OSS's canonical request."""
    request = parse_canonical_request(error.canonical_request) if error else None
    return request.path.split("/")[1] or None if request and request.path.count("/") > 1 else None


def _notes(link: LenientUrl, method: str, *, is_fine: bool) -> Iterator[str]:
    if link.version in checks.VERSION_NOTES:
        yield checks.VERSION_NOTES[link.version]
    if link.bucket is None and link.version is not None:
        yield "The host is a custom domain, which does not show its bucket. The bucket is part of what is signed."
    region = link.host_region or ""
    if (
        is_fine
        and link.host_kind == "public"
        and region.startswith("cn-")
        and region != "cn-hongkong"
    ):
        yield "In mainland China, accounts new to OSS since 2025-03-20 need a custom domain (PublicEndpointForbidden)."
    if (
        is_fine
        and link.host_kind in ("public", "accelerate")
        and link.key.lower().endswith((".apk", ".ipa"))
    ):
        yield "OSS does not serve .apk and .ipa from its own domains, unless the bucket is older than 2023-08-15."
    if (
        is_fine
        and (link.lifetime or 0) > 43_200
        and (link.token or link.access_key_id.startswith("STS."))
    ):
        yield "STS credentials live 12 hours at most, Function Compute's 36: the link ends with them, if not before."
    if link.version in SIGNATURES and method == "HEAD":
        yield "GET and HEAD have different signatures: OSS refuses HEAD on a link that was signed for GET."
    if link.version in SIGNATURES and method in ("PUT", "POST"):
        yield "If a Content-Type was signed, send the same one. The link does not show whether it was."


def _lines(e: Explanation) -> Iterator[str]:
    signed = (
        f"OSS presigned URL, signature {e.version}, used with {e.method}"
        if e.version
        else "URL not signed for OSS"
    )
    yield signed if e.host else "OSS's answer, without its link"
    if e.host:
        yield f"  object     {f'oss://{e.bucket}/{e.key}' if e.bucket else f'{e.key} (bucket unknown)'}"
        yield f"  host       {e.host} ({_HOST_KINDS[e.host_kind]})"
    if e.region:
        yield f"  region     {e.region}"
    if e.issued_at and e.age is not None:
        yield f"  signed     {format_time(e.issued_at)}, {format_relative(e.age)}"
    if e.expires_at and e.remaining is not None:
        lifetime = (
            f", valid for {format_duration(e.lifetime)}" if e.lifetime and e.lifetime > 0 else ""
        )
        when = f"{format_time(e.expires_at)}, {format_relative(-e.remaining)}{lifetime}"
        if e.remaining <= 0:
            yield f"  expired    {when}"
        elif e.has_token:
            yield f"  expires    at the latest {when}; earlier if the security token does"
        else:
            yield f"  expires    {when}"
    if e.version:
        yield f"  signed by  {'temporary credentials (STS)' if e.temporary else 'a permanent access key'}"
        yield f"  headers    {', '.join(e.headers) or 'the link requires none'}"
    if e.signature is not None:
        yield f"  signature  {'matches' if e.signature else 'does not match'} with the given secret"
    yield ""
    if not e.findings:
        more = (
            "" if e.signature else " With the secret, or OSS's error document, more can be found."
        )
        yield "Nothing wrong was found." + more
    for number, finding in enumerate(e.findings, 1):
        yield from _paragraph(
            f"{number}. ", f"{finding.title} [{finding.code}, {finding.certainty}]"
        )
        yield from _paragraph("   Evidence: ", finding.evidence)
        yield from _paragraph("   Fix:      ", finding.advice)
    for note in e.notes:
        yield from _paragraph("Note: ", note)


def _paragraph(label: str, sentences: str) -> list[str]:
    indent = " " * len(label)
    return wrap(
        sentences,
        100,
        initial_indent=label,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
