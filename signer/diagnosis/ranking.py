"""Ranks findings by probability: what OSS says, and what the secret proves, overrule what the link shows."""

from __future__ import annotations

from collections.abc import Iterable

from .. import v4
from ..credentials import Credentials
from ..redaction import redact
from ..signed_request import Fault
from ..verification import Verification, verify_request
from . import repairs
from .checks import CERTAIN, LIKELY, POSSIBLE, PROVED, Finding
from .lenient_url import V4, LenientUrl
from .oss_error import Difference, ServerError, compare_canonical_requests, printable_name

# These make a signature wrong, so none of them holds where OSS, or the secret, says that it is right.
_SIGNATURE_CODES = frozenset(
    {
        "added_parameters", "altered_parameter", "bucket_twice", "case_changed", "changed_header", "changed_path",
        "changed_query", "decoded", "double_encoded", "extra_header", "missing_header", "plus_decoded", "rewritten_key",
        "signature_mismatch", "token_not_signed", "wrong_host", "wrong_method", "wrong_secret",
    }
)  # fmt: skip
# OSS checks these before the signature, so none of them holds where OSS complains about the signature.
_CHECKED_BEFORE_SIGNATURE = frozenset(
    {"bucket_not_in_host", "date_in_future", "expired", "internal_host", "missing_token", "wrong_region"}
)
# What OSS says about a link that it cannot read because the link was damaged.
_SAID_OF_DAMAGED_LINKS = frozenset({"access_denied", "unknown_access_key", "wrong_token"})
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
_RANK = {PROVED: 0, CERTAIN: 1, LIKELY: 2, POSSIBLE: 3}


def find_differences(
    request: repairs.CandidateRequest, link: LenientUrl, error: ServerError, *, knows_headers: bool
) -> tuple[Difference, ...]:
    """Where OSS's canonical request differs from that of the link."""
    if not error.canonical_request or not link.bucket:
        return ()
    additional = link.additional_headers
    unknown = frozenset() if knows_headers else frozenset(additional) - {"host"}
    signed = {n: v for n, v in request.headers.items() if v4.is_always_signed(n) or n in additional}
    expected = v4.canonical_request(
        request.method,
        v4.canonical_path(request.bucket, v4.encode_key(request.key)),
        v4.canonical_query(v4.canonical_parameter(n, value) for n, value in link.query if n != "x-oss-signature"),
        v4.canonical_headers(signed),
        v4.additional_headers(additional),
        request.headers.get("x-oss-content-sha256", v4.UNSIGNED_PAYLOAD),
    )
    return compare_canonical_requests(error.canonical_request, expected, unknown_headers=unknown)


def apply_server_error(
    error: ServerError, findings: list[Finding], differences: tuple[Difference, ...], link: LenientUrl, method: str
) -> list[Finding]:
    """The findings, given what OSS answered."""
    code = error.finding
    answer = f"OSS answered {error.code or 'an error'}" + (f" (EC {error.ec})" if error.ec else "")
    if code == "other_error" and error.message:
        answer += f": {error.message[:160]}"
    if code == "signature_mismatch":
        if error.canonical_request and link.bucket and not differences:
            answer += ", and its canonical request is the same as the link's"
        return _apply_mismatch(answer, findings, differences, link, method)
    codes = {finding.code for finding in findings}
    if code == "unknown_access_key" and "missing_token" in codes:
        code = "missing_token"
    elif code == "missing_token" and link.token:
        code = "unknown_access_key"
    elif code == "no_such_key" and "bucket_twice" in codes:
        code = "bucket_twice"
    elif code in _SAID_OF_DAMAGED_LINKS and (
        link.damages or codes & {"unsigned", "truncated", "plus_decoded", "token_not_signed"}
    ):
        return findings
    if code in ("malformed_parameter", "truncated", "missing_header") and codes - {"expired", "internal_host"}:
        return findings  # They say more exactly what OSS could not read.
    if code in ("malformed_parameter", "truncated") and error.elements.get("ArgumentName"):
        answer += f" about {printable_name(error.elements['ArgumentName'])}"
    evidence = next((finding.evidence for finding in findings if finding.code == code), "")
    others = [finding for finding in findings if finding.code != code]
    if code not in ("expires_out_of_range", "malformed_parameter", "missing_token", "unknown_access_key"):
        others = [finding._replace(certainty=POSSIBLE) for finding in others if finding.code not in _SIGNATURE_CODES]
    return [Finding(code, CERTAIN, f"{answer}. {evidence}".strip()), *others]


def _apply_mismatch(
    answer: str, findings: list[Finding], differences: tuple[Difference, ...], link: LenientUrl, method: str
) -> list[Finding]:
    findings = [f._replace(certainty=POSSIBLE) if f.code in _CHECKED_BEFORE_SIGNATURE else f for f in findings]
    if differences and not link.damages:
        return [*(Finding(difference.code, CERTAIN, difference.sentence) for difference in differences), *findings]
    if any(finding.certainty != POSSIBLE for finding in findings):
        return findings
    if method != "GET":
        evidence = f"{answer}. The link looks complete, and it was used with {printable_name(method)}."
        return [Finding("wrong_method", LIKELY, evidence), *findings]
    return [Finding("signature_mismatch", LIKELY, f"{answer}."), *findings]


def check_with_secret(
    request: repairs.CandidateRequest,
    link: LenientUrl,
    credentials: Credentials | None,
    now: int,
    findings: list[Finding],
) -> tuple[bool | None, list[Finding], tuple[str, ...]]:
    """Whether the signature is right, the findings with that known, and a note on what could not be checked."""
    if credentials is None or link.version != V4:
        return None, findings, ()
    if not link.bucket:
        return None, findings, ("The signature was not checked: it requires the bucket. Give its name.",)
    if link.access_key_id != credentials.access_key_id:
        note = "The signature was not checked: the credentials are those of another access key than the link's."
        return None, findings, (note,)
    damages = {damage.code for damage in link.damages}
    if any(finding.code == "truncated" for finding in findings):
        if repairs.signature_is_cut(request, credentials):
            findings = _mark_proved(findings, damages | {"truncated"})
        return None, findings, ()
    verification = verify_request(*request, credentials=credentials, now=now)
    if not verification.canonical_request:
        return None, findings, ()
    if verification.signature:
        # A key that clients rewrite breaks even a right signature.
        void = (_SIGNATURE_CODES - damages - {"rewritten_key"}) | {"missing_token"}
        remaining = [finding for finding in _mark_proved(findings, damages) if finding.code not in void]
        return True, [*remaining, *_new_faults(verification, remaining)], ()
    applied = repairs.find_repairs(request, link, credentials)
    if applied:
        end = ", together with the other change." if len(applied) > 1 else "."
        proofs = [Finding(repair.code, PROVED, f"The signature matches {repair.change}{end}") for repair in applied]
        void = (_SIGNATURE_CODES | {repair.code for repair in applied}) - damages
        proofs += [finding for finding in _mark_proved(findings, damages) if finding.code not in void]
        faults = [f for f in _new_faults(verification, proofs) if f.code not in ("missing_token", "wrong_token")]
        return False, [*proofs, *faults], ()
    findings = [*findings, *_new_faults(verification, findings)]
    reasons = _SIGNATURE_CODES | {"malformed_parameter", "missing_token", "wrong_token"}
    if any(finding.code in reasons for finding in findings):
        return False, findings, ()
    evidence = "The signature does not match with this secret, and none of the usual changes makes it match."
    others = [finding._replace(certainty=POSSIBLE) for finding in findings]
    return False, [Finding("wrong_secret", LIKELY, evidence), *others], ()


def _mark_proved(findings: Iterable[Finding], codes: set[str]) -> list[Finding]:
    return [finding._replace(certainty=PROVED) if finding.code in codes else finding for finding in findings]


def _new_faults(verification: Verification, findings: Iterable[Finding]) -> list[Finding]:
    """What only the owner of the secret can know, besides the signature."""
    known = {finding.code for finding in findings}
    return [finding for finding in map(_from_fault, verification.faults) if finding and finding.code not in known]


def _from_fault(fault: Fault) -> Finding | None:
    code, evidence = _FINDING_BY_FAULT.get(fault.code, ("", ""))
    return Finding(code, CERTAIN, evidence.format(printable_name(fault.parameter or ""))) if code else None


def rank(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Most probable first, each code once, and nothing secret in any."""
    # Most clients encode a raw space themselves, so "decoded" comes last among equals.
    ordered = sorted(findings, key=lambda finding: (_RANK[finding.certainty], finding.code == "decoded"))
    first: dict[str, Finding] = {}
    for finding in ordered:
        first.setdefault(finding.code, finding._replace(evidence=redact(finding.evidence)))
    return tuple(first.values())
