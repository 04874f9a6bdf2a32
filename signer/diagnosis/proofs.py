"""What the secret proves about a link: it overrules what the link shows, and never what OSS received."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from ..common.display import printable_name
from ..credentials import Credentials
from ..verification import Verification, verify_request
from . import repairs
from .answers import Answer
from .causes import SIGNATURE_CODES, at_stage, with_trait
from .evidence import (
    ANSWER,
    CERTAIN,
    GUESS,
    LIKELY,
    OWNER,
    POSSIBLE,
    PROVED,
    SECRET,
    Evidence,
    Verdict,
)
from .lenient_url import SIGNATURES, LenientUrl

# OSS says these only after it has accepted the signature.
_SAID_AFTER_SIGNATURE = at_stage("after signature")
_HEADERS = with_trait("header")
_EXPLAIN_MISMATCH = with_trait("explains mismatch")
# What only the owner of the secret knows, besides the signature, by the fault of a verification.
_SENTENCES = {
    "missing_token": "The credentials have a security token, but the link has none.",
    "wrong_token": "The security token of the link is not that of the credentials.",
    "token_expired": "The credentials have expired.",
    "missing_header": "Signed, but not among the headers sent: {}.",
}


class Proof(NamedTuple):
    """What the secret says about the signature of `request`; None where it was not used, or cannot be.

    `repairs` are those that make the signature right, and `verification` that of the request without them. `note` is
    why the secret was not used.
    """

    request: repairs.CandidateRequest
    signature: bool | None = None
    repairs: tuple[repairs.Repair, ...] = ()
    verification: Verification = Verification(())
    note: str = ""
    verdict: Verdict | None = None


def prove(
    requests: Sequence[repairs.CandidateRequest],
    link: LenientUrl,
    credentials: Credentials | None,
    now: int,
    *,
    is_cut: bool,
) -> Proof:
    """`requests` are the link's as it was given, and with the method and the headers that OSS received, if those are
    known. The first that is right is proved; if none is, the last that can be repaired, as OSS knows what was sent.
    """
    proof = Proof(requests[0])
    if credentials is None or link.version not in SIGNATURES:
        return proof
    if not link.bucket:
        return proof._replace(
            note="The signature was not checked: it requires the bucket. Give its name (--bucket)."
        )
    if link.access_key_id != credentials.access_key_id:
        reason = "the credentials are those of another access key than the link's."
        return proof._replace(note=f"The signature was not checked: {reason}")
    if is_cut:
        return proof._replace(
            verdict="cut" if repairs.signature_is_cut(proof.request, link, credentials) else None
        )
    verified = [
        (request, verify_request(*request, credentials=credentials, now=now))
        for request in requests
    ]
    proofs = [Proof(request, verification=verification) for request, verification in verified]
    for proof in proofs:
        if proof.verification.signature:
            has_token = link.token and not credentials.security_token
            note = (
                "The security token was not compared: the credentials have none."
                if has_token
                else ""
            )
            return proof._replace(signature=True, verdict="right", note=note)
    if not proofs[0].verification.string_to_sign:
        return proofs[0]
    if re.fullmatch(SIGNATURES[link.version][0], link.signature.replace(" ", "+")):
        for proof in reversed(proofs):
            if applied := repairs.find_repairs(proof.request, link, credentials):
                return proof._replace(signature=False, repairs=applied, verdict="repaired")
    return proofs[0]._replace(signature=False)


def weigh(
    proof: Proof,
    link: LenientUrl,
    credentials: Credentials | None,
    evidence: Sequence[Evidence],
    answer: Answer | None,
) -> tuple[Proof, list[Evidence]]:
    """The proof with its last verdict, given what OSS answered, and the evidence that it adds to what is left."""
    if credentials is None or proof.signature is None:
        return proof, []
    codes = {piece.code for piece in evidence if piece.source != GUESS}
    lacks_plus = repairs.lacks_plus_signs(link.token, credentials)
    added = [
        Evidence(code, OWNER, CERTAIN, _SENTENCES[code].format(printable_name(parameter or "")))
        for code, parameter in proof.verification.faults
        if code in _SENTENCES and code not in codes and not (lacks_plus and code == "wrong_token")
    ]
    if lacks_plus:
        sentence = "The security token of the link is that of the credentials, without some of its plus signs."
        added.append(Evidence("plus_decoded", OWNER, CERTAIN, sentence))
    other_secret = _find_other_secret(answer, proof.request, link, credentials) if answer else None
    if other_secret is not None:
        return proof._replace(signature=True, verdict="received"), [other_secret, *added]
    if proof.signature:
        return proof, added
    if answer and answer.code in _SAID_AFTER_SIGNATURE:
        note = "OSS accepted a signature that does not match here: give the method and the headers of the request."
        return proof._replace(note=note, verdict=None), []
    if proof.repairs:
        end = ", together with the other change." if len(proof.repairs) > 1 else "."
        added = [piece for piece in added if piece.code not in _EXPLAIN_MISMATCH]
        for code, change, _ in proof.repairs:
            added.append(Evidence(code, SECRET, PROVED, f"The signature matches {change}{end}"))
        return proof, added
    stated = {piece.code for piece in evidence if piece.source == ANSWER}
    reasons = (SIGNATURE_CODES | _EXPLAIN_MISMATCH) - stated
    if any(piece.code in reasons and piece.source != GUESS for piece in (*evidence, *added)):
        return proof, added
    sentence = "The signature does not match with this secret, and none of the usual changes makes it match."
    # A header may have been signed with another value.
    certainty = POSSIBLE if stated & _HEADERS else LIKELY
    return proof._replace(verdict="other signer"), [
        Evidence("wrong_secret", SECRET, certainty, sentence),
        *added,
    ]


def _find_other_secret(
    answer: Answer, request: repairs.CandidateRequest, link: LenientUrl, credentials: Credentials
) -> Evidence | None:
    """The evidence that OSS received exactly what the secret signed, and refused its signature."""
    if answer.code != "signature_mismatch":
        return None
    said = answer.said
    is_exact = repairs.is_signed(said.error.canonical_request, request, credentials)
    if not is_exact and (
        said.differences != () or not repairs.signature_matches(request, credentials)
    ):
        return None
    sentence = f"{said.sentence}. Its canonical request is what was signed with the given secret."
    if is_exact and said.error.provided_signature == request.value(link.signature_name).lower():
        is_limited = any(piece.code == "source_address" for piece in answer.evidence)
        return Evidence("other_secret", SECRET, LIKELY if is_limited else PROVED, sentence)
    if link.damages:
        return None  # They explain why OSS received another signature.
    sentence += " The answer is not complete: it may belong to another link."
    return Evidence("other_secret", SECRET, LIKELY, sentence)
