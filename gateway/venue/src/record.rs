//! `rialto record`: the market data of a running venue in a file, for `rialto play` and whoever reads recordings.
//!
//! What is received goes to the file before it is looked at, and is looked at all the same: only a subscriber that follows
//! its books knows what it missed, asks for it, and can say what it has proven.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use client::market_data::{Contents, GapCounters, SubscribeError, Subscriber, Update};
use indicatif::{HumanBytes, HumanCount, ProgressBar};
use serde::Serialize;
use serde_json::Value;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};
use wire::FeedLevel;

use crate::admin::value::TimeText;
use crate::arguments::{LevelArgument, RecordArguments};
use crate::exit::Exit;
use crate::journal_tools::{self, Failed, rate, styled};
use crate::market_data;
use crate::reach::ReachError;

/// How often what is buffered goes to the file, and the bar moves.
const TICK: Duration = Duration::from_millis(250);

/// What was received, and what it proved.
#[derive(Debug, Serialize)]
pub(crate) struct Counted {
    packets: u64,
    messages: u64,
    snapshots: u64,
    /// Messages of the control lane.
    controls: u64,
    bytes: u64,
    /// How often a snapshot had to bridge missing messages, and how many those were.
    gaps: u64,
    missed: u64,
    /// How often the venue said that it left messages out.
    notices: u64,
    repeated: u64,
    conflated: u64,
    proven: u64,
    differing: u64,
    /// When the first and the last of it was received.
    first: Option<u64>,
    last: Option<u64>,
}

impl Counted {
    pub(crate) fn of(contents: Contents, counters: GapCounters) -> Self {
        let Contents { packets, messages, snapshots, controls, bytes, first_at, last_at } = contents;
        let GapCounters { gaps, messages: missed, notices, repeated, conflated, proven, differing } = counters;
        let [first, last] = [first_at, last_at].map(|at| at.map(|at| at.0));
        Self {
            packets,
            messages,
            snapshots,
            controls,
            bytes,
            gaps,
            missed,
            notices,
            repeated,
            conflated,
            proven,
            differing,
            first,
            last,
        }
    }

    /// Whether every book was the venue's.
    pub(crate) fn exit(&self) -> Exit {
        if self.differing == 0 { Exit::Done } else { Exit::Differs }
    }
}

/// An answer as an object; for people with times that they can read.
pub(crate) fn answer(answer: &impl Serialize, json: bool) -> Value {
    let mut object = journal_tools::to_value(answer);
    if !json {
        for name in ["first", "last"] {
            if let Some(at) = object[name].as_u64() {
                object[name] = TimeText(engine::Timestamp(at)).to_string().into();
            }
        }
    }
    object
}

/// How far it is, on a line.
pub(crate) fn progress(contents: Contents, gaps: GapCounters, seconds: f64) -> String {
    let mut text = format!(
        "{} messages, {}, {}/s, {} gaps, {} proven",
        HumanCount(contents.messages),
        HumanBytes(contents.bytes),
        HumanCount(rate(contents.messages, seconds)),
        gaps.gaps,
        gaps.proven,
    );
    if gaps.differing > 0 {
        text += &format!(", {} differing", gaps.differing);
    }
    text
}

/// What was recorded.
#[derive(Debug, Serialize)]
struct Answer {
    file: String,
    #[serde(flatten)]
    counted: Counted,
    seconds: f64,
    messages_per_second: u64,
}

/// Why nothing more is recorded, or nothing was.
#[derive(Debug, thiserror::Error)]
enum RecordError {
    #[error(transparent)]
    Reach(#[from] ReachError),
    /// The recording is whole up to there.
    #[error("{reason}; {} has {messages} messages up to there", file.display())]
    Ended { file: PathBuf, messages: u64, reason: String },
}

impl Failed for RecordError {
    fn exit(&self) -> Exit {
        match self {
            Self::Reach(error) => error.exit(),
            Self::Ended { .. } => Exit::InputOutput,
        }
    }

    fn place(&self) -> (Option<&Path>, Option<u64>) {
        match self {
            Self::Ended { file, .. } | Self::Reach(ReachError::File { file, .. }) => (Some(file), None),
            Self::Reach(_) => (None, None),
        }
    }
}

/// Records until there is enough.
pub fn run(arguments: &RecordArguments) -> Exit {
    match record(arguments) {
        Ok(done) => journal_tools::print(&answer(&done, arguments.json), &[], arguments.json, done.counted.exit()),
        Err(error) => journal_tools::print_error(&error, arguments.json),
    }
}

fn record(arguments: &RecordArguments) -> Result<Answer, RecordError> {
    let levels = levels(&arguments.levels);
    for &level in &levels {
        market_data::check_mode(level, arguments.mode.into())?;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| ReachError::Lost(error.to_string()))?;
    runtime.block_on(async {
        let instruments = market_data::instruments(&arguments.subscriber, &arguments.instruments).await?;
        let mut subscriber = market_data::connect(&arguments.subscriber, arguments.mode.into()).await?;
        subscriber.record(&arguments.out).map_err(|source| file_error(&arguments.out, source))?;
        let start = Instant::now();
        let taken = async {
            for level in levels {
                let subscribed = subscriber.subscribe(&instruments, level, arguments.mode.into()).await;
                subscribed.map_err(|error| ended(&arguments.out, error))?;
            }
            take(&mut subscriber, arguments, start).await
        };
        let taken = taken.await;
        let contents = subscriber.end_recording().map_err(|source| file_error(&arguments.out, source))?;
        let contents = contents.unwrap_or_default();
        if let Err(error) = taken {
            return Err(unfinished(&arguments.out, contents, error));
        }
        let seconds = start.elapsed().as_secs_f64();
        Ok(Answer {
            file: arguments.out.display().to_string(),
            counted: Counted::of(contents, subscriber.gaps()),
            seconds,
            messages_per_second: rate(contents.messages, seconds),
        })
    })
}

/// Why a recording ends before it should. One with nothing in it does not stay.
fn unfinished(file: &Path, contents: Contents, error: ReachError) -> RecordError {
    if contents.packets + contents.snapshots == 0 {
        // It is this program's own and new; what is to be told is why there is nothing.
        let _ = std::fs::remove_file(file);
        return error.into();
    }
    match error {
        ReachError::Lost(reason) => RecordError::Ended { file: file.to_owned(), messages: contents.messages, reason },
        error => error.into(),
    }
}

/// Each once, in the order in which they were named.
fn levels(named: &[LevelArgument]) -> Vec<FeedLevel> {
    let mut levels = Vec::new();
    for level in if named.is_empty() { &[LevelArgument::Mbp] } else { named } {
        let level = FeedLevel::from(*level);
        if !levels.contains(&level) {
            levels.push(level);
        }
    }
    levels
}

fn file_error(file: &Path, source: std::io::Error) -> ReachError {
    match source.kind() {
        std::io::ErrorKind::AlreadyExists => {
            ReachError::Usage(format!("--out {}: it is there already, and is not written over", file.display()))
        }
        _ => ReachError::File { file: file.to_owned(), source },
    }
}

fn ended(file: &Path, error: SubscribeError) -> ReachError {
    match error {
        SubscribeError::Recording(source) => file_error(file, source),
        error => ReachError::Lost(error.to_string()),
    }
}

/// Takes what comes until there is enough, or nothing comes any more.
async fn take(subscriber: &mut Subscriber, arguments: &RecordArguments, start: Instant) -> Result<(), ReachError> {
    let bar = Bar::new(arguments);
    let mut signals = Signals::new().map_err(|error| ReachError::Lost(error.to_string()))?;
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let enough = Duration::from_secs(arguments.seconds.unwrap_or(u64::MAX >> 2));
    let mut is_over = false;
    while !is_over {
        tokio::select! {
            update = subscriber.next() => match update {
                Ok(Update::Rejected(reject)) => {
                    let what = reject.security_id.map_or_else(|| "everything".to_owned(), |id| id.to_string());
                    return Err(ReachError::Usage(format!("{what}: the venue refuses: {:?}", reject.reason)));
                }
                Ok(_) => {}
                Err(error) => return Err(ended(&arguments.out, error)),
            },
            _ = ticks.tick() => {
                if let Some(recorder) = subscriber.recorder() {
                    recorder.flush().map_err(|source| file_error(&arguments.out, source))?;
                }
                bar.show(subscriber, start);
            }
            () = signals.any() => is_over = true,
        }
        let messages = subscriber.recorded().map_or(0, |contents| contents.messages);
        is_over |= start.elapsed() >= enough || arguments.count.is_some_and(|count| messages >= count);
    }
    bar.line.finish_and_clear();
    Ok(())
}

/// How far it is, on standard error if that is a terminal.
struct Bar {
    line: ProgressBar,
    /// What its length is of.
    unit: Unit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Seconds,
    Messages,
    Endless,
}

impl Bar {
    fn new(arguments: &RecordArguments) -> Self {
        let (line, unit, template) = match (arguments.seconds, arguments.count) {
            (Some(seconds), _) => (ProgressBar::new(seconds), Unit::Seconds, "{bar:20} {pos} of {len} s, {wide_msg}"),
            (None, Some(count)) => (ProgressBar::new(count), Unit::Messages, "{bar:20} {eta} left, {wide_msg}"),
            (None, None) => (ProgressBar::new_spinner(), Unit::Endless, "{spinner} {elapsed}, {wide_msg}"),
        };
        Self { line: styled(line, template), unit }
    }

    fn show(&self, subscriber: &Subscriber, start: Instant) {
        let (contents, elapsed) = (subscriber.recorded().unwrap_or_default(), start.elapsed());
        self.line.set_message(progress(contents, subscriber.gaps(), elapsed.as_secs_f64()));
        match self.unit {
            Unit::Seconds => self.line.set_position(elapsed.as_secs()),
            Unit::Messages => self.line.set_position(contents.messages),
            Unit::Endless => self.line.tick(),
        }
    }
}

/// What asks this program to end.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
