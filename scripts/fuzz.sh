#!/usr/bin/env bash
# Fuzzes what reads untrusted bytes. Inputs that were found worth keeping stay in fuzz/corpus, what ended a target in
# fuzz/artifacts; a found input is tried again by giving its path to the target's binary. TARGET= names one target,
# SECONDS_EACH= how long each runs, MEDIA= a folder of files to begin with, besides those made here.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"

seconds=${SECONDS_EACH:-1800}
pictures='header jpeg png webp gif raw heif metadata clean'
service='sandbox store_event fields'
targets=${TARGET:-$pictures $service}
features=()
for target in $targets; do
    [[ " $service " != *" $target "* ]] || features=(--features service)
done
host=$(rustc -vV | sed -n 's/^host: //p')
# Coverage counters as libFuzzer reads them. These flags work with a stable compiler.
export RUSTFLAGS='--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1'
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-../target/fuzz}
# With --target, build scripts and macros are built without the counters.
# shellcheck disable=SC2046,SC2086
cargo build --release --target "$host" "${features[@]}" $(printf -- '--bin %s ' $targets)

for target in $targets; do
    mkdir -p "corpus/$target" "artifacts/$target" "$CARGO_TARGET_DIR/seeds/$target"
    echo
    echo "$target: $seconds seconds"
    SAFELIGHT_SEEDS=$CARGO_TARGET_DIR/seeds/$target "$CARGO_TARGET_DIR/$host/release/$target" \
        "corpus/$target" "$CARGO_TARGET_DIR/seeds/$target" ${MEDIA:+"$MEDIA"} \
        -artifact_prefix="artifacts/$target/" -max_total_time="$seconds" -max_len=65536 -timeout=10 \
        -rss_limit_mb=2048 -malloc_limit_mb=512 -print_final_stats=1
done
echo
echo "No target was ended by an input in $seconds seconds each: $targets"
