//! The auditor accepts what the engine tells, and objects to what no venue may tell.

use engine::command::AdvanceTime;
use engine::{
    AccountId, AssetId, Balance, Capacity, Command, Engine, Event, EventHeader, Sequence, Sequenced, Stamp, Timestamp,
};
use testkit::auditor::{Auditor, Violation};
use testkit::stream::References;
use testkit::workload::{PROFILES, Profile, Workload};

/// A command and all that was told of it.
type Told = (Sequenced<Command>, Vec<(EventHeader, Event)>);

const CAPACITY: Capacity = Capacity { orders: 1 << 12, ..Capacity::SMALL };

/// An engine, and what it told so far.
struct Venue {
    engine: Engine,
    stream: Vec<Told>,
}

impl Venue {
    fn new() -> Self {
        Self { engine: Engine::new(CAPACITY), stream: Vec::new() }
    }

    /// Applies a command, behind what is due by then.
    fn apply(&mut self, at: Timestamp, command: Command) -> Vec<Event> {
        let time = self.engine.last().time.max(at);
        let due = self.engine.next_deadline();
        if due <= time && due != Timestamp::NEVER {
            self.apply_one(time, Command::from_venue(AdvanceTime {}));
        }
        self.apply_one(time, command)
    }

    fn apply_one(&mut self, time: Timestamp, command: Command) -> Vec<Event> {
        let stamp = Stamp { sequence: Sequence(self.stream.len() as u64 + 1), time };
        let command = Sequenced { stamp, value: command };
        let mut told = Vec::new();
        self.engine.apply(&command, &mut told);
        let events = told.iter().map(|(_, event)| *event).collect();
        self.stream.push((command, told));
        events
    }

    fn balances(&self) -> Vec<(AccountId, AssetId, Balance)> {
        let places =
            (1..=CAPACITY.accounts).flat_map(|account| (1..=CAPACITY.assets).map(move |asset| (account, asset)));
        places
            .filter_map(|(account, asset)| {
                let (account, asset) = (AccountId(account), AssetId(asset));
                self.engine.balance(account, asset).map(|balance| (account, asset, balance))
            })
            .collect()
    }
}

fn audit(stream: &[Told]) -> Result<Auditor, Violation> {
    let mut auditor = Auditor::new();
    for (command, events) in stream {
        auditor.command(command, events)?;
    }
    Ok(auditor)
}

fn run(profile: Profile, seed: u64, steps: usize) -> Venue {
    let mut venue = Venue::new();
    let mut workload = Workload::new(profile, seed);
    let mut names = References::default();
    for _ in 0..steps {
        let step = workload.next_step();
        let events = venue.apply(step.at, names.resolve(&step.command));
        names.learn(step.name, &events);
        workload.observe(&step, &events);
    }
    venue
}

#[test]
fn the_engine_satisfies_the_auditor_in_every_profile() {
    let seeds = std::env::var("SEEDS").ok().and_then(|it| it.parse().ok()).unwrap_or(4);
    let mut bad = Vec::new();
    for &profile in PROFILES {
        for seed in 1..=seeds {
            let venue = run(profile, seed, 1_500);
            let audited = audit(&venue.stream).and_then(|auditor| auditor.balances(venue.balances()));
            if let Err(violation) = audited {
                bad.push(format!("profile {} seed {seed}: {violation}", profile.name));
            }
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n\n"));
}
