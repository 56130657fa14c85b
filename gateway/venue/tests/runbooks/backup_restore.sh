#!/usr/bin/env bash
# Runbook: back up a running venue, and go on from the backup.
# Takes root: no.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

say "A venue that trades, and a backup beside it; again later: what is new"
serve --demo
sleep 3
order_new >/dev/null
rialto journal backup "$DATA" --to "$WORK/backup" --head "$HEADS"
sleep 3
expect 'new_commands' "$(rialto journal backup "$DATA" --to "$WORK/backup" --head "$HEADS")"
expect 'ok *true' "$(rialto journal verify "$WORK/backup")"
last=$("$RIALTO" journal verify "$WORK/backup" --json | tail -1 | jq .last)

say "The machine is gone with its disk"
kill_venue
rm -rf "$DATA" "$HEADS"
mkdir "$HEADS"

say "Restore from the backup into a new folder, verify, start"
rialto journal restore "$WORK/backup" --to "$DATA"
expect 'ok *true' "$(rialto journal verify "$DATA")"
serve
quote '^journal'
expect '^ready (200)' "$(health)"
[ "$(open_orders)" = 1 ] || fail "alice's order is not there"
printf 'the backup ended behind command %s; the venue goes on behind it, at %s\n' "$last" "$(metric rialto_sequence)"
# What alice just asked for was journalled behind what the backup has.
above rialto_sequence "$last" || fail "the venue does not go on"
stop_venue

say "To a point: as it was behind command 39, when the venue had just been founded"
rialto journal restore "$WORK/backup" --to "$WORK/founded" --until 39
expect '"last":39' "$("$RIALTO" journal verify "$WORK/founded" --json | tail -1 | jq -c '{last}')"
