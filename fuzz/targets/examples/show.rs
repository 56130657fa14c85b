//! Shows what an input of the target `commands` does: the shortest stream in which engine and model still differ, and
//! the same as a script if it can be said in one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::{env, fs};

use targets::commands::{OPTIONS, restore_every, run};
use testkit::compare::Options;
use testkit::script::script;
use testkit::{show, shrink::shrink};

fn main() {
    let path = env::args().nth(1).expect("the path of an input");
    let bytes = fs::read(&path).expect("an input");
    let options = Options { restore_every: restore_every(bytes.get(2).copied().unwrap_or(0)), ..OPTIONS };
    let mut steps = Vec::new();
    // Shrinking finds a panic again.
    let _ = catch_unwind(AssertUnwindSafe(|| run(&bytes, |step| steps.push(*step))));
    let Some(shrunk) = shrink(&steps, options) else {
        print!("{}", show::stream(&steps));
        return println!("nothing is wrong with these {} steps", steps.len());
    };
    print!("{}", show::stream(&shrunk.steps));
    println!("{}", shrunk.difference);
    match script(&shrunk.steps, options.capacity) {
        Ok(script) => print!("as a script\n{script}"),
        Err(why) => println!("it cannot be said in a script: {why}"),
    }
}
