//! What stays the same when a stream is turned over: no expectation is needed but the engine's own other answer.

mod common;

use std::collections::BTreeMap;

use common::{Done, Named, Venue, as_it_is, flat};
use engine::canonical::FieldValue;
use engine::command::{AdminNote, SetPriceProtection};
use engine::instrument::{Distance, Phase, PriceProtection};
use engine::{AccountId, Command, CommandBody, Engine, Event, InstrumentId, OrderType, Price, Side};
use testkit::stream::Step;
use testkit::workload::{Workload, profile};

const SEEDS: std::ops::Range<u64> = 1..3;
const STEPS: usize = 1_000;
/// Lists without assets, so that nothing is held and nothing costs.
const FREE: InstrumentId = InstrumentId(3);
/// The workload's other instrument with holds off.
const OTHER: InstrumentId = InstrumentId(4);
/// Prices are reflected around half of this.
const MIRROR: u64 = 200;

/// The next step that `change` lets pass, and what it did; the stream follows what happens in `venue`.
fn next(
    workload: &mut Workload,
    venue: &mut Venue,
    change: &dyn Fn(&mut CommandBody) -> Option<()>,
) -> Option<(Step, Done)> {
    let mut step = workload.next_step();
    change(&mut step.command.body)?;
    let done = venue.step(&step);
    workload.observe(&step, &done.all());
    Some((step, done))
}

fn is_opening(body: &CommandBody) -> bool {
    use CommandBody::*;
    matches!(
        body,
        AddAsset(_) | ListInstrument(_) | OpenAccount(_) | Deposit(_) | AddKey(_) | GrantRole(_) | ModifyAccount(_)
    )
}

fn reflected(price: Price) -> Option<Price> {
    match price {
        Price::ABSENT | Price::OFF_TICK => Some(price),
        Price(ticks) => (1..MIRROR).contains(&ticks).then(|| Price(MIRROR - ticks)),
    }
}

/// An order stream in one instrument that both sides can send: no funds, which only buys have, no stops, of which buys
/// come first, and no price without a reflection.
fn has_mirror(body: &mut CommandBody) -> Option<()> {
    match body {
        CommandBody::NewOrder(order) => {
            order.instrument = FREE;
            reflected(order.price)?;
            let stop = order.order_type.is_stop() || !order.stop_price.is_absent();
            (!stop && order.funds.is_absent()).then_some(())
        }
        CommandBody::ReplaceOrder(amend) => {
            reflected(amend.price)?;
            let stop = amend.order_type.is_some_and(OrderType::is_stop) || !amend.stop_price.is_absent();
            (!stop).then_some(())
        }
        CommandBody::SetPhase(phase) => {
            phase.instrument = FREE;
            // An auction numbers its buyers first, and without a reference price it prefers the lower one.
            use Phase::*;
            let is_call = matches!(phase.phase, PreOpen | OpeningCall | VolatilityCall | ClosingCall | NoCancel);
            (!is_call).then_some(())
        }
        CommandBody::CancelOrder(_) | CommandBody::MassCancel(_) | CommandBody::KillSwitch(_) => Some(()),
        body => is_opening(body).then_some(()),
    }
}

fn mirrored(step: &Step) -> Step {
    let mut step = *step;
    match &mut step.command.body {
        CommandBody::NewOrder(order) => {
            order.side = order.side.opposite();
            order.price = reflected(order.price).expect("a price with a reflection");
        }
        CommandBody::ReplaceOrder(amend) => {
            amend.price = reflected(amend.price).expect("a price with a reflection");
        }
        CommandBody::MassCancel(cancel) => cancel.side = cancel.side.map(Side::opposite),
        _ => {}
    }
    step
}

fn said_mirrored(_: &str, value: &FieldValue<'_>) -> Option<String> {
    Some(match value {
        FieldValue::Price(price) => reflected(*price).expect("a price with a reflection").0.to_string(),
        FieldValue::Code(Some("Buy")) => "Sell".to_owned(),
        FieldValue::Code(Some("Sell")) => "Buy".to_owned(),
        value => as_it_is(value),
    })
}

fn said(_: &str, value: &FieldValue<'_>) -> Option<String> {
    Some(as_it_is(value))
}

/// A market's protection in ticks: parts of a price are others in the mirror.
fn protection(name: u32, at: engine::Timestamp) -> Step {
    let protection = PriceProtection { market: Distance::ticks(6), ..PriceProtection::DEFAULT };
    let body = SetPriceProtection { instrument: FREE, protection, note: AdminNote::NONE };
    Step { name, at, command: Command::from_venue(body) }
}

#[test]
fn mirrored_sides_give_mirrored_events() {
    for name in ["plain", "icebergs", "prevention", "expiry"] {
        for seed in SEEDS {
            let mut workload = Workload::new(profile(name).expect("a profile"), seed);
            let (mut venue, mut mirror) = (Venue::new(), Venue::new());
            let mut trades = 0;
            for _ in 0..STEPS {
                let Some((step, done)) = next(&mut workload, &mut venue, &has_mirror) else { continue };
                let events: Vec<_> = done.all().iter().map(|event| flat(event, &said_mirrored)).collect();
                let reflection: Vec<_> = mirror.step(&mirrored(&step)).all().iter().map(|it| flat(it, &said)).collect();
                if !matches!(step.command.body, CommandBody::ListInstrument(_)) {
                    assert_eq!(events, reflection, "{name}, seed {seed}: {step:?}");
                }
                trades += done.events.iter().filter(|event| matches!(event, Event::Trade(_))).count();
                if matches!(step.command.body, CommandBody::ListInstrument(it) if it.instrument == FREE) {
                    let step = protection(u32::MAX, step.at);
                    venue.step(&step);
                    mirror.step(&step);
                }
            }
            assert!(trades > 50, "{name}, seed {seed}: the stream trades");
        }
    }
}

/// Another account, in the same order as before: a mass cancel goes account by account.
fn renamed(account: AccountId) -> AccountId {
    if account <= AccountId::FEES { account } else { AccountId(account.0 + 20) }
}

fn with_accounts_renamed(step: &Step) -> Step {
    use CommandBody::*;
    let mut step = *step;
    let account = match &mut step.command.body {
        NewOrder(it) => &mut it.account,
        ReplaceOrder(it) => &mut it.account,
        CancelOrder(it) => &mut it.account,
        MassCancel(it) => &mut it.account,
        KillSwitch(it) => &mut it.account,
        OpenAccount(it) => &mut it.account,
        ModifyAccount(it) => &mut it.account,
        SetAccountLimits(it) => &mut it.account,
        Deposit(it) => &mut it.account,
        Withdraw(it) => &mut it.account,
        AdjustBalance(it) => &mut it.account,
        GrantRole(it) => &mut it.account,
        RevokeRole(it) => &mut it.account,
        _ => return step,
    };
    *account = renamed(*account);
    step
}

fn said_renamed(name: &str, value: &FieldValue<'_>) -> Option<String> {
    Some(match value {
        FieldValue::Unsigned(number) if name.ends_with("account") => {
            renamed(AccountId(u32::try_from(*number).expect("an account"))).to_string()
        }
        value => as_it_is(value),
    })
}

#[test]
fn renamed_accounts_change_nothing_but_names() {
    for name in ["mixed", "wrong", "administration", "auctions", "protection", "day"] {
        for seed in SEEDS {
            let mut workload = Workload::new(profile(name).expect("a profile"), seed);
            let (mut venue, mut other) = (Venue::new(), Venue::new());
            for _ in 0..STEPS {
                let (step, done) = next(&mut workload, &mut venue, &|_| Some(())).expect("every step passes");
                let events: Vec<_> = done.all().iter().map(|event| flat(event, &said_renamed)).collect();
                let others = other.step(&with_accounts_renamed(&step)).all();
                let others: Vec<_> = others.iter().map(|event| flat(event, &said)).collect();
                assert_eq!(events, others, "{name}, seed {seed}: {step:?}");
            }
        }
    }
}

/// The instrument that an account's orders are in: accounts 2 and 3 trade in one, the rest in the other.
fn instrument_of(account: AccountId) -> InstrumentId {
    if account.0 <= 3 { FREE } else { OTHER }
}

/// Gives each account its instrument, and leaves out what is for the whole venue, idempotency keys among it.
fn divided(body: &mut CommandBody) -> Option<()> {
    match body {
        CommandBody::NewOrder(order) => {
            order.instrument = instrument_of(order.account);
            Some(())
        }
        CommandBody::MassCancel(cancel) => {
            cancel.note = AdminNote::NONE;
            (!cancel.account.is_none()).then_some(())
        }
        CommandBody::KillSwitch(kill) => {
            kill.note = AdminNote::NONE;
            Some(())
        }
        CommandBody::SetPhase(phase) => {
            phase.note = AdminNote::NONE;
            [FREE, OTHER].contains(&phase.instrument).then_some(())
        }
        CommandBody::ReplaceOrder(_) | CommandBody::CancelOrder(_) => Some(()),
        body => is_opening(body).then_some(()),
    }
}

/// Which instrument a step is for; none: both.
fn half_of(body: &CommandBody) -> Option<InstrumentId> {
    match body {
        CommandBody::NewOrder(it) => Some(instrument_of(it.account)),
        CommandBody::ReplaceOrder(it) => Some(instrument_of(it.account)),
        CommandBody::CancelOrder(it) => Some(instrument_of(it.account)),
        CommandBody::MassCancel(it) => Some(instrument_of(it.account)),
        CommandBody::KillSwitch(it) => Some(instrument_of(it.account)),
        CommandBody::SetPhase(it) => Some(it.instrument),
        _ => None,
    }
}

/// An event in numbers of its own half of the venue: orders and trades are numbered as they appear.
#[derive(Default)]
struct Half {
    orders: BTreeMap<String, usize>,
    events: Vec<Vec<Named>>,
}

impl Half {
    fn add(&mut self, event: &Event) {
        let is_refused = matches!(event, Event::CancelRejected(_));
        let mut named = flat(event, &|name, value| (name != "trade_id").then(|| as_it_is(value)));
        // What was asked for is only repeated, also where it is the other half's.
        named.retain(|(path, _)| !(is_refused && path == "order_id"));
        for (path, text) in &mut named {
            let names_order = ["order_id", "resting", "incoming", "duplicate_of"].iter().any(|it| path.ends_with(it))
                && !path.contains("client_order_id");
            if names_order && text != "0" {
                let next = self.orders.len() + 1;
                *text = self.orders.entry(text.clone()).or_insert(next).to_string();
            }
        }
        self.events.push(named);
    }
}

#[test]
fn two_instruments_interleaved_are_each_alone() {
    for name in ["plain", "stops", "icebergs", "funds", "prevention"] {
        for seed in SEEDS {
            let mut workload = Workload::new(profile(name).expect("a profile"), seed);
            let (mut both, mut halves) =
                (Venue::new(), BTreeMap::from([(FREE, Half::default()), (OTHER, Half::default())]));
            let mut steps = Vec::new();
            for _ in 0..STEPS {
                let Some((step, done)) = next(&mut workload, &mut both, &divided) else { continue };
                if let Some(half) = half_of(&step.command.body).and_then(|half| halves.get_mut(&half)) {
                    done.events.iter().for_each(|event| half.add(event));
                }
                steps.push(step);
            }
            for (instrument, together) in halves {
                let (mut venue, mut alone) = (Venue::new(), Half::default());
                for step in &steps {
                    let half = half_of(&step.command.body);
                    if half.is_none_or(|half| half == instrument) {
                        let done = venue.step(step);
                        let told = done.events.iter().filter(|_| half.is_some());
                        told.for_each(|event| alone.add(event));
                    }
                }
                assert!(alone.events.len() > 100, "{name}, seed {seed}: something happens in {instrument}");
                for (at, (together, alone)) in together.events.iter().zip(&alone.events).enumerate() {
                    assert_eq!(together, alone, "{name}, seed {seed}, instrument {instrument}, event {at}");
                }
                assert_eq!(together.events.len(), alone.events.len(), "{name}, seed {seed}, instrument {instrument}");
            }
        }
    }
}

#[test]
fn a_snapshot_restored_behind_every_command_changes_nothing() {
    for name in ["mixed", "auctions", "protection", "day"] {
        let mut workload = Workload::new(profile(name).expect("a profile"), 1);
        let (mut straight, mut restored) = (Venue::new(), Venue::new());
        for at in 0..300 {
            let (step, done) = next(&mut workload, &mut straight, &|_| Some(())).expect("every step passes");
            assert_eq!(restored.step(&step).all(), done.all(), "{name}, command {at}: {step:?}");
            let bytes = restored.snapshot();
            assert_eq!(bytes, straight.snapshot(), "{name}, the state behind command {at}: {step:?}");
            restored.engine = Engine::read_snapshot(&bytes).expect("a venue's own snapshot");
        }
    }
}
