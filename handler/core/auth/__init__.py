"""Who calls, and what they may."""

from .access import authorize, identify, may_list

__all__ = ["authorize", "identify", "may_list"]
