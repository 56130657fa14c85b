//! The books, each with the call that its documentation shows for an operation.

use std::sync::{Arc, Mutex, PoisonError};

use crate::Numbering;
use crate::workload::{Action, Operation, Outcome, Side};

/// A book of somebody else.
pub trait Book {
    /// The crate's name.
    const NAME: &'static str;
    /// The crate's version.
    const VERSION: &'static str;
    /// More operations take too long.
    const OPERATIONS_MAX: u32 = u32::MAX;
    /// Who numbers orders.
    const NUMBERING: Numbering;

    /// An empty one.
    fn new() -> Self;

    /// Carries out an operation on the order of this number.
    fn carry_out(&mut self, operation: &Operation, number: u64, told: &mut Told);
}

/// What a book told.
pub struct Told {
    originals: Vec<u32>,
    /// What traded.
    pub outcome: Outcome,
    /// How many operations were refused.
    pub refused: u64,
}

impl Told {
    /// Nothing yet; `originals` are the stream's numbers of orders by the book's.
    pub fn new(originals: &[u32]) -> Self {
        Self { originals: originals.to_vec(), outcome: Outcome::default(), refused: 0 }
    }

    #[inline(always)]
    fn traded(&mut self, maker: u64, quantity: u64) {
        let maker = self.originals.get(maker as usize).copied().unwrap_or_default();
        self.outcome.trade(maker, quantity as u32);
    }
}

/// `matchcore`: a command and its outcome. It numbers orders by the command's sequence number.
pub struct Matchcore {
    book: matchcore::OrderBook,
    sequence: u64,
}

impl Book for Matchcore {
    const NAME: &'static str = "matchcore";
    const VERSION: &'static str = "0.4.0";
    const NUMBERING: Numbering = Numbering::Command;

    fn new() -> Self {
        Self { book: matchcore::OrderBook::new("BASE-QUOTE"), sequence: 0 }
    }

    #[inline(always)]
    fn carry_out(&mut self, operation: &Operation, number: u64, told: &mut Told) {
        use matchcore::*;
        let meta = CommandMeta { sequence_number: SequenceNumber(self.sequence), timestamp: Timestamp(self.sequence) };
        self.sequence += 1;
        let submit = |time_in_force| {
            let side = match operation.side {
                crate::workload::Side::Buy => Side::Buy,
                crate::workload::Side::Sell => Side::Sell,
            };
            let order = LimitOrder::new(
                Price(operation.price.into()),
                QuantityPolicy::Standard { quantity: Quantity(operation.quantity.into()) },
                OrderFlags::new(side, false, time_in_force),
            );
            CommandKind::Submit(SubmitCmd { order: NewOrder::Limit(order) })
        };
        let order_id = OrderId(number);
        let kind = match operation.action {
            Action::New => submit(TimeInForce::Gtc),
            Action::ImmediateOrCancel => submit(TimeInForce::Ioc),
            Action::Cancel => CommandKind::Cancel(CancelCmd { order_id, order_kind: OrderKind::Limit }),
            Action::Move => {
                let patch = LimitOrderPatch::new().with_price(Price(operation.price.into()));
                CommandKind::Amend(AmendCmd { order_id, patch: AmendPatch::Limit(patch) })
            }
        };
        match self.book.execute(&Command { meta, kind }) {
            CommandOutcome::Applied(CommandReport::Submit(effects) | CommandReport::Amend(effects)) => {
                for trade in effects.target_order().match_result().into_iter().flat_map(MatchResult::trades) {
                    told.traded(trade.maker_order_id().0, trade.quantity().0);
                }
            }
            CommandOutcome::Applied(CommandReport::Cancel) => {}
            CommandOutcome::Rejected(_) => told.refused += 1,
        }
    }
}

/// `lobster`. It has neither amends nor ImmediateOrCancel: both are a limit and a cancel.
pub struct Lobster(lobster::OrderBook);

impl Lobster {
    fn limit(&mut self, operation: &Operation, told: &mut Told) {
        use lobster::{OrderEvent, OrderType};
        let side = match operation.side {
            Side::Buy => lobster::Side::Bid,
            Side::Sell => lobster::Side::Ask,
        };
        let (id, qty, price) = (operation.id.into(), operation.quantity.into(), operation.price.into());
        if let OrderEvent::Filled { fills, .. } | OrderEvent::PartiallyFilled { fills, .. } =
            self.0.execute(OrderType::Limit { id, side, qty, price })
        {
            for fill in fills {
                told.traded(fill.order_2 as u64, fill.qty);
            }
        }
    }

    fn cancel(&mut self, operation: &Operation) {
        self.0.execute(lobster::OrderType::Cancel { id: operation.id.into() });
    }
}

impl Book for Lobster {
    const NAME: &'static str = "lobster";
    const VERSION: &'static str = "0.7.0";
    const OPERATIONS_MAX: u32 = 500_000;
    const NUMBERING: Numbering = Numbering::Trader;

    fn new() -> Self {
        Self(lobster::OrderBook::default())
    }

    #[inline(always)]
    fn carry_out(&mut self, operation: &Operation, _: u64, told: &mut Told) {
        match operation.action {
            Action::New => self.limit(operation, told),
            Action::Cancel => self.cancel(operation),
            Action::Move => {
                self.cancel(operation);
                self.limit(operation, told);
            }
            Action::ImmediateOrCancel => {
                self.limit(operation, told);
                self.cancel(operation);
            }
        }
    }
}

/// `orderbook-rs`: trades come through its listener, because those of a refused rest are told there only.
pub struct OrderbookRs {
    book: orderbook_rs::OrderBook<()>,
    trades: Arc<Mutex<Vec<(u64, u64)>>>,
}

impl Book for OrderbookRs {
    const NAME: &'static str = "orderbook-rs";
    const VERSION: &'static str = "0.15.3";
    const OPERATIONS_MAX: u32 = 500_000;
    const NUMBERING: Numbering = Numbering::Trader;

    fn new() -> Self {
        let trades = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&trades);
        let listener = move |result: &orderbook_rs::TradeResult| {
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            for trade in result.match_result.trades().as_vec() {
                if let orderbook_rs::Id::Sequential(maker) = trade.maker_order_id() {
                    heard.push((maker, trade.quantity().as_u64()));
                }
            }
        };
        Self { book: orderbook_rs::OrderBook::with_trade_listener("BASE-QUOTE", Arc::new(listener)), trades }
    }

    #[inline(always)]
    fn carry_out(&mut self, operation: &Operation, number: u64, told: &mut Told) {
        use orderbook_rs::{Id, TimeInForce};
        let side = match operation.side {
            Side::Buy => orderbook_rs::Side::Buy,
            Side::Sell => orderbook_rs::Side::Sell,
        };
        let (id, price, quantity) = (Id::Sequential(number), operation.price.into(), operation.quantity.into());
        let mut trades = true;
        let refused = match operation.action {
            Action::New => self.book.add_limit_order(id, price, quantity, side, TimeInForce::Gtc, None).is_err(),
            Action::ImmediateOrCancel => {
                // An error says that something was left of it.
                let _ = self.book.add_limit_order(id, price, quantity, side, TimeInForce::Ioc, None);
                false
            }
            Action::Cancel => {
                trades = false;
                !matches!(self.book.cancel_order(id), Ok(Some(_)))
            }
            Action::Move => {
                let new_price = pricelevel::Price::new(price);
                !matches!(
                    self.book.update_order(pricelevel::OrderUpdate::UpdatePrice { order_id: id, new_price }),
                    Ok(Some(_))
                )
            }
        };
        told.refused += u64::from(refused);
        if trades {
            for (maker, quantity) in self.trades.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
                told.traded(maker, quantity);
            }
        }
    }
}
