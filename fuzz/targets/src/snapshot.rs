//! Bytes to an engine: never a panic, and what is accepted is consistent and written as it was read.

use engine::canonical::{Canonical, Reader};
use engine::{Capacity, Engine};
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
    let Ok(engine) = Engine::read_snapshot(bytes) else { return true };
    engine.audit().expect("what is accepted is consistent");
    let mut written = Vec::new();
    engine.write_snapshot(&mut written);
    assert!(written == bytes, "what is accepted is written as it was read");
    true
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
