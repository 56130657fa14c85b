//! `scaling`: what an operation costs as a venue grows, and what a resting order takes of memory.
//!
//! Exit codes: 0 done, 1 a run came to something else than it has to, 2 usage, 5 input and output.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use benches::driver::progress_bar;
use benches::failure::Failure;
use benches::json::Object;
use benches::machine::Machine;
use benches::scaling::Axis;
use benches::scaling::memory::{in_a_process_of_its_own, resident_bytes};
use benches::scaling::plot::{self, Point};
use benches::scaling::run::{Cost, measure};
use benches::scaling::shape::{Mode, Shape};
use benches::scaling::stream::{Mix, Stream};
use clap::{Parser, ValueEnum};
use indicatif::ProgressBar;
use serde_json::Number;

#[derive(Parser)]
#[command(version, about = "Times an operation as a venue grows, and weighs its resting orders")]
struct Arguments {
    /// What grows; all in turns if it is not given.
    #[arg(long, value_enum)]
    axis: Option<Axis>,
    /// How much of a venue; both if it is not given.
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    /// Operations of a run, after the books are full.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(1..=50_000_000))]
    operations: u32,
    /// Runs of each point, of which the median is told.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    runs: u32,
    /// Resting orders where they are not what grows.
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u32).range(100..=10_000_000))]
    orders: u32,
    /// Leave out what is larger.
    #[arg(long, default_value_t = 10_000_000)]
    max: u32,
    /// Of orders and operations.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Print one JSON object a line instead of tables.
    #[arg(long)]
    json: bool,
    /// Draw a picture of each axis into this folder.
    #[arg(long, value_name = "DIR")]
    plot: Option<PathBuf>,
    /// Weigh so many resting orders in this process, and print nothing but the bytes.
    #[arg(long, hide = true, requires = "mode")]
    weigh: Option<u32>,
}

impl Arguments {
    fn axes(&self) -> &[Axis] {
        self.axis.as_ref().map_or(Axis::value_variants(), std::slice::from_ref)
    }

    fn modes(&self) -> &[Mode] {
        self.mode.as_ref().map_or(Mode::value_variants(), std::slice::from_ref)
    }

    /// All points of an axis.
    fn shapes(&self, axis: Axis) -> impl Iterator<Item = (u32, Shape)> {
        let modes = move |value| self.modes().iter().map(move |&mode| (value, axis.shape(value, self.orders, mode)));
        axis.values(self.max).flat_map(modes)
    }

    /// That every axis has points, and each of them can be.
    fn check(&self) -> Result<(), Failure> {
        for &axis in self.axes() {
            if self.axis.is_some() && axis.values(self.max).next().is_none() {
                let (max, name) = (self.max, axis.name());
                return Err(Failure::Usage(format!("--max {max}: every point of --axis {name} is larger")));
            }
            if let Some(fault) = self.shapes(axis).find_map(|(_, shape)| shape.fault()) {
                return Err(Failure::Usage(format!("--axis {}, --orders {}: {fault}", axis.name(), self.orders)));
            }
        }
        Ok(())
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("scaling: {failure}");
            failure.exit().into()
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let (Some(orders), Some(mode)) = (arguments.weigh, arguments.mode) {
        let shape = Axis::Memory.shape(orders, orders, mode);
        println!("{}", resident_bytes(&shape, arguments.seed)?);
        return Ok(());
    }
    arguments.check()?;
    let machine = Machine::this();
    if !arguments.json {
        println!("{}", heading(arguments, &machine));
    }
    let steps = |&axis: &Axis| arguments.shapes(axis).count() * steps_of(arguments, axis);
    let progress = progress_bar(arguments.axes().iter().map(steps).sum());
    for &axis in arguments.axes() {
        match axis {
            Axis::Memory => weigh(arguments, &machine, &progress)?,
            Axis::Orders | Axis::Levels | Axis::Instruments | Axis::Accounts => {
                time(arguments, axis, &machine, &progress)?;
            }
        }
    }
    progress.finish_and_clear();
    Ok(())
}

/// One to write the stream, then the runs, and one more for single operations.
fn steps_of(arguments: &Arguments, axis: Axis) -> usize {
    if axis == Axis::Memory { 1 } else { arguments.runs as usize + 2 }
}

fn time(arguments: &Arguments, axis: Axis, machine: &Machine, progress: &ProgressBar) -> Result<(), Failure> {
    let mut points = Vec::new();
    for (value, shape) in arguments.shapes(axis) {
        let stream = Stream::generate(shape, arguments.operations, arguments.seed)?;
        progress.inc(1);
        let cost = measure(&stream, arguments.runs, || progress.inc(1))?;
        if points.is_empty() && !arguments.json {
            say(progress, &columns(axis));
        }
        points.push(Point { value, mode: shape.mode, nanoseconds: cost.nanoseconds });
        let text = match arguments.json {
            true => object(arguments, axis, value, &stream, &cost, machine).to_string(),
            false => row(value, &stream, &cost),
        };
        say(progress, &text);
    }
    match &arguments.plot {
        Some(directory) if !points.is_empty() => picture(arguments, directory, axis, &points, progress),
        _ => Ok(()),
    }
}

fn picture(
    arguments: &Arguments,
    directory: &Path,
    axis: Axis,
    points: &[Point],
    progress: &ProgressBar,
) -> Result<(), Failure> {
    let path = plot::write(directory, axis, points)?;
    if !arguments.json {
        say(progress, &format!("drawn: {}", path.display()));
    }
    Ok(())
}

fn weigh(arguments: &Arguments, machine: &Machine, progress: &ProgressBar) -> Result<(), Failure> {
    for (index, (orders, shape)) in arguments.shapes(Axis::Memory).enumerate() {
        let (mode, seed) = (shape.mode.name(), arguments.seed);
        let again = format!("--weigh {orders} --mode {mode} --seed {seed}");
        let bytes = in_a_process_of_its_own(&again.split(' ').map(str::to_owned).collect::<Vec<_>>())?;
        progress.inc(1);
        let each = bytes as f64 / f64::from(orders);
        if index == 0 && !arguments.json {
            say(progress, &format!("\n{:>14}  {:8} {:>16} {:>15}", "orders", "mode", "bytes an order", "resident MiB"));
        }
        let text = match arguments.json {
            true => {
                let mut object = place(Axis::Memory, orders, &shape);
                object.number("seed", seed);
                object.number("resident_bytes", bytes);
                object.number("bytes_per_order", rounded(each));
                taken_on(object, machine).to_string()
            }
            false => format!("{:>14}  {mode:8} {each:>16.1} {:>15}", orders, bytes >> 20),
        };
        say(progress, &text);
    }
    Ok(())
}

fn say(progress: &ProgressBar, text: &str) {
    progress.suspend(|| println!("{text}"));
}

fn heading(arguments: &Arguments, machine: &Machine) -> String {
    let Machine { cores, processor, commit } = machine;
    let Arguments { operations, runs, seed, .. } = arguments;
    format!(
        "{cores} cores, {processor}; commit {commit}\none thread, closed loop, {operations} operations a run, medians \
         of {runs} runs, seed {seed}\nns: of one operation, {}; p99: of single operations, with a clock reading",
        "commands that wait together"
    )
}

fn columns(axis: Axis) -> String {
    format!(
        "\n{:>14}  {:8} {:>10} {:>8} {:>11} {:>9} {:>8} {:>9} {:>8}",
        axis.counts(),
        "mode",
        "orders",
        "levels",
        "instruments",
        "accounts",
        "sessions",
        "ns",
        "p99 ns"
    )
}

fn row(value: u32, stream: &Stream, cost: &Cost) -> String {
    let Shape { mode, orders, levels, instruments, accounts } = stream.shape;
    let (sessions, p99) = (stream.shape.sessions(), cost.each.value_at_quantile(0.99));
    format!(
        "{value:>14}  {:8} {orders:>10} {levels:>8} {instruments:>11} {accounts:>9} {sessions:>8} {:>9.1} {p99:>8}",
        mode.name(),
        cost.nanoseconds
    )
}

fn object(arguments: &Arguments, axis: Axis, value: u32, stream: &Stream, cost: &Cost, machine: &Machine) -> Object {
    let Mix { resting, cancels, crossing } = stream.mix;
    let mut object = place(axis, value, &stream.shape);
    object.number("operations", arguments.operations);
    object.number("runs", arguments.runs);
    object.number("seed", arguments.seed);
    object.number("new_orders", resting);
    object.number("cancels", cancels);
    object.number("crossing_orders", crossing);
    object.number("nanoseconds_per_operation", rounded(cost.nanoseconds));
    object.number("nanoseconds_p50", cost.each.value_at_quantile(0.5));
    object.number("nanoseconds_p99", cost.each.value_at_quantile(0.99));
    object.number("trades", stream.tally.trades);
    object.number("events", stream.events());
    object.text("checksum", format_args!("{:016x}", stream.tally.checksum));
    taken_on(object, machine)
}

/// Where on an axis, and what is there.
fn place(axis: Axis, value: u32, shape: &Shape) -> Object {
    let mut object = Object::default();
    object.text("axis", axis.name());
    object.number("value", value);
    object.text("mode", shape.mode.name());
    object.number("orders", shape.orders);
    object.number("levels", shape.levels);
    object.number("instruments", shape.instruments);
    object.number("accounts", shape.accounts);
    object.number("sessions", shape.sessions());
    object
}

fn taken_on(mut object: Object, machine: &Machine) -> Object {
    object.number("cores", machine.cores);
    object.text("processor", &machine.processor);
    object.text("commit", &machine.commit);
    object
}

/// To a tenth.
fn rounded(number: f64) -> Number {
    Number::from_f64((number * 10.0).round() / 10.0).unwrap_or_else(|| Number::from(0))
}
