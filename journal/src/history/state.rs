//! What there is of a history, as its readers see it.

use std::path::PathBuf;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};

use engine::{Sequence, Timestamp};

use super::file::ListedFile;
use super::index::Index;
use super::layout::FileHeader;

/// A file of events that is complete.
#[derive(Debug, Clone)]
pub(super) enum CompleteFile {
    /// The usual case.
    Indexed { path: PathBuf, index: Arc<Index> },
    /// Its index is not written yet, or of no use.
    Listed(Arc<ListedFile>),
}

impl CompleteFile {
    pub(super) fn sequences(&self) -> (Sequence, Sequence) {
        match self {
            Self::Indexed { index, .. } => (index.header.events.first, index.header.last),
            Self::Listed(file) => (file.header.first, file.last),
        }
    }

    /// Nothing if it has no events.
    pub(super) fn times(&self) -> Option<(Timestamp, Timestamp)> {
        match self {
            Self::Indexed { index, .. } => (index.header.page_count > 0).then_some(index.header.times),
            Self::Listed(file) => file.times(),
        }
    }

    /// How it begins.
    pub(super) fn begins(&self) -> FileHeader {
        match self {
            Self::Indexed { index, .. } => index.header.events,
            Self::Listed(file) => file.header,
        }
    }

    /// How the next file begins.
    pub(super) fn next(&self) -> FileHeader {
        match self {
            Self::Indexed { index, .. } => index.header.events.next(index.header.last, index.header.digest),
            Self::Listed(file) => file.next(),
        }
    }

    /// Bytes of its events.
    pub(super) fn length(&self) -> u64 {
        match self {
            Self::Indexed { index, .. } => index.header.length,
            Self::Listed(file) => file.end,
        }
    }
}

/// Everything that readers look at.
#[derive(Debug, Default)]
pub(super) struct State {
    /// In order, without gaps.
    pub(super) complete: Vec<CompleteFile>,
    /// The file behind them, with the pages of its block in progress.
    pub(super) growing: Option<ListedFile>,
    /// Canonical events of the page in progress.
    pub(super) filling: Vec<u8>,
    /// The last command whose events all are here.
    pub(super) last: Sequence,
}

impl State {
    /// The first command whose events are here; behind the last if there are none.
    pub(super) fn first(&self) -> Sequence {
        match (self.complete.first(), &self.growing) {
            (Some(file), _) => file.sequences().0,
            (None, Some(file)) => file.header.first,
            (None, None) => Sequence(1),
        }
    }
}

/// State that one thread changes and others look at.
#[derive(Debug, Default)]
pub(super) struct Shared(RwLock<State>);

impl Shared {
    pub(super) fn new(state: State) -> Self {
        Self(RwLock::new(state))
    }

    /// No change can be left half done: nothing that is done under the lock panics.
    pub(super) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.0.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.0.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}
