#!/usr/bin/env bash
# Runbook: a subscriber of market data reads no more.
# Takes root: yes, for a network of its own, in which sockets have little room: elsewhere megabytes of it are filled first.
set -euo pipefail
if [ "$(id -u)" = 0 ] && [ -z "${NETWORK:-}" ]; then
    NETWORK=own exec unshare --net "$0"
fi
# shellcheck source=lib.sh
. "$(dirname "$0")/lib.sh"

need python3 ip
[ "$(id -u)" = 0 ] || skip "it takes root, for a network of its own"
ip link set lo up
echo '4096 4096 8192' >/proc/sys/net/ipv4/tcp_wmem || skip "the room of sockets cannot be set here"
# A subscriber over WebSocket that takes everything and has little room of its own; how it ends, on its last line.
subscriber() {
    python3 - "$(address http)" <<'PYTHON'
import base64, json, os, socket, struct, sys
host, _, port = sys.argv[1].rpartition(":")
line = socket.socket()
line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
line.connect((host, int(port)))
key = base64.b64encode(os.urandom(16)).decode()
line.sendall(f"GET /ws HTTP/1.1\r\nHost: {sys.argv[1]}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
file = line.makefile("rb")
while file.readline().strip():
    pass
channels = ["heartbeat", "status", "ticker", "level2", "level2_batch", "matches", "full", "auction"]
text = json.dumps({"type": "subscribe", "product_ids": ["BTC-USD", "ETH-USD", "ETH-BTC"], "channels": channels}).encode()
mask = os.urandom(4)
masked = bytes(byte ^ mask[index % 4] for index, byte in enumerate(text))
line.sendall(struct.pack("!BBH", 0x81, 0xFE, len(text)) + mask + masked)
count, gaps = 0, 0
while True:
    head = file.read(2)
    if len(head) < 2:
        sys.exit("the connection is gone without a word")
    length = head[1] & 127
    if length > 125:
        length = int.from_bytes(file.read(2 if length == 126 else 8), "big")
    body = file.read(length)
    if head[0] & 15 == 8:
        print(json.dumps({"messages": count, "gaps": gaps, "code": int.from_bytes(body[:2], "big"),
                          "reason": body[2:].decode()}))
        sys.exit(0)
    count += 1
    gaps += json.loads(body).get("type") == "gap" if head[0] & 15 == 1 else 0
PYTHON
}
say "One that takes everything over WebSocket, and one that records everything; the first is stopped, as by a debugger"
serve --demo
subscriber >"$WORK/stuck.out" 2>&1 &
PROCESSES+=($!)
"$RIALTO" record --data "$DATA" --out "$WORK/other.rec" --level mbo --level trades --level reference --json >"$WORK/other.out" 2>&1 &
PROCESSES+=($!)
wait_for 20 "both are there" is rialto_market_data_subscribers 2
sleep 3
# The function is a shell of its own, and python its child.
stuck=$(pgrep -P "${PROCESSES[0]}" python3 || echo "${PROCESSES[0]}")
kill -STOP "$stuck"

say "The venue waits, leaves messages out, and in the end closes it; nobody else notices"
closed() { is 'rialto_market_data_closed{reason="TooSlow"}' 1; }
wait_for 120 "it is closed" closed
metrics | grep -E '^rialto_market_data_(subscribers|closed\{reason="TooSlow"\})'
"$RIALTO" top --data "$DATA" --once | grep -A 3 'market data ─' || true
expect '"TooSlow":1' "$("$RIALTO" top --data "$DATA" --json | jq -c .closed)"
is rialto_market_data_subscribers 1 || fail "the other one is gone as well"
expect '^ready (200)' "$(health)"

say "The subscriber goes on, and is told"
kill -CONT "$stuck"
wait "${PROCESSES[0]}" || fail "it was not told: $(cat "$WORK/stuck.out")"
expect '"code": 1008' "$(tail -1 "$WORK/stuck.out")"

say "The other one has missed nothing"
kill -INT "${PROCESSES[1]}"
wait "${PROCESSES[1]}" || fail "the other one failed"
PROCESSES=()
tail -1 "$WORK/other.out" | jq -c 'with_entries(select(.key | IN("messages", "gaps", "differing", "proven")))'
[ "$(tail -1 "$WORK/other.out" | jq .gaps)" = 0 ] || fail "the other one has gaps"
stop_venue
