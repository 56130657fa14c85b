//! What a resting order takes of memory.
//!
//! The resident set with all orders in the books, less what it was before there was an engine. Taken in a process of
//! its own, because what was freed before would be used again unseen.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::request::{Clients, NOTHING};
use super::shape::{LOTS_MAX, Shape};
use crate::failure::Failure;

/// Bytes that a venue with all its orders in the books takes.
///
/// # Errors
/// If the system does not tell.
pub fn resident_bytes(shape: &Shape, seed: u64) -> Result<u64, Failure> {
    let mut random = fastrand::Rng::with_seed(seed);
    let (places, mut clients) = (shape.places(&mut random), Clients::new(*shape));
    let before = resident()?;
    let mut engine = shape.open();
    let mut command = NOTHING;
    for place in &places[..shape.orders as usize] {
        let request = clients.limit(place, random.u8(1..=LOTS_MAX));
        request.write(engine.last().sequence.next(), &mut command);
        engine.apply(&command, &mut ());
    }
    let after = resident()?;
    // The engine lives until its memory has been counted.
    drop(engine);
    Ok(after.saturating_sub(before))
}

/// As [`resident_bytes`], by this program started again with `arguments`, under which it prints the number.
///
/// # Errors
/// If it does not.
pub fn in_a_process_of_its_own(arguments: &[String]) -> Result<u64, Failure> {
    let program = std::env::current_exe().map_err(|error| Failure::io(Path::new("this program"), error))?;
    let output = Command::new(&program).args(arguments).output().map_err(|error| Failure::io(&program, error))?;
    let said = String::from_utf8_lossy(&output.stdout);
    said.trim().parse().map_err(|_| {
        let complaint = String::from_utf8_lossy(&output.stderr);
        Failure::Missing(format!("{} {}: {}", program.display(), arguments.join(" "), complaint.trim()))
    })
}

/// The resident set of this process, in bytes.
fn resident() -> Result<u64, Failure> {
    let path = Path::new("/proc/self/statm");
    let text = fs::read_to_string(path).map_err(|error| Failure::io(path, error))?;
    let pages: Option<u64> = text.split_whitespace().nth(1).and_then(|pages| pages.parse().ok());
    let pages = pages.ok_or_else(|| Failure::malformed(path, 1, "no number of resident pages"))?;
    Ok(pages * rustix::param::page_size() as u64)
}
