//! What was counted before, and by what: a file that is kept with the source.

use std::fs;
use std::path::{Path as FilePath, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::callgrind::{self, PerOperation};
use crate::failure::Failure;
use crate::machine::commit;

/// Functions of a path that are kept.
const FUNCTIONS: usize = 15;

/// Counts, and what they depend on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The compiler, in its own words; another one makes other code.
    pub compiler: String,
    /// What was compiled for.
    pub target: String,
    /// What counted.
    pub valgrind: String,
    /// The commit in the working folder.
    pub commit: String,
    /// In the order of [`PATHS`](super::PATHS).
    pub paths: Vec<Recorded>,
}

/// A path's counts, of one operation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recorded {
    /// The path.
    pub name: String,
    /// Instructions of the program's own functions.
    pub instructions: f64,
    /// Instructions of libraries.
    pub libraries: f64,
    /// The functions with the most instructions of their own, the largest first.
    pub functions: Vec<Function>,
}

/// A function's share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its instructions, without those of the functions that it calls.
    pub instructions: f64,
}

impl Record {
    /// The file that is kept with the source.
    pub fn file() -> PathBuf {
        FilePath::new(env!("CARGO_MANIFEST_DIR")).join("instructions.json")
    }

    /// With nothing counted yet.
    ///
    /// # Errors
    ///
    /// If compiler or valgrind cannot be asked for their versions.
    pub fn begin() -> Result<Self, Failure> {
        Ok(Self {
            compiler: compiler()?,
            target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            valgrind: callgrind::version()?,
            commit: commit(),
            paths: Vec::new(),
        })
    }

    /// Reads it.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn read(file: &FilePath) -> Result<Self, Failure> {
        let text = fs::read_to_string(file).map_err(|source| Failure::io(file, source))?;
        let line = |error: &serde_json::Error| error.line() as u64;
        serde_json::from_str(&text).map_err(|error| Failure::malformed(file, line(&error), error.to_string()))
    }

    /// Writes it.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write(&self, file: &FilePath) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(self).expect("names and numbers");
        fs::write(file, text + "\n").map_err(|source| Failure::io(file, source))
    }

    /// What was counted of a path.
    pub fn path(&self, name: &str) -> Option<&Recorded> {
        self.paths.iter().find(|path| path.name == name)
    }

    /// What was counted takes its place.
    pub fn put(&mut self, counted: Recorded) {
        match self.paths.iter_mut().find(|path| path.name == counted.name) {
            Some(path) => *path = counted,
            None => self.paths.push(counted),
        }
    }
}

impl Recorded {
    /// Of a path.
    pub fn new(name: &str, counted: &PerOperation) -> Self {
        let function =
            |(name, instructions): &(String, f64)| Function { name: name.clone(), instructions: tenths(*instructions) };
        Self {
            name: name.to_owned(),
            instructions: tenths(counted.own),
            libraries: tenths(counted.libraries),
            functions: counted.functions.iter().take(FUNCTIONS).map(function).collect(),
        }
    }
}

fn tenths(count: f64) -> f64 {
    (count * 10.0).round() / 10.0
}

fn compiler() -> Result<String, Failure> {
    let rustc = Command::new("rustc").arg("--version").current_dir(env!("CARGO_MANIFEST_DIR")).output();
    let output = rustc.map_err(|source| Failure::io(FilePath::new("rustc"), source))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
