#!/usr/bin/env python3
"""A client of the order entry protocol in one file, to use or to read: docs/PROTOCOL.md says the same in words.

    pip install sbe cryptography
    rialto serve --demo --data demo                      # in another window
    python3 rialto.py --data demo --account alice place BTC-USD buy 0.01 64000.5
    python3 rialto.py --data demo --account alice cancel --name 1790000000000000

Every message is TLS, then a frame, then SBE:

    messageLength u32 | EB50 hex u16 | blockLength u16 | templateId u16 | schemaId u16 | version u16 | the fields

Messages are written here from the XML schemas alone, and read by the package `sbe` from the same files. With --state
FILE a login is kept between calls, so that what was missed in between can be recovered; without it each call logs in
anew. Every message of the venue is printed as one JSON object on a line, but for the definitions that follow the
opening; beside amounts of money stand, in small letters, the asset's name and decimals, as those definitions say.
"""

import argparse
import json
import os
import pathlib
import socket
import ssl
import struct
import sys
import time
import xml.etree.ElementTree as xml
from decimal import Context, Decimal, Inexact, InvalidOperation

import sbe
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SCHEMAS = pathlib.Path(__file__).resolve().parent / "../../wire/schema"
SESSION, ORDER_ENTRY = 100, 200  # the schemas' ids
FRAMING, HEADER = struct.Struct("<IH"), struct.Struct("<HHHH")
SBE_1_0 = 0xEB50
FRAME_MAX = 1024
NOTHING = ("no answer", "within ten seconds")
RETRANSMIT_MAX = 1000  # reports that one request may ask for
SIZES = {"char": "s", "int8": "b", "uint8": "B", "uint16": "H", "uint32": "I", "int64": "q", "uint64": "Q"}


class Refused(Exception):
    """The venue refused, or ended the session."""


class Schema:
    """One XML schema: how its messages are written and read."""

    def __init__(self, path):
        root = xml.parse(path).getroot()
        self.id, self.version = int(root.get("id")), int(root.get("version"))
        with open(path, "rb") as file:
            self.reader = sbe.Schema.parse(file)
        types = {each.get("name"): each for each in root.find("types")}
        self.messages = {}
        for message in root.iter():
            if message.tag.endswith("}message"):
                fields = {field.get("name"): self.field(field, types) for field in message.iter("field")}
                self.messages[message.get("name")] = (int(message.get("id")), int(message.get("blockLength")), fields)
        self.blanks = {message[0]: self.encode(name, {}) for name, message in self.messages.items()}

    @staticmethod
    def field(field, types):
        """Where a field is, how it is packed, what stands for its absence, and its names for numbers."""
        kind, codes = types[field.get("type")], {}
        if kind.tag == "enum":
            codes = {value.get("name"): int(value.text) for value in kind}
        elif kind.tag == "set":
            codes = {choice.get("name"): 1 << int(choice.text) for choice in kind}
        absent = 0
        if kind.tag == "enum" and field.get("presence") == "optional" or kind.tag == "type":
            encoding = types[kind.get("encodingType")] if kind.tag == "enum" else kind
            absent = int(encoding.get("nullValue") or 0)
        encoding = types[kind.get("encodingType")] if kind.tag != "type" else kind
        packing = "<" + encoding.get("length", "") + SIZES[encoding.get("primitiveType")]
        return int(field.get("offset")), packing, absent, codes

    def encode(self, name, values):
        """A frame. A field that is not given is absent; a code may be given by its name."""
        template, length, fields = self.messages[name]
        unknown = values.keys() - fields.keys()
        if unknown:
            raise ValueError(f"{name} has no field {', '.join(sorted(unknown))}")
        block = bytearray(length)
        for field, (offset, packing, absent, codes) in fields.items():
            value = values.get(field)
            if packing.endswith("s"):
                value = value.encode("ascii") if isinstance(value, str) else value or b""
            elif value is None:
                value = absent
            struct.pack_into(packing, block, offset, codes[value] if isinstance(value, str) else value)
        frame_length = FRAMING.size + HEADER.size + length
        return FRAMING.pack(frame_length, SBE_1_0) + HEADER.pack(length, template, self.id, self.version) + block

    def decode(self, frame):
        """The message's name and its fields; absent ones are None."""
        length, template, _, _ = HEADER.unpack_from(frame, FRAMING.size)
        if template not in self.blanks:
            return f"message {template}", {}  # newer than this schema
        # A venue of an older version has shorter blocks: what it does not know is absent.
        block_end = FRAMING.size + HEADER.size + length
        frame = frame[:block_end] + self.blanks[template][block_end:]
        message = self.reader.decode(frame[FRAMING.size :])
        return message.message_name, message.value


class Login:
    """What must be kept to open a session again: which login it is, and where both streams stand."""

    def __init__(self, version=None, next_report=1, next_command=1):
        self.version, self.next_report, self.next_command = version, next_report, next_command


class Client:
    """One session on one connection."""

    def __init__(self, connection, key, login, keep_alive=5000, cancel_on_disconnect="Keep", schemas=SCHEMAS):
        paths = [pathlib.Path(schemas) / f"{name}.xml" for name in ("session", "order_entry")]
        self.schemas = {schema.id: schema for schema in map(Schema, paths)}
        self.connection, self.key, self.login = connection, key, login
        self.signing_key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(key["secret"]))
        self.silence_max = keep_alive / 1000
        self.heard_at = self.sent_at = time.monotonic()
        self.buffer = b""
        self.held = {}  # reports behind a gap, by number
        self.ready = []  # messages in order, for whoever receives next
        self.asked_until = None
        self.assets = {}  # definitions by number
        self.instruments = {}  # definitions by symbol
        if login.version is None:
            self.negotiate()
        self.establish(keep_alive, cancel_on_disconnect)

    # Logging in.

    def signed(self, name, fields):
        """The message with its signature: Ed25519 over a text, one line a field, in the order of the schema."""
        codes = self.schemas[SESSION].messages[name][2]
        lines = [f"Rialto {name} 1"]
        for field, (_, packing, _, enumeration) in codes.items():
            if not packing.endswith("s"):  # neither the signature nor reserved bytes
                value = fields[field]
                lines.append(f"{field}={enumeration.get(value, value)}")
        text = "".join(line + "\n" for line in lines)
        return {**fields, "Signature": self.signing_key.sign(text.encode("ascii"))}

    def who(self):
        return {"SessionID": self.key["session"], "SessionVerID": self.login.version, "KeyID": self.key["key"]}

    def negotiate(self):
        """A new login. Its number is greater than every one before: the time serves. Both streams begin at 1."""
        self.login = Login(version=time.time_ns())
        self.write(SESSION, "Negotiate", self.signed("Negotiate", {**self.who(), "Timestamp": time.time_ns()}))
        name, fields = self.read_message(time.monotonic() + 10) or NOTHING
        if name != "NegotiationResponse":
            raise Refused(f"{name}: {fields}")

    def establish(self, keep_alive, cancel_on_disconnect):
        """Opens the session, behind a login or instead of one."""
        now = time.time_ns()
        schema = self.schemas[ORDER_ENTRY]
        opening = {
            **self.who(),
            "Nonce": now,  # greater than that of every opening before
            "Timestamp": now,
            "NextSeqNo": self.login.next_command,
            "KeepAliveInterval": keep_alive,
            "CODTimeoutWindow": 0,
            "OrderEntrySchemaID": schema.id,
            "OrderEntrySchemaVersion": schema.version,
            "SessionSchemaVersion": self.schemas[SESSION].version,
            "CancelOnDisconnectType": cancel_on_disconnect,
        }
        self.write(SESSION, "Establish", self.signed("Establish", opening))
        name, self.opened = self.read_message(time.monotonic() + 10) or NOTHING
        if name != "EstablishmentAck":
            raise Refused(f"{name}: {self.opened}")
        # Commands below NextSeqNo were applied. From there on none was: each may be sent again under its own number
        # (`Sequence`, then the command). A number is used for one command only, and so are those that are left out.
        expected = self.opened["NextSeqNo"]
        if self.login.next_command > expected:
            self.write(SESSION, "Sequence", {"NextSeqNo": self.login.next_command})
        self.login.next_command = max(self.login.next_command, expected)
        # Reports from the one that we know to this one were missed.
        self.login.next_report = min(self.login.next_report, self.opened["NextReportNo"])
        self.ask_for_gap(self.opened["NextReportNo"])

    # Sending.

    def send(self, name, **fields):
        """A command: it is numbered by counting, and its reports carry the number as RefSeqNum."""
        number = self.login.next_command
        self.login.next_command += 1
        self.write(ORDER_ENTRY, name, fields)
        return number

    def ask(self, name, **fields):
        """A question: it is not numbered, and changes nothing."""
        self.write(ORDER_ENTRY, name, fields)

    def write(self, schema, name, fields):
        self.connection.sendall(self.schemas[schema].encode(name, fields))
        self.sent_at = time.monotonic()

    # Receiving.

    def receive(self, patience):
        """The next message in order, as its name and fields; None: there was none within so many seconds."""
        until = time.monotonic() + patience
        while not self.ready:
            message = self.read_message(until)
            if message is None:
                return None
            self.take_in(*message)
        name, fields = self.ready.pop(0)
        if fields.get("MsgSeqNum") is not None:
            self.login.next_report = fields["MsgSeqNum"] + 1
        return name, fields

    def take_in(self, name, fields):
        """Sorts a message in. Reports are numbered without gaps (MsgSeqNum); one that comes early waits for the rest."""
        number = fields.get("MsgSeqNum")
        if name == "Sequence":
            self.ask_for_gap(fields["NextSeqNo"])
        elif name == "Terminate":
            raise Refused(f"the venue ended the session: {fields['TerminationCode']}")
        elif name == "Retransmission":
            pass  # the reports that follow say themselves which they are
        elif name == "RetransmitReject":
            raise Refused(f"reports from {self.next_wanted()} on are not to be had: {fields['RejectReason']}")
        elif number is None:
            if name == "AssetDefinition":
                self.assets[fields["AssetID"]] = fields
            elif name == "SecurityDefinition":
                self.instruments[fields["Symbol"]] = fields
            self.ready.append((name, fields))
        elif number >= self.next_wanted():  # a lower one came before
            self.held[number] = (name, fields)
            while self.next_wanted() in self.held:
                self.ready.append(self.held.pop(self.next_wanted()))
            self.ask_for_gap(number + 1)

    def next_wanted(self):
        numbers = [fields["MsgSeqNum"] for _, fields in self.ready if fields.get("MsgSeqNum") is not None]
        return numbers[-1] + 1 if numbers else self.login.next_report

    def ask_for_gap(self, until):
        """Asks for the reports that are missing before `until`, one range at a time."""
        wanted = self.next_wanted()
        if self.asked_until is not None and wanted >= self.asked_until:
            self.asked_until = None
        until = min([until, *self.held])
        if self.asked_until is None and wanted < until:
            count = min(until - wanted, RETRANSMIT_MAX)
            self.asked_until = wanted + count
            request = {"Timestamp": time.time_ns(), "FromSeqNo": wanted, "Count": count}
            self.write(SESSION, "RetransmitRequest", request)

    def read_message(self, until):
        """The next message as it comes; None: there was none until then."""
        while True:
            frame = self.take_frame()
            if frame:
                self.heard_at = time.monotonic()
                schema = HEADER.unpack_from(frame, FRAMING.size)[2]
                return self.schemas[schema].decode(frame)
            now = time.monotonic()
            # Whoever says nothing for the interval is asked to say where it stands; for two, it is given up.
            if now >= self.heard_at + 2 * self.silence_max:
                raise Refused("nothing was heard of the venue for too long")
            if now >= self.sent_at + self.silence_max:
                self.write(SESSION, "Sequence", {"NextSeqNo": self.login.next_command})
            if now >= until:
                return None
            limit = min(until, self.sent_at + self.silence_max, self.heard_at + 2 * self.silence_max)
            self.connection.settimeout(max(limit - now, 0.001))
            try:
                received = self.connection.recv(1 << 16)
            except TimeoutError:
                continue
            if not received:
                raise Refused("the venue closed the connection")
            self.buffer += received

    def take_frame(self):
        if len(self.buffer) < FRAMING.size + HEADER.size:
            return None
        length, encoding = FRAMING.unpack_from(self.buffer)
        if encoding != SBE_1_0 or not FRAMING.size + HEADER.size <= length <= FRAME_MAX:
            raise Refused("what the venue sent is no frame")
        if len(self.buffer) < length:
            return None
        frame, self.buffer = self.buffer[:length], self.buffer[length:]
        return frame

    def close(self):
        """Says goodbye and waits until the venue has said it, too."""
        who = {"SessionID": self.key["session"], "SessionVerID": self.login.version}
        self.write(SESSION, "Terminate", {**who, "TerminationCode": "Terminated"})
        self.connection.settimeout(10)
        try:
            while self.connection.recv(1 << 16):  # what comes now comes again at the next opening
                pass
        except OSError:
            pass  # it is over either way
        self.connection.close()


def connect(address, certificate, server_name="localhost"):
    """TLS 1.3 with whoever has the certificate, and nobody else. Client certificates are not used."""
    context = ssl.create_default_context(cafile=certificate)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    connection = socket.create_connection(address, timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return context.wrap_socket(connection, server_hostname=server_name)


# The command line.


def mantissa(text, exponent, what):
    """A decimal as the wire has it: text = mantissa × 10^exponent. Exact, or refused."""
    exact = Context(prec=100, traps=[InvalidOperation, Inexact])
    try:
        scaled = exact.scaleb(exact.create_decimal(text), -exponent)
        is_whole = scaled == exact.to_integral_value(scaled)
    except (InvalidOperation, Inexact):
        raise Refused(f"{what} {text} is no number that can be sent") from None
    if not is_whole:
        raise Refused(f"{what} {text} is finer than 10^{exponent}")
    if abs(scaled) >= 1 << 63:
        raise Refused(f"{what} {text} is too large")
    return int(scaled)


def amount(units, exponent):
    """Smallest units as a decimal: text = units × 10^exponent. Exact: an amount may have more than Decimal's 28 digits."""
    number = Context(prec=100).normalize(Decimal(units).scaleb(exponent, Context(prec=100)))
    return f"{number:f}"


def money(client, asset, fields, names):
    """Amounts of an asset in decimals: a field's two halves are one integer, and the high one says whether it is there."""
    definition = client.assets.get(fields.get(asset))
    if definition is None:
        return {}
    said = {"asset": definition["AssetName"]}
    for name, field in names.items():
        high = fields[field + "High"]
        if high is not None:
            said[name] = amount((high << 64) + fields[field], definition["AmountExponent"])
    return said


def show(client, name, fields):
    """Prints a message, if it is no definition."""
    if name in ("AssetDefinition", "SecurityDefinition"):
        return
    said = {field: value for field, value in fields.items() if value is not None and not field.startswith("Reserved")}
    if name == "AccountBalance":
        said |= money(client, "AssetID", fields, {"available": "Available", "held": "Held", "change": "Change"})
    elif name == "ExecutionReport":
        said |= money(client, "MiscFeeCurr", fields, {"fee": "MiscFeeAmt"})
    print(json.dumps({"message": name, **said}, default=str), flush=True)


def instrument(client, symbol):
    """The definition, which follows the opening. Whatever else comes meanwhile is shown."""
    while symbol not in client.instruments:
        message = client.receive(5)
        if message is None:
            raise Refused(f"there is no instrument {symbol}; there are {', '.join(client.instruments)}")
        show(client, *message)
    return client.instruments[symbol]


def which(arguments):
    """An order is named by the venue's number for it, or by the trader's."""
    return {"OrderID": arguments.order} if arguments.order else {"OrigClOrdID": arguments.name}


def place(client, account, arguments):
    definition = instrument(client, arguments.instrument)
    name = arguments.name or time.time_ns() // 1000
    order = {
        "Account": account,
        "SecurityID": definition["SecurityID"],
        "ClOrdID": name,
        "OrderQty": mantissa(arguments.quantity, definition["QuantityExponent"], "quantity"),
        "Side": arguments.side.capitalize(),
        "OrdType": "Market" if arguments.price is None else "Limit",
        "TimeInForce": "ImmediateOrCancel" if arguments.ioc or arguments.price is None else "GoodTillCancel",
    }
    if arguments.price is not None:
        order["Price"] = mantissa(arguments.price, definition["PriceExponent"], "price")
    return client.send("NewOrderSingle", **order)


def amend(client, account, arguments):
    definition = instrument(client, arguments.instrument)
    changes = {}
    if arguments.price is not None:
        changes["Price"] = mantissa(arguments.price, definition["PriceExponent"], "price")
    if arguments.quantity is not None:
        changes["OrderQty"] = mantissa(arguments.quantity, definition["QuantityExponent"], "quantity")
    return client.send("OrderCancelReplaceRequest", Account=account, **which(arguments), **changes)


def cancel(client, account, arguments):
    return client.send("OrderCancelRequest", Account=account, **which(arguments))


def status(client, account, arguments):
    request = time.time_ns()
    if arguments.order or arguments.name:
        order = {"OrderID": arguments.order} if arguments.order else {"ClOrdID": arguments.name}
        client.ask("OrderStatusRequest", Account=account, OrdStatusReqID=request, **order)
    else:
        client.ask("OrderMassStatusRequest", Account=account, OrdStatusReqID=request)
    return request


def balance(client, account, arguments):
    request = time.time_ns()
    client.ask("AccountBalanceRequest", Account=account, OrdStatusReqID=request)
    return request


def drop_copy(client, account, arguments):
    """Copies of an account's reports again. Their ExecID counts in the account without gaps."""
    request = time.time_ns()
    wanted = {"ExecID": arguments.first, "TotNumReports": arguments.count}
    client.ask("DropCopyRequest", Account=account, OrdStatusReqID=request, **wanted)
    return request


def hear_command(client, number, patience):
    """Shows what comes until the command is answered; whether it was taken."""
    while True:
        message = client.receive(patience)
        if message is None:
            raise Refused(f"command {number} was not answered; it may have been applied")
        name, fields = message
        show(client, name, fields)
        if name == "NotApplied" and fields["FromSeqNo"] <= number < fields["FromSeqNo"] + fields["Count"]:
            return False
        if fields.get("RefSeqNum") == number:
            return name == "ExecutionReport" and fields["ExecType"] != "Rejected"


def hear_answers(client, request, patience):
    """Shows what comes until the question is answered in full; whether it was."""
    copies = None
    while copies is None or copies > 0:
        message = client.receive(patience)
        if message is None:
            raise Refused("the question was not answered")
        name, fields = message
        if name == "DropCopyReport" and fields["OrdStatusReqID"] != request:
            continue
        show(client, name, fields)
        if name == "BusinessMessageReject" and fields["BusinessRejectRefID"] == request:
            return False
        if name == "DropCopyReport":
            if fields["BusinessRejectReason"] is not None:
                return False
            copies = fields["TotNumReports"]
        elif copies is not None and fields.get("PossDupFlag") == "Yes" and fields.get("MsgSeqNum") is None:
            copies -= 1
        elif fields.get("OrdStatusReqID") == request and fields.get("LastRptRequested") == "Yes":
            return True
    return True


def recover(client, patience):
    """Shows every report that was missed."""
    while client.login.next_report < client.opened["NextReportNo"]:
        message = client.receive(patience)
        if message is None:
            raise Refused("what was missed does not come")
        show(client, *message)
    return True


def listen(client, patience):
    """Shows what comes until nothing does."""
    while (message := client.receive(patience)) is not None:
        show(client, *message)
    return True


def read_login(path):
    if path is None or not path.exists():
        return Login()
    return Login(**json.loads(path.read_text()))


def keep_login(path, login):
    """As a whole or not at all: the place of a process that was killed meanwhile is the one before."""
    if path is not None:
        new = path.with_name(path.name + ".new")
        new.write_text(json.dumps(vars(login)))
        os.replace(new, path)


def parse():
    parser = argparse.ArgumentParser(description="Trades at a venue that runs `rialto serve`.")
    parser.add_argument("--data", type=pathlib.Path, default="demo", help="the data folder of a venue on this machine")
    parser.add_argument("--address", help="HOST:PORT of the venue; default: as its data folder says")
    parser.add_argument("--certificate", help="whom to trust; default: the data folder's certificate")
    parser.add_argument("--account", default="alice", help="whose key in the data folder")
    parser.add_argument("--key", type=pathlib.Path, help="a key file; default: the data folder's for --account")
    parser.add_argument("--account-number", type=int, help="for whom to act; default: as the key file says")
    parser.add_argument("--schemas", type=pathlib.Path, default=SCHEMAS, help="the folder of the XML schemas")
    parser.add_argument("--state", type=pathlib.Path, help="keep the login in this file, and go on with it")
    parser.add_argument("--hang-up", action="store_true", help="leave without a goodbye, as a lost connection does")
    parser.add_argument("--patience", type=float, default=10, help="seconds to wait for an answer")
    verbs = parser.add_subparsers(dest="verb", required=True)
    order = verbs.add_parser("place", help="a new order")
    order.add_argument("instrument")
    order.add_argument("side", choices=["buy", "sell"])
    order.add_argument("quantity")
    order.add_argument("price", nargs="?", help="without one it is a market order")
    order.add_argument("--ioc", action="store_true", help="at once or not at all")
    order.add_argument("--name", type=int, help="ClOrdID; default: the time")
    order.add_argument("--order", type=int, help=argparse.SUPPRESS)
    change = verbs.add_parser("amend", help="another price or quantity")
    change.add_argument("instrument")
    change.add_argument("--quantity", help="with what has traded")
    change.add_argument("--price")
    for verb in (change, verbs.add_parser("cancel", help="the end of an order")):
        either = verb.add_mutually_exclusive_group(required=True)
        either.add_argument("--name", type=int, help="the order's ClOrdID")
        either.add_argument("--order", type=int, help="the venue's OrderID")
    asked = verbs.add_parser("status", help="an order as it is, or all open ones")
    asked.add_argument("--name", type=int, help="its ClOrdID")
    asked.add_argument("--order", type=int, help="the venue's OrderID")
    verbs.add_parser("balance", help="what the account has")
    verbs.add_parser("recover", help="the reports that were missed since the last call with --state")
    verbs.add_parser("listen", help="whatever comes, until nothing does for --patience")
    copies = verbs.add_parser("drop-copy", help="an account's reports again; with a key that they are copied to")
    copies.add_argument("first", type=int, help="the first, by ExecID")
    copies.add_argument("--count", type=int, default=1000)
    return parser.parse_args()


COMMANDS = {"place": place, "amend": amend, "cancel": cancel}
QUESTIONS = {"status": status, "balance": balance, "drop-copy": drop_copy}


def run(client, account, arguments):
    if arguments.verb in COMMANDS:
        recover(client, arguments.patience)
        number = COMMANDS[arguments.verb](client, account, arguments)
        keep_login(arguments.state, client.login)  # before the answer: the number is used
        return hear_command(client, number, arguments.patience)
    if arguments.verb in QUESTIONS:
        return hear_answers(client, QUESTIONS[arguments.verb](client, account, arguments), arguments.patience)
    return recover(client, arguments.patience) and (
        arguments.verb == "recover" or listen(client, arguments.patience)
    )


def main():
    arguments = parse()
    folder = arguments.data
    key = json.loads((arguments.key or folder / "keys" / f"{arguments.account}.json").read_text())
    address = arguments.address or json.loads((folder / "venue.json").read_text())["order_entry"]
    host, _, port = address.rpartition(":")
    certificate = arguments.certificate or folder / "certificate.pem"
    connection = connect((host.strip("[]"), int(port)), certificate)
    client = Client(connection, key, read_login(arguments.state), schemas=arguments.schemas)
    try:
        taken = run(client, arguments.account_number or key["account"], arguments)
        if not arguments.hang_up:
            client.close()
    finally:
        keep_login(arguments.state, client.login)
    return 0 if taken else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Refused, OSError) as error:
        sys.exit(f"rialto.py: {error}")
