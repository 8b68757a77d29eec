#!/usr/bin/env bash
# Runs strangers' tools: boto3, the AWS CLI, rclone, s3cmd, and aws-sdk-js in Chromium against the embedded store, tuspy
# and tus-js-client against the gateway, Uppy in Chromium against all of it, hls.js there against what is played. Those of
# Python and JavaScript go into a folder outside the repository, once for each set of versions; says so first.
set -euo pipefail
cd "$(dirname "$0")/.."

wanted=scripts/tools
tools=${XDG_CACHE_HOME:-$HOME/.cache}/safelight/tools-$(find "$wanted" -type f | sort | xargs cat | sha256sum | cut -c1-12)
# `test-tools.sh path` only says where they are, if they are there.
if [[ ${1:-} == path ]]; then
    [[ ! -e $tools/complete ]] || printf '%s\n' "$tools"
    exit
fi
if [[ ! -e $tools/complete ]]; then
    echo "Installing into $tools with pip: $(paste -sd ' ' "$wanted/requirements.txt")"
    rm -rf "$tools"
    mkdir -p "$(dirname "$tools")"
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check --requirement "$wanted/requirements.txt"

    echo "Installing into $tools with npm: $(sed -n 's/^    "\(.*\)": "\(.*\)".*/\1@\2/p' "$wanted"/{,uppy5/}package.json | paste -sd ' ')"
    mkdir "$tools/npm"
    cp -r "$wanted"/{package.json,package-lock.json,*.js,uppy5} "$tools/npm"
    cp "$wanted"/uppy-{core,aws-s3}.js "$tools/npm/uppy5"
    # Its packages are for bundlers: a browser needs them as modules. Uppy and its plugins share what they both need.
    for_pages=(--bundle --format=esm --platform=browser --log-level=warning)
    (
        cd "$tools/npm"
        for folder in . uppy5; do
            npm ci --prefix "$folder" --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error >/dev/null
        done
        node_modules/.bin/esbuild sdk.js "${for_pages[@]}" --outfile="$tools/sdk.js"
        node_modules/.bin/esbuild hls.js "${for_pages[@]}" --outfile="$tools/hls.js"
        node_modules/.bin/esbuild tus.js --bundle --format=cjs --platform=node --log-level=warning --outfile="$tools/tus.cjs"
        node_modules/.bin/esbuild uppy-core.js uppy-aws-s3.js uppy-tus.js "${for_pages[@]}" --splitting --outdir="$tools"
        cd uppy5
        ../node_modules/.bin/esbuild uppy-core.js uppy-aws-s3.js "${for_pages[@]}" --splitting --outdir="$tools" \
            --entry-names="uppy5-[name]"
    )
    rm -r "$tools/npm"
    touch "$tools/complete"
fi
export SAFELIGHT_TOOLS=$tools

# The same set of features as `make test`, so that nothing is compiled twice.
tests=(cargo test --release --workspace --test it --)
count=$("${tests[@]}" --list --ignored strangers:: 2>/dev/null | grep -c '^strangers::.*: test$' || true)
((count >= 21)) || { printf 'error: only %s tests are of tools\n' "$count" >&2; exit 1; }
"${tests[@]}" --ignored --nocapture strangers::

printf '\nAll tools work.\n'
