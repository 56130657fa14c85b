#!/usr/bin/env bash
# Loads a venue for a long time, and says each minute what it has become: latency, memory, descriptors, threads. At the end
# the venue is stopped, and its journal is replayed and compared with every digest in it.
# Usage: benches/soak.sh [minutes] [orders a second] [buffered|synced] [directory].
set -euo pipefail
cd "$(dirname "$0")/.."

minutes="${1:-30}"
rate="${2:-20000}"
durability="${3:-synced}"
parent="${4:-${TMPDIR:-/tmp}}"

cargo build --release --quiet -p benches --bin load
cargo build --release --quiet -p venue --bin rialto
bin="${CARGO_TARGET_DIR:-target}/release"
data="$(mktemp -d "$parent/soak.XXXXXX")"
said="$data/said.txt"
"$bin/load" prepare --data "$data"
"$bin/rialto" serve --data "$data" --head "$data" --durability "$durability" \
    --order-entry 127.0.0.1:0 --market-data 127.0.0.1:0 --http 127.0.0.1:0 \
    --throttle-trader off --throttle-market-maker off >"$said" 2>&1 &
venue=$!
trap 'kill -9 "$venue" 2>/dev/null || true; rm -rf "$data"' EXIT
until grep -q '^READY' "$said"; do kill -0 "$venue"; sleep 0.2; done
address="$(sed -n 's/^READY //p' "$said" | python3 -c 'import json, sys; print(json.load(sys.stdin)["order_entry"])')"

status() { awk -v name="$1:" '$1 == name { print $2 }' "/proc/$venue/status"; }
# Anonymous memory is the venue's own; what is mapped of its files is the system's to take back.
printf '%6s %10s %9s %9s %9s %9s %9s %10s %6s %8s\n' \
    minute orders done/s p50_us p99_us p999_us anon_MiB mapped_MiB files threads
for minute in $(seq "$minutes"); do
    "$bin/load" --mode round-trip --connect "$address" --data "$data" --rate "$rate" --sessions 8 --seed "$minute" \
        --warm-up 1s --duration 55s --cool-down 500ms --durability "$durability" --without-limits --json >"$data/result.json" 2>"$data/errors.txt" ||
        { cat "$data/errors.txt" >&2; exit 1; }
    printf '%6d ' "$minute"
    python3 - "$data/result.json" <<'PYTHON'
import json, sys
report = json.loads(open(sys.argv[1]).read().splitlines()[-1])
times = report["series"][0]
numbers = [times["count"], report["achieved_rate"], *(times[name] / 1_000 for name in ("p50_ns", "p99_ns", "p999_ns"))]
print("%10d %9.0f %9.0f %9.0f %9.0f" % tuple(numbers), end=" ")
PYTHON
    printf '%9d %10d %6d %8d\n' $(($(status RssAnon) / 1024)) $(($(status RssFile) / 1024)) \
        "$(ls "/proc/$venue/fd" | wc -l)" "$(status Threads)"
done
kill -TERM "$venue"
wait "$venue"
grep -E 'ALARM|rialto: ' "$said" || echo "nothing was said to be wrong"
tail -1 "$said"
"$bin/rialto" journal verify "$data" --json
