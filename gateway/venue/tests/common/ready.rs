//! A venue in a process of its own, from when it says that it is ready.

use std::io::{BufRead, BufReader};
use std::process::{ChildStdout, Command, Stdio};

use serde_json::Value;

use super::killed::Killed;

/// Starts `rialto serve`: the process, what it says from then on, and where its doors are.
pub(crate) fn start(mut command: Command) -> (Killed, BufReader<ChildStdout>, Value) {
    let mut process = Killed(command.stdout(Stdio::piped()).spawn().unwrap());
    let mut output = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    loop {
        line.clear();
        assert_ne!(output.read_line(&mut line).unwrap(), 0, "the venue ended before it was ready");
        if let Some(ready) = line.strip_prefix("READY ") {
            return (process, output, serde_json::from_str(ready).unwrap());
        }
    }
}
