"""Explains why a link fails: what it contains, what is wrong with it, and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TypeVar, cast

from .. import v4
from ..cdn import CdnKey, check_cdn_key, fault_of
from ..credentials import Credentials
from ..display import pieces_of, printable_name, redact_pieces
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
from .canonical_request import parse_canonical_request
from .cdn import cdn_evidence
from .evidence import overrule, rank
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
from .pasted import read_pasted
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
    for what, argument, kind in (
        ("link", url, InvalidLink),
        ("error_xml", error_xml, InvalidLink),
        ("method", method, InvalidMethod),
        ("bucket name", bucket, InvalidBucket),
    ):
        if argument is not None:
            check_type(what, argument, str, kind)
    pasted = read_pasted(as_unicode(url or ""))
    error = pasted.error
    status = pasted.status if error_xml is None else ""
    read = pasted.read
    if error_xml is not None:
        error = read_error(as_unicode(error_xml))
        read = (
            *(part for part in read if part.kind not in ("answer", "status")),
            *read_pasted(as_unicode(error_xml)).read,
        )
    is_dated = now is None and (error is not None or status != "")
    clock = seconds(pasted.time if is_dated else now)
    method = as_unicode(method or pasted.method or "GET").upper()
    headers = headers if headers is not None else pasted.headers
    bucket = as_unicode(bucket) if bucket is not None else None
    if credentials is not None:
        check_access_key(credentials)
    if cdn is not None:
        check_cdn_key(cdn)
    string = pasted.link or ("" if error else url or "")
    link = NO_LINK
    try:
        if string or not error:
            link = parse_lenient_url(string, bucket or _bucket_of(error))
    except InvalidLink:
        if error is None:
            raise
    service = checks.other_service(link)
    other_link = answers.find_other_link(link, error) if error is not None else None
    if service or other_link:
        link = link._replace(version=None) if service else parse_lenient_url(string, bucket)
        error = None
    pairs = string_pairs("headers", headers, InvalidHeader)
    sent = {as_unicode(name).lower(): as_unicode(value) for name, value in pairs}
    request = CandidateRequest(
        method=method,
        bucket=link.bucket or "",
        key=link.key,
        query=link.query,
        headers={"host": link.host, **sent},
    )

    evidence = [service] if service else []
    if link.host and not service:
        evidence = checks.link_evidence(
            link,
            clock,
            sent if headers is not None else None,
            inside=inside,
            log_time=pasted.log_time if is_dated else None,
        )
    if cdn or any(piece.code == "unsigned" for piece in evidence):
        at_cdn = [*cdn_evidence(link.target, cdn, clock)]
        evidence = [
            piece for piece in evidence if piece.code != "unsigned" or not (cdn or at_cdn)
        ] + at_cdn
    is_cut = any(piece.code == "truncated" for piece in evidence)
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
            error, evidence, link, proof.request, proof.signature, knows_headers=knows_headers
        )
        evidence = [*overrule(evidence, answer.verdict), *answer.evidence]
    elif other_link is not None:
        evidence.append(other_link)
    proof, proved = proofs.weigh(
        proof, link, credentials, overrule(evidence, proof.verdict), answer
    )
    left = overrule([*evidence, *proved], proof.verdict)
    of_status = (
        answers.read_status(status, left, link, proof.request, proof.signature) if status else []
    )
    findings = rank([*left, *of_status])

    additional = [printable_name(name) for name in link.additional_headers if name != "host"]
    sent_headers = [name for name in sent if v4.is_always_signed(name) and name not in additional]
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
        headers=tuple(dict.fromkeys((*additional, *sent_headers))),
        sent_headers=tuple(sent_headers),
        signature=fault_of(cdn, link.target, 0) is None if cdn else proof.signature,
        findings=findings,
        differences=(answer.differences if answer else None) or (),
        read=read,
        notes=(*_notes(link, method, clock, is_fine=not left), *filter(None, [proof.note])),
    )
    # Of a damaged link, any part may hold its secrets, and a mixed text has one of them in its answer.
    secrets = (
        *link.secrets,
        *re.findall("[0-9a-f]{16,}", " ".join(error.elements.values() if error else ())),
        *re.findall(r"[\w%+/=-]{40,}", error.message if error else ""),
        *(secret for secret in (credentials or ())[:3] if secret),
        *(cdn or ())[:1],
    )
    return _without(explanation, pieces_of(secrets) - _FIXED_WORDS)


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


def _notes(link: LenientUrl, method: str, now: int, *, is_fine: bool) -> Iterator[str]:
    if link.version in checks.VERSION_NOTES:
        yield checks.VERSION_NOTES[link.version]
    if link.version in (S3_V4, S3_V2) and link.host_kind in ("custom", "address"):
        yield "It is signed for S3: for MinIO or the like, or for OSS's S3 interface."
    if (
        link.version == V1
        and link.expires_at is not None
        and link.expires_at - now > MAX_EXPIRES_IN
    ):
        yield "It lives longer than 7 days, which V4 cannot: share an address that makes a new link on every visit."
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
