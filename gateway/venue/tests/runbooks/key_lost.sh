#!/usr/bin/env bash
# Runbook: the administrator's key is lost, or somebody else has it.
# Takes root: no.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

say "Before anything is lost: a second administrator's key, kept elsewhere"
serve
mkdir "$WORK/safe"
made=$("$RIALTO" admin key new 90 --out "$WORK/safe/second.json" --json)
public=$(jq -r .public_key <<<"$made")
admin key add 90 --public-key "$public" --reason "second administrator"
admin key grant 90 --role administrator --reason "second administrator"
second() { rialto admin --data "$DATA" --key "$WORK/safe/second.json" "$@"; }

say "The first key is gone: its holder has left, or its machine was broken into"
mv "$DATA/keys/administrator.json" "$WORK/stolen.json"
expect 'administrator.json' "$(admin show keys || true)"

say "What was done with it since? The second key reads, and revokes it at once"
rialto audit --data "$DATA" --by 1 --count 5
second key revoke 1 --reason "key lost"
expect '1 .*Revoked' "$(second show keys | grep -E '^(key|1 )')"

say "A new first key, by the second"
made=$("$RIALTO" admin key new 91 --out "$DATA/keys/administrator.json" --json)
second key add 91 --public-key "$(jq -r .public_key <<<"$made")" --reason "new administrator"
second key grant 91 --role administrator --reason "new administrator"
expect 'Halted' "$(admin instrument halt BTC-USD --reason "a test")"
quietly admin --data "$DATA" instrument resume BTC-USD --reason "a test"

say "All of it is in the audit, by whom"
found=$("$RIALTO" audit --data "$DATA" --by 90)
expect 'KeyRevoked.*"key lost"' "$found"

say "Whoever has the old key is refused, and counted"
is 'rialto_admin_requests_total{status="401"}' 0 || fail "somebody was refused already"
expect 'NotAuthenticated' "$(rialto admin --data "$DATA" --key "$WORK/stolen.json" show keys || true)"
is 'rialto_admin_requests_total{status="401"}' 1 || fail "it is not counted"
stop_venue
