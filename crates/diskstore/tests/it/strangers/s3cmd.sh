#!/usr/bin/env bash
# s3cmd: it compares every answer's ETag with the MD5 of what it sent.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
host=${ENDPOINT#http://}
cmd() {
    s3cmd --config /dev/null --no-ssl --host "$host" --host-bucket "$host" --region us-east-1 --no-progress \
        --access_key "$AWS_ACCESS_KEY_ID" --secret_key "$AWS_SECRET_ACCESS_KEY" "$@" >>log 2>&1 || { cat log; exit 1; }
}
bucket=s3://strangers-s3cmd

mkdir -p up/a
head -c 40000000 /dev/urandom >up/large
for n in 1 2 3; do head -c $((n * 1000)) /dev/urandom >"up/a/file $n é.jpg"; done
cmd mb "$bucket"
cmd put --multipart-chunk-size-mb 15 up/large "$bucket/large"
cmd get "$bucket/large" back
cmp back up/large
cmd sync --multipart-chunk-size-mb 15 up/ "$bucket/tree/"
mkdir down
cmd sync "$bucket/tree/" down/
diff -r up down
cmd cp "$bucket/large" "$bucket/copied"
cmd mv "$bucket/copied" "$bucket/moved"
cmd info "$bucket/moved"
cmd ls -r "$bucket"
grep -q moved log
cmd multipart "$bucket"
cmd del --recursive --force "$bucket"
cmd rb "$bucket"
if grep -i -E 'warning|mismatch' log; then exit 1; fi
s3cmd --version
