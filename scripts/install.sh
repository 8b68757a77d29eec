#!/usr/bin/env bash
# Installs the system packages that are missing: `install.sh build` what building needs,
# `install.sh test` what the tests need besides, `install.sh tools` what those with foreign tools
# need. Says what it does before it does it.
set -euo pipefail

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

has_initdb() {
    has initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null
}

# A snap sees no temporary folders but its own, and no home outside of /home.
has_chromium() {
    has chromium && [[ $(command -v chromium) != /snap/* ]]
}

missing=()
case "${1:-}" in
build)
    has cargo || die 'no Rust toolchain: install rustup (https://rustup.rs), which then picks the version named in rust-toolchain.toml'
    has cc || missing+=(gcc)
    has c++ || missing+=(g++)
    has cmake || missing+=(cmake)
    has nasm || missing+=(nasm)
    has pkg-config || missing+=(pkg-config)
    has meson || missing+=(meson)
    has ninja || missing+=(ninja-build)
    has perl || missing+=(perl)
    needs='building needs'
    by_hand='a C and C++ compiler, cmake, nasm, pkg-config, meson, ninja, perl'
    ;;
test)
    { has_initdb && has psql; } || missing+=(postgresql)
    has exiftool || missing+=(libimage-exiftool-perl)
    has vips || missing+=(libvips-tools)
    { has ffmpeg && has ffprobe; } || missing+=(ffmpeg)
    compgen -G '/usr/lib/*/faketime/libfaketimeMT.so.1' >/dev/null || missing+=(libfaketime)
    needs='the tests need'
    by_hand='PostgreSQL 15 or later (initdb, pg_ctl, psql), exiftool, vips (the command line tool of libvips), ffmpeg with ffprobe, libfaketime'
    ;;
tools)
    has rclone || missing+=(rclone)
    has python3 || missing+=(python3)
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
    has curl || missing+=(curl)
    has node || missing+=(nodejs)
    has npm || missing+=(npm)
    has_chromium || missing+=(chromium)
    needs='the tests with foreign tools need'
    by_hand='rclone, Python 3 with venv, curl, Node.js 18 or later with npm, Chromium (as `chromium`)'
    ;;
*) die 'usage: install.sh build|test|tools' ;;
esac

if [[ ${#missing[@]} -eq 0 ]]; then
    echo "Everything that $needs is installed."
    exit 0
fi

distribution=$(sed -n 's/^ID\(_LIKE\)\?=//p' /etc/os-release 2>/dev/null | tr -d '"' | tr '\n' ' ' || true)
if [[ " $distribution " != *' debian '* && " $distribution " != *' ubuntu '* ]] || ! has apt-get; then
    die "this is neither Debian nor Ubuntu, so please install by hand what $needs: $by_hand"
fi

as_root=()
if [[ $(id -u) -ne 0 ]]; then
    has sudo || die "not root and no sudo: please run, as root: apt-get install ${missing[*]}"
    as_root=(sudo)
fi
as_root+=(env DEBIAN_FRONTEND=noninteractive)

echo "Installing with apt-get what $needs and is not there yet: ${missing[*]}"
if [[ " ${missing[*]} " == *' postgresql '* ]]; then
    echo 'The tests make temporary clusters and leave the one alone that the package may create.'
fi
"${as_root[@]}" apt-get update -qq
if [[ " ${missing[*]} " == *' chromium '* ]] && [[ -z $(apt-cache show chromium 2>/dev/null) ]]; then
    die 'there is no package chromium here (Ubuntu has a snap only, which cannot be used): please install Chromium or Chrome from elsewhere, so that `chromium` outside of /snap starts it'
fi
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}"
