"""The policy of a form upload: its JSON, and whether a form keeps to it.

Sources: the OSS pages "PostObject" (appendix on the policy), "POST V4 signature", and those of EC 0006-….
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from .errors import OssError

_RANGE = "content-length-range"
_MATCHES = ("eq", "starts-with")
_LISTS = ("in", "not-in")


@dataclass(frozen=True)
class Condition:
    """`operator` is eq, starts-with, in or not-in; `field` is lower-case, without "$"; `text` is its JSON."""

    operator: str
    field: str
    values: tuple[str, ...]
    text: str

    def holds(self, value: str) -> bool:
        """Whether a field may have this value."""
        if self.operator == "starts-with":
            return value.startswith(self.values[0])
        return (value in self.values) is (self.operator != "not-in")


@dataclass(frozen=True)
class Policy:
    """`expiration` is in Unix seconds; `smallest` and `largest` bound the file in bytes, both included."""

    expiration: float
    conditions: tuple[Condition, ...]
    smallest: int = 0
    largest: int | None = None

    def check(self, fields: Mapping[str, str], now: float) -> None:
        """Raises `OssError` AccessDenied where a form does not keep to it; a field that is not there is empty."""
        if now >= self.expiration:
            raise _denied("Policy expired.")
        for condition in self.conditions:
            if not condition.holds(fields.get(condition.field, "")):
                raise _denied(f"Policy Condition failed: {condition.text}")

    def check_bound(self, names: tuple[str, ...]) -> None:
        """Raises `OssError` AccessDenied unless every name is bound to one value."""
        bound = {condition.field for condition in self.conditions if condition.operator == "eq"}
        for name in names:
            if name not in bound:
                raise _denied(f"the policy does not contain {name}.")

    def check_size(self, size: int, *, is_whole: bool) -> None:
        """Raises `OssError` where a file is too large, or is whole and too small."""
        if self.largest is not None and size > self.largest:
            raise _size("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size.", size, self.largest)
        if is_whole and size < self.smallest:
            raise _size(
                "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size.", size, self.smallest
            )


def parse(encoded: str) -> Policy:
    """The policy behind the form field. Raises `OssError` InvalidPolicyDocument."""
    try:
        policy = json.loads(base64.b64decode(encoded, validate=True))
    except (binascii.Error, ValueError):
        raise _invalid("it is not JSON in Base64.") from None
    if not isinstance(policy, dict):
        raise _invalid("it is no JSON object.")
    if not isinstance(policy.get("expiration"), str):
        raise _invalid("Policy missing expiration.", ec="0006-00000208")
    if not isinstance(policy.get("conditions"), list):
        raise _invalid("Policy missing conditions.", ec="0006-00000207")
    smallest, largest = 0, None
    conditions = []
    for condition in policy["conditions"]:
        if isinstance(condition, list) and condition[:1] and str(condition[0]).lower() == _RANGE:
            low, high = _bounds(condition)
            smallest, largest = max(smallest, low), high if largest is None else min(largest, high)
        else:
            conditions.append(_condition(condition))
    return Policy(_expiration(policy["expiration"]), tuple(conditions), smallest, largest)


def _condition(condition: Any) -> Condition:
    text = json.dumps(condition, ensure_ascii=False)
    if isinstance(condition, dict):
        if len(condition) != 1:
            raise _invalid("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
        ((field, value),) = condition.items()
        if not isinstance(value, str):
            raise _invalid(f"Invalid Simple-Condition: the value of {field} must be a string.", ec="0006-00000224")
        return Condition("eq", field.lower().removeprefix("$"), (value,), text)
    if not isinstance(condition, list):
        raise _invalid("a condition must be a map or a list.", ec="0006-00000222")
    if len(condition) != 3:
        raise _invalid("a condition is written as [operator, $field, value].", ec="0006-00000216")
    operator, field, value = condition
    operator = operator.lower() if isinstance(operator, str) else ""
    if operator not in (*_MATCHES, *_LISTS):
        raise _invalid("a condition's operator must be eq, starts-with, in, not-in or content-length-range.")
    values = [value] if operator in _MATCHES else value
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        raise _invalid(f"the value of {operator} is of the wrong type.", ec="0006-00000224")
    if not isinstance(field, str) or not field.startswith("$"):
        raise _invalid("a condition's field is written as $field.")
    return Condition(operator, field[1:].lower(), tuple(values), text)


def _bounds(condition: list[Any]) -> tuple[int, int]:
    bounds = condition[1:]
    if len(bounds) == 2 and all(type(bound) is int for bound in bounds) and 0 <= bounds[0] <= bounds[1]:
        return bounds[0], bounds[1]
    raise _invalid("content-length-range takes two whole numbers, the smaller first.", ec="0006-00000221")


def _expiration(text: str) -> float:
    for form in ("%Y-%m-%dT%H:%M:%S.%fZ", "%Y-%m-%dT%H:%M:%SZ"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=timezone.utc).timestamp()
        except ValueError:
            continue
    raise _invalid("its expiration is not written as 2026-01-31T12:00:00.000Z.")


def _invalid(why: str, ec: str = "") -> OssError:
    return OssError(400, "InvalidPolicyDocument", f"Invalid Policy: {why}", ec=ec)


def _denied(why: str) -> OssError:
    return OssError(403, "AccessDenied", f"Invalid according to Policy: {why}")


def _size(code: str, message: str, size: int, allowed: int) -> OssError:
    bound = "MaxSizeAllowed" if code == "EntityTooLarge" else "MinSizeAllowed"
    return OssError(400, code, message, details=(("ProposedSize", str(size)), (bound, str(allowed))))
