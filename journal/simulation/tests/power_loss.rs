//! A few hundred seeds of lives with power losses; many more are in `docs/results/power_loss.jsonl`.

use simulation::Lie;
use simulation::lives::{Broken, Tally, live};

/// An optimised build is ten times as fast.
const SEEDS: u64 = if cfg!(debug_assertions) { 120 } else { 600 };

#[test]
fn nothing_acknowledged_is_lost() {
    let mut sum = Tally::default();
    for seed in 1..=SEEDS {
        match live(seed, None) {
            Ok(lived) => sum.add(&lived.tally),
            Err(finding) => panic!("{finding}"),
        }
    }
    println!("{sum:?}");
    let everything_was_met = [sum.power_losses, sum.process_ends, sum.halts, sum.failures, sum.refused_openings];
    assert!(everything_was_met.iter().all(|count| *count > SEEDS / 3), "{sum:?}");
    assert!(sum.closes > SEEDS && sum.adopted > SEEDS && sum.acknowledgements > 3 * SEEDS, "{sum:?}");
    assert!(sum.cuts > SEEDS / 10, "{sum:?}");
}

#[test]
fn a_seed_repeats_exactly() {
    for seed in 1_000..1_030 {
        let [first, again] = [(); 2].map(|()| live(seed, None).unwrap_or_else(|finding| panic!("{finding}")));
        assert_eq!(first, again, "seed {seed}");
    }
}

/// The first seed on which a lie of the disk is noticed, and as what.
fn noticed(lie: Lie) -> Option<Broken> {
    (1..=200).find_map(|seed| live(seed, Some(lie)).err()).map(|finding| finding.broken)
}

#[test]
fn a_disk_that_lies_is_noticed() {
    assert_eq!(noticed(Lie::Sync), Some(Broken::Early));
    assert_eq!(noticed(Lie::SyncDirectory), Some(Broken::Early));
    // Without settling, what a failed sync called clean is believed, and a later power loss takes it.
    assert!(matches!(noticed(Lie::Settle), Some(Broken::Early | Broken::Lost)));
}
