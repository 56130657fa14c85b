//! An account's trades of before: from the event history, newest first, whichever session entered the orders.

use engine::event::{Trade, TradeSide};
use engine::{AccountId, Event, EventHeader, Side};
use journal::{Direction, Key, Query};
use serde_json::{Value, json};

use super::Shared;
use super::login::Refused;
use crate::admin::AdminView;
use crate::admin::value::{decimal, signed_decimal};

/// Trades that are told.
const TRADES: usize = 100;
/// Events that are looked over for them.
const EVENTS_MAX: usize = 20_000;

impl Shared {
    /// The account's last trades. It reads files, and belongs on a thread that may wait.
    pub(super) fn fills(&self, account: AccountId) -> Result<Value, Refused> {
        let Some(history) = self.history.get() else { return Ok(json!([])) };
        let query = Query { key: Some(Key::Account(account)), direction: Direction::Backward, ..Query::default() };
        let mut trades: Vec<(EventHeader, Trade)> = Vec::new();
        for happened in history.events(&query).take(EVENTS_MAX) {
            let (header, event) = happened.map_err(|error| Refused::Failed(error.to_string()))?;
            if let Event::Trade(trade) = event {
                trades.push((header, trade));
            }
            if trades.len() >= TRADES {
                break;
            }
        }
        Ok(self
            .door
            .desk()
            .look(|view| trades.iter().flat_map(|(header, trade)| fills_of(view, account, header, trade)).collect()))
    }
}

/// A trade with oneself is two.
fn fills_of(view: &AdminView, account: AccountId, header: &EventHeader, trade: &Trade) -> Vec<Value> {
    let took = |is_taker: bool| trade.aggressor.map(|_| is_taker);
    let sides = [(&trade.maker, took(false)), (&trade.taker, took(true))];
    let own = sides.into_iter().filter(|(side, _)| side.report.account == account);
    own.filter_map(|(side, took)| fill(view, header, trade, side, took)).collect()
}

fn fill(view: &AdminView, header: &EventHeader, trade: &Trade, side: &TradeSide, took: Option<bool>) -> Option<Value> {
    let listing = &view.instrument(trade.instrument)?.listing;
    let steps = |count: u64, step: u64, decimals| decimal(u128::from(count) * u128::from(step), decimals);
    let fee = view.decimals(listing.quote).map(|decimals| signed_decimal(side.fee.0, decimals));
    Some(json!({
        "trade_id": trade.trade_id.0.to_string(),
        "order_id": side.order_id.0.to_string(),
        "instrument": listing.name.as_str(),
        "side": if side.side == Side::Buy { "buy" } else { "sell" },
        "price": steps(trade.price.0, listing.tick, listing.tick_decimals),
        "quantity": steps(trade.quantity.0, listing.lot, listing.lot_decimals),
        "fee": fee,
        "fee_asset": view.asset_name(listing.quote),
        "took": took,
        "time": header.time.0.to_string(),
    }))
}
