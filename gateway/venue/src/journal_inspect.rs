//! `rialto journal inspect`: which segments there are, and what the commands say; `rialto journal tail`: the same of
//! commands as they become durable.
//!
//! Numbers are as the journal holds them: prices in ticks, quantities in lots, amounts in the asset's smallest unit,
//! times in nanoseconds since 1970. Everything that is shown was verified before.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use engine::{Command, Event, EventHeader, Sequence, Sequenced};
use journal::{Entry, Follower, Polling, ReadError, Reader, Seek, SegmentNumber};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::arguments::{InspectArguments, TailArguments};
use crate::exit::Exit;
use crate::records::{add_fields, add_text};

/// Commands that are shown if only a beginning is given.
const COUNT: u64 = 20;

/// Runs the command and prints what it finds.
pub fn run(arguments: &InspectArguments) -> Exit {
    exit_of(inspect(arguments, &mut io::stdout().lock()))
}

/// Prints commands as they become durable.
pub fn tail(arguments: &TailArguments) -> Exit {
    exit_of(follow(arguments, &mut io::stdout().lock()))
}

fn exit_of(outcome: Result<(), InspectError>) -> Exit {
    match outcome {
        Ok(()) => Exit::Done,
        // Whoever read has read enough.
        Err(InspectError::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(InspectError::Write(error)) => {
            eprintln!("rialto: {error}");
            Exit::InputOutput
        }
        Err(InspectError::Read(error)) => {
            eprintln!("rialto: {error}");
            (&error).into()
        }
    }
}

enum InspectError {
    Read(ReadError),
    Write(io::Error),
}

impl From<ReadError> for InspectError {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

impl From<io::Error> for InspectError {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

/// One segment. Absent numbers: it has no commands.
#[derive(Debug, Serialize)]
struct Segment {
    file: PathBuf,
    first: Option<u64>,
    last: Option<u64>,
    commands: u64,
    batches: u64,
    bytes: Option<u64>,
    /// The venue was stopped in order, and nothing follows in this segment.
    sealed: bool,
}

#[derive(Debug, Serialize)]
struct Found {
    segments: Vec<Segment>,
    first: Option<u64>,
    last: Option<u64>,
    commands: u64,
    sealed: bool,
    cut: bool,
}

fn follow(arguments: &TailArguments, out: &mut impl Write) -> Result<(), InspectError> {
    let TailArguments { journal, from, count, head } = arguments;
    let from = match from {
        Some(from) => Sequence(*from),
        None => Reader::open_at(&journal.directory, Seek::Sequence(Sequence(u64::MAX)))?.verified().last.next(),
    };
    let polling = Polling { head_directory: head.clone(), ..Polling::default() };
    let mut left = count.unwrap_or(u64::MAX);
    let mut follower = Follower::open(&journal.directory, Seek::Sequence(from), &polling)?;
    while left > 0
        && let Some(entry) = follower.next()
    {
        if let Entry::Command(command) = entry? {
            let text = if journal.json { Value::from(command_object(&command)).to_string() } else { line(&command) };
            writeln!(out, "{text}")?;
            out.flush()?;
            left -= 1;
        }
    }
    Ok(())
}

fn inspect(arguments: &InspectArguments, out: &mut impl Write) -> Result<(), InspectError> {
    let directory = &arguments.journal.directory;
    // The list is known at the journal's end. A second reading shows commands without keeping them.
    let found = segments(directory)?;
    if arguments.journal.json {
        show_commands(arguments, out, |command| Value::from(command_object(command)).to_string())?;
        writeln!(out, "{}", serde_json::to_value(&found).expect("names for keys"))?;
    } else {
        print_table(&found, out)?;
        show_commands(arguments, out, line)?;
    }
    Ok(())
}

fn show_commands(
    arguments: &InspectArguments,
    out: &mut impl Write,
    text: impl Fn(&Sequenced<Command>) -> String,
) -> Result<(), InspectError> {
    if arguments.from.is_none() && arguments.count.is_none() {
        return Ok(());
    }
    let from = Sequence(arguments.from.unwrap_or(1));
    let mut left = arguments.count.unwrap_or(COUNT);
    for command in Reader::open_at(&arguments.journal.directory, Seek::Sequence(from))?.commands() {
        let command = command?;
        if left == 0 {
            break;
        }
        writeln!(out, "{}", text(&command))?;
        left -= 1;
    }
    Ok(())
}

fn segments(directory: &Path) -> Result<Found, ReadError> {
    let mut reader = Reader::open(directory)?;
    let mut segments = Segments::default();
    while let Some(entry) = reader.next() {
        segments.entry(&reader, &entry?);
    }
    Ok(segments.found(&reader, directory))
}

#[derive(Default)]
struct Segments {
    list: Vec<Segment>,
    batches_before: u64,
}

impl Segments {
    fn entry(&mut self, reader: &Reader, entry: &Entry) {
        let file = reader.position().file;
        if self.list.last().is_none_or(|segment| segment.file != file) {
            self.list.push(Segment::empty(file));
        }
        let batches = reader.verified().batch_count;
        let segment = self.list.last_mut().expect("just made");
        segment.batches += batches - self.batches_before;
        self.batches_before = batches;
        segment.sealed = matches!(entry, Entry::Seal(_));
        if let Entry::Command(command) = entry {
            let sequence = command.stamp.sequence.0;
            segment.first = segment.first.or(Some(sequence));
            segment.last = Some(sequence);
            segment.commands += 1;
        }
    }

    fn found(mut self, reader: &Reader, directory: &Path) -> Found {
        let verified = reader.verified();
        // A segment that was begun and not used yet.
        let folder = self.list.last().and_then(|segment| segment.file.parent().map(Path::to_owned));
        let folder = folder.unwrap_or_else(|| directory.join(JOURNAL_FOLDER));
        for number in self.list.len() as u64 + 1..=verified.segment_count {
            self.list.push(Segment::empty(folder.join(SegmentNumber(number).file_name())));
        }
        Found {
            first: self.list.iter().find_map(|segment| segment.first),
            last: self.list.iter().rev().find_map(|segment| segment.last),
            commands: verified.command_count(),
            sealed: verified.seal.is_some(),
            cut: verified.cut.is_some(),
            segments: self.list,
        }
    }
}

const JOURNAL_FOLDER: &str = "journal";

impl Segment {
    fn empty(file: PathBuf) -> Self {
        let bytes = file.metadata().ok().map(|metadata| metadata.len());
        Self { file, first: None, last: None, commands: 0, batches: 0, bytes, sealed: false }
    }
}

fn print_table(found: &Found, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{:<16}{:>12}{:>12}{:>12}{:>10}{:>14}", "segment", "first", "last", "commands", "batches", "bytes")?;
    for segment in &found.segments {
        let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let (first, last, bytes) = (number(segment.first), number(segment.last), number(segment.bytes));
        let name = segment.file.file_name().unwrap_or_default().to_string_lossy();
        let (commands, batches) = (segment.commands, segment.batches);
        let sealed = if segment.sealed { "  sealed" } else { "" };
        writeln!(out, "{name:<16}{first:>12}{last:>12}{commands:>12}{batches:>10}{bytes:>14}{sealed}")?;
    }
    if found.cut {
        writeln!(out, "behind them is a torn tail; `rialto journal verify` says where")?;
    }
    Ok(())
}

// Commands.

/// A command with all its fields; what is absent is null.
pub(crate) fn command_object(command: &Sequenced<Command>) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("sequence".into(), command.stamp.sequence.0.into());
    object.insert("time".into(), command.stamp.time.0.into());
    object.insert("command".into(), command.value.body.kind().to_string().into());
    add_fields(&mut object, &command.value.header);
    add_fields(&mut object, command.value.body.record());
    object
}

/// An event with all its fields; what is absent is null.
pub(crate) fn event_object(header: &EventHeader, event: &Event) -> Map<String, Value> {
    let mut object = Map::new();
    object.insert("sequence".into(), header.id.sequence.0.into());
    object.insert("index".into(), header.id.index.into());
    object.insert("time".into(), header.time.0.into());
    object.insert("received_at".into(), header.received_at.0.into());
    object.insert("event".into(), event.kind().to_string().into());
    add_fields(&mut object, event.record());
    object
}

/// A command on one line; what is absent is left out.
fn line(command: &Sequenced<Command>) -> String {
    let mut object = command_object(command);
    let mut take = |name: &str| object.shift_remove(name).map(|value| value.to_string()).unwrap_or_default();
    let (sequence, time, kind) = (take("sequence"), take("time"), take("command"));
    let mut line = format!("{sequence:>10}  {time}  {}", kind.trim_matches('"'));
    add_text(&mut line, "", &object);
    line
}
