//! `rialto journal verify` and `rialto journal replay`; the way to the other tools, and how all of them answer.

use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use engine::Sequence;
use indicatif::{ProgressBar, ProgressStyle};
use journal::{
    Audit, AuditError, Block, Blocks, CHECKPOINT_BYTES, Cut, Finding, OpenError, Past, ReadError, ReplayError,
    ReplaySummary, SignedCheckpoint, SnapshotError, StartError, Verified, book_digest, state_digest,
};
use serde::Serialize;
use serde_json::{Value, json};

use crate::arguments::{JournalArguments, JournalCommand, ReplayArguments, VerifyArguments};
use crate::data_folder::hexadecimal;
use crate::exit::Exit;
use crate::journal_checkpoints::{self, CheckpointFileError};
use crate::{journal_copy, journal_export, journal_inspect};

/// Runs the command and prints its answer.
pub fn run(command: &JournalCommand) -> Exit {
    match command {
        JournalCommand::Verify(arguments) => verify(arguments).print(&arguments.journal),
        JournalCommand::Replay(arguments) => replay(arguments).print(&arguments.journal),
        JournalCommand::Checkpoints(arguments) => journal_checkpoints::run(arguments),
        JournalCommand::Inspect(arguments) => journal_inspect::run(arguments),
        JournalCommand::Tail(arguments) => journal_inspect::tail(arguments),
        JournalCommand::Export(arguments) => journal_export::run(arguments),
        JournalCommand::Restore(arguments) => journal_copy::restore(arguments),
        JournalCommand::Backup(arguments) => journal_copy::backup(arguments),
    }
}

// How tools answer.

/// Why a tool has not done what it was asked.
pub(crate) trait Failed: std::error::Error {
    /// The exit code that says so.
    fn exit(&self) -> Exit;

    /// The file that it is about, and where in it.
    fn place(&self) -> (Option<&Path>, Option<u64>);
}

/// Prints what was done, or on which file and why it was not.
pub(crate) fn print_outcome<T: Serialize, E: Failed>(outcome: Result<T, E>, json: bool) -> Exit {
    match outcome {
        Ok(done) => print(&to_value(&done), &[], json, Exit::Done),
        Err(error) => print_error(&error, json),
    }
}

/// Prints on which file and why it was not done.
pub(crate) fn print_error(error: &impl Failed, json: bool) -> Exit {
    if !json {
        eprintln!("rialto: {error}");
        return error.exit();
    }
    let (file, offset) = error.place();
    let file = file.map(|file| file.display().to_string());
    let object = json!({"ok": false, "file": file, "offset": offset, "reason": error.to_string()});
    print(&object, &[], json, error.exit())
}

/// Prints one object on a line, or its fields and `lines` one below the other.
pub(crate) fn print(object: &Value, lines: &[String], json: bool, exit: Exit) -> Exit {
    write_out(exit, |out| if json { writeln!(out, "{object}") } else { write_table(out, object, lines) })
}

/// Writes to standard output. Whoever reads may have read enough.
pub(crate) fn write_out(exit: Exit, write: impl FnOnce(&mut io::StdoutLock<'_>) -> io::Result<()>) -> Exit {
    let mut out = io::stdout().lock();
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            eprintln!("rialto: {error}");
            Exit::InputOutput
        }
        Ok(()) | Err(_) => exit,
    }
}

fn write_table(out: &mut impl Write, object: &Value, lines: &[String]) -> io::Result<()> {
    for (name, value) in object.as_object().into_iter().flatten() {
        match value {
            Value::Null => {}
            Value::String(text) => writeln!(out, "{name:<20}{text}")?,
            Value::Array(items) => {
                let texts: Vec<_> = items.iter().filter_map(Value::as_str).collect();
                if !texts.is_empty() {
                    writeln!(out, "{name:<20}{}", texts.join(" "))?;
                }
            }
            value => writeln!(out, "{name:<20}{value}")?,
        }
    }
    lines.iter().try_for_each(|line| writeln!(out, "{line}"))
}

pub(crate) fn to_value(answer: &impl Serialize) -> Value {
    serde_json::to_value(answer).expect("an answer is an object with names for keys")
}

/// A bar for bytes: on standard error, and hidden unless that is a terminal.
pub(crate) fn byte_bar() -> ProgressBar {
    styled(ProgressBar::new(0), "{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left")
}

/// The same for commands, as many as are known.
pub(crate) fn command_bar(command_count: Option<u64>) -> ProgressBar {
    match command_count {
        Some(count) => {
            styled(ProgressBar::new(count), "{bar:40} {human_pos} of {human_len} commands, {per_sec}, {eta} left")
        }
        None => styled(ProgressBar::new_spinner(), "{spinner} {human_pos} commands, {per_sec}"),
    }
}

pub(crate) fn styled(bar: ProgressBar, template: &str) -> ProgressBar {
    bar.with_style(ProgressStyle::with_template(template).expect("a constant template"))
}

/// How many a second; none within no time.
pub(crate) fn rate(count: u64, seconds: f64) -> u64 {
    if seconds > 0.0 { (count as f64 / seconds) as u64 } else { 0 }
}

// Verify and replay.

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
    /// Of the replay.
    commands_per_second: Option<u64>,
    /// The command behind which the snapshot was that it began with.
    #[serde(skip_serializing_if = "Option::is_none")]
    snapshot: Option<u64>,
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
    chain: Option<String>,
    bytes: Option<u64>,
    /// Of the pass over the bytes.
    bytes_per_second: Option<u64>,
    /// Checkpoints that were given, and those of them whose link stands in its place.
    checkpoints: Option<u64>,
    checkpoints_agreed: Option<u64>,
    /// Who signed them.
    key: Option<String>,
    /// Whether that key is the one that was asked for; null: none was.
    key_expected: Option<bool>,
    findings: Vec<FindingReport>,
}

/// Where something is not as it was written. Of a batch without commands, `last` is less than `first`.
#[derive(Debug, Serialize)]
struct FindingReport {
    file: String,
    offset: u64,
    first: u64,
    last: u64,
    evidence: String,
}

impl FindingReport {
    fn line(&self) -> String {
        let Self { file, offset, first, last, evidence } = self;
        let commands = match first.cmp(last) {
            core::cmp::Ordering::Less => format!("commands {first} to {last}"),
            core::cmp::Ordering::Equal => format!("command {first}"),
            core::cmp::Ordering::Greater => format!("no command, before {first}"),
        };
        format!("{file}, offset {offset}, {commands}: {evidence}")
    }
}

impl From<&Finding> for FindingReport {
    fn from(finding: &Finding) -> Self {
        Self {
            file: finding.file.display().to_string(),
            offset: finding.offset,
            first: finding.first.0,
            last: finding.last.0,
            evidence: finding.evidence.to_string(),
        }
    }
}

/// Every byte first, so that damage is found where it is, and the checkpoints on the way; then the replay, which compares
/// the recorded digests and the checkpoints'.
fn verify(arguments: &VerifyArguments) -> Answer {
    let directory = &arguments.journal.directory;
    let checkpoints = match journal_checkpoints::given(arguments) {
        Ok(checkpoints) => checkpoints,
        Err(error) => return unread_checkpoints(&error),
    };
    let (audit, checked) = match pass_over(directory, arguments, &checkpoints) {
        Ok(passed) => passed,
        Err(AuditError::Read(error)) => return failed(&ReplayError::Read(error), None, Checked::default()),
        Err(error @ AuditError::Foreign { .. }) => {
            let checked = Checked { reason: Some(error.to_string()), ..Checked::default() };
            return Answer::not_ok(Exit::Differs, None, checked);
        }
    };
    let verified = &audit.verified;
    if let Some(error) = audit.error {
        return failed(&ReplayError::Read(error), Some(verified), checked);
    }
    if let Some(first) = audit.findings.first() {
        return Answer::not_ok(Exit::Differs, Some(verified), checked.about(first));
    }
    if arguments.chain_only {
        let report = Report { ok: Some(true), checked: Some(checked), ..Report::of_commands(verified) };
        return Answer { exit: Exit::Done, report };
    }
    let summary = match run_replay(directory, Some(verified.command_count())) {
        Ok(summary) => summary,
        Err(error) => return failed(&error, Some(verified), checked),
    };
    match differing_events(&checkpoints, &summary.blocks) {
        Some(reason) => {
            let checked = Checked { reason: Some(reason), ..checked };
            Answer::not_ok(Exit::Differs, Some(verified), checked)
        }
        None => {
            Answer { exit: Exit::Done, report: Report { ok: Some(true), checked: Some(checked), ..replayed(&summary) } }
        }
    }
}

/// Reads every byte, and says how fast.
fn pass_over(
    directory: &Path,
    arguments: &VerifyArguments,
    signed: &[SignedCheckpoint],
) -> Result<(Audit, Checked), AuditError> {
    let (start, bar, mut bytes) = (Instant::now(), byte_bar(), 0);
    let checkpoints: Vec<_> = signed.iter().map(|signed| signed.checkpoint).collect();
    let audit = journal::audit(directory, &checkpoints, &mut |progress| {
        bar.set_length(progress.total_bytes);
        bar.set_position(progress.bytes);
        bytes = progress.bytes;
    });
    bar.finish_and_clear();
    let audit = audit?;
    let against = arguments.against.is_some();
    let checked = Checked {
        bytes: Some(bytes),
        bytes_per_second: Some(rate(bytes, start.elapsed().as_secs_f64())),
        checkpoints: against.then_some(signed.len() as u64),
        checkpoints_agreed: against.then_some(audit.agreed_count),
        key: signed.first().map(|signed| hexadecimal(&signed.key)),
        key_expected: arguments.key.as_ref().map(|_| true),
        findings: audit.findings.iter().map(FindingReport::from).collect(),
        ..checked(&audit.verified)
    };
    Ok((audit, checked))
}

/// The first checkpoint whose events a replay does not repeat.
fn differing_events(checkpoints: &[SignedCheckpoint], blocks: &Blocks) -> Option<String> {
    let differs = |signed: &&SignedCheckpoint| {
        blocks.of(Block::of(signed.checkpoint.sequence)) != Some(signed.checkpoint.event_digest)
    };
    let checkpoint = checkpoints.iter().find(differs)?.checkpoint;
    Some(format!(
        "the commands are those that were signed at the checkpoint of command {}, and their events are others: this build \
         does not repeat what the venue did; use the build that wrote the journal",
        checkpoint.sequence
    ))
}

fn replay(arguments: &ReplayArguments) -> Answer {
    let directory = &arguments.journal.directory;
    let Some(until) = arguments.until else {
        return match run_replay(directory, None) {
            Ok(summary) => Answer { exit: Exit::Done, report: replayed(&summary) },
            Err(error) => failed(&error, None, Checked::default()),
        };
    };
    let (start, bar) = (Instant::now(), command_bar(None));
    let past = journal::state_at(directory, until.into(), |Sequence(sequence)| bar.set_position(sequence));
    bar.finish_and_clear();
    match past {
        Ok(past) => Answer { exit: Exit::Done, report: seen(&past, start.elapsed().as_secs_f64()) },
        Err(error) => not_seen(&error),
    }
}

fn seen(past: &Past, seconds: f64) -> Report {
    let Past { engine, event_digest, snapshot, replayed } = past;
    let last = engine.last().sequence.0;
    Report {
        first: Some(last.min(1)),
        last: Some(last),
        commands: Some(last),
        events: Some(event_digest.event_count()),
        event_digest: Some(event_digest.value().to_string()),
        state_digest: Some(state_digest(engine).to_string()),
        book_digest: Some(book_digest(engine).to_string()),
        seconds: Some(seconds),
        commands_per_second: Some(rate(*replayed, seconds)),
        snapshot: snapshot.map(|checkpoint| checkpoint.sequence.0),
        ..Report::default()
    }
}

fn not_seen(error: &StartError) -> Answer {
    let (file, offset) = error.place();
    let file = file.map(|file| file.display().to_string());
    let checked = Checked { file, offset, reason: Some(error.to_string()), ..Checked::default() };
    Answer::not_ok(error.exit(), None, checked)
}

fn run_replay(directory: &Path, command_count: Option<u64>) -> Result<ReplaySummary, ReplayError> {
    let bar = command_bar(command_count);
    let summary = journal::replay(directory, &mut (), |Sequence(sequence)| bar.set_position(sequence));
    bar.finish_and_clear();
    summary
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
        commands_per_second: Some(rate(summary.commands, summary.seconds)),
        snapshot: None,
        checked: None,
    }
}

impl Report {
    fn of_commands(verified: &Verified) -> Self {
        Self {
            first: Some(verified.first.0),
            last: Some(verified.last.0),
            commands: Some(verified.command_count()),
            ..Self::default()
        }
    }
}

impl Checked {
    /// A torn tail says where it is in the same fields; a finding goes before.
    fn about(self, finding: &Finding) -> Self {
        Self {
            file: Some(finding.file.display().to_string()),
            offset: Some(finding.offset),
            reason: Some(finding.evidence.to_string()),
            ..self
        }
    }
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
        chain: Some(verified.chain.to_string()),
        ..Checked::default()
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

fn unread_checkpoints(error: &CheckpointFileError) -> Answer {
    let checked = Checked {
        file: error.place().0.map(|file| file.display().to_string()),
        reason: Some(error.to_string()),
        ..Checked::default()
    };
    Answer::not_ok(error.exit(), None, checked)
}

fn failed(error: &ReplayError, verified: Option<&Verified>, checked: Checked) -> Answer {
    let (file, offset) = error.place();
    let file = file.map(|file| file.display().to_string());
    Answer::not_ok(error.exit(), verified, Checked { file, offset, reason: Some(error.to_string()), ..checked })
}

impl Failed for ReplayError {
    fn exit(&self) -> Exit {
        self.into()
    }

    fn place(&self) -> (Option<&Path>, Option<u64>) {
        match self {
            Self::Read(error) => error.place(),
            Self::Discontinuity { file, offset, .. } | Self::Differs { file, offset, .. } => {
                (Some(file), Some(*offset))
            }
            Self::Thread(_) | Self::Behaviour { .. } => (None, None),
        }
    }
}

impl Failed for StartError {
    fn exit(&self) -> Exit {
        self.into()
    }

    fn place(&self) -> (Option<&Path>, Option<u64>) {
        match self {
            Self::Open(OpenError::Read(error)) => error.place(),
            Self::Replay(error) => error.place(),
            Self::Snapshot(error) => error.place(),
            Self::Open(_) | Self::Changed { .. } => (None, None),
        }
    }
}

impl Failed for SnapshotError {
    fn exit(&self) -> Exit {
        self.into()
    }

    fn place(&self) -> (Option<&Path>, Option<u64>) {
        match self {
            Self::Io { file, .. } | Self::ReadBack { file, .. } => (Some(file), None),
            Self::Checkpoint { file, index, .. } => (Some(file), Some((index * CHECKPOINT_BYTES) as u64)),
        }
    }
}

impl Failed for ReadError {
    fn exit(&self) -> Exit {
        self.into()
    }

    fn place(&self) -> (Option<&Path>, Option<u64>) {
        match self {
            Self::Damaged { file, offset, .. } => (Some(file), Some(*offset)),
            Self::Io { file, .. } | Self::NoJournal { directory: file } => (Some(file), None),
        }
    }
}

impl Answer {
    fn not_ok(exit: Exit, verified: Option<&Verified>, checked: Checked) -> Self {
        let commands = verified.map(Report::of_commands).unwrap_or_default();
        Self { exit, report: Report { ok: Some(false), checked: Some(checked), ..commands } }
    }

    fn print(&self, arguments: &JournalArguments) -> Exit {
        let findings = self.report.checked.iter().flat_map(|checked| &checked.findings);
        let lines: Vec<_> = findings.map(FindingReport::line).collect();
        print(&to_value(&self.report), &lines, arguments.json, self.exit)
    }
}
