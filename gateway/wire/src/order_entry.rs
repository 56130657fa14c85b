//! Order entry and drop copy, in FIX's words. Says the same as `schema/order_entry.xml`.
//!
//! Requests have templates from 201, reports from 221. Amounts in two halves join in [`crate::amount`].

use crate::code::{
    BalanceCause, CancelReason, CancelRejectResponseTo, Durability, ExecInst, ExecType, Indicator, MassActionResponse,
    MassActionType, OnDisconnect, OrderStatus, OrderType, Phase, PhaseCause, Priority, RejectReason, RestatementReason,
    SelfTradePrevention, Side, Switch, TimeInForce,
};
use crate::message::{Schema, block, schema};
use crate::value::{
    AccountId, AmountHigh, AmountLow, AssetId, ClientOrderId, EventIndex, ExecutionId, Exponent, JournalSequence,
    OrderCount, OrderId, Price, Quantity, RequestId, Reserved, SchemaId, SchemaVersion, SecurityId, SessionId,
    SessionSequence, SignedAmountHigh, Symbol16, TagNumber, TemplateId, Text48, Timestamp, TradeId,
};

block! {
    /// Enters an order (FIX D).
    pub struct NewOrderSingle, 96 bytes {
        /// Whose.
        @0 "Account"(1) account: AccountId,
        /// In which instrument.
        @8 "SecurityID"(48) security_id: SecurityId,
        /// The trader's name for it; absent: no duplicate is looked for.
        @16 "ClOrdID"(11) client_order_id: Option<ClientOrderId>,
        /// Limit; absent for Market and Stop.
        @24 "Price"(44) price: Option<Price>,
        /// How much; absent if funds are given.
        @32 "OrderQty"(38) order_quantity: Option<Quantity>,
        /// What a market buy may spend, fee included, in the quote asset: high half; absent: no funds.
        @40 "CashOrderQtyHigh"(20003) funds_high: Option<AmountHigh>,
        /// What a market buy may spend: low half.
        @48 "CashOrderQty"(152) funds_low: AmountLow,
        /// Trigger; absent unless Stop or StopLimit.
        @56 "StopPx"(99) stop_price: Option<Price>,
        /// What of it is shown; absent: all.
        @64 "DisplayQty"(1138) display_quantity: Option<Quantity>,
        /// What must trade at once; absent: nothing.
        @72 "MinQty"(110) minimum_quantity: Option<Quantity>,
        /// When a GoodTillDate order ends.
        @80 "ExpireTime"(126) expire_time: Option<Timestamp>,
        /// Buy or sell.
        @88 "Side"(54) side: Side,
        /// How it is priced.
        @89 "OrdType"(40) order_type: OrderType,
        /// How long it lives.
        @90 "TimeInForce"(59) time_in_force: TimeInForce,
        /// Post-only.
        @91 "ExecInst"(18) instructions: ExecInst,
        /// Its own self-trade prevention; absent: the account's.
        @92 "SelfMatchPreventionInstruction"(2964) self_trade_prevention: Option<SelfTradePrevention>,
        /// What losing the session means for it.
        @93 "OnDisconnect"(20001) on_disconnect: OnDisconnect,
    }
    reserved { @94 "Reserved1"(39001): Reserved<2>, }
}

block! {
    /// Amends an order (FIX G). Absent fields stay as they are.
    pub struct OrderCancelReplaceRequest, 80 bytes {
        /// Whose.
        @0 "Account"(1) account: AccountId,
        /// The order by the venue's name; absent: by the trader's.
        @8 "OrderID"(37) order_id: Option<OrderId>,
        /// The order by the trader's name.
        @16 "OrigClOrdID"(41) original_client_order_id: Option<ClientOrderId>,
        /// The trader's new name for it; absent: the old one stays.
        @24 "ClOrdID"(11) client_order_id: Option<ClientOrderId>,
        /// Limit.
        @32 "Price"(44) price: Option<Price>,
        /// How much, what has traded included.
        @40 "OrderQty"(38) order_quantity: Option<Quantity>,
        /// Trigger.
        @48 "StopPx"(99) stop_price: Option<Price>,
        /// What of it is shown.
        @56 "DisplayQty"(1138) display_quantity: Option<Quantity>,
        /// When a GoodTillDate order ends.
        @64 "ExpireTime"(126) expire_time: Option<Timestamp>,
        /// How it is priced.
        @72 "OrdType"(40) order_type: Option<OrderType>,
        /// How long it lives.
        @73 "TimeInForce"(59) time_in_force: Option<TimeInForce>,
    }
    reserved { @74 "Reserved1"(39001): Reserved<6>, }
}

block! {
    /// Cancels an order (FIX F).
    pub struct OrderCancelRequest, 32 bytes {
        /// Whose.
        @0 "Account"(1) account: AccountId,
        /// The order by the venue's name; absent: by the trader's.
        @8 "OrderID"(37) order_id: Option<OrderId>,
        /// The order by the trader's name.
        @16 "OrigClOrdID"(41) original_client_order_id: Option<ClientOrderId>,
        /// The trader's name for this request.
        @24 "ClOrdID"(11) client_order_id: Option<ClientOrderId>,
    }
}

block! {
    /// Cancels many orders (FIX CA): those to which every given filter applies, oldest first.
    pub struct OrderMassActionRequest, 40 bytes {
        /// Of this account; absent: of every account, for administrators and risk operators.
        @0 "Account"(1) account: Option<AccountId>,
        /// In this instrument; absent: in all.
        @8 "SecurityID"(48) security_id: Option<SecurityId>,
        /// Entered through this session; absent: through any.
        @16 "EnteredBySessionID"(20002) entered_by: Option<SessionId>,
        /// The trader's name for this request.
        @24 "ClOrdID"(11) client_order_id: Option<ClientOrderId>,
        /// What is done.
        @32 "MassActionType"(1373) action: MassActionType,
        /// On this side; absent: on both.
        @33 "Side"(54) side: Option<Side>,
    }
    reserved { @34 "Reserved1"(39001): Reserved<6>, }
}

block! {
    /// Blocks an account and cancels everything it has, or lifts that.
    pub struct KillSwitch, 72 bytes {
        /// Whose.
        @0 "Account"(1) account: AccountId,
        /// The same key acts once.
        @8 "IdempotencyKey"(20004) idempotency_key: Option<RequestId>,
        /// Why, in words; empty: none.
        @16 "Text"(58) text: Text48,
        /// Only an administrator or a risk operator lifts it.
        @64 "SwitchPosition"(20009) switch: Switch,
    }
    reserved { @65 "Reserved1"(39001): Reserved<7>, }
}

block! {
    /// Asks for an order as it is (FIX H).
    pub struct OrderStatusRequest, 32 bytes {
        /// Whose.
        @0 "Account"(1) account: AccountId,
        /// Comes back with the answer.
        @8 "OrdStatusReqID"(790) request_id: Option<RequestId>,
        /// The order by the venue's name; absent: by the trader's.
        @16 "OrderID"(37) order_id: Option<OrderId>,
        /// The order by the trader's name.
        @24 "ClOrdID"(11) client_order_id: Option<ClientOrderId>,
    }
}

block! {
    /// Asks for every open order (FIX AF).
    pub struct OrderMassStatusRequest, 24 bytes {
        /// Whose.
        @0 "Account"(1) account: AccountId,
        /// Comes back with the answers.
        @8 "OrdStatusReqID"(790) request_id: Option<RequestId>,
        /// In this instrument; absent: in all.
        @16 "SecurityID"(48) security_id: Option<SecurityId>,
    }
}

block! {
    /// Asks for an account's balances.
    pub struct AccountBalanceRequest, 16 bytes {
        /// Whose.
        @0 "Account"(1) account: AccountId,
        /// Comes back with the answers.
        @8 "OrdStatusReqID"(790) request_id: Option<RequestId>,
    }
}

block! {
    /// Asks for an account's reports again, from a number on; for who gets copies of them.
    pub struct DropCopyRequest, 32 bytes {
        /// Whose.
        @0 "Account"(1) account: AccountId,
        /// Comes back with the answer.
        @8 "OrdStatusReqID"(790) request_id: Option<RequestId>,
        /// The first report, by its number in the account.
        @16 "ExecID"(17) from: ExecutionId,
        /// How many at most.
        @24 "TotNumReports"(911) count: OrderCount,
    }
    reserved { @28 "Reserved1"(39001): Reserved<4>, }
}

block! {
    /// What happened to an order (FIX 8).
    pub struct ExecutionReport, 288 bytes {
        /// The report's number in the session's recoverable stream; absent: it is not part of it.
        @0 "MsgSeqNum"(34) report_number: Option<SessionSequence>,
        /// The session's command that this answers; absent: none.
        @8 "RefSeqNum"(45) answered_sequence: Option<SessionSequence>,
        /// Whose.
        @16 "Account"(1) account: AccountId,
        /// In which instrument.
        @24 "SecurityID"(48) security_id: SecurityId,
        /// The venue's name for the order; absent: it was never accepted.
        @32 "OrderID"(37) order_id: Option<OrderId>,
        /// The trader's name for the order.
        @40 "ClOrdID"(11) client_order_id: Option<ClientOrderId>,
        /// Replaced: the trader's name for it before.
        @48 "OrigClOrdID"(41) original_client_order_id: Option<ClientOrderId>,
        /// Cancelled: the trader's name for the request that did it.
        @56 "RequestClOrdID"(20010) request_client_order_id: Option<ClientOrderId>,
        /// The report's number in its account, from 1 without gaps; absent: it is not an execution.
        @64 "ExecID"(17) execution_id: Option<ExecutionId>,
        /// Trade: its number.
        @72 "TrdMatchID"(880) trade_id: Option<TradeId>,
        /// Limit; absent for Market and Stop.
        @80 "Price"(44) price: Option<Price>,
        /// Trigger; absent unless Stop or StopLimit.
        @88 "StopPx"(99) stop_price: Option<Price>,
        /// How much was ordered.
        @96 "OrderQty"(38) order_quantity: Option<Quantity>,
        /// What of it is shown; absent: all.
        @104 "DisplayQty"(1138) display_quantity: Option<Quantity>,
        /// What must trade at once; absent: nothing.
        @112 "MinQty"(110) minimum_quantity: Option<Quantity>,
        /// What a market buy may spend, fee included, in the quote asset; in Cancelled: what of it was not spent: high half; absent: no funds.
        @120 "CashOrderQtyHigh"(20003) funds_high: Option<AmountHigh>,
        /// The same: low half.
        @128 "CashOrderQty"(152) funds_low: AmountLow,
        /// When a GoodTillDate order ends.
        @136 "ExpireTime"(126) expire_time: Option<Timestamp>,
        /// Trade: how much traded.
        @144 "LastQty"(32) last_quantity: Option<Quantity>,
        /// Trade: at which price. Triggered: the trade price that elected it.
        @152 "LastPx"(31) last_price: Option<Price>,
        /// Cancelled or Expired: how much was cancelled.
        @160 "CxlQty"(84) cancelled_quantity: Option<Quantity>,
        /// What may still trade.
        @168 "LeavesQty"(151) leaves_quantity: Quantity,
        /// What has traded.
        @176 "CumQty"(14) cumulative_quantity: Quantity,
        /// What self-trade prevention took away.
        @184 "PreventedQty"(20011) prevented_quantity: Quantity,
        /// Trade: what it cost in fees, negative: a rebate; high half; absent: no fee.
        @192 "MiscFeeAmtHigh"(20012) fee_high: Option<SignedAmountHigh>,
        /// The low half of the fee.
        @200 "MiscFeeAmt"(137) fee_low: AmountLow,
        /// The asset of the fee.
        @208 "MiscFeeCurr"(138) fee_asset: Option<AssetId>,
        /// Rejected as a duplicate: the original order.
        @216 "RefOrderID"(1080) reference_order_id: Option<OrderId>,
        /// OrderStatus: the request that this answers.
        @224 "OrdStatusReqID"(790) request_id: Option<RequestId>,
        /// The core's time of the event.
        @232 "TransactTime"(60) transact_time: Timestamp,
        /// When the gateway received what caused it.
        @240 "GatewayInTime"(20005) gateway_in_time: Option<Timestamp>,
        /// The command that caused it; absent: none is journalled.
        @248 "JournalSequence"(20006) journal_sequence: Option<JournalSequence>,
        /// Its place among that command's events.
        @256 "JournalEventIndex"(20007) event_index: Option<EventIndex>,
        /// OrderStatus: how many answers the request has; zero: this one is empty.
        @260 "TotNumReports"(911) total_reports: Option<OrderCount>,
        /// Rejected: why.
        @264 "OrdRejReason"(103) reject_reason: Option<RejectReason>,
        /// Cancelled or Expired: why.
        @266 "CancelReason"(20013) cancel_reason: Option<CancelReason>,
        /// What this reports.
        @268 "ExecType"(150) exec_type: ExecType,
        /// What has become of the order; absent: there is none.
        @269 "OrdStatus"(39) order_status: Option<OrderStatus>,
        /// Buy or sell; absent: there is no order.
        @270 "Side"(54) side: Option<Side>,
        /// How it is priced; absent: not given again.
        @271 "OrdType"(40) order_type: Option<OrderType>,
        /// How long it lives; absent: not given again.
        @272 "TimeInForce"(59) time_in_force: Option<TimeInForce>,
        /// Post-only.
        @273 "ExecInst"(18) instructions: ExecInst,
        /// Trade: whether the order was the incoming side; absent: an auction.
        @274 "AggressorIndicator"(1057) aggressor: Option<Indicator>,
        /// Whether the report may have been sent before.
        @275 "PossDupFlag"(43) possible_duplicate: Indicator,
        /// How safe the causing command was when this was sent.
        @276 "Durability"(20008) durability: Durability,
        /// Restated: why.
        @277 "ExecRestatementReason"(378) restatement_reason: Option<RestatementReason>,
        /// Replaced: its place in the queue.
        @278 "PriorityIndicator"(638) priority: Option<Priority>,
        /// Rejected as a duplicate: what became of the original order.
        @279 "RefOrdStatus"(20014) reference_order_status: Option<OrderStatus>,
        /// OrderStatus: whether this is the last answer.
        @280 "LastRptRequested"(912) last_report_requested: Option<Indicator>,
    }
    reserved { @281 "Reserved1"(39001): Reserved<7>, }
}

block! {
    /// A cancel or amend is refused (FIX 9).
    pub struct OrderCancelReject, 112 bytes {
        /// The report's number in the session's recoverable stream; absent: it is not part of it.
        @0 "MsgSeqNum"(34) report_number: Option<SessionSequence>,
        /// The session's command that this answers; absent: none.
        @8 "RefSeqNum"(45) answered_sequence: Option<SessionSequence>,
        /// Whose.
        @16 "Account"(1) account: AccountId,
        /// The order as the request named it.
        @24 "OrderID"(37) order_id: Option<OrderId>,
        /// The order as the request named it.
        @32 "OrigClOrdID"(41) original_client_order_id: Option<ClientOrderId>,
        /// The trader's name for the request.
        @40 "ClOrdID"(11) client_order_id: Option<ClientOrderId>,
        /// The report's number in its account, from 1 without gaps; absent: it is not an execution.
        @48 "ExecID"(17) execution_id: Option<ExecutionId>,
        /// The core's time of the event.
        @56 "TransactTime"(60) transact_time: Timestamp,
        /// When the gateway received what caused it.
        @64 "GatewayInTime"(20005) gateway_in_time: Option<Timestamp>,
        /// The command that caused it; absent: none is journalled.
        @72 "JournalSequence"(20006) journal_sequence: Option<JournalSequence>,
        /// Its place among that command's events.
        @80 "JournalEventIndex"(20007) event_index: Option<EventIndex>,
        /// Why.
        @84 "CxlRejReason"(102) reject_reason: RejectReason,
        /// Which of the two.
        @86 "CxlRejResponseTo"(434) response_to: CancelRejectResponseTo,
        /// Whether the report may have been sent before.
        @87 "PossDupFlag"(43) possible_duplicate: Indicator,
        /// How safe the causing command was when this was sent.
        @88 "Durability"(20008) durability: Durability,
        /// For a new name that is taken: the order that has it.
        @96 since 1 "RefOrderID"(1080) reference_order_id: Option<OrderId>,
        /// What has become of the order, as far as the venue remembers it; absent: it does not.
        @104 since 1 "OrdStatus"(39) order_status: Option<OrderStatus>,
    }
    reserved {
        @89 "Reserved1"(39001): Reserved<7>,
        @105 since 1 "Reserved2"(39002): Reserved<7>,
    }
}

block! {
    /// What became of a mass action (FIX BZ).
    pub struct OrderMassActionReport, 88 bytes {
        /// The report's number in the session's recoverable stream; absent: it is not part of it.
        @0 "MsgSeqNum"(34) report_number: Option<SessionSequence>,
        /// The session's command that this answers; absent: none.
        @8 "RefSeqNum"(45) answered_sequence: Option<SessionSequence>,
        /// Of this account; absent: of every account.
        @16 "Account"(1) account: Option<AccountId>,
        /// In this instrument; absent: in all.
        @24 "SecurityID"(48) security_id: Option<SecurityId>,
        /// The trader's name for the request.
        @32 "ClOrdID"(11) client_order_id: Option<ClientOrderId>,
        /// The report's number in its account, from 1 without gaps; absent: it is not an execution.
        @40 "ExecID"(17) execution_id: Option<ExecutionId>,
        /// The core's time of the event.
        @48 "TransactTime"(60) transact_time: Timestamp,
        /// When the gateway received what caused it.
        @56 "GatewayInTime"(20005) gateway_in_time: Option<Timestamp>,
        /// The command that caused it; absent: none is journalled.
        @64 "JournalSequence"(20006) journal_sequence: Option<JournalSequence>,
        /// Its place among that command's events.
        @72 "JournalEventIndex"(20007) event_index: Option<EventIndex>,
        /// How many orders it ended.
        @76 "TotalAffectedOrders"(533) affected_orders: OrderCount,
        /// Rejected: why.
        @80 "MassActionRejectReason"(1376) reject_reason: Option<RejectReason>,
        /// What was asked.
        @82 "MassActionType"(1373) action: MassActionType,
        /// What became of it.
        @83 "MassActionResponse"(1375) response: MassActionResponse,
        /// On this side; absent: on both.
        @84 "Side"(54) side: Option<Side>,
        /// Whether the report may have been sent before.
        @85 "PossDupFlag"(43) possible_duplicate: Indicator,
        /// How safe the causing command was when this was sent.
        @86 "Durability"(20008) durability: Durability,
    }
    reserved { @87 "Reserved1"(39001): Reserved<1>, }
}

block! {
    /// A message is refused before it became a command (FIX j).
    pub struct BusinessMessageReject, 112 bytes {
        /// The message that is refused; absent: it had no number.
        @0 "RefSeqNum"(45) answered_sequence: Option<SessionSequence>,
        /// The message's ClOrdID or request id, if it could be read.
        @8 "BusinessRejectRefID"(379) reference_id: Option<RequestId>,
        /// The gateway's time.
        @16 "TransactTime"(60) transact_time: Timestamp,
        /// Why, in words; empty: none.
        @24 "Text"(58) text: Text48,
        /// The tag of the field that is the reason.
        @72 "RefTagID"(371) reference_tag: Option<TagNumber>,
        /// What the message was: its template.
        @76 "RefMsgType"(372) reference_template: TemplateId,
        /// Why.
        @78 "BusinessRejectReason"(380) reject_reason: RejectReason,
        /// The report's number in the session's recoverable stream; absent: the edge refuses, and it is not part of it.
        @80 since 1 "MsgSeqNum"(34) report_number: Option<SessionSequence>,
        /// Whose; absent: nobody's, or the edge refuses.
        @88 since 1 "Account"(1) account: Option<AccountId>,
        /// The report's number in its account, from 1 without gaps; absent: it is not an execution.
        @96 since 1 "ExecID"(17) execution_id: Option<ExecutionId>,
        /// Whether the report may have been sent before.
        @104 since 1 "PossDupFlag"(43) possible_duplicate: Option<Indicator>,
    }
    reserved { @105 since 1 "Reserved1"(39001): Reserved<7>, }
}

block! {
    /// An instrument as traders need to know it (FIX d).
    pub struct SecurityDefinition, 88 bytes {
        /// Which instrument.
        @0 "SecurityID"(48) security_id: SecurityId,
        /// Its name.
        @8 "Symbol"(55) symbol: Symbol16,
        /// What is bought and sold; absent: the venue only matches.
        @24 "BaseAsset"(20201) base_asset: Option<AssetId>,
        /// What it is paid with; absent: the venue only matches.
        @32 "QuoteAsset"(20202) quote_asset: Option<AssetId>,
        /// The price step, as a mantissa.
        @40 "MinPriceIncrement"(969) tick: Price,
        /// The quantity step, as a mantissa.
        @48 "RoundLot"(561) lot: Quantity,
        /// The smallest order quantity; absent: one lot.
        @56 "MinTradeVol"(562) minimum_quantity: Option<Quantity>,
        /// The largest order quantity; absent: no bound of its own.
        @64 "MaxTradeVol"(1140) maximum_quantity: Option<Quantity>,
        /// The highest price; absent: no bound of its own.
        @72 "HighLimitPrice"(1149) maximum_price: Option<Price>,
        /// Prices are mantissa × 10^this.
        @80 "PriceExponent"(20203) price_exponent: Exponent,
        /// Quantities are mantissa × 10^this.
        @81 "QuantityExponent"(20204) quantity_exponent: Exponent,
        /// What it allows at the moment.
        @82 "SecurityTradingStatus"(326) phase: Phase,
    }
    reserved { @83 "Reserved1"(39001): Reserved<5>, }
}

block! {
    /// An instrument's phase changed (FIX h).
    pub struct TradingSessionStatus, 32 bytes {
        /// In which instrument.
        @0 "SecurityID"(48) security_id: SecurityId,
        /// The core's time of the event.
        @8 "TransactTime"(60) transact_time: Timestamp,
        /// The command that caused it; absent: none is journalled.
        @16 "JournalSequence"(20006) journal_sequence: Option<JournalSequence>,
        /// What it allows from now on.
        @24 "SecurityTradingStatus"(326) phase: Phase,
        /// Why.
        @25 "PhaseCause"(20205) cause: PhaseCause,
    }
    reserved { @26 "Reserved1"(39001): Reserved<6>, }
}

block! {
    /// What an account has of one asset. Answers a request, or reports a change other than by trading.
    pub struct AccountBalance, 112 bytes {
        /// The report's number in the session's recoverable stream; absent: it is not part of it.
        @0 "MsgSeqNum"(34) report_number: Option<SessionSequence>,
        /// The session's command that this answers; absent: none.
        @8 "RefSeqNum"(45) answered_sequence: Option<SessionSequence>,
        /// Whose.
        @16 "Account"(1) account: AccountId,
        /// The request that this answers; absent: none.
        @24 "OrdStatusReqID"(790) request_id: Option<RequestId>,
        /// Of which asset; absent: the account has none.
        @32 "AssetID"(20015) asset: Option<AssetId>,
        /// What can be used now: high half.
        @40 "AvailableHigh"(20016) available_high: Option<AmountHigh>,
        /// What can be used now: low half.
        @48 "Available"(20017) available_low: AmountLow,
        /// What open orders hold: high half.
        @56 "HeldHigh"(20018) held_high: Option<AmountHigh>,
        /// What open orders hold: low half.
        @64 "Held"(20019) held_low: AmountLow,
        /// By how much it changed: high half; absent: nothing changed.
        @72 "ChangeHigh"(20020) change_high: Option<SignedAmountHigh>,
        /// By how much it changed: low half.
        @80 "Change"(20021) change_low: AmountLow,
        /// The core's time of the event.
        @88 "TransactTime"(60) transact_time: Timestamp,
        /// The command that caused it; absent: none is journalled.
        @96 "JournalSequence"(20006) journal_sequence: Option<JournalSequence>,
        /// Its place among that command's events.
        @104 "JournalEventIndex"(20007) event_index: Option<EventIndex>,
        /// What changed it; absent: nothing.
        @108 "BalanceCause"(20022) cause: Option<BalanceCause>,
        /// Whether this is the last answer.
        @109 "LastRptRequested"(912) last_report_requested: Option<Indicator>,
        /// Whether the report may have been sent before.
        @110 "PossDupFlag"(43) possible_duplicate: Indicator,
        /// How safe the causing command was when this was sent.
        @111 "Durability"(20008) durability: Durability,
    }
}

block! {
    /// A kill switch was engaged or lifted.
    pub struct KillSwitchReport, 80 bytes {
        /// Whose.
        @0 "Account"(1) account: AccountId,
        /// The key of the request; absent: it had none.
        @8 "IdempotencyKey"(20004) idempotency_key: Option<RequestId>,
        /// The core's time of the event.
        @16 "TransactTime"(60) transact_time: Timestamp,
        /// The command that caused it; absent: none is journalled.
        @24 "JournalSequence"(20006) journal_sequence: Option<JournalSequence>,
        /// Its place among that command's events.
        @32 "JournalEventIndex"(20007) event_index: Option<EventIndex>,
        /// How many orders it ended.
        @36 "TotalAffectedOrders"(533) affected_orders: OrderCount,
        /// What it is from now on.
        @40 "SwitchPosition"(20009) switch: Switch,
        /// How safe the causing command was when this was sent.
        @41 "Durability"(20008) durability: Durability,
        /// The report's number in the session's recoverable stream; absent: it is not part of it.
        @48 since 1 "MsgSeqNum"(34) report_number: Option<SessionSequence>,
        /// The session's command that this answers; absent: none.
        @56 since 1 "RefSeqNum"(45) answered_sequence: Option<SessionSequence>,
        /// The report's number in its account, from 1 without gaps; absent: it is not an execution.
        @64 since 1 "ExecID"(17) execution_id: Option<ExecutionId>,
        /// Whether the report may have been sent before.
        @72 since 1 "PossDupFlag"(43) possible_duplicate: Option<Indicator>,
    }
    reserved {
        @42 "Reserved1"(39001): Reserved<6>,
        @73 since 1 "Reserved2"(39002): Reserved<7>,
    }
}

block! {
    /// Where an account's reports stand: at the opening for who gets copies, and before reports that follow again.
    pub struct DropCopyReport, 48 bytes {
        /// Whose.
        @0 "Account"(1) account: AccountId,
        /// The request that this answers; absent: none.
        @8 "OrdStatusReqID"(790) request_id: Option<RequestId>,
        /// The number that the account's next report will carry.
        @16 "NextExecID"(20023) next: ExecutionId,
        /// The first of those that follow again; absent: none does.
        @24 "ExecID"(17) from: Option<ExecutionId>,
        /// The gateway's time.
        @32 "TransactTime"(60) transact_time: Timestamp,
        /// How many follow again.
        @40 "TotNumReports"(911) count: OrderCount,
        /// Why none does; absent: there is nothing to say.
        @44 "BusinessRejectReason"(380) reject_reason: Option<RejectReason>,
    }
    reserved { @46 "Reserved1"(39001): Reserved<2>, }
}

block! {
    /// An asset as traders need to know it: what amounts of it are in.
    pub struct AssetDefinition, 32 bytes {
        /// Which asset.
        @0 "AssetID"(20015) asset: AssetId,
        /// Its name.
        @8 "AssetName"(20024) name: Symbol16,
        /// Amounts are smallest units × 10^this.
        @24 "AmountExponent"(20025) amount_exponent: Exponent,
    }
    reserved { @25 "Reserved1"(39001): Reserved<7>, }
}

schema! {
    /// A message of the order entry schema.
    pub enum OrderEntryMessage, frames 'a, schema Schema { id: SchemaId(200), version: SchemaVersion(1) } => {
        /// Enters an order (FIX D).
        NewOrderSingle = 201,
        /// Amends an order (FIX G). Absent fields stay as they are.
        OrderCancelReplaceRequest = 202,
        /// Cancels an order (FIX F).
        OrderCancelRequest = 203,
        /// Cancels many orders (FIX CA): those to which every given filter applies, oldest first.
        OrderMassActionRequest = 204,
        /// Blocks an account and cancels everything it has, or lifts that.
        KillSwitch = 205,
        /// Asks for an order as it is (FIX H).
        OrderStatusRequest = 206,
        /// Asks for every open order (FIX AF).
        OrderMassStatusRequest = 207,
        /// Asks for an account's balances.
        AccountBalanceRequest = 208,
        /// Asks for an account's reports again, from a number on; for who gets copies of them.
        DropCopyRequest = 209,
        /// What happened to an order (FIX 8).
        ExecutionReport = 221,
        /// A cancel or amend is refused (FIX 9).
        OrderCancelReject = 222,
        /// What became of a mass action (FIX BZ).
        OrderMassActionReport = 223,
        /// A message is refused before it became a command (FIX j).
        BusinessMessageReject = 224,
        /// An instrument as traders need to know it (FIX d).
        SecurityDefinition = 225,
        /// An instrument's phase changed (FIX h).
        TradingSessionStatus = 226,
        /// What an account has of one asset. Answers a request, or reports a change other than by trading.
        AccountBalance = 227,
        /// A kill switch was engaged or lifted.
        KillSwitchReport = 228,
        /// Where an account's reports stand: at the opening for who gets copies, and before reports that follow again.
        DropCopyReport = 229,
        /// An asset as traders need to know it: what amounts of it are in.
        AssetDefinition = 230,
    }
}
