"""The policy of a form upload: its JSON, and whether a form meets it.

Sources: the OSS pages "PostObject" (appendix on the policy), "POST V4 signature", and those of EC 0006-….
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any, NamedTuple

from ..errors import OssError

_RANGE = "content-length-range"
_MATCHES = ("eq", "starts-with")
_LISTS = ("in", "not-in")


class PolicyCondition(NamedTuple):
    """`operator` is eq, starts-with, in or not-in; `field` is lower-case, without "$"; `source` is its JSON."""

    operator: str
    field: str
    values: tuple[str, ...]
    source: str

    def allows(self, value: str) -> bool:
        if self.operator == "starts-with":
            return value.startswith(self.values[0])
        return (value in self.values) is (self.operator != "not-in")


class FormPolicy(NamedTuple):
    """`expiration` is in Unix seconds; `min_size` and `max_size` are in bytes, both included."""

    expiration: float
    conditions: tuple[PolicyCondition, ...]
    min_size: int = 0
    max_size: int | None = None

    def check(self, fields: Mapping[str, str], now: float) -> None:
        """Raises `OssError` AccessDenied if a form does not meet it; a missing field counts as empty."""
        if now >= self.expiration:
            raise denied("Policy expired.")
        for condition in self.conditions:
            if not condition.allows(fields.get(condition.field, "")):
                raise denied(f"Policy Condition failed: {condition.source}")

    def check_bound(self, names: tuple[str, ...]) -> None:
        """Raises `OssError` AccessDenied unless every name is bound to one value."""
        bound = {condition.field for condition in self.conditions if condition.operator == "eq"}
        for name in names:
            if name not in bound:
                raise denied(f"the policy does not contain {name}.")

    def check_max_size(self, size: int) -> None:
        """Raises `OssError` EntityTooLarge."""
        if self.max_size is not None and size > self.max_size:
            message = "Your proposed upload exceeds the maximum allowed size."
            raise OssError(
                400,
                "EntityTooLarge",
                message,
                ProposedSize=str(size),
                MaxSizeAllowed=str(self.max_size),
            )

    def check_min_size(self, size: int) -> None:
        """Raises `OssError` EntityTooSmall."""
        if size < self.min_size:
            message = "Your proposed upload is smaller than the minimum allowed size."
            raise OssError(
                400,
                "EntityTooSmall",
                message,
                ProposedSize=str(size),
                MinSizeAllowed=str(self.min_size),
            )


def parse_policy(encoded: str) -> FormPolicy:
    """The policy in the form field. Raises `OssError` InvalidPolicyDocument."""
    try:
        policy = json.loads(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError):
        raise _invalid("it must be Base64-encoded JSON.") from None
    if not isinstance(policy, dict):
        raise _invalid("it must be a JSON object.")
    if not isinstance(policy.get("expiration"), str):
        raise _invalid("Policy missing expiration.", ec="0006-00000208")
    if not isinstance(policy.get("conditions"), list):
        raise _invalid("Policy missing conditions.", ec="0006-00000207")
    min_size = 0
    max_size = None
    conditions = []
    for condition in policy["conditions"]:
        if isinstance(condition, list) and condition[:1] and str(condition[0]).lower() == _RANGE:
            low, high = _size_range(condition)
            min_size = max(min_size, low)
            max_size = high if max_size is None else min(max_size, high)
        else:
            conditions.append(_condition(condition))
    return FormPolicy(_expiration(policy["expiration"]), tuple(conditions), min_size, max_size)


def _condition(condition: Any) -> PolicyCondition:
    source = json.dumps(condition, ensure_ascii=False)
    if isinstance(condition, dict):
        if len(condition) != 1:
            raise _invalid(
                "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified."
            )
        ((field, value),) = condition.items()
        if not isinstance(value, str):
            raise _invalid(
                f"Invalid Simple-Condition: the value of {field} must be a string.",
                ec="0006-00000224",
            )
        return PolicyCondition("eq", field.lower().removeprefix("$"), (value,), source)
    if not isinstance(condition, list):
        raise _invalid("a condition must be a map or a list.", ec="0006-00000222")
    if len(condition) != 3:
        raise _invalid(
            "a condition must have the form [operator, $field, value].", ec="0006-00000216"
        )
    operator, field, value = condition
    operator = operator.lower() if isinstance(operator, str) else ""
    if operator not in (*_MATCHES, *_LISTS):
        raise _invalid(
            "a condition's operator must be eq, starts-with, in, not-in or content-length-range."
        )
    values = [value] if operator in _MATCHES else value
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        expected = "a string" if operator in _MATCHES else "a list of strings"
        raise _invalid(f"the value of {operator} must be {expected}.", ec="0006-00000224")
    if not isinstance(field, str) or not field.startswith("$"):
        raise _invalid("a condition's field must have the form $field.")
    return PolicyCondition(operator, field[1:].lower(), tuple(values), source)


def _size_range(condition: list[Any]) -> tuple[int, int]:
    sizes = condition[1:]
    if len(sizes) == 2 and all(type(size) is int for size in sizes) and 0 <= sizes[0] <= sizes[1]:
        return sizes[0], sizes[1]
    raise _invalid(
        "content-length-range requires two integers, the smaller first.", ec="0006-00000221"
    )


def _expiration(value: str) -> float:
    for form in ("%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%SZ"):
        try:
            return datetime.strptime(value, form).replace(tzinfo=timezone.utc).timestamp()
        except ValueError:
            continue
    raise _invalid("its expiration must have the form 2026-01-31T12:00:00.000Z.")


def denied(reason: str) -> OssError:
    return OssError(403, "AccessDenied", f"Invalid according to Policy: {reason}")


def _invalid(reason: str, ec: str = "") -> OssError:
    return OssError(400, "InvalidPolicyDocument", f"Invalid Policy: {reason}", ec=ec)
