//! What administrators do: assets, instruments, accounts, balances, keys, and busts (8.4 to 8.19).

use engine::command::*;
use engine::event::*;
use engine::instrument::{FeeRates, InstrumentLimits, PhaseCause, PriceProtection};
use engine::limits::{DECIMALS_MAX, FEE_TIERS};
use engine::*;

use super::accounts::Account;
use super::entry::ensure;
use super::phases::CallKind;
use super::{Instrument, Model};

type Judged = Result<(), RejectReason>;

impl Model {
    /// Applies an administrator's command, or refuses it.
    pub(super) fn administer(&mut self, body: &CommandBody) {
        let note = note_of(body);
        if let Err(reason) = self.try_administer(body, note) {
            self.reject_command(body.kind(), note, reason, AccountId::NONE);
        } else {
            self.remember_request(note);
        }
    }

    fn try_administer(&mut self, body: &CommandBody, note: AdminNote) -> Judged {
        ensure(self.may_run(body), RejectReason::NotEntitled)?;
        ensure(!self.is_repeated(note), RejectReason::DuplicateRequest)?;
        let author = self.turn.header.author;
        match *body {
            CommandBody::SetRandomSeed(command) => {
                self.seed = command.seed;
                self.emit(RandomSeedSet { author, command });
            }
            CommandBody::SetBehaviour(command) => {
                ensure(command.version == engine::limits::BEHAVIOUR, RejectReason::UnsupportedBehaviour)?;
                self.emit(BehaviourSet { author, command });
            }
            CommandBody::AddAsset(command) => self.add_asset(command)?,
            CommandBody::ListInstrument(command) => self.list(command)?,
            CommandBody::DelistInstrument(command) => self.delist(command)?,
            CommandBody::SetInstrumentLimits(command) => {
                let instrument =
                    self.instruments.get_mut(&command.instrument).ok_or(RejectReason::UnknownInstrument)?;
                ensure(command.limits.is_valid(), RejectReason::LimitsInvalid)?;
                instrument.limits = command.limits;
                self.emit(InstrumentLimitsSet { author, command });
            }
            CommandBody::SetPriceProtection(command) => self.set_price_protection(command)?,
            CommandBody::SetFees(command) => self.set_fees(command)?,
            CommandBody::SetPhase(command) => {
                ensure(self.instruments.contains_key(&command.instrument), RejectReason::UnknownInstrument)?;
                self.change_phase(command.instrument, command.phase, PhaseCause::Administrator, command.note);
            }
            CommandBody::SetCalendarEntry(command) => self.set_calendar_entry(command)?,
            CommandBody::RemoveCalendarEntry(command) => self.remove_calendar_entry(command)?,
            CommandBody::OpenAccount(command) => self.open_account(command)?,
            CommandBody::ModifyAccount(command) => {
                ensure(self.accounts.contains_key(&command.account), RejectReason::UnknownAccount)?;
                ensure(command.fee_tier < FEE_TIERS, RejectReason::AccountSettingInvalid)?;
                let account = self.accounts.get_mut(&command.account).expect("an open account");
                account.stp_group = command.stp_group;
                account.self_trade_prevention = command.self_trade_prevention;
                account.fee_tier = command.fee_tier;
                self.emit(AccountModified { author, command });
            }
            CommandBody::SetAccountLimits(command) => self.set_account_limits(command)?,
            CommandBody::Deposit(command) => {
                self.bring_in(command.account, command.asset, command.amount, BalanceCause::Deposit, note)?;
            }
            CommandBody::Withdraw(command) => {
                self.take_out(command.account, command.asset, command.amount, BalanceCause::Withdrawal, note)?;
            }
            CommandBody::AdjustBalance(command) => {
                let cause = BalanceCause::Adjustment;
                match command.direction {
                    Direction::Credit => self.bring_in(command.account, command.asset, command.amount, cause, note)?,
                    Direction::Debit => self.take_out(command.account, command.asset, command.amount, cause, note)?,
                }
            }
            CommandBody::BustTrade(command) => self.bust(command)?,
            CommandBody::AddKey(command) => self.add_key(command)?,
            CommandBody::RevokeKey(command) => {
                self.known_key(command.key)?;
                self.keys.revoked.insert(command.key);
                self.emit(KeyRevoked { author, command });
            }
            CommandBody::GrantRole(command) => {
                self.roles_account(command.account)?;
                self.known_key(command.key)?;
                let venue_only =
                    !matches!(command.role, Role::Trader | Role::MarketMaker | Role::DropCopy | Role::ReadOnly);
                ensure(!venue_only || command.account.is_none(), RejectReason::RoleNeedsVenue)?;
                let grant = (command.key, command.account, command.role);
                let has_room = (self.keys.grants.len() as u64) < self.capacity.grants.into();
                ensure(has_room || self.keys.grants.contains(&grant), RejectReason::CapacityFull)?;
                self.keys.grants.insert(grant);
                self.emit(RoleGranted { author, command });
            }
            CommandBody::RevokeRole(command) => {
                ensure(self.keys.known.contains_key(&command.key), RejectReason::UnknownKey)?;
                let removed = self.keys.grants.remove(&(command.key, command.account, command.role));
                ensure(removed, RejectReason::RoleNotGranted)?;
                self.emit(RoleRevoked { author, command });
            }
            CommandBody::AllowAddress(command) => {
                self.known_key(command.key)?;
                ensure(command.prefix_bits <= 128, RejectReason::AddressInvalid)?;
                self.emit(AddressAllowed { author, command });
            }
            CommandBody::NewOrder(_)
            | CommandBody::ReplaceOrder(_)
            | CommandBody::CancelOrder(_)
            | CommandBody::MassCancel(_)
            | CommandBody::KillSwitch(_)
            | CommandBody::Negotiate(_)
            | CommandBody::Establish(_)
            | CommandBody::Disconnect(_)
            | CommandBody::AdvanceTime(_) => unreachable!("not an administrator's command"),
        }
        Ok(())
    }

    /// Tells of a refused command; `account` is whose numbers move, if any.
    pub(super) fn reject_command(
        &mut self,
        command: CommandKind,
        note: AdminNote,
        reason: RejectReason,
        account: AccountId,
    ) {
        let report = self.report_refusal(account, reason);
        self.emit(CommandRejected { report, author: self.turn.header.author, command, note, reason });
    }

    fn known_key(&self, key: KeyId) -> Judged {
        ensure(self.keys.known.contains_key(&key), RejectReason::UnknownKey)?;
        ensure(!self.keys.revoked.contains(&key), RejectReason::KeyRevoked)
    }

    fn roles_account(&self, account: AccountId) -> Judged {
        ensure(account.is_none() || self.accounts.contains_key(&account), RejectReason::UnknownAccount)
    }

    fn add_asset(&mut self, command: AddAsset) -> Judged {
        use RejectReason::*;
        ensure(!self.assets.contains_key(&command.asset), AlreadyExists)?;
        ensure((1..=self.capacity.assets).contains(&command.asset.0), IdentityOutOfRange)?;
        ensure(!command.name.is_empty(), NameMissing)?;
        ensure(command.decimals <= DECIMALS_MAX, DecimalsOutOfRange)?;
        self.assets.insert(command.asset, command);
        self.emit(AssetAdded { author: self.turn.header.author, command });
        Ok(())
    }

    /// 8.8: a listing is refused unless its steps are whole units of its assets.
    fn list(&mut self, command: ListInstrument) -> Judged {
        use RejectReason::*;
        let used = self.instruments.contains_key(&command.instrument) || self.delisted.contains(&command.instrument);
        let both_none = command.base.is_none() && command.quote.is_none();
        let matches_only = command.holds == engine::instrument::Holds::Off && both_none;
        ensure(!used, AlreadyExists)?;
        ensure((1..=self.capacity.instruments).contains(&command.instrument.0), IdentityOutOfRange)?;
        ensure(!command.name.is_empty(), NameMissing)?;
        let decimals = command.tick_decimals.max(command.lot_decimals);
        ensure(decimals <= DECIMALS_MAX, DecimalsOutOfRange)?;
        let missing = command.base.is_none() || command.quote.is_none();
        ensure(command.tick != 0 && command.lot != 0, TickOrLotInvalid)?;
        let assets = !missing && command.base != command.quote;
        ensure(assets || matches_only, TickOrLotInvalid)?;
        let reference = command.reference.is_absent() || (1..=Price::MAX.0).contains(&command.reference.0);
        ensure(reference, PriceOutOfRange)?;
        for asset in [command.base, command.quote] {
            ensure(matches_only || self.assets.contains_key(&asset), UnknownAsset)?;
        }
        let (mut quote_units, mut base_units) = (0, 0);
        if assets {
            let (base, quote) = (self.assets[&command.base].decimals, self.assets[&command.quote].decimals);
            let step = u128::from(command.tick) * u128::from(command.lot);
            let step_decimals = u32::from(command.tick_decimals) + u32::from(command.lot_decimals);
            quote_units = whole_units(step, step_decimals, quote).ok_or(UnitNotWhole)?;
            base_units = whole_units(u128::from(command.lot), command.lot_decimals.into(), base).ok_or(UnitNotWhole)?;
        }
        let mut instrument = Instrument {
            listing: command,
            quote_units,
            base_units,
            phase: command.phase,
            limits: InstrumentLimits::DEFAULT,
            protection: PriceProtection::DEFAULT,
            fees: std::collections::BTreeMap::new(),
            reference: command.reference,
            traded: Price::ABSENT,
            auctioned: Price::ABSENT,
            call: None,
            call_end: None,
        };
        instrument.enter_call(command.phase, CallKind::Opening);
        self.instruments.insert(command.instrument, instrument);
        let [quote_units, base_units] =
            [quote_units, base_units].map(|units| u64::try_from(units).expect("whole units"));
        self.emit(InstrumentListed { author: self.turn.header.author, command, quote_units, base_units });
        Ok(())
    }

    /// 8.18: all its orders end, oldest first, and it is unknown for good.
    fn delist(&mut self, command: DelistInstrument) -> Judged {
        let instrument = command.instrument;
        ensure(self.instruments.contains_key(&instrument), RejectReason::UnknownInstrument)?;
        let in_it = self.orders.iter().filter(|order| order.instrument == instrument);
        let victims: Vec<OrderId> = in_it.map(|order| order.id).collect();
        for &victim in &victims {
            self.cancel(victim, CancelReason::Delisted, ClientOrderId::NONE);
        }
        self.instruments.remove(&instrument);
        self.delisted.insert(instrument);
        self.calendar.retain(|(of, _), _| *of != instrument);
        self.past_trades.retain(|past| past.trade.instrument != instrument);
        for account in self.accounts.values_mut() {
            account.limits.remove(&instrument);
        }
        self.emit(InstrumentDelisted {
            author: self.turn.header.author,
            instrument,
            cancelled_count: u32::try_from(victims.len()).expect("orders are counted in 32 bits"),
            note: command.note,
        });
        Ok(())
    }

    /// 8.7: the highest rebate is at most the lowest taker rate, over all tiers and open orders.
    fn set_fees(&mut self, command: SetFees) -> Judged {
        use RejectReason::*;
        let instrument = self.instruments.get(&command.instrument).ok_or(UnknownInstrument)?;
        ensure(command.tier < FEE_TIERS, AccountSettingInvalid)?;
        ensure(command.rates.is_valid(), FeeRatesInvalid)?;
        let mut fees = instrument.fees.clone();
        fees.entry(0).or_insert(FeeRates::ZERO);
        fees.insert(command.tier, command.rates);
        let open = self.orders.iter().filter(|order| order.instrument == command.instrument);
        let in_force: Vec<FeeRates> = fees.values().copied().chain(open.map(|order| order.rates)).collect();
        let lowest_maker = in_force.iter().map(|rates| rates.maker).min().expect("rates of tier 0");
        let lowest_taker = in_force.iter().map(|rates| rates.taker).min().expect("rates of tier 0");
        ensure(-lowest_maker <= lowest_taker, FeeRatesInvalid)?;
        self.instruments.get_mut(&command.instrument).expect("a listed instrument").fees = fees;
        self.emit(FeesSet { author: self.turn.header.author, command });
        Ok(())
    }

    fn open_account(&mut self, command: OpenAccount) -> Judged {
        use RejectReason::*;
        ensure(!self.accounts.contains_key(&command.account), AlreadyExists)?;
        ensure((1..=self.capacity.accounts).contains(&command.account.0), IdentityOutOfRange)?;
        ensure(command.fee_tier < FEE_TIERS, AccountSettingInvalid)?;
        let account = Account {
            stp_group: command.stp_group,
            self_trade_prevention: command.self_trade_prevention,
            fee_tier: command.fee_tier,
            ..Account::new()
        };
        self.accounts.insert(command.account, account);
        self.emit(AccountOpened { author: self.turn.header.author, command });
        Ok(())
    }

    /// 8.19: for all instruments, or for one; for at most 16 of those.
    fn set_account_limits(&mut self, command: SetAccountLimits) -> Judged {
        use RejectReason::*;
        let instrument = command.instrument;
        ensure(instrument.is_none() || self.instruments.contains_key(&instrument), UnknownInstrument)?;
        ensure(self.accounts.contains_key(&command.account), UnknownAccount)?;
        ensure(command.limits.is_valid(), AccountSettingInvalid)?;
        let account = self.accounts.get_mut(&command.account).expect("an open account");
        let others = account.limits.keys().filter(|key| !key.is_none() && **key != instrument).count();
        let most = engine::limits::INSTRUMENT_LIMITS_PER_ACCOUNT as usize;
        ensure(instrument.is_none() || others < most, CapacityFull)?;
        account.limits.insert(instrument, command.limits);
        self.emit(AccountLimitsSet { author: self.turn.header.author, command });
        Ok(())
    }

    /// 8.4, 8.9, 8.16: an amount comes in, if it is one and the asset's total stays within its bound.
    fn bring_in(
        &mut self,
        account: AccountId,
        asset: AssetId,
        amount: Amount,
        cause: BalanceCause,
        note: AdminNote,
    ) -> Judged {
        use RejectReason::*;
        ensure(self.accounts.contains_key(&account), UnknownAccount)?;
        ensure(self.assets.contains_key(&asset), UnknownAsset)?;
        let supply = self.supply(asset).checked_add(amount.0);
        ensure(amount.0 != 0 && supply.is_some_and(|supply| supply <= Amount::MAX.0), AmountInvalid)?;
        let change = i128::try_from(amount.0).expect("an amount within bounds");
        self.add(account, asset, change);
        self.tell_balance(account, asset, cause, change, note);
        Ok(())
    }

    /// The same, outwards: what is available, and of the fee account what open orders do not need (8.7).
    fn take_out(
        &mut self,
        account: AccountId,
        asset: AssetId,
        amount: Amount,
        cause: BalanceCause,
        note: AdminNote,
    ) -> Judged {
        use RejectReason::*;
        ensure(self.accounts.contains_key(&account), UnknownAccount)?;
        ensure(self.assets.contains_key(&asset), UnknownAsset)?;
        ensure(amount.0 != 0 && amount <= Amount::MAX, AmountInvalid)?;
        ensure(self.gives(account, asset, amount.0), InsufficientFunds)?;
        let change = -i128::try_from(amount.0).expect("a balance within bounds");
        self.add(account, asset, change);
        self.tell_balance(account, asset, cause, change, note);
        Ok(())
    }

    /// Whether an account can give an amount away.
    fn gives(&self, account: AccountId, asset: AssetId, amount: u128) -> bool {
        let kept = if account == AccountId::FEES { self.fees_kept() } else { 0 };
        amount.checked_add(kept).is_some_and(|needed| self.available(account, asset) >= needed)
    }

    fn tell_balance(&mut self, account: AccountId, asset: AssetId, cause: BalanceCause, change: i128, note: AdminNote) {
        self.emit(BalanceChanged {
            author: self.turn.header.author,
            account,
            asset,
            cause,
            change: SignedAmount(change),
            available: Amount(self.available(account, asset)),
            held: Amount(self.held(account, asset)),
            note,
        });
    }

    /// 8.17: base, quote and both fees go back, once, if every balance that gives covers it.
    fn bust(&mut self, command: BustTrade) -> Judged {
        use RejectReason::*;
        let instrument = self.instruments.get(&command.instrument).ok_or(UnknownInstrument)?;
        let (listing, settles, base_units) = (instrument.listing, instrument.settles(), instrument.base_units);
        let is_it = |past: &&super::PastTrade| {
            past.trade.instrument == command.instrument && past.trade.trade_id == command.trade_id && !past.is_busted
        };
        let trade = self.past_trades.iter().find(is_it).ok_or(UnknownTrade)?.trade;
        let (buyer, seller) = match trade.maker.side {
            Side::Buy => (trade.maker, trade.taker),
            Side::Sell => (trade.taker, trade.maker),
        };
        let mut legs = Vec::new();
        if settles {
            let notional = self.notional(command.instrument, trade.price, trade.quantity.0);
            let notional = i128::try_from(notional).expect("a notional within bounds");
            let lots = i128::try_from(u128::from(trade.quantity.0) * base_units).expect("a quantity within bounds");
            let (bought, sold) = (buyer.report.account, seller.report.account);
            let (buyer_fee, seller_fee) = ({ buyer.fee.0 }, { seller.fee.0 });
            legs = vec![
                (bought, listing.base, -lots),
                (bought, listing.quote, notional + buyer_fee),
                (sold, listing.base, lots),
                (sold, listing.quote, seller_fee - notional),
                (AccountId::FEES, listing.quote, -buyer_fee - seller_fee),
            ];
            legs.retain(|leg| leg.2 != 0);
        }
        for (account, asset, change) in net(&legs) {
            let gives = change < 0 && !self.gives(account, asset, change.unsigned_abs());
            ensure(!gives, InsufficientFunds)?;
        }
        let past = self.past_trades.iter_mut().find(|past| past.trade.trade_id == command.trade_id);
        past.expect("the trade").is_busted = true;
        let buyer = self.busted_side(buyer);
        let seller = self.busted_side(seller);
        self.emit(TradeBusted {
            author: self.turn.header.author,
            instrument: command.instrument,
            trade_id: command.trade_id,
            price: trade.price,
            quantity: trade.quantity,
            buyer,
            seller,
            note: command.note,
        });
        for &(account, asset, change) in &legs {
            self.add(account, asset, change);
        }
        for (account, asset, change) in legs {
            self.tell_balance(account, asset, BalanceCause::TradeBust, change, command.note);
        }
        Ok(())
    }

    /// An order of a busted trade as it is now, or, of one that has ended, its names.
    fn busted_side(&mut self, then: TradeSide) -> TradeSide {
        let report = self.report(then.report.account, then.report.session);
        let fee = SignedAmount(-{ then.fee.0 });
        match self.orders.iter().find(|order| order.id == then.order_id) {
            Some(order) => TradeSide {
                report,
                order_id: order.id,
                client_order_id: order.client_order_id,
                side: order.side,
                order_price: order.price,
                order_quantity: order.quantity,
                leaves: Quantity(order.leaves),
                cumulative: Quantity(order.cumulative),
                prevented: Quantity(order.prevented),
                fee,
            },
            None => TradeSide {
                report,
                order_price: Price::ABSENT,
                order_quantity: Quantity::ABSENT,
                leaves: Quantity::ZERO,
                cumulative: Quantity::ZERO,
                prevented: Quantity::ZERO,
                fee,
                ..then
            },
        }
    }

    fn add_key(&mut self, command: AddKey) -> Judged {
        use RejectReason::*;
        ensure((1..=self.capacity.keys).contains(&command.key.0), IdentityOutOfRange)?;
        let taken = self.keys.known.values().any(|key| key.public_key == command.public_key);
        ensure(!taken && !self.keys.known.contains_key(&command.key), AlreadyExists)?;
        self.keys.known.insert(command.key, command);
        self.emit(KeyAdded { author: self.turn.header.author, command });
        Ok(())
    }
}

/// One change per balance that changes, in the order in which balances first appear.
fn net(changes: &[(AccountId, AssetId, i128)]) -> Vec<(AccountId, AssetId, i128)> {
    let mut sums: Vec<(AccountId, AssetId, i128)> = Vec::new();
    for &(account, asset, change) in changes {
        match sums.iter_mut().find(|sum| (sum.0, sum.1) == (account, asset)) {
            Some(sum) => sum.2 += change,
            None => sums.push((account, asset, change)),
        }
    }
    sums.retain(|sum| sum.2 != 0);
    sums
}

/// `step × 10^-step_decimals` in units of `10^-decimals`, if that is a whole number of them.
fn whole_units(step: u128, step_decimals: u32, decimals: u8) -> Option<u128> {
    let decimals = u32::from(decimals);
    let units = if decimals >= step_decimals {
        step.checked_mul(10_u128.checked_pow(decimals - step_decimals)?)?
    } else {
        let divisor = 10_u128.checked_pow(step_decimals - decimals)?;
        step.is_multiple_of(divisor).then_some(step / divisor)?
    };
    u64::try_from(units).ok().map(u128::from)
}

/// What an administrator said of the command.
pub(crate) fn note_of(body: &CommandBody) -> AdminNote {
    match body {
        CommandBody::MassCancel(command) => command.note,
        CommandBody::KillSwitch(command) => command.note,
        CommandBody::SetRandomSeed(command) => command.note,
        CommandBody::SetBehaviour(command) => command.note,
        CommandBody::AddAsset(command) => command.note,
        CommandBody::ListInstrument(command) => command.note,
        CommandBody::DelistInstrument(command) => command.note,
        CommandBody::SetInstrumentLimits(command) => command.note,
        CommandBody::SetPriceProtection(command) => command.note,
        CommandBody::SetFees(command) => command.note,
        CommandBody::SetPhase(command) => command.note,
        CommandBody::SetCalendarEntry(command) => command.note,
        CommandBody::RemoveCalendarEntry(command) => command.note,
        CommandBody::OpenAccount(command) => command.note,
        CommandBody::ModifyAccount(command) => command.note,
        CommandBody::SetAccountLimits(command) => command.note,
        CommandBody::Deposit(command) => command.note,
        CommandBody::Withdraw(command) => command.note,
        CommandBody::AdjustBalance(command) => command.note,
        CommandBody::BustTrade(command) => command.note,
        CommandBody::AddKey(command) => command.note,
        CommandBody::RevokeKey(command) => command.note,
        CommandBody::GrantRole(command) => command.note,
        CommandBody::RevokeRole(command) => command.note,
        CommandBody::AllowAddress(command) => command.note,
        CommandBody::NewOrder(_)
        | CommandBody::ReplaceOrder(_)
        | CommandBody::CancelOrder(_)
        | CommandBody::Negotiate(_)
        | CommandBody::Establish(_)
        | CommandBody::Disconnect(_)
        | CommandBody::AdvanceTime(_) => AdminNote::NONE,
    }
}
