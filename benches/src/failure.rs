//! What keeps a tool from doing its work, and the exit code that says so.

use std::path::{Path, PathBuf};

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

    /// The exit code: 2 for usage and malformed input, 5 for input and output.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Malformed { .. } | Self::Usage(_) => 2,
            Self::Io { .. } => 5,
        }
    }
}
