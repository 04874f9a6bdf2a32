"""`python -m deploy.policies [s.yaml …] [--env NAME] [--commands]`: the RAM policies, with least privilege.

One role per function, as its mounts need; one role for each service that calls a function; the roles of
`[assume_role]`; the policies of the deployer and of those who repair notices; the queues, logs and lifecycle rules. As
JSON, or as commands of the `aliyun` CLI. For all environments of all files, or for one environment: the deployer's
policy is always over all.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, NamedTuple

from handler.config import Config, InvalidConfig, rights
from local.fc import s_yaml

from . import account_script, check, statements
from .checks import links_toml
from .checks.functions import is_own, is_web, mapping, takes_events
from .checks.names import role_name
from .command import run
from .environments import Rendered, read_environments, render_environments, require
from .errors import DeployError
from .signer_roles import signer_roles
from .statements import Document, Statement

FUNCTION_COMPUTE = "fc.aliyuncs.com"
# The services that call a function through a trigger and assume the trigger's role to do so.
CALLERS = {"oss": "oss.aliyuncs.com", "mns_topic": "mns.aliyuncs.com", "eventbridge": "eventbridge.aliyuncs.com"}

Props = Mapping[str, Any]


class _Function(NamedTuple):
    """A function in an environment, and links.toml as it reads it there."""

    environment: str | None
    props: Props
    links: Config


def policies(rendered: Sequence[Rendered], environment: str | None = None) -> Document:
    """What must exist for the functions of one environment, or of all that are rendered.

    `{"prefix", "roles": {name: {"trust", "policy"}}, "deployer": policy, "deployers": {environment: policy},
    "queues": [{"name", "region"}], "logs": [{"project", "logstore", "region"}], "lifecycle": {bucket: [rule]},
    "bucket_regions": {bucket: region}}`. A role of `[assume_role]` also has "max_session_duration"; it is the same for
    each environment, and comes after the roles that it trusts. The prefix is what the names of the functions begin
    with. The policy of the deployer covers all that is rendered, those in `deployers` one environment each. Where
    notices wait in the state, `operator` is the policy that `python -m handler.notices` needs. Raises `DeployError` if
    links.toml cannot be read, if two functions contradict each other, or if RAM cannot express a key.
    """
    everything = list(_functions(rendered))
    selected = [function for function in everything if environment in (None, function.environment)]
    prefix = _common_prefix([str(function.props["functionName"]) for function in everything])
    roles = _roles(everything)
    wanted = _roles_of(selected) | _signers_of(selected, everything)
    outbox = _unique(statement for function in selected for statement in _outbox(function.props, function.links))
    # Over all: the script would take rules of another environment for old ones of its own.
    buckets = _buckets(everything, prefix)
    used = {bucket for function in selected for bucket in statements.lifecycle(function.links, prefix)}
    return {
        "prefix": prefix,
        "roles": {name: role for name, role in roles.items() if name in wanted},
        "deployer": statements.document(_deployer(everything, sorted(_roles_of(everything)))),
        "deployers": {
            name: statements.document(_deployer(functions, sorted(_roles_of(functions))))
            for name, functions in _by_environment(selected).items()
        },
        **({"operator": statements.document(outbox)} if outbox else {}),
        "queues": _unique(
            {"name": name, "region": function.props["region"]}
            for function in selected
            for name in queues(function.props)
        ),
        "logs": _logs(selected),
        "lifecycle": {bucket: rules for bucket, (_, rules) in buckets.items() if bucket in used},
        "bucket_regions": {bucket: region for bucket, (region, _) in buckets.items() if bucket in used},
    }


def _functions(rendered: Sequence[Rendered]) -> Iterator[_Function]:
    """The functions of this project. Raises `DeployError` for one that is named twice."""
    where: dict[tuple[str, str], str] = {}
    for file in rendered:
        root = s_yaml.project_folder(file.config)
        for resource, props in file.functions.items():
            if not is_own(props, file.config, root):
                continue
            identity, place = (str(props["region"]), str(props["functionName"])), f"{resource} in {file.name}"
            if identity in where:
                raise DeployError(
                    f"functionName {identity[1]} is used by {where[identity]} and by {place}: give each its own."
                )
            where[identity] = place
            yield _Function(file.environment, props, links_toml.read_or_fail(root, props))


def _by_environment(functions: Iterable[_Function]) -> dict[str, list[_Function]]:
    environments: dict[str, list[_Function]] = {}
    for function in functions:
        if function.environment is not None:
            environments.setdefault(function.environment, []).append(function)
    return environments


def _roles_of(functions: Iterable[_Function]) -> set[str]:
    return {
        name
        for function in functions
        for name in (role_name(function.props.get("role")), *caller_roles(function.props))
    }


def _signers_of(selected: Sequence[_Function], everything: Sequence[_Function]) -> set[str]:
    """The roles of `[assume_role]`, and all roles that they trust: RAM knows only those that exist."""
    signers = signer_roles((function.props, function.links) for function in everything)
    used = signer_roles((function.props, function.links) for function in selected)
    return {name for signer in used for name in (signer, *map(role_name, signers[signer].trusted))}


def _common_prefix(names: Sequence[str]) -> str:
    """What the names begin with, without their last parts: "links" of links-http and links-events-dev."""
    columns = zip(*(name.split("-")[:-1] for name in names), strict=False)
    return "-".join(column[0] for column in takewhile(lambda column: len({*column}) == 1, columns)) or names[0]


def _roles(functions: Sequence[_Function]) -> dict[str, Document]:
    """The roles of the functions, of the services that call them, and of `[assume_role]`, with trust and policy."""
    roles: dict[str, Document] = {}
    callers: dict[str, dict[str, list[Statement]]] = {}
    for _, props, links in functions:
        name = role_name(props.get("role"))
        if not name:
            raise DeployError("role is missing in s.yaml: each function needs one.")
        if name in roles:
            raise DeployError(f"role {name} is used by two functions: give each its own, with only what it needs.")
        policy = statements.document(function_statements(props, links))
        roles[name] = {"trust": statements.trust_policy([FUNCTION_COMPUTE]), "policy": policy}
        for caller, service in caller_roles(props).items():
            call = statements.caller_statement(props["functionName"], props["region"])
            callers.setdefault(caller, {}).setdefault(service, []).append(call)
    for caller, services in callers.items():
        if caller in roles:
            raise DeployError(
                f"invocationRole {caller} is also the role of a function, which would get the right to call functions, "
                "and lose its own: give the trigger a role of its own."
            )
        calls = [call for statements_of_service in services.values() for call in statements_of_service]
        roles[caller] = {"trust": statements.trust_policy([*services]), "policy": statements.document(_unique(calls))}
    others = {name.lower() for name in roles}
    for name, signer in signer_roles((function.props, function.links) for function in functions).items():
        if name.lower() in others:
            raise DeployError(
                f"role {name} of [assume_role] is also the role of a function or a trigger, which would lose its own "
                "rights: give it a role of its own."
            )
        roles[name] = signer.documents()
    return roles


def caller_roles(props: Props) -> dict[str, str]:
    """The roles of its triggers, each with the service that assumes it."""
    return {
        role_name(trigger["invocationRole"]): CALLERS[trigger["triggerType"]]
        for trigger in props.get("triggers") or []
        if trigger["triggerType"] in CALLERS and trigger.get("invocationRole")
    }


def function_statements(props: Props, links: Config) -> list[Statement]:
    """What a function may do. A custom runtime may be both web and event function. Raises `DeployError`."""
    try:
        allowed = rights.role_statements(links, web=is_web(props), events=takes_events(props))
    except InvalidConfig as error:
        raise DeployError(error.sentence) from None
    return _unique([*allowed, *(statements.destination_statement(arn) for arn in _destinations(props))])


def _outbox(props: Props, links: Config) -> list[Statement]:
    """Rights to what waits for webhooks and robots; a [[sink]] is written at once."""
    return rights.outbox_statements(links) if takes_events(props) and links.keys_sinks else []


def _destinations(props: Props) -> list[str]:
    """The ARNs to which Function Compute sends what became of an event, with the function's role."""
    destinations = mapping(mapping(props.get("asyncInvokeConfig")).get("destinationConfig"))
    arns = (mapping(destinations.get(name)).get("destination") for name in ("onFailure", "onSuccess"))
    return [str(arn) for arn in arns if arn]


def queues(props: Props) -> list[str]:
    """The names of the queues in the function's region to which results of events go."""
    return [name for name in map(statements.queue_name, _destinations(props)) if name]


def _logs(functions: Sequence[_Function]) -> list[dict[str, Any]]:
    """The logstores, each in its project. Raises `DeployError` for a project in two regions."""
    logs = []
    regions: dict[str, str] = {}
    for _, props, _ in functions:
        log = mapping(props.get("logConfig"))
        if log:
            region = regions.setdefault(log["project"], props["region"])
            if region != props["region"]:
                raise DeployError(
                    f"Log project {log['project']} is used in {region} and in {props['region']}: a project is in one "
                    "region, so name another one in vars.log_project or logConfig."
                )
            logs.append({"project": log["project"], "logstore": log["logstore"], "region": region})
    return _unique(logs)


def _deployer(functions: Sequence[_Function], roles: Sequence[str]) -> list[Statement]:
    names = [(props["functionName"], props["region"]) for _, props, _ in functions]
    triggers = [trigger for _, props, _ in functions for trigger in props.get("triggers") or []]
    buckets = {str(trigger["sourceArn"]).rpartition(":")[2] for trigger in triggers if trigger["triggerType"] == "oss"}
    deployer = statements.deployer_statements(names, roles, sorted(buckets))
    for _, props, _ in functions:
        domain = mapping(props.get("customDomain"))
        if domain:
            with_certificate = bool(mapping(domain.get("certConfig")).get("certId"))
            deployer += statements.domain_statements(
                domain["domainName"], props["region"], with_certificate=with_certificate
            )
    return _unique(deployer)


def _buckets(functions: Sequence[_Function], prefix: str) -> dict[str, tuple[str, list[Document]]]:
    """The region and the lifecycle rules of each bucket. Raises `DeployError` for a bucket of two environments."""
    buckets: dict[str, tuple[str, list[Document]]] = {}
    for _, props, links in functions:
        regions = dict(links_toml.bucket_regions(props, links))
        for bucket, rules in statements.lifecycle(links, prefix).items():
            region, known = buckets.setdefault(bucket, (regions[bucket], []))
            if region != regions[bucket]:
                raise DeployError(f"Bucket {bucket} is used in {region} and in {regions[bucket]}: it is in one region.")
            for rule in rules:
                if rule not in known and rule["ID"] in {other["ID"] for other in known}:
                    raise DeployError(
                        f"Bucket {bucket} would get two lifecycle rules named {rule['ID']}, because two environments "
                        "use it with different state prefixes or mounts: use a bucket for each environment."
                    )
                if rule not in known:
                    known.append(rule)
    return buckets


def _unique(values: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    unique: list[dict[str, Any]] = []
    for value in values:
        if value not in unique:
            unique.append(value)
    return unique


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.policies", description="Print the RAM policies needed.")
    parser.add_argument(
        "configs", nargs="*", type=Path, default=[Path("s.yaml")], metavar="config", help="every s.yaml that you deploy"
    )
    parser.add_argument("--env", help="an environment of env.yaml; without it, all")
    parser.add_argument("--commands", action="store_true", help="print commands of the aliyun CLI instead of JSON")
    options = parser.parse_args(arguments)
    try:
        examples: dict[str, None] = {}
        for config in options.configs:
            if options.env:
                require(read_environments(config), options.env)
            report = check.report(config)
            if report.faults:
                raise DeployError(f"{config} has a fault, so its policies would be wrong: {report.faults[0]}")
            examples |= dict.fromkeys(report.placeholders)
        rendered = [file for config in options.configs for file in render_environments(config)]
        documents = policies(rendered, options.env)
    except DeployError as error:
        print(f"python -m deploy.policies: {error}", file=sys.stderr)
        return 1
    for sentence in examples:
        print(f"warning: {sentence}", file=sys.stderr)
    print(account_script.script(documents) if options.commands else json.dumps(documents, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(run("python -m deploy.policies", main))
