//! What a call costs: each change of an order with the indicative price, and the uncross.
//!
//! Closed loop, one thread, the engine alone, holds off. Instructions are counted from outside: `perf stat -e
//! instructions:u` of a run with changes less one without, divided by their number.

use std::process::ExitCode;
use std::time::Instant;

use benches::machine::Machine;
use clap::Parser;
use engine::command::*;
use engine::event::*;
use engine::instrument::*;
use engine::*;
use hdrhistogram::Histogram;

/// Measures changes of orders in a call, and its uncross.
#[derive(Debug, Parser)]
struct Arguments {
    /// Orders in the call.
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=8_000_000))]
    orders: u32,
    /// Changes to measure: a new order, an amend and a cancel in turns.
    #[arg(long, default_value_t = 300_000)]
    changes: u32,
    /// Distinct limits, around 100,000 ticks.
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u64).range(2..=100_000))]
    limits: u64,
    /// Read the clock around each change, for percentiles; the readings count.
    #[arg(long)]
    each: bool,
    /// In continuous trading instead, with bids below and offers above: what the same changes cost without a call.
    #[arg(long)]
    continuous: bool,
    /// Of the stream.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

const INSTRUMENT: InstrumentId = InstrumentId(1);
const ACCOUNT: AccountId = AccountId(2);

/// Counts what was told.
#[derive(Debug, Default)]
struct Counts {
    indicatives: u64,
    trades: u64,
    volume: u64,
}

impl EventSink for Counts {
    fn event(&mut self, _: &EventHeader, event: &Event) {
        match event {
            Event::IndicativeChanged(_) => self.indicatives += 1,
            Event::Trade(_) => self.trades += 1,
            Event::Uncrossed(event) => self.volume = event.volume.0,
            _ => {}
        }
    }
}

/// A call, and the stream that changes it.
struct Call {
    engine: Engine,
    counts: Counts,
    random: fastrand::Rng,
    limits: u64,
    crosses: bool,
    /// Names of orders that are open, in no order.
    open: Vec<ClientOrderId>,
    names: u64,
}

impl Call {
    fn apply(&mut self, body: impl Into<CommandBody>) {
        let sequence = self.engine.last().sequence.next();
        let stamp = Stamp { sequence, time: Timestamp(sequence.0) };
        self.engine.apply(&Sequenced { stamp, value: Command::from_venue(body) }, &mut self.counts);
    }

    fn begin(arguments: &Arguments) -> Self {
        let capacity = Capacity { orders: arguments.orders + 1, ..Capacity::DEFAULT };
        let mut call = Self {
            engine: Engine::new(capacity),
            counts: Counts::default(),
            random: fastrand::Rng::with_seed(arguments.seed),
            limits: arguments.limits,
            crosses: !arguments.continuous,
            open: Vec::with_capacity(arguments.orders as usize + 1),
            names: 0,
        };
        let note = AdminNote::NONE;
        call.apply(ListInstrument {
            instrument: INSTRUMENT,
            name: Text::new("CALL").expect("short ASCII"),
            base: AssetId::NONE,
            quote: AssetId::NONE,
            tick: 1,
            tick_decimals: 0,
            lot: 1,
            lot_decimals: 0,
            reference: Price(100_000),
            holds: Holds::Off,
            self_trade_prevention: SelfTradePrevention::Allow,
            phase: if arguments.continuous { Phase::Continuous } else { Phase::OpeningCall },
            note,
        });
        let self_trade_prevention = None;
        call.apply(OpenAccount {
            account: ACCOUNT,
            stp_group: StpGroup::NONE,
            self_trade_prevention,
            fee_tier: 0,
            note,
        });
        for _ in 0..arguments.orders {
            call.enter();
        }
        call
    }

    fn limit(&mut self, side: Side) -> Price {
        let step = self.random.u64(0..self.limits);
        Price(match side {
            _ if self.crosses => 100_000 - self.limits / 2 + step,
            Side::Buy => 100_000 - step / 2,
            Side::Sell => 100_001 + step / 2,
        })
    }

    fn enter(&mut self) {
        self.names += 1;
        let (client_order_id, side) = (ClientOrderId(self.names), Side::BOTH[usize::from(self.random.bool())]);
        let is_market = self.random.u8(0..50) == 0 && self.crosses;
        let price = if is_market { Price::ABSENT } else { self.limit(side) };
        let quantity = Quantity(self.random.u64(1..=100));
        self.open.push(client_order_id);
        self.apply(NewOrder {
            account: ACCOUNT,
            instrument: INSTRUMENT,
            client_order_id,
            side,
            order_type: if is_market { OrderType::Market } else { OrderType::Limit },
            time_in_force: TimeInForce::GoodTillCancel,
            flags: OrderFlags::NONE,
            self_trade_prevention: None,
            on_disconnect: OnDisconnect::AsSession,
            price,
            quantity,
            funds: Amount::ABSENT,
            stop_price: Price::ABSENT,
            display_quantity: Quantity::ABSENT,
            minimum_quantity: Quantity::ABSENT,
            expire_at: Timestamp::NONE,
        });
    }

    fn amend(&mut self) {
        let quantity = Quantity(self.random.u64(1..=100));
        let original_client_order_id = self.open[self.random.usize(0..self.open.len())];
        self.apply(ReplaceOrder {
            account: ACCOUNT,
            order_id: OrderId::NONE,
            original_client_order_id,
            client_order_id: ClientOrderId::NONE,
            order_type: None,
            time_in_force: None,
            price: Price::ABSENT,
            quantity,
            stop_price: Price::ABSENT,
            display_quantity: Quantity::ABSENT,
            expire_at: Timestamp::NONE,
        });
    }

    fn cancel(&mut self) {
        let original_client_order_id = self.open.swap_remove(self.random.usize(0..self.open.len()));
        self.apply(CancelOrder {
            account: ACCOUNT,
            order_id: OrderId::NONE,
            original_client_order_id,
            client_order_id: ClientOrderId::NONE,
        });
    }

    fn change(&mut self, turn: u32) {
        match turn % 3 {
            0 => self.enter(),
            1 => self.amend(),
            _ => self.cancel(),
        }
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let Machine { cores, processor, commit } = Machine::this();
    println!("{processor}, {cores} cores, commit {commit}, closed loop");
    let mut call = Call::begin(&arguments);
    let told = call.counts.indicatives;
    let mut each = Histogram::<u64>::new_with_bounds(1, 1_000_000_000, 3).expect("three digits");
    let begun = Instant::now();
    for turn in 0..arguments.changes {
        let before = arguments.each.then(Instant::now);
        call.change(turn);
        if let Some(before) = before {
            each.saturating_record(before.elapsed().as_nanos() as u64);
        }
    }
    let spent = begun.elapsed();
    if arguments.changes > 0 {
        let (orders, limits, changes) = (arguments.orders, arguments.limits, arguments.changes);
        let (mean, told) = (spent.as_nanos() as f64 / f64::from(changes), call.counts.indicatives - told);
        println!("{orders} orders at {limits} limits, {changes} changes: {mean:.0} ns each, {told} outlooks told");
        if arguments.each {
            let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|quantile| each.value_at_quantile(quantile));
            println!("p50 {p50} ns, p99 {p99} ns, p99.9 {p999} ns, max {} ns, two clock readings included", each.max());
        }
    }
    if arguments.continuous {
        return ExitCode::SUCCESS;
    }
    let begun = Instant::now();
    call.apply(SetPhase { instrument: INSTRUMENT, phase: Phase::Continuous, note: AdminNote::NONE });
    println!(
        "uncross: {:.3} ms, {} trades, {} lots",
        begun.elapsed().as_secs_f64() * 1e3,
        call.counts.trades,
        call.counts.volume
    );
    ExitCode::SUCCESS
}
