#!/bin/sh
# Creates or updates the alarms on the logs, which the script of make policies creates. Run it again after a change.
set -eu

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
  if aliyun sls GetAlert --region "$2" --project "$1" --alertName "$4" >/dev/null 2>&1; then
    aliyun sls UpdateAlert --region "$2" --project "$1" --alertName "$4" --body "{$body" >/dev/null
  else
    aliyun sls CreateAlert --region "$2" --project "$1" --body "{\"name\":\"$4\",$body" >/dev/null
  fi
  echo "alarm     $4"
}
