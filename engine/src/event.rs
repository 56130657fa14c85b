//! Events: everything that happened, in the past tense or as a noun.
//!
//! Events are derived: applying the same commands yields the same events, byte for byte. A private event carries a
//! [`Report`], which names the account and session it is for and numbers it.

use crate::canonical::{code_enum, messages, record};
use crate::command::{
    AddAsset, AddKey, AdminNote, AllowAddress, CancelOnDisconnect, CommandKind, DisconnectReason, GrantRole,
    KillSwitch, ListInstrument, ModifyAccount, OpenAccount, RemoveCalendarEntry, RevokeKey, RevokeRole,
    SetAccountLimits, SetBehaviour, SetCalendarEntry, SetFees, SetInstrumentLimits, SetPriceProtection, SetRandomSeed,
};
use crate::identity::{
    AccountId, AssetId, ClientOrderId, EventId, ExecId, InstrumentId, KeyId, OrderId, SessionId, SessionSequence,
    SessionVersion, TradeId,
};
use crate::instrument::{Phase, PhaseCause};
use crate::order::{OnDisconnect, OrderFlags, OrderStatus, OrderType, SelfTradePrevention, Side, TimeInForce};
use crate::reject::{CancelReason, RejectReason};
use crate::{Amount, Nanoseconds, Price, Quantity, SignedAmount, Timestamp};

/// Takes events in the order in which they happen.
///
/// A command may cause any number of them; the sink may wait for its readers.
pub trait EventSink {
    /// Takes the next event.
    fn event(&mut self, header: &EventHeader, event: &Event);
}

/// Keeps none: for runs of which only the state is wanted.
impl EventSink for () {
    fn event(&mut self, _: &EventHeader, _: &Event) {}
}

/// Keeps all.
impl EventSink for alloc::vec::Vec<(EventHeader, Event)> {
    fn event(&mut self, header: &EventHeader, event: &Event) {
        self.push((*header, *event));
    }
}

record! {
    /// Which event, when, and when the gateway received what caused it.
    pub struct EventHeader {
        /// Its name for ever.
        pub id: EventId,
        /// The core's time.
        pub time: Timestamp,
        /// The causing command's gateway-in time.
        pub received_at: Timestamp,
    }
    /// For whom a private event is, and its numbers.
    ///
    /// Numbers are given only to reports of journalled commands, so that replay gives the same ones. An account or
    /// session that does not exist has no numbers: they are zero.
    pub struct Report {
        /// Whose.
        pub account: AccountId,
        /// The session that entered the order, or that asked.
        pub session: SessionId,
        /// The report's number in its account, from 1 without gaps.
        pub exec_id: ExecId,
        /// The report's number in its session's recoverable stream, from 1 without gaps.
        pub report_number: SessionSequence,
        /// The session's command that this answers; zero if it answers none of that session's.
        pub client_sequence: SessionSequence,
    }
    /// The session whose request this answers, where that is not the session that the report is for.
    pub struct Requester {
        /// Which; none: the report's own session asked, or nobody did.
        pub session: SessionId,
        /// The report's number in the requester's recoverable stream.
        pub report_number: SessionSequence,
        /// The requester's command that this answers.
        pub client_sequence: SessionSequence,
    }
    /// An order as it is after the event.
    pub struct OrderState {
        /// In what.
        pub instrument: InstrumentId,
        /// The venue's name for it.
        pub order_id: OrderId,
        /// The trader's name for it.
        pub client_order_id: ClientOrderId,
        /// Buy or sell.
        pub side: Side,
        /// How it is priced.
        pub order_type: OrderType,
        /// How long it lives.
        pub time_in_force: TimeInForce,
        /// Post-only.
        pub flags: OrderFlags,
        /// Limit, in ticks; absent for Market and Stop.
        pub price: Price,
        /// Order quantity, in lots.
        pub quantity: Quantity,
        /// What may still trade.
        pub leaves: Quantity,
        /// What has traded.
        pub cumulative: Quantity,
        /// What self-trade prevention took away.
        pub prevented: Quantity,
        /// What of the leaves is shown.
        pub shown: Quantity,
    }
    /// One side of a trade.
    pub struct TradeSide {
        /// For whom.
        pub report: Report,
        /// The venue's name for the order.
        pub order_id: OrderId,
        /// The trader's name for the order.
        pub client_order_id: ClientOrderId,
        /// Buy or sell.
        pub side: Side,
        /// The order's limit, in ticks; absent for Market and Stop.
        pub order_price: Price,
        /// Order quantity, in lots.
        pub order_quantity: Quantity,
        /// What may still trade.
        pub leaves: Quantity,
        /// What has traded, this trade included.
        pub cumulative: Quantity,
        /// What self-trade prevention took away.
        pub prevented: Quantity,
        /// What this trade cost in fees, in the quote asset's smallest unit; negative: a rebate.
        pub fee: SignedAmount,
    }
}

impl Requester {
    /// The report's own session asked, or nobody did.
    pub const NOBODY: Self =
        Self { session: SessionId::NONE, report_number: SessionSequence::NONE, client_sequence: SessionSequence::NONE };
}

code_enum! {
    /// What an amend did to an order's place in its queue.
    pub enum Priority: u8 {
        /// It stays.
        Kept = 0,
        /// The order went to the back.
        Lost = 1,
    }
}

code_enum! {
    /// Whether both sides of a trade belong together.
    pub enum SelfMatch: u8 {
        /// They do not.
        No = 0,
        /// They do, and self-trade prevention did not act.
        Yes = 1,
    }
}

code_enum! {
    /// Why an order was restated.
    pub enum RestatementReason: u8 {
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

code_enum! {
    /// Why a balance changed other than by trading.
    pub enum BalanceCause: u8 {
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

code_enum! {
    /// Which rule of price protection acted.
    pub enum PriceBound: u8 {
        /// The market protection.
        Market = 1,
        /// The collar.
        Collar = 2,
        /// The entry band.
        EntryBand = 3,
        /// The auction's band.
        AuctionBand = 4,
    }
}

messages! {
    /// What happened.
    pub enum Event, kinds EventKind {
        /// An order was accepted (FIX ExecType New).
        OrderAccepted = 1,
        /// An order was refused (FIX ExecType Rejected).
        OrderRejected = 2,
        /// An order was amended (FIX ExecType Replaced).
        OrderReplaced = 3,
        /// An order ended before it was filled (FIX ExecType Canceled or Expired).
        OrderCancelled = 4,
        /// A cancel or amend was refused (FIX OrderCancelReject).
        CancelRejected = 5,
        /// Two orders traded (FIX ExecType Trade, twice).
        Trade = 6,
        /// A stop was elected (FIX ExecType Triggered).
        OrderTriggered = 7,
        /// An order changed without its owner's doing (FIX ExecType Restated).
        OrderRestated = 8,
        /// Two orders of one group did not trade.
        MatchPrevented = 9,
        /// A mass cancel is done (FIX OrderMassActionReport).
        MassCancelled = 10,
        /// A mass cancel was refused.
        MassCancelRejected = 11,

        /// A session logged in.
        SessionNegotiated = 20,
        /// A session is open.
        SessionEstablished = 21,
        /// A session was refused.
        SessionRejected = 22,
        /// A session is gone.
        SessionDisconnected = 23,
        /// Commands of a session never arrived.
        NotApplied = 24,

        /// An administrator's command was refused.
        CommandRejected = 40,
        /// The random decisions were seeded.
        RandomSeedSet = 41,
        /// The matching rules have this version from now on.
        BehaviourSet = 42,

        /// An asset was added.
        AssetAdded = 60,
        /// An instrument was listed.
        InstrumentListed = 61,
        /// An instrument was delisted.
        InstrumentDelisted = 62,
        /// An instrument's bounds changed.
        InstrumentLimitsSet = 63,
        /// An instrument's price protection changed.
        PriceProtectionSet = 64,
        /// Fee rates changed.
        FeesSet = 65,
        /// An instrument's phase changed.
        PhaseChanged = 66,
        /// A calendar entry was added or changed.
        CalendarEntrySet = 67,
        /// A calendar entry was removed.
        CalendarEntryRemoved = 68,
        /// An auction would end so, if it ended now.
        IndicativeChanged = 69,
        /// An auction ended.
        Uncrossed = 70,
        /// Price protection acted.
        PriceBoundReached = 71,

        /// An account was opened.
        AccountOpened = 80,
        /// An account was changed.
        AccountModified = 81,
        /// An account's bounds changed.
        AccountLimitsSet = 82,
        /// A balance changed other than by trading.
        BalanceChanged = 83,
        /// A kill switch was engaged or lifted.
        KillSwitchSet = 84,
        /// A trade was reversed.
        TradeBusted = 85,

        /// A key is known.
        KeyAdded = 100,
        /// A key is revoked.
        KeyRevoked = 101,
        /// A key may act.
        RoleGranted = 102,
        /// A key may no longer act.
        RoleRevoked = 103,
        /// A key may log in from a network.
        AddressAllowed = 104,
    }
}

record! {
    /// An order was accepted.
    pub struct OrderAccepted {
        /// For whom.
        pub report: Report,
        /// The order.
        pub order: OrderState,
        /// The mode that holds for it as the incoming order.
        pub self_trade_prevention: SelfTradePrevention,
        /// What losing the session means for it.
        pub on_disconnect: OnDisconnect,
        /// What a market buy may spend; absent otherwise.
        pub funds: Amount,
        /// Trigger; absent unless Stop or StopLimit.
        pub stop_price: Price,
        /// What of it is shown; absent: all.
        pub display_quantity: Quantity,
        /// What must trade at once; absent: nothing.
        pub minimum_quantity: Quantity,
        /// When a GoodTillDate order ends; none otherwise.
        pub expire_at: Timestamp,
    }
    /// An order was refused.
    pub struct OrderRejected {
        /// For whom.
        pub report: Report,
        /// In what.
        pub instrument: InstrumentId,
        /// The trader's name for it.
        pub client_order_id: ClientOrderId,
        /// Buy or sell.
        pub side: Side,
        /// Limit, as asked.
        pub price: Price,
        /// Order quantity, as asked.
        pub quantity: Quantity,
        /// Why.
        pub reason: RejectReason,
        /// For a duplicate: the original order.
        pub original_order_id: OrderId,
        /// For a duplicate: what became of the original.
        pub original_status: Option<OrderStatus>,
    }
    /// An order was amended.
    pub struct OrderReplaced {
        /// For whom.
        pub report: Report,
        /// Who asked, if it was another session.
        pub requester: Requester,
        /// The order.
        pub order: OrderState,
        /// The trader's name for it before.
        pub original_client_order_id: ClientOrderId,
        /// Trigger; absent unless Stop or StopLimit.
        pub stop_price: Price,
        /// What of it is shown; absent: all.
        pub display_quantity: Quantity,
        /// When a GoodTillDate order ends; none otherwise.
        pub expire_at: Timestamp,
        /// Its place in the queue.
        pub priority: Priority,
    }
    /// An order ended before it was filled.
    pub struct OrderCancelled {
        /// For whom.
        pub report: Report,
        /// Who asked, if it was another session.
        pub requester: Requester,
        /// The order; nothing of it may trade any more.
        pub order: OrderState,
        /// What was cancelled.
        pub cancelled: Quantity,
        /// Funds that were not spent; absent unless the order had funds instead of a quantity.
        pub cancelled_funds: Amount,
        /// The trader's name for the request that did it; none if none did.
        pub request_client_order_id: ClientOrderId,
        /// Why.
        pub reason: CancelReason,
    }
    /// A cancel or amend was refused.
    pub struct CancelRejected {
        /// For whom.
        pub report: Report,
        /// Which of the two.
        pub response_to: CommandKind,
        /// The order as the request named it.
        pub order_id: OrderId,
        /// The order as the request named it.
        pub original_client_order_id: ClientOrderId,
        /// The trader's name for the request.
        pub client_order_id: ClientOrderId,
        /// Why.
        pub reason: RejectReason,
        /// What has become of the order, as far as the venue remembers it.
        pub order_status: Option<OrderStatus>,
        /// For a new name that is taken: the order that has it.
        pub duplicate_of: OrderId,
    }
    /// Two orders traded, at the resting order's price.
    pub struct Trade {
        /// What.
        pub instrument: InstrumentId,
        /// Its number.
        pub trade_id: TradeId,
        /// In ticks.
        pub price: Price,
        /// In lots.
        pub quantity: Quantity,
        /// The incoming side; absent in an uncross.
        pub aggressor: Option<Side>,
        /// Whether both sides belong together.
        pub self_match: SelfMatch,
        /// The resting side; in an uncross, the buy.
        pub maker: TradeSide,
        /// The incoming side; in an uncross, the sell.
        pub taker: TradeSide,
    }
    /// A stop was elected.
    pub struct OrderTriggered {
        /// For whom.
        pub report: Report,
        /// The order.
        pub order: OrderState,
        /// The trade price that elected it.
        pub elected_by: Price,
    }
    /// An order changed without its owner's doing.
    pub struct OrderRestated {
        /// For whom.
        pub report: Report,
        /// The order.
        pub order: OrderState,
        /// What of it is shown now; absent: all.
        pub display_quantity: Quantity,
        /// Why.
        pub reason: RestatementReason,
    }
    /// Two orders of one group did not trade.
    pub struct MatchPrevented {
        /// In what.
        pub instrument: InstrumentId,
        /// At which price they would have.
        pub price: Price,
        /// What neither will trade.
        pub quantity: Quantity,
        /// The mode that decided.
        pub mode: SelfTradePrevention,
        /// The resting order.
        pub resting: OrderId,
        /// Whose.
        pub resting_account: AccountId,
        /// The incoming order.
        pub incoming: OrderId,
        /// Whose.
        pub incoming_account: AccountId,
    }
    /// A mass cancel is done.
    pub struct MassCancelled {
        /// For whom.
        pub report: Report,
        /// The trader's name for the request.
        pub client_order_id: ClientOrderId,
        /// In this instrument; none: in all.
        pub instrument: InstrumentId,
        /// On this side; absent: on both.
        pub side: Option<Side>,
        /// Entered through this session; none: through any.
        pub entered_by: SessionId,
        /// How many orders it ended.
        pub cancelled_count: u32,
        /// Why, if an administrator did it.
        pub note: AdminNote,
    }
    /// A mass cancel was refused.
    pub struct MassCancelRejected {
        /// For whom.
        pub report: Report,
        /// The trader's name for the request.
        pub client_order_id: ClientOrderId,
        /// As asked.
        pub instrument: InstrumentId,
        /// As asked.
        pub side: Option<Side>,
        /// As asked.
        pub entered_by: SessionId,
        /// Why.
        pub reason: RejectReason,
    }
    /// A session logged in; its streams begin anew.
    pub struct SessionNegotiated {
        /// Which.
        pub session: SessionId,
        /// With which key.
        pub key: KeyId,
        /// The login's number.
        pub version: SessionVersion,
    }
    /// A session is open.
    pub struct SessionEstablished {
        /// Which.
        pub session: SessionId,
        /// The login's number.
        pub version: SessionVersion,
        /// The number that the venue expects next: the last applied, and one.
        pub next_client_sequence: SessionSequence,
        /// The number that the next report will carry.
        pub next_report_number: SessionSequence,
        /// What happens to its orders when it is lost.
        pub cancel_on_disconnect: CancelOnDisconnect,
        /// How long after a loss.
        pub cancel_grace: Nanoseconds,
        /// The longest silence of either side.
        pub keep_alive: Nanoseconds,
    }
    /// A session was refused.
    pub struct SessionRejected {
        /// Which.
        pub session: SessionId,
        /// What was asked.
        pub response_to: CommandKind,
        /// The login's number.
        pub version: SessionVersion,
        /// Why.
        pub reason: RejectReason,
    }
    /// A session is gone.
    pub struct SessionDisconnected {
        /// Which.
        pub session: SessionId,
        /// The login's number.
        pub version: SessionVersion,
        /// Why.
        pub reason: DisconnectReason,
        /// When its orders will be cancelled; [`Timestamp::NEVER`] if they stay.
        pub cancel_at: Timestamp,
    }
    /// Commands of a session never arrived and will not be applied.
    pub struct NotApplied {
        /// Which.
        pub session: SessionId,
        /// The first.
        pub from: SessionSequence,
        /// How many.
        pub count: u64,
    }
    /// An administrator's command was refused.
    pub struct CommandRejected {
        /// For the session that asked, if one did.
        pub report: Report,
        /// Whose.
        pub author: KeyId,
        /// What was asked.
        pub command: CommandKind,
        /// Under which name.
        pub note: AdminNote,
        /// Why.
        pub reason: RejectReason,
    }
    /// The random decisions were seeded.
    pub struct RandomSeedSet {
        /// Who did it.
        pub author: KeyId,
        /// What was asked.
        pub command: SetRandomSeed,
    }
    /// The matching rules have this version from now on.
    pub struct BehaviourSet {
        /// Who did it.
        pub author: KeyId,
        /// What was asked.
        pub command: SetBehaviour,
    }
    /// An asset was added.
    pub struct AssetAdded {
        /// Who did it.
        pub author: KeyId,
        /// What was asked.
        pub command: AddAsset,
    }
    /// An instrument was listed.
    pub struct InstrumentListed {
        /// Who did it.
        pub author: KeyId,
        /// What was asked.
        pub command: ListInstrument,
        /// Smallest units of the quote asset in one tick times one lot; zero without assets.
        pub quote_units: u64,
        /// Smallest units of the base asset in one lot; zero without assets.
        pub base_units: u64,
    }
    /// An instrument was delisted.
    pub struct InstrumentDelisted {
        /// Who did it.
        pub author: KeyId,
        /// Which.
        pub instrument: InstrumentId,
        /// How many orders it ended.
        pub cancelled_count: u32,
        /// Why.
        pub note: AdminNote,
    }
    /// An instrument's bounds changed.
    pub struct InstrumentLimitsSet {
        /// Who did it.
        pub author: KeyId,
        /// What was asked.
        pub command: SetInstrumentLimits,
    }
    /// An instrument's price protection changed.
    pub struct PriceProtectionSet {
        /// Who did it.
        pub author: KeyId,
        /// What was asked.
        pub command: SetPriceProtection,
    }
    /// Fee rates changed.
    pub struct FeesSet {
        /// Who did it.
        pub author: KeyId,
        /// What was asked.
        pub command: SetFees,
    }
    /// An instrument's phase changed.
    pub struct PhaseChanged {
        /// Which.
        pub instrument: InstrumentId,
        /// Before.
        pub from: Phase,
        /// From now on.
        pub to: Phase,
        /// What did it.
        pub cause: PhaseCause,
        /// Who did it.
        pub author: KeyId,
        /// Why.
        pub note: AdminNote,
    }
    /// A calendar entry was added or changed.
    pub struct CalendarEntrySet {
        /// Who did it.
        pub author: KeyId,
        /// What was asked.
        pub command: SetCalendarEntry,
    }
    /// A calendar entry was removed.
    pub struct CalendarEntryRemoved {
        /// Who did it.
        pub author: KeyId,
        /// What was asked.
        pub command: RemoveCalendarEntry,
    }
    /// An auction would end so, if it ended now.
    pub struct IndicativeChanged {
        /// Which.
        pub instrument: InstrumentId,
        /// The auction price; absent if nothing crosses.
        pub price: Price,
        /// What would trade.
        pub volume: Quantity,
        /// The side with more; absent if none has.
        pub surplus_side: Option<Side>,
        /// How much more.
        pub surplus: Quantity,
    }
    /// An auction ended.
    pub struct Uncrossed {
        /// Which.
        pub instrument: InstrumentId,
        /// The call that it ended.
        pub phase: Phase,
        /// The auction price; absent if nothing crossed.
        pub price: Price,
        /// What traded.
        pub volume: Quantity,
        /// The side with more; absent if none has.
        pub surplus_side: Option<Side>,
        /// How much more.
        pub surplus: Quantity,
    }
    /// Price protection acted.
    pub struct PriceBoundReached {
        /// In what.
        pub instrument: InstrumentId,
        /// The order that it stopped; none for an auction.
        pub order_id: OrderId,
        /// Which rule.
        pub bound: PriceBound,
        /// What the bound was measured from.
        pub reference: Price,
        /// The furthest price allowed.
        pub limit: Price,
        /// The price that would have been next.
        pub price: Price,
    }
    /// An account was opened.
    pub struct AccountOpened {
        /// Who did it.
        pub author: KeyId,
        /// What was asked.
        pub command: OpenAccount,
    }
    /// An account was changed.
    pub struct AccountModified {
        /// Who did it.
        pub author: KeyId,
        /// What was asked.
        pub command: ModifyAccount,
    }
    /// An account's bounds changed.
    pub struct AccountLimitsSet {
        /// Who did it.
        pub author: KeyId,
        /// What was asked.
        pub command: SetAccountLimits,
    }
    /// A balance changed other than by trading.
    pub struct BalanceChanged {
        /// Who did it.
        pub author: KeyId,
        /// Whose.
        pub account: AccountId,
        /// Of what.
        pub asset: AssetId,
        /// What did it.
        pub cause: BalanceCause,
        /// By how much, in the asset's smallest unit.
        pub change: SignedAmount,
        /// What can be used now.
        pub available: Amount,
        /// What open orders hold.
        pub held: Amount,
        /// Why.
        pub note: AdminNote,
    }
    /// A kill switch was engaged or lifted.
    pub struct KillSwitchSet {
        /// For the session that asked, if one did.
        pub report: Report,
        /// Who did it.
        pub author: KeyId,
        /// What was asked.
        pub command: KillSwitch,
        /// How many orders it ended.
        pub cancelled_count: u32,
    }
    /// A trade was reversed.
    pub struct TradeBusted {
        /// Who did it.
        pub author: KeyId,
        /// In what.
        pub instrument: InstrumentId,
        /// Which.
        pub trade_id: TradeId,
        /// In ticks.
        pub price: Price,
        /// In lots.
        pub quantity: Quantity,
        /// The buying order after the reversal; its fee is the trade's, negated.
        pub buyer: TradeSide,
        /// The selling order after the reversal; its fee is the trade's, negated.
        pub seller: TradeSide,
        /// Why.
        pub note: AdminNote,
    }
    /// A key is known.
    pub struct KeyAdded {
        /// Who did it.
        pub author: KeyId,
        /// What was asked.
        pub command: AddKey,
    }
    /// A key is revoked.
    pub struct KeyRevoked {
        /// Who did it.
        pub author: KeyId,
        /// What was asked.
        pub command: RevokeKey,
    }
    /// A key may act.
    pub struct RoleGranted {
        /// Who did it.
        pub author: KeyId,
        /// What was asked.
        pub command: GrantRole,
    }
    /// A key may no longer act.
    pub struct RoleRevoked {
        /// Who did it.
        pub author: KeyId,
        /// What was asked.
        pub command: RevokeRole,
    }
    /// A key may log in from a network.
    pub struct AddressAllowed {
        /// Who did it.
        pub author: KeyId,
        /// What was asked.
        pub command: AllowAddress,
    }
}
