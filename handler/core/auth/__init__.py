"""Who calls, and what they may."""

from .access import authorize, identify, identify_caller, may_list

__all__ = ["authorize", "identify", "identify_caller", "may_list"]
