"""Facts about a link, where each comes from, and which source overrules which."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from .advice import ADVICE

PROVED = "proved"
CERTAIN = "certain"
LIKELY = "likely"
POSSIBLE = "possible"
CERTAINTIES = (PROVED, CERTAIN, LIKELY, POSSIBLE)
# The secret; what OSS says; what OSS says only in general; what was undone; what the link shows; and what the secret's
# owner knows besides the signature. Among equally certain facts, the earlier source comes first.
SECRET = "secret"  # noqa: S105 - the name of a source
ANSWER = "answer"
GUESS = "guess"
DAMAGE = "damage"
LINK = "link"
OWNER = "owner"
SOURCES = (SECRET, ANSWER, GUESS, DAMAGE, LINK, OWNER)

# These make a signature wrong, so none of them holds where OSS, or the secret, says that it is right.
SIGNATURE_CODES = frozenset(
    {
        "added_parameters",
        "altered_parameter",
        "bucket_twice",
        "case_changed",
        "changed_header",
        "changed_path",
        "changed_query",
        "decoded",
        "double_encoded",
        "extra_header",
        "missing_header",
        "plus_decoded",
        "rewritten_key",
        "signature_mismatch",
        "token_not_signed",
        "wrong_host",
        "wrong_method",
        "wrong_secret",
    }
)
# OSS checks these before the signature, so none of them holds where OSS complains about the signature.
CHECKED_BEFORE_SIGNATURE = frozenset(
    {
        "bucket_not_in_host",
        "date_in_future",
        "expired",
        "internal_host",
        "missing_token",
        "wrong_region",
    }
)
# A key that clients rewrite breaks even a right signature.
_REFUTED = SIGNATURE_CODES - {"rewritten_key"}
_ALL = frozenset(ADVICE)

# What OSS's answer says: it refused the signature, or something else. What the secret says: the signature is cut; it is
# right; OSS received exactly what it is right for; it is right after repairs; or another secret signed.
Verdict = Literal["mismatch", "refused", "cut", "right", "received", "repaired", "other signer"]
# For each verdict, what becomes of the facts of a source that have one of these codes: the certainty that they then
# have, or None where they are refuted. The first line that fits a fact counts.
_OVERRULED: dict[Verdict, tuple[tuple[str, frozenset[str], str | None], ...]] = {
    "mismatch": ((LINK, CHECKED_BEFORE_SIGNATURE | {"unsigned", "wrapped"}, POSSIBLE),),
    "refused": (
        (LINK, SIGNATURE_CODES, None),
        (DAMAGE, SIGNATURE_CODES, None),
        (LINK, _ALL, POSSIBLE),
        (DAMAGE, _ALL, POSSIBLE),
    ),
    "cut": ((DAMAGE, _ALL, PROVED), (LINK, frozenset({"truncated"}), PROVED)),
    "right": ((DAMAGE, _ALL, PROVED), (LINK, _REFUTED, None)),
    "received": ((DAMAGE, _ALL, PROVED), (LINK, _REFUTED, None), (ANSWER, _REFUTED, None)),
    "repaired": ((DAMAGE, _ALL, PROVED), (LINK, SIGNATURE_CODES, None)),
    "other signer": ((DAMAGE, _ALL, POSSIBLE), (LINK, _ALL, POSSIBLE), (OWNER, _ALL, POSSIBLE)),
}


class Finding(NamedTuple):
    """One thing that is wrong: what it is, the evidence, and what to do.

    `certainty` is "proved" (with the secret), "certain", "likely" or "possible".
    """

    code: str
    certainty: str
    evidence: str

    @property
    def title(self) -> str:
        """What is wrong, in a sentence."""
        return ADVICE[self.code][0]

    @property
    def advice(self) -> str:
        """What to do."""
        return ADVICE[self.code][1]


class Fact(NamedTuple):
    """What one source says about a link. A `GUESS` counts only where no other source knows more than possibilities."""

    code: str
    source: str
    certainty: str
    evidence: str


def overrule(facts: Iterable[Fact], verdict: Verdict | None) -> list[Fact]:
    """What is left of the facts after a verdict."""
    left = []
    for fact in facts:
        lines = _OVERRULED[verdict] if verdict else ()
        fitting = (
            now for source, codes, now in lines if source == fact.source and fact.code in codes
        )
        certainty = next(fitting, fact.certainty)
        if certainty is not None:
            left.append(fact._replace(certainty=certainty))
    return left


def rank(facts: Iterable[Fact]) -> tuple[Finding, ...]:
    """Most probable first, each code once."""

    def position(fact: Fact) -> tuple[int, bool, int]:
        # Most clients encode a raw space themselves, and most wrappers lead to their link: these are last among equals.
        return (
            CERTAINTIES.index(fact.certainty),
            fact.code in ("decoded", "wrapped"),
            SOURCES.index(fact.source),
        )

    ordered = sorted(facts, key=position)
    if any(fact.certainty != POSSIBLE and fact.source not in (GUESS, OWNER) for fact in ordered):
        ordered = [fact for fact in ordered if fact.source != GUESS]
    first: dict[str, Finding] = {}
    for code, _, certainty, evidence in ordered:
        first.setdefault(code, Finding(code, certainty, evidence))
    return tuple(first.values())
