//! The channel's messages and the two snapshots, as they are written.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use engine::order::Side;
use engine::{Price, Quantity, Timestamp};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{LOT, TICK};
use crate::decimal::{Count, Decimal, Unit};
use crate::failure::Failure;
use crate::input::{line_at, parse_time, read_text};

/// A level-3 snapshot, in its order.
pub(super) struct Book {
    pub(super) orders: Vec<(Side, BookOrder)>,
}

#[derive(Debug, Clone)]
pub(super) struct BookOrder {
    pub(super) id: String,
    pub(super) price: Price,
    pub(super) leaves: Quantity,
}

#[derive(Deserialize)]
struct RawBook<'a> {
    #[serde(borrow)]
    asks: Vec<&'a RawValue>,
    #[serde(borrow)]
    bids: Vec<&'a RawValue>,
}

impl Book {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let document = Document::read(path)?;
        let raw: RawBook<'_> = document.parse(&document.text, 0)?;
        let mut orders = Vec::with_capacity(raw.asks.len() + raw.bids.len());
        for (side, rows) in [(Side::Sell, raw.asks), (Side::Buy, raw.bids)] {
            for row in rows {
                let (price, leaves, id): (&str, &str, String) = document.element(row)?;
                let price = Price(document.count(row, price, TICK)?);
                orders.push((side, BookOrder { id, price, leaves: Quantity(document.count(row, leaves, LOT)?) }));
            }
        }
        Ok(Self { orders })
    }
}

/// One message of the channel, as it is written.
#[derive(Debug, Deserialize)]
struct RawMessage<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    time: Option<&'a str>,
    side: Option<&'a str>,
    order_id: Option<&'a str>,
    order_type: Option<&'a str>,
    price: Option<&'a str>,
    size: Option<&'a str>,
    remaining_size: Option<&'a str>,
    new_size: Option<&'a str>,
    reason: Option<&'a str>,
    maker_order_id: Option<&'a str>,
    taker_order_id: Option<&'a str>,
}

/// One message of the channel, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    Received { at: Timestamp, id: String, side: Side, price: Option<Price>, quantity: Option<Quantity> },
    Open { at: Timestamp, id: String, side: Side, price: Price, leaves: Quantity },
    Change { at: Timestamp, id: String, leaves: Quantity },
    Cancelled { at: Timestamp, id: String },
    Match { at: Timestamp, found: Match },
    Other { at: Timestamp },
}

/// Two orders that matched, by the venue's names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) maker: String,
    pub(super) taker: String,
    pub(super) price: Price,
    pub(super) quantity: Quantity,
}

/// The messages, and what has to be known of a whole day before its first one is replayed.
pub(super) struct Day {
    pub(super) messages: Vec<Message>,
    pub(super) received: HashSet<String>,
    /// What ever rested or matched.
    effective: HashSet<String>,
    pub(super) taken: HashMap<String, Quantity>,
}

impl Day {
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let document = Document::read(path)?;
        let raw: Vec<&RawValue> = document.parse(&document.text, 0)?;
        let messages = raw.into_iter().map(|raw| Message::read(&document, raw)).collect::<Result<_, _>>()?;
        let mut day = Self { messages, received: HashSet::new(), effective: HashSet::new(), taken: HashMap::new() };
        for message in &day.messages {
            match message {
                Message::Received { id, .. } => {
                    day.received.insert(id.clone());
                }
                Message::Open { id, .. } => {
                    day.effective.insert(id.clone());
                }
                Message::Match { found, .. } => {
                    day.effective.extend([found.maker.clone(), found.taker.clone()]);
                    *day.taken.entry(found.taker.clone()).or_insert(Quantity::ZERO) += found.quantity;
                }
                Message::Change { .. } | Message::Cancelled { .. } | Message::Other { .. } => {}
            }
        }
        Ok(day)
    }

    pub(super) fn start(&self) -> Timestamp {
        self.messages.first().map_or(Timestamp::NONE, Message::time)
    }

    /// Whether the order was received on this day and never had a place in the book.
    pub(super) fn was_refused(&self, id: &str) -> bool {
        self.received.contains(id) && !self.effective.contains(id)
    }

    pub(super) fn matches(&self) -> impl Iterator<Item = &Match> {
        self.messages.iter().filter_map(|message| match message {
            Message::Match { found, .. } => Some(found),
            _ => None,
        })
    }
}

impl Message {
    fn read(document: &Document, raw: &RawValue) -> Result<Self, Failure> {
        let message: RawMessage<'_> = document.element(raw)?;
        let missing = |name: &str| document.malformed(raw, format!("{name} is missing or not understood"));
        let at = message.time.and_then(parse_time).ok_or_else(|| missing("time"))?;
        let id = || message.order_id.map(str::to_owned).ok_or_else(|| missing("order_id"));
        let side = || side_of(message.side).ok_or_else(|| missing("side"));
        let price = || document.count(raw, message.price.ok_or_else(|| missing("price"))?, TICK).map(Price);
        let quantity =
            |name: &str, text: Option<&str>| document.count(raw, text.ok_or_else(|| missing(name))?, LOT).map(Quantity);
        Ok(match (message.kind, message.reason) {
            ("received", _) => Self::Received {
                at,
                id: id()?,
                side: side()?,
                price: (message.order_type != Some("market")).then(price).transpose()?,
                quantity: message.size.map(|size| quantity("size", Some(size))).transpose()?,
            },
            ("open", _) => {
                let leaves = quantity("remaining_size", message.remaining_size)?;
                Self::Open { at, id: id()?, side: side()?, price: price()?, leaves }
            }
            ("change", _) if message.new_size.is_some() => {
                Self::Change { at, id: id()?, leaves: quantity("new_size", message.new_size)? }
            }
            ("done", Some("canceled")) => Self::Cancelled { at, id: id()? },
            ("match", _) => Self::Match {
                at,
                found: Match {
                    maker: message.maker_order_id.ok_or_else(|| missing("maker_order_id"))?.to_owned(),
                    taker: message.taker_order_id.ok_or_else(|| missing("taker_order_id"))?.to_owned(),
                    price: price()?,
                    quantity: quantity("size", message.size)?,
                },
            },
            _ => Self::Other { at },
        })
    }

    fn time(&self) -> Timestamp {
        match self {
            Self::Received { at, .. }
            | Self::Open { at, .. }
            | Self::Change { at, .. }
            | Self::Cancelled { at, .. }
            | Self::Match { at, .. }
            | Self::Other { at } => *at,
        }
    }
}

fn side_of(text: Option<&str>) -> Option<Side> {
    match text? {
        "buy" => Some(Side::Buy),
        "sell" => Some(Side::Sell),
        _ => None,
    }
}

/// A JSON text that knows on which line each of its elements stands.
struct Document {
    path: PathBuf,
    text: String,
}

impl Document {
    fn read(path: &Path) -> Result<Self, Failure> {
        Ok(Self { path: path.to_owned(), text: read_text(path)? })
    }

    /// Parses `text`, which starts `offset` bytes into the document.
    fn parse<'a, T: Deserialize<'a>>(&self, text: &'a str, offset: usize) -> Result<T, Failure> {
        serde_json::from_str(text).map_err(|error| {
            let line = line_at(&self.text.as_bytes()[..offset]) + error.line() as u64 - 1;
            Failure::malformed(&self.path, line, error.to_string())
        })
    }

    fn element<'a, T: Deserialize<'a>>(&self, raw: &'a RawValue) -> Result<T, Failure> {
        self.parse(raw.get(), self.offset(raw))
    }

    fn count(&self, raw: &RawValue, text: &str, unit: Unit) -> Result<u64, Failure> {
        match Decimal::parse(text).map(|decimal| decimal.count(unit)) {
            Some(Count::Whole(count)) => u64::try_from(count).ok(),
            Some(Count::NotPositive) => Some(0),
            Some(Count::Fraction | Count::TooLarge) | None => None,
        }
        .ok_or_else(|| self.malformed(raw, format!("{text:?} is not a whole number of {}", unit.text(1))))
    }

    fn malformed(&self, raw: &RawValue, message: String) -> Failure {
        Failure::malformed(&self.path, line_at(&self.text.as_bytes()[..self.offset(raw)]), message)
    }

    /// Elements borrow from the text.
    fn offset(&self, raw: &RawValue) -> usize {
        (raw.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize).min(self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Message, Failure> {
        let document = Document { path: PathBuf::from("day.json"), text: text.to_owned() };
        let raw: Vec<&RawValue> = document.parse(&document.text, 0)?;
        Message::read(&document, raw[0])
    }

    #[test]
    fn a_match_is_read_in_ticks_and_lots() {
        let message = read(
            r#"[{"type": "match", "time": "1970-01-01T00:00:01Z", "side": "sell", "price": "6190.85000000",
                 "size": "0.07727983", "maker_order_id": "m", "taker_order_id": "t"}]"#,
        );
        let found = Match {
            maker: "m".to_owned(),
            taker: "t".to_owned(),
            price: Price(619_085),
            quantity: Quantity(7_727_983),
        };
        assert_eq!(message.unwrap(), Message::Match { at: Timestamp(1_000_000_000), found });
    }

    #[test]
    fn a_market_order_has_no_price_and_perhaps_no_size() {
        let message = read(
            r#"[{"type": "received", "time": "1970-01-01T00:00:00Z", "order_id": "a", "side": "buy",
                 "order_type": "market", "funds": "29.71"}]"#,
        );
        let expected =
            Message::Received { at: Timestamp(0), id: "a".to_owned(), side: Side::Buy, price: None, quantity: None };
        assert_eq!(message.unwrap(), expected);
    }

    #[test]
    fn what_is_malformed_is_named_with_its_line() {
        let late = read("[\n\n{\"type\": \"open\"}]").unwrap_err().to_string();
        assert_eq!(late, "day.json:3: time is missing or not understood");
        let price = "[\n{\"type\": \"open\", \"time\": \"1970-01-01T00:00:00Z\", \"order_id\": \"a\", \
                     \"remaining_size\": \"1\", \"side\": \"buy\", \"price\": \"0.001\"}]";
        assert_eq!(read(price).unwrap_err().to_string(), "day.json:2: \"0.001\" is not a whole number of 0.01");
    }
}
