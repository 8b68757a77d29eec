#!/usr/bin/env bash
# Format, lints, and what the dependencies bring along.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fmt --check
cargo clippy --release --workspace --all-targets -- -D warnings

# What the demo compiles does for the tests only if all dependencies have the same features for both.
features() {
    cargo tree --prefix none --format '{p} {f}' "$@" | sed 's/ (\*)$//' | sort -u
}
apart=$(comm -23 <(features -e normal,build -p safelight-cli -p safelight-testkit) <(features --workspace))
if [[ -n $apart ]]; then
    printf '%s\n' 'error: the tests turn on more features of these than the demo, so that each compiles them anew.' \
        'Add what is missing to the features in crates/testkit/Cargo.toml:' "$apart" >&2
    exit 1
fi

if ! cargo deny --version >/dev/null 2>&1; then
    echo 'Installing cargo-deny, which checks dependencies (takes some minutes, once) …'
    cargo install cargo-deny --locked
fi
cargo deny --log-level error check bans licenses sources

# Known vulnerabilities are looked up only where a copy of the database is at hand.
if compgen -G "${CARGO_HOME:-$HOME/.cargo}/advisory-dbs/*/" >/dev/null; then
    cargo deny --offline --log-level error check advisories
else
    echo 'advisories not checked: no local advisory database'
fi
