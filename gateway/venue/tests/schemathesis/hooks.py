"""Signs what schemathesis sends to the operator's door, as docs/OPERATIONS.md describes it.

RIALTO_KEY is the key file of an administrator. Every request gets a signature that holds, for the bytes that are really sent,
whatever was generated for those headers. With RIALTO_UNSIGNED=1 none does: each proves nothing, and has to be answered with
401 or 429.
"""

import itertools
import json
import os
import time

import schemathesis
from blake3 import blake3
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from requests.adapters import HTTPAdapter

with open(os.environ["RIALTO_KEY"], encoding="utf-8") as file:
    KEY = json.load(file)
SECRET = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(KEY["secret"]))
# A name of its own for each change: from the clock, so that a second run does not repeat the first.
NAMES = itertools.count(time.time_ns() % 2**52)
SEND = HTTPAdapter.send


def signed(adapter, request, **options):
    """Signs a request when everything of it is known, and sends it."""
    if request.path_url.startswith("/admin/v1/"):
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        moment = time.time_ns()
        name = 0 if request.method == "GET" else next(NAMES)
        lines = ["RIALTO-ADMIN-1", request.method, request.path_url, KEY["key"], moment, name, blake3(body).hexdigest()]
        text = "".join(f"{line}\n" for line in lines)
        request.headers["rialto-key"] = str(KEY["key"])
        request.headers["rialto-time"] = str(moment)
        request.headers["rialto-request"] = str(name)
        request.headers["rialto-signature"] = SECRET.sign(text.encode()).hex()
    return SEND(adapter, request, **options)


if os.environ.get("RIALTO_UNSIGNED") != "1":
    HTTPAdapter.send = signed


# What would leave the venue without its administrator is not asked of it.
@schemathesis.hook
def filter_body(context, body):
    change = body.get("change") if isinstance(body, dict) else None
    number = change.get("number") if isinstance(change, dict) else None
    return number != KEY["key"]
