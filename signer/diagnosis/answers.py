"""What OSS's answer says about a link: it overrules what the link shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from .. import v4
from ..signed_request import read_timestamp
from .checks import CERTAIN, LIKELY, POSSIBLE, SIGNATURE_CODES, Finding
from .lenient_url import V4, LenientUrl
from .oss_error import Difference, ServerError, compare_canonical_requests, parse_canonical_request, printable_name
from .repairs import CandidateRequest

# OSS checks these before the signature, so none of them holds where OSS complains about the signature.
_CHECKED_BEFORE_SIGNATURE = frozenset(
    {"bucket_not_in_host", "date_in_future", "expired", "internal_host", "missing_token", "wrong_region"}
)
# What OSS says about a link that it cannot read because the link was damaged.
_SAID_OF_DAMAGED_LINKS = frozenset({"access_denied", "unknown_access_key", "wrong_token"})
# Where OSS says these, what the link shows says more exactly what OSS could not read.
_UNREADABLE = frozenset({"malformed_parameter", "truncated", "missing_header"})
# Complete values: not what a mask such as LTAI**** or 0000… leaves of them.
_KEY_ID = re.compile(r"(?:ltai|sts\.|tmp\.)[a-z0-9]+")
_SIGNATURE = re.compile(r"(?!(.)\1+$)[0-9a-f]{64}")


class Answer(NamedTuple):
    """OSS's answer, and what it says about the link.

    `code` is the finding that it stands for, and `sentence` the start of its evidence, without a full stop.
    `differences` is None where OSS's canonical request is missing or cannot be read. `codes` are the findings that OSS
    itself states: a right signature does not refute them.
    """

    error: ServerError
    code: str
    sentence: str
    differences: tuple[Difference, ...] | None
    codes: frozenset[str] = frozenset()

    @property
    def is_mismatch(self) -> bool:
        """Whether OSS says that the signature does not match."""
        return self.code == "signature_mismatch"


def find_other_link(link: LenientUrl, error: ServerError) -> Finding | None:
    """The finding that the answer belongs to another link, where its key, time or signature shows it."""
    parts = list(_foreign_parts(link, error))
    if not parts:
        return None
    names = ", ".join(parts[:-1]) + " and " + parts[-1] + " are" if len(parts) > 1 else f"{parts[0]} is"
    return Finding("other_link", CERTAIN, f"The {names} not the same in OSS's answer and in the link.")


def _foreign_parts(link: LenientUrl, error: ServerError) -> Iterator[str]:
    """Compares complete values only: links are cut, and people mask secrets in answers."""
    if link.version != V4:
        return
    key_id, signature = error.access_key_id.casefold(), error.provided_signature
    if link.region and _KEY_ID.fullmatch(key_id) and key_id != link.access_key_id.casefold():
        yield "access key"
    issued_at = read_timestamp(error.timestamp)
    if issued_at is not None and link.issued_at is not None and issued_at != link.issued_at:
        yield "signing time"
    own = link.value("x-oss-signature").lower()
    if _SIGNATURE.fullmatch(signature) and _SIGNATURE.fullmatch(own) and signature != own:
        yield "signature"


def received_request(request: CandidateRequest, link: LenientUrl, error: ServerError) -> CandidateRequest | None:
    """The link's request with the method and the headers that OSS received, None if the answer does not show them."""
    received = parse_canonical_request(error.canonical_request)
    if received is None:
        return None
    return request._replace(method=received.method, headers={"host": link.host, **received.headers})


def find_differences(
    request: CandidateRequest, link: LenientUrl, error: ServerError, *, knows_headers: bool
) -> tuple[Difference, ...] | None:
    """Where OSS's canonical request differs from that of the link; None if it cannot be compared."""
    if not link.bucket or parse_canonical_request(error.canonical_request) is None:
        return None
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
    return compare_canonical_requests(
        error.canonical_request, expected, unknown_headers=unknown, knows_headers=knows_headers
    )


def apply_server_error(
    error: ServerError,
    findings: list[Finding],
    differences: tuple[Difference, ...] | None,
    link: LenientUrl,
    method: str,
    *,
    knows_headers: bool,
) -> tuple[list[Finding], Answer]:
    """The findings, given what OSS answered, and the answer."""
    code = error.finding
    said = f"OSS answered {error.code or 'an error'}" + (f" (EC {error.ec})" if error.ec else "")
    if code == "other_error" and error.message:
        said += f": {error.message[:160]}"
    if code == "signature_mismatch":
        return _apply_mismatch(Answer(error, code, said, differences), findings, link, method, knows_headers)
    codes = {finding.code for finding in findings}
    if code == "unknown_access_key" and "missing_token" in codes:
        code = "missing_token"
    elif code == "missing_token" and link.token:
        code = "unknown_access_key"
    elif code == "no_such_key" and "bucket_twice" in codes:
        code = "bucket_twice"
    answer = Answer(error, code, said, differences)
    if code in _SAID_OF_DAMAGED_LINKS and (
        link.damages or codes & {"unsigned", "truncated", "plus_decoded", "token_not_signed"}
    ):
        return findings, answer
    damages = {damage.code for damage in link.damages}
    if code in _UNREADABLE and codes - {"expired", "internal_host"} - (SIGNATURE_CODES - damages):
        return findings, answer
    if code in ("malformed_parameter", "truncated") and error.elements.get("ArgumentName"):
        said += f" about {printable_name(error.elements['ArgumentName'])}"
    evidence = next((finding.evidence for finding in findings if finding.code == code), "")
    others = [finding for finding in findings if finding.code != code]
    if code not in ("expires_out_of_range", "malformed_parameter", "missing_token", "unknown_access_key"):
        others = [finding._replace(certainty=POSSIBLE) for finding in others if finding.code not in SIGNATURE_CODES]
    findings = [Finding(code, CERTAIN, f"{said}. {evidence}".strip()), *others]
    return findings, answer._replace(codes=frozenset({code}))


def _apply_mismatch(
    answer: Answer, findings: list[Finding], link: LenientUrl, method: str, knows_headers: bool
) -> tuple[list[Finding], Answer]:
    findings = [f._replace(certainty=POSSIBLE) if f.code in _CHECKED_BEFORE_SIGNATURE else f for f in findings]
    if answer.differences and not link.damages:
        unsure = () if knows_headers else ("extra_header",)  # the link does not show whether it was signed
        differing = [
            Finding(code, LIKELY if code in unsure else CERTAIN, sentence) for _, code, sentence in answer.differences
        ]
        return [*differing, *findings], answer._replace(codes=frozenset(finding.code for finding in differing))
    if any(finding.certainty != POSSIBLE for finding in findings):
        return findings, answer
    evidence = answer.sentence
    if answer.differences == ():
        evidence += ", and its canonical request is the same as the link's"
    if method != "GET":
        evidence += f". The link looks complete, and it was used with {printable_name(method)}"
        return [Finding("wrong_method", LIKELY, f"{evidence}."), *findings], answer
    return [Finding("signature_mismatch", LIKELY, f"{evidence}."), *findings], answer
