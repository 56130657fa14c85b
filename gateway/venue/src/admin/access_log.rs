//! Who asked the operator's door for what, on record before anything happens: a line of JSON for each step, and in each the
//! hash of the line before.
//!
//! ```text
//!   {"number":7,"time":…,"what":"asked","key":1,"from":"127.0.0.1","path":"account/withdraw",…,"before":"5e1f…"}
//!   {"number":8,"time":…,"what":"answered","of":7,"status":200,"outcome":"BalanceChanged","sequence":41,"before":"90ab…"}
//! ```
//!
//! `before` is the BLAKE3 of the whole line in front, without its line feed; of the first line it is zeros. So no line can be
//! changed, taken out or put in without every later one being written anew. Nothing guards the last line but a copy of its
//! hash elsewhere, which `verify` says.
//!
//! The file only grows, and its owner alone may read it. Room for some thousand lines is kept on the disk. When that is full
//! too no change is made; after any other failure nothing is written any more, and none is made either.
//!
//! A thread that may not wait for the disk asks only whether the file has failed, and counts who is turned away; both have
//! their own place, which nobody holds while the disk works.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blake3::{Hash, hash};
use engine::Timestamp;
use rustix::fs::{FallocateFlags, fallocate};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::{error, warn};

use super::authentication::wall_clock;

/// The file's name in the data folder.
pub(crate) const FILE: &str = "access.jsonl";

/// Lines a minute about requests that were turned away; what is beyond is counted.
const TURNED_AWAY_MAX: u32 = 10;

/// Lines about such requests that wait for the disk at once; what is beyond is counted.
const TURNED_AWAY_WAITING_MAX: usize = 2 * TURNED_AWAY_MAX as usize;

/// Bytes of lines that the disk keeps room for, or half as many.
const RESERVE_BYTES: u64 = 1 << 20;

const MINUTE_NS: u64 = 60_000_000_000;

/// What a line tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Step {
    /// A change is about to be given to the core.
    Asked,
    /// What came of the line `of`.
    Answered,
    /// A change that did not get as far as the core.
    Refused,
    /// What a change would do was looked at.
    DryRun,
    /// A change waits for a second key.
    Proposed,
    /// A second key approved of it, and it is about to be given to the core.
    Approved,
    /// The core took no commands at that moment: it waits again.
    Returned,
    /// A second key did not approve of it.
    Rejected,
    /// A request that proved nothing, came from where its key may not, or has a key that is no operator's.
    TurnedAway,
    /// More such requests, that have no line of their own.
    TurnedAwayMore,
    /// The file ended within a line, which was cut.
    Cut,
}

/// A line, without what holds it in its place.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) what: Step,
    /// The line that this one is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) of: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) key: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<IpAddr>,
    /// The change's name, or the path where nothing is known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// The idempotency key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proposal: Option<u64>,
    /// Whose proposal it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) proposer: Option<u32>,
    /// What is proposed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) change: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<u64>,
    /// As in HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<u16>,
    /// The event, or the error, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) outcome: Option<String>,
    /// The command in the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) sequence: Option<u64>,
    /// How many, or how many bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<u64>,
}

impl Entry {
    /// Nothing but what it tells of.
    pub(crate) fn new(what: Step) -> Self {
        Self {
            what,
            of: None,
            key: None,
            from: None,
            path: None,
            reason: None,
            request: None,
            proposal: None,
            proposer: None,
            change: None,
            expires_at: None,
            status: None,
            outcome: None,
            sequence: None,
            count: None,
        }
    }
}

/// A line of the file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Its number, from 1 without gaps.
    pub(crate) number: u64,
    /// When, in nanoseconds since 1970.
    pub(crate) time: u64,
    #[serde(flatten)]
    pub(crate) entry: Entry,
    /// The hash of the line in front.
    before: String,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AccessLogError {
    /// The operating system failed.
    #[error("{}: {source}", file.display())]
    Io {
        /// The file.
        file: PathBuf,
        /// What it said.
        source: io::Error,
    },
    /// A line does not hold.
    #[error("{}, line {line}: {reason}; keep the file, and move it away to have a new one begun", file.display())]
    Broken {
        /// The file.
        file: PathBuf,
        /// The first that does not, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
}

/// The log could not be written, and no change is made. Where the disk was only full it is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LogFailed;

/// The file, while it grows.
#[derive(Debug)]
pub(crate) struct AccessLog {
    /// Held while the disk works.
    writer: Mutex<Writer>,
    /// Held for a moment: the writer takes it, and nobody takes the writer while they hold it.
    turned_away: Mutex<TurnedAway>,
    /// The writer's.
    has_failed: Arc<AtomicBool>,
}

#[derive(Debug)]
struct Writer {
    path: PathBuf,
    file: File,
    /// Lines so far.
    count: u64,
    last: Hash,
    /// Bytes of whole lines.
    length: u64,
    /// Bytes up to which the disk keeps room.
    reserved: u64,
    /// Nothing is written any more.
    has_failed: Arc<AtomicBool>,
}

/// Requests that were turned away in the minute that began at `since`, and lines about such that are not written yet.
#[derive(Debug, Default)]
struct TurnedAway {
    since: u64,
    said: u32,
    left_out: u64,
    waiting: VecDeque<Entry>,
    /// Somebody has been asked to write what waits.
    is_being_written: bool,
}

impl AccessLog {
    /// Opens the file in a data folder, made if it is not there, once every line of it holds; `each` gets them in turn.
    ///
    /// A line that a crash left unfinished is cut, and that is said in the file and on standard error.
    pub(crate) fn open(folder: &Path, each: impl FnMut(Line)) -> Result<Self, AccessLogError> {
        let path = folder.join(FILE);
        let failed = |source| AccessLogError::Io { file: path.clone(), source };
        let options = OpenOptions::new().read(true).append(true).create(true).mode(0o600).clone();
        let file = options.open(&path).map_err(failed)?;
        let Checked { count, last, torn } = read(&path, each)?;
        let length = file.metadata().map_err(failed)?.len() - torn;
        let (reserved, has_failed) = (0, Arc::<AtomicBool>::default());
        let mut writer = Writer { path, file, count, last, length, reserved, has_failed: Arc::clone(&has_failed) };
        writer.reserve();
        let log = Self { writer: Mutex::new(writer), turned_away: Mutex::default(), has_failed };
        if torn > 0 {
            log.cut(torn)?;
        }
        Ok(log)
    }

    /// Cuts what a crash left of a line.
    fn cut(&self, torn: u64) -> Result<(), AccessLogError> {
        let (path, cut) = {
            let writer = self.writer();
            (writer.path.clone(), writer.file.set_len(writer.length))
        };
        let failed = |source| AccessLogError::Io { file: path.clone(), source };
        cut.map_err(failed)?;
        warn!(file = %path.display(), "{}: {torn} bytes of a line that was not finished were cut", path.display());
        let entry = Entry { count: Some(torn), ..Entry::new(Step::Cut) };
        self.write(entry).map_err(|LogFailed| failed(io::Error::other("it cannot be written")))?;
        Ok(())
    }

    /// Writes a line for good, behind those that wait; its number. It blocks for as long as the disk takes.
    pub(crate) fn write(&self, entry: Entry) -> Result<u64, LogFailed> {
        let mut writer = self.writer();
        self.turned_away().end_minute(wall_clock().0);
        self.append_waiting(&mut writer)?;
        let before = writer.length;
        let number = writer.append(entry)?;
        writer.sync(before)?;
        Ok(number)
    }

    /// Notes a request that was turned away: a line, or one more in a count. It does not wait for the disk; whether
    /// somebody has to call [`Self::write_turned_away`].
    #[must_use]
    pub(crate) fn note_turned_away(&self, entry: Entry) -> bool {
        let mut turned_away = self.turned_away();
        turned_away.end_minute(wall_clock().0);
        turned_away.note(entry);
        let has_to_be_written = !(turned_away.waiting.is_empty() || turned_away.is_being_written);
        turned_away.is_being_written |= has_to_be_written;
        has_to_be_written
    }

    /// Writes what waits. It blocks for as long as the disk takes.
    pub(crate) fn write_turned_away(&self) {
        let mut writer = self.writer();
        // What fails has been said, and refuses the next change.
        let _ = self.append_waiting(&mut writer);
        self.turned_away().is_being_written = false;
    }

    fn append_waiting(&self, writer: &mut Writer) -> Result<(), LogFailed> {
        loop {
            // The guard is gone before the disk works.
            let next = self.turned_away().waiting.pop_front();
            let Some(entry) = next else { return Ok(()) };
            writer.append(entry)?;
        }
    }

    /// Whether nothing can be written any more, and no change may be asked for at all. It does not wait for the disk.
    pub(crate) fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// From now on nothing can be written.
    #[cfg(test)]
    pub(crate) fn break_off(&self) {
        let mut writer = self.writer();
        writer.file = File::open(&writer.path).unwrap();
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turned_away(&self) -> MutexGuard<'_, TurnedAway> {
        self.turned_away.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        let mut writer = self.writer();
        // It has been said if it fails.
        let _ = self.append_waiting(&mut writer);
        self.turned_away().end_minute(u64::MAX);
        let _ = self.append_waiting(&mut writer);
    }
}

impl TurnedAway {
    /// Ends the minute, if it is over. What was left out is counted on while too many lines wait.
    fn end_minute(&mut self, now: u64) {
        if now.abs_diff(self.since) < MINUTE_NS {
            return;
        }
        (self.since, self.said) = (now, 0);
        if self.left_out > 0 && self.waiting.len() < TURNED_AWAY_WAITING_MAX {
            let count = Some(std::mem::take(&mut self.left_out));
            self.waiting.push_back(Entry { count, ..Entry::new(Step::TurnedAwayMore) });
        }
    }

    fn note(&mut self, entry: Entry) {
        if self.said < TURNED_AWAY_MAX && self.waiting.len() < TURNED_AWAY_WAITING_MAX {
            self.said += 1;
            self.waiting.push_back(entry);
        } else {
            self.left_out += 1;
        }
    }
}

impl Writer {
    fn append(&mut self, entry: Entry) -> Result<u64, LogFailed> {
        if self.has_failed.load(Ordering::Relaxed) {
            return Err(LogFailed);
        }
        let (number, Timestamp(time)) = (self.count + 1, wall_clock());
        let line = Line { number, time, entry, before: self.last.to_hex().to_string() };
        let mut text = serde_json::to_string(&line).expect("a plain record");
        let last = hash(text.as_bytes());
        text.push('\n');
        self.file.write_all(text.as_bytes()).map_err(|error| self.take_back(&error))?;
        (self.count, self.last, self.length) = (number, last, self.length + text.len() as u64);
        self.reserve();
        Ok(number)
    }

    /// Keeps room for lines on the disk: what takes risk out of a venue is let in while the journal's disk is full, and has
    /// to be on record. Where the file system reserves nothing, there is only what is free.
    fn reserve(&mut self) {
        if self.length + RESERVE_BYTES / 2 > self.reserved {
            let kept = fallocate(&self.file, FallocateFlags::KEEP_SIZE, self.length, RESERVE_BYTES);
            if kept.is_ok() {
                self.reserved = self.length + RESERVE_BYTES;
            }
        }
    }

    /// Makes the last line stay. One that may not is taken out again as far as that goes: nothing comes of it, and the next
    /// start must not find that something was decided.
    fn sync(&self, before: u64) -> Result<(), LogFailed> {
        self.file.sync_data().map_err(|error| {
            let _ = self.file.set_len(before);
            self.fail(&error)
        })
    }

    /// Takes back what was written of a line. Where that can be done the next line is tried: there may be room again.
    fn take_back(&mut self, error: &io::Error) -> LogFailed {
        match self.file.set_len(self.length) {
            Ok(()) => self.say(error, "while that lasts"),
            Err(_) => self.fail(error),
        }
    }

    /// What was not written as a whole is cut at the next start.
    fn fail(&self, error: &io::Error) -> LogFailed {
        self.has_failed.store(true, Ordering::Relaxed);
        self.say(error, "until the venue is started again")
    }

    fn say(&self, error: &io::Error, how_long: &str) -> LogFailed {
        let file = self.path.display();
        error!(file = %file, "ALARM: {file}: {error}: no change is made at the operator's door {how_long}");
        LogFailed
    }
}

/// A file whose whole lines hold.
#[derive(Debug)]
pub(crate) struct Checked {
    /// How many.
    pub(crate) count: u64,
    /// The hash of the last one; zeros if there is none.
    pub(crate) last: Hash,
    /// Bytes behind the last line feed.
    pub(crate) torn: u64,
}

/// Reads a file and checks that each line is the next one and holds the one in front of it; `each` gets them in turn.
pub(crate) fn read(path: &Path, mut each: impl FnMut(Line)) -> Result<Checked, AccessLogError> {
    let failed = |source| AccessLogError::Io { file: path.to_owned(), source };
    let mut file = BufReader::new(File::open(path).map_err(failed)?);
    let mut checked = Checked { count: 0, last: Hash::from_bytes([0; 32]), torn: 0 };
    let mut text = Vec::new();
    loop {
        text.clear();
        file.read_until(b'\n', &mut text).map_err(failed)?;
        let Some((b'\n', text)) = text.split_last() else {
            return Ok(Checked { torn: text.len() as u64, ..checked });
        };
        let expected = checked.count + 1;
        let broken = |reason: String| AccessLogError::Broken { file: path.to_owned(), line: expected, reason };
        let line: Line =
            serde_json::from_slice(text).map_err(|error| broken(format!("it is no line of this file: {error}")))?;
        if line.number != expected {
            return Err(broken(format!("it has the number {}", line.number)));
        }
        if line.before != checked.last.to_hex().as_str() {
            let reason = "it does not follow the line in front, which was changed, or one of the two was";
            return Err(broken(reason.to_owned()));
        }
        (checked.count, checked.last) = (expected, hash(text));
        each(line);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::process::Command;

    use super::*;

    fn entry(number: u64) -> Entry {
        Entry { request: Some(number), reason: Some("a test".to_owned()), ..Entry::new(Step::Asked) }
    }

    fn opened(folder: &Path) -> AccessLog {
        AccessLog::open(folder, |_| {}).unwrap()
    }

    fn lines(folder: &Path) -> Vec<Line> {
        let mut lines = Vec::new();
        read(&folder.join(FILE), |line| lines.push(line)).unwrap();
        lines
    }

    fn written(folder: &Path, count: u64) {
        let log = opened(folder);
        for number in 0..count {
            log.write(entry(number)).unwrap();
        }
    }

    #[test]
    fn lines_are_there_again_and_go_on_where_they_ended() {
        let place = tempfile::tempdir().unwrap();
        written(place.path(), 3);
        let mut found = Vec::new();
        let log = AccessLog::open(place.path(), |line| found.push(line.number)).unwrap();
        assert_eq!(found, [1, 2, 3]);
        assert_eq!(log.write(entry(9)), Ok(4));
        let file = place.path().join(FILE);
        assert_eq!(lines(place.path()).len(), 4);
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn the_first_line_that_does_not_hold_is_named() {
        let place = tempfile::tempdir().unwrap();
        written(place.path(), 5);
        let file = place.path().join(FILE);
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let changed = lines[1].replace("a test", "a lie!");
        let cases = [
            (vec![lines[0], &changed, lines[2], lines[3], lines[4]], 3),
            (vec![lines[0], lines[2], lines[3], lines[4]], 2),
            (vec![lines[1], lines[2]], 1),
            (vec![lines[0], lines[1], lines[0]], 3),
            (vec![lines[0], "{}", lines[2]], 2),
            (vec![lines[0], "", lines[1]], 2),
        ];
        for (lines, first) in cases {
            fs::write(&file, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
            let AccessLogError::Broken { line, .. } = read(&file, |_| {}).unwrap_err() else { panic!("it is there") };
            assert_eq!(line, first, "{lines:?}");
            assert!(AccessLog::open(place.path(), |_| {}).is_err());
        }
    }

    #[test]
    fn a_line_that_was_not_finished_is_cut_and_that_is_on_record() {
        let place = tempfile::tempdir().unwrap();
        written(place.path(), 2);
        let file = place.path().join(FILE);
        let whole = fs::read(&file).unwrap();
        fs::write(&file, [&whole[..], b"{\"number\":3,\"ti"].concat()).unwrap();
        assert_eq!(read(&file, |_| {}).unwrap().torn, 15);
        assert_eq!(opened(place.path()).write(entry(4)), Ok(4));
        let lines = lines(place.path());
        assert_eq!((lines[2].entry.what, lines[2].entry.count), (Step::Cut, Some(15)));
    }

    #[test]
    fn who_is_turned_away_has_ten_lines_and_then_a_count() {
        let place = tempfile::tempdir().unwrap();
        let log = opened(place.path());
        for _ in 0..10_000 {
            if log.note_turned_away(Entry::new(Step::TurnedAway)) {
                log.write_turned_away();
            }
        }
        drop(log);
        let lines = lines(place.path());
        // Ten and a count for each minute that it took.
        assert!(lines.len() < 200, "{}", lines.len());
        let lines_of_their_own = lines.iter().filter(|line| line.entry.what == Step::TurnedAway).count() as u64;
        let counted: u64 = lines.iter().filter_map(|line| line.entry.count).sum();
        assert_eq!(lines_of_their_own + counted, 10_000);
    }

    #[test]
    fn while_the_disk_works_nobody_waits_who_may_not_and_the_next_writer_writes_what_came() {
        let place = tempfile::tempdir().unwrap();
        let log = opened(place.path());
        // As while a line is synced.
        let writer = log.writer();
        assert!(log.note_turned_away(Entry::new(Step::TurnedAway)));
        for _ in 1..10_000 {
            assert!(!log.note_turned_away(Entry::new(Step::TurnedAway)), "one is asked to write at a time");
        }
        assert!(!log.has_failed());
        assert!(log.turned_away().waiting.len() <= TURNED_AWAY_WAITING_MAX);
        drop(writer);
        log.write(entry(1)).unwrap();
        let written = lines(place.path());
        assert_eq!(written.last().unwrap().entry.what, Step::Asked);
        assert!(written.len() > TURNED_AWAY_MAX as usize, "{} lines", written.len());
        drop(log);
        let counted: u64 = lines(place.path()).iter().filter_map(|line| line.entry.count).sum();
        let of_their_own = lines(place.path()).iter().filter(|line| line.entry.what == Step::TurnedAway).count();
        assert_eq!(of_their_own as u64 + counted, 10_000);
    }

    #[test]
    fn after_a_failure_nothing_is_written_any_more() {
        let place = tempfile::tempdir().unwrap();
        written(place.path(), 1);
        let log = opened(place.path());
        log.break_off();
        assert_eq!(log.write(entry(2)), Err(LogFailed));
        let file = OpenOptions::new().append(true).open(place.path().join(FILE)).unwrap();
        log.writer().file = file;
        assert_eq!(log.write(entry(3)), Err(LogFailed));
        assert!(log.has_failed());
        assert_eq!(lines(place.path()).len(), 1);
    }

    /// A small file system in memory, which takes rights that few have.
    struct Small(tempfile::TempDir);

    impl Small {
        fn mounted() -> Option<Self> {
            let place = tempfile::tempdir().unwrap();
            let arguments = ["-t", "tmpfs", "-o", "size=2m", "tmpfs"];
            let mounted = Command::new("mount").args(arguments).arg(place.path()).output();
            mounted.is_ok_and(|output| output.status.success()).then(|| Self(place))
        }
    }

    impl Drop for Small {
        fn drop(&mut self) {
            // What is not unmounted is gone with the machine.
            let _ = Command::new("umount").arg("-l").arg(self.0.path()).output();
        }
    }

    #[test]
    fn a_full_disk_takes_what_is_reserved_and_goes_on_when_there_is_room() {
        let Some(disk) = Small::mounted() else {
            println!("skipped: no file system could be mounted");
            return;
        };
        let folder = disk.0.path();
        let log = opened(folder);
        assert_eq!(log.write(entry(1)), Ok(1));
        let filler = folder.join("filler");
        let full = fs::write(&filler, vec![0; 4 << 20]).unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
        // Half of what is reserved is there at any time.
        let mut count = 1;
        while log.write(entry(count)).is_ok() {
            count += 1;
        }
        let length = fs::metadata(folder.join(FILE)).unwrap().len();
        assert!(length >= RESERVE_BYTES / 2, "{count} lines, {length} bytes");
        assert!(!log.has_failed());
        assert_eq!(log.write(entry(0)), Err(LogFailed));
        fs::remove_file(filler).unwrap();
        assert_eq!(log.write(entry(0)), Ok(count + 1));
        assert_eq!(lines(folder).len() as u64, count + 1);
    }
}
