//! One instrument: its book, its phase and its settings.

use crate::accounts::Ledger;
use crate::book::Book;
use crate::call::Call;
use crate::canonical::code_enum;
use crate::command::ListInstrument;
use crate::identity::AssetId;
use crate::instrument::{FeeRates, Holds, InstrumentLimits, Phase, PriceProtection};
use crate::limits::FEE_TIERS;
use crate::order::SelfTradePrevention;
use crate::reject::RejectReason;
use crate::{Price, Quantity};

/// Smallest units of the assets in one step of price and quantity; zero without assets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Units {
    /// Of the quote asset, in one tick times one lot.
    pub(crate) quote: u64,
    /// Of the base asset, in one lot.
    pub(crate) base: u64,
}

code_enum! {
    /// Whether an instrument can be traded.
    pub(crate) enum ListingStatus: u8 {
        /// It can.
        Listed = 1,
        /// It cannot, for ever.
        Delisted = 2,
    }
}

/// One instrument.
#[derive(Debug)]
pub(crate) struct Market {
    pub(crate) listing: ListInstrument,
    pub(crate) status: ListingStatus,
    pub(crate) units: Units,
    pub(crate) phase: Phase,
    pub(crate) limits: InstrumentLimits,
    pub(crate) protection: PriceProtection,
    /// By tier; a tier without rates pays tier 0's.
    pub(crate) fees: [Option<FeeRates>; FEE_TIERS as usize],
    /// What prices are measured from: by the protection's source the last trade or auction before, else the listing's;
    /// absent before any.
    pub(crate) reference: Price,
    /// What the reference will be when the command, or what is due, has come to its end.
    pub(crate) next_reference: Price,
    /// The call that is pending.
    pub(crate) call: Option<Call>,
    pub(crate) book: Book,
}

const _: () = assert!(size_of::<Market>() <= 8_192, "what a capacity says that an instrument takes");

impl Market {
    pub(crate) fn new(listing: ListInstrument, units: Units) -> Self {
        Self {
            listing,
            status: ListingStatus::Listed,
            units,
            phase: listing.phase,
            limits: InstrumentLimits::DEFAULT,
            protection: PriceProtection::DEFAULT,
            fees: [None; FEE_TIERS as usize],
            reference: listing.reference,
            next_reference: listing.reference,
            call: None,
            book: Book::new(),
        }
    }

    pub(crate) fn settles(&self) -> bool {
        self.listing.holds == Holds::On
    }

    pub(crate) fn base(&self) -> AssetId {
        self.listing.base
    }

    pub(crate) fn quote(&self) -> AssetId {
        self.listing.quote
    }

    /// The mode of self-trade prevention where neither the order nor its account has one.
    pub(crate) fn self_trade_prevention(&self, own: Option<SelfTradePrevention>) -> SelfTradePrevention {
        own.unwrap_or(self.listing.self_trade_prevention)
    }

    /// What an order of this tier pays from now on.
    pub(crate) fn rates(&self, tier: u8) -> FeeRates {
        self.fees[tier as usize].or(self.fees[0]).unwrap_or(FeeRates::ZERO)
    }

    /// Price × quantity in the quote asset's smallest unit; `None` beyond 128 bits.
    pub(crate) fn notional(&self, price: Price, quantity: Quantity) -> Option<u128> {
        (u128::from(price.0) * u128::from(quantity.0)).checked_mul(u128::from(self.units.quote))
    }

    /// As [`Market::notional`], for what was checked when an order was accepted.
    pub(crate) fn checked_notional(&self, price: Price, quantity: Quantity) -> u128 {
        self.notional(price, quantity).expect("bounded when the order was accepted")
    }
}

/// The units of a listing, if both are whole.
pub(crate) fn units(listing: &ListInstrument, ledger: &Ledger) -> Result<Units, RejectReason> {
    if listing.base.is_none() && listing.quote.is_none() && listing.holds == Holds::Off {
        return Ok(Units { quote: 0, base: 0 });
    }
    let decimals = |asset: AssetId| {
        ledger.assets.get(asset.0).map(|asset| u32::from(asset.decimals)).ok_or(RejectReason::UnknownAsset)
    };
    let (base, quote) = (decimals(listing.base)?, decimals(listing.quote)?);
    let (tick_decimals, lot_decimals) = (u32::from(listing.tick_decimals), u32::from(listing.lot_decimals));
    let step = u128::from(listing.tick) * u128::from(listing.lot);
    let whole = |mantissa, decimals, unit| scale(mantissa, decimals, unit).ok_or(RejectReason::UnitNotWhole);
    Ok(Units {
        quote: whole(step, tick_decimals + lot_decimals, quote)?,
        base: whole(u128::from(listing.lot), lot_decimals, base)?,
    })
}

/// `mantissa × 10^(to − from)`, if that is whole and fits.
fn scale(mantissa: u128, from: u32, to: u32) -> Option<u64> {
    let scaled = if to >= from {
        mantissa.checked_mul(10_u128.checked_pow(to - from)?)?
    } else {
        let divisor = 10_u128.checked_pow(from - to)?;
        mantissa.is_multiple_of(divisor).then_some(mantissa / divisor)?
    };
    u64::try_from(scaled).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_whole_or_the_listing_fails() {
        // A tick of 0.01 and a lot of 10^-8 are 10^-10 of the quote asset: one unit at ten decimals, none at eight.
        assert_eq!(scale(1, 2 + 8, 10), Some(1));
        assert_eq!(scale(1, 2 + 8, 8), None);
        assert_eq!(scale(25, 2, 10), Some(2_500_000_000));
        assert_eq!(scale(100, 2, 0), Some(1));
        assert_eq!(scale(u128::MAX, 0, 18), None);
        assert_eq!(scale(1 << 64, 0, 0), None);
    }
}
