//! Coinbase's full channel between two level-3 snapshots.
//!
//! What goes in: the opening book in its order, every `received` (a new order), every `done` that was canceled (a
//! cancel), every `change` (an amend). What must come out: every `match`, and the closing book with its queues. Three
//! things the channel does not say outright:
//!
//! * an `open` without a `received` was received before the recording: it rests directly;
//! * a market order that gives only its funds is sized by its own matches, since the venue's fees are not known;
//! * a limit order that neither opens nor matches was refused a place in the book (post-only and the like): it is sent
//!   as ImmediateOrCancel, and its `done` is not.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use engine::command::{
    AddAsset, AdminNote, CancelOrder, CommandBody, Deposit, ListInstrument, NewOrder, ReplaceOrder, SetFees,
};
use engine::instrument::{FeeRates, Holds, Phase};
use engine::order::{OrderFlags, OrderType, SelfTradePrevention, Side, TimeInForce};
use engine::{
    AccountId, Amount, AssetId, ClientOrderId, Event, InstrumentId, OrderId, Price, Quantity, Text, Timestamp,
};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::decimal::{Count, Decimal, Unit};
use crate::driver::Driver;
use crate::failure::Failure;
use crate::flow::book_comparison::{BookComparison, ExpectedOrder};
use crate::flow::order_feed::limit_order;
use crate::flow::row_book::RowOrder;
use crate::flow::{CAPACITY, Source, plain_account};
use crate::input::{find_file, line_at, parse_time, read_text};
use crate::outcome::{Comparison, Outcome};

const BASE: AssetId = AssetId(1);
const QUOTE: AssetId = AssetId(2);
const INSTRUMENT: InstrumentId = InstrumentId(1);
const TICK: Unit = Unit::smallest(2);
const LOT: Unit = Unit::smallest(8);
const BASE_DECIMALS: u8 = 8;
/// Finer than the venue shows, so that tick × lot is one whole unit.
const QUOTE_DECIMALS: u8 = 10;
/// No maker fee, 25 basis points for takers.
const FEES: FeeRates = FeeRates { maker: 0, taker: 2_500 };

const FIRST_ACCOUNT: AccountId = AccountId(2);
const ACCOUNT_COUNT: u32 = 8;
/// More than any account needs, and together less than an asset's bound: 10^12 whole coins, 10^19 dollars.
const BASE_DEPOSIT: Amount = Amount(10_u128.pow(20));
const QUOTE_DEPOSIT: Amount = Amount(10_u128.pow(29));

/// Runs the recording in the folder `source.path`.
pub fn run(source: Source<'_>) -> Result<Outcome, Failure> {
    let opening = Book::read(&find_file(source.path, "beginning_level_3.json")?)?;
    let closing = Book::read(&find_file(source.path, "ending_level_3.json")?)?;
    let day = Day::read(&find_file(source.path, "messages.json")?)?;
    let mut replay = Replay::new(source)?;
    replay.driver.expect_steps(opening.orders.len() + day.messages.len());
    replay.set_up(day.start())?;
    replay.rest(day.start(), &opening)?;
    for message in &day.messages {
        replay.message(&day, message)?;
        replay.driver.step_done();
    }
    replay.finish(&day, &closing)
}

/// A level-3 snapshot, in its order.
struct Book {
    orders: Vec<(Side, BookOrder)>,
}

#[derive(Debug, Clone)]
struct BookOrder {
    id: String,
    price: Price,
    leaves: Quantity,
}

#[derive(Deserialize)]
struct RawBook<'a> {
    #[serde(borrow)]
    asks: Vec<&'a RawValue>,
    #[serde(borrow)]
    bids: Vec<&'a RawValue>,
}

impl Book {
    fn read(path: &Path) -> Result<Self, Failure> {
        let document = Document::read(path)?;
        let raw: RawBook<'_> = document.parse(&document.text, 0)?;
        let mut orders = Vec::with_capacity(raw.asks.len() + raw.bids.len());
        for (side, rows) in [(Side::Sell, raw.asks), (Side::Buy, raw.bids)] {
            for row in rows {
                let (price, leaves, id): (&str, &str, String) = document.element(row)?;
                let price = Price(document.count(row, price, TICK)?);
                orders.push((side, BookOrder { id, price, leaves: Quantity(document.count(row, leaves, LOT)?) }));
            }
        }
        Ok(Self { orders })
    }
}

/// One message of the channel, as it is written.
#[derive(Debug, Deserialize)]
struct RawMessage<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    time: Option<&'a str>,
    side: Option<&'a str>,
    order_id: Option<&'a str>,
    order_type: Option<&'a str>,
    price: Option<&'a str>,
    size: Option<&'a str>,
    remaining_size: Option<&'a str>,
    new_size: Option<&'a str>,
    reason: Option<&'a str>,
    maker_order_id: Option<&'a str>,
    taker_order_id: Option<&'a str>,
}

/// One message of the channel, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Message {
    Received { at: Timestamp, id: String, side: Side, price: Option<Price>, quantity: Option<Quantity> },
    Open { at: Timestamp, id: String, side: Side, price: Price, leaves: Quantity },
    Change { at: Timestamp, id: String, leaves: Quantity },
    Cancelled { at: Timestamp, id: String },
    Match { at: Timestamp, found: Match },
    Other { at: Timestamp },
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Match {
    maker: String,
    taker: String,
    price: Price,
    quantity: Quantity,
}

/// The messages, and what has to be known of a whole day before its first one is replayed.
struct Day {
    messages: Vec<Message>,
    received: HashSet<String>,
    /// What ever rested or matched.
    effective: HashSet<String>,
    taken: HashMap<String, Quantity>,
}

impl Day {
    fn read(path: &Path) -> Result<Self, Failure> {
        let document = Document::read(path)?;
        let raw: Vec<&RawValue> = document.parse(&document.text, 0)?;
        let messages = raw.into_iter().map(|raw| Message::read(&document, raw)).collect::<Result<_, _>>()?;
        let mut day = Self { messages, received: HashSet::new(), effective: HashSet::new(), taken: HashMap::new() };
        for message in &day.messages {
            match message {
                Message::Received { id, .. } => {
                    day.received.insert(id.clone());
                }
                Message::Open { id, .. } => {
                    day.effective.insert(id.clone());
                }
                Message::Match { found, .. } => {
                    day.effective.extend([found.maker.clone(), found.taker.clone()]);
                    *day.taken.entry(found.taker.clone()).or_insert(Quantity::ZERO) += found.quantity;
                }
                Message::Change { .. } | Message::Cancelled { .. } | Message::Other { .. } => {}
            }
        }
        Ok(day)
    }

    fn start(&self) -> Timestamp {
        self.messages.first().map_or(Timestamp::NONE, Message::time)
    }

    /// Whether the order was received on this day and never had a place in the book.
    fn was_refused(&self, id: &str) -> bool {
        self.received.contains(id) && !self.effective.contains(id)
    }

    fn matches(&self) -> impl Iterator<Item = &Match> {
        self.messages.iter().filter_map(|message| match message {
            Message::Match { found, .. } => Some(found),
            _ => None,
        })
    }
}

impl Message {
    fn read(document: &Document, raw: &RawValue) -> Result<Self, Failure> {
        let message: RawMessage<'_> = document.element(raw)?;
        let missing = |name: &str| document.malformed(raw, format!("{name} is missing or not understood"));
        let at = message.time.and_then(parse_time).ok_or_else(|| missing("time"))?;
        let id = || message.order_id.map(str::to_owned).ok_or_else(|| missing("order_id"));
        let side = || side_of(message.side).ok_or_else(|| missing("side"));
        let price = || document.count(raw, message.price.ok_or_else(|| missing("price"))?, TICK).map(Price);
        let quantity =
            |name: &str, text: Option<&str>| document.count(raw, text.ok_or_else(|| missing(name))?, LOT).map(Quantity);
        Ok(match (message.kind, message.reason) {
            ("received", _) => Self::Received {
                at,
                id: id()?,
                side: side()?,
                price: (message.order_type != Some("market")).then(price).transpose()?,
                quantity: message.size.map(|size| quantity("size", Some(size))).transpose()?,
            },
            ("open", _) => {
                let leaves = quantity("remaining_size", message.remaining_size)?;
                Self::Open { at, id: id()?, side: side()?, price: price()?, leaves }
            }
            ("change", _) if message.new_size.is_some() => {
                Self::Change { at, id: id()?, leaves: quantity("new_size", message.new_size)? }
            }
            ("done", Some("canceled")) => Self::Cancelled { at, id: id()? },
            ("match", _) => Self::Match {
                at,
                found: Match {
                    maker: message.maker_order_id.ok_or_else(|| missing("maker_order_id"))?.to_owned(),
                    taker: message.taker_order_id.ok_or_else(|| missing("taker_order_id"))?.to_owned(),
                    price: price()?,
                    quantity: quantity("size", message.size)?,
                },
            },
            _ => Self::Other { at },
        })
    }

    fn time(&self) -> Timestamp {
        match self {
            Self::Received { at, .. }
            | Self::Open { at, .. }
            | Self::Change { at, .. }
            | Self::Cancelled { at, .. }
            | Self::Match { at, .. }
            | Self::Other { at } => *at,
        }
    }
}

fn side_of(text: Option<&str>) -> Option<Side> {
    match text? {
        "buy" => Some(Side::Buy),
        "sell" => Some(Side::Sell),
        _ => None,
    }
}

/// A JSON text that knows on which line each of its elements stands.
struct Document {
    path: PathBuf,
    text: String,
}

impl Document {
    fn read(path: &Path) -> Result<Self, Failure> {
        Ok(Self { path: path.to_owned(), text: read_text(path)? })
    }

    /// Parses `text`, which starts `offset` bytes into the document.
    fn parse<'a, T: Deserialize<'a>>(&self, text: &'a str, offset: usize) -> Result<T, Failure> {
        serde_json::from_str(text).map_err(|error| {
            let line = line_at(&self.text.as_bytes()[..offset]) + error.line() as u64 - 1;
            Failure::malformed(&self.path, line, error.to_string())
        })
    }

    fn element<'a, T: Deserialize<'a>>(&self, raw: &'a RawValue) -> Result<T, Failure> {
        self.parse(raw.get(), self.offset(raw))
    }

    fn count(&self, raw: &RawValue, text: &str, unit: Unit) -> Result<u64, Failure> {
        match Decimal::parse(text).map(|decimal| decimal.count(unit)) {
            Some(Count::Whole(count)) => u64::try_from(count).ok(),
            Some(Count::NotPositive) => Some(0),
            Some(Count::Fraction | Count::TooLarge) | None => None,
        }
        .ok_or_else(|| self.malformed(raw, format!("{text:?} is not a whole number of {}", unit.text(1))))
    }

    fn malformed(&self, raw: &RawValue, message: String) -> Failure {
        Failure::malformed(&self.path, line_at(&self.text.as_bytes()[..self.offset(raw)]), message)
    }

    /// Elements borrow from the text.
    fn offset(&self, raw: &RawValue) -> usize {
        (raw.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize).min(self.text.len())
    }
}

struct Replay {
    driver: Driver,
    /// Orders by the venue's name; ids of ours are their places in the list, from 1.
    names: Vec<String>,
    client_order_ids: HashMap<String, ClientOrderId>,
    order_ids: HashMap<ClientOrderId, OrderId>,
    matches: Vec<Match>,
    set_up_refused: u64,
}

impl Replay {
    fn new(source: Source<'_>) -> Result<Self, Failure> {
        Ok(Self {
            driver: Driver::new(CAPACITY, source.journal)?,
            names: Vec::new(),
            client_order_ids: HashMap::new(),
            order_ids: HashMap::new(),
            matches: Vec::new(),
            set_up_refused: 0,
        })
    }

    fn set_up(&mut self, at: Timestamp) -> Result<(), Failure> {
        for (asset, name, decimals) in [(BASE, "BTC", BASE_DECIMALS), (QUOTE, "USD", QUOTE_DECIMALS)] {
            self.administer(at, AddAsset { asset, name: text(name), decimals, note: AdminNote::NONE })?;
        }
        self.administer(at, listing())?;
        self.administer(at, SetFees { instrument: INSTRUMENT, tier: 0, rates: FEES, note: AdminNote::NONE })?;
        for account in accounts() {
            self.administer(at, plain_account(account))?;
            for (asset, amount) in [(BASE, BASE_DEPOSIT), (QUOTE, QUOTE_DEPOSIT)] {
                self.administer(at, Deposit { account, asset, amount, note: AdminNote::NONE })?;
            }
        }
        Ok(())
    }

    fn administer(&mut self, at: Timestamp, body: impl Into<CommandBody>) -> Result<(), Failure> {
        let events = self.driver.submit(at, body)?;
        self.set_up_refused +=
            events.iter().filter(|(_, event)| matches!(event, Event::CommandRejected(_))).count() as u64;
        Ok(())
    }

    fn rest(&mut self, at: Timestamp, book: &Book) -> Result<(), Failure> {
        for (side, order) in &book.orders {
            let resting = place(*side, order.price, order.leaves);
            let command =
                NewOrder { flags: OrderFlags::POST_ONLY, ..limit_order(resting, TimeInForce::GoodTillCancel) };
            self.enter(at, &order.id, command)?;
            self.driver.step_done();
        }
        Ok(())
    }

    fn message(&mut self, day: &Day, message: &Message) -> Result<(), Failure> {
        match message {
            Message::Received { at, id, side, price: Some(price), quantity } => {
                let order = place(*side, *price, quantity.unwrap_or(Quantity::ABSENT));
                let refused = day.was_refused(id);
                let time_in_force = if refused { TimeInForce::ImmediateOrCancel } else { TimeInForce::GoodTillCancel };
                self.enter(*at, id, limit_order(order, time_in_force))
            }
            Message::Received { at, id, side, price: None, quantity } => {
                let quantity = quantity.or_else(|| day.taken.get(id).copied()).unwrap_or(Quantity::ZERO);
                let order = limit_order(place(*side, Price::ABSENT, quantity), TimeInForce::ImmediateOrCancel);
                self.enter(*at, id, NewOrder { order_type: OrderType::Market, ..order })
            }
            Message::Open { at, id, side, price, leaves } if !day.received.contains(id) => {
                self.enter(*at, id, limit_order(place(*side, *price, *leaves), TimeInForce::GoodTillCancel))
            }
            Message::Change { at, id, leaves } => self.amend(*at, id, *leaves),
            Message::Cancelled { at, id } if !day.was_refused(id) => self.cancel(*at, id),
            Message::Open { .. } | Message::Cancelled { .. } | Message::Match { .. } | Message::Other { .. } => Ok(()),
        }
    }

    fn enter(&mut self, at: Timestamp, id: &str, order: NewOrder) -> Result<(), Failure> {
        let client_order_id = self.client_order_id(id);
        self.submit(at, NewOrder { account: account_of(id), client_order_id, ..order })
    }

    fn cancel(&mut self, at: Timestamp, id: &str) -> Result<(), Failure> {
        let cancel = CancelOrder {
            account: account_of(id),
            order_id: OrderId::NONE,
            original_client_order_id: self.client_order_id(id),
            client_order_id: ClientOrderId::NONE,
        };
        self.submit(at, cancel)
    }

    /// The venue says what is left; the engine counts what is filled as well.
    fn amend(&mut self, at: Timestamp, id: &str, leaves: Quantity) -> Result<(), Failure> {
        let client_order_id = self.client_order_id(id);
        let order_id = self.order_ids.get(&client_order_id).copied().unwrap_or(OrderId::NONE);
        let cumulative = self.driver.engine().order(order_id).map_or(Quantity::ZERO, |order| order.cumulative);
        let amend = ReplaceOrder {
            account: account_of(id),
            order_id: OrderId::NONE,
            original_client_order_id: client_order_id,
            client_order_id: ClientOrderId::NONE,
            order_type: None,
            time_in_force: None,
            price: Price::ABSENT,
            quantity: cumulative + leaves,
            stop_price: Price::ABSENT,
            display_quantity: Quantity::ABSENT,
            expire_at: Timestamp::NONE,
        };
        self.submit(at, amend)
    }

    fn submit(&mut self, at: Timestamp, body: impl Into<CommandBody>) -> Result<(), Failure> {
        for (_, event) in self.driver.submit(at, body)? {
            match event {
                Event::OrderAccepted(accepted) => {
                    self.order_ids.insert(accepted.order.client_order_id, accepted.order.order_id);
                }
                Event::Trade(trade) => self.matches.push(Match {
                    maker: name(&self.names, trade.maker.client_order_id),
                    taker: name(&self.names, trade.taker.client_order_id),
                    price: trade.price,
                    quantity: trade.quantity,
                }),
                _ => {}
            }
        }
        Ok(())
    }

    fn client_order_id(&mut self, id: &str) -> ClientOrderId {
        if let Some(&known) = self.client_order_ids.get(id) {
            return known;
        }
        self.names.push(id.to_owned());
        let client_order_id = ClientOrderId(self.names.len() as u64);
        self.client_order_ids.insert(id.to_owned(), client_order_id);
        client_order_id
    }

    fn finish(mut self, day: &Day, closing: &Book) -> Result<Outcome, Failure> {
        let digests = self.driver.finish()?;
        let matches = compare_matches(day, &self.matches);
        let mut books = BookComparison::new();
        for side in Side::BOTH {
            let expected = self.expected_side(closing, side);
            books.side(self.driver.engine(), INSTRUMENT, side, &expected);
        }
        Ok(Outcome {
            flow: "coinbase",
            commands: self.driver.engine().last().sequence.0,
            comparisons: vec![matches, books.resting, books.fifo_levels],
            figures: Vec::new(),
            faults: self.faults(),
            digests,
        })
    }

    fn expected_side(&mut self, closing: &Book, side: Side) -> Vec<ExpectedOrder> {
        let orders = closing.orders.iter().filter(|(of, _)| *of == side);
        orders
            .map(|(_, order)| ExpectedOrder {
                client_order_id: self.client_order_id(&order.id),
                price: order.price,
                leaves: order.leaves,
            })
            .collect()
    }

    /// Set-up that was refused, a structure that is damaged, an asset that was made or lost.
    fn faults(&self) -> Vec<String> {
        let engine = self.driver.engine();
        let refused =
            (self.set_up_refused > 0).then(|| format!("{} set-up commands were refused", self.set_up_refused));
        let audit = engine.audit().err().map(|fault| format!("audit: {fault}"));
        let conservation = [BASE, QUOTE].into_iter().filter_map(|asset| {
            let owned: u128 = accounts()
                .chain([AccountId::FEES])
                .filter_map(|account| engine.balance(account, asset))
                .map(|balance| balance.available.0 + balance.held.0)
                .sum();
            let supply = engine.supply(asset).unwrap_or_default().0;
            (owned != supply).then(|| format!("asset {asset}: accounts own {owned}, the supply is {supply}"))
        });
        refused.into_iter().chain(audit).chain(conservation).collect()
    }
}

fn compare_matches(day: &Day, found: &[Match]) -> Comparison {
    let mut comparison = Comparison::new("matches");
    let mut found = found.iter();
    for (index, expected) in day.matches().enumerate() {
        comparison.expect(|| format!("match {}", index + 1), &Some(expected), &found.next());
    }
    for surplus in found {
        comparison.surplus(|| format!("{surplus:?}"));
    }
    comparison
}

fn name(names: &[String], client_order_id: ClientOrderId) -> String {
    let index = usize::try_from(client_order_id.0).ok().and_then(|id| id.checked_sub(1));
    index.and_then(|index| names.get(index)).cloned().unwrap_or_default()
}

fn place(side: Side, price: Price, leaves: Quantity) -> RowOrder {
    RowOrder { instrument: INSTRUMENT, side, price, leaves }
}

fn accounts() -> impl Iterator<Item = AccountId> {
    (FIRST_ACCOUNT.0..).take(ACCOUNT_COUNT as usize).map(AccountId)
}

/// The recording does not say who owned an order; the order's name decides, by FNV-1a.
fn account_of(id: &str) -> AccountId {
    let hash = id.bytes().fold(0x811C_9DC5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    AccountId(FIRST_ACCOUNT.0 + hash % ACCOUNT_COUNT)
}

fn listing() -> ListInstrument {
    ListInstrument {
        instrument: INSTRUMENT,
        name: text("BTC-USD"),
        base: BASE,
        quote: QUOTE,
        tick: TICK.mantissa,
        tick_decimals: TICK.decimals,
        lot: LOT.mantissa,
        lot_decimals: LOT.decimals,
        reference: Price::ABSENT,
        holds: Holds::On,
        self_trade_prevention: SelfTradePrevention::Allow,
        phase: Phase::Continuous,
        note: AdminNote::NONE,
    }
}

fn text(name: &str) -> Text<16> {
    Text::new(name).unwrap_or(Text::EMPTY)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Message, Failure> {
        let document = Document { path: PathBuf::from("day.json"), text: text.to_owned() };
        let raw: Vec<&RawValue> = document.parse(&document.text, 0)?;
        Message::read(&document, raw[0])
    }

    #[test]
    fn a_match_is_read_in_ticks_and_lots() {
        let message = read(
            r#"[{"type": "match", "time": "1970-01-01T00:00:01Z", "side": "sell", "price": "6190.85000000",
                 "size": "0.07727983", "maker_order_id": "m", "taker_order_id": "t"}]"#,
        );
        let found = Match {
            maker: "m".to_owned(),
            taker: "t".to_owned(),
            price: Price(619_085),
            quantity: Quantity(7_727_983),
        };
        assert_eq!(message.unwrap(), Message::Match { at: Timestamp(1_000_000_000), found });
    }

    #[test]
    fn a_market_order_has_no_price_and_perhaps_no_size() {
        let message = read(
            r#"[{"type": "received", "time": "1970-01-01T00:00:00Z", "order_id": "a", "side": "buy",
                 "order_type": "market", "funds": "29.71"}]"#,
        );
        let expected =
            Message::Received { at: Timestamp(0), id: "a".to_owned(), side: Side::Buy, price: None, quantity: None };
        assert_eq!(message.unwrap(), expected);
    }

    #[test]
    fn what_is_malformed_is_named_with_its_line() {
        let late = read("[\n\n{\"type\": \"open\"}]").unwrap_err().to_string();
        assert_eq!(late, "day.json:3: time is missing or not understood");
        let price = "[\n{\"type\": \"open\", \"time\": \"1970-01-01T00:00:00Z\", \"order_id\": \"a\", \
                     \"remaining_size\": \"1\", \"side\": \"buy\", \"price\": \"0.001\"}]";
        assert_eq!(read(price).unwrap_err().to_string(), "day.json:2: \"0.001\" is not a whole number of 0.01");
    }

    #[test]
    fn orders_are_spread_over_all_accounts_by_their_names() {
        let used: HashSet<_> = (0..1_000).map(|order| account_of(&format!("order {order}"))).collect();
        assert_eq!(used, accounts().collect());
    }
}
