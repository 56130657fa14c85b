//! Reasons in words: those of the pages that participants read, so that the tools say nothing else than the pages.

use wire::{CancelReason, EdgeReason, RejectReason};

const MATCHING_RULES: &str = include_str!("../../../docs/MATCHING_RULES.md");
const PROTOCOL: &str = include_str!("../../../docs/PROTOCOL.md");

/// Why something was refused, in words.
pub fn why_refused(reason: RejectReason) -> String {
    let edge = EdgeReason::ALL.iter().find(|edge| edge.code == reason.0).map(|edge| sentence(edge.description));
    edge.or_else(|| found(section(MATCHING_RULES, "## 9. Rejects"), reason.0)).unwrap_or_else(unknown)
}

/// Why an order ended before it was filled, in words.
pub fn why_cancelled(reason: CancelReason) -> String {
    found(section(PROTOCOL, "### CancelReason"), reason.0).unwrap_or_else(unknown)
}

fn unknown() -> String {
    "a reason that is newer than this program".to_owned()
}

/// A page from a heading on.
fn section(page: &'static str, heading: &str) -> &'static str {
    page.split_once(heading).map_or("", |(_, behind)| behind)
}

/// The words of a table `| code | name | words |`.
fn found(section: &str, code: u16) -> Option<String> {
    let start = format!("| {code} | ");
    let row = section.lines().find_map(|line| line.strip_prefix(&start))?;
    let (_, words) = row.trim_end_matches(" |").split_once(" | ")?;
    Some(sentence(words))
}

/// As it stands behind a colon: begun small, without the full stop.
fn sentence(words: &str) -> String {
    let words = words.trim().trim_end_matches('.');
    let mut characters = words.chars();
    characters.next().map(|first| first.to_lowercase().chain(characters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::canonical::Code;

    #[test]
    fn every_reason_has_words() {
        for &reason in engine::RejectReason::ALL {
            assert_ne!(why_refused(reason.into()), unknown(), "{}", reason.name());
        }
        for &reason in engine::CancelReason::ALL {
            assert_ne!(why_cancelled(reason.into()), unknown(), "{}", reason.name());
        }
        assert_eq!(why_refused(RejectReason(9_999)), unknown());
    }

    #[test]
    fn the_words_are_the_reasons_own() {
        assert_eq!(why_refused(engine::RejectReason::PriceOffTick.into()), "the price is not a whole number of ticks");
        assert_eq!(why_refused(EdgeReason::Busy.into()), "the venue is too busy to take the command");
        assert_eq!(why_cancelled(engine::CancelReason::Requested.into()), "its owner asked");
        assert_eq!(
            why_cancelled(engine::CancelReason::ImmediateRemainder.into()),
            "the rest of an ImmediateOrCancel order"
        );
    }
}
