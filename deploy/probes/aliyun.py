"""Runs the aliyun CLI, which shows what OSS's credentials do not: roles, queues, logs and functions."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from typing import Any

from ..errors import DeployError
from .findings import Finding, ok, unknown

TIMEOUT = 30  # seconds
_ERROR_CODE = re.compile(r'\b(?:Error)?Code"?:\s*"?([A-Za-z][\w.]*)')
# Of RAM, SMQ and Simple Log Service.
_NOT_FOUND = re.compile(r"EntityNotExist|(?:Queue|Project|Logstore)NotExist", re.IGNORECASE)


class NotFound(DeployError):
    """What the command names does not exist."""


def call(*command: str, advice: str) -> Mapping[str, Any]:
    """The JSON that a command prints. Raises `NotFound`, or `DeployError` with the command and the advice."""
    output, document = "", None
    try:
        done = subprocess.run(
            ["aliyun", *command], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT, check=False
        )
        output = done.stdout + done.stderr
        document = json.loads(done.stdout) if done.returncode == 0 else None
    except (OSError, ValueError, subprocess.TimeoutExpired):
        pass
    # SMQ can report an error with the status of a success.
    if isinstance(document, dict) and document.get("Success") is not False:
        return document
    code = _ERROR_CODE.search(output)
    sentence = f"{shlex.join(['aliyun', *command])} failed{f' ({code[1]})' if code else ''}: {advice}."
    raise NotFound(sentence) if _NOT_FOUND.search(output) else DeployError(sentence)


def account() -> Finding:
    """Whose roles, queues and logs the CLI shows, or why it shows none."""
    missing = (
        "Roles, policies, the failure queue, the log project, its logstores and what an earlier version left behind "
        "were not checked"
    )
    if shutil.which("aliyun") is None:
        return unknown("account", f"{missing}: install the aliyun CLI, or compare the console with s.yaml.")
    try:
        identity = call("sts", "GetCallerIdentity", advice="run aliyun configure")
    except DeployError as error:
        return unknown("account", f"{missing}: {error}")
    return ok(
        "account", f"The aliyun CLI shows account {identity.get('AccountId')}, which must be the one of s deploy."
    )
