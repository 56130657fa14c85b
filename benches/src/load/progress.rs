//! How far a measurement is: a bar on standard error, if that is a terminal.

use std::io::{self, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// How often the bar moves while something is timed.
const INTERVAL: Duration = Duration::from_millis(200);

/// The bar.
#[derive(Debug, Clone)]
pub struct Progress {
    bar: ProgressBar,
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}

impl Progress {
    /// An empty one.
    pub fn new() -> Self {
        let bar = ProgressBar::new(0);
        let style = ProgressStyle::with_template("{msg:30} {wide_bar} {percent:>3} % {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self { bar }
    }

    /// Begins something of so many steps.
    pub fn begin(&self, what: &str, steps: u64) {
        self.bar.reset();
        self.bar.set_length(steps);
        self.bar.set_message(what.to_owned());
    }

    /// So many steps of it are done.
    pub fn done(&self, steps: u64) {
        self.bar.inc(steps);
    }

    /// Begins something that takes so long; the bar follows until what is given is dropped.
    pub fn timed(&self, what: &str, length: Duration) -> Timed {
        self.begin(what, length.as_millis() as u64);
        if self.bar.is_hidden() {
            return Timed { moving: None };
        }
        let (bar, begun) = (self.bar.clone(), Instant::now());
        let (ended, end) = mpsc::channel::<()>();
        let moving = std::thread::spawn(move || {
            while end.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout) {
                bar.set_position((begun.elapsed().min(length)).as_millis() as u64);
            }
        });
        Timed { moving: Some((ended, moving)) }
    }

    /// Prints a result on standard output, the bar out of the way.
    pub fn say(&self, text: &str) -> io::Result<()> {
        self.bar.suspend(|| writeln!(io::stdout(), "{text}"))
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// Something that is being timed.
#[derive(Debug)]
pub struct Timed {
    moving: Option<(Sender<()>, JoinHandle<()>)>,
}

impl Drop for Timed {
    fn drop(&mut self) {
        if let Some((ended, moving)) = self.moving.take() {
            drop(ended);
            // It only moves the bar.
            let _ = moving.join();
        }
    }
}
