//! Rules 5.3 to 5.9 over random crossed books: price, volume, surplus and allocation of an auction are those of a brute
//! force over its limits, and what is always true of an auction is true of each.
//!
//! `cargo test --release -p testkit --test crossed_books -- --ignored` tries many more books.

use std::collections::BTreeMap;

use engine::command::*;
use engine::instrument::{Holds, Phase};
use engine::*;
use testkit::model::Model;
use testkit::random::Random;

const X: InstrumentId = InstrumentId(1);
const NOTE: AdminNote = AdminNote::NONE;
const ACCOUNTS: u32 = 4;
const ORDERS_MAX: u64 = 24;
/// Nothing but what one book needs: each has a venue of its own.
const CAPACITY: Capacity =
    Capacity { orders: 64, accounts: ACCOUNTS + 1, assets: 1, instruments: 1, price_blocks: 64, ..Capacity::SMALL };

/// What can hold a call.
trait Venue {
    fn apply(&mut self, command: &Sequenced<Command>) -> Vec<Event>;
    fn best(&self, side: Side) -> Option<Price>;
}

impl Venue for Engine {
    fn apply(&mut self, command: &Sequenced<Command>) -> Vec<Event> {
        let mut told: Vec<(EventHeader, Event)> = Vec::new();
        Engine::apply(self, command, &mut told);
        told.into_iter().map(|(_, event)| event).collect()
    }

    fn best(&self, side: Side) -> Option<Price> {
        self.best_price(X, side)
    }
}

impl Venue for Model {
    fn apply(&mut self, command: &Sequenced<Command>) -> Vec<Event> {
        Model::apply(self, command)
    }

    fn best(&self, side: Side) -> Option<Price> {
        self.book(X, side).first().map(|order| order.price)
    }
}

/// An order of a book; its place is its time.
#[derive(Debug, Clone, Copy)]
struct Entry {
    side: Side,
    /// Absent: a market order.
    limit: Option<u64>,
    lots: u64,
    display: Option<u64>,
    at_the_opening: bool,
}

#[derive(Debug, Clone)]
struct Book {
    reference: Option<u64>,
    entries: Vec<Entry>,
}

/// How books of one shape are drawn.
#[derive(Debug, Clone, Copy)]
struct Shape {
    lowest: u64,
    width: u64,
    lots_max: u64,
    market: u64,
    iceberg: u64,
    at_the_opening: u64,
    /// Limits on the wrong side of one another: 50 is any.
    crossing: u64,
}

impl Shape {
    fn drawn(random: &mut Random) -> Self {
        let (lowest, width) = random.one_of(&[
            (98, 4),
            (98, 1),
            (90, 20),
            (1, 3),
            (1, 1_000_000),
            (5_000, 100_000_000_000),
            (Price::MAX.0 - 5, 5),
        ]);
        Self {
            lowest,
            width,
            lots_max: random.one_of(&[1, 3, 10, 1_000, Quantity::MAX.0]),
            market: random.one_of(&[0, 0, 10, 50, 100]),
            iceberg: random.one_of(&[0, 0, 30, 80]),
            at_the_opening: random.one_of(&[0, 0, 30]),
            crossing: random.one_of(&[0, 30, 50, 70, 100]),
        }
    }

    fn price(&self, side: Side, random: &mut Random) -> u64 {
        let far = random.below(self.width + 1);
        let near = random.below(far + 1);
        // Buys are high and sells are low where the book shall cross.
        let is_high = (side == Side::Buy) == random.percent(self.crossing);
        if is_high { self.lowest + self.width - near } else { self.lowest + near }
    }

    fn book(&self, random: &mut Random) -> Book {
        let count = random.between(1, ORDERS_MAX);
        let entries = (0..count).map(|_| self.entry(random)).collect();
        let near = |random: &mut Random| self.lowest + random.below(self.width + 1);
        let reference = match random.below(5) {
            0 => None,
            1 => Some(1),
            2 => Some(Price::MAX.0),
            _ => Some(near(random)),
        };
        Book { reference, entries }
    }

    fn entry(&self, random: &mut Random) -> Entry {
        let side = random.one_of(&Side::BOTH);
        let lots = random.between(1, self.lots_max);
        let is_market = random.percent(self.market);
        let at_the_opening = random.percent(self.at_the_opening);
        let least = lots.div_ceil(engine::limits::TIPS_MAX);
        let is_iceberg = !is_market && !at_the_opening && random.percent(self.iceberg);
        Entry {
            side,
            limit: (!is_market).then(|| self.price(side, random)),
            lots,
            display: is_iceberg.then(|| random.between(least, lots)),
            at_the_opening,
        }
    }
}

/// How an auction ends: price, volume, and what buys have over sells at the price.
type End = (u64, u128, i128);

impl Book {
    /// What buys and sells would take part at a price.
    fn interest(&self, price: u64) -> (u128, u128) {
        let sum = |wanted: Side| {
            let takes_part = |it: &&Entry| {
                it.side == wanted
                    && match (it.limit, wanted) {
                        (None, _) => true,
                        (Some(limit), Side::Buy) => limit >= price,
                        (Some(limit), Side::Sell) => limit <= price,
                    }
            };
            self.entries.iter().filter(takes_part).map(|it| u128::from(it.lots)).sum()
        };
        (sum(Side::Buy), sum(Side::Sell))
    }

    fn at(&self, price: u64) -> End {
        let (buys, sells) = self.interest(price);
        let signed = |lots: u128| i128::try_from(lots).expect("few lots");
        (price, buys.min(sells), signed(buys) - signed(sells))
    }

    /// 5.4 by trying every limit; none: there is no price.
    fn end(&self) -> Option<End> {
        let mut limits: Vec<u64> = self.entries.iter().filter_map(|it| it.limit).collect();
        limits.sort_unstable();
        let mut ends: Vec<End> = limits.into_iter().map(|limit| self.at(limit)).collect();
        ends.dedup();
        let most = ends.iter().map(|end| end.1).max().unwrap_or(0);
        ends.retain(|end| end.1 == most);
        let least = ends.iter().map(|end| end.2.unsigned_abs()).min().unwrap_or(0);
        ends.retain(|end| end.2.unsigned_abs() == least);
        let end = match (ends.first(), ends.last()) {
            (Some(&lowest), Some(&highest)) => {
                if lowest.2 < 0 {
                    lowest
                } else if highest.2 > 0 {
                    highest
                } else {
                    // The surplus falls as prices rise: buys have more up to here, sells from there on.
                    let from = ends.iter().rev().find(|end| end.2 > 0).unwrap_or(&lowest).0;
                    let to = ends.iter().find(|end| end.2 < 0).unwrap_or(&highest).0;
                    self.at(self.reference.map_or(from, |reference| reference.clamp(from, to)))
                }
            }
            _ => self.at(self.reference?),
        };
        (end.1 > 0).then_some(end)
    }

    /// Entries of a side as they trade: market orders, then the better limit, then time.
    fn by_priority(&self, side: Side) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.entries.len()).filter(|&at| self.entries[at].side == side).collect();
        places.sort_by_key(|&at| match (self.entries[at].limit, side) {
            (None, _) => (0, 0),
            (Some(limit), Side::Buy) => (1, u64::MAX - limit),
            (Some(limit), Side::Sell) => (1, limit),
        });
        places
    }

    /// What each entry trades of a volume.
    fn allocation(&self, volume: u128) -> Vec<u64> {
        let mut filled = vec![0; self.entries.len()];
        for side in Side::BOTH {
            let mut left = volume;
            for at in self.by_priority(side) {
                let lots = u128::from(self.entries[at].lots).min(left);
                filled[at] = u64::try_from(lots).expect("at most the order");
                left -= lots;
            }
        }
        filled
    }
}

/// The venue of one book, in its opening call.
struct Call<V> {
    venue: V,
    sequence: u64,
}

impl<V: Venue> Call<V> {
    fn apply(&mut self, body: impl Into<CommandBody>) -> Vec<Event> {
        self.sequence += 1;
        let stamp = Stamp { sequence: Sequence(self.sequence), time: Timestamp(self.sequence) };
        self.venue.apply(&Sequenced { stamp, value: Command::from_venue(body) })
    }

    fn new(venue: V, reference: Option<u64>) -> Self {
        let mut call = Self { venue, sequence: 0 };
        call.apply(ListInstrument {
            instrument: X,
            name: Text::new("X").expect("short ASCII"),
            base: AssetId::NONE,
            quote: AssetId::NONE,
            tick: 1,
            tick_decimals: 0,
            lot: 1,
            lot_decimals: 0,
            reference: reference.map_or(Price::ABSENT, Price),
            holds: Holds::Off,
            self_trade_prevention: SelfTradePrevention::CancelBoth,
            phase: Phase::OpeningCall,
            note: NOTE,
        });
        for account in 2..2 + ACCOUNTS {
            let (account, stp_group) = (AccountId(account), StpGroup(7));
            call.apply(OpenAccount { account, stp_group, self_trade_prevention: None, fee_tier: 0, note: NOTE });
        }
        call
    }

    /// Enters an order; gives its number and what was told of the call last.
    fn enter(&mut self, entry: Entry, account: u32, told: &mut Option<End>) -> OrderId {
        let quantity = |lots: Option<u64>| lots.map_or(Quantity::ABSENT, Quantity);
        let events = self.apply(NewOrder {
            account: AccountId(account),
            instrument: X,
            client_order_id: ClientOrderId::NONE,
            side: entry.side,
            order_type: if entry.limit.is_some() { OrderType::Limit } else { OrderType::Market },
            time_in_force: if entry.at_the_opening { TimeInForce::AtTheOpening } else { TimeInForce::GoodTillCancel },
            flags: OrderFlags::NONE,
            self_trade_prevention: None,
            on_disconnect: OnDisconnect::Keep,
            price: entry.limit.map_or(Price::ABSENT, Price),
            quantity: Quantity(entry.lots),
            funds: Amount::ABSENT,
            stop_price: Price::ABSENT,
            display_quantity: quantity(entry.display),
            minimum_quantity: Quantity::ABSENT,
            expire_at: Timestamp::NONE,
        });
        if let Some(Event::IndicativeChanged(it)) = events.last() {
            *told = end_of(it.price, it.volume, it.surplus_side, it.surplus);
        }
        match events.first() {
            Some(Event::OrderAccepted(accepted)) => accepted.order.order_id,
            other => panic!("not accepted: {other:?}"),
        }
    }
}

fn end_of(price: Price, volume: Quantity, side: Option<Side>, surplus: Quantity) -> Option<End> {
    let surplus = i128::from(surplus.0);
    let signed = if side == Some(Side::Sell) { -surplus } else { surplus };
    assert_eq!(side.is_none(), surplus == 0, "a surplus has a side");
    if price.is_absent() {
        assert_eq!((volume, surplus), (Quantity::ZERO, 0), "nothing without a price");
        return None;
    }
    Some((price.0, volume.0.into(), signed))
}

/// Takes a book through its auction, and holds it to the brute force and to what is always true.
fn check<V: Venue>(venue: V, book: &Book) {
    let mut call = Call::new(venue, book.reference);
    let mut told = None;
    let ids: Vec<OrderId> =
        (2..).zip(&book.entries).map(|(account, &it)| call.enter(it, 2 + account % ACCOUNTS, &mut told)).collect();
    let expected = book.end();
    assert_eq!(told, expected, "the indicative");
    let events = call.apply(SetPhase { instrument: X, phase: Phase::Continuous, note: NOTE });
    let Some(Event::Uncrossed(uncrossed)) = events.first() else { panic!("no uncross: {events:?}") };
    let found = end_of(uncrossed.price, uncrossed.volume, uncrossed.surplus_side, uncrossed.surplus);
    assert_eq!(found, expected, "the auction");
    let (price, volume, _) = expected.unwrap_or((0, 0, 0));
    let filled = filled(&events, price);
    let of = |at: usize| filled.get(&ids[at]).copied().unwrap_or(0);
    let allocation = book.allocation(volume);
    for (at, &lots) in allocation.iter().enumerate() {
        assert_eq!(of(at), lots, "entry {at}");
    }
    invariants(book, price, volume, of);
    remainders(book, &events, &ids, of);
    if let (Some(bid), Some(ask)) = (call.venue.best(Side::Buy), call.venue.best(Side::Sell)) {
        assert!(bid < ask, "crossed behind the auction: {bid:?} {ask:?}");
    }
}

/// What each order traded; every trade is at the auction price and has no aggressor.
fn filled(events: &[Event], price: u64) -> BTreeMap<OrderId, u64> {
    let mut filled = BTreeMap::new();
    for event in events {
        let Event::Trade(trade) = event else { continue };
        assert_eq!((trade.price, trade.aggressor), (Price(price), None));
        assert_eq!((trade.maker.side, trade.taker.side), (Side::Buy, Side::Sell));
        assert!(!trade.quantity.is_zero());
        for side in [trade.maker, trade.taker] {
            *filled.entry(side.order_id).or_default() += trade.quantity.0;
        }
    }
    filled
}

/// What is true of every auction, whatever it allocates.
fn invariants(book: &Book, price: u64, volume: u128, filled: impl Fn(usize) -> u64) {
    let mut sums = BTreeMap::from([(1, 0_u128), (2, 0)]);
    let mut partly = 0;
    for (at, entry) in book.entries.iter().enumerate() {
        let lots = filled(at);
        *sums.get_mut(&(entry.side as u8)).expect("a side") += u128::from(lots);
        partly += usize::from(lots > 0 && lots < entry.lots);
        let Some(limit) = entry.limit else { continue };
        let (better, worse) = match entry.side {
            Side::Buy => (limit > price, limit < price),
            Side::Sell => (limit < price, limit > price),
        };
        assert!(!worse || lots == 0, "entry {at} trades through its limit");
        assert!(!better || volume == 0 || lots == entry.lots, "entry {at} is better than the price, and not filled");
    }
    assert_eq!(sums.into_values().collect::<Vec<_>>(), [volume, volume], "both sides come to the volume");
    assert!(partly <= 1, "{partly} orders are partly filled");
}

/// 5.9: orders for the opening and market orders end, and nothing else does.
fn remainders(book: &Book, events: &[Event], ids: &[OrderId], filled: impl Fn(usize) -> u64) {
    let ended = events.iter().filter_map(|event| match event {
        Event::OrderCancelled(it) => Some((it.order.order_id, it.reason, it.cancelled.0)),
        _ => None,
    });
    let left = |at: usize| book.entries[at].lots - filled(at);
    let open = (0..ids.len()).filter(|&at| left(at) > 0);
    let opening = open.clone().filter(|&at| book.entries[at].at_the_opening);
    let market = open.filter(|&at| !book.entries[at].at_the_opening && book.entries[at].limit.is_none());
    let expected = opening
        .map(|at| (ids[at], CancelReason::OpeningRemainder, left(at)))
        .chain(market.map(|at| (ids[at], CancelReason::AuctionRemainder, left(at))));
    assert_eq!(ended.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
}

/// Checks books of every shape; says which book it is where one fails.
fn check_books<V: Venue>(seed: u64, books: u64, venue: impl Fn() -> V) {
    let mut crossed = 0;
    for number in 0..books {
        let random = &mut Random::new(seed.wrapping_mul(1_000_003) + number);
        let book = Shape::drawn(random).book(random);
        crossed += u64::from(book.end().is_some());
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| check(venue(), &book)));
        if checked.is_err() {
            panic!("seed {seed}, book {number}: {book:#?}");
        }
    }
    assert!(crossed > books / 2, "seed {seed}: {crossed} of {books} books cross");
}

#[test]
fn auctions_of_crossed_books_are_those_of_a_brute_force() {
    check_books(1, 20_000, || Engine::new(CAPACITY));
}

#[test]
fn auctions_of_the_model_are_too() {
    check_books(2, 5_000, || Model::new(CAPACITY));
}

#[test]
#[ignore = "a million books: for --release"]
fn auctions_of_many_more_crossed_books_are_those_of_a_brute_force() {
    check_books(3, 1_000_000, || Engine::new(CAPACITY));
}
