"""Runs the aliyun CLI, which shows what OSS's credentials do not: roles, queues, logs and domains."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Mapping
from subprocess import TimeoutExpired
from typing import Any

from ..command import output_of
from ..errors import DeployError

TIMEOUT = 30  # seconds
_ERROR_CODE = re.compile(r'\b(?:Error)?Code"?:\s*"?([A-Za-z][\w.]*)')
# Of RAM, SMQ, Simple Log Service and Function Compute.
_NOT_FOUND = re.compile(
    r"EntityNotExist|(?:Queue|Project|Logstore|Config)NotExist|DomainNameNotFound", re.IGNORECASE
)
_NOT_ALLOWED = re.compile(
    r"NoPermission|Denied|Forbidden|Unauthori[sz]ed|NotAuthori[sz]ed", re.IGNORECASE
)
_INVALID_KEY = re.compile(
    r"(?:Invalid|Missing)(?:AccessKeyId|SecurityToken)|(?:Signature|Incomplete)\w*|Unauthenticated"
)


class NotFound(DeployError):
    """What the command names does not exist."""


class Refused(DeployError):
    """The command failed; others may succeed."""


class Unusable(DeployError):
    """The CLI cannot start, sign in or answer in time, so other commands fail, too."""


def mapping(value: object) -> Mapping[str, Any]:
    """A part of an answer if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def is_installed() -> bool:
    return shutil.which("aliyun") is not None


def call(*command: str, permission: str) -> Mapping[str, Any]:
    """The JSON that a command prints. Raises `NotFound`, `Refused` and `Unusable`, with the command and what to do."""
    output = ""
    document = None
    unusable = False
    try:
        # The operator's PATH says which, as in their shell.
        done = output_of(["aliyun", *command], TIMEOUT)
        output = done.stdout + done.stderr
        document = json.loads(done.stdout) if done.returncode == 0 else None
    except ValueError:
        pass
    except (OSError, TimeoutExpired):
        unusable = True
    # SMQ can report an error with the status of a success.
    if isinstance(document, dict) and document.get("Success") is not False:
        return document
    match = _ERROR_CODE.search(output)
    code = match[1] if match else ""
    failed = f"{shlex.join(['aliyun', *command])} failed{f' ({code})' if code else ''}"
    if _NOT_FOUND.search(code):
        raise NotFound(f"{failed}: create it.")
    # What the CLI says of its configuration has no code.
    if unusable or _INVALID_KEY.match(code) or (not code and "configur" in output.lower()):
        raise Unusable(f"{failed}: run aliyun configure, and check the network.")
    raise Refused(
        f"{failed}: {f'allow {permission}' if _NOT_ALLOWED.search(code) else 'run it to see why'}."
    )
