//! Updates as JSON lines. Numbers with decimals are strings, as everywhere at the edge.

use std::collections::BTreeMap;

use client::market_data::Update;
use serde_json::{Map, Value, json};
use wire::market_data::{OrderChange, SecurityDefinition};
use wire::{Exponent, FeedLevel, SecurityId, Side, Timestamp};

use super::seen::{Rung, Seen, place};
use crate::decimal;

/// Writes lines, and knows the exponents.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    definitions: BTreeMap<SecurityId, SecurityDefinition>,
}

/// The lines of one instrument.
#[derive(Clone, Copy)]
struct Of<'a> {
    definition: Option<&'a SecurityDefinition>,
}

impl Lines {
    /// The line of an update that was taken at `now`.
    pub(crate) fn update(&mut self, seen: &Seen, now: Timestamp) -> Value {
        if let Update::Definition(definition) = &seen.update {
            self.definitions.insert(definition.security_id, *definition);
        }
        let (instrument, level) = place(seen.stamps).unzip();
        let of = Of { definition: instrument.and_then(|instrument| self.definitions.get(&instrument)) };
        let mut line = of.head(&seen.update);
        line.extend(level.and_then(word).map(|word| ("level".to_owned(), word.into())));
        let stamps = seen.stamps;
        if let Some(time) = stamps.transact_time {
            line.insert("time".into(), time.0.into());
            // What a snapshot tells happened earlier.
            if let Some(sent) = stamps.sent_at {
                line.insert("sent".into(), sent.0.into());
                line.insert("latency_ns".into(), now.0.saturating_sub(time.0).into());
            }
            line.extend(stamps.received_at.map(|received| ("received".to_owned(), received.0.into())));
        }
        of.body(&mut line, &seen.update);
        if let Some([bids, offers]) = &seen.book {
            line.insert("bids".into(), of.rungs(bids));
            line.insert("offers".into(), of.rungs(offers));
        }
        line.into()
    }

    /// The line of a venue that went away.
    pub(crate) fn lost(&self, reason: &str) -> Value {
        json!({ "update": "lost", "reason": reason })
    }
}

/// A level's word on the command line.
fn word(level: FeedLevel) -> Option<&'static str> {
    match level {
        FeedLevel::Trades => Some("trades"),
        FeedLevel::BestBidOffer => Some("best"),
        FeedLevel::MarketByPrice10 => Some("mbp10"),
        FeedLevel::MarketByPrice50 => Some("mbp50"),
        FeedLevel::MarketByPrice => Some("mbp"),
        FeedLevel::MarketByOrder => Some("mbo"),
        FeedLevel::Reference => Some("reference"),
        FeedLevel::NonRepresentable => None,
    }
}

impl Of<'_> {
    fn head(self, update: &Update) -> Map<String, Value> {
        let kind = match update {
            Update::Definition(_) => "definition",
            Update::Status(_) => "phase",
            Update::Book { .. } => "book",
            Update::Levels(..) => "levels",
            Update::Orders(..) => "orders",
            Update::Statistics(_) => "statistics",
            Update::Proven { .. } => "proven",
            Update::Differs { .. } => "differs",
            Update::BestBidOffer(_) => "best",
            Update::Trade(_) => "trade",
            Update::TradeCancel(_) => "trade_cancel",
            Update::Indicative(_) => "indicative",
            Update::Auction(_) => "auction",
            Update::Gap { .. } => "gap",
            Update::GapNotice(_) => "gap_notice",
            Update::Rejected(_) => "rejected",
        };
        let mut line = Map::new();
        line.insert("update".into(), kind.into());
        if let Some(symbol) = self.definition.and_then(|definition| definition.symbol.as_str()) {
            line.insert("instrument".into(), symbol.into());
        }
        line
    }

    fn body(self, line: &mut Map<String, Value>, update: &Update) {
        let mut add = |name: &str, value: Value| drop(line.insert(name.to_owned(), value));
        match update {
            Update::Definition(definition) => {
                add("security_id", definition.security_id.0.into());
                add("tick", self.price(definition.tick.0));
                add("lot", self.quantity(definition.lot.0));
                add("phase", format!("{:?}", definition.phase).into());
            }
            Update::Status(status) => {
                add("phase", format!("{:?}", status.phase).into());
                add("cause", status.cause.map(|cause| format!("{cause:?}")).into());
            }
            Update::Book { last_sequence, .. }
            | Update::Proven { last_sequence, .. }
            | Update::Differs { last_sequence, .. } => add("last_sequence", last_sequence.0.into()),
            Update::Levels(message, _) => {
                add("journal_sequence", message.journal_sequence.map(|sequence| sequence.0).into());
            }
            Update::Orders(message, changes) => {
                add("journal_sequence", message.journal_sequence.map(|sequence| sequence.0).into());
                add("changes", changes.iter().map(|change| self.change(change)).collect());
            }
            Update::Statistics(statistics) => {
                add("since", statistics.since.0.into());
                add("first", statistics.first_price.map(|price| self.price(price.0)).into());
                add("high", statistics.high_price.map(|price| self.price(price.0)).into());
                add("low", statistics.low_price.map(|price| self.price(price.0)).into());
                add("last", statistics.last_price.map(|price| self.price(price.0)).into());
                add("volume", self.quantity(statistics.volume.0));
                add("trades", statistics.trade_count.0.into());
            }
            Update::BestBidOffer(best) => {
                add("bid", best.bid_price.map(|price| self.price(price.0)).into());
                add("offer", best.offer_price.map(|price| self.price(price.0)).into());
            }
            Update::Trade(trade) => {
                add("journal_sequence", trade.journal_sequence.map(|sequence| sequence.0).into());
                add("trade_id", trade.trade_id.0.into());
                add("price", self.price(trade.price.0));
                add("quantity", self.quantity(trade.quantity.0));
                add("aggressor", side(trade.aggressor));
            }
            Update::TradeCancel(cancel) => {
                add("journal_sequence", cancel.journal_sequence.map(|sequence| sequence.0).into());
                add("trade_id", cancel.trade_id.0.into());
                add("price", self.price(cancel.price.0));
                add("quantity", self.quantity(cancel.quantity.0));
            }
            Update::Indicative(indicative) => {
                add("journal_sequence", indicative.journal_sequence.map(|sequence| sequence.0).into());
                add("price", indicative.price.map(|price| self.price(price.0)).into());
                add("volume", self.quantity(indicative.quantity.0));
                add("surplus", self.quantity(indicative.surplus.0));
                add("surplus_side", side(indicative.surplus_side));
            }
            Update::Auction(result) => {
                add("journal_sequence", result.journal_sequence.map(|sequence| sequence.0).into());
                add("phase", format!("{:?}", result.phase).into());
                add("price", result.price.map(|price| self.price(price.0)).into());
                add("volume", self.quantity(result.quantity.0));
                add("surplus", self.quantity(result.surplus.0));
                add("surplus_side", side(result.surplus_side));
            }
            Update::Gap { from, count, .. } => {
                add("from", from.0.into());
                add("count", count.0.into());
            }
            Update::GapNotice(notice) => {
                add("from", notice.from_sequence.0.into());
                add("count", notice.count.0.into());
                add("cause", format!("{:?}", notice.cause).into());
            }
            Update::Rejected(reject) => add("reason", format!("{:?}", reject.reason).into()),
        }
    }

    fn change(self, change: &OrderChange) -> Value {
        json!({
            "action": format!("{:?}", change.action).to_lowercase(),
            "order_id": change.order_id.0,
            "side": side(Some(change.side)),
            "price": self.price(change.price.0),
            "quantity": self.quantity(change.quantity.0),
        })
    }

    fn rungs(self, rungs: &[Rung]) -> Value {
        rungs.iter().map(|rung| self.rung(rung)).collect()
    }

    fn rung(self, Rung { level, queue }: &Rung) -> Value {
        let mut object = json!({
            "price": self.price(level.price.0),
            "quantity": self.quantity(level.quantity.0),
            "orders": level.order_count.0,
        });
        if !queue.is_empty() {
            object["queue"] = queue.iter().map(|quantity| self.quantity(quantity.0)).collect();
        }
        object
    }

    fn price(self, mantissa: i64) -> Value {
        let exponent = self.definition.map_or(Exponent(0), |definition| definition.price_exponent);
        decimal::text(mantissa, exponent).into()
    }

    fn quantity(self, mantissa: i64) -> Value {
        let exponent = self.definition.map_or(Exponent(0), |definition| definition.quantity_exponent);
        decimal::short_text(mantissa, exponent).into()
    }
}

fn side(side: Option<Side>) -> Value {
    side.map(|side| format!("{side:?}").to_lowercase()).into()
}
