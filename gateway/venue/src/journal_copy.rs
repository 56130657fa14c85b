//! `rialto journal restore` and `rialto journal backup`: verified copies of a journal, with what a venue needs beside it.
//!
//! Certificate and keys go along, with their modes, and are in place before the journal is; the snapshots that lead to the
//! copy's end come behind it. What a venue derives or takes anew is left: the event history, `venue.json`, the lock.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Instant;

use indicatif::ProgressBar;
use journal::{AsOf, Copied, CopyError, JournalCopy, Polling, Progress};
use serde::Serialize;

use crate::arguments::{BackupArguments, RestoreArguments};
use crate::exit::Exit;
use crate::journal_tools::{self, Failed, byte_bar, rate};

/// What of a data folder goes along: files, and folders of files.
const COMPANIONS: [&str; 6] =
    ["access.jsonl", "certificate.pem", "certificate.key", "checkpoint.key", "checkpoint.pub", "keys"];

/// What was copied.
#[derive(Debug, Serialize)]
struct Answer {
    /// What the copy holds.
    commands: u64,
    first: u64,
    last: u64,
    /// What it did not hold before.
    new_commands: u64,
    segments: u64,
    bytes: u64,
    seconds: f64,
    bytes_per_second: u64,
    chain: String,
    /// What went along.
    files: Vec<String>,
    /// The commands behind which the snapshots are that went along.
    snapshots: Vec<u64>,
}

/// Copies a journal up to a point.
pub fn restore(arguments: &RestoreArguments) -> Exit {
    let RestoreArguments { journal, to, until, journal_only } = arguments;
    let until = until.map_or(AsOf::End, AsOf::from);
    let made = copy(&journal.directory, to, *journal_only, |progress| {
        JournalCopy::restore(&journal.directory, to, until, progress)
    });
    journal_tools::print_outcome(made, journal.json)
}

/// Copies what is durable of a journal.
pub fn backup(arguments: &BackupArguments) -> Exit {
    let BackupArguments { journal, to, head, journal_only } = arguments;
    let polling = Polling { head_directory: head.clone(), ..Polling::default() };
    let made = copy(&journal.directory, to, *journal_only, |progress| {
        JournalCopy::backup(&journal.directory, to, &polling, progress)
    });
    journal_tools::print_outcome(made, journal.json)
}

fn copy(
    from: &Path,
    to: &Path,
    journal_only: bool,
    make: impl FnOnce(&mut dyn FnMut(Progress)) -> Result<JournalCopy, CopyError>,
) -> Result<Answer, CopyError> {
    let (start, bar) = (Instant::now(), byte_bar());
    let copy = make(&mut |progress| show(&bar, progress));
    bar.finish_and_clear();
    let copy = copy?;
    let (mut files, mut snapshots) = (Vec::new(), Vec::new());
    if !journal_only {
        files = copy_companions(from, to)?;
    }
    let Copied { first, last, new_count, segment_count, bytes, chain } = copy.place()?;
    if !journal_only {
        // Behind the journal that they are of: a snapshot without it would say that something is lost.
        snapshots = copy.copy_snapshots()?.into_iter().map(|sequence| sequence.0).collect();
    }
    let seconds = start.elapsed().as_secs_f64();
    Ok(Answer {
        commands: last.0,
        first: first.0,
        last: last.0,
        new_commands: new_count,
        segments: segment_count,
        bytes,
        seconds,
        bytes_per_second: rate(bytes, seconds),
        chain: chain.to_string(),
        files,
        snapshots,
    })
}

fn show(bar: &ProgressBar, progress: Progress) {
    bar.set_length(progress.total_bytes);
    bar.set_position(progress.bytes);
}

/// Copies what goes along, where there is any; gives the names.
fn copy_companions(from: &Path, to: &Path) -> Result<Vec<String>, CopyError> {
    let mut copied = Vec::new();
    for name in COMPANIONS {
        let (source, target) = (from.join(name), to.join(name));
        if source.is_dir() {
            fs::create_dir_all(&target).map_err(io_error(&target))?;
            for entry in fs::read_dir(&source).map_err(io_error(&source))? {
                let entry = entry.map_err(io_error(&source))?;
                if entry.path().is_file() {
                    copy_file(&entry.path(), &target.join(entry.file_name()))?;
                    copied.push(format!("{name}/{}", entry.file_name().to_string_lossy()));
                }
            }
            sync_folder(&target)?;
        } else if source.is_file() {
            copy_file(&source, &target)?;
            copied.push(name.to_owned());
        }
    }
    sync_folder(to)?;
    copied.sort();
    Ok(copied)
}

/// Under another name first, so that there is never a part of it, and never with more readers than it has.
fn copy_file(from: &Path, to: &Path) -> Result<(), CopyError> {
    let new = to.with_added_extension("new");
    let mut source = File::open(from).map_err(io_error(from))?;
    let mode = source.metadata().map_err(io_error(from))?.permissions().mode();
    remove_if_there(&new)?;
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(mode & 0o777).open(&new).map_err(io_error(&new))?;
    io::copy(&mut source, &mut file).and_then(|_| file.sync_all()).map_err(io_error(&new))?;
    fs::rename(&new, to).map_err(io_error(to))
}

fn remove_if_there(file: &Path) -> Result<(), CopyError> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(file)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn sync_folder(folder: &Path) -> Result<(), CopyError> {
    File::open(folder).and_then(|opened| opened.sync_all()).map_err(io_error(folder))
}

fn io_error(file: &Path) -> impl Fn(io::Error) -> CopyError + use<> {
    let file = file.to_owned();
    move |source| CopyError::Io { file: file.clone(), source }
}

impl Failed for CopyError {
    fn exit(&self) -> Exit {
        match self {
            Self::Read(error) => error.into(),
            Self::Snapshot(error) => error.into(),
            Self::Locked { .. } => Exit::Locked,
            Self::Occupied { .. } | Self::Unreached { .. } => Exit::Usage,
            Self::Diverged { .. } => Exit::Differs,
            Self::NoRoom { .. } | Self::Misread { .. } | Self::Io { .. } => Exit::InputOutput,
        }
    }

    fn place(&self) -> (Option<&Path>, Option<u64>) {
        match self {
            Self::Read(error) => error.place(),
            Self::Snapshot(error) => error.place(),
            Self::Io { file, .. } | Self::Locked { lock: file } => (Some(file), None),
            Self::Occupied { folder, .. }
            | Self::Diverged { folder, .. }
            | Self::NoRoom { folder, .. }
            | Self::Misread { folder } => (Some(folder), None),
            Self::Unreached { .. } => (None, None),
        }
    }
}
