"""Whether policies allow a request, as RAM decides it.

Sources: the RAM pages "How RAM evaluates policies" and "How RAM evaluates policies when a role is assumed".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

from .policy import Policy, Statement

# The policies of the user or role, then those of the session: each layer must allow a request. Without a layer
# everything is allowed, as for the account itself.
Layers = tuple[tuple[Policy, ...], ...]
Kind = Literal["allowed", "explicit_deny", "implicit_deny", "session_policy"]

_NOTHING: Mapping[str, str] = MappingProxyType({})


class Decision(NamedTuple):
    """`statements` are those that decided: what denies the request, or what allows it in each layer.

    Of the kinds, "implicit_deny" says that the policies of the user or role do not allow the request, and
    "session_policy" that only those of the session do not. `layer` is the one that denies.
    """

    kind: Kind
    statements: tuple[Statement, ...] = ()
    layer: int = 0

    @property
    def allowed(self) -> bool:
        return self.kind == "allowed"


def evaluate(
    layers: Layers,
    action: str,
    resource: str,
    context: Mapping[str, str] = _NOTHING,
    used: Callable[[Statement], None] | None = None,
) -> Decision:
    """Decides on one action (`oss:GetObject`) on one resource, a complete ARN.

    `context` has the condition keys of the request; `used` is called with each statement that decided.
    """
    decision = _decide(layers, action, resource, context)
    if used is not None:
        for statement in decision.statements:
            used(statement)
    return decision


def _decide(layers: Layers, action: str, resource: str, context: Mapping[str, str]) -> Decision:
    applying = [
        [
            statement
            for policy in layer
            for statement in policy.statements
            if statement.applies(action, resource, context)
        ]
        for layer in layers
    ]
    for number, statements in enumerate(applying):
        if denying := tuple(statement for statement in statements if statement.effect == "Deny"):
            return Decision("explicit_deny", denying, number)
    for number, statements in enumerate(applying):
        if not statements:
            return Decision("session_policy" if number else "implicit_deny", layer=number)
    return Decision("allowed", tuple(statement for statements in applying for statement in statements))
