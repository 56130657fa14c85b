//! `simulator`: worlds by their seeds, until one breaks a promise.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use fuzz::shares::Row;
use serde_json::{Map, Value, json};
use simulator::shrink::{Shrunk, shrink};
use simulator::{Lived, Marks, Part, Parts, Plan, Plant, Tally, live};

/// The whole venue in one thread, from one seed, with faults far above reality.
#[derive(Debug, Parser)]
#[command(name = "simulator", version)]
struct Arguments {
    /// One world; what happened in it is printed with --log.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Worlds A..B, B not included. Without --seed and --seeds: from a fresh seed on.
    #[arg(long, value_parser = range)]
    seeds: Option<(u64, u64)>,
    /// Ends after so many minutes.
    #[arg(long)]
    minutes: Option<u64>,
    /// Worlds at the same time.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Prints what happened.
    #[arg(long)]
    log: bool,
    /// One JSON object on the last line.
    #[arg(long)]
    json: bool,
    /// Parts that are left out, by their names, with commas.
    #[arg(long, value_delimiter = ',', value_parser = part)]
    without: Vec<Part>,
    /// So many commands, and not what the seed says.
    #[arg(long)]
    commands: Option<u64>,
    /// Plants a fault, by its name; `all`: each in turn, and how many worlds it takes to find it.
    #[arg(long)]
    plant: Option<String>,
    /// A planted fault has to be found within so many worlds.
    #[arg(long, default_value_t = 200)]
    within: u64,
    /// Leaves a world that broke a promise as it is.
    #[arg(long)]
    no_shrink: bool,
    /// Adds the result to this file, as one JSON object on one line.
    #[arg(long)]
    record: Option<PathBuf>,
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let parsed = text.split_once("..").and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    parsed.filter(|(from, to)| from < to).ok_or_else(|| "A..B is expected, with A below B".to_owned())
}

fn part(name: &str) -> Result<Part, String> {
    let known = || Part::ALL.iter().map(|part| part.name()).collect::<Vec<_>>().join(", ");
    Part::ALL.iter().copied().find(|part| part.name() == name).ok_or_else(|| format!("one of {}", known()))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    simulator::finding::tell_panics_as_findings();
    match arguments.plant.as_deref() {
        Some("all") => plant_all(&arguments),
        Some(name) => match Plant::ALL.iter().find(|plant| plant.name() == name) {
            Some(&plant) => run(&arguments, Some(plant)),
            None => {
                let names: Vec<_> =
                    Plant::ALL.iter().map(|plant| format!("  {}: {}", plant.name(), plant.words())).collect();
                eprintln!("simulator: --plant: all, or one of\n{}", names.join("\n"));
                ExitCode::from(2)
            }
        },
        None => run(&arguments, None),
    }
}

impl Arguments {
    fn plan(&self, seed: u64) -> Plan {
        let without = self.without.iter().fold(Parts::default(), |parts, &part| parts.with(part));
        let plan = Plan::of(seed, without);
        Plan { commands: self.commands.unwrap_or(plan.commands), ..plan }
    }

    fn seeds(&self) -> (u64, u64) {
        match (self.seed, self.seeds) {
            (Some(seed), _) => (seed, seed + 1),
            (None, Some(seeds)) => seeds,
            (None, None) => {
                let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let first = since.as_secs() << 20;
                println!("seeds from {first} on");
                (first, first + (1 << 20))
            }
        }
    }
}

/// What many worlds came to.
#[derive(Default)]
struct Sums {
    worlds: u64,
    tally: Tally,
    broken: Vec<(u64, Lived)>,
}

impl Sums {
    fn add(&mut self, seed: u64, lived: Lived) {
        self.worlds += 1;
        let (sum, tally) = (&mut self.tally, &lived.tally);
        sum.steps += tally.steps;
        sum.simulated_ns += tally.simulated_ns;
        sum.commands += tally.commands;
        sum.starts += tally.starts;
        sum.refused_starts += tally.refused_starts;
        sum.marks.add(&tally.marks);
        sum.subscribers = sum.subscribers.and(tally.subscribers);
        if lived.finding.is_some() {
            self.broken.push((seed, lived));
        }
    }
}

/// Lives worlds until all are lived, the time is up, or one breaks a promise; the first seed that was not lived, and sums.
fn live_all(arguments: &Arguments, (first, end): (u64, u64), plant: Option<Plant>) -> (u64, Sums) {
    let begun = Instant::now();
    let limit = arguments.minutes.map(|minutes| Duration::from_secs(60 * minutes));
    let (next, is_over, sums) = (AtomicU64::new(first), AtomicBool::new(false), Mutex::new(Sums::default()));
    thread::scope(|scope| {
        for _ in 0..arguments.threads.max(1) {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) && limit.is_none_or(|limit| begun.elapsed() < limit) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let lived = live(&arguments.plan(seed), plant, arguments.log && arguments.seed.is_some());
                    if lived.finding.is_some() {
                        is_over.store(true, Ordering::Relaxed);
                    }
                    sums.lock().expect("nobody panics with it").add(seed, lived);
                }
            });
        }
    });
    let sums = sums.into_inner().expect("nobody panics with it");
    (first + sums.worlds, sums)
}

fn run(arguments: &Arguments, plant: Option<Plant>) -> ExitCode {
    let begun = Instant::now();
    let seeds = arguments.seeds();
    if arguments.seed.is_some() && arguments.log {
        let lived = live(&arguments.plan(seeds.0), plant, true);
        lived.log.iter().for_each(|line| println!("{line}"));
    }
    let (end, mut sums) = live_all(arguments, seeds, plant);
    let wall = begun.elapsed();
    sums.broken.sort_by_key(|(seed, _)| *seed);
    for (seed, lived) in &sums.broken {
        tell(arguments, *seed, lived, plant);
    }
    let row = Row::now(summary(arguments, seeds.0, end, &sums, wall));
    if arguments.json {
        println!("{}", row.json());
    } else {
        say(seeds.0, end, &sums, wall);
    }
    if let Some(file) = &arguments.record
        && let Err(error) = row.keep(file)
    {
        eprintln!("simulator: {}: {error}", file.display());
        return ExitCode::from(5);
    }
    if sums.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) }
}

fn tell(arguments: &Arguments, seed: u64, lived: &Lived, plant: Option<Plant>) {
    let Some(finding) = &lived.finding else { return };
    println!("seed {seed}: {finding}");
    if arguments.no_shrink {
        return;
    }
    let Some(Shrunk { plan, lived, tried }) = shrink(&arguments.plan(seed), plant) else {
        println!("  and not when it is lived again: the world does not repeat");
        return;
    };
    let plant = plant.map_or_else(String::new, |plant| format!(" --plant {}", plant.name()));
    println!(
        "  shrunk in {tried} worlds: simulator --seed {seed} --log --commands {} --without {}{plant}",
        plan.commands, plan.without
    );
    if let Some(finding) = &lived.finding {
        println!("  {finding}");
    }
    let tail = lived.log.len().saturating_sub(25);
    lived.log[tail..].iter().for_each(|line| println!("    {line}"));
}

fn say(first: u64, end: u64, sums: &Sums, wall: Duration) {
    let Tally { steps, simulated_ns, commands, starts, refused_starts, marks, subscribers, .. } = &sums.tally;
    let hours = *simulated_ns as f64 / 3.6e12;
    println!(
        "seeds {first}..{end}: {} worlds, {steps} steps, {commands} commands, {starts} starts, {refused_starts} of them \
         refused by a disk, {hours:.1} simulated hours in {:.1} s; broken {}",
        sums.worlds,
        wall.as_secs_f64(),
        sums.broken.len()
    );
    println!(
        "subscribers: {} connections, {} books compared on the way and {} at the end, {} checksums",
        subscribers.connections, subscribers.compared, subscribers.ended, subscribers.proven
    );
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (group, name, count) in marks.reached() {
        groups.entry(format!("{group:?}")).or_default().push(format!("{name} {count}"));
    }
    groups.iter().for_each(|(group, reached)| println!("{group}: {}", reached.join(", ")));
    let never: Vec<String> = marks.never().into_iter().map(|(group, name)| format!("{group:?} {name}")).collect();
    println!("never: {}", never.join(", "));
}

fn summary(arguments: &Arguments, first: u64, end: u64, sums: &Sums, wall: Duration) -> Value {
    let seconds = wall.as_secs_f64();
    json!({
        "seeds": [first, end],
        "worlds": sums.worlds,
        "steps": sums.tally.steps,
        "commands": sums.tally.commands,
        "starts": sums.tally.starts,
        "refused_starts": sums.tally.refused_starts,
        "simulated_hours": (sums.tally.simulated_ns as f64 / 3.6e12 * 10.0).round() / 10.0,
        "threads": arguments.threads,
        "wall_seconds": (seconds * 10.0).round() / 10.0,
        "steps_per_second": (sums.tally.steps as f64 / seconds).round(),
        "books_compared": sums.tally.subscribers.compared + sums.tally.subscribers.ended,
        "broken": sums.broken.iter().map(|(seed, lived)| json!({
            "seed": seed,
            "finding": lived.finding.as_ref().map(ToString::to_string),
        })).collect::<Vec<_>>(),
        "marks": marks(&sums.tally.marks),
    })
}

fn marks(marks: &Marks) -> Value {
    let mut groups: Map<String, Value> = Map::new();
    for (group, name, count) in marks.reached() {
        let group = groups.entry(format!("{group:?}")).or_insert_with(|| json!({}));
        group[name] = count.into();
    }
    for (group, name) in marks.never() {
        let group = groups.entry(format!("{group:?}")).or_insert_with(|| json!({}));
        group[name.as_str()] = 0.into();
    }
    groups.into()
}

/// Plants every fault, one after the other, and says how many worlds it takes to find it.
fn plant_all(arguments: &Arguments) -> ExitCode {
    let first = arguments.seeds().0;
    let mut unfound = 0;
    for &plant in Plant::ALL {
        let (end, sums) = live_all(arguments, (first, first + arguments.within), Some(plant));
        match sums.broken.iter().min_by_key(|(seed, _)| *seed) {
            Some((seed, lived)) => {
                let promise = lived.finding.as_ref().map(|finding| finding.promise);
                println!("{:<24} found in {:>4} worlds: {promise:?}, seed {seed}", plant.name(), seed - first + 1);
            }
            None => {
                unfound += 1;
                println!("{:<24} not found in {} worlds", plant.name(), end - first);
            }
        }
    }
    if unfound == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) }
}
