#!/usr/bin/env bash
# Runbook: the journal's disk is slow, or does not answer.
# Takes root: yes, for a file system of its own.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

mount_disk 64
say "A venue, and how long durability takes"
serve --demo --segment-mib 1
wait_for 30 "two spares" is rialto_journal_spares 2
sleep 5
page() { "$RIALTO" top --data "$DATA" --json | jq -c '{sequence, durable: .latency.durable}'; }
page

say "The disk stops to answer for three seconds, again and again: fsfreeze"
slow_down() {
    while true; do
        fsfreeze --freeze "$MOUNTED"
        sleep 3
        fsfreeze --unfreeze "$MOUNTED"
        sleep 0.5
    done
}
slow_down &
PROCESSES+=($!)
sleep 8
begun=$(date +%s%N)
order_new | jq -c '{exec_type, order_id}' | head -1
took=$((($(date +%s%N) - begun) / 1000000))
printf 'an order was acknowledged after %s ms\n' "$took"
sleep 4
expect '^ready (200)' "$(health)"
"$RIALTO" top --data "$DATA" --once | sed -n 1,16p
above_of() { metrics | awk '/^rialto_hop_seconds_bucket/ && /hop="durable"/ && /le="\+Inf"/ { all = $2 } /^rialto_hop_seconds_bucket/ && /hop="durable"/ && /le="0.8388608"/ { below = $2 } END { exit !(all > below) }'; }
wait_for 60 "commands that were durable after more than 0.8 s" above_of
"$RIALTO" top --data "$DATA" --json | jq -r '.alerts[].text'

say "The disk is itself again"
kill "${PROCESSES[0]}"
wait "${PROCESSES[0]}" 2>/dev/null || true
PROCESSES=()
fsfreeze --unfreeze "$MOUNTED" 2>/dev/null || true
begun=$(date +%s%N)
order_new >/dev/null
took=$((($(date +%s%N) - begun) / 1000000))
printf 'an order was acknowledged after %s ms\n' "$took"
[ "$took" -lt 3000 ] || fail "it is still slow"
[ "$(open_orders)" = 2 ] || fail "an order is lost"
stop_venue
expect 'ok *true' "$(rialto journal verify "$DATA")"
