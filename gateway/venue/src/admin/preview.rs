//! What a change would do, as far as the door knows: it looks at what was released, and asks nobody.
//!
//! What an order holds, who would trade in an auction and whether an idempotency key was used is the core's to know. A look
//! that finds a reason to refuse is right as of then; one that finds none promises nothing.

use engine::canonical::Code;
use engine::command::{Direction, Switch};
use engine::{AccountId, AssetId, CommandBody, InstrumentId, KeyId, RejectReason, Timestamp};
use serde_json::{Value, json};

use super::open_orders::OpenOrders;
use super::value::{decimal, signed_decimal};
use super::view::AdminView;

/// Why the venue would refuse, if the door knows.
pub(crate) fn refusal(view: &AdminView, command: &CommandBody) -> Option<RejectReason> {
    let instrument = |id: InstrumentId| view.instrument(id).is_none().then_some(RejectReason::UnknownInstrument);
    let account = |id: AccountId| (!view.knows_account(id)).then_some(RejectReason::UnknownAccount);
    let asset = |id: AssetId| view.decimals(id).is_none().then_some(RejectReason::UnknownAsset);
    let key = |id: KeyId| match view.key_row(id) {
        None => Some(RejectReason::UnknownKey),
        Some(row) => (row.state == "Revoked").then_some(RejectReason::KeyRevoked),
    };
    let exists = |exists: bool| exists.then_some(RejectReason::AlreadyExists);
    match command {
        CommandBody::AddAsset(it) => exists(view.decimals(it.asset).is_some()),
        CommandBody::ListInstrument(it) => exists(view.instrument(it.instrument).is_some()),
        CommandBody::DelistInstrument(it) => instrument(it.instrument),
        CommandBody::SetInstrumentLimits(it) => instrument(it.instrument),
        CommandBody::SetPriceProtection(it) => instrument(it.instrument),
        CommandBody::SetFees(it) => instrument(it.instrument),
        CommandBody::SetPhase(it) => instrument(it.instrument),
        CommandBody::SetCalendarEntry(it) => instrument(it.instrument),
        CommandBody::RemoveCalendarEntry(it) => instrument(it.instrument),
        CommandBody::BustTrade(it) => instrument(it.instrument),
        CommandBody::OpenAccount(it) => exists(view.knows_account(it.account)),
        CommandBody::ModifyAccount(it) => account(it.account),
        CommandBody::SetAccountLimits(it) => account(it.account),
        CommandBody::KillSwitch(it) => account(it.account),
        CommandBody::Deposit(it) => account(it.account).or_else(|| asset(it.asset)),
        CommandBody::Withdraw(it) => {
            account(it.account).or_else(|| asset(it.asset)).or_else(|| lacks(view, it.account, it.asset, it.amount.0))
        }
        CommandBody::AdjustBalance(it) if it.direction == Direction::Debit => {
            account(it.account).or_else(|| asset(it.asset)).or_else(|| lacks(view, it.account, it.asset, it.amount.0))
        }
        CommandBody::AdjustBalance(it) => account(it.account).or_else(|| asset(it.asset)),
        CommandBody::MassCancel(it) if !it.account.is_none() => account(it.account),
        CommandBody::AddKey(it) => exists(view.key_row(it.key).is_some()),
        CommandBody::RevokeKey(it) => key(it.key),
        CommandBody::AllowAddress(it) => key(it.key),
        CommandBody::GrantRole(it) => key(it.key),
        CommandBody::RevokeRole(it) => key(it.key),
        _ => None,
    }
}

fn lacks(view: &AdminView, account: AccountId, asset: AssetId, amount: u128) -> Option<RejectReason> {
    let has = u128::try_from(view.total(account, asset)).unwrap_or_default();
    (has < amount).then_some(RejectReason::InsufficientFunds)
}

/// What would be another way than it is.
pub(crate) fn effect(view: &AdminView, open: &OpenOrders, command: &CommandBody, now: Timestamp) -> Value {
    let instrument = |id: InstrumentId| view.known_instrument(id, now);
    let account = |id: AccountId| json!({ "account": view.account_row(id) });
    let transfer = |account: AccountId, asset: AssetId, change: i128| {
        let decimals = view.decimals(asset).unwrap_or_default();
        let total = view.total(account, asset);
        let text = |units| signed_decimal(units, decimals);
        json!({ "total": text(total), "total_after": text(total.saturating_add(change)) })
    };
    let units = |amount: u128| i128::try_from(amount).unwrap_or(i128::MAX);
    match command {
        CommandBody::KillSwitch(it) => {
            let orders = if it.switch == Switch::Engaged { open.count(Some(it.account), None) } else { 0 };
            let from = view.account_row(it.account).map(|row| row.kill_switch);
            json!({ "kill_switch": { "from": from, "to": it.switch.name() }, "orders_cancelled": orders })
        }
        CommandBody::MassCancel(it) => {
            let account = (!it.account.is_none()).then_some(it.account);
            let within = (!it.instrument.is_none()).then_some(it.instrument);
            let count = open.count(account, within);
            // The counts know neither sides nor sessions.
            match it.side.is_some() || !it.entered_by.is_none() {
                true => json!({ "orders_cancelled_max": count }),
                false => json!({ "orders_cancelled": count }),
            }
        }
        CommandBody::DelistInstrument(it) => json!({
            "instrument": instrument(it.instrument).map(|row| row.name),
            "orders_cancelled": open.count(None, Some(it.instrument)),
            "accounts_with_orders": open.account_count(it.instrument),
        }),
        CommandBody::SetPhase(it) => json!({
            "phase": { "from": instrument(it.instrument).map(|row| row.phase), "to": it.phase.name() },
            "orders_open": open.count(None, Some(it.instrument)),
        }),
        CommandBody::BustTrade(it) => {
            let known = view.known_trade(it.instrument, it.trade_id).zip(view.instrument(it.instrument));
            let trade = known.map(|(trade, instrument)| {
                let listing = &instrument.listing;
                let steps = |count: u64, step: u64| u128::from(count) * u128::from(step);
                json!({
                    "price": decimal(steps(trade.price.0, listing.tick), listing.tick_decimals),
                    "quantity": decimal(steps(trade.quantity.0, listing.lot), listing.lot_decimals),
                    "accounts": trade.accounts.map(|account| account.0),
                })
            });
            json!({ "trade": trade })
        }
        CommandBody::Deposit(it) => transfer(it.account, it.asset, units(it.amount.0)),
        CommandBody::Withdraw(it) => transfer(it.account, it.asset, -units(it.amount.0)),
        CommandBody::AdjustBalance(it) => match it.direction {
            Direction::Credit => transfer(it.account, it.asset, units(it.amount.0)),
            Direction::Debit => transfer(it.account, it.asset, -units(it.amount.0)),
        },
        CommandBody::SetInstrumentLimits(it) => json!({ "limits": instrument(it.instrument).map(|row| row.limits) }),
        CommandBody::SetFees(it) => json!({ "fees": instrument(it.instrument).map(|row| row.fees) }),
        CommandBody::SetPriceProtection(it) => {
            json!({ "protection": instrument(it.instrument).map(|row| row.protection) })
        }
        CommandBody::SetCalendarEntry(it) => json!({ "calendar": instrument(it.instrument).map(|row| row.calendar) }),
        CommandBody::RemoveCalendarEntry(it) => {
            json!({ "calendar": instrument(it.instrument).map(|row| row.calendar) })
        }
        CommandBody::ModifyAccount(it) => account(it.account),
        CommandBody::SetAccountLimits(it) => account(it.account),
        CommandBody::RevokeKey(it) => {
            json!({ "key": view.key_row(it.key), "sessions_ended": view.open_session_count(it.key) })
        }
        CommandBody::AllowAddress(it) => json!({ "key": view.key_row(it.key) }),
        CommandBody::GrantRole(it) => json!({ "key": view.key_row(it.key) }),
        CommandBody::RevokeRole(it) => json!({ "key": view.key_row(it.key) }),
        _ => json!({}),
    }
}
