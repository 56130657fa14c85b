//! What was reached: rows of the table of decisions, reasons of refusal, what became of sessions, kinds of trouble.

use std::collections::{BTreeMap, BTreeSet};

use client::TraderNews;
use client::session::News;
use engine::canonical::Code;
use engine::command::DisconnectReason;
use engine::event::EventKind;
use engine::{Event, RejectReason};
use gateway::session::{State as SessionState, Visited};
use journal::State;
use wire::{EdgeReason, TerminationCode};

/// A group of marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Rows of the table of decisions at openings.
    Recovery,
    /// Reasons of the core.
    Reject,
    /// Reasons of the edge, as traders got them.
    Edge,
    /// Events.
    Event,
    /// Why sessions were disconnected, by the core's word.
    Disconnect,
    /// Why connections were ended, as traders were told.
    Termination,
    /// Cells of the session's table.
    Cell,
    /// What became of traders' sessions, by their own word.
    Session,
    /// What went wrong on purpose.
    Trouble,
}

/// Counts of what was reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks(BTreeMap<(Group, String), u64>);

impl Marks {
    /// Reached once more.
    pub fn hit(&mut self, group: Group, name: impl Into<String>) {
        *self.0.entry((group, name.into())).or_default() += 1;
    }

    /// Adds another's.
    pub fn add(&mut self, other: &Self) {
        for (mark, count) in &other.0 {
            *self.0.entry(mark.clone()).or_default() += count;
        }
    }

    /// All that were reached, and how often.
    pub fn reached(&self) -> impl Iterator<Item = (Group, &str, u64)> {
        self.0.iter().map(|((group, name), count)| (*group, name.as_str(), *count))
    }

    /// Those of the groups that are known in full and were not reached.
    pub fn never(&self) -> Vec<(Group, String)> {
        known().into_iter().filter(|mark| !self.0.contains_key(mark)).collect()
    }

    /// The core refused something.
    pub fn rejected(&mut self, reason: RejectReason) {
        self.hit(Group::Reject, reason.name());
    }

    /// The core told something.
    pub fn event(&mut self, event: &Event) {
        self.hit(Group::Event, event.kind().name());
        if let Event::SessionDisconnected(gone) = event {
            self.hit(Group::Disconnect, gone.reason.name());
        }
    }

    /// A row of the table was met.
    pub fn state(&mut self, state: State) {
        self.hit(Group::Recovery, format!("{state:?}"));
    }

    /// Sessions of a door came so far.
    pub fn visited(&mut self, visited: Visited) {
        visited.iter().for_each(|cell| self.hit(Group::Cell, cell_name(cell)));
    }

    /// A session of a trader told something.
    pub fn news(&mut self, news: &News) {
        match news {
            News::Refused(reason) => self.refused(*reason),
            News::Ended(code) => self.hit(Group::Termination, format!("{code:?}")),
            News::Message(wire::order_entry::OrderEntryMessage::BusinessMessageReject(reject)) => {
                self.refused(reject.reject_reason);
            }
            News::Lost(reason) => self.refused(*reason),
            News::Message(_) | News::Opened(_) | News::NotApplied(..) => {}
        }
    }

    /// The edge or the core refused something.
    pub fn refused(&mut self, reason: wire::RejectReason) {
        match EdgeReason::try_from(reason) {
            Ok(reason) => self.hit(Group::Edge, format!("{reason:?}")),
            Err(_) => self.hit(Group::Session, format!("refused {}", reason.name().unwrap_or("?"))),
        }
    }

    /// A trader's recovery told something.
    pub fn trader(&mut self, news: &TraderNews) {
        let name = match news {
            TraderNews::Opened(opening) => format!("opened {:?}", opening.login),
            TraderNews::CaughtUp => "caught up".to_owned(),
            TraderNews::NotApplied(..) => "not applied".to_owned(),
            TraderNews::Unknown(..) => "unknown".to_owned(),
            TraderNews::Lost(_) => "lost".to_owned(),
            TraderNews::Disconnected(_) => "disconnected".to_owned(),
            TraderNews::Message(_) => return,
        };
        self.hit(Group::Session, name);
    }
}

fn cell_name((state, row): (SessionState, &'static str)) -> String {
    format!("{row} in {state:?}")
}

/// Every mark of the groups that have an end.
fn known() -> BTreeSet<(Group, String)> {
    let states = State::ALL.iter().map(|state| (Group::Recovery, format!("{state:?}")));
    let rejects = RejectReason::ALL.iter().map(|reason| (Group::Reject, reason.name().to_owned()));
    let edges = EdgeReason::ALL.iter().map(|reason| (Group::Edge, reason.name.to_owned()));
    let events = EventKind::ALL.iter().map(|kind| (Group::Event, kind.name().to_owned()));
    let disconnects = DisconnectReason::ALL.iter().map(|reason| (Group::Disconnect, reason.name().to_owned()));
    let codes = DisconnectReason::ALL.iter().map(|&reason| TerminationCode::from(reason));
    let terminations = codes.map(|code| (Group::Termination, format!("{code:?}")));
    let cells = Visited::all().iter().map(|cell| (Group::Cell, cell_name(cell)));
    states.chain(cells).chain(rejects).chain(edges).chain(events).chain(disconnects).chain(terminations).collect()
}
