//! Reports again: who can find them, and how to pick them out of a replay.

use std::ops::ControlFlow;

use engine::event::{Report, Requester};
use engine::{Event, EventHeader, EventSink, Sequence, SessionId, SessionSequence, SessionVersion};

use crate::copies::{self, CopyRange};

/// Finds the events behind reports. Asked beside the door, by one of its workers, so it may take its time.
pub trait ReportHistory: Send + Sync + 'static {
    /// The events of the reports that `range` names, in order, as far as they are kept. Its login is the one that the
    /// session had at `released`.
    ///
    /// All of them are of commands up to `released`, which may be ahead of the disk: what was released is to be waited
    /// for. An event may have two of the session's reports, and is given once.
    ///
    /// # Errors
    ///
    /// What kept them from being read.
    fn reports(&self, range: &ReportRange, released: Sequence) -> std::io::Result<Vec<(EventHeader, Event)>>;

    /// The events of the reports of an account that `range` names, in the same way.
    ///
    /// # Errors
    ///
    /// What kept them from being read.
    fn copies(&self, range: &CopyRange, released: Sequence) -> std::io::Result<Vec<(EventHeader, Event)>>;
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

/// Picks a range of reports out of a replay: of all events, or of the last ones, wherever they begin.
///
/// What a replay of the last ones does not say, which login they begin in the midst of, and the reports before, is found
/// going on backward from there.
#[derive(Debug)]
pub struct ReportCollector {
    range: ReportRange,
    /// A later login than is asked for has begun.
    is_behind: bool,
    /// Reports of the range of the last login that may be the one that is asked for, and what later logins began with.
    found: Vec<(EventHeader, Event)>,
}

impl ReportCollector {
    /// A collector that has seen nothing.
    pub fn new(range: ReportRange) -> Self {
        Self { range, is_behind: false, found: Vec::new() }
    }

    /// What was found, if the replay was of all events.
    pub fn into_found(self) -> Vec<(EventHeader, Event)> {
        self.into_backward().0.into_found()
    }

    /// What goes on with the session's events from before the replay, if it has to.
    pub fn into_backward(self) -> (BackwardCollector, ControlFlow<()>) {
        let mut backward = BackwardCollector::new(self.range);
        let ended = self.found.iter().rev().try_for_each(|(header, event)| backward.event(header, event));
        (backward, ended)
    }
}

impl EventSink for ReportCollector {
    fn event(&mut self, header: &EventHeader, event: &Event) {
        if self.is_behind {
            return;
        }
        let begins = match event {
            Event::SessionNegotiated(event) if event.session == self.range.session => Some(event.version),
            _ => None,
        };
        if let Some(version) = begins {
            self.is_behind = version > self.range.version;
            if !self.is_behind {
                self.found.clear();
            }
        }
        let wanted = |&(session, number): &_| session == self.range.session && self.range.contains(number);
        if begins.is_some() || numbers(event).iter().any(wanted) {
            self.found.push((*header, *event));
        }
    }
}

/// Picks a range of reports out of a session's events, the newest event first.
///
/// Which login events are of is said by the session's own events, so some of them may be handed over beyond the first
/// report of the range.
#[derive(Debug)]
pub struct BackwardCollector {
    range: ReportRange,
    /// The login in whose midst the last event was; none: no event has said it yet.
    version: SessionVersion,
    has_first: bool,
    has_last: bool,
    /// The newest first.
    found: Vec<(EventHeader, Event)>,
}

impl BackwardCollector {
    /// A collector that has seen nothing.
    pub fn new(range: ReportRange) -> Self {
        Self { range, version: SessionVersion::NONE, has_first: false, has_last: false, found: Vec::new() }
    }

    /// A collector that begins in the midst of the login that is asked for.
    pub fn in_login(range: ReportRange) -> Self {
        Self { version: range.version, ..Self::new(range) }
    }

    /// What is picked out.
    pub fn range(&self) -> &ReportRange {
        &self.range
    }

    /// Takes an event from before the one taken last; breaks when no earlier one is needed.
    pub fn event(&mut self, header: &EventHeader, event: &Event) -> ControlFlow<()> {
        if let Some(version) = self.login_of(event) {
            self.enter(version);
            if self.version < self.range.version
                || self.version == self.range.version && matches!(event, Event::SessionNegotiated(_))
            {
                return ControlFlow::Break(());
            }
        }
        let numbers = numbers(event)
            .into_iter()
            .filter(|&(session, number)| session == self.range.session && number != SessionSequence::NONE);
        let (mut is_wanted, mut is_before) = (false, false);
        for (_, number) in numbers {
            is_before |= number < self.range.from;
            if !self.range.contains(number) {
                continue;
            }
            is_wanted = true;
            self.has_first |= number == self.range.from;
            self.has_last |= number.0 - self.range.from.0 + 1 == self.range.count;
        }
        if is_wanted {
            self.found.push((*header, *event));
        }
        if (self.has_first || is_before) && self.version == self.range.version {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// Whether all of the range was found: reports are numbered without gaps.
    pub fn is_whole(&self) -> bool {
        self.version == self.range.version && self.has_first && self.has_last
    }

    /// What was found, in the order in which it happened.
    pub fn into_found(mut self) -> Vec<(EventHeader, Event)> {
        if self.version != self.range.version {
            return Vec::new();
        }
        self.found.reverse();
        self.found
    }

    /// The login that one of the session's own events is of.
    fn login_of(&self, event: &Event) -> Option<SessionVersion> {
        let (session, version) = match event {
            Event::SessionNegotiated(event) => (event.session, event.version),
            Event::SessionEstablished(event) => (event.session, event.version),
            Event::SessionDisconnected(event) => (event.session, event.version),
            _ => return None,
        };
        (session == self.range.session).then_some(version)
    }

    /// What was found so far is of this login; of a later one than is asked for, it is not wanted.
    fn enter(&mut self, version: SessionVersion) {
        self.version = version;
        if version != self.range.version {
            self.found.clear();
            (self.has_first, self.has_last) = (false, false);
        }
    }
}

/// The sessions that an event is reported to, with the reports' numbers; those of nobody are zero.
fn numbers(event: &Event) -> [(SessionId, SessionSequence); 2] {
    let number = |report: Option<&Report>| report.map(|report| (report.session, report.report_number));
    let [first, second] = copies::reports(event).map(|report| number(report).unwrap_or_default());
    let requester = |requester: &Requester| (requester.session, requester.report_number);
    match event {
        Event::OrderReplaced(event) => [first, requester(&event.requester)],
        Event::OrderCancelled(event) => [first, requester(&event.requester)],
        _ => [first, second],
    }
}

#[cfg(test)]
mod tests {
    use engine::event::{MassCancelRejected, SessionDisconnected, SessionNegotiated};
    use engine::{AccountId, ClientOrderId, EventId, ExecId, InstrumentId, KeyId, RejectReason, Timestamp};

    use super::*;

    const SESSION: SessionId = SessionId(7);

    fn report(session: SessionId, number: u64) -> Event {
        let report = Report {
            account: AccountId(2),
            session,
            exec_id: ExecId::NONE,
            report_number: SessionSequence(number),
            client_sequence: SessionSequence::NONE,
        };
        let (client_order_id, instrument) = (ClientOrderId::NONE, InstrumentId::NONE);
        let (side, entered_by, reason) = (None, SessionId::NONE, RejectReason::UnknownSession);
        MassCancelRejected { report, client_order_id, instrument, side, entered_by, reason }.into()
    }

    /// Three logins with some reports each, of which some are another session's; some are lost connections.
    fn events(lengths: [u64; 3]) -> Vec<(EventHeader, Event)> {
        let mut events = Vec::new();
        for (login, &length) in (1..).zip(&lengths) {
            let version = SessionVersion(login * 10);
            events.push(SessionNegotiated { session: SESSION, key: KeyId(1), version }.into());
            for number in 1..=length {
                events.extend([report(SESSION, number), report(SessionId(8), number)]);
                if number % 5 == 0 {
                    let (reason, cancel_at) = (engine::command::DisconnectReason::ConnectionLost, Timestamp::NEVER);
                    events.push(SessionDisconnected { session: SESSION, version, reason, cancel_at }.into());
                }
            }
        }
        let header = |sequence| EventHeader {
            id: EventId { sequence: Sequence(sequence), index: 0 },
            time: Timestamp(sequence),
            received_at: Timestamp(sequence),
        };
        (1..).map(header).zip(events).collect()
    }

    /// A report without a number, of a command that came for a login that was over, passed for one from before the range: the
    /// search ended there, and the trader was told that its reports are no longer kept.
    #[test]
    fn a_report_without_a_number_ends_no_search() {
        let mut events = events([2, 2, 0]);
        let (header, _) = events[8];
        events.insert(8, (header, report(SESSION, 0)));
        let range = ReportRange { session: SESSION, version: SessionVersion(20), from: SessionSequence(1), count: 2 };
        let mut collector = BackwardCollector::in_login(range);
        let asked = events[..10].iter().rev();
        let ended = asked.into_iter().try_for_each(|(header, event)| collector.event(header, event));
        assert!(ended.is_break() && collector.is_whole(), "{collector:?}");
        assert_eq!(collector.into_found().len(), 2);
    }

    /// A range of reports, the plain way.
    fn of_range(events: &[(EventHeader, Event)], range: ReportRange) -> Vec<(EventHeader, Event)> {
        let login = |&(_, event): &(_, Event)| match event {
            Event::SessionNegotiated(event) => Some(event.version),
            _ => None,
        };
        let logins = events.chunk_by(|_, next| login(next).is_none());
        let of_version = logins.filter(|events| login(&events[0]) == Some(range.version));
        let is_wanted = |event: &Event| match event {
            Event::MassCancelRejected(event) => {
                event.report.session == range.session && range.contains(event.report.report_number)
            }
            _ => false,
        };
        of_version.flatten().filter(|(_, event)| is_wanted(event)).copied().collect()
    }

    const RANGES: [(u64, u64); 6] = [(1, 1), (1, 20), (3, 2), (6, 1), (11, 9), (40, 1)];

    #[test]
    fn a_replay_from_anywhere_and_what_is_before_it_have_all_reports() {
        for lengths in [[4, 4, 4], [12, 0, 7], [0, 0, 0], [7, 12, 1]] {
            let events = events(lengths);
            for version in [5, 10, 20, 30, 35].map(SessionVersion) {
                for (from, count) in RANGES {
                    let range = ReportRange { session: SESSION, version, from: SessionSequence(from), count };
                    for begin in 0..=events.len() {
                        let (before, replayed) = events.split_at(begin);
                        let mut collector = ReportCollector::new(range);
                        replayed.iter().for_each(|(header, event)| collector.event(header, event));
                        let (mut backward, ended) = collector.into_backward();
                        if ended.is_continue() {
                            let _ = before.iter().rev().try_for_each(|(header, event)| backward.event(header, event));
                        }
                        assert_eq!(backward.into_found(), of_range(&events, range), "{lengths:?} {range:?} {begin}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_replay_remembers_no_more_than_a_login() {
        let events = events([50, 50, 50]);
        let range = ReportRange { session: SESSION, version: SessionVersion(20), from: SessionSequence(1), count: 50 };
        let mut collector = ReportCollector::new(range);
        for (header, event) in &events {
            collector.event(header, event);
            // The login asked for, and what the next one began with.
            assert!(collector.found.len() <= 52, "{}", collector.found.len());
        }
        assert_eq!(collector.into_found().len(), 50);
    }

    #[test]
    fn backward_finds_all_reports_and_looks_at_no_more_than_a_login() {
        for lengths in [[4, 4, 4], [12, 0, 7], [0, 0, 0], [7, 12, 1]] {
            let events = events(lengths);
            for version in [5, 10, 20, 30, 35].map(SessionVersion) {
                for (from, count) in RANGES {
                    let range = ReportRange { session: SESSION, version, from: SessionSequence(from), count };
                    let mut backward = BackwardCollector::new(range);
                    let mut newest_first = events.iter().rev();
                    let stopped = newest_first.any(|(header, event)| backward.event(header, event).is_break());
                    let story = format!("{lengths:?} {range:?}");
                    let expected = of_range(&events, range);
                    assert_eq!(backward.is_whole(), expected.len() as u64 == count, "{story}");
                    assert_eq!(backward.into_found(), expected, "{story}");
                    assert_eq!(stopped, version >= SessionVersion(10), "{story}");
                }
            }
        }
        // The range's first report is the last thing looked at, once it is known whose it is.
        let events = events([0, 0, 100]);
        let range = ReportRange { session: SESSION, version: SessionVersion(30), from: SessionSequence(90), count: 5 };
        let mut backward = BackwardCollector::new(range);
        let looked_at =
            events.iter().rev().position(|(header, event)| backward.event(header, event).is_break()).unwrap();
        assert!(looked_at < 30, "{looked_at}");
        assert_eq!(backward.into_found().len(), 5);
        // Who is known to be in that login needs no event that says so, and looks no further back than the range.
        let reports = &events[..events.len() - 1];
        for (from, expected, last) in [(97, 1, 7), (101, 0, 1)] {
            let mut backward =
                BackwardCollector::in_login(ReportRange { from: SessionSequence(from), count: 1, ..range });
            let looked_at =
                reports.iter().rev().position(|(header, event)| backward.event(header, event).is_break()).unwrap();
            assert_eq!((looked_at, backward.into_found().len()), (last, expected));
        }
    }
}
