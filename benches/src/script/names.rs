//! The caller's names, and the identities that stand for them in the engine.

use std::collections::HashMap;

use engine::command::ListInstrument;
use engine::instrument::{Phase, PriceProtection};
use engine::{AccountId, AssetId, ClientOrderId, InstrumentId, OrderId, StpGroup};

use crate::decimal::Unit;

/// Names in the order of their first appearance.
#[derive(Debug, Default)]
struct Interner {
    names: Vec<String>,
    places: HashMap<String, u32>,
}

impl Interner {
    /// The place of `name`, from 0.
    fn place(&mut self, name: &str) -> u32 {
        if let Some(&place) = self.places.get(name) {
            return place;
        }
        let place = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        self.names.push(name.to_owned());
        self.places.insert(name.to_owned(), place);
        place
    }

    fn name(&self, place: Option<u32>) -> Option<&str> {
        self.names.get(usize::try_from(place?).ok()?).map(String::as_str)
    }
}

/// What prices and quantities of an instrument are counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct InstrumentUnits {
    pub(super) tick: Unit,
    pub(super) lot: Unit,
    pub(super) quote: AssetId,
    pub(super) phase: Phase,
}

impl InstrumentUnits {
    /// Of an instrument that is not listed: whole ticks and lots.
    const UNLISTED: Self = Self { tick: Unit::ONE, lot: Unit::ONE, quote: AssetId::NONE, phase: Phase::Closed };

    pub(super) fn of(listing: &ListInstrument) -> Self {
        Self {
            tick: Unit { mantissa: listing.tick, decimals: listing.tick_decimals },
            lot: Unit { mantissa: listing.lot, decimals: listing.lot_decimals },
            quote: listing.quote,
            phase: listing.phase,
        }
    }
}

/// Everything that has a name, and what has to be remembered of it.
#[derive(Debug, Default)]
pub(super) struct Names {
    assets: Interner,
    instruments: Interner,
    accounts: Interner,
    groups: Interner,
    orders: Interner,
    decimals: HashMap<AssetId, u8>,
    units: HashMap<InstrumentId, InstrumentUnits>,
    protections: HashMap<InstrumentId, PriceProtection>,
    /// Who used an order's name last.
    owners: HashMap<ClientOrderId, AccountId>,
    places: HashMap<(AccountId, ClientOrderId), InstrumentId>,
    order_ids: HashMap<OrderId, ClientOrderId>,
}

impl Names {
    /// Before the first account's identity there are none and the venue's own.
    const FIRST_ACCOUNT: u32 = AccountId::FEES.0 + 1;

    pub(super) fn asset(&mut self, name: &str) -> AssetId {
        AssetId(self.assets.place(name)).next()
    }

    pub(super) fn instrument(&mut self, name: &str) -> InstrumentId {
        InstrumentId(self.instruments.place(name)).next()
    }

    pub(super) fn account(&mut self, name: &str) -> AccountId {
        AccountId(self.accounts.place(name).saturating_add(Self::FIRST_ACCOUNT))
    }

    pub(super) fn group(&mut self, name: &str) -> StpGroup {
        StpGroup(self.groups.place(name)).next()
    }

    pub(super) fn order(&mut self, name: &str) -> ClientOrderId {
        ClientOrderId(self.orders.place(name).into()).next()
    }

    pub(super) fn asset_name(&self, asset: AssetId) -> Option<&str> {
        self.assets.name(asset.0.checked_sub(1))
    }

    pub(super) fn instrument_name(&self, instrument: InstrumentId) -> Option<&str> {
        self.instruments.name(instrument.0.checked_sub(1))
    }

    pub(super) fn account_name(&self, account: AccountId) -> Option<&str> {
        self.accounts.name(account.0.checked_sub(Self::FIRST_ACCOUNT))
    }

    pub(super) fn group_name(&self, group: StpGroup) -> Option<&str> {
        self.groups.name(group.0.checked_sub(1))
    }

    pub(super) fn order_name(&self, client_order_id: ClientOrderId) -> Option<&str> {
        self.orders.name(client_order_id.0.checked_sub(1).and_then(|place| u32::try_from(place).ok()))
    }

    /// The caller's name for an order that the engine accepted.
    pub(super) fn accepted_order_name(&self, order_id: OrderId) -> Option<&str> {
        self.order_name(*self.order_ids.get(&order_id)?)
    }

    /// The first account, where an order that nobody entered needs one.
    pub(super) fn first_account(&self) -> AccountId {
        self.accounts.names.first().map_or(AccountId::NONE, |_| AccountId(Self::FIRST_ACCOUNT))
    }

    /// The first instrument, likewise.
    pub(super) fn first_instrument(&self) -> InstrumentId {
        self.instruments.names.first().map_or(InstrumentId::NONE, |_| InstrumentId(1))
    }

    /// Smallest units of an asset; whole numbers if it was never added.
    pub(super) fn asset_unit(&self, asset: AssetId) -> Unit {
        Unit::smallest(self.decimals.get(&asset).copied().unwrap_or(0))
    }

    pub(super) fn units(&self, instrument: InstrumentId) -> InstrumentUnits {
        self.units.get(&instrument).copied().unwrap_or(InstrumentUnits::UNLISTED)
    }

    pub(super) fn asset_added(&mut self, asset: AssetId, decimals: u8) {
        self.decimals.insert(asset, decimals);
    }

    pub(super) fn instrument_listed(&mut self, listing: &ListInstrument) {
        self.units.insert(listing.instrument, InstrumentUnits::of(listing));
    }

    pub(super) fn phase_changed(&mut self, instrument: InstrumentId, phase: Phase) {
        if let Some(units) = self.units.get_mut(&instrument) {
            units.phase = phase;
        }
    }

    /// An instrument's price protection; the default if none was set.
    pub(super) fn protection(&self, instrument: InstrumentId) -> PriceProtection {
        self.protections.get(&instrument).copied().unwrap_or(PriceProtection::DEFAULT)
    }

    pub(super) fn protected(&mut self, instrument: InstrumentId, protection: PriceProtection) {
        self.protections.insert(instrument, protection);
    }

    /// An order was sent. A name that its account uses already stays with the instrument that it was used for.
    pub(super) fn order_sent(&mut self, account: AccountId, instrument: InstrumentId, order: ClientOrderId) {
        self.owners.insert(order, account);
        self.places.entry((account, order)).or_insert(instrument);
    }

    /// An order was accepted, or goes by a new name.
    pub(super) fn order_accepted(
        &mut self,
        account: AccountId,
        instrument: InstrumentId,
        order_id: OrderId,
        order: ClientOrderId,
    ) {
        self.owners.insert(order, account);
        self.places.insert((account, order), instrument);
        self.order_ids.insert(order_id, order);
    }

    /// Who used an order's name last.
    pub(super) fn owner(&self, order: ClientOrderId) -> Option<AccountId> {
        self.owners.get(&order).copied()
    }

    /// The instrument for which an account used an order's name.
    pub(super) fn place(&self, account: AccountId, order: ClientOrderId) -> Option<InstrumentId> {
        self.places.get(&(account, order)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_numbered_by_first_appearance_and_accounts_start_behind_the_venues_own() {
        let mut names = Names::default();
        assert_eq!(
            (names.account("a"), names.account("b"), names.account("a")),
            (AccountId(2), AccountId(3), AccountId(2))
        );
        assert_eq!((names.asset("USD"), names.instrument("BTC-USD")), (AssetId(1), InstrumentId(1)));
        assert_eq!(names.order("x"), ClientOrderId(1));
        assert_eq!(names.account_name(AccountId(3)), Some("b"));
        assert_eq!(names.account_name(AccountId::FEES), None);
        assert_eq!(names.order_name(ClientOrderId(1)), Some("x"));
        assert_eq!(names.order_name(ClientOrderId::NONE), None);
    }
}
