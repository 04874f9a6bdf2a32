"""Whether policies allow a request, as RAM decides it.

Sources: the RAM pages "How RAM evaluates policies" and "How RAM evaluates policies when a role is assumed".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

from .policy import Policy

# The policies of the user or role, then those of the session: each layer must allow a request. Without a layer
# everything is allowed, as for the account itself.
Layers = tuple[tuple[Policy, ...], ...]
Kind = Literal["allowed", "explicit_deny", "implicit_deny", "session_policy"]


class Decision(NamedTuple):
    """Of the kinds, "implicit_deny" says that the policies of the user or role do not allow the request, and
    "session_policy" that only those of the session do not. `layer` is the one that denies.
    """

    kind: Kind
    layer: int = 0

    @property
    def allowed(self) -> bool:
        return self.kind == "allowed"


def evaluate(
    layers: Layers, action: str, resource: str, context: Mapping[str, str] | None = None
) -> Decision:
    """Decides on one action (`oss:GetObject`) on one resource, a complete ARN.

    `context` has the condition keys of the request.
    """
    effects = [
        {
            statement.effect
            for policy in layer
            for statement in policy.statements
            if statement.applies(action, resource, context or {})
        }
        for layer in layers
    ]
    for number, applying in enumerate(effects):
        if "Deny" in applying:
            return Decision("explicit_deny", number)
    for number, applying in enumerate(effects):
        if not applying:
            return Decision("session_policy" if number else "implicit_deny", number)
    return Decision("allowed")
