//! What a figure was taken on: without that it says nothing.

use std::fs;
use std::path::Path;
use std::process::Command;

/// Where and of what a figure was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Processors that this process may use.
    pub cores: u64,
    /// Their kind, as the system names it.
    pub processor: String,
    /// The commit that was built, as far as the folder tells.
    pub commit: String,
}

impl Machine {
    /// This one.
    pub fn this() -> Self {
        Self::look(Path::new("/"))
    }

    /// The one that is told about below `root`, which is `/` but for tests.
    pub fn look(root: &Path) -> Self {
        let cores = std::thread::available_parallelism().map_or(0, |count| count.get() as u64);
        Self { cores, processor: processor(root).unwrap_or_else(unknown), commit: commit() }
    }
}

/// The commit in the working folder, marked if anything there differs from it.
pub fn commit() -> String {
    let output = Command::new("git").args(["describe", "--always", "--dirty"]).output().ok();
    let text = output.filter(|output| output.status.success()).and_then(|output| String::from_utf8(output.stdout).ok());
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).unwrap_or_else(unknown)
}

fn processor(root: &Path) -> Option<String> {
    let about = fs::read_to_string(root.join("proc/cpuinfo")).ok()?;
    let line = about.lines().find(|line| line.starts_with("model name"))?;
    line.split_once(':').map(|(_, name)| name.trim().to_owned())
}

fn unknown() -> String {
    "unknown".to_owned()
}
