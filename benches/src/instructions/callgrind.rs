//! Counts the instructions of a path: this program again, under callgrind.
//!
//! ```text
//!   ob=/the/program                 what follows is of this object
//!   fl=/a/source/file.rs            (also fi=, fe= for what is inlined)
//!   fn=a::function                  what follows is of this function
//!   12 345                          line 12: 345 instructions of its own
//!   cfn=another::function           a call:
//!   calls=7 30
//!   14 678                          678 instructions within it, which are another function's
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path as FilePath, PathBuf};
use std::process::Command;

use super::{Collect, Path};
use crate::failure::Failure;

/// The function whose calls are counted.
const COUNTED: &str = "*instructions*counted*";
/// What the journal's writer thread alone calls.
const WRITER: &str = "journal::writer::Writer::";

/// What was counted, over all operations.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// Of the program's own functions.
    pub own: u64,
    /// Of the libraries that it is linked with when it starts, such as the C library.
    pub libraries: u64,
    /// Of each function, without those that it calls.
    pub functions: BTreeMap<String, u64>,
}

/// An operation's share of what was counted.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PerOperation {
    /// Of the program's own functions.
    pub own: f64,
    /// Of libraries.
    pub libraries: f64,
    /// Of each function, without those that it calls; the largest first.
    pub functions: Vec<(String, f64)>,
}

/// The version of valgrind, in its own words.
///
/// # Errors
///
/// If there is none.
pub fn version() -> Result<String, Failure> {
    let output = Command::new("valgrind").arg("--version").output().map_err(|error| {
        Failure::Usage(format!("valgrind: {error}; install it: apt-get install --no-install-recommends valgrind"))
    })?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Counts a path.
///
/// # Errors
///
/// If valgrind cannot be run, or the path fails under it.
pub fn count(path: &Path, folder: &FilePath) -> Result<PerOperation, Failure> {
    match path.collect {
        Collect::Marked => Ok(marked(path, folder)?.per_operation(path.operations)),
        Collect::Writer => {
            let half = path.operations / 2;
            let all = writer(path, path.operations, folder)?;
            Ok(all.less(&writer(path, half, folder)?).per_operation(path.operations - half))
        }
    }
}

/// What happens within calls of [`COUNTED`].
fn marked(path: &Path, folder: &FilePath) -> Result<Counts, Failure> {
    let toggle = format!("--toggle-collect={COUNTED}");
    let out = run(path, path.operations, &["--collect-atstart=no", &toggle], folder)?;
    let counts = read(&out)?;
    if counts.own == 0 {
        return Err(Failure::Missing(format!("{}: callgrind has found no call of {COUNTED}", path.name)));
    }
    Ok(counts)
}

/// What happens on the thread that calls [`WRITER`]: each has a file of its own, with a number behind the name.
fn writer(path: &Path, operations: u32, folder: &FilePath) -> Result<Counts, Failure> {
    let out = run(path, operations, &["--separate-threads=yes"], folder)?;
    let of_thread = |number: u32| FilePath::new(&format!("{}-{number:02}", out.display())).to_owned();
    for file in (1..).map(of_thread).take_while(|file| file.exists()) {
        let counts = read(&file)?;
        if counts.functions.keys().any(|name| name.starts_with(WRITER)) {
            return Ok(counts);
        }
    }
    Err(Failure::Missing(format!("{}: callgrind has found no thread that calls {WRITER}", path.name)))
}

fn read(file: &FilePath) -> Result<Counts, Failure> {
    let text = fs::read_to_string(file).map_err(|source| Failure::io(file, source))?;
    Ok(Counts::parse(&text, &program()?.display().to_string()))
}

fn program() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(|source| Failure::io(FilePath::new("this program"), source))
}

/// Carries out so many operations under callgrind; where it has written what it counted.
fn run(path: &Path, operations: u32, options: &[&str], folder: &FilePath) -> Result<PathBuf, Failure> {
    let out = folder.join(format!("{}-{operations}", path.name.replace([' ', ':'], "_")));
    // What is in the environment would lie on the stack before what is counted.
    let kept = ["PATH", "TMPDIR"].map(|name| std::env::var_os(name).map(|value| (name, value)));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--compress-strings=no", "--compress-pos=no"])
        .args(options)
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program()?)
        .args(["run", path.name, "--operations", &operations.to_string()])
        .env_clear()
        .envs(kept.into_iter().flatten())
        .output()
        .map_err(|source| Failure::io(FilePath::new("valgrind"), source))?;
    if output.status.success() {
        return Ok(out);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::Missing(format!("{}: valgrind {}:\n{said}", path.name, output.status)))
}

impl Counts {
    /// What a file of callgrind says, whose names and positions are not compressed.
    pub fn parse(text: &str, program: &str) -> Self {
        let mut counts = Self::default();
        let (mut is_own, mut function) = (false, String::new());
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(object) = line.strip_prefix("ob=") {
                is_own = object == program;
            } else if let Some(name) = line.strip_prefix("fn=") {
                function = plain(name);
            } else if line.starts_with("calls=") {
                // The next line is what happens within the call.
                lines.next();
            } else if let Some(count) = cost(line) {
                *if is_own { &mut counts.own } else { &mut counts.libraries } += count;
                *counts.functions.entry(function.clone()).or_default() += count;
            }
        }
        counts
    }

    fn less(mut self, other: &Self) -> Self {
        self.own = self.own.saturating_sub(other.own);
        self.libraries = self.libraries.saturating_sub(other.libraries);
        for (name, count) in &mut self.functions {
            *count = count.saturating_sub(other.functions.get(name).copied().unwrap_or_default());
        }
        self
    }

    fn per_operation(&self, operations: u32) -> PerOperation {
        let share = |count: u64| count as f64 / f64::from(operations);
        let mut functions: Vec<(String, f64)> =
            self.functions.iter().map(|(name, &count)| (name.clone(), share(count))).collect();
        functions.sort_by(|(_, one), (_, other)| other.total_cmp(one));
        PerOperation { own: share(self.own), libraries: share(self.libraries), functions }
    }
}

/// The instructions of a line that has any: a line number and a count.
fn cost(line: &str) -> Option<u64> {
    let (position, count) = line.split_once(' ')?;
    position.parse::<u64>().ok()?;
    count.parse().ok()
}

/// A function's name without what differs from build to build. Hand-written assembly has an address alone.
fn plain(name: &str) -> String {
    if name.starts_with("0x") {
        return "without a name".to_owned();
    }
    let name = name.split(".llvm.").next().unwrap_or(name);
    let is_hash = |hash: &str| hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    match name.rsplit_once("::h") {
        Some((path, hash)) if is_hash(hash) => path.to_owned(),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# callgrind format
version: 1
events: Ir
summary: 1117

ob=/bin/program
fl=/src/lib.rs
fn=engine::apply::h0123456789abcdef
12 100
fi=/src/inlined.rs
3 200
cob=/lib/libc.so.6
cfn=memcpy
calls=7 30
14 999
fe=/src/lib.rs
13 10

fn=engine::book::insert.llvm.1234
20 400

fn=0x000000000034a700
0 7

ob=/lib/libc.so.6
fl=???
fn=memcpy
0 400

totals: 1117
";

    #[test]
    fn own_and_library_functions_are_told_apart_and_calls_counted_once() {
        let counts = Counts::parse(TEXT, "/bin/program");
        assert_eq!((counts.own, counts.libraries), (717, 400));
        let functions = [("engine::apply", 310), ("engine::book::insert", 400), ("memcpy", 400), ("without a name", 7)];
        assert_eq!(counts.functions, functions.map(|(name, count)| (name.to_owned(), count)).into());
    }

    #[test]
    fn what_half_of_the_operations_take_drops_out() {
        let [all, half] = [(1_000, 90), (400, 30)].map(|(own, libraries)| Counts {
            own,
            libraries,
            functions: [("engine::apply".to_owned(), own), ("memcpy".to_owned(), libraries)].into(),
        });
        let each = all.less(&half).per_operation(10);
        assert_eq!((each.own, each.libraries), (60.0, 6.0));
        assert_eq!(each.functions, [("engine::apply".to_owned(), 60.0), ("memcpy".to_owned(), 6.0)]);
    }
}
