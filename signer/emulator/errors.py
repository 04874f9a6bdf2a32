"""The base of this package's errors."""

from __future__ import annotations


class LocalError(Exception):
    """Something that the person who started the stack can fix; the message says how."""
