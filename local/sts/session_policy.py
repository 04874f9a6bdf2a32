"""The Policy of an AssumeRole call: its size and grammar."""

from __future__ import annotations

import json

from .errors import StsError, invalid_parameter
from .sessions import Policy

MAX_CHARACTERS = 2048


def read_policy(string: str) -> Policy:
    """Raises `StsError` for a policy that is too long, or not a RAM policy."""
    if len(string) > MAX_CHARACTERS:
        raise invalid_parameter("PolicySize", f"The size of Policy must be smaller than {MAX_CHARACTERS} bytes.")
    try:
        policy = json.loads(string)
    except (ValueError, RecursionError):
        raise _grammar() from None
    if not isinstance(policy, dict) or policy.get("Version") != "1" or policy.keys() - {"Version", "Statement"}:
        raise _grammar()
    statements = policy.get("Statement")
    if not isinstance(statements, list) or not statements or not all(map(_is_statement, statements)):
        raise _grammar()
    return policy


def _is_statement(statement: object) -> bool:
    return (
        isinstance(statement, dict)
        and statement.get("Effect") in ("Allow", "Deny")
        and _has_one(statement, "Action", "NotAction")
        and _has_one(statement, "Resource", "NotResource")
        and isinstance(statement.get("Condition", {}), dict)
    )


def _has_one(statement: dict[str, object], name: str, negated: str) -> bool:
    if (name in statement) == (negated in statement):
        return False
    value = statement.get(name, statement.get(negated))
    strings = [value] if isinstance(value, str) else value
    return isinstance(strings, list) and bool(strings) and all(isinstance(item, str) and item for item in strings)


def _grammar() -> StsError:
    return invalid_parameter("PolicyGrammar", "The parameter Policy has not passed grammar check.")
