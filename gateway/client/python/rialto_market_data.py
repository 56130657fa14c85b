#!/usr/bin/env python3
"""A subscriber of market data in one file, to use or to read: docs/MARKET_DATA.md says the same in words.

    pip install aioquic sbe cryptography
    rialto serve --demo --data demo                      # in another window
    python3 rialto_market_data.py --data demo --level MarketByOrder --mode datagrams --seconds 10 1 2

It takes instruments, all if none is named, at a level of detail; joins with a snapshot, puts packets in order, asks for
those that are lost, takes a snapshot where they are not to be had, and compares every checksum. In the end it asks for a
snapshot of each channel once more, and compares the whole book. `--drop N` throws away one packet of N on purpose.

It prints one JSON object on a line: messages as they are applied, and events: what was lost, asked for, proven. Books come
last. The exit code is 0 if every checksum and book was equal, 1 if one was not, 2 if there was no market data any more.

Three parts, each of use without those below it: `Schema` writes and reads messages, `Subscriber` makes books of packets
without I/O, `Connection` is QUIC.
"""

import argparse
import asyncio
import functools
import hashlib
import ipaddress
import json
import os
import pathlib
import signal
import struct
import sys
import xml.etree.ElementTree as xml

import sbe
from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, DatagramFrameReceived, StreamDataReceived, StreamReset
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

SCHEMA = pathlib.Path(__file__).resolve().parent / "../../wire/schema/market_data.xml"
FRAMING, HEADER, GROUP = struct.Struct("<IH"), struct.Struct("<HHHH"), struct.Struct("<HH")
HEADERS = FRAMING.size + HEADER.size
SBE_1_0 = 0xEB50
SIZES = {"char": "s", "int8": "b", "uint8": "B", "uint16": "H", "uint32": "I", "int64": "q", "uint64": "Q"}
LEVELS = {
    "BestBidOffer": 1,
    "MarketByPrice": 2,
    "MarketByOrder": 3,
    "Trades": 4,
    "MarketByPrice10": 5,
    "MarketByPrice50": 6,
    "Reference": 7,
}
LEVEL_NAMES = {code: name for name, code in LEVELS.items()}
MODES = {"streams": "Live", "conflated": "Conflated", "datagrams": "Datagrams"}
PROVEN_LEVELS, PROVEN_ORDERS = 10, 1_000  # what a checksum covers of each side
WAITING_MAX = 16_384  # packets of a channel that wait for a snapshot or for others
ASKED_MAX = 4_096  # messages; of more, a snapshot is had sooner
ANSWERED_WITHIN = 2  # seconds
PROVEN_WITHIN = 60  # seconds, at the end: a machine may be busy
UNANSWERED_MAX = 4_096  # requests that are remembered
SNAPSHOT_BYTES_MAX = 64 << 20
KEEP_ALIVE = 5  # seconds
TICK = 0.05
CLOSED = {
    0: "the venue stops",
    1: "read too slowly",
    2: "not a request",
    3: "the feed lost its place",
    4: "not let in",
    5: "rights revoked",
    6: "too many connections",
}


class Broken(Exception):
    """What the venue sent is no market data."""


# Messages.


class Schema:
    """The XML schema: how its messages are written and read."""

    def __init__(self, path=SCHEMA):
        root = xml.parse(path).getroot()
        self.id, self.version = int(root.get("id")), int(root.get("version"))
        with open(path, "rb") as file:
            self.reader = sbe.Schema.parse(file)
        types = {each.get("name"): each for each in root.find("types")}
        self.messages = {}
        for message in root.iter():
            if message.tag.endswith("}message"):
                fields = {field.get("name"): self.field(field, types) for field in message.findall("field")}
                group = message.find("group")
                entry = None
                if group is not None:
                    entries = {field.get("name"): self.field(field, types) for field in group.findall("field")}
                    entry = (group.get("name"), int(group.get("blockLength")), entries)
                self.messages[message.get("name")] = (int(message.get("id")), int(message.get("blockLength")), fields, entry)
        self.blanks = {message[0]: self.block(message[1], message[2], {}) for message in self.messages.values()}

    @staticmethod
    def field(field, types):
        """Where a field is, how it is packed, what stands for its absence, and its names for numbers."""
        kind, codes = types[field.get("type")], {}
        if kind.tag == "enum":
            codes = {value.get("name"): int(value.text) for value in kind}
        elif kind.tag == "set":
            codes = {choice.get("name"): 1 << int(choice.text) for choice in kind}
        encoding = types[kind.get("encodingType")] if kind.tag != "type" else kind
        absent = 0
        if kind.tag == "type" or field.get("presence") == "optional":
            absent = int(encoding.get("nullValue") or 0)
        packing = "<" + encoding.get("length", "") + SIZES[encoding.get("primitiveType")]
        return int(field.get("offset")), packing, absent, codes

    @staticmethod
    def block(length, fields, values):
        unknown = values.keys() - fields.keys()
        if unknown:
            raise ValueError(f"there is no field {', '.join(sorted(unknown))}")
        block = bytearray(length)
        for field, (offset, packing, absent, codes) in fields.items():
            value = values.get(field)
            if packing.endswith("s"):
                value = value or b""
            elif value is None:
                value = absent
            struct.pack_into(packing, block, offset, codes[value] if isinstance(value, str) else value)
        return bytes(block)

    def encode(self, name, values, entries=()):
        """A frame. A field that is not given is absent; a code may be given by its name."""
        template, length, fields, entry = self.messages[name]
        body = self.block(length, fields, values)
        if entry is not None:
            _, entry_length, entry_fields = entry
            body += GROUP.pack(entry_length, len(entries))
            body += b"".join(self.block(entry_length, entry_fields, each) for each in entries)
        return FRAMING.pack(HEADERS + len(body), SBE_1_0) + HEADER.pack(length, template, self.id, self.version) + body

    def decode(self, frame):
        """The message's name and its fields; absent ones are None."""
        length, template, schema, version = HEADER.unpack_from(frame, FRAMING.size)
        blank = self.blanks.get(template)
        if blank is None or schema != self.id:
            return f"message {template}", {}  # newer than this schema
        body = frame[HEADERS:]
        if length < len(blank):
            # A venue of an older version has shorter blocks: what it does not know is absent.
            body, length = body[:length] + blank[length:] + body[length:], len(blank)
        try:
            message = self.reader.decode(HEADER.pack(length, template, schema, version) + body)
        except Exception as error:
            raise Broken(f"message {template} cannot be read: {error}") from error
        fields = {name: value for name, value in message.value.items() if not name.startswith("Reserved")}
        for group in fields.values():
            for entry in group if isinstance(group, list) else ():
                if isinstance(entry, dict):
                    entry.pop("Reserved1", None)
        return message.message_name, fields


def frame_length(data, start=0):
    """Bytes of the frame that begins there; None: too few are there to tell, or to have it all."""
    if len(data) - start < HEADERS:
        return None
    length, encoding = FRAMING.unpack_from(data, start)
    if encoding != SBE_1_0 or not HEADERS <= length <= SNAPSHOT_BYTES_MAX:
        raise Broken("what the venue sent is no frame")
    return length if len(data) - start >= length else None


def frames(data):
    """All frames of some bytes, which have to be whole."""
    start = 0
    while start < len(data):
        length = frame_length(data, start)
        if length is None:
            raise Broken("a message is cut off")
        yield bytes(data[start : start + length])
        start += length


class Packet:
    """Numbered messages of one channel: the first is `first`, the one behind the last `next`."""

    def __init__(self, header, messages):
        self.channel, self.first = header["ChannelID"], header["SeqFirst"]
        self.next = self.first + len(messages)
        self.stands_from = self.first - (header["MsgsLeftOut"] or 0)
        flags = header["PacketFlags"] or []
        self.continues, self.conflated, self.again = (
            flag in flags for flag in ("EventContinues", "Conflated", "Retransmitted")
        )
        self.messages = messages
        if self.stands_from < 0:
            raise Broken("a packet stands for messages before the first")


def take_packet(schema, data):
    """The packet at the front of a bytearray, which is taken out; None: it is not whole yet."""
    end = frame_length(data)
    if end is None:
        return None
    name, header = schema.decode(bytes(data[:end]))
    if name != "PacketHeader":
        raise Broken(f"{name} where a packet should begin")
    ends = [end]
    for _ in range(header["MsgCount"]):
        length = frame_length(data, ends[-1])
        if length is None:
            return None
        ends.append(ends[-1] + length)
    messages = [schema.decode(bytes(data[start:end])) for start, end in zip(ends, ends[1:])]
    del data[: ends[-1]]
    return Packet(header, messages)


# Books.


class Book:
    """An instrument at a level of detail. Of each side: price → (quantity, orders), or by order: price → {order: quantity},
    the next to trade first."""

    def __init__(self, level):
        self.level, self.by_order = level, level == "MarketByOrder"
        self.sides = {"Buy": {}, "Sell": {}}
        self.orders = {}  # order → (side, price)
        self.phase = self.indicative = self.statistics = None

    def __eq__(self, other):
        # Queues are compared in their order, which dictionaries leave out.
        return all(
            getattr(self, name) == getattr(other, name) for name in ("level", "phase", "indicative", "statistics")
        ) and all(list(self.entries(side)) == list(other.entries(side)) for side in self.sides)

    def prices(self, side):
        """Best first."""
        return sorted(self.sides[side], reverse=side == "Buy")

    def entries(self, side, depth=None):
        """Best first: (price, quantity, orders), or by order (order, price, quantity)."""
        for price in self.prices(side)[:depth]:
            if self.by_order:
                for order, quantity in self.sides[side][price].items():
                    yield order, price, quantity
            else:
                yield price, *self.sides[side][price]

    def text(self):
        """The canonical text that a checksum covers."""
        depth = 1 if self.level == "BestBidOffer" else PROVEN_LEVELS
        lines = [
            f"{side[0]} {' '.join(map(str, entry))}\n"
            for side in ("Buy", "Sell")
            for entry in list(self.entries(side, depth))[: PROVEN_ORDERS if self.by_order else None]
        ]
        return "".join(line for line in lines).encode("ascii")

    def checksum(self):
        return int.from_bytes(hashlib.sha256(self.text()).digest()[:8], "little")

    def set_level(self, entry):
        self.sides[entry["Side"]][entry["MDEntryPx"]] = (entry["MDEntrySize"], entry["NumberOfOrders"])

    def set_order(self, entry):
        """At the back of its price."""
        self.delete_order(entry["OrderID"])
        side, price = entry["Side"], entry["MDEntryPx"]
        self.sides[side].setdefault(price, {})[entry["OrderID"]] = entry["MDEntrySize"]
        self.orders[entry["OrderID"]] = (side, price)

    def delete_order(self, order):
        side, price = self.orders.pop(order, (None, None))
        if side is not None:
            queue = self.sides[side][price]
            del queue[order]
            if not queue:
                del self.sides[side][price]

    def change_order(self, entry):
        action, order = entry["MDUpdateAction"], entry["OrderID"]
        if action == "Delete":
            self.delete_order(order)
        elif action == "New":
            self.set_order(entry)
        elif order in self.orders:
            side, price = self.orders[order]
            self.sides[side][price][order] = entry["MDEntrySize"]

    def apply(self, name, fields):
        """What a message does to the book. Trades do nothing: the levels or orders behind them say what they did."""
        if name == "MarketByPrice":
            for entry in fields["NoMDEntries"]:
                if entry["MDUpdateAction"] == "Delete":
                    self.sides[entry["Side"]].pop(entry["MDEntryPx"], None)
                else:
                    self.set_level(entry)
        elif name == "MarketByOrder":
            for entry in fields["NoMDEntries"]:
                self.change_order(entry)
        elif name == "BestBidOffer" and self.level == "BestBidOffer":
            for side, field in (("Buy", "Bid"), ("Sell", "Offer")):
                price, size = fields[field + "Px"], fields[field + "Size"]
                self.sides[side] = {} if price is None else {price: (size, fields[field + "Orders"])}
        elif name in ("SecurityStatus", "SecurityDefinition"):
            self.phase = fields["SecurityTradingStatus"]
            if fields.get("PhaseCause") == "Listing":
                self.indicative = None
        elif name == "AuctionIndicative":
            self.indicative = fields if fields["MDEntryPx"] is not None else None
        elif name == "AuctionResult":
            self.indicative = None
        elif name == "MarketStatistics":
            self.statistics = fields


class Snapshot:
    """A whole book: `next` is the first message behind it."""

    def __init__(self, schema, data):
        messages = [schema.decode(frame) for frame in frames(data)]
        names = [name for name, _ in messages]
        if names[:2] != ["SecurityDefinition", "SnapshotBegin"] or names[-1] != "SnapshotEnd":
            raise Broken("a snapshot without beginning or end")
        self.definition, begin, end = messages[0][1], messages[1][1], messages[-1][1]
        self.channel, self.last, self.request = begin["ChannelID"], begin["LastMsgSeqNumProcessed"], begin["MDReqID"]
        self.next = self.last + 1
        self.book = Book(begin["FeedLevel"])
        self.entry_count, self.is_equal = 0, None  # None: it has no checksum
        for name, fields in messages:
            if name in ("SnapshotLevels", "SnapshotOrders"):
                add = self.book.set_order if name == "SnapshotOrders" else self.book.set_level
                for entry in fields["NoMDEntries"]:
                    add(entry)
                    self.entry_count += 1
            elif name == "BookChecksum":
                self.is_equal = self.book.checksum() == fields["BookChecksum"]
            else:
                self.book.apply(name, fields)
        if self.entry_count != end["TotNumReports"] or self.last != end["LastMsgSeqNumProcessed"]:
            raise Broken("a snapshot that is not whole")


class Channel:
    """One instrument at one level: where its numbers stand."""

    def __init__(self, number):
        self.number, self.security, self.level = number, number >> 8, LEVEL_NAMES.get(number & 0xFF, "")
        self.book = None
        self.expected = None  # the next message; None: there is no book yet
        self.waiting = {}  # packets by the first message that they stand for
        self.sent, self.sent_at = 0, 0.0  # the venue has sent all messages before this one; known since
        self.is_bridging, self.bridge_to = False, 0  # a snapshot, of this or behind it, will replace what is missing
        self.kept = None  # a snapshot whose messages may only be late
        self.asked_until, self.asked_at = 0, 0.0  # what is before was asked for again
        self.wants_proof = False

    def hear(self, end, now):
        if end > self.sent:
            self.sent, self.sent_at = end, now

    def keep(self, packet, now):
        packet.came_at = now
        known = self.waiting.get(packet.stands_from)
        if known is None or known.next < packet.next:
            self.waiting[packet.stands_from] = packet
        while len(self.waiting) > WAITING_MAX:
            del self.waiting[min(self.waiting)]

    def next_command(self):
        """The packets of the next whole command, if it is their turn; they are taken out."""
        reach, command = self.expected, []
        if not self.waiting or min(self.waiting) > reach:
            return []
        for start in sorted(self.waiting):
            packet = self.waiting[start]
            if packet.next <= self.expected:
                del self.waiting[start]
            elif start > reach:
                return []
            else:
                command.append(start)
                reach = max(reach, packet.next)
                if not packet.continues:
                    return [self.waiting.pop(each) for each in command]
        return []

    def missing(self, since):
        """From the first to the last of the messages that are missing since then; None: none is."""
        reach, first, end = self.expected, None, None
        for start in sorted(self.waiting):
            packet = self.waiting[start]
            if start > reach and packet.came_at <= since:
                first, end = first or reach, start
            reach = max(reach, packet.next)
        if self.sent > reach and self.sent_at <= since:
            first, end = first or reach, self.sent
        return first and (first, end)


class Subscriber:
    """Books of packets and snapshots, in whatever order they come, without I/O. `requests` are to be sent, `news` is to be
    told; the time is handed in, in seconds."""

    def __init__(self, patience, asks_again=True):
        self.patience, self.asks_again = patience, asks_again
        self.channels = {}
        self.requests, self.news = [], []  # (name, fields, entries), and dictionaries
        self.request_count, self.asked = 0, {}  # what each request was for: (kind, channel)
        self.answering = None  # the channel whose packets are being sent again: one at a time
        self.counts = dict.fromkeys(
            "packets messages left_out gaps missed again snapshots notices equal different".split(), 0
        )
        self.rejected = 0

    # What is asked for.

    def subscribe(self, level, mode, securities):
        entries = [{"SecurityID": security} for security in securities]
        fields = {"FeedLevel": level, "DeliveryMode": mode, "SubscriptionRequestType": "Subscribe"}
        self.ask("subscribe", None, "Subscribe", fields, entries)

    def ask(self, kind, channel, name, fields, entries=()):
        self.request_count += 1
        request = self.request_count
        self.asked[request] = (kind, channel)
        self.asked.pop(request - UNANSWERED_MAX, None)
        self.requests.append((name, {"MDReqID": request, **fields}, entries))

    def ask_for_snapshot(self, channel, kind="snapshot"):
        self.ask(kind, channel, "SnapshotRequest", {"SecurityID": channel.security, "FeedLevel": channel.level})

    def bridge(self, channel):
        """What is missing is not to be had: a snapshot is, and may be there already."""
        self.answering = None if self.answering is channel else self.answering
        if channel.kept is not None:
            self.adopt(channel, channel.kept)
            self.go_on(channel)
        else:
            channel.is_bridging, channel.bridge_to = True, 0
            self.tell("bridging", channel, expected=channel.expected)
            self.ask_for_snapshot(channel)

    def ask_for_proof(self):
        """Of every channel: its next snapshot is compared with its book."""
        for channel in self.channels.values():
            channel.wants_proof = True
            self.ask_for_snapshot(channel, "proof")

    def is_proven(self):
        return all(not channel.wants_proof for channel in self.channels.values())

    def tell(self, event, channel, **more):
        self.news.append({"event": event, "channel": channel.number, **more})

    def channel(self, number):
        return self.channels.setdefault(number, Channel(number))

    # What comes.

    def packet(self, packet, now):
        channel = self.channel(packet.channel)
        channel.hear(packet.next, now)
        self.counts["packets"] += 1
        # One that only leaves messages out stands for them all the same; any other without messages is a heartbeat.
        stands_for_some = packet.next > packet.stands_from
        if stands_for_some and (channel.expected is None or packet.next > channel.expected):
            self.counts["left_out"] += packet.first - packet.stands_from
            channel.keep(packet, now)
        self.go_on(channel)

    def go_on(self, channel):
        while channel.expected is not None:
            command = channel.next_command()
            if not command:
                break
            for packet in command:
                self.apply(channel, packet)
                if channel.expected is None:
                    return
        self.compare_kept(channel)

    def apply(self, channel, packet):
        for number, (name, fields) in enumerate(packet.messages, packet.first):
            if not packet.conflated and number < channel.expected:
                continue
            self.counts["messages"] += 1
            self.news.append({"message": name, "channel": channel.number, "number": number, **fields})
            channel.book.apply(name, fields)
            if name == "BookChecksum":
                checksum, last = channel.book.checksum(), fields["LastMsgSeqNumProcessed"]
                self.judge(channel, "checksum", checksum == fields["BookChecksum"], last=last, checksum=checksum)
                if channel.expected is None:
                    return
        channel.expected = packet.next

    def judge(self, channel, what, is_equal, **more):
        """A book that is not the venue's is dropped."""
        self.counts["equal" if is_equal else "different"] += 1
        self.tell(what, channel, equal=is_equal, **more)
        if not is_equal:
            channel.expected = None
            self.ask_for_snapshot(channel)

    def snapshot(self, snapshot, now):
        channel = self.channel(snapshot.channel)
        channel.hear(snapshot.next, now)
        self.counts["snapshots"] += 1
        self.tell("snapshot", channel, last=snapshot.last, entries=snapshot.entry_count, equal=snapshot.is_equal)
        if snapshot.is_equal is not None:
            self.counts["equal" if snapshot.is_equal else "different"] += 1
        if snapshot.is_equal is False:
            self.ask_for_snapshot(channel)
            return
        is_needed = channel.is_bridging and snapshot.next >= channel.bridge_to
        if channel.expected is None or is_needed and snapshot.next > channel.expected:
            self.adopt(channel, snapshot)
        elif snapshot.next >= channel.expected:
            channel.kept = snapshot
        elif channel.wants_proof:
            self.ask_for_snapshot(channel, "proof")  # messages behind it have overtaken it
        if is_needed:
            channel.is_bridging = False
        self.go_on(channel)

    def adopt(self, channel, snapshot):
        if channel.expected is not None:
            missed = snapshot.next - channel.expected
            self.counts["gaps"] += 1
            self.counts["missed"] += missed
            self.tell("gap", channel, first=channel.expected, count=missed)
        channel.book, channel.expected = snapshot.book, snapshot.next
        channel.kept, channel.is_bridging = None, False
        if channel.wants_proof:
            self.ask_for_snapshot(channel, "proof")

    def compare_kept(self, channel):
        kept = channel.kept
        if kept is None or channel.expected is None or channel.expected < kept.next:
            return
        channel.kept = None
        if channel.expected == kept.next:
            channel.wants_proof = False
            self.judge(channel, "whole book", channel.book == kept.book, last=kept.last)
        elif channel.wants_proof:
            self.ask_for_snapshot(channel, "proof")

    def control(self, name, fields):
        if name == "SubscribeAck":
            channel = self.channel(fields["ChannelID"])
            self.tell("subscribed", channel, next=fields["ApplNextSeqNum"])
        elif name == "GapNotice":
            channel = self.channel(fields["ChannelID"])
            self.counts["notices"] += 1
            first, count = fields["ApplBegSeqNum"], fields["Count"]
            self.tell("gap notice", channel, first=first, count=count, cause=fields["GapCause"])
            if channel.expected is not None and channel.expected < first + count:
                channel.is_bridging, channel.bridge_to = True, first + count
                if channel.kept is not None and channel.kept.next >= first + count:
                    self.adopt(channel, channel.kept)
                    self.go_on(channel)
        elif name == "SubscribeReject":
            self.refused(fields)

    def refused(self, fields):
        kind, channel = self.asked.get(fields["MDReqID"], ("unknown", None))
        reason = fields["MDReqRejReason"]
        security, number = fields["SecurityID"], channel and channel.number
        self.news.append({"event": "refused", "what": kind, "reason": reason, "security": security, "channel": number})
        self.answering = None if kind == "again" else self.answering
        if kind == "again" and reason == "Busy":
            channel.asked_until = 0
        elif kind == "again" and channel.expected is not None and not channel.is_bridging:
            self.bridge(channel)
        elif kind in ("subscribe", "unknown"):
            self.rejected += 1
        # A snapshot that is refused as busy is on its way.

    # What does not come.

    def look(self, channel, now):
        """Whether something has been missing for too long."""
        if self.answering is channel and (channel.expected is None or channel.expected >= channel.asked_until):
            self.answering = None
        if channel.expected is None or channel.is_bridging:
            return
        hole = channel.missing(now - self.patience)
        if hole is None:
            return
        first, end = hole
        is_asked = first < channel.asked_until
        if not is_asked and self.asks_again and end - first <= ASKED_MAX:
            if self.answering is None:
                self.ask_again(channel, first, end, now)
        elif not is_asked or now - channel.asked_at >= ANSWERED_WITHIN:
            self.bridge(channel)

    def ask_again(self, channel, first, end, now):
        self.answering, channel.asked_until, channel.asked_at = channel, end, now
        self.counts["again"] += 1
        self.tell("lost", channel, first=first, count=end - first)
        request = {"ChannelID": channel.number, "ApplBegSeqNum": first, "Count": end - first}
        self.ask("again", channel, "PacketRetransmitRequest", request)

    def tick(self, now):
        for channel in self.channels.values():
            self.look(channel, now)

    def books(self):
        """What is known, one dictionary a channel."""
        for number, channel in sorted(self.channels.items()):
            if channel.book is not None:
                book = channel.book
                sides = {name: list(book.entries(side)) for name, side in (("bids", "Buy"), ("offers", "Sell"))}
                yield {
                    "event": "book",
                    "channel": number,
                    "security": channel.security,
                    "level": channel.level,
                    "last": (channel.expected or 0) - 1,
                    "phase": book.phase,
                    **sides,
                    "checksum": book.checksum(),
                }


# QUIC.


class Connection(QuicConnectionProtocol):
    """One connection: lanes in, requests out."""

    def __init__(self, *arguments, schema, subscriber, begin, key=None, drop=0, **more):
        super().__init__(*arguments, **more)
        self.schema, self.subscriber, self.begin, self.key, self.drop = schema, subscriber, begin, key, drop
        self.control_stream, self.control_buffer = None, bytearray()
        self.streams = {}  # what came on the venue's streams and is not used yet
        self.packet_count = self.dropped = 0
        self.ended = asyncio.get_event_loop().create_future()
        self.pinged_at = self.now()

    @staticmethod
    def now():
        return asyncio.get_event_loop().time()

    def open(self):
        """Opens the control lane, and logs on if there is a key."""
        self.control_stream = self._quic.get_next_available_stream_id()
        if self.key is None:
            self.begin()
        else:
            self.subscriber.requests.append(("Logon", {"KeyID": self.key["key"]}, ()))
        self.flush()

    def flush(self):
        """Sends what the subscriber asks for."""
        for name, fields, entries in self.subscriber.requests:
            self._quic.send_stream_data(self.control_stream, self.schema.encode(name, fields, entries))
        self.subscriber.requests.clear()
        self.transmit()

    def tick(self):
        now = self.now()
        self.subscriber.tick(now)
        if now - self.pinged_at >= KEEP_ALIVE:
            self.pinged_at = now
            self._quic.send_ping(int(now))
        self.flush()

    def quic_event_received(self, event):
        try:
            if isinstance(event, DatagramFrameReceived):
                self.take_packets(bytearray(event.data), is_whole=True)
            elif isinstance(event, StreamDataReceived) and event.stream_id == self.control_stream:
                self.take_control(event.data)
            elif isinstance(event, StreamDataReceived):
                self.take_stream(event.stream_id, event.data, event.end_stream)
            elif isinstance(event, StreamReset):
                self.streams.pop(event.stream_id, None)
            elif isinstance(event, ConnectionTerminated):
                self.end(event)
        except Broken as error:
            self.finish({"event": "broken", "reason": str(error)})
            self.close()

    def end(self, event):
        reason = event.reason_phrase or CLOSED.get(event.error_code, "")
        # A close of the venue's own has no frame type.
        code = event.error_code if event.frame_type is None else None
        self.finish({"event": "closed", "code": code, "reason": reason or f"QUIC error {event.error_code}"})

    def finish(self, why):
        if not self.ended.done():
            self.ended.set_result(why)

    def take_control(self, data):
        self.control_buffer += data
        while (length := frame_length(self.control_buffer)) is not None:
            name, fields = self.schema.decode(bytes(self.control_buffer[:length]))
            del self.control_buffer[:length]
            if name == "LogonChallenge":
                self.subscriber.requests.append(("LogonSignature", {"Signature": self.sign(fields)}, ()))
            elif name == "LogonAck":
                self.subscriber.news.append({"event": "logged on", "key": fields["KeyID"]})
                self.begin()
            else:
                self.subscriber.control(name, fields)
        self.flush()

    def sign(self, challenge):
        if self.key is None:
            raise Broken("a challenge without a logon")
        lines = ["Rialto Market Data Logon 1", f"KeyID={self.key['key']}"]
        lines += [f"{field}={challenge[field]}" for field in ("ChallengeHigh", "ChallengeLow")]
        text = "".join(line + "\n" for line in lines)
        return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(self.key["secret"])).sign(text.encode("ascii"))

    def take_stream(self, stream, data, is_end):
        """A stream with SecurityDefinition in front is a snapshot, one with PacketHeader has packets."""
        buffer = self.streams.setdefault(stream, bytearray())
        buffer += data
        if len(buffer) > SNAPSHOT_BYTES_MAX:
            raise Broken("a packet or snapshot that is too long")
        if len(buffer) >= HEADERS:
            template = HEADER.unpack_from(buffer, FRAMING.size)[1]
            if template != self.schema.messages["SecurityDefinition"][0]:
                self.take_packets(buffer, is_whole=is_end)
            elif is_end:
                self.subscriber.snapshot(Snapshot(self.schema, buffer), self.now())
        if is_end:
            del self.streams[stream]
        self.flush()

    def take_packets(self, buffer, is_whole):
        while (packet := take_packet(self.schema, buffer)) is not None:
            if self.is_dropped(packet):
                self.dropped += 1
                dropped = {"event": "dropped", "channel": packet.channel, "first": packet.first}
                self.subscriber.news.append({**dropped, "count": packet.next - packet.first})
            else:
                self.subscriber.packet(packet, self.now())
        if is_whole and buffer:
            raise Broken("a packet is cut off")

    def is_dropped(self, packet):
        """One packet of so many is thrown away; what was asked for again is not, nor are heartbeats."""
        if self.drop == 0 or packet.again or not packet.messages:
            return False
        self.packet_count += 1
        return self.packet_count % self.drop == 0


# The command line.


def parse():
    parser = argparse.ArgumentParser(description="Takes market data of a venue, and proves it.")
    parser.add_argument("instruments", nargs="*", type=int, help="their SecurityIDs; none: all")
    parser.add_argument("--data", type=pathlib.Path, help="the venue's data folder: its address and certificate are there")
    parser.add_argument("--address", help="HOST:PORT instead")
    parser.add_argument("--certificate", type=pathlib.Path, help="PEM of who is trusted, instead")
    parser.add_argument("--server-name", help="that the certificate has to have; default: the host of --address, or localhost")
    parser.add_argument("--key", type=pathlib.Path, help="a key file to log on with")
    parser.add_argument("--client-certificate", type=pathlib.Path, help="PEM, with --client-key")
    parser.add_argument("--client-key", type=pathlib.Path, help="PEM")
    parser.add_argument("--level", choices=LEVELS, default="MarketByPrice")
    parser.add_argument("--mode", choices=MODES, default="streams")
    parser.add_argument("--drop", type=int, default=0, metavar="N", help="throw away one packet of N on purpose; 0: none")
    parser.add_argument("--no-again", action="store_true", help="bridge a gap with a snapshot, without asking for packets")
    parser.add_argument("--patience", type=float, help="seconds that a missing packet may be late")
    parser.add_argument("--seconds", type=float, help="end after so many; default: when interrupted")
    parser.add_argument("--until-eof", action="store_true", help="end when the standard input does")
    parser.add_argument("--quiet", action="store_true", help="print no messages, only events and books")
    parser.add_argument("--schema", type=pathlib.Path, default=SCHEMA)
    arguments = parser.parse_args()
    if arguments.data is None and (arguments.address is None or arguments.certificate is None):
        parser.error("--data is needed, or --address and --certificate")
    if (arguments.client_certificate is None) != (arguments.client_key is None):
        parser.error("--client-certificate and --client-key go together")
    return arguments


def place(arguments):
    """Host, port, and the name that the certificate has to have."""
    address, name = arguments.address, arguments.server_name
    if address is None:
        address = json.loads((arguments.data / "venue.json").read_text())["market_data"]
        name = name or "localhost"
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    if name is None:
        name = host
    try:
        # Who listens everywhere is reached on this machine.
        if ipaddress.ip_address(host).is_unspecified:
            host = "::1" if ":" in host else "127.0.0.1"
    except ValueError:
        pass
    return host, int(port), name


def show(subscriber, is_quiet):
    for each in subscriber.news:
        if not (is_quiet and "message" in each):
            print(json.dumps(each, default=str))
    sys.stdout.flush()
    subscriber.news.clear()


def stop_when_told(arguments, loop, stop):
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if arguments.seconds is not None:
        loop.call_later(arguments.seconds, stop.set)
    if arguments.until_eof:
        source = sys.stdin.fileno()

        def read():
            if not os.read(source, 4096):
                loop.remove_reader(source)
                stop.set()

        loop.add_reader(source, read)


async def serve(link, arguments, until):
    """Takes what comes until then, or until the connection ends: whether it has not."""
    while not until() and not link.ended.done():
        await asyncio.wait([link.ended], timeout=TICK)
        link.tick()
        show(link.subscriber, arguments.quiet)
        named = len(arguments.instruments)
        if link.subscriber.rejected and (link.subscriber.rejected >= named or not link.subscriber.channels):
            link.finish({"event": "ended", "reason": "nothing is shown"})
    return not link.ended.done()


async def run(arguments):
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    host, port, name = place(arguments)
    key = json.loads(arguments.key.read_text()) if arguments.key else None
    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=["rialto-md/1"], server_name=name, max_datagram_frame_size=65_535, idle_timeout=15
    )
    configuration.load_verify_locations(cafile=str(arguments.certificate or arguments.data / "certificate.pem"))
    if arguments.client_certificate:
        configuration.load_cert_chain(arguments.client_certificate, arguments.client_key)
    mode = MODES[arguments.mode]
    patience = arguments.patience or (0.1 if mode == "Datagrams" else 2.0)
    subscriber = Subscriber(patience, asks_again=not arguments.no_again)
    begin = functools.partial(subscriber.subscribe, arguments.level, mode, arguments.instruments)
    make = functools.partial(
        Connection, schema=Schema(arguments.schema), subscriber=subscriber, begin=begin, key=key, drop=arguments.drop
    )
    stop_when_told(arguments, loop, stop)
    async with connect(host, port, configuration=configuration, create_protocol=make) as link:
        link.open()
        is_there = await serve(link, arguments, stop.is_set)
        if is_there:
            # Nothing is thrown away any more, and the whole book is compared.
            link.drop, until = 0, loop.time() + PROVEN_WITHIN
            subscriber.ask_for_proof()
            is_there = await serve(link, arguments, lambda: subscriber.is_proven() or loop.time() > until)
    show(subscriber, arguments.quiet)
    return summary(subscriber, link, is_there)


def summary(subscriber, link, is_there):
    """Prints the books and what came to what; the exit code."""
    for book in subscriber.books():
        print(json.dumps(book))
    why = {} if is_there else link.ended.result()
    is_equal = subscriber.counts["different"] == 0 and (subscriber.is_proven() or not is_there)
    print(json.dumps({**why, "event": why.get("event", "done"), "dropped": link.dropped, **subscriber.counts, "equal_all": is_equal}))
    if not is_equal:
        return 1
    return 0 if is_there and not subscriber.rejected else 2


def main():
    try:
        return asyncio.run(run(parse()))
    except (OSError, Broken) as error:
        print(f"rialto_market_data.py: {str(error) or 'the venue does not answer, or is not who is trusted'}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
