//! Engine and model side by side, command by command and event by event.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use engine::canonical::Code;
use engine::command::AdvanceTime;
use engine::event::{Event, EventHeader, EventKind, OrderState};
use engine::{
    AccountId, Capacity, Command, CommandBody, Engine, EventId, InstrumentId, OrderId, RejectReason, RestingOrder,
    Sequence, Sequenced, Side, Stamp, Timestamp,
};

use crate::auditor::Auditor;
use crate::model::{Flaw, Model, Order};
use crate::random::Random;
use crate::show;
use crate::stream::{References, Step};

/// Where two implementations first differ, and in what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The step's place in the stream, from 0.
    pub step: usize,
    /// Rough kind of the difference, for telling one from another while shrinking.
    pub kind: String,
    /// All that there is to say.
    pub detail: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at place {}: {}\n{}", self.step, self.kind, self.detail)
    }
}

/// How a run is compared.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// What the venue carries.
    pub capacity: Capacity,
    /// What the model gets wrong.
    pub flaw: Flaw,
    /// Behind one in so many steps the engine is written to a snapshot and read back; zero: never. Which ones follows
    /// from their names, so that it stays when others are taken out of the stream.
    pub restore_every: usize,
    /// Every so many steps the whole state is compared; it always is at the end.
    pub state_every: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            capacity: Capacity { orders: 1 << 12, ..Capacity::SMALL },
            flaw: Flaw::None,
            restore_every: 0,
            state_every: 8,
        }
    }
}

/// What was compared.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Commands applied, the sequencer's own included.
    pub commands: u64,
    /// The same, by kind.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Events that were equal, by kind.
    pub events: BTreeMap<&'static str, u64>,
    /// Refusals, by reason.
    pub refusals: BTreeMap<&'static str, u64>,
    /// Ends of orders before they were filled, by reason.
    pub cancels: BTreeMap<&'static str, u64>,
}

impl Tally {
    /// Adds another run's counts.
    pub fn add(&mut self, other: &Self) {
        self.commands += other.commands;
        for (sums, counts) in [
            (&mut self.kinds, &other.kinds),
            (&mut self.events, &other.events),
            (&mut self.refusals, &other.refusals),
            (&mut self.cancels, &other.cancels),
        ] {
            for (name, count) in counts {
                *sums.entry(name).or_default() += count;
            }
        }
    }

    fn count(&mut self, event: &Event) {
        *self.events.entry(event.kind().name()).or_default() += 1;
        if let Some(reason) = refusal(event) {
            *self.refusals.entry(reason.name()).or_default() += 1;
        }
        if let Event::OrderCancelled(cancelled) = event {
            *self.cancels.entry(cancelled.reason.name()).or_default() += 1;
        }
    }
}

/// Why an event says no, if it does.
pub fn refusal(event: &Event) -> Option<RejectReason> {
    match event {
        Event::OrderRejected(event) => Some(event.reason),
        Event::CancelRejected(event) => Some(event.reason),
        Event::MassCancelRejected(event) => Some(event.reason),
        Event::SessionRejected(event) => Some(event.reason),
        Event::CommandRejected(event) => Some(event.reason),
        _ => None,
    }
}

/// What an engine told, with headers, and what a model did.
type Told = (Vec<(EventHeader, Event)>, Vec<Event>);

/// An engine and a model that were given the same commands.
#[derive(Debug)]
pub struct Pair {
    options: Options,
    engine: Engine,
    model: Model,
    auditor: Auditor,
    engine_names: References,
    model_names: References,
    /// The model's order ids by the engine's.
    orders: BTreeMap<OrderId, OrderId>,
    last: Stamp,
    steps: usize,
    tally: Tally,
}

impl Pair {
    /// Two empty venues.
    pub fn new(options: Options) -> Self {
        Self {
            options,
            engine: Engine::new(options.capacity),
            model: Model::with_flaw(options.capacity, options.flaw),
            auditor: Auditor::new(),
            engine_names: References::default(),
            model_names: References::default(),
            orders: BTreeMap::new(),
            last: Stamp { sequence: Sequence::NONE, time: Timestamp::NONE },
            steps: 0,
            tally: Tally::default(),
        }
    }

    /// Another pair in the same state; its engine is read from this one's snapshot.
    pub fn fork(&self, options: Options) -> Result<Self, Difference> {
        let engine = self.restored()?;
        Ok(Self {
            options,
            engine,
            model: self.model.clone(),
            auditor: self.auditor.clone(),
            engine_names: self.engine_names.clone(),
            model_names: self.model_names.clone(),
            orders: self.orders.clone(),
            last: self.last,
            steps: self.steps,
            tally: self.tally.clone(),
        })
    }

    /// What was compared so far.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The engine.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Gives both the next step, behind what is due by then; gives the engine's events of the step itself.
    pub fn step(&mut self, step: &Step) -> Result<Vec<Event>, Difference> {
        let time = self.last.time.max(step.at);
        let deadlines = (self.engine.next_deadline(), self.model.next_deadline());
        self.ensure_equal("next deadline", &deadlines.0, &deadlines.1)?;
        if deadlines.0 <= time && deadlines.0 != Timestamp::NEVER {
            self.apply(time, Command::from_venue(AdvanceTime {}), 0)?;
        }
        let events = self.apply(time, step.command, step.name)?;
        self.steps += 1;
        if self.restores_behind(step) {
            self.engine = self.restored()?;
        }
        if self.steps.is_multiple_of(self.options.state_every) {
            self.compare_states()?;
        }
        Ok(events)
    }

    fn restores_behind(&self, step: &Step) -> bool {
        let every = self.options.restore_every as u64;
        every > 0 && Random::new(step.name.into()).below(every) == 0
    }

    fn apply(&mut self, time: Timestamp, command: Command, name: u32) -> Result<Vec<Event>, Difference> {
        let stamp = Stamp { sequence: self.last.sequence.next(), time };
        let for_engine = Sequenced { stamp, value: self.engine_names.resolve(&command) };
        let for_model = Sequenced { stamp, value: self.model_names.resolve(&command) };
        let (told, expected) = self.apply_both(&for_engine, &for_model)?;
        let events: Vec<Event> = told.into_iter().map(|(_, event)| event).collect();
        self.engine_names.learn(name, &events);
        self.model_names.learn(name, &expected);
        Ok(events)
    }

    /// Gives both a command of a journal, with its stamp and the venue's own names of orders; gives the engine's events.
    pub fn command(&mut self, command: &Sequenced<Command>) -> Result<Vec<(EventHeader, Event)>, Difference> {
        let mut for_model = *command;
        match &mut for_model.value.body {
            CommandBody::ReplaceOrder(replace) => replace.order_id = self.model_id(replace.order_id),
            CommandBody::CancelOrder(cancel) => cancel.order_id = self.model_id(cancel.order_id),
            _ => {}
        }
        let (told, _) = self.apply_both(command, &for_model)?;
        self.steps += 1;
        Ok(told)
    }

    /// What both tell of a command, which is the same.
    fn apply_both(
        &mut self,
        for_engine: &Sequenced<Command>,
        for_model: &Sequenced<Command>,
    ) -> Result<Told, Difference> {
        let Sequenced { stamp, value } = for_engine;
        self.last = *stamp;
        let mut told: Vec<(EventHeader, Event)> = Vec::new();
        self.engine.apply(for_engine, &mut told);
        let expected = self.model.apply(for_model);
        for (index, (header, _)) in (0..).zip(&told) {
            let id = EventId { sequence: stamp.sequence, index };
            let expected = EventHeader { id, time: stamp.time, received_at: value.header.received_at };
            self.ensure_equal("event header", header, &expected)?;
        }
        let events: Vec<Event> = told.iter().map(|(_, event)| *event).collect();
        self.compare_events(&events, &expected)?;
        if let Err(broken) = self.auditor.observe(for_engine, &events) {
            return Err(self.difference(&format!("auditor: {}", broken.rule), broken.detail));
        }
        self.tally.commands += 1;
        *self.tally.kinds.entry(value.body.kind().name()).or_default() += 1;
        events.iter().for_each(|event| self.tally.count(event));
        Ok((told, expected))
    }

    fn compare_events(&mut self, events: &[Event], expected: &[Event]) -> Result<(), Difference> {
        for (event, expected) in events.iter().zip(expected) {
            if let (Event::OrderAccepted(event), Event::OrderAccepted(expected)) = (event, expected) {
                self.orders.insert(event.order.order_id, expected.order.order_id);
            }
        }
        let translated: Vec<Event> = events.iter().map(|event| with_orders(event, &|id| self.model_id(id))).collect();
        if translated == expected {
            return Ok(());
        }
        let at = translated.iter().zip(expected).take_while(|(event, expected)| event == expected).count();
        let (event, wanted) = (translated.get(at), expected.get(at));
        let kind = format!("{} instead of {}", name_of(event), name_of(wanted));
        let one = |event: Option<&Event>| event.map_or_else(|| "nothing".to_owned(), show::event);
        let all = |events: &[Event]| events.iter().map(|it| format!("  {}\n", show::event(it))).collect::<String>();
        let detail = format!(
            "event {at}\nengine   {}\nmodel    {}\nall of the engine's\n{}all of the model's\n{}",
            one(event),
            one(wanted),
            all(&translated),
            all(expected),
        );
        Err(self.difference(&kind, detail))
    }

    fn model_id(&self, id: OrderId) -> OrderId {
        self.orders.get(&id).copied().unwrap_or(id)
    }

    /// The engine as its snapshot describes it.
    fn restored(&self) -> Result<Engine, Difference> {
        let mut bytes = Vec::new();
        self.engine.write_snapshot(&mut bytes);
        Engine::read_snapshot(&bytes).map_err(|error| self.difference("snapshot refused", format!("{error:?}")))
    }

    /// Orders that stand in no book, what prices are measured from, and how a call would end.
    fn compare_calls(&self, instrument: InstrumentId) -> Result<(), Difference> {
        let ids = |orders: &mut dyn Iterator<Item = RestingOrder>| -> Vec<(OrderId, u64)> {
            orders.map(|it| (self.model_id(it.order_id), it.leaves.0)).collect()
        };
        let of_model =
            |orders: Vec<Order>| -> Vec<(OrderId, u64)> { orders.iter().map(|it| (it.id, it.leaves)).collect() };
        for side in Side::BOTH {
            let market = ids(&mut self.engine.market_orders(instrument, side));
            self.ensure_equal("market orders", &market, &of_model(self.model.market_orders(instrument, side)))?;
        }
        let waiting = ids(&mut self.engine.waiting_for_close(instrument));
        self.ensure_equal("waiting for the close", &waiting, &of_model(self.model.waiting_for_close(instrument)))?;
        let indicative = self.engine.indicative(instrument);
        let indicative = indicative.map(|it| (it.price, it.volume, it.surplus_side, it.surplus));
        self.ensure_equal("indicative", &indicative, &self.model.told_of_call(instrument))?;
        self.ensure_equal("reference price", &self.engine.reference(instrument), &self.model.reference(instrument))
    }

    /// Balances, books, calls, phases and deadlines of both; and the engine's own audit.
    pub fn compare_states(&self) -> Result<(), Difference> {
        if let Err(broken) = self.engine.audit() {
            return Err(self.difference("engine audit", broken.to_owned()));
        }
        for asset in self.model.asset_ids() {
            for account in self.model.account_ids() {
                let of_engine = self.engine.balance(account, asset).map(|it| (it.available.0, it.held.0));
                let of_model = Some((self.model.available(account, asset), self.model.held(account, asset)));
                self.ensure_equal(&format!("balance of {account} in {asset}"), &of_engine, &of_model).map_err(
                    |mut it| {
                        for order in self.model.open_orders().iter().filter(|order| order.account == account) {
                            it.detail += &format!("\n{order:?} {}", self.model.need(order));
                        }
                        it
                    },
                )?;
            }
            let supply = self.engine.supply(asset).map(|supply| supply.0);
            self.ensure_equal("supply", &supply, &Some(self.model.supply(asset)))?;
        }
        for instrument in self.model.instrument_ids() {
            self.ensure_equal("phase", &self.engine.phase(instrument), &self.model.phase(instrument))?;
            self.compare_calls(instrument)?;
            for side in Side::BOTH {
                let of_engine: Vec<_> = self
                    .engine
                    .orders(instrument, side)
                    .map(|it| {
                        (
                            self.model_id(it.order_id),
                            it.account,
                            it.client_order_id,
                            it.price,
                            it.leaves.0,
                            it.cumulative.0,
                        )
                    })
                    .collect();
                let of_model: Vec<_> = self
                    .model
                    .book(instrument, side)
                    .iter()
                    .map(|it| (it.id, it.account, it.client_order_id, it.price, it.leaves, it.cumulative))
                    .collect();
                self.ensure_equal("book", &of_engine, &of_model)?;
            }
        }
        self.ensure_equal("next deadline", &self.engine.next_deadline(), &self.model.next_deadline())
    }

    fn ensure_equal<T: PartialEq + fmt::Debug>(&self, what: &str, engine: &T, model: &T) -> Result<(), Difference> {
        if engine == model {
            return Ok(());
        }
        Err(self.difference(what, format!("engine   {engine:?}\nmodel    {model:?}")))
    }

    fn difference(&self, kind: &str, detail: String) -> Difference {
        Difference { step: self.steps, kind: kind.to_owned(), detail }
    }
}

/// Runs a stream as [`run`] does; a panic is a difference too.
pub fn run_caught(steps: &[Step], options: Options) -> Result<Tally, Difference> {
    let mut pair = Pair::new(options);
    for (at, step) in steps.iter().enumerate() {
        caught(at, || pair.step(step))?;
    }
    caught(steps.len(), || pair.compare_states())?;
    Ok(pair.tally)
}

/// What `work` gives; a panic in it is a difference of step `at`.
pub fn caught<T>(at: usize, work: impl FnOnce() -> Result<T, Difference>) -> Result<T, Difference> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let message = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let message = message.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
        Err(Difference { step: at, kind: format!("panic: {message}"), detail: String::new() })
    })
}

/// Runs a stream to its end, or to the first difference.
pub fn run(steps: &[Step], options: Options) -> Result<Tally, Difference> {
    let mut pair = Pair::new(options);
    for step in steps {
        pair.step(step)?;
    }
    pair.compare_states()?;
    Ok(pair.tally)
}

fn name_of(event: Option<&Event>) -> String {
    let Some(event) = event else { return "nothing".to_owned() };
    let reason = match event {
        Event::OrderCancelled(cancelled) => Some(cancelled.reason.name()),
        event => refusal(event).map(RejectReason::name),
    };
    reason.map_or_else(|| event.kind().name().to_owned(), |reason| format!("{} {reason}", event.kind().name()))
}

/// The event with every order id replaced.
pub fn with_orders(event: &Event, id: &dyn Fn(OrderId) -> OrderId) -> Event {
    let state = |order: &mut OrderState| order.order_id = id(order.order_id);
    let mut event = *event;
    match &mut event {
        Event::OrderAccepted(event) => state(&mut event.order),
        Event::OrderReplaced(event) => state(&mut event.order),
        Event::OrderCancelled(event) => state(&mut event.order),
        Event::OrderTriggered(event) => state(&mut event.order),
        Event::OrderRestated(event) => state(&mut event.order),
        Event::OrderRejected(event) => event.original_order_id = id(event.original_order_id),
        Event::CancelRejected(event) => {
            event.order_id = id(event.order_id);
            event.duplicate_of = id(event.duplicate_of);
        }
        Event::Trade(event) => {
            event.maker.order_id = id(event.maker.order_id);
            event.taker.order_id = id(event.taker.order_id);
        }
        Event::MatchPrevented(event) => {
            event.resting = id(event.resting);
            event.incoming = id(event.incoming);
        }
        Event::PriceBoundReached(event) => event.order_id = id(event.order_id),
        Event::TradeBusted(event) => {
            event.buyer.order_id = id(event.buyer.order_id);
            event.seller.order_id = id(event.seller.order_id);
        }
        _ => {}
    }
    event
}

/// Kinds of events that the engine can tell, for what a run did not reach.
pub fn event_kinds() -> impl Iterator<Item = &'static str> {
    EventKind::ALL.iter().map(|kind| kind.name())
}

/// Whether an account is a trader's.
pub fn is_traders(account: AccountId) -> bool {
    account != AccountId::FEES && !account.is_none()
}
