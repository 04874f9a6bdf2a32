"""Checks the names of functions, and the names that are usually derived from them: roles, log projects and logstores.

Source: the pages of Function Compute, RAM, Simple Log Service and Simple Message Queue on their limits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from .functions import Props, mapping

# In a file as s renders it: only s deploy knows the account.
ACCOUNT = r"(?:\d+|\$\{config\(['\"]AccountID['\"]\)\})"
MAX_ROLE = 64  # characters
_FUNCTION = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_ROLE = re.compile(rf"(?:acs:ram::{ACCOUNT}:role/)?([A-Za-z0-9.-]+)")
_PROJECT = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_LOGSTORE = re.compile(r"[a-z0-9][a-z0-9_-]{1,61}[a-z0-9]")


def role_name(value: object) -> str:
    """The name of a role, given by name or by ARN; empty for a missing one."""
    return str(value or "").rpartition("role/")[2]


def faults(props: Props) -> Iterator[str]:
    """A sentence for each name that the cloud would refuse."""
    function = props["functionName"]
    if not _FUNCTION.fullmatch(function):
        yield (
            f"functionName {function} is invalid: it must have 1 to 64 letters, digits, _ and -, and not begin with a "
            "digit or -."
        )
        return  # The others usually follow from it.
    role = props.get("role")
    if not role:
        yield "role is missing: the function needs it for the credentials that it signs with."
    else:
        yield from _role("role", role)
    for trigger in props.get("triggers") or []:
        if trigger.get("invocationRole"):
            yield from _role(f"trigger {trigger['triggerName']}: invocationRole", trigger["invocationRole"])
    log = mapping(props.get("logConfig"))
    if log and not _PROJECT.fullmatch(log["project"]):
        yield (
            f"logConfig.project {log['project']} is invalid: it must have 3 to 63 lower-case letters, digits and -, "
            "and begin and end with a letter or digit."
        )
    if log and not _LOGSTORE.fullmatch(log["logstore"]):
        yield (
            f"logConfig.logstore {log['logstore']} is invalid: it must have 3 to 63 lower-case letters, digits, - and "
            "_, and begin and end with a letter or digit."
        )


def _role(field: str, value: str) -> Iterator[str]:
    match = _ROLE.fullmatch(value)
    if not match:
        yield f"{field} must be the name or the ARN of a role, of letters, digits, . and - (got {value!r})."
    elif len(match[1]) > MAX_ROLE:
        yield f"{field} {match[1]} is too long: the name of a role must have at most {MAX_ROLE} characters."
