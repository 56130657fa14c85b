//! `io_kinds`: a server's thread that waits by a runtime, by readiness or by io_uring, beside each other.
//!
//! Exit codes: 0 done, 2 usage, 5 input and output.

use std::process::ExitCode;
use std::time::Duration;

use benches::driver::progress_bar;
use benches::failure::Failure;
use benches::io_kinds::{Kind, Measured, Options, REPLY_BYTES, REQUEST_BYTES, Route, WINDOW_MAX, measure};
use benches::json::Object;
use benches::machine::Machine;
use clap::{Parser, ValueEnum};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Number;
use venue::affinity::CoreNumber;

#[derive(Parser)]
#[command(version, about = "Times kinds of I/O for a thread that serves sockets and hears from another thread")]
struct Arguments {
    /// Only this kind.
    #[arg(long, value_enum)]
    kind: Option<Kind>,
    /// Only this route.
    #[arg(long, value_enum)]
    route: Option<Route>,
    /// Numbers of connections.
    #[arg(long, value_delimiter = ',', default_value = "1,10,100,1000", value_parser = clap::value_parser!(u16).range(1..=1_000))]
    connections: Vec<u16>,
    /// Requests outstanding on each connection.
    #[arg(long, value_delimiter = ',', default_value = "1,16", value_parser = clap::value_parser!(u16).range(1..=WINDOW_MAX as i64))]
    windows: Vec<u16>,
    /// Seconds of each measurement, behind a quarter of that which does not count.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Processors of server, client and second thread, as far as they are given.
    #[arg(long, value_delimiter = ',', value_name = "LIST")]
    cores: Vec<usize>,
    /// Print one JSON object a line instead of a table.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    fn options(&self) -> Result<Vec<Options>, Failure> {
        if !(0.01..=600.0).contains(&self.seconds) {
            return Err(Failure::Usage(format!("--seconds {}: from 0.01 to 600", self.seconds)));
        }
        let available = venue::affinity::available();
        let cores: Vec<CoreNumber> = self.cores.iter().copied().map(CoreNumber).collect();
        if let Some(CoreNumber(core)) = cores.iter().find(|core| !available.contains(core)) {
            return Err(Failure::Usage(format!("--cores {core}: there is no such processor")));
        }
        let time = Duration::from_secs_f64(self.seconds);
        let mut all = Vec::new();
        for &route in Route::value_variants().iter().filter(|route| self.route.is_none_or(|it| it == **route)) {
            for (&connections, &window) in
                self.connections.iter().flat_map(|it| self.windows.iter().map(move |w| (it, w)))
            {
                for &kind in Kind::value_variants().iter().filter(|kind| self.kind.is_none_or(|it| it == **kind)) {
                    let (connections, window) = (connections.into(), window.into());
                    all.push(Options {
                        kind,
                        route,
                        connections,
                        window,
                        warm_up: time / 4,
                        time,
                        cores: cores.clone(),
                    });
                }
            }
        }
        Ok(all)
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("io_kinds: {failure}");
            failure.exit().into()
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut all = arguments.options()?;
    for &kind in Kind::value_variants() {
        if let Some(obstacle) = kind.obstacle() {
            eprintln!("io_kinds: {obstacle}; left out");
            all.retain(|options| options.kind != kind);
        }
    }
    raise_descriptors();
    let machine = Machine::this();
    if !arguments.json {
        println!("{}", heading(&machine));
    }
    let progress = progress_bar(all.len());
    for options in &all {
        let measured = measure(options)?;
        let line =
            if arguments.json { object(options, &measured, &machine).to_string() } else { row(options, &measured) };
        progress.suspend(|| println!("{line}"));
        progress.inc(1);
    }
    progress.finish_and_clear();
    Ok(())
}

/// A thousand connections have two thousand ends here. Where the system does not let them, connecting says so.
fn raise_descriptors() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}

fn heading(machine: &Machine) -> String {
    let Machine { cores, processor, commit } = machine;
    format!(
        "{cores} cores, {processor}; commit {commit}\nclosed loop over loopback TCP, {REQUEST_BYTES} bytes in, \
         {REPLY_BYTES} out; the server's processor time and sleeps are for an answer\n{:9} {:10} {:>11} {:>6} {:>11} \
         {:>10} {:>10} {:>12} {:>7}",
        "route", "kind", "connections", "window", "answers/s", "p50 us", "p99 us", "processor ns", "sleeps"
    )
}

fn row(options: &Options, measured: &Measured) -> String {
    let micros = |quantile| measured.latency.value_at_quantile(quantile) as f64 / 1e3;
    let cell = |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
    format!(
        "{:9} {:10} {:>11} {:>6} {:>11.0} {:>10.1} {:>10.1} {:>12} {:>7}",
        name(options.route),
        name(options.kind),
        options.connections,
        options.window,
        measured.per_second(),
        micros(0.5),
        micros(0.99),
        cell(measured.processor_ns_each(), 0),
        cell(measured.sleeps_each(), 3),
    )
}

fn object(options: &Options, measured: &Measured, machine: &Machine) -> Object {
    let mut object = Object::default();
    object.text("route", name(options.route));
    object.text("kind", name(options.kind));
    object.number("connections", options.connections);
    object.number("window", options.window);
    object.number("answers", measured.answers);
    object.number("answers_per_second", measured.per_second().round() as u64);
    for (name, quantile) in [("p50_ns", 0.5), ("p99_ns", 0.99), ("max_ns", 1.0)] {
        object.number(name, measured.latency.value_at_quantile(quantile));
    }
    let figures =
        [("server_ns_per_answer", measured.processor_ns_each()), ("server_sleeps_per_answer", measured.sleeps_each())];
    for (name, figure) in figures {
        if let Some(figure) = figure.and_then(|figure| Number::from_f64((figure * 1e3).round() / 1e3)) {
            object.number(name, figure);
        }
    }
    object.text("machine", format!("{}, {} cores", machine.processor, machine.cores));
    object.text("commit", &machine.commit);
    object
}

fn name(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}
