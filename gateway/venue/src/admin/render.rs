//! An event as an operator reads it: every field by name, in decimals where the venue knows how.
//!
//! A value whose unit is not known, such as an account's bound that holds in every instrument, says in its name what it
//! counts: ticks, lots, units.

use engine::{AssetId, CommandBody, Event, EventHeader, InstrumentId};
use serde_json::{Map, Value, json};

use super::view::AdminView;
use crate::records::Scales;

/// The answer that says what happened.
pub(crate) fn event(view: &AdminView, header: &EventHeader, event: &Event) -> Value {
    let mut object = Map::new();
    object.insert("sequence".to_owned(), json!(header.id.sequence.0));
    object.insert("time".to_owned(), json!(header.time.0));
    object.insert("event".to_owned(), json!(name(event)));
    scales(view, event).add(&mut object, event.record());
    Value::Object(object)
}

/// What a command would be.
pub(crate) fn command(view: &AdminView, command: &CommandBody) -> Value {
    let mut object = Map::new();
    scales_of_command(view, command).add(&mut object, command.record());
    Value::Object(object)
}

fn name(event: &Event) -> &'static str {
    use engine::canonical::Code;
    event.kind().name()
}

/// How an event's numbers are written; what is not known is written as it is.
fn scales(view: &AdminView, event: &Event) -> Scales {
    match event {
        Event::BalanceChanged(event) => of_asset(view, event.asset),
        Event::InstrumentListed(event) => {
            Scales { tick: None, lot: None, ..of_instrument(view, event.command.instrument) }
        }
        Event::InstrumentLimitsSet(event) => of_instrument(view, event.command.instrument),
        Event::TradeBusted(event) => of_instrument(view, event.instrument),
        _ => Scales::default(),
    }
}

fn scales_of_command(view: &AdminView, command: &CommandBody) -> Scales {
    match command {
        CommandBody::Deposit(command) => of_asset(view, command.asset),
        CommandBody::Withdraw(command) => of_asset(view, command.asset),
        CommandBody::AdjustBalance(command) => of_asset(view, command.asset),
        CommandBody::SetInstrumentLimits(command) => of_instrument(view, command.instrument),
        _ => Scales::default(),
    }
}

fn of_instrument(view: &AdminView, id: InstrumentId) -> Scales {
    let listing = view.instrument(id).map(|instrument| &instrument.listing);
    listing.map_or_else(Scales::default, |listing| Scales {
        tick: Some((listing.tick, listing.tick_decimals)),
        lot: Some((listing.lot, listing.lot_decimals)),
        amount: view.decimals(listing.quote),
    })
}

fn of_asset(view: &AdminView, id: AssetId) -> Scales {
    Scales { amount: view.decimals(id), ..Scales::default() }
}
