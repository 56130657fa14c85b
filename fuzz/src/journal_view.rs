//! The venue as its journal has it.

use std::path::Path;
use std::time::Instant;

use engine::Engine;
use journal::{Reader, Replayed, book_digest, rebuild, state_digest};

use crate::kills::RunError;
use crate::process::{Ended, PATIENCE};

/// The engine behind the journal of `data`, once it has command `last`: what was released may be ahead of the disk.
pub fn engine_behind(data: &Path, last: u64) -> Result<(Engine, Ended), RunError> {
    let begun = Instant::now();
    loop {
        let Replayed { engine, event_digest, .. } =
            rebuild(Reader::open(data).map_err(journal::ReplayError::from)?, &mut (), |_| {})?;
        let reached = engine.last().sequence.0;
        if reached >= last {
            let said = Ended {
                last: reached,
                event_digest: event_digest.value().to_string(),
                state_digest: state_digest(&engine).to_string(),
                book_digest: book_digest(&engine).to_string(),
            };
            return Ok((engine, said));
        }
        if begun.elapsed() > PATIENCE {
            return Err(RunError::Stuck(format!("the journal has {reached} commands, of {last} that were released")));
        }
    }
}
