//! Events as a script's reader sees them: every field by name, identities as the caller's names, numbers in the
//! instrument's and asset's units, absent values left out.
//!
//! Fields are not listed here: the records list themselves. A record inside an event is spelled out in its place; only
//! those of which an event has two, or which mean something of their own, lend their name to their fields.

use engine::canonical::{FieldValue, Fields};
use engine::{
    AccountId, Amount, AssetId, ClientOrderId, Event, EventHeader, EventKind, InstrumentId, OrderId, Price, Quantity,
    StpGroup,
};

use super::names::{InstrumentUnits, Names};
use crate::decimal::Unit;
use crate::json::Object;

/// Records whose fields are the event's own.
const INLINE: [&str; 7] = ["report", "order", "command", "note", "limits", "protection", "rates"];

/// Counters and identities of which zero means none; other numbers are printed whatever they are.
const ZERO_MEANS_NONE: [&str; 16] = [
    "session",
    "entered_by",
    "key",
    "author",
    "exec_id",
    "report_number",
    "client_sequence",
    "idempotency_key",
    "trade_id",
    "order_id",
    "original_order_id",
    "duplicate_of",
    "resting",
    "incoming",
    "expire_at",
    "cancel_at",
];

/// One event as one object.
pub(super) fn event(names: &Names, header: &EventHeader, event: &Event) -> Object {
    let mut object = Object::default();
    object.number("sequence", header.id.sequence.0);
    object.number("index", header.id.index);
    object.text("event", event.kind());
    if !header.time.is_none() {
        object.number("time", header.time.0);
    }
    let context = Context::of(names, event.record());
    let mut printer = Printer { names, kind: event.kind(), context, object };
    printer.record("", event.record());
    printer.object
}

/// What the numbers of an event are counted in.
#[derive(Clone, Copy)]
struct Context {
    instrument: InstrumentUnits,
    amount: Unit,
}

impl Context {
    fn of(names: &Names, record: &dyn Fields) -> Self {
        let number = |name| find(record, name).unwrap_or(0);
        let instrument = names.units(InstrumentId(number("instrument")));
        let asset = match AssetId(number("asset")) {
            AssetId::NONE => instrument.quote,
            asset => asset,
        };
        Self { instrument, amount: names.asset_unit(asset) }
    }
}

/// The first identity of this name in a record or the records in it.
fn find(record: &dyn Fields, wanted: &str) -> Option<u32> {
    let mut found = None;
    record.fields(&mut |name, value| {
        if found.is_none() {
            found = match value {
                FieldValue::Unsigned(number) if name == wanted => u32::try_from(number).ok(),
                FieldValue::Record(inner) => find(inner, wanted),
                _ => None,
            };
        }
    });
    found
}

struct Printer<'a> {
    names: &'a Names,
    kind: EventKind,
    context: Context,
    object: Object,
}

impl Printer<'_> {
    /// Prints the fields of a record; `prefix` is empty, or whose they are.
    fn record(&mut self, prefix: &str, record: &dyn Fields) {
        record.fields(&mut |name, value| match value {
            FieldValue::Record(inner) if INLINE.contains(&name) => self.record(prefix, inner),
            FieldValue::Record(inner) => self.record(&joined(prefix, name), inner),
            FieldValue::Unsigned(number) => self.unsigned(prefix, name, number),
            other => self.value(&joined(prefix, self.label(name)), name, &other),
        });
    }

    fn value(&mut self, label: &str, name: &str, value: &FieldValue<'_>) {
        match *value {
            FieldValue::Price(price) => self.price(label, price),
            FieldValue::Quantity(quantity) => self.quantity(label, quantity),
            FieldValue::Amount(amount) if amount == Amount::ABSENT.0 => {}
            FieldValue::Amount(amount) => self.object.text(label, self.context.amount.text(amount)),
            FieldValue::SignedAmount(amount) => self.object.text(label, self.context.amount.signed_text(amount)),
            FieldValue::Signed(number) => self.object.number(label, number),
            FieldValue::Code(code) => {
                if let Some(code) = code {
                    self.object.text(label, code);
                }
            }
            FieldValue::Text("") => {}
            // An administrator's words, beside which an event may have a reason of its own.
            FieldValue::Text(text) if name == "reason" => self.object.text("note", text),
            FieldValue::Text(text) => self.object.text(label, text),
            FieldValue::Bytes(bytes) => {
                let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                self.object.text(label, digits);
            }
            FieldValue::Unsigned(_) | FieldValue::Record(_) => unreachable!("printed by their own functions"),
        }
    }

    fn price(&mut self, label: &str, price: Price) {
        if price == Price::OFF_TICK {
            self.object.text(label, "off_tick");
        } else if !price.is_absent() {
            self.object.text(label, self.context.instrument.tick.text(price.0.into()));
        }
    }

    fn quantity(&mut self, label: &str, quantity: Quantity) {
        if quantity == Quantity::OFF_LOT {
            self.object.text(label, "off_lot");
        } else if !quantity.is_absent() {
            self.object.text(label, self.context.instrument.lot.text(quantity.0.into()));
        }
    }

    /// Most unsigned numbers are identities.
    fn unsigned(&mut self, prefix: &str, name: &'static str, number: u64) {
        let label = joined(prefix, self.label(name));
        // What an event's command says of whom it is for, its report has said already.
        if self.object.contains(&label) {
            return;
        }
        match name {
            "account" | "resting_account" | "incoming_account" => {
                self.name(&label, number, self.names.account_name(AccountId(small(number))));
            }
            "instrument" => self.name(&label, number, self.names.instrument_name(InstrumentId(small(number)))),
            "asset" | "base" | "quote" => {
                self.name(&label, number, self.names.asset_name(AssetId(small(number))));
            }
            "stp_group" => self.name(&label, number, self.names.group_name(StpGroup(small(number)))),
            "client_order_id" => {
                // Beside a prefix the prefix says it all: `maker`, `taker`.
                let label = if prefix.is_empty() { label.as_str() } else { prefix };
                self.name(label, number, self.names.order_name(ClientOrderId(number)));
            }
            "original_client_order_id" | "request_client_order_id" => {
                self.name(&label, number, self.names.order_name(ClientOrderId(number)));
            }
            "resting" | "incoming" => {
                self.name(&label, number, self.names.accepted_order_name(OrderId(number)));
            }
            "order_id" if self.kind == EventKind::PriceBoundReached => {
                self.name("id", number, self.names.accepted_order_name(OrderId(number)));
            }
            "flags" => {
                if number != 0 {
                    self.object.yes("post_only");
                }
            }
            _ if number == 0 && ZERO_MEANS_NONE.contains(&name) => {}
            _ => self.object.number(&label, number),
        }
    }

    /// The caller's name; the engine's number for what the caller never named; nothing for none.
    fn name(&mut self, label: &str, number: u64, name: Option<&str>) {
        match name {
            _ if number == 0 => {}
            Some(name) => self.object.text(label, name),
            None => self.object.number(label, number),
        }
    }

    /// What a field is called: as the input calls it, where it is an input as well.
    fn label(&self, name: &'static str) -> &'static str {
        match name {
            "client_order_id" if self.kind == EventKind::CancelRejected => "request_id",
            "original_client_order_id" if self.kind == EventKind::CancelRejected => "id",
            "client_order_id" => "id",
            "original_client_order_id" => "original_id",
            "request_client_order_id" => "request_id",
            "order_type" => "type",
            "time_in_force" => "tif",
            "stop_price" => "stop",
            "display_quantity" => "display",
            "minimum_quantity" => "minimum",
            "expire_at" => "expire",
            "self_trade_prevention" => "stp",
            "stp_group" => "group",
            other => other,
        }
    }
}

fn joined(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}_{name}") }
}

fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use engine::command::{AdminNote, CommandKind, SetPriceProtection};
    use engine::event::{
        CommandRejected, MatchPrevented, PriceBound, PriceBoundReached, PriceProtectionSet, Report, TradeBusted,
        TradeSide,
    };
    use engine::instrument::PriceProtection;
    use engine::order::SelfTradePrevention;
    use engine::{
        EventId, ExecId, IdempotencyKey, KeyId, RejectReason, Sequence, SessionId, SessionSequence, Side, SignedAmount,
        Text, Timestamp, TradeId,
    };

    use super::*;

    const HEADER: EventHeader = EventHeader {
        id: EventId { sequence: Sequence(7), index: 1 },
        time: Timestamp(9),
        received_at: Timestamp::NONE,
    };

    /// One instrument with a tick of 0.5 and a lot of 0.1, accounts `a` and `b`, and their orders 11 and 12.
    fn names() -> Names {
        let mut names = Names::default();
        let instrument = names.instrument("X");
        let listing = engine::command::ListInstrument {
            tick: 5,
            tick_decimals: 1,
            lot_decimals: 1,
            ..crate::flow::matching_only(instrument, Text::EMPTY, Unit::ONE, engine::instrument::Phase::Continuous)
        };
        names.instrument_listed(&listing);
        for (account, order, order_id) in [("a", "a1", 11), ("b", "b1", 12)] {
            let (account, order) = (names.account(account), names.order(order));
            names.order_accepted(account, instrument, OrderId(order_id), order);
        }
        names
    }

    fn report(account: u32, exec_id: u64) -> Report {
        Report {
            account: AccountId(account),
            session: SessionId::NONE,
            exec_id: ExecId(exec_id),
            report_number: SessionSequence::NONE,
            client_sequence: SessionSequence::NONE,
        }
    }

    fn rendered(kind: impl Into<Event>) -> String {
        event(&names(), &HEADER, &kind.into()).to_string()
    }

    #[test]
    fn orders_that_an_event_only_mentions_are_named_too() {
        let prevented = MatchPrevented {
            instrument: InstrumentId(1),
            price: Price(201),
            quantity: Quantity(15),
            mode: SelfTradePrevention::Decrement,
            resting: OrderId(11),
            resting_account: AccountId(2),
            incoming: OrderId(12),
            incoming_account: AccountId(3),
        };
        assert_eq!(
            rendered(prevented),
            r#"{"sequence":7,"index":1,"event":"MatchPrevented","time":9,"instrument":"X","price":"100.5","quantity":"1.5","mode":"Decrement","resting":"a1","resting_account":"a","incoming":"b1","incoming_account":"b"}"#
        );
        let bound = PriceBoundReached {
            instrument: InstrumentId(1),
            order_id: OrderId(12),
            bound: PriceBound::Collar,
            reference: Price(200),
            limit: Price(210),
            price: Price::ABSENT,
        };
        assert_eq!(
            rendered(bound),
            r#"{"sequence":7,"index":1,"event":"PriceBoundReached","time":9,"instrument":"X","id":"b1","bound":"Collar","reference":"100","limit":"105"}"#
        );
    }

    #[test]
    fn an_administrators_words_stand_beside_a_reason() {
        let note = AdminNote { idempotency_key: IdempotencyKey(4), reason: Text::new("by mistake").unwrap() };
        let rejected = CommandRejected {
            report: report(2, 6),
            author: KeyId(3),
            command: CommandKind::BustTrade,
            note,
            reason: RejectReason::UnknownTrade,
        };
        assert_eq!(
            rendered(rejected),
            r#"{"sequence":7,"index":1,"event":"CommandRejected","time":9,"account":"a","exec_id":6,"author":3,"command":"BustTrade","idempotency_key":4,"note":"by mistake","reason":"UnknownTrade"}"#
        );
    }

    #[test]
    fn records_of_which_there_are_two_lend_their_names() {
        let side = |account, exec_id, order_id, side| TradeSide {
            report: report(account, exec_id),
            order_id: OrderId(order_id),
            client_order_id: ClientOrderId(u64::from(account) - 1),
            side,
            order_price: Price(200),
            order_quantity: Quantity(10),
            leaves: Quantity(10),
            cumulative: Quantity(0),
            prevented: Quantity(0),
            fee: SignedAmount(-3),
        };
        let busted = TradeBusted {
            author: KeyId::VENUE,
            instrument: InstrumentId(1),
            trade_id: TradeId(5),
            price: Price(200),
            quantity: Quantity(10),
            buyer: side(2, 3, 11, Side::Buy),
            seller: side(3, 4, 12, Side::Sell),
            note: AdminNote::NONE,
        };
        assert_eq!(
            rendered(busted),
            r#"{"sequence":7,"index":1,"event":"TradeBusted","time":9,"instrument":"X","trade_id":5,"price":"100","quantity":"1","buyer_account":"a","buyer_exec_id":3,"buyer_order_id":11,"buyer":"a1","buyer_side":"Buy","buyer_order_price":"100","buyer_order_quantity":"1","buyer_leaves":"1","buyer_cumulative":"0","buyer_prevented":"0","buyer_fee":"-3","seller_account":"b","seller_exec_id":4,"seller_order_id":12,"seller":"b1","seller_side":"Sell","seller_order_price":"100","seller_order_quantity":"1","seller_leaves":"1","seller_cumulative":"0","seller_prevented":"0","seller_fee":"-3"}"#
        );
        let command = SetPriceProtection {
            instrument: InstrumentId(1),
            protection: PriceProtection::DEFAULT,
            note: AdminNote::NONE,
        };
        assert_eq!(
            rendered(PriceProtectionSet { author: KeyId::VENUE, command }),
            r#"{"sequence":7,"index":1,"event":"PriceProtectionSet","time":9,"instrument":"X","entry_band_unit":"Unlimited","entry_band_value":0,"collar_unit":"Unlimited","collar_value":0,"market_unit":"PartsPerMillion","market_value":100000,"auction_unit":"Unlimited","auction_value":0,"collar_action":"CancelRemainder","reference_source":"LastTrade","call_duration":0,"call_random_end":0}"#
        );
    }
}
