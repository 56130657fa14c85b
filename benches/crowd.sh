#!/usr/bin/env bash
# Whether one session that trades notices thousands that are open and say nothing, and what those cost the venue.
# The same load with and without them, in turns. Usage: benches/crowd.sh [sessions] [orders a second] [turns] [directory].
set -euo pipefail
cd "$(dirname "$0")/.."

sessions="${1:-5000}"
rate="${2:-2000}"
turns="${3:-3}"
parent="${4:-${TMPDIR:-/tmp}}"

cargo build --release --quiet -p benches --bin load
cargo build --release --quiet -p venue --bin rialto
bin="${CARGO_TARGET_DIR:-target}/release"
data="$(mktemp -d "$parent/crowd.XXXXXX")"
said="$data/said.txt"
"$bin/load" prepare --data "$data"
"$bin/rialto" serve --data "$data" --head "$data" --durability buffered \
    --order-entry 127.0.0.1:0 --market-data 127.0.0.1:0 --http 127.0.0.1:0 --throttle-trader off \
    --connections-max "$((sessions + 100))" --connections-per-address "$((sessions + 100))" >"$said" 2>&1 &
venue=$!
trap 'kill -9 "$venue" 2>/dev/null || true; rm -rf "$data"' EXIT
until grep -q '^READY' "$said"; do kill -0 "$venue"; sleep 0.2; done
address="$(sed -n 's/^READY //p' "$said" | python3 -c 'import json, sys; print(json.load(sys.stdin)["order_entry"])')"

anonymous() { awk '$1 == "RssAnon:" { print $2 }' "/proc/$venue/status"; }
trade() {
    "$bin/load" --mode round-trip --connect "$address" --data "$data" --rate "$rate" --sessions 1 --seed "$2" \
        --warm-up 1s --duration 10s --cool-down 500ms --durability buffered --without-limits --json >"$data/result.json"
    python3 - "$1" "$data/result.json" <<'PYTHON'
import json, sys
times = json.loads(open(sys.argv[2]).read().splitlines()[-1])["series"][0]
numbers = [times[name] / 1_000 for name in ("p50_ns", "p99_ns", "p999_ns")]
print("%8s %9d %9.0f %9.0f %9.0f" % (sys.argv[1], times["count"], *numbers))
PYTHON
}

printf '%8s %9s %9s %9s %9s\n' crowd orders p50_us p99_us p999_us
for turn in $(seq "$turns"); do
    before="$(anonymous)"
    trade 0 "$turn"
    coproc crowd { "$bin/load" crowd --connect "$address" --data "$data" --sessions "$sessions"; }
    read -r line <&"${crowd[0]}"
    after="$(anonymous)"
    trade "$sessions" "$turn"
    echo "         $line: $((after - before)) KiB more, $(((after - before) * 1024 / sessions)) bytes a session"
    # The crowd leaves when its input ends.
    leaving=$crowd_PID
    exec {crowd[1]}>&-
    wait "$leaving"
done
kill -TERM "$venue"
wait "$venue"
tail -1 "$said"
