//! What the edge has to know of the venue: assets, instruments, keys and their rights, and open orders.
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

use engine::command::{AddAsset, ListInstrument, NewOrder};
use engine::event::{OrderAccepted, OrderReplaced, Report, TradeSide};
use engine::instrument::{InstrumentLimits, Phase};
use engine::{
    AccountId, AssetId, ClientOrderId, CommandHeader, Engine, Event, EventHeader, ExecId, InstrumentId, KeyId,
    OpenOrder, OrderId, Price, Quantity, Sequence, SessionId, SessionSequence, SessionState, SessionView, Stamp, Text,
    Timestamp,
};

use crate::copies::Executions;
use crate::lockout::Lockouts;
use crate::open_orders::{KnownOrder, OpenOrders};
use crate::rights::Rights;

/// An asset as traders need to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    /// Its identity.
    pub asset: AssetId,
    /// Its name.
    pub name: Text<16>,
    /// Digits behind the point of its smallest unit.
    pub decimals: u8,
}

impl From<&AddAsset> for Asset {
    fn from(added: &AddAsset) -> Self {
        Self { asset: added.asset, name: added.name, decimals: added.decimals }
    }
}

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
        exponent(self.decimals)
    }
}

/// The power of ten of so many digits behind the point. The engine carries at most eighteen.
fn exponent(decimals: u8) -> i8 {
    -i8::try_from(decimals).unwrap_or(i8::MAX)
}

impl Asset {
    /// The power of ten that smallest units are multiplied with.
    pub fn exponent(&self) -> i8 {
        exponent(self.decimals)
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
    open: Option<OrderId>,
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
    /// The instruments of a key's orders on their way, oldest first.
    fn on_their_way(&self, key: KeyId) -> impl Iterator<Item = InstrumentId> {
        self.sent.iter().filter(move |sent| sent.key == key).map(|sent| sent.instrument)
    }

    /// The instrument that the name of an order on its way stands for, to a key.
    fn instrument(&self, key: KeyId) -> Option<InstrumentId> {
        let mut instruments = self.on_their_way(key);
        let first = instruments.next()?;
        instruments.all(|instrument| instrument == first).then_some(first)
    }
}

/// What is known of an order that somebody names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found<'a> {
    /// It is open.
    Open(&'a KnownOrder),
    /// It is on its way to the core, for this instrument.
    OnItsWay(InstrumentId),
    /// Nothing: it never was, has ended, or is not the account's.
    Nothing,
}

/// What the edge knows of the venue.
#[derive(Debug, Default)]
pub struct View {
    assets: BTreeMap<AssetId, Asset>,
    instruments: BTreeMap<InstrumentId, Instrument>,
    /// Those that can be traded no more: old reports are in their exponents.
    delisted: BTreeMap<InstrumentId, Instrument>,
    rights: Rights,
    executions: Executions,
    lockouts: Lockouts,
    orders: OpenOrders,
    names: HashMap<(AccountId, ClientOrderId), Named>,
    /// The command of the last event that was taken in, or the last of the engine that the view was made of.
    sequence: Sequence,
    /// Its time.
    time: Timestamp,
    /// The most assets that there can be.
    assets_max: usize,
    /// Sessions that were open when the venue stopped without saying so.
    left_open: Vec<SessionView>,
}

impl View {
    /// The view of an engine that takes no commands yet.
    pub fn of(engine: &Engine) -> Self {
        let Stamp { sequence, time } = engine.last();
        let assets_max = engine.capacity().assets as usize;
        let (rights, executions) = (Rights::of(engine), Executions::of(engine));
        let assets = engine.assets().map(|added| (added.asset, Asset::from(&added))).collect();
        let mut view = Self { assets, rights, executions, sequence, time, assets_max, ..Self::default() };
        for listing in engine.listings() {
            let phase = engine.phase(listing.instrument).unwrap_or(listing.phase);
            view.instruments.insert(listing.instrument, Instrument::listed(listing, phase));
        }
        for settings in engine.accounts() {
            for order in engine.open_orders_in_full(settings.account) {
                view.orders.found_open(order, engine.last());
                view.name_opened(order.account, order.state.client_order_id, order.state.order_id);
            }
        }
        let delisted = engine.delistings().map(|listing| Instrument::listed(listing, Phase::Closed));
        view.delisted = delisted.map(|instrument| (instrument.instrument, instrument)).collect();
        let open = engine.sessions().filter(|session| session.state == SessionState::Established);
        view.left_open = open.collect();
        view
    }

    /// All assets, by identity.
    pub fn assets(&self) -> impl Iterator<Item = &Asset> {
        self.assets.values()
    }

    /// An instrument.
    pub fn instrument(&self, instrument: InstrumentId) -> Option<&Instrument> {
        self.instruments.get(&instrument)
    }

    /// An instrument, delisted or not: what its ticks and lots are is so for ever.
    pub fn instrument_ever(&self, instrument: InstrumentId) -> Option<&Instrument> {
        self.instrument(instrument).or_else(|| self.delisted.get(&instrument))
    }

    /// All instruments, by identity.
    pub fn instruments(&self) -> impl Iterator<Item = &Instrument> {
        self.instruments.values()
    }

    /// What keys may do.
    pub fn rights(&self) -> &Rights {
        &self.rights
    }

    /// The number that an account's next report will carry.
    pub fn next_execution(&self, account: AccountId) -> ExecId {
        self.executions.next(account)
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
        let open = |order| self.orders.get(order).map(|known| known.order.state.instrument);
        let instrument = if order.is_none() {
            let named = self.names.get(&(account, name))?;
            named.open.map_or_else(|| named.instrument(key), open)
        } else {
            open(order)
        };
        self.instrument(instrument?)
    }

    /// What is known of an account's order by the venue's name, or else by the trader's; `key` is who asks.
    pub fn find(&self, key: KeyId, account: AccountId, order: OrderId, name: ClientOrderId) -> Found<'_> {
        let named = self.names.get(&(account, name)).filter(|_| order.is_none());
        let order = named.and_then(|named| named.open).unwrap_or(order);
        if let Some(known) = self.orders.get(order).filter(|known| known.order.account == account) {
            return Found::Open(known);
        }
        let on_its_way = named.and_then(|named| named.on_their_way(key).next());
        on_its_way.map_or(Found::Nothing, Found::OnItsWay)
    }

    /// An account's open orders, oldest first.
    pub fn open_orders(&self, account: AccountId) -> impl Iterator<Item = &KnownOrder> {
        self.orders.of(account)
    }

    /// All open orders.
    pub(crate) fn orders(&self) -> &OpenOrders {
        &self.orders
    }

    /// Up to where it goes: nothing of what it knows has changed since.
    pub fn as_of(&self) -> Stamp {
        Stamp { sequence: self.sequence, time: self.time }
    }

    /// The most assets that there can be.
    pub(crate) fn assets_max(&self) -> usize {
        self.assets_max
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
    pub fn apply(&mut self, header: &EventHeader, event: &Event) {
        (self.sequence, self.time) = (header.id.sequence, header.time);
        self.executions.apply(event);
        match event {
            Event::AssetAdded(added) => {
                self.assets.insert(added.command.asset, Asset::from(&added.command));
            }
            Event::InstrumentListed(listed) => {
                let instrument = Instrument::listed(&listed.command, listed.command.phase);
                self.instruments.insert(instrument.instrument, instrument);
            }
            Event::InstrumentDelisted(delisted) => {
                self.delisted.extend(self.instruments.remove_entry(&delisted.instrument));
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
            Event::OrderAccepted(accepted) => self.accepted(accepted, header),
            Event::OrderRejected(rejected) => self.answered(&rejected.report, rejected.client_order_id),
            Event::OrderReplaced(replaced) => self.replaced(replaced, header),
            Event::OrderTriggered(triggered) => self.orders.restated(&triggered.order, header, |_| {}),
            Event::OrderRestated(restated) => {
                let display_quantity = restated.display_quantity;
                self.orders.restated(&restated.order, header, |order| order.display_quantity = display_quantity);
            }
            Event::OrderCancelled(cancelled) => {
                let order = &cancelled.order;
                self.ended(cancelled.report.account, order.order_id, order.client_order_id);
            }
            Event::Trade(trade) => {
                self.traded(&trade.maker, header);
                self.traded(&trade.taker, header);
            }
            _ => self.rights.apply(event),
        }
    }

    fn accepted(&mut self, accepted: &OrderAccepted, header: &EventHeader) {
        let &OrderAccepted { report, order: state, funds, stop_price, display_quantity, expire_at, .. } = accepted;
        let account = report.account;
        self.orders.opened(OpenOrder { account, state, funds, stop_price, display_quantity, expire_at }, header);
        self.name_opened(account, state.client_order_id, state.order_id);
        self.answered(&report, state.client_order_id);
    }

    fn replaced(&mut self, replaced: &OrderReplaced, header: &EventHeader) {
        let &OrderReplaced { stop_price, display_quantity, expire_at, .. } = replaced;
        let (account, state) = (replaced.report.account, &replaced.order);
        self.orders.restated(state, header, |order| {
            (order.stop_price, order.display_quantity, order.expire_at) = (stop_price, display_quantity, expire_at);
        });
        self.change(account, replaced.original_client_order_id, |named| named.open = None);
        self.name_opened(account, state.client_order_id, state.order_id);
    }

    fn name_opened(&mut self, account: AccountId, name: ClientOrderId, order: OrderId) {
        if !name.is_none() {
            self.names.entry((account, name)).or_default().open = Some(order);
        }
    }

    /// The core has decided on an order.
    fn answered(&mut self, report: &Report, name: ClientOrderId) {
        self.arrived(report.account, name, (report.session, report.client_sequence));
    }

    fn traded(&mut self, side: &TradeSide, header: &EventHeader) {
        // An order by funds has nothing left of a quantity, and ends otherwise.
        if side.leaves.is_zero() && !side.order_quantity.is_absent() {
            self.ended(side.report.account, side.order_id, side.client_order_id);
        } else {
            self.orders.traded(side, header);
        }
    }

    fn ended(&mut self, account: AccountId, order: OrderId, name: ClientOrderId) {
        self.orders.ended(order);
        self.change(account, name, |named| named.open = None);
    }
}

#[cfg(test)]
mod tests {
    use engine::command::{AdminNote, CommandBody, NewOrder, OpenAccount};
    use engine::event::OrderState;
    use engine::instrument::Holds;
    use engine::{
        Amount, Capacity, Command, EventId, OnDisconnect, OrderFlags, OrderType, SelfTradePrevention, Sequenced, Side,
        StpGroup, TimeInForce,
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
        view.instrument_of(KeyId(key), ACCOUNT, OrderId::NONE, NAME).map(|known| known.instrument)
    }

    /// A view that knows both books.
    fn listed() -> View {
        let mut view = View::default();
        for book in BOOKS {
            view.instruments.insert(book, Instrument::listed(&listing(book), Phase::Continuous));
        }
        view
    }

    /// The order that has the name is open in a book.
    fn open(view: &mut View, instrument: InstrumentId) {
        let state = OrderState {
            instrument,
            order_id: OrderId(5),
            client_order_id: NAME,
            side: Side::Buy,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::GoodTillCancel,
            flags: OrderFlags::NONE,
            price: Price(99),
            quantity: Quantity(3),
            leaves: Quantity(3),
            cumulative: Quantity::ZERO,
            prevented: Quantity::ZERO,
            shown: Quantity(3),
        };
        let accepted = OrderAccepted {
            report: refused(&header(9, 1)),
            order: state,
            self_trade_prevention: SelfTradePrevention::Allow,
            on_disconnect: OnDisconnect::AsSession,
            funds: Amount::ABSENT,
            stop_price: Price::ABSENT,
            display_quantity: Quantity::ABSENT,
            minimum_quantity: Quantity::ABSENT,
            expire_at: Timestamp::NONE,
        };
        let id = EventId { sequence: Sequence(1), index: 0 };
        let header = EventHeader { id, time: Timestamp(1), received_at: Timestamp::NONE };
        view.apply(&header, &accepted.into());
    }

    /// A name that had been used was sent again, refused as a duplicate, and remembered for ever.
    #[test]
    fn a_refused_name_is_forgotten_and_an_open_orders_is_not() {
        let mut view = listed();
        view.sending(&header(1, 1), &order(BOOKS[0]));
        view.answered(&refused(&header(1, 1)), NAME);
        assert_eq!(view.name_count(), 0);
        open(&mut view, BOOKS[0]);
        view.sending(&header(1, 2), &order(BOOKS[0]));
        view.not_sent(&header(1, 2), &order(BOOKS[0]));
        assert_eq!(named(&view, 1), Some(BOOKS[0]));
        view.ended(ACCOUNT, OrderId(5), NAME);
        assert_eq!(view.name_count(), 0);
    }

    #[test]
    fn a_name_on_its_way_twice_in_two_instruments_stands_for_neither() {
        let mut view = listed();
        view.sending(&header(1, 1), &order(BOOKS[0]));
        assert_eq!(named(&view, 1), Some(BOOKS[0]));
        view.sending(&header(1, 2), &order(BOOKS[1]));
        assert_eq!(named(&view, 1), None);
        view.answered(&refused(&header(1, 1)), NAME);
        assert_eq!(named(&view, 1), Some(BOOKS[1]));
        open(&mut view, BOOKS[1]);
        view.sending(&header(1, 3), &order(BOOKS[0]));
        assert_eq!(named(&view, 1), Some(BOOKS[1]));
    }

    /// A stranger's order under an account's name made the name stand for nothing, and its refusal took it away.
    #[test]
    fn a_stranger_who_names_an_account_changes_nothing_for_its_trader() {
        let mut view = listed();
        view.sending(&header(1, 1), &order(BOOKS[0]));
        view.sending(&header(2, 1), &order(BOOKS[1]));
        assert_eq!(named(&view, 1), Some(BOOKS[0]));
        view.answered(&refused(&header(2, 1)), NAME);
        assert_eq!((named(&view, 1), named(&view, 2)), (Some(BOOKS[0]), None));
        open(&mut view, BOOKS[0]);
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
            events.iter().for_each(|(header, event)| followed.apply(header, event));
        }
        let recovered = View::of(&engine);
        let orders = |view: &View| -> Vec<_> { view.open_orders(account).map(|known| known.order).collect() };
        assert_eq!(orders(&followed).len(), 5);
        assert_eq!(orders(&recovered), orders(&followed));
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
