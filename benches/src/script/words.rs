//! The words of a script for what the engine names by codes.
//!
//! Case, `_`, `-` and spaces do not matter, and FIX codes are understood where FIX has them.

use engine::canonical::Code;
use engine::command::{Direction, Switch};
use engine::instrument::{Distance, Holds, Phase};
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

/// A distance from a price: `5t` are ticks, `50000ppm` parts per million of the price, `none` is no bound.
pub(super) fn distance(text: &str) -> Option<Distance> {
    // A sign is not passed over as it is in words.
    let text = text.to_ascii_lowercase();
    if text == "none" {
        return Some(Distance::UNLIMITED);
    }
    match text.strip_suffix("ppm") {
        Some(parts) => parts.parse().ok().map(Distance::parts_per_million),
        None => text.strip_suffix('t')?.parse().ok().map(Distance::ticks),
    }
}

/// 32 bytes in hexadecimal.
pub(super) fn seed(text: &str) -> Option<[u8; 32]> {
    let mut seed = [0; 32];
    if text.len() != 2 * seed.len() || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, digits) in seed.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(seed)
}

/// A code by the name that it is declared with.
pub(super) fn declared<T: Code>(text: &str) -> Option<T> {
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
    use engine::instrument::{CollarAction, ReferenceSource};

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
        assert_eq!(declared("volatility_call"), Some(CollarAction::VolatilityCall));
        assert_eq!(declared("last_auction"), Some(ReferenceSource::LastAuction));
        assert_eq!(declared::<CollarAction>("halt"), None);
    }

    #[test]
    fn distances_name_what_they_are_counted_in() {
        assert_eq!(distance("5t"), Some(Distance::ticks(5)));
        assert_eq!(distance("50000PPM"), Some(Distance::parts_per_million(50_000)));
        assert_eq!(distance("none"), Some(Distance::UNLIMITED));
        for wrong in ["5", "t", "ppm", "0.5t", "-5t", "5%", "5 t", "4294967296t", ""] {
            assert_eq!(distance(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_seed_is_sixty_four_hexadecimal_digits() {
        let digits = "00ff".repeat(16);
        let mut expected = [0; 32];
        expected.iter_mut().skip(1).step_by(2).for_each(|byte| *byte = 0xff);
        assert_eq!(seed(&digits), Some(expected));
        assert_eq!(seed(&digits.to_uppercase()), Some(expected));
        for wrong in ["", "00ff", &"0".repeat(63), &"0".repeat(65), &"+f".repeat(32), &"zz".repeat(32)] {
            assert_eq!(seed(wrong), None, "{wrong}");
        }
    }
}
