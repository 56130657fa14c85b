//! `rialto audit`: who changed what and when.
//!
//! ```text
//!   event history, by its index where one is asked for ─┐
//!   what it does not hold: replayed from the journal ───┴─► changes ──► lines, JSON, or a file
//!   commands in the journal: what was asked, of what was refused; and who cancelled for everybody
//! ```
//!
//! A change is what an administrator did through the operator's door, what the venue itself did when it was founded, and
//! a kill switch, whoever engaged it. Orders and what the calendar does are none; `rialto history` has them.

mod change;
mod file;
mod names;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Write};

use engine::canonical::Code;
use engine::event::EventKind;
use engine::{AccountId, KeyId, OrderId, Sequence, SessionId};
use journal::travel::sequence_at;
use journal::{AsOf, Key};
use serde_json::{Value, json};

use crate::arguments::AuditArguments;
use crate::data_folder::KeyFile;
use crate::exit::Exit;
use crate::history_tool::search::{Happened, Search};
use crate::history_tool::{ToolError, engine_at, first_from, number_or_instrument, number_or_key};
use crate::journal_export::ExportError;
use crate::journal_tools::Failed;
use change::{Change, Commands};
use names::Names;

/// Changes, if no number is given.
const COUNT: u64 = 20;

/// Looks for the changes and shows them.
pub fn run(arguments: &AuditArguments) -> Exit {
    match audit(arguments, &mut io::stdout().lock()) {
        Ok(()) => Exit::Done,
        // Whoever read has read enough.
        Err(AuditError::Tool(ToolError::Write(error))) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => {
            eprintln!("rialto: {error}");
            match error {
                AuditError::Tool(error) => error.exit(),
                AuditError::Export(error) => error.exit(),
            }
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum AuditError {
    /// What happened cannot be told.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The file cannot be written.
    #[error(transparent)]
    Export(#[from] ExportError),
}

impl From<io::Error> for AuditError {
    fn from(error: io::Error) -> Self {
        Self::Tool(error.into())
    }
}

fn audit(arguments: &AuditArguments, out: &mut impl Write) -> Result<(), AuditError> {
    let directory = &arguments.data;
    let to = arguments.to.map_or(AsOf::End, AsOf::from);
    let until = sequence_at(directory, to).map_err(ToolError::from)?;
    let from = arguments.from.map(|from| first_from(directory, from)).transpose().map_err(ToolError::from)?;
    let filter = Filter::of(arguments)?;
    let commands = Commands::of(directory);
    let wanted = |event: &Happened| filter.admits(event, &commands);
    let mut search = Search::for_wanted(directory, filter.index_key(), until, Box::new(wanted))?;
    let found = search_for(&mut search, arguments, from)?;
    let note = search.note(from);
    drop(search);
    let mut names = Names::new(directory, until);
    let changes = found.iter().filter_map(|event| Change::of(event, &commands).transpose());
    let changes = changes.collect::<Result<Vec<_>, _>>()?;
    let answer = Answer { changes: &changes, note, arguments };
    match &arguments.export {
        Some(file) => {
            let bytes = file::write(file, &changes, &mut names)?;
            answer.exported(bytes, out)?;
        }
        None => answer.show(&mut names, out)?,
    }
    Ok(())
}

/// The newest, in the order in which they happened.
fn search_for(
    search: &mut Search<'_>,
    arguments: &AuditArguments,
    from: Option<Sequence>,
) -> Result<Vec<Happened>, ToolError> {
    let is_bounded = arguments.from.is_none() && arguments.export.is_none();
    let count = arguments.count.or(is_bounded.then_some(COUNT));
    match (from, count) {
        (None, Some(count)) => search.newest(count),
        _ => {
            let count = count.and_then(|count| usize::try_from(count).ok()).unwrap_or(usize::MAX);
            let mut newest = VecDeque::new();
            search.from(from, u64::MAX, &mut |event| {
                newest.push_back(*event);
                if newest.len() > count {
                    newest.pop_front();
                }
                Ok(())
            })?;
            Ok(newest.into())
        }
    }
}

/// Which changes are shown.
struct Filter {
    by: Option<KeyId>,
    /// All of them have to be concerned.
    keys: Vec<Key>,
    kinds: Vec<EventKind>,
    /// In lower case.
    reason: Option<String>,
    refused: bool,
}

impl Filter {
    fn of(arguments: &AuditArguments) -> Result<Self, ToolError> {
        let directory = &arguments.data;
        let number = |text: &str, of_key: fn(&KeyFile) -> u32| number_or_key(text, directory, of_key);
        let by = arguments.by.as_deref().map(|text| number(text, |key| key.key).map(KeyId)).transpose()?;
        let mut keys = Vec::new();
        if let Some(order) = arguments.order {
            keys.push(Key::Order(OrderId(order)));
        }
        if let Some(text) = &arguments.session {
            keys.push(Key::Session(SessionId(number(text, |key| key.session)?)));
        }
        if let Some(text) = &arguments.account {
            keys.push(Key::Account(AccountId(number(text, |key| key.account)?)));
        }
        if let Some(text) = &arguments.instrument {
            let engine = || engine_at(directory, arguments.to.map_or(AsOf::End, AsOf::from));
            keys.push(Key::Instrument(number_or_instrument(text, engine)?));
        }
        let kinds = arguments.kind.iter().map(|name| kind(name)).collect::<Result<Vec<_>, _>>()?;
        let refused = arguments.refused || kinds.iter().any(|&kind| change::is_refusal(kind));
        Ok(Self { by, keys, kinds, reason: arguments.reason.as_ref().map(|text| text.to_lowercase()), refused })
    }

    /// What was refused belongs to nothing that the index knows.
    fn index_key(&self) -> Option<Key> {
        if self.refused { None } else { self.keys.first().copied() }
    }

    fn admits(&self, event: &Happened, commands: &RefCell<Commands>) -> Result<bool, ToolError> {
        let kind = event.1.kind();
        let is_meant = self.kinds.is_empty() || self.kinds.contains(&kind);
        if !is_meant || !change::may_be(&event.1) || (change::is_refusal(kind) && !self.refused) {
            return Ok(false);
        }
        let Some(change) = Change::of(event, commands)? else { return Ok(false) };
        let contains = |text: &String| change.reason.to_lowercase().contains(text);
        Ok(self.by.is_none_or(|by| change.author == by)
            && self.reason.as_ref().is_none_or(contains)
            && self.keys.iter().all(|&key| change.concerns(key)))
    }
}

/// The kind of event that is called so, in any case.
fn kind(name: &str) -> Result<EventKind, ToolError> {
    let named = EventKind::ALL.iter().find(|kind| kind.name().eq_ignore_ascii_case(name));
    named.copied().filter(|&kind| change::is_kind(kind)).ok_or_else(|| {
        let known: Vec<_> =
            EventKind::ALL.iter().filter(|&&kind| change::is_kind(kind)).map(|kind| kind.name()).collect();
        ToolError::Usage(format!("--kind {name}: there is no such change; there are {}", known.join(", ")))
    })
}

/// What was found, and how it is shown.
struct Answer<'a> {
    changes: &'a [Change],
    note: Option<String>,
    arguments: &'a AuditArguments,
}

impl Answer<'_> {
    fn show(&self, names: &mut Names, out: &mut impl Write) -> Result<(), ToolError> {
        for change in self.changes {
            match self.arguments.json {
                true => writeln!(out, "{}", Value::from(change.object(names)?))?,
                false => writeln!(out, "{}", change.line(names)?)?,
            }
        }
        match (self.arguments.json, &self.note) {
            (true, _) => writeln!(out, "{}", self.summary())?,
            (false, note) => {
                if self.changes.is_empty() {
                    writeln!(out, "no changes")?;
                }
                note.iter().try_for_each(|note| writeln!(out, "{note}"))?;
            }
        }
        Ok(())
    }

    fn exported(&self, bytes: u64, out: &mut impl Write) -> Result<(), ToolError> {
        let file = self.arguments.export.as_ref().map(|file| file.display().to_string());
        if self.arguments.json {
            let mut summary = self.summary();
            summary["file"] = file.into();
            summary["bytes"] = bytes.into();
            writeln!(out, "{summary}")?;
        } else {
            writeln!(out, "{}: {} changes, {bytes} bytes", file.unwrap_or_default(), self.changes.len())?;
            self.note.iter().try_for_each(|note| writeln!(out, "{note}"))?;
        }
        Ok(())
    }

    fn summary(&self) -> Value {
        let sequence = |change: Option<&Change>| change.map(|change| change.header.id.sequence.0);
        let refused = self.changes.iter().filter(|change| change.is_refused()).count();
        json!({
            "changes": self.changes.len() - refused,
            "refused": refused,
            "first": sequence(self.changes.first()),
            "last": sequence(self.changes.last()),
            "note": self.note,
        })
    }
}
