//! One instrument's quotes: where they should be, how far off they are, and what becomes of them.
//!
//! ```text
//!   Missing ──enter──► Entering ──accepted──► Open ──amend, cancel──► Changing ──done, refused──► Open
//!      ▲                                                                                           │
//!      └────────────────────────── refused, cancelled, filled ─────────────────────────────────────┘
//! ```

use fastrand::Rng;
use wire::order_entry::{
    ExecutionReport, NewOrderSingle, OrderCancelReplaceRequest, OrderCancelRequest, SecurityDefinition,
};
use wire::{
    AccountId, Block, ClientOrderId, ExecInst, ExecType, Exponent, OnDisconnect, OrderType, Price, Quantity,
    SecurityId, Side, TimeInForce,
};

use super::Action;
use super::fair::FairPrice;
use crate::decimal::scaled;

/// Quotes on each side.
pub(super) const LEVELS: i64 = 10;
/// From the fair price to the best quote, between two quotes, and at random; in parts per million.
const HALF_SPREAD_PPM: i64 = 60;
const STEP_PPM: i64 = 90;
const SCATTER_PPM: i64 = 70;
/// A quote is moved when it is off by more.
const TOLERANCE_PPM: i64 = 25;
/// How far the prices are shifted when the inventory is at its limit.
const LEAN_PPM: i64 = 800;

/// What is quoted: quantities in hundredths or thousandths of the base asset, so that they are pleasant to read.
pub(super) struct Plan {
    pub(super) symbol: &'static str,
    /// Decimals of quantities.
    pub(super) decimals: u8,
    /// The smallest quantity, in units of the last decimal.
    pub(super) smallest: i64,
    /// The largest.
    pub(super) largest: i64,
    /// What may be bought or sold on balance from a session's beginning, in whole units.
    pub(super) limit: i64,
}

/// One instrument's quotes.
#[derive(Debug)]
pub(super) struct Quotes {
    pub(super) symbol: &'static str,
    instrument: SecurityId,
    price_exponent: Exponent,
    tick: i64,
    /// Mantissas, as all that follow.
    step: i64,
    smallest: i64,
    largest: i64,
    limit: i64,
    /// Bought less sold.
    inventory: i64,
    quotes: Vec<Quote>,
}

#[derive(Debug, Clone, Copy)]
struct Quote {
    side: Side,
    level: i64,
    /// Its own distance from its level, in parts per million.
    scatter: i64,
    state: State,
    name: ClientOrderId,
    price: i64,
    quantity: i64,
    leaves: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Missing,
    Entering,
    Open,
    Changing,
}

impl Quotes {
    /// Nothing is quoted yet. `None`: the instrument's quantities are too coarse for the plan.
    pub(super) fn new(plan: &Plan, definition: &SecurityDefinition) -> Option<Self> {
        let mantissa = |count, decimals| scaled(count, decimals, definition.quantity_exponent);
        let quote = |side, level| Quote {
            side,
            level,
            scatter: 0,
            state: State::Missing,
            name: ClientOrderId(0),
            price: 0,
            quantity: 0,
            leaves: 0,
        };
        let levels = (0..LEVELS).flat_map(|level| [quote(Side::Buy, level), quote(Side::Sell, level)]);
        Some(Self {
            symbol: plan.symbol,
            instrument: definition.security_id,
            price_exponent: definition.price_exponent,
            tick: definition.tick.0,
            step: mantissa(1, plan.decimals)?,
            smallest: mantissa(plan.smallest, plan.decimals)?,
            largest: mantissa(plan.largest, plan.decimals)?,
            limit: mantissa(plan.limit, 0)?,
            inventory: 0,
            quotes: levels.collect(),
        })
    }

    /// Quotes that may be entered, with how far from the market they are.
    pub(super) fn missing(&self) -> impl Iterator<Item = (i64, usize)> {
        let enters = |quote: &Quote| quote.state == State::Missing && !self.is_full(quote.side);
        self.quotes.iter().enumerate().filter(move |(_, quote)| enters(quote)).map(|(at, quote)| (quote.level, at))
    }

    /// Quotes that should be changed, with how urgent it is.
    pub(super) fn off(&self, fair: FairPrice) -> impl Iterator<Item = (i64, usize)> {
        let open = self.quotes.iter().enumerate().filter(|(_, quote)| quote.state == State::Open);
        open.map(move |(at, quote)| (self.urgency(quote, fair), at)).filter(|&(urgency, _)| urgency > 0)
    }

    /// Enters a quote that is missing.
    pub(super) fn enter(
        &mut self,
        at: usize,
        fair: FairPrice,
        rng: &mut Rng,
        account: AccountId,
        name: ClientOrderId,
    ) -> Action {
        let quantity = self.fresh_quantity(self.quotes[at].level, rng);
        self.quotes[at].scatter = rng.i64(0..SCATTER_PPM);
        let price = self.target(&self.quotes[at], fair);
        let quote = &mut self.quotes[at];
        *quote = Quote { state: State::Entering, name, price, quantity, leaves: quantity, ..*quote };
        Action::Enter(NewOrderSingle {
            account,
            security_id: self.instrument,
            client_order_id: Some(name),
            price: Some(Price(price)),
            order_quantity: Some(Quantity(quantity)),
            side: quote.side,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::GoodTillCancel,
            instructions: ExecInst::POST_ONLY,
            on_disconnect: OnDisconnect::AsSession,
            ..NewOrderSingle::BLANK
        })
    }

    /// Moves a quote to where it should be and fills it up; at the limit, takes it away.
    pub(super) fn change(&mut self, at: usize, fair: FairPrice, rng: &mut Rng, account: AccountId) -> Action {
        let quote = self.quotes[at];
        if self.is_full(quote.side) {
            return self.cancel(at, account);
        }
        let leaves = if self.is_small(&quote) { self.fresh_quantity(quote.level, rng) } else { quote.leaves };
        let price = self.target(&quote, fair);
        self.quotes[at].state = State::Changing;
        Action::Amend(OrderCancelReplaceRequest {
            account,
            original_client_order_id: Some(quote.name),
            price: Some(Price(price)),
            // What has traded is included.
            order_quantity: Some(Quantity(quote.quantity - quote.leaves + leaves)),
            ..OrderCancelReplaceRequest::BLANK
        })
    }

    /// Takes away some open quote; `None`: there is none.
    pub(super) fn cancel_one(&mut self, rng: &mut Rng, account: AccountId) -> Option<Action> {
        let open: Vec<usize> = (0..self.quotes.len()).filter(|&at| self.quotes[at].state == State::Open).collect();
        let at = *open.get(rng.usize(0..open.len().max(1)))?;
        Some(self.cancel(at, account))
    }

    /// Takes in what became of an order, if it is one of these.
    pub(super) fn hear(&mut self, report: &ExecutionReport) {
        let Some(quote) = self.quotes.iter_mut().find(|quote| Some(quote.name) == report.client_order_id) else {
            return;
        };
        if let (ExecType::Trade, Some(traded)) = (report.exec_type, report.last_quantity) {
            self.inventory += if quote.side == Side::Buy { traded.0 } else { -traded.0 };
        }
        let ended = report.leaves_quantity.0 == 0 || report.exec_type == ExecType::Rejected;
        if ended {
            quote.state = State::Missing;
            // Whoever still answers for this order answers to nobody.
            quote.name = ClientOrderId(0);
            return;
        }
        quote.leaves = report.leaves_quantity.0;
        if let (ExecType::New | ExecType::Replaced, Some(price), Some(quantity)) =
            (report.exec_type, report.price, report.order_quantity)
        {
            quote.price = price.0;
            quote.quantity = quantity.0;
            quote.state = State::Open;
        }
    }

    /// A change was refused: the order is as it was.
    pub(super) fn change_refused(&mut self, name: ClientOrderId) {
        if let Some(quote) = self.quotes.iter_mut().find(|quote| quote.name == name && quote.state == State::Changing) {
            quote.state = State::Open;
        }
    }

    /// The venue's edge refused a request: the entry of this name, or a change, which has none.
    pub(super) fn refused_at_edge(&mut self, name: Option<ClientOrderId>) {
        for quote in &mut self.quotes {
            match quote.state {
                State::Entering if Some(quote.name) == name => quote.state = State::Missing,
                // If this was not the one, its report says so all the same.
                State::Changing => quote.state = State::Open,
                _ => {}
            }
        }
    }

    fn cancel(&mut self, at: usize, account: AccountId) -> Action {
        let quote = &mut self.quotes[at];
        quote.state = State::Changing;
        Action::Cancel(OrderCancelRequest {
            account,
            order_id: None,
            original_client_order_id: Some(quote.name),
            client_order_id: None,
        })
    }

    /// Where a quote should be: bids below the fair price and offers above it, whatever the tick.
    fn target(&self, quote: &Quote, fair: FairPrice) -> i64 {
        let lean = i128::from(LEAN_PPM) * i128::from(self.inventory) / i128::from(self.limit.max(1));
        let middle = fair.shifted(-i64::try_from(lean).unwrap_or(0).clamp(-LEAN_PPM, LEAN_PPM));
        let distance = HALF_SPREAD_PPM + quote.level * STEP_PPM + quote.scatter;
        match quote.side {
            Side::Buy => middle.shifted(-distance).mantissa_below(self.price_exponent, self.tick),
            _ => middle.shifted(distance).mantissa_above(self.price_exponent, self.tick),
        }
    }

    /// Zero: it is where it should be. A quote near the market is more urgent than one far away.
    fn urgency(&self, quote: &Quote, fair: FairPrice) -> i64 {
        if self.is_full(quote.side) {
            return i64::MAX;
        }
        let target = self.target(quote, fair);
        let distance = (quote.price - target).abs();
        let off_ppm = i128::from(distance) * 1_000_000 / i128::from(target.max(1));
        let off_ppm = i64::try_from(off_ppm).unwrap_or(i64::MAX / 16);
        let off = if off_ppm > TOLERANCE_PPM { off_ppm * 8 / (quote.level + 4) } else { 0 };
        off + i64::from(self.is_small(quote)) * 100
    }

    fn is_small(&self, quote: &Quote) -> bool {
        quote.leaves < self.smallest / 2
    }

    /// Whether no more may be bought or sold.
    fn is_full(&self, side: Side) -> bool {
        match side {
            Side::Buy => self.inventory >= self.limit,
            _ => self.inventory <= -self.limit,
        }
    }

    /// More the further away, as in books of real venues.
    fn fresh_quantity(&self, level: i64, rng: &mut Rng) -> i64 {
        let largest = self.largest * (level + 3) / (LEVELS + 2);
        let steps = rng.i64(self.smallest / self.step..=largest.max(self.smallest) / self.step);
        steps * self.step
    }
}
