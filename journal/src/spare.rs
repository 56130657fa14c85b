//! Spare segments: two are allocated and zeroed ahead of need by a helper thread, so that the writer never waits for
//! either.
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

/// The helper thread, and what it shares with the writer. Dropping it ends the thread and removes the spares.
pub(crate) struct Spares {
    shelf: Arc<Shelf>,
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
    /// Starts the helper; it first makes the segment `first`.
    pub(crate) fn start(storage: Arc<dyn Storage>, first: SegmentNumber, segment_bytes: u64) -> io::Result<Self> {
        let shelf = Arc::new(Shelf::default());
        let filler = Filler { storage, shelf: shelf.clone(), next: first, segment_bytes };
        let helper = std::thread::Builder::new().name("journal-spare".to_owned()).spawn(move || filler.run())?;
        Ok(Self { shelf, helper: Some(helper) })
    }

    /// What the helper leaves its spares on.
    pub(crate) fn shelf(&self) -> &Arc<Shelf> {
        &self.shelf
    }

    /// The next spare; waits for it.
    pub(crate) fn take(&self, storage: &dyn Storage) -> Result<Spare, WriteError> {
        let mut state = self.shelf.lock();
        loop {
            if let Some(spare) = state.ready.pop_front() {
                self.shelf.announce(&state);
                return Ok(spare);
            }
            if let (Some(reason), true) = (&state.failure, state.intent >= Intent::Finish) {
                return Err(WriteError::NoSpare { directory: storage.path().to_owned(), reason: reason.clone() });
            }
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

    /// The segment takes so many bytes more.
    pub(crate) fn set_segment_room(&self, bytes: u64) {
        self.segment_room.store(bytes, Ordering::Relaxed);
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
}

struct Filler {
    storage: Arc<dyn Storage>,
    shelf: Arc<Shelf>,
    next: SegmentNumber,
    segment_bytes: u64,
}

impl Filler {
    fn run(mut self) {
        while self.is_wanted() {
            match Spare::create(self.storage.as_ref(), self.next, self.segment_bytes) {
                Ok(spare) => self.offer(spare),
                Err(error) => self.rest_after(&error),
            }
        }
        self.remove_spares();
    }

    /// Waits until a spare is wanted; false if none will be again.
    fn is_wanted(&self) -> bool {
        let mut state = self.shelf.lock();
        while state.ready.len() >= SPARES_MAX && state.intent < Intent::End {
            state = self.shelf.wait(state);
        }
        state.intent < Intent::End
    }

    fn offer(&mut self, spare: Spare) {
        self.next = spare.number.next();
        let mut state = self.shelf.lock();
        state.ready.push_back(spare);
        state.failure = None;
        self.shelf.announce(&state);
    }

    fn rest_after(&self, error: &io::Error) {
        let mut state = self.shelf.lock();
        state.failure = Some(error.to_string());
        self.shelf.announce(&state);
        if state.intent < Intent::End {
            // Woken early or late, the helper only tries again.
            let _ = self.shelf.changed.wait_timeout(state, RETRY_INTERVAL);
        }
    }

    /// What is left behind is removed when the journal is opened next: failing to do it here costs nothing.
    fn remove_spares(&self) {
        for spare in self.shelf.lock().ready.drain(..) {
            let _ = self.storage.remove(&spare.number.spare_name());
        }
    }
}
