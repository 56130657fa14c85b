//! What the program's exit code says.

use std::process::ExitCode;

use journal::{OpenError, ReadError, ReplayError, SnapshotError, StartError, WriteError};

/// How a tool ended. The numbers are part of the surface that others drive: they never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// What was compared agrees, or what was asked is done.
    Done = 0,
    /// What was compared differs.
    Differs = 1,
    /// The command line or the configuration cannot be followed.
    Usage = 2,
    /// Another process has the data folder.
    Locked = 3,
    /// The journal is damaged.
    Damaged = 4,
    /// The operating system failed.
    InputOutput = 5,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

impl From<&ReadError> for Exit {
    fn from(error: &ReadError) -> Self {
        match error {
            ReadError::NoJournal { .. } => Self::Usage,
            ReadError::Io { .. } => Self::InputOutput,
            ReadError::Damaged { .. } => Self::Damaged,
        }
    }
}

impl From<&ReplayError> for Exit {
    fn from(error: &ReplayError) -> Self {
        match error {
            ReplayError::Read(error) => error.into(),
            ReplayError::Thread(_) => Self::InputOutput,
            ReplayError::Behaviour { .. } => Self::Usage,
            ReplayError::Discontinuity { .. } => Self::Damaged,
            ReplayError::Differs { .. } => Self::Differs,
        }
    }
}

impl From<&WriteError> for Exit {
    fn from(_: &WriteError) -> Self {
        Self::InputOutput
    }
}

impl From<&OpenError> for Exit {
    fn from(error: &OpenError) -> Self {
        match error {
            OpenError::Locked { .. } => Self::Locked,
            OpenError::Read(error) => error.into(),
            OpenError::Write(error) => error.into(),
            OpenError::Io { .. } => Self::InputOutput,
            OpenError::Different { .. } | OpenError::Behaviour { .. } | OpenError::Option { .. } => Self::Usage,
            OpenError::Head { .. } | OpenError::Snapshot { .. } => Self::Damaged,
        }
    }
}

impl From<&SnapshotError> for Exit {
    fn from(error: &SnapshotError) -> Self {
        match error {
            SnapshotError::Io { .. } => Self::InputOutput,
            SnapshotError::ReadBack { .. } | SnapshotError::Checkpoint { .. } => Self::Damaged,
        }
    }
}

impl From<&StartError> for Exit {
    fn from(error: &StartError) -> Self {
        match error {
            StartError::Open(error) => error.into(),
            StartError::Replay(error) => error.into(),
            StartError::Snapshot(error) => error.into(),
            StartError::Changed { .. } => Self::Damaged,
        }
    }
}
