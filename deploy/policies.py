"""`python -m deploy.policies [s.yaml] [--env NAME] [--commands]`: the RAM policies, with least privilege.

One role per function, as its mounts need; one role for each service that calls a function; the policies of the deployer
and of those who repair notices; and the lifecycle rules of the buckets. As JSON, or as commands of the `aliyun` CLI.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from handler.config import Config
from local.fc import s_yaml

from . import statements
from .checks import links_toml
from .checks.functions import functions_in, is_web, mapping
from .environments import read_environments, require
from .errors import DeployError
from .s_preview import render
from .statements import Document, Statement

FUNCTION_COMPUTE = "fc.aliyuncs.com"
# The services that call a function through a trigger and assume the trigger's role to do so.
CALLERS = {"oss": "oss.aliyuncs.com", "mns_topic": "mns.aliyuncs.com", "eventbridge": "eventbridge.aliyuncs.com"}

Props = Mapping[str, Any]


def policies(root: Path, rendered: dict[str, Any]) -> Document:
    """`{"roles": {name: {"trust", "policy"}}, "deployer": policy, "lifecycle": {bucket: [rule]}}` of a rendered s.yaml.

    Where notices wait in the state prefix, `operator` is the policy that `python -m handler.notices` needs. Raises
    `DeployError` if links.toml cannot be read, or RAM cannot express a key.
    """
    functions = [resource["props"] for resource in functions_in(rendered).values()]
    roles: dict[str, Document] = {}
    outbox: list[Statement] = []
    rules: dict[str, list[Document]] = {}
    domains: list[Statement] = []
    event_buckets: set[str] = set()
    for props in functions:
        links = links_toml.read_or_fail(root, props)
        policy = statements.document(function_statements(props, links))
        role = _role_name(props.get("role"))
        if role in roles:
            raise DeployError(f"role {role} is used by two functions: give each its own, with only what it needs.")
        roles[role] = {"trust": statements.trust_policy(FUNCTION_COMPUTE), "policy": policy}
        for bucket, bucket_rules in statements.lifecycle(links).items():
            rules.setdefault(bucket, []).extend(rule for rule in bucket_rules if rule not in rules[bucket])
        outbox += [statement for statement in _outbox(props, links) if statement not in outbox]
        for trigger in props.get("triggers") or []:
            service = CALLERS.get(trigger["triggerType"])
            if service and trigger.get("invocationRole"):
                call = statements.caller_statement(props["functionName"], props["region"])
                roles[_role_name(trigger["invocationRole"])] = {
                    "trust": statements.trust_policy(service),
                    "policy": statements.document([call]),
                }
            if trigger["triggerType"] == "oss":
                event_buckets.add(str(trigger["sourceArn"]).rpartition(":")[2])
        domain = mapping(props.get("customDomain"))
        if domain:
            domains.append(statements.domain_statement(domain["domainName"], props["region"]))
    regions = {props["functionName"]: props["region"] for props in functions}
    deployer = [*statements.deployer_statements(regions, sorted(roles), sorted(event_buckets)), *domains]
    operator = {"operator": statements.document(outbox)} if outbox else {}
    return {"roles": roles, "deployer": statements.document(deployer), **operator, "lifecycle": rules}


def function_statements(props: Props, links: Config) -> list[Statement]:
    """What a function may do, one statement per mount."""
    mounts = sorted(links.mounts, key=lambda mount: mount.path)
    if is_web(props):
        allowed = [statements.mount_statement(mount) for mount in mounts] + statements.list_statements(links)
        allowed += statements.share_statements(links)
    else:
        notified = {notice.mount.path for notice in links.notices}
        # A link in a notice of a new object is one to the version of the event.
        versions = {notice.mount.path for notice in links.notices if (notice.on, notice.give) == ("created", "link")}
        allowed = [
            statements.mount_statement(mount, ("GET",), versions=mount.path in versions)
            for mount in mounts
            if mount.path in notified
        ]
        allowed += [statements.sink_statement(sink.target) for sink in links.sinks]
        failure = mapping(mapping(props.get("asyncInvokeConfig")).get("destinationConfig")).get("onFailure")
        allowed += statements.destination_statements(str(mapping(failure).get("destination", "")))
        allowed += _outbox(props, links)
    return [*allowed, *statements.keys_statements(links)]


def _outbox(props: Props, links: Config) -> list[Statement]:
    """Rights to what waits for webhooks and robots; a [[sink]] is written at once."""
    return [] if is_web(props) or not links.keys_sinks else statements.outbox_statements(links)


def commands(documents: Document) -> str:
    """A shell script that creates or updates everything, so that it can be run again after a change."""
    lines = ["# Roles and policies for links.toml and s.yaml. Can be run again after a change.", "set -e"]
    for role, role_documents in documents["roles"].items():
        trust, policy = (shlex.quote(statements.compact_json(role_documents[name])) for name in ("trust", "policy"))
        lines += [
            "",
            f"aliyun ram CreateRole --RoleName {role} --AssumeRolePolicyDocument {trust} ||",
            f"  aliyun ram UpdateRole --RoleName {role} --NewAssumeRolePolicyDocument {trust}",
            *_policy_commands(role, policy),
            f"aliyun ram AttachPolicyToRole --PolicyType Custom --PolicyName {role} --RoleName {role} || true",
        ]
    lines += [
        "",
        "# The RAM user whose key deploys.",
        *_policy_commands("links-deployer", shlex.quote(statements.compact_json(documents["deployer"]))),
        'aliyun ram AttachPolicyToUser --PolicyType Custom --PolicyName links-deployer --UserName "$DEPLOYER" || true',
    ]
    if "operator" in documents:
        lines += [
            "",
            "# For those who run python -m handler.notices: attach it to their RAM user.",
            *_policy_commands("links-operator", shlex.quote(statements.compact_json(documents["operator"]))),
        ]
    for bucket, rules in documents["lifecycle"].items():
        lines += [
            "",
            f"# This replaces all lifecycle rules of {bucket}: add your own rules to the file first.",
            f"cat > lifecycle-{bucket}.xml <<'END'",
            lifecycle_xml(rules),
            "END",
            f"aliyun oss lifecycle --method put oss://{bucket} lifecycle-{bucket}.xml",
        ]
    return "\n".join(lines)


def _policy_commands(name: str, document: str) -> list[str]:
    return [
        f"aliyun ram CreatePolicy --PolicyName {name} --PolicyDocument {document} ||",
        f"  aliyun ram CreatePolicyVersion --PolicyName {name} --SetAsDefault true \\",
        f"    --RotateStrategy DeleteOldestNonDefaultVersionWhenLimitExceeded --PolicyDocument {document}",
    ]


def lifecycle_xml(rules: list[Document]) -> str:
    """Source: the OSS page "PutBucketLifecycle"."""

    def element(name: str, value: object) -> str:
        inner = "".join(element(*item) for item in value.items()) if isinstance(value, dict) else escape(str(value))
        return f"<{name}>{inner}</{name}>"

    return f"<LifecycleConfiguration>{''.join(element('Rule', rule) for rule in rules)}</LifecycleConfiguration>"


def _role_name(value: object) -> str:
    """The name of a role, given by name or by ARN."""
    name = str(value or "").rpartition("role/")[2]
    if not name:
        raise DeployError("role is missing in s.yaml: each function needs one.")
    return name


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m deploy.policies", description="Print the RAM policies needed.")
    parser.add_argument("config", nargs="?", type=Path, default=Path("s.yaml"), help="the s.yaml to deploy")
    parser.add_argument("--env", help="an environment of env.yaml")
    parser.add_argument("--commands", action="store_true", help="print commands of the aliyun CLI instead of JSON")
    options = parser.parse_args(arguments)
    try:
        if options.env:
            require(read_environments(options.config), options.env)
        documents = policies(s_yaml.project_folder(options.config), render(options.config, options.env))
    except DeployError as error:
        print(f"python -m deploy.policies: {error}", file=sys.stderr)
        return 1
    print(commands(documents) if options.commands else json.dumps(documents, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
