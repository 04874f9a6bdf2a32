"""What the secret proves about a link: it overrules what the link shows, and never what OSS received."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..credentials import Credentials
from ..signed_request import Fault
from ..verification import Verification, verify_request
from . import repairs
from .answers import Answer
from .checks import CERTAIN, LIKELY, POSSIBLE, PROVED, SIGNATURE_CODES, Finding
from .lenient_url import V4, LenientUrl
from .oss_error import printable_name

# OSS says these only after it has accepted the signature.
_SAID_AFTER_SIGNATURE = frozenset(
    {"already_exists", "archived", "no_such_key", "no_such_version", "precondition_failed", "range_outside"}
)
# The finding, and its evidence, for each fault of a verification.
_FINDING_BY_FAULT = {
    "missing_token": ("missing_token", "The credentials have a security token, but the link has none."),
    "wrong_token": ("wrong_token", "The security token of the link is not that of the credentials."),
    "token_expired": ("token_expired", "The credentials have expired."),
    "skewed": ("date_in_future", "The dates in the link show it."),
    "expired": ("expired", "The dates in the link show it."),
    "expires_out_of_range": ("expires_out_of_range", "The expiry in the link shows it."),
    "missing_header": ("missing_header", "Signed, but not among the headers sent: {}."),
}


class Proof(NamedTuple):
    """The request that the signature of a link is for: `request` after the repairs, if it needs any."""

    request: repairs.CandidateRequest
    repairs: tuple[repairs.Repair, ...]


def prove(
    requests: Sequence[repairs.CandidateRequest], link: LenientUrl, credentials: Credentials | None
) -> Proof | None:
    """What the secret proves; None where it proves nothing, or cannot be used.

    `requests` are the link's as it was given, and with the method and the headers that OSS received, if those are
    known. The first that is right is proved; if none is, the last that can be repaired, as OSS knows what was sent.
    """
    if credentials is None or _reason_not_to_check(link, credentials) is not None:
        return None
    for request in requests:
        if repairs.signature_matches(request, credentials):
            return Proof(request, ())
    if re.fullmatch("[0-9a-f]{64}", link.value("x-oss-signature")):
        for request in reversed(requests):
            applied = repairs.find_repairs(request, link, credentials)
            if applied:
                return Proof(request, applied)
    return None


def check_with_secret(
    request: repairs.CandidateRequest,
    link: LenientUrl,
    credentials: Credentials | None,
    now: int,
    findings: list[Finding],
    proof: Proof | None,
    answer: Answer | None,
) -> tuple[bool | None, list[Finding], tuple[str, ...]]:
    """Whether the signature is right, the findings with that known, and a note on what could not be checked."""
    if credentials is None:
        return None, findings, ()
    reason = _reason_not_to_check(link, credentials)
    if reason is not None:
        return None, findings, (f"The signature was not checked: {reason}",) if reason else ()
    damages = {damage.code for damage in link.damages}
    stated = answer.codes if answer else frozenset()
    if "truncated" not in stated and any(finding.code == "truncated" for finding in findings):
        if repairs.signature_is_cut(request, credentials):
            findings = _mark_proved(findings, damages | {"truncated"})
        return None, findings, ()
    verification = verify_request(*request, credentials=credentials, now=now)
    if not verification.canonical_request:
        return None, findings, ()
    if answer and answer.is_mismatch:
        # What was guessed from the answer alone.
        findings = [f for f in findings if f.code in stated or f.code not in ("signature_mismatch", "wrong_method")]
        other_secret = _find_other_secret(answer, request, link, credentials)
        if other_secret is not None:
            void = SIGNATURE_CODES - damages - {"rewritten_key"}
            remaining = [finding for finding in _mark_proved(findings, damages) if finding.code not in void]
            return True, [other_secret, *remaining, *_new_faults(verification, remaining)], ()
    if verification.signature:
        # A key that clients rewrite breaks even a right signature.
        void = SIGNATURE_CODES - damages - stated - {"rewritten_key"}
        remaining = [finding for finding in _mark_proved(findings, damages) if finding.code not in void]
        if answer and all(finding.certainty == POSSIBLE for finding in remaining):
            remaining.append(_what_oss_says(answer))
        return True, [*remaining, *_new_faults(verification, remaining)], ()
    if answer and answer.code in _SAID_AFTER_SIGNATURE:
        note = "OSS accepted a signature that does not match here: give the method and the headers of the request."
        return False, findings, (note,)
    if proof:
        applied = proof.repairs
        end = ", together with the other change." if len(applied) > 1 else "."
        proofs = [Finding(repair.code, PROVED, f"The signature matches {repair.change}{end}") for repair in applied]
        void = (SIGNATURE_CODES | {repair.code for repair in applied}) - damages - stated
        proofs += [finding for finding in _mark_proved(findings, damages) if finding.code not in void]
        faults = [f for f in _new_faults(verification, proofs) if f.code not in ("missing_token", "wrong_token")]
        return False, [*proofs, *faults], ()
    findings = [*findings, *_new_faults(verification, findings)]
    reasons = (SIGNATURE_CODES | {"malformed_parameter", "missing_token", "wrong_token"}) - stated
    if any(finding.code in reasons for finding in findings):
        return False, findings, ()
    evidence = "The signature does not match with this secret, and none of the usual changes makes it match."
    others = [f if f.code in stated | {"other_link"} else f._replace(certainty=POSSIBLE) for f in findings]
    return False, [Finding("wrong_secret", LIKELY, evidence), *others], ()


def _reason_not_to_check(link: LenientUrl, credentials: Credentials) -> str | None:
    """None where the secret can be used; "" where the signature's version says enough."""
    if link.version != V4:
        return ""
    if not link.bucket:
        return "it requires the bucket. Give its name."
    if link.access_key_id != credentials.access_key_id:
        return "the credentials are those of another access key than the link's."
    return None


def _find_other_secret(
    answer: Answer, request: repairs.CandidateRequest, link: LenientUrl, credentials: Credentials
) -> Finding | None:
    """The finding that OSS received exactly what the secret signed, and refused its signature."""
    is_exact = repairs.is_signed(answer.error.canonical_request, request, credentials)
    if not is_exact and (answer.differences != () or not repairs.signature_matches(request, credentials)):
        return None
    evidence = f"{answer.sentence}, and its canonical request is what was signed with the given secret."
    if is_exact and answer.error.provided_signature == request.value("x-oss-signature"):
        return Finding("other_secret", PROVED, evidence)
    if link.damages:
        return None  # They explain why OSS received another signature.
    return Finding("other_secret", LIKELY, f"{evidence} The answer is not complete: it may belong to another link.")


def _what_oss_says(answer: Answer) -> Finding:
    """For a link whose signature is right, where nothing else shows what is wrong."""
    if not answer.is_mismatch:
        return Finding(answer.code, CERTAIN, f"{answer.sentence}.")
    evidence = (
        f"{answer.sentence}, but the signature matches with the given secret. Either the request was changed on its "
        "way, or OSS knows another secret for this access key. Give the full answer, with its CanonicalRequest."
    )
    return Finding(answer.code, LIKELY, evidence)


def _mark_proved(findings: Iterable[Finding], codes: set[str]) -> list[Finding]:
    return [finding._replace(certainty=PROVED) if finding.code in codes else finding for finding in findings]


def _new_faults(verification: Verification, findings: Iterable[Finding]) -> list[Finding]:
    """What only the owner of the secret can know, besides the signature."""
    known = {finding.code for finding in findings}
    return [finding for finding in map(_from_fault, verification.faults) if finding and finding.code not in known]


def _from_fault(fault: Fault) -> Finding | None:
    code, evidence = _FINDING_BY_FAULT.get(fault.code, ("", ""))
    return Finding(code, CERTAIN, evidence.format(printable_name(fault.parameter or ""))) if code else None
