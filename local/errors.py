"""What the laptop's stack refuses: one sentence for the person who started it."""

from __future__ import annotations


class LocalError(Exception):
    """The base of all refusals of this package; the text says what to do next."""
