//! Every event of an order becomes reports that say the same: what went in as ticks and lots comes out as the same
//! ticks and lots, for each session that it concerns and nobody else.

use engine::command::{AdminNote, ListInstrument};
use engine::event::*;
use engine::instrument::{Holds, Phase};
use engine::*;
use gateway::egress::{Outgoing, Outlet, Recipient, Sending, messages};
use gateway::view::View;
use wire::order_entry::{
    AccountBalance, BusinessMessageReject, ExecutionReport, KillSwitchReport, OrderCancelReject, OrderMassActionReport,
};
use wire::{Block, Durability, EventIndex, ExecType, Frame, Indicator, JournalSequence, amount};

const BOOK: InstrumentId = InstrumentId(1);
const SENDING: Sending = Sending { durability: Durability::Synced, possible_duplicate: Indicator::No };
const REPORT: Report = Report {
    account: AccountId(2),
    session: SessionId(7),
    exec_id: ExecId(31),
    report_number: SessionSequence(41),
    client_sequence: SessionSequence(51),
};
const REQUESTER: Requester =
    Requester { session: SessionId(8), report_number: SessionSequence(3), client_sequence: SessionSequence(4) };
const ORDER: OrderState = OrderState {
    instrument: BOOK,
    order_id: OrderId(1 << 24),
    client_order_id: ClientOrderId(11),
    side: Side::Sell,
    order_type: OrderType::Limit,
    time_in_force: TimeInForce::GoodTillCancel,
    flags: OrderFlags::POST_ONLY,
    price: Price(400),
    quantity: Quantity(10),
    leaves: Quantity(6),
    cumulative: Quantity(3),
    prevented: Quantity(1),
    shown: Quantity(6),
};

const HEADER: EventHeader =
    EventHeader { id: EventId { sequence: Sequence(71), index: 5 }, time: Timestamp(81), received_at: Timestamp(80) };

fn view() -> View {
    let command = ListInstrument {
        instrument: BOOK,
        name: Text::new("X-USD").unwrap(),
        base: AssetId(1),
        quote: AssetId(2),
        tick: 25,
        tick_decimals: 2,
        lot: 10,
        lot_decimals: 1,
        reference: Price::ABSENT,
        holds: Holds::On,
        self_trade_prevention: SelfTradePrevention::Allow,
        phase: Phase::Continuous,
        note: AdminNote::NONE,
    };
    let mut view = View::default();
    let (author, quote_units, base_units) = (KeyId::VENUE, 1, 1);
    view.apply(&HEADER, &InstrumentListed { author, command, quote_units, base_units }.into());
    view
}

fn reports(event: impl Into<Event>) -> Vec<Outgoing> {
    let mut found = Vec::new();
    messages(&HEADER, &event.into(), &view(), SENDING, &mut found);
    found
}

fn execution(outgoing: &Outgoing) -> ExecutionReport {
    Frame::split(&outgoing.frame).unwrap().0.decode().unwrap()
}

/// The one report of an event, for the order's own session under its own numbers.
fn only(event: impl Into<Event>) -> ExecutionReport {
    let found = reports(event);
    let [outgoing] = &found[..] else { panic!("{found:?}") };
    assert_eq!(outgoing.recipient, Recipient::Session(REPORT.session));
    assert_eq!(outgoing.number, Some(REPORT.report_number));
    let report = execution(outgoing);
    assert_report(&report);
    report
}

fn assert_report(report: &ExecutionReport) {
    assert_eq!(report.account, REPORT.account.into());
    assert_eq!(report.execution_id, Some(REPORT.exec_id.into()));
    assert_eq!(report.report_number, Some(REPORT.report_number.into()));
    assert_eq!(report.answered_sequence, Some(REPORT.client_sequence.into()));
    assert_eq!((report.transact_time, report.gateway_in_time), (wire::Timestamp(81), Some(wire::Timestamp(80))));
    let place = (report.journal_sequence, report.event_index);
    assert_eq!(place, (Some(wire::JournalSequence(71)), Some(wire::EventIndex(5))));
    assert_eq!((report.durability, report.possible_duplicate), (Durability::Synced, Indicator::No));
}

/// The order that a report shows, in the core's words.
fn order_in(report: &ExecutionReport) -> OrderState {
    let view = view();
    let instrument = view.instrument(BOOK).unwrap();
    OrderState {
        instrument: report.security_id.try_into().unwrap(),
        order_id: report.order_id.unwrap().into(),
        client_order_id: report.client_order_id.unwrap().into(),
        side: report.side.unwrap().try_into().unwrap(),
        order_type: report.order_type.unwrap().try_into().unwrap(),
        time_in_force: report.time_in_force.unwrap().try_into().unwrap(),
        flags: report.instructions.into(),
        price: instrument.price(report.price.unwrap().0),
        quantity: instrument.quantity(report.order_quantity.unwrap().0),
        leaves: instrument.quantity(report.leaves_quantity.0),
        cumulative: instrument.quantity(report.cumulative_quantity.0),
        prevented: instrument.quantity(report.prevented_quantity.0),
        // Its owner knows the display quantity.
        shown: instrument.quantity(report.leaves_quantity.0),
    }
}

#[test]
fn an_accepted_order() {
    let report = only(OrderAccepted {
        report: REPORT,
        order: ORDER,
        self_trade_prevention: SelfTradePrevention::Allow,
        on_disconnect: OnDisconnect::AsSession,
        funds: Amount(1 << 70),
        stop_price: Price(7),
        display_quantity: Quantity(2),
        minimum_quantity: Quantity(1),
        expire_at: Timestamp(99),
    });
    assert_eq!((report.exec_type, order_in(&report)), (ExecType::New, ORDER));
    assert_eq!(report.price, Some(wire::Price(10_000)));
    assert_eq!(amount::join(report.funds_high, report.funds_low), Some(1 << 70));
    assert_eq!(report.stop_price, Some(wire::Price(175)));
    let quantities = (report.display_quantity, report.minimum_quantity);
    assert_eq!(quantities, (Some(wire::Quantity(20)), Some(wire::Quantity(10))));
    assert_eq!(report.expire_time, Some(wire::Timestamp(99)));
}

#[test]
fn a_rejected_order() {
    let report = only(OrderRejected {
        report: REPORT,
        instrument: BOOK,
        client_order_id: ClientOrderId(11),
        side: Side::Buy,
        price: Price(400),
        quantity: Quantity(10),
        reason: RejectReason::DuplicateClientOrderId,
        original_order_id: OrderId(5),
        original_status: Some(OrderStatus::Filled),
    });
    assert_eq!((report.exec_type, report.order_status), (ExecType::Rejected, Some(wire::OrderStatus::Rejected)));
    assert_eq!(report.reject_reason, Some(RejectReason::DuplicateClientOrderId.into()));
    assert_eq!(report.client_order_id, Some(wire::ClientOrderId(11)));
    assert_eq!((report.side, report.order_id), (Some(wire::Side::Buy), None));
    let asked = (report.price, report.order_quantity);
    assert_eq!(asked, (Some(wire::Price(10_000)), Some(wire::Quantity(100))));
    let original = (report.reference_order_id, report.reference_order_status);
    assert_eq!(original, (Some(wire::OrderId(5)), Some(wire::OrderStatus::Filled)));
}

#[test]
fn a_replaced_order_also_for_the_session_that_asked() {
    let found = reports(OrderReplaced {
        report: REPORT,
        requester: REQUESTER,
        order: ORDER,
        original_client_order_id: ClientOrderId(10),
        stop_price: Price::ABSENT,
        display_quantity: Quantity::ABSENT,
        expire_at: Timestamp::NONE,
        priority: Priority::Lost,
    });
    let [own, copy] = &found[..] else { panic!("{found:?}") };
    let report = execution(own);
    assert_report(&report);
    assert_eq!((report.exec_type, order_in(&report)), (ExecType::Replaced, ORDER));
    assert_eq!(report.original_client_order_id, Some(wire::ClientOrderId(10)));
    assert_eq!((report.priority, report.stop_price), (Some(wire::Priority::Lost), None));
    assert_eq!((copy.recipient, copy.number), (Recipient::Session(REQUESTER.session), Some(REQUESTER.report_number)));
    let expected = ExecutionReport {
        report_number: Some(REQUESTER.report_number.into()),
        answered_sequence: Some(REQUESTER.client_sequence.into()),
        ..report
    };
    assert_eq!(execution(copy), expected);
}

#[test]
fn a_cancelled_and_an_expired_order() {
    let order = OrderState { leaves: Quantity::ZERO, shown: Quantity::ZERO, ..ORDER };
    for (reason, exec_type, status) in [
        (CancelReason::Requested, ExecType::Cancelled, wire::OrderStatus::Cancelled),
        (CancelReason::DayEnded, ExecType::Expired, wire::OrderStatus::Expired),
        (CancelReason::Expired, ExecType::Expired, wire::OrderStatus::Expired),
        // The auction that it was for is over.
        (CancelReason::OpeningRemainder, ExecType::Expired, wire::OrderStatus::Expired),
        (CancelReason::ClosingRemainder, ExecType::Expired, wire::OrderStatus::Expired),
        (CancelReason::AuctionRemainder, ExecType::Cancelled, wire::OrderStatus::Cancelled),
        (CancelReason::Collar, ExecType::Cancelled, wire::OrderStatus::Cancelled),
        (CancelReason::InsufficientFunds, ExecType::Cancelled, wire::OrderStatus::Cancelled),
    ] {
        let report = only(OrderCancelled {
            report: REPORT,
            requester: Requester::NOBODY,
            order,
            cancelled: Quantity(6),
            cancelled_funds: Amount::ABSENT,
            request_client_order_id: ClientOrderId(12),
            reason,
        });
        assert_eq!((report.exec_type, report.order_status, order_in(&report)), (exec_type, Some(status), order));
        assert_eq!(report.cancelled_quantity, Some(wire::Quantity(60)));
        assert_eq!(report.request_client_order_id, Some(wire::ClientOrderId(12)));
        assert_eq!(report.cancel_reason, Some(reason.into()));
    }
}

#[test]
fn a_trade_for_both_sides() {
    let maker = TradeSide {
        report: REPORT,
        order_id: OrderId(5),
        client_order_id: ClientOrderId(11),
        side: Side::Sell,
        order_price: Price(400),
        order_quantity: Quantity(11),
        leaves: Quantity(6),
        cumulative: Quantity(4),
        prevented: Quantity(1),
        fee: SignedAmount(-25),
    };
    let report = Report { account: AccountId(3), session: SessionId(9), ..REPORT };
    let taker = TradeSide { report, side: Side::Buy, leaves: Quantity::ZERO, fee: SignedAmount(50), ..maker };
    let found = reports(Trade {
        instrument: BOOK,
        trade_id: TradeId(61),
        price: Price(400),
        quantity: Quantity(4),
        aggressor: Some(Side::Buy),
        self_match: SelfMatch::No,
        maker,
        taker,
    });
    let sides = [
        (maker, wire::OrderStatus::PartiallyFilled, Indicator::No),
        (taker, wire::OrderStatus::Filled, Indicator::Yes),
    ];
    assert_eq!(found.len(), 2);
    for (outgoing, (side, status, aggressor)) in found.iter().zip(sides) {
        assert_eq!(outgoing.recipient, Recipient::Session(side.report.session));
        let report = execution(outgoing);
        assert_eq!((report.exec_type, report.order_status), (ExecType::Trade, Some(status)));
        assert_eq!(report.trade_id, Some(wire::TradeId(61)));
        let last = (report.last_price, report.last_quantity);
        assert_eq!(last, (Some(wire::Price(10_000)), Some(wire::Quantity(40))));
        assert_eq!(report.leaves_quantity, wire::Quantity(10 * i64::try_from(side.leaves.0).unwrap()));
        assert_eq!(report.cumulative_quantity, wire::Quantity(40));
        let ordered = (report.price, report.order_quantity, report.prevented_quantity);
        assert_eq!(ordered, (Some(wire::Price(10_000)), Some(wire::Quantity(110)), wire::Quantity(10)));
        assert_eq!(amount::join_signed(report.fee_high, report.fee_low), Some(side.fee.0));
        assert_eq!((report.fee_asset, report.aggressor), (Some(wire::AssetId(2)), Some(aggressor)));
        assert_eq!((report.side, report.account), (Some(side.side.into()), side.report.account.into()));
    }
}

#[test]
fn nobody_is_the_aggressor_of_an_auctions_trade() {
    let side = |side, session| TradeSide {
        report: Report { session: SessionId(session), ..REPORT },
        order_id: OrderId(5),
        client_order_id: ClientOrderId(11),
        side,
        order_price: Price::ABSENT,
        order_quantity: Quantity(11),
        leaves: Quantity(7),
        cumulative: Quantity(4),
        prevented: Quantity::ZERO,
        fee: SignedAmount(50),
    };
    let found = reports(Trade {
        instrument: BOOK,
        trade_id: TradeId(61),
        price: Price(400),
        quantity: Quantity(4),
        aggressor: None,
        self_match: SelfMatch::No,
        maker: side(Side::Buy, 7),
        taker: side(Side::Sell, 9),
    });
    let told: Vec<_> = found.iter().map(|outgoing| (outgoing.recipient, execution(outgoing))).collect();
    let [(first, buy), (second, sell)] = &told[..] else { panic!("{told:?}") };
    assert_eq!((*first, *second), (Recipient::Session(SessionId(7)), Recipient::Session(SessionId(9))));
    for (report, side) in [(buy, wire::Side::Buy), (sell, wire::Side::Sell)] {
        assert_eq!((report.exec_type, report.side), (ExecType::Trade, Some(side)));
        assert_eq!((report.aggressor, report.price), (None, None));
        assert_eq!(report.last_price, Some(wire::Price(10_000)));
    }
}

#[test]
fn a_triggered_and_a_restated_order() {
    let report = only(OrderTriggered { report: REPORT, order: ORDER, elected_by: Price(8) });
    assert_eq!((report.exec_type, order_in(&report)), (ExecType::Triggered, ORDER));
    assert_eq!(report.last_price, Some(wire::Price(200)));
    let reason = RestatementReason::DisplayRefreshed;
    let report = only(OrderRestated { report: REPORT, order: ORDER, display_quantity: Quantity(2), reason });
    assert_eq!((report.exec_type, order_in(&report)), (ExecType::Restated, ORDER));
    assert_eq!((report.restatement_reason, report.display_quantity), (Some(reason.into()), Some(wire::Quantity(20))));
    let order = OrderState { time_in_force: TimeInForce::AtTheClose, ..ORDER };
    let reason = RestatementReason::JoinedCall;
    let report = only(OrderRestated { report: REPORT, order, display_quantity: Quantity::ABSENT, reason });
    assert_eq!((report.exec_type, order_in(&report)), (ExecType::Restated, order));
    assert_eq!((report.restatement_reason, report.display_quantity), (Some(reason.into()), None));
}

#[test]
fn a_refused_cancel_and_mass_cancels() {
    let found = reports(CancelRejected {
        report: REPORT,
        response_to: CommandKind::ReplaceOrder,
        order_id: OrderId(5),
        original_client_order_id: ClientOrderId(11),
        client_order_id: ClientOrderId(12),
        reason: RejectReason::UnknownOrder,
        order_status: Some(OrderStatus::Filled),
        duplicate_of: OrderId::NONE,
    });
    let reject: OrderCancelReject = Frame::split(&found[0].frame).unwrap().0.decode().unwrap();
    assert_eq!(reject.response_to, wire::CancelRejectResponseTo::OrderCancelReplaceRequest);
    assert_eq!((reject.reject_reason, reject.order_id), (RejectReason::UnknownOrder.into(), Some(wire::OrderId(5))));
    assert_eq!(reject.report_number, Some(REPORT.report_number.into()));

    let client_order_id = ClientOrderId(13);
    let (instrument, side, cancelled_count) = (BOOK, Some(Side::Buy), 9);
    let (entered_by, note, reason) = (SessionId::NONE, AdminNote::NONE, RejectReason::NotEntitled);
    let done = MassCancelled { report: REPORT, client_order_id, instrument, side, entered_by, cancelled_count, note };
    let refused = MassCancelRejected { report: REPORT, client_order_id, instrument, side, entered_by, reason };
    for (event, response, reason, count) in [
        (Event::from(done), wire::MassActionResponse::Completed, None, 9),
        (Event::from(refused), wire::MassActionResponse::Rejected, Some(RejectReason::NotEntitled.into()), 0),
    ] {
        let found = reports(event);
        assert_eq!(found[0].number, Some(REPORT.report_number));
        let report: OrderMassActionReport = Frame::split(&found[0].frame).unwrap().0.decode().unwrap();
        assert_eq!((report.response, report.reject_reason, report.affected_orders.0), (response, reason, count));
        assert_eq!(report.client_order_id, Some(wire::ClientOrderId(13)));
    }
}

/// Keeps copies of one account's reports, and what their events are otherwise.
#[derive(Default)]
struct Copying {
    copies: Vec<Outgoing>,
    others: Vec<Outgoing>,
}

impl Outlet for Copying {
    fn message<M: wire::Flat>(&mut self, recipient: Recipient, number: Option<SessionSequence>, message: &M) {
        let kept = if matches!(recipient, Recipient::Copies(..)) { &mut self.copies } else { &mut self.others };
        kept.message(recipient, number, message);
    }

    fn is_copied(&self, account: AccountId) -> bool {
        account == REPORT.account
    }
}

fn copied(event: impl Into<Event>) -> Copying {
    let id = EventId { sequence: Sequence(71), index: 5 };
    let header = EventHeader { id, time: Timestamp(81), received_at: Timestamp(80) };
    let mut found = Copying::default();
    messages(&header, &event.into(), &view(), SENDING, &mut found);
    found
}

fn cancelled(report: Report, requester: Requester) -> OrderCancelled {
    OrderCancelled {
        report,
        requester,
        order: ORDER,
        cancelled: Quantity(6),
        cancelled_funds: Amount::ABSENT,
        request_client_order_id: ClientOrderId(12),
        reason: CancelReason::Requested,
    }
}

#[test]
fn a_report_is_copied_once_without_its_sessions_numbers() {
    let nobodys = Report { session: SessionId::NONE, report_number: SessionSequence::NONE, ..REPORT };
    for (report, requester, told) in
        [(REPORT, Requester::NOBODY, 1), (REPORT, REQUESTER, 2), (nobodys, Requester::NOBODY, 0)]
    {
        let found = copied(cancelled(report, requester));
        assert_eq!(found.others.len(), told);
        let [copy] = &found.copies[..] else { panic!("{:?}", found.copies) };
        assert_eq!((copy.recipient, copy.number), (Recipient::Copies(REPORT.account, REPORT.exec_id), None));
        let expected = ExecutionReport {
            report_number: None,
            answered_sequence: None,
            ..only(cancelled(REPORT, Requester::NOBODY))
        };
        assert_eq!(execution(copy), expected);
    }
    // Neither another account's, nor a refusal that the account's numbers know nothing of.
    let others = Report { account: AccountId(3), ..REPORT };
    let strangers = Report { exec_id: ExecId::NONE, ..REPORT };
    for report in [others, strangers] {
        let found = copied(cancelled(report, Requester::NOBODY));
        assert_eq!((found.copies.len(), found.others.len()), (0, 1));
    }
}

#[test]
fn a_kill_switch_answers_its_session_in_order_and_is_copied() {
    let note = AdminNote { idempotency_key: IdempotencyKey(9), ..AdminNote::NONE };
    let command =
        engine::command::KillSwitch { account: REPORT.account, switch: engine::command::Switch::Engaged, note };
    let author = KeyId(5);
    let set = |report| KillSwitchSet { report, author, command, cancelled_count: 3 };
    let reason = RejectReason::DuplicateRequest;
    let refused = |report| CommandRejected { report, author, command: CommandKind::KillSwitch, note, reason };
    let asked_elsewhere = Report {
        session: SessionId::NONE,
        report_number: SessionSequence::NONE,
        client_sequence: SessionSequence::NONE,
        ..REPORT
    };
    for (report, recipient) in [(REPORT, Recipient::Session(REPORT.session)), (asked_elsewhere, Recipient::Key(author))]
    {
        let found = copied(set(report));
        let [told] = &found.others[..] else { panic!("{:?}", found.others) };
        assert_eq!(
            (told.recipient, told.number),
            (recipient, Some(report.report_number).filter(|number| !number.is_none()))
        );
        let answer: KillSwitchReport = Frame::split(&told.frame).unwrap().0.decode().unwrap();
        assert_eq!(
            (answer.report_number, answer.answered_sequence),
            (
                wire::SessionSequence::present(report.report_number),
                wire::SessionSequence::present(report.client_sequence)
            )
        );
        assert_eq!(
            (answer.execution_id, answer.idempotency_key),
            (Some(REPORT.exec_id.into()), Some(wire::RequestId(9)))
        );
        assert_eq!((answer.affected_orders.0, answer.possible_duplicate), (3, Some(Indicator::No)));
        let copy: KillSwitchReport = Frame::split(&found.copies[0].frame).unwrap().0.decode().unwrap();
        assert_eq!(copy, KillSwitchReport { report_number: None, answered_sequence: None, ..answer });

        let found = copied(refused(report));
        let [told] = &found.others[..] else { panic!("{:?}", found.others) };
        assert_eq!(told.recipient, recipient);
        let answer: BusinessMessageReject = Frame::split(&told.frame).unwrap().0.decode().unwrap();
        assert_eq!((answer.reject_reason, answer.reference_id), (reason.into(), Some(wire::RequestId(9))));
        assert_eq!((answer.account, answer.execution_id), (Some(REPORT.account.into()), Some(REPORT.exec_id.into())));
        let copy: BusinessMessageReject = Frame::split(&found.copies[0].frame).unwrap().0.decode().unwrap();
        assert_eq!(copy, BusinessMessageReject { report_number: None, answered_sequence: None, ..answer });
    }
}

/// What was sent again of an instrument that was delisted since was in ticks and lots.
#[test]
fn reports_of_a_delisted_instrument_are_in_its_exponents() {
    let event = OrderTriggered { report: REPORT, order: ORDER, elected_by: Price(8) }.into();
    let id = EventId { sequence: Sequence(71), index: 5 };
    let header = EventHeader { id, time: Timestamp(81), received_at: Timestamp(80) };
    let mut view = view();
    let (author, note) = (KeyId::VENUE, AdminNote::NONE);
    view.apply(&header, &InstrumentDelisted { author, instrument: BOOK, cancelled_count: 0, note }.into());
    assert_eq!(view.instrument(BOOK), None);
    let mut found: Vec<Outgoing> = Vec::new();
    messages(&header, &event, &view, SENDING, &mut found);
    assert_eq!(execution(&found[0]), only(OrderTriggered { report: REPORT, order: ORDER, elected_by: Price(8) }));
}

#[test]
fn a_balance_that_changes_otherwise_is_told_to_the_accounts_readers() {
    let event = BalanceChanged {
        author: KeyId::VENUE,
        account: REPORT.account,
        asset: AssetId(1),
        cause: engine::event::BalanceCause::Withdrawal,
        change: SignedAmount(-25),
        available: Amount((1 << 64) + 5),
        held: Amount(7),
        note: AdminNote::NONE,
    };
    let mut found: Vec<Outgoing> = Vec::new();
    messages(&HEADER, &event.into(), &view(), SENDING, &mut found);
    let [told] = &found[..] else { panic!("{found:?}") };
    assert_eq!((told.recipient, told.number), (Recipient::Readers(REPORT.account), None));
    let (frame, _) = Frame::split(&told.frame).unwrap();
    let expected = AccountBalance {
        account: REPORT.account.into(),
        asset: Some(wire::AssetId(1)),
        available_high: Some(wire::AmountHigh(1)),
        available_low: wire::AmountLow(5),
        held_high: Some(wire::AmountHigh(0)),
        held_low: wire::AmountLow(7),
        change_high: Some(wire::SignedAmountHigh(-1)),
        change_low: wire::AmountLow(u64::MAX - 24),
        transact_time: wire::Timestamp(81),
        journal_sequence: Some(JournalSequence(71)),
        event_index: Some(EventIndex(5)),
        cause: Some(wire::BalanceCause::Withdrawal),
        possible_duplicate: SENDING.possible_duplicate,
        durability: SENDING.durability,
        ..AccountBalance::BLANK
    };
    assert_eq!(frame.decode(), Ok(expected));
}
