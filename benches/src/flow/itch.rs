//! Nasdaq TotalView-ITCH 5.0, every symbol, each message behind its length in two bytes.
//!
//! ```text
//!            0    1         3          5            11
//! every      type locate(2) tracking(2) time ns(6)  …
//! R          … stock(8)
//! A  F       … reference(8) side(1) shares(4) stock(8) price(4)
//! E  C       … reference(8) shares(4) match(8)            C: printable(1) price(4)
//! X          … reference(8) shares(4)
//! D          … reference(8)
//! U          … reference(8) new reference(8) shares(4) price(4)
//! P          … reference(8) side(1) shares(4) stock(8) price(4) match(8)
//! ```
//!
//! Integers are big-endian, prices in ten-thousandths, times since midnight. A `U` is a cancel and a new order, because
//! it always loses its place. A `C` executes at another price than the order's, in a cross, so price and time cannot
//! cause it: it becomes a reduction. Recordings that start in the middle name orders that are not known; the engine has
//! to say so.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use engine::instrument::Phase;
use engine::order::Side;
use engine::{InstrumentId, Price, Quantity, Text, Timestamp};

use crate::decimal::Unit;
use crate::failure::Failure;
use crate::flow::order_feed::{Named, OrderFeed};
use crate::flow::row_book::{Reference, RowOrder};
use crate::flow::{CAPACITY, Source, matching_only};
use crate::input::{read_bytes, read_text};
use crate::outcome::{Comparison, Outcome};

const TICK: Unit = Unit::smallest(4);
/// The name of another reader's counts, if they lie beside the recording.
const SUMMARY: &str = "expected_summary.txt";

/// Runs the recording in the file `source.path`.
pub fn run(source: Source<'_>) -> Result<Outcome, Failure> {
    let bytes = read_bytes(source.path)?;
    let summary = Summary::beside(source.path)?;
    let mut replay =
        Replay { feed: OrderFeed::new(source, CAPACITY)?, instruments: HashMap::new(), counts: Counts::default() };
    replay.feed.driver().expect_steps(bytes.len());
    let mut count = 0;
    for message in (Messages { rest: &bytes }) {
        count += 1;
        let message = message.and_then(|bytes| Ok((bytes.len() + 2, Message::parse(bytes)?)));
        let (length, message) = message.map_err(|fault| Failure::malformed(source.path, count, fault))?;
        replay.message(&message)?;
        replay.feed.driver().steps_done(length);
    }
    let comparison = summary.map(|summary| summary.compare(&replay.totals(count)));
    replay.feed.finish("itch", comparison.into_iter().collect())
}

/// The messages, without their lengths, up to the end of the session or the first fault.
struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = Result<&'a [u8], &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        let (length, behind) = match self.rest {
            // A message without anything ends the session.
            [] | [0, 0, ..] => return None,
            [high, low, behind @ ..] => (u16::from_be_bytes([*high, *low]), behind),
            [_] => (u16::MAX, &[][..]),
        };
        let split = behind.split_at_checked(usize::from(length));
        let (message, rest) = split.map_or((None, &[][..]), |(message, rest)| (Some(message), rest));
        self.rest = rest;
        Some(message.ok_or("the file ends inside a message"))
    }
}

/// A message that changes the book or names an instrument; everything else is [`Body::Other`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Message {
    locate: u16,
    at: Timestamp,
    body: Body,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Directory { stock: Text<16> },
    Add { reference: Reference, side: Side, shares: Quantity, stock: Text<16>, price: Price },
    Execute { reference: Reference, shares: Quantity },
    ExecuteAtPrice { reference: Reference, shares: Quantity },
    Cancel { reference: Reference, shares: Quantity },
    Delete { reference: Reference },
    Replace { reference: Reference, new_reference: Reference, shares: Quantity, price: Price },
    Trade { stock: Text<16> },
    Other,
}

impl Message {
    fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let mut fields = FieldReader(bytes);
        let kind = fields.byte()?;
        let locate = u16::from_be_bytes(fields.take()?);
        let _tracking = fields.take::<2>()?;
        let at = Timestamp(fields.time()?);
        Ok(Self { locate, at, body: Body::parse(kind, &mut fields)? })
    }
}

impl Body {
    fn parse(kind: u8, fields: &mut FieldReader<'_>) -> Result<Self, &'static str> {
        Ok(match kind {
            b'R' => Self::Directory { stock: fields.stock()? },
            b'A' | b'F' => Self::Add {
                reference: fields.reference()?,
                side: fields.side()?,
                shares: fields.shares()?,
                stock: fields.stock()?,
                price: fields.price()?,
            },
            b'E' => Self::Execute { reference: fields.reference()?, shares: fields.shares()? },
            b'C' => Self::ExecuteAtPrice { reference: fields.reference()?, shares: fields.shares()? },
            b'X' => Self::Cancel { reference: fields.reference()?, shares: fields.shares()? },
            b'D' => Self::Delete { reference: fields.reference()? },
            b'U' => Self::Replace {
                reference: fields.reference()?,
                new_reference: fields.reference()?,
                shares: fields.shares()?,
                price: fields.price()?,
            },
            b'P' => {
                let (_reference, _side, _shares) = (fields.take::<8>()?, fields.side()?, fields.shares()?);
                Self::Trade { stock: fields.stock()? }
            }
            _ => Self::Other,
        })
    }
}

struct FieldReader<'a>(&'a [u8]);

impl FieldReader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or("the message is too short")?;
        self.0 = rest;
        Ok(*head)
    }

    fn byte(&mut self) -> Result<u8, &'static str> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn time(&mut self) -> Result<u64, &'static str> {
        let [a, b, c, d, e, f] = self.take()?;
        Ok(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
    }

    fn reference(&mut self) -> Result<Reference, &'static str> {
        let reference = u64::from_be_bytes(self.take()?);
        if reference == 0 { Err("the order reference is zero") } else { Ok(Reference(reference)) }
    }

    fn side(&mut self) -> Result<Side, &'static str> {
        match self.byte()? {
            b'B' => Ok(Side::Buy),
            b'S' => Ok(Side::Sell),
            _ => Err("the side is neither B nor S"),
        }
    }

    fn shares(&mut self) -> Result<Quantity, &'static str> {
        Ok(Quantity(u32::from_be_bytes(self.take()?).into()))
    }

    fn price(&mut self) -> Result<Price, &'static str> {
        Ok(Price(u32::from_be_bytes(self.take()?).into()))
    }

    fn stock(&mut self) -> Result<Text<16>, &'static str> {
        let bytes = self.take::<8>()?;
        let text = str::from_utf8(&bytes).map_err(|_| "the stock is not ASCII")?;
        Text::new(text.trim_end()).ok_or("the stock is not printable ASCII")
    }
}

#[derive(Debug, Default)]
struct Counts {
    adds: u64,
    executions: u64,
    cancels: u64,
    deletes: u64,
    replaces: u64,
    trades: u64,
    stocks: HashSet<Text<16>>,
    first_change: Option<Timestamp>,
    last_change: Timestamp,
}

struct Replay {
    feed: OrderFeed,
    /// By locate code.
    instruments: HashMap<u16, InstrumentId>,
    counts: Counts,
}

impl Replay {
    fn message(&mut self, message: &Message) -> Result<(), Failure> {
        let at = message.at;
        match message.body {
            Body::Directory { stock } => {
                self.instrument(message, stock)?;
            }
            Body::Add { reference, side, shares, stock, price } => {
                let instrument = self.instrument(message, stock)?;
                self.feed.add(at, reference, RowOrder { instrument, side, price, leaves: shares })?;
                self.counts.stocks.insert(stock);
                self.counts.changed(at, |counts| &mut counts.adds);
            }
            Body::Execute { reference, shares } => {
                let named = self.feed.execute(at, reference, Some(shares))?;
                self.counts.named(named, at, |counts| &mut counts.executions);
            }
            Body::ExecuteAtPrice { reference, shares } => {
                let named = self.feed.reduce(at, reference, shares)?;
                self.counts.named(named, at, |counts| &mut counts.executions);
            }
            Body::Cancel { reference, shares } => {
                let named = self.feed.reduce(at, reference, shares)?;
                self.counts.named(named, at, |counts| &mut counts.cancels);
            }
            Body::Delete { reference } => {
                let named = self.feed.remove(at, reference)?;
                self.counts.named(named, at, |counts| &mut counts.deletes);
            }
            Body::Replace { reference, new_reference, shares, price } => {
                let replaced = self.feed.rows().get(reference);
                let named = self.feed.remove(at, reference)?;
                if let Some(order) = replaced {
                    self.feed.add(at, new_reference, RowOrder { price, leaves: shares, ..order })?;
                }
                self.counts.named(named, at, |counts| &mut counts.replaces);
            }
            Body::Trade { stock } => {
                self.counts.stocks.insert(stock);
                self.counts.changed(at, |counts| &mut counts.trades);
            }
            Body::Other => {}
        }
        Ok(())
    }

    /// Instruments are numbered as they come up.
    fn instrument(&mut self, message: &Message, stock: Text<16>) -> Result<InstrumentId, Failure> {
        if let Some(&instrument) = self.instruments.get(&message.locate) {
            return Ok(instrument);
        }
        let instrument = InstrumentId(u32::try_from(self.instruments.len()).unwrap_or(u32::MAX)).next();
        self.instruments.insert(message.locate, instrument);
        self.feed.list(message.at, matching_only(instrument, stock, TICK, Phase::Continuous))?;
        Ok(instrument)
    }

    /// What can be said in the words of the summary. Its `trades` and `total_volume` count something that the messages
    /// do not show, and are left out.
    fn totals(&self, messages: u64) -> HashMap<&'static str, u64> {
        let Counts { adds, executions, cancels, deletes, replaces, trades, .. } = self.counts;
        let changes = adds + executions + cancels + deletes + replaces + trades;
        let unknown = self.feed.unknown_count();
        let open: usize = self.feed.rows().open_count();
        HashMap::from([
            ("messages", messages),
            ("emitted_events", changes),
            ("event_count.add", adds),
            ("event_count.execute", executions),
            ("event_count.cancel", cancels),
            ("event_count.delete", deletes),
            ("event_count.replace", replaces),
            ("event_count.trade", trades),
            ("add_orders", adds),
            ("executions", executions),
            ("cancels", cancels),
            ("deletes", deletes),
            ("replaces", replaces),
            ("ignored", messages - changes - unknown),
            ("unknown_reductions", unknown),
            ("open_orders", open as u64),
            ("unique_symbols", self.counts.stocks.len() as u64),
            ("first_timestamp", self.counts.first_change.unwrap_or_default().0),
            ("last_timestamp", self.counts.last_change.0),
        ])
    }
}

impl Counts {
    fn named(&mut self, named: Named, at: Timestamp, count: fn(&mut Self) -> &mut u64) {
        match named {
            Named::Open => self.changed(at, count),
            Named::Unknown => {}
        }
    }

    fn changed(&mut self, at: Timestamp, count: fn(&mut Self) -> &mut u64) {
        *count(self) += 1;
        self.first_change.get_or_insert(at);
        self.last_change = at;
    }
}

/// Another reader's counts, one `name=count` a line.
struct Summary(Vec<(String, u64)>);

impl Summary {
    fn beside(recording: &Path) -> Result<Option<Self>, Failure> {
        let path = recording.with_file_name(SUMMARY);
        if !path.exists() {
            return Ok(None);
        }
        let text = read_text(&path)?;
        let lines = text.lines().enumerate().filter(|(_, line)| !line.is_empty()).map(|(index, line)| {
            line.split_once('=')
                .and_then(|(name, count)| Some((name.to_owned(), count.parse().ok()?)))
                .ok_or_else(|| Failure::malformed(&path, index as u64 + 1, "not name=count"))
        });
        Ok(Some(Self(lines.collect::<Result<_, _>>()?)))
    }

    fn compare(&self, totals: &HashMap<&'static str, u64>) -> Comparison {
        let mut comparison = Comparison::new("summary");
        for (name, expected) in &self.0 {
            if let Some(found) = totals.get(name.as_str()) {
                comparison.expect(|| name.clone(), expected, found);
            }
        }
        comparison
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADD: &[u8] = b"A\x00\x07\x00\x00\x00\x00\x00\x00\x03\xE8\x00\x00\x00\x00\x00\x00\x00\x2AB\x00\x00\x00\x64IBM     \x00\x0F\x42\x40";

    #[test]
    fn an_add_message_is_read_field_by_field() {
        let message = Message::parse(ADD).unwrap();
        let body = Body::Add {
            reference: Reference(42),
            side: Side::Buy,
            shares: Quantity(100),
            stock: Text::new("IBM").unwrap(),
            price: Price(1_000_000),
        };
        assert_eq!(message, Message { locate: 7, at: Timestamp(1_000), body });
    }

    #[test]
    fn a_message_that_is_too_short_is_refused_and_an_unknown_one_passed_over() {
        assert_eq!(Message::parse(&ADD[..30]), Err("the message is too short"));
        let unknown = Message::parse(b"L\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01rest").unwrap();
        assert_eq!(unknown.body, Body::Other);
    }

    #[test]
    fn lengths_frame_messages_and_a_cut_one_is_a_fault() {
        let messages = |rest| Messages { rest }.collect::<Vec<_>>();
        assert_eq!(messages(b"\x00\x01S\x00\x02LL"), [Ok(&b"S"[..]), Ok(b"LL")]);
        assert_eq!(messages(b"\x00\x01S\x00\x00"), [Ok(&b"S"[..])]);
        assert_eq!(messages(b"\x00"), [Err("the file ends inside a message")]);
        assert_eq!(messages(b"\x00\x01S\x00\x02L"), [Ok(&b"S"[..]), Err("the file ends inside a message")]);
    }
}
