#!/usr/bin/env bash
# Runs every test of the workspace.
set -euo pipefail
cd "$(dirname "$0")/.."

if [[ -n ${SAFELIGHT_MEDIA:-} ]]; then
    SAFELIGHT_MEDIA=$(realpath "$SAFELIGHT_MEDIA")
    export SAFELIGHT_MEDIA
    media="with the media in $SAFELIGHT_MEDIA"
else
    media='without the tests on outside media (SAFELIGHT_MEDIA=dir names a folder of them)'
fi

cargo test --release --workspace

cat <<TXT

All tests passed, $media.
Next: \`make demo\` shows what it does, \`make lint\` checks the code before a commit,
\`make bench\` measures. One crate alone: cargo test --release -p safelight-catalog
TXT
