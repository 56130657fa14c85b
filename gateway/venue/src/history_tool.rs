//! `rialto history`: what happened to an order, an account, a session or an instrument, and what it was at some time;
//! and a book as it was.
//!
//! ```text
//!   what the files of the event history hold ──► looked up
//!   what they do not hold (yet, or any more) ──► replayed from the journal, from the nearest snapshot
//! ```
//!
//! So the answer always reaches to the journal's end. Numbers are as the journal holds them: prices in ticks, quantities
//! in lots, amounts in the asset's smallest unit; those of a book alone are decimals.

mod book;
pub(crate) mod search;
mod show;
mod state;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use engine::{AccountId, Engine, InstrumentId, OrderId, Sequence, SessionId};
use journal::travel::{AsOf, sequence_at, state_at};
use journal::{HistoryError, Key, ReadError, Reader, Seek, StartError};
use serde_json::{Map, Value};

use crate::arguments::{EventsCommand, HistoryArguments, HistoryCommand, Moment};
use crate::data_folder::{DataFolderError, KeyFile, key_file};
use crate::exit::Exit;
use crate::journal_tools::command_bar;
use search::Search;
use show::Shown;

/// Events of anything but an order, if no number is given.
const COUNT: u64 = 20;

/// Runs the command and prints what it finds.
pub fn run(command: &HistoryCommand) -> Exit {
    let mut out = io::stdout().lock();
    let answered = match command {
        HistoryCommand::Events(command) => answer(command, &mut out),
        HistoryCommand::Book(arguments) => book::answer(arguments, &mut out),
    };
    match answered {
        Ok(()) => Exit::Done,
        // Whoever read has read enough.
        Err(ToolError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => {
            eprintln!("rialto: {error}");
            error.exit()
        }
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ToolError {
    /// The command line cannot be followed.
    #[error("{0}")]
    Usage(String),
    /// A key cannot be read.
    #[error(transparent)]
    Key(#[from] DataFolderError),
    /// The journal cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The journal cannot be replayed.
    #[error(transparent)]
    Replay(#[from] StartError),
    /// The event history cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// What was found cannot be printed.
    #[error(transparent)]
    Write(#[from] io::Error),
}

impl ToolError {
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Key(_) => Exit::Usage,
            Self::Read(error) => error.into(),
            Self::Replay(error) => error.into(),
            Self::History(_) | Self::Write(_) => Exit::InputOutput,
        }
    }
}

fn answer(command: &EventsCommand, out: &mut impl Write) -> Result<(), ToolError> {
    let arguments = arguments(command);
    let directory = &arguments.data;
    let as_of = as_of(arguments);
    let until = sequence_at(directory, as_of)?;
    let key = key(command, directory, as_of)?;
    let from = arguments.from.map(|from| first_from(directory, from)).transpose()?;
    let count = arguments.count.or((!matches!(key, Key::Order(_))).then_some(COUNT));
    let mut search = Search::new(directory, key, until)?;
    let mut shown = Shown::new(out, arguments.json);
    match (from, count) {
        (None, Some(count)) => search.newest(count)?.iter().try_for_each(|event| shown.event(event))?,
        _ => search.from(from, count.unwrap_or(u64::MAX), &mut |event| Ok(shown.event(event)?))?,
    }
    let note = search.note(from);
    let state = match (arguments.as_of, command) {
        (Some(_), EventsCommand::Account { .. } | EventsCommand::Instrument { .. }) => {
            Some(state_of(key, command, &engine_at(directory, as_of)?))
        }
        _ => None,
    };
    shown.end(key, note, state)?;
    Ok(())
}

fn arguments(command: &EventsCommand) -> &HistoryArguments {
    match command {
        EventsCommand::Order { arguments, .. }
        | EventsCommand::Account { arguments, .. }
        | EventsCommand::Session { arguments, .. }
        | EventsCommand::Instrument { arguments, .. } => arguments,
    }
}

fn as_of(arguments: &HistoryArguments) -> AsOf {
    arguments.as_of.map_or(AsOf::End, AsOf::from)
}

/// The first command from a moment on; behind all of them if there is none.
pub(crate) fn first_from(directory: &Path, from: Moment) -> Result<Sequence, ReadError> {
    match from {
        Moment::Sequence(sequence) => Ok(sequence.max(Sequence(1))),
        Moment::Time(time) => {
            let first = Reader::open_at(directory, Seek::Time(time))?.commands().next();
            first.map_or(Ok(Sequence(u64::MAX)), |command| command.map(|command| command.stamp.sequence))
        }
    }
}

pub(crate) fn engine_at(directory: &Path, as_of: AsOf) -> Result<Engine, ToolError> {
    let bar = command_bar(None);
    let past = state_at(directory, as_of, |Sequence(sequence)| bar.set_position(sequence));
    bar.finish_and_clear();
    Ok(past?.engine)
}

fn key(command: &EventsCommand, directory: &Path, as_of: AsOf) -> Result<Key, ToolError> {
    match command {
        EventsCommand::Order { order, .. } => Ok(Key::Order(OrderId(*order))),
        EventsCommand::Account { account, .. } => {
            let of_key = |key: &KeyFile| key.account;
            number_or_key(account, directory, of_key).map(|account| Key::Account(AccountId(account)))
        }
        EventsCommand::Session { session, .. } => {
            let of_key = |key: &KeyFile| key.session;
            number_or_key(session, directory, of_key).map(|session| Key::Session(SessionId(session)))
        }
        EventsCommand::Instrument { instrument, .. } => {
            number_or_instrument(instrument, || engine_at(directory, as_of)).map(Key::Instrument)
        }
    }
}

/// What is meant by a number, or by the name of an instrument.
pub(crate) fn number_or_instrument(
    text: &str,
    engine: impl FnOnce() -> Result<Engine, ToolError>,
) -> Result<InstrumentId, ToolError> {
    match text.parse() {
        Ok(number) => Ok(InstrumentId(number)),
        Err(_) => named(&engine()?, text),
    }
}

/// What is meant by a number, or by the name of a key in the data folder.
pub(crate) fn number_or_key(text: &str, directory: &Path, of_key: impl Fn(&KeyFile) -> u32) -> Result<u32, ToolError> {
    if let Ok(number) = text.parse() {
        return Ok(number);
    }
    let file: PathBuf = key_file(directory, text);
    if !file.exists() {
        let folder = directory.display();
        return Err(ToolError::Usage(format!("{text:?} is neither a number nor the name of a key in {folder}")));
    }
    Ok(of_key(&KeyFile::read(&file)?))
}

/// The instrument of a name, in any case, listed or not any more.
fn named(engine: &Engine, name: &str) -> Result<InstrumentId, ToolError> {
    let is_named = |listing: &&engine::command::ListInstrument| listing.name.as_str().eq_ignore_ascii_case(name);
    engine.listings().chain(engine.delistings()).find(is_named).map(|listing| listing.instrument).ok_or_else(|| {
        let known: Vec<_> = engine.listings().map(|listing| listing.name.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        ToolError::Usage(format!("no instrument is named {name:?}; listed: {known}"))
    })
}

fn state_of(key: Key, command: &EventsCommand, engine: &Engine) -> Map<String, Value> {
    match (key, command) {
        (Key::Account(account), _) => state::account(engine, account),
        (Key::Instrument(instrument), EventsCommand::Instrument { orders, .. }) => {
            let detail = if *orders { state::Detail::Orders } else { state::Detail::Levels };
            state::instrument(engine, instrument, detail)
        }
        _ => Map::new(),
    }
}
