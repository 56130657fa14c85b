//! Worlds in which no promise is broken, and worlds with a planted fault, in which one is.

use std::time::{SystemTime, UNIX_EPOCH};

use simulator::shrink::shrink;
use simulator::{Part, Parts, Plan, Plant, Promise, live};

fn plan(seed: u64) -> Plan {
    Plan::of(seed, Parts::default())
}

/// What a world came to, in all that can be told of it.
fn told(seed: u64) -> String {
    let lived = live(&plan(seed), None, true);
    assert_eq!(lived.finding.map(|finding| finding.to_string()), None, "seed {seed}");
    format!("{:?}\n{}", lived.tally, lived.log.join("\n"))
}

#[test]
fn a_seed_repeats_to_the_last_line_of_its_log() {
    for seed in [2, 7, 1_926] {
        assert_eq!(told(seed), told(seed), "seed {seed}");
    }
}

/// Seeds that no run has seen; `SEED=n` repeats one.
#[test]
fn no_promise_is_broken_on_fresh_seeds() {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let given = std::env::var("SEED").ok().map(|seed| seed.parse().expect("SEED is a number"));
    let seeds = given.map_or(since.as_secs() << 20..(since.as_secs() << 20) + 60, |seed: u64| seed..seed + 1);
    println!("seeds {}..{}", seeds.start, seeds.end);
    let mut starts = 0;
    for seed in seeds.clone() {
        let lived = live(&plan(seed), None, false);
        assert!(lived.finding.is_none(), "SEED={seed}: {}", lived.finding.unwrap());
        starts += lived.tally.starts;
    }
    assert!(starts >= seeds.end - seeds.start, "every world has a venue");
}

/// In how many worlds each planted fault has to be found.
#[test]
fn every_planted_fault_is_found() {
    for &plant in Plant::ALL {
        let found = (1..=200).find_map(|seed| live(&plan(seed), Some(plant), false).finding.map(|it| (seed, it)));
        let (seed, finding) = found.unwrap_or_else(|| panic!("{} is not found in 200 worlds", plant.name()));
        println!("{:<24} in {seed} worlds: {:?}", plant.name(), finding.promise);
    }
}

#[test]
fn what_is_found_is_shrunk_and_breaks_the_same_promise() {
    let seed = 1;
    let whole = live(&plan(seed), Some(Plant::FeeRounded), false).finding.expect("a fee is wrong");
    assert_eq!(whole.promise, Promise::EventsAreTrue);
    let shrunk = shrink(&plan(seed), Some(Plant::FeeRounded)).expect("it is found again");
    assert_eq!(shrunk.lived.finding.map(|finding| finding.promise), Some(Promise::EventsAreTrue));
    assert!(shrunk.plan.without.has(Part::PowerLosses), "a fee needs no power loss: {}", shrunk.plan.without);
    assert!(shrunk.plan.commands <= plan(seed).commands);
}

#[test]
fn a_world_without_trouble_has_one_start_and_refuses_nothing_for_the_disk() {
    let quiet = Part::ALL.iter().filter(|&&part| part != Part::Operators && part != Part::Subscribers);
    let without = quiet.fold(Parts::default(), |parts, &part| parts.with(part));
    let lived = live(&Plan::of(3, without), None, false);
    assert_eq!(lived.finding.map(|finding| finding.to_string()), None);
    assert_eq!((lived.tally.starts, lived.tally.refused_starts), (1, 0));
    assert!(lived.tally.commands > 150, "{} commands", lived.tally.commands);
}
