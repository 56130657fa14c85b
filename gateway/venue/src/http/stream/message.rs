//! What is written to a subscriber, as JSON. Decimals are strings, as everywhere at the edge.

use bytes::Bytes;
use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use wire::{Checksum, Exponent, OrderId, Side, Timestamp};

use super::channel::Stream;
use crate::decimal;

/// A message of a channel: its head, and what it says.
#[derive(Debug, Serialize)]
pub(super) struct Numbered<'a, B> {
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    pub(super) channel: Stream,
    pub(super) product_id: &'a str,
    /// The message's number in its channel.
    pub(super) sequence: u64,
    pub(super) time: Time,
    #[serde(flatten)]
    pub(super) body: B,
}

#[derive(Debug, Serialize)]
pub(super) struct Heartbeat {
    pub(super) last_trade_id: Option<u64>,
}

#[derive(Debug, Serialize)]
pub(super) struct Status {
    pub(super) status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cause: Option<String>,
    pub(super) quote_increment: Decimal,
    pub(super) base_increment: Decimal,
}

#[derive(Debug, Serialize)]
pub(super) struct Ticker {
    pub(super) trade_id: Option<u64>,
    pub(super) price: Option<Decimal>,
    pub(super) last_size: Option<Decimal>,
    /// Of the order that came.
    pub(super) side: Option<&'static str>,
    pub(super) best_bid: Option<Decimal>,
    pub(super) best_bid_size: Option<Decimal>,
    pub(super) best_ask: Option<Decimal>,
    pub(super) best_ask_size: Option<Decimal>,
    pub(super) status: String,
    pub(super) day: Option<Day>,
}

/// What traded since a day began.
#[derive(Debug, Serialize)]
pub(super) struct Day {
    pub(super) since: Time,
    pub(super) open: Option<Decimal>,
    pub(super) high: Option<Decimal>,
    pub(super) low: Option<Decimal>,
    pub(super) volume: Decimal,
    pub(super) trades: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct Match {
    pub(super) trade_id: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) maker_order_id: Option<Text<OrderId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) taker_order_id: Option<Text<OrderId>>,
    /// Of the order that rested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) side: Option<&'static str>,
    pub(super) size: Decimal,
    pub(super) price: Decimal,
}

/// Side, price, size and the count of orders there.
pub(super) type LevelEntry = (&'static str, Decimal, Decimal, u32);

#[derive(Debug, Serialize)]
pub(super) struct LevelUpdate {
    pub(super) changes: Vec<LevelEntry>,
}

/// A whole book; an entry is a level with its count of orders, or an order with its name.
#[derive(Debug, Serialize)]
pub(super) struct BookSnapshot<K: Serialize> {
    pub(super) bids: Vec<(Decimal, Decimal, K)>,
    pub(super) asks: Vec<(Decimal, Decimal, K)>,
    pub(super) checksum: Option<Hash>,
}

impl<K: Serialize> Default for BookSnapshot<K> {
    fn default() -> Self {
        Self { bids: Vec::new(), asks: Vec::new(), checksum: None }
    }
}

impl<K: Serialize> BookSnapshot<K> {
    /// Adds an entry behind those of its side.
    pub(super) fn add(&mut self, side: Side, entry: (Decimal, Decimal, K)) {
        let entries = if side == Side::Buy { &mut self.bids } else { &mut self.asks };
        entries.push(entry);
    }
}

#[derive(Debug, Serialize)]
pub(super) struct Open {
    pub(super) order_id: Text<OrderId>,
    pub(super) side: &'static str,
    pub(super) price: Decimal,
    pub(super) remaining_size: Decimal,
}

#[derive(Debug, Serialize)]
pub(super) struct Changed {
    pub(super) order_id: Text<OrderId>,
    pub(super) side: &'static str,
    pub(super) price: Decimal,
    pub(super) new_size: Decimal,
}

#[derive(Debug, Serialize)]
pub(super) struct Done {
    pub(super) order_id: Text<OrderId>,
    pub(super) side: &'static str,
    pub(super) price: Decimal,
}

#[derive(Debug, Serialize)]
pub(super) struct Proof {
    pub(super) checksum: Hash,
}

#[derive(Debug, Serialize)]
pub(super) struct Auction {
    pub(super) auction_state: &'static str,
    pub(super) price: Option<Decimal>,
    pub(super) size: Decimal,
    pub(super) surplus: Decimal,
    pub(super) surplus_side: Option<&'static str>,
}

/// What is said beside the channels.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Answer<'a> {
    Subscriptions { channels: Vec<Subscribed<'a>> },
    Error { message: &'static str, reason: &'a str },
    Gap { channel: Stream, product_id: &'a str, from: u64, count: u64, cause: &'static str },
}

#[derive(Debug, Serialize)]
pub(super) struct Subscribed<'a> {
    pub(super) name: Stream,
    pub(super) product_ids: Vec<&'a str>,
}

/// An instrument, as `/products` lists it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Product<'a> {
    /// Its name.
    pub(super) id: &'a str,
    /// The price step.
    #[schema(value_type = String)]
    pub(super) quote_increment: Decimal,
    /// The quantity step.
    #[schema(value_type = String)]
    pub(super) base_increment: Decimal,
    /// Its phase.
    pub(super) status: String,
}

/// A mantissa and its exponent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decimal(pub(super) i64, pub(super) Exponent);

/// Nanoseconds, as ISO 8601 in UTC.
#[derive(Debug, Clone, Copy)]
pub(super) struct Time(pub(super) Timestamp);

/// A number that a reader of JSON may take for another one: beyond 2^53.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<T>(pub(super) T);

/// The first eight bytes of a hash, in hexadecimal.
#[derive(Debug, Clone, Copy)]
pub(super) struct Hash(pub(super) Checksum);

/// As JSON text.
pub(super) fn text(message: &impl Serialize) -> Bytes {
    serde_json::to_vec(message).expect("texts, numbers and lists are JSON").into()
}

/// As subscribers write it; nothing for a side of a newer venue.
pub(super) const fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "buy",
        Side::Sell => "sell",
        Side::NonRepresentable => "",
    }
}

/// The other one.
pub(super) const fn opposite(aggressor: Side) -> &'static str {
    match aggressor {
        Side::Buy => side(Side::Sell),
        Side::Sell => side(Side::Buy),
        Side::NonRepresentable => "",
    }
}

impl Serialize for Stream {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&decimal::text(self.0, self.1))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let time = jiff::Timestamp::from_nanosecond(i128::from(self.0.0)).unwrap_or(jiff::Timestamp::MAX);
        serializer.collect_str(&format_args!("{time:.9}"))
    }
}

impl<T: core::fmt::Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl Serialize for Hash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // The checksum is little-endian: so written, its bytes stand as the hash has them.
        serializer.collect_str(&format_args!("{:016x}", self.0.0.swap_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_documented() {
        let json = |value: &dyn Fn() -> Bytes| String::from_utf8(value().to_vec()).unwrap();
        assert_eq!(json(&|| text(&Decimal(6_500_050, Exponent(-2)))), "\"65000.50\"");
        assert_eq!(json(&|| text(&Decimal(0, Exponent(-8)))), "\"0.00000000\"");
        assert_eq!(json(&|| text(&Time(Timestamp(1_000_000_007)))), "\"1970-01-01T00:00:01.000000007Z\"");
        assert_eq!(json(&|| text(&Text(OrderId(9_007_199_254_740_993)))), "\"9007199254740993\"");
        assert_eq!(
            json(&|| text(&Hash(Checksum(u64::from_le_bytes([0xba, 0xd9, 0, 0, 0, 0, 0, 0x7f]))))),
            "\"bad900000000007f\""
        );
        assert_eq!((opposite(Side::Buy), opposite(Side::Sell)), ("sell", "buy"));
    }
}
