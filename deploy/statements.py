"""RAM statements, one for each thing that links.toml or s.yaml asks for.

Source: the RAM pages on policy structure, and the OSS and Function Compute pages on their actions and resources.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import Any

from handler.core.config import Config, Location, Mount
from handler.core.config.rights import Statement, allow, compact_json, has_upload_pages
from handler.core.config.rights import policy as policy_of
from local.rights import DONE, LEASES, OPENED, PAUSES

from .errors import DeployError

Document = dict[str, Any]

# Of a custom policy.
MAX_POLICY = 6144  # characters
# Marks of notices that were sent, and what is kept of shares, stay for at least this long.
STATE_DAYS = 31
LEASE_DAYS = 1  # and of pauses, which are written again while a sink fails
UPLOAD_DAYS = 7
DAY = 86_400  # seconds
MAX_RULE_NAME = 230  # characters; what makes it another one may follow
# What the names of rules for mounts begin with: of those that delete files, and of others. The point after the first is
# in no name of a function, so no rule of an application whose name ends in -files is taken for one.
FILES = "files"
UPLOADS = "uploads"
# The names of the rules of a state prefix, and the folders that they clean up.
_STATE_RULES = {
    "notices-done": DONE,
    "notices-leases": LEASES,
    "notices-pauses": PAUSES,
    "shares": "shares/",
    "shares-extended": "extended/",
    "shares-uses": "uses/",
    "shares-index": "index/",
    "shares-opened": OPENED,
}

# By the service in an ARN; the check knows no other destination.
_DESTINATIONS = {"fc": "fc:InvokeFunction", "eventbridge": "eventbridge:PutEvents"}


def document(statements: Sequence[Statement]) -> Document:
    """A policy. Raises `DeployError` if it exceeds RAM's limit."""
    policy = policy_of(statements)
    size = len(compact_json(policy))
    if size > MAX_POLICY:
        raise DeployError(
            f"A policy has {size} characters and exceeds {MAX_POLICY}: give mounts a common prefix."
        )
    return policy


def trust_policy(kind: str, names: Sequence[str]) -> Document:
    """Lets services (`Service`) or other roles (`RAM`) assume the role."""
    return document(
        [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {kind: list(names)}}]
    )


def destination_statement(arn: str) -> Statement:
    """For a destination of `asyncInvokeConfig` that the check accepts."""
    _, service, region, account, resource = _with_any_account(arn).split(":", 4)
    to_queue = resource.startswith("/queues/")
    action = _DESTINATIONS.get(service) or ("mns:SendMessage" if to_queue else "mns:PublishMessage")
    # Function Compute leaves the account of a topic empty.
    return allow([action], f"acs:{service}:{region}:{account or '*'}:{resource}")


def queue_name(arn: str) -> str:
    """The queue of a destination, "" if it is something else."""
    match = re.fullmatch(r"acs:mns:[^:]*:[^:]*:/queues/([^/]+)/messages", _with_any_account(arn))
    return match[1] if match else ""


def deployer_statements(
    names: Sequence[tuple[str, str]], roles: Sequence[str], event_buckets: Sequence[str]
) -> list[Statement]:
    """What deploying needs: `names` and regions of functions, their roles, the buckets whose events call them.

    Source: the component fc3, which asks for a temporary bucket for the code, and passes roles in lower case.
    """
    functions = [arn for name, region in names for arn in function_arns(name, region)]
    statements = [
        allow(["fc:*"], *functions),
        # It belongs to the account, not to a function.
        allow(["fc:GetTempBucketToken"], "*"),
        {
            **allow(["ram:PassRole"], *(f"acs:ram::*:role/{role.lower()}" for role in roles)),
            "Condition": {"StringEquals": {"acs:Service": "fc.aliyuncs.com"}},
        },
    ]
    if event_buckets:
        actions = [f"oss:{verb}BucketEventNotification" for verb in ("Delete", "Get", "Put")]
        statements.append(allow(actions, *(f"acs:oss:*:*:{bucket}" for bucket in event_buckets)))
    return statements


def domain_statements(name: str, region: str, *, with_certificate: bool) -> list[Statement]:
    """A custom domain is a resource of its own. With `certId`, the deployer's machine fetches certificate and key.

    Source: the component fc3-domain; the RAM page of Certificate Management Service, which knows no narrower resource.
    """
    certificate = (
        [allow(["yundun-cert:DescribeUserCertificateDetail"], "*")] if with_certificate else []
    )
    return [allow(["fc:*"], f"acs:fc:{region}:*:custom-domains/{name}"), *certificate]


def lifecycle(config: Config, name: str) -> dict[str, list[Document]]:
    """The rules, for each bucket, that delete old records and files, and abort uploads that were never completed.

    Their names begin with `name`, so that two applications may use one bucket. OSS refuses two rules of one prefix, and
    the same action on a prefix inside another (EC 0014-00000085 and 0014-00000084), so all actions of a target are in
    one rule, and of targets that contain one another the outermost has the action.
    """
    rules: dict[str, list[Document]] = {mount.target.bucket: [] for mount in config.mounts}
    if config.state:
        days = {DONE: STATE_DAYS, LEASES: LEASE_DAYS, PAUSES: LEASE_DAYS}
        # None covers waiting or dead notices.
        rules[config.state.bucket] = [
            {
                "ID": f"{name}-{rule}",
                "Prefix": config.state.key + folder,
                "Status": "Enabled",
                "Expiration": {"Days": days.get(folder, share_days(config))},
            }
            for rule, folder in _STATE_RULES.items()
        ]
    by_target: dict[Location, Document] = {}
    covered: dict[str, list[Location]] = {"Expiration": [], "AbortMultipartUpload": []}
    for mount in sorted(config.mounts, key=lambda mount: (len(mount.target.key), mount.path)):
        target = mount.target
        has_parts = "PUT" in mount.methods or has_upload_pages(mount)
        actions = {
            "Expiration": (mount.delete_after or 0) // DAY,
            "AbortMultipartUpload": UPLOAD_DAYS if has_parts else 0,
        }
        for action, action_days in actions.items():
            if not action_days or any(outer.contains(target) for outer in covered[action]):
                continue
            covered[action].append(target)
            if target not in by_target:
                used = {rule["ID"] for rule in rules[target.bucket]}
                by_target[target] = {
                    "ID": _rule_name(name, mount, used),
                    "Prefix": target.key,
                    "Status": "Enabled",
                }
                rules[target.bucket].append(by_target[target])
            by_target[target][action] = {"Days": action_days}
    return rules


def _rule_name(name: str, mount: Mount, used: Collection[str]) -> str:
    """One that the bucket has not: OSS refuses a name twice, and one above 255 characters (EC 0014-00000020, -19)."""
    rule_name = f"{name}-{FILES}{mount.path.replace('/', '.').rstrip('.')}"
    if mount.delete_after is None:
        rule_name = f"{name}-{UPLOADS}{mount.path.replace('/', '-').rstrip('-')}"
    rule_name = rule_name[:MAX_RULE_NAME]
    while rule_name in used:  # by /a-b/, where the mount is /a/b/
        rule_name += "-"
    return rule_name


def share_days(config: Config) -> int:
    """For how many days what belongs to a share is kept: it may be extended to twice the longest lifetime."""
    longest = max((mount.max_share or 0 for mount in config.mounts), default=0)
    return max(STATE_DAYS, 2 * -(-longest // DAY) + 1)


def own_rules(name: str) -> str:
    """A regular expression (POSIX, extended) for rules as `lifecycle` writes them, also those of earlier mounts."""
    start = f"<ID>{name}-{{}}</ID><Prefix>[^<]*</Prefix><Status>Enabled</Status>"
    deletion = "<Expiration><Days>[0-9]+</Days></Expiration>"
    abort = f"<AbortMultipartUpload><Days>{UPLOAD_DAYS}</Days></AbortMultipartUpload>"
    state = start.format(f"({'|'.join(_STATE_RULES)})") + deletion
    uploads = start.format(f"{UPLOADS}[^<]*") + abort
    # A deletion that nobody agreed to is left out.
    files = start.format(rf"{FILES}(\.[^<]*)?") + f"({deletion})?({abort})?"
    return f"<Rule>({state}|{uploads}|{files})</Rule>"


def _with_any_account(arn: str) -> str:
    """Only s deploy knows the account that `${config('AccountID')}` stands for."""
    return re.sub(r"\$\{[^}]*\}", "*", arn)


def function_arns(name: str, region: str) -> tuple[str, str]:
    return f"acs:fc:{region}:*:functions/{name}", f"acs:fc:{region}:*:functions/{name}/*"
