//! What goes in: the recording as its traders' requests, in the day's order, whatever door they go through.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use engine::command::{
    AddAsset, AdminNote, CancelOrder, CommandBody, Deposit, ListInstrument, NewOrder, ReplaceOrder, SetFees,
};
use engine::instrument::{FeeRates, Holds, Phase};
use engine::order::{OrderFlags, OrderType, SelfTradePrevention, Side, TimeInForce};
use engine::{
    AccountId, Amount, AssetId, ClientOrderId, Engine, InstrumentId, OrderId, Price, Quantity, Text, Timestamp,
};

use super::recording::{Book, Day, Match, Message};
use super::{LOT, TICK};
use crate::failure::Failure;
use crate::flow::book_comparison::{BookComparison, ExpectedOrder};
use crate::flow::order_feed::limit_order;
use crate::flow::plain_account;
use crate::flow::row_book::RowOrder;
use crate::input::find_file;
use crate::outcome::Comparison;

/// What is bought and sold.
pub const BASE: AssetId = AssetId(1);
/// What it is paid with.
pub const QUOTE: AssetId = AssetId(2);
/// The one instrument.
pub const INSTRUMENT: InstrumentId = InstrumentId(1);
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

/// One request at its recorded time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Step {
    /// When.
    pub at: Timestamp,
    /// What.
    pub request: Request,
}

/// What a trader asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Request {
    /// A new order.
    New(NewOrder),
    /// An end of one.
    Cancel(CancelOrder),
    /// So much of an order is to be left.
    LeaveOpen {
        /// Whose.
        account: AccountId,
        /// Which.
        client_order_id: ClientOrderId,
        /// How much.
        leaves: Quantity,
    },
}

/// A trade by our names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traded {
    /// The order that rested.
    pub maker: ClientOrderId,
    /// The order that came.
    pub taker: ClientOrderId,
    /// At which price.
    pub price: Price,
    /// How much.
    pub quantity: Quantity,
}

/// A recorded day: what goes in, and what must come out.
pub struct Recorded {
    opening: Book,
    closing: Book,
    day: Day,
    /// Orders by the venue's name; ids of ours are their places in the list, from 1.
    names: Vec<String>,
    client_order_ids: HashMap<String, ClientOrderId>,
    steps: Vec<Step>,
}

impl Recorded {
    /// Reads the recording in `folder`.
    pub fn read(folder: &Path) -> Result<Self, Failure> {
        let mut recorded = Self {
            opening: Book::read(&find_file(folder, "beginning_level_3.json")?)?,
            closing: Book::read(&find_file(folder, "ending_level_3.json")?)?,
            day: Day::read(&find_file(folder, "messages.json")?)?,
            names: Vec::new(),
            client_order_ids: HashMap::new(),
            steps: Vec::new(),
        };
        recorded.rest_opening();
        for message in std::mem::take(&mut recorded.day.messages) {
            recorded.message(&message);
            recorded.day.messages.push(message);
        }
        Ok(recorded)
    }

    /// Everything that goes in, in its order.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// When the day begins.
    pub fn start(&self) -> Timestamp {
        self.day.start()
    }

    fn rest_opening(&mut self) {
        let start = self.start();
        for (side, order) in self.opening.orders.clone() {
            let resting = place(side, order.price, order.leaves);
            let command =
                NewOrder { flags: OrderFlags::POST_ONLY, ..limit_order(resting, TimeInForce::GoodTillCancel) };
            self.enter(start, &order.id, command);
        }
    }

    fn message(&mut self, message: &Message) {
        match message {
            Message::Received { at, id, side, price: Some(price), quantity } => {
                let order = place(*side, *price, quantity.unwrap_or(Quantity::ABSENT));
                let refused = self.day.was_refused(id);
                let time_in_force = if refused { TimeInForce::ImmediateOrCancel } else { TimeInForce::GoodTillCancel };
                self.enter(*at, id, limit_order(order, time_in_force));
            }
            Message::Received { at, id, side, price: None, quantity } => {
                let quantity = quantity.or_else(|| self.day.taken.get(id).copied()).unwrap_or(Quantity::ZERO);
                let order = limit_order(place(*side, Price::ABSENT, quantity), TimeInForce::ImmediateOrCancel);
                self.enter(*at, id, NewOrder { order_type: OrderType::Market, ..order });
            }
            Message::Open { at, id, side, price, leaves } if !self.day.received.contains(id) => {
                self.enter(*at, id, limit_order(place(*side, *price, *leaves), TimeInForce::GoodTillCancel));
            }
            Message::Change { at, id, leaves } => {
                let client_order_id = self.client_order_id(id);
                self.push(*at, Request::LeaveOpen { account: account_of(id), client_order_id, leaves: *leaves });
            }
            Message::Cancelled { at, id } if !self.day.was_refused(id) => {
                let cancel = CancelOrder {
                    account: account_of(id),
                    order_id: OrderId::NONE,
                    original_client_order_id: self.client_order_id(id),
                    client_order_id: ClientOrderId::NONE,
                };
                self.push(*at, Request::Cancel(cancel));
            }
            Message::Open { .. } | Message::Cancelled { .. } | Message::Match { .. } | Message::Other { .. } => {}
        }
    }

    fn enter(&mut self, at: Timestamp, id: &str, order: NewOrder) {
        let client_order_id = self.client_order_id(id);
        self.push(at, Request::New(NewOrder { account: account_of(id), client_order_id, ..order }));
    }

    fn push(&mut self, at: Timestamp, request: Request) {
        self.steps.push(Step { at, request });
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

    fn name(&self, client_order_id: ClientOrderId) -> String {
        let index = usize::try_from(client_order_id.0).ok().and_then(|id| id.checked_sub(1));
        index.and_then(|index| self.names.get(index)).cloned().unwrap_or_default()
    }

    /// Compares trades with the recorded matches, one by one.
    pub fn compare_matches(&self, found: impl IntoIterator<Item = Traded>) -> Comparison {
        let mut comparison = Comparison::new("matches");
        let mut found = found.into_iter().map(|traded| Match {
            maker: self.name(traded.maker),
            taker: self.name(traded.taker),
            price: traded.price,
            quantity: traded.quantity,
        });
        for (index, expected) in self.day.matches().enumerate() {
            comparison.expect(|| format!("match {}", index + 1), &Some(expected), &found.next().as_ref());
        }
        for surplus in found {
            comparison.surplus(|| format!("{surplus:?}"));
        }
        comparison
    }

    /// Compares an engine's book with the closing snapshot.
    pub fn compare_closing(&mut self, engine: &Engine) -> BookComparison {
        let mut books = BookComparison::new();
        for side in Side::BOTH {
            let expected = self.closing_side(side);
            books.side(engine, INSTRUMENT, side, &expected);
        }
        books
    }

    /// One side of the closing snapshot, by priority.
    pub fn closing_side(&mut self, side: Side) -> Vec<ExpectedOrder> {
        let orders: Vec<_> = self.closing.orders.iter().filter(|(of, _)| *of == side).cloned().collect();
        orders
            .into_iter()
            .map(|(_, order)| ExpectedOrder {
                client_order_id: self.client_order_id(&order.id),
                price: order.price,
                leaves: order.leaves,
            })
            .collect()
    }
}

/// A price at which no step has a buyer: an order there is alone, and touches nobody.
pub fn lonely_bid(steps: &[Step]) -> Price {
    let taken: HashSet<Price> = steps
        .iter()
        .filter_map(|step| match step.request {
            Request::New(order) if order.side == Side::Buy => Some(order.price),
            _ => None,
        })
        .collect();
    (1..).map(Price).find(|price| !taken.contains(price)).expect("prices are many")
}

/// What makes the venue of the day: assets, the instrument, its fees, accounts and their money.
pub fn set_up() -> Vec<CommandBody> {
    let note = AdminNote::NONE;
    let mut bodies: Vec<CommandBody> = Vec::new();
    for (asset, name, decimals) in [(BASE, "BTC", BASE_DECIMALS), (QUOTE, "USD", QUOTE_DECIMALS)] {
        bodies.push(AddAsset { asset, name: text(name), decimals, note }.into());
    }
    bodies.push(listing().into());
    bodies.push(SetFees { instrument: INSTRUMENT, tier: 0, rates: FEES, note }.into());
    for account in accounts() {
        bodies.push(plain_account(account).into());
        for (asset, amount) in [(BASE, BASE_DEPOSIT), (QUOTE, QUOTE_DEPOSIT)] {
            bodies.push(Deposit { account, asset, amount, note }.into());
        }
    }
    bodies
}

/// A structure that is damaged, an asset that was made or lost.
pub fn faults(engine: &Engine) -> Vec<String> {
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
    audit.into_iter().chain(conservation).collect()
}

/// The accounts that orders are spread over.
pub fn accounts() -> impl Iterator<Item = AccountId> {
    (FIRST_ACCOUNT.0..).take(ACCOUNT_COUNT as usize).map(AccountId)
}

/// The recording says what is to be left of an order; the engine is told its whole quantity, what is filled included.
pub fn amend(account: AccountId, client_order_id: ClientOrderId, quantity: Quantity) -> ReplaceOrder {
    ReplaceOrder {
        account,
        order_id: OrderId::NONE,
        original_client_order_id: client_order_id,
        client_order_id: ClientOrderId::NONE,
        order_type: None,
        time_in_force: None,
        price: Price::ABSENT,
        quantity,
        stop_price: Price::ABSENT,
        display_quantity: Quantity::ABSENT,
        expire_at: Timestamp::NONE,
    }
}

/// An order of the day's instrument.
pub fn place(side: Side, price: Price, leaves: Quantity) -> RowOrder {
    RowOrder { instrument: INSTRUMENT, side, price, leaves }
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

    #[test]
    fn orders_are_spread_over_all_accounts_by_their_names() {
        let used: HashSet<_> = (0..1_000).map(|order| account_of(&format!("order {order}"))).collect();
        assert_eq!(used, accounts().collect());
    }

    #[test]
    fn a_lonely_price_is_the_lowest_that_no_buyer_has() {
        let buyer = |price| Step {
            at: Timestamp::NONE,
            request: Request::New(limit_order(
                place(Side::Buy, Price(price), Quantity(1)),
                TimeInForce::GoodTillCancel,
            )),
        };
        assert_eq!(lonely_bid(&[buyer(1), buyer(2), buyer(4)]), Price(3));
    }
}
