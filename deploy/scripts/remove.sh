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
