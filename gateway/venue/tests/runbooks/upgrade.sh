#!/usr/bin/env bash
# Runbook: upgrade the program.
# Takes root: no.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

need python3
# Two copies of one program stand for the old and the new one; NEW names another.
cp "$RIALTO" "$WORK/rialto-old"
cp "${NEW:-$RIALTO}" "$WORK/rialto-new"

say "The old program trades"
SERVE_WITH=$WORK/rialto-old serve --demo
order_new >/dev/null
"$WORK/rialto-old" --version

say "Before: a backup, and what the new program makes of it, while the old one goes on"
"$WORK/rialto-old" journal backup "$DATA" --to "$WORK/backup" --head "$HEADS" >/dev/null
expect 'ok *true' "$("$WORK/rialto-new" journal verify "$WORK/backup")"
"$WORK/rialto-new" journal replay "$WORK/backup" | sed "s|$WORK/||"
digests() { "$1" journal replay "$WORK/backup" --json | tail -1 | jq -c '[.last, .event_digest, .state_digest, .book_digest]'; }
[ "$(digests "$WORK/rialto-old")" = "$(digests "$WORK/rialto-new")" ] ||
    fail "the two do not come to the same state"

say "Stop in order: sessions are told, the journal is sealed"
stop_venue
quote 'stopped'
expect 'sealed *true' "$("$WORK/rialto-new" journal verify "$DATA")"

say "Start the new one on the same folder"
SERVE_WITH=$WORK/rialto-new serve
quote '^journal'
expect '^ready (200)' "$(health)"
[ "$(open_orders)" = 1 ] || fail "alice's order is not there"
stop_venue

say "A journal of a later format is refused as it is, and not touched"
cp -a "$DATA" "$WORK/later"
segment=$(find "$WORK/later/journal" -name '*.seg' | sort | head -1)
sum=$(sha256sum <"$segment")
code=0
python3 - "$segment" <<'PYTHON'
import sys
# Version 255 in the first segment's header, whose CRC-32C is made to fit.
with open(sys.argv[1], "r+b") as file:
    header = bytearray(file.read(4096))
    header[8] = 255
    crc = 0xFFFFFFFF
    for byte in header[:4092]:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    header[4092:] = (crc ^ 0xFFFFFFFF).to_bytes(4, "little")
    file.seek(0)
    file.write(header)
PYTHON
changed=$(sha256sum <"$segment")
"$WORK/rialto-new" serve --data "$WORK/later" --head "$HEADS" --order-entry 127.0.0.1:0 --market-data 127.0.0.1:0 --http 127.0.0.1:0 >"$WORK/refused" 2>&1 || code=$?
grep 'rialto: ' "$WORK/refused" | sed -e "s|$WORK/||g"
[ "$code" = 4 ] || fail "it was started, or ended otherwise: $code"
grep -q 'unknown to this build' "$WORK/refused" || fail "it does not say why"
[ "$sum" != "$changed" ] || fail "nothing was changed"
[ "$changed" = "$(sha256sum <"$segment")" ] || fail "the journal was touched"
