"""Which source of evidence overrules which, as the table says, and in which order findings come."""

from __future__ import annotations

import pytest

from signer.diagnosis import evidence
from signer.diagnosis.evidence import (
    ANSWER,
    CERTAIN,
    DAMAGE,
    LIKELY,
    LINK,
    OWNER,
    POSSIBLE,
    PROVED,
    SECRET,
    Evidence,
)


def piece(code: str, source: str, certainty: str = CERTAIN) -> Evidence:
    return Evidence(code, source, certainty, "It is so.")


@pytest.mark.parametrize(
    ("verdict", "code", "source", "certainty"),
    [
        (None, "decoded", LINK, CERTAIN),
        ("mismatch", "expired", LINK, POSSIBLE),
        ("mismatch", "added_parameters", LINK, CERTAIN),
        ("refused", "added_parameters", LINK, None),
        ("refused", "plus_decoded", DAMAGE, None),
        ("refused", "line_broken", DAMAGE, POSSIBLE),
        ("refused", "no_such_key", ANSWER, CERTAIN),
        ("cut", "line_broken", DAMAGE, PROVED),
        ("cut", "truncated", LINK, PROVED),
        ("cut", "expired", LINK, CERTAIN),
        ("right", "html_escaped", DAMAGE, PROVED),
        ("right", "added_parameters", LINK, None),
        ("right", "added_parameters", ANSWER, CERTAIN),
        ("right", "rewritten_key", LINK, CERTAIN),
        ("received", "changed_query", ANSWER, None),
        ("repaired", "rewritten_key", LINK, None),
        ("repaired", "wrong_method", SECRET, CERTAIN),
        ("other signer", "expired", LINK, POSSIBLE),
        ("other signer", "token_expired", OWNER, POSSIBLE),
        ("other signer", "other_link", ANSWER, CERTAIN),
    ],
)
def test_a_verdict_overrules_a_source(
    verdict: evidence.Verdict | None, code: str, source: str, certainty: str | None
) -> None:
    left = evidence.overrule([piece(code, source)], verdict)
    assert [remaining.certainty for remaining in left] == ([certainty] if certainty else [])


def test_the_most_certain_comes_first_and_then_the_better_source() -> None:
    given = [
        piece("expired", LINK),
        piece("token_expired", OWNER),
        piece("decoded", DAMAGE),
        piece("wrong_method", SECRET, PROVED),
        piece("added_parameters", ANSWER),
        piece("wrong_region", LINK, POSSIBLE),
    ]
    codes = [finding.code for finding in evidence.rank(given)]
    assert codes == [
        "wrong_method",
        "added_parameters",
        "expired",
        "token_expired",
        "decoded",
        "wrong_region",
    ]


def test_a_code_is_reported_once_by_its_most_certain_source() -> None:
    (finding,) = evidence.rank(
        [piece("expired", LINK, POSSIBLE), piece("expired", ANSWER, CERTAIN)]
    )
    assert finding.certainty == CERTAIN


@pytest.mark.parametrize(
    ("other", "codes"),
    [
        (piece("wrong_region", LINK, POSSIBLE), ["signature_mismatch", "wrong_region"]),
        (piece("token_expired", OWNER), ["token_expired", "signature_mismatch"]),
        (piece("added_parameters", LINK, LIKELY), ["added_parameters"]),
        (piece("wrong_secret", SECRET, LIKELY), ["wrong_secret"]),
    ],
)
def test_a_guess_counts_only_where_nothing_else_is_known(other: Evidence, codes: list[str]) -> None:
    findings = evidence.rank([piece("signature_mismatch", evidence.GUESS, LIKELY), other])
    assert [finding.code for finding in findings] == codes
