"""The command line: sign, curl, explain and bulk; and share, receive, shares, extend, revoke and ls of a service."""

from __future__ import annotations

from .program import commands, run

__all__ = ["commands", "run"]
