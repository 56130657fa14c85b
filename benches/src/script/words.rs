//! The words of a script for what the engine names by codes.
//!
//! Case, `_`, `-` and spaces do not matter, and FIX codes are understood where FIX has them.

use engine::canonical::Code;
use engine::command::{Direction, Switch};
use engine::instrument::{Holds, Phase};
use engine::order::{OrderType, SelfTradePrevention, Side, TimeInForce};

/// FIX 54.
pub(super) fn side(text: &str) -> Option<Side> {
    match plain(text).as_str() {
        "buy" | "b" | "bid" => Some(Side::Buy),
        "sell" | "s" | "ask" => Some(Side::Sell),
        other => fix_code(other),
    }
}

/// FIX 40.
pub(super) fn order_type(text: &str) -> Option<OrderType> {
    declared(text).or_else(|| fix_code(text))
}

/// FIX 59.
pub(super) fn time_in_force(text: &str) -> Option<TimeInForce> {
    match plain(text).as_str() {
        "gtc" => Some(TimeInForce::GoodTillCancel),
        "gtd" => Some(TimeInForce::GoodTillDate),
        "ioc" => Some(TimeInForce::ImmediateOrCancel),
        "fok" => Some(TimeInForce::FillOrKill),
        "opg" | "ato" => Some(TimeInForce::AtTheOpening),
        "atc" => Some(TimeInForce::AtTheClose),
        other => declared(other).or_else(|| fix_code(other)),
    }
}

/// Modes of self-trade prevention by their usual two letters.
pub(super) fn self_trade_prevention(text: &str) -> Option<SelfTradePrevention> {
    match plain(text).as_str() {
        "none" => Some(SelfTradePrevention::Allow),
        "cn" => Some(SelfTradePrevention::CancelIncoming),
        "co" => Some(SelfTradePrevention::CancelResting),
        "cb" => Some(SelfTradePrevention::CancelBoth),
        "dc" => Some(SelfTradePrevention::Decrement),
        other => declared(other),
    }
}

/// Whether trades move balances.
pub(super) fn holds(text: &str) -> Option<Holds> {
    match plain(text).as_str() {
        "true" => Some(Holds::On),
        "false" => Some(Holds::Off),
        other => declared(other),
    }
}

/// A phase by its name.
pub(super) fn phase(text: &str) -> Option<Phase> {
    declared(text)
}

/// Which way a balance is corrected.
pub(super) fn direction(text: &str) -> Option<Direction> {
    declared(text)
}

/// A kill switch's position.
pub(super) fn switch(text: &str) -> Option<Switch> {
    declared(text)
}

/// A code by the name that it is declared with.
fn declared<T: Code>(text: &str) -> Option<T> {
    let text = plain(text);
    (0..=u16::from(u8::MAX)).filter_map(T::from_code).find(|code| plain(code.name()) == text)
}

/// A code by its number.
fn fix_code<T: Code>(text: &str) -> Option<T> {
    text.parse().ok().and_then(T::from_code)
}

fn plain(text: &str) -> String {
    text.chars().filter(|character| !matches!(character, '_' | '-' | ' ')).collect::<String>().to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_in_any_spelling() {
        assert_eq!(side("BUY"), Some(Side::Buy));
        assert_eq!(side("2"), Some(Side::Sell));
        assert_eq!(order_type("stop_limit"), Some(OrderType::StopLimit));
        assert_eq!(order_type("StopLimit"), Some(OrderType::StopLimit));
        assert_eq!(order_type("1"), Some(OrderType::Market));
        assert_eq!(time_in_force("at_the_opening"), Some(TimeInForce::AtTheOpening));
        assert_eq!(time_in_force("ImmediateOrCancel"), Some(TimeInForce::ImmediateOrCancel));
        assert_eq!(time_in_force("day"), Some(TimeInForce::Day));
        assert_eq!(time_in_force("6"), Some(TimeInForce::GoodTillDate));
        assert_eq!(self_trade_prevention("none"), Some(SelfTradePrevention::Allow));
        assert_eq!(self_trade_prevention("DC"), Some(SelfTradePrevention::Decrement));
        assert_eq!(holds("on"), Some(Holds::On));
        assert_eq!(holds("false"), Some(Holds::Off));
        assert_eq!(phase("opening_call"), Some(Phase::OpeningCall));
        assert_eq!(phase("OpeningCall"), Some(Phase::OpeningCall));
        assert_eq!(phase("lunch"), None);
        assert_eq!(side("long"), None);
    }
}
