#!/usr/bin/env bash
# Runbook: the journal's disk fills.
# Takes root: yes, for a file system of its own.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

mount_disk 64
say "A venue on a small disk, with short segments; something else takes nearly all of its room"
serve --demo --segment-mib 1
wait_for 30 "two spares" is rialto_journal_spares 2
order_new >/dev/null
free=$(metric rialto_journal_disk_free_bytes)
fallocate -l $((free - 600000)) "$MOUNTED/ballast"

say "First sign: no further segment can be made"
wait_for 120 "an alarm" said 'ALARM'
wait_for 120 "only cancels are taken" is rialto_journal_admission 1
quote ALARM
metrics | grep -E '^rialto_journal_(admission|spares|room_bytes|disk_free_bytes) '
expect 'only cancels are taken (503)' "$(health)"
expect 'StorageLow' "$(order_new 2>&1 || true)"
rialto order mass-cancel --data "$DATA" --account alice
[ "$(open_orders)" = 0 ] || fail "a cancel was not taken"

say "The operator's page says the same"
"$RIALTO" top --data "$DATA" --once | sed -n 1,4p
"$RIALTO" top --data "$DATA" --json | jq -r '.alerts[].text' | tee "$WORK/alerts"
grep -q 'only cancels are taken' "$WORK/alerts" || fail "no alert"

say "Nobody does anything: logins and cancels take the last segment, and then nothing is taken"
logs_in_until_full() {
    "$RIALTO" order list --data "$DATA" --account alice >/dev/null 2>&1 || true
    is rialto_journal_admission 2
}
wait_for 120 "nothing is taken" logs_in_until_full
wait_for 10 "the alarm" said 'None is left'
quote 'None is left'
expect 'nothing is taken (503)' "$(health)"
expect 'StorageFull' "$(order_new 2>&1 || true)"
expect 'StorageFull' "$(admin instrument halt BTC-USD --reason "a test" || true)"

say "Free space: what filled the disk, never files of the journal"
rm "$MOUNTED/ballast"
wait_for 30 "everything is taken" is rialto_journal_admission 0
wait_for 30 "two spares" is rialto_journal_spares 2
quote 'journal' | tail -2
expect '^ready (200)' "$(health)"
order_new >/dev/null
[ "$(open_orders)" = 1 ] || fail "an order was not taken"

say "Nothing was lost"
stop_venue
expect 'ok *true' "$(rialto journal verify "$DATA")"
