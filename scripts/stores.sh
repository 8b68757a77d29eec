#!/usr/bin/env bash
# The foreign S3 stores that `make test-stores` runs against: builds what is missing, says so first.
#   stores.sh cached NAME      whether NAME is there already (exit status)
#   stores.sh path NAME        where its program is
#   stores.sh install NAME…    builds what is missing of garage, versitygw
# They are kept outside the repository, by version, so that a machine builds each once.
set -euo pipefail

garage_version=2.5.0
versitygw_version=v1.8.0

dir=${XDG_CACHE_HOME:-$HOME/.cache}/safelight/stores

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# The folder of a store in this version; the program is bin/NAME below it.
root() {
    case "$1" in
    garage) printf '%s/garage-%s' "$dir" "$garage_version" ;;
    versitygw) printf '%s/versitygw-%s' "$dir" "$versitygw_version" ;;
    *) die "there is no store $1; there are garage and versitygw" ;;
    esac
}

cached() { [[ -x $(root "$1")/bin/$1 ]]; }

# Builds into a folder beside the final one, which appears only when everything is there.
build() {
    local name=$1 made
    made=$(root "$name").partial
    rm -rf "$made"
    mkdir -p "$made"
    case "$name" in
    garage)
        echo "Building Garage $garage_version into $dir (about 7 minutes on two cores, once) …"
        cargo install garage --version "=$garage_version" --locked --no-default-features \
            --features bundled-libs,sqlite --root "$made" --target-dir "$made/target"
        ;;
    versitygw)
        has go || die 'versitygw is built with Go, and there is no go: install Go 1.25 or later, or run make test-stores STORES=garage'
        echo "Building the Versity S3 Gateway $versitygw_version into $dir (a few minutes, once) …"
        GOBIN=$made/bin go install "github.com/versity/versitygw/cmd/versitygw@$versitygw_version"
        ;;
    esac
    rm -rf "$made/target" "$(root "$name")"
    mv "$made" "$(root "$name")"
}

case "${1:-}" in
cached) cached "${2:?which store}" ;;
path) printf '%s/bin/%s\n' "$(root "${2:?which store}")" "$2" ;;
install)
    shift
    for name in "$@"; do
        cached "$name" || build "$name"
    done
    ;;
*) die 'usage: stores.sh cached NAME | path NAME | install NAME…' ;;
esac
