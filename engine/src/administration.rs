//! What administrators set up and change. Every function here runs after the author's right and the request's
//! idempotency key were checked, and either changes everything it says or nothing.

use crate::accounts::{Account, Asset, LimitsInInstrument};
use crate::book::arena::Slot;
use crate::book::level::Chain;
use crate::call::{Call, Change};
use crate::command::CommandBody;
use crate::command::{
    AccountLimits, AddAsset, AddKey, AdjustBalance, AdminNote, AllowAddress, CommandKind, DelistInstrument, Deposit,
    Direction, GrantRole, ListInstrument, ModifyAccount, OpenAccount, RevokeKey, RevokeRole, SetAccountLimits,
    SetBehaviour, SetFees, SetInstrumentLimits, SetPhase, SetPriceProtection, SetRandomSeed, Withdraw,
};
use crate::directory::{Grant, Key, KeyState, Network, Right};
use crate::engine::Engine;
use crate::event::{
    AccountLimitsSet, AccountModified, AccountOpened, AddressAllowed, AssetAdded, BalanceCause, BalanceChanged,
    BehaviourSet, CommandRejected, EventSink, FeesSet, InstrumentDelisted, InstrumentLimitsSet, InstrumentListed,
    KeyAdded, KeyRevoked, PriceProtectionSet, RandomSeedSet, RoleGranted, RoleRevoked,
};
use crate::instrument::{FeeRates, Holds, PhaseCause};
use crate::limits::{DECIMALS_MAX, FEE_TIERS, carries_behaviour};
use crate::market::{ListingStatus, Market, units};
use crate::reject::{CancelReason, RejectReason};
use crate::turn::Turn;
use crate::{AccountId, Amount, AssetId, ClientOrderId, InstrumentId, KeyId, Price, SignedAmount};

type Outcome = Result<(), RejectReason>;

impl Engine {
    /// Runs an administrator's command if its author may, once.
    pub(crate) fn administer<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        command: &CommandBody,
        note: &AdminNote,
        action: impl FnOnce(&mut Self, &mut Turn<'_, S>) -> Outcome,
    ) {
        let author = turn.header.author;
        let outcome = self.check_right(turn, Right::Run(command)).and_then(|()| {
            if self.directory.is_repeated(author, note.idempotency_key) {
                return Err(RejectReason::DuplicateRequest);
            }
            action(self, turn)
        });
        match outcome {
            Ok(()) => self.directory.remember(author, note.idempotency_key),
            Err(reason) => self.reject_command(turn, AccountId::NONE, command.kind(), note, reason),
        }
    }

    pub(crate) fn reject_command<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        account: AccountId,
        command: CommandKind,
        note: &AdminNote,
        reason: RejectReason,
    ) {
        let report = self.refusal(turn, account, reason);
        turn.emit(CommandRejected { report, author: turn.header.author, command, note: *note, reason });
    }

    pub(crate) fn set_random_seed<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, command: &SetRandomSeed) -> Outcome {
        self.random_seed = command.seed;
        self.names.rekey(&command.seed, &self.orders.arena);
        turn.emit(RandomSeedSet { author: turn.header.author, command: *command });
        Ok(())
    }

    pub(crate) fn set_behaviour<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, command: &SetBehaviour) -> Outcome {
        if !carries_behaviour(command.version) {
            return Err(RejectReason::UnsupportedBehaviour);
        }
        self.behaviour = command.version;
        turn.emit(BehaviourSet { author: turn.header.author, command: *command });
        Ok(())
    }

    pub(crate) fn add_asset<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, command: &AddAsset) -> Outcome {
        check_new(self.ledger.assets.covers(command.asset.0), self.ledger.assets.get(command.asset.0).is_some())?;
        if command.name.is_empty() {
            return Err(RejectReason::NameMissing);
        }
        if command.decimals > DECIMALS_MAX {
            return Err(RejectReason::DecimalsOutOfRange);
        }
        let asset = Asset { name: command.name, decimals: command.decimals, supply: 0 };
        self.ledger.assets.insert(command.asset.0, asset);
        turn.emit(AssetAdded { author: turn.header.author, command: *command });
        Ok(())
    }

    pub(crate) fn list_instrument<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        command: &ListInstrument,
    ) -> Outcome {
        let id = command.instrument.0;
        check_new(self.markets.covers(id), self.markets.get(id).is_some())?;
        if command.name.is_empty() {
            return Err(RejectReason::NameMissing);
        }
        if command.tick_decimals > DECIMALS_MAX || command.lot_decimals > DECIMALS_MAX {
            return Err(RejectReason::DecimalsOutOfRange);
        }
        let no_assets = command.base.is_none() && command.quote.is_none();
        let same_or_missing = match no_assets {
            true => command.holds == Holds::On,
            false => command.base == command.quote || command.base.is_none() || command.quote.is_none(),
        };
        if command.tick == 0 || command.lot == 0 || same_or_missing {
            return Err(RejectReason::TickOrLotInvalid);
        }
        if !command.reference.is_absent() && !(1..=Price::MAX.0).contains(&command.reference.0) {
            return Err(RejectReason::PriceOutOfRange);
        }
        let units = units(command, &self.ledger)?;
        let mut market = Market::new(*command, units);
        market.call = Call::at_listing(command.phase);
        if market.call.is_some() {
            market.book.begin_call(&mut self.orders, command.instrument);
        }
        self.markets.insert(id, market);
        let author = turn.header.author;
        turn.emit(InstrumentListed { author, command: *command, quote_units: units.quote, base_units: units.base });
        Ok(())
    }

    pub(crate) fn set_instrument_limits<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        command: &SetInstrumentLimits,
    ) -> Outcome {
        let market = self.listed_mut(command.instrument)?;
        if !command.limits.is_valid() {
            return Err(RejectReason::LimitsInvalid);
        }
        market.limits = command.limits;
        turn.emit(InstrumentLimitsSet { author: turn.header.author, command: *command });
        Ok(())
    }

    pub(crate) fn set_price_protection<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        command: &SetPriceProtection,
    ) -> Outcome {
        let market = self.listed_mut(command.instrument)?;
        market.protection = command.protection;
        turn.emit(PriceProtectionSet { author: turn.header.author, command: *command });
        self.hold_market_orders_anew(turn, command.instrument);
        Ok(())
    }

    pub(crate) fn set_fees<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, command: &SetFees) -> Outcome {
        let market = self.listed(command.instrument)?;
        if command.tier >= FEE_TIERS {
            return Err(RejectReason::AccountSettingInvalid);
        }
        if !command.rates.is_valid() {
            return Err(RejectReason::FeeRatesInvalid);
        }
        let mut fees = market.fees;
        fees[command.tier as usize] = Some(command.rates);
        // Rates in force: the tiers', and those that open orders keep.
        let open_orders = || market.book.all(&self.orders);
        let unset = fees[0].is_none().then_some(FeeRates::ZERO);
        let tiers = || fees.iter().flatten().copied().chain(unset);
        let rates = || tiers().chain(open_orders().map(|slot| self.orders.arena.details(slot).rates));
        let highest_rebate = rates().map(|rates| -rates.maker).max().unwrap_or(0);
        let lowest_taker = rates().map(|rates| rates.taker).min().unwrap_or(0);
        if highest_rebate > lowest_taker {
            return Err(RejectReason::FeeRatesInvalid);
        }
        let market = self.listed_mut(command.instrument)?;
        market.fees = fees;
        turn.emit(FeesSet { author: turn.header.author, command: *command });
        Ok(())
    }

    pub(crate) fn set_phase<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, command: &SetPhase) -> Outcome {
        let SetPhase { instrument, phase, note } = *command;
        self.listed(instrument)?;
        let author = turn.header.author;
        self.change_phase(turn, instrument, Change { to: phase, cause: PhaseCause::Administrator, author, note });
        Ok(())
    }

    /// Cancels all orders of an instrument, and makes it unknown for ever.
    pub(crate) fn delist_instrument<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        command: &DelistInstrument,
    ) -> Outcome {
        let DelistInstrument { instrument, note } = *command;
        self.listed(instrument)?;
        self.collect_instrument(instrument);
        let cancelled_count = self.cancel_collected(turn, CancelReason::Delisted, ClientOrderId::NONE, |_, _| true);
        self.calendar.remove_all(instrument);
        self.call_ends.remove(instrument);
        let market = self.markets.get_mut(instrument.0).expect("it is listed");
        market.book.end_call(&mut self.orders);
        market.call = None;
        market.status = ListingStatus::Delisted;
        turn.emit(InstrumentDelisted { author: turn.header.author, instrument, cancelled_count, note });
        Ok(())
    }

    pub(crate) fn open_account<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, command: &OpenAccount) -> Outcome {
        let id = command.account;
        check_new(self.accounts.covers(id.0), self.accounts.get(id.0).is_some())?;
        check_account_settings(command.fee_tier)?;
        let account = Account::new(command.stp_group, command.self_trade_prevention, command.fee_tier);
        self.add_account(id, account);
        turn.emit(AccountOpened { author: turn.header.author, command: *command });
        Ok(())
    }

    /// Makes an account with no balance and no orders.
    pub(crate) fn add_account(&mut self, id: AccountId, account: Account) {
        self.accounts.insert(id.0, account);
        self.ledger.open_account(id);
        self.names.open_account(id);
    }

    pub(crate) fn modify_account<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, command: &ModifyAccount) -> Outcome {
        let account = self.accounts.get_mut(command.account.0).ok_or(RejectReason::UnknownAccount)?;
        check_account_settings(command.fee_tier)?;
        account.stp_group = command.stp_group;
        account.self_trade_prevention = command.self_trade_prevention;
        account.fee_tier = command.fee_tier;
        turn.emit(AccountModified { author: turn.header.author, command: *command });
        Ok(())
    }

    pub(crate) fn set_account_limits<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        command: &SetAccountLimits,
    ) -> Outcome {
        let SetAccountLimits { account: id, instrument, limits, .. } = *command;
        if !instrument.is_none() {
            self.listed(instrument)?;
        }
        let account = self.accounts.get_mut(id.0).ok_or(RejectReason::UnknownAccount)?;
        if !limits.is_valid() {
            return Err(RejectReason::AccountSettingInvalid);
        }
        match instrument.is_none() {
            true => account.limits = limits,
            false => self.set_limits_in_instrument(id, instrument, limits)?,
        }
        turn.emit(AccountLimitsSet { author: turn.header.author, command: *command });
        Ok(())
    }

    /// Sets an account's limits in one instrument; those that bound nothing are taken away.
    fn set_limits_in_instrument(&mut self, id: AccountId, instrument: InstrumentId, limits: AccountLimits) -> Outcome {
        let in_it = |slot: &Slot| self.orders.arena[*slot].instrument == instrument;
        let account = self.accounts.get(id.0).ok_or(RejectReason::UnknownAccount)?;
        let open_orders = account.orders.iter(&self.orders.arena, Chain::Account).filter(in_it).count() as u32;
        match limits == AccountLimits::DEFAULT {
            true => self.instrument_limits.remove(id, instrument),
            false => self
                .instrument_limits
                .set(LimitsInInstrument { account: id, instrument, limits, open_orders })
                .map_err(|_| RejectReason::CapacityFull)?,
        }
        let limited = self.instrument_limits.of(id).len() as u32;
        let account = self.accounts.get_mut(id.0).ok_or(RejectReason::UnknownAccount)?;
        account.limited_instruments = limited;
        Ok(())
    }

    pub(crate) fn deposit<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, command: &Deposit) -> Outcome {
        let Deposit { account, asset, amount, note } = *command;
        self.bring_in(turn, account, asset, amount, BalanceCause::Deposit, note)
    }

    pub(crate) fn withdraw<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, command: &Withdraw) -> Outcome {
        let Withdraw { account, asset, amount, note } = *command;
        self.take_out(turn, account, asset, amount, BalanceCause::Withdrawal, note)
    }

    /// Corrects a balance: what is added comes into the venue, what is taken away leaves it.
    pub(crate) fn adjust_balance<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, command: &AdjustBalance) -> Outcome {
        let AdjustBalance { account, asset, direction, amount, note } = *command;
        match direction {
            Direction::Credit => self.bring_in(turn, account, asset, amount, BalanceCause::Adjustment, note),
            Direction::Debit => self.take_out(turn, account, asset, amount, BalanceCause::Adjustment, note),
        }
    }

    fn bring_in<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        account: AccountId,
        asset: AssetId,
        amount: Amount,
        cause: BalanceCause,
        note: AdminNote,
    ) -> Outcome {
        let change = self.check_transfer(account, asset, amount)?;
        self.ledger.deposit(account, asset, amount).map_err(|_| RejectReason::AmountInvalid)?;
        self.report_balance(turn, account, asset, cause, change, note);
        Ok(())
    }

    fn take_out<S: EventSink>(
        &mut self,
        turn: &mut Turn<'_, S>,
        account: AccountId,
        asset: AssetId,
        amount: Amount,
        cause: BalanceCause,
        note: AdminNote,
    ) -> Outcome {
        let change = self.check_transfer(account, asset, amount)?;
        let reserve = self.reserve(account);
        self.ledger.withdraw(account, asset, amount, reserve).map_err(|_| RejectReason::InsufficientFunds)?;
        self.report_balance(turn, account, asset, cause, -change, note);
        Ok(())
    }

    /// What has to stay available. Rebates are paid out of fees; each open order's fees are rounded by less than a unit
    /// per role.
    pub(crate) fn reserve(&self, account: AccountId) -> u128 {
        if account == AccountId::FEES { 2 * u128::from(self.orders.arena.open_count()) } else { 0 }
    }

    fn check_transfer(&self, account: AccountId, asset: AssetId, amount: Amount) -> Result<i128, RejectReason> {
        self.accounts.get(account.0).ok_or(RejectReason::UnknownAccount)?;
        self.ledger.assets.get(asset.0).ok_or(RejectReason::UnknownAsset)?;
        let valid = (Amount(1)..=Amount::MAX).contains(&amount);
        i128::try_from(amount.0).ok().filter(|_| valid).ok_or(RejectReason::AmountInvalid)
    }

    pub(crate) fn report_balance<S: EventSink>(
        &self,
        turn: &mut Turn<'_, S>,
        account: AccountId,
        asset: AssetId,
        cause: BalanceCause,
        change: i128,
        note: AdminNote,
    ) {
        let balance = self.ledger.balance(account, asset);
        turn.emit(BalanceChanged {
            author: turn.header.author,
            account,
            asset,
            cause,
            change: SignedAmount(change),
            available: balance.available,
            held: balance.held,
            note,
        });
    }

    pub(crate) fn add_key<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, command: &AddKey) -> Outcome {
        let keys = &mut self.directory.keys;
        let known = keys.get(command.key.0).is_some();
        check_new(
            keys.covers(command.key.0),
            known || keys.iter().any(|(_, key)| key.public_key == command.public_key),
        )?;
        keys.insert(command.key.0, Key::new(command.kind, command.public_key, KeyState::Valid));
        turn.emit(KeyAdded { author: turn.header.author, command: *command });
        Ok(())
    }

    /// Revokes a key. Its sessions may do nothing more at once; the gateway, which sees the event, ends them.
    pub(crate) fn revoke_key<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, command: &RevokeKey) -> Outcome {
        let key = self.directory.keys.get_mut(command.key.0).ok_or(RejectReason::UnknownKey)?;
        if key.state == KeyState::Revoked {
            return Err(RejectReason::KeyRevoked);
        }
        key.state = KeyState::Revoked;
        turn.emit(KeyRevoked { author: turn.header.author, command: *command });
        Ok(())
    }

    pub(crate) fn grant_role<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, command: &GrantRole) -> Outcome {
        let GrantRole { key, role, account, .. } = *command;
        if !account.is_none() && self.accounts.get(account.0).is_none() {
            return Err(RejectReason::UnknownAccount);
        }
        self.check_grantee(key)?;
        if role.runs_the_venue() && !account.is_none() {
            return Err(RejectReason::RoleNeedsVenue);
        }
        self.directory.grant(Grant { key, account, role }).map_err(|_| RejectReason::CapacityFull)?;
        turn.emit(RoleGranted { author: turn.header.author, command: *command });
        Ok(())
    }

    pub(crate) fn revoke_role<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, command: &RevokeRole) -> Outcome {
        let RevokeRole { key, role, account, .. } = *command;
        self.directory.keys.get(key.0).ok_or(RejectReason::UnknownKey)?;
        if !self.directory.revoke(Grant { key, account, role }) {
            return Err(RejectReason::RoleNotGranted);
        }
        turn.emit(RoleRevoked { author: turn.header.author, command: *command });
        Ok(())
    }

    pub(crate) fn allow_address<S: EventSink>(&mut self, turn: &mut Turn<'_, S>, command: &AllowAddress) -> Outcome {
        let AllowAddress { key, address, prefix_bits, .. } = *command;
        self.check_grantee(key)?;
        if prefix_bits > 128 {
            return Err(RejectReason::AddressInvalid);
        }
        self.directory.allow(Network { key, address, prefix_bits }).map_err(|_| RejectReason::CapacityFull)?;
        turn.emit(AddressAllowed { author: turn.header.author, command: *command });
        Ok(())
    }

    fn check_grantee(&self, key: KeyId) -> Outcome {
        match self.directory.keys.get(key.0).map(|key| key.state) {
            Some(KeyState::Valid) => Ok(()),
            Some(KeyState::Revoked) => Err(RejectReason::KeyRevoked),
            None => Err(RejectReason::UnknownKey),
        }
    }
}

fn check_new(in_range: bool, taken: bool) -> Outcome {
    match (in_range, taken) {
        (false, _) => Err(RejectReason::IdentityOutOfRange),
        (true, true) => Err(RejectReason::AlreadyExists),
        (true, false) => Ok(()),
    }
}

fn check_account_settings(fee_tier: u8) -> Outcome {
    if fee_tier >= FEE_TIERS { Err(RejectReason::AccountSettingInvalid) } else { Ok(()) }
}
