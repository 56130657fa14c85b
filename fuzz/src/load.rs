//! Mode load: many sessions trade at random in three instruments, through a venue that is killed again and again.
//!
//! After each restart every trader first takes in what it missed; then all logs together are compared with the journal:
//! open orders, balances, the numbers of reports and requests. Only then do they trade on.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use benches::decimal::Unit;
use benches::flow::order_feed::limit_order;
use benches::flow::plain_account;
use benches::flow::row_book::RowOrder;
use benches::trading::log::{Log, OrderName};
use benches::trading::message::{Message, Steps, cancel};
use benches::trading::served::admit_sessions;
use client::Client;
use client::wire::order_entry::OrderMassActionRequest;
use client::wire::{self, Block, CancelOnDisconnect, MassActionType};
use engine::command::{AddAsset, AdminNote, CancelOrder, Deposit, ListInstrument, NewOrder, ReplaceOrder, SetFees};
use engine::instrument::{FeeRates, Holds, Phase};
use engine::limits::SESSIONS_PER_KEY;
use engine::order::{SelfTradePrevention, TimeInForce};
use engine::{
    AccountId, Amount, AssetId, ClientOrderId, CommandBody, Engine, InstrumentId, OrderId, Price, Quantity, Side, Text,
    Timestamp,
};
use venue::data_folder::{DataFolder, DataFolderError};

use crate::agreement::{compare, compare_digests, compare_executions};
use crate::door::{Door, Life};
use crate::flow::access;
use crate::journal_view::engine_behind;
use crate::kills::{Killer, Kills, RunError};
use crate::process::{Ended, PATIENCE, Spec};
use crate::random::Random;
use crate::trader::{Gone, Trader, options};
use crate::verdict::Verdict;

/// How many sessions trade, if nobody says otherwise.
pub const SESSIONS: u32 = 50;
/// Requests of one session without an answer.
pub(crate) const WINDOW: usize = 6;
/// Orders that a session has open before it rather cancels.
const OPEN_MAX: usize = 30;
/// Reports between two kills, at most: in one life of so many there are many, in the others few, so that starts are
/// quick.
const REPORTS_MAX: u64 = 4_000;
const REPORTS_MAX_USUAL: u64 = 500;
const LIVES_PER_LONG_ONE: u64 = 8;

const FIRST_ACCOUNT: u32 = 2;
const ACCOUNTS: u32 = 10;
/// Makers are paid for, takers pay.
const FEES: FeeRates = FeeRates { maker: -100, taker: 700 };

struct Asset {
    id: AssetId,
    name: &'static str,
    decimals: u8,
    deposit: u128,
}

struct Instrument {
    id: InstrumentId,
    name: &'static str,
    base: AssetId,
    quote: AssetId,
    tick_decimals: u8,
    lot_decimals: u8,
    /// Around which orders are made, in ticks.
    middle: u64,
}

/// Finer than is shown, so that tick × lot is whole in every instrument.
const ASSETS: [Asset; 3] = [
    Asset { id: AssetId(1), name: "BTC", decimals: 13, deposit: 10_u128.pow(19) },
    Asset { id: AssetId(2), name: "ETH", decimals: 8, deposit: 10_u128.pow(15) },
    Asset { id: AssetId(3), name: "USD", decimals: 10, deposit: 10_u128.pow(22) },
];

const INSTRUMENTS: [Instrument; 3] = [
    instrument(1, "BTC-USD", 1, 3, 2, 6_500_000),
    instrument(2, "ETH-USD", 2, 3, 2, 350_000),
    instrument(3, "ETH-BTC", 2, 1, 5, 5_400),
];

const fn instrument(id: u32, name: &'static str, base: u32, quote: u32, tick_decimals: u8, middle: u64) -> Instrument {
    let (base, quote) = (AssetId(base), AssetId(quote));
    Instrument { id: InstrumentId(id), name, base, quote, tick_decimals, lot_decimals: 8, middle }
}

fn accounts() -> impl Iterator<Item = AccountId> {
    (FIRST_ACCOUNT..FIRST_ACCOUNT + ACCOUNTS).map(AccountId)
}

fn decimals(asset: AssetId) -> u32 {
    ASSETS.iter().find(|known| known.id == asset).map_or(0, |known| known.decimals.into())
}

/// What makes the venue.
pub fn commands(folder: &DataFolder) -> Result<Vec<CommandBody>, DataFolderError> {
    commands_for(folder, SESSIONS_PER_KEY)
}

/// The same for so many sessions.
pub(crate) fn commands_for(folder: &DataFolder, sessions: u32) -> Result<Vec<CommandBody>, DataFolderError> {
    let note = AdminNote::NONE;
    let mut bodies: Vec<CommandBody> = Vec::new();
    for Asset { id, name, decimals, .. } in &ASSETS {
        bodies.push(AddAsset { asset: *id, name: text(name), decimals: *decimals, note }.into());
    }
    for instrument in &INSTRUMENTS {
        bodies.push(listing(instrument).into());
        bodies.push(SetFees { instrument: instrument.id, tier: 0, rates: FEES, note }.into());
    }
    for account in accounts() {
        bodies.push(plain_account(account).into());
        let deposits = ASSETS.iter().map(|asset| {
            let (asset, amount) = (asset.id, Amount(asset.deposit));
            CommandBody::from(Deposit { account, asset, amount, note })
        });
        bodies.extend(deposits);
    }
    bodies.extend(admit_sessions(folder, sessions, accounts())?);
    Ok(bodies)
}

fn listing(instrument: &Instrument) -> ListInstrument {
    ListInstrument {
        instrument: instrument.id,
        name: text(instrument.name),
        base: instrument.base,
        quote: instrument.quote,
        tick: 1,
        tick_decimals: instrument.tick_decimals,
        lot: 1,
        lot_decimals: instrument.lot_decimals,
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

/// What all threads share.
struct Floor {
    door: Door,
    reports: AtomicU64,
    /// Nothing new is sent any more.
    closing: AtomicBool,
    /// Traders that have nothing more to send and every answer.
    settled: AtomicUsize,
    logs: Vec<Mutex<Log>>,
}

/// `sessions` trade through the venue of `spec`, which is killed `rounds` times.
pub fn run(spec: &Spec, seed: u64, rounds: u64, sessions: u32) -> Result<(Verdict, Kills), RunError> {
    let floor = Floor {
        door: Door::new(),
        reports: AtomicU64::new(0),
        closing: AtomicBool::new(false),
        settled: AtomicUsize::new(0),
        logs: (0..sessions).map(|_| Mutex::default()).collect(),
    };
    let access = access(&spec.data)?;
    let mut verdict = Verdict::default();
    let (kills, ended) = std::thread::scope(|scope| {
        for (session, log) in (1..).zip(&floor.logs) {
            let loss = if session % 5 == 0 { CancelOnDisconnect::Cancel } else { CancelOnDisconnect::Keep };
            let trader = Trader {
                session,
                options: options(loss),
                access: access.clone(),
                door: &floor.door,
                log,
                reports: &floor.reports,
                life: Life(0),
            };
            let ideas = Ideas::new(session, Random::part(seed, 100 + u64::from(session)));
            let mut speculator = Speculator { trader, floor: &floor, ideas, settled: false };
            scope.spawn(move || speculator.run());
        }
        let outcome = kill(spec, &floor, (seed, rounds), &mut verdict);
        // Whatever happened, nobody waits for the venue any more.
        floor.door.end();
        outcome
    })?;
    let (_, replayed) = engine_behind(&spec.data, ended.last)?;
    compare_digests(&mut verdict, &ended, &replayed);
    let logs = floor.lock_logs();
    compare_executions(&mut verdict, &logs.iter().map(|log| &**log).collect::<Vec<_>>());
    for (session, log) in (1..).zip(&logs) {
        if !log.unanswered().is_empty() {
            verdict.differs(format!("session {session} has {} requests without an answer", log.unanswered().len()));
        }
    }
    (verdict.commands, verdict.reports) = (ended.last, floor.reports.load(Ordering::Relaxed));
    Ok((verdict, kills))
}

fn kill(
    spec: &Spec,
    floor: &Floor,
    (seed, rounds): (u64, u64),
    verdict: &mut Verdict,
) -> Result<(Kills, Ended), RunError> {
    let never = AtomicBool::new(false);
    let mut killer = Killer::new(spec, &floor.door, &floor.reports, &never, Random::part(seed, 1));
    let mut random = Random::part(seed, 2);
    while killer.kills().count() < rounds {
        let is_long = random.below(LIVES_PER_LONG_ONE) == 0;
        let reports_max = if is_long { REPORTS_MAX } else { REPORTS_MAX_USUAL };
        killer.round(reports_max, &mut || floor.compare(spec, verdict))?;
    }
    // One more life to trade in, and to be answered; then one in which nobody sends anything.
    let process = killer.start()?;
    floor.compare(spec, verdict)?;
    floor.closing.store(true, Ordering::Release);
    let begun = Instant::now();
    while floor.settled.load(Ordering::Acquire) < floor.logs.len() {
        std::thread::park_timeout(Duration::from_millis(1));
        if begun.elapsed() > PATIENCE {
            return Err(RunError::Stuck(floor.waiting()));
        }
    }
    process.ask_to_stop()?;
    floor.door.close();
    process.ended()?;
    let process = killer.start()?;
    floor.compare(spec, verdict)?;
    process.ask_to_stop()?;
    Ok((killer.kills(), process.ended()?))
}

impl Floor {
    /// Waits until every trader knows what it missed, compares all of them with the journal, and lets them trade.
    fn compare(&self, spec: &Spec, verdict: &mut Verdict) -> Result<(), RunError> {
        if !self.door.wait_for_recovered(self.logs.len(), PATIENCE) {
            return Err(RunError::Stuck(format!("not every trader has recovered within {PATIENCE:?}")));
        }
        let mut logs = self.lock_logs();
        let released = logs.iter().map(|log| log.last_sequence()).max().unwrap_or(0);
        let (engine, _) = engine_behind(&spec.data, released)?;
        for (session, log) in (1..).zip(&mut logs) {
            log.take_faults().into_iter().for_each(|fault| verdict.fault(&format!("session {session}"), fault));
        }
        let known: Vec<&Log> = logs.iter().map(|log| &**log).collect();
        compare(verdict, &engine, &known);
        compare_balances(verdict, &engine, &known);
        drop(logs);
        self.door.compared();
        Ok(())
    }

    /// What has no answer yet, for people.
    fn waiting(&self) -> String {
        let logs = self.lock_logs();
        let waiting = (1..).zip(&logs).filter(|(_, log)| !log.unanswered().is_empty());
        let waiting: Vec<_> =
            waiting.map(|(session, log)| format!("session {session}: {:?}", log.unanswered())).collect();
        format!("not every request was answered within {PATIENCE:?}: {}", waiting.join("; "))
    }

    /// Whoever panicked while holding a log has failed the run already.
    fn lock_logs(&self) -> Vec<MutexGuard<'_, Log>> {
        self.logs.iter().map(|log| log.lock().unwrap_or_else(PoisonError::into_inner)).collect()
    }
}

/// What accounts own, by their deposits and fills, against the venue.
pub(crate) fn compare_balances(verdict: &mut Verdict, engine: &Engine, logs: &[&Log]) {
    let mut owned: BTreeMap<(u64, AssetId), i128> = BTreeMap::new();
    for account in accounts() {
        for asset in &ASSETS {
            owned.insert((account.0.into(), asset.id), i128::try_from(asset.deposit).unwrap_or(i128::MAX));
        }
    }
    for fill in logs.iter().flat_map(|log| log.fills()) {
        let Some(instrument) = INSTRUMENTS.iter().find(|known| wire::SecurityId::from(known.id) == fill.security_id)
        else {
            verdict.differs(format!("a trade in what is not listed: {fill:?}"));
            continue;
        };
        let scale = |decimals: u32| 10_i128.pow(decimals);
        let lot_decimals = u32::from(instrument.lot_decimals);
        let base = i128::from(fill.quantity.0) * scale(decimals(instrument.base) - lot_decimals);
        let places = decimals(instrument.quote) - u32::from(instrument.tick_decimals) - lot_decimals;
        let quote = i128::from(fill.price.0) * i128::from(fill.quantity.0) * scale(places);
        let sign = if fill.side == wire::Side::Buy { 1 } else { -1 };
        *owned.entry((fill.order.0.0, instrument.base)).or_default() += sign * base;
        *owned.entry((fill.order.0.0, instrument.quote)).or_default() -= sign * quote + fill.fee;
    }
    for ((account, asset), expected) in owned {
        let account = AccountId(u32::try_from(account).unwrap_or(u32::MAX));
        let found = engine.balance(account, asset).map(|balance| balance.available.0 + balance.held.0);
        let expected = u128::try_from(expected).ok();
        verdict.expect(&format!("what account {account:?} has of asset {asset:?}"), &expected, &found);
    }
}

/// A trader with no idea.
struct Speculator<'a> {
    trader: Trader<'a>,
    floor: &'a Floor,
    ideas: Ideas,
    settled: bool,
}

impl Speculator<'_> {
    fn run(&mut self) {
        while let Some(mut client) = self.trader.open() {
            // It comes back, or the door says that it is over.
            let Gone = match self.trade(&mut client) {
                Ok(never) => never,
                Err(gone) => gone,
            };
        }
    }

    fn trade(&mut self, client: &mut Client) -> Result<Gone, Gone> {
        self.trader.recover(client)?;
        if !self.floor.door.wait_until_compared(self.trader.life) {
            return Err(Gone);
        }
        self.trader.send_again(client)?;
        while !self.floor.closing.load(Ordering::Acquire) {
            let waiting = self.trader.log().unanswered().len();
            if waiting < WINDOW && self.ideas.has_one() {
                let message = self.ideas.message(&self.trader.log());
                self.trader.send(client, message)?;
            } else {
                // Others trade with its orders, too.
                self.trader.receive_within(client, Duration::from_millis(20))?;
            }
        }
        self.trader.settle(client, 0)?;
        if !self.settled {
            self.settled = true;
            self.floor.settled.fetch_add(1, Ordering::AcqRel);
        }
        loop {
            self.trader.receive(client)?;
        }
    }
}

/// What a trader with no idea sends.
pub(crate) struct Ideas {
    session: u32,
    random: Random,
    /// Orders that were named so far.
    names: u64,
}

impl Ideas {
    pub(crate) fn new(session: u32, random: Random) -> Self {
        Self { session, random, names: 0 }
    }

    /// Whether there is one at the moment.
    pub(crate) fn has_one(&mut self) -> bool {
        self.random.below(3) > 0
    }

    pub(crate) fn message(&mut self, log: &Log) -> Message {
        let open = log.orders().len();
        match self.random.below(100) {
            0 => self.mass_cancel(),
            1..20 if open > 0 => self.cancel(log),
            20..35 if open > 0 => self.amend(log),
            _ if open >= OPEN_MAX => self.cancel(log),
            35..45 => self.order(TimeInForce::ImmediateOrCancel),
            _ => self.order(TimeInForce::GoodTillCancel),
        }
    }

    fn order(&mut self, time_in_force: TimeInForce) -> Message {
        let instrument = &INSTRUMENTS[self.below(INSTRUMENTS.len())];
        let side = Side::BOTH[self.below(2)];
        let place =
            RowOrder { instrument: instrument.id, side, price: self.price(instrument), leaves: self.quantity() };
        self.names += 1;
        let client_order_id = ClientOrderId((u64::from(self.session) << 40) + self.names);
        // An account of ten, three of which a session trades for.
        let account = self.session + u32::try_from(self.random.below(3)).unwrap_or(0);
        let account = AccountId(FIRST_ACCOUNT + account % ACCOUNTS);
        steps(instrument).new_order(&NewOrder { account, client_order_id, ..limit_order(place, time_in_force) })
    }

    fn cancel(&mut self, log: &Log) -> Message {
        let (account, client_order_id) = self.own(log);
        cancel(&CancelOrder {
            account,
            order_id: OrderId::NONE,
            original_client_order_id: client_order_id,
            client_order_id: ClientOrderId::NONE,
        })
    }

    fn amend(&mut self, log: &Log) -> Message {
        let (account, original_client_order_id) = self.own(log);
        let name = (account.into(), original_client_order_id.into());
        let order = log.order(name).copied();
        let instrument = INSTRUMENTS
            .iter()
            .find(|known| order.is_some_and(|order| wire::SecurityId::from(known.id) == order.security_id))
            .unwrap_or(&INSTRUMENTS[0]);
        let filled = order.map_or(0, |order| u64::try_from(order.cumulative).unwrap_or(0));
        let (price, more) = (self.price(instrument), self.quantity());
        steps(instrument).replace(&ReplaceOrder {
            account,
            order_id: OrderId::NONE,
            original_client_order_id,
            client_order_id: ClientOrderId::NONE,
            order_type: None,
            time_in_force: None,
            price,
            quantity: Quantity(filled) + more,
            stop_price: Price::ABSENT,
            display_quantity: Quantity::ABSENT,
            expire_at: Timestamp::NONE,
        })
    }

    /// All orders of an account in an instrument, other sessions' too; or this session's everywhere.
    fn mass_cancel(&mut self) -> Message {
        let account = AccountId(FIRST_ACCOUNT + self.session % ACCOUNTS);
        let instrument = &INSTRUMENTS[self.below(INSTRUMENTS.len())];
        let own = self.random.below(2) == 0;
        Message::MassCancel(OrderMassActionRequest {
            account: Some(account.into()),
            security_id: (!own).then(|| instrument.id.into()),
            entered_by: own.then(|| wire::SessionId(self.session.into())),
            action: MassActionType::CancelOrders,
            ..OrderMassActionRequest::BLANK
        })
    }

    /// One of the orders that it has open.
    fn own(&mut self, log: &Log) -> (AccountId, ClientOrderId) {
        let index = self.below(log.orders().len());
        let found: Option<OrderName> = log.orders().keys().nth(index).copied();
        let (account, name) = found.unwrap_or((wire::AccountId(0), wire::ClientOrderId(0)));
        (AccountId(u32::try_from(account.0).unwrap_or(0)), name.into())
    }

    fn price(&mut self, instrument: &Instrument) -> Price {
        Price(instrument.middle + self.random.below(21) - 10)
    }

    fn quantity(&mut self) -> Quantity {
        Quantity(self.random.between(1, 2_000_000))
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.random.below(bound as u64)).unwrap_or(0)
    }
}

fn steps(instrument: &Instrument) -> Steps {
    Steps { tick: Unit::smallest(instrument.tick_decimals), lot: Unit::smallest(instrument.lot_decimals) }
}
