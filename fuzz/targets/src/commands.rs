//! Bytes to a stream of commands, for the engine and the model side by side.
//!
//! ```text
//!  0        1         2          3          3 + 32         3 + 64
//!  ├────────┼─────────┼──────────┼──────────┼──────────────┼────── ...
//!  │profile │ opening │ restore  │ step     │ step         │
//!  └────────┴─────────┴──────────┴──────────┴──────────────┴────── ...
//!    step: twist (1) │ choices (24) │ twist's own (7)
//! ```
//!
//! The venue is opened as a generated stream opens it. Then the generator makes step after step, and its choices are
//! the step's bytes: whatever they are, a command comes out that has something to do with the orders that are open. A
//! twist makes of it what the generator never would: a value out of range in any of its bytes, or a long wait. Steps are
//! of one length so that a step can be taken out, moved or doubled, and the others stay what they were.

use std::cell::RefCell;
use std::collections::BTreeMap;

use engine::canonical::{Canonical, Reader};
use engine::{Capacity, Command, Nanoseconds};
use testkit::compare::{Difference, Options, Pair, Tally};
use testkit::random::Random;
use testkit::stream::Step;
use testkit::workload::{PROFILES, Workload};

/// Bytes before the first step.
pub const HEADER_LENGTH: usize = 3;
/// Bytes of a step.
pub const STEP_LENGTH: usize = 32;
/// Steps of a stream at most: together with the opening, it stays below every capacity that the model does not know.
pub const STEPS_MAX: usize = 128;
/// Bytes that mean something at most.
pub const LENGTH_MAX: usize = HEADER_LENGTH + STEPS_MAX * STEP_LENGTH;

/// Ways in which a venue is opened, of each profile.
const OPENINGS: u8 = 8;
const CHOICES: std::ops::Range<usize> = 1..25;

/// How streams are compared, the restoring of snapshots aside.
pub const OPTIONS: Options = Options {
    capacity: Capacity { orders: 1 << 8, ..Capacity::SMALL },
    flaw: testkit::model::Flaw::None,
    restore_every: 0,
    state_every: 16,
};

/// A venue that was opened, the generator that goes on from there, and the steps until there.
struct Opened {
    workload: Workload,
    pair: Pair,
    steps: Vec<Step>,
}

thread_local! {
    /// Openings that were needed before, by profile and number: most of a short stream's time otherwise.
    static OPENED: RefCell<BTreeMap<(usize, u8), Opened>> = const { RefCell::new(BTreeMap::new()) };
}

/// Runs the stream that `bytes` describe to its end, or to the first difference; `tell` is told every step before it is
/// applied.
pub fn run(bytes: &[u8], mut tell: impl FnMut(&Step)) -> Result<Tally, Difference> {
    let Some((&[profile, opening, restore], steps)) = bytes.split_first_chunk() else {
        return Ok(Tally::default());
    };
    let options = Options { restore_every: restore_every(restore), ..OPTIONS };
    let (mut workload, mut pair) = OPENED.with_borrow_mut(|openings| {
        let (profile, opening) = (usize::from(profile) % PROFILES.len(), opening % OPENINGS);
        let opened = openings.entry((profile, opening)).or_insert_with(|| open(profile, opening));
        opened.steps.iter().for_each(&mut tell);
        Ok((opened.workload.clone(), opened.pair.fork(options)?))
    })?;
    for bytes in steps.chunks_exact(STEP_LENGTH).take(STEPS_MAX) {
        let (step, waits) = next_step(&mut workload, bytes);
        tell(&step);
        let events = pair.step(&step)?;
        workload.observe(&step, &events);
        workload.wait(waits);
    }
    pair.compare_states()?;
    Ok(pair.tally().clone())
}

/// How often the third byte wants the engine to be read back from its snapshot.
pub fn restore_every(byte: u8) -> usize {
    [0, 0, 0, 1, 3, 10, 25, 50][usize::from(byte) % 8]
}

fn open(profile: usize, opening: u8) -> Opened {
    let (workload, pair) = (Workload::new(PROFILES[profile], opening.into()), Pair::new(OPTIONS));
    let mut opened = Opened { workload, pair, steps: Vec::new() };
    while opened.workload.is_opening() {
        let step = opened.workload.next_step();
        let events = opened.pair.step(&step).unwrap_or_else(|difference| panic!("the opening: {difference}"));
        opened.workload.observe(&step, &events);
        opened.steps.push(step);
    }
    opened
}

/// The step of some bytes, and how long it takes until the next one.
fn next_step(workload: &mut Workload, bytes: &[u8]) -> (Step, Nanoseconds) {
    workload.follow(&bytes[CHOICES]);
    let mut step = workload.next_step();
    let own = &bytes[CHOICES.end..];
    match bytes[0] {
        0xE0.. => {
            step.command = edited(&step.command, own);
            (step, Nanoseconds(0))
        }
        0xD0.. => (step, Nanoseconds(1 << (own[0] % 62))),
        _ => (step, Nanoseconds(0)),
    }
}

/// The command with some of its canonical bytes replaced, if that still is a command.
fn edited(command: &Command, how: &[u8]) -> Command {
    let mut bytes = Vec::new();
    command.encode(&mut bytes);
    let &[at, width, value, b0, b1, b2, b3] = how else { return *command };
    let own = u32::from_le_bytes([b0, b1, b2, b3]);
    let values = [0, 1, 2, u128::MAX, u128::MAX - 1, 1 << 127, 1 << 63, 1 << 31, own.into(), u128::from(own) << 32];
    let value = values[usize::from(value) % values.len()].to_le_bytes();
    let at = usize::from(at) % bytes.len();
    let end = (at + [1, 2, 4, 8, 16][usize::from(width) % 5]).min(bytes.len());
    bytes[at..end].copy_from_slice(&value[..end - at]);
    Reader::new(&bytes).read().unwrap_or(*command)
}

/// Changes an input step by step: takes steps out, moves, doubles and renews them, or hands one of them to `mutate`,
/// which is libFuzzer's own. Gives the new length.
pub fn mutate(data: &mut [u8], length: usize, seed: u32, mutate: impl Fn(&mut [u8], usize, usize) -> usize) -> usize {
    let most = data.len().min(LENGTH_MAX);
    let random = &mut Random::new(seed.into());
    let steps = length.saturating_sub(HEADER_LENGTH) / STEP_LENGTH;
    if most < HEADER_LENGTH + STEP_LENGTH || steps == 0 || random.percent(10) {
        return mutate(data, length.min(most), most);
    }
    let start_of = |step: usize| HEADER_LENGTH + step * STEP_LENGTH;
    let some_step = |random: &mut Random| {
        let at = start_of(usize::try_from(random.below(steps as u64)).expect("a step"));
        at..at + STEP_LENGTH
    };
    let (end, step, other) = (start_of(steps), some_step(random), some_step(random));
    let has_room = end + STEP_LENGTH <= most;
    match random.below(10) {
        0 | 1 if has_room => {
            data.copy_within(step.start..end, step.end);
            if random.percent(60) {
                data[step].iter_mut().for_each(|byte| *byte = random.any().to_le_bytes()[0]);
            }
            end + STEP_LENGTH
        }
        2 if has_room => {
            data.copy_within(step, end);
            end + STEP_LENGTH
        }
        3 if steps > 1 => {
            data.copy_within(step.end..end, step.start);
            end - STEP_LENGTH
        }
        4 => {
            let (from, to) = (step, other.start);
            let mut moved = [0; STEP_LENGTH];
            moved.copy_from_slice(&data[from.clone()]);
            data.copy_within(to..to + STEP_LENGTH, from.start);
            data[to..to + STEP_LENGTH].copy_from_slice(&moved);
            end
        }
        5 => {
            data[step.start] = [0, 0xD0, 0xE0][usize::try_from(random.below(3)).expect("one of three")];
            end
        }
        6 => {
            mutate(&mut data[..HEADER_LENGTH], HEADER_LENGTH, HEADER_LENGTH);
            end
        }
        _ => {
            mutate(&mut data[step], STEP_LENGTH, STEP_LENGTH);
            end
        }
    }
}

/// Inputs to begin with: random steps of every profile, short and long.
pub fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for (number, profile) in (0_u8..).zip(PROFILES) {
        for (variant, steps) in (0_u8..).zip([8, 24, 48, 96]) {
            let random = &mut Random::new(u64::from(number) << 8 | u64::from(variant));
            let mut bytes = vec![number, variant, variant];
            for _ in 0..steps {
                // Mostly without a twist.
                bytes.push(if random.percent(90) { 0 } else { random.one_of(&[0xD0, 0xE0]) });
                bytes.extend((1..STEP_LENGTH).map(|_| random.any().to_le_bytes()[0]));
            }
            seeds.push((format!("{}-{steps}", profile.name), bytes));
        }
    }
    seeds
}
