#!/usr/bin/env bash
# Two devices send CAPTURES photos each, and CLIPS large files, over links that break, while everything is killed again and
# again: all must arrive once, and nothing be left over. SEED repeats a run. DATABASE=sqlite or postgres; one after the
# other without it.
set -euo pipefail
cd "$(dirname "$0")/.."

export CAPTURES=${CAPTURES:-1000} CLIPS=${CLIPS:-10}
export SEED=${SEED:-$(date +%s)}
case "${DATABASE:-}" in
'') only=chaos:: ;;
sqlite | postgres) only=chaos::every_photo_arrives_once::on_$DATABASE ;;
*)
    echo "error: DATABASE is sqlite or postgres, not $DATABASE" >&2
    exit 2
    ;;
esac

echo "SEED=$SEED CAPTURES=$CAPTURES CLIPS=$CLIPS, in ${TMPDIR:-/tmp}: about 25 GB are needed there for the defaults."
cargo test --release -p safelight-cli --test it -- "$only" --nocapture --test-threads 1
echo
echo 'Every photo arrived, once, and nothing was left over.'
