//! What proves a book: a hash over the canonical text of its best levels.
//!
//! ```text
//!   by price, a line a level             by order, a line an order
//!   B 6500050 1100 2                     B 50331655 6500050 700
//!   B 6500000 40 1                       B 50331657 6500050 400
//!   S 6500100 900 1                      S 50331660 6500100 900
//!   side price quantity orders           side order price quantity
//! ```
//!
//! Bids come first, each side best price first, orders of one price in the order in which they will trade. Numbers are
//! the mantissas, in decimal; every line ends with `\n`. An empty book is the empty text. SHA-256, as it is at hand
//! everywhere; the checksum is its first eight bytes as a little-endian integer.

use core::fmt::Write;

use sha2::{Digest, Sha256};
use wire::{Checksum, FeedLevel, OrderCount, OrderId, Price, Quantity, Side};

/// Levels of each side that a checksum covers.
pub const LEVELS: usize = 10;
/// Orders of each side that a checksum covers at most.
pub const ORDERS_MAX: usize = 1_000;

/// How many levels of each side a checksum covers; none: the level of detail has none.
pub const fn depth(level: FeedLevel) -> Option<usize> {
    match level {
        FeedLevel::BestBidOffer => Some(1),
        FeedLevel::MarketByPrice
        | FeedLevel::MarketByPrice10
        | FeedLevel::MarketByPrice50
        | FeedLevel::MarketByOrder => Some(LEVELS),
        FeedLevel::Trades | FeedLevel::Reference | FeedLevel::NonRepresentable => None,
    }
}

/// A book's text.
#[derive(Debug, Default)]
pub struct CanonicalText(String);

impl CanonicalText {
    /// Appends a level.
    pub fn level(
        &mut self,
        side: Side,
        Price(price): Price,
        Quantity(quantity): Quantity,
        OrderCount(count): OrderCount,
    ) {
        let side = letter(side);
        writeln!(self.0, "{side} {price} {quantity} {count}").expect("text grows");
    }

    /// Appends an order.
    pub fn order(&mut self, side: Side, OrderId(order): OrderId, Price(price): Price, Quantity(quantity): Quantity) {
        let side = letter(side);
        writeln!(self.0, "{side} {order} {price} {quantity}").expect("text grows");
    }

    /// Its checksum.
    pub fn checksum(&self) -> Checksum {
        let hash = Sha256::digest(self.0.as_bytes());
        Checksum(u64::from_le_bytes(*hash.first_chunk().expect("SHA-256 has 32 bytes")))
    }
}

fn letter(side: Side) -> char {
    match side {
        Side::Buy => 'B',
        Side::Sell => 'S',
        Side::NonRepresentable => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with `printf '...' | sha256sum`.
    #[test]
    fn a_checksum_is_that_of_the_published_text() {
        let mut text = CanonicalText::default();
        text.level(Side::Buy, Price(6_500_050), Quantity(1_100), OrderCount(2));
        text.level(Side::Buy, Price(6_500_000), Quantity(40), OrderCount(1));
        text.level(Side::Sell, Price(6_500_100), Quantity(900), OrderCount(1));
        assert_eq!(text.0, "B 6500050 1100 2\nB 6500000 40 1\nS 6500100 900 1\n");
        assert_eq!(text.checksum().0.to_le_bytes(), LEVELS_HASH);
        let mut text = CanonicalText::default();
        text.order(Side::Buy, OrderId(50_331_655), Price(6_500_050), Quantity(700));
        text.order(Side::Sell, OrderId(50_331_660), Price(-5), Quantity(900));
        assert_eq!(text.0, "B 50331655 6500050 700\nS 50331660 -5 900\n");
        assert_eq!(text.checksum().0.to_le_bytes(), ORDERS_HASH);
        assert_eq!(CanonicalText::default().checksum().0.to_le_bytes(), EMPTY_HASH);
    }

    const LEVELS_HASH: [u8; 8] = [0xba, 0xd9, 0xd7, 0x3e, 0x1e, 0xed, 0x4a, 0x7f];
    const ORDERS_HASH: [u8; 8] = [0x55, 0xf9, 0x0a, 0x6c, 0x1b, 0x70, 0x04, 0x0c];
    const EMPTY_HASH: [u8; 8] = [0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14];
}
