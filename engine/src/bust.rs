//! Reversing a trade (rule 8.17), and the tape that remembers the last ones.

use alloc::vec::Vec;

use crate::canonical::{code_enum, record};
use crate::command::BustTrade;
use crate::engine::Engine;
use crate::event::{BalanceCause, EventSink, Trade, TradeBusted, TradeSide};
use crate::identity::{AccountId, AssetId, ClientOrderId, InstrumentId, OrderId, SessionId, TradeId};
use crate::limits::TRADES_REMEMBERED;
use crate::order::Side;
use crate::reject::RejectReason;
use crate::turn::Turn;
use crate::{Price, Quantity, SignedAmount};

code_enum! {
    /// Whether a trade still stands.
    pub(crate) enum Standing: u8 {
        /// It does.
        Good = 0,
        /// It was busted.
        Busted = 1,
    }
}

record! {
    /// One side of a printed trade.
    pub(crate) struct Party {
        pub account: AccountId,
        pub session: SessionId,
        pub order_id: OrderId,
        pub client_order_id: ClientOrderId,
        pub fee: SignedAmount,
    }
    /// A trade as far as a bust needs it.
    pub(crate) struct Print {
        pub instrument: InstrumentId,
        pub price: Price,
        pub quantity: Quantity,
        pub buyer: Party,
        pub seller: Party,
        pub standing: Standing,
    }
}

impl Party {
    #[inline(always)]
    fn of(side: &TradeSide) -> Self {
        Self {
            account: side.report.account,
            session: side.report.session,
            order_id: side.order_id,
            client_order_id: side.client_order_id,
            fee: side.fee,
        }
    }
}

/// The venue's last trades, a ring. Trade numbers have no gaps, so that a number is a place.
#[derive(Debug)]
pub(crate) struct Tape {
    prints: Vec<Print>,
    /// The place of the oldest once the ring is full.
    oldest: usize,
    /// The number of the last trade.
    last: TradeId,
}

impl Tape {
    /// An empty tape behind trade `last`.
    pub(crate) fn new(last: TradeId) -> Self {
        Self { prints: Vec::with_capacity(TRADES_REMEMBERED as usize), oldest: 0, last }
    }

    /// Remembers a trade.
    #[inline(always)]
    pub(crate) fn print(&mut self, trade: &Trade) {
        let Trade { instrument, price, quantity, ref maker, ref taker, .. } = *trade;
        let (buyer, seller) = match maker.side {
            Side::Buy => (Party::of(maker), Party::of(taker)),
            Side::Sell => (Party::of(taker), Party::of(maker)),
        };
        self.push(Print { instrument, price, quantity, buyer, seller, standing: Standing::Good });
    }

    /// Remembers the next trade, and forgets the oldest.
    #[inline(always)]
    pub(crate) fn push(&mut self, print: Print) {
        if self.prints.len() < TRADES_REMEMBERED as usize {
            self.prints.push(print);
        } else {
            self.prints[self.oldest] = print;
            self.oldest = if self.oldest + 1 == self.prints.len() { 0 } else { self.oldest + 1 };
        }
        self.last = self.last.next();
    }

    fn get_mut(&mut self, trade: TradeId) -> Option<&mut Print> {
        let age = usize::try_from(self.last.0.checked_sub(trade.0)?).ok()?;
        let behind_oldest = self.prints.len().checked_sub(age + 1)?;
        let place = (self.oldest + behind_oldest) % self.prints.len();
        self.prints.get_mut(place)
    }

    /// The trades that are remembered, oldest first.
    pub(crate) fn prints(&self) -> impl Iterator<Item = &Print> {
        let (newer, older) = self.prints.split_at(self.oldest);
        older.iter().chain(newer)
    }
}

/// What a bust does to one balance.
type Change = (AccountId, AssetId, i128);

impl Engine {
    pub(crate) fn bust_trade<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        command: &BustTrade,
    ) -> Result<(), RejectReason> {
        let BustTrade { instrument, trade_id, note } = *command;
        self.listed(instrument)?;
        let print = self.tape.get_mut(trade_id).filter(|print| print.instrument == instrument);
        let print = *print.filter(|print| print.standing == Standing::Good).ok_or(RejectReason::UnknownTrade)?;
        let changes = self.reversal(&print);
        if !changes.iter().all(|change| self.can_give(change, &changes)) {
            return Err(RejectReason::InsufficientFunds);
        }
        // What is given first: a balance that also receives is then never short on the way.
        let [receives, gives] = [|amount: i128| amount > 0, |amount| amount < 0];
        for counts in [receives, gives] {
            for &(account, asset, amount) in changes.iter().filter(|change| counts(change.2)) {
                self.ledger.credit(account, asset, amount);
            }
        }
        if let Some(print) = self.tape.get_mut(trade_id) {
            print.standing = Standing::Busted;
        }
        let [buyer, seller] = [(print.buyer, Side::Buy), (print.seller, Side::Sell)]
            .map(|(party, side)| self.busted_side(turn, &party, side));
        let author = turn.header.author;
        let Print { price, quantity, .. } = print;
        turn.emit(TradeBusted { author, instrument, trade_id, price, quantity, buyer, seller, note });
        for (account, asset, amount) in changes {
            if amount != 0 {
                self.report_balance(turn, account, asset, BalanceCause::TradeBust, amount, note);
            }
        }
        Ok(())
    }

    /// What goes back: the base to the seller, the quote to the buyer, the fees to both. Nothing without holds.
    fn reversal(&self, print: &Print) -> [Change; 5] {
        let market = self.market(print.instrument);
        let (base, quote) = (market.base(), market.quote());
        let (buyer, seller) = (print.buyer.account, print.seller.account);
        let zero = (AccountId::FEES, quote, 0);
        if !market.settles() {
            return [zero; 5];
        }
        let lots = i128::from(print.quantity.0) * i128::from(market.units.base);
        let notional = i128::try_from(market.checked_notional(print.price, print.quantity)).expect("it traded");
        let (bought, sold) = (print.buyer.fee.0, print.seller.fee.0);
        [
            (buyer, base, -lots),
            (buyer, quote, notional + bought),
            (seller, base, lots),
            (seller, quote, sold - notional),
            (AccountId::FEES, quote, -(bought + sold)),
        ]
    }

    /// Whether the balance that a change touches stays covered when all changes are made.
    fn can_give(&self, &(account, asset, _): &Change, changes: &[Change; 5]) -> bool {
        let of_this = |change: &&Change| (change.0, change.1) == (account, asset);
        let sum: i128 = changes.iter().filter(of_this).map(|change| change.2).sum();
        if sum >= 0 {
            return true;
        }
        let available = self.ledger.balance(account, asset).available.0;
        available.checked_add_signed(sum).is_some_and(|left| left >= self.reserve(account))
    }

    /// A party's order as it is now; of one that has ended, its names alone.
    fn busted_side<S: EventSink>(&mut self, turn: &Turn<'_, S>, party: &Party, side: Side) -> TradeSide {
        let Party { account, session, order_id, client_order_id, fee } = *party;
        if let Some(slot) = self.orders.arena.find(order_id) {
            return self.trade_side(turn, slot, -fee.0);
        }
        TradeSide {
            report: self.report(turn, account, session),
            order_id,
            client_order_id,
            side,
            order_price: Price::ABSENT,
            order_quantity: Quantity::ABSENT,
            leaves: Quantity::ZERO,
            cumulative: Quantity::ZERO,
            prevented: Quantity::ZERO,
            fee: SignedAmount(-fee.0),
        }
    }
}
