#!/usr/bin/env bash
# What people do with the AWS CLI: trees up, down, renamed and removed, large files in parts.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
export AWS_DEFAULT_REGION=us-east-1 AWS_EC2_METADATA_DISABLED=true
# In the first region `presign` would use Signature Version 2, which signs no lengths and is refused.
export AWS_CONFIG_FILE=$PWD/config
printf '[default]\ns3 =\n  signature_version = s3v4\n' >config
s3() { aws --endpoint-url "$ENDPOINT" s3 "$@" >>log 2>&1 || { cat log; exit 1; }; }
bucket=s3://strangers-aws

mkdir -p up/a/b
head -c 20000000 /dev/urandom >up/large
for n in 1 2 3 4 5; do head -c $((n * 1000)) /dev/urandom >"up/a/b/file $n+é.jpg"; done
: >up/empty
s3 mb "$bucket"
s3 cp --no-progress up/large "$bucket/alone"
s3 sync --no-progress up "$bucket/tree"
s3 sync --no-progress "$bucket/tree" down
diff -r up down
# A second time there is nothing to do.
: >log
s3 sync --no-progress up "$bucket/tree"
[[ ! -s log ]]
s3 mv --no-progress "$bucket/tree/large" "$bucket/moved"
s3 cp --no-progress "$bucket/moved" back
cmp back up/large
rm up/empty
s3 sync --no-progress --delete up "$bucket/tree"
s3 ls --recursive "$bucket/tree/"
[[ $(grep -c 'tree/' log) -ge 6 ]]
aws --endpoint-url "$ENDPOINT" s3 presign "$bucket/moved" >url
curl -sf "$(cat url)" | cmp - back
s3 rm --recursive "$bucket"
s3 rb "$bucket"
aws --version
