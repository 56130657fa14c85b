#!/usr/bin/env bash
# Counts the system calls of a core that spins, for five seconds under load.
# Usage: benches/core_system_calls.sh [buffered|synced] [processor]. Needs strace, and a processor for the core alone.
set -euo pipefail
cd "$(dirname "$0")/.."

durability="${1:-buffered}"
processor="${2:-1}"
seconds=5

cargo build --release --quiet -p benches --bin load
# A longer load than is looked at: it is stopped when the count is taken.
"${CARGO_TARGET_DIR:-target}"/release/load --mode round-trip --rate 5000 --duration 2m \
    --durability "$durability" --idle spin --cores "$processor" >/dev/null &
load=$!
trap 'kill "$load" 2>/dev/null; wait "$load" 2>/dev/null || true' EXIT

core=
for _ in $(seq 100); do
    for task in /proc/"$load"/task/*; do
        [ "$(cat "$task/comm" 2>/dev/null)" = core ] && core="${task##*/}"
    done
    [ -n "$core" ] && break
    sleep 0.1
done
[ -n "$core" ] || { echo "no core thread within ten seconds" >&2; exit 1; }
# Past the warm-up.
sleep 3

ticks() { awk '{print $14, $15}' "/proc/$load/task/$core/stat"; }
echo "core thread $core on processor $processor, $durability, $seconds s under load"
before="$(ticks)"
counted="$(timeout --signal=INT "$seconds" strace -c -p "$core" 2>&1 | grep -v '^strace: Process' || true)"
echo "${counted:-no system call}"
echo "clock ticks in user and system mode: before $before, behind $(ticks)"
