//! Rules 10 and 3.4: names of events, times, and the three kinds of numbers that have no gaps.

use engine::event::{
    NotApplied, Report, Requester, SessionDisconnected, SessionEstablished, SessionNegotiated, TradeSide,
};
use engine::{
    AccountId, Command, CommandBody, Event, EventHeader, EventId, KeyId, RejectReason, Sequence, Sequenced, Stamp,
};

use super::{Auditor, Checked, ensure};

/// A session, as events tell of it.
#[derive(Debug, Clone)]
pub(super) struct Session {
    key: KeyId,
    is_open: bool,
    /// The last command of this login that was applied.
    applied: u64,
    /// The last report of this login.
    reports: u64,
}

impl Auditor {
    /// 11.1: commands are numbered without gaps, and their time never goes back.
    pub(super) fn next_stamp(&mut self, stamp: Stamp) -> Checked {
        let last = std::mem::replace(&mut self.last, stamp);
        let follows = last.sequence == Sequence::NONE || stamp.sequence == last.sequence.next();
        ensure(follows, "11.1", || format!("the command before was {}", last.sequence))?;
        ensure(stamp.time >= last.time, "11.1", || format!("the command before was at {}", last.time))
    }

    /// 11.1: an event's name is its command and its place.
    pub(super) fn header(&self, command: &Sequenced<Command>, index: u32, header: &EventHeader) -> Checked {
        let expected = EventHeader {
            id: EventId { sequence: command.stamp.sequence, index },
            time: command.stamp.time,
            received_at: command.value.header.received_at,
        };
        ensure(*header == expected, "11.1", || format!("{header:?} instead of {expected:?}"))
    }

    /// 10.2, 10.8: every number is the next of its account or session.
    pub(super) fn reports(&mut self, command: &Sequenced<Command>, event: &Event) -> Checked {
        let reason = crate::compare::refusal(event);
        for report in reports_of(event) {
            self.execution(report, reason)?;
            self.report(command, report, reason)?;
        }
        match requester_of(event) {
            Some(requester) if requester != Requester::NOBODY => {
                let report = Report {
                    account: AccountId::NONE,
                    session: requester.session,
                    exec_id: engine::ExecId::NONE,
                    report_number: requester.report_number,
                    client_sequence: requester.client_sequence,
                };
                let own = reports_of(event).iter().all(|report| report.session != requester.session);
                ensure(own, "10.6", || "the requester is the report's own session".to_owned())?;
                self.report(command, report, reason)
            }
            _ => Ok(()),
        }
    }

    fn execution(&mut self, report: Report, reason: Option<RejectReason>) -> Checked {
        let Some(account) = self.accounts.get_mut(&report.account) else {
            return ensure(report.exec_id.is_none(), "10.8", || "a number for an unknown account".to_owned());
        };
        if reason == Some(RejectReason::NotEntitled) {
            return ensure(report.exec_id.is_none(), "9.4", || "a number for who is not entitled".to_owned());
        }
        let expected = account.executions + 1;
        ensure(report.exec_id.0 == expected, "10.8", || {
            format!("execution {} of account {} instead of {expected}", report.exec_id, report.account)
        })?;
        account.executions = expected;
        Ok(())
    }

    fn report(&mut self, command: &Sequenced<Command>, report: Report, reason: Option<RejectReason>) -> Checked {
        let header = command.value.header;
        if !report.client_sequence.is_none() {
            let answers = report.session == header.session && report.client_sequence == header.client_sequence;
            ensure(answers, "10.2", || "it answers a command that this is not".to_owned())?;
        }
        let Some(session) = self.sessions.get_mut(&report.session) else {
            return ensure(report.report_number.is_none(), "10.2", || "a number for an unknown session".to_owned());
        };
        let stranger = reason.is_some() && (!session.is_open || session.key != header.author);
        if stranger && report.report_number.is_none() {
            return Ok(());
        }
        let expected = session.reports + 1;
        ensure(report.report_number.0 == expected, "10.2", || {
            format!("report {} of session {} instead of {expected}", report.report_number, report.session)
        })?;
        session.reports = expected;
        Ok(())
    }

    /// 10.1: whether a command is one that its session has sent before; a new one counts as applied.
    pub(super) fn is_repetition(&mut self, command: &Command) -> bool {
        let header = command.header;
        let is_login =
            matches!(command.body, CommandBody::Negotiate(_) | CommandBody::Establish(_) | CommandBody::Disconnect(_));
        let Some(session) = self.sessions.get_mut(&header.session) else { return false };
        if is_login || header.client_sequence.is_none() || !session.is_open || session.key != header.author {
            return false;
        }
        if header.client_sequence.0 <= session.applied {
            return true;
        }
        session.applied = header.client_sequence.0;
        false
    }

    pub(super) fn session_negotiated(&mut self, event: &SessionNegotiated) -> Checked {
        self.sessions.insert(event.session, Session { key: event.key, is_open: false, applied: 0, reports: 0 });
        Ok(())
    }

    /// 10.3: an opening says where both streams go on.
    pub(super) fn session_established(&mut self, event: &SessionEstablished) -> Checked {
        let Some(session) = self.sessions.get_mut(&event.session) else {
            return ensure(false, "10.4", || "the session never logged in".to_owned());
        };
        session.is_open = true;
        let told = (event.next_client_sequence.0, event.next_report_number.0);
        let expected = (session.applied + 1, session.reports + 1);
        ensure(told == expected, "10.3", || format!("next numbers {told:?} instead of {expected:?}"))
    }

    pub(super) fn session_disconnected(&mut self, event: &SessionDisconnected) -> Checked {
        let Some(session) = self.sessions.get_mut(&event.session).filter(|session| session.is_open) else {
            return ensure(false, "10.4", || "the session was not open".to_owned());
        };
        session.is_open = false;
        Ok(())
    }

    /// 10.1: what never arrived is what lies between the last applied and this.
    pub(super) fn not_applied(&mut self, command: &Command, event: &NotApplied) -> Checked {
        let applied = self.sessions.get(&event.session).map_or(0, |session| session.applied);
        let missed = command.header.client_sequence.0.checked_sub(applied + 1);
        let exact = event.session == command.header.session
            && event.from.0 == applied + 1
            && event.count > 0
            && missed == Some(event.count);
        ensure(exact, "10.1", || format!("the last applied was {applied}"))
    }
}

fn reports_of(event: &Event) -> Vec<Report> {
    let both = |one: &TradeSide, other: &TradeSide| vec![one.report, other.report];
    match event {
        Event::OrderAccepted(event) => vec![event.report],
        Event::OrderRejected(event) => vec![event.report],
        Event::OrderReplaced(event) => vec![event.report],
        Event::OrderCancelled(event) => vec![event.report],
        Event::CancelRejected(event) => vec![event.report],
        Event::OrderTriggered(event) => vec![event.report],
        Event::OrderRestated(event) => vec![event.report],
        Event::MassCancelled(event) => vec![event.report],
        Event::MassCancelRejected(event) => vec![event.report],
        Event::CommandRejected(event) => vec![event.report],
        Event::KillSwitchSet(event) => vec![event.report],
        Event::Trade(event) => both(&event.maker, &event.taker),
        Event::TradeBusted(event) => both(&event.buyer, &event.seller),
        _ => Vec::new(),
    }
}

fn requester_of(event: &Event) -> Option<Requester> {
    match event {
        Event::OrderReplaced(event) => Some(event.requester),
        Event::OrderCancelled(event) => Some(event.requester),
        _ => None,
    }
}
