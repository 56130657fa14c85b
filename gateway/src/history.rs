//! Reports again: who can find them, and how to pick them out of a replay.

use engine::event::Report;
use engine::{Event, EventHeader, EventSink, Sequence, SessionId, SessionSequence, SessionVersion};

/// Finds the events behind a session's reports. Asked for from a thread of its own, so it may take its time.
pub trait ReportHistory: Send + Sync + 'static {
    /// The events of the reports that `range` names, in order, as far as they are kept.
    ///
    /// All of them are of commands up to `released`, which may be ahead of the disk: what was released is to be waited
    /// for. An event may have two of the session's reports, and is given once.
    ///
    /// # Errors
    ///
    /// What kept them from being read.
    fn reports(&self, range: &ReportRange, released: Sequence) -> std::io::Result<Vec<(EventHeader, Event)>>;
}

/// Reports of one session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReportRange {
    /// Whose.
    pub session: SessionId,
    /// Of which login: numbers begin anew with each.
    pub version: SessionVersion,
    /// The first.
    pub from: SessionSequence,
    /// How many.
    pub count: u64,
}

impl ReportRange {
    /// Whether a report of the session is in the range.
    pub fn contains(&self, number: SessionSequence) -> bool {
        number >= self.from && number.0 - self.from.0 < self.count
    }
}

/// Picks a range of reports out of a replay of all events.
#[derive(Debug)]
pub struct ReportCollector {
    range: ReportRange,
    version: SessionVersion,
    found: Vec<(EventHeader, Event)>,
}

impl ReportCollector {
    /// A collector that has seen nothing.
    pub fn new(range: ReportRange) -> Self {
        Self { range, version: SessionVersion::NONE, found: Vec::new() }
    }

    /// What was found.
    pub fn into_found(self) -> Vec<(EventHeader, Event)> {
        self.found
    }
}

impl EventSink for ReportCollector {
    fn event(&mut self, header: &EventHeader, event: &Event) {
        if let Event::SessionNegotiated(negotiated) = event
            && negotiated.session == self.range.session
        {
            self.version = negotiated.version;
        }
        let wanted = |&(session, number): &_| session == self.range.session && self.range.contains(number);
        if self.version == self.range.version && numbers(event).iter().any(wanted) {
            self.found.push((*header, *event));
        }
    }
}

/// The sessions that an event is reported to, with the reports' numbers; those of nobody are zero.
fn numbers(event: &Event) -> [(SessionId, SessionSequence); 2] {
    let number = |report: &Report| (report.session, report.report_number);
    let one = |report: &Report| [number(report), Default::default()];
    match event {
        Event::OrderAccepted(event) => one(&event.report),
        Event::OrderRejected(event) => one(&event.report),
        Event::OrderReplaced(event) => {
            [number(&event.report), (event.requester.session, event.requester.report_number)]
        }
        Event::OrderCancelled(event) => {
            [number(&event.report), (event.requester.session, event.requester.report_number)]
        }
        Event::CancelRejected(event) => one(&event.report),
        Event::Trade(event) => [number(&event.maker.report), number(&event.taker.report)],
        Event::TradeBusted(event) => [number(&event.buyer.report), number(&event.seller.report)],
        Event::OrderTriggered(event) => one(&event.report),
        Event::OrderRestated(event) => one(&event.report),
        Event::MassCancelled(event) => one(&event.report),
        Event::MassCancelRejected(event) => one(&event.report),
        _ => Default::default(),
    }
}
