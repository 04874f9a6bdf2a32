"""RAM policies, parsed strictly: what is not evaluated here is an error and never ignored.

Sources: the RAM pages "Permission policy elements", "Policy structure and syntax" and "Conditional operators".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Literal, NamedTuple, cast

from ..errors import EmulatorError

Effect = Literal["Allow", "Deny"]

_ELEMENTS = frozenset({"Effect", "Action", "NotAction", "Resource", "Condition"})
# Negated operators are refused: the sources do not say what they mean for a request without the key.
_OPERATORS = ("StringEquals", "StringLike")
# oss:Prefix comes with lists of a bucket, acs:Service with ram:PassRole.
_KEYS = ("acs:Service", "oss:Prefix")
_ANY = "*"


class PolicyError(EmulatorError):
    """A policy that is invalid, or that has something that is not evaluated here."""


class Condition(NamedTuple):
    """One key of an operator; any of the values is enough."""

    operator: str
    key: str
    values: tuple[str, ...]

    def holds(self, context: Mapping[str, str]) -> bool:
        """False for a request that does not have the key."""
        value = context.get(self.key)
        if value is None:
            return False
        if self.operator == "StringEquals":
            return value in self.values
        return any(matches(pattern, value) for pattern in self.values)


class Statement(NamedTuple):
    """With `excludes`, the actions are those of NotAction."""

    effect: Effect
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()
    excludes: bool = False

    def applies(self, action: str, resource: str, context: Mapping[str, str]) -> bool:
        """Whether it is about this request, to allow or to deny it."""
        named = any(matches(pattern.lower(), action.lower()) for pattern in self.actions)
        return (
            named is not self.excludes
            and any(_matches_arn(pattern, resource) for pattern in self.resources)
            and all(condition.holds(context) for condition in self.conditions)
        )


class Policy(NamedTuple):
    """The statements of one document."""

    statements: tuple[Statement, ...]


def parse_policy(document: object, name: str = "policy") -> Policy:
    """A policy from its JSON; `name` is how sentences call it. Raises `PolicyError`."""
    if not isinstance(document, Mapping):
        raise PolicyError(f"{name}: a policy must be a JSON object.")
    _check_names(document, {"Version", "Statement"}, name)
    if document.get("Version") != "1":
        raise PolicyError(f'{name}: Version must be "1".')
    listed = document.get("Statement")
    statements = [listed] if isinstance(listed, Mapping) else listed
    if not isinstance(statements, list) or not statements:
        raise PolicyError(f"{name}: Statement must be a list of at least one object.")
    return Policy(
        tuple(
            _statement(each, f"{name}, statement {number}")
            for number, each in enumerate(statements, 1)
        )
    )


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    wildcards = {"*": ".*", "?": "."}
    return re.compile(
        "".join(wildcards.get(character) or re.escape(character) for character in pattern),
        re.DOTALL,
    )


def matches(pattern: str, value: str) -> bool:
    """Whether the pattern is about the complete value: `*` is any string, `?` any character."""
    return _expression(pattern).fullmatch(value) is not None


def _matches_arn(pattern: str, resource: str) -> bool:
    """Compares part by part, so that a `*` for the region or the account does not reach into the next part."""
    if pattern == _ANY:
        return True
    return all(map(matches, pattern.split(":", 4), resource.split(":", 4)))


def _statement(document: object, place: str) -> Statement:
    if not isinstance(document, Mapping):
        raise PolicyError(f"{place}: a statement must be a JSON object.")
    _check_names(document, _ELEMENTS, place)
    effect = document.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise PolicyError(f"{place}: Effect must be Allow or Deny.")
    if ("Action" in document) is ("NotAction" in document):
        raise PolicyError(f"{place}: either Action or NotAction is required, not both.")
    excludes = "NotAction" in document
    element = "NotAction" if excludes else "Action"
    actions = _strings(document[element], f"{place}: {element}")
    for action in actions:
        if action != _ANY and not re.fullmatch(r"[\w*?-]+:[\w*?]+", action, re.ASCII):
            raise PolicyError(
                f"{place}: {element} {action} is invalid. Use * or the form service:Action."
            )
    resources = _strings(document.get("Resource"), f"{place}: Resource")
    for resource in resources:
        if resource != _ANY and not (resource.startswith("acs:") and resource.count(":") >= 4):
            advice = "Use * or the form acs:service:region:account:name."
            raise PolicyError(f"{place}: Resource {resource} is invalid. {advice}")
    conditions = _conditions(document.get("Condition", {}), place)
    return Statement(
        effect=cast(Effect, effect),
        actions=actions,
        resources=resources,
        conditions=conditions,
        excludes=excludes,
    )


def _conditions(document: object, place: str) -> tuple[Condition, ...]:
    conditions = []
    for operator, keys in _object(document, f"{place}: Condition").items():
        if operator not in _OPERATORS:
            raise PolicyError(
                f"{place}: the operator {operator} is unknown. Use {' or '.join(_OPERATORS)}."
            )
        for key, values in _object(keys, f"{place}: {operator}").items():
            if key not in _KEYS:
                raise PolicyError(
                    f"{place}: the condition key {key} is unknown. Use {' or '.join(_KEYS)}."
                )
            conditions.append(Condition(operator, key, _strings(values, f"{place}: {key}")))
    return tuple(conditions)


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise PolicyError(f"{what} must be a JSON object.")
    return value


def _strings(value: object, what: str) -> tuple[str, ...]:
    values = [value] if isinstance(value, str) else value
    if (
        not isinstance(values, list)
        or not values
        or not all(isinstance(each, str) for each in values)
    ):
        raise PolicyError(f"{what} must be a string, or a list of at least one string.")
    return tuple(values)


def _check_names(
    document: Mapping[str, object], known: frozenset[str] | set[str], place: str
) -> None:
    for name in document:
        if name not in known:
            raise PolicyError(
                f"{place}: the element {name} is unknown. Use {', '.join(sorted(known))}."
            )
