#!/usr/bin/env bash
# Runs the tests on foreign stores, each a process of its own: STORES names which (garage, versitygw).
set -euo pipefail
cd "$(dirname "$0")/.."

read -r -a stores <<<"${STORES:-garage versitygw}"
scripts/stores.sh install "${stores[@]}"

filters=()
for store in "${stores[@]}"; do
    # The tests fail without this.
    export "SAFELIGHT_${store^^}=$(scripts/stores.sh path "$store")"
    filters+=("on_$store")
done

# They are ignored otherwise, so that `make test` counts them as what they are: not run. The same set
# of features as there, so that nothing is compiled twice.
tests=(cargo test --release --workspace --test it -- --ignored)
listed=$("${tests[@]}" --list "${filters[@]}")
for filter in "${filters[@]}"; do
    # A test that is called otherwise would not be missed by itself: the client's, and the server's.
    count=$(grep -c "_$filter: test\$" <<<"$listed" || true)
    ((count >= 3)) || { printf 'error: only %s tests are called %s\n' "$count" "$filter" >&2; exit 1; }
done
"${tests[@]}" "${filters[@]}"

printf '\nAll tests on foreign stores passed: %s.\n' "${stores[*]}"
