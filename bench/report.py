"""How a measurement is told: medians, ratios, and whether what is required of them holds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Requirement:
    """A ratio that is required, and one that is aimed at; `least` says that it may not be below (else not above)."""

    what: str
    ratio: float
    required: float
    aim: float
    least: bool

    @property
    def holds(self) -> bool:
        """Whether the required ratio is reached."""
        return self.ratio >= self.required if self.least else self.ratio <= self.required

    def line(self) -> str:
        """One line for a person."""
        bound = "at least" if self.least else "at most"
        verdict = "holds" if self.holds else "MISSED"
        return f"  {self.what:<46} {self.ratio:>7.2f}  {bound} {self.required:g} (aim {self.aim:g}): {verdict}"


def tell(requirements: list[Requirement]) -> int:
    """Prints the lines; 1 where a requirement is missed, else 0."""
    for requirement in requirements:
        print(requirement.line())
    return 0 if all(requirement.holds for requirement in requirements) else 1
