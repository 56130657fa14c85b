//! `rialto journal verify` and `rialto journal replay`; the way to the other tools.

use std::path::Path;

use engine::Sequence;
use indicatif::{ProgressBar, ProgressStyle};
use journal::{Cut, ReadError, Reader, ReplayError, ReplaySummary, Verified};
use serde::Serialize;

use crate::arguments::{JournalArguments, JournalCommand};
use crate::exit::Exit;
use crate::journal_inspect;

/// Runs the command and prints its answer.
pub fn run(command: &JournalCommand) -> Exit {
    let (answer, arguments) = match command {
        JournalCommand::Verify(arguments) => (verify(&arguments.directory), arguments),
        JournalCommand::Replay(arguments) => (replay(&arguments.directory), arguments),
        JournalCommand::Inspect(arguments) => return journal_inspect::run(arguments),
        JournalCommand::Tail(arguments) => return journal_inspect::tail(arguments),
    };
    answer.print(arguments);
    answer.exit
}

/// What a tool found.
struct Answer {
    exit: Exit,
    report: Report,
}

/// One JSON object, or one table. Absent values are null in an object and left out of a table.
#[derive(Debug, Default, Serialize)]
struct Report {
    #[serde(skip_serializing_if = "Option::is_none")]
    ok: Option<bool>,
    first: Option<u64>,
    last: Option<u64>,
    commands: Option<u64>,
    events: Option<u64>,
    event_digest: Option<String>,
    state_digest: Option<String>,
    book_digest: Option<String>,
    seconds: Option<f64>,
    #[serde(flatten)]
    checked: Option<Checked>,
}

/// What `verify` adds, and a failed `replay`.
#[derive(Debug, Default, Serialize)]
struct Checked {
    segments: Option<u64>,
    batches: Option<u64>,
    sealed: Option<bool>,
    cut: bool,
    file: Option<String>,
    offset: Option<u64>,
    reason: Option<String>,
}

/// Every byte first, so that damage is found where it is; then the replay, which compares the recorded digests.
fn verify(directory: &Path) -> Answer {
    let mut reader = match Reader::open(directory) {
        Ok(reader) => reader,
        Err(error) => return failed(&ReplayError::Read(error), None),
    };
    let outcome = reader.read_to_end();
    let verified = reader.verified().clone();
    match outcome.map_err(ReplayError::Read).and_then(|()| run_replay(directory, Some(verified.command_count()))) {
        Ok(summary) => verified_answer(&summary),
        Err(error) => failed(&error, Some(&verified)),
    }
}

fn replay(directory: &Path) -> Answer {
    match run_replay(directory, None) {
        Ok(summary) => Answer { exit: Exit::Done, report: replayed(&summary) },
        Err(error) => failed(&error, None),
    }
}

fn run_replay(directory: &Path, command_count: Option<u64>) -> Result<ReplaySummary, ReplayError> {
    let bar = progress_bar(command_count);
    let summary = journal::replay(directory, &mut (), |Sequence(sequence)| bar.set_position(sequence));
    bar.finish_and_clear();
    summary
}

/// On standard error, and hidden unless that is a terminal.
fn progress_bar(command_count: Option<u64>) -> ProgressBar {
    let (bar, template) = match command_count {
        Some(count) => (ProgressBar::new(count), "{bar:40} {human_pos} of {human_len} commands, {per_sec}, {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {human_pos} commands, {per_sec}"),
    };
    bar.with_style(ProgressStyle::with_template(template).expect("a constant template"))
}

fn replayed(summary: &ReplaySummary) -> Report {
    Report {
        ok: None,
        first: Some(summary.first.0),
        last: Some(summary.last.0),
        commands: Some(summary.commands),
        events: Some(summary.events),
        event_digest: Some(summary.event_digest.to_string()),
        state_digest: Some(summary.state_digest.to_string()),
        book_digest: Some(summary.book_digest.to_string()),
        seconds: Some(summary.seconds),
        checked: None,
    }
}

fn verified_answer(summary: &ReplaySummary) -> Answer {
    let checked = Some(checked(&summary.verified));
    Answer { exit: Exit::Done, report: Report { ok: Some(true), checked, ..replayed(summary) } }
}

/// A torn tail is no fault: it is reported, with where and why.
fn checked(verified: &Verified) -> Checked {
    let cut = verified.cut.as_ref();
    Checked {
        segments: Some(verified.segment_count),
        batches: Some(verified.batch_count),
        sealed: Some(verified.seal.is_some()),
        cut: cut.is_some(),
        file: cut.map(|cut| cut.file.display().to_string()),
        offset: cut.map(|cut| cut.offset),
        reason: cut.map(describe_cut),
    }
}

fn describe_cut(cut: &Cut) -> String {
    let Cut { length, fault, after, .. } = cut;
    let lost = match cut.command_count {
        Some(count) => format!("{count} commands behind sequence {after}"),
        None => format!("what followed sequence {after}"),
    };
    format!("torn tail of {length} bytes, cut: {lost}: {fault}")
}

fn failed(error: &ReplayError, verified: Option<&Verified>) -> Answer {
    let (file, offset) = place(error);
    let checked = Checked {
        file,
        offset,
        reason: Some(error.to_string()),
        cut: false,
        ..verified.map(checked).unwrap_or_default()
    };
    let report = Report {
        ok: Some(false),
        first: verified.map(|verified| verified.first.0),
        last: verified.map(|verified| verified.last.0),
        commands: verified.map(Verified::command_count),
        checked: Some(checked),
        ..Report::default()
    };
    Answer { exit: error.into(), report }
}

fn place(error: &ReplayError) -> (Option<String>, Option<u64>) {
    match error {
        ReplayError::Read(ReadError::Damaged { file, offset, .. })
        | ReplayError::Discontinuity { file, offset, .. }
        | ReplayError::Differs { file, offset, .. } => (Some(file.display().to_string()), Some(*offset)),
        ReplayError::Read(ReadError::Io { file, .. } | ReadError::NoJournal { directory: file }) => {
            (Some(file.display().to_string()), None)
        }
        ReplayError::Thread(_) | ReplayError::Behaviour { .. } => (None, None),
    }
}

impl Answer {
    fn print(&self, arguments: &JournalArguments) {
        let object = serde_json::to_value(&self.report).expect("a report is an object with names for keys");
        if arguments.json {
            println!("{object}");
        } else {
            print_table(&object);
        }
    }
}

fn print_table(object: &serde_json::Value) {
    let fields = object.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    for (name, value) in fields {
        match value.as_str() {
            Some(text) => println!("{name:<14}{text}"),
            None => println!("{name:<14}{value}"),
        }
    }
}
