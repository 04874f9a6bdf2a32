"""What OSS's answer says about a link: it overrules what the link shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from .. import v1, v4
from ..display import join_names, printable_name
from ..signed_request import read_timestamp
from .canonical_request import Difference, compare_canonical_requests, parse_canonical_request
from .causes import FINDING_BY_CODE, SIGNATURE_CODES, at_stage, with_trait
from .evidence import (
    ANSWER,
    CERTAIN,
    DAMAGE,
    GUESS,
    LIKELY,
    POSSIBLE,
    STATUS,
    Evidence,
    Verdict,
)
from .lenient_url import SIGNATURES, V1, V4, LenientUrl
from .repairs import CandidateRequest
from .server_error import ServerError

_DAMAGES = at_stage("damage")
_READABLE = with_trait("readable")
_SAID_OF_DAMAGED_LINKS = with_trait("said of damaged links")
_SAID_OF_UNREADABLE_LINKS = with_trait("said of unreadable links")
_ONE_OF_SEVERAL = with_trait("one of several")
_OFTEN_HARMLESS = with_trait("often harmless")
# The error of a link that mostly has this status.
_ERROR_OF_STATUS = {
    "404": "NoSuchKey",
    "405": "MethodNotAllowed",
    "409": "FileAlreadyExists",
    "412": "PreconditionFailed",
    "416": "InvalidRange",
}
_MEANING_OF_STATUS = {
    "400": "OSS cannot read the request, or does not serve the object from this domain.",
    "401": "OSS itself does not answer so: a proxy or another service did.",
    "403": "It may be the signature, the token, a right, a rule or the account, and no part of the link shows which.",
}
# Complete values: not what a mask such as LTAI**** or 0000… leaves of them.
_KEY_ID = re.compile(r"(?:ltai|sts\.|tmp\.)[a-z0-9]+")
_SIGNATURE = re.compile(r"(?!(.)\1+$)[0-9a-f]{64}")


class Answer(NamedTuple):
    """OSS's answer, and what it says about the link.

    `code` is the finding that it stands for, and `sentence` the start of its sentence, without a full stop.
    `differences` is None where OSS's canonical request is missing or cannot be read. `verdict` says what it overrules.
    """

    error: ServerError
    code: str
    sentence: str
    differences: tuple[Difference, ...] | None
    verdict: Verdict | None
    evidence: tuple[Evidence, ...]


def find_other_link(link: LenientUrl, error: ServerError) -> Evidence | None:
    """The evidence that the answer belongs to another link, where its key, time or signature shows it.

    Compares complete values only: links are cut, and people mask secrets in answers.
    """
    key_id = error.access_key_id.casefold()
    issued_at = read_timestamp(error.timestamp)
    signature = error.provided_signature
    own = link.value("x-oss-signature").lower()
    foreign = {
        "access key": link.region
        and _KEY_ID.fullmatch(key_id)
        and key_id != link.access_key_id.casefold(),
        "signing time": None not in (issued_at, link.issued_at) and issued_at != link.issued_at,
        "version of the signature": error.finding == "v1_forbidden",
        "signature": _SIGNATURE.fullmatch(signature)
        and _SIGNATURE.fullmatch(own)
        and signature != own,
    }
    parts = [name for name, is_foreign in foreign.items() if is_foreign]
    if link.version != V4 or not parts:
        return None
    names = (
        ", ".join(parts[:-1]) + " and " + parts[-1] + " are" if len(parts) > 1 else f"{parts[0]} is"
    )
    return Evidence(
        "other_link", ANSWER, CERTAIN, f"The {names} not the same in OSS's answer and in the link."
    )


def find_differences(
    request: CandidateRequest, link: LenientUrl, error: ServerError, *, knows_headers: bool
) -> tuple[Difference, ...] | None:
    """Where OSS's canonical request, or V1's string to sign, differs from the link's; None if it cannot be compared."""
    received = parse_canonical_request(error.canonical_request)
    is_v1 = link.version == V1
    if (
        not link.bucket
        or link.version not in SIGNATURES
        or not received
        or (received.payload == "") != is_v1
    ):
        return None
    if is_v1 and not received.query["Expires"].isdigit():
        return None  # A date: the signature was in the header.
    additional = link.additional_headers
    unknown = frozenset() if knows_headers else frozenset(additional) - {"host"}
    if is_v1:
        resource = v1.canonicalized_resource(request.bucket, request.key, link.query)
        expected = v1.string_to_sign(request.method, request.headers, link.expires, resource)
    else:
        expected = v4.canonical_request(
            request.method,
            v4.canonical_path(request.bucket, v4.encode_key(request.key)),
            v4.canonical_query(
                v4.canonical_parameter(n, value)
                for n, value in link.query
                if n != "x-oss-signature"
            ),
            v4.canonical_headers(
                {
                    n: v
                    for n, v in request.headers.items()
                    if v4.is_always_signed(n) or n in additional
                }
            ),
            v4.additional_headers(additional),
            request.headers.get("x-oss-content-sha256", v4.UNSIGNED_PAYLOAD),
        )
    found = compare_canonical_requests(
        error.canonical_request, expected, unknown_headers=unknown, knows_headers=knows_headers
    )
    at = "String to sign (" if is_v1 else r"\g<0>"
    return tuple(one._replace(sentence=re.sub(r"^Line \d \(", at, one.sentence)) for one in found)


def read_answer(
    error: ServerError,
    evidence: Sequence[Evidence],
    link: LenientUrl,
    request: CandidateRequest,
    signature: bool | None,
    *,
    knows_headers: bool,
) -> Answer:
    """What OSS answered, given what the link shows, and the request with its signature as the secret judges it."""
    differences = find_differences(request, link, error, knows_headers=knows_headers)
    code = error.finding
    if "X-Tengine-Error" in error.elements:
        source = ANSWER if code == "other_error" else GUESS  # of a signature, the key shows more
        piece = Evidence(code, source, CERTAIN, f"The CDN answered: {error.message}.")
        return Answer(
            error=error,
            code=code,
            sentence="",
            differences=None,
            verdict="refused",
            evidence=(piece,),
        )
    who = "Another service" if code == "other_service" else "OSS"
    said = f"{who} answered {error.code or 'an error'}" + (f" (EC {error.ec})" if error.ec else "")
    if error.message:
        said += f": {error.message[:200].rstrip('.')}"
    if code == "signature_mismatch" or (code == "source_address" and error.code != "AccessDenied"):
        # The link does not show whether an extra header was signed.
        unsure = () if knows_headers else ("extra_header",)
        stated = [
            Evidence(code, ANSWER, LIKELY if code in unsure else CERTAIN, sentence)
            for _, code, sentence in (() if link.damages else differences or ())
        ]
        stated = stated or _guess(said, differences, signature, request, link)
        if code == "source_address":
            stated.insert(
                0,
                Evidence(
                    code,
                    GUESS,
                    LIKELY,
                    f"{said}. OSS says so of links that are limited to an address.",
                ),
            )
        elif any(name.startswith("x-oss-ac-") for name in link.names):
            limited = "The link is limited by x-oss-ac-*. To another address, OSS may say that the signature is wrong."
            stated.append(Evidence("source_address", ANSWER, POSSIBLE, limited))
        return Answer(
            error=error,
            code=code,
            sentence=said,
            differences=differences,
            verdict="mismatch",
            evidence=tuple(stated),
        )
    codes = {piece.code for piece in evidence}
    if code == "unknown_access_key" and "missing_token" in codes:
        code = "missing_token"
    elif code == "missing_token" and link.token:
        code = "unknown_access_key"
    elif code == "no_such_key" and "bucket_twice" in codes:
        code = "bucket_twice"
    damages = {piece.code for piece in evidence if piece.source == DAMAGE}
    # A form has no signature in its address, and whom OSS knows by a name has signed.
    is_anonymous = (
        code == "access_denied"
        and request.method != "POST"
        and "AuthPrincipalType" not in error.elements
    )
    is_lost = bool(damages | codes & _DAMAGES) or "token_not_signed" in codes
    is_lost = is_lost or (is_anonymous and "unsigned" in codes)
    shown = codes - _READABLE - (SIGNATURE_CODES - damages)
    is_damaged = code in _SAID_OF_DAMAGED_LINKS and is_lost
    if is_damaged or (code in _SAID_OF_UNREADABLE_LINKS and shown):
        piece = Evidence(code, GUESS, CERTAIN, f"{said}.")
        if all(each.certainty != CERTAIN for each in evidence):
            # What is only likely to be lost leaves what OSS says possible.
            piece = piece._replace(source=ANSWER, certainty=POSSIBLE)
        return Answer(
            error=error,
            code=code,
            sentence=said,
            differences=differences,
            verdict=None,
            evidence=(piece,),
        )
    about = ""
    name = error.elements.get("ArgumentName", "")
    endpoint = error.elements.get("Endpoint", "").strip()
    if name and code in _SAID_OF_UNREADABLE_LINKS:
        about = f"It is about {printable_name(name)}."
    elif code == "wrong_region" and re.fullmatch(r"oss-[a-z0-9-]{1,40}\.aliyuncs\.com", endpoint):
        about = f"OSS names {endpoint}."
    elif error.code == "MethodNotAllowed" and "versionId" in link.names:
        code = "other_error"
        about = "This version is a delete marker: sign another versionId."
    elif code == "access_denied" and is_anonymous and "anonymous" in error.message.lower():
        code = "other_error" if link.version else "unsigned"
        about = "OSS saw no signature"
        about += (
            ", so the query was lost on the way, as by a proxy or a CDN." if link.version else "."
        )
    elif code == "no_such_key" and " " in link.key:
        about = "Where the key contains a space, the object's may have a plus sign."
    elif error.code and error.code not in FINDING_BY_CODE and code == "other_error":
        about = "Its code is not known here."
    # Alone, it does not say who denied what.
    says_why = (
        error.ec or error.detail or not re.fullmatch("access ?denied[.]?|", error.message, re.I)
    )
    is_vague = error.code == "AccessDenied" and not says_why
    others: tuple[Evidence, ...] = ()
    if is_vague and any(one.code == "expired" and one.certainty == CERTAIN for one in evidence):
        others = (Evidence(code, ANSWER, POSSIBLE, f"{said}."),)
        code = "expired"
    sentence = next((piece.sentence for piece in evidence if piece.code == code), "")
    # Without its link, it does not say whether there was one, whose query was lost.
    is_vague = is_vague or code == "unsigned"
    piece = Evidence(
        code,
        ANSWER,
        LIKELY if is_vague else CERTAIN,
        " ".join(filter(None, (f"{said}.", about, error.detail, sentence))),
    )
    verdict: Verdict | None = None if code in _ONE_OF_SEVERAL and link.version else "refused"
    return Answer(
        error=error,
        code=code,
        sentence=said,
        differences=differences,
        verdict=verdict,
        evidence=(piece, *others),
    )


def read_status(
    status: str,
    evidence: Sequence[Evidence],
    link: LenientUrl,
    request: CandidateRequest,
    signature: bool | None,
) -> list[Evidence]:
    """What a status of 400 or more says without OSS's answer, given what else is known of the link."""
    said = f"The status was {status}, without OSS's answer"
    certainty = POSSIBLE if evidence else LIKELY
    if status >= "500":
        return [Evidence("server_failure", STATUS, certainty, f"{said}.")]
    error = _ERROR_OF_STATUS.get(status, "")
    if error == "NoSuchKey" and request.method in ("PUT", "POST"):
        error = "NoSuchBucket"
    if error and link.version:
        code = FINDING_BY_CODE[error]
        return [Evidence(code, STATUS, certainty, f"{said}. Of a link, it is most often {error}.")]
    if any(each.certainty != POSSIBLE and each.code not in _OFTEN_HARMLESS for each in evidence):
        return []
    meaning = _MEANING_OF_STATUS.get(status, "")
    if status == "403" and signature:
        meaning = "The signature matches with the given secret: look for a header that was sent, a right, or a rule."
    guesses = [
        # Whoever checks a link with HEAD seldom signs it for that, but a header that was sent is often signed.
        piece._replace(
            source=STATUS, certainty=LIKELY if piece.code == "wrong_method" else POSSIBLE
        )
        for piece in _guess(said, None, signature, request, link)
        if status == "403" and piece.code != "signature_mismatch"
    ]
    return [*guesses, Evidence("answer_missing", STATUS, certainty, f"{said}. {meaning}".rstrip())]


def _guess(
    said: str,
    differences: tuple[Difference, ...] | None,
    signature: bool | None,
    request: CandidateRequest,
    link: LenientUrl,
) -> list[Evidence]:
    """What a refused signature may mean where nothing shows a reason."""
    said += "."
    is_open = link.version is not None and signature is None
    extra = [
        name
        for name in request.headers
        if v4.is_always_signed(name) and name not in link.additional_headers
    ]
    if link.host and link.version is None:
        said += (
            " The address shows no signature, so it was in a form, or in the header Authorization."
        )
    elif signature:
        said += " Yet the signature matches with the given secret: the request was changed on its way, or OSS knows"
        said += (
            " another secret for this access key. Give the full answer, with its CanonicalRequest."
        )
    elif differences == ():
        said += " Its canonical request is the same as the link's."
    guesses = []
    if is_open and request.method in ("HEAD", "DELETE"):
        used = f"The link looks complete, and it was used with {request.method}."
        guesses.append(Evidence("wrong_method", GUESS, LIKELY, f"{said} {used}"))
    if is_open and extra:
        sent = f"The link does not show whether it was signed with {join_names(extra)}, which was sent."
        guesses.append(Evidence("extra_header", GUESS, LIKELY, f"{said} {sent}"))
    return guesses or [Evidence("signature_mismatch", GUESS, LIKELY, said)]
