"""The documents of `deploy.policies` as a shell script that creates them in the account, with the `aliyun` CLI.

Sources: the RAM pages of each operation, the pages "CreateQueue" and "GetQueueAttributes" (2022-01-19) of Simple
Message Queue, "CreateProject", "CreateLogStore", "UpdateLogStore", "CreateIndex" and "UpdateIndex" (2020-12-30) of
Simple Log Service, "DescribeMetricLast" (2019-01-01) of CloudMonitor, "PutBucketLifecycle" of OSS, and for the fields
of Function Compute's metrics the index that the component fc3 0.1.22 creates.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from handler.core.config.rights import compact_json

from . import statements
from .statements import Document

_TOKENS: dict[str, object] = {"token": [*", '\";=()[]{}?@&<>/:\n\t\r"]}
_KINDS = {"text": _TOKENS, "json": {**_TOKENS, "index_all": True, "max_depth": -1, "json_keys": {}}}
_FIELDS = {
    "text": "message errorType functionName hasFunctionError hostname instanceID ipAddress isColdStart operation "
    "qualifier serviceName triggerType versionId",
    "long": "aggPeriodSeconds concurrentRequests rxBytes rxTotalBytes statusCode txBytes txTotalBytes",
    "double": "cpuPercent cpuQuotaPercent durationMs memoryLimitMB memoryUsageMB memoryUsagePercent",
    "json": "events",
}
# What docs/operations.md queries: audit lines, of up to 16 KB, and the fields of Function Compute's own metrics.
INDEX: Document = {
    "max_text_len": 16384,
    "keys": {
        name: {"type": kind, "doc_value": True, **_KINDS.get(kind, {})}
        for kind, names in _FIELDS.items()
        for name in names.split()
    },
}

_DEPLOYER = ': "${DEPLOYER:?name the RAM user that deploys}"'
_SCRIPTS = Path(__file__).parent / "scripts"


def script(documents: Document) -> str:
    """Creates or updates everything. It needs `DEPLOYER`, and stops where a bucket has lifecycle rules of others.

    It asks before OSS deletes files. Where nobody agrees to that, it does all else, and ends with 1.
    """
    start = "#!/bin/sh\n# Creates what s deploy needs, or updates it: roles, policies, queues, logs, lifecycle rules."
    return "\n".join(
        [
            start,
            _DEPLOYER,
            "harmless=AlreadyExist",
            _functions("create"),
            *_calls(documents),
            "exit $unfinished",
        ]
    )


def removal(documents: Document, kept: Sequence[Document]) -> str:
    """Removes what `script` creates and the documents in `kept` do not need, but no logstore, bucket or message."""
    start = (
        "#!/bin/sh\n# Removes what the script of make policies created, but no log and no message."
    )
    needed = [] if kept else [_DEPLOYER]
    return "\n".join(
        [start, *needed, "harmless=NotExist", _functions("remove"), *_removals(documents, kept)]
    )


def _functions(name: str) -> str:
    """What the calls are of: shell functions."""
    return "".join(f"\n{(_SCRIPTS / f'{each}.sh').read_text('utf-8')}" for each in ("common", name))


def _calls(documents: Document) -> Iterator[str]:
    prefix = documents["prefix"]
    for name, role in documents["roles"].items():
        duration = [str(role["max_session_duration"])] if "max_session_duration" in role else []
        yield shlex.join(
            ["role", name, compact_json(role["trust"]), compact_json(role["policy"]), *duration]
        )
    deployer = f"{prefix}-deployer"
    operator = f"{prefix}-operator"
    yield shlex.join(["policy", deployer, compact_json(documents["deployer"])])
    yield f'{_ram("AttachPolicyToUser", deployer)} --UserName "$DEPLOYER"'
    for environment, policy in documents["deployers"].items():
        yield f"# Instead of {deployer}, for a role of CI that may deploy {environment} only."
        yield shlex.join(["policy", f"{deployer}-{environment}", compact_json(policy)])
    if "operator" in documents:
        yield "# Attach it to those who run make notices."
        yield shlex.join(["policy", operator, compact_json(documents["operator"])])
    for queue in documents["queues"]:
        yield shlex.join(["queue", queue["name"], queue["region"]])
    for project in dict.fromkeys((log["project"], log["region"]) for log in documents["logs"]):
        yield shlex.join(["project", *project])
    for log in documents["logs"]:
        place = (log["project"], log["region"], log["logstore"])
        yield shlex.join(["logstore", *place, str(log["days"]), json.dumps(INDEX)])
    for bucket, rules in documents["lifecycle"].items():
        ours = statements.own_rules(prefix)
        region = documents["bucket_regions"][bucket]
        needed = "\n".join(map(rule_xml, rules))
        files = f"{prefix}-{statements.FILES}"
        yield shlex.join(["lifecycle", bucket, region, ours, needed, files])


def _removals(documents: Document, kept: Sequence[Document]) -> Iterator[str]:
    prefix = documents["prefix"]
    roles = [
        name for name in documents["roles"] if not any(name in other["roles"] for other in kept)
    ]
    for name in roles:
        yield f"{_ram('DetachPolicyFromRole', name)} --RoleName {name}"
        yield f"once aliyun ram DeleteRole --RoleName {name}"
    for queue in documents["queues"]:
        if not any(queue in other["queues"] for other in kept):
            yield shlex.join(["queue", queue["name"], queue["region"]])
    for bucket, region in documents["bucket_regions"].items():
        if not any(bucket in other["lifecycle"] for other in kept):
            yield shlex.join(["lifecycle", bucket, region, statements.own_rules(prefix)])
    shared = [] if kept else [f"{prefix}-deployer", f"{prefix}-operator"]
    if shared:
        yield f'{_ram("DetachPolicyFromUser", shared[0])} --UserName "$DEPLOYER"'
    for name in (
        *roles,
        *(f"{prefix}-deployer-{environment}" for environment in documents["deployers"]),
        *shared,
    ):
        yield f"once aliyun ram DeletePolicy --PolicyName {name} --CascadingDelete true"


def _ram(operation: str, policy: str) -> str:
    return f"once aliyun ram {operation} --PolicyType Custom --PolicyName {policy}"


def rule_xml(value: object, name: str = "Rule") -> str:
    """A rule of PutBucketLifecycle, or what it has under a name."""
    if isinstance(value, dict):
        inner = "".join(rule_xml(each, member) for member, each in value.items())
    else:
        inner = escape(str(value))
    return f"<{name}>{inner}</{name}>"
