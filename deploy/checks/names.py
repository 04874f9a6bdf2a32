"""Checks the names of functions, and of what is usually called like them: roles, log projects, logstores.

Source: the pages of Function Compute, RAM, Simple Log Service and Simple Message Queue on their limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from local.fc.functions import Function

# In a file as s renders it: only s deploy knows the account.
ACCOUNT = r"(?:\d+|\$\{config\(['\"]AccountID['\"]\)\})"
MAX_ROLE = 64  # characters
_FUNCTION = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_ROLE = re.compile(rf"(?:acs:ram::{ACCOUNT}:role/)?([A-Za-z0-9.-]+)")
_PROJECT = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_LOGSTORE = re.compile(r"[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]")


def role_name(value: str) -> str:
    """The name of a role, given by name or by ARN; empty for a missing one."""
    return value.rpartition("role/")[2]


def faults(function: Function) -> Iterator[str]:
    """A sentence for each name that the cloud would refuse."""
    if not _FUNCTION.fullmatch(function.name):
        form = "1 to 64 letters, digits, _ and -, and not begin with a digit or -"
        yield f"functionName {function.name} is invalid: it must have {form}."
        return  # The others usually follow from it.
    if function.role:
        yield from _role("role", function.role)
    else:
        yield "role is missing: the function needs it for the credentials that it signs with."
    for trigger in function.triggers:
        if trigger.caller:
            yield from _role(f"trigger {trigger.name}: invocationRole", trigger.caller)
    ends = "and begin and end with a letter or digit"
    if function.log and not _PROJECT.fullmatch(function.log.project):
        form = f"3 to 63 lower-case letters, digits and -, {ends}"
        yield f"logConfig.project {function.log.project} is invalid: it must have {form}."
    if function.log and not _LOGSTORE.fullmatch(function.log.logstore):
        form = f"3 to 63 lower-case letters, digits, - and _, {ends}"
        yield f"logConfig.logstore {function.log.logstore} is invalid: it must have {form}."


def _role(field: str, value: str) -> Iterator[str]:
    match = _ROLE.fullmatch(value)
    if not match:
        yield f"{field} must be the name or the ARN of a role, of letters, digits, . and - (got {value!r})."
    elif len(match[1]) > MAX_ROLE:
        yield f"{field} {match[1]} is too long: the name of a role must have at most {MAX_ROLE} characters."
