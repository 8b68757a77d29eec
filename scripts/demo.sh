#!/usr/bin/env bash
# The demo: builds, starts a server with a data directory of its own, uploads a burst of
# photos, waits until they are viewable, and keeps serving.
#   PHOTOS=dir  upload these instead of pictures of the fake camera
#   PORT=n      listen on n and n+1 instead of 7600 and 7601
#   ONCE=1      stop by itself; exit 0 only if every picture is viewable
#   KEEP=1      keep the data of the last demo
set -euo pipefail
cd "$(dirname "$0")/.."

data=demo-data
log=$data/serve.log
port=${PORT:-7600}
programs=${CARGO_TARGET_DIR:-target}/release
server=

say() { printf '\n%s\n' "$*"; }

die() {
    printf '\nerror: %s\n' "$*" >&2
    exit 1
}

show_log() {
    if [[ -s $log ]]; then
        printf '\nThe end of %s:\n' "$log" >&2
        tail -n 25 "$log" >&2
    fi
}

# Stops the server and waits for it; its exit status is the result.
stop_server() {
    local pid=$server status=0
    [[ -n $pid ]] || return 0
    server=
    kill -TERM "$pid" 2>/dev/null || true
    wait "$pid" || status=$?
    return "$status"
}
trap 'stop_server || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

ready() {
    (
        exec 3<>"/dev/tcp/127.0.0.1/$port" || exit
        printf 'GET /readyz HTTP/1.1\r\nHost: 127.0.0.1:%s\r\nConnection: close\r\n\r\n' "$port" >&3
        IFS= read -r -t 5 status_line <&3 && [[ $status_line == *' 200 '* ]]
    ) 2>/dev/null
}

wait_until_ready() {
    local deadline=$((SECONDS + 60))
    until ready; do
        if ! kill -0 "$server" 2>/dev/null; then
            server=
            show_log
            die 'the server stopped before it was ready'
        fi
        if ((SECONDS >= deadline)); then
            show_log
            die "the server did not become ready within 60 s (http://127.0.0.1:$port/readyz)"
        fi
        sleep 0.1
    done
}

if ! [[ $port =~ ^[1-9][0-9]{0,4}$ ]] || ((port > 65534)); then
    die "PORT=$port is not a port from 1 to 65534"
fi
store_port=$((port + 1))
if [[ -n ${PHOTOS:-} ]]; then
    [[ -e $PHOTOS ]] || die "PHOTOS=$PHOTOS: there is no such file or folder"
fi
for each in "$port" "$store_port"; do
    ! taken "$each" || die "port $each of 127.0.0.1 is taken, perhaps by another demo; stop it, or choose with make demo PORT=7700"
done

# The demo runs on defaults, whatever the caller's shell is set up for.
for variable in "${!SAFELIGHT_@}"; do unset "$variable"; done

say 'Building (the first time takes some minutes) …'
cargo build --release -p safelight-cli -p safelight-testkit --bins

if [[ ${KEEP:-} != 1 ]]; then
    rm -rf "$data"
fi
mkdir -p "$data"

if [[ -n ${PHOTOS:-} ]]; then
    photos=$PHOTOS
else
    photos=$data/photos
    say 'Taking a burst of 12 pictures of 12 megapixels …'
    "$programs/fake-camera" --out "$photos" --count 12
fi

say "Starting safelight serve on 127.0.0.1:$port, data in $data, log in $log …"
"$programs/safelight" serve --data-dir "$data" \
    --listen "127.0.0.1:$port" --store-listen "127.0.0.1:$store_port" >"$log" 2>&1 &
server=$!
wait_until_ready

SAFELIGHT_URL=http://127.0.0.1:$port
SAFELIGHT_TOKEN=$(<"$data/keys/admin.key")
export SAFELIGHT_URL SAFELIGHT_TOKEN

say "Uploading $photos …"
status=0
"$programs/safelight" upload "$photos" --wait --journal "$data/journal.db" || status=$?
if ((status != 0)); then
    show_log
    printf '\nNot every picture became viewable (upload ended with %s).\n' "$status" >&2
    exit "$status"
fi

if [[ ${ONCE:-} == 1 ]]; then
    stop_server || {
        status=$?
        show_log
        die "the server did not stop cleanly (status $status)"
    }
    say 'Every picture is viewable; the server has stopped.'
    exit 0
fi

cat <<TXT

Every picture is viewable, and the server keeps running. Open a URL of the table in a
browser, or try in another terminal, in this folder:

  export SAFELIGHT_URL=$SAFELIGHT_URL SAFELIGHT_TOKEN=\$(cat $data/keys/admin.key)
  $programs/safelight list                      # what is there
  $programs/safelight upload ~/Pictures --wait  # your own photos
  $programs/safelight get --help                # a picture into a file
  $programs/safelight doctor                    # is everything well?
  curl -H "Authorization: Bearer \$SAFELIGHT_TOKEN" \$SAFELIGHT_URL/v1/assets?limit=3

Ctrl-C stops the server; \`make demo KEEP=1\` goes on with the same data.
TXT
trap 'exit 0' INT TERM
wait "$server" || {
    status=$?
    server=
    show_log
    die "the server stopped (status $status)"
}
