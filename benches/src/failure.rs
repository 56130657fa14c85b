//! What keeps a tool from doing its work, and the exit code that says so.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use journal::{AppendError, OpenError, ReplayError, WriteError};
use marketdata::SubscribeError;
use venue::exit::Exit;

use crate::trading::served::ServedError;

/// Why a tool could not do its work. A result that differs from the data is not a failure: see [`crate::outcome`].
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A place in an input that does not say what it should.
    #[error("{}:{line}: {message}", file.display())]
    Malformed {
        /// The input.
        file: PathBuf,
        /// Its line, from 1; in a binary input the message, from 1.
        line: u64,
        /// What is wrong there.
        message: String,
    },
    /// An input or output that could not be read or written.
    #[error("{}: {source}", path.display())]
    Io {
        /// What was read or written.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The journal could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The journal could not be written.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The journal could not be completed.
    #[error(transparent)]
    Write(#[from] Arc<WriteError>),
    /// A journal could not be replayed.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// A venue could not be traded with.
    #[error(transparent)]
    Served(#[from] ServedError),
    /// A session was lost.
    #[error("the session was lost: {0}")]
    Session(#[from] client::Error),
    /// Market data was lost.
    #[error(transparent)]
    MarketData(#[from] SubscribeError),
    /// What had to come did not.
    #[error("{0}")]
    Missing(String),
    /// An option that cannot be honoured.
    #[error("{0}")]
    Usage(String),
}

impl Failure {
    /// Something wrong at `line` of `file`.
    pub fn malformed(file: &Path, line: u64, message: impl Into<String>) -> Self {
        Self::Malformed { file: file.to_owned(), line, message: message.into() }
    }

    /// What the system said about `path`.
    pub fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    /// What the program's exit code says.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Malformed { .. } | Self::Usage(_) => Exit::Usage,
            Self::Open(error) => error.into(),
            Self::Replay(error) => error.into(),
            Self::Served(ServedError::Serve(error)) => error.exit(),
            Self::Missing(_) => Exit::Differs,
            Self::Io { .. }
            | Self::Append(_)
            | Self::Write(_)
            | Self::Served(_)
            | Self::Session(_)
            | Self::MarketData(_) => Exit::InputOutput,
        }
    }
}
