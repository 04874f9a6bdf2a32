"""`python -m deploy.policies [s.yaml …] [--env NAME] [--commands]`: the RAM policies, with least privilege.

One role per function, as its mounts need; one role for each service that calls a function; the roles of
`[assume_role]`; the policies of the deployer and of those who repair notices; the queues, logs and lifecycle rules. As
JSON, or as commands of the `aliyun` CLI, which create it or the alarms (`--alarms`), or remove either (`--remove`). For
all environments of all files, or for one environment: the deployer's policy is always over all.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from itertools import takewhile
from pathlib import Path

from handler.core.config import InvalidConfig
from handler.core.config.rights import Statement, allow
from local import rights
from local.fc.functions import Function
from signer.common.display import printable
from signer.common.printing import Parser, show

from . import account_script, alarms, statements
from .check import check
from .checks import regions, sharing
from .checks.names import role_name
from .command import run
from .errors import DeployError
from .model import ConfiguredFunction
from .signer_roles import signer_roles
from .statements import Document

FUNCTION_COMPUTE = "fc.aliyuncs.com"
# The services that call a function through a trigger and assume the trigger's role to do so.
CALLERS = {
    "oss": "oss.aliyuncs.com",
    "mns_topic": "mns.aliyuncs.com",
    "eventbridge": "eventbridge.aliyuncs.com",
}


def policies(everything: Sequence[ConfiguredFunction], environment: str | None = None) -> Document:
    """What must exist for the functions of one environment, or for all.

    `{"prefix", "roles": {name: {"trust", "policy"}}, "deployer": policy, "deployers": {environment: policy},
    "queues": [{"name", "region"}], "logs": [{"project", "logstore", "region", "days"}], "lifecycle": {bucket: [rule]},
    "bucket_regions": {bucket: region}}`. A role of `[assume_role]` also has "max_session_duration"; it is the same for
    each environment, and comes after the roles that it trusts. The prefix is what the names of the functions begin
    with. The policy of the deployer covers all that is rendered, those in `deployers` one environment each. Where
    notices wait in the state, `operator` is the policy that `python -m handler.commands notices` needs. Raises
    `DeployError` if two functions contradict each other, or if RAM cannot express a key.
    """
    selected = [
        configured
        for configured in everything
        if environment in (None, configured.environment_name)
    ]
    prefix = common_prefix([configured.function.name for configured in everything])
    # The check says the same of the functions of one file.
    for conflict in (
        *sharing.within(everything),
        *sharing.signers(everything),
        *regions.across(everything),
    ):
        raise DeployError(conflict)
    roles = _roles(everything)
    wanted = _roles_of(selected) | _signers_of(selected, everything)
    # What is for webhooks and robots waits; a [[sink]] is written at once. There is one policy for all environments.
    waiting = [
        configured.config
        for configured in everything
        if configured.function.takes_events and configured.config.keys_sinks
    ]
    outbox = rights.unique(
        statement for config in waiting for statement in rights.outbox_statements(config)
    )
    # Over all: the script would take rules of another environment for old ones of its own.
    buckets = _buckets(everything, prefix)
    used = {
        bucket
        for configured in selected
        for bucket in statements.lifecycle(configured.config, prefix)
    }
    plan = {
        "prefix": prefix,
        "roles": {name: role for name, role in roles.items() if name in wanted},
        "deployer": statements.document(_deployer(everything)),
        "deployers": {
            name: statements.document(_deployer(functions))
            for name, functions in _by_environment(selected).items()
        },
        "queues": rights.unique(
            {"name": name, "region": configured.function.region}
            for configured in selected
            for name in queues(configured.function)
        ),
        "logs": rights.unique(
            {
                "project": configured.function.log.project,
                "logstore": configured.function.log.logstore,
                "region": configured.function.region,
                "days": configured.log_days,
            }
            for configured in selected
            if configured.function.log
        ),
        "lifecycle": {bucket: rules for bucket, (_, rules) in buckets.items() if bucket in used},
        "bucket_regions": {
            bucket: region for bucket, (region, _) in buckets.items() if bucket in used
        },
    }
    if outbox:
        plan["operator"] = statements.document(outbox)
    return plan


def _by_environment(functions: Iterable[ConfiguredFunction]) -> dict[str, list[ConfiguredFunction]]:
    environments: dict[str, list[ConfiguredFunction]] = {}
    for configured in functions:
        if configured.environment_name is not None:
            environments.setdefault(configured.environment_name, []).append(configured)
    return environments


def _roles_of(functions: Iterable[ConfiguredFunction]) -> set[str]:
    return {
        name
        for configured in functions
        for name in (role_name(configured.function.role), *caller_roles(configured.function))
    }


def _signers_of(
    selected: Sequence[ConfiguredFunction], everything: Sequence[ConfiguredFunction]
) -> set[str]:
    """The roles of `[assume_role]`, and all roles that they trust: RAM knows only those that exist."""
    signers = signer_roles(everything)
    return {
        name
        for signer in signer_roles(selected)
        for name in (signer, *map(role_name, signers[signer].trusted))
    }


def common_prefix(names: Sequence[str]) -> str:
    """What the names begin with, without their last parts: "links" of links-http and links-events-dev."""
    columns = zip(*(name.split("-")[:-1] for name in names), strict=False)
    return (
        "-".join(column[0] for column in takewhile(lambda column: len({*column}) == 1, columns))
        or names[0]
    )


def _roles(functions: Sequence[ConfiguredFunction]) -> dict[str, Document]:
    """The roles of the functions, of the services that call them, and of `[assume_role]`, with trust and policy."""
    roles: dict[str, Document] = {}
    callers: dict[str, dict[str, list[Statement]]] = {}
    for configured in functions:
        name = role_name(configured.function.role)
        policy = statements.document(function_statements(configured))
        roles[name] = {
            "trust": statements.trust_policy("Service", [FUNCTION_COMPUTE]),
            "policy": policy,
        }
        for caller, service in caller_roles(configured.function).items():
            call = allow(
                ["fc:InvokeFunction"],
                *statements.function_arns(configured.function.name, configured.function.region),
            )
            callers.setdefault(caller, {}).setdefault(service, []).append(call)
    for caller, services in callers.items():
        calls = [
            call for statements_of_service in services.values() for call in statements_of_service
        ]
        roles[caller] = {
            "trust": statements.trust_policy("Service", [*services]),
            "policy": statements.document(rights.unique(calls)),
        }
    return roles | {name: signer.documents() for name, signer in signer_roles(functions).items()}


def caller_roles(function: Function) -> dict[str, str]:
    """The roles of its triggers, each with the service that assumes it."""
    return {
        role_name(trigger.caller): CALLERS[trigger.kind]
        for trigger in function.triggers
        if trigger.kind in CALLERS and trigger.caller
    }


def function_statements(configured: ConfiguredFunction) -> list[Statement]:
    """What a function may do. Raises `DeployError`."""
    try:
        allowed = configured.statements
    except InvalidConfig as error:
        raise DeployError(error.sentence) from None
    return rights.unique(
        [
            *allowed,
            *map(statements.destination_statement, configured.function.destinations.values()),
        ]
    )


def queues(function: Function) -> list[str]:
    """The names of the queues in the function's region to which results of events go."""
    return [name for name in map(statements.queue_name, function.destinations.values()) if name]


def _deployer(functions: Sequence[ConfiguredFunction]) -> list[Statement]:
    names = [(configured.function.name, configured.function.region) for configured in functions]
    triggers = [trigger for configured in functions for trigger in configured.function.triggers]
    buckets = {trigger.bucket for trigger in triggers if trigger.kind == "oss"}
    deployer = statements.deployer_statements(names, sorted(_roles_of(functions)), sorted(buckets))
    for configured in functions:
        domain = configured.function.domain
        if domain is not None:
            deployer += statements.domain_statements(
                domain.name,
                configured.function.region,
                with_certificate="certId" in domain.certificate,
            )
    return rights.unique(deployer)


def _buckets(
    functions: Sequence[ConfiguredFunction], prefix: str
) -> dict[str, tuple[str, list[Document]]]:
    """The region and the lifecycle rules of each bucket. Raises `DeployError` for a bucket of two environments."""
    buckets: dict[str, tuple[str, list[Document]]] = {}
    for configured in functions:
        for bucket, rules in statements.lifecycle(configured.config, prefix).items():
            _, known = buckets.setdefault(bucket, (configured.bucket_regions[bucket], []))
            for rule in rules:
                for other in known:
                    if rule != other and (
                        rule["ID"] == other["ID"] or rule["Prefix"] == other["Prefix"]
                    ):
                        names = " and ".join(dict.fromkeys((other["ID"], rule["ID"])))
                        raise DeployError(
                            f"Bucket {bucket} would get two lifecycle rules named {names}, because two environments "
                            "use it with different state prefixes or mounts: use a bucket for each environment."
                        )
                if rule not in known:
                    known.append(rule)
    return buckets


def main(arguments: Sequence[str] | None = None) -> int:
    """Raises `DeployError`."""
    parser = Parser(prog="python -m deploy.policies", description="Print the RAM policies needed.")
    parser.add_argument(
        "configs",
        nargs="*",
        type=Path,
        default=[Path("s.yaml")],
        metavar="config",
        help="every s.yaml that you deploy",
    )
    parser.add_argument("--env", help="an environment of env.yaml; without it, all")
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--commands", action="store_true", help="print commands of the aliyun CLI instead of JSON"
    )
    form.add_argument(
        "--alarms", action="store_true", help="print commands that create the alarms on the logs"
    )
    parser.add_argument(
        "--remove", action="store_true", help="print commands that remove what the others create"
    )
    options = parser.parse_args(arguments)
    everything: list[ConfiguredFunction] = []
    examples: dict[str, None] = {}
    for config in options.configs:
        report = check(config)
        if report.faults:
            raise DeployError(
                f"{config} has a fault, so its policies would be wrong: {report.faults[0]}"
            )
        examples |= dict.fromkeys(report.placeholders)
        # Those of all environments; without environments, those of s.yaml alone.
        everything += [
            each for each in report.functions if each.environment_name is not None
        ] or report.functions
    environments = [*_by_environment(everything)]
    if options.env and options.env not in environments:
        raise DeployError(
            f"Environment {options.env!r} not found: choose one of {', '.join(environments) or 'none'}."
        )
    documents = policies(everything, options.env)
    kept = [
        policies(everything, name) for name in environments if options.env and name != options.env
    ]
    for sentence in examples:
        show(f"warning: {sentence}", file=sys.stderr)
    if options.alarms:
        selected = [f for f in everything if options.env in (None, f.environment_name)]
        output = alarms.removal(selected) if options.remove else alarms.script(selected)
    elif options.remove:
        output = account_script.removal(documents, kept)
    else:
        output = (
            account_script.script(documents)
            if options.commands
            else json.dumps(documents, indent=2)
        )
    if not sys.stdout.isatty():
        print(output)  # a shell runs it as it is
        return 0
    print("\n".join(map(printable, output.split("\n"))))
    if options.commands or options.alarms or options.remove:
        show(
            "This is a script: write it to a file with > and a name, and read it before you run it.",
            file=sys.stderr,
        )
    return 0


if __name__ == "__main__":
    sys.exit(run("python -m deploy.policies", main, unread=0))
