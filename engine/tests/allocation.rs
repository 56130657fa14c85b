//! Nothing is allocated in `apply` once capacities are warm.
//!
//! The counting allocator counts this thread's allocations only, so that the test harness does not disturb it.
#![allow(unsafe_code, reason = "a global allocator is an unsafe trait")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use common::*;
use engine::command::*;
use engine::event::*;
use engine::instrument::Phase;
use engine::*;

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call is passed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[derive(Default)]
struct CountEvents(u64);

impl EventSink for CountEvents {
    fn event(&mut self, _: &EventHeader, _: &Event) {
        self.0 += 1;
    }
}

#[test]
fn apply_allocates_nothing_after_warm_up() {
    let mut venue = Venue::open();
    let mut random = Random(7);
    let mut sink = CountEvents::default();
    let mut step = |name: u64| {
        let account = [ALICE, BOB, CAROL][random.below(3) as usize];
        let instrument = [BTC_USD, UNSETTLED][random.below(2) as usize];
        let side = [Side::Buy, Side::Sell][random.below(2) as usize];
        // Near prices mostly; now and then one far away, so that ladders grow and shrink.
        let price = if random.below(50) == 0 { 1 + random.below(1 << 40) } else { 900 + random.below(200) };
        let earlier = ClientOrderId(name.saturating_sub(random.below(300)).max(1));
        let body: CommandBody = match random.below(10) {
            0..3 => NewOrder { instrument, ..limit(side, price, 1 + random.below(5)).by(account).named(name) }.into(),
            3 => {
                let trigger = 900 + random.below(200);
                let order = stop_limit(side, trigger, price, 1 + random.below(5)).by(account).named(name);
                NewOrder { instrument, ..order.preventing(SelfTradePrevention::Decrement) }.into()
            }
            4 => {
                let order = limit(side, price, 1 + random.below(9)).by(account).named(name).showing(1);
                NewOrder { instrument, ..order.until(1_001 + random.below(1_000)) }.into()
            }
            5 if random.below(200) == 0 => {
                let phases =
                    [Phase::Continuous, Phase::OpeningCall, Phase::Continuous, Phase::ClosingCall, Phase::Closed];
                set_phase(instrument, phases[random.below(5) as usize]).into()
            }
            5 => NewOrder { instrument, ..market(side, 1 + random.below(5)).by(account).named(name) }.into(),
            6 | 7 => CancelOrder { original_client_order_id: earlier, ..cancel(account, 0) }.into(),
            8 => ReplaceOrder { account, price: Price(price), ..replace(earlier.0) }.into(),
            _ if random.below(100) == 0 => MassCancel {
                account,
                instrument: InstrumentId::NONE,
                side: None,
                entered_by: SessionId::NONE,
                client_order_id: ClientOrderId::NONE,
                note: AdminNote::NONE,
            }
            .into(),
            _ if random.below(10) == 0 => AdvanceTime {}.into(),
            _ => deposit(account, USD, 1_000).into(),
        };
        let stamp = Stamp { sequence: venue.engine.last().sequence.next(), time: Timestamp(1_000 + name / 100) };
        let command = Sequenced { stamp, value: Command::from_venue(body) };
        let before = ALLOCATIONS.get();
        venue.engine.apply(&command, &mut sink);
        assert_eq!(ALLOCATIONS.get() - before, 0, "command {name}: {body:?}");
    };
    // No warm-up at all: capacities are reserved when the engine is made.
    (1..=200_000).for_each(&mut step);
    assert_eq!(venue.engine.audit(), Ok(()));
    assert!(sink.0 > 100_000, "{} events", sink.0);
}
