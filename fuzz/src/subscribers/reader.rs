//! One subscriber: it joins at some time, reads as it can, leaves and comes back.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::Arc;

use bytes::Bytes;
use engine::{Engine, InstrumentId, Side};
use marketdata::{
    Book, Crowd, Datagrams, Entitlement, GapCounters, Limits, Newcomer, OpenDoor, Patience, Request, Room,
    SubscriberId, Subscription, Update, channel_of, packet,
};
use testkit::random::Random;
use wire::market_data::{MarketDataMessage, Subscribe};
use wire::message::Flat;
use wire::{
    DeliveryMode, FeedLevel, FeedSequence, Frame, Phase, Quantity, RequestId, SubscriptionRequestType, TradeId,
};

use super::link::{Arrival, Link, Weather};
use super::witness::{Line, Witness};
use super::{Fault, Tally};

/// Bytes that the transport takes before its reader reads.
const WINDOW: usize = 6_000;

pub(super) struct Reader {
    index: u64,
    level: FeedLevel,
    mode: DeliveryMode,
    weather: Weather,
    /// Of a thousand steps, it begins to stall in so many.
    stalls: u64,
    /// Of a thousand steps, it leaves in so many.
    leaves: u64,
    /// Of a thousand steps, it unsubscribes and subscribes in so many.
    turns: u64,
    fault: Fault,
    crowd: Arc<Crowd>,
    connections: u64,
    /// What its earlier connections counted.
    past: GapCounters,
    /// Steps until it reads again.
    stalled: u64,
    connection: Option<Connection>,
}

struct Connection {
    id: SubscriberId,
    subscription: Subscription,
    link: Link,
    requests: VecDeque<Vec<u8>>,
    tape: BTreeMap<InstrumentId, Vec<TradeId>>,
    phases: BTreeMap<InstrumentId, Phase>,
    traded: BTreeMap<InstrumentId, (u64, Quantity)>,
    is_closed: bool,
    /// Whether it has unsubscribed, and not subscribed again.
    is_away: bool,
    taken: u64,
}

impl Reader {
    pub(super) fn new(index: u64, random: &mut Random, fault: Fault) -> Self {
        let level = random.one_of(&[
            FeedLevel::Trades,
            FeedLevel::BestBidOffer,
            FeedLevel::MarketByPrice10,
            FeedLevel::MarketByPrice50,
            FeedLevel::MarketByPrice,
            FeedLevel::MarketByOrder,
            FeedLevel::MarketByOrder,
            FeedLevel::Reference,
        ]);
        let mut modes = vec![DeliveryMode::Live, DeliveryMode::Datagrams];
        if !matches!(level, FeedLevel::Trades | FeedLevel::MarketByOrder) {
            modes.push(DeliveryMode::Conflated);
        }
        Self {
            index,
            level,
            mode: random.one_of(&modes),
            weather: Weather { loss_percent: random.one_of(&[0, 1, 5, 20]), delay_max: random.one_of(&[0, 3, 20]) },
            stalls: random.one_of(&[0, 0, 5, 30]),
            leaves: random.one_of(&[0, 0, 2, 10]),
            turns: random.one_of(&[0, 0, 5, 20]),
            fault,
            crowd: Arc::new(Crowd::new(&Limits::default())),
            connections: 0,
            past: GapCounters::default(),
            stalled: random.between(0, 200),
            connection: None,
        }
    }

    /// Comes, or comes back, when its time has come.
    pub(super) fn connect(&mut self, random: &mut Random, faulty: bool, room: &mut Room) -> Option<SubscriberId> {
        if let Some(connection) = &self.connection {
            if !connection.is_closed {
                return None;
            }
            self.past = self.past + connection.subscription.gaps();
            self.connection = None;
            self.stalled = if faulty { random.between(1, 50) } else { 0 };
        }
        if self.stalled > 0 && faulty {
            self.stalled -= 1;
            return None;
        }
        self.connections += 1;
        let id = SubscriberId(self.connections << 8 | self.index);
        let newcomer = Newcomer {
            address: Ipv4Addr::LOCALHOST.into(),
            entitlement: Some(Entitlement::everything()),
            key: None,
            datagrams: Datagrams::Taken,
            presence: self.crowd.enter(Ipv4Addr::LOCALHOST.into()).expect("it is alone"),
        };
        room.enter(id, newcomer).expect("the books are valid");
        let patience = match self.mode {
            DeliveryMode::Datagrams => Patience::DATAGRAMS,
            _ => Patience { packets: 400, waiting_max: 2_000 },
        };
        let requests = VecDeque::from([self.subscribe(SubscriptionRequestType::Subscribe)]);
        self.connection = Some(Connection {
            id,
            subscription: Subscription::new(patience),
            link: Link::default(),
            requests,
            tape: BTreeMap::new(),
            phases: BTreeMap::new(),
            traded: BTreeMap::new(),
            is_closed: false,
            is_away: false,
            taken: 0,
        });
        Some(id)
    }

    fn subscribe(&self, request: SubscriptionRequestType) -> Vec<u8> {
        let message = Subscribe { request_id: RequestId(0), level: self.level, mode: self.mode, request };
        let mut frame = vec![0; 64];
        let length = wire::encode_grouped(&message, [], &mut frame).expect("there is room");
        frame.truncate(length);
        frame
    }

    /// Whoever is away comes back when nothing goes wrong any more.
    pub(super) fn come_back(&mut self) {
        let back = self.subscribe(SubscriptionRequestType::Subscribe);
        if let Some(connection) = self.connection.as_mut().filter(|it| it.is_away) {
            connection.is_away = false;
            connection.requests.push_back(back);
        }
    }

    /// Its requests reach the venue.
    pub(super) fn send_requests(
        &mut self,
        room: &mut Room,
        listed: impl Fn() -> Vec<InstrumentId>,
    ) -> Result<(), String> {
        let Some(connection) = &mut self.connection else { return Ok(()) };
        for frame in connection.requests.drain(..) {
            let message = MarketDataMessage::try_from(Frame::split(&frame).expect("a frame").0).expect("a request");
            if room.outbox(connection.id).is_none() {
                continue;
            }
            room.request(connection.id, message, &OpenDoor, &listed)
                .map_err(|reason| format!("a request closed the connection: {reason:?}"))?;
        }
        Ok(())
    }

    /// The transport takes from the outbox what its window has room for.
    pub(super) fn fetch(&mut self, random: &mut Random, faulty: bool, room: &mut Room) {
        let weather = if faulty { self.weather } else { Weather { loss_percent: 0, delay_max: 2 } };
        let Some(connection) = self.connection.as_mut().filter(|connection| !connection.is_closed) else { return };
        let link = &mut connection.link;
        while let Some(message) = room.outbox(connection.id).and_then(|outbox| outbox.next_control()) {
            link.send(Arrival::Control(message.bytes()), weather, random);
        }
        while link.stream_bytes() < WINDOW {
            let Some(outbox) = room.outbox(connection.id) else { return };
            let group = outbox.next_group(1_500);
            if group.is_empty() {
                break;
            }
            link.send(Arrival::Packets(group), weather, random);
        }
        while link.stream_bytes() < WINDOW {
            let Some(snapshot) = room.outbox(connection.id).and_then(|outbox| outbox.next_snapshot()) else { return };
            let bytes = snapshot.length();
            link.send(Arrival::Snapshot(snapshot.bytes()), weather, random);
            room.written(connection.id, snapshot.channel_id, bytes);
        }
    }

    /// A datagram is sent to it.
    pub(super) fn datagram(
        &mut self,
        id: SubscriberId,
        bytes: Bytes,
        random: &mut Random,
        faulty: bool,
        tally: &mut Tally,
    ) {
        let weather = if faulty { self.weather } else { Weather { loss_percent: 0, delay_max: 2 } };
        let Some(connection) = self.connection.as_mut().filter(|connection| connection.id == id) else { return };
        if random.percent(weather.loss_percent) {
            tally.lost += 1;
            return;
        }
        // One in fifty comes twice.
        if faulty && random.percent(2) {
            connection.link.send(Arrival::Datagram(bytes.clone()), weather, random);
        }
        connection.link.send(Arrival::Datagram(bytes), weather, random);
    }

    /// Packets are sent to it again.
    pub(super) fn again(&mut self, id: SubscriberId, packets: Vec<Bytes>, random: &mut Random) {
        let weather = self.weather;
        if let Some(connection) = self.connection.as_mut().filter(|connection| connection.id == id) {
            connection.link.send(Arrival::Packets(packets), weather, random);
        }
    }

    /// The venue has closed its connection.
    pub(super) fn closed(&mut self, id: SubscriberId) {
        if let Some(connection) = self.connection.as_mut().filter(|connection| connection.id == id) {
            connection.is_closed = true;
        }
    }

    /// Leaves of itself, now and then.
    pub(super) fn leave(&mut self, random: &mut Random, faulty: bool) -> Option<SubscriberId> {
        if !faulty || random.below(1_000) >= self.leaves {
            return None;
        }
        let connection = self.connection.as_mut().filter(|connection| !connection.is_closed)?;
        connection.is_closed = true;
        Some(connection.id)
    }

    /// Reads what has arrived, unless it stalls, and compares its books.
    pub(super) fn read(&mut self, witness: &Witness, tally: &mut Tally) -> Result<(), String> {
        let (level, fault) = (self.level, self.fault);
        let Some(connection) = &mut self.connection else { return Ok(()) };
        connection.link.tick();
        if self.stalled > 0 {
            self.stalled -= 1;
            return Ok(());
        }
        while let Some(arrival) = connection.link.next() {
            connection.take(arrival, fault).map_err(|error| format!("a {level:?} subscriber: {error}"))?;
            connection.compare(level, witness, tally)?;
        }
        connection.note();
        Ok(())
    }

    /// Begins to stall, or subscribes anew, now and then.
    pub(super) fn stall(&mut self, random: &mut Random) {
        if random.below(1_000) < self.turns {
            let again = [SubscriptionRequestType::Unsubscribe, SubscriptionRequestType::Subscribe];
            let requests = again.map(|request| self.subscribe(request));
            if let Some(connection) = &mut self.connection {
                // A subscriber that keeps what it had, though it knows nothing of what comes between.
                let pause = random.below(2) == 0;
                connection.requests.extend(requests.into_iter().take(if pause { 1 } else { 2 }));
                connection.is_away = pause;
            }
        }
        let back = self.subscribe(SubscriptionRequestType::Subscribe);
        if let Some(connection) = self.connection.as_mut().filter(|it| it.is_away)
            && random.below(20) == 0
        {
            connection.is_away = false;
            connection.requests.push_back(back);
        }
        if self.stalled == 0 && random.below(1_000) < self.stalls {
            self.stalled = random.between(5, 150);
        }
    }

    /// Whether it has everything.
    pub(super) fn has_arrived(&self, witness: &Witness) -> bool {
        let Some(connection) = self.connection.as_ref().filter(|it| !it.is_closed && it.link.is_empty()) else {
            return false;
        };
        witness.instruments().all(|book| {
            let channel_id = channel_of(book, self.level).expect("a level of the feed");
            let own = connection.subscription.book_at(book.into(), self.level).map(Book::last_sequence);
            own.is_some() && own == witness.last(channel_id)
        })
    }

    /// What it ends with is what the engine has.
    pub(super) fn end(&self, witness: &Witness, engine: &Engine) -> Result<Tally, String> {
        let who = format!("a {:?} {:?} subscriber", self.level, self.mode);
        let Some(connection) = &self.connection else { return Err(format!("{who} is not there at the end")) };
        let mut tally = Tally::default();
        for book in witness.instruments() {
            let channel_id = channel_of(book, self.level).expect("a level of the feed");
            let own = connection.subscription.book_at(book.into(), self.level);
            let own = own.ok_or_else(|| format!("{who} has no book of {book:?}"))?;
            let last = witness.last(channel_id).unwrap_or(FeedSequence(0));
            if own.last_sequence() != last {
                return Err(format!("{who} ends at {:?} of {book:?}, and not at {last:?}", own.last_sequence()));
            }
            let expected = witness.state(channel_id, last).unwrap_or(&[]);
            if lines(own, self.level) != expected {
                return Err(format!("{who} ends with another book of {book:?}"));
            }
            let phase = engine.phase(book).map(Phase::from);
            if phase.is_some() && connection.phases.get(&book).copied() != phase {
                return Err(format!(
                    "{who} takes {book:?} to be in {:?}, and not in {phase:?}",
                    connection.phases.get(&book)
                ));
            }
            if self.level == FeedLevel::Reference {
                connection.compare_traded(book, witness, engine).map_err(|error| format!("{who}: {error}"))?;
            }
            tally.ended += 1;
            tally.trades +=
                connection.compare_tape(self.level, book, witness).map_err(|error| format!("{who}: {error}"))?;
        }
        let gaps = self.past + connection.subscription.gaps();
        if gaps.differing > 0 {
            return Err(format!("{who} had {} checksums that differ", gaps.differing));
        }
        let GapCounters { gaps, notices, repeated, conflated, proven, .. } = gaps;
        Ok(Tally { gaps, notices, repeated, conflated, proven, ..tally })
    }
}

impl Connection {
    fn take(&mut self, arrival: Arrival, fault: Fault) -> Result<(), packet::PacketError> {
        match arrival {
            Arrival::Packets(packets) => packets.into_iter().try_for_each(|bytes| self.packet(bytes, fault)),
            Arrival::Datagram(mut bytes) => {
                while let Some(length) = packet::length(&bytes)? {
                    let packet = bytes.split_to(length);
                    self.packet(packet, fault)?;
                    if bytes.is_empty() {
                        break;
                    }
                }
                Ok(())
            }
            Arrival::Snapshot(bytes) => self.subscription.snapshot(&bytes),
            Arrival::Control(bytes) => {
                self.subscription.control(&Frame::split(&bytes)?.0.try_into()?);
                Ok(())
            }
        }
    }

    fn packet(&mut self, bytes: Bytes, fault: Fault) -> Result<(), packet::PacketError> {
        self.taken += 1;
        if fault == Fault::OtherPrices && self.taken.is_multiple_of(40) {
            // Its numbers are taken, and its messages are not.
            return self.subscription.packet(without_levels(&bytes));
        }
        self.subscription.packet(bytes)
    }

    /// Notes what it was told, and what it wants to send.
    fn note(&mut self) {
        while let Some(update) = self.subscription.next_update() {
            match update {
                Update::Trade(trade) => {
                    if let Ok(book) = trade.security_id.try_into() {
                        self.tape.entry(book).or_default().push(trade.trade_id);
                    }
                }
                Update::Definition(definition) => {
                    if let Ok(book) = definition.security_id.try_into() {
                        self.phases.insert(book, definition.phase);
                    }
                }
                Update::Status(status) => {
                    if let Ok(book) = status.security_id.try_into() {
                        self.phases.insert(book, status.phase);
                    }
                }
                Update::Statistics(statistics) => {
                    if let Ok(book) = statistics.security_id.try_into() {
                        self.traded.insert(book, (statistics.trade_count.0, statistics.volume));
                    }
                }
                _ => {}
            }
        }
        while let Some(request) = self.subscription.next_request() {
            self.requests.push_back(match request {
                Request::Snapshot(request) => encoded(&request),
                Request::Again(request) => encoded(&request),
            });
        }
    }

    /// Whatever number a book has come to, it is what the engine's was there.
    fn compare(&self, level: FeedLevel, witness: &Witness, tally: &mut Tally) -> Result<(), String> {
        for book in witness.instruments() {
            let Some(own) = self.subscription.book_at(book.into(), level) else { continue };
            let channel_id = channel_of(book, level).expect("a level of the feed");
            let Some(expected) = witness.state(channel_id, own.last_sequence()) else { continue };
            if lines(own, level) != expected {
                let at = own.last_sequence();
                return Err(format!("a {level:?} subscriber has another book of {book:?} at {at:?}"));
            }
            tally.compared += 1;
        }
        Ok(())
    }

    /// What it was told of what traded is what traded.
    fn compare_traded(&self, book: InstrumentId, witness: &Witness, engine: &Engine) -> Result<(), String> {
        let Some(listing) = engine.listings().find(|listing| listing.instrument == book) else { return Ok(()) };
        let (count, lots) = witness.traded(book);
        let expected = (count, Quantity((lots * listing.lot) as i64));
        let told = self.traded.get(&book).copied().unwrap_or((0, Quantity(0)));
        if told == expected { Ok(()) } else { Err(format!("told {told:?} of {expected:?} trades of {book:?}")) }
    }

    /// Without losses, its tape is the venue's from where it came.
    fn compare_tape(&self, level: FeedLevel, book: InstrumentId, witness: &Witness) -> Result<u64, String> {
        let all = witness.trades(book);
        let own = self.tape.get(&book).map_or(&[][..], Vec::as_slice);
        let gaps = self.subscription.gaps();
        if level == FeedLevel::Reference || gaps.messages > 0 || gaps.conflated > 0 {
            let mut rest = all.iter();
            let in_order = own.iter().all(|trade| rest.any(|it| it == trade));
            return if in_order { Ok(own.len() as u64) } else { Err(format!("trades of {book:?} out of order")) };
        }
        if all.ends_with(own) { Ok(own.len() as u64) } else { Err(format!("another tape of {book:?}")) }
    }
}

fn encoded<M: Flat>(message: &M) -> Vec<u8> {
    let mut frame = vec![0; M::FRAME_LENGTH];
    wire::encode(message, &mut frame).expect("there is room");
    frame
}

/// The packet with its levels and orders made of nothing.
fn without_levels(bytes: &Bytes) -> Bytes {
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while let Ok((frame, rest)) = Frame::split(&bytes[at..]) {
        let length = bytes.len() - at - rest.len();
        let template = frame.header.template_id.0;
        let block = usize::from(frame.header.block_length);
        // Every entry's price becomes another.
        if (template == 303 || template == 304) && length > 14 + block + 4 + 16 {
            bytes[at + 14 + block + 4 + if template == 303 { 0 } else { 8 }] ^= 0x55;
        }
        at += length;
        if at == bytes.len() {
            break;
        }
    }
    bytes.into()
}

/// A book as lines, bids first.
fn lines(book: &Book, level: FeedLevel) -> Vec<Line> {
    let sides = [(Side::Buy, wire::Side::Buy), (Side::Sell, wire::Side::Sell)];
    if level == FeedLevel::MarketByOrder {
        let of = |(side, wire)| {
            book.orders(wire).map(move |order| (side, order.order_id.0, order.price.0, order.quantity.0))
        };
        return sides.into_iter().flat_map(of).collect();
    }
    let of = |(side, wire)| {
        book.levels(wire).map(move |level| (side, u64::from(level.order_count.0), level.price.0, level.quantity.0))
    };
    sides.into_iter().flat_map(of).collect()
}
