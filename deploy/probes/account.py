"""What must exist in the account before a deployment: the roles, the queue for failed events, and the logs.

Sources: the RAM pages "GetRole" and "ListPoliciesForRole" (2015-05-01), the SMQ page "GetQueueAttributes" (2022-01-19),
and the Simple Log Service pages "GetProject" and "GetLogStore" (2020-12-30).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from ..checks.names import role_name
from ..policies import FUNCTION_COMPUTE, caller_roles
from ..policies import queues as queues_for
from ..signer_roles import signer_roles
from . import aliyun
from .deployment import Deployment
from .findings import Finding, fault, ok, unknown, warning

SCRIPT = "run the script of make policies FORMAT=commands"


def roles(deployment: Deployment) -> Iterator[Finding]:
    """Whether each role exists, trusts those who assume it, and has its policy.

    This and the other probes raise `aliyun.Unusable`.
    """
    services: dict[str, set[str]] = {}
    for function in deployment.functions:
        services.setdefault(role_name(function.role), set()).add(FUNCTION_COMPUTE)
        for caller, service in caller_roles(function).items():
            services.setdefault(caller, set()).add(service)
    services.pop("", None)  # the check says that it is missing
    for name, trusted in services.items():
        yield _role(name, trusted)
    for name, signer in signer_roles(function for function in deployment.functions if function.role).items():
        yield _role(name, set(signer.trusted), signer.max_session_duration)


def _role(name: str, principals: set[str], longest: int | None = None) -> Finding:
    """`longest` is the session that a role of `[assume_role]` must allow, in seconds."""
    try:
        role = aliyun.call("ram", "GetRole", "--RoleName", name, permission="ram:GetRole")
        attached = aliyun.call("ram", "ListPoliciesForRole", "--RoleName", name, permission="ram:ListPoliciesForRole")
    except aliyun.NotFound:
        return fault("role", f"Role {name} not found: {SCRIPT}.")
    except aliyun.Refused as error:
        return unknown("role", f"{name} was not checked: {error}")
    trusted = _trusted(role)
    # RAM does not distinguish capital letters in the names of roles.
    missing = sorted(name for name in principals if name.lower() not in trusted)
    if missing:
        return fault("role", f"{name} does not trust {' and '.join(missing)}: {SCRIPT}.")
    policies = aliyun.mapping(attached.get("Policies")).get("Policy") or []
    if not any((policy.get("PolicyName"), policy.get("PolicyType")) == (name, "Custom") for policy in policies):
        return fault("role", f"{name} does not have the custom policy {name}, so it allows too little: {SCRIPT}.")
    if longest is not None:
        found = aliyun.mapping(role.get("Role")).get("MaxSessionDuration")
        if isinstance(found, int) and found < longest:
            return fault("role", f"{name} allows sessions of {found} s, shorter than the {longest} s needed: {SCRIPT}.")
        # Other environments may use the role, but nobody who is not a function.
        others = sorted(principal for principal in trusted if ":role/" not in principal)
        if others:
            return warning("role", f"{name} also trusts {' and '.join(others)}, who may read every mount: {SCRIPT}.")
    return ok("role", f"{name} trusts {' and '.join(sorted(principals))} and has its policy.")


def _trusted(role: Mapping[str, Any]) -> set[str]:
    """Services and ARNs, in lower case."""
    trusted: set[str] = set()
    try:
        for statement in json.loads(role["Role"]["AssumeRolePolicyDocument"])["Statement"]:
            if statement["Effect"] != "Allow":
                continue
            for kind in ("Service", "RAM"):
                names = statement["Principal"].get(kind, [])
                trusted.update(name.lower() for name in ([names] if isinstance(names, str) else names))
    except (ValueError, KeyError, TypeError, AttributeError):
        return set()
    return trusted


def queues(deployment: Deployment) -> Iterator[Finding]:
    """Whether the queues exist to which failed events go."""
    needed = ((function.region, name) for function in deployment.functions for name in queues_for(function))
    for region, name in dict.fromkeys(needed):
        try:
            # The CLI knows the product, but not its operations.
            command = ("mns-open", "GetQueueAttributes", "--force", "--region", region)
            aliyun.call(*command, "--QueueName", name, permission="mns:GetQueueAttributes")
        except aliyun.NotFound:
            yield fault("queue", f"Queue {name} not found in {region}, so failed events would be lost: {SCRIPT}.")
        except aliyun.Refused as error:
            yield unknown("queue", f"{name} was not checked: {error}")
        else:
            yield ok("queue", f"{name} exists, for failed events.")


def logs(deployment: Deployment) -> Iterator[Finding]:
    """Whether the log project and the logstores of the functions exist."""
    logstores: dict[tuple[str, str], dict[str, None]] = {}
    for function in deployment.functions:
        if function.log:
            place = function.log.project, function.region
            logstores.setdefault(place, {})[function.log.logstore] = None
    for (project, region), names in logstores.items():
        try:
            # Names of projects are unique among all accounts.
            permission = "log:GetProject, or choose another name if the project belongs to another account"
            aliyun.call("sls", "GetProject", "--project", project, "--region", region, permission=permission)
        except aliyun.NotFound:
            yield fault("log", f"Log project {project} not found in {region}, so logs would be lost: {SCRIPT}.")
        except aliyun.Refused as error:
            yield unknown("log", f"{project} was not checked: {error}")
        else:
            for name in names:
                yield _logstore(project, name, region)


def _logstore(project: str, name: str, region: str) -> Finding:
    command = ("sls", "GetLogStore", "--project", project, "--logstore", name, "--region", region)
    try:
        aliyun.call(*command, permission="log:GetLogStore")
    except aliyun.NotFound:
        return fault("log", f"Logstore {name} not found in {project}, so logs would be lost: {SCRIPT}.")
    except aliyun.Refused as error:
        return unknown("log", f"{name} was not checked: {error}")
    return ok("log", f"{project} has the logstore {name}.")
