#!/usr/bin/env bash
# Runbook: the journal's disk fails.
# Takes root: yes, for a file system of its own.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

mount_disk 64
say "A venue, and an order that it has acknowledged"
serve --demo --segment-mib 1
wait_for 30 "two spares" is rialto_journal_spares 2
order_new >/dev/null
[ "$(open_orders)" = 1 ] || fail "no order"

say "The device fails: only its beginning is left"
fsfreeze --freeze "$MOUNTED"
cp "$WORK/image" "$WORK/repaired"
truncate -s 1M "$WORK/image"
losetup --set-capacity "$(losetup --associated "$WORK/image" | cut -d: -f1)"
fsfreeze --unfreeze "$MOUNTED"
ENDS=yes venue_ends 5
quote 'rialto: '
said 'repair the disk' || fail "the venue does not say what to do"
expect "no venue" "$("$RIALTO" top --data "$DATA" --once 2>&1 | sed -n 1,2p || true)"

say "Repair the disk; here: what was on it comes back. Look at the journal, then start"
umount "$MOUNTED" || umount --lazy "$MOUNTED"
mv "$WORK/repaired" "$WORK/image"
mount -o loop "$WORK/image" "$MOUNTED"
expect 'ok *true' "$(rialto journal verify "$DATA")"
serve --segment-mib 1
quote '^journal'
expect '^ready (200)' "$(health)"
[ "$(open_orders)" = 1 ] || fail "an acknowledged order is lost"
stop_venue
