"""The documents of `deploy.policies` as a shell script that creates them in the account, with the `aliyun` CLI.

Sources: the RAM pages of each operation, the pages "CreateQueue" (2022-01-19) of Simple Message Queue, "CreateProject",
"CreateLogStore" and "CreateIndex" (2020-12-30) of Simple Log Service, and "PutBucketLifecycle" of OSS.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from xml.sax.saxutils import escape

from handler.config.rights import compact_json

from .statements import Document

LOG_DAYS = 90
# What docs/operations.md queries.
INDEX = {
    "keys": {"message": {"type": "text", "caseSensitive": False, "doc_value": True, "token": [*" ,:;'\"[]{}()\n\t"]}}
}

_FUNCTIONS = r"""#!/bin/sh
# Creates what s deploy needs: roles, policies, queues, logs, lifecycle rules. Run it again after a change.
: "${DEPLOYER:?name the RAM user that deploys}"
command -v aliyun >/dev/null || { echo "aliyun was not found: install and configure the aliyun CLI." >&2; exit 1; }
set -eu

# Runs a command that may fail because what it creates exists already, and for no other reason.
once() {
  output=$("$@" 2>&1) && return 0
  case $output in
    *AlreadyExist*) ;;
    *) printf '%s\n' "$output" >&2; return 1 ;;
  esac
}

# NAME DOCUMENT
policy() {
  if aliyun ram GetPolicy --PolicyType Custom --PolicyName "$1" >/dev/null 2>&1; then
    aliyun ram CreatePolicyVersion --PolicyName "$1" --PolicyDocument "$2" --SetAsDefault true \
      --RotateStrategy DeleteOldestNonDefaultVersionWhenLimitExceeded >/dev/null
  else
    aliyun ram CreatePolicy --PolicyName "$1" --PolicyDocument "$2" >/dev/null
  fi
  echo "policy    $1"
}

# NAME TRUST POLICY [SECONDS]: the last is the longest session.
role() {
  if aliyun ram GetRole --RoleName "$1" >/dev/null 2>&1; then
    aliyun ram UpdateRole --RoleName "$1" --NewAssumeRolePolicyDocument "$2" \
      ${4:+--NewMaxSessionDuration "$4"} >/dev/null
  else
    aliyun ram CreateRole --RoleName "$1" --AssumeRolePolicyDocument "$2" ${4:+--MaxSessionDuration "$4"} >/dev/null
  fi
  policy "$1" "$3"
  once aliyun ram AttachPolicyToRole --PolicyType Custom --PolicyName "$1" --RoleName "$1"
  echo "role      $1"
}

# NAME REGION: the aliyun CLI knows the product mns-open and its address, but not its operations.
queue() {
  once aliyun mns-open CreateQueue --version 2022-01-19 --force --region "$2" --QueueName "$1"
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

# PROJECT REGION LOGSTORE DAYS INDEX
logstore() {
  aliyun sls GetLogStore --region "$2" --project "$1" --logstore "$3" >/dev/null 2>&1 ||
    aliyun sls CreateLogStore --region "$2" --project "$1" \
      --body "{\"logstoreName\":\"$3\",\"ttl\":$4,\"shardCount\":2,\"autoSplit\":true,\"maxSplitShard\":64}" >/dev/null
  once aliyun sls CreateIndex --region "$2" --project "$1" --logstore "$3" --body "$5"
  echo "logstore  $3"
}

# BUCKET REGION RULES IDS PREFIX: our rules, each in a line, their names as <ID>…</ID>, and what our names begin with.
lifecycle() {
  if ! rules=$(aliyun oss lifecycle --method get "oss://$1" --region "$2" 2>&1); then
    case $rules in
      *NoSuchLifecycle*) rules= ;;
      *) printf '%s\n' "$rules" >&2; return 1 ;;
    esac
  fi
  rules=$(printf '%s' "$rules" | tr -d '\n' | sed 's/>[[:space:]]*</></g' |
    awk '{ gsub(/<Rule>/, "\n&"); gsub(/<\/Rule>/, "&\n"); print }' | grep '^<Rule>' || true)
  unknown=$(printf '%s\n' "$rules" | grep -vF "$4" || true)
  # A mount that was removed had a rule for its uploads.
  others=$(printf '%s\n' "$unknown" | grep -v "<ID>$5-uploads-.*<AbortMultipartUpload>" | grep . || true)
  if [ -z "$others" ]; then
    file=$(mktemp)
    printf '<LifecycleConfiguration>%s</LifecycleConfiguration>' "$3" | tr -d '\n' > "$file"
    aliyun oss lifecycle --method put "oss://$1" "$file" --region "$2" >/dev/null
    rm -f "$file"
  else
    missing=$(printf '%s\n' "$3" | while read -r rule; do
      case $rules in *"$rule"*) ;; *) echo "$rule" ;; esac
    done)
    if [ -n "$missing" ] || [ "$unknown" != "$others" ]; then
      {
        echo "Bucket $1 has other lifecycle rules than those of this project, so its rules were not changed. It has:"
        printf '%s\n' "$rules"
        echo "It needs:"
        printf '%s\n' "$3"
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


def script(documents: Document) -> str:
    """Creates or updates everything. It needs `DEPLOYER`, and stops where a bucket has lifecycle rules of others."""
    return "\n".join([_FUNCTIONS, *_calls(documents)])


def _calls(documents: Document) -> Iterator[str]:
    prefix = documents["prefix"]
    for name, role in documents["roles"].items():
        duration = [str(role["max_session_duration"])] if "max_session_duration" in role else []
        yield _call("role", name, compact_json(role["trust"]), compact_json(role["policy"]), *duration)
    deployer, operator = f"{prefix}-deployer", f"{prefix}-operator"
    yield _call("policy", deployer, compact_json(documents["deployer"]))
    attach = _call("once", "aliyun", "ram", "AttachPolicyToUser", "--PolicyType", "Custom", "--PolicyName", deployer)
    yield f'{attach} --UserName "$DEPLOYER"'
    for environment, policy in documents["deployers"].items():
        yield f"# Instead of {deployer}, for a role of CI that may deploy {environment} only."
        yield _call("policy", f"{deployer}-{environment}", compact_json(policy))
    if "operator" in documents:
        yield "# Attach it to those who run make notices."
        yield _call("policy", operator, compact_json(documents["operator"]))
    for queue in documents["queues"]:
        yield _call("queue", queue["name"], queue["region"])
    for project, region in dict.fromkeys((log["project"], log["region"]) for log in documents["logs"]):
        yield _call("project", project, region)
    for log in documents["logs"]:
        yield _call("logstore", log["project"], log["region"], log["logstore"], str(LOG_DAYS), json.dumps(INDEX))
    for bucket, rules in documents["lifecycle"].items():
        names = "\n".join(_element("ID", rule["ID"]) for rule in rules)
        region = documents["bucket_regions"][bucket]
        yield _call("lifecycle", bucket, region, "\n".join(map(rule_xml, rules)), names, prefix)


def _call(*words: str) -> str:
    return " ".join(shlex.quote(word) for word in words)


def rule_xml(rule: Document) -> str:
    """A rule of PutBucketLifecycle."""
    return _element("Rule", rule)


def _element(name: str, value: object) -> str:
    inner = "".join(_element(*item) for item in value.items()) if isinstance(value, dict) else escape(str(value))
    return f"<{name}>{inner}</{name}>"
