//! Long proofs by numbers: a range of them, shared by a few threads, and a line of results for it.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use benches::machine::commit;
use serde::Serialize;

/// Reads `A..B`, B not included.
///
/// # Errors
///
/// What is wrong with it.
pub fn parse_range(text: &str) -> Result<Range<u64>, String> {
    let (first, end) = text.split_once("..").ok_or("a range is said as A..B, for example 1..101")?;
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    let range = number(first)?..number(end)?;
    if range.is_empty() { Err(format!("there is nothing from {first} to below {end}")) } else { Ok(range) }
}

/// Does `work` for chunks of the range on so many threads, each with a state of its own; gives the states.
///
/// # Panics
///
/// If a thread does.
pub fn share<S: Send>(
    range: Range<u64>,
    chunk: u64,
    threads: u8,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, Range<u64>) + Sync,
) -> Vec<S> {
    let next = AtomicU64::new(range.start);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut state = state();
                loop {
                    let first = next.fetch_add(chunk, Ordering::Relaxed);
                    if first >= range.end {
                        break;
                    }
                    work(&mut state, first..range.end.min(first + chunk));
                }
                done.lock().expect("no thread panics with it").push(state);
            });
        }
    });
    done.into_inner().expect("no thread panics with it")
}

/// This build: optimised or not.
pub fn build() -> &'static str {
    if cfg!(debug_assertions) { "debug" } else { "release" }
}

/// One line of the results, with what was found in it.
#[derive(Debug, Serialize)]
pub struct Row<T> {
    /// When.
    pub time: String,
    /// Of which commit.
    pub commit: String,
    /// Optimised or not.
    pub build: &'static str,
    /// What was done and found.
    #[serde(flatten)]
    pub found: T,
}

impl<T: Serialize> Row<T> {
    /// A line of this moment.
    pub fn now(found: T) -> Self {
        Self { time: jiff::Timestamp::now().strftime("%FT%TZ").to_string(), commit: commit(), build: build(), found }
    }

    /// One object on one line.
    ///
    /// # Panics
    ///
    /// If the found is not a plain record.
    pub fn json(&self) -> String {
        serde_json::to_string(self).expect("a plain record")
    }

    /// Adds the line to those that are kept.
    ///
    /// # Errors
    ///
    /// If the file cannot be written.
    pub fn keep(&self, file: &Path) -> io::Result<()> {
        writeln!(OpenOptions::new().create(true).append(true).open(file)?, "{}", self.json())
    }
}
