#!/usr/bin/env bash
# Runbook: the wall clock is stepped.
# Takes root: no.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

need faketime
library=$(find / -xdev -name libfaketime.so.1 -print -quit 2>/dev/null)
[ -n "$library" ] || skip "libfaketime is not installed"
say "A venue whose wall clock can be set: libfaketime, the monotonic clock as it is"
echo '+0' >"$WORK/offset"
UNDER="env LD_PRELOAD=$library FAKETIME_TIMESTAMP_FILE=$WORK/offset FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1" \
    serve --demo
wait_for 10 "the clock is looked at" above rialto_sequence 45
metrics | grep -E '^rialto_(clock_steps|wall_clock_ahead_ns) '
is rialto_clock_steps 0 || fail "it has stepped already"

say "Somebody sets the clock an hour ahead"
echo '+3600' >"$WORK/offset"
wait_for 10 "the step is counted" above rialto_clock_steps 0
metrics | grep -E '^rialto_(clock_steps|wall_clock_ahead_ns) '
above rialto_wall_clock_ahead_ns 3590000000000 || fail "it is not an hour ahead"
"$RIALTO" top --data "$DATA" --json | jq -r '.alerts[].text' | tee "$WORK/alerts"
grep -q 'wall clock is 36[0-9][0-9]\.' "$WORK/alerts" || fail "no alert"

say "The venue's own time did not follow: the newest command is of now"
newest=$("$RIALTO" journal inspect "$DATA" --from "$(metric rialto_sequence)" --count 1 --json | head -1 | jq .time)
behind=$((($(date +%s%N) - newest) / 1000000000))
printf 'the newest command is %s s old\n' "$behind"
[ "${behind#-}" -lt 60 ] || fail "the venue's time followed the step"

say "The clock is put right: the difference is gone, what was counted stays until the next start"
echo '+0' >"$WORK/offset"
small() { awk -v ahead="$(metric rialto_wall_clock_ahead_ns)" 'BEGIN { exit !(ahead < 1e9 && ahead > -1e9) }'; }
wait_for 10 "the clocks agree" small
metrics | grep -E '^rialto_(clock_steps|wall_clock_ahead_ns) '
stop_venue

say "A start while the clock is behind the journal's last command is said as well"
echo '-3600' >"$WORK/offset"
UNDER="env LD_PRELOAD=$library FAKETIME_TIMESTAMP_FILE=$WORK/offset FAKETIME_NO_CACHE=1 FAKETIME_DONT_FAKE_MONOTONIC=1 DONT_FAKE_MONOTONIC=1" \
    serve
quote 'the wall clock is'
said "behind the journal's last command" || fail "it does not say that the clock is behind"
stop_venue
