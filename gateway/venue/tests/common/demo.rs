//! A venue of a test's own, in the test's process: the demo's instruments, accounts and keys, on free ports.

use std::path::Path;

use clap::Parser;
use tempfile::TempDir;
use venue::arguments::{Arguments, ServeArguments, Tool};
use venue::demo;
use venue::serve::Running;

/// What `rialto serve` is asked for: everything in `data`, and `options`.
pub(crate) fn arguments(data: &Path, options: &[&str]) -> ServeArguments {
    let (path, any) = (data.to_str().unwrap(), "127.0.0.1:0");
    let usual = ["rialto", "serve", "--data", path, "--head", path, "--order-entry", any, "--market-data", any];
    let http = if options.contains(&"--http") { vec![] } else { vec!["--http", any] };
    let parsed = Arguments::try_parse_from(usual.iter().chain(&http).chain(options)).unwrap();
    let Tool::Serve(arguments) = parsed.tool else { unreachable!("serve was asked for") };
    arguments
}

/// A new venue, and its folder.
pub(crate) fn start(options: &[&str]) -> (Running, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let running = Running::start(&arguments(folder.path(), options), demo::commands).unwrap();
    (running, folder)
}
