"""What OSS's answer says about a link: it overrules what the link shows."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import NamedTuple

from .. import v1, v4
from ..common.display import join_names, printable_name
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
_ERROR_OF_UPLOAD = {"404": "NoSuchBucket"}
_MEANING_OF_STATUS = {
    "400": "OSS cannot read the request, or does not serve the object from this domain.",
    "401": "OSS itself does not answer so: a proxy or another service did.",
    "403": "It may be the signature, the token, a right, a rule or the account, and no part of the link shows which.",
}
_OF_A_RIGHT_403 = "The signature matches with the given secret: look for a header that was sent, a right, or a rule."
# Complete values: not what a mask such as LTAI**** or 0000… leaves of them.
_KEY_ID = re.compile(r"(?:ltai|sts\.|tmp\.)[a-z0-9]+")
_SIGNATURE = re.compile(r"(?!(.)\1+$)[0-9a-f]{64}")


class Said(NamedTuple):
    """What was read: OSS's answer, the link that it is about, and what is known of both before it is judged.

    `evidence` is what the link shows. `signature` is whether that of `request` is right, None where that is not
    known. `differences` are None where OSS's canonical request is missing or cannot be compared.
    """

    error: ServerError
    link: LenientUrl
    request: CandidateRequest
    evidence: tuple[Evidence, ...]
    signature: bool | None
    knows_headers: bool
    differences: tuple[Difference, ...] | None

    @property
    def codes(self) -> set[str]:
        """The codes of what the link shows."""
        return {piece.code for piece in self.evidence}

    @property
    def sentence(self) -> str:
        """What was answered, without a full stop."""
        who = "Another service" if self.error.finding == "other_service" else "OSS"
        number = f" (EC {self.error.ec})" if self.error.ec else ""
        message = f": {self.error.message[:200].rstrip('.')}" if self.error.message else ""
        return f"{who} answered {self.error.code or 'an error'}{number}{message}"

    @property
    def is_anonymous(self) -> bool:
        """Whether OSS may have seen no signature: a form's is not in its address, and a known name has signed."""
        return (
            self.error.finding == "access_denied"
            and self.request.method != "POST"
            and "AuthPrincipalType" not in self.error.elements
        )


class Answer(NamedTuple):
    """What OSS's answer says about the link: `code` is the finding that it stands for.

    `verdict` says what it overrules.
    """

    said: Said
    code: str
    verdict: Verdict | None
    evidence: tuple[Evidence, ...]


def judge(said: Said) -> Answer:
    """What OSS's answer says: the first of the cases that it is."""
    answers = (case(said) for case in CASES)
    return next(answer for answer in answers if answer is not None)


def find_other_link(link: LenientUrl, error: ServerError | None) -> Evidence | None:
    """The evidence that the answer belongs to another link, where its key, time or signature shows it.

    Compares complete values only: links are cut, and people mask secrets in answers.
    """
    if error is None or link.version != V4:
        return None
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
    if not parts:
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
    if not link.bucket or link.version not in SIGNATURES or received is None:
        return None
    if (received.payload == "") != is_v1:
        return None
    if is_v1 and not received.query["Expires"].isdigit():
        return None  # A date: the signature was in the header.
    unknown = frozenset() if knows_headers else frozenset(link.additional_headers) - {"host"}
    found = compare_canonical_requests(
        error.canonical_request,
        _string_to_sign_of_v1(request, link) if is_v1 else _canonical_request(request, link),
        unknown_headers=unknown,
        knows_headers=knows_headers,
    )
    place = "String to sign (" if is_v1 else r"\g<0>"
    return tuple(
        one._replace(sentence=re.sub(r"^Line \d \(", place, one.sentence)) for one in found
    )


def _string_to_sign_of_v1(request: CandidateRequest, link: LenientUrl) -> str:
    resource = v1.canonicalized_resource(request.bucket, request.key, link.query)
    return v1.string_to_sign(request.method, request.headers, link.expires, resource)


def _canonical_request(request: CandidateRequest, link: LenientUrl) -> str:
    additional = link.additional_headers
    headers = {
        name: value
        for name, value in request.headers.items()
        if v4.is_always_signed(name) or name in additional
    }
    return v4.canonical_request(
        request.method,
        v4.canonical_path(request.bucket, v4.encode_key(request.key)),
        v4.canonical_query(
            v4.canonical_parameter(name, value)
            for name, value in link.query
            if name != "x-oss-signature"
        ),
        v4.canonical_headers(headers),
        v4.additional_headers(additional),
        request.headers.get("x-oss-content-sha256", v4.UNSIGNED_PAYLOAD),
    )


def of_cdn(said: Said) -> Answer | None:
    """A CDN answered instead of OSS."""
    if "X-Tengine-Error" not in said.error.elements:
        return None
    code = said.error.finding
    source = ANSWER if code == "other_error" else GUESS  # of a signature, the key shows more
    piece = Evidence(code, source, CERTAIN, f"The CDN answered: {said.error.message}.")
    return Answer(said, code, "refused", (piece,))


def of_mismatch(said: Said) -> Answer | None:
    """OSS computed another signature."""
    code = said.error.finding
    is_limited = code == "source_address" and said.error.code != "AccessDenied"
    if code != "signature_mismatch" and not is_limited:
        return None
    # The link does not show whether an extra header was signed.
    unsure = () if said.knows_headers else ("extra_header",)
    differences = () if said.link.damages else said.differences or ()
    stated = tuple(
        Evidence(each.code, ANSWER, LIKELY if each.code in unsure else CERTAIN, each.sentence)
        for each in differences
    )
    guesses = _guess(said.sentence, said.differences, said.signature, said.request, said.link)
    if is_limited:
        said_so = f"{said.sentence}. OSS says so of links that are limited to an address."
        first = Evidence(code, GUESS, LIKELY, said_so)
        return Answer(said, code, "mismatch", (first, *(stated or guesses)))
    if any(name.startswith("x-oss-ac-") for name in said.link.names):
        limited = "The link is limited by x-oss-ac-*. To another address, OSS may say that the signature is wrong."
        last = Evidence("source_address", ANSWER, POSSIBLE, limited)
        return Answer(said, code, "mismatch", (*(stated or guesses), last))
    return Answer(said, code, "mismatch", stated or guesses)


def of_damage(said: Said) -> Answer | None:
    """OSS says what follows from a damage that the link shows."""
    code = _finding(said)
    damages = {piece.code for piece in said.evidence if piece.source == DAMAGE}
    lost = said.codes & {*_DAMAGES, *damages, "token_not_signed"}
    is_lost = bool(lost) or (said.is_anonymous and "unsigned" in said.codes)
    is_damaged = code in _SAID_OF_DAMAGED_LINKS and is_lost
    shown = said.codes - _READABLE - (SIGNATURE_CODES - damages)
    if not is_damaged and not (code in _SAID_OF_UNREADABLE_LINKS and shown):
        return None
    is_shown = any(piece.certainty == CERTAIN for piece in said.evidence)
    # What is only likely to be lost leaves what OSS says possible.
    source, certainty = (GUESS, CERTAIN) if is_shown else (ANSWER, POSSIBLE)
    return Answer(said, code, None, (Evidence(code, source, certainty, f"{said.sentence}."),))


def of_refusal(said: Said) -> Answer:
    """OSS refused the request for the reason that it names."""
    meaning = _meaning(said)
    # Alone, it does not say who denied what.
    is_bare = re.fullmatch("access ?denied[.]?|", said.error.message, re.IGNORECASE)
    says_why = said.error.ec or said.error.detail or not is_bare
    is_vague = said.error.code == "AccessDenied" and not says_why
    if is_vague and any(
        one.code == "expired" and one.certainty == CERTAIN for one in said.evidence
    ):
        denied = Evidence(meaning.code, ANSWER, POSSIBLE, f"{said.sentence}.")
        return _refusal(said, Meaning("expired", meaning.about), LIKELY, denied)
    # Without its link, it does not say whether there was one, whose query was lost.
    certainty = LIKELY if is_vague or meaning.code == "unsigned" else CERTAIN
    return _refusal(said, meaning, certainty)


# In this order: each says more of an answer than those after it, and the last one says something of any.
CASES: tuple[Callable[[Said], Answer | None], ...] = (of_cdn, of_mismatch, of_damage, of_refusal)


class Meaning(NamedTuple):
    """The finding that a refusal stands for, and what is to be said about it, or ""."""

    code: str
    about: str


def _finding(said: Said) -> str:
    """The finding that OSS's error stands for, where the link shows which of two it is."""
    code = said.error.finding
    others = {
        "unknown_access_key": "missing_token" if "missing_token" in said.codes else code,
        "missing_token": "unknown_access_key" if said.link.token else code,
        "no_such_key": "bucket_twice" if "bucket_twice" in said.codes else code,
    }
    return others.get(code, code)


def _meaning(said: Said) -> Meaning:
    error = said.error
    code = _finding(said)
    name = error.elements.get("ArgumentName", "")
    endpoint = error.elements.get("Endpoint", "").strip()
    is_endpoint = re.fullmatch(r"oss-[a-z0-9-]{1,40}\.aliyuncs\.com", endpoint)
    saw_none = (
        code == "access_denied" and said.is_anonymous and "anonymous" in error.message.lower()
    )
    is_unknown = error.code and error.code not in FINDING_BY_CODE
    # The first that fits counts.
    meanings = (
        (name and code in _SAID_OF_UNREADABLE_LINKS, code, f"It is about {printable_name(name)}."),
        (code == "wrong_region" and is_endpoint, code, f"OSS names {endpoint}."),
        (
            error.code == "MethodNotAllowed" and "versionId" in said.link.names,
            "other_error",
            "This version is a delete marker: sign another versionId.",
        ),
        (
            saw_none and said.link.version,
            "other_error",
            "OSS saw no signature, so the query was lost on the way, as by a proxy or a CDN.",
        ),
        (saw_none, "unsigned", "OSS saw no signature."),
        (
            code == "no_such_key" and " " in said.link.key,
            code,
            "Where the key contains a space, the object's may have a plus sign.",
        ),
        (is_unknown and code == "other_error", code, "Its code is not known here."),
        (True, code, ""),
    )
    return next(Meaning(meant, about) for is_so, meant, about in meanings if is_so)


def _refusal(said: Said, meaning: Meaning, certainty: str, *others: Evidence) -> Answer:
    shown = next((piece.sentence for piece in said.evidence if piece.code == meaning.code), "")
    sentences = (f"{said.sentence}.", meaning.about, said.error.detail, shown)
    piece = Evidence(meaning.code, ANSWER, certainty, " ".join(filter(None, sentences)))
    is_one = meaning.code in _ONE_OF_SEVERAL and said.link.version
    return Answer(said, meaning.code, None if is_one else "refused", (piece, *others))


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
    is_upload = request.method in ("PUT", "POST")
    error = _ERROR_OF_UPLOAD.get(status) if is_upload else None
    usual = error or _ERROR_OF_STATUS.get(status, "")
    if usual and link.version:
        code = FINDING_BY_CODE[usual]
        return [Evidence(code, STATUS, certainty, f"{said}. Of a link, it is most often {usual}.")]
    if any(each.certainty != POSSIBLE and each.code not in _OFTEN_HARMLESS for each in evidence):
        return []
    guesses = [
        # Whoever checks a link with HEAD seldom signs it for that, but a header that was sent is often signed.
        piece._replace(
            source=STATUS, certainty=LIKELY if piece.code == "wrong_method" else POSSIBLE
        )
        for piece in _guess(said, None, signature, request, link)
        if status == "403" and piece.code != "signature_mismatch"
    ]
    is_right = status == "403" and signature
    meaning = _OF_A_RIGHT_403 if is_right else _MEANING_OF_STATUS.get(status, "")
    return [*guesses, Evidence("answer_missing", STATUS, certainty, f"{said}. {meaning}".rstrip())]


def _guess(
    said: str,
    differences: tuple[Difference, ...] | None,
    signature: bool | None,
    request: CandidateRequest,
    link: LenientUrl,
) -> tuple[Evidence, ...]:
    """What a refused signature may mean where nothing shows a reason."""
    is_open = link.version is not None and signature is None
    extra = [
        name
        for name in request.headers
        if v4.is_always_signed(name) and name not in link.additional_headers
    ]
    sentence = f"{said}. {_known_of_signature(differences, signature, link)}".rstrip()
    method = f"The link looks complete, and it was used with {request.method}."
    sent = f"The link does not show whether it was signed with {join_names(extra)}, which was sent."
    guesses = (
        (is_open and request.method in ("HEAD", "DELETE"), "wrong_method", method),
        (is_open and extra, "extra_header", sent),
    )
    return tuple(
        Evidence(code, GUESS, LIKELY, f"{sentence} {reason}")
        for is_possible, code, reason in guesses
        if is_possible
    ) or (Evidence("signature_mismatch", GUESS, LIKELY, sentence),)


def _known_of_signature(
    differences: tuple[Difference, ...] | None, signature: bool | None, link: LenientUrl
) -> str:
    if link.host and link.version is None:
        return (
            "The address shows no signature, so it was in a form, or in the header Authorization."
        )
    if signature:
        return (
            "Yet the signature matches with the given secret: the request was changed on its way, or OSS knows "
            "another secret for this access key. Give the full answer, with its CanonicalRequest."
        )
    return "Its canonical request is the same as the link's." if differences == () else ""
