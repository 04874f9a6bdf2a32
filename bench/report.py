"""Prints measurements beside what is required of them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Requirement:
    """A measured value, its required bound and its aim. The bound is a minimum if `at_least`, else a maximum."""

    name: str
    value: float
    required: float
    aim: float
    at_least: bool

    @property
    def holds(self) -> bool:
        return self.value >= self.required if self.at_least else self.value <= self.required

    def line(self) -> str:
        bound = "at least" if self.at_least else "at most"
        verdict = "reached" if self.holds else "MISSED"
        return f"  {self.name:<46} {self.value:>7.2f}  {bound} {self.required:g} (aim {self.aim:g}): {verdict}"


def report(requirements: list[Requirement]) -> int:
    """Prints one line each; returns 1 if a requirement is missed, else 0."""
    for requirement in requirements:
        print(requirement.line())
    return 0 if all(requirement.holds for requirement in requirements) else 1
