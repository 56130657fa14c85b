//! From the core to the wire: an event becomes the reports of the sessions that it concerns.
//!
//! A trade is for both sides' sessions, an amend or cancel that another session asked for is for that one too. What an
//! event has to say to everybody, such as a change of phase, is for every open session and carries no number. A balance that
//! changes otherwise than by trading is told to every open session whose key may be told of the account.
//!
//! Whatever has a number in an account is copied to those who are told of all its reports: once, whichever and however
//! many sessions it is for, and without those sessions' numbers.

use engine::event::{
    BalanceChanged, CancelRejected, CommandRejected, InstrumentDelisted, KillSwitchSet, MassCancelRejected,
    MassCancelled, NotApplied, OrderAccepted, OrderCancelled, OrderRejected, OrderReplaced, OrderRestated, OrderState,
    OrderTriggered, PhaseChanged, Report, Requester, Trade, TradeBusted, TradeSide,
};
use engine::instrument::{Phase, PhaseCause};
use engine::{
    AccountId, AssetId, CommandBody, Event, EventHeader, EventId, ExecId, InstrumentId, KeyId, OpenOrder, Price,
    Quantity, SessionId, SessionSequence, Timestamp, TradeId,
};
use wire::order_entry::{
    self, AccountBalance, AssetDefinition, BusinessMessageReject, ExecutionReport, KillSwitchReport, OrderCancelReject,
    OrderMassActionReport, SecurityDefinition, TradingSessionStatus,
};
use wire::{
    Block, CancelRejectResponseTo, Durability, EventIndex, ExecType, ExecutionId, Exponent, Flat, Indicator,
    JournalSequence, MassActionResponse, MassActionType, Message, OrderCount, OrderStatus, RequestId, TemplateId,
    Text48, amount,
};

use crate::copies::CopyRange;
use crate::open_orders::{Change, KnownOrder};
use crate::view::{Asset, Instrument, View};

/// One message with its headers.
pub type FrameBytes = Box<[u8]>;

/// What is added to reports on sending, because it is no part of the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sending {
    /// How safe the causing command is by now.
    pub durability: Durability,
    /// Whether it may have been sent before.
    pub possible_duplicate: Indicator,
}

/// Whom a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recipient {
    /// One session.
    Session(SessionId),
    /// Every open session of a key.
    Key(KeyId),
    /// Every open session.
    Everybody,
    /// Every open session whose key may be told of an account.
    Readers(AccountId),
    /// Every open session that an account's reports are copied to; the report's number in it.
    Copies(AccountId, ExecId),
}

/// Takes messages on their way out.
pub trait Outlet {
    /// A message for `recipient`, and its number in that session's stream of reports; absent: it has none.
    fn message<M: Flat>(&mut self, recipient: Recipient, number: Option<SessionSequence>, message: &M);

    /// Whether copies of an account's reports are wanted. Asked for every report: most accounts have no readers.
    fn is_copied(&self, account: AccountId) -> bool;
}

/// Keeps them in order, and no copies.
impl Outlet for Vec<Outgoing> {
    fn is_copied(&self, _: AccountId) -> bool {
        false
    }

    fn message<M: Flat>(&mut self, recipient: Recipient, number: Option<SessionSequence>, message: &M) {
        self.push(Outgoing { recipient, number, frame: frame(message) });
    }
}

/// A message that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Whom it is for.
    pub recipient: Recipient,
    /// Its number in that session's stream of reports; absent: it has none.
    pub number: Option<SessionSequence>,
    /// The message.
    pub frame: FrameBytes,
}

/// Hands every message that an event causes to `out`.
///
/// Events of sessions' states are not messages: the session itself answers them.
pub fn messages(header: &EventHeader, event: &Event, view: &View, sending: Sending, out: &mut impl Outlet) {
    let mut turn = Turn { header, view, sending, out };
    match event {
        Event::OrderAccepted(accepted) => turn.accepted(accepted),
        Event::OrderRejected(rejected) => turn.rejected(rejected),
        Event::OrderReplaced(replaced) => turn.replaced(replaced),
        Event::OrderCancelled(cancelled) => turn.cancelled(cancelled),
        Event::CancelRejected(rejected) => turn.cancel_rejected(rejected),
        Event::Trade(trade) => turn.trade(trade),
        Event::OrderTriggered(triggered) => turn.triggered(triggered),
        Event::OrderRestated(restated) => turn.restated(restated),
        Event::MassCancelled(cancelled) => turn.mass_cancelled(cancelled),
        Event::MassCancelRejected(rejected) => turn.mass_cancel_rejected(rejected),
        Event::NotApplied(gap) => turn.not_applied(gap),
        Event::CommandRejected(rejected) => turn.command_rejected(rejected),
        Event::KillSwitchSet(set) => turn.kill_switch_set(set),
        Event::PhaseChanged(changed) => turn.phase_changed(changed),
        Event::AssetAdded(added) => turn.asset_added(&Asset::from(&added.command)),
        Event::InstrumentListed(listed) => turn.instrument_changed(listed.command.instrument),
        Event::InstrumentLimitsSet(set) => turn.instrument_changed(set.command.instrument),
        Event::InstrumentDelisted(delisted) => turn.delisted(delisted),
        Event::TradeBusted(busted) => turn.busted(busted),
        Event::BalanceChanged(changed) => turn.balance_changed(changed),
        _ => {}
    }
}

/// A message with its headers.
pub fn frame<M: Flat>(message: &M) -> FrameBytes {
    let mut bytes = vec![0; M::FRAME_LENGTH].into_boxed_slice();
    wire::encode(message, &mut bytes).expect("the buffer is as long as the frame");
    bytes
}

/// The message that a trader's command came in, and the trader's name for it.
pub fn request_of(body: &CommandBody) -> Option<(TemplateId, Option<RequestId>)> {
    let named = |name: engine::ClientOrderId| (!name.is_none()).then_some(RequestId(name.0));
    match body {
        CommandBody::NewOrder(order) => Some((order_entry::NewOrderSingle::TEMPLATE_ID, named(order.client_order_id))),
        CommandBody::ReplaceOrder(request) => {
            Some((order_entry::OrderCancelReplaceRequest::TEMPLATE_ID, named(request.client_order_id)))
        }
        CommandBody::CancelOrder(request) => {
            Some((order_entry::OrderCancelRequest::TEMPLATE_ID, named(request.client_order_id)))
        }
        CommandBody::MassCancel(request) => {
            Some((order_entry::OrderMassActionRequest::TEMPLATE_ID, named(request.client_order_id)))
        }
        CommandBody::KillSwitch(request) => {
            Some((order_entry::KillSwitch::TEMPLATE_ID, RequestId::present(request.note.idempotency_key)))
        }
        _ => None,
    }
}

/// An asset as traders need to know it.
pub fn asset_definition(asset: &Asset) -> AssetDefinition {
    AssetDefinition { asset: asset.asset.into(), name: asset.name.into(), amount_exponent: Exponent(asset.exponent()) }
}

/// An instrument as traders need to know it.
pub fn security_definition(instrument: &Instrument) -> SecurityDefinition {
    let limits = &instrument.limits;
    let quantity = |lots: Quantity| wire::Quantity(instrument.lot.mantissa_of(lots.0));
    SecurityDefinition {
        security_id: instrument.instrument.into(),
        symbol: instrument.name.into(),
        base_asset: wire::AssetId::present(instrument.base),
        quote_asset: wire::AssetId::present(instrument.quote),
        tick: wire::Price(instrument.tick.mantissa_of(1)),
        lot: wire::Quantity(instrument.lot.mantissa_of(1)),
        minimum_quantity: (limits.quantity_min > Quantity(1)).then(|| quantity(limits.quantity_min)),
        maximum_quantity: (limits.quantity_max < Quantity::MAX).then(|| quantity(limits.quantity_max)),
        maximum_price: (limits.price_max < Price::MAX)
            .then(|| wire::Price(instrument.tick.mantissa_of(limits.price_max.0))),
        price_exponent: Exponent(instrument.tick.exponent()),
        quantity_exponent: Exponent(instrument.lot.exponent()),
        phase: instrument.phase.into(),
    }
}

/// An open order as it is: what answers a question about it. It is no execution, and has no number.
pub(crate) fn order_status(known: &KnownOrder, view: &View, sending: Sending) -> ExecutionReport {
    let Change { time, sequence, index } = known.changed;
    let id = EventId { sequence, index: index.unwrap_or(0) };
    let header = EventHeader { id, time, received_at: Timestamp::NONE };
    let turn = Turn { header: &header, view, sending, out: &mut Vec::<Outgoing>::new() };
    let &OpenOrder { account, ref state, funds, stop_price, display_quantity, expire_at } = &known.order;
    let report = unnumbered(account);
    let (funds_high, funds_low) = amount::split((!funds.is_absent()).then_some(funds.0));
    ExecutionReport {
        exec_type: ExecType::OrderStatus,
        funds_high,
        funds_low,
        stop_price: turn.price(state.instrument, stop_price),
        display_quantity: turn.quantity(state.instrument, display_quantity),
        expire_time: wire::Timestamp::present(expire_at),
        event_index: index.map(EventIndex),
        ..turn.order(&report, state)
    }
}

/// What answers no command, and is nothing that happened.
fn unnumbered(account: AccountId) -> Report {
    let (session, exec_id) = (SessionId::NONE, ExecId::NONE);
    let (report_number, client_sequence) = (SessionSequence::NONE, SessionSequence::NONE);
    Report { account, session, exec_id, report_number, client_sequence }
}

/// What has become of an open order.
///
/// An order by funds has no quantity and nothing left of one; only its end says that it is over.
fn status(quantity: Quantity, leaves: Quantity, cumulative: Quantity) -> OrderStatus {
    match (leaves.is_zero() && !quantity.is_absent(), cumulative.is_zero()) {
        (true, _) => OrderStatus::Filled,
        (false, true) => OrderStatus::New,
        (false, false) => OrderStatus::PartiallyFilled,
    }
}

/// Whether time ended an order; FIX tells that apart from a cancel.
fn end_of(reason: engine::CancelReason, cumulative: Quantity) -> (ExecType, OrderStatus) {
    match reason {
        engine::CancelReason::DayEnded
        | engine::CancelReason::Expired
        | engine::CancelReason::OpeningRemainder
        | engine::CancelReason::ClosingRemainder => (ExecType::Expired, OrderStatus::Expired),
        // It bought what its funds paid for.
        engine::CancelReason::FundsRemainder if !cumulative.is_zero() => (ExecType::Cancelled, OrderStatus::Filled),
        _ => (ExecType::Cancelled, OrderStatus::Cancelled),
    }
}

/// What is copied.
trait Copied: Flat {
    /// The same without the numbers that it has in its session.
    fn copied(self) -> Self;
}

macro_rules! copied {
    ($($message:ident)*) => {
        $(
            impl Copied for $message {
                fn copied(self) -> Self {
                    Self { report_number: None, answered_sequence: None, ..self }
                }
            }
        )*
    };
}

copied!(ExecutionReport OrderCancelReject OrderMassActionReport BusinessMessageReject KillSwitchReport);

/// An account's reports again, as copies.
pub(crate) struct CopiesAgain {
    range: CopyRange,
    frames: Vec<FrameBytes>,
}

impl CopiesAgain {
    /// None yet.
    pub(crate) fn new(range: CopyRange) -> Self {
        Self { range, frames: Vec::new() }
    }

    /// The reports, if all of the range are there.
    pub(crate) fn into_frames(self) -> Option<Vec<FrameBytes>> {
        (self.frames.len() as u64 == self.range.count).then_some(self.frames)
    }
}

impl Outlet for CopiesAgain {
    fn message<M: Flat>(&mut self, recipient: Recipient, _: Option<SessionSequence>, message: &M) {
        if let Recipient::Copies(_, execution) = recipient
            && self.range.contains(execution)
        {
            self.frames.push(frame(message));
        }
    }

    fn is_copied(&self, account: AccountId) -> bool {
        account == self.range.account
    }
}

/// One event's turn.
struct Turn<'a, O> {
    header: &'a EventHeader,
    view: &'a View,
    sending: Sending,
    out: &'a mut O,
}

impl<O: Outlet> Turn<'_, O> {
    fn accepted(&mut self, event: &OrderAccepted) {
        let (funds_high, funds_low) = amount::split((!event.funds.is_absent()).then_some(event.funds.0));
        let base = self.order(&event.report, &event.order);
        let instrument = event.order.instrument;
        self.execution(
            &event.report,
            ExecutionReport {
                exec_type: ExecType::New,
                funds_high,
                funds_low,
                stop_price: self.price(instrument, event.stop_price),
                display_quantity: self.quantity(instrument, event.display_quantity),
                minimum_quantity: self.quantity(instrument, event.minimum_quantity),
                expire_time: wire::Timestamp::present(event.expire_at),
                ..base
            },
        );
    }

    fn rejected(&mut self, event: &OrderRejected) {
        let base = self.blank(&event.report, event.instrument);
        self.execution(
            &event.report,
            ExecutionReport {
                exec_type: ExecType::Rejected,
                order_status: Some(OrderStatus::Rejected),
                client_order_id: wire::ClientOrderId::present(event.client_order_id),
                side: Some(event.side.into()),
                price: self.price(event.instrument, event.price).filter(|_| event.price <= Price::MAX),
                order_quantity: self
                    .quantity(event.instrument, event.quantity)
                    .filter(|_| event.quantity <= Quantity::MAX),
                reject_reason: Some(event.reason.into()),
                reference_order_id: wire::OrderId::present(event.original_order_id),
                reference_order_status: event.original_status.map(Into::into),
                ..base
            },
        );
    }

    fn replaced(&mut self, event: &OrderReplaced) {
        let base = self.order(&event.report, &event.order);
        let instrument = event.order.instrument;
        let report = ExecutionReport {
            exec_type: ExecType::Replaced,
            original_client_order_id: wire::ClientOrderId::present(event.original_client_order_id),
            stop_price: self.price(instrument, event.stop_price),
            display_quantity: self.quantity(instrument, event.display_quantity),
            expire_time: wire::Timestamp::present(event.expire_at),
            priority: Some(event.priority.into()),
            ..base
        };
        self.send_both(&event.report, &event.requester, report);
    }

    fn cancelled(&mut self, event: &OrderCancelled) {
        let (exec_type, order_status) = end_of(event.reason, event.order.cumulative);
        let unspent = (!event.cancelled_funds.is_absent()).then_some(event.cancelled_funds.0);
        let (funds_high, funds_low) = amount::split(unspent);
        let base = self.order(&event.report, &event.order);
        let report = ExecutionReport {
            exec_type,
            order_status: Some(order_status),
            funds_high,
            funds_low,
            cancelled_quantity: self.quantity(event.order.instrument, event.cancelled),
            request_client_order_id: wire::ClientOrderId::present(event.request_client_order_id),
            cancel_reason: Some(event.reason.into()),
            ..base
        };
        self.send_both(&event.report, &event.requester, report);
    }

    fn trade(&mut self, event: &Trade) {
        self.fill(event, &event.maker);
        self.fill(event, &event.taker);
    }

    fn fill(&mut self, event: &Trade, side: &TradeSide) {
        let aggressor =
            event.aggressor.map(|aggressor| if aggressor == side.side { Indicator::Yes } else { Indicator::No });
        let report = self.traded(event.instrument, event.trade_id, (event.price, event.quantity), side);
        self.execution(&side.report, ExecutionReport { exec_type: ExecType::Trade, aggressor, ..report });
    }

    /// Both sides learn that a trade stands no more; the fee is what is given back.
    fn busted(&mut self, event: &TradeBusted) {
        for side in [&event.buyer, &event.seller] {
            let report = self.traded(event.instrument, event.trade_id, (event.price, event.quantity), side);
            // Of an order that has ended the event knows no more than its names.
            let order_status = report.order_status.filter(|_| !side.order_quantity.is_absent());
            let report = ExecutionReport { exec_type: ExecType::TradeCancel, order_status, ..report };
            self.execution(&side.report, report);
        }
    }

    /// One side of a trade.
    fn traded(
        &self,
        instrument: InstrumentId,
        trade_id: TradeId,
        (price, quantity): (Price, Quantity),
        side: &TradeSide,
    ) -> ExecutionReport {
        let settled = self.view.instrument_ever(instrument).map_or(AssetId::NONE, |instrument| instrument.quote);
        let fee = (!settled.is_none()).then_some(side.fee.0);
        let (fee_high, fee_low) = amount::split_signed(fee);
        ExecutionReport {
            order_status: Some(status(side.order_quantity, side.leaves, side.cumulative)),
            order_id: wire::OrderId::present(side.order_id),
            client_order_id: wire::ClientOrderId::present(side.client_order_id),
            trade_id: wire::TradeId::present(trade_id),
            side: Some(side.side.into()),
            price: self.price(instrument, side.order_price),
            order_quantity: self.quantity(instrument, side.order_quantity),
            prevented_quantity: self.lots(instrument, side.prevented),
            last_price: self.price(instrument, price),
            last_quantity: self.quantity(instrument, quantity),
            leaves_quantity: self.lots(instrument, side.leaves),
            cumulative_quantity: self.lots(instrument, side.cumulative),
            fee_high,
            fee_low,
            fee_asset: wire::AssetId::present(settled),
            ..self.blank(&side.report, instrument)
        }
    }

    fn triggered(&mut self, event: &OrderTriggered) {
        let base = self.order(&event.report, &event.order);
        let last_price = self.price(event.order.instrument, event.elected_by);
        self.execution(&event.report, ExecutionReport { exec_type: ExecType::Triggered, last_price, ..base });
    }

    fn restated(&mut self, event: &OrderRestated) {
        let base = self.order(&event.report, &event.order);
        self.execution(
            &event.report,
            ExecutionReport {
                exec_type: ExecType::Restated,
                display_quantity: self.quantity(event.order.instrument, event.display_quantity),
                restatement_reason: Some(event.reason.into()),
                ..base
            },
        );
    }

    fn cancel_rejected(&mut self, event: &CancelRejected) {
        let response_to = CancelRejectResponseTo::try_from(event.response_to);
        let report = &event.report;
        self.report(
            report,
            OrderCancelReject {
                report_number: wire::SessionSequence::present(report.report_number),
                answered_sequence: wire::SessionSequence::present(report.client_sequence),
                account: report.account.into(),
                order_id: wire::OrderId::present(event.order_id),
                original_client_order_id: wire::ClientOrderId::present(event.original_client_order_id),
                client_order_id: wire::ClientOrderId::present(event.client_order_id),
                execution_id: ExecutionId::present(report.exec_id),
                transact_time: self.header.time.into(),
                gateway_in_time: self.gateway_in_time(),
                journal_sequence: self.journal_sequence(),
                event_index: self.event_index(),
                reference_order_id: wire::OrderId::present(event.duplicate_of),
                order_status: event.order_status.map(Into::into),
                reject_reason: event.reason.into(),
                response_to: response_to.unwrap_or(CancelRejectResponseTo::NonRepresentable),
                possible_duplicate: self.sending.possible_duplicate,
                durability: self.sending.durability,
            },
        );
    }

    fn mass_cancelled(&mut self, event: &MassCancelled) {
        let base = self.mass_action(&event.report, event.client_order_id);
        self.report(
            &event.report,
            OrderMassActionReport {
                security_id: wire::SecurityId::present(event.instrument),
                side: event.side.map(Into::into),
                affected_orders: OrderCount(event.cancelled_count),
                response: MassActionResponse::Completed,
                ..base
            },
        );
    }

    fn mass_cancel_rejected(&mut self, event: &MassCancelRejected) {
        let base = self.mass_action(&event.report, event.client_order_id);
        self.report(
            &event.report,
            OrderMassActionReport {
                reject_reason: Some(event.reason.into()),
                response: MassActionResponse::Rejected,
                ..base
            },
        );
    }

    fn mass_action(&self, report: &Report, client_order_id: engine::ClientOrderId) -> OrderMassActionReport {
        OrderMassActionReport {
            report_number: wire::SessionSequence::present(report.report_number),
            answered_sequence: wire::SessionSequence::present(report.client_sequence),
            account: wire::AccountId::present(report.account),
            client_order_id: wire::ClientOrderId::present(client_order_id),
            execution_id: ExecutionId::present(report.exec_id),
            transact_time: self.header.time.into(),
            gateway_in_time: self.gateway_in_time(),
            journal_sequence: self.journal_sequence(),
            event_index: self.event_index(),
            action: MassActionType::CancelOrders,
            possible_duplicate: self.sending.possible_duplicate,
            durability: self.sending.durability,
            ..OrderMassActionReport::BLANK
        }
    }

    fn not_applied(&mut self, event: &NotApplied) {
        let message =
            wire::session::NotApplied { from_sequence: event.from.into(), count: wire::MessageCount(event.count) };
        self.send(event.session, SessionSequence::NONE, &message);
    }

    /// A kill switch is the only administrator's command that comes through a session.
    fn command_rejected(&mut self, event: &CommandRejected) {
        if event.command != engine::CommandKind::KillSwitch {
            return;
        }
        let report = &event.report;
        let message = BusinessMessageReject {
            answered_sequence: wire::SessionSequence::present(report.client_sequence),
            reference_id: RequestId::present(event.note.idempotency_key),
            transact_time: self.header.time.into(),
            text: Text48::EMPTY,
            reference_tag: None,
            reference_template: order_entry::KillSwitch::TEMPLATE_ID,
            reject_reason: event.reason.into(),
            report_number: wire::SessionSequence::present(report.report_number),
            account: wire::AccountId::present(report.account),
            execution_id: ExecutionId::present(report.exec_id),
            possible_duplicate: Some(self.sending.possible_duplicate),
        };
        self.answer(report, event.author, message);
    }

    fn kill_switch_set(&mut self, event: &KillSwitchSet) {
        let report = &event.report;
        let message = KillSwitchReport {
            account: event.command.account.into(),
            idempotency_key: RequestId::present(event.command.note.idempotency_key),
            transact_time: self.header.time.into(),
            journal_sequence: self.journal_sequence(),
            event_index: self.event_index(),
            affected_orders: OrderCount(event.cancelled_count),
            switch: event.command.switch.into(),
            durability: self.sending.durability,
            report_number: wire::SessionSequence::present(report.report_number),
            answered_sequence: wire::SessionSequence::present(report.client_sequence),
            execution_id: ExecutionId::present(report.exec_id),
            possible_duplicate: Some(self.sending.possible_duplicate),
        };
        self.answer(report, event.author, message);
    }

    fn balance_changed(&mut self, event: &BalanceChanged) {
        let (available_high, available_low) = amount::split(Some(event.available.0));
        let (held_high, held_low) = amount::split(Some(event.held.0));
        let (change_high, change_low) = amount::split_signed(Some(event.change.0));
        let message = AccountBalance {
            account: event.account.into(),
            asset: wire::AssetId::present(event.asset),
            available_high,
            available_low,
            held_high,
            held_low,
            change_high,
            change_low,
            transact_time: self.header.time.into(),
            journal_sequence: self.journal_sequence(),
            event_index: self.event_index(),
            cause: Some(event.cause.into()),
            possible_duplicate: self.sending.possible_duplicate,
            durability: self.sending.durability,
            ..AccountBalance::BLANK
        };
        self.unnumbered(Recipient::Readers(event.account), &message);
    }

    /// Answers whoever asked: the session, or every session of the key if it asked elsewhere.
    fn answer<M: Copied>(&mut self, report: &Report, author: KeyId, message: M) {
        if report.session.is_none() {
            self.unnumbered(Recipient::Key(author), &message);
        }
        self.report(report, message);
    }

    fn phase_changed(&mut self, event: &PhaseChanged) {
        let message = TradingSessionStatus {
            security_id: event.instrument.into(),
            transact_time: self.header.time.into(),
            journal_sequence: self.journal_sequence(),
            phase: event.to.into(),
            cause: event.cause.into(),
        };
        self.unnumbered(Recipient::Everybody, &message);
    }

    fn delisted(&mut self, event: &InstrumentDelisted) {
        let message = TradingSessionStatus {
            security_id: event.instrument.into(),
            transact_time: self.header.time.into(),
            journal_sequence: self.journal_sequence(),
            phase: Phase::Closed.into(),
            cause: PhaseCause::Listing.into(),
        };
        self.unnumbered(Recipient::Everybody, &message);
    }

    fn asset_added(&mut self, asset: &Asset) {
        self.unnumbered(Recipient::Everybody, &asset_definition(asset));
    }

    fn instrument_changed(&mut self, instrument: InstrumentId) {
        if let Some(instrument) = self.view.instrument(instrument) {
            let message = security_definition(instrument);
            self.unnumbered(Recipient::Everybody, &message);
        }
    }

    // Parts.

    /// What every report of an order as it is has in common.
    fn order(&self, report: &Report, order: &OrderState) -> ExecutionReport {
        let instrument = order.instrument;
        ExecutionReport {
            order_id: wire::OrderId::present(order.order_id),
            client_order_id: wire::ClientOrderId::present(order.client_order_id),
            price: self.price(instrument, order.price),
            order_quantity: self.quantity(instrument, order.quantity),
            leaves_quantity: self.lots(instrument, order.leaves),
            cumulative_quantity: self.lots(instrument, order.cumulative),
            prevented_quantity: self.lots(instrument, order.prevented),
            order_status: Some(status(order.quantity, order.leaves, order.cumulative)),
            side: Some(order.side.into()),
            order_type: Some(order.order_type.into()),
            time_in_force: Some(order.time_in_force.into()),
            instructions: order.flags.into(),
            ..self.blank(report, instrument)
        }
    }

    /// What every execution report has in common.
    fn blank(&self, report: &Report, instrument: InstrumentId) -> ExecutionReport {
        ExecutionReport {
            report_number: wire::SessionSequence::present(report.report_number),
            answered_sequence: wire::SessionSequence::present(report.client_sequence),
            account: report.account.into(),
            security_id: instrument.into(),
            execution_id: ExecutionId::present(report.exec_id),
            transact_time: self.header.time.into(),
            gateway_in_time: self.gateway_in_time(),
            journal_sequence: self.journal_sequence(),
            event_index: self.event_index(),
            possible_duplicate: self.sending.possible_duplicate,
            durability: self.sending.durability,
            ..ExecutionReport::BLANK
        }
    }

    fn gateway_in_time(&self) -> Option<wire::Timestamp> {
        wire::Timestamp::present(self.header.received_at)
    }

    fn journal_sequence(&self) -> Option<JournalSequence> {
        JournalSequence::present(self.header.id.sequence)
    }

    fn event_index(&self) -> Option<EventIndex> {
        Some(EventIndex(self.header.id.index))
    }

    /// A price's mantissa; an instrument that is not known has no exponent, and then ticks are the mantissa.
    fn price(&self, instrument: InstrumentId, price: Price) -> Option<wire::Price> {
        let mantissa = |ticks| match self.view.instrument_ever(instrument) {
            Some(instrument) => instrument.tick.mantissa_of(ticks),
            None => i64::try_from(ticks).unwrap_or(i64::MAX),
        };
        (!price.is_absent()).then(|| wire::Price(mantissa(price.0)))
    }

    fn quantity(&self, instrument: InstrumentId, quantity: Quantity) -> Option<wire::Quantity> {
        (!quantity.is_absent()).then(|| self.lots(instrument, quantity))
    }

    fn lots(&self, instrument: InstrumentId, quantity: Quantity) -> wire::Quantity {
        wire::Quantity(match self.view.instrument_ever(instrument) {
            Some(instrument) => instrument.lot.mantissa_of(quantity.0),
            None => i64::try_from(quantity.0).unwrap_or(i64::MAX),
        })
    }

    // Out.

    fn execution(&mut self, to: &Report, report: ExecutionReport) {
        self.report(to, report);
    }

    /// A report for its session, and a copy for those who are told of everything in its account.
    fn report<M: Copied>(&mut self, to: &Report, message: M) {
        self.send(to.session, to.report_number, &message);
        if !to.exec_id.is_none() && self.out.is_copied(to.account) {
            self.unnumbered(Recipient::Copies(to.account, to.exec_id), &message.copied());
        }
    }

    /// The order's own session and, if it was another, the one that asked: the same report under its own numbers.
    fn send_both(&mut self, to: &Report, requester: &Requester, report: ExecutionReport) {
        self.execution(to, report);
        let copy = ExecutionReport {
            report_number: wire::SessionSequence::present(requester.report_number),
            answered_sequence: wire::SessionSequence::present(requester.client_sequence),
            ..report
        };
        self.send(requester.session, requester.report_number, &copy);
    }

    fn send<M: Flat>(&mut self, session: SessionId, number: SessionSequence, message: &M) {
        if !session.is_none() {
            let number = (!number.is_none()).then_some(number);
            self.out.message(Recipient::Session(session), number, message);
        }
    }

    fn unnumbered<M: Flat>(&mut self, recipient: Recipient, message: &M) {
        self.out.message(recipient, None, message);
    }
}
