//! Packets of a feed over a link that loses and reorders, to subscribers that join at any time.

mod common;

use std::collections::BTreeMap;

use common::*;
use engine::command::*;
use engine::event::{IndicativeChanged, Uncrossed};
use engine::instrument::Phase;
use engine::*;
use marketdata::packet::{self, PACKET_BYTES_MAX};
use marketdata::{Feed, Outbox, Packet, Patience, Request, Subscription, Update, channel_of};
use wire::market_data::{
    AuctionIndicative, AuctionResult, MarketDataMessage, PacketRetransmitRequest, SubscribeReject,
};
use wire::{Block, FeedLevel, FeedSequence, PacketFlags, SecurityId, SubscribeRejectReason};

const NOW: wire::Timestamp = wire::Timestamp(7);

struct Venue {
    engine: Engine,
    feed: Feed,
}

impl Venue {
    fn open() -> Self {
        let mut venue = Self { engine: Engine::new(Capacity::SMALL), feed: heard() };
        for book in BOOKS {
            venue.apply(listing(book));
        }
        venue.apply(account());
        venue
    }

    /// Applies a command; gives its packets and its trades.
    fn apply(&mut self, body: impl Into<CommandBody>) -> (Vec<Packet>, Vec<TradeId>) {
        let stamp = Stamp { sequence: self.engine.last().sequence.next(), time: Timestamp(1) };
        let mut events = Vec::new();
        self.engine.apply(&Sequenced { stamp, value: Command::from_venue(body) }, &mut events);
        events.iter().for_each(|(header, event)| self.feed.event(header, event));
        self.feed.end_of_command();
        let trade = |(_, event): &(EventHeader, Event)| match event {
            Event::Trade(trade) => Some(trade.trade_id),
            _ => None,
        };
        (self.feed.packets(NOW), events.iter().filter_map(trade).collect())
    }
}

/// Loses some packets and gives others late.
struct Link {
    random: Random,
    loss_percent: u64,
    late: Vec<Packet>,
}

impl Link {
    fn pass(&mut self, packets: Vec<Packet>) -> Vec<Packet> {
        let mut arrived = Vec::new();
        for packet in packets {
            match self.random.below(100) {
                chance if chance < self.loss_percent => {}
                chance if chance < 40 => self.late.push(packet),
                _ => arrived.push(packet),
            }
        }
        while !self.late.is_empty() && self.random.below(3) == 0 {
            arrived.push(self.late.swap_remove(self.random.below(self.late.len() as u64) as usize));
        }
        arrived
    }
}

struct Subscriber {
    subscription: Subscription,
    link: Link,
    level: FeedLevel,
    joins_at: u64,
    trades: Vec<wire::TradeId>,
}

impl Subscriber {
    fn take(&mut self, packets: Vec<Packet>, feed: &Feed) {
        let ours: Vec<_> = BOOKS.iter().filter_map(|&book| channel_of(book, self.level)).collect();
        for packet in packets {
            if ours.contains(&packet.channel_id) {
                self.subscription.packet(packet.bytes).unwrap();
            }
        }
        while let Some(request) = self.subscription.next_request() {
            match request {
                Request::Snapshot(request) => self.snapshot(feed, request.security_id.try_into().unwrap()),
                Request::Again(request) => self.refuse(&request),
            }
        }
        while let Some(update) = self.subscription.next_update() {
            if let Update::Trade(trade) = update {
                self.trades.push(trade.trade_id);
            }
        }
    }

    /// Nothing is kept.
    fn refuse(&mut self, request: &PacketRetransmitRequest) {
        let request_id = request.request_id;
        let reject = SubscribeReject { request_id, reason: SubscribeRejectReason::TooOld, ..SubscribeReject::BLANK };
        self.subscription.control(&MarketDataMessage::SubscribeReject(reject));
    }

    fn snapshot(&mut self, feed: &Feed, book: InstrumentId) {
        self.subscription.snapshot(&feed.snapshot(book, self.level, None).unwrap().bytes()).unwrap();
    }
}

fn sequence_behind(feed: &Feed, book: InstrumentId, level: FeedLevel) -> FeedSequence {
    FeedSequence(feed.snapshot(book, level, None).unwrap().next_sequence.0 - 1)
}

#[test]
fn every_subscriber_rebuilds_the_engines_book_whatever_the_link_does() {
    for seed in 1..=12_u64 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let mut venue = Venue::open();
        let mut subscribers: Vec<Subscriber> = (0..4)
            .map(|index| Subscriber {
                subscription: Subscription::new(Patience { packets: 16, waiting_max: 24 }),
                link: Link { random: Random(seed << 8 | index), loss_percent: index * 4, late: Vec::new() },
                level: FeedLevel::MarketByPrice,
                joins_at: random.below(400),
                trades: Vec::new(),
            })
            .collect();
        let mut compared = 0;
        for name in 1..=1_000 {
            let (packets, _) = venue.apply(command(&mut random, name));
            for subscriber in &mut subscribers {
                // The live packets come before the snapshot, and what both have is taken once.
                let arrived = if name > 950 { packets.clone() } else { subscriber.link.pass(packets.clone()) };
                subscriber.take(arrived, &venue.feed);
                if name == subscriber.joins_at + 1 {
                    for book in BOOKS {
                        subscriber.snapshot(&venue.feed, book);
                    }
                }
                for book in BOOKS {
                    let Some(rebuilt) = subscriber.subscription.book(book.into()) else { continue };
                    if rebuilt.last_sequence() == sequence_behind(&venue.feed, book, subscriber.level) {
                        assert!(is_engines(rebuilt, &venue.engine, book), "seed {seed}, command {name}");
                        compared += 1;
                    }
                }
            }
        }
        for subscriber in &mut subscribers {
            let late = core::mem::take(&mut subscriber.link.late);
            subscriber.take(late, &venue.feed);
            for book in BOOKS {
                subscriber.snapshot(&venue.feed, book);
            }
            for book in BOOKS {
                let rebuilt = subscriber.subscription.book(book.into()).unwrap();
                assert!(is_engines(rebuilt, &venue.engine, book), "seed {seed}");
            }
            assert_eq!(subscriber.subscription.sent_at(), Some(NOW), "seed {seed}");
        }
        let gaps = subscribers.iter().map(|subscriber| subscriber.subscription.gaps().gaps);
        assert!(gaps.sum::<u64>() > 0, "seed {seed}: nothing was lost");
        assert!(compared > 500, "seed {seed}: only {compared} books were compared");
    }
}

/// A command's first packets had come and waited for the rest, which was lost: nothing before them was missing, so that
/// nothing was asked for, and the book stood still for good.
#[test]
fn a_packet_that_is_lost_within_a_command_is_asked_for() {
    let mut venue = Venue::open();
    let channel_id = channel_of(BOOKS[0], FeedLevel::MarketByPrice).unwrap();
    let patience = Patience { packets: 2, waiting_max: 100 };
    let mut subscription = Subscription::new(patience);
    subscription.snapshot(&venue.feed.snapshot(BOOKS[0], FeedLevel::MarketByPrice, None).unwrap().bytes()).unwrap();
    let ours = |venue: &mut Venue, body: CommandBody| -> Vec<Packet> {
        let (packets, _) = venue.apply(body);
        packets.into_iter().filter(|packet| packet.channel_id == channel_id).collect()
    };
    // So many levels that what cancels them all is more than two packets.
    let mut packets = Vec::new();
    for price in 1..=200 {
        packets.extend(ours(&mut venue, order(BOOKS[0], Side::Buy, price, 1, price).into()));
    }
    packets.into_iter().for_each(|packet| subscription.packet(packet.bytes).unwrap());
    let all = MassCancel {
        account: ACCOUNT,
        instrument: BOOKS[0],
        side: None,
        entered_by: SessionId::NONE,
        client_order_id: ClientOrderId::NONE,
        note: AdminNote::NONE,
    };
    let parts = ours(&mut venue, all.into());
    assert!(parts.len() > 2 && parts[0].continues() && parts[1].continues());
    subscription.packet(parts[0].bytes.clone()).unwrap();
    parts[2..].iter().for_each(|packet| subscription.packet(packet.bytes.clone()).unwrap());
    for price in 1..=3 {
        let behind = ours(&mut venue, order(BOOKS[0], Side::Sell, 300 + price, 1, 300 + price).into());
        behind.into_iter().for_each(|packet| subscription.packet(packet.bytes).unwrap());
    }
    let Some(Request::Again(request)) = subscription.next_request() else { panic!("nothing was asked for") };
    assert_eq!((request.channel_id, request.from_sequence), (channel_id, parts[1].first_sequence));
    assert_eq!(request.count.0, parts[1].next_sequence.0 - parts[1].first_sequence.0);
    subscription.packet(parts[1].again()).unwrap();
    let book = subscription.book(BOOKS[0].into()).unwrap();
    assert!(is_engines(book, &venue.engine, BOOKS[0]));
    assert_eq!((subscription.gaps().gaps, subscription.next_request()), (0, None));
}

#[test]
fn a_link_that_only_reorders_loses_no_trade() {
    for seed in 1..=6_u64 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let mut venue = Venue::open();
        let link = |random| Link { random, loss_percent: 0, late: Vec::new() };
        let mut subscribers = [FeedLevel::Trades, FeedLevel::BestBidOffer, FeedLevel::MarketByPrice].map(|level| {
            let subscription = Subscription::default();
            let link = link(Random(seed + 100));
            Subscriber { subscription, link, level, joins_at: 0, trades: Vec::new() }
        });
        for subscriber in &mut subscribers {
            for book in BOOKS {
                subscriber.snapshot(&venue.feed, book);
            }
        }
        let mut trades = Vec::new();
        for name in 1..=600 {
            let (packets, traded) = venue.apply(command(&mut random, name));
            trades.extend(traded);
            for subscriber in &mut subscribers {
                let arrived = subscriber.link.pass(packets.clone());
                subscriber.take(arrived, &venue.feed);
            }
        }
        trades.sort();
        for subscriber in &mut subscribers {
            let late = core::mem::take(&mut subscriber.link.late);
            subscriber.take(late, &venue.feed);
            // Channels overtake each other, and so do their trades.
            subscriber.trades.sort();
            assert!(subscriber.trades.iter().map(|trade| trade.0).eq(trades.iter().map(|trade| trade.0)));
            assert_eq!(subscriber.subscription.gaps().gaps, 0);
        }
        let [_, best, _] = &subscribers;
        for (book, side) in BOOKS.into_iter().flat_map(|book| Side::BOTH.map(|side| (book, side))) {
            let top = levels(&venue.engine, book, side).into_iter().take(1);
            assert!(best.subscription.book(book.into()).unwrap().levels(side.into()).eq(top), "seed {seed}");
        }
    }
}

#[test]
fn packets_are_short_and_numbered_without_gaps_and_commands_are_whole_or_marked() {
    let mut venue = Venue::open();
    let mut next = BTreeMap::from(BOOKS.map(|book| (channel_of(book, FeedLevel::MarketByPrice).unwrap(), 2)));
    let mut parts = 0;
    let mut check = |packets: Vec<Packet>| {
        for packet in packets {
            assert!(packet.bytes.len() <= PACKET_BYTES_MAX);
            assert_eq!(packet::length(&packet.bytes).unwrap(), Some(packet.bytes.len()));
            let (header, frames) = packet::open(&packet.bytes).unwrap();
            assert_eq!((header.channel_id, header.sending_time), (packet.channel_id, NOW));
            let continues = header.flags.0 & PacketFlags::EVENT_CONTINUES.0 != 0;
            parts += usize::from(continues);
            let journalled: Vec<_> = frames.map(|message| journal_sequence(message.unwrap())).collect();
            assert!(journalled.iter().all(|sequence| *sequence == journalled[0]), "one command was applied");
            if let Some(next) = next.get_mut(&packet.channel_id) {
                assert_eq!((packet.first_sequence.0, journalled.len()), (*next, usize::from(header.message_count.0)));
                *next = packet.next_sequence.0;
            }
        }
    };
    for name in 1..=120 {
        check(venue.apply(order(BOOKS[0], Side::Sell, 100 + name, 1, name)).0);
    }
    // 120 trades and 120 levels in one command.
    let (packets, trades) = venue.apply(order(BOOKS[0], Side::Buy, 1_000, 200, 1_000));
    assert_eq!(trades.len(), 120);
    let ours =
        packets.iter().filter(|packet| Some(packet.channel_id) == channel_of(BOOKS[0], FeedLevel::MarketByPrice));
    let flags: Vec<bool> = ours
        .map(|packet| packet::open(&packet.bytes).unwrap().0.flags.0 & PacketFlags::EVENT_CONTINUES.0 != 0)
        .collect();
    assert!(flags.len() > 5 && flags[..flags.len() - 1].iter().all(|&it| it) && !flags[flags.len() - 1], "{flags:?}");
    check(packets);
    assert!(parts > 0);
}

fn journal_sequence(message: MarketDataMessage<'_>) -> Option<wire::JournalSequence> {
    match message {
        MarketDataMessage::MarketByPrice(message, _) => message.journal_sequence,
        MarketDataMessage::MarketByOrder(message, _) => message.journal_sequence,
        MarketDataMessage::MarketStatistics(message) => message.journal_sequence,
        MarketDataMessage::BestBidOffer(message) => message.journal_sequence,
        MarketDataMessage::Trade(message) => message.journal_sequence,
        other => panic!("{other:?}"),
    }
}

#[test]
fn several_commands_share_a_packet() {
    let mut venue = Venue::open();
    let mut events = Vec::new();
    for name in 1..=3 {
        let stamp = Stamp { sequence: venue.engine.last().sequence.next(), time: Timestamp(1) };
        let value = Command::from_venue(order(BOOKS[0], Side::Buy, name, 1, name));
        venue.engine.apply(&Sequenced { stamp, value }, &mut events);
    }
    events.iter().for_each(|(header, event)| venue.feed.event(header, event));
    venue.feed.end_of_command();
    let packets = venue.feed.packets(NOW);
    let depth = channel_of(BOOKS[0], FeedLevel::MarketByPrice).unwrap();
    let [packet] = packets.iter().filter(|packet| packet.channel_id == depth).collect::<Vec<_>>()[..] else {
        panic!("{packets:?}")
    };
    assert_eq!(packet::open(&packet.bytes).unwrap().0.message_count.0, 6);
}

#[test]
fn a_feed_of_a_recovered_engine_goes_on_with_its_books() {
    let mut venue = Venue::open();
    venue.apply(order(BOOKS[0], Side::Buy, 100, 5, 1));
    venue.feed = heard_of(&venue.engine);
    let mut subscription = Subscription::default();
    let snapshot = venue.feed.snapshot(BOOKS[0], FeedLevel::MarketByPrice, None).unwrap();
    assert_eq!(snapshot.next_sequence, FeedSequence(1));
    subscription.snapshot(&snapshot.bytes()).unwrap();
    for packet in venue.apply(order(BOOKS[0], Side::Sell, 100, 2, 2)).0 {
        if packet.channel_id == snapshot.channel_id {
            subscription.packet(packet.bytes).unwrap();
        }
    }
    assert!(is_engines(subscription.book(SecurityId(1)).unwrap(), &venue.engine, BOOKS[0]));
    let Some(Update::Definition(definition)) = subscription.next_update() else { panic!("no definition") };
    assert_eq!((definition.tick, definition.price_exponent), (wire::Price(25), wire::Exponent(-2)));
    assert_eq!((definition.lot, definition.quantity_exponent), (wire::Quantity(10), wire::Exponent(-3)));
}

/// What a subscriber that joined at the beginning and one that joins now are told, at a level.
fn told(venue: &mut Venue, level: FeedLevel, events: &[Event]) -> [Vec<Update>; 2] {
    let mut subscription = Subscription::default();
    subscription.snapshot(&venue.feed.snapshot(BOOKS[0], level, None).unwrap().bytes()).unwrap();
    core::iter::from_fn(|| subscription.next_update()).for_each(drop);
    let id = EventId { sequence: venue.engine.last().sequence.next(), index: 0 };
    for (index, event) in (0..).zip(events) {
        let header = EventHeader { id: EventId { index, ..id }, time: Timestamp(9), received_at: Timestamp::NONE };
        venue.feed.event(&header, event);
    }
    venue.feed.end_of_command();
    for packet in venue.feed.packets(NOW) {
        if Some(packet.channel_id) == channel_of(BOOKS[0], level) {
            subscription.packet(packet.bytes).unwrap();
        }
    }
    let mut late = Subscription::default();
    late.snapshot(&venue.feed.snapshot(BOOKS[0], level, None).unwrap().bytes()).unwrap();
    let is_news = |update: &Update| !matches!(update, Update::Proven { .. });
    [&mut subscription, &mut late].map(|it| core::iter::from_fn(|| it.next_update()).filter(is_news).collect())
}

#[test]
fn an_indicative_is_told_to_who_is_there_and_who_comes_until_the_auction_ends() {
    let instrument = BOOKS[0];
    let indicative = |price, volume, surplus_side, surplus| -> Event {
        IndicativeChanged { instrument, price, volume, surplus_side, surplus }.into()
    };
    let expected = AuctionIndicative {
        security_id: SecurityId(1),
        transact_time: wire::Timestamp(9),
        journal_sequence: Some(wire::JournalSequence(4)),
        price: Some(wire::Price(100 * TICK)),
        quantity: wire::Quantity(250 * LOT),
        surplus: wire::Quantity(10 * LOT),
        surplus_side: Some(wire::Side::Sell),
    };
    let changed = [indicative(Price(100), Quantity(250), Some(Side::Sell), Quantity(10))];
    for level in [FeedLevel::BestBidOffer, FeedLevel::MarketByPrice] {
        let mut venue = Venue::open();
        let [live, late] = told(&mut venue, level, &changed);
        assert_eq!(live, [Update::Indicative(expected)]);
        assert!(
            matches!(late[..], [Update::Definition(_), Update::Book { .. }, Update::Indicative(found)] if found == expected)
        );

        // Nothing would trade any more.
        let [live, late] = told(&mut venue, level, &[indicative(Price::ABSENT, Quantity::ZERO, None, Quantity::ZERO)]);
        let nothing = AuctionIndicative {
            price: None,
            quantity: wire::Quantity(0),
            surplus: wire::Quantity(0),
            surplus_side: None,
            ..expected
        };
        assert_eq!(live, [Update::Indicative(nothing)]);
        assert!(matches!(late[..], [Update::Definition(_), Update::Book { .. }]));

        told(&mut venue, level, &changed);
        let uncrossed = Uncrossed {
            instrument,
            phase: Phase::OpeningCall,
            price: Price(100),
            volume: Quantity(250),
            surplus_side: Some(Side::Sell),
            surplus: Quantity(10),
        };
        let [live, late] = told(&mut venue, level, &[uncrossed.into()]);
        let result = AuctionResult {
            security_id: SecurityId(1),
            transact_time: wire::Timestamp(9),
            journal_sequence: Some(wire::JournalSequence(4)),
            price: expected.price,
            quantity: expected.quantity,
            surplus: expected.surplus,
            event_index: wire::EventIndex(0),
            surplus_side: expected.surplus_side,
            phase: wire::Phase::OpeningCall,
        };
        assert_eq!(live, [Update::Auction(result)]);
        assert!(matches!(late[..], [Update::Definition(_), Update::Book { .. }]));
    }
    // The tape alone tells results only.
    let mut venue = Venue::open();
    let [live, late] = told(&mut venue, FeedLevel::Trades, &changed);
    assert!(live.is_empty() && matches!(late[..], [Update::Definition(_), Update::Book { .. }]));
}

#[test]
fn volumes_beyond_the_wires_integers_are_the_greatest() {
    let mut venue = Venue::open();
    let changed = IndicativeChanged {
        instrument: BOOKS[0],
        price: Price(1),
        volume: Quantity(u64::MAX - 2),
        surplus_side: None,
        surplus: Quantity::ZERO,
    };
    let [live, _] = told(&mut venue, FeedLevel::MarketByPrice, &[changed.into()]);
    assert!(matches!(live[..], [Update::Indicative(found)] if found.quantity == wire::Quantity(i64::MAX)));
}

#[test]
fn a_phase_is_told_and_a_peers_nonsense_is_an_error() {
    let mut venue = Venue::open();
    let mut subscription = Subscription::default();
    let snapshot = venue.feed.snapshot(BOOKS[0], FeedLevel::Trades, None).unwrap();
    subscription.snapshot(&snapshot.bytes()).unwrap();
    let halt = SetPhase { instrument: BOOKS[0], phase: Phase::Halted, note: AdminNote::NONE };
    let packets = venue.apply(halt).0;
    let packet = packets.iter().find(|packet| packet.channel_id == snapshot.channel_id).unwrap();
    for end in 0..packet.bytes.len() {
        assert!(subscription.packet(packet.bytes.slice(..end)).is_err());
    }
    for end in 0..snapshot.length() {
        assert!(subscription.snapshot(&snapshot.bytes()[..end]).is_err());
    }
    subscription.packet(packet.bytes.clone()).unwrap();
    let status = core::iter::from_fn(|| subscription.next_update()).last();
    assert!(matches!(status, Some(Update::Status(status)) if status.phase == wire::Phase::Halted));
}

/// A book went wrong, and the snapshot that mends it came behind newer packets: it was taken for an old one, and the book
/// stayed wrong.
#[test]
fn a_book_that_differs_is_mended_by_a_snapshot_that_newer_packets_overtake() {
    let mut venue = Venue::open();
    let mut subscription = Subscription::default();
    let snapshot = venue.feed.snapshot(BOOKS[0], FeedLevel::MarketByPrice, None).unwrap();
    subscription.snapshot(&snapshot.bytes()).unwrap();
    let ours = |packets: Vec<Packet>| packets.into_iter().filter(|packet| packet.channel_id == snapshot.channel_id);
    for packet in ours(venue.apply(order(BOOKS[0], Side::Buy, 100, 5, 1)).0) {
        let mut bytes = packet.bytes.to_vec();
        bytes[FIRST_QUANTITY_AT] ^= 1;
        subscription.packet(bytes.into()).unwrap();
    }
    let request = loop {
        for phase in [Phase::Halted, Phase::Continuous] {
            let command = SetPhase { instrument: BOOKS[0], phase, note: AdminNote::NONE };
            ours(venue.apply(command).0).for_each(|packet| subscription.packet(packet.bytes).unwrap());
        }
        if let Some(request) = subscription.next_request() {
            break request;
        }
    };
    assert!(matches!(request, Request::Snapshot(request) if request.security_id == SecurityId(1)), "{request:?}");
    let mending = venue.feed.snapshot(BOOKS[0], FeedLevel::MarketByPrice, None).unwrap();
    let newer: Vec<Packet> = ours(venue.apply(order(BOOKS[0], Side::Sell, 200, 5, 2)).0).collect();
    for packet in &newer {
        subscription.packet(packet.bytes.clone()).unwrap();
    }
    subscription.snapshot(&mending.bytes()).unwrap();
    assert!(is_engines(subscription.book(SecurityId(1)).unwrap(), &venue.engine, BOOKS[0]));
    assert_eq!((subscription.gaps().differing, subscription.gaps().gaps), (1, 0));
}

/// In a packet whose first message has a group: behind two frames' headers, two blocks, the group's header and a price.
const FIRST_QUANTITY_AT: usize = (14 + 32) + (14 + 32 + 4) + 8;

/// Who left a channel and came back took the first packets for the next of those from before: its book was another, and it
/// threw the snapshot away that would have told so.
#[test]
fn who_comes_back_to_a_channel_that_stood_still_begins_with_its_snapshot() {
    for level in [FeedLevel::MarketByOrder, FeedLevel::MarketByPrice10, FeedLevel::Reference] {
        let mut venue = Venue::open();
        venue.feed = Feed::of(&venue.engine);
        let channel_id = channel_of(BOOKS[0], level).unwrap();
        let mut subscription = Subscription::default();
        assert!(venue.feed.hear(channel_id));
        subscription.snapshot(&venue.feed.snapshot(BOOKS[0], level, None).unwrap().bytes()).unwrap();
        let traded = |venue: &mut Venue, names: core::ops::Range<u64>| -> Vec<Packet> {
            let orders = names.flat_map(|name| {
                let rests = order(BOOKS[0], Side::Buy, 50 + name, 2, 2 * name);
                [rests, order(BOOKS[0], Side::Sell, 50 + name, 1, 2 * name + 1)]
            });
            orders.flat_map(|order| venue.apply(order).0).collect()
        };
        for packet in traded(&mut venue, 1..4) {
            subscription.packet(packet.bytes).unwrap();
        }
        venue.feed.leave(channel_id);
        assert_eq!(traded(&mut venue, 4..9), []);
        assert!(venue.feed.hear(channel_id));
        let snapshot = venue.feed.snapshot(BOOKS[0], level, None).unwrap();
        // What comes behind the snapshot overtakes it.
        let behind = traded(&mut venue, 9..12);
        assert!(!behind.is_empty());
        for packet in behind {
            subscription.packet(packet.bytes).unwrap();
        }
        subscription.snapshot(&snapshot.bytes()).unwrap();
        let book = subscription.book_at(SecurityId(1), level).unwrap();
        assert_eq!(book.last_sequence(), sequence_behind(&venue.feed, BOOKS[0], level));
        match level {
            FeedLevel::MarketByOrder => assert!(has_engines_orders(book, &venue.engine, BOOKS[0])),
            FeedLevel::MarketByPrice10 => {
                let expected: Vec<_> = levels(&venue.engine, BOOKS[0], Side::Buy).into_iter().take(10).collect();
                assert!(book.levels(wire::Side::Buy).eq(expected));
            }
            _ => {
                let statistics = core::iter::from_fn(|| subscription.next_update()).filter_map(|update| match update {
                    Update::Statistics(statistics) => Some(statistics.trade_count.0),
                    _ => None,
                });
                assert_eq!(statistics.last(), Some(11));
            }
        }
    }
}

/// What a conflated channel has come to may be nothing but trades, which are left out: the packet without messages was taken
/// for a heartbeat, and the book stood still before it.
#[test]
fn a_conflated_packet_of_trades_alone_is_taken_without_a_message() {
    let mut venue = Venue::open();
    let level = FeedLevel::BestBidOffer;
    let channel_id = channel_of(BOOKS[0], level).unwrap();
    let mut outbox = Outbox::new(1 << 20);
    outbox.join(channel_id, wire::DeliveryMode::Conflated, wire::RequestId(1)).unwrap();
    let snapshot = venue.feed.snapshot(BOOKS[0], level, None).unwrap();
    let mut subscription = Subscription::default();
    subscription.snapshot(&snapshot.bytes()).unwrap();
    assert!(outbox.next_want().is_some());
    outbox.snapshot(snapshot);
    let id = EventId { sequence: venue.engine.last().sequence.next(), index: 0 };
    let side = engine::event::TradeSide {
        report: engine::event::Report {
            account: ACCOUNT,
            session: SessionId::NONE,
            exec_id: ExecId::NONE,
            report_number: SessionSequence::NONE,
            client_sequence: SessionSequence::NONE,
        },
        order_id: OrderId(1),
        client_order_id: ClientOrderId(1),
        side: Side::Buy,
        order_price: Price(100),
        order_quantity: Quantity(1),
        leaves: Quantity(1),
        cumulative: Quantity(1),
        prevented: Quantity::ZERO,
        fee: SignedAmount(0),
    };
    for number in 0..3 {
        let sequence = Sequence(id.sequence.0 + number);
        let header =
            EventHeader { id: EventId { sequence, index: 0 }, time: Timestamp(9), received_at: Timestamp::NONE };
        let trade = engine::event::Trade {
            instrument: BOOKS[0],
            trade_id: TradeId(number + 1),
            price: Price(100),
            quantity: Quantity(1),
            aggressor: Some(Side::Buy),
            self_match: engine::event::SelfMatch::No,
            maker: side,
            taker: side,
        };
        venue.feed.event(&header, &trade.into());
        venue.feed.end_of_command();
        let packets = venue.feed.packets(NOW);
        let ours: Vec<Packet> = packets.into_iter().filter(|packet| packet.channel_id == channel_id).collect();
        assert_eq!(ours.len(), 1);
        outbox.packets(&ours);
    }
    let [packet] = &outbox.next_group(1 << 20)[..] else { panic!("one packet") };
    let (header, _) = packet::open(packet).unwrap();
    assert_eq!((header.message_count, header.left_out), (wire::PacketCount(0), wire::LeftOutCount(3)));
    let before = subscription.book_at(SecurityId(1), level).unwrap().last_sequence();
    subscription.packet(packet.clone()).unwrap();
    let after = subscription.book_at(SecurityId(1), level).unwrap().last_sequence();
    assert_eq!((after.0 - before.0, after), (3, sequence_behind(&venue.feed, BOOKS[0], level)));
}
