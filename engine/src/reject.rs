//! Why a command was refused, and why an order ended.
//!
//! Codes are spaced by ten and only ever added to. Within [`RejectReason`] the order of declaration is the order of
//! precedence, of the documentation and of the tests: a command that deserves several reasons gets the first.

use crate::canonical::code_enum;

code_enum! {
    /// Why a command changed nothing.
    pub enum RejectReason: u16 {
        /// The venue takes no commands at the moment.
        VenueNotAccepting = 10,
        /// The author may not do this, or the session is not established.
        NotEntitled = 20,
        /// There is no such instrument.
        UnknownInstrument = 30,
        /// There is no such account.
        UnknownAccount = 40,
        /// The account's kill switch is engaged.
        AccountBlocked = 50,
        /// The account has an open or recently closed order with this client order id.
        DuplicateClientOrderId = 60,
        /// The account has no such open order.
        UnknownOrder = 70,
        /// This build knows the feature by name but does not carry it out.
        NotImplemented = 80,
        /// Type, time in force and flags do not go together.
        InvalidCombination = 90,
        /// The instrument's phase does not allow it.
        PhaseNotAllowed = 100,
        /// The order type needs a price.
        PriceMissing = 110,
        /// The order type has no price.
        PriceSuperfluous = 120,
        /// The price is zero or negative.
        PriceNotPositive = 130,
        /// The price is not a whole number of ticks.
        PriceOffTick = 140,
        /// The price is above the instrument's maximum.
        PriceOutOfRange = 150,
        /// The quantity is missing, zero or negative.
        QuantityNotPositive = 160,
        /// The quantity is not a whole number of lots.
        QuantityOffLot = 170,
        /// The quantity is below the instrument's minimum.
        QuantityBelowMinimum = 180,
        /// The quantity is above the instrument's maximum.
        QuantityAboveMaximum = 190,
        /// The display quantity is zero, off lot, above the order quantity or below a ten-thousandth of it.
        DisplayQuantityInvalid = 200,
        /// The minimum quantity is zero, off lot or above the order quantity.
        MinimumQuantityInvalid = 210,
        /// Funds are given where they do not belong, or beside a quantity, or are zero or beyond the engine's bound.
        FundsInvalid = 220,
        /// The notional is below the instrument's minimum.
        NotionalBelowMinimum = 230,
        /// The notional is above the instrument's maximum.
        NotionalAboveMaximum = 240,
        /// The expiry is missing, superfluous or not in the future.
        ExpiryInvalid = 250,
        /// The stop price is missing, superfluous, off tick or out of range.
        StopPriceInvalid = 260,
        /// The price is outside the entry band.
        OutsidePriceBand = 270,
        /// The quantity is above the account's maximum.
        AccountQuantityLimit = 280,
        /// The notional is above the account's maximum.
        AccountNotionalLimit = 290,
        /// The account has as many open orders as it may.
        AccountOpenOrdersLimit = 300,
        /// The price is further from the reference than the account may go.
        AccountPriceDeviation = 310,
        /// The account's available balance does not cover it.
        InsufficientFunds = 320,
        /// A post-only order would take.
        PostOnlyWouldTake = 330,
        /// The book cannot fill what the order insists on at once.
        CannotFill = 340,
        /// A stated capacity of the venue is exhausted.
        CapacityFull = 350,

        /// The administrator's idempotency key was used before.
        DuplicateRequest = 1000,
        /// There is no such asset.
        UnknownAsset = 1010,
        /// There is no such key.
        UnknownKey = 1020,
        /// There is no such session.
        UnknownSession = 1030,
        /// There is no such trade, or it is too old, or busted.
        UnknownTrade = 1040,
        /// There is no such calendar entry.
        UnknownCalendarEntry = 1050,
        /// The identity is taken.
        AlreadyExists = 1060,
        /// The identity is zero or above the venue's capacity.
        IdentityOutOfRange = 1070,
        /// The name is empty.
        NameMissing = 1080,
        /// More decimals than the venue carries.
        DecimalsOutOfRange = 1090,
        /// Tick or lot is zero, or base and quote are the same or missing.
        TickOrLotInvalid = 1100,
        /// A lot is not a whole number of the base asset's units, or tick × lot of the quote asset's.
        UnitNotWhole = 1110,
        /// Minimum above maximum, or a bound beyond the engine's own.
        LimitsInvalid = 1120,
        /// A rate out of range, or a rebate above the lowest taker rate.
        FeeRatesInvalid = 1130,
        /// The amount is zero, or the asset's total would pass the engine's bound.
        AmountInvalid = 1140,
        /// The phase cannot follow the present one.
        PhaseTransition = 1150,
        /// This build does not carry that behaviour version.
        UnsupportedBehaviour = 1160,
        /// The network prefix has more bits than an address.
        AddressInvalid = 1170,
        /// There is no such fee tier, or a bound is beyond the engine's own.
        AccountSettingInvalid = 1180,
        /// The key does not have the role.
        RoleNotGranted = 1190,
        /// The role is for the whole venue only.
        RoleNeedsVenue = 1200,
        /// The entry's time is not in the future, or its phase is missing or superfluous.
        CalendarEntryInvalid = 1210,

        /// The key is revoked.
        KeyRevoked = 1500,
        /// The session belongs to another key.
        SessionKeyMismatch = 1510,
        /// The session version is not greater than the last: a replayed login.
        SessionVersionNotGreater = 1520,
        /// Establish names a version that was not negotiated.
        SessionNotNegotiated = 1530,
        /// The nonce is not greater than the last: a replayed Establish.
        SessionNonceNotGreater = 1540,
        /// The session is established already.
        SessionAlreadyEstablished = 1550,
        /// The session is not established.
        SessionNotEstablished = 1560,
    }
}

code_enum! {
    /// Why an order ended before it was filled.
    pub enum CancelReason: u16 {
        /// Its owner asked.
        Requested = 10,
        /// Amended to no more than was filled.
        AmendedToFilled = 20,
        /// The rest of an ImmediateOrCancel order.
        ImmediateRemainder = 30,
        /// The rest of a market order: the book was empty.
        MarketRemainder = 40,
        /// The rest of a market order: the next price was beyond the market protection.
        MarketProtection = 50,
        /// A mass cancel.
        MassCancel = 60,
        /// Its session was lost and the grace ended.
        Disconnected = 70,
        /// The account's kill switch.
        KillSwitch = 80,
        /// Self-trade prevention.
        SelfTradePrevention = 90,
        /// A Day order at the instrument's rollover.
        DayEnded = 100,
        /// A GoodTillDate order at its expiry.
        Expired = 110,
        /// What an AtTheOpening order left after the opening uncross.
        OpeningRemainder = 120,
        /// What an AtTheClose order left after the closing uncross.
        ClosingRemainder = 130,
        /// What a market order left after an uncross.
        AuctionRemainder = 140,
        /// The next fill would have been outside the collar.
        Collar = 150,
        /// The instrument was delisted.
        Delisted = 160,
        /// Its session's key was revoked.
        KeyRevoked = 170,
        /// An administrator.
        Administrator = 180,
        /// What was left of a market order's funds pays for no lot more.
        FundsRemainder = 190,
        /// An elected StopLimit, or one for the close, for whose price the venue has no room.
        CapacityFull = 200,
        /// A market buy in a call, whose account does not cover the worst price that it may pay.
        InsufficientFunds = 210,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::Code;

    #[test]
    fn codes_are_spaced_by_ten_and_declared_in_ascending_order() {
        for codes in [
            RejectReason::ALL.iter().map(|reason| reason.code()).collect::<alloc::vec::Vec<_>>(),
            CancelReason::ALL.iter().map(|reason| reason.code()).collect(),
        ] {
            assert!(codes.iter().all(|code| code % 10 == 0));
            assert!(codes.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}
