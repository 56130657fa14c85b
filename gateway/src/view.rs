//! What the edge has to know of the venue: instruments, keys and their rights, and which instrument an open order is of.
//!
//! Built from the engine before it takes commands, and kept by released events. It is therefore behind the core, and
//! nothing may depend on its being current: what it does not know is made into a value that the core refuses.
//!
//! An amend names its order and not its instrument, but its price is in the instrument's exponent. So the view knows the
//! instrument of every open order, by the venue's name and by the trader's; an order on its way to the core counts, so
//! that an amend may follow it at once. Where two orders of one name are on their way, in two instruments, the name
//! stands for neither until the core has decided.
//!
//! Whether a key may trade for an account is for the core to say. So an order on its way counts for its own key alone:
//! whoever names an account that is not theirs changes nothing for those who trade for it.

use std::collections::{BTreeMap, HashMap, VecDeque};

use engine::command::{ListInstrument, NewOrder};
use engine::event::{Report, TradeSide};
use engine::instrument::{InstrumentLimits, Phase};
use engine::{
    AccountId, AssetId, ClientOrderId, CommandHeader, Engine, Event, InstrumentId, KeyId, OrderId, Price, Quantity,
    SessionId, SessionSequence, SessionState, SessionView, Side, Text,
};

use crate::lockout::Lockouts;
use crate::rights::Rights;

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
#[derive(Debug, Default)]
struct Named {
    /// The open order that has it.
    open: Option<InstrumentId>,
    /// Orders on their way to the core, oldest first. No more than the core's ring has room for.
    sent: VecDeque<Sent>,
}

/// An order on its way to the core.
#[derive(Debug, Clone, Copy)]
struct Sent {
    session: SessionId,
    number: SessionSequence,
    key: KeyId,
    instrument: InstrumentId,
}

impl Named {
    /// The instrument that the name stands for, to a key.
    fn instrument(&self, key: KeyId) -> Option<InstrumentId> {
        self.open.or_else(|| {
            let mut sent = self.sent.iter().filter(|sent| sent.key == key).map(|sent| sent.instrument);
            let first = sent.next()?;
            sent.all(|instrument| instrument == first).then_some(first)
        })
    }
}

/// What the edge knows of the venue.
#[derive(Debug, Default)]
pub struct View {
    instruments: BTreeMap<InstrumentId, Instrument>,
    rights: Rights,
    lockouts: Lockouts,
    orders: HashMap<OrderId, InstrumentId>,
    names: HashMap<(AccountId, ClientOrderId), Named>,
    /// Sessions that were open when the venue stopped without saying so.
    left_open: Vec<SessionView>,
}

impl View {
    /// The view of an engine that takes no commands yet.
    pub fn of(engine: &Engine) -> Self {
        let mut view = Self { rights: Rights::of(engine), ..Self::default() };
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

    /// What keys may do.
    pub fn rights(&self) -> &Rights {
        &self.rights
    }

    /// Who has guessed too often. The edge alone remembers it, and forgets it when the venue stops.
    pub fn lockouts(&mut self) -> &mut Lockouts {
        &mut self.lockouts
    }

    /// The instrument of an account's order by the venue's name, or else by the trader's; `key` is who asks.
    pub fn instrument_of(
        &self,
        key: KeyId,
        account: AccountId,
        order: OrderId,
        name: ClientOrderId,
    ) -> Option<&Instrument> {
        let instrument = if order.is_none() {
            self.names.get(&(account, name))?.instrument(key)?
        } else {
            *self.orders.get(&order)?
        };
        self.instrument(instrument)
    }

    /// How many names are remembered: those of open orders, and of orders on their way.
    pub fn name_count(&self) -> usize {
        self.names.len()
    }

    /// Sessions that were open when the view was made; later calls give none.
    pub fn take_left_open(&mut self) -> Vec<SessionView> {
        core::mem::take(&mut self.left_open)
    }

    /// An order is about to be handed to the core.
    pub fn sending(&mut self, header: &CommandHeader, order: &NewOrder) {
        if order.client_order_id.is_none() {
            return;
        }
        let &CommandHeader { session, author: key, client_sequence: number, .. } = header;
        let sent = Sent { session, number, key, instrument: order.instrument };
        self.names.entry((order.account, order.client_order_id)).or_default().sent.push_back(sent);
    }

    /// An order did not get to the core.
    pub fn not_sent(&mut self, header: &CommandHeader, order: &NewOrder) {
        self.arrived(order.account, order.client_order_id, (header.session, header.client_sequence));
    }

    /// An order is on its way no more.
    fn arrived(&mut self, account: AccountId, name: ClientOrderId, of: (SessionId, SessionSequence)) {
        self.change(account, name, |named| {
            if let Some(index) = named.sent.iter().position(|sent| (sent.session, sent.number) == of) {
                named.sent.remove(index);
            }
        });
    }

    /// Changes what a name stands for; one that stands for nothing is forgotten.
    fn change(&mut self, account: AccountId, name: ClientOrderId, change: impl FnOnce(&mut Named)) {
        if let Some(named) = self.names.get_mut(&(account, name)) {
            change(named);
            if named.open.is_none() && named.sent.is_empty() {
                self.names.remove(&(account, name));
            }
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
            Event::OrderAccepted(accepted) => {
                let (report, order) = (&accepted.report, &accepted.order);
                self.opened(report.account, order.order_id, order.client_order_id, order.instrument);
                self.answered(report, order.client_order_id);
            }
            Event::OrderRejected(rejected) => self.answered(&rejected.report, rejected.client_order_id),
            Event::OrderReplaced(replaced) => {
                let (account, order) = (replaced.report.account, &replaced.order);
                self.change(account, replaced.original_client_order_id, |named| named.open = None);
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
            _ => self.rights.apply(event),
        }
    }

    fn opened(&mut self, account: AccountId, order: OrderId, name: ClientOrderId, instrument: InstrumentId) {
        self.orders.insert(order, instrument);
        if !name.is_none() {
            self.names.entry((account, name)).or_default().open = Some(instrument);
        }
    }

    /// The core has decided on an order.
    fn answered(&mut self, report: &Report, name: ClientOrderId) {
        self.arrived(report.account, name, (report.session, report.client_sequence));
    }

    fn traded(&mut self, side: &TradeSide) {
        // An order by funds has nothing left of a quantity, and ends otherwise.
        if side.leaves.is_zero() && !side.order_quantity.is_absent() {
            self.ended(side.report.account, side.order_id, side.client_order_id);
        }
    }

    fn ended(&mut self, account: AccountId, order: OrderId, name: ClientOrderId) {
        self.orders.remove(&order);
        self.change(account, name, |named| named.open = None);
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

    const ACCOUNT: AccountId = AccountId(2);
    const NAME: ClientOrderId = ClientOrderId(7);
    const BOOKS: [InstrumentId; 2] = [InstrumentId(1), InstrumentId(2)];

    fn header(key: u32, number: u64) -> CommandHeader {
        let (author, session) = (KeyId(key), SessionId(key));
        CommandHeader { author, session, client_sequence: SessionSequence(number), ..CommandHeader::VENUE }
    }

    fn order(instrument: InstrumentId) -> NewOrder {
        of_kind(instrument, NAME, OrderType::Limit, TimeInForce::GoodTillCancel)
    }

    fn refused(header: &CommandHeader) -> Report {
        let (exec_id, report_number) = Default::default();
        let &CommandHeader { session, client_sequence, .. } = header;
        Report { account: ACCOUNT, session, exec_id, report_number, client_sequence }
    }

    /// What the name stands for to a key.
    fn named(view: &View, key: u32) -> Option<InstrumentId> {
        view.names.get(&(ACCOUNT, NAME))?.instrument(KeyId(key))
    }

    /// A name that had been used was sent again, refused as a duplicate, and remembered for ever.
    #[test]
    fn a_refused_name_is_forgotten_and_an_open_orders_is_not() {
        let mut view = View::default();
        view.sending(&header(1, 1), &order(BOOKS[0]));
        view.answered(&refused(&header(1, 1)), NAME);
        assert_eq!(view.name_count(), 0);
        view.opened(ACCOUNT, OrderId(5), NAME, BOOKS[0]);
        view.sending(&header(1, 2), &order(BOOKS[0]));
        view.not_sent(&header(1, 2), &order(BOOKS[0]));
        assert_eq!(named(&view, 1), Some(BOOKS[0]));
        view.ended(ACCOUNT, OrderId(5), NAME);
        assert_eq!(view.name_count(), 0);
    }

    #[test]
    fn a_name_on_its_way_twice_in_two_instruments_stands_for_neither() {
        let mut view = View::default();
        view.sending(&header(1, 1), &order(BOOKS[0]));
        assert_eq!(named(&view, 1), Some(BOOKS[0]));
        view.sending(&header(1, 2), &order(BOOKS[1]));
        assert_eq!(named(&view, 1), None);
        view.answered(&refused(&header(1, 1)), NAME);
        assert_eq!(named(&view, 1), Some(BOOKS[1]));
        view.opened(ACCOUNT, OrderId(5), NAME, BOOKS[1]);
        view.sending(&header(1, 3), &order(BOOKS[0]));
        assert_eq!(named(&view, 1), Some(BOOKS[1]));
    }

    /// A stranger's order under an account's name made the name stand for nothing, and its refusal took it away.
    #[test]
    fn a_stranger_who_names_an_account_changes_nothing_for_its_trader() {
        let mut view = View::default();
        view.sending(&header(1, 1), &order(BOOKS[0]));
        view.sending(&header(2, 1), &order(BOOKS[1]));
        assert_eq!(named(&view, 1), Some(BOOKS[0]));
        view.answered(&refused(&header(2, 1)), NAME);
        assert_eq!((named(&view, 1), named(&view, 2)), (Some(BOOKS[0]), None));
        view.opened(ACCOUNT, OrderId(5), NAME, BOOKS[0]);
        view.answered(&refused(&header(1, 1)), NAME);
        assert_eq!(named(&view, 1), Some(BOOKS[0]));
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
            of_kind(book, ClientOrderId(11), OrderType::Limit, TimeInForce::GoodTillCancel).into(),
            of_kind(book, ClientOrderId(12), OrderType::Market, TimeInForce::Day).into(),
            of_kind(book, ClientOrderId(13), OrderType::Limit, TimeInForce::AtTheClose).into(),
            of_kind(book, ClientOrderId(14), OrderType::Market, TimeInForce::AtTheClose).into(),
            of_kind(book, ClientOrderId(15), OrderType::Stop, TimeInForce::GoodTillCancel).into(),
        ];
        for body in commands {
            let stamp = Stamp { sequence: engine.last().sequence.next(), time: Timestamp(1) };
            let mut events = Vec::new();
            engine.apply(&Sequenced { stamp, value: Command::from_venue(body) }, &mut events);
            events.iter().for_each(|(_, event)| followed.apply(event));
        }
        assert_eq!(followed.orders.len(), 5);
        let recovered = View::of(&engine);
        assert_eq!(recovered.orders, followed.orders);
        let open =
            |view: &View| -> HashMap<_, _> { view.names.iter().map(|(name, named)| (*name, named.open)).collect() };
        assert_eq!(open(&recovered), open(&followed));
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

    fn of_kind(
        instrument: InstrumentId,
        client_order_id: ClientOrderId,
        order_type: OrderType,
        time_in_force: TimeInForce,
    ) -> NewOrder {
        NewOrder {
            account: ACCOUNT,
            instrument,
            client_order_id,
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
