//! Load that does not lie: open loop, timed from when each order was meant to be sent, every result beside its limit.
//!
//! * [`arguments`] — what is asked for.
//! * [`schedule`] — when each order is meant to be sent, and which of them count.
//! * [`recorder`] — times on their way to a result.
//! * [`result`] — what a run found, as JSON and back; [`table`] — for people; [`percentiles`] — for plotting tools.
//! * [`environment`] — what it was taken on, and what spoils it.
//! * [`progress`] — how far it is.
//! * [`threads`] — where what is measured runs, and how what loads it waits; [`traffic`] — what is sent without a network.
//! * [`engine`], [`pipeline`], [`recovery`] — what is measured.
//! * [`sweep`] — the same at rising rates; [`compare`] — two results, by [`bootstrap`].
//!
//! Through a venue's doors:
//!
//! * [`round_trip`] — from an order to its report; [`tick_to_trade`] — from an order to its trade at a subscriber;
//!   [`fan_out`] — from an event to many subscribers.
//! * [`traders`] and [`link`] — the traders' one thread and its connections; [`orders`] — what they send; [`crowd`] —
//!   sessions beside them that say nothing.
//! * [`watchers`] — subscribers on one thread.
//! * [`stage`] — the venue that is loaded; [`parts`] — how it shares the time with its limits.
//! * [`echo`], [`ring_limit`] and [`bare_quic`] — the limits; [`duplex`] and [`timer`] — what both ends of a connection
//!   are made of.
//! * [`breakdown`] — where an order's time goes; [`processor_time`] — what threads take of the processors.

pub mod arguments;
pub mod bare_quic;
pub mod bootstrap;
pub mod breakdown;
pub mod compare;
pub mod crowd;
pub mod duplex;
pub mod echo;
pub mod engine;
pub mod environment;
pub mod fan_out;
pub mod link;
pub mod orders;
pub mod parts;
pub mod percentiles;
pub mod pipeline;
pub mod processor_time;
pub mod progress;
pub mod recorder;
pub mod recovery;
pub mod result;
pub mod ring_limit;
pub mod round_trip;
pub mod schedule;
pub mod stage;
pub mod sweep;
pub mod table;
pub mod threads;
pub mod tick_to_trade;
pub mod timer;
pub mod traders;
pub mod traffic;
pub mod watchers;

use std::path::Path;
use std::sync::OnceLock;

use venue::exit::Exit;

use self::arguments::{Arguments, CommandLine, Mode, Task};
use self::environment::{Watch, load_average};
use self::progress::Progress;
use self::result::Report;
use crate::failure::Failure;

/// Does what the command line asks for.
pub fn run(command_line: &CommandLine) -> Result<Exit, Failure> {
    let progress = Progress::new();
    match &command_line.task {
        None => measure_all(command_line, &progress),
        Some(Task::Sweep(arguments)) => sweep::run(arguments, &progress, measure).map(|()| Exit::Done),
        Some(Task::Crowd(arguments)) => crowd::run(arguments, &progress).map(|()| Exit::Done),
        Some(Task::Prepare { data }) => stage::prepare(data).map(|()| Exit::Done),
        Some(Task::Compare(arguments)) => {
            let compared = compare::run(arguments)?;
            say(&progress, &compared.text)?;
            Ok(if compared.is_worse { Exit::Differs } else { Exit::Done })
        }
    }
}

fn measure_all(command_line: &CommandLine, progress: &Progress) -> Result<Exit, Failure> {
    for arguments in command_line.measurements()? {
        for report in measure(&arguments, progress)? {
            say(progress, &said(&arguments, &report))?;
            if let Some(directory) = &arguments.hgrm {
                percentiles::write_all(directory, &report)?;
            }
        }
    }
    Ok(Exit::Done)
}

fn say(progress: &Progress, text: &str) -> Result<(), Failure> {
    progress.say(text).map_err(|error| Failure::io(Path::new("standard output"), error))
}

/// Before the first run.
static LOAD_AVERAGE: OnceLock<Option<f64>> = OnceLock::new();

/// One run of a mode, what it was taken on included.
pub fn measure(arguments: &Arguments, progress: &Progress) -> Result<Vec<Report>, Failure> {
    arguments.check()?;
    let root = Path::new("/");
    let load_average = *LOAD_AVERAGE.get_or_init(|| load_average(root));
    let watch = Watch::begin(root, load_average, arguments);
    let mut reports = run_mode(arguments, progress)?;
    progress.clear();
    let environment = watch.end();
    reports.iter_mut().for_each(|report| report.environment = environment.clone());
    Ok(reports)
}

fn run_mode(arguments: &Arguments, progress: &Progress) -> Result<Vec<Report>, Failure> {
    match arguments.mode {
        Mode::Engine => engine::run(arguments, progress),
        Mode::Pipeline => pipeline::run(arguments, progress),
        Mode::Recovery => recovery::run(arguments, progress),
        Mode::RoundTrip => round_trip::run(arguments, progress),
        Mode::TickToTrade => tick_to_trade::run(arguments, progress),
        Mode::FanOut => fan_out::run(arguments, progress),
    }
}

fn said(arguments: &Arguments, report: &Report) -> String {
    if arguments.json { report.to_json() } else { table::of(report) }
}
