//! Codes with a name: FIX's numbers where FIX has them, and the engine's where the engine has them.
//!
//! FIX's letters count on from nine: A is 10, C is 12, F is 15, L is 21. A code that this build does not know reads as
//! `NonRepresentable`, so that a newer peer is never a decoding error; what to do about it is the reader's decision,
//! and [`TryFrom`] towards the engine's type makes it an error.

use engine::canonical::Code;

use crate::error::NotRepresentable;
use crate::layout::{CodeLayout, Encoding, Presence, ValueLayout};
use crate::value::{Value, exact};

/// Sent for an absent one-byte code.
const NULL_8: u8 = 255;
/// Sent for an absent two-byte code.
const NULL_16: u16 = 65_535;
/// Stands for every two-byte code that is not known.
const NON_REPRESENTABLE_16: u16 = 65_534;

macro_rules! codes {
    (
        #[doc = $doc:literal]
        pub enum $name:ident mirrors $engine:ty {
            $(#[doc = $value_doc:literal] $value:ident = $code:literal,)*
        }
        $(and {
            $(#[doc = $own_doc:literal] $own:ident = $own_code:literal,)*
        })?
    ) => {
        codes! {
            #[doc = $doc]
            pub enum $name {
                $(#[doc = $value_doc] $value = $code,)*
                $($(#[doc = $own_doc] $own = $own_code,)*)?
            }
        }

        impl From<$engine> for $name {
            fn from(value: $engine) -> Self {
                match value {
                    $(<$engine>::$value => Self::$value,)*
                }
            }
        }

        impl TryFrom<$name> for $engine {
            type Error = NotRepresentable;

            fn try_from(value: $name) -> Result<Self, NotRepresentable> {
                match value {
                    $($name::$value => Ok(Self::$value),)*
                    $($($name::$own |)*)? $name::NonRepresentable => {
                        Err(NotRepresentable { type_name: stringify!($name), value: value as u64 })
                    }
                }
            }
        }

        const _: () = {
            $(assert!(<$engine>::$value as u8 == $code, "the wire's code is the engine's");)*
        };
    };
    (
        #[doc = $doc:literal]
        pub enum $name:ident {
            $(#[doc = $value_doc:literal] $value:ident = $code:literal,)*
        }
    ) => {
        #[doc = $doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name {
            $(#[doc = $value_doc] $value = $code,)*
            /// A code that this build does not know.
            NonRepresentable = 254,
        }

        impl Value for $name {
            const LAYOUT: ValueLayout = ValueLayout {
                type_name: stringify!($name),
                encoding: Encoding::Enumeration,
                primitive: "uint8",
                primitive_bytes: 1,
                count: 1,
                presence: Presence::Required,
                null: None,
                codes: &[$(CodeLayout { name: stringify!($value), code: $code, description: $value_doc },)*],
            };
            const BLANK: Self = Self::NonRepresentable;

            #[inline]
            fn write(self, out: &mut [u8]) {
                out.copy_from_slice(&[self as u8]);
            }

            #[inline]
            fn read(bytes: &[u8]) -> Self {
                let [code] = exact(bytes);
                match code {
                    $($code => Self::$value,)*
                    _ => Self::NonRepresentable,
                }
            }
        }

        impl Value for Option<$name> {
            const LAYOUT: ValueLayout = ValueLayout {
                presence: Presence::Optional,
                null: Some(NULL_8 as i128),
                ..<$name as Value>::LAYOUT
            };
            const BLANK: Self = None;

            #[inline]
            fn write(self, out: &mut [u8]) {
                out.copy_from_slice(&[self.map_or(NULL_8, |value| value as u8)]);
            }

            #[inline]
            fn read(bytes: &[u8]) -> Self {
                (bytes != [NULL_8]).then(|| $name::read(bytes))
            }
        }
    };
}

codes! {
    /// What becomes of a session's orders when it is lost.
    pub enum CancelOnDisconnect mirrors engine::command::CancelOnDisconnect {
        /// They stay.
        Keep = 0,
        /// They are cancelled when the grace ends.
        Cancel = 1,
    }
}

codes! {
    /// Why a session ended.
    pub enum TerminationCode mirrors engine::command::DisconnectReason {
        /// The trader said so.
        Terminated = 1,
        /// The connection was lost.
        ConnectionLost = 2,
        /// Nothing was heard for too long.
        KeepAliveExpired = 3,
        /// The trader read too slowly.
        SlowReader = 4,
        /// The trader broke the protocol.
        ProtocolViolation = 5,
        /// The trader sent too much.
        Throttled = 6,
        /// The key was revoked.
        KeyRevoked = 7,
        /// The venue shut down or restarted.
        VenueStopped = 8,
        /// An administrator ended it.
        Administrator = 9,
        /// The same session logged in anew.
        Replaced = 10,
    }
}

codes! {
    /// A kill switch's position.
    pub enum Switch mirrors engine::command::Switch {
        /// Not acting.
        Lifted = 0,
        /// Acting.
        Engaged = 1,
    }
}

codes! {
    /// FIX 54.
    pub enum Side mirrors engine::Side {
        /// Pays the quote asset for the base asset.
        Buy = 1,
        /// Gives the base asset for the quote asset.
        Sell = 2,
    }
}

codes! {
    /// FIX 40.
    pub enum OrderType mirrors engine::OrderType {
        /// Trades at the best prices up to the market protection; the rest is cancelled.
        Market = 1,
        /// Trades at its limit or better.
        Limit = 2,
        /// Becomes a market order when a trade reaches its stop price.
        Stop = 3,
        /// Becomes a limit order when a trade reaches its stop price.
        StopLimit = 4,
    }
}

codes! {
    /// FIX 59.
    pub enum TimeInForce mirrors engine::TimeInForce {
        /// Until the instrument's rollover.
        Day = 0,
        /// Until filled or cancelled.
        GoodTillCancel = 1,
        /// In the opening auction only.
        AtTheOpening = 2,
        /// At once; the rest is cancelled.
        ImmediateOrCancel = 3,
        /// At once and in full, or not at all.
        FillOrKill = 4,
        /// Until its expiry time.
        GoodTillDate = 6,
        /// In the closing auction only.
        AtTheClose = 7,
    }
}

codes! {
    /// FIX 39: what has become of an order. 10 is FIX A, 12 is FIX C.
    pub enum OrderStatus mirrors engine::OrderStatus {
        /// Open, nothing filled.
        New = 0,
        /// Open, partly filled.
        PartiallyFilled = 1,
        /// Filled in full.
        Filled = 2,
        /// Ended before it was filled.
        Cancelled = 4,
        /// Of a client order id that its order no longer has: it is open under another.
        Replaced = 5,
        /// Never accepted.
        Rejected = 8,
        /// Ended by time.
        Expired = 12,
    }
    and {
        /// On its way to the core.
        PendingNew = 10,
    }
}

codes! {
    /// What happens when an order would trade with its own group.
    pub enum SelfTradePrevention mirrors engine::SelfTradePrevention {
        /// They trade. For replaying other venues' days; an order cannot say it.
        Allow = 0,
        /// `cn`: the incoming remainder is cancelled.
        CancelIncoming = 1,
        /// `co`: the resting order is cancelled.
        CancelResting = 2,
        /// `cb`: both are cancelled.
        CancelBoth = 3,
        /// `dc`: both are reduced by the smaller.
        Decrement = 4,
    }
}

codes! {
    /// What a lost session means for an order.
    pub enum OnDisconnect mirrors engine::OnDisconnect {
        /// As its session agreed at Establish.
        AsSession = 0,
        /// Cancelled.
        Cancel = 1,
        /// Kept.
        Keep = 2,
    }
}

codes! {
    /// What an instrument allows at the moment.
    pub enum Phase mirrors engine::instrument::Phase {
        /// Orders gather before the opening.
        PreOpen = 1,
        /// The opening auction's call.
        OpeningCall = 2,
        /// Continuous trading was interrupted; orders gather for an auction.
        VolatilityCall = 3,
        /// The closing auction's call.
        ClosingCall = 4,
        /// The end of a call, in which orders may only grow more binding.
        NoCancel = 5,
        /// Orders match as they come.
        Continuous = 6,
        /// Only post-only orders enter.
        PostOnly = 7,
        /// Only limit orders enter.
        LimitOnly = 8,
        /// Orders may only leave or shrink, by plan.
        CancelOnly = 9,
        /// Orders may only leave or shrink, for cause.
        Halted = 10,
        /// Orders may only leave.
        Closed = 11,
    }
}

codes! {
    /// Why a phase changed.
    pub enum PhaseCause mirrors engine::instrument::PhaseCause {
        /// An administrator's command.
        Administrator = 1,
        /// A calendar entry fell due.
        Calendar = 2,
        /// A would-be fill lay outside the collar.
        Collar = 3,
        /// A call ended.
        CallEnded = 4,
        /// The instrument was listed or delisted.
        Listing = 5,
        /// An auction would have ended outside its band.
        AuctionBand = 6,
    }
}

codes! {
    /// Why an order was restated.
    pub enum RestatementReason mirrors engine::event::RestatementReason {
        /// The next part of an iceberg is shown, at the back of its level.
        DisplayRefreshed = 1,
        /// Self-trade prevention took quantity away.
        Prevented = 2,
        /// A trade was busted.
        TradeBusted = 3,
        /// An order that waited for the close joined its call.
        JoinedCall = 4,
    }
}

codes! {
    /// FIX 638: what an amend did to an order's place in its queue.
    pub enum Priority mirrors engine::event::Priority {
        /// It stays.
        Kept = 0,
        /// The order went to the back.
        Lost = 1,
    }
}

codes! {
    /// Why a balance changed other than by trading.
    pub enum BalanceCause mirrors engine::event::BalanceCause {
        /// A deposit.
        Deposit = 1,
        /// A withdrawal.
        Withdrawal = 2,
        /// An administrator's correction.
        Adjustment = 3,
        /// A busted trade.
        TradeBust = 4,
    }
}

codes! {
    /// FIX 150: what an execution report reports. 12, 13, 15, 17, 18 and 21 are FIX C, D, F, H, I and L.
    pub enum ExecType {
        /// The order was accepted.
        New = 0,
        /// The order ended before it was filled.
        Cancelled = 4,
        /// The order was amended.
        Replaced = 5,
        /// The order was refused.
        Rejected = 8,
        /// The order was ended by time.
        Expired = 12,
        /// The order changed without its owner's doing.
        Restated = 13,
        /// The order traded.
        Trade = 15,
        /// A trade of the order was reversed.
        TradeCancel = 17,
        /// Nothing happened: the order as it is.
        OrderStatus = 18,
        /// A stop was elected.
        Triggered = 21,
    }
}

codes! {
    /// FIX N or Y.
    pub enum Indicator {
        /// It is not so.
        No = 0,
        /// It is so.
        Yes = 1,
    }
}

codes! {
    /// How safe the venue had made a command when it reported on it.
    pub enum Durability {
        /// At the head of the log: survives the venue's process.
        Buffered = 1,
        /// On stable storage: survives the machine's power.
        Synced = 2,
        /// On several machines: survives the machine.
        Replicated = 3,
    }
}

codes! {
    /// FIX 434: which request was refused.
    pub enum CancelRejectResponseTo {
        /// A cancel.
        OrderCancelRequest = 1,
        /// An amend.
        OrderCancelReplaceRequest = 2,
    }
}

codes! {
    /// FIX 1373: what is done to many orders.
    pub enum MassActionType {
        /// They are cancelled.
        CancelOrders = 3,
    }
}

codes! {
    /// FIX 1375: what became of a mass action.
    pub enum MassActionResponse {
        /// It was refused.
        Rejected = 0,
        /// It is done.
        Completed = 2,
    }
}

codes! {
    /// How much of a book a subscriber sees.
    pub enum FeedLevel {
        /// The best price of each side.
        BestBidOffer = 1,
        /// Every price level.
        MarketByPrice = 2,
        /// Every order.
        MarketByOrder = 3,
        /// Trades only.
        Trades = 4,
        /// The best ten price levels of each side.
        MarketByPrice10 = 5,
        /// The best fifty price levels of each side.
        MarketByPrice50 = 6,
        /// Definition, phase and statistics.
        Reference = 7,
    }
}

codes! {
    /// What a slow subscriber gets.
    pub enum DeliveryMode {
        /// Every message; too slow means a gap notice and a snapshot.
        Live = 1,
        /// The latest state, messages left out.
        Conflated = 2,
        /// Every message, each packet in a datagram: what is lost has to be asked for again.
        Datagrams = 3,
    }
}

codes! {
    /// FIX 263: what is asked of a subscription.
    pub enum SubscriptionRequestType {
        /// It begins, with a snapshot.
        Subscribe = 1,
        /// It ends.
        Unsubscribe = 2,
    }
}

codes! {
    /// FIX 279: what happened to an entry.
    pub enum UpdateAction {
        /// It is new.
        New = 0,
        /// It has a new quantity, and keeps its place.
        Change = 1,
        /// It is gone.
        Delete = 2,
    }
}

codes! {
    /// FIX 281: why a market data request was refused.
    pub enum SubscribeRejectReason {
        /// There is no such instrument.
        UnknownInstrument = 1,
        /// The request id is in use.
        DuplicateRequest = 2,
        /// The subscriber may not see this.
        NotEntitled = 3,
        /// The subscriber has as many subscriptions as it may.
        TooManySubscriptions = 4,
        /// This venue does not offer the level.
        UnsupportedLevel = 5,
        /// The mode does not go with the level.
        UnsupportedMode = 6,
        /// There is no such channel.
        UnknownChannel = 7,
        /// The range is no longer kept: take a snapshot.
        TooOld = 8,
        /// Another request of the same kind is being answered.
        Busy = 9,
    }
}

codes! {
    /// Why messages were left out.
    pub enum GapCause {
        /// The subscriber read too slowly.
        SlowReader = 1,
        /// The venue itself lost its place.
        Upstream = 2,
    }
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident of $engine:ty;)*) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(transparent)]
        pub struct $name(pub u16);

        impl Value for $name {
            const LAYOUT: ValueLayout = ValueLayout {
                type_name: stringify!($name),
                encoding: Encoding::Enumeration,
                primitive: "uint16",
                primitive_bytes: 2,
                count: 1,
                presence: Presence::Required,
                null: None,
                codes: &[],
            };
            const BLANK: Self = Self(NON_REPRESENTABLE_16);

            #[inline]
            fn write(self, out: &mut [u8]) {
                out.copy_from_slice(&self.0.to_le_bytes());
            }

            #[inline]
            fn read(bytes: &[u8]) -> Self {
                Self(u16::from_le_bytes(exact(bytes)))
            }
        }

        impl Value for Option<$name> {
            const LAYOUT: ValueLayout = ValueLayout {
                presence: Presence::Optional,
                null: Some(NULL_16 as i128),
                ..<$name as Value>::LAYOUT
            };
            const BLANK: Self = None;

            #[inline]
            fn write(self, out: &mut [u8]) {
                self.unwrap_or($name(NULL_16)).write(out);
            }

            #[inline]
            fn read(bytes: &[u8]) -> Self {
                let reason = $name::read(bytes);
                (reason.0 != NULL_16).then_some(reason)
            }
        }

        impl From<$engine> for $name {
            fn from(reason: $engine) -> Self {
                Self(reason.code())
            }
        }

        impl TryFrom<$name> for $engine {
            type Error = NotRepresentable;

            fn try_from(reason: $name) -> Result<Self, NotRepresentable> {
                Self::from_code(reason.0)
                    .ok_or(NotRepresentable { type_name: stringify!($name), value: reason.0.into() })
            }
        }
    )*};
}

reasons! {
    /// Why something was refused: below 2000 an [`engine::RejectReason`], from 2000 an [`EdgeReason`].
    ///
    /// A number and not an enum, so that a client shows a reason that is newer than itself.
    RejectReason of engine::RejectReason;
    /// Why an order ended before it was filled: an [`engine::CancelReason`].
    CancelReason of engine::CancelReason;
}

macro_rules! edge_reasons {
    ($(#[doc = $doc:literal] $name:ident = $code:literal,)*) => {
        /// Why the edge refused something before it became a command. It is not journalled.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u16)]
        pub enum EdgeReason {
            $(#[doc = $doc] $name = $code,)*
        }

        impl EdgeReason {
            /// Every reason, by ascending code.
            pub const ALL: &'static [CodeLayout] =
                &[$(CodeLayout { name: stringify!($name), code: $code, description: $doc },)*];
        }

        impl TryFrom<RejectReason> for EdgeReason {
            type Error = NotRepresentable;

            fn try_from(reason: RejectReason) -> Result<Self, NotRepresentable> {
                match reason.0 {
                    $($code => Ok(Self::$name),)*
                    code => Err(NotRepresentable { type_name: "RejectReason", value: code.into() }),
                }
            }
        }
    };
}

edge_reasons! {
    /// The message is malformed, or a field of it has no meaning.
    Malformed = 2000,
    /// The gateway does not carry this message out.
    UnsupportedMessage = 2010,
    /// The schema is not served; of one that is, every version is.
    UnsupportedSchema = 2020,
    /// The session sent more than it may.
    Throttled = 2030,
    /// The venue is too busy to take the command.
    Busy = 2040,
    /// The signature does not verify.
    SignatureInvalid = 2050,
    /// The timestamp is too far from the venue's time.
    TimestampOutOfWindow = 2060,
    /// Too many logins failed.
    TooManyLogins = 2070,
    /// The key may not log in from this address.
    AddressNotAllowed = 2080,
    /// The keep-alive interval is too short or too long.
    KeepAliveOutOfRange = 2090,
    /// The cancel grace is too long.
    GraceOutOfRange = 2100,
    /// Not in use: the venue goes by its own number.
    NextSequenceInvalid = 2110,
    /// The range is empty, or was never sent.
    RetransmitRangeInvalid = 2120,
    /// The range is longer than one request may ask for.
    RetransmitTooLong = 2130,
    /// The range is no longer kept.
    RetransmitTooOld = 2140,
    /// Another range is being sent.
    RetransmitInProgress = 2150,
    /// The venue's storage fills: only cancels and logins are taken.
    StorageLow = 2160,
    /// The venue's storage is full: nothing is taken.
    StorageFull = 2170,
}

impl From<EdgeReason> for RejectReason {
    fn from(reason: EdgeReason) -> Self {
        Self(reason as u16)
    }
}

impl RejectReason {
    /// The reason's name; `None` for one that this build does not know.
    pub fn name(self) -> Option<&'static str> {
        let edge = || EdgeReason::ALL.iter().find(|reason| reason.code == self.0).map(|reason| reason.name);
        engine::RejectReason::from_code(self.0).map(Code::name).or_else(edge)
    }
}

impl core::fmt::Display for RejectReason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "reason {}", self.0),
        }
    }
}

impl CancelReason {
    /// The reason's name; `None` for one that this build does not know.
    pub fn name(self) -> Option<&'static str> {
        engine::CancelReason::from_code(self.0).map(Code::name)
    }
}

macro_rules! sets {
    ($(
        #[doc = $doc:literal]
        $name:ident {
            $(#[doc = $bit_doc:literal] $constant:ident = $bit_name:ident: $bit:literal,)*
        }
    )*) => {$(
        #[doc = $doc]
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        #[repr(transparent)]
        pub struct $name(pub u8);

        impl $name {
            /// None.
            pub const NONE: Self = Self(0);
            $(#[doc = $bit_doc] pub const $constant: Self = Self(1 << $bit);)*

            /// Whether all of `flags` are set.
            pub const fn contains(self, flags: Self) -> bool {
                self.0 & flags.0 == flags.0
            }

            /// These and `flags`.
            #[must_use]
            pub const fn with(self, flags: Self) -> Self {
                Self(self.0 | flags.0)
            }
        }

        impl Value for $name {
            const LAYOUT: ValueLayout = ValueLayout {
                type_name: stringify!($name),
                encoding: Encoding::Set,
                primitive: "uint8",
                primitive_bytes: 1,
                count: 1,
                presence: Presence::Required,
                null: None,
                codes: &[$(CodeLayout { name: stringify!($bit_name), code: $bit, description: $bit_doc },)*],
            };
            const BLANK: Self = Self::NONE;

            #[inline]
            fn write(self, out: &mut [u8]) {
                out.copy_from_slice(&[self.0]);
            }

            #[inline]
            fn read(bytes: &[u8]) -> Self {
                let [flags] = exact(bytes);
                Self(flags)
            }
        }
    )*};
}

sets! {
    /// Flags of an order. Unknown ones are passed on, for the engine to refuse.
    ExecInst {
        /// Post-only: rejected if it would take.
        POST_ONLY = ParticipateDoNotInitiate: 0,
    }
    /// What is special about a packet.
    PacketFlags {
        /// The last event goes on in the next packet.
        EVENT_CONTINUES = EventContinues: 0,
        /// Messages stand for several: only the latest state is given.
        CONFLATED = Conflated: 1,
        /// The packet was sent before.
        RETRANSMITTED = Retransmitted: 2,
    }
}

const _: () = assert!(engine::OrderFlags::POST_ONLY.0 == ExecInst::POST_ONLY.0, "the wire's bits are the engine's");

impl From<engine::OrderFlags> for ExecInst {
    fn from(flags: engine::OrderFlags) -> Self {
        Self(flags.0)
    }
}

impl From<ExecInst> for engine::OrderFlags {
    fn from(flags: ExecInst) -> Self {
        Self(flags.0)
    }
}

impl TryFrom<engine::CommandKind> for CancelRejectResponseTo {
    type Error = NotRepresentable;

    /// Only a cancel and an amend are answered with an `OrderCancelReject`.
    fn try_from(kind: engine::CommandKind) -> Result<Self, NotRepresentable> {
        match kind {
            engine::CommandKind::CancelOrder => Ok(Self::OrderCancelRequest),
            engine::CommandKind::ReplaceOrder => Ok(Self::OrderCancelReplaceRequest),
            other => Err(NotRepresentable { type_name: "CancelRejectResponseTo", value: other.code().into() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_that_is_not_known_is_said_to_be_so() {
        assert_eq!(Side::read(&[2]), Side::Sell);
        assert_eq!(Side::read(&[3]), Side::NonRepresentable);
        assert_eq!(Side::read(&[255]), Side::NonRepresentable);
        assert_eq!(Option::<Side>::read(&[255]), None);
        assert_eq!(Option::<Side>::read(&[9]), Some(Side::NonRepresentable));
        let error = engine::Side::try_from(Side::NonRepresentable).unwrap_err();
        assert_eq!(error, NotRepresentable { type_name: "Side", value: 254 });
    }

    #[test]
    fn every_reason_of_the_engine_travels_as_its_number() {
        for &reason in engine::RejectReason::ALL {
            let sent = RejectReason::from(reason);
            assert_eq!(sent.0, reason.code());
            assert_eq!(engine::RejectReason::try_from(sent), Ok(reason));
            assert_eq!(sent.name(), Some(reason.name()));
            assert!(EdgeReason::try_from(sent).is_err());
        }
        for &reason in engine::CancelReason::ALL {
            assert_eq!(engine::CancelReason::try_from(CancelReason::from(reason)), Ok(reason));
        }
    }

    #[test]
    fn reasons_of_the_edge_are_apart_from_the_engines() {
        for reason in EdgeReason::ALL {
            assert!(reason.code >= 2000 && reason.code < NON_REPRESENTABLE_16 && reason.code % 10 == 0);
            let edge = EdgeReason::try_from(RejectReason(reason.code)).unwrap();
            assert_eq!(RejectReason::from(edge), RejectReason(reason.code));
            assert!(engine::RejectReason::try_from(RejectReason(reason.code)).is_err());
        }
        assert!(engine::RejectReason::ALL.iter().all(|reason| reason.code() < 2000));
        assert_eq!(RejectReason(9999).name(), None);
    }

    #[test]
    fn mirrored_codes_agree_both_ways() {
        fn check<Wire, Engine>()
        where
            Wire: Value + TryInto<Engine> + From<Engine>,
            Engine: Code + PartialEq + core::fmt::Debug,
        {
            for &value in Engine::ALL {
                let mut byte = [0];
                Wire::from(value).write(&mut byte);
                assert_eq!(u16::from(byte[0]), value.code());
                assert_eq!(Wire::read(&byte).try_into().ok(), Some(value));
            }
        }
        check::<Side, engine::Side>();
        check::<OrderType, engine::OrderType>();
        check::<TimeInForce, engine::TimeInForce>();
        check::<OrderStatus, engine::OrderStatus>();
        check::<SelfTradePrevention, engine::SelfTradePrevention>();
        check::<OnDisconnect, engine::OnDisconnect>();
        check::<Phase, engine::instrument::Phase>();
        check::<PhaseCause, engine::instrument::PhaseCause>();
        check::<CancelOnDisconnect, engine::command::CancelOnDisconnect>();
        check::<TerminationCode, engine::command::DisconnectReason>();
        check::<Switch, engine::command::Switch>();
        check::<RestatementReason, engine::event::RestatementReason>();
        check::<Priority, engine::event::Priority>();
        check::<BalanceCause, engine::event::BalanceCause>();
    }
}
