"""The Policy of an AssumeRole call: its size and grammar."""

from __future__ import annotations

import json

from signer.sts import MAX_POLICY

from ..ram import PolicyError, parse_policy
from .errors import invalid_parameter


def read_policy(string: str) -> object:
    """The policy in JSON. Raises `StsError` for one that is too long, or that the local RAM does not evaluate."""
    if len(string.encode()) > MAX_POLICY:
        raise invalid_parameter("PolicySize", f"The size of Policy must be smaller than {MAX_POLICY} bytes.")
    try:
        policy = json.loads(string)
        parse_policy(policy)
    except (ValueError, RecursionError, PolicyError):
        raise invalid_parameter("PolicyGrammar", "The parameter Policy has not passed grammar check.") from None
    return policy
