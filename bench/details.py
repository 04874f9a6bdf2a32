"""What a measurement says beside its figures: lines for `-v`, notes below the table, and pictures for the page."""

from __future__ import annotations

from collections.abc import Mapping

from .bars import Bars


class Details:
    """Collects notes and pictures; prints lines at once if `verbose`."""

    def __init__(self, verbose: bool = False) -> None:
        self.verbose = verbose
        self.notes: list[str] = []
        self.pictures: list[Bars] = []

    def line(self, text: str) -> None:
        """For `-v` only."""
        if self.verbose:
            print(text, flush=True)

    def note(self, text: str) -> None:
        """Always printed below the table: for example that a peer is missing on this machine."""
        self.notes.append(text)

    def bars(self, name: str, title: str, unit: str, values: Mapping[str, float]) -> None:
        """A picture that `--docs` writes to `docs/images/performance/{name}.svg`."""
        self.pictures.append(Bars(name, title, unit, values))
