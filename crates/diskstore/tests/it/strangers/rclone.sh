#!/usr/bin/env bash
# rclone with nothing but the store's address: a tree of 1,000 files and a large one, compared by its own checksums
# and by their bytes.
set -euo pipefail
cd "$(mktemp -d)"
trap 'rm -rf "$PWD"' EXIT
export RCLONE_CONFIG=$PWD/rclone.conf
rc() { rclone --config "$RCLONE_CONFIG" --retries 1 "$@" 2>>log || { cat log; exit 1; }; }
rc config create store s3 provider=Other "endpoint=$ENDPOINT" "access_key_id=$AWS_ACCESS_KEY_ID" \
    "secret_access_key=$AWS_SECRET_ACCESS_KEY" force_path_style=true >/dev/null

mkdir up
for n in $(seq 1 1000); do
    mkdir -p "up/$((n % 10))"
    head -c $((n * 37)) /dev/urandom >"up/$((n % 10))/photo $n é.jpg"
done
head -c 12000000 /dev/urandom >up/large
rc mkdir store:strangers-rclone
rc copy --s3-upload-cutoff 5Mi --s3-chunk-size 5Mi up store:strangers-rclone/up
rc check --one-way up store:strangers-rclone/up
rc check --download up store:strangers-rclone/up
# Nothing is to be copied again.
rclone --config "$RCLONE_CONFIG" -v copy up store:strangers-rclone/up >again 2>&1
[[ $(grep -c Copied again) -eq 0 ]]
rc copyto store:strangers-rclone/up/large store:strangers-rclone/copied
rc moveto store:strangers-rclone/copied store:strangers-rclone/moved
rc copyto store:strangers-rclone/moved back
cmp back up/large
rm up/large
rc sync up store:strangers-rclone/up
[[ $(rc lsf -R --files-only store:strangers-rclone/up | wc -l) -eq 1000 ]]
rc purge store:strangers-rclone
rclone version >version
head -n 1 version
