"""What must exist in the account before a deployment: the roles, the queue for failed events, and the logs.

And where a custom domain leads, and the alarms. Sources: the RAM pages "GetRole", "ListPoliciesForRole", "GetPolicy"
and "ListEntitiesForPolicy" (2015-05-01), the SMQ page "GetQueueAttributes" (2022-01-19), the Simple Log Service pages
"GetProject", "GetLogStore", "GetIndex" and "ListAlerts" (2020-12-30), and the Function Compute pages "GetCustomDomain"
and "UpdateCustomDomain" (2023-03-30).
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from handler.core.config.rights import Statement, compact_json
from local.fc.functions import Domain, Log

from .. import alarms as alarm_scripts
from ..account_script import INDEX
from ..errors import DeployError
from ..model import ConfiguredFunction
from ..policies import common_prefix, policies
from ..policies import queues as queues_for
from ..statements import Document
from . import aliyun
from .deployment import Deployment
from .findings import SCRIPT, Finding, fault, ok, unknown, warning

# Bytes of a value that Simple Log Service indexes where max_text_len is not set.
DEFAULT_TEXT_LENGTH = 2048


def roles(deployment: Deployment) -> Iterator[Finding]:
    """Whether each role exists, trusts only those who assume it, and has only its policy, as links.toml needs it.

    And whether the deployer's policy allows this deployment. This and the other probes raise `aliyun.Unusable`.
    """
    # Of a function without a role, the check says so.
    functions = [configured for configured in deployment.functions if configured.function.role]
    if not functions:
        return
    try:
        needed = policies(functions)
    except DeployError as error:
        yield fault("role", str(error))
        return
    for name, documents in needed["roles"].items():
        fine = f"{name} trusts {' and '.join(_principals(documents['trust']))} and has its policy."
        missing = fault("role", f"Role {name} not found: {SCRIPT}.")
        yield from _probed(name, _role(name, documents), missing) or [ok("role", fine)]
    # As over all environments.
    name = (
        common_prefix(
            [each.function.name.removesuffix(f"-{each.environment_name}") for each in functions]
        )
        + "-deployer"
    )
    missing = unknown(
        "deployer", f"Policy {name} not found, so what the deployer may do is unknown: {SCRIPT}."
    )
    found = _probed(name, _deployer(name, needed["deployer"]), missing)
    yield from found or [ok("deployer", f"{name} allows s deploy.")]


def _policy(operation: str, name: str) -> Mapping[str, Any]:
    """What an operation of RAM says of a policy."""
    command = ("ram", operation, "--PolicyType", "Custom", "--PolicyName", name)
    return aliyun.call(*command, permission=f"ram:{operation}")


def _statements(name: str) -> list[Statement]:
    policy = _policy("GetPolicy", name)
    return [*json.loads(policy["DefaultPolicyVersion"]["PolicyDocument"])["Statement"]]


def _deployer(name: str, needed: Document) -> Iterator[Finding]:
    """What its policy lacks, which may be one for other environments, too; and whether nobody has it."""
    allowed = _statements(name)
    for each in needed["Statement"]:
        alike = [
            other for other in allowed if {**other, "Resource": None} == {**each, "Resource": None}
        ]
        lacking = {*each["Resource"]} - {
            resource for other in alike for resource in other["Resource"]
        }
        if lacking:
            denied = f"{' and '.join(each['Action'])} on {' and '.join(sorted(lacking))}"
            yield fault(
                "deployer",
                f"The policy {name} lacks {denied}, so s deploy would end half way: {SCRIPT}.",
            )
    holders = _policy("ListEntitiesForPolicy", name)
    if not any(holders[f"{kind}s"][kind] for kind in ("User", "Group", "Role")):
        yield warning(
            "deployer",
            f"Nobody has the policy {name}, so only somebody with other rights can deploy: {SCRIPT}.",
        )


def _role(name: str, needed: Document) -> Iterator[Finding]:
    """What is wrong with it. `needed` is its entry in the documents of `policies`."""
    role = aliyun.call("ram", "GetRole", "--RoleName", name, permission="ram:GetRole")["Role"]
    listed = aliyun.call(
        "ram", "ListPoliciesForRole", "--RoleName", name, permission="ram:ListPoliciesForRole"
    )
    # RAM does not distinguish capital letters in the names of roles.
    trusted = {
        principal.lower() for principal in _principals(json.loads(role["AssumeRolePolicyDocument"]))
    }
    principals = _principals(needed["trust"])
    missing = [principal for principal in principals if principal.lower() not in trusted]
    if missing:
        yield fault("role", f"{name} does not trust {' and '.join(missing)}: {SCRIPT}.")
        return
    attached = {
        (policy["PolicyName"], policy["PolicyType"]) for policy in listed["Policies"]["Policy"]
    }
    if (name, "Custom") not in attached:
        yield fault(
            "role",
            f"{name} does not have the custom policy {name}, so it allows too little: {SCRIPT}.",
        )
        return
    allowed = _statements(name)
    statements = needed["policy"]["Statement"]
    if any(each["Effect"] == "Deny" and each not in statements for each in allowed):
        effect = "denies what links.toml may need, and no other statement allows that again"
        yield fault("role", f"The policy {name} {effect}: {SCRIPT}.")
        return
    others = trusted - {principal.lower() for principal in principals}
    longest = needed.get("max_session_duration")
    found = role.get("MaxSessionDuration")
    lacks = any(statement not in allowed for statement in statements)
    if lacks or (longest is None and len(allowed) > len(statements)):
        yield (fault if lacks else warning)(
            "role", f"The policy {name} is not what links.toml needs: {SCRIPT}."
        )
    if longest is not None:
        # Other environments may use a role of [assume_role], with statements and functions of their own.
        own = principals[0].lower().rpartition("/")[0]
        others = {principal for principal in others if not principal.startswith(f"{own}/")}
        if isinstance(found, int) and found < longest:
            yield fault(
                "role",
                f"{name} allows sessions of {found} s, shorter than the {longest} s needed: {SCRIPT}.",
            )
    if others:
        names = " and ".join(sorted(others))
        yield warning("role", f"{name} also trusts {names}, who may do all that it may: {SCRIPT}.")
    for other, kind in sorted(attached - {(name, "Custom")}):
        detach = f"aliyun ram DetachPolicyFromRole --PolicyType {kind} --PolicyName {other} --RoleName {name}"
        yield warning("role", f"{name} also has the policy {other}: run {detach} to remove it.")


def _principals(trust: Mapping[str, Any]) -> list[str]:
    """Who may assume a role: services, ARNs, identity providers."""
    names: set[str] = set()
    for statement in trust["Statement"]:
        if statement["Effect"] == "Allow":
            for principals in statement["Principal"].values():
                names.update([principals] if isinstance(principals, str) else principals)
    return sorted(names)


def domains(deployment: Deployment) -> Iterator[Finding]:
    """Whether custom domains lead where the files say. The component fc3 does not change a route that exists."""
    for configured in deployment.functions:
        if configured.function.domain:
            yield _domain(configured, configured.function.domain)


def _domain(configured: ConfiguredFunction, domain: Domain) -> Finding:
    command = ("--domainName", domain.name, "--region", configured.function.region)
    try:
        online = aliyun.call("fc", "GetCustomDomain", *command, permission="fc:GetCustomDomain")
    except aliyun.NotFound:
        online = {}
    except aliyun.Refused as error:
        return unknown("domain", f"{domain.name} was not checked: {error}")
    routes = [*map(aliyun.mapping, aliyun.mapping(online.get("routeConfig")).get("routes") or [])]
    current = next((route for route in routes if route.get("path") == domain.path), None)
    if current is None:
        return ok(
            "domain",
            f"{domain.name} does not lead to {configured.function.name} yet: s deploy adds the route.",
        )
    leads = f"{domain.name} leads to {current.get('functionName')}, {current.get('qualifier') or 'LATEST'}"
    wanted = {
        "path": domain.path,
        "functionName": configured.function.name,
        "qualifier": domain.qualifier,
    }
    if leads == f"{domain.name} leads to {configured.function.name}, {domain.qualifier}":
        return ok("domain", f"{leads}.")
    body = compact_json(
        {"routeConfig": {"routes": [wanted if route is current else route for route in routes]}}
    )
    update = shlex.join(["aliyun", "fc", "UpdateCustomDomain", *command, "--body", body])
    expected = f"{configured.function.name}, {domain.qualifier}, as in s.yaml or env.yaml"
    advice = f"correct the file, or run {update}"
    return fault(
        "domain", f"{leads}, and not to {expected}, and s deploy does not change that: {advice}"
    )


def queues(deployment: Deployment) -> Iterator[Finding]:
    """Whether the queues exist to which failed events go."""
    needed = (
        (configured.function.region, name)
        for configured in deployment.functions
        for name in queues_for(configured.function)
    )
    for region, name in dict.fromkeys(needed):
        # The CLI knows the product, but not its operations.
        command = (
            "mns-open",
            "GetQueueAttributes",
            "--force",
            "--region",
            region,
            "--QueueName",
            name,
        )
        missing = fault(
            "queue",
            f"Queue {name} not found in {region}, so failed events would be lost: {SCRIPT}.",
        )
        found = _probed(name, _exists(*command, permission="mns:GetQueueAttributes"), missing)
        yield from found or [ok("queue", f"{name} exists, for failed events.")]


def logs(deployment: Deployment) -> Iterator[Finding]:
    """Whether the log project and the logstores of the functions exist, for how long they keep lines, and the index."""
    logstores: dict[tuple[str, str], dict[str, int]] = {}
    for configured in deployment.functions:
        if configured.function.log:
            logstores.setdefault((configured.function.log.project, configured.function.region), {})[
                configured.function.log.logstore
            ] = configured.log_days
    for (project, region), names in logstores.items():
        place = ("--project", project, "--region", region)
        # Names of projects are unique among all accounts.
        permission = (
            "log:GetProject, or choose another name if the project belongs to another account"
        )
        missing = fault(
            "log", f"Log project {project} not found in {region}, so logs would be lost: {SCRIPT}."
        )
        if problem := _probed(
            project, _exists("sls", "GetProject", *place, permission=permission), missing
        ):
            yield from problem
            continue
        for name, days in names.items():
            missing = fault(
                "log", f"Logstore {name} not found in {project}, so logs would be lost: {SCRIPT}."
            )
            fine = ok("log", f"{project} has the logstore {name}, with its index, for {days} days.")
            yield from _probed(
                name, _logstore(name, days, *place, "--logstore", name), missing
            ) or [fine]


def _logstore(name: str, days: int, *place: str) -> Iterator[Finding]:
    kept = aliyun.call("sls", "GetLogStore", *place, permission="log:GetLogStore")["ttl"]
    if kept < days:
        yield warning("log", f"{name} keeps lines for {kept} days, and not for {days}: {SCRIPT}.")
    missing = fault("log", f"{name} has no index, so queries and alarms find nothing: {SCRIPT}.")
    yield from _probed(name, _index(name, *place), missing)


def _index(name: str, *place: str) -> Iterator[Finding]:
    index = aliyun.call("sls", "GetIndex", *place, permission="log:GetIndex")
    keys = index.get("keys", {})
    longest = INDEX["max_text_len"]
    if index.get("max_text_len", DEFAULT_TEXT_LENGTH) < longest:
        yield fault(
            "log",
            f"The index of {name} cuts lines that are shorter than {longest} bytes, which queries and alarms then "
            f"miss: {SCRIPT}.",
        )
    if lacking := [
        key
        for key, field in INDEX["keys"].items()
        if keys.get(key, {}).get("type") != field["type"]
    ]:
        yield fault(
            "log",
            f"The index of {name} lacks {', '.join(lacking)} of the queries and alarms: {SCRIPT}.",
        )


def alarms(deployment: Deployment) -> Iterator[Finding]:
    """Whether each alarm exists that `make alarms` creates: those of waiting notices come with the first webhook."""
    for configured in deployment.functions:
        log = configured.function.log
        if log is not None:
            missing = unknown(
                "alarms", f"{log.logstore} not found, so its alarms were not checked."
            )
            fine = ok("alarms", f"{log.project} has the alarms of {log.logstore}.")
            yield from _probed(log.logstore, _alarms(configured, log), missing) or [fine]


def _alarms(configured: ConfiguredFunction, log: Log) -> Iterator[Finding]:
    place = ("--project", log.project, "--logstore", log.logstore)
    page = ("--size", "200", "--region", configured.function.region)
    answer = aliyun.call("sls", "ListAlerts", *place, *page, permission="log:ListJobs")
    present = [alert["name"] for alert in answer["results"] or []]
    missing = [name for name in alarm_scripts.names(configured) if name not in present]
    if missing:
        advice = "run the script of make alarms"
        yield warning(
            "alarms", f"Alarms {', '.join(missing)} not found in {log.project}: {advice}."
        )


def _exists(*command: str, permission: str) -> Iterator[Finding]:
    aliyun.call(*command, permission=permission)
    yield from ()


def _probed(name: str, probe: Iterator[Finding], missing: Finding) -> list[Finding]:
    """What it finds, or why it could not."""
    try:
        return list(probe)
    except aliyun.NotFound:
        return [missing]
    except aliyun.Refused as error:
        return [unknown(missing.subject, f"{name} was not checked: {error}")]
    except (ValueError, LookupError, TypeError, AttributeError):
        return [
            unknown(
                missing.subject,
                f"{name} was not checked: the answers of aliyun are not understood.",
            )
        ]
