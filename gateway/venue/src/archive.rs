//! What a running venue keeps of its past: the shadow with its event history and snapshots, and a check of what a start
//! has passed over.
//!
//! All of it lives beside the core, from the journal alone. Where it fails, the venue goes on; it is said as an alarm, and
//! tried again.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};
use std::{io, thread};

use ed25519_dalek::SigningKey;
use journal::start::check_before;
use journal::{
    HISTORY_FOLDER, History, HistoryError, HistoryOptions, HistoryWriter, JournalSource, Keep, Link, Options,
    Retention, Shadow, ShadowError, ShadowEvent, SnapshotError, SnapshotPolicy, SnapshotRequest, SnapshotStore,
    StopFollowing,
};
use ring::{Idle, Watermark};
use tracing::{error, info, warn};

/// What is kept, and how.
#[derive(Debug, Clone)]
pub struct ArchivePlan {
    /// Commands between two snapshots; none: only when one is asked for.
    pub snapshot_every: Option<u64>,
    /// How many snapshots are kept.
    pub keep: Keep,
    /// How much of the event history is kept.
    pub retention: Retention,
    /// What checkpoints are signed with.
    pub key: SigningKey,
}

/// How long it takes until a shadow that has failed is tried again.
const RETRY: Duration = Duration::from_secs(10);

/// How fast what a start has passed over is read, so that the disk is the journal's: in bytes per second.
const CHECK_RATE: u64 = 100 << 20;

/// What there is to be seen of it, from any thread.
#[derive(Debug)]
pub struct ArchiveStatus {
    /// The last command whose events the history shows.
    reached: Arc<Watermark>,
    snapshot_count: AtomicU64,
    snapshot_sequence: AtomicU64,
    snapshot_bytes: AtomicU64,
    snapshot_writing_micros: AtomicU64,
    snapshot_micros: AtomicU64,
    is_failing: AtomicBool,
    /// The last snapshot that was due was not taken.
    snapshots_fail: AtomicBool,
    checked_bytes: AtomicU64,
    is_damaged: AtomicBool,
}

impl ArchiveStatus {
    fn new() -> Self {
        Self {
            reached: Arc::new(Watermark::new(0, Idle::Park)),
            snapshot_count: AtomicU64::new(0),
            snapshot_sequence: AtomicU64::new(0),
            snapshot_bytes: AtomicU64::new(0),
            snapshot_writing_micros: AtomicU64::new(0),
            snapshot_micros: AtomicU64::new(0),
            is_failing: AtomicBool::new(false),
            snapshots_fail: AtomicBool::new(false),
            checked_bytes: AtomicU64::new(0),
            is_damaged: AtomicBool::new(false),
        }
    }

    /// The last command whose events the history shows, to read and to wait for.
    pub fn reached(&self) -> &Arc<Watermark> {
        &self.reached
    }

    /// Snapshots taken since the start.
    pub fn snapshot_count(&self) -> u64 {
        self.snapshot_count.load(Ordering::Acquire)
    }

    /// The command behind which the last one was taken since the start; 0: none was.
    pub fn snapshot_sequence(&self) -> u64 {
        self.snapshot_sequence.load(Ordering::Relaxed)
    }

    /// How long its file is.
    pub fn snapshot_bytes(&self) -> u64 {
        self.snapshot_bytes.load(Ordering::Relaxed)
    }

    /// How long the shadow stood still to write it.
    pub fn snapshot_writing(&self) -> Duration {
        Duration::from_micros(self.snapshot_writing_micros.load(Ordering::Relaxed))
    }

    /// How long it took to write it and to restore an engine from it.
    pub fn snapshot_time(&self) -> Duration {
        Duration::from_micros(self.snapshot_micros.load(Ordering::Relaxed))
    }

    /// Whether history or snapshots cannot be written, or do not agree with the core.
    pub fn is_failing(&self) -> bool {
        self.is_failing.load(Ordering::Relaxed) || self.snapshots_fail.load(Ordering::Relaxed)
    }

    /// Bytes of the journal that the start had passed over and that were read since.
    pub fn checked_bytes(&self) -> u64 {
        self.checked_bytes.load(Ordering::Relaxed)
    }

    /// Whether damage was found there.
    pub fn is_damaged(&self) -> bool {
        self.is_damaged.load(Ordering::Relaxed)
    }

    fn took(&self, taken: &journal::Taken) {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        let checkpoint = taken.published.checkpoint.checkpoint;
        self.snapshot_sequence.store(checkpoint.sequence.0, Ordering::Relaxed);
        self.snapshot_bytes.store(taken.published.bytes, Ordering::Relaxed);
        self.snapshot_writing_micros.store(micros(taken.writing), Ordering::Relaxed);
        self.snapshot_micros.store(micros(taken.writing + taken.publishing), Ordering::Relaxed);
        self.snapshots_fail.store(false, Ordering::Relaxed);
        self.snapshot_count.fetch_add(1, Ordering::Release);
    }
}

/// The history, whichever writer grows it: one that has failed is followed by another; nothing while there is none.
#[derive(Debug, Clone, Default)]
pub struct SharedHistory(Arc<RwLock<Option<History>>>);

impl SharedHistory {
    /// A history that stays the same.
    pub fn new(history: History) -> Self {
        Self(Arc::new(RwLock::new(Some(history))))
    }

    /// The history as it is now.
    pub fn get(&self) -> Option<History> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on it is this one; nothing while there is none.
    pub fn set(&self, history: Option<History>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = history;
    }
}

/// Keeps a venue's past while it runs.
pub struct Archive {
    history: SharedHistory,
    status: Arc<ArchiveStatus>,
    request: SnapshotRequest,
    /// What ends the shadow that runs.
    following: Arc<Mutex<Option<StopFollowing>>>,
    /// Dropped to end the wait between two tries.
    stop: Sender<()>,
    thread: JoinHandle<()>,
    checking: Arc<AtomicBool>,
    check: Option<JoinHandle<()>>,
}

/// What the archive's thread works with.
struct Keeper {
    source: JournalSource,
    options: HistoryOptions,
    policy: SnapshotPolicy,
    directory: PathBuf,
    history: SharedHistory,
    status: Arc<ArchiveStatus>,
    request: SnapshotRequest,
    following: Arc<Mutex<Option<StopFollowing>>>,
}

impl Archive {
    /// Opens the history, and starts the shadow of the journal that is open in `directory`, and a check of what stands
    /// before `since`, from where the start has read it.
    ///
    /// # Errors
    /// A history of another journal or version; what the system does not allow.
    pub fn start(
        directory: &Path,
        source: JournalSource,
        plan: &ArchivePlan,
        since: Option<Link>,
        options: &Options,
    ) -> Result<Self, ArchiveError> {
        let store = SnapshotStore::create(directory)?;
        let policy = SnapshotPolicy { store, every: plan.snapshot_every, keep: plan.keep, key: plan.key.clone() };
        let verification = journal::history::Verification::Newest;
        let history_options = HistoryOptions { retention: plan.retention, verification, ..HistoryOptions::default() };
        let writer = match open_history(directory, &source, &history_options) {
            // The thread says so, and tries again; the venue runs meanwhile.
            Err(HistoryError::Io { .. }) => None,
            opened => Some(opened?),
        };
        let history = SharedHistory::default();
        let status = Arc::new(ArchiveStatus::new());
        let (request, following) = (SnapshotRequest::default(), Arc::default());
        let keeper = Keeper {
            source,
            options: history_options,
            policy,
            directory: directory.to_owned(),
            history: history.clone(),
            status: status.clone(),
            request: request.clone(),
            following: Arc::clone(&following),
        };
        let (stop, stopped) = channel();
        let thread = Builder::new().name("shadow".to_owned()).spawn(move || {
            crate::affinity::go_last();
            keeper.run(writer, &stopped);
        })?;
        let checking = Arc::new(AtomicBool::new(false));
        let check = since.map(|link| start_check(directory, options, link, &checking, &status)).transpose()?;
        Ok(Self { history, status, request, following, stop, thread, checking, check })
    }

    /// Shows the events.
    pub fn history(&self) -> &SharedHistory {
        &self.history
    }

    /// What there is to be seen.
    pub fn status(&self) -> &Arc<ArchiveStatus> {
        &self.status
    }

    /// Asks for a snapshot at the end of the next block of 1,024 commands.
    pub fn request_snapshot(&self) {
        self.request.ask();
    }

    /// Ends it where it is: what is missing is derived by the next start. A snapshot that is being published is waited for.
    ///
    /// # Panics
    /// If one of its threads has.
    pub fn stop(self) {
        drop(self.stop);
        self.checking.store(true, Ordering::Release);
        if let Some(following) = &*self.following.lock().unwrap_or_else(PoisonError::into_inner) {
            following.stop();
        }
        self.thread.join().expect("the shadow does not panic");
        if let Some(check) = self.check {
            check.join().expect("the check does not panic");
        }
    }
}

/// Why the past cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The event history cannot be opened.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// There is no place for snapshots.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(#[from] io::Error),
}

impl Keeper {
    /// Until the journal is closed.
    fn run(&self, writer: Option<HistoryWriter>, stopped: &Receiver<()>) {
        let mut next = writer;
        loop {
            let open = || open_history(&self.directory, &self.source, &self.options);
            let outcome = match next.take().map_or_else(open, Ok) {
                Ok(writer) => self.follow(writer, stopped),
                Err(error) => Err(error.into()),
            };
            let Err(error) = outcome else { break };
            // What it shows may not be what happened.
            self.history.set(None);
            self.status.is_failing.store(true, Ordering::Relaxed);
            error!(%error, "ALARM: event history and snapshots do not come along: {error}");
            if stopped.recv_timeout(RETRY) != Err(RecvTimeoutError::Timeout) {
                break;
            }
        }
        // Who waits for what does not come any more is told.
        self.status.reached.poison();
    }

    fn follow(&self, writer: HistoryWriter, stopped: &Receiver<()>) -> Result<(), ShadowError> {
        say_found(&writer);
        let reader = writer.reader();
        let shadow = Shadow::begin(&self.source, self.policy.clone(), self.request.clone(), writer)?;
        self.history.set(Some(reader));
        *self.following.lock().unwrap_or_else(PoisonError::into_inner) = Some(shadow.stop_handle());
        // Asked to stop before there was a handle to ask by.
        if stopped.try_recv() == Err(TryRecvError::Disconnected) {
            return Ok(());
        }
        let status = self.status.clone();
        shadow.run(move |event| tell(&status, event))
    }
}

/// Opens the history. One that is ahead of the journal is of another past: it is removed, and derived.
///
/// # Errors
/// As [`HistoryWriter::open`].
pub fn open_history(
    directory: &Path,
    source: &JournalSource,
    options: &HistoryOptions,
) -> Result<HistoryWriter, HistoryError> {
    let open = || HistoryWriter::open(directory, source.identity().journal, options);
    let writer = open()?;
    if writer.last() <= source.durable() {
        return Ok(writer);
    }
    drop(writer);
    let folder = directory.join(HISTORY_FOLDER);
    let shown = folder.display();
    warn!(folder = %shown, "event history: {shown} is ahead of the journal: it is derived again");
    std::fs::remove_dir_all(&folder).map_err(|source| HistoryError::Io { file: folder, source })?;
    open()
}

fn say_found(writer: &HistoryWriter) {
    let report = writer.report();
    for removed in &report.removed {
        let (file, reason) = (removed.file.display(), &removed.reason);
        warn!(%file, %reason, "event history: {file} is derived again: {reason}");
    }
    for file in &report.indexed {
        let file = file.display();
        info!(%file, "event history: {file} is made again");
    }
}

fn tell(status: &ArchiveStatus, event: ShadowEvent) {
    match event {
        ShadowEvent::Applied(sequence) => {
            if sequence.0 > status.reached.get() {
                status.reached.advance(sequence.0);
                if status.is_failing.swap(false, Ordering::Relaxed) {
                    info!(sequence = sequence.0, "event history and snapshots come along again");
                }
            }
        }
        ShadowEvent::HistoryWaits(error) => {
            if !status.is_failing.swap(true, Ordering::Relaxed) {
                error!(%error, "ALARM: event history and snapshots wait: {error}");
            }
        }
        ShadowEvent::Snapshot(taken) => status.took(&taken),
        ShadowEvent::SnapshotFailed(error) => {
            status.snapshots_fail.store(true, Ordering::Relaxed);
            error!(%error, "ALARM: no snapshot: {error}");
        }
    }
}

/// Reads what a start has passed over, slowly.
fn start_check(
    directory: &Path,
    options: &Options,
    link: Link,
    stop: &Arc<AtomicBool>,
    status: &Arc<ArchiveStatus>,
) -> io::Result<JoinHandle<()>> {
    let (directory, options, stop, status) = (directory.to_owned(), options.clone(), stop.clone(), status.clone());
    Builder::new().name("journal-check".to_owned()).spawn(move || {
        let begin = Instant::now();
        let outcome = check_before(&directory, &options, link, &stop, |bytes| {
            let read = status.checked_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
            let due = Duration::from_secs_f64(read as f64 / CHECK_RATE as f64);
            let early = due.saturating_sub(begin.elapsed());
            if early > Duration::from_millis(10) {
                thread::sleep(early.min(Duration::from_millis(100)));
            }
        });
        if let Err(error) = outcome {
            status.is_damaged.store(true, Ordering::Relaxed);
            error!(%error, "ALARM: the journal before the snapshot that the venue began with: {error}");
        }
    })
}
