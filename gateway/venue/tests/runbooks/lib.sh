# shellcheck shell=bash
# What the runbooks share. Sourced: a venue of the script's own, on free ports, in a folder of its own, and all of it away
# at the end.
#
# RIALTO names the program; without it, it is the debug build of this repository.

REPOSITORY=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../../.." && pwd)
RIALTO=${RIALTO:-${CARGO_TARGET_DIR:-$REPOSITORY/target}/debug/rialto}
WORK=$(mktemp -d "${TMPDIR:-/tmp}/rialto-runbook.XXXXXX")
DATA=$WORK/data
HEADS=$WORK/heads
LOG=$WORK/venue.log
VENUE_PID=
PROCESSES=()
MOUNTED=
mkdir "$HEADS"
export PYTHONDONTWRITEBYTECODE=1

clean_up() {
    trap - ERR
    local process
    for process in "${PROCESSES[@]}" $VENUE_PID; do
        kill -CONT "$process" 2>/dev/null || true
        kill -KILL "$process" 2>/dev/null || true
        wait "$process" 2>/dev/null || true
    done
    if [ -n "$MOUNTED" ]; then
        fsfreeze --unfreeze "$MOUNTED" 2>/dev/null || true
        umount "$MOUNTED" 2>/dev/null || umount --lazy "$MOUNTED" 2>/dev/null || true
    fi
    rm -rf "$WORK"
}
trap clean_up EXIT

say() { printf '\n== %s\n' "$*"; }

# Says why this runbook cannot be tried here. Not a failure, and not a success either: the exit code is 77.
skip() {
    printf 'SKIPPED %s: %s\n' "$(basename "$0" .sh)" "$*"
    exit 77
}

fail() {
    printf 'FAILED %s: %s\n' "$(basename "$0" .sh)" "$*" >&2
    if [ -f "$LOG" ]; then
        grep -v '^  [a-z]' "$LOG" | sed 's/^/    venue: /' >&2 || true
    fi
    exit 1
}

need() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null || skip "$program is not installed"
    done
}

need_root() { [ "$(id -u)" = 0 ] || skip "it takes root, to mount a file system of its own"; }

set -E
trap 'fail "line $LINENO: $BASH_COMMAND"' ERR

[ -x "$RIALTO" ] || fail "$RIALTO is not there: cargo build -p venue"
need jq curl

# What this venue said of itself: http, order_entry or market_data.
address() { jq -r ".$1" "$DATA/venue.json"; }

# Shows a command of the tool, without what only these scripts need, and what it says.
rialto() {
    local word words=
    for word in "$@"; do
        case $word in *' '*) words+=" \"$word\"" ;; *) words+=" $word" ;; esac
    done
    printf '$ rialto%s\n' "$words" | sed -e "s|$WORK/||g"
    local code=0 said
    said=$("$RIALTO" "$@" 2>&1) || code=$?
    printf '%s\n' "$said" | sed -e "s|$WORK/||g"
    return $code
}

# The same, quietly.
quietly() { "$RIALTO" "$@" >/dev/null; }

# Starts a venue with these options, and waits until it is ready.
serve() {
    : >"$LOG"
    # shellcheck disable=SC2086
    ${UNDER:-} "${SERVE_WITH:-$RIALTO}" serve --data "$DATA" --head "$HEADS" --order-entry 127.0.0.1:0 --market-data 127.0.0.1:0 \
        --http 127.0.0.1:0 "$@" >>"$LOG" 2>&1 &
    VENUE_PID=$!
    wait_for 60 "the venue is ready" said '^READY '
}

# Whether the venue has said this.
said() { grep -q "$1" "$LOG"; }

# Shows what the venue has said of this.
quote() { grep -h "$1" "$LOG" | sed -e "s|$WORK/||g" -e 's/^/    /'; }

# Stops the venue in order.
stop_venue() {
    kill -TERM "$VENUE_PID"
    venue_ends 0
}

# Waits for its end, with this exit code.
venue_ends() {
    local code=0
    wait "$VENUE_PID" || code=$?
    VENUE_PID=
    [ "$code" = "$1" ] || fail "the venue ended with exit code $code, not $1"
}

kill_venue() {
    kill -KILL "$VENUE_PID"
    wait "$VENUE_PID" 2>/dev/null || true
    VENUE_PID=
}

metrics() { curl -sS --max-time 5 "http://$(address http)/metrics"; }

# The value of a metric, as it is written with its labels; nothing if it is not there.
metric() { metrics | awk -v name="$1" '$1 == name { print $2 }'; }

is() { [ "$(metric "$1")" = "$2" ]; }
above() { awk -v value="$(metric "$1")" -v least="$2" 'BEGIN { exit !(value != "" && value > least) }'; }

# What /health/ready says, with its status.
health() { curl -sS --max-time 5 -w ' (%{http_code})' "http://$(address http)/health/ready" | tr -d '\n'; }
health_says() { health | grep -q "$1"; }

# Waits until a command succeeds, for so many seconds.
wait_for() {
    local seconds=$1 what=$2 begun=$SECONDS
    shift 2
    until "$@"; do
        [ $((SECONDS - begun)) -lt "$seconds" ] || fail "$what: not within $seconds s"
        if [ -n "$VENUE_PID" ] && ! kill -0 "$VENUE_PID" 2>/dev/null && [ "${ENDS:-}" != yes ]; then
            fail "$what: the venue has ended"
        fi
        sleep 0.2
    done
}

# Shows what there is, and fails unless it has this in it.
expect() {
    local text=$1 found=$2
    printf '%s\n' "$found" | sed -e "s|$WORK/||g"
    grep -q -- "$text" <<<"$found" || fail "this was expected: $text"
}

# The orders that rest, as the operator's own trader asks.
order_new() { "$RIALTO" order new --data "$DATA" --account alice --instrument BTC-USD --side buy --price 60000 --quantity 0.01 --json "$@"; }
open_orders() { "$RIALTO" order list --data "$DATA" --account "${1:-alice}" --json | tail -1 | jq -r .count; }

admin() { rialto admin --data "$DATA" "$@"; }

# An ext4 file system of so many MiB in a file, mounted; it is $MOUNTED.
mount_disk() {
    need mkfs.ext4 losetup fsfreeze fallocate
    need_root
    truncate -s "$1M" "$WORK/image"
    mkfs.ext4 -q -F "$WORK/image"
    mkdir -p "$WORK/disk"
    mount -o loop "$WORK/image" "$WORK/disk" 2>/dev/null || skip "nothing can be mounted here"
    MOUNTED=$WORK/disk
    DATA=$MOUNTED/data
}
