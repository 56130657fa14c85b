//! What of a folder's snapshots goes along with a copy of its journal: the newest that lead to its end, and what was signed
//! up to there.
//!
//! Superblocks stay behind: they name the newest snapshot of all, which the copy may lack on purpose. A start finds the
//! newest one without them.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use engine::Sequence;

use super::{CopyError, io_error, sync_folder};
use crate::checkpoint::SignedCheckpoint;
use crate::snapshot::{CHECKPOINTS, Keep, SnapshotStore};
use crate::storage::allocate;

/// Copies them between data folders, up to the command `last`; gives the commands behind which they are, newest first.
pub(super) fn copy(from: &Path, to: &Path, last: Sequence) -> Result<Vec<Sequence>, CopyError> {
    let (source, target) = (SnapshotStore::open(from), SnapshotStore::open(to));
    let is_before_end = |signed: &SignedCheckpoint| signed.checkpoint.link.last <= last;
    let checkpoints: Vec<_> = source.checkpoints()?.into_iter().filter(is_before_end).collect();
    let mut copied = Vec::new();
    for sequence in source.sequences()?.into_iter().rev() {
        // One that cannot be used, or that the venue has let go of meanwhile, is passed over as at a start.
        let Ok(checkpoint) = source.checkpoint_of(sequence) else { continue };
        if copied.len() < Keep::MIN && is_before_end(&checkpoint) {
            fs::create_dir_all(target.folder()).map_err(io_error(target.folder()))?;
            copy_file(&source.file(sequence), &target.file(sequence))?;
            if target.checkpoint_of(sequence) != Ok(checkpoint) {
                return Err(CopyError::Misread { folder: to.to_owned() });
            }
            copied.push(sequence);
        }
    }
    for sequence in target.sequences()?.into_iter().filter(|sequence| !copied.contains(sequence)) {
        let file = target.file(sequence);
        fs::remove_file(&file).map_err(io_error(&file))?;
    }
    if !checkpoints.is_empty() {
        fs::create_dir_all(target.folder()).map_err(io_error(target.folder()))?;
        let bytes: Vec<u8> = checkpoints.iter().flat_map(SignedCheckpoint::to_bytes).collect();
        write_file(&mut bytes.as_slice(), bytes.len() as u64, &target.folder().join(CHECKPOINTS))?;
        sync_folder(target.folder())?;
    }
    Ok(copied)
}

fn copy_file(from: &Path, to: &Path) -> Result<(), CopyError> {
    let mut file = File::open(from).map_err(io_error(from))?;
    let length = file.metadata().map_err(io_error(from))?.len();
    write_file(&mut file, length, to)
}

/// Under another name first, so that there is never a part of it.
fn write_file(input: &mut impl io::Read, length: u64, to: &Path) -> Result<(), CopyError> {
    let new = to.with_added_extension("new");
    let mut write = || {
        let mut file = File::create(&new)?;
        allocate(&file, length)?;
        io::copy(input, &mut file)?;
        file.sync_all()?;
        fs::rename(&new, to)
    };
    write().map_err(|source| {
        // It takes space; why it failed is the error to tell.
        let _ = fs::remove_file(&new);
        io_error(to)(source)
    })
}
