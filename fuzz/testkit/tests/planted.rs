//! The tools find what is planted, shrink it to a few commands, and say it as a script.

use testkit::compare::{Options, run_caught};
use testkit::model::Flaw;
use testkit::runs::run;
use testkit::script::script;
use testkit::shrink::shrink;
use testkit::workload::profile;

/// What opens a venue in which two accounts trade: two assets, an instrument, its fees, two accounts, their deposits.
const OPENING_MAX: usize = 8;

#[test]
fn a_planted_flaw_is_found_and_shrunk_to_a_few_commands() {
    let planted = [
        // Two orders at one price, and one that meets them.
        (Flaw::LaterOrderFirst, 3),
        // Two orders that meet.
        (Flaw::FeesRoundedDown, 2),
        // An order and its amend.
        (Flaw::ReducingLosesPriority, 2),
    ];
    for (flaw, orders_max) in planted {
        let options = Options { flaw, ..Options::default() };
        let profile = profile("plain").expect("a profile");
        let found = run(profile, 7, 1_500, options);
        assert!(found.difference.is_some(), "{flaw:?} is found");
        let shrunk = shrink(&found.steps, options).expect("it differs again");
        let count = shrunk.steps.len();
        assert!(count <= OPENING_MAX + orders_max, "{flaw:?} is shown by {count} commands: {:#?}", shrunk.steps);
        let without_it = run_caught(&shrunk.steps, Options::default());
        assert!(without_it.is_ok(), "without {flaw:?} nothing differs: {}", without_it.expect_err("a difference"));
        let shorter: Vec<_> =
            (0..count).map(|gone| [&shrunk.steps[..gone], &shrunk.steps[gone + 1..]].concat()).collect();
        for steps in shorter {
            let kind =
                run_caught(&steps, Options { state_every: 1, ..options }).err().map(|difference| difference.kind);
            assert_ne!(kind.as_ref(), Some(&shrunk.difference.kind), "no command of it can go: {steps:#?}");
        }
        let lines = script(&shrunk.steps, options.capacity).expect("a script says it");
        assert!(lines.lines().count() >= count, "every command is a line:\n{lines}");
    }
}

#[test]
fn planted_flaws_of_auctions_are_found() {
    for flaw in [Flaw::ReferencePassedOver, Flaw::MarketOrdersLast] {
        let options = Options { flaw, ..Options::default() };
        let profile = profile("auctions").expect("a profile");
        let found = (7..17).map(|seed| run(profile, seed, 1_500, options)).find(|run| run.difference.is_some());
        let found = found.unwrap_or_else(|| panic!("{flaw:?} is not found"));
        let without_it = run_caught(&found.steps, Options::default());
        assert!(without_it.is_ok(), "without {flaw:?} nothing differs: {}", without_it.expect_err("a difference"));
    }
}
