//! Who did what, and why: the event history, newest first, a page at a time.
//!
//! Without a filter, what administrators did is looked for among everything that happened; a page says how far back it
//! has looked, and the next goes on from there. By an account, an order, a session or an instrument the history has an
//! index.

use engine::canonical::Code;
use engine::{AccountId, Event, EventHeader, EventId, InstrumentId, KeyId, OrderId, Sequence, SessionId};
use journal::{Direction, Key, Query, Seek};
use serde_json::{Value, json};

use super::Shared;
use super::login::Refused;
use crate::admin::value::NameOrNumber;
use crate::admin::{AdminView, event_object, note_of};

/// Events of one page, which goes on to the end of a command,
const ROWS: usize = 100;
/// if that has no more than so many events.
const ROWS_MAX: usize = 500;
/// Events that are looked over for a page.
const EVENTS_MAX: usize = 200_000;
/// Events that are written out in one look at the desk, which the operator's thread waits for.
const ROWS_OF_LOOK: usize = 100;

/// What a page is behind of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// All of this command.
    Command(Sequence),
    /// This event of a command.
    Event(EventId),
}

impl Place {
    /// `1000` or `1000.17`.
    fn parse(text: &str) -> Option<Self> {
        match text.split_once('.') {
            None => Some(Self::Command(Sequence(text.parse().ok()?))),
            Some((sequence, index)) => {
                Some(Self::Event(EventId { sequence: Sequence(sequence.parse().ok()?), index: index.parse().ok()? }))
            }
        }
    }

    fn text(self) -> String {
        match self {
            Self::Command(sequence) => sequence.0.to_string(),
            Self::Event(id) => format!("{}.{}", id.sequence.0, id.index),
        }
    }

    /// The last command before it.
    fn seek(self) -> Seek {
        Seek::Sequence(match self {
            Self::Command(sequence) => Sequence(sequence.0.saturating_sub(1)),
            Self::Event(id) => id.sequence,
        })
    }

    /// Whether an event of that command, or of one before, comes before it.
    fn is_behind(self, id: EventId) -> bool {
        match self {
            Self::Command(sequence) => id.sequence < sequence,
            Self::Event(of) => id < of,
        }
    }
}

/// What is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Question {
    /// What the events belong to, as a kind and its name or number.
    pub(super) of: Option<(String, String)>,
    /// Only events before this.
    pub(super) before: Option<Place>,
    /// Order flow, too.
    pub(super) everything: bool,
}

impl Question {
    /// From a query: `of=account&which=2&before=1000.17&everything=1`.
    pub(super) fn parse(query: &str) -> Result<Self, Refused> {
        let mut question = Self::default();
        let (mut of, mut which) = (None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let malformed = || Refused::Malformed(format!("query {pair:?}: it cannot be followed"));
            let (name, value) = pair.split_once('=').ok_or_else(malformed)?;
            match name {
                "of" => of = Some(value.to_owned()),
                "which" => which = Some(value.to_owned()),
                "before" => question.before = Some(Place::parse(value).ok_or_else(malformed)?),
                "everything" => question.everything = value == "1",
                _ => return Err(malformed()),
            }
        }
        question.of = of.zip(which);
        Ok(question)
    }

    fn key(&self, view: &AdminView) -> Result<Option<Key>, Refused> {
        let Some((kind, which)) = &self.of else { return Ok(None) };
        let number = || which.parse().map_err(|_| Refused::Malformed(format!("{kind}: {which:?} is no number")));
        let narrow = || which.parse().map_err(|_| Refused::Malformed(format!("{kind}: {which:?} is no number")));
        Ok(Some(match kind.as_str() {
            "order" => Key::Order(OrderId(number()?)),
            "account" => Key::Account(AccountId(narrow()?)),
            "session" => Key::Session(SessionId(narrow()?)),
            "instrument" => {
                let id: Option<InstrumentId> = view.instrument_id(&NameOrNumber(which.clone()));
                Key::Instrument(id.ok_or_else(|| Refused::NotFound(format!("no instrument is named {which:?}")))?)
            }
            _ => return Err(Refused::Malformed(format!("{kind:?} is no order, account, session or instrument"))),
        }))
    }
}

impl Shared {
    /// A page of what happened. It reads files, and belongs on a thread that may wait.
    pub(super) fn audit(&self, question: &Question) -> Result<Value, Refused> {
        let key = self.door.desk().look(|view| question.key(view))?;
        let Some(history) = self.history.get() else {
            return Err(Refused::Failed("the event history is not kept at the moment".to_owned()));
        };
        let query = Query { key, from: None, to: question.before.map(Place::seek), direction: Direction::Backward };
        let events =
            history.events(&query).map(|happened| happened.map_err(|error| Refused::Failed(error.to_string())));
        let (found, more_before) = question.page_of(events)?;
        Ok(json!({ "events": self.rows(&found), "more_before": more_before.map(Place::text) }))
    }

    /// Events as the page has them. The desk is free again between a few and the next few.
    fn rows(&self, found: &[Happened]) -> Vec<Value> {
        let mut rows = Vec::with_capacity(found.len());
        for some in found.chunks(ROWS_OF_LOOK) {
            self.door.desk().look(|view| rows.extend(some.iter().map(|it| row(view, it))));
            std::thread::yield_now();
        }
        rows
    }
}

type Happened = (EventHeader, Event);

impl Question {
    /// What is on a page, of events from the newest, and where the next one goes on.
    fn page_of(
        &self,
        events: impl Iterator<Item = Result<Happened, Refused>>,
    ) -> Result<(Vec<Happened>, Option<Place>), Refused> {
        let (mut found, mut reached, mut looked) = (Vec::new(), None::<EventId>, 0);
        for happened in events {
            let (header, event) = happened?;
            if self.before.is_some_and(|before| !before.is_behind(header.id)) {
                continue;
            }
            if let Some(reached) = reached {
                let is_between = reached.sequence != header.id.sequence;
                if is_between && (found.len() >= ROWS || looked >= EVENTS_MAX) {
                    return Ok((found, Some(Place::Command(reached.sequence))));
                }
                // One command may have a million events.
                if found.len() >= ROWS_MAX || looked >= EVENTS_MAX {
                    return Ok((found, Some(Place::Event(reached))));
                }
            }
            (reached, looked) = (Some(header.id), looked + 1);
            if self.everything || is_administrative(&event) {
                found.push((header, event));
            }
        }
        Ok((found, None))
    }
}

/// What somebody who runs the venue did, or was refused.
fn is_administrative(event: &Event) -> bool {
    match event {
        Event::MassCancelled(event) => event.report.session.is_none(),
        Event::MassCancelRejected(event) => event.report.session.is_none(),
        event => note_of(event).is_some(),
    }
}

fn row(view: &AdminView, (header, event): &Happened) -> Value {
    let (author, note) = note_of(event).map_or((KeyId::NONE, None), |(author, note)| (author, Some(note)));
    json!({
        "sequence": header.id.sequence.0,
        "index": header.id.index,
        "time": header.time.0.to_string(),
        "event": event.kind().name(),
        "author": (!author.is_none()).then_some(author.0),
        "reason": note.map(|note| note.reason.as_str().to_owned()),
        "fields": event_object(view, header, event),
    })
}

#[cfg(test)]
mod tests {
    use engine::event::NotApplied;
    use engine::{SessionSequence, Timestamp};

    use super::*;

    #[test]
    fn a_query_says_what_is_asked_for() {
        let of = Some(("account".to_owned(), "2".to_owned()));
        let question = Question { of, before: Some(Place::Command(Sequence(1_000))), everything: true };
        assert_eq!(Question::parse("of=account&which=2&before=1000&everything=1").unwrap(), question);
        assert_eq!(Question::parse("").unwrap(), Question::default());
        let before = Some(Place::Event(EventId { sequence: Sequence(1_000), index: 17 }));
        assert_eq!(Question::parse("before=1000.17").unwrap(), Question { before, ..Question::default() });
        for broken in ["before=x", "before", "when=1", "before=1.", "before=.1", "before=1.2.3"] {
            assert!(matches!(Question::parse(broken), Err(Refused::Malformed(_))), "{broken}");
        }
    }

    const HEADER: EventHeader =
        EventHeader { id: EventId { sequence: Sequence(1), index: 0 }, time: Timestamp(1), received_at: Timestamp(1) };

    /// Not an operator's.
    fn some_event() -> Event {
        Event::NotApplied(NotApplied { session: SessionId(1), from: SessionSequence(1), count: 1 })
    }

    /// Commands with so many events each, as the history tells them: the newest first.
    fn history(counts: &[u32]) -> Vec<EventId> {
        let sequences = counts.iter().zip(1..);
        let mut ids: Vec<EventId> = sequences
            .flat_map(|(&count, number)| (0..count).map(move |index| EventId { sequence: Sequence(number), index }))
            .collect();
        ids.reverse();
        ids
    }

    /// Pages until there are no more, each as the venue would answer; how long each was, and everything that was on them.
    fn turned(ids: &[EventId]) -> (Vec<usize>, Vec<EventId>) {
        let (mut lengths, mut told) = (Vec::new(), Vec::new());
        let mut question = Question { everything: true, ..Question::default() };
        loop {
            let to = question.before.map(Place::seek);
            let within = |id: &&EventId| to.is_none_or(|to| matches!(to, Seek::Sequence(last) if id.sequence <= last));
            let events = ids.iter().filter(within).map(|&id| Ok((EventHeader { id, ..HEADER }, some_event())));
            let (found, more) = question.page_of(events).unwrap();
            lengths.push(found.len());
            told.extend(found.iter().map(|(header, _)| header.id));
            let Some(more) = more else { return (lengths, told) };
            question.before = Some(Place::parse(&more.text()).unwrap());
        }
    }

    #[test]
    fn a_page_ends_between_commands_or_within_one_that_is_long() {
        for (counts, lengths) in [
            (vec![], vec![0]),
            (vec![60, 60, 60], vec![120, 60]),
            (vec![1, 1_200, 1], vec![500, 500, 201, 1]),
            (vec![99, 500], vec![500, 99]),
            (vec![1, 501], vec![500, 2]),
        ] {
            let ids = history(&counts);
            let (found, told) = turned(&ids);
            assert_eq!(found, lengths, "{counts:?}");
            assert_eq!(told, ids, "{counts:?}: each once, none left out");
        }
    }

    #[test]
    fn what_is_passed_over_is_bounded_within_a_command_too() {
        let ids = history(&[EVENTS_MAX as u32 + 2]);
        let events = ids.iter().map(|&id| Ok((EventHeader { id, ..HEADER }, some_event())));
        let (found, more) = Question::default().page_of(events).unwrap();
        let last = EventId { sequence: Sequence(1), index: 2 };
        assert_eq!((found.len(), more), (0, Some(Place::Event(last))));
    }
}
