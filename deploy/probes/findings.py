"""What the doctor found: one line each, with what to do."""

from __future__ import annotations

from typing import Literal, NamedTuple

from signer import redact

Level = Literal["ok", "warning", "fault", "unknown"]


class Finding(NamedTuple):
    """One line. `fault` is what will not work, `warning` what may not be wanted, `unknown` what could not be seen."""

    level: Level
    subject: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.level:<8}{self.subject:<14}{redact(self.sentence)}"


def ok(subject: str, sentence: str) -> Finding:
    """It is as it should be."""
    return Finding("ok", subject, sentence)


def warning(subject: str, sentence: str) -> Finding:
    """It works, but perhaps not as wanted."""
    return Finding("warning", subject, sentence)


def fault(subject: str, sentence: str) -> Finding:
    """It will not work."""
    return Finding("fault", subject, sentence)


def unknown(subject: str, sentence: str) -> Finding:
    """It could not be looked at; the sentence says what is needed for that."""
    return Finding("unknown", subject, sentence)
