//! Copies of accounts' reports: which are new, which came before, and which to ask for.
//!
//! Copies carry no number of the session that they come through; they are counted per account, by ExecID, over all
//! sessions and restarts of the venue. A reader keeps [`CopyStream::next`] of its accounts and goes on from there.
//!
//! ```text
//!   message ──► take ──► New, Duplicate, Lost, Refused, Other
//!                └─ behind every message: request ──► a DropCopyRequest to send, if reports are missing
//!   connection lost, or refused for now ──► ask_again
//! ```

use std::collections::BTreeMap;

use wire::order_entry::{BusinessMessageReject, DropCopyReport, DropCopyRequest, OrderEntryMessage};
use wire::{AccountId, EdgeReason, ExecutionId, Message, OrderCount, RejectReason, RequestId};

/// The most reports that are asked for at once; the venue's own bound.
pub const COPIES_MAX: u32 = 1_000;

/// Where reading an account begins of which nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    /// With its first report.
    Beginning,
    /// With the first thing that is heard of it.
    Now,
}

/// What a message is to a reader of copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// A report that was not seen before.
    New,
    /// A report that was seen before, or stands before the first that is read.
    Duplicate,
    /// Reports that the venue will not send again are given up.
    Lost {
        /// Whose.
        account: AccountId,
        /// The first.
        from: ExecutionId,
        /// How many.
        count: u64,
        /// Why the venue does not send them.
        reason: RejectReason,
    },
    /// The venue does not answer the request: for now, or because the key may no longer be told. Nothing is asked for until
    /// [`CopyStream::ask_again`].
    Refused(RejectReason),
    /// No report of an account.
    Other,
}

/// What was seen of one account.
#[derive(Debug, Clone)]
struct Seen {
    /// Everything before it was seen, or given up.
    next: u64,
    /// Where the account's reports end, as far as is known.
    end: u64,
    /// What was seen behind `next`: from each key up to, and without, its value.
    ranges: BTreeMap<u64, u64>,
}

/// What was asked for.
#[derive(Debug, Clone, Copy)]
struct Asked {
    account: AccountId,
    request: RequestId,
    from: u64,
    until: u64,
}

/// Follows copies of accounts' reports: takes every message of the venue, and says what to ask for.
#[derive(Debug)]
pub struct CopyStream {
    since: Since,
    accounts: BTreeMap<AccountId, Seen>,
    asked: Option<Asked>,
    last_request: RequestId,
}

impl CopyStream {
    /// A reader that has seen nothing.
    pub fn new(since: Since) -> Self {
        Self { since, accounts: BTreeMap::new(), asked: None, last_request: RequestId(0) }
    }

    /// Reads an account from a number on: what an earlier run kept of [`CopyStream::next`].
    pub fn follow(&mut self, account: AccountId, next: ExecutionId) {
        self.accounts.insert(account, Seen::new(next.0));
    }

    /// The first report of an account that was not seen; none: nothing is known of it.
    pub fn next(&self, account: AccountId) -> Option<ExecutionId> {
        self.accounts.get(&account).map(|seen| ExecutionId(seen.next))
    }

    /// The accounts of which something is known, each with its first report that was not seen.
    pub fn accounts(&self) -> impl Iterator<Item = (AccountId, ExecutionId)> + '_ {
        self.accounts.iter().map(|(&account, seen)| (account, ExecutionId(seen.next)))
    }

    /// Takes a message of the venue.
    pub fn take(&mut self, message: &OrderEntryMessage) -> Taken {
        match message {
            OrderEntryMessage::DropCopyReport(report) => return self.stands(report),
            OrderEntryMessage::BusinessMessageReject(reject) if self.is_of_request(reject) => {
                return Taken::Refused(reject.reject_reason);
            }
            _ => {}
        }
        let Some((account, execution)) = execution_of(message) else { return Taken::Other };
        if self.seen(account, execution.0).note(execution.0) { Taken::New } else { Taken::Duplicate }
    }

    /// What to ask for now: the first reports that are missing. One request is under way at a time.
    pub fn request(&mut self) -> Option<DropCopyRequest> {
        if self.asked.is_some_and(|asked| !self.has_come(&asked)) {
            return None;
        }
        self.asked = None;
        let missing = |(&account, seen): (&AccountId, &Seen)| seen.missing().map(|missing| (account, missing));
        let (account, (from, until)) = self.accounts.iter().find_map(missing)?;
        let until = until.min(from.saturating_add(COPIES_MAX.into()));
        self.last_request.0 += 1;
        let request = self.last_request;
        self.asked = Some(Asked { account, request, from, until });
        let count = u32::try_from(until - from).unwrap_or(COPIES_MAX);
        Some(DropCopyRequest { account, request_id: Some(request), from: ExecutionId(from), count: OrderCount(count) })
    }

    /// What was asked for does not come: the connection is gone, or the venue refused it a while ago. What is missing is
    /// asked for anew.
    pub fn ask_again(&mut self) {
        self.asked = None;
    }

    fn stands(&mut self, report: &DropCopyReport) -> Taken {
        let seen = self.seen(report.account, report.next.0);
        seen.end = seen.end.max(report.next.0);
        let Some(reason) = report.reject_reason else { return Taken::Other };
        let Some(Asked { account, from, until, request }) = self.asked else { return Taken::Other };
        if report.request_id != Some(request) {
            return Taken::Other;
        }
        let is_gone = [EdgeReason::RetransmitTooOld, EdgeReason::RetransmitRangeInvalid].map(RejectReason::from);
        if !is_gone.contains(&reason) {
            return Taken::Refused(reason);
        }
        self.asked = None;
        let count = self.seen(account, from).give_up(from, until);
        Taken::Lost { account, from: ExecutionId(from), count, reason }
    }

    /// Whether the message that is refused is the request under way.
    fn is_of_request(&self, reject: &BusinessMessageReject) -> bool {
        reject.reference_template == DropCopyRequest::TEMPLATE_ID
            && self.asked.is_some_and(|asked| reject.reference_id == Some(asked.request))
    }

    fn has_come(&self, asked: &Asked) -> bool {
        self.accounts.get(&asked.account).is_none_or(|seen| seen.next >= asked.until)
    }

    /// What was seen of an account, of which `heard` is the first thing if nothing was.
    fn seen(&mut self, account: AccountId, heard: u64) -> &mut Seen {
        let next = match self.since {
            Since::Beginning => 1,
            Since::Now => heard,
        };
        self.accounts.entry(account).or_insert_with(|| Seen::new(next))
    }
}

impl Seen {
    fn new(next: u64) -> Self {
        Self { next, end: next, ranges: BTreeMap::new() }
    }

    /// Notes a report; whether it is new.
    fn note(&mut self, number: u64) -> bool {
        let before = self.ranges.range(..=number).next_back().map(|(&from, &until)| (from, until));
        if number < self.next || before.is_some_and(|(_, until)| number < until) {
            return false;
        }
        self.end = self.end.max(number.saturating_add(1));
        self.add(number, number.saturating_add(1));
        true
    }

    /// Counts what was not seen of a range as seen; how many that is.
    fn give_up(&mut self, from: u64, until: u64) -> u64 {
        let missing_before = self.missing_count(until);
        self.add(from.max(self.next), until);
        missing_before - self.missing_count(until)
    }

    /// How many are missing before `until`.
    fn missing_count(&self, until: u64) -> u64 {
        let seen = |(&from, &to): (&u64, &u64)| to.min(until).saturating_sub(from);
        until.saturating_sub(self.next) - self.ranges.range(..until).map(seen).sum::<u64>()
    }

    /// Adds a range, which joins those that it touches.
    fn add(&mut self, mut from: u64, mut until: u64) {
        if let Some((&before, &to)) = self.ranges.range(..=from).next_back()
            && to >= from
        {
            (from, until) = (before, until.max(to));
        }
        while let Some((&behind, &to)) = self.ranges.range(from..=until).next() {
            until = until.max(to);
            self.ranges.remove(&behind);
        }
        if from <= self.next {
            self.next = self.next.max(until);
        } else if from < until {
            self.ranges.insert(from, until);
        }
    }

    /// The first range that is missing.
    fn missing(&self) -> Option<(u64, u64)> {
        let until = self.ranges.keys().next().map_or(self.end, |&first| first.min(self.end));
        (until > self.next).then_some((self.next, until))
    }
}

/// Whose report a message is, and its number in the account.
fn execution_of(message: &OrderEntryMessage) -> Option<(AccountId, ExecutionId)> {
    match message {
        OrderEntryMessage::ExecutionReport(report) => Some((report.account, report.execution_id?)),
        OrderEntryMessage::OrderCancelReject(report) => Some((report.account, report.execution_id?)),
        OrderEntryMessage::OrderMassActionReport(report) => Some((report.account?, report.execution_id?)),
        OrderEntryMessage::BusinessMessageReject(report) => Some((report.account?, report.execution_id?)),
        OrderEntryMessage::KillSwitchReport(report) => Some((report.account, report.execution_id?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use wire::order_entry::{ExecutionReport, OrderCancelReject, SecurityDefinition};
    use wire::{Block, Timestamp};

    use super::*;

    const ACCOUNT: AccountId = AccountId(2);
    const OTHER: AccountId = AccountId(3);

    fn report(account: AccountId, number: u64) -> OrderEntryMessage {
        let execution_id = Some(ExecutionId(number));
        OrderEntryMessage::ExecutionReport(ExecutionReport { account, execution_id, ..ExecutionReport::BLANK })
    }

    fn standing(account: AccountId, next: u64) -> DropCopyReport {
        DropCopyReport {
            account,
            request_id: None,
            next: ExecutionId(next),
            from: None,
            transact_time: Timestamp(0),
            count: OrderCount(0),
            reject_reason: None,
        }
    }

    fn refused(request: &DropCopyRequest, reason: EdgeReason) -> OrderEntryMessage {
        let (request_id, reject_reason) = (request.request_id, Some(reason.into()));
        let next = request.from.0 + u64::from(request.count.0);
        OrderEntryMessage::DropCopyReport(DropCopyReport {
            request_id,
            reject_reason,
            ..standing(request.account, next)
        })
    }

    /// What is asked for: whose, from which on, how many.
    fn asked(stream: &mut CopyStream) -> Option<(AccountId, u64, u32)> {
        stream.request().map(|request| (request.account, request.from.0, request.count.0))
    }

    #[test]
    fn what_was_missed_is_asked_for_in_portions_and_comes_once() {
        let mut stream = CopyStream::new(Since::Beginning);
        assert_eq!(asked(&mut stream), None);
        assert_eq!(stream.take(&OrderEntryMessage::DropCopyReport(standing(ACCOUNT, 1_502))), Taken::Other);
        assert_eq!(asked(&mut stream), Some((ACCOUNT, 1, 1_000)));
        // Live reports come between.
        assert_eq!(stream.take(&report(ACCOUNT, 1_502)), Taken::New);
        assert_eq!(asked(&mut stream), None);
        for number in 1..=1_000 {
            assert_eq!(stream.take(&report(ACCOUNT, number)), Taken::New);
        }
        assert_eq!(stream.next(ACCOUNT), Some(ExecutionId(1_001)));
        assert_eq!(asked(&mut stream), Some((ACCOUNT, 1_001, 501)));
        for number in 1_001..1_502 {
            assert_eq!(stream.take(&report(ACCOUNT, number)), Taken::New);
        }
        assert_eq!(asked(&mut stream), None);
        assert_eq!(stream.accounts().collect::<Vec<_>>(), [(ACCOUNT, ExecutionId(1_503))]);
        for number in [1, 1_000, 1_502] {
            assert_eq!(stream.take(&report(ACCOUNT, number)), Taken::Duplicate);
        }
    }

    #[test]
    fn who_begins_now_asks_for_nothing_before_and_who_goes_on_for_what_came_since() {
        let mut stream = CopyStream::new(Since::Now);
        stream.follow(OTHER, ExecutionId(7));
        stream.take(&OrderEntryMessage::DropCopyReport(standing(ACCOUNT, 100)));
        stream.take(&OrderEntryMessage::DropCopyReport(standing(OTHER, 9)));
        assert_eq!(asked(&mut stream), Some((OTHER, 7, 2)));
        // What the connection that is gone was asked for is asked for again.
        stream.ask_again();
        assert_eq!(stream.take(&report(OTHER, 7)), Taken::New);
        assert_eq!(asked(&mut stream), Some((OTHER, 8, 1)));
        assert_eq!(stream.take(&report(ACCOUNT, 100)), Taken::New);
        assert_eq!(stream.take(&report(ACCOUNT, 99)), Taken::Duplicate);
    }

    #[test]
    fn a_gap_is_seen_by_the_report_behind_it_whatever_its_kind() {
        let mut stream = CopyStream::new(Since::Beginning);
        assert_eq!(stream.take(&report(ACCOUNT, 1)), Taken::New);
        let (account, execution_id) = (ACCOUNT, Some(ExecutionId(4)));
        let reject = OrderCancelReject { account, execution_id, ..OrderCancelReject::BLANK };
        assert_eq!(stream.take(&OrderEntryMessage::OrderCancelReject(reject)), Taken::New);
        assert_eq!(asked(&mut stream), Some((ACCOUNT, 2, 2)));
        let definition = OrderEntryMessage::SecurityDefinition(SecurityDefinition::BLANK);
        assert_eq!(stream.take(&definition), Taken::Other);
        let unnumbered = OrderEntryMessage::ExecutionReport(ExecutionReport { account, ..ExecutionReport::BLANK });
        assert_eq!(stream.take(&unnumbered), Taken::Other);
    }

    #[test]
    fn what_the_venue_no_longer_has_is_given_up_and_what_came_meanwhile_stays() {
        let mut stream = CopyStream::new(Since::Beginning);
        stream.take(&OrderEntryMessage::DropCopyReport(standing(ACCOUNT, 11)));
        let request = stream.request().unwrap();
        assert_eq!(stream.take(&report(ACCOUNT, 3)), Taken::New);
        let busy = refused(&request, EdgeReason::RetransmitInProgress);
        assert_eq!(stream.take(&busy), Taken::Refused(EdgeReason::RetransmitInProgress.into()));
        assert_eq!(asked(&mut stream), None);
        stream.ask_again();
        let request = stream.request().unwrap();
        assert_eq!((request.from, request.count), (ExecutionId(1), OrderCount(2)));
        let reason = EdgeReason::RetransmitTooOld;
        let lost = Taken::Lost { account: ACCOUNT, from: ExecutionId(1), count: 2, reason: reason.into() };
        assert_eq!(stream.take(&refused(&request, reason)), lost);
        assert_eq!(stream.next(ACCOUNT), Some(ExecutionId(4)));
        // Another one's refusal is none of its business.
        assert_eq!(stream.take(&refused(&request, reason)), Taken::Other);
        assert_eq!(asked(&mut stream), Some((ACCOUNT, 4, 7)));
    }

    #[test]
    fn a_request_that_the_edge_refuses_is_not_made_again_at_once() {
        let mut stream = CopyStream::new(Since::Beginning);
        stream.take(&report(ACCOUNT, 5));
        let request = stream.request().unwrap();
        let reject = BusinessMessageReject {
            reference_id: request.request_id,
            reference_template: DropCopyRequest::TEMPLATE_ID,
            reject_reason: EdgeReason::Throttled.into(),
            ..BusinessMessageReject::BLANK
        };
        let refused = OrderEntryMessage::BusinessMessageReject(reject);
        assert_eq!(stream.take(&refused), Taken::Refused(EdgeReason::Throttled.into()));
        assert_eq!(asked(&mut stream), None);
        stream.ask_again();
        assert_eq!(asked(&mut stream), Some((ACCOUNT, 1, 4)));
        assert_eq!(stream.take(&refused), Taken::Other);
    }

    #[test]
    fn in_whatever_order_reports_come_each_is_new_once() {
        let mut order: Vec<u64> = (1..=40).collect();
        let mut state = 0x9E37_79B9_u64;
        for _ in 0..200 {
            for place in (1..order.len()).rev() {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                order.swap(place, usize::try_from(state >> 33).unwrap() % (place + 1));
            }
            let mut stream = CopyStream::new(Since::Beginning);
            for &number in &order {
                assert_eq!(stream.take(&report(ACCOUNT, number)), Taken::New, "{order:?}");
                assert_eq!(stream.take(&report(ACCOUNT, number)), Taken::Duplicate, "{order:?}");
            }
            assert_eq!((stream.next(ACCOUNT), asked(&mut stream)), (Some(ExecutionId(41)), None), "{order:?}");
        }
    }
}
