#!/bin/sh
# Creates or updates the alarms on the logs, which the script of make policies creates. Run it again after a change.
set -eu
exec 3>&1

# Who is told, and the thresholds and severities that somebody set in the console, stay. It says what changes.
KEEP='
import json, sys
new = json.loads(sys.argv[1])
name = sys.argv[2]
policy = sys.argv[3]
was = json.load(sys.stdin).get("configuration", {})
wanted = new["configuration"]
for key in ("severityConfigurations", "threshold", "noDataSeverity"):
    wanted[key] = was.get(key, wanted[key])
wanted["policyConfiguration"].update(was.get("policyConfiguration", {}))
if policy:
    wanted["policyConfiguration"]["actionPolicyId"] = policy
changed = [key for key in wanted if was.get(key) != wanted[key]]
for key in changed:
    print(f"~ alarm {name}: {key} changed, was {json.dumps(was.get(key))}", file=sys.stderr)
if not changed:
    print(f"  alarm {name} is as it should be", file=sys.stderr)
print(json.dumps(new))
'

# PROJECT REGION LOGSTORE NAME TITLE MINUTES CONDITION NODATA QUERY: the query is a JSON string.
alarm() {
  body=$(cat <<END
"displayName":"$5","schedule":{"type":"FixedRate","interval":"1m"},"configuration":{"version":"2.0","type":"default",
"dashboard":"internal-alert-analysis","queryList":[{"storeType":"log","region":"$2","project":"$1","store":"$3",
"query":$9,"timeSpanType":"Relative","start":"-$6m","end":"now","powerSqlMode":"auto"}],
"groupConfiguration":{"type":"no_group","fields":[]},
"severityConfigurations":[{"severity":6,"evalCondition":{"condition":"$7","countCondition":""}}],
"annotations":[{"key":"title","value":"$3: $5"}],"autoAnnotation":true,"sendResolved":true,"threshold":1,
"noDataFire":$8,"noDataSeverity":6,"policyConfiguration":{"alertPolicyId":"sls.builtin.dynamic",
"actionPolicyId":"${ACTION_POLICY:-sls.builtin}","repeatInterval":"1h"}}}
END
)
  if known=$(aliyun sls GetAlert --region "$2" --project "$1" --alertName "$4" 2>/dev/null); then
    body=$(printf '%s' "$known" | "${PYTHON:-python3}" -ISc "$KEEP" "{$body" "$4" "${ACTION_POLICY:-}" 2>&3)
    aliyun sls UpdateAlert --region "$2" --project "$1" --alertName "$4" --body "$body" >/dev/null
  else
    aliyun sls CreateAlert --region "$2" --project "$1" --body "{\"name\":\"$4\",$body" >/dev/null
    echo "+ alarm $4"
  fi
}
