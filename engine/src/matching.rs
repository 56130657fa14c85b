//! Continuous matching (rule 3): price, then time, at the resting order's price.

use crate::book::Book;
use crate::book::arena::{Details, Extras, Order, Place, Slot, Traits};
use crate::book::index::Named;
use crate::book::level::Chain;
use crate::call::CallKind;
use crate::command::NewOrder;
use crate::engine::Engine;
use crate::event::{
    EventSink, OrderAccepted, OrderRejected, OrderRestated, OrderState, PriceBound, Report, Requester,
    RestatementReason, SelfMatch, Trade, TradeSide,
};
use crate::fees::{LiquidityRole, fee_increase, lots_for};
use crate::instrument::ReferenceSource;
use crate::market::Market;
use crate::order::{OrderStatus, OrderType, SelfTradePrevention, Side, TimeInForce};
use crate::ordinary::Entered;
use crate::protection::Passed;
use crate::reject::{CancelReason, RejectReason};
use crate::risk::{Exposure, Settlement, held_asset};
use crate::self_trade::Prevention;
use crate::turn::Turn;
use crate::validate::{Entrant, Terms, crosses};
use crate::{AccountId, Amount, ClientOrderId, InstrumentId, OrderId, Price, Quantity, SignedAmount};

/// How an incoming order's matching came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Taken {
    /// Nothing is left of it.
    Filled,
    /// Its funds pay for no lot more.
    Spent,
    /// Something is left, and nothing within its reach.
    Remains,
    /// Self-trade prevention has ended it.
    Ended,
    /// Something is left, and the next match would lie outside the collar.
    Outside(Passed),
}

impl Engine {
    /// Enters an order: it is judged, accepted, matched, and rests, waits or ends.
    pub(crate) fn new_order<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, order: &NewOrder) {
        match self.enter_ordinary(turn, order) {
            Entered::Rests => {}
            Entered::Passes(entrant) => self.match_ordinary(turn, order, &entrant),
            Entered::Unknown => self.enter_any(turn, order),
        }
    }

    #[cold]
    fn enter_any<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, order: &NewOrder) {
        match self.check_new_order(turn, order) {
            Ok(entrant) => {
                let slot = self.accept(turn, order, &entrant);
                self.enter(turn, slot);
                self.finish_trading(turn, order.instrument);
            }
            Err(reason) => self.refuse_order(turn, order, reason),
        }
    }

    fn refuse_order<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, order: &NewOrder, reason: RejectReason) {
        if reason == RejectReason::OutsidePriceBand {
            self.tell_refused_price(turn, order.instrument, &Terms::of_new(order), true);
        }
        self.reject_order(turn, order, reason);
    }

    /// Lets an order that stands nowhere wait for a trade or for the close, or work.
    #[inline(never)]
    pub(crate) fn enter<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, slot: Slot) {
        let Order { order_type, time_in_force, instrument, .. } = self.orders.arena[slot];
        match order_type {
            OrderType::Stop | OrderType::StopLimit => self.place(slot, Place::Stops),
            _ if self.market(instrument).waits_for_close(time_in_force) => self.place(slot, Place::Close),
            OrderType::Limit | OrderType::Market => self.work(turn, slot),
        }
    }

    /// Lets an order that waits for nothing gather for an auction, or match and rest.
    #[inline(never)]
    pub(crate) fn work<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, slot: Slot) {
        let Order { order_type, instrument, .. } = self.orders.arena[slot];
        match (self.market(instrument).gathers(), order_type) {
            (true, OrderType::Market) => self.place(slot, Place::Market),
            (true, _) => self.place(slot, Place::Book),
            (false, _) => self.match_and_rest(turn, slot),
        }
    }

    /// Lets an incoming order take what it can, then rests or ends it.
    #[inline(never)]
    pub(crate) fn match_and_rest<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, slot: Slot) {
        let is_market = self.orders.arena[slot].order_type == OrderType::Market;
        let met = is_market.then(|| self.best_opposite(slot)).flatten();
        let reason = match self.take(turn, slot) {
            Taken::Ended => return,
            Taken::Filled => return self.end_order(slot, OrderStatus::Filled),
            Taken::Spent => CancelReason::FundsRemainder,
            Taken::Outside(passed) => return self.stop_at_collar(turn, slot, passed),
            Taken::Remains => match self.remainder(slot) {
                Some(reason) => reason,
                None => return self.place(slot, Place::Book),
            },
        };
        if reason == CancelReason::MarketProtection {
            self.tell_protection(turn, slot, met);
        }
        self.cancel(turn, slot, reason, Requester::NOBODY, ClientOrderId::NONE);
    }

    /// Says where a market order's protection stopped it: counted from what it met first, or from its stop price.
    fn tell_protection<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, slot: Slot, met: Option<Price>) {
        let Order { id, instrument, order_type, limit, .. } = self.orders.arena[slot];
        let stop_price = self.orders.arena.extras(slot).stop_price;
        let from = if order_type == OrderType::Stop { Some(stop_price) } else { met };
        if let (Some(reference), Some(price)) = (from, self.best_opposite(slot)) {
            self.tell_bound(turn, instrument, id, PriceBound::Market, Passed { reference, limit, price });
        }
    }

    /// The best price that an order could meet.
    fn best_opposite(&self, slot: Slot) -> Option<Price> {
        let Order { instrument, side, .. } = self.orders.arena[slot];
        self.market(instrument).book.best_price(side.opposite())
    }

    /// Why what is left of an incoming order does not rest; `None` if it does.
    #[inline(always)]
    fn remainder(&self, slot: Slot) -> Option<CancelReason> {
        let order = &self.orders.arena[slot];
        let book = &self.market(order.instrument).book;
        match (order.order_type, order.time_in_force) {
            (OrderType::Market | OrderType::Stop, _) => match book.best(&self.orders, order.side.opposite()) {
                None => Some(CancelReason::MarketRemainder),
                Some(_) => Some(CancelReason::MarketProtection),
            },
            (_, TimeInForce::ImmediateOrCancel | TimeInForce::FillOrKill) => Some(CancelReason::ImmediateRemainder),
            // Only a stop that was elected may find no room: for others it was looked at before.
            _ if !book.has_room(&self.orders, Place::Book, order.side, order.limit) => Some(CancelReason::CapacityFull),
            _ => None,
        }
    }

    /// What happens when all else of a command has: elected stops enter, and the reference price follows.
    #[inline(always)]
    pub(crate) fn finish_trading<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, instrument: InstrumentId) {
        if !self.elected.is_empty() {
            self.enter_elected(turn);
        }
        let market = self.market_mut(instrument);
        market.reference = market.next_reference;
    }

    fn reject_order<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, order: &NewOrder, reason: RejectReason) {
        let (original_order_id, original_status) = match reason {
            RejectReason::DuplicateClientOrderId => self.original(order.account, order.client_order_id),
            _ => (OrderId::NONE, None),
        };
        let report = self.refusal(turn, order.account, reason);
        turn.emit(OrderRejected {
            report,
            instrument: order.instrument,
            client_order_id: order.client_order_id,
            side: order.side,
            price: order.price,
            quantity: order.quantity,
            reason,
            original_order_id,
            original_status,
        });
    }

    /// The order that has a name already, and what has become of it.
    pub(crate) fn original(&self, account: AccountId, name: ClientOrderId) -> (OrderId, Option<OrderStatus>) {
        match self.names.find(&self.orders.arena, account, name) {
            Some(Named::Open(slot)) => (self.orders.arena[slot].id, Some(self.orders.arena.status(slot))),
            Some(Named::Closed(id, status)) => (id, Some(status)),
            None => (OrderId::NONE, None),
        }
    }

    #[inline]
    fn accept<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, order: &NewOrder, entrant: &Entrant) -> Slot {
        let (slot, id) = self.orders.arena.open();
        self.orders.arena.write(
            slot,
            Order {
                id,
                limit: entrant.limit,
                leaves: entrant.leaves,
                account: order.account,
                session: turn.header.session,
                instrument: order.instrument,
                side: order.side,
                order_type: order.order_type,
                time_in_force: order.time_in_force,
                flags: order.flags,
                self_trade_prevention: entrant.mode,
                on_disconnect: order.on_disconnect,
                traits: Traits::ENTERING,
                ..Order::BLANK
            },
            Details {
                client_order_id: order.client_order_id,
                accepted: turn.stamp.sequence,
                rates: entrant.rates,
                ..Details::BLANK
            },
        );
        self.note_extras(slot, order);
        if entrant.hold > 0 {
            let asset = held_asset(self.market(order.instrument), order.side);
            self.ledger.change_hold(order.account, asset, 0, entrant.hold).expect("funds were checked");
        }
        let report = self.answer(turn, order.account);
        turn.emit(entrant.accepted(order, report, id, self.orders.arena.shown(slot)));
        slot
    }

    /// Notes what only some new orders have.
    #[inline]
    fn note_extras(&mut self, slot: Slot, order: &NewOrder) {
        let unseen = self.market(order.instrument).hides(order.order_type, order.time_in_force);
        let arena = &mut self.orders.arena;
        let (funds, stop_price, expire_at) = (order.funds, order.stop_price, order.expire_at);
        let extras = Extras { funds, stop_price, expire_at, ..Extras::NONE };
        if extras != Extras::NONE {
            *arena.extras_mut(slot) = extras;
        }
        arena[slot].traits.set(Traits::FUNDS, !funds.is_absent());
        arena.set_display(slot, order.display_quantity);
        if unseen { arena.hide(slot) } else { arena.show(slot) }
    }

    /// Names an open order, puts it behind its account's and its session's others, and notes when it expires.
    #[inline(never)]
    pub(crate) fn link(&mut self, slot: Slot) {
        let arena = &mut self.orders.arena;
        let Order { account, session, instrument, time_in_force, .. } = arena[slot];
        self.names.open(account, arena.details(slot).client_order_id, slot);
        let owner = self.accounts.get_mut(account.0).expect("an order's account is open");
        owner.open_orders += 1;
        owner.orders.push(arena, Chain::Account, slot);
        let is_limited = owner.limited_instruments > 0;
        if let Some(session) = self.sessions.get_mut(session) {
            session.orders.push(arena, Chain::Session, slot);
        }
        if time_in_force == TimeInForce::GoodTillDate {
            self.expiries.insert(arena, slot);
        }
        if is_limited {
            self.count_limited(account, instrument, 1);
        }
    }

    #[inline(always)]
    fn unlink(&mut self, slot: Slot, order: &Order, details: &Details) {
        let arena = &mut self.orders.arena;
        let owner = self.accounts.get_mut(order.account.0).expect("an order's account is open");
        owner.open_orders -= 1;
        owner.orders.leave(arena, Chain::Account, order.in_account);
        if owner.limited_instruments > 0 {
            self.count_limited(order.account, order.instrument, -1);
        }
        let arena = &mut self.orders.arena;
        if let Some(session) = self.sessions.get_mut(order.session) {
            session.orders.leave(arena, Chain::Session, details.in_session);
        }
        if order.time_in_force == TimeInForce::GoodTillDate {
            self.expiries.remove(arena, slot);
        }
    }

    /// Trades an incoming order against the book as far as its limit reaches.
    #[inline(always)]
    fn take<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, taker: Slot) -> Taken {
        let Order { instrument, side, limit, .. } = self.orders.arena[taker];
        let market = self.market(instrument);
        if !market.book.would_take(side, limit) {
            return Taken::Remains;
        }
        let collar = market.collar();
        while let Some(maker) = self.market(instrument).book.best(&self.orders, side.opposite()) {
            let price = self.orders.arena[maker].limit;
            if !crosses(side, limit, price) {
                return Taken::Remains;
            }
            if let Some(passed) = collar.passed(price) {
                return Taken::Outside(passed);
            }
            let prevention = self.prevention(maker, taker);
            let quantity = self.match_quantity(maker, taker, price, prevention);
            if quantity.is_zero() {
                return Taken::Spent;
            }
            match prevention {
                SelfTradePrevention::Allow => self.trade(turn, maker, taker, price, quantity),
                mode => match self.prevent(turn, maker, taker, price, quantity, mode) {
                    Prevention::GoOn => {}
                    Prevention::Ended => return Taken::Ended,
                },
            }
            let order = &self.orders.arena[taker];
            match order.is_by_funds() {
                true if self.orders.arena.extras(taker).funds == Amount::ZERO => return Taken::Spent,
                false if order.leaves.is_zero() => return Taken::Filled,
                _ => {}
            }
        }
        Taken::Remains
    }

    /// How much two orders would trade: what the resting one shows and the incoming one has left or can pay for.
    #[inline(always)]
    fn match_quantity(&self, maker: Slot, taker: Slot, price: Price, prevention: SelfTradePrevention) -> Quantity {
        let shown = self.orders.arena.shown(maker);
        let order = &self.orders.arena[taker];
        if !order.is_by_funds() {
            return shown.min(order.leaves);
        }
        self.affordable(maker, taker, price, prevention)
    }

    /// How much of what the resting order shows the incoming one's funds pay for.
    #[cold]
    fn affordable(&self, maker: Slot, taker: Slot, price: Price, prevention: SelfTradePrevention) -> Quantity {
        let (shown, order) = (self.orders.arena.shown(maker), &self.orders.arena[taker]);
        let lot = self.market(order.instrument).checked_notional(price, Quantity(1));
        let Details { rates, .. } = self.orders.arena.details(taker);
        let rate = if prevention == SelfTradePrevention::Decrement { 0 } else { rates.taker };
        let Extras { funds, taker_notional, .. } = *self.orders.arena.extras(taker);
        shown.min(Quantity(lots_for(funds.0, lot, taker_notional, rate)))
    }

    /// Trades a quantity between two orders, at the resting order's price.
    #[inline(always)]
    fn trade<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        maker: Slot,
        taker: Slot,
        price: Price,
        quantity: Quantity,
    ) {
        let fees = [
            self.fill(maker, LiquidityRole::Maker, price, quantity),
            self.fill(taker, LiquidityRole::Taker, price, quantity),
        ];
        let Order { instrument, side, .. } = self.orders.arena[taker];
        let market = self.market_mut(instrument);
        if market.protection.reference_source == ReferenceSource::LastTrade {
            market.next_reference = price;
        }
        self.print(turn, [maker, taker], fees, price, quantity, Some(side));
        match self.orders.arena[maker].leaves.is_zero() {
            true => self.end_order(maker, OrderStatus::Filled),
            false => self.refresh(turn, maker),
        }
        self.elect(instrument, price);
    }

    /// Tells a trade that was settled, and remembers it; the maker's side is numbered first.
    #[inline(always)]
    pub(crate) fn print<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        [maker, taker]: [Slot; 2],
        [maker_fee, taker_fee]: [i128; 2],
        price: Price,
        quantity: Quantity,
        aggressor: Option<Side>,
    ) {
        let instrument = self.orders.arena[maker].instrument;
        let market = self.market(instrument);
        if market.settles() {
            let quote = market.quote();
            self.ledger.credit(AccountId::FEES, quote, maker_fee + taker_fee);
        }
        self.last_trade = self.last_trade.next();
        let trade = Trade {
            instrument,
            trade_id: self.last_trade,
            price,
            quantity,
            aggressor,
            self_match: if self.belong_together(maker, taker) { SelfMatch::Yes } else { SelfMatch::No },
            maker: self.trade_side(turn, maker, maker_fee),
            taker: self.trade_side(turn, taker, taker_fee),
        };
        self.tape.print(&trade);
        turn.emit(trade);
    }

    /// Shows the next tip of a resting order of which nothing is shown any more, at the back of its level.
    pub(crate) fn refresh<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, slot: Slot) {
        let Order { place, traits, .. } = self.orders.arena[slot];
        if !traits.has(Traits::ICEBERG) || place != Place::Book || !self.orders.arena.shown(slot).is_zero() {
            return;
        }
        self.orders.arena.show(slot);
        Book::send_back(&mut self.orders, slot);
        self.restate(turn, slot, RestatementReason::DisplayRefreshed);
    }

    /// Tells an order's owner that it changed without his doing.
    pub(crate) fn restate<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, slot: Slot, reason: RestatementReason) {
        let Order { account, session, .. } = self.orders.arena[slot];
        let display_quantity = self.orders.arena.extras(slot).display;
        let report = self.report(turn, account, session);
        turn.emit(OrderRestated { report, order: self.order_state(slot), display_quantity, reason });
    }

    /// Takes a quantity off what an order has open and shows: it traded or was prevented.
    #[inline(always)]
    pub(crate) fn take_off(&mut self, slot: Slot, quantity: Quantity) {
        let Order { place, traits, instrument, .. } = self.orders.arena[slot];
        if traits.has(Traits::FUNDS) {
            return;
        }
        // In an auction an iceberg trades beyond what it shows.
        let shown = self.orders.arena.shown(slot);
        self.orders.arena[slot].leaves -= quantity;
        if place == Place::Nowhere {
            return self.orders.arena.show_at_most(slot, shown);
        }
        self.orders.arena.show_at_most(slot, shown - quantity.min(shown));
        let market = self.markets.get_mut(instrument.0).expect("an order's instrument is listed");
        market.book.reduce(&mut self.orders, slot, quantity);
    }

    /// Moves one order's quantity, hold and balances for a fill; its fee.
    #[inline(always)]
    pub(crate) fn fill(&mut self, slot: Slot, role: LiquidityRole, price: Price, quantity: Quantity) -> i128 {
        let Order { account, instrument, traits, .. } = self.orders.arena[slot];
        let by_funds = traits.has(Traits::FUNDS);
        if !self.market(instrument).settles() {
            self.take_off(slot, quantity);
            self.orders.arena.details_mut(slot).cumulative += quantity;
            if by_funds {
                let spent = self.market(instrument).checked_notional(price, quantity);
                self.orders.arena.extras_mut(slot).funds.0 -= spent;
            }
            return 0;
        }
        let before = Exposure::of(&self.orders.arena, slot);
        self.take_off(slot, quantity);
        let arena = &mut self.orders.arena;
        arena.details_mut(slot).cumulative += quantity;
        let market = self.markets.get(instrument.0).expect("an order's instrument is listed");
        let notional = market.checked_notional(price, quantity);
        let extras = arena.extras_mut(slot);
        let (traded, rate) = match role {
            LiquidityRole::Maker => (&mut extras.maker_notional, before.rates.maker),
            LiquidityRole::Taker => (&mut extras.taker_notional, before.rates.taker),
        };
        let fee = fee_increase(*traded, notional, rate);
        *traded += notional;
        if by_funds {
            let spent = notional.checked_add_signed(fee).expect("a taker's fee is never negative");
            extras.funds.0 -= spent;
        }
        let after = Exposure::of(arena, slot);
        Settlement { account, before, after, quantity, notional, fee }.settle(&mut self.ledger, market);
        fee
    }

    #[inline(always)]
    pub(crate) fn trade_side<S: EventSink>(&mut self, turn: &Turn<'_, S>, slot: Slot, fee: i128) -> TradeSide {
        let Order { account, session, .. } = self.orders.arena[slot];
        let report = self.report(turn, account, session);
        let arena = &self.orders.arena;
        let (order, details) = (&arena[slot], arena.details(slot));
        TradeSide {
            report,
            order_id: order.id,
            client_order_id: details.client_order_id,
            side: order.side,
            order_price: order.price(),
            order_quantity: arena.quantity(slot),
            leaves: order.leaves,
            cumulative: details.cumulative,
            prevented: arena.extras(slot).prevented,
            fee: SignedAmount(fee),
        }
    }

    /// Puts an order into its book or among those that wait, behind all others at its price.
    #[inline(always)]
    pub(crate) fn place(&mut self, slot: Slot, place: Place) {
        let Order { instrument, traits, .. } = self.orders.arena[slot];
        if traits.has(Traits::ENTERING) {
            self.orders.arena[slot].traits.set(Traits::ENTERING, false);
            self.link(slot);
        }
        let market = self.markets.get_mut(instrument.0).expect("an order's instrument is listed");
        market.book.insert(&mut self.orders, place, slot);
    }

    /// Takes an order out of wherever it stands.
    #[inline(always)]
    pub(crate) fn displace(&mut self, slot: Slot) {
        let order = self.orders.arena[slot];
        if order.place != Place::Nowhere {
            let market = self.markets.get_mut(order.instrument.0).expect("an order's instrument is listed");
            market.book.remove(&mut self.orders, slot, &order);
        }
    }

    /// Ends an order: its hold is released and its slot freed. It may rest or not.
    pub(crate) fn end_order(&mut self, slot: Slot, status: OrderStatus) {
        let (order, details) = (self.orders.arena[slot], *self.orders.arena.details(slot));
        self.finish(slot, &order, &details, status);
    }

    /// As [`Engine::end_order`], for an order that was looked at.
    #[inline(always)]
    pub(crate) fn finish(&mut self, slot: Slot, order: &Order, details: &Details, status: OrderStatus) {
        let market = self.markets.get_mut(order.instrument.0).expect("an order's instrument is listed");
        if market.settles() {
            let hold = Exposure::of(&self.orders.arena, slot).hold(market);
            let asset = held_asset(market, order.side);
            self.ledger.change_hold(order.account, asset, hold, 0).expect("releasing needs nothing");
        }
        if order.place != Place::Nowhere {
            market.book.remove(&mut self.orders, slot, order);
        }
        let name = details.client_order_id;
        if order.traits.has(Traits::ENTERING) {
            self.names.remember(order.account, name, order.id, status);
        } else {
            self.unlink(slot, order, details);
            self.names.close(order.account, name, order.id, status);
        }
        self.orders.arena.remove(slot);
    }
}

impl Entrant {
    /// What its owner is told.
    #[inline(always)]
    pub(crate) fn accepted(
        &self,
        order: &NewOrder,
        report: Report,
        order_id: OrderId,
        shown: Quantity,
    ) -> OrderAccepted {
        OrderAccepted {
            report,
            order: OrderState {
                instrument: order.instrument,
                order_id,
                client_order_id: order.client_order_id,
                side: order.side,
                order_type: order.order_type,
                time_in_force: order.time_in_force,
                flags: order.flags,
                price: order.price,
                quantity: order.quantity,
                leaves: self.leaves,
                cumulative: Quantity::ZERO,
                prevented: Quantity::ZERO,
                shown,
            },
            self_trade_prevention: self.mode,
            on_disconnect: order.on_disconnect,
            funds: order.funds,
            stop_price: order.stop_price,
            display_quantity: order.display_quantity,
            minimum_quantity: order.minimum_quantity,
            expire_at: order.expire_at,
        }
    }
}

impl Market {
    /// Whether an order waits for the closing call: it is for the close, and that call is not pending.
    pub(crate) fn waits_for_close(&self, time_in_force: TimeInForce) -> bool {
        time_in_force == TimeInForce::AtTheClose && self.call.is_none_or(|call| call.kind != CallKind::Closing)
    }

    /// Whether an order that enters or loses its priority will be seen by nobody: it waits, or is a market order in a call.
    pub(crate) fn hides(&self, order_type: OrderType, time_in_force: TimeInForce) -> bool {
        order_type.is_stop() || self.waits_for_close(time_in_force) || order_type == OrderType::Market && self.gathers()
    }
}
