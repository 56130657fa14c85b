#!/usr/bin/env bash
# Runbook: a client loses its session.
# Takes root: no.
set -euo pipefail
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

need python3
python3 -c 'import sbe, cryptography' 2>/dev/null || skip "the Python packages sbe and cryptography are not installed"
CLIENT=$REPOSITORY/gateway/client/python/rialto.py
# A client that enters an order and is then cut off: no goodbye, as of a machine that loses its power.
cut_off() {
    python3 - "$CLIENT" "$DATA" "$1" "$2" <<'PYTHON'
import importlib.util, json, os, pathlib, sys
program, data, name, on_disconnect = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3], sys.argv[4]
spec = importlib.util.spec_from_file_location("rialto", program)
rialto = importlib.util.module_from_spec(spec)
spec.loader.exec_module(rialto)
key = json.loads((data / "keys" / f"{name}.json").read_text())
host, _, port = json.loads((data / "venue.json").read_text())["order_entry"].rpartition(":")
connection = rialto.connect((host, int(port)), data / "certificate.pem")
client = rialto.Client(connection, key, rialto.Login(), cancel_on_disconnect=on_disconnect)
instrument = rialto.instrument(client, "BTC-USD")
order = {"Account": key["account"], "SecurityID": instrument["SecurityID"], "ClOrdID": 1, "OrderQty": 1000000,
         "Price": 6000000, "Side": "Buy", "OrdType": "Limit", "TimeInForce": "GoodTillCancel"}
number = client.send("NewOrderSingle", **order)
if not rialto.hear_command(client, number, 10):
    sys.exit("the order was refused")
os._exit(0)
PYTHON
}
session() { "$RIALTO" admin --data "$DATA" show sessions --json | jq -c ".[] | select(.session == $1)"; }
ended() { session "$1" | grep -q Disconnected; }

say "Alice asked for cancel on disconnect; she is cut off"
serve
cut_off alice Cancel | jq -c '{message, ExecType, OrdStatus, OrderID}'
wait_for 30 "the venue notices" ended 2
session 2
rialto history session 2 --data "$DATA" --count 3
none_open() { [ "$(open_orders "$1")" = 0 ]; }
wait_for 10 "her order is cancelled" none_open alice
expect 'OrderCancelled' "$(rialto history account alice --data "$DATA" --count 2 | tail -2)"

say "Bob did not: his order stays, and nobody is there to look after it"
cut_off bob Keep >/dev/null
wait_for 30 "the venue notices" ended 3
session 3
[ "$(open_orders bob)" = 1 ] || fail "bob's order is gone"

say "Bob calls: cancel what his session has entered"
# His list was asked for in a new login of the same session; the order is still the session's.
expect 'cancelled_count *1' "$(admin order mass-cancel --session 3 --reason "bob lost contact")"
none_open bob || fail "bob's order is still there"
expect 'MassCancelled.*entered_by=3.*"bob lost contact"' "$("$RIALTO" audit --data "$DATA" --session bob)"

say "A client that kept its login goes on where it was: what it missed is told again"
login=$WORK/login.json
python3 "$CLIENT" --data "$DATA" --account bob --state "$login" --hang-up place BTC-USD buy 0.01 60000 >/dev/null
admin order mass-cancel --account 3 --reason "while bob is away" >/dev/null
recovered=$(python3 "$CLIENT" --data "$DATA" --account bob --state "$login" recover)
expect 'Cancel' "$(jq -c 'select(.MsgSeqNum != null) | {MsgSeqNum, ExecType, OrdStatus}' <<<"$recovered")"
stop_venue
