"""`python -m deploy.policies [s.yaml] [--env NAME] [--commands]`: who may do what, and no more.

One role a function, as its mounts need, one for each service that calls a function, the deployer's policy, and the
lifecycle rules of the buckets: as JSON, or as commands of the `aliyun` CLI.
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

from handler.config import Policy
from local.fc import s_yaml

from . import statements
from .check import functions
from .checks import environments, links_toml
from .checks.functions import is_web, mapping
from .errors import DeployError
from .s_preview import render
from .statements import Document, Statement

FUNCTION_COMPUTE = "fc.aliyuncs.com"
# Which service calls a function through a trigger, and takes the trigger's role for it.
CALLERS = {"oss": "oss.aliyuncs.com", "mns_topic": "mns.aliyuncs.com", "eventbridge": "eventbridge.aliyuncs.com"}

Props = Mapping[str, Any]


def policies(root: Path, rendered: dict[str, Any]) -> Document:
    """`{"roles": {name: {"trust", "policy"}}, "deployer": policy, "lifecycle": {bucket: [rule]}}` of a rendering.

    Raises `DeployError` where links.toml cannot be read, or a key cannot be said in RAM.
    """
    found = functions(rendered)
    roles: dict[str, Document] = {}
    rules: dict[str, list[Document]] = {}
    deployer: list[Statement] = []
    watched: set[str] = set()
    for props in (entry["props"] for entry in found.values()):
        read = links_toml.read(root, props)
        if read.policy is None:
            raise DeployError(read.sentence)
        granted = of_function(props, read.policy)
        role = _role(props.get("role"))
        if role in roles:
            raise DeployError(f"Two functions have the role {role}: give each its own, with no more than it needs.")
        roles[role] = {"trust": statements.trust(FUNCTION_COMPUTE), "policy": statements.document(granted)}
        for bucket, of_bucket in statements.lifecycle(read.policy).items():
            rules.setdefault(bucket, []).extend(rule for rule in of_bucket if rule not in rules[bucket])
        for trigger in props.get("triggers") or []:
            service = CALLERS.get(trigger["triggerType"])
            if service and trigger.get("invocationRole"):
                call = statements.of_caller(props["functionName"], props["region"])
                roles[_role(trigger["invocationRole"])] = {
                    "trust": statements.trust(service),
                    "policy": statements.document([call]),
                }
            if trigger["triggerType"] == "oss":
                watched.add(str(trigger["sourceArn"]).rpartition(":")[2])
        domain = mapping(props.get("customDomain"))
        if domain:
            deployer.append(statements.of_domain(domain["domainName"], props["region"]))
    regions = {entry["props"]["functionName"]: entry["props"]["region"] for entry in found.values()}
    deployer = [*statements.of_deployer(regions, sorted(roles), sorted(watched)), *deployer]
    return {"roles": roles, "deployer": statements.document(deployer), "lifecycle": rules}


def of_function(props: Props, policy: Policy) -> list[Statement]:
    """What the function itself may do, a statement a mount."""
    mounts = sorted(policy.mounts, key=lambda mount: mount.path)
    if is_web(props):
        granted = [statements.of_mount(mount) for mount in mounts]
    else:
        told_of = {notice.mount.path for notice in policy.notices}
        granted = [statements.of_mount(mount, ("GET",)) for mount in mounts if mount.path in told_of]
        granted += [statements.of_sink(sink.target) for sink in policy.sinks]
        failure = mapping(mapping(props.get("asyncInvokeConfig")).get("destinationConfig")).get("onFailure")
        granted += statements.of_destination(str(mapping(failure).get("destination", "")))
    return [*granted, *statements.of_state(policy), *statements.of_keys(policy)]


def commands(found: Document) -> str:
    """The same as a shell script, which may be run again after a change."""
    lines = ["# Roles and policies, as links.toml and s.yaml ask for them. May be run again after a change.", "set -e"]
    for role, documents in found["roles"].items():
        trust, policy = (shlex.quote(statements.compact(documents[name])) for name in ("trust", "policy"))
        lines += [
            "",
            f"aliyun ram CreateRole --RoleName {role} --AssumeRolePolicyDocument {trust} ||",
            f"  aliyun ram UpdateRole --RoleName {role} --NewAssumeRolePolicyDocument {trust}",
            *_policy(role, policy),
            f"aliyun ram AttachPolicyToRole --PolicyType Custom --PolicyName {role} --RoleName {role} || true",
        ]
    lines += [
        "",
        "# The RAM user whose key deploys.",
        *_policy("links-deployer", shlex.quote(statements.compact(found["deployer"]))),
        'aliyun ram AttachPolicyToUser --PolicyType Custom --PolicyName links-deployer --UserName "$DEPLOYER" || true',
    ]
    for bucket, rules in found["lifecycle"].items():
        lines += [
            "",
            f"# These replace all lifecycle rules that {bucket} has: add yours to them.",
            f"cat > lifecycle-{bucket}.xml <<'END'",
            _xml(rules),
            "END",
            f"aliyun oss lifecycle --method put oss://{bucket} lifecycle-{bucket}.xml",
        ]
    return "\n".join(lines)


def _policy(name: str, document: str) -> list[str]:
    return [
        f"aliyun ram CreatePolicy --PolicyName {name} --PolicyDocument {document} ||",
        f"  aliyun ram CreatePolicyVersion --PolicyName {name} --SetAsDefault true \\",
        f"    --RotateStrategy DeleteOldestNonDefaultVersionWhenLimitExceeded --PolicyDocument {document}",
    ]


def _xml(rules: list[Document]) -> str:
    """As OSS reads lifecycle rules (page "PutBucketLifecycle")."""

    def element(name: str, value: object) -> str:
        inner = "".join(element(*item) for item in value.items()) if isinstance(value, dict) else escape(str(value))
        return f"<{name}>{inner}</{name}>"

    return element("LifecycleConfiguration", {}).replace("><", ">" + "".join(element("Rule", r) for r in rules) + "<")


def _role(value: object) -> str:
    """A role's name, of itself or of its ARN."""
    name = str(value or "").rpartition("role/")[2]
    if not name:
        raise DeployError("role is missing in s.yaml: name one a function.")
    return name


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints them; the exit status is 1 with the reason where that fails."""
    parser = argparse.ArgumentParser(prog="python -m deploy.policies", description="Prints the RAM policies needed.")
    parser.add_argument("config", nargs="?", type=Path, default=Path("s.yaml"), help="what is deployed")
    parser.add_argument("--env", help="an environment of env.yaml")
    parser.add_argument("--commands", action="store_true", help="as commands of the aliyun CLI")
    options = parser.parse_args(arguments)
    try:
        if options.env:
            environments.chosen(environments.read(options.config, None), options.env)
        found = policies(s_yaml.project_folder(options.config), render(options.config, options.env))
    except DeployError as error:
        print(f"python -m deploy.policies: {error}", file=sys.stderr)
        return 1
    print(commands(found) if options.commands else json.dumps(found, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
