//! `rialto serve` as a process of its own.

use std::path::Path;
use std::process::Command;

/// A venue in `data`, on free ports.
pub(crate) fn serve(data: &Path) -> Command {
    let any = "127.0.0.1:0";
    let mut command = Command::new(env!("CARGO_BIN_EXE_rialto"));
    command.args(["serve", "--order-entry", any, "--market-data", any, "--http", any]);
    // The head of a killed venue goes with the test's folder.
    command.arg("--data").arg(data).arg("--head").arg(data);
    command
}
