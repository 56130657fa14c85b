//! A snapshot's bytes.
//!
//! ```text
//! offset        bytes
//! 0             header, 4,096
//! │      0          8  magic "RIALTOSN"
//! │      8          2  format version: 1
//! │     10          6  zeros
//! │     16         16  journal id
//! │     32          8  sequence
//! │     40          8  payload bytes
//! │     48      4,044  zeros
//! │  4,092          4  CRC-32C of the 4,092 bytes before
//! 4,096         payload: the engine's canonical snapshot
//!               zeros to the next multiple of 4,096
//! …             trailer, 4,096
//! │      0        272  the signed checkpoint, whose state digest is BLAKE3 of the payload
//! │    272      3,820  zeros
//! │  4,092          4  CRC-32C of the 4,092 bytes before
//! ```

use std::io;

use ed25519_dalek::SigningKey;
use engine::canonical::{ByteSink, Canonical, Reader};
use engine::{Engine, Sequence};

use crate::checkpoint::{CHECKPOINT_BYTES, Checkpoint, CheckpointFault, SignedCheckpoint};
use crate::checksum::crc32c;
use crate::digest::Digest;
use crate::error::SnapshotFault;
use crate::layout::{ALIGNMENT_MIN, FORMAT_VERSION};
use crate::page_buffer::PageBuffer;
use crate::segment::JournalId;
use crate::storage::{Storage, StorageFile};

const MAGIC: [u8; 8] = *b"RIALTOSN";
/// Header and trailer have a page each.
pub(super) const PAGE: usize = ALIGNMENT_MIN;
const CHECKSUM_AT: usize = PAGE - 4;
/// What is written at once: enough for the disk's rate, and little enough that a batch of the journal waits for one.
const PIECE_BYTES: usize = 256 << 10;

/// What a snapshot leaves free: the journal's next segments come first.
const RESERVE_BYTES: u64 = 256 << 20;

/// A page that ends in its checksum.
pub(super) fn sealed_page(write: impl FnOnce(&mut Vec<u8>)) -> PageBuffer {
    let mut page = PageBuffer::new(PAGE);
    page.edit(write);
    page.resize(CHECKSUM_AT);
    let checksum = crc32c(&[page.as_slice()]).to_le_bytes();
    page.edit(|bytes| bytes.extend_from_slice(&checksum));
    page
}

/// The page's bytes before its checksum, if that matches and nothing stands behind the first `used` of them.
pub(super) fn open_page(page: &[u8], used: usize) -> Option<&[u8]> {
    let (covered, checksum) = page.split_at_checked(CHECKSUM_AT)?;
    let whole = checksum == crc32c(&[covered]).to_le_bytes() && covered[used..].iter().all(|&byte| byte == 0);
    whole.then_some(&covered[..used])
}

struct Header {
    journal: JournalId,
    sequence: Sequence,
    payload_bytes: u64,
}

const HEADER_BYTES: usize = 48;

impl Header {
    fn page(&self) -> PageBuffer {
        sealed_page(|bytes| {
            bytes.extend_from_slice(&MAGIC);
            FORMAT_VERSION.encode(bytes);
            bytes.extend_from_slice(&[0; 6]);
            self.journal.0.encode(bytes);
            self.sequence.encode(bytes);
            self.payload_bytes.encode(bytes);
        })
    }

    fn decode(page: &[u8]) -> Result<Self, SnapshotFault> {
        let bytes = open_page(page, HEADER_BYTES).ok_or(SnapshotFault::Damaged)?;
        let rest = bytes.strip_prefix(&MAGIC).ok_or(SnapshotFault::Damaged)?;
        let input = &mut Reader::new(rest);
        let damaged = |_| SnapshotFault::Damaged;
        let (version, zeros): (u16, [u8; 6]) = (input.read().map_err(damaged)?, input.take().map_err(damaged)?);
        if version != FORMAT_VERSION {
            return Err(SnapshotFault::Version { version });
        }
        if zeros != [0; 6] {
            return Err(SnapshotFault::Damaged);
        }
        Ok(Self {
            journal: JournalId(input.read().map_err(damaged)?),
            sequence: input.read().map_err(damaged)?,
            payload_bytes: input.read().map_err(damaged)?,
        })
    }
}

/// Writes the snapshot of an engine; gives the signed checkpoint that stands in it, and how many bytes it has.
///
/// `checkpoint` says everything but the state's digest.
pub(super) fn write(
    storage: &dyn Storage,
    name: &str,
    engine: &Engine,
    checkpoint: Checkpoint,
    key: &SigningKey,
) -> io::Result<(SignedCheckpoint, u64)> {
    let mut count = Count(0);
    engine.write_snapshot(&mut count);
    let payload_bytes = count.0;
    let length = 2 * PAGE as u64 + payload_bytes.next_multiple_of(PAGE as u64);
    if storage.free_bytes().is_some_and(|free| free < length + RESERVE_BYTES) {
        let left = RESERVE_BYTES >> 20;
        let reason = format!("it takes {length} bytes, and {left} MiB are left free for the journal");
        return Err(io::Error::new(io::ErrorKind::StorageFull, reason));
    }
    let mut file = storage.reserve(name, length)?;
    let header = Header { journal: checkpoint.journal, sequence: checkpoint.sequence, payload_bytes };
    file.write_at(header.page().as_slice(), 0)?;
    let mut pieces = Pieces::new(file.as_mut(), PAGE as u64);
    engine.write_snapshot(&mut pieces);
    let (state_digest, end) = pieces.finish()?;
    let signed = SignedCheckpoint::sign(Checkpoint { state_digest, ..checkpoint }, key);
    let trailer = sealed_page(|bytes| bytes.extend_from_slice(&signed.to_bytes()));
    file.write_at(trailer.as_slice(), end)?;
    file.sync()?;
    Ok((signed, length))
}

/// A snapshot whose every byte was verified, but for what the engine makes of it.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) checkpoint: SignedCheckpoint,
    payload: &'a [u8],
}

impl<'a> View<'a> {
    /// The snapshot in a file's bytes.
    pub(super) fn of(bytes: &'a [u8]) -> Result<Self, SnapshotFault> {
        let (first, rest) = bytes.split_first_chunk::<PAGE>().ok_or(SnapshotFault::Damaged)?;
        let header = Header::decode(first)?;
        let (body, trailer) = rest.split_last_chunk::<PAGE>().ok_or(SnapshotFault::Damaged)?;
        let payload_bytes = usize::try_from(header.payload_bytes).map_err(|_| SnapshotFault::Damaged)?;
        let (payload, padding) = body.split_at_checked(payload_bytes).ok_or(SnapshotFault::Damaged)?;
        let is_padding = padding.len() < PAGE && padding.iter().all(|&byte| byte == 0);
        let checkpoint = signed_checkpoint(trailer)?;
        let Checkpoint { journal, sequence, state_digest, .. } = checkpoint.checkpoint;
        let agrees = journal == header.journal && sequence == header.sequence && is_padding;
        if agrees && Digest(blake3::hash(payload).into()) == state_digest {
            Ok(Self { checkpoint, payload })
        } else {
            Err(SnapshotFault::Damaged)
        }
    }

    /// The engine that it is of.
    pub(super) fn restore(&self) -> Result<Engine, SnapshotFault> {
        let engine = Engine::read_snapshot(self.payload).map_err(|_| SnapshotFault::Unreadable)?;
        let last = engine.last();
        let Checkpoint { sequence, time, .. } = self.checkpoint.checkpoint;
        if last.sequence == sequence && last.time == time { Ok(engine) } else { Err(SnapshotFault::Damaged) }
    }
}

fn signed_checkpoint(trailer: &[u8; PAGE]) -> Result<SignedCheckpoint, SnapshotFault> {
    let bytes = open_page(trailer, CHECKPOINT_BYTES).ok_or(SnapshotFault::Damaged)?;
    let bytes = bytes.first_chunk().ok_or(SnapshotFault::Damaged)?;
    SignedCheckpoint::from_bytes(bytes).map_err(|fault| match fault {
        CheckpointFault::Version { version } => SnapshotFault::Version { version },
        CheckpointFault::Magic | CheckpointFault::Checksum | CheckpointFault::Signature => SnapshotFault::Damaged,
    })
}

struct Count(u64);

impl ByteSink for Count {
    fn write(&mut self, bytes: &[u8]) {
        self.0 += bytes.len() as u64;
    }
}

/// Hashes the payload and writes it piece by piece. Behind a failure it only counts.
struct Pieces<'a> {
    file: &'a mut dyn StorageFile,
    buffer: PageBuffer,
    offset: u64,
    hasher: blake3::Hasher,
    outcome: io::Result<()>,
}

impl<'a> Pieces<'a> {
    fn new(file: &'a mut dyn StorageFile, offset: u64) -> Self {
        let (buffer, hasher) = (PageBuffer::new(PIECE_BYTES), blake3::Hasher::new());
        Self { file, buffer, offset, hasher, outcome: Ok(()) }
    }

    /// Writes what there is, padded to a page.
    fn flush(&mut self) {
        self.hasher.update(self.buffer.as_slice());
        self.buffer.resize(self.buffer.len().next_multiple_of(PAGE));
        if self.outcome.is_ok() {
            self.outcome = self.file.write_at(self.buffer.as_slice(), self.offset);
        }
        self.offset += self.buffer.len() as u64;
        self.buffer.resize(0);
    }

    /// The payload's digest, and where it ends.
    fn finish(mut self) -> io::Result<(Digest, u64)> {
        if self.buffer.len() > 0 {
            self.flush();
        }
        self.outcome.map(|()| (Digest(self.hasher.finalize().into()), self.offset))
    }
}

impl ByteSink for Pieces<'_> {
    fn write(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (fitting, rest) = bytes.split_at(bytes.len().min(PIECE_BYTES - self.buffer.len()));
            self.buffer.edit(|buffer| buffer.extend_from_slice(fitting));
            if self.buffer.len() == PIECE_BYTES {
                self.flush();
            }
            bytes = rest;
        }
    }
}
