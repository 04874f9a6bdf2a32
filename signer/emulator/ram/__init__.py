"""RAM as the local services ask it: who signs with an access key, and whether their policies allow a request."""

from __future__ import annotations

from .evaluation import Decision, Layers, evaluate
from .policy import Policy, PolicyError, parse_policy
from .principals import ACCOUNT, Principal, Principals

__all__ = [
    "ACCOUNT",
    "Decision",
    "Layers",
    "Policy",
    "PolicyError",
    "Principal",
    "Principals",
    "evaluate",
    "parse_policy",
]
