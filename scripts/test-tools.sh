#!/usr/bin/env bash
# Runs strangers' tools against the embedded store: boto3, the AWS CLI, rclone, s3cmd. Those of Python go into a folder
# outside the repository, once for each set of versions; says so first.
set -euo pipefail
cd "$(dirname "$0")/.."

wanted=scripts/tools-requirements.txt
tools=${XDG_CACHE_HOME:-$HOME/.cache}/safelight/tools-$(sha256sum "$wanted" | cut -c1-12)
if [[ ! -e $tools/complete ]]; then
    echo "Installing into $tools with pip: $(paste -sd ' ' "$wanted")"
    rm -rf "$tools"
    mkdir -p "$(dirname "$tools")"
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted"
    touch "$tools/complete"
fi
export SAFELIGHT_TOOLS=$tools/bin

# The same set of features as `make test`, so that nothing is compiled twice.
tests=(cargo test --release --workspace --test it --)
count=$("${tests[@]}" --list --ignored strangers:: 2>/dev/null | grep -c '^strangers::.*: test$' || true)
((count >= 4)) || { printf 'error: only %s tests are of tools\n' "$count" >&2; exit 1; }
"${tests[@]}" --ignored --nocapture strangers::

printf '\nAll tools work against the embedded store.\n'
