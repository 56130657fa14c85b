//! An event as an operator reads it: every field by name, in decimals where the venue knows how.
//!
//! A value whose unit is not known, such as an account's bound that holds in every instrument, says in its name what it
//! counts: ticks, lots, units.

use engine::canonical::{FieldValue, Fields};
use engine::{Amount, AssetId, CommandBody, Event, EventHeader, InstrumentId, Price, Quantity};
use serde_json::{Map, Value, json};

use super::value::{decimal, signed_decimal};
use super::view::AdminView;

/// The answer that says what happened.
pub(crate) fn event(view: &AdminView, header: &EventHeader, event: &Event) -> Value {
    let mut object = Map::new();
    object.insert("sequence".to_owned(), json!(header.id.sequence.0));
    object.insert("time".to_owned(), json!(header.time.0));
    object.insert("event".to_owned(), json!(name(event)));
    Units::of(view, event).record(&mut object, event.record());
    Value::Object(object)
}

/// What a command would be.
pub(crate) fn command(view: &AdminView, command: &CommandBody) -> Value {
    let mut object = Map::new();
    Units::of_command(view, command).record(&mut object, command.record());
    Value::Object(object)
}

fn name(event: &Event) -> &'static str {
    use engine::canonical::Code;
    event.kind().name()
}

/// How an event's numbers are written; what is not known is written as it is.
#[derive(Default)]
struct Units {
    /// Mantissa and decimals.
    tick: Option<(u64, u8)>,
    lot: Option<(u64, u8)>,
    amount: Option<u8>,
}

impl Units {
    fn of(view: &AdminView, event: &Event) -> Self {
        match event {
            Event::BalanceChanged(event) => Self::of_asset(view, event.asset),
            Event::InstrumentListed(event) => {
                Self { tick: None, lot: None, ..Self::of_instrument(view, event.command.instrument) }
            }
            Event::InstrumentLimitsSet(event) => Self::of_instrument(view, event.command.instrument),
            Event::TradeBusted(event) => Self::of_instrument(view, event.instrument),
            _ => Self::default(),
        }
    }

    fn of_command(view: &AdminView, command: &CommandBody) -> Self {
        match command {
            CommandBody::Deposit(command) => Self::of_asset(view, command.asset),
            CommandBody::Withdraw(command) => Self::of_asset(view, command.asset),
            CommandBody::AdjustBalance(command) => Self::of_asset(view, command.asset),
            CommandBody::SetInstrumentLimits(command) => Self::of_instrument(view, command.instrument),
            _ => Self::default(),
        }
    }

    fn of_instrument(view: &AdminView, id: InstrumentId) -> Self {
        let listing = view.instrument(id).map(|instrument| &instrument.listing);
        listing.map_or_else(Self::default, |listing| Self {
            tick: Some((listing.tick, listing.tick_decimals)),
            lot: Some((listing.lot, listing.lot_decimals)),
            amount: view.decimals(listing.quote),
        })
    }

    fn of_asset(view: &AdminView, id: AssetId) -> Self {
        Self { amount: view.decimals(id), ..Self::default() }
    }

    fn record(&self, object: &mut Map<String, Value>, record: &dyn Fields) {
        record.fields(&mut |name, value| {
            let (name, value) = match value {
                FieldValue::Record(inner) => {
                    let mut nested = Map::new();
                    self.record(&mut nested, inner);
                    (name.to_owned(), Value::Object(nested))
                }
                FieldValue::Price(price) if price.is_absent() => (name.to_owned(), Value::Null),
                FieldValue::Quantity(quantity) if quantity.is_absent() => (name.to_owned(), Value::Null),
                FieldValue::Amount(amount) if Amount(amount).is_absent() => (name.to_owned(), Value::Null),
                FieldValue::Price(Price(ticks)) => stepped(name, ticks, self.tick, "ticks"),
                FieldValue::Quantity(Quantity(lots)) => stepped(name, lots, self.lot, "lots"),
                FieldValue::Amount(amount) => match self.amount {
                    Some(decimals) => (name.to_owned(), json!(decimal(amount, decimals))),
                    None => (format!("{name}_units"), json!(amount.to_string())),
                },
                FieldValue::SignedAmount(amount) => match self.amount {
                    Some(decimals) => (name.to_owned(), json!(signed_decimal(amount, decimals))),
                    None => (format!("{name}_units"), json!(amount.to_string())),
                },
                FieldValue::Unsigned(number) => (name.to_owned(), json!(number)),
                FieldValue::Signed(number) => (name.to_owned(), json!(number)),
                FieldValue::Code(code) => (name.to_owned(), json!(code)),
                FieldValue::Text(text) => (name.to_owned(), json!(text)),
                FieldValue::Bytes(bytes) => {
                    (name.to_owned(), json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()))
                }
            };
            object.insert(name, value);
        });
    }
}

fn stepped(name: &str, count: u64, step: Option<(u64, u8)>, unit: &str) -> (String, Value) {
    match step {
        Some((step, decimals)) => (name.to_owned(), json!(decimal(u128::from(count) * u128::from(step), decimals))),
        None => (format!("{name}_{unit}"), json!(count.to_string())),
    }
}
