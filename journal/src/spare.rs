//! Spare segments: two are allocated and zeroed ahead of need by a helper, so that the writer never waits for either. The
//! helper is a thread, or whoever works [in turns](crate::Hands).
//!
//! Failing to allocate is not failing to write: the helper tries again, and meanwhile less is let in.
//!
//! ```text
//!   the last attempt   spares left   let in
//!   succeeded          any           everything; the helper may just be at work
//!   failed             two           everything
//!   failed             one           cancels only
//!   failed             none          nothing: a segment has just been begun, and has room for what is on its way
//! ```
//!
//! Should that segment fill all the same, the writer waits for a spare, the head fills, and the core waits for the head.
//! Nothing is lost, and freeing space ends it.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use ring::{Admission, SharedAdmission};

use crate::error::WriteError;
use crate::hands::Made;
use crate::segment::SegmentNumber;
use crate::space::SPARES_MAX;
use crate::storage::{Storage, StorageFile};

/// How long the helper waits after a failure: a full disk does not empty faster.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);

/// A file of zeros that is to become a segment.
pub(crate) struct Spare {
    pub(crate) number: SegmentNumber,
    pub(crate) file: Box<dyn StorageFile>,
}

impl Spare {
    /// Allocates and zeroes one.
    pub(crate) fn create(storage: &dyn Storage, number: SegmentNumber, segment_bytes: u64) -> io::Result<Self> {
        Ok(Self { number, file: storage.create(&number.spare_name(), segment_bytes)? })
    }
}

/// What the writer takes spares from, and the helper thread. Dropping it ends the thread, which removes the spares.
pub(crate) struct Spares {
    shelf: Arc<Shelf>,
    /// Nothing in turns, and once the thread is being ended.
    helper: Option<JoinHandle<()>>,
}

/// Where the helper leaves spares for the writer, and what follows from it.
#[derive(Default)]
pub(crate) struct Shelf {
    state: Mutex<ShelfState>,
    changed: Condvar,
    admission: Arc<SharedAdmission>,
    /// Bytes that the segment which is being written still takes.
    segment_room: AtomicU64,
    /// Which that is.
    segment: AtomicU64,
}

#[derive(Default)]
struct ShelfState {
    /// In the order in which they are to be taken.
    ready: VecDeque<Spare>,
    /// Why the last attempt failed; nothing once one succeeds.
    failure: Option<String>,
    intent: Intent,
}

/// What the shelf is still for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
enum Intent {
    /// Spares are made as they are taken.
    #[default]
    Serve,
    /// The venue stops: who waits for a spare while none can be made gives up.
    Finish,
    /// The helper ends.
    End,
}

impl Spares {
    /// Starts a thread that fills the shelf.
    pub(crate) fn start(filler: Filler) -> io::Result<Self> {
        let shelf = filler.shelf.clone();
        let helper = std::thread::Builder::new().name("journal-spare".to_owned()).spawn(move || filler.run())?;
        Ok(Self { shelf, helper: Some(helper) })
    }

    /// Somebody else works with `filler`.
    pub(crate) fn in_turns(filler: &Filler) -> Self {
        Self { shelf: filler.shelf.clone(), helper: None }
    }

    /// What the helper leaves its spares on.
    pub(crate) fn shelf(&self) -> &Arc<Shelf> {
        &self.shelf
    }

    /// The next spare, if there is one now.
    pub(crate) fn take(&self, storage: &dyn Storage) -> Result<Option<Spare>, WriteError> {
        let mut state = self.shelf.lock();
        if let Some(spare) = state.ready.pop_front() {
            self.shelf.announce(&state);
            return Ok(Some(spare));
        }
        match state.gives_up() {
            Some(reason) => {
                Err(WriteError::NoSpare { directory: storage.path().to_owned(), reason: reason.to_owned() })
            }
            None => Ok(None),
        }
    }

    /// Waits until there is one, or there is to be none.
    pub(crate) fn wait(&self) {
        let mut state = self.shelf.lock();
        while state.ready.is_empty() && state.gives_up().is_none() {
            state = self.shelf.wait(state);
        }
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        self.shelf.advance_intent(Intent::End);
        if let Some(helper) = self.helper.take() {
            // A helper that panicked leaves at most its spares behind, which the next opening removes.
            let _ = helper.join();
        }
    }
}

impl Shelf {
    /// The venue stops: nobody shall wait for space that does not come.
    pub(crate) fn finish(&self) {
        self.advance_intent(Intent::Finish);
    }

    /// Why no spare can be made, while that is so.
    pub(crate) fn failure(&self) -> Option<String> {
        self.lock().failure.clone()
    }

    /// What is let in, while the disk fills and else.
    pub(crate) fn admission(&self) -> &Arc<SharedAdmission> {
        &self.admission
    }

    /// Spares that are ready.
    pub(crate) fn spare_count(&self) -> usize {
        self.lock().ready.len()
    }

    /// Bytes that the segment which is being written still takes.
    pub(crate) fn segment_room(&self) -> u64 {
        self.segment_room.load(Ordering::Relaxed)
    }

    /// The segment that is being written.
    pub(crate) fn segment(&self) -> SegmentNumber {
        SegmentNumber(self.segment.load(Ordering::Relaxed))
    }

    /// This segment is being written, and takes so many bytes more.
    pub(crate) fn set_segment(&self, number: SegmentNumber, room_bytes: u64) {
        self.segment.store(number.0, Ordering::Relaxed);
        self.segment_room.store(room_bytes, Ordering::Relaxed);
    }

    /// Tells who waits, and who asks what is let in.
    fn announce(&self, state: &ShelfState) {
        self.admission.set(state.admission());
        self.changed.notify_all();
    }

    /// Intents only go on: a venue that finishes does not revive a helper that was ended.
    fn advance_intent(&self, intent: Intent) {
        let mut state = self.lock();
        state.intent = state.intent.max(intent);
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, ShelfState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, ShelfState>) -> MutexGuard<'a, ShelfState> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }
}

impl ShelfState {
    fn admission(&self) -> Admission {
        match (&self.failure, self.ready.len()) {
            (None, _) | (Some(_), SPARES_MAX..) => Admission::Everything,
            (Some(_), 1) => Admission::CancelsOnly,
            (Some(_), 0) => Admission::Nothing,
        }
    }

    fn is_full(&self) -> bool {
        self.ready.len() >= SPARES_MAX
    }

    /// Why nobody shall wait for a spare: none can be made, and the venue stops.
    fn gives_up(&self) -> Option<&str> {
        self.failure.as_deref().filter(|_| self.intent >= Intent::Finish)
    }
}

/// Makes the spares.
pub(crate) struct Filler {
    storage: Arc<dyn Storage>,
    shelf: Arc<Shelf>,
    next: SegmentNumber,
    segment_bytes: u64,
}

impl Filler {
    /// For an empty shelf; it first makes the segment `first`.
    pub(crate) fn new(storage: Arc<dyn Storage>, first: SegmentNumber, segment_bytes: u64) -> Self {
        Self { storage, shelf: Arc::default(), next: first, segment_bytes }
    }

    /// Makes a spare if one is wanted.
    pub(crate) fn step(&mut self) -> Made {
        if self.shelf.lock().is_full() {
            return Made::Nothing;
        }
        match Spare::create(self.storage.as_ref(), self.next, self.segment_bytes) {
            Ok(spare) => self.offer(spare),
            Err(error) => self.fail(&error),
        }
    }

    /// What is left behind is removed when the journal is opened next: failing to do it here costs nothing.
    pub(crate) fn remove_spares(&self) {
        for spare in self.shelf.lock().ready.drain(..) {
            let _ = self.storage.remove(&spare.number.spare_name());
        }
    }

    fn run(mut self) {
        while self.wait_until_wanted() {
            if self.step() == Made::Failed {
                self.rest();
            }
        }
        self.remove_spares();
    }

    /// False if no spare will be wanted again.
    fn wait_until_wanted(&self) -> bool {
        let mut state = self.shelf.lock();
        while state.is_full() && state.intent < Intent::End {
            state = self.shelf.wait(state);
        }
        state.intent < Intent::End
    }

    fn rest(&self) {
        let state = self.shelf.lock();
        if state.intent < Intent::End {
            // Woken early or late, the helper only tries again.
            let _ = self.shelf.changed.wait_timeout(state, RETRY_INTERVAL);
        }
    }

    fn offer(&mut self, spare: Spare) -> Made {
        self.next = spare.number.next();
        let mut state = self.shelf.lock();
        state.ready.push_back(spare);
        state.failure = None;
        self.shelf.announce(&state);
        Made::Spare
    }

    fn fail(&self, error: &io::Error) -> Made {
        let mut state = self.shelf.lock();
        state.failure = Some(error.to_string());
        self.shelf.announce(&state);
        Made::Failed
    }
}
