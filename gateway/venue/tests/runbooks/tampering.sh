#!/usr/bin/env bash
# Runbook: somebody may have changed the journal.
# Takes root: no.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

say "A venue that signs a checkpoint every 1024 commands; they and the public key go where nobody at the venue can write"
serve --demo --snapshot-every 1024
quietly admin --data "$DATA" account deposit 2 --asset USD --amount 7 --reason "wire 8817"
wait_for 120 "a checkpoint" above rialto_snapshots_taken 0
stop_venue
mkdir "$WORK/elsewhere"
"$RIALTO" journal checkpoints "$DATA" --json >"$WORK/elsewhere/checkpoints.jsonl"
cp "$DATA/checkpoint.pub" "$WORK/elsewhere/"
key=$(cat "$WORK/elsewhere/checkpoint.pub")
check() { rialto journal verify "$1" --against "$WORK/elsewhere/checkpoints.jsonl" --key "$key" || printf 'exit code %s\n' $?; }
expect 'ok *true' "$(check "$DATA")"

say "Keep the folder as it is, and look at a copy"
cp -a "$DATA" "$WORK/copy"

say "One byte in the middle of the journal is changed"
segment=$(find "$WORK/copy/journal" -name '*.seg' | sort | head -1)
offset=40000
byte=$(od -An -tu1 -j "$offset" -N 1 "$segment" | tr -d ' ')
printf '%b' "\\x$(printf %x $(((byte + 1) % 256)))" | dd of="$segment" bs=1 seek="$offset" conv=notrunc status=none
expect 'exit code 4' "$(check "$WORK/copy")"
expect 'offset' "$(rialto journal verify "$WORK/copy" --json || true)"

say "What is good up to there can still be had, in a new folder"
good=$("$RIALTO" journal verify "$WORK/copy" --chain-only --json | tail -1 | jq .last) || true
rialto journal restore "$WORK/copy" --to "$WORK/restored" --until "$good"
expect 'ok *true' "$(rialto journal verify "$WORK/restored")"

say "The end is cut off, and the rest agrees with itself: only what is kept elsewhere tells"
rm -rf "$WORK/copy"
"$RIALTO" journal restore "$DATA" --to "$WORK/copy" --until 900 >/dev/null
expect 'ok *true' "$(rialto journal verify "$WORK/copy")"
expect 'exit code 1' "$(check "$WORK/copy")"

say "Another one's checkpoints do not pass"
sed 's/"sequence":[0-9]*/"sequence":51/' "$WORK/elsewhere/checkpoints.jsonl" >"$WORK/forged.jsonl"
rialto journal verify "$DATA" --against "$WORK/forged.jsonl" --key "$key" && fail "a forged file passed"

say "And who did what, in the end"
expect '"wire 8817"' "$(rialto audit --data "$DATA" --account alice --count 2)"
