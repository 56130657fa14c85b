//! Finding events: in the files of the event history, and by replay where they do not reach.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use engine::{Event, EventHeader, EventId, EventSink, Sequence};
use journal::travel::events_between;
use journal::{Direction, History, HistoryError, Key, Query, Reader, Seek};

use super::ToolError;
use crate::journal_tools::command_bar;

pub(crate) type Happened = (EventHeader, Event);

/// What takes events, one after the other.
type Show<'a> = &'a mut dyn FnMut(&Happened) -> Result<(), ToolError>;

/// Says whether an event is looked for.
type Wanted<'a> = Box<dyn FnMut(&Happened) -> Result<bool, ToolError> + 'a>;

/// A search for events: those of one key, or those that are like something.
pub(crate) struct Search<'a> {
    directory: PathBuf,
    /// What the history's index is asked for; nothing: all of its events are looked at.
    key: Option<Key>,
    wanted: Wanted<'a>,
    /// Nothing: everything is replayed.
    history: Option<History>,
    until: Sequence,
}

impl<'a> Search<'a> {
    /// Over the events of a key up to `until`.
    pub(super) fn new(directory: &Path, key: Key, until: Sequence) -> Result<Self, ToolError> {
        Self::for_wanted(directory, Some(key), until, Box::new(move |event| Ok(key.concerns(&event.1))))
    }

    /// Over all events up to `until`, or over those that the index has for a key.
    pub(crate) fn for_wanted(
        directory: &Path,
        key: Option<Key>,
        until: Sequence,
        wanted: Wanted<'a>,
    ) -> Result<Self, ToolError> {
        let journal = Reader::open(directory)?.identity().journal;
        let found = History::open(directory).unwrap_or_else(|error| {
            say_replayed(&error);
            None
        });
        // Another journal's is none.
        let history = found.filter(|history| history.journal() == Some(journal));
        Ok(Self { directory: directory.to_owned(), key, wanted, history, until })
    }

    /// The newest events, in the order in which they happened.
    pub(crate) fn newest(&mut self, count: u64) -> Result<Vec<Happened>, ToolError> {
        let (kept, count) = (self.kept(), usize::try_from(count).unwrap_or(usize::MAX));
        let mut newest = VecDeque::new();
        self.replay(kept.1, self.until, &mut |event| keep(&mut newest, count, *event))?;
        let missing = count - newest.len();
        match self.newest_kept(missing) {
            Ok(kept) => kept.into_iter().for_each(|event| newest.push_front(event)),
            Err(ToolError::History(error)) => {
                say_replayed(&error);
                self.history = None;
                return self.newest(count as u64);
            }
            Err(error) => return Err(error),
        }
        Ok(newest.into())
    }

    /// The first `count` events of the commands from `from` on, or from as far back as the history is kept.
    pub(crate) fn from(&mut self, from: Option<Sequence>, count: u64, show: Show<'_>) -> Result<(), ToolError> {
        let (first, last) = self.kept();
        let from = from.unwrap_or(first);
        let mut counted = Counted { left: count, last: None, show };
        if from < first {
            self.replay(before(from), before(first).min(self.until), &mut |event| counted.take(event))?;
        }
        match self.looked_up(from, &mut counted) {
            Ok(()) => {}
            Err(ToolError::History(error)) => {
                say_replayed(&error);
                let from = counted.last.map_or(from, |last: EventId| last.sequence);
                return self.replay(before(from), self.until, &mut |event| counted.take(event));
            }
            Err(error) => return Err(error),
        }
        if counted.left > 0 {
            self.replay(last.max(before(from)), self.until, &mut |event| counted.take(event))?;
        }
        Ok(())
    }

    /// What an answer leaves out that a later question may ask for.
    pub(crate) fn note(&self, from: Option<Sequence>) -> Option<String> {
        let (first, _) = self.kept();
        (from.is_none() && first > Sequence(1))
            .then(|| format!("the history is kept from command {first} on; --from 1 replays what happened before"))
    }

    /// The first and the last command whose events the history's files hold.
    fn kept(&self) -> (Sequence, Sequence) {
        self.history.as_ref().map_or((Sequence(1), Sequence::NONE), |history| (history.first(), history.last()))
    }

    /// The newest first.
    fn newest_kept(&mut self, count: usize) -> Result<Vec<Happened>, ToolError> {
        let mut newest = Vec::new();
        let Some(history) = &self.history else { return Ok(newest) };
        let (key, to) = (self.key, Some(Seek::Sequence(self.until)));
        let mut events = history.events(&Query { key, from: None, to, direction: Direction::Backward });
        while newest.len() < count
            && let Some(event) = events.next().transpose()?
        {
            if (self.wanted)(&event)? {
                newest.push(event);
            }
        }
        Ok(newest)
    }

    fn looked_up(&mut self, from: Sequence, counted: &mut Counted<'_>) -> Result<(), ToolError> {
        let Some(history) = &self.history else { return Ok(()) };
        let from = from.max(history.first());
        let (key, from, to) = (self.key, Some(Seek::Sequence(from)), Some(Seek::Sequence(self.until)));
        for event in history.events(&Query { key, from, to, direction: Direction::Forward }) {
            if counted.left == 0 {
                break;
            }
            let event = event?;
            if (self.wanted)(&event)? {
                counted.take(&event)?;
            }
        }
        Ok(())
    }

    /// Replays the commands behind `after` up to `until`, if there are any, and shows what is looked for.
    fn replay(&mut self, after: Sequence, until: Sequence, show: Show<'_>) -> Result<(), ToolError> {
        if after >= until || !self.has_command_behind(after)? {
            return Ok(());
        }
        let bar = command_bar(None);
        let mut picked = Picked { wanted: &mut self.wanted, show, outcome: Ok(()) };
        let replayed = events_between(&self.directory, after, until, &mut picked, |Sequence(sequence)| {
            bar.set_position(sequence);
        });
        bar.finish_and_clear();
        picked.outcome?;
        replayed?;
        Ok(())
    }

    fn has_command_behind(&self, after: Sequence) -> Result<bool, ToolError> {
        let next = Reader::open_at(&self.directory, Seek::Sequence(after.next()))?.commands().next();
        Ok(next.transpose()?.is_some())
    }
}

/// The answer takes longer, and is none the worse for it.
fn say_replayed(error: &HistoryError) {
    eprintln!("rialto: {error}; this answer is replayed from the journal");
}

/// The command before.
fn before(sequence: Sequence) -> Sequence {
    Sequence(sequence.0.saturating_sub(1))
}

/// Keeps the newest `count`.
fn keep(newest: &mut VecDeque<Happened>, count: usize, event: Happened) -> Result<(), ToolError> {
    newest.push_back(event);
    if newest.len() > count {
        newest.pop_front();
    }
    Ok(())
}

/// Shows each event once, and no more than there should be.
struct Counted<'a> {
    left: u64,
    last: Option<EventId>,
    show: Show<'a>,
}

impl Counted<'_> {
    fn take(&mut self, event: &Happened) -> Result<(), ToolError> {
        if self.left == 0 || self.last.is_some_and(|last| event.0.id <= last) {
            return Ok(());
        }
        self.left -= 1;
        self.last = Some(event.0.id);
        (self.show)(event)
    }
}

/// Shows the events that are wanted, up to the first that cannot be shown.
struct Picked<'a, 'w> {
    wanted: &'a mut Wanted<'w>,
    show: Show<'a>,
    outcome: Result<(), ToolError>,
}

impl Picked<'_, '_> {
    fn take(&mut self, event: &Happened) -> Result<(), ToolError> {
        if (self.wanted)(event)? { (self.show)(event) } else { Ok(()) }
    }
}

impl EventSink for Picked<'_, '_> {
    fn event(&mut self, header: &EventHeader, event: &Event) {
        if self.outcome.is_ok() {
            self.outcome = self.take(&(*header, *event));
        }
    }
}
