#!/usr/bin/env bash
# Runbook: a subscriber of market data reads no more.
# Takes root: no.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

say "Two that record everything; one of them is stopped, as by a debugger or a machine that swaps"
serve --demo
quietly_record() { "$RIALTO" record --data "$DATA" --out "$WORK/$1.rec" --level mbo --level trades --level reference --json >"$WORK/$1.out" 2>&1 & PROCESSES+=($!); }
quietly_record stuck
quietly_record other
wait_for 20 "both are there" is rialto_market_data_subscribers 2
sleep 3
kill -STOP "${PROCESSES[0]}"

say "The venue waits, leaves messages out, and in the end closes it; nobody else notices"
closed() { is 'rialto_market_data_closed{reason="TooSlow"}' 1; }
wait_for 90 "it is closed" closed
metrics | grep -E '^rialto_market_data_(subscribers|closed\{reason="TooSlow"\})'
"$RIALTO" top --data "$DATA" --json | jq -r '.alerts[].text' | tee "$WORK/alerts"
grep -q '1 subscribers were closed as too slow' "$WORK/alerts" || fail "no alert"
is rialto_market_data_subscribers 1 || fail "the other one is gone as well"
expect '^ready (200)' "$(health)"

say "The subscriber goes on, finds its connection closed, and its recording is whole up to there"
kill -CONT "${PROCESSES[0]}"
code=0
wait "${PROCESSES[0]}" || code=$?
[ "$code" = 5 ] || fail "its exit code is $code"
jq -r .reason "$WORK/stuck.out" | sed -e "s|$WORK/||g"
expect 'differing *0' "$(rialto play "$WORK/stuck.rec")"

say "The other one has missed nothing"
kill -INT "${PROCESSES[1]}"
wait "${PROCESSES[1]}" || fail "the other one failed"
PROCESSES=()
tail -1 "$WORK/other.out" | jq -c 'with_entries(select(.key | IN("messages", "gaps", "differing", "proven")))'
[ "$(tail -1 "$WORK/other.out" | jq .gaps)" = 0 ] || fail "the other one has gaps"
stop_venue
