//! The engine agrees with the model over short streams of every profile; longer runs are `compare`'s.

use testkit::compare::Options;
use testkit::runs::run;
use testkit::workload::PROFILES;

/// Compares a stream of each profile, and says how to see what differs.
fn agree(seed: u64, commands: usize, options: Options) {
    for profile in PROFILES {
        let run = run(*profile, seed, commands, options);
        let end = seed + 1;
        assert!(
            run.difference.is_none(),
            "compare --profile {} --seeds {seed}..{end} --commands {commands}: {}",
            profile.name,
            run.difference.expect("a difference"),
        );
    }
}

#[test]
fn every_profile_agrees() {
    for seed in 1..3 {
        agree(seed, 500, Options::default());
    }
}

#[test]
fn every_profile_agrees_over_snapshots() {
    agree(3, 400, Options { restore_every: 10, ..Options::default() });
}
