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
_COMMON = r"""
command -v aliyun >/dev/null || { echo "aliyun was not found: install and configure the aliyun CLI." >&2; exit 1; }
set -eu

# Runs a command that may fail because its work is done already, and for no other reason.
once() {
  output=$("$@" 2>&1) && return 0
  case $output in
    *"$harmless"*) ;;
    *) printf '%s\n' "$output" >&2; return 1 ;;
  esac
}

# BUCKET REGION OURS: the rules of a bucket, each in a line, and those that do not have exactly the form of ours.
read_rules() {
  if ! rules=$(aliyun oss lifecycle --method get "oss://$1" --region "$2" 2>&1); then
    case $rules in
      *NoSuchLifecycle*) rules= ;;
      *) printf '%s\n' "$rules" >&2; return 1 ;;
    esac
  fi
  rules=$(printf '%s' "$rules" | tr -d '\n' | sed 's/>[[:space:]]*</></g' |
    awk '{ gsub(/<Rule>/, "\n&"); gsub(/<\/Rule>/, "&\n"); print }' | grep '^<Rule>' || true)
  others=$(printf '%s\n' "$rules" | grep -vxE "$3" | grep . || true)
}

# BUCKET REGION RULES
put_rules() {
  file=$(mktemp)
  printf '<LifecycleConfiguration>%s</LifecycleConfiguration>' "$3" | tr -d '\n' > "$file"
  aliyun oss lifecycle --method put "oss://$1" "$file" --region "$2" >/dev/null
  rm -f "$file"
}
"""

_CREATE = r"""
# WHAT ANSWER MEMBER DOCUMENT WANTED: says what is replaced, if a document in an answer is not the one that is wanted.
differs() {
  old=$("${PYTHON:-python3}" -ISc '
import json, sys
_, what, answer, member, document, wanted = sys.argv
found = json.loads(json.loads(answer)[member][document])
if found != json.loads(wanted):
    print(what, "is replaced. It was", json.dumps(found))' "$@")
  [ -z "$old" ] || printf '%s\n' "$old"
}

# NAME DOCUMENT
policy() {
  if answer=$(aliyun ram GetPolicy --PolicyType Custom --PolicyName "$1" 2>/dev/null); then
    differs "policy    $1" "$answer" DefaultPolicyVersion PolicyDocument "$2"
    [ -z "$old" ] || aliyun ram CreatePolicyVersion --PolicyName "$1" --PolicyDocument "$2" --SetAsDefault true \
      --RotateStrategy DeleteOldestNonDefaultVersionWhenLimitExceeded >/dev/null
  else
    aliyun ram CreatePolicy --PolicyName "$1" --PolicyDocument "$2" >/dev/null
  fi
  echo "policy    $1"
}

# NAME TRUST POLICY [SECONDS]: the last is the longest session.
role() {
  if answer=$(aliyun ram GetRole --RoleName "$1" 2>/dev/null); then
    differs "trust     $1" "$answer" Role AssumeRolePolicyDocument "$2"
    aliyun ram UpdateRole --RoleName "$1" --NewAssumeRolePolicyDocument "$2" \
      ${4:+--NewMaxSessionDuration "$4"} >/dev/null
  else
    aliyun ram CreateRole --RoleName "$1" --AssumeRolePolicyDocument "$2" ${4:+--MaxSessionDuration "$4"} >/dev/null
  fi
  policy "$1" "$3"
  once aliyun ram AttachPolicyToRole --PolicyType Custom --PolicyName "$1" --RoleName "$1"
  echo "role      $1"
}

# NAME REGION: the aliyun CLI knows the product mns-open, its address and its version, but not its operations.
queue() {
  once aliyun mns-open CreateQueue --force --region "$2" --QueueName "$1"
  # It may report an error with the status of a success.
  case $output in
    *AlreadyExist*) ;;
    *'"Success":'*false*) printf '%s\n' "$output" >&2; return 1 ;;
  esac
  echo "queue     $1"
}

# PROJECT REGION
project() {
  aliyun sls GetProject --region "$2" --project "$1" >/dev/null 2>&1 ||
    aliyun sls CreateProject --region "$2" --body "{\"projectName\":\"$1\",\"description\":\"\"}" >/dev/null
  echo "project   $1"
}

# PROJECT REGION LOGSTORE OPERATION ANSWER WANTED: gives a logstore or its index what is wanted, and keeps the rest.
update() {
  changed=$("${PYTHON:-python3}" -ISc '
import json, sys
operation, found, wanted = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
merged = {name: value for name, value in found.items() if name not in ("index_mode", "lastModifyTime", "storage")}
changes = [f"{name} {value}" for name, value in wanted.items() if name != "keys" and value != found.get(name)]
for name, field in wanted.pop("keys", {}).items():
    old = merged.setdefault("keys", {}).get(name) or {}
    merged["keys"][name] = {**old, **field} if old.get("type") == field["type"] else field
    changes += [name] if merged["keys"][name] != old else []
if found.get("ttl", 0) > wanted.get("ttl", found.get("ttl", 0)):
    print("ttl stays", found["ttl"], "days: a shorter one deletes lines, so set it in the console.", file=sys.stderr)
elif changes:
    print(operation, "for new lines:" if "keys" in merged else "for all lines:", ", ".join(changes))
    print(json.dumps({**merged, **wanted}))' "$4" "$5" "$6")
  [ -n "$changed" ] || return 0
  printf '%s\n' "logstore  $3: $changed" | sed 1q
  aliyun sls "$4" --region "$2" --project "$1" --logstore "$3" --body "$(printf '%s\n' "$changed" | sed 1d)" >/dev/null
}

# PROJECT REGION LOGSTORE DAYS INDEX
logstore() {
  if answer=$(aliyun sls GetLogStore --region "$2" --project "$1" --logstore "$3" 2>/dev/null); then
    update "$1" "$2" "$3" UpdateLogStore "$answer" "{\"ttl\":$4}"
  else
    aliyun sls CreateLogStore --region "$2" --project "$1" \
      --body "{\"logstoreName\":\"$3\",\"ttl\":$4,\"shardCount\":2,\"autoSplit\":true,\"maxSplitShard\":64}" >/dev/null
  fi
  once aliyun sls CreateIndex --region "$2" --project "$1" --logstore "$3" --body "$5"
  case $output in
    *AlreadyExist*)
      answer=$(aliyun sls GetIndex --region "$2" --project "$1" --logstore "$3")
      update "$1" "$2" "$3" UpdateIndex "$answer" "$5" ;;
  esac
  echo "logstore  $3"
}

# BUCKET REGION OURS RULES: a pattern for rules that this project writes, and those that it needs, each in a line.
lifecycle() {
  read_rules "$1" "$2" "$3"
  if [ -z "$others" ]; then
    put_rules "$1" "$2" "$4"
  else
    missing=$(printf '%s\n' "$4" | grep -vxF "$rules" || true)
    old=$(printf '%s\n' "$rules" | grep -xE "$3" | grep -vxF "$4" || true)
    if [ -n "$missing$old" ]; then
      {
        echo "Bucket $1 has other lifecycle rules than those of this project, so its rules were not changed. It has:"
        printf '%s\n' "$rules"
        echo "It needs:"
        printf '%s\n' "$4"
        echo "Write what it needs, and what you keep, into a file between <LifecycleConfiguration> and"
        echo "</LifecycleConfiguration>. Run aliyun oss lifecycle --method put oss://$1 FILE --region $2, and"
        echo "this script again."
      } >&2
      return 1
    fi
  fi
  echo "lifecycle $1"
}
"""

_REMOVE = r"""
# NAME REGION: only if it is empty, also for CloudMonitor, since SMQ announced that its own counts will always be 0.
queue() {
  once aliyun mns-open GetQueueAttributes --force --region "$2" --QueueName "$1"
  case $output in *QueueNotExist*) return 0 ;; esac
  set -- "$1" "$2" "$output"
  for state in Visible Invisible Delayed; do
    set -- "$@" "$(aliyun cms DescribeMetricLast --region "$2" --Namespace acs_smq --MetricName NumberOfMessages$state)"
  done
  if "${PYTHON:-python3}" -ISc '
import json, sys
name, data = sys.argv[1], json.loads(sys.argv[3])["Data"]
counts = [data[state + "Messages"] for state in ("Active", "Inactive", "Delay")]
for answer in sys.argv[4:]:
    points = json.loads(json.loads(answer)["Datapoints"])
    points = [point for point in points if name in point.values()]
    counts += [point[kind] for point in points for kind in ("Maximum", "Value") if kind in point] or [None]
sys.exit(counts != [0] * len(counts))' "$@" 2>/dev/null; then
    once aliyun mns-open DeleteQueue --force --region "$2" --QueueName "$1"
  else
    echo "Queue $1 is kept: it has messages, or CloudMonitor does not count them. If you need none of them, run"
    echo "aliyun mns-open DeleteQueue --force --region $2 --QueueName $1"
  fi
}

# BUCKET REGION OURS
lifecycle() {
  read_rules "$1" "$2" "$3"
  if [ -n "$others" ]; then
    put_rules "$1" "$2" "$others"
  elif [ -n "$rules" ]; then
    aliyun oss lifecycle --method delete "oss://$1" --region "$2" >/dev/null
  fi
}
"""


def script(documents: Document) -> str:
    """Creates or updates everything. It needs `DEPLOYER`, and stops where a bucket has lifecycle rules of others."""
    start = "#!/bin/sh\n# Creates what s deploy needs, or updates it: roles, policies, queues, logs, lifecycle rules."
    return "\n".join([start, _DEPLOYER, "harmless=AlreadyExist", _COMMON + _CREATE, *_calls(documents)])


def removal(documents: Document, kept: Sequence[Document]) -> str:
    """Removes what `script` creates and the documents in `kept` do not need, but no logstore, bucket or message."""
    start = "#!/bin/sh\n# Removes what the script of make policies created, but no log and no message."
    needed = [] if kept else [_DEPLOYER]
    return "\n".join([start, *needed, "harmless=NotExist", _COMMON + _REMOVE, *_removals(documents, kept)])


def _calls(documents: Document) -> Iterator[str]:
    prefix = documents["prefix"]
    for name, role in documents["roles"].items():
        duration = [str(role["max_session_duration"])] if "max_session_duration" in role else []
        yield shlex.join(["role", name, compact_json(role["trust"]), compact_json(role["policy"]), *duration])
    deployer, operator = f"{prefix}-deployer", f"{prefix}-operator"
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
        ours, region = statements.own_rules(prefix), documents["bucket_regions"][bucket]
        yield shlex.join(["lifecycle", bucket, region, ours, "\n".join(map(rule_xml, rules))])


def _removals(documents: Document, kept: Sequence[Document]) -> Iterator[str]:
    prefix = documents["prefix"]
    roles = [name for name in documents["roles"] if not any(name in other["roles"] for other in kept)]
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
    for name in (*roles, *(f"{prefix}-deployer-{environment}" for environment in documents["deployers"]), *shared):
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
