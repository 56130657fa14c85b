//! The golden frames.

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn golden_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The bytes of one golden frame.
pub(crate) fn golden(name: &str) -> Vec<u8> {
    let path = golden_folder().join(format!("{name}.hex"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    text.lines()
        .flat_map(|line| line.split('|').next().unwrap_or_default().split_whitespace())
        .map(|byte| u8::from_str_radix(byte, 16).expect("a byte"))
        .collect()
}

/// The names of all golden frames.
pub(crate) fn golden_names() -> Vec<String> {
    let files = fs::read_dir(golden_folder()).expect("the golden frames");
    let mut names: Vec<String> = files
        .filter_map(|file| Some(file.expect("a file").file_name().to_str()?.strip_suffix(".hex")?.to_owned()))
        .collect();
    names.sort();
    names
}
