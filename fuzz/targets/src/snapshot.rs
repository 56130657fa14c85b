//! Bytes to an engine: never a panic, and what is accepted is consistent, written as it was read, and goes on.

use engine::canonical::{Canonical, Reader};
use engine::command::*;
use engine::*;
use testkit::compare::{Options, Pair};
use testkit::workload::{PROFILES, Workload};

/// The first bytes, which every snapshot has.
const MAGIC_LENGTH: usize = 8;
/// More than this is reserved for no input: a fuzzer has less memory than a venue.
const RESERVED_BYTES_MAX: u64 = 16 << 20;

const CAPACITY: Capacity = Capacity { orders: 1 << 8, price_blocks: 1 << 6, ..Capacity::SMALL };

/// Reads a snapshot and holds it to what is promised of it; whether it was of use.
///
/// # Panics
/// If a promise does not hold.
pub fn check(bytes: &[u8]) -> bool {
    let capacity = bytes.get(MAGIC_LENGTH..).and_then(|bytes| Reader::new(bytes).read::<Capacity>().ok());
    if capacity.is_some_and(|it| it.is_sane() && it.reserved_bytes() > RESERVED_BYTES_MAX) {
        return false;
    }
    let Ok(mut engine) = Engine::read_snapshot(bytes) else { return true };
    engine.audit().expect("what is accepted is consistent");
    let mut written = Vec::new();
    engine.write_snapshot(&mut written);
    assert!(written == bytes, "what is accepted is written as it was read");
    go_on(&mut engine);
    true
}

/// Lets an accepted venue do what is due, trade, and end every order.
fn go_on(engine: &mut Engine) {
    let mut events: Vec<(EventHeader, Event)> = Vec::new();
    let note = AdminNote::NONE;
    let (account, instrument, side) = (AccountId::NONE, InstrumentId::NONE, None);
    let (entered_by, client_order_id) = (SessionId::NONE, ClientOrderId::NONE);
    let mut commands: Vec<CommandBody> = vec![AdvanceTime {}.into()];
    for (account, side) in [(AccountId(2), Side::Buy), (AccountId(3), Side::Sell)] {
        commands.extend(engine.listings().map(|listing| CommandBody::from(market(account, listing.instrument, side))));
    }
    commands.push(MassCancel { account, instrument, side, entered_by, client_order_id, note }.into());
    let time = engine.last().time.max(engine.next_deadline().min(Timestamp(Timestamp::NEVER.0 - 1)));
    if time >= Timestamp::NEVER {
        return;
    }
    for body in commands {
        let stamp = Stamp { sequence: engine.last().sequence.next(), time };
        engine.apply(&Sequenced { stamp, value: Command { header: CommandHeader::VENUE, body } }, &mut events);
        engine.audit().expect("what is accepted stays consistent");
    }
}

fn market(account: AccountId, instrument: InstrumentId, side: Side) -> NewOrder {
    NewOrder {
        account,
        instrument,
        client_order_id: ClientOrderId::NONE,
        side,
        order_type: OrderType::Market,
        time_in_force: TimeInForce::ImmediateOrCancel,
        flags: OrderFlags::NONE,
        self_trade_prevention: None,
        on_disconnect: OnDisconnect::Keep,
        price: Price::ABSENT,
        quantity: Quantity(50),
        funds: Amount::ABSENT,
        stop_price: Price::ABSENT,
        display_quantity: Quantity::ABSENT,
        minimum_quantity: Quantity::ABSENT,
        expire_at: Timestamp::NONE,
    }
}

/// Inputs to begin with: an empty venue, and venues of every profile after some commands.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = vec![("empty".to_owned(), snapshot(&Engine::new(CAPACITY)))];
    for profile in PROFILES {
        let options = Options { capacity: CAPACITY, ..Options::default() };
        let (mut workload, mut pair) = (Workload::new(*profile, 1), Pair::new(options));
        for commands in 1..=200 {
            let step = workload.next_step();
            // Where engine and model differ is the other target's business.
            let Ok(events) = pair.step(&step) else { break };
            workload.observe(&step, &events);
            if [40, 80, 200].contains(&commands) {
                seeds.push((format!("{}-{commands}", profile.name), snapshot(pair.engine())));
            }
        }
    }
    seeds
}

fn snapshot(engine: &Engine) -> Vec<u8> {
    let mut bytes = Vec::new();
    engine.write_snapshot(&mut bytes);
    debug_assert_eq!(Reader::new(&bytes[MAGIC_LENGTH..]).read::<Capacity>().map(|it| it.orders), Ok(CAPACITY.orders));
    assert!(bytes.len() > MAGIC_LENGTH + Capacity::LENGTH);
    bytes
}
