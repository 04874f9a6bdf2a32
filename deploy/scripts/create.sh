case "$*" in
  "" | --yes) ;;
  *) echo "usage: sh policies.sh [--yes]: --yes agrees to each rule that deletes files." >&2; exit 2 ;;
esac
agreed=$*
unfinished=0

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

# BUCKET REGION FILES RULES WANTED: what is wanted, but where nobody agrees to it no new or shorter time after which
# files are deleted: then it ends with 3. FILES is what the names of such rules begin with.
agree() {
  "${PYTHON:-python3}" -ISc '
import re, subprocess, sys, time
from datetime import datetime
from xml.sax.saxutils import unescape

bucket, region, files, found, wanted, agreed = sys.argv[1:]
MOST = 10_000


def read(rule):
    days = re.search("<Expiration><Days>([0-9]+)", rule)
    return unescape(re.search("<Prefix>(.*)</Prefix>", rule)[1]), int(days[1]) if days else 0


def count_older(place, days):
    command = ["aliyun", "oss", "ls", place, "--limited-num", str(MOST + 1), "--region", region]
    listed = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if listed.returncode:
        return "unknown, since they cannot be listed"
    before = time.time() - days * 86_400
    times = re.findall(r"^([0-9-]{10} [0-9:]{8} [+-][0-9]{4}) .*oss://", listed.stdout, re.MULTILINE)
    older = sum(datetime.strptime(each, "%Y-%m-%d %H:%M:%S %z").timestamp() < before for each in times[:MOST])
    return str(older) if len(times) <= MOST else f"{older} of the first {MOST:,}, of more than {MOST:,}"


def is_agreed(place, days):
    sentence = f"{place}: OSS will delete all objects below this prefix that are older than {days} days."
    print(f"{sentence} Objects that are older now: {count_older(place, days)}.", file=sys.stderr)
    if agreed or not sys.stdin.isatty():
        return bool(agreed)
    print("Write this rule? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


status = 0
old = [(*read(rule), rule) for rule in found.splitlines()]
for rule in wanted.splitlines():
    prefix, days = read(rule)
    place = f"oss://{bucket}/{prefix}"
    is_known = any(0 < before <= days and prefix.startswith(outer) for outer, before, _ in old)
    if rule.startswith(f"<Rule><ID>{files}") and days and not is_known and not is_agreed(place, days):
        status = 3
        print(f"{place}: this rule was not written. Run the script on a terminal, or with --yes.", file=sys.stderr)
        kept = [before for outer, _, before in old if outer == prefix]
        rule = kept[0] if kept else re.sub("<Expiration>.*</Expiration>", "", rule)
    if "<Days>" in rule:
        print(rule)
sys.exit(status)' "$@" "$agreed"
}

# BUCKET REGION OURS RULES FILES: a pattern for rules that this project writes, those that it needs, each in a line, and
# what the names of those begin with that delete files.
lifecycle() {
  # Where it needs none, a rule of an earlier mount may be left, also one that deletes files.
  read_rules "$1" "$2" "$3" || { [ -n "$4" ] && return 1; return 0; }
  if [ -z "$others" ]; then
    wanted=$(agree "$1" "$2" "$5" "$rules" "$4") || { [ $? = 3 ] || return 1; unfinished=1; }
    if [ -n "$wanted" ]; then
      put_rules "$1" "$2" "$wanted"
    elif [ -n "$rules" ]; then
      aliyun oss lifecycle --method delete "oss://$1" --region "$2" >/dev/null
    fi
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
