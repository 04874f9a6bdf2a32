"""Who calls, and what they may."""

from .access import authorize, identify, identify_caller

__all__ = ["authorize", "identify", "identify_caller"]
