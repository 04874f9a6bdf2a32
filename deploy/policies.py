"""`python -m deploy.policies [s.yaml …] [--env NAME] [--commands]`: the RAM policies, with least privilege.

One role per function, as its mounts need; one role for each service that calls a function; the policies of the deployer
and of those who repair notices; the queues, logs and lifecycle rules. As JSON, or as commands of the `aliyun` CLI. For
all environments of all files, or for one environment: the deployer's policy is always over all.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from handler.config import Config
from local.fc import s_yaml

from . import account_script, statements
from .checks import links_toml, placeholders
from .checks.functions import is_web, mapping, takes_events
from .checks.names import role_name
from .environments import Rendered, load_yaml, read_environments, render_environments, require
from .errors import DeployError
from .statements import Document, Statement

FUNCTION_COMPUTE = "fc.aliyuncs.com"
# The services that call a function through a trigger and assume the trigger's role to do so.
CALLERS = {"oss": "oss.aliyuncs.com", "mns_topic": "mns.aliyuncs.com", "eventbridge": "eventbridge.aliyuncs.com"}

Props = Mapping[str, Any]


def policies(root: Path, rendered: Sequence[Rendered], environment: str | None = None) -> Document:
    """What must exist for the functions of one environment, or of all that are rendered.

    `{"prefix", "roles": {name: {"trust", "policy"}}, "deployer": policy, "deployers": {environment: policy},
    "queues": [{"name", "region"}], "logs": [{"project", "logstore", "region"}], "lifecycle": {bucket: [rule]}}`. The
    prefix is what the names of the functions begin with. The deployer's policy covers all that is rendered, those in
    `deployers` one environment each. Where notices wait in the state prefix, `operator` is the policy that
    `python -m handler.notices` needs. Raises `DeployError` if links.toml cannot be read, if two functions contradict
    each other, or if RAM cannot express a key.
    """
    everything = list(_functions(rendered))
    selected = [props for name, props in everything if environment in (None, name)]
    prefix = _common_prefix([str(props["functionName"]) for _, props in everything])
    roles = _roles(root, [props for _, props in everything])
    wanted = _roles_of(selected)
    outbox: list[Statement] = []
    rules: dict[str, list[Document]] = {}
    for props in selected:
        links = links_toml.read_or_fail(root, props)
        outbox += [statement for statement in _outbox(props, links) if statement not in outbox]
        for bucket, bucket_rules in statements.lifecycle(links, prefix).items():
            _add_rules(bucket, rules.setdefault(bucket, []), bucket_rules)
    return {
        "prefix": prefix,
        "roles": {name: role for name, role in roles.items() if name in wanted},
        "deployer": statements.document(_deployer([props for _, props in everything], sorted(roles))),
        "deployers": {
            name: statements.document(_deployer(functions, sorted(_roles_of(functions))))
            for name, functions in _by_environment(everything).items()
            if environment in (None, name)
        },
        **({"operator": statements.document(outbox)} if outbox else {}),
        "queues": _unique({"name": name, "region": props["region"]} for props in selected for name in queues(props)),
        "logs": _logs(selected),
        "lifecycle": rules,
    }


def _functions(rendered: Sequence[Rendered]) -> Iterator[tuple[str | None, Props]]:
    """Each function with its environment, by the functions' names. Raises `DeployError` for a name used twice."""
    where: dict[str, str] = {}
    for file in rendered:
        for resource, props in file.functions.items():
            name, place = str(props["functionName"]), f"{resource} in {file.name}"
            if name in where:
                raise DeployError(f"functionName {name} is used by {where[name]} and by {place}: give each its own.")
            where[name] = place
            yield file.environment, props


def _by_environment(functions: Iterable[tuple[str | None, Props]]) -> dict[str, list[Props]]:
    environments: dict[str, list[Props]] = {}
    for name, props in functions:
        if name is not None:
            environments.setdefault(name, []).append(props)
    return environments


def _roles_of(functions: Iterable[Props]) -> set[str]:
    return {name for props in functions for name in (role_name(props.get("role")), *caller_roles(props))}


def _common_prefix(names: Sequence[str]) -> str:
    """What the names begin with, without their last parts: "links" of links-http and links-events-dev."""
    columns = zip(*(name.split("-")[:-1] for name in names), strict=False)
    return "-".join(column[0] for column in takewhile(lambda column: len({*column}) == 1, columns)) or names[0]


def _roles(root: Path, functions: Sequence[Props]) -> dict[str, Document]:
    """The roles of the functions and of the services that call them, with trust and policy."""
    roles: dict[str, Document] = {}
    callers: dict[str, dict[str, list[Statement]]] = {}
    for props in functions:
        name = role_name(props.get("role"))
        if not name:
            raise DeployError("role is missing in s.yaml: each function needs one.")
        if name in roles:
            raise DeployError(f"role {name} is used by two functions: give each its own, with only what it needs.")
        policy = statements.document(function_statements(props, links_toml.read_or_fail(root, props)))
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
    return roles


def caller_roles(props: Props) -> dict[str, str]:
    """The roles of its triggers, each with the service that assumes it."""
    return {
        role_name(trigger["invocationRole"]): CALLERS[trigger["triggerType"]]
        for trigger in props.get("triggers") or []
        if trigger["triggerType"] in CALLERS and trigger.get("invocationRole")
    }


def function_statements(props: Props, links: Config) -> list[Statement]:
    """What a function may do, one statement per mount. A custom runtime may be both web and event function."""
    mounts = sorted(links.mounts, key=lambda mount: mount.path)
    allowed: list[Statement] = []
    if is_web(props):
        allowed += [statements.mount_statement(mount) for mount in mounts] + statements.list_statements(links)
        allowed += statements.share_statements(links)
    if takes_events(props):
        notified = {notice.mount.path for notice in links.notices}
        # A link in a notice of a new object is one to the version of the event.
        versions = {notice.mount.path for notice in links.notices if (notice.on, notice.give) == ("created", "link")}
        allowed += [
            statements.mount_statement(mount, ("GET",), versions=mount.path in versions)
            for mount in mounts
            if mount.path in notified
        ]
        allowed += [statements.sink_statement(sink.target) for sink in links.sinks]
    allowed += [statements.destination_statement(arn) for arn in _destinations(props)]
    return _unique([*allowed, *_outbox(props, links), *statements.keys_statements(links)])


def _outbox(props: Props, links: Config) -> list[Statement]:
    """Rights to what waits for webhooks and robots; a [[sink]] is written at once."""
    return statements.outbox_statements(links) if takes_events(props) and links.keys_sinks else []


def _destinations(props: Props) -> list[str]:
    """The ARNs to which Function Compute sends what became of an event, with the function's role."""
    destinations = mapping(mapping(props.get("asyncInvokeConfig")).get("destinationConfig"))
    arns = (mapping(destinations.get(name)).get("destination") for name in ("onFailure", "onSuccess"))
    return [str(arn) for arn in arns if arn]


def queues(props: Props) -> list[str]:
    """The names of the queues in the function's region to which results of events go."""
    return [name for name in map(statements.queue_name, _destinations(props)) if name]


def _logs(functions: Sequence[Props]) -> list[dict[str, Any]]:
    """The logstores, each in its project. Raises `DeployError` for a project in two regions."""
    logs = []
    regions: dict[str, str] = {}
    for props in functions:
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


def _deployer(functions: Sequence[Props], roles: Sequence[str]) -> list[Statement]:
    regions = {props["functionName"]: props["region"] for props in functions}
    triggers = [trigger for props in functions for trigger in props.get("triggers") or []]
    buckets = {str(trigger["sourceArn"]).rpartition(":")[2] for trigger in triggers if trigger["triggerType"] == "oss"}
    deployer = statements.deployer_statements(regions, roles, sorted(buckets))
    for props in functions:
        domain = mapping(props.get("customDomain"))
        if domain:
            with_certificate = bool(mapping(domain.get("certConfig")).get("certId"))
            deployer += statements.domain_statements(
                domain["domainName"], props["region"], with_certificate=with_certificate
            )
    return _unique(deployer)


def _add_rules(bucket: str, rules: list[Document], more: Iterable[Document]) -> None:
    """Adds lifecycle rules. Raises `DeployError` if a bucket would get two different rules of one name."""
    for rule in more:
        if rule not in rules:
            if rule["ID"] in {other["ID"] for other in rules}:
                raise DeployError(
                    f"Bucket {bucket} would get two lifecycle rules named {rule['ID']}, because two environments use "
                    "it with different state prefixes or mounts: use a bucket for each environment."
                )
            rules.append(rule)


def _unique(values: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    unique: list[dict[str, Any]] = []
    for value in values:
        if value not in unique:
            unique.append(value)
    return unique


def _examples(root: Path, config: Path, rendered: Sequence[Rendered]) -> Iterator[str]:
    readers = [links_toml.read(root, p) for file in rendered if file.config == config for p in file.functions.values()]
    return placeholders.faults(readers, load_yaml(config), read_environments(config))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.policies", description="Print the RAM policies needed.")
    parser.add_argument(
        "configs", nargs="*", type=Path, default=[Path("s.yaml")], metavar="config", help="every s.yaml that you deploy"
    )
    parser.add_argument("--env", help="an environment of env.yaml; without it, all")
    parser.add_argument("--commands", action="store_true", help="print commands of the aliyun CLI instead of JSON")
    options = parser.parse_args(arguments)
    try:
        for config in options.configs:
            if options.env:
                require(read_environments(config), options.env)
        rendered = [file for config in options.configs for file in render_environments(config)]
        root = s_yaml.project_folder(options.configs[0])
        documents = policies(root, rendered, options.env)
        examples = [sentence for config in options.configs for sentence in _examples(root, config, rendered)]
    except DeployError as error:
        print(f"python -m deploy.policies: {error}", file=sys.stderr)
        return 1
    for sentence in dict.fromkeys(examples):
        print(f"warning: {sentence}", file=sys.stderr)
    print(account_script.script(documents) if options.commands else json.dumps(documents, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
