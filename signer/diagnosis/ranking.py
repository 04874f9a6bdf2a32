"""From what was seen to what is most probable: OSS's own words, and the secret, overrule appearances."""

from __future__ import annotations

from collections.abc import Iterable

from .. import v4
from ..credentials import Credentials
from ..redaction import redact
from ..signed_request import Fault
from ..verification import Verification, verify_request
from . import repairs
from .checks import CERTAIN, LIKELY, POSSIBLE, PROVED, Finding
from .lenient_url import V4, Reading
from .oss_error import Difference, ServerError, differences, word

# Findings that make a signature wrong: void where OSS, or the secret, says that it is right.
OF_SIGNATURE = frozenset(
    {
        "added_parameters", "altered_parameter", "bucket_twice", "case_changed", "changed_header", "changed_path",
        "changed_query", "decoded", "double_encoded", "extra_header", "missing_header", "plus_decoded", "rewritten_key",
        "signature_mismatch", "token_not_signed", "wrong_host", "wrong_method", "wrong_secret",
    }
)  # fmt: skip
# OSS looks at these before it looks at the signature, so an answer about the signature acquits them.
_LOOKED_AT_BEFORE = frozenset(
    {"bucket_not_in_host", "date_in_future", "expired", "internal_host", "missing_token", "wrong_region"}
)
# What OSS says of a link that it cannot read rightly, since its text was damaged.
_MISREAD = frozenset({"access_denied", "unknown_access_key", "wrong_token"})
_OF_FAULT = {
    "missing_token": "missing_token",
    "wrong_token": "wrong_token",
    "token_expired": "token_expired",
    "skewed": "date_in_future",
    "expired": "expired",
    "expires_out_of_range": "expires_out_of_range",
    "missing_header": "missing_header",
}
_RANK = {PROVED: 0, CERTAIN: 1, LIKELY: 2, POSSIBLE: 3}


def compare(
    request: repairs.Request, link: Reading, error: ServerError, *, knows_headers: bool
) -> tuple[Difference, ...]:
    """Where OSS's canonical request is not the link's."""
    if not error.canonical_request or not link.bucket:
        return ()
    hidden = frozenset() if knows_headers else frozenset(name for name in link.additional if name != "host")
    signed = {n: v for n, v in request.headers.items() if v4.is_always_signed(n) or n in link.additional}
    ours = v4.canonical_request(
        request.method,
        v4.canonical_path(request.bucket, v4.encode_key(request.key)),
        v4.canonical_query(v4.canonical_parameter(n, value) for n, value in link.query if n != "x-oss-signature"),
        v4.canonical_headers(signed),
        v4.additional_headers(link.additional),
        request.headers.get("x-oss-content-sha256", v4.UNSIGNED_PAYLOAD),
    )
    return differences(error.canonical_request, ours, unknown_headers=hidden)


def heed(
    error: ServerError, found: list[Finding], compared: tuple[Difference, ...], link: Reading, method: str
) -> list[Finding]:
    """The findings in the light of what OSS said."""
    said = error.finding
    quoted = f"OSS says {error.code or 'so'}" + (f" (EC {error.ec})" if error.ec else "")
    if said == "other_error" and error.message:
        quoted += f": {error.message[:160]}"
    if said == "signature_mismatch":
        return _mismatch(quoted, found, compared, link, method)
    codes = {finding.code for finding in found}
    if said == "unknown_access_key" and "missing_token" in codes:
        said = "missing_token"
    elif said == "missing_token" and link.token:
        said = "unknown_access_key"
    elif said == "no_such_key" and "bucket_twice" in codes:
        said = "bucket_twice"
    elif said in _MISREAD and (link.damages or codes & {"unsigned", "truncated", "plus_decoded", "token_not_signed"}):
        return found
    unread = said in ("missing_parameter", "malformed_parameter", "truncated", "missing_header")
    if unread and [f for f in found if f.code not in ("expired", "internal_host")]:
        return found
    if said in ("malformed_parameter", "truncated") and error.elements.get("ArgumentName"):
        quoted += f", and means {word(error.elements['ArgumentName'])}"
    evidence = next((finding.evidence for finding in found if finding.code == said), "")
    rest = [finding for finding in found if finding.code != said]
    if said not in ("expires_out_of_range", "malformed_parameter", "missing_token", "unknown_access_key"):
        rest = [finding._replace(certainty=POSSIBLE) for finding in rest if finding.code not in OF_SIGNATURE]
    return [Finding(said, CERTAIN, f"{quoted}. {evidence}".strip()), *rest]


def _mismatch(
    quoted: str, found: list[Finding], compared: tuple[Difference, ...], link: Reading, method: str
) -> list[Finding]:
    found = [f._replace(certainty=POSSIBLE) if f.code in _LOOKED_AT_BEFORE else f for f in found]
    suspected = [finding for finding in found if finding.certainty != POSSIBLE]
    if compared and not link.damages:
        return [*(Finding(one.code, CERTAIN, one.sentence) for one in compared), *found]
    if suspected:
        return found
    if method != "GET":
        sentence = f"{quoted}, and the link, which was used with {word(method)}, looks whole."
        return [Finding("wrong_method", LIKELY, sentence), *found]
    same = ", and its canonical request is the link's, line by line" if not compared else ""
    return [Finding("signature_mismatch", LIKELY, f"{quoted}{same}."), *found]


def prove(
    request: repairs.Request, link: Reading, credentials: Credentials | None, clock: int, found: list[Finding]
) -> tuple[bool | None, list[Finding], tuple[str, ...]]:
    """Whether the signature is right, the findings with that known, and a note on what could not be tried."""
    if credentials is None or link.version != V4:
        return None, found, ()
    if not link.bucket:
        return None, found, ("The secret proves nothing yet: the domain does not tell the bucket, so name it.",)
    if link.access_key_id != credentials.access_key_id:
        return None, found, ("The credentials given are of another access key than the link's, so nothing is proved.",)
    damaged = {damage.code for damage in link.damages}
    if any(finding.code == "truncated" for finding in found):
        if repairs.begins(request, credentials):
            found = _proving(found, damaged | {"truncated"})
        return None, found, ()
    checked = verify_request(*request, credentials=credentials, now=clock)
    if not checked.canonical_request:
        return None, found, ()
    if checked.signature:
        # A key that clients rewrite breaks a right signature; a bucket in the path, signed so, is a key's name.
        void = (OF_SIGNATURE - damaged - {"rewritten_key"}) | {"missing_token"}
        kept = [finding for finding in _proving(found, damaged) if finding.code not in void]
        return True, [*kept, *_of_faults(checked, kept)], ()
    repaired = repairs.find(request, link, credentials)
    if repaired:
        codes = {repair.code for repair in repaired}
        proofs = [Finding(repair.code, PROVED, _joint(repair.sentence, repaired)) for repair in repaired]
        kept = [f for f in _proving(found, damaged) if f.code in damaged or f.code not in OF_SIGNATURE | codes]
        also = [f for f in _of_faults(checked, [*proofs, *kept]) if f.code not in ("missing_token", "wrong_token")]
        return False, [*proofs, *kept, *also], ()
    rest = [*found, *_of_faults(checked, found)]
    if any(f.code in OF_SIGNATURE | {"malformed_parameter", "missing_token", "wrong_token"} for f in rest):
        return False, rest, ()
    nothing = "None of the usual repairs makes the signature match with the secret given."
    return False, [Finding("wrong_secret", LIKELY, nothing), *(f._replace(certainty=POSSIBLE) for f in rest)], ()


def _proving(found: Iterable[Finding], codes: set[str]) -> list[Finding]:
    return [finding._replace(certainty=PROVED) if finding.code in codes else finding for finding in found]


def _joint(sentence: str, repaired: tuple[repairs.Repair, ...]) -> str:
    return sentence if len(repaired) == 1 else f"{sentence.removesuffix('.')}, together with the other repair."


def _of_faults(checked: Verification, known: Iterable[Finding]) -> list[Finding]:
    """What the secret's owner knows beyond the signature."""
    codes = {finding.code for finding in known}
    return [
        Finding(_OF_FAULT[fault.code], CERTAIN, _sentence(fault))
        for fault in checked.faults
        if fault.code in _OF_FAULT and _OF_FAULT[fault.code] not in codes
    ]


def _sentence(fault: Fault) -> str:
    return {
        "missing_token": "The credentials given have a security token, and the link has none.",
        "wrong_token": "The link's security token is not that of the credentials given.",
        "token_expired": "The credentials given have ended.",
        "missing_header": f"{word(fault.parameter or '')} was signed, and is not among the headers given.",
    }.get(fault.code, "The link's own dates say so.")


def in_order(found: Iterable[Finding]) -> tuple[Finding, ...]:
    """Most probable first, each code once, and nothing secret in any."""
    # Of all that can be decoded, a raw blank is what most clients put right by themselves.
    ranked = sorted(found, key=lambda finding: (_RANK[finding.certainty], finding.code == "decoded"))
    first: dict[str, Finding] = {}
    for finding in ranked:
        first.setdefault(finding.code, finding._replace(evidence=redact(finding.evidence)))
    return tuple(first.values())
