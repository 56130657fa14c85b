//! Commands that wait together are applied as they would be one by one, in a venue so large that the engine looks ahead.

mod common;

use common::*;
use engine::command::*;
use engine::event::*;
use engine::instrument::Holds;
use engine::*;

/// Orders that rest before the batches come.
const RESTING: u64 = 9_000;

fn large_venue() -> Venue {
    let mut venue = Venue::empty(Capacity { orders: 1 << 14, ..Capacity::SMALL });
    venue.expect_accepted(asset(BTC, "BTC"));
    venue.expect_accepted(asset(USD, "USD"));
    venue.expect_accepted(listing(UNSETTLED, Holds::Off));
    for account in [ALICE, BOB, CAROL] {
        venue.expect_accepted(open_account(account));
    }
    venue
}

fn command_of(random: &mut Random, last: u64) -> CommandBody {
    let account = [ALICE, BOB, CAROL][random.below(3) as usize];
    let side = [Side::Buy, Side::Sell][random.below(2) as usize];
    let name = 1 + random.below(last);
    let price = 4_000 + random.below(2_000);
    match random.below(12) {
        0..4 => NewOrder { instrument: UNSETTLED, ..limit(side, price, 1 + random.below(50)).by(account) }.into(),
        4 => NewOrder { instrument: UNSETTLED, ..market(side, 1 + random.below(500)).by(account) }.into(),
        5 => NewOrder { instrument: UNSETTLED, ..stop(side, price, 1 + random.below(50)).by(account) }.into(),
        // What no price can be, no instrument is, and a name that is taken.
        6 => NewOrder { instrument: UNSETTLED, ..limit(side, Price::MAX.0 + random.below(2), 1) }.into(),
        7 => NewOrder { instrument: InstrumentId(random.below(99) as u32), ..limit(side, u64::MAX, 1) }.into(),
        8 => NewOrder { instrument: UNSETTLED, ..limit(side, price, 1).by(account).named(name) }.into(),
        9 => cancel(account, name).into(),
        10 => CancelOrder { order_id: OrderId(random.below(1 << 26)), ..cancel(account, 0) }.into(),
        _ => ReplaceOrder { account, price: Price(price), ..replace(name) }.into(),
    }
}

#[test]
fn a_batch_is_its_commands_one_by_one() {
    for seed in 1..=3 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let mut venues = [large_venue(), large_venue()];
        for name in 1..=RESTING {
            let (side, price) = if name % 2 == 0 { (Side::Buy, 4_000) } else { (Side::Sell, 5_001) };
            let account = [ALICE, BOB, CAROL][random.below(3) as usize];
            let price = price + random.below(999);
            let order = NewOrder { instrument: UNSETTLED, ..limit(side, price, 5).by(account).named(name) };
            for venue in &mut venues {
                venue.engine_only(order);
            }
        }
        let [together, apart] = &mut venues;
        for _ in 0..60 {
            let Stamp { sequence, time } = together.engine.last();
            let batch: Vec<_> = (1..=1 + random.below(100))
                .map(|ahead| Sequenced {
                    stamp: Stamp { sequence: Sequence(sequence.0 + ahead), time },
                    value: Command::from_venue(command_of(&mut random, RESTING)),
                })
                .collect();
            let (mut ours, mut theirs): (Vec<(EventHeader, Event)>, Vec<_>) = (vec![], vec![]);
            together.engine.apply_batch(&batch, &mut ours);
            batch.iter().for_each(|command| apart.engine.apply(command, &mut theirs));
            assert_eq!(ours, theirs);
        }
        assert_eq!(together.engine.audit(), Ok(()));
        assert_eq!(together.snapshot(), apart.snapshot());
    }
}
