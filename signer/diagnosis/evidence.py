"""Evidence about a link, where each piece comes from, and which source overrules which."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from .causes import CAUSES, SIGNATURE_CODES, at_stage, with_trait

PROVED = "proved"
CERTAIN = "certain"
LIKELY = "likely"
POSSIBLE = "possible"
CERTAINTIES = (PROVED, CERTAIN, LIKELY, POSSIBLE)
# The secret; what OSS says; what OSS says only in general; what was undone; what the link shows; and what the secret's
# owner knows besides the signature; and the status of an answer that is missing. Among equally certain pieces, the
# earlier source comes first.
SECRET = "secret"  # noqa: S105 - the name of a source
ANSWER = "answer"
GUESS = "guess"
DAMAGE = "damage"
LINK = "link"
OWNER = "owner"
STATUS = "status"
SOURCES = (SECRET, ANSWER, GUESS, DAMAGE, LINK, OWNER, STATUS)

_REFUTED = SIGNATURE_CODES - with_trait("survives right signature")
_BEFORE_SIGNATURE = at_stage("before signature")
_ALL = frozenset(CAUSES)
_INCOMPLETE = with_trait("incomplete")
_OFTEN_HARMLESS = with_trait("often harmless")

# What OSS's answer says: it refused the signature, or something else. What the secret says: the signature is cut; it is
# right; OSS received exactly what it is right for; it is right after repairs; or another secret signed.
Verdict = Literal["mismatch", "refused", "cut", "right", "received", "repaired", "other signer"]
# For each verdict, what becomes of the evidence of a source that has one of these codes: the certainty that it then
# has, or None where it is refuted. The first line that fits counts.
_OVERRULED: dict[Verdict, tuple[tuple[str, frozenset[str], str | None], ...]] = {
    "mismatch": ((LINK, _BEFORE_SIGNATURE, POSSIBLE),),
    "refused": (
        (LINK, SIGNATURE_CODES, None),
        (DAMAGE, SIGNATURE_CODES, None),
        (LINK, _ALL, POSSIBLE),
        (DAMAGE, _ALL, POSSIBLE),
    ),
    "cut": ((DAMAGE, _ALL, PROVED), (LINK, _INCOMPLETE, PROVED)),
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
        return CAUSES[self.code].title

    @property
    def advice(self) -> str:
        """What to do."""
        return CAUSES[self.code].advice


class Evidence(NamedTuple):
    """What one source says about a link. A `GUESS` counts only where no other source knows more than possibilities."""

    code: str
    source: str
    certainty: str
    sentence: str


def overrule(evidence: Iterable[Evidence], verdict: Verdict | None) -> list[Evidence]:
    """What is left of the evidence after a verdict."""
    left = []
    for piece in evidence:
        lines = _OVERRULED[verdict] if verdict else ()
        fitting = (
            now for source, codes, now in lines if source == piece.source and piece.code in codes
        )
        certainty = next(fitting, piece.certainty)
        if certainty is not None:
            left.append(piece._replace(certainty=certainty))
    return left


def rank(evidence: Iterable[Evidence]) -> tuple[Finding, ...]:
    """Most probable first, each code once."""

    def position(piece: Evidence) -> tuple[int, bool, int]:
        # Most clients encode a raw space themselves, and most wrappers lead to their link: these are last among equals.
        return (
            CERTAINTIES.index(piece.certainty),
            piece.code in _OFTEN_HARMLESS,
            SOURCES.index(piece.source),
        )

    ordered = sorted(evidence, key=position)
    if any(piece.certainty != POSSIBLE and piece.source not in (GUESS, OWNER) for piece in ordered):
        ordered = [piece for piece in ordered if piece.source != GUESS]
    first: dict[str, Finding] = {}
    for code, _, certainty, sentence in ordered:
        first.setdefault(code, Finding(code, certainty, sentence))
    return tuple(first.values())
