//! Drop copy: an account's reports for those who do not trade for it.
//!
//! A report's number in its account, FIX's ExecID, counts from 1 without gaps, over all sessions and restarts. It is what
//! a reader of copies goes by: copies are no part of the recoverable stream of the session that they come through.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use engine::event::Report;
use engine::{AccountId, Engine, Event, EventHeader, EventSink, ExecId};

/// The reports that an event is: one for each side of a trade, and none for what is no account's.
pub(crate) fn reports(event: &Event) -> [Option<&Report>; 2] {
    let one = |report| [Some(report), None];
    match event {
        Event::OrderAccepted(event) => one(&event.report),
        Event::OrderRejected(event) => one(&event.report),
        Event::OrderReplaced(event) => one(&event.report),
        Event::OrderCancelled(event) => one(&event.report),
        Event::CancelRejected(event) => one(&event.report),
        Event::Trade(event) => [Some(&event.maker.report), Some(&event.taker.report)],
        Event::TradeBusted(event) => [Some(&event.buyer.report), Some(&event.seller.report)],
        Event::OrderTriggered(event) => one(&event.report),
        Event::OrderRestated(event) => one(&event.report),
        Event::MassCancelled(event) => one(&event.report),
        Event::MassCancelRejected(event) => one(&event.report),
        Event::KillSwitchSet(event) => one(&event.report),
        Event::CommandRejected(event) => one(&event.report),
        _ => [None, None],
    }
}

/// The numbers that an event has in an account, in order.
fn executions(event: &Event, account: AccountId) -> impl Iterator<Item = ExecId> {
    let of_account = move |report: &&Report| report.account == account && !report.exec_id.is_none();
    reports(event).into_iter().flatten().filter(of_account).map(|report| report.exec_id)
}

/// The last report of every account. It follows released events, and is therefore behind the core.
#[derive(Debug, Default)]
pub(crate) struct Executions {
    /// By account. The core has room for a fixed number of them, which bounds it.
    last: Vec<ExecId>,
}

impl Executions {
    /// Those of an engine that takes no commands yet.
    pub(crate) fn of(engine: &Engine) -> Self {
        let mut executions = Self::default();
        engine.executions().for_each(|(account, last)| executions.note(account, last));
        executions
    }

    /// Takes in a released event.
    pub(crate) fn apply(&mut self, event: &Event) {
        for report in reports(event).into_iter().flatten() {
            self.note(report.account, report.exec_id);
        }
    }

    /// The number that an account's next report will carry.
    pub(crate) fn next(&self, account: AccountId) -> ExecId {
        self.last.get(account.0 as usize).copied().unwrap_or_default().next()
    }

    fn note(&mut self, account: AccountId, last: ExecId) {
        if last.is_none() {
            return;
        }
        let place = account.0 as usize;
        if place >= self.last.len() {
            self.last.resize(place + 1, ExecId::NONE);
        }
        self.last[place] = last;
    }
}

/// Reports of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CopyRange {
    /// Whose.
    pub account: AccountId,
    /// The first.
    pub from: ExecId,
    /// How many.
    pub count: u64,
}

impl CopyRange {
    /// Whether the account's report of this number is in the range.
    pub fn contains(&self, execution: ExecId) -> bool {
        execution >= self.from && execution.0 - self.from.0 < self.count
    }

    /// Where an event stands by its first report of the account: before the range's first one, at it, or behind it;
    /// none: it has none.
    pub fn stands(&self, event: &Event) -> Option<Ordering> {
        executions(event, self.account).next().map(|first| first.cmp(&self.from))
    }
}

/// Picks the events behind a range of an account's reports out of events in order.
#[derive(Debug)]
pub struct CopyCollector {
    range: CopyRange,
    found: Vec<(EventHeader, Event)>,
}

impl CopyCollector {
    /// A collector that has seen nothing.
    pub fn new(range: CopyRange) -> Self {
        Self { range, found: Vec::new() }
    }

    /// Takes the next event; breaks when no later one is needed.
    pub fn take(&mut self, header: &EventHeader, event: &Event) -> ControlFlow<()> {
        let CopyRange { account, from, count } = self.range;
        let mut last = ExecId::NONE;
        let mut is_wanted = false;
        for execution in executions(event, account) {
            is_wanted |= self.range.contains(execution);
            last = execution;
        }
        if is_wanted {
            self.found.push((*header, *event));
        }
        if last.0 >= from.0.saturating_add(count.saturating_sub(1)) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// What was found.
    pub fn into_found(self) -> Vec<(EventHeader, Event)> {
        self.found
    }
}

impl EventSink for CopyCollector {
    fn event(&mut self, header: &EventHeader, event: &Event) {
        // A replay does not end before its time.
        let _ = self.take(header, event);
    }
}

#[cfg(test)]
mod tests {
    use engine::command::{AdminNote, CommandKind};
    use engine::event::{CommandRejected, MassCancelRejected, Trade, TradeSide};
    use engine::{
        ClientOrderId, EventId, InstrumentId, KeyId, OrderId, Price, Quantity, RejectReason, Sequence, SessionId,
        SessionSequence, Side, SignedAmount, Timestamp, TradeId,
    };

    use super::*;

    const ACCOUNT: AccountId = AccountId(2);
    const OTHER: AccountId = AccountId(3);

    fn report(account: AccountId, exec_id: u64) -> Report {
        let (report_number, client_sequence) = (SessionSequence::NONE, SessionSequence::NONE);
        Report { account, session: SessionId(7), exec_id: ExecId(exec_id), report_number, client_sequence }
    }

    fn refused(report: Report) -> Event {
        let (client_order_id, instrument) = (ClientOrderId::NONE, InstrumentId::NONE);
        let (side, entered_by, reason) = (None, SessionId::NONE, RejectReason::UnknownSession);
        MassCancelRejected { report, client_order_id, instrument, side, entered_by, reason }.into()
    }

    fn traded(maker: Report, taker: Report) -> Event {
        let side = |report| TradeSide {
            report,
            order_id: OrderId(5),
            client_order_id: ClientOrderId::NONE,
            side: Side::Buy,
            order_price: Price(1),
            order_quantity: Quantity(1),
            leaves: Quantity::ZERO,
            cumulative: Quantity(1),
            prevented: Quantity::ZERO,
            fee: SignedAmount(0),
        };
        Trade {
            instrument: InstrumentId(1),
            trade_id: TradeId(1),
            price: Price(1),
            quantity: Quantity(1),
            aggressor: None,
            self_match: engine::event::SelfMatch::No,
            maker: side(maker),
            taker: side(taker),
        }
        .into()
    }

    /// The account's reports 1 to 9: two of them are one trade with itself, and one is a kill switch that was refused;
    /// between them stand others' reports and one without a number.
    fn events() -> Vec<(EventHeader, Event)> {
        let note = AdminNote::NONE;
        let kill = |report| CommandRejected {
            report,
            author: KeyId(1),
            command: CommandKind::KillSwitch,
            note,
            reason: RejectReason::DuplicateRequest,
        };
        let events = [
            refused(report(ACCOUNT, 1)),
            refused(report(OTHER, 1)),
            refused(report(ACCOUNT, 2)),
            traded(report(ACCOUNT, 3), report(OTHER, 2)),
            traded(report(ACCOUNT, 4), report(ACCOUNT, 5)),
            refused(report(ACCOUNT, 0)),
            kill(report(ACCOUNT, 6)).into(),
            traded(report(OTHER, 3), report(ACCOUNT, 7)),
            refused(report(ACCOUNT, 8)),
            refused(report(ACCOUNT, 9)),
        ];
        let header = |sequence| EventHeader {
            id: EventId { sequence: Sequence(sequence), index: 0 },
            time: Timestamp(sequence),
            received_at: Timestamp(sequence),
        };
        (1..).map(header).zip(events).collect()
    }

    fn range(from: u64, count: u64) -> CopyRange {
        CopyRange { account: ACCOUNT, from: ExecId(from), count }
    }

    #[test]
    fn the_next_number_of_an_account_is_behind_its_last_report() {
        let mut executions = Executions::default();
        assert_eq!(executions.next(ACCOUNT), ExecId(1));
        events().iter().for_each(|(_, event)| executions.apply(event));
        let next = [ACCOUNT, OTHER, AccountId(4)].map(|account| executions.next(account));
        assert_eq!(next, [10, 4, 1].map(ExecId));
    }

    #[test]
    fn a_range_is_found_whole_and_nothing_is_looked_at_behind_it() {
        // From, count, the sequences of the events that are found, and of the last one that is looked at.
        for (from, count, expected, last) in [
            (1, 1, &[1][..], 1),
            (1, 9, &[1, 3, 4, 5, 7, 8, 9, 10][..], 10),
            (4, 1, &[5][..], 5),
            (5, 2, &[5, 7][..], 7),
            (9, 5, &[10][..], 10),
            (10, 1, &[][..], 10),
        ] {
            let mut collector = CopyCollector::new(range(from, count));
            let mut seen = 0;
            for (header, event) in &events() {
                seen = header.id.sequence.0;
                if collector.take(header, event).is_break() {
                    break;
                }
            }
            let found: Vec<u64> = collector.into_found().iter().map(|(header, _)| header.id.sequence.0).collect();
            assert_eq!((&found[..], seen), (expected, last), "{from}+{count}");
        }
    }

    #[test]
    fn a_replay_finds_what_a_search_finds() {
        for from in 1..=10 {
            for count in 1..=10 {
                let (mut search, mut replay) =
                    (CopyCollector::new(range(from, count)), CopyCollector::new(range(from, count)));
                let events = events();
                events.iter().for_each(|(header, event)| replay.event(header, event));
                // A search begins anywhere before the first.
                let begins = events.iter().rposition(|(_, event)| {
                    range(from, count).stands(event).is_some_and(|place| place != Ordering::Greater)
                });
                let _ =
                    events[begins.unwrap_or(0)..].iter().any(|(header, event)| search.take(header, event).is_break());
                assert_eq!(search.into_found(), replay.into_found(), "{from}+{count}");
            }
        }
    }
}
