//! What an account or an instrument was: fields and lists, for a table or JSON.

use engine::canonical::Field;
use engine::{AccountId, Amount, Engine, InstrumentId, RestingOrder, Side};
use serde_json::{Map, Value, json};

use crate::admin::value::TimeText;
use crate::records::value;

/// How a book is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    Levels,
    Orders,
}

/// Balances and open orders.
pub(super) fn account(engine: &Engine, account: AccountId) -> Map<String, Value> {
    let mut state = as_of(engine);
    let Some(settings) = engine.accounts().find(|settings| settings.account == account) else {
        state.insert("open".into(), "there is no such account".into());
        return state;
    };
    state.insert("kill_switch".into(), shown(&settings.kill_switch));
    let balances = engine.assets().filter_map(|asset| {
        let balance = engine.balance(account, asset.asset)?;
        let is_empty = balance.available == Amount(0) && balance.held == Amount(0);
        (!is_empty).then(|| {
            json!({
                "asset": asset.name.as_str(),
                "available": shown(&balance.available),
                "held": shown(&balance.held),
            })
        })
    });
    state.insert("balances".into(), balances.collect());
    let listings: Vec<_> = engine.listings().collect();
    let orders = listings.iter().flat_map(|listing| {
        let theirs = all_orders(engine, listing.instrument).filter(move |order| order.account == account);
        theirs.map(|order| object(&order, &[("instrument", listing.name.as_str().into())]))
    });
    state.insert("orders".into(), orders.collect());
    state
}

/// Phase and book.
pub(super) fn instrument(engine: &Engine, instrument: InstrumentId, detail: Detail) -> Map<String, Value> {
    let mut state = as_of(engine);
    let Some(listing) = engine.listing(instrument) else {
        state.insert("listed".into(), "there is no such instrument".into());
        return state;
    };
    state.insert("name".into(), listing.name.as_str().into());
    state.insert("phase".into(), engine.phase(instrument).map(|phase| shown(&phase)).into());
    state.insert("reference".into(), engine.reference(instrument).map(|price| shown(&price)).into());
    for (name, side) in [("bids", Side::Buy), ("asks", Side::Sell)] {
        let levels = engine.levels(instrument, side).map(|level| {
            json!({
                "price": shown(&level.price),
                "quantity": level.quantity.to_string(),
                "shown": level.shown.to_string(),
                "orders": level.order_count,
            })
        });
        state.insert(name.into(), levels.collect());
    }
    if detail == Detail::Orders {
        let orders = all_orders(engine, instrument).map(|order| object(&order, &[]));
        state.insert("orders".into(), orders.collect());
    }
    state
}

fn as_of(engine: &Engine) -> Map<String, Value> {
    let last = engine.last();
    let mut state = Map::new();
    state.insert("behind".into(), last.sequence.0.into());
    state.insert("time".into(), TimeText(last.time).to_string().into());
    state
}

/// Every open order of an instrument: buys and then sells, each from the one that trades first; then stops, market orders
/// and what waits for the close.
fn all_orders(engine: &Engine, instrument: InstrumentId) -> impl Iterator<Item = RestingOrder> + '_ {
    let sides = [Side::Buy, Side::Sell];
    let resting = sides.into_iter().flat_map(move |side| engine.orders(instrument, side));
    let stops = sides.into_iter().flat_map(move |side| engine.stops(instrument, side));
    let market = sides.into_iter().flat_map(move |side| engine.market_orders(instrument, side));
    resting.chain(stops).chain(market).chain(engine.waiting_for_close(instrument))
}

fn object(order: &RestingOrder, before: &[(&str, Value)]) -> Value {
    let mut object: Map<_, _> = before.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let fields: [(&str, &dyn Field); 11] = [
        ("order_id", &order.order_id),
        ("account", &order.account),
        ("client_order_id", &order.client_order_id),
        ("side", &order.side),
        ("order_type", &order.order_type),
        ("time_in_force", &order.time_in_force),
        ("price", &order.price),
        ("stop_price", &order.stop_price),
        ("leaves", &order.leaves),
        ("shown", &order.shown),
        ("cumulative", &order.cumulative),
    ];
    object.extend(fields.map(|(name, field)| (name.to_owned(), value(&field.value()))));
    object.into()
}

fn shown(field: &impl Field) -> Value {
    value(&field.value())
}
