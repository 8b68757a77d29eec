#!/usr/bin/env bash
# What the benchmark of pictures is held against and Debian does not have: sharp, in the version that scripts/peers pins.
# `peers.sh install` puts it into a folder outside the repository, once for each version, and says so first;
# `peers.sh path` only says where it is, if it is there.
set -euo pipefail
cd "$(dirname "$0")/.."

wanted=scripts/peers
peers=${XDG_CACHE_HOME:-$HOME/.cache}/safelight/peers-$(cat "$wanted"/package.json "$wanted"/package-lock.json | sha256sum | cut -c1-12)
case "${1:-}" in
path)
    [[ ! -e $peers/complete ]] || printf '%s\n' "$peers"
    ;;
install)
    if [[ -e $peers/complete ]]; then
        exit
    fi
    if ! command -v npm >/dev/null; then
        echo 'npm is not there, so sharp is not installed; scripts/install.sh tools installs npm.'
        exit
    fi
    echo "Installing into $peers with npm: $(sed -n 's/^    "\(.*\)": "\(.*\)".*/\1@\2/p' "$wanted/package.json")"
    rm -rf "$peers"
    mkdir -p "$peers"
    cp "$wanted"/package.json "$wanted"/package-lock.json "$peers"
    npm ci --prefix "$peers" --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error >/dev/null
    touch "$peers/complete"
    ;;
*)
    echo 'usage: peers.sh install|path' >&2
    exit 1
    ;;
esac
