"""Which source of facts overrules which, as the table says, and in which order findings come."""

from __future__ import annotations

import pytest

from signer.diagnosis import facts
from signer.diagnosis.facts import (
    ANSWER,
    CERTAIN,
    DAMAGE,
    LIKELY,
    LINK,
    OWNER,
    POSSIBLE,
    PROVED,
    SECRET,
    Fact,
)


def fact(code: str, source: str, certainty: str = CERTAIN) -> Fact:
    return Fact(code, source, certainty, "It is so.")


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
    verdict: facts.Verdict | None, code: str, source: str, certainty: str | None
) -> None:
    left = facts.overrule([fact(code, source)], verdict)
    assert [remaining.certainty for remaining in left] == ([certainty] if certainty else [])


def test_the_most_certain_comes_first_and_then_the_better_source() -> None:
    given = [
        fact("expired", LINK),
        fact("token_expired", OWNER),
        fact("decoded", DAMAGE),
        fact("wrong_method", SECRET, PROVED),
        fact("added_parameters", ANSWER),
        fact("wrong_region", LINK, POSSIBLE),
    ]
    codes = [finding.code for finding in facts.rank(given)]
    assert codes == [
        "wrong_method",
        "added_parameters",
        "expired",
        "token_expired",
        "decoded",
        "wrong_region",
    ]


def test_a_code_is_reported_once_by_its_most_certain_fact() -> None:
    (finding,) = facts.rank([fact("expired", LINK, POSSIBLE), fact("expired", ANSWER, CERTAIN)])
    assert finding.certainty == CERTAIN


@pytest.mark.parametrize(
    ("other", "codes"),
    [
        (fact("wrong_region", LINK, POSSIBLE), ["signature_mismatch", "wrong_region"]),
        (fact("token_expired", OWNER), ["token_expired", "signature_mismatch"]),
        (fact("added_parameters", LINK, LIKELY), ["added_parameters"]),
        (fact("wrong_secret", SECRET, LIKELY), ["wrong_secret"]),
    ],
)
def test_a_guess_counts_only_where_nothing_else_is_known(other: Fact, codes: list[str]) -> None:
    findings = facts.rank([fact("signature_mismatch", facts.GUESS, LIKELY), other])
    assert [finding.code for finding in findings] == codes
