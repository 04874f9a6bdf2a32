"""Who calls, and what they may."""

from .access import authorize, identify

__all__ = ["authorize", "identify"]
