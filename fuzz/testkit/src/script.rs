//! A stream as a script for `flow script`: the grammar is at the end of `docs/MATCHING_RULES.md`.
//!
//! A script has no sessions, no keys and no settings but those of its operations; a stream with others cannot be said.
//! Names are made of identities: account 2 is `a2`, instrument 1 is `i1`, client order id 7 is `o7`.

use std::collections::BTreeMap;

use engine::canonical::Code;
use engine::command::*;
use engine::instrument::{Distance, DistanceUnit, Holds, PriceProtection};
use engine::*;
use serde_json::{Map, Value};

use crate::model::Model;
use crate::model::administration::note_of;
use crate::stream::{References, Step};

/// The script's lines, or the first step that cannot be said and why.
pub fn script(steps: &[Step], capacity: Capacity) -> Result<String, String> {
    let mut writer = Writer::new(capacity);
    let mut lines = String::new();
    for step in steps {
        let said = writer.step(step).map_err(|why| format!("step {}: {why}", step.name))?;
        lines.extend(said.into_iter().map(|line| Value::Object(line).to_string() + "\n"));
    }
    Ok(lines)
}

type Object = Map<String, Value>;
type Said = Result<Object, &'static str>;

/// Names, units and times as the script has them so far: what a model makes of the stream.
struct Writer {
    model: Model,
    names: References,
    last: Stamp,
    /// Account, instrument and present name of the model's orders.
    orders: BTreeMap<OrderId, (AccountId, InstrumentId, ClientOrderId)>,
    listings: BTreeMap<InstrumentId, ListInstrument>,
    decimals: BTreeMap<AssetId, u8>,
}

/// One line under construction.
struct Line(Object);

impl Line {
    fn new(op: &str) -> Self {
        Self(Object::from_iter([("op".to_owned(), op.into())]))
    }

    fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name.to_owned(), value.into());
        self
    }

    fn with_some(self, name: &str, value: Option<impl Into<Value>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }
}

/// Of how many units a step is, and of which decimals.
#[derive(Clone, Copy)]
struct Unit {
    mantissa: u64,
    decimals: u8,
}

impl Unit {
    const ONE: Self = Self { mantissa: 1, decimals: 0 };

    /// So many steps as a decimal number.
    fn times(self, count: u128) -> Option<String> {
        let units = count.checked_mul(self.mantissa.into())?;
        Some(format!("{units}e-{}", self.decimals))
    }

    /// Half a step: what is off it.
    fn half(self) -> String {
        format!("{}e-{}", u128::from(self.mantissa) * 5, self.decimals + 1)
    }

    fn price(self, price: Price) -> Option<String> {
        match price {
            Price::ABSENT => None,
            Price::OFF_TICK => Some(self.half()),
            price => self.times(price.0.into()),
        }
    }

    fn quantity(self, quantity: Quantity) -> Option<String> {
        match quantity {
            Quantity::ABSENT => None,
            Quantity::OFF_LOT => Some(self.half()),
            quantity => self.times(quantity.0.into()),
        }
    }
}

impl Writer {
    fn new(capacity: Capacity) -> Self {
        Self {
            model: Model::new(capacity),
            names: References::default(),
            last: Stamp { sequence: Sequence::NONE, time: Timestamp::NONE },
            orders: BTreeMap::new(),
            listings: BTreeMap::new(),
            decimals: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: &Step) -> Result<Vec<Object>, &'static str> {
        let mut lines = Vec::new();
        let time = self.last.time.max(step.at);
        if time > self.last.time {
            lines.push(Line::new("time").with("ns", time.0).0);
        }
        let due = self.model.next_deadline();
        if due <= time && due != Timestamp::NEVER {
            self.apply(time, Command::from_venue(AdvanceTime {}), 0);
        }
        if step.command.header.session != SessionId::NONE || step.command.header.author != KeyId::VENUE {
            return Err("a script has no sessions and keys");
        }
        let resolved = self.names.resolve(&step.command);
        lines.push(self.line(&resolved.body)?);
        self.apply(time, step.command, step.name);
        Ok(lines)
    }

    fn apply(&mut self, time: Timestamp, command: Command, name: u32) {
        let stamp = Stamp { sequence: self.last.sequence.next(), time };
        self.last = stamp;
        let events = self.model.apply(&Sequenced { stamp, value: self.names.resolve(&command) });
        self.names.learn(name, &events);
        for event in events {
            match event {
                Event::AssetAdded(added) => {
                    self.decimals.insert(added.command.asset, added.command.decimals);
                }
                Event::InstrumentListed(listed) => {
                    self.listings.insert(listed.command.instrument, listed.command);
                }
                Event::OrderAccepted(event) => self.learn(event.report.account, &event.order),
                Event::OrderReplaced(event) => self.learn(event.report.account, &event.order),
                _ => {}
            }
        }
    }

    fn learn(&mut self, account: AccountId, order: &event::OrderState) {
        self.orders.insert(order.order_id, (account, order.instrument, order.client_order_id));
    }

    fn line(&self, body: &CommandBody) -> Said {
        if !note_of(body).idempotency_key.is_none() {
            return Err("a script has no idempotency keys");
        }
        let line = match body {
            CommandBody::AddAsset(it) => {
                Line::new("asset").with("asset", asset(it.asset)?).with("decimals", it.decimals)
            }
            CommandBody::ListInstrument(it) => listing(it)?,
            CommandBody::OpenAccount(it) if it.fee_tier == 0 => Line::new("account")
                .with("account", account(it.account)?)
                .with_some("stp", it.self_trade_prevention.map(Code::name))
                .with_some("group", (!it.stp_group.is_none()).then(|| format!("g{}", it.stp_group))),
            CommandBody::Deposit(it) => self.amount("deposit", it.account, it.asset, it.amount)?,
            CommandBody::Withdraw(it) => self.amount("withdraw", it.account, it.asset, it.amount)?,
            CommandBody::AdjustBalance(it) => {
                self.amount("adjust", it.account, it.asset, it.amount)?.with("direction", it.direction.name())
            }
            CommandBody::NewOrder(it) => self.new_order(it)?,
            CommandBody::ReplaceOrder(it) => self.amend(it)?,
            CommandBody::CancelOrder(it) if it.client_order_id.is_none() => {
                let (name, _) = self.named(it.account, it.order_id, it.original_client_order_id)?;
                Line::new("cancel").with("id", name).with("account", account(it.account)?)
            }
            CommandBody::MassCancel(it) if it.entered_by.is_none() && it.client_order_id.is_none() => {
                Line::new("mass_cancel")
                    .with_some("account", filter(it.account, account, AccountId::NONE)?)
                    .with_some("instrument", filter(it.instrument, instrument, InstrumentId::NONE)?)
                    .with_some("side", it.side.map(Code::name))
            }
            CommandBody::KillSwitch(it) => {
                Line::new("kill").with("account", account(it.account)?).with("switch", it.switch.name())
            }
            CommandBody::SetPhase(it) => {
                Line::new("phase").with("instrument", instrument(it.instrument)?).with("phase", it.phase.name())
            }
            CommandBody::SetFees(it) => Line::new("fees")
                .with("instrument", instrument(it.instrument)?)
                .with("tier", it.tier)
                .with("maker", it.rates.maker)
                .with("taker", it.rates.taker),
            CommandBody::BustTrade(it) => {
                Line::new("bust").with("instrument", instrument(it.instrument)?).with("trade", it.trade_id.0)
            }
            CommandBody::DelistInstrument(it) => Line::new("delist").with("instrument", instrument(it.instrument)?),
            CommandBody::SetCalendarEntry(it) => calendar(it)?,
            CommandBody::SetPriceProtection(it) => protect(it)?,
            CommandBody::SetRandomSeed(it) => {
                Line::new("seed").with("seed", it.seed.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
            }
            _ => return Err("no operation says this command"),
        };
        Ok(line.0)
    }

    fn amount(&self, op: &str, of: AccountId, in_asset: AssetId, amount: Amount) -> Result<Line, &'static str> {
        let amount = self.amount_unit(in_asset).times(amount.0).ok_or("the amount has too many digits")?;
        Ok(Line::new(op).with("account", account(of)?).with("asset", asset(in_asset)?).with("amount", amount))
    }

    fn amount_unit(&self, asset: AssetId) -> Unit {
        self.decimals.get(&asset).map_or(Unit::ONE, |&decimals| Unit { mantissa: 1, decimals })
    }

    fn units(&self, instrument: InstrumentId) -> (Unit, Unit) {
        self.listings.get(&instrument).map_or((Unit::ONE, Unit::ONE), |it| {
            let tick = Unit { mantissa: it.tick, decimals: it.tick_decimals };
            (tick, Unit { mantissa: it.lot, decimals: it.lot_decimals })
        })
    }

    fn new_order(&self, it: &NewOrder) -> Result<Line, &'static str> {
        if it.flags != OrderFlags::NONE && it.flags != OrderFlags::POST_ONLY {
            return Err("a script knows no such flag");
        }
        let (tick, lot) = self.units(it.instrument);
        let quote = self.listings.get(&it.instrument).map_or(AssetId::NONE, |listing| listing.quote);
        let funds = match it.funds {
            Amount::ABSENT => None,
            funds => Some(self.amount_unit(quote).times(funds.0).ok_or("the funds have too many digits")?),
        };
        Ok(Line::new("new")
            .with_some("id", name(it.client_order_id))
            .with("account", account(it.account)?)
            .with("instrument", instrument(it.instrument)?)
            .with("side", it.side.name())
            .with("type", it.order_type.name())
            .with("tif", it.time_in_force.name())
            .with_some("post_only", (it.flags == OrderFlags::POST_ONLY).then_some(true))
            .with_some("stp", it.self_trade_prevention.map(Code::name))
            .with_some("price", tick.price(it.price))
            .with_some("quantity", lot.quantity(it.quantity))
            .with_some("funds", funds)
            .with_some("stop", tick.price(it.stop_price))
            .with_some("display", lot.quantity(it.display_quantity))
            .with_some("minimum", lot.quantity(it.minimum_quantity))
            .with_some("expire", (!it.expire_at.is_none()).then_some(it.expire_at.0)))
    }

    fn amend(&self, it: &ReplaceOrder) -> Result<Line, &'static str> {
        let (id, in_instrument) = self.named(it.account, it.order_id, it.original_client_order_id)?;
        let (tick, lot) = in_instrument.map_or((Unit::ONE, Unit::ONE), |instrument| self.units(instrument));
        Ok(Line::new("amend")
            .with("id", id)
            .with("account", account(it.account)?)
            .with_some("new_id", name(it.client_order_id))
            .with_some("type", it.order_type.map(Code::name))
            .with_some("tif", it.time_in_force.map(Code::name))
            .with_some("price", tick.price(it.price))
            .with_some("quantity", lot.quantity(it.quantity))
            .with_some("stop", tick.price(it.stop_price))
            .with_some("display", lot.quantity(it.display_quantity))
            .with_some("expire", (!it.expire_at.is_none()).then_some(it.expire_at.0)))
    }

    /// How a script names the order, and what it is in.
    fn named(
        &self,
        account: AccountId,
        id: OrderId,
        original: ClientOrderId,
    ) -> Result<(String, Option<InstrumentId>), &'static str> {
        let by_id = self.orders.get(&id).filter(|order| order.0 == account);
        let by_name = || self.orders.values().rev().find(|order| (order.0, order.2) == (account, original));
        let known = if id.is_none() { by_name() } else { by_id };
        let own = known.map_or(original, |order| order.2);
        let name = name(own).ok_or("a script names orders by their client order id")?;
        if !id.is_none() && known.is_none() {
            return Err("a script names orders by their client order id");
        }
        Ok((name, known.map(|order| order.1)))
    }
}

fn listing(it: &ListInstrument) -> Result<Line, &'static str> {
    let tick = Unit { mantissa: it.tick, decimals: it.tick_decimals };
    let steps = (tick.times(1), Unit { mantissa: it.lot, decimals: it.lot_decimals }.times(1));
    let (Some(tick_step), Some(lot_step)) = steps else { return Err("the steps have too many digits") };
    Ok(Line::new("instrument")
        .with("instrument", instrument(it.instrument)?)
        .with_some("base", filter(it.base, asset, AssetId::NONE)?)
        .with_some("quote", filter(it.quote, asset, AssetId::NONE)?)
        .with("tick", tick_step)
        .with("lot", lot_step)
        .with_some("reference", tick.price(it.reference))
        .with("holds", if it.holds == Holds::On { "on" } else { "off" })
        .with("stp", it.self_trade_prevention.name())
        .with("phase", it.phase.name()))
}

fn calendar(it: &SetCalendarEntry) -> Result<Line, &'static str> {
    let fits = it.phase.is_some() == (it.action == CalendarAction::SetPhase);
    if !fits {
        return Err("a script has no such calendar entry");
    }
    Ok(Line::new("calendar")
        .with("instrument", instrument(it.instrument)?)
        .with("entry", it.entry)
        .with("at", it.at.0)
        .with("repeat", it.repeat.0)
        .with("random_end", it.random_end.0)
        .with_some("phase", it.phase.map(Code::name)))
}

/// Every field, whatever the instrument's protection was before.
fn protect(it: &SetPriceProtection) -> Result<Line, &'static str> {
    let PriceProtection { entry_band, collar, market, auction, .. } = it.protection;
    let mut line = Line::new("protect").with("instrument", instrument(it.instrument)?);
    for (name, bound) in [("entry_band", entry_band), ("collar", collar), ("market", market), ("auction", auction)] {
        line = line.with(name, distance(bound));
    }
    Ok(line
        .with("collar_action", it.protection.collar_action.name())
        .with("reference_source", it.protection.reference_source.name())
        .with("call_duration", it.protection.call_duration.0)
        .with("call_random_end", it.protection.call_random_end.0))
}

fn distance(it: Distance) -> String {
    match it.unit {
        DistanceUnit::Unlimited => "none".to_owned(),
        DistanceUnit::Ticks => format!("{}t", it.value),
        DistanceUnit::PartsPerMillion => format!("{}ppm", it.value),
    }
}

fn account(id: AccountId) -> Result<String, &'static str> {
    if id.is_none() || id == AccountId::FEES { Err("a script cannot name this account") } else { Ok(format!("a{id}")) }
}

fn instrument(id: InstrumentId) -> Result<String, &'static str> {
    if id.is_none() { Err("a script cannot name no instrument") } else { Ok(format!("i{id}")) }
}

fn asset(id: AssetId) -> Result<String, &'static str> {
    if id.is_none() { Err("a script cannot name no asset") } else { Ok(format!("s{id}")) }
}

fn name(id: ClientOrderId) -> Option<String> {
    (!id.is_none()).then(|| format!("o{id}"))
}

/// The name of what is given, if it is.
fn filter<T: PartialEq>(
    id: T,
    name: impl Fn(T) -> Result<String, &'static str>,
    none: T,
) -> Result<Option<String>, &'static str> {
    if id == none { Ok(None) } else { name(id).map(Some) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::instrument::{CollarAction, Phase, ReferenceSource};

    #[test]
    fn protection_seed_and_random_ends_are_said() {
        let (instrument, note) = (InstrumentId(1), AdminNote::NONE);
        let protection = PriceProtection {
            entry_band: Distance::ticks(5),
            collar: Distance::parts_per_million(50_000),
            auction: Distance::UNLIMITED,
            collar_action: CollarAction::VolatilityCall,
            reference_source: ReferenceSource::LastAuction,
            call_duration: Nanoseconds(7),
            call_random_end: Nanoseconds(3),
            ..PriceProtection::DEFAULT
        };
        let entry = SetCalendarEntry {
            instrument,
            entry: 2,
            action: CalendarAction::SetPhase,
            phase: Some(Phase::ClosingCall),
            at: Timestamp(9),
            repeat: Nanoseconds(60),
            random_end: Nanoseconds(5),
            note,
        };
        let bodies: [CommandBody; 3] = [
            SetPriceProtection { instrument, protection, note }.into(),
            SetRandomSeed { seed: [0xA0; 32], note }.into(),
            entry.into(),
        ];
        let command = |(name, body)| Step { name, at: Timestamp::NONE, command: Command::from_venue(body) };
        let steps: Vec<Step> = (1..).zip(bodies).map(command).collect();
        let said = script(&steps, Capacity::SMALL).expect("a script says it");
        let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let expected = [
            serde_json::json!({
                "op": "protect", "instrument": "i1", "entry_band": "5t", "collar": "50000ppm", "market": "100000ppm",
                "auction": "none", "collar_action": "VolatilityCall", "reference_source": "LastAuction",
                "call_duration": 7, "call_random_end": 3,
            }),
            serde_json::json!({"op": "seed", "seed": "a0".repeat(32)}),
            serde_json::json!({
                "op": "calendar", "instrument": "i1", "entry": 2, "at": 9, "repeat": 60, "random_end": 5,
                "phase": "ClosingCall",
            }),
        ];
        assert_eq!(lines, expected);
    }
}
