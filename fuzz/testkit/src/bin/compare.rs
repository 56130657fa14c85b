//! Compares the engine with the model over seeds.

use clap::Parser;
use testkit::compare::{Options, Pair};
use testkit::workload::{PROFILES, Workload, profile};

#[derive(Parser)]
struct Arguments {
    #[arg(long, default_value = "1..11")]
    seeds: String,
    #[arg(long, default_value_t = 1000)]
    commands: usize,
    #[arg(long)]
    profile: Option<String>,
}

fn main() {
    let arguments = Arguments::parse();
    let (from, to) = arguments.seeds.split_once("..").unwrap();
    let profiles: Vec<_> = match &arguments.profile {
        Some(name) => vec![profile(name).unwrap()],
        None => PROFILES.to_vec(),
    };
    for profile in profiles {
        for seed in from.parse::<u64>().unwrap()..to.parse::<u64>().unwrap() {
            let mut workload = Workload::new(profile, seed);
            let mut pair = Pair::new(Options::default());
            for _ in 0..arguments.commands {
                let step = workload.next_step();
                match pair.step(&step) {
                    Ok(events) => workload.observe(&step, &events),
                    Err(difference) => {
                        println!("profile {} seed {seed}: {difference}", profile.name);
                        return;
                    }
                }
            }
            println!("{} {seed} {:?}", profile.name, pair.tally());
        }
    }
}
