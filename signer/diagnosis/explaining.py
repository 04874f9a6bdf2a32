"""Explains why a link fails: what it contains, what is wrong with it, and what to do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple, TypeVar, cast

from .. import v4
from ..cdn import CdnKey, check_cdn_key, fault_of
from ..common.display import pieces_of, printable_name, redact_pieces
from ..credentials import Credentials
from ..errors import (
    InvalidBucket,
    InvalidHeader,
    InvalidLink,
    InvalidMethod,
    check_type,
    string_pairs,
)
from ..link import MAX_EXPIRES_IN, check_access_key, seconds
from ..times import utc
from . import answers, checks, proofs
from .canonical_request import Difference, parse_canonical_request
from .cdn import cdn_evidence
from .evidence import Evidence, Finding, overrule, rank
from .explanation import Explanation
from .lenient_url import (
    NO_LINK,
    S3_V2,
    S3_V4,
    SIGNATURES,
    V1,
    LenientUrl,
    as_unicode,
    is_region,
    parse_lenient_url,
)
from .pasted import Pasted, Read, read_pasted
from .repairs import CandidateRequest
from .server_error import ServerError, read_error

T = TypeVar("T")

# What does not look like one is not shown: it may be a piece of something else.
_BUCKET = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_HOST = re.compile(
    # Without a dot it is one of this machine or of a container.
    r"(?:(?:[\w-]{1,63}\.)+[\w-]{0,63}|[\w-]{1,30}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?"
)


# A damaged credential has the fixed words of a signature in what seems its key.
_FIXED_WORDS = pieces_of(("aliyun_v4_request",))


def explain(
    url: str | None,
    *,
    error_xml: str | None = None,
    method: str | None = None,
    headers: Mapping[str, str] | None = None,
    credentials: Credentials | None = None,
    now: datetime | float | None = None,
    bucket: str | None = None,
    inside: bool = False,
    cdn: CdnKey | None = None,
) -> Explanation:
    """Why a presigned URL fails, as far as the arguments show.

    `url` may be damaged, and may be a whole text with anything around the link: OSS's answer, an exception, a log,
    a command; `read` of the result says what was read. The link may be missing where there is an answer, or
    `error_xml` is given, which counts before the answer in the text, and may be the headers of a HEAD or of a CDN.
    A status beside the link counts where no answer says more. `method` and `headers` are those of the request:
    without them, those that the text shows, or GET. Where nothing shows the headers, missing ones are not reported.
    `credentials`, or `cdn` for a link that a CDN checks, let it prove a fault, by trying repairs. `now` is the time
    of the request: without it, that which the text shows beside an answer, or the clock's; that of a log says only
    whether the link had expired. `bucket` is the bucket of a custom domain. `inside` says that the client is in the
    bucket's region, where internal hosts work. Raises `InvalidCdnKey`, and `InvalidLink` where `url` contains
    neither a URL nor an answer, or `error_xml` no error.
    """
    _check_arguments(url, error_xml, method, bucket)
    if credentials is not None:
        check_access_key(credentials)
    if cdn is not None:
        check_cdn_key(cdn)
    facts = _read(url, error_xml, method, headers, now, bucket)
    judgement = _judge(facts, credentials, cdn, inside=inside)
    explanation = _present(facts, judgement, cdn)
    return _without(explanation, _secrets(facts, credentials, cdn))


class Facts(NamedTuple):
    """What the arguments and the pasted text say, before it is judged.

    `error` is OSS's answer to `link`, and `foreign` the evidence that the answer, or the link, has another service or
    link. `sent` are the headers of the request; where `knows_headers`, no other was sent. `now` and `log_time` are
    when the link was used, in Unix seconds.
    """

    link: LenientUrl
    error: ServerError | None
    foreign: Evidence | None
    status: str
    method: str
    sent: dict[str, str]
    knows_headers: bool
    now: int
    log_time: tuple[int, int] | None
    read: tuple[Read, ...]

    @property
    def request(self) -> CandidateRequest:
        """The request as the link and the text show it."""
        return CandidateRequest(
            method=self.method,
            bucket=self.link.bucket or "",
            key=self.link.key,
            query=self.link.query,
            headers={"host": self.link.host, **self.sent},
        )

    @property
    def received(self) -> CandidateRequest | None:
        """The request with the method and the headers that OSS received, where its answer says so."""
        received = parse_canonical_request(self.error.canonical_request) if self.error else None
        if received is None:
            return None
        headers = {"host": self.link.host, **received.headers}
        return self.request._replace(method=received.method, headers=headers)


class Judgement(NamedTuple):
    """What is wrong, most probable first. `is_fine` says that at most the status of the answer is."""

    findings: tuple[Finding, ...]
    proof: proofs.Proof
    differences: tuple[Difference, ...]
    is_fine: bool


def _check_arguments(
    url: str | None, error_xml: str | None, method: str | None, bucket: str | None
) -> None:
    for what, argument, kind in (
        ("link", url, InvalidLink),
        ("error_xml", error_xml, InvalidLink),
        ("method", method, InvalidMethod),
        ("bucket name", bucket, InvalidBucket),
    ):
        if argument is not None:
            check_type(what, argument, str, kind)


def _read(
    url: str | None,
    error_xml: str | None,
    method: str | None,
    headers: Mapping[str, str] | None,
    now: datetime | float | None,
    bucket: str | None,
) -> Facts:
    pasted = _read_pasted(url, error_xml)
    error = pasted.error
    is_dated = now is None and (error is not None or pasted.status != "")
    known_bucket = as_unicode(bucket) if bucket is not None else None
    string = pasted.link or ("" if error else url or "")
    link = _parse(string, known_bucket, error)
    known_headers = headers if headers is not None else pasted.headers
    pairs = string_pairs("headers", known_headers, InvalidHeader)
    facts = Facts(
        link=link,
        error=error,
        foreign=checks.other_service(link) or answers.find_other_link(link, error),
        status=pasted.status,
        method=as_unicode(method or pasted.method or "GET").upper(),
        sent={as_unicode(name).lower(): as_unicode(value) for name, value in pairs},
        knows_headers=known_headers is not None,
        now=seconds(pasted.time if is_dated else now),
        log_time=pasted.log_time if is_dated else None,
        read=pasted.read,
    )
    if facts.foreign is None:
        return facts
    if facts.foreign.code == "other_link":
        return facts._replace(link=parse_lenient_url(string, known_bucket), error=None)
    return facts._replace(link=link._replace(version=None), error=None)


def _read_pasted(url: str | None, error_xml: str | None) -> Pasted:
    pasted = read_pasted(as_unicode(url or ""))
    if error_xml is None:
        return pasted
    document = as_unicode(error_xml)
    beside = [part for part in pasted.read if part.kind not in ("answer", "status")]
    return pasted._replace(
        error=read_error(document), status="", read=(*beside, *read_pasted(document).read)
    )


def _parse(string: str, bucket: str | None, error: ServerError | None) -> LenientUrl:
    if error is None:
        return parse_lenient_url(string, bucket)
    try:
        return parse_lenient_url(string, bucket or _bucket_of(error)) if string else NO_LINK
    except InvalidLink:
        return NO_LINK


def _judge(
    facts: Facts, credentials: Credentials | None, cdn: CdnKey | None, *, inside: bool
) -> Judgement:
    link = facts.link
    shown = _shown(facts, cdn, inside=inside)
    is_cut = any(piece.code == "truncated" for piece in shown)
    requests = [*filter(None, (facts.request, facts.received))]
    proof = proofs.prove(requests, link, credentials, facts.now, is_cut=is_cut)
    answer = answers.judge(_said(facts, facts.error, shown, proof)) if facts.error else None
    known = [*overrule(shown, answer.verdict), *answer.evidence] if answer else shown
    weighed, proved = proofs.weigh(proof, link, credentials, overrule(known, proof.verdict), answer)
    left = overrule([*known, *proved], weighed.verdict)
    of_status = (
        answers.read_status(facts.status, left, link, weighed.request, weighed.signature)
        if facts.status
        else []
    )
    return Judgement(
        findings=rank([*left, *of_status]),
        proof=weighed,
        differences=(answer.said.differences if answer else None) or (),
        is_fine=not left,
    )


def _shown(facts: Facts, cdn: CdnKey | None, *, inside: bool) -> list[Evidence]:
    """What the link shows, also of a CDN's signature."""
    link = facts.link
    foreign = [facts.foreign] if facts.foreign else []
    is_of_oss = link.host and all(piece.code != "other_service" for piece in foreign)
    sent = facts.sent if facts.knows_headers else None
    own = (
        checks.link_evidence(link, facts.now, sent, inside=inside, log_time=facts.log_time)
        if is_of_oss
        else []
    )
    shown = [*own, *foreign]
    if not cdn and all(piece.code != "unsigned" for piece in shown):
        return shown
    at_cdn = [*cdn_evidence(link.target, cdn, facts.now)]
    is_of_cdn = cdn or at_cdn
    return [piece for piece in shown if piece.code != "unsigned" or not is_of_cdn] + at_cdn


def _said(
    facts: Facts, error: ServerError, shown: list[Evidence], proof: proofs.Proof
) -> answers.Said:
    knows_headers = facts.knows_headers or bool(proof.signature or proof.repairs)
    differences = answers.find_differences(
        proof.request, facts.link, error, knows_headers=knows_headers
    )
    return answers.Said(
        error=error,
        link=facts.link,
        request=proof.request,
        evidence=tuple(shown),
        signature=proof.signature,
        knows_headers=knows_headers,
        differences=differences,
    )


def _present(facts: Facts, judgement: Judgement, cdn: CdnKey | None) -> Explanation:
    link = facts.link
    additional = [printable_name(name) for name in link.additional_headers if name != "host"]
    sent = [name for name in facts.sent if v4.is_always_signed(name) and name not in additional]
    notes = _notes(link, facts.method, facts.now, is_fine=judgement.is_fine)
    return Explanation(
        version=link.version,
        method=printable_name(facts.method),
        scheme=link.scheme,
        host=link.host if _HOST.fullmatch(link.host) or not link.host else "(not a host)",
        host_kind=link.host_kind,
        host_region=link.host_region,
        bucket=link.bucket if _BUCKET.fullmatch(link.bucket or "") else None,
        key=link.key,
        region=link.region if is_region(link.region or "") else None,
        issued_at=utc(link.issued_at),
        expires_at=utc(link.expires_at),
        age=facts.now - link.issued_at if link.issued_at is not None else None,
        lifetime=link.lifetime,
        remaining=link.expires_at - facts.now if link.expires_at is not None else None,
        temporary=link.access_key_id.startswith("STS.") or bool(link.token),
        has_token=bool(link.token),
        headers=tuple(dict.fromkeys((*additional, *sent))),
        sent_headers=tuple(sent),
        signature=fault_of(cdn, link.target, 0) is None if cdn else judgement.proof.signature,
        findings=judgement.findings,
        differences=judgement.differences,
        read=facts.read,
        notes=(*notes, *filter(None, [judgement.proof.note])),
    )


def _secrets(facts: Facts, credentials: Credentials | None, cdn: CdnKey | None) -> frozenset[str]:
    """Pieces of what must not be shown: of a damaged link, any part may hold its secrets."""
    error = facts.error
    # A mixed text has a secret of its link in its answer.
    secrets = (
        *facts.link.secrets,
        *re.findall("[0-9a-f]{16,}", " ".join(error.elements.values() if error else ())),
        *re.findall(r"[\w%+/=-]{40,}", error.message if error else ""),
        *(secret for secret in (credentials or ())[:3] if secret),
        *(cdn or ())[:1],
    )
    return pieces_of(secrets) - _FIXED_WORDS


def _without(value: T, pieces: frozenset[str]) -> T:
    """The value without any piece of a secret in any of its strings."""
    if isinstance(value, str):
        return cast(T, redact_pieces(value, pieces))
    if isinstance(value, tuple):
        parts = [_without(part, pieces) for part in value]
        return cast(T, value._make(parts) if hasattr(value, "_make") else tuple(parts))
    return value


def _bucket_of(error: ServerError) -> str | None:
    """The bucket in OSS's canonical request."""
    request = parse_canonical_request(error.canonical_request)
    return request.path.split("/")[1] or None if request and request.path.count("/") > 1 else None


def _notes(link: LenientUrl, method: str, now: int, *, is_fine: bool) -> list[str]:
    is_signed = link.version is not None
    is_s3 = link.version in (S3_V4, S3_V2)
    region = link.host_region or ""
    is_mainland = region.startswith("cn-") and region != "cn-hongkong"
    is_app = link.key.lower().endswith((".apk", ".ipa"))
    is_temporary = link.token or link.access_key_id.startswith("STS.")
    is_long = link.expires_at is not None and link.expires_at - now > MAX_EXPIRES_IN
    notes = (
        (True, checks.VERSION_NOTES.get(link.version or "", "")),
        (
            is_s3 and link.host_kind in ("custom", "address"),
            "It is signed for S3: for MinIO or the like, or for OSS's S3 interface.",
        ),
        (
            link.version == V1 and is_long,
            "It lives longer than 7 days, which V4 cannot: share an address that makes a new link on every visit.",
        ),
        (
            link.bucket is None and is_signed,
            "The host is a custom domain, which does not show its bucket. The bucket is part of what is signed.",
        ),
        (
            is_fine and link.host_kind == "public" and is_mainland,
            "In mainland China, accounts new to OSS since 2025-03-20 need a custom domain (PublicEndpointForbidden).",
        ),
        (
            is_fine and link.host_kind in ("public", "accelerate") and is_app,
            "OSS does not serve .apk and .ipa from its own domains, unless the bucket is older than 2023-08-15.",
        ),
        (
            is_fine and is_temporary and (link.lifetime or 0) > 43_200,
            "STS credentials live 12 hours at most, Function Compute's 36: the link ends with them, if not before.",
        ),
        (
            link.version in SIGNATURES and method == "HEAD",
            "GET and HEAD have different signatures: OSS refuses HEAD on a link that was signed for GET.",
        ),
        (
            link.version in SIGNATURES and method in ("PUT", "POST"),
            "If a Content-Type was signed, send the same one. The link does not show whether it was.",
        ),
    )
    return [note for is_true, note in notes if is_true and note]
