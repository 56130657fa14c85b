//! What each `op` of a script sends to the engine.

use engine::command::{
    AddAsset, AdjustBalance, AdminNote, BustTrade, CalendarAction, CancelOrder, DelistInstrument, Deposit, KillSwitch,
    ListInstrument, MassCancel, NewOrder, OpenAccount, ReplaceOrder, SetCalendarEntry, SetFees, SetPhase,
    SetPriceProtection, SetRandomSeed, Switch, Withdraw,
};
use engine::instrument::{Distance, FeeRates, Holds, Phase, PriceProtection};
use engine::order::{OnDisconnect, OrderFlags, OrderType, SelfTradePrevention, TimeInForce};
use engine::{
    AccountId, Amount, AssetId, ClientOrderId, CommandBody, Event, EventHeader, InstrumentId, Nanoseconds, OrderId,
    Price, Quantity, SessionId, StpGroup, Text, Timestamp, TradeId,
};

use super::line::{Flag, Line};
use super::names::{InstrumentUnits, Names};
use super::{render, words};
use crate::decimal::{Decimal, Unit};
use crate::driver::Driver;
use crate::failure::Failure;
use crate::json::Object;

/// Why a line was not carried out.
pub(super) enum Trouble {
    /// The line is malformed.
    Script(String),
    /// The engine could not be driven.
    Driver(Failure),
}

impl From<String> for Trouble {
    fn from(message: String) -> Self {
        Self::Script(message)
    }
}

/// Carries out the lines of one script.
pub(super) struct Operations {
    driver: Driver,
    names: Names,
    now: Timestamp,
}

/// How an order is to be entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    /// As it says.
    AsGiven,
    /// So that it only rests: post-only where orders match, unless it is for an auction.
    Resting,
}

impl Operations {
    /// Into a new engine.
    pub(super) fn new(driver: Driver) -> Self {
        Self { driver, names: Names::default(), now: Timestamp::NONE }
    }

    /// Carries out one line; the events that it caused, as they are printed.
    pub(super) fn apply(&mut self, line: &mut Line) -> Result<Vec<Object>, Trouble> {
        let op = line.required("op")?;
        if op == "time" {
            return self.time(line);
        }
        let command = match op.as_str() {
            "asset" => self.asset(line)?.into(),
            "instrument" => self.instrument(line)?.into(),
            "account" => self.account(line)?.into(),
            "deposit" => self.deposit(line)?.into(),
            "new" => self.new_order(line, Entry::AsGiven)?.into(),
            "rest" => self.new_order(line, Entry::Resting)?.into(),
            "amend" => self.amend(line)?.into(),
            "cancel" => self.cancel(line)?.into(),
            "mass_cancel" => self.mass_cancel(line)?.into(),
            "phase" => self.phase(line)?.into(),
            "withdraw" => self.withdraw(line)?.into(),
            "adjust" => self.adjust(line)?.into(),
            "fees" => self.fees(line)?.into(),
            "kill" => self.kill(line)?.into(),
            "bust" => self.bust(line)?.into(),
            "delist" => self.delist(line)?.into(),
            "calendar" => self.calendar(line)?.into(),
            "protect" => self.protect(line)?.into(),
            "seed" => seed(line)?.into(),
            other => return Err(Trouble::Script(format!("field \"op\": {other:?} is not an operation"))),
        };
        line.finish()?;
        self.submit(command)
    }

    /// The last line.
    pub(super) fn finish(&mut self) -> Result<Object, Failure> {
        let digests = self.driver.finish()?;
        let mut object = Object::default();
        object.text("state_digest", digests.state);
        object.text("book_digest", digests.book);
        Ok(object)
    }

    fn submit(&mut self, command: CommandBody) -> Result<Vec<Object>, Trouble> {
        let events = self.driver.submit(self.now, command).map_err(Trouble::Driver)?;
        Ok(print_events(&mut self.names, events))
    }

    fn time(&mut self, line: &mut Line) -> Result<Vec<Object>, Trouble> {
        let time = line.time("ns")?.ok_or("field \"ns\" is missing".to_owned())?;
        line.finish()?;
        if time < self.now {
            return Err(Trouble::Script(format!("field \"ns\": {time} is before {}", self.now)));
        }
        self.now = time;
        let events = self.driver.advance(time).map_err(Trouble::Driver)?;
        Ok(print_events(&mut self.names, events))
    }

    fn asset(&mut self, line: &mut Line) -> Result<AddAsset, String> {
        let name = line.required("asset")?;
        let decimals = line.parsed("decimals", "a number of digits", |text| text.parse().ok())?.unwrap_or(0);
        Ok(AddAsset { asset: self.names.asset(&name), name: text(&name), decimals, note: AdminNote::NONE })
    }

    fn instrument(&mut self, line: &mut Line) -> Result<ListInstrument, String> {
        let name = line.required("instrument")?;
        let tick = step(line, "tick")?;
        let lot = step(line, "lot")?;
        Ok(ListInstrument {
            instrument: self.names.instrument(&name),
            name: text(&name),
            base: self.asset_named(line, "base"),
            quote: self.asset_named(line, "quote"),
            tick: tick.mantissa,
            tick_decimals: tick.decimals,
            lot: lot.mantissa,
            lot_decimals: lot.decimals,
            reference: price(line, "reference", tick)?,
            holds: line.parsed("holds", "on or off", words::holds)?.unwrap_or(Holds::Off),
            self_trade_prevention: stp(line)?.unwrap_or(SelfTradePrevention::Allow),
            phase: line.parsed("phase", "a phase", words::phase)?.unwrap_or(Phase::Continuous),
            note: AdminNote::NONE,
        })
    }

    fn account(&mut self, line: &mut Line) -> Result<OpenAccount, String> {
        let name = line.required("account")?;
        Ok(OpenAccount {
            account: self.names.account(&name),
            stp_group: line.text("group").map_or(StpGroup::NONE, |group| self.names.group(&group)),
            self_trade_prevention: stp(line)?,
            fee_tier: 0,
            note: AdminNote::NONE,
        })
    }

    fn deposit(&mut self, line: &mut Line) -> Result<Deposit, String> {
        let asset = self.asset_named(line, "asset");
        let unit = self.names.asset_unit(asset);
        Ok(Deposit {
            account: self.account_named(line),
            asset,
            amount: line.decimal("amount")?.map_or(Amount::ZERO, |decimal| decimal.amount(unit)),
            note: AdminNote::NONE,
        })
    }

    fn new_order(&mut self, line: &mut Line, entry: Entry) -> Result<NewOrder, String> {
        let account = self.account_named(line);
        let instrument = self.instrument_named(line);
        let units = self.names.units(instrument);
        let client_order_id = self.order_named(line, "id");
        let order_type = line.parsed("type", "an order type", words::order_type)?.unwrap_or(OrderType::Limit);
        let time_in_force = time_in_force(line)?.unwrap_or(default_time_in_force(order_type, units.phase));
        let order = NewOrder {
            account,
            instrument,
            client_order_id,
            side: line.parsed("side", "a side", words::side)?.ok_or("field \"side\" is missing")?,
            order_type,
            time_in_force,
            flags: flags(line, entry, time_in_force, units)?,
            self_trade_prevention: stp(line)?,
            on_disconnect: OnDisconnect::AsSession,
            price: price(line, "price", units.tick)?,
            quantity: quantity(line, "quantity", units.lot)?,
            funds: funds(line, self.names.asset_unit(units.quote))?,
            stop_price: price(line, "stop", units.tick)?,
            display_quantity: quantity(line, "display", units.lot)?,
            minimum_quantity: quantity(line, "minimum", units.lot)?,
            expire_at: line.time("expire")?.unwrap_or(Timestamp::NONE),
        };
        if !client_order_id.is_none() {
            self.names.order_sent(account, instrument, client_order_id);
        }
        Ok(order)
    }

    fn amend(&mut self, line: &mut Line) -> Result<ReplaceOrder, String> {
        let (account, original_client_order_id) = self.named_order(line);
        let instrument = match line.text("instrument") {
            Some(name) => self.names.instrument(&name),
            None => {
                self.names.place(account, original_client_order_id).unwrap_or_else(|| self.names.first_instrument())
            }
        };
        let units = self.names.units(instrument);
        Ok(ReplaceOrder {
            account,
            order_id: OrderId::NONE,
            original_client_order_id,
            client_order_id: self.order_named(line, "new_id"),
            order_type: line.parsed("type", "an order type", words::order_type)?,
            time_in_force: time_in_force(line)?,
            price: price(line, "price", units.tick)?,
            quantity: quantity(line, "quantity", units.lot)?,
            stop_price: price(line, "stop", units.tick)?,
            display_quantity: quantity(line, "display", units.lot)?,
            expire_at: line.time("expire")?.unwrap_or(Timestamp::NONE),
        })
    }

    fn cancel(&mut self, line: &mut Line) -> Result<CancelOrder, String> {
        let (account, original_client_order_id) = self.named_order(line);
        Ok(CancelOrder {
            account,
            order_id: OrderId::NONE,
            original_client_order_id,
            client_order_id: ClientOrderId::NONE,
        })
    }

    fn mass_cancel(&mut self, line: &mut Line) -> Result<MassCancel, String> {
        Ok(MassCancel {
            account: self.account_named(line),
            instrument: self.instrument_named(line),
            side: line.parsed("side", "a side", words::side)?,
            entered_by: SessionId::NONE,
            client_order_id: ClientOrderId::NONE,
            note: AdminNote::NONE,
        })
    }

    fn phase(&mut self, line: &mut Line) -> Result<SetPhase, String> {
        Ok(SetPhase {
            instrument: self.instrument_named(line),
            phase: line.parsed("phase", "a phase", words::phase)?.ok_or("field \"phase\" is missing")?,
            note: AdminNote::NONE,
        })
    }

    fn withdraw(&mut self, line: &mut Line) -> Result<Withdraw, String> {
        let Deposit { account, asset, amount, note } = self.deposit(line)?;
        Ok(Withdraw { account, asset, amount, note })
    }

    fn adjust(&mut self, line: &mut Line) -> Result<AdjustBalance, String> {
        let direction = line.parsed("direction", "credit or debit", words::direction)?;
        let direction = direction.ok_or("field \"direction\" is missing")?;
        let Deposit { account, asset, amount, note } = self.deposit(line)?;
        Ok(AdjustBalance { account, asset, direction, amount, note })
    }

    fn fees(&mut self, line: &mut Line) -> Result<SetFees, String> {
        let rate = |line: &mut Line, field| -> Result<i32, String> {
            Ok(line.parsed(field, "a rate in hundredths of a basis point", |text| text.parse().ok())?.unwrap_or(0))
        };
        Ok(SetFees {
            instrument: self.instrument_named(line),
            tier: line.parsed("tier", "a tier", |text| text.parse().ok())?.unwrap_or(0),
            rates: FeeRates { maker: rate(line, "maker")?, taker: rate(line, "taker")? },
            note: AdminNote::NONE,
        })
    }

    fn kill(&mut self, line: &mut Line) -> Result<KillSwitch, String> {
        let switch = line.parsed("switch", "engaged or lifted", words::switch)?.unwrap_or(Switch::Engaged);
        Ok(KillSwitch { account: self.account_named(line), switch, note: AdminNote::NONE })
    }

    fn bust(&mut self, line: &mut Line) -> Result<BustTrade, String> {
        let trade = line.parsed("trade", "a trade's number", |text| text.parse().ok().map(TradeId))?;
        Ok(BustTrade {
            instrument: self.instrument_named(line),
            trade_id: trade.ok_or("field \"trade\" is missing")?,
            note: AdminNote::NONE,
        })
    }

    fn delist(&mut self, line: &mut Line) -> Result<DelistInstrument, String> {
        Ok(DelistInstrument { instrument: self.instrument_named(line), note: AdminNote::NONE })
    }

    fn calendar(&mut self, line: &mut Line) -> Result<SetCalendarEntry, String> {
        let phase = line.parsed("phase", "a phase", words::phase)?;
        Ok(SetCalendarEntry {
            instrument: self.instrument_named(line),
            entry: line.parsed("entry", "a number", |text| text.parse().ok())?.unwrap_or(0),
            action: if phase.is_some() { CalendarAction::SetPhase } else { CalendarAction::Rollover },
            phase,
            at: line.time("at")?.ok_or("field \"at\" is missing")?,
            repeat: line.duration("repeat")?.unwrap_or(Nanoseconds::NONE),
            random_end: line.duration("random_end")?.unwrap_or(Nanoseconds::NONE),
            note: AdminNote::NONE,
        })
    }

    fn protect(&mut self, line: &mut Line) -> Result<SetPriceProtection, String> {
        let instrument = self.instrument_named(line);
        let before = self.names.protection(instrument);
        let protection = PriceProtection {
            entry_band: distance(line, "entry_band", before.entry_band)?,
            collar: distance(line, "collar", before.collar)?,
            market: distance(line, "market", before.market)?,
            auction: distance(line, "auction", before.auction)?,
            collar_action: line
                .parsed("collar_action", "cancel_remainder or volatility_call", words::declared)?
                .unwrap_or(before.collar_action),
            reference_source: line
                .parsed("reference_source", "last_trade or last_auction", words::declared)?
                .unwrap_or(before.reference_source),
            call_duration: line.duration("call_duration")?.unwrap_or(before.call_duration),
            call_random_end: line.duration("call_random_end")?.unwrap_or(before.call_random_end),
        };
        Ok(SetPriceProtection { instrument, protection, note: AdminNote::NONE })
    }

    /// The order that a line names, and whose it is: the account given, else who used the name last, else the first.
    fn named_order(&mut self, line: &mut Line) -> (AccountId, ClientOrderId) {
        let order = self.order_named(line, "id");
        let account = match line.text("account") {
            Some(name) => self.names.account(&name),
            None => self.names.owner(order).unwrap_or_else(|| self.names.first_account()),
        };
        (account, order)
    }

    fn order_named(&mut self, line: &mut Line, field: &str) -> ClientOrderId {
        line.text(field).map_or(ClientOrderId::NONE, |name| self.names.order(&name))
    }

    fn account_named(&mut self, line: &mut Line) -> AccountId {
        line.text("account").map_or(AccountId::NONE, |name| self.names.account(&name))
    }

    fn instrument_named(&mut self, line: &mut Line) -> InstrumentId {
        line.text("instrument").map_or(InstrumentId::NONE, |name| self.names.instrument(&name))
    }

    fn asset_named(&mut self, line: &mut Line, field: &str) -> AssetId {
        line.text(field).map_or(AssetId::NONE, |name| self.names.asset(&name))
    }
}

/// Events as they are printed. Names learn from each before it is printed, because it may be the first to need it.
fn print_events(names: &mut Names, events: &[(EventHeader, Event)]) -> Vec<Object> {
    let print = |(header, event): &(EventHeader, Event)| {
        learn(names, event);
        render::event(names, header, event)
    };
    events.iter().map(print).collect()
}

fn learn(names: &mut Names, event: &Event) {
    match event {
        Event::AssetAdded(added) => names.asset_added(added.command.asset, added.command.decimals),
        Event::InstrumentListed(listed) => names.instrument_listed(&listed.command),
        Event::PhaseChanged(changed) => names.phase_changed(changed.instrument, changed.to),
        Event::PriceProtectionSet(set) => names.protected(set.command.instrument, set.command.protection),
        Event::OrderAccepted(accepted) => {
            let order = &accepted.order;
            names.order_accepted(accepted.report.account, order.instrument, order.order_id, order.client_order_id);
        }
        Event::OrderReplaced(replaced) => {
            let order = &replaced.order;
            names.order_accepted(replaced.report.account, order.instrument, order.order_id, order.client_order_id);
        }
        _ => {}
    }
}

fn flags(
    line: &mut Line,
    entry: Entry,
    time_in_force: TimeInForce,
    units: InstrumentUnits,
) -> Result<OrderFlags, String> {
    let for_an_auction = matches!(time_in_force, TimeInForce::AtTheOpening | TimeInForce::AtTheClose);
    let post_only = match (line.flag("post_only")?, entry) {
        (Some(flag), _) => flag == Flag::Set,
        (None, Entry::AsGiven) => false,
        (None, Entry::Resting) => orders_match(units.phase) && !for_an_auction,
    };
    Ok(if post_only { OrderFlags::POST_ONLY } else { OrderFlags::NONE })
}

fn orders_match(phase: Phase) -> bool {
    matches!(phase, Phase::Continuous | Phase::PostOnly | Phase::LimitOnly)
}

/// A market order that cannot match at once would be refused as ImmediateOrCancel; in a call it stands.
fn default_time_in_force(order_type: OrderType, phase: Phase) -> TimeInForce {
    match order_type {
        OrderType::Market if orders_match(phase) => TimeInForce::ImmediateOrCancel,
        OrderType::Market | OrderType::Limit | OrderType::Stop | OrderType::StopLimit => TimeInForce::GoodTillCancel,
    }
}

fn distance(line: &mut Line, field: &str, before: Distance) -> Result<Distance, String> {
    Ok(line.parsed(field, "a distance, such as 5t, 50000ppm or none", words::distance)?.unwrap_or(before))
}

fn seed(line: &mut Line) -> Result<SetRandomSeed, String> {
    let seed = line.parsed("seed", "64 hexadecimal digits", words::seed)?.ok_or("field \"seed\" is missing")?;
    Ok(SetRandomSeed { seed, note: AdminNote::NONE })
}

fn time_in_force(line: &mut Line) -> Result<Option<TimeInForce>, String> {
    line.parsed("tif", "a time in force", words::time_in_force)
}

fn stp(line: &mut Line) -> Result<Option<SelfTradePrevention>, String> {
    line.parsed("stp", "none, cn, co, cb or dc", words::self_trade_prevention)
}

fn step(line: &mut Line, field: &str) -> Result<Unit, String> {
    Ok(line.parsed(field, "a step", |text| Decimal::parse(text)?.unit())?.unwrap_or(Unit::ONE))
}

fn price(line: &mut Line, field: &str, tick: Unit) -> Result<Price, String> {
    Ok(line.decimal(field)?.map_or(Price::ABSENT, |decimal| decimal.price(tick)))
}

fn quantity(line: &mut Line, field: &str, lot: Unit) -> Result<Quantity, String> {
    Ok(line.decimal(field)?.map_or(Quantity::ABSENT, |decimal| decimal.quantity(lot)))
}

fn funds(line: &mut Line, unit: Unit) -> Result<Amount, String> {
    Ok(line.decimal("funds")?.map_or(Amount::ABSENT, |decimal| decimal.amount(unit)))
}

/// As much of a name as the engine carries. It is told apart by its identity, and printed as the caller wrote it.
fn text(name: &str) -> Text<16> {
    let carried: String = name.chars().filter(|character| matches!(character, ' '..='~')).take(16).collect();
    Text::new(&carried).unwrap_or(Text::EMPTY)
}
