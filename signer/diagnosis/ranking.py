"""Ranks findings by probability."""

from __future__ import annotations

from collections.abc import Iterable

from ..redaction import redact
from .checks import CERTAIN, LIKELY, POSSIBLE, PROVED, Finding

# These make a signature wrong, so none of them holds where OSS, or the secret, says that it is right.
SIGNATURE_CODES = frozenset(
    {
        "added_parameters", "altered_parameter", "bucket_twice", "case_changed", "changed_header", "changed_path",
        "changed_query", "decoded", "double_encoded", "extra_header", "missing_header", "plus_decoded", "rewritten_key",
        "signature_mismatch", "token_not_signed", "wrong_host", "wrong_method", "wrong_secret",
    }
)  # fmt: skip
_RANK = {PROVED: 0, CERTAIN: 1, LIKELY: 2, POSSIBLE: 3}


def rank(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Most probable first, each code once, and nothing secret in any."""
    # Most clients encode a raw space themselves, so "decoded" comes last among equals.
    ordered = sorted(findings, key=lambda finding: (_RANK[finding.certainty], finding.code == "decoded"))
    first: dict[str, Finding] = {}
    for finding in ordered:
        first.setdefault(finding.code, finding._replace(evidence=redact(finding.evidence)))
    return tuple(first.values())
