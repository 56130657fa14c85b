//! JSON lines in, JSON lines out, straight into the engine.
//!
//! Each line in is an object with an `op`; each line out is one event; the last line has the digests. The whole grammar
//! stands in the rulebook, in the section on scripts. Times come from `time` lines, never from a clock.

mod line;
mod names;
mod operations;
mod render;
mod words;

use std::io::{BufRead, Write};
use std::path::Path;

use engine::Capacity;

use crate::driver::Driver;
use crate::failure::Failure;
use crate::flow::Source;
use crate::json::Object;
use line::Line;
use operations::{Operations, Trouble};

/// What a script may use. Part of the state, so that changing it changes digests.
pub const CAPACITY: Capacity = Capacity {
    orders: 1 << 20,
    accounts: 1 << 14,
    assets: 64,
    instruments: 1 << 10,
    sessions: 1,
    keys: 1,
    grants: 1,
    price_blocks: 1 << 18,
};

/// What stands for standard input.
const STANDARD_INPUT: &str = "-";

/// Runs the script in the file `source.path`, or from standard input if that is `-`.
pub fn run(source: Source<'_>, output: &mut impl Write) -> Result<(), Failure> {
    if source.path == Path::new(STANDARD_INPUT) {
        return run_lines(source, std::io::stdin().lock(), output);
    }
    let file = std::fs::File::open(source.path).map_err(|error| Failure::io(source.path, error))?;
    run_lines(source, std::io::BufReader::new(file), output)
}

/// Runs `script`; `source.path` is only how it is called in messages.
///
/// Every line is answered before the next is read, so that a program at the other end of a pipe can wait for it.
pub fn run_lines(source: Source<'_>, script: impl BufRead, output: &mut impl Write) -> Result<(), Failure> {
    let mut operations = Operations::new(Driver::new(CAPACITY, source.journal)?);
    for (index, text) in script.lines().enumerate() {
        let text = text.map_err(|error| Failure::io(source.path, error))?;
        if text.trim().is_empty() {
            continue;
        }
        let malformed = |message: String| Failure::malformed(source.path, index as u64 + 1, message);
        let mut line = Line::parse(&text).map_err(malformed)?;
        let events = operations.apply(&mut line).map_err(|trouble| match trouble {
            Trouble::Script(message) => malformed(message),
            Trouble::Driver(failure) => failure,
        })?;
        for event in events {
            print(output, &event)?;
        }
        flush(output)?;
    }
    print(output, &operations.finish()?)?;
    flush(output)
}

fn print(output: &mut impl Write, object: &Object) -> Result<(), Failure> {
    writeln!(output, "{object}").map_err(|error| Failure::io(Path::new("standard output"), error))
}

fn flush(output: &mut impl Write) -> Result<(), Failure> {
    output.flush().map_err(|error| Failure::io(Path::new("standard output"), error))
}
