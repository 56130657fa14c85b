//! Who did what, and why: the event history, newest first, a page at a time.
//!
//! Without a filter, what administrators did is looked for among everything that happened; a page says how far back it
//! has looked, and the next goes on from there. By an account, an order, a session or an instrument the history has an
//! index.

use engine::canonical::Code;
use engine::{AccountId, Event, EventHeader, InstrumentId, KeyId, OrderId, Sequence, SessionId};
use journal::{Direction, Key, Query, Seek};
use serde_json::{Value, json};

use super::Shared;
use super::login::Refused;
use crate::admin::value::NameOrNumber;
use crate::admin::{AdminView, event_object, note_of};

/// Events of one page.
const ROWS: usize = 100;
/// Events that are looked over for a page.
const EVENTS_MAX: usize = 200_000;

/// What is asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Question {
    /// What the events belong to, as a kind and its name or number.
    pub(super) of: Option<(String, String)>,
    /// Only commands before this one.
    pub(super) before: Option<Sequence>,
    /// Order flow, too.
    pub(super) everything: bool,
}

impl Question {
    /// From a query: `of=account&which=2&before=1000&everything=1`.
    pub(super) fn parse(query: &str) -> Result<Self, Refused> {
        let mut question = Self::default();
        let (mut of, mut which) = (None, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let malformed = || Refused::Malformed(format!("query {pair:?}: it cannot be followed"));
            let (name, value) = pair.split_once('=').ok_or_else(malformed)?;
            match name {
                "of" => of = Some(value.to_owned()),
                "which" => which = Some(value.to_owned()),
                "before" => question.before = Some(Sequence(value.parse().map_err(|_| malformed())?)),
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
        let to = question.before.map(|before| Seek::Sequence(Sequence(before.0.saturating_sub(1))));
        let (mut found, mut reached, mut looked) = (Vec::new(), None, 0);
        for happened in history.events(&Query { key, from: None, to, direction: Direction::Backward }) {
            let (header, event) = happened.map_err(|error| Refused::Failed(error.to_string()))?;
            // A page ends between two commands, so that the next one begins there.
            let is_full = found.len() >= ROWS || looked >= EVENTS_MAX;
            if is_full && reached.is_some_and(|reached| reached != header.id.sequence) {
                return Ok(self.page(&found, reached));
            }
            (reached, looked) = (Some(header.id.sequence), looked + 1);
            if question.everything || is_administrative(&event) {
                found.push((header, event));
            }
        }
        Ok(self.page(&found, None))
    }

    fn page(&self, found: &[(EventHeader, Event)], more_before: Option<Sequence>) -> Value {
        let rows: Vec<Value> = self.door.desk().look(|view| found.iter().map(|it| row(view, it)).collect());
        json!({ "events": rows, "more_before": more_before.map(|sequence| sequence.0) })
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

fn row(view: &AdminView, (header, event): &(EventHeader, Event)) -> Value {
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
    use super::*;

    #[test]
    fn a_query_says_what_is_asked_for() {
        let of = Some(("account".to_owned(), "2".to_owned()));
        let question = Question { of, before: Some(Sequence(1_000)), everything: true };
        assert_eq!(Question::parse("of=account&which=2&before=1000&everything=1").unwrap(), question);
        assert_eq!(Question::parse("").unwrap(), Question::default());
        for broken in ["before=x", "before", "when=1"] {
            assert!(matches!(Question::parse(broken), Err(Refused::Malformed(_))), "{broken}");
        }
    }
}
