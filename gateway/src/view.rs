//! What the edge has to know of the venue: instruments, keys, and which instrument an open order is of.
//!
//! Built from the engine before it takes commands, and kept by released events. It is therefore behind the core, and
//! nothing may depend on its being current: what it does not know is made into a value that the core refuses.
//!
//! An amend names its order and not its instrument, but its price is in the instrument's exponent. So the view knows the
//! instrument of every open order, by the venue's name and by the trader's; an order on its way to the core counts, so
//! that an amend may follow it at once. Where two orders of one name are on their way, in two instruments, the name
//! stands for neither until the core has decided.

use std::collections::btree_map::BTreeMap;
use std::collections::hash_map::{Entry, HashMap};

use engine::command::ListInstrument;
use engine::event::TradeSide;
use engine::instrument::{InstrumentLimits, Phase};
use engine::{
    AccountId, AssetId, ClientOrderId, Engine, Event, InstrumentId, KeyId, OrderId, Price, Quantity, SessionState,
    SessionView, Side, Text,
};

/// An instrument as traders need to know it, and how its ticks and lots are written as decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instrument {
    /// Its identity.
    pub instrument: InstrumentId,
    /// Its name.
    pub name: Text<16>,
    /// What is bought and sold; none: the venue only matches.
    pub base: AssetId,
    /// What it is paid with; none: the venue only matches.
    pub quote: AssetId,
    /// The price step and its digits behind the point.
    pub tick: Step,
    /// The quantity step and its digits behind the point.
    pub lot: Step,
    /// What it allows at the moment.
    pub phase: Phase,
    /// Bounds of its orders; the engine's own until an event says otherwise.
    pub limits: InstrumentLimits,
}

/// One tick or lot as a decimal: `mantissa × 10^−decimals`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// At least 1.
    pub mantissa: u64,
    /// Digits behind the point.
    pub decimals: u8,
}

/// What a mantissa is in steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InSteps {
    /// Zero or less.
    NotPositive,
    /// Not a whole number of steps.
    Off,
    /// So many.
    Whole(u64),
}

impl Step {
    /// A mantissa in steps.
    pub fn count(self, mantissa: i64) -> InSteps {
        match u64::try_from(mantissa) {
            Err(_) | Ok(0) => InSteps::NotPositive,
            Ok(mantissa) if !mantissa.is_multiple_of(self.mantissa) => InSteps::Off,
            Ok(mantissa) => InSteps::Whole(mantissa / self.mantissa),
        }
    }

    /// The mantissa of so many steps; the greatest there is if it is beyond the wire's integers.
    pub fn mantissa_of(self, steps: u64) -> i64 {
        steps.checked_mul(self.mantissa).and_then(|mantissa| i64::try_from(mantissa).ok()).unwrap_or(i64::MAX)
    }

    /// The power of ten that mantissas are multiplied with.
    pub fn exponent(self) -> i8 {
        // The engine carries at most eighteen decimals.
        -i8::try_from(self.decimals).unwrap_or(i8::MAX)
    }
}

impl Instrument {
    fn listed(listing: &ListInstrument, phase: Phase) -> Self {
        Self {
            instrument: listing.instrument,
            name: listing.name,
            base: listing.base,
            quote: listing.quote,
            tick: Step { mantissa: listing.tick, decimals: listing.tick_decimals },
            lot: Step { mantissa: listing.lot, decimals: listing.lot_decimals },
            phase,
            limits: InstrumentLimits::DEFAULT,
        }
    }

    /// A price's mantissa in ticks; what is no price becomes what the engine refuses.
    pub fn price(&self, mantissa: i64) -> Price {
        match self.tick.count(mantissa) {
            InSteps::NotPositive => Price::ZERO,
            InSteps::Off => Price::OFF_TICK,
            InSteps::Whole(ticks) => Price(ticks),
        }
    }

    /// A quantity's mantissa in lots; what is no quantity becomes what the engine refuses.
    pub fn quantity(&self, mantissa: i64) -> Quantity {
        match self.lot.count(mantissa) {
            InSteps::NotPositive => Quantity::ZERO,
            InSteps::Off => Quantity::OFF_LOT,
            InSteps::Whole(lots) => Quantity(lots),
        }
    }
}

/// What a trader's name for an order stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Named {
    /// An open order.
    Open(InstrumentId),
    /// An order on its way to the core.
    Sent(InstrumentId),
    /// One of two orders on their way, in different instruments.
    Ambiguous,
}

/// What the edge knows of the venue.
#[derive(Debug, Default)]
pub struct View {
    instruments: BTreeMap<InstrumentId, Instrument>,
    keys: BTreeMap<KeyId, [u8; 32]>,
    orders: HashMap<OrderId, InstrumentId>,
    names: HashMap<(AccountId, ClientOrderId), Named>,
    /// Sessions that were open when the venue stopped without saying so.
    left_open: Vec<SessionView>,
}

impl View {
    /// The view of an engine that takes no commands yet.
    pub fn of(engine: &Engine) -> Self {
        let mut view = Self { keys: engine.keys().map(|(key, bytes)| (key, *bytes)).collect(), ..Self::default() };
        for listing in engine.listings() {
            let phase = engine.phase(listing.instrument).unwrap_or(listing.phase);
            view.instruments.insert(listing.instrument, Instrument::listed(listing, phase));
            let instrument = listing.instrument;
            let resting = Side::BOTH.into_iter().flat_map(|side| engine.orders(instrument, side));
            let stops = Side::BOTH.into_iter().flat_map(|side| engine.stops(instrument, side));
            let in_call = Side::BOTH.into_iter().flat_map(|side| engine.market_orders(instrument, side));
            for order in resting.chain(stops).chain(in_call).chain(engine.waiting_for_close(instrument)) {
                view.opened(order.account, order.order_id, order.client_order_id, listing.instrument);
            }
        }
        let open = engine.sessions().filter(|session| session.state == SessionState::Established);
        view.left_open = open.collect();
        view
    }

    /// An instrument.
    pub fn instrument(&self, instrument: InstrumentId) -> Option<&Instrument> {
        self.instruments.get(&instrument)
    }

    /// All instruments, by identity.
    pub fn instruments(&self) -> impl Iterator<Item = &Instrument> {
        self.instruments.values()
    }

    /// A key's Ed25519 public key; none if the key is not known or revoked.
    pub fn public_key(&self, key: KeyId) -> Option<&[u8; 32]> {
        self.keys.get(&key)
    }

    /// The instrument of an account's order by the venue's name, or else by the trader's.
    pub fn instrument_of(&self, account: AccountId, order: OrderId, name: ClientOrderId) -> Option<&Instrument> {
        let instrument = if order.is_none() {
            match self.names.get(&(account, name))? {
                Named::Open(instrument) | Named::Sent(instrument) => *instrument,
                Named::Ambiguous => return None,
            }
        } else {
            *self.orders.get(&order)?
        };
        self.instrument(instrument)
    }

    /// Sessions that were open when the view was made; later calls give none.
    pub fn take_left_open(&mut self) -> Vec<SessionView> {
        core::mem::take(&mut self.left_open)
    }

    /// An order is about to be handed to the core.
    pub fn sending(&mut self, account: AccountId, name: ClientOrderId, instrument: InstrumentId) {
        if name.is_none() {
            return;
        }
        match self.names.entry((account, name)) {
            Entry::Vacant(entry) => {
                entry.insert(Named::Sent(instrument));
            }
            Entry::Occupied(mut entry) if *entry.get() == Named::Sent(instrument) => {
                entry.insert(Named::Sent(instrument));
            }
            Entry::Occupied(mut entry) => match *entry.get() {
                // The core refuses the second of that name.
                Named::Open(_) => {}
                Named::Sent(_) | Named::Ambiguous => {
                    entry.insert(Named::Ambiguous);
                }
            },
        }
    }

    /// An order did not get to the core, or was refused by it. A name that an open order has stays that order's.
    pub fn not_opened(&mut self, account: AccountId, name: ClientOrderId) {
        if let Some(Named::Sent(_) | Named::Ambiguous) = self.names.get(&(account, name)) {
            self.names.remove(&(account, name));
        }
    }

    /// Takes in what a released event says. Events that are not listed change nothing that the edge knows.
    pub fn apply(&mut self, event: &Event) {
        match event {
            Event::InstrumentListed(listed) => {
                let instrument = Instrument::listed(&listed.command, listed.command.phase);
                self.instruments.insert(instrument.instrument, instrument);
            }
            Event::InstrumentDelisted(delisted) => {
                self.instruments.remove(&delisted.instrument);
            }
            Event::InstrumentLimitsSet(set) => {
                if let Some(instrument) = self.instruments.get_mut(&set.command.instrument) {
                    instrument.limits = set.command.limits;
                }
            }
            Event::PhaseChanged(changed) => {
                if let Some(instrument) = self.instruments.get_mut(&changed.instrument) {
                    instrument.phase = changed.to;
                }
            }
            Event::KeyAdded(added) => {
                self.keys.insert(added.command.key, added.command.public_key);
            }
            Event::KeyRevoked(revoked) => {
                self.keys.remove(&revoked.command.key);
            }
            Event::OrderAccepted(accepted) => {
                let order = &accepted.order;
                self.opened(accepted.report.account, order.order_id, order.client_order_id, order.instrument);
            }
            Event::OrderRejected(rejected) => {
                self.not_opened(rejected.report.account, rejected.client_order_id);
            }
            Event::OrderReplaced(replaced) => {
                let (account, order) = (replaced.report.account, &replaced.order);
                self.names.remove(&(account, replaced.original_client_order_id));
                self.opened(account, order.order_id, order.client_order_id, order.instrument);
            }
            Event::OrderCancelled(cancelled) => {
                let order = &cancelled.order;
                self.ended(cancelled.report.account, order.order_id, order.client_order_id);
            }
            Event::Trade(trade) => {
                self.traded(&trade.maker);
                self.traded(&trade.taker);
            }
            _ => {}
        }
    }

    fn opened(&mut self, account: AccountId, order: OrderId, name: ClientOrderId, instrument: InstrumentId) {
        self.orders.insert(order, instrument);
        if !name.is_none() {
            self.names.insert((account, name), Named::Open(instrument));
        }
    }

    fn traded(&mut self, side: &TradeSide) {
        // An order by funds has nothing left of a quantity, and ends otherwise.
        if side.leaves.is_zero() && !side.order_quantity.is_absent() {
            self.ended(side.report.account, side.order_id, side.client_order_id);
        }
    }

    fn ended(&mut self, account: AccountId, order: OrderId, name: ClientOrderId) {
        self.orders.remove(&order);
        self.names.remove(&(account, name));
    }
}

#[cfg(test)]
mod tests {
    use engine::command::{AdminNote, CommandBody, NewOrder, OpenAccount};
    use engine::instrument::Holds;
    use engine::{
        Amount, Capacity, Command, OnDisconnect, OrderFlags, OrderType, SelfTradePrevention, Sequenced, Stamp,
        StpGroup, TimeInForce, Timestamp,
    };

    use super::*;

    #[test]
    fn a_mantissa_is_counted_in_steps() {
        let step = Step { mantissa: 25, decimals: 2 };
        assert_eq!(step.count(50), InSteps::Whole(2));
        assert_eq!(step.count(51), InSteps::Off);
        assert_eq!((step.count(0), step.count(-25)), (InSteps::NotPositive, InSteps::NotPositive));
        assert_eq!((step.mantissa_of(2), step.exponent()), (50, -2));
        assert_eq!(step.mantissa_of(u64::MAX), i64::MAX);
    }

    /// A name that had been used was sent again, refused as a duplicate, and remembered for ever.
    #[test]
    fn a_refused_name_is_forgotten_and_an_open_orders_is_not() {
        let mut view = View::default();
        let (account, name) = (AccountId(2), ClientOrderId(7));
        view.sending(account, name, InstrumentId(1));
        view.not_opened(account, name);
        assert!(view.names.is_empty());
        view.opened(account, OrderId(5), name, InstrumentId(1));
        view.sending(account, name, InstrumentId(1));
        view.not_opened(account, name);
        assert_eq!(view.names[&(account, name)], Named::Open(InstrumentId(1)));
    }

    #[test]
    fn a_name_on_its_way_twice_in_two_instruments_stands_for_neither() {
        let mut view = View::default();
        let (account, name) = (AccountId(2), ClientOrderId(7));
        view.sending(account, name, InstrumentId(1));
        assert_eq!(view.names[&(account, name)], Named::Sent(InstrumentId(1)));
        view.sending(account, name, InstrumentId(2));
        assert_eq!(view.names[&(account, name)], Named::Ambiguous);
        view.opened(account, OrderId(5), name, InstrumentId(1));
        view.sending(account, name, InstrumentId(2));
        assert_eq!(view.names[&(account, name)], Named::Open(InstrumentId(1)));
    }

    /// Orders that stand unseen, in a call or for the close, can be amended after a restart too.
    #[test]
    fn every_open_order_is_known_behind_a_restart() {
        let mut engine = Engine::new(Capacity::SMALL);
        let mut followed = View::default();
        let book = InstrumentId(1);
        let (account, note) = (AccountId(2), AdminNote::NONE);
        let commands: [CommandBody; 7] = [
            listing(book).into(),
            OpenAccount { account, stp_group: StpGroup::NONE, self_trade_prevention: None, fee_tier: 0, note }.into(),
            order(book, 11, OrderType::Limit, TimeInForce::GoodTillCancel).into(),
            order(book, 12, OrderType::Market, TimeInForce::Day).into(),
            order(book, 13, OrderType::Limit, TimeInForce::AtTheClose).into(),
            order(book, 14, OrderType::Market, TimeInForce::AtTheClose).into(),
            order(book, 15, OrderType::Stop, TimeInForce::GoodTillCancel).into(),
        ];
        for body in commands {
            let stamp = Stamp { sequence: engine.last().sequence.next(), time: Timestamp(1) };
            let mut events = Vec::new();
            engine.apply(&Sequenced { stamp, value: Command::from_venue(body) }, &mut events);
            events.iter().for_each(|(_, event)| followed.apply(event));
        }
        assert_eq!(followed.orders.len(), 5);
        let recovered = View::of(&engine);
        assert_eq!((recovered.orders, recovered.names), (followed.orders, followed.names));
    }

    fn listing(instrument: InstrumentId) -> ListInstrument {
        ListInstrument {
            instrument,
            name: Text::new("X").unwrap(),
            base: AssetId::NONE,
            quote: AssetId::NONE,
            tick: 1,
            tick_decimals: 0,
            lot: 1,
            lot_decimals: 0,
            reference: Price(100),
            holds: Holds::Off,
            self_trade_prevention: SelfTradePrevention::Allow,
            phase: Phase::OpeningCall,
            note: AdminNote::NONE,
        }
    }

    fn order(instrument: InstrumentId, name: u64, order_type: OrderType, time_in_force: TimeInForce) -> NewOrder {
        NewOrder {
            account: AccountId(2),
            instrument,
            client_order_id: ClientOrderId(name),
            side: Side::Buy,
            order_type,
            time_in_force,
            flags: OrderFlags::NONE,
            self_trade_prevention: None,
            on_disconnect: OnDisconnect::AsSession,
            price: if order_type == OrderType::Limit { Price(99) } else { Price::ABSENT },
            quantity: Quantity(3),
            funds: Amount::ABSENT,
            stop_price: if order_type == OrderType::Stop { Price(101) } else { Price::ABSENT },
            display_quantity: Quantity::ABSENT,
            minimum_quantity: Quantity::ABSENT,
            expire_at: Timestamp::NONE,
        }
    }
}
