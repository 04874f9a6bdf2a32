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
  # In which order OSS shows the actions of a rule is not documented.
  rules=$(printf '%s' "$rules" | tr -d '\n' | sed 's/>[[:space:]]*</></g' |
    awk '{ gsub(/<Rule>/, "\n&"); gsub(/<\/Rule>/, "&\n"); print }' | grep '^<Rule>' |
    sed 's|\(<Abort.*</AbortMultipartUpload>\)\(<Expiration>.*</Expiration>\)|\2\1|' || true)
  others=$(printf '%s\n' "$rules" | grep -vxE "$3" | grep . || true)
}

# BUCKET REGION RULES
put_rules() {
  file=$(mktemp)
  printf '<LifecycleConfiguration>%s</LifecycleConfiguration>' "$3" | tr -d '\n' > "$file"
  aliyun oss lifecycle --method put "oss://$1" "$file" --region "$2" >/dev/null
  rm -f "$file"
}
